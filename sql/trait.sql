-- trait: the registry of expressions, and computed traits, which are such.
--
-- An expression is a computed trait or the predicate of a segment: the same
-- rules declare, change, rename and drop them.  The text is analysed and runs
-- under the role that owns it (cdp.analyse_expression).  Declaring one changes
-- the columns of a view, so all of this is for the owner of the storage.

-- ---------- names ----------

CREATE FUNCTION cdp.expression_label(kind text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('%s "%s"', CASE WHEN kind OPERATOR(pg_catalog.=) 'trait' THEN 'computed trait' ELSE 'segment' END, name);
COMMENT ON FUNCTION cdp.expression_label(text, text) IS 'Internal: how messages call an expression.';

CREATE FUNCTION cdp.check_expression_name(kind text, name text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
BEGIN
    IF kind = 'trait' THEN
        PERFORM cdp.check_trait_name(name);
        IF EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.name = check_expression_name.name) THEN
            RAISE duplicate_object USING
                MESSAGE = pg_catalog.format('trait "%s" is given by records and cannot be computed', name),
                HINT = 'Choose another name, or drop that trait with cdp.drop_trait first.';
        END IF;
        IF EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.name = check_expression_name.name) THEN
            RAISE duplicate_object USING
                MESSAGE = pg_catalog.format('"%s" is a namespace of identifiers, which has a column in cdp.profiles', name),
                HINT = 'Choose another name.';
        END IF;
    ELSE
        IF name IS NULL OR name = '' OR pg_catalog.octet_length(name) > 63 THEN
            RAISE invalid_parameter_value USING
                MESSAGE = pg_catalog.format('invalid name for a segment: "%s"', name),
                HINT = 'A segment is a column of cdp.profile_segments, so its name has 1 to 63 bytes.';
        END IF;
        IF name IN ('profile_id', 'tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid') THEN
            RAISE reserved_name USING
                MESSAGE = pg_catalog.format('"%s" is a column of cdp.profile_segments and cannot be a segment', name),
                HINT = 'Choose another name.';
        END IF;
    END IF;
END
$check$;
COMMENT ON FUNCTION cdp.check_expression_name(text, text) IS 'Internal: raises an error that says why a name cannot be that of a computed trait or segment.';

CREATE FUNCTION cdp.require_expression(kind text, name text) RETURNS integer
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
DECLARE
    found_id integer;
BEGIN
    PERFORM cdp.require_storage();
    IF name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'name must not be null';
    END IF;
    SELECT e.expression_id INTO found_id FROM cdp_data.expression AS e WHERE e.kind = require_expression.kind AND e.name = require_expression.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('%s does not exist', cdp.expression_label(kind, name)),
            HINT = CASE
                WHEN kind = 'segment' THEN 'The view cdp.segments lists the segments.'
                WHEN EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.name = require_expression.name)
                    THEN pg_catalog.format('Records give the trait "%s": see cdp.alter_trait, cdp.rename_trait and cdp.drop_trait.', name)
                ELSE 'The view cdp.computed_traits lists the computed traits.' END;
    END IF;
    RETURN found_id;
END
$require$;
COMMENT ON FUNCTION cdp.require_expression(text, text) IS 'Internal: the key of a computed trait or segment; an error when there is none of that name.';

-- No pinned path: it is the caller's that is asked for.
CREATE FUNCTION cdp.current_search_path() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.concat(pg_catalog.string_agg(pg_catalog.quote_ident(s.name) OPERATOR(pg_catalog.||) ', ', '' ORDER BY s.place), 'pg_temp')
    FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s(name, place)
    WHERE NOT pg_catalog.starts_with(s.name::text, 'pg_temp') AND NOT pg_catalog.starts_with(s.name::text, 'pg_toast_temp');
END;
COMMENT ON FUNCTION cdp.current_search_path() IS
'Internal: the schemas of the search_path in force that exist, with that of temporary objects last, as it is stored with a declaration.';

-- ---------- what an expression is ----------

CREATE FUNCTION cdp.computed_trait_type(type text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $type$
DECLARE
    given CONSTANT regtype := type::regtype;
    base record;
    element record;
BEGIN
    SELECT t.oid, t.typtype, t.typelem, t.typcategory, t.typbasetype, t.typnamespace INTO base FROM pg_catalog.pg_type AS t WHERE t.oid = given;
    -- A constraint of a domain is the expression's to keep, not the column's.
    WHILE base.typtype = 'd' LOOP
        SELECT t.oid, t.typtype, t.typelem, t.typcategory, t.typbasetype, t.typnamespace INTO base FROM pg_catalog.pg_type AS t WHERE t.oid = base.typbasetype;
    END LOOP;
    element := base;
    IF base.typcategory = 'A' THEN
        SELECT t.oid, t.typtype, t.typelem, t.typcategory, t.typbasetype, t.typnamespace INTO element FROM pg_catalog.pg_type AS t WHERE t.oid = base.typelem;
    END IF;
    IF element.typtype IN ('p', 'c') THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('a computed trait cannot be of type %s', given),
            HINT = CASE WHEN element.typtype = 'c' OR element.oid IN ('record'::regtype, 'record[]'::regtype)
                THEN 'Give one value, or all of them as one document: to_jsonb(...).'
                ELSE 'Cast it to a type that a column can have.' END;
    END IF;
    -- A column of such a type would keep the extension from being dropped and created anew.
    IF element.typnamespace = 'cdp'::regnamespace THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('a computed trait cannot be of type %s', given),
            HINT = 'Give a number or text that is computed from it.';
    END IF;
    -- Whether a value changed is asked in both ways.
    BEGIN
        EXECUTE pg_catalog.format('SELECT NULL::%1$s IS DISTINCT FROM NULL::%1$s, ROW(NULL::%1$s)::record = ROW(NULL::%1$s)::record', base.oid::regtype);
    EXCEPTION WHEN undefined_function THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('a computed trait cannot be of type %s, whose values cannot be compared', given),
            HINT = CASE WHEN element.oid = 'json'::regtype THEN 'Cast it to jsonb.' ELSE 'Cast it to a type with an equality operator, such as text.' END;
    END;
    RETURN pg_catalog.format_type(base.oid, -1);
END
$type$;
COMMENT ON FUNCTION cdp.computed_trait_type(text) IS
'Internal: the type of the column for values of a type: that type, or the one that a domain is of.  An error for types without equality, records, pseudo-types and types of the extension.';

CREATE FUNCTION cdp.expression_dependents(of_kind text, of_name text, OUT expression_id integer, OUT kind text, OUT name text, OUT depth integer)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $dependents$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE d(expression_id, depth) AS (
        SELECT f.expression_id, 1 FROM cdp_data.expression_fact AS f WHERE f.kind = of_kind AND f.name = of_name
        UNION
        SELECT f.expression_id, d.depth + 1
        FROM d JOIN cdp_data.expression AS e ON e.expression_id = d.expression_id
        JOIN cdp_data.expression_fact AS f ON f.kind = e.kind AND f.name = e.name
    )
    SELECT e.expression_id, e.kind, e.name::text, pg_catalog.max(d.depth)
    FROM d JOIN cdp_data.expression AS e ON e.expression_id = d.expression_id
    GROUP BY e.expression_id ORDER BY 4, e.kind DESC, e.name;
END
$dependents$;
COMMENT ON FUNCTION cdp.expression_dependents(text, text) IS
'Internal: the computed traits and segments that need a trait or segment, directly (depth 1) or through others, those that need nobody else''s change first.';

CREATE FUNCTION cdp.warn_of_dependents(trait text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $warn$
DECLARE
    dependents text;
BEGIN
    SELECT pg_catalog.string_agg(cdp.expression_label(e.kind, e.name), ', ' ORDER BY e.kind DESC, e.name) INTO dependents
    FROM cdp_data.expression AS e JOIN cdp_data.expression_fact AS f ON f.expression_id = e.expression_id
    WHERE f.kind = 'trait' AND f.name = warn_of_dependents.trait;
    IF dependents IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = pg_catalog.format('there is no trait "%s" any more, which other expressions need', trait),
            DETAIL = pg_catalog.format('These do, and fail until they are changed: %s.', dependents),
            HINT = 'Change them with cdp.alter_computed_trait and cdp.alter_segment.';
    END IF;
END
$warn$;
COMMENT ON FUNCTION cdp.warn_of_dependents(text) IS
'Internal: says which computed traits and segments read a trait of records that was dropped or renamed.';

CREATE FUNCTION cdp.check_expression_cycle(of_kind text, of_name text, fact_kinds text[], fact_names text[]) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
DECLARE
    at_kind text;
    at_name text;
    path text[] := ARRAY[of_name];
BEGIN
    -- What is stored has no cycle, so one can only lead through what already needs this expression.
    SELECT f.kind, f.name INTO at_kind, at_name
    FROM ROWS FROM (pg_catalog.unnest(fact_kinds), pg_catalog.unnest(fact_names)) AS f(kind, name)
    WHERE f.kind IN ('trait', 'segment')
      AND ((f.kind, f.name) = (of_kind, of_name)
           OR EXISTS (SELECT FROM cdp.expression_dependents(of_kind, of_name) AS d WHERE d.kind = f.kind AND d.name = f.name))
    ORDER BY (f.kind, f.name) = (of_kind, of_name) DESC, f.name LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    LOOP
        path := path || at_name;
        EXIT WHEN at_kind = of_kind AND at_name = of_name;
        SELECT f.kind, f.name INTO STRICT at_kind, at_name
        FROM cdp_data.expression AS e JOIN cdp_data.expression_fact AS f ON f.expression_id = e.expression_id AND f.kind IN ('trait', 'segment')
        WHERE e.kind = at_kind AND e.name = at_name
          AND ((f.kind, f.name) = (of_kind, of_name)
               OR EXISTS (SELECT FROM cdp.expression_dependents(of_kind, of_name) AS d WHERE d.kind = f.kind AND d.name = f.name))
        ORDER BY (f.kind, f.name) = (of_kind, of_name) DESC, f.name LIMIT 1;
    END LOOP;
    RAISE invalid_object_definition USING
        MESSAGE = pg_catalog.format('%s would depend on itself: %s', cdp.expression_label(of_kind, of_name), pg_catalog.array_to_string(path, ' -> ')),
        HINT = 'Take one of these references out.';
END
$check$;
COMMENT ON FUNCTION cdp.check_expression_cycle(text, text, text[], text[]) IS
'Internal: raises an error that shows the way round when an expression with these facts would need itself.';

-- ---------- declaring ----------

CREATE FUNCTION cdp.analyse_stored_expression(expression_id integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $analyse$
#variable_conflict use_column
DECLARE
    known record;
    found_facts record;
    found_type text;
BEGIN
    SELECT e.* INTO STRICT known FROM cdp_data.expression AS e WHERE e.expression_id = $1;
    SELECT a.* INTO STRICT found_facts
    FROM cdp.analyse_expression(known.kind, known.name, known.definition, known.is_query, known.owner, known.time_zone, known.search_path, known.is_realtime) AS a;
    found_type := CASE known.kind WHEN 'trait' THEN cdp.computed_trait_type(found_facts.type) ELSE 'boolean' END;
    PERFORM cdp.check_expression_cycle(known.kind, known.name, found_facts.fact_kinds, found_facts.fact_names);
    DELETE FROM cdp_data.expression_fact AS f WHERE f.expression_id = $1;
    INSERT INTO cdp_data.expression_fact (expression_id, kind, name)
    SELECT DISTINCT $1, f.kind, f.name
    FROM ROWS FROM (pg_catalog.unnest(found_facts.fact_kinds), pg_catalog.unnest(found_facts.fact_names)) AS f(kind, name);
    IF found_type = known.type THEN
        RETURN false;
    END IF;
    UPDATE cdp_data.expression AS e SET type = found_type WHERE e.expression_id = $1;
    RETURN true;
END
$analyse$;
COMMENT ON FUNCTION cdp.analyse_stored_expression(integer) IS
'Internal: analyses a stored expression, and stores what it reads and its type; true: the type is another one than before.';

CREATE FUNCTION cdp.renew_expressions(expression_ids integer[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $renew$
BEGIN
    INSERT INTO cdp_data.expression_state AS s (expression_id)
    SELECT i FROM pg_catalog.unnest(expression_ids) AS i
    ON CONFLICT ON CONSTRAINT expression_state_pkey DO UPDATE SET status = 'new', error = NULL, sqlstate = NULL, hint = NULL, failed_since = NULL;
END
$renew$;
COMMENT ON FUNCTION cdp.renew_expressions(integer[]) IS 'Internal: marks expressions for evaluation by the next refresh.';

CREATE FUNCTION cdp.renew_dependents(of_kind text, of_name text, label text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $renew$
DECLARE
    dependent record;
    dependents integer[] := '{}';
    is_retyped boolean;
    state text;
    message text;
    hint text;
BEGIN
    -- Those that it is next to first: a type may change along the way.
    FOR dependent IN SELECT d.expression_id, d.kind, d.name FROM cdp.expression_dependents($1, $2) AS d ORDER BY d.depth, d.name LOOP
        dependents := dependents || dependent.expression_id;
        BEGIN
            is_retyped := cdp.analyse_stored_expression(dependent.expression_id);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
            RAISE EXCEPTION USING
                ERRCODE = state,
                MESSAGE = pg_catalog.format('%s cannot change, because %s needs it as it is: %s', $3,
                                            cdp.expression_label(dependent.kind, dependent.name), message),
                HINT = COALESCE(NULLIF(hint, ''), 'Change what depends on it first.');
        END;
        IF is_retyped THEN
            PERFORM cdp.shape_profiles();
        END IF;
    END LOOP;
    -- An evaluation under way is of the old definition.
    UPDATE cdp_data.expression AS e SET changed_at = pg_catalog.now() WHERE e.expression_id = ANY (dependents);
    PERFORM cdp.renew_expressions(dependents);
END
$renew$;
COMMENT ON FUNCTION cdp.renew_dependents(text, text, text) IS
'Internal: analyses again what needs a trait or segment that was changed, and marks it for evaluation; an error, which calls the changed one by its label, where it does not fit any more.';

CREATE FUNCTION cdp.declare_expression(
    kind text, name text, definition text, is_query boolean, refresh text, include_anonymous boolean,
    owner regrole, time_zone text, description text, search_path text, is_new boolean, replace boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $declare$
#variable_conflict use_column
DECLARE
    known record;
    wanted record;
    storage_owner regrole;
    analysed record;
    is_known boolean;
BEGIN
    PERFORM cdp.require_declarer();
    IF $2 IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'name must not be null';
    END IF;
    -- One declaration at a time, of record traits too, since names and columns are at stake.
    LOCK TABLE cdp_data.trait, cdp_data.expression IN SHARE ROW EXCLUSIVE MODE;
    IF is_new THEN
        IF NOT EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = $1 AND e.name = $2) THEN
            PERFORM cdp.check_expression_name($1, $2);
        END IF;
        IF $3 IS NULL THEN
            RAISE null_value_not_allowed USING
                MESSAGE = CASE $1 WHEN 'trait' THEN 'expression must not be null' ELSE 'one of predicate and query must be given' END;
        END IF;
    ELSE
        PERFORM cdp.require_expression($1, $2);
    END IF;
    SELECT e.* INTO known FROM cdp_data.expression AS e WHERE e.kind = $1 AND e.name = $2;
    is_known := FOUND;

    -- What was not given is as it was, or the default.
    SELECT COALESCE($3, known.definition) AS definition,
           CASE WHEN $3 IS NULL THEN known.is_query ELSE COALESCE($4, false) END AS is_query,
           COALESCE($5, CASE WHEN is_new OR NOT known.is_realtime THEN 'batch' ELSE 'realtime' END) AS refresh,
           COALESCE($6, CASE WHEN is_new THEN true ELSE known.include_anonymous END) AS include_anonymous,
           -- The role may be gone: then whoever takes it over is the owner.
           COALESCE($7, CASE WHEN NOT is_new THEN (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = known.owner)::regrole END,
                    current_user::regrole) AS owner,
           COALESCE($8, CASE WHEN NOT is_new THEN known.time_zone END, (SELECT o.value FROM cdp.options AS o WHERE o.name = 'time_zone')) AS time_zone,
           NULLIF(COALESCE($9, CASE WHEN NOT is_new THEN known.description END), '') AS description,
           -- A text that was not touched goes on meaning what it meant.
           CASE WHEN $3 IS NULL THEN known.search_path ELSE $10 END AS search_path
    INTO wanted;

    IF wanted.refresh NOT IN ('batch', 'realtime') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid refresh "%s"', wanted.refresh),
            HINT = 'The values are batch and realtime.';
    END IF;
    IF wanted.is_query AND wanted.refresh = 'realtime' THEN
        RAISE feature_not_supported USING
            MESSAGE = 'a segment that is given by a query cannot be refreshed in real time',
            HINT = 'Write it as a predicate, or use refresh => ''batch''.';
    END IF;
    -- The list of all time zones is read from files; one that is in use is known.
    IF NOT EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.time_zone = wanted.time_zone)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_timezone_names AS z WHERE z.name = wanted.time_zone) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('time zone "%s" does not exist', wanted.time_zone),
            HINT = 'The view pg_timezone_names lists the time zones.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = wanted.owner) THEN
        RAISE undefined_object USING MESSAGE = pg_catalog.format('role %s does not exist', wanted.owner);
    END IF;
    IF NOT pg_catalog.pg_has_role(wanted.owner::oid, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = pg_catalog.format('permission denied to declare a %s that runs as role "%s"',
                CASE $1 WHEN 'trait' THEN 'computed trait' ELSE 'segment' END, pg_catalog.pg_get_userbyid(wanted.owner)),
            HINT = 'A member of that role may do so.';
    END IF;
    SELECT n.nspowner::regrole INTO storage_owner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data';
    IF NOT pg_catalog.pg_has_role(storage_owner::oid, wanted.owner::oid, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = pg_catalog.format('a %s cannot run as role "%s", of which the owner of the storage is no member',
                CASE $1 WHEN 'trait' THEN 'computed trait' ELSE 'segment' END, pg_catalog.pg_get_userbyid(wanted.owner)),
            HINT = pg_catalog.format('Run GRANT %s TO %s, or give it to another role with owner =>.', wanted.owner, storage_owner);
    END IF;

    IF is_known AND is_new AND NOT COALESCE(replace, false)
       AND (known.definition, known.is_query, known.is_realtime, known.include_anonymous, known.owner::text, known.time_zone, known.search_path, known.description)
           IS DISTINCT FROM (wanted.definition, wanted.is_query, wanted.refresh = 'realtime', wanted.include_anonymous,
                             pg_catalog.pg_get_userbyid(wanted.owner)::text, wanted.time_zone, wanted.search_path, wanted.description) THEN
        RAISE duplicate_object USING
            MESSAGE = pg_catalog.format('%s already exists with another declaration', cdp.expression_label($1, $2)),
            HINT = pg_catalog.format('Use replace => true, or %s.', CASE $1 WHEN 'trait' THEN 'cdp.alter_computed_trait' ELSE 'cdp.alter_segment' END);
    END IF;

    SELECT a.type, a.fact_kinds, a.fact_names INTO STRICT analysed
    FROM cdp.analyse_expression($1, $2, wanted.definition, wanted.is_query, pg_catalog.pg_get_userbyid(wanted.owner), wanted.time_zone, wanted.search_path, wanted.refresh = 'realtime') AS a;
    analysed.type := CASE $1 WHEN 'trait' THEN cdp.computed_trait_type(analysed.type) ELSE 'boolean' END;
    PERFORM cdp.check_expression_cycle($1, $2, analysed.fact_kinds, analysed.fact_names);
    IF wanted.refresh = 'realtime' AND (NOT is_known OR NOT known.is_realtime OR known.definition <> wanted.definition)
       AND EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(analysed.fact_kinds), pg_catalog.unnest(analysed.fact_names)) AS f(kind, name)
                   WHERE f.kind = 'window' AND f.name = '*') THEN
        RAISE NOTICE USING
            MESSAGE = pg_catalog.format('%s reads the clock in a way from which no time can be told at which its result changes, so everybody is evaluated once a minute', cdp.expression_label($1, $2)),
            HINT = 'Compare a time with now() minus an interval, or read the calendar day (current_date, date_trunc); or use refresh => ''batch''.';
    END IF;

    IF NOT is_known THEN
        INSERT INTO cdp_data.expression (kind, name, definition, is_query, type, is_realtime, include_anonymous, owner, time_zone, search_path, description)
        VALUES ($1, $2, wanted.definition, wanted.is_query, analysed.type, wanted.refresh = 'realtime', wanted.include_anonymous,
                pg_catalog.pg_get_userbyid(wanted.owner), wanted.time_zone, wanted.search_path, wanted.description)
        RETURNING * INTO known;
    ELSE
        IF (known.definition, known.is_query, known.include_anonymous, known.owner::text, known.time_zone, known.search_path, known.type)
           IS NOT DISTINCT FROM (wanted.definition, wanted.is_query, wanted.include_anonymous, pg_catalog.pg_get_userbyid(wanted.owner)::text,
                                 wanted.time_zone, wanted.search_path, analysed.type)
           -- What it reads may have changed though the text did not.
           AND NOT EXISTS (
               SELECT FROM (SELECT f.kind, f.name FROM cdp_data.expression_fact AS f WHERE f.expression_id = known.expression_id) AS a
               FULL JOIN ROWS FROM (pg_catalog.unnest(analysed.fact_kinds), pg_catalog.unnest(analysed.fact_names)) AS b(kind, name)
               ON (a.kind, a.name) = (b.kind, b.name)
               WHERE a.kind IS NULL OR b.kind IS NULL) THEN
            IF (known.is_realtime, known.description) IS DISTINCT FROM (wanted.refresh = 'realtime', wanted.description) THEN
                -- An evaluation under way goes by what it was.
                UPDATE cdp_data.expression AS e
                SET is_realtime = wanted.refresh = 'realtime', description = wanted.description,
                    changed_at = CASE WHEN known.is_realtime = (wanted.refresh = 'realtime') THEN e.changed_at ELSE pg_catalog.now() END
                WHERE e.expression_id = known.expression_id;
                IF wanted.refresh = 'realtime' AND NOT known.is_realtime THEN
                    -- Since its last evaluation it was not followed.
                    PERFORM cdp.renew_expressions(ARRAY[known.expression_id]);
                END IF;
                IF $1 = 'trait' THEN
                    PERFORM cdp.shape_profiles();
                ELSE
                    PERFORM cdp.shape_profile_segments();
                END IF;
            END IF;
            RETURN;
        END IF;
        UPDATE cdp_data.expression AS e
        SET definition = wanted.definition, is_query = wanted.is_query, type = analysed.type, is_realtime = wanted.refresh = 'realtime',
            include_anonymous = wanted.include_anonymous, owner = pg_catalog.pg_get_userbyid(wanted.owner), time_zone = wanted.time_zone,
            search_path = wanted.search_path, description = wanted.description, changed_at = pg_catalog.now()
        WHERE e.expression_id = known.expression_id;
        DELETE FROM cdp_data.expression_fact AS f WHERE f.expression_id = known.expression_id;
    END IF;
    INSERT INTO cdp_data.expression_fact (expression_id, kind, name)
    SELECT DISTINCT known.expression_id, f.kind, f.name
    FROM ROWS FROM (pg_catalog.unnest(analysed.fact_kinds), pg_catalog.unnest(analysed.fact_names)) AS f(kind, name);
    IF $1 = 'trait' THEN
        PERFORM cdp.shape_profiles();
    ELSE
        PERFORM cdp.shape_profile_segments();
    END IF;

    PERFORM cdp.renew_dependents($1, $2, cdp.expression_label($1, $2));
    PERFORM cdp.renew_expressions(ARRAY[known.expression_id]);
END
$declare$;
COMMENT ON FUNCTION cdp.declare_expression(text, text, text, boolean, text, boolean, regrole, text, text, text, boolean, boolean) IS
'Internal: what cdp.create_computed_trait, cdp.create_segment and their alter functions do: checks and analyses a declaration, stores it with what it reads, brings the columns to it, and marks it and all that need it for evaluation.';

CREATE FUNCTION cdp.retitle_expression(kind text, name text, new_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $rename$
#variable_conflict use_column
DECLARE
    renamed integer;
    view CONSTANT regclass := CASE $1 WHEN 'trait' THEN 'cdp.profiles' ELSE 'cdp.profile_segments' END::regclass;
    dependents text;
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait, cdp_data.expression IN SHARE ROW EXCLUSIVE MODE;
    renamed := cdp.require_expression($1, $2);
    IF $2 = $3 THEN
        RETURN;
    END IF;
    PERFORM cdp.check_expression_name($1, $3);
    IF EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = $1 AND e.name = $3) THEN
        RAISE duplicate_object USING MESSAGE = pg_catalog.format('%s already exists', cdp.expression_label($1, $3));
    END IF;
    -- Their texts are their owners': nobody else rewrites them, and none is left behind broken.
    SELECT pg_catalog.string_agg(cdp.expression_label(d.kind, d.name), ', ' ORDER BY d.kind DESC, d.name) INTO dependents
    FROM cdp.expression_dependents($1, $2) AS d WHERE EXISTS (
        SELECT FROM cdp_data.expression_fact AS f WHERE f.expression_id = d.expression_id AND f.kind = $1 AND f.name = $2);
    IF dependents IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = pg_catalog.format('cannot rename %s because other expressions call it by its name', cdp.expression_label($1, $2)),
            DETAIL = pg_catalog.format('These do: %s.', dependents),
            HINT = 'Create it under the new name, change those to the new name, then drop the old one.';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid IN ('cdp_data.profile_row'::regclass, view) AND (a.attrelid = view OR $1 = 'trait') AND a.attname = $3 AND NOT a.attisdropped) THEN
        RAISE duplicate_column USING
            MESSAGE = pg_catalog.format('%s has a column "%s" already', view, $3),
            HINT = 'It is that of one that was dropped, which other objects still read.';
    END IF;
    PERFORM cdp.lock_view(view, $1 = 'trait');
    -- What was built on the view refers to the column by number and goes on.
    EXECUTE pg_catalog.format('ALTER VIEW %s RENAME COLUMN %I TO %I', view, $2, $3);
    IF $1 = 'trait' THEN
        EXECUTE pg_catalog.format('ALTER TABLE cdp_data.profile_row RENAME COLUMN %I TO %I', $2, $3);
    END IF;
    UPDATE cdp_data.expression AS e SET name = $3, changed_at = pg_catalog.now() WHERE e.expression_id = renamed;
    IF $1 = 'trait' THEN
        PERFORM cdp.shape_profiles();
        -- The column of a namespace of the old name comes back.
        IF EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.name = $2) THEN
            INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
        END IF;
    ELSE
        PERFORM cdp.shape_profile_segments();
    END IF;
END
$rename$;
COMMENT ON FUNCTION cdp.retitle_expression(text, text, text) IS
'Internal: what cdp.rename_computed_trait and cdp.rename_segment do.';

CREATE FUNCTION cdp.remove_expression(kind text, name text, cascade boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $drop$
#variable_conflict use_column
DECLARE
    dropped integer;
    dropped_ids integer[];
    trait_names text[];
    dependents text;
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait, cdp_data.expression IN SHARE ROW EXCLUSIVE MODE;
    dropped := cdp.require_expression($1, $2);
    SELECT pg_catalog.string_agg(cdp.expression_label(d.kind, d.name), ', ' ORDER BY d.kind DESC, d.name),
           pg_catalog.array_agg(d.expression_id)
    INTO dependents, dropped_ids
    FROM cdp.expression_dependents($1, $2) AS d;
    IF dependents IS NOT NULL AND NOT COALESCE($3, false) THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = pg_catalog.format('cannot drop %s because other expressions need it', cdp.expression_label($1, $2)),
            DETAIL = pg_catalog.format('These do: %s.', dependents),
            HINT = 'Use cascade => true to drop them as well.';
    ELSIF dependents IS NOT NULL THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('drop cascades to %s', dependents);
    END IF;
    dropped_ids := dropped || dropped_ids;
    SELECT pg_catalog.array_agg(e.name::text) INTO trait_names FROM cdp_data.expression AS e WHERE e.expression_id = ANY (dropped_ids) AND e.kind = 'trait';
    -- Whoever evaluates holds a lock on the members from before the last look at the definitions to the end,
    -- so that nobody writes members of what is gone.  Some read the views first and some lock the members first.
    PERFORM cdp.lock_view(CASE WHEN trait_names IS NULL THEN 'cdp.profile_segments' ELSE 'cdp.profiles' END::regclass, trait_names IS NOT NULL, true);
    DELETE FROM cdp_data.expression_fact AS f WHERE f.expression_id = ANY (dropped_ids);
    DELETE FROM cdp_data.expression_state AS s WHERE s.expression_id = ANY (dropped_ids);
    DELETE FROM cdp_data.expression AS e WHERE e.expression_id = ANY (dropped_ids);
    DELETE FROM cdp_data.segment_member AS m WHERE m.segment_id = ANY (dropped_ids);
    DELETE FROM cdp_data.segment_change AS c WHERE c.segment_id = ANY (dropped_ids);
    DELETE FROM cdp_data.segment_day AS d WHERE d.segment_id = ANY (dropped_ids);
    -- Else a trait of that name that comes later would pass for the score.
    DELETE FROM cdp_data.score AS s WHERE s.name = ANY (trait_names);
    DELETE FROM cdp_data.score_state AS s WHERE s.name = ANY (trait_names);
    DELETE FROM cdp_data.score_input AS s WHERE s.name = ANY (trait_names);
    PERFORM cdp.shape_profile_segments();
    IF trait_names IS NOT NULL THEN
        PERFORM cdp.shape_profiles();
        IF EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.name = ANY (trait_names)) THEN
            INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
        END IF;
    END IF;
END
$drop$;
COMMENT ON FUNCTION cdp.remove_expression(text, text, boolean) IS
'Internal: what cdp.drop_computed_trait and cdp.drop_segment do.';

CREATE FUNCTION cdp.require_no_score(name text, only_percentiles boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
DECLARE
    score text;
BEGIN
    PERFORM cdp.require_declarer();
    SELECT s.name INTO score
    FROM cdp_data.score AS s JOIN cdp_data.expression AS e ON e.kind = 'trait' AND e.name = s.name
    WHERE $1 = s.name || '_percentile' OR $1 = s.name AND NOT only_percentiles LIMIT 1;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = pg_catalog.format('computed trait "%s" is that of score "%s"', $1, score),
            HINT = 'Change the score with cdp.create_score(..., replace => true), or drop it with cdp.drop_score.';
    END IF;
    RETURN $1;
END
$require$;
COMMENT ON FUNCTION cdp.require_no_score(text, boolean) IS
'Internal: returns the name, or raises an error where it is that of a score or of its percentile (or, if only_percentiles, of a percentile), whose expressions cdp.create_score writes.';

-- ---------- computed traits ----------

-- These have no pinned search_path, since the caller's is stored with the text; they are parsed here.
CREATE FUNCTION cdp.create_computed_trait(
    name text, expression text, refresh text DEFAULT 'batch', owner regrole DEFAULT NULL, time_zone text DEFAULT NULL,
    description text DEFAULT NULL, replace boolean DEFAULT false)
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.declare_expression('trait', cdp.require_no_score(name), expression, false, refresh, true, owner, time_zone, description, cdp.current_search_path(), true, replace);
END;
COMMENT ON FUNCTION cdp.create_computed_trait(text, text, text, regrole, text, text, boolean) IS
'Declares a trait that is an SQL expression over a profile and its events: columns of cdp.profiles as profile.name, those of cdp.events inside aggregates as event.name, segments as segment.name.  It becomes a column of cdp.profiles, filled by the next refresh, and runs with the rights of its owner (NULL: the caller), in a time zone (NULL: that of the option) and with the search_path of the caller.  The same declaration again does nothing; another one needs replace => true.';

CREATE FUNCTION cdp.alter_computed_trait(
    name text, expression text DEFAULT NULL, refresh text DEFAULT NULL, owner regrole DEFAULT NULL, time_zone text DEFAULT NULL,
    description text DEFAULT NULL)
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Only the expression is the score's.
    SELECT cdp.declare_expression('trait', CASE WHEN expression IS NULL THEN name ELSE cdp.require_no_score(name) END, expression, false, refresh, NULL, owner, time_zone, description, cdp.current_search_path(), false, true);
END;
COMMENT ON FUNCTION cdp.alter_computed_trait(text, text, text, regrole, text, text) IS
'Changes the declaration of a computed trait; NULL keeps a part, an empty description takes it away.  What depends on the trait is analysed again, and an error there undoes the change.';

CREATE FUNCTION cdp.rename_computed_trait(name text, new_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.retitle_expression('trait', cdp.require_no_score(name), cdp.require_no_score(new_name));
END;
COMMENT ON FUNCTION cdp.rename_computed_trait(text, text) IS
'Renames a computed trait and its column in cdp.profiles; views that were built on that go on.  An error while other expressions call the trait by its name.';

CREATE FUNCTION cdp.drop_computed_trait(name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- A score goes with its trait, but does not go on without its percentile.
    SELECT cdp.remove_expression('trait', cdp.require_no_score(name, only_percentiles => true), cascade);
END;
COMMENT ON FUNCTION cdp.drop_computed_trait(text, boolean) IS
'Drops a computed trait and its column; an error while other expressions need it, unless cascade, which drops them as well, or while something was built on its column in cdp.profiles.';

-- ---------- health ----------

CREATE FUNCTION cdp.is_missing_fact(fact_kind text, fact_name text) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $missing$
DECLARE
    call text;
    name text;
    parts text[];
BEGIN
    IF fact_name = '*' THEN
        RETURN false;
    END IF;
    CASE fact_kind
        WHEN 'trait' THEN
            -- A dropped column may still be in the view, empty, for the sake of what was built on that.
            RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                               WHERE a.attrelid = 'cdp_data.profile_row'::regclass AND a.attname = fact_name AND a.attnum > 0 AND NOT a.attisdropped);
        WHEN 'segment' THEN
            RETURN NOT EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'segment' AND e.name = fact_name);
        WHEN 'property' THEN
            RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                               WHERE a.attrelid = pg_catalog.to_regclass('cdp.events') AND a.attname = fact_name AND a.attnum > 0 AND NOT a.attisdropped);
        WHEN 'function' THEN
            -- Looked up in the catalogs, since who asks need not have rights on the schema.
            call := pg_catalog.replace(fact_name, 'pg_catalog.', '');
            name := pg_catalog.substring(call, '^[^(]*');
            -- A name may have a parenthesis in it.
            IF pg_catalog.length(pg_catalog.replace(name, '"', '')) % 2 = pg_catalog.length(name) % 2 THEN
                parts := pg_catalog.parse_ident(name);
                RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.proname = parts[pg_catalog.cardinality(parts)] AND p.oid::regprocedure::text = call);
            END IF;
            RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid::regprocedure::text = call);
        WHEN 'relation' THEN
            parts := pg_catalog.parse_ident(fact_name);
            RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relname = parts[pg_catalog.cardinality(parts)]
                               AND (pg_catalog.cardinality(parts) = 1 OR c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = parts[1])));
        ELSE
            RETURN false;
    END CASE;
END
$missing$;
COMMENT ON FUNCTION cdp.is_missing_fact(text, text) IS
'Internal: whether what an expression reads is gone, by the kind and name under which cdp.segment_dependencies lists it.';

CREATE FUNCTION cdp.expression_health(of_kind text, OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $health$
#variable_conflict use_column
DECLARE
    alter_call CONSTANT text := CASE of_kind WHEN 'trait' THEN 'cdp.alter_computed_trait' ELSE 'cdp.alter_segment' END;
    word CONSTANT text := CASE of_kind WHEN 'trait' THEN 'computed trait' ELSE 'segment' END;
BEGIN
    RETURN QUERY
    WITH x AS (
        SELECT e.expression_id, e.name, e.owner, e.changed_at, cdp.expression_label(e.kind, e.name) AS label, s.status, s.error, s.hint, s.failed_since,
               (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = e.owner) AS owner_id,
               (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data') AS storage_owner
        FROM cdp_data.expression AS e LEFT JOIN cdp_data.expression_state AS s ON s.expression_id = e.expression_id
        WHERE e.kind = of_kind
    )
    SELECT word || ' failed', 'error', pg_catalog.format('%s: %s', x.label, x.error),
           COALESCE(x.hint, pg_catalog.format('Mend it with %s; the next refresh tries again.', alter_call)), x.failed_since
    FROM x WHERE x.status = 'failed'
    UNION ALL
    SELECT word || ' needs what is gone', 'error', pg_catalog.format('%s needs %s, which does not exist', x.label, m.needs),
           pg_catalog.format('Bring it back, or change the definition with %s.', alter_call), NULL::timestamptz
    FROM x CROSS JOIN LATERAL (
        SELECT pg_catalog.string_agg(CASE f.kind WHEN 'function' THEN 'function ' || pg_catalog.replace(f.name, 'pg_catalog.', '') ELSE pg_catalog.format('%s "%s"', f.kind, f.name) END, ', ' ORDER BY f.kind, f.name) AS needs
        FROM cdp_data.expression_fact AS f WHERE f.expression_id = x.expression_id AND cdp.is_missing_fact(f.kind, f.name)) AS m
    WHERE m.needs IS NOT NULL
    UNION ALL
    SELECT word || ' owner', 'error', pg_catalog.format('%s belongs to role "%s", which %s', x.label, x.owner,
               CASE WHEN x.owner_id IS NULL THEN 'does not exist' ELSE 'the owner of the storage is no member of' END),
           CASE WHEN x.owner_id IS NULL THEN pg_catalog.format('SELECT %s(%L, owner => current_user);', alter_call, x.name)
                ELSE pg_catalog.format('GRANT %I TO %I;', x.owner, pg_catalog.pg_get_userbyid(x.storage_owner)) END, NULL
    FROM x WHERE x.owner_id IS NULL OR NOT pg_catalog.pg_has_role(x.storage_owner, x.owner_id, 'USAGE')
    UNION ALL
    SELECT word || ' not evaluated', 'warning', pg_catalog.format('%s was declared or changed, or something that it needs, and is not evaluated yet', x.label),
           'CALL cdp.refresh();', x.changed_at
    FROM x WHERE x.status IS DISTINCT FROM 'ok' AND x.status IS DISTINCT FROM 'failed';
END
$health$;
COMMENT ON FUNCTION cdp.expression_health(text) IS
'Internal: what needs attention in computed traits (trait) or segments (segment).';

CREATE FUNCTION cdp.trait_health(OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $health$
BEGIN
    RETURN QUERY SELECT h.* FROM cdp.expression_health('trait') AS h;
END
$health$;
COMMENT ON FUNCTION cdp.trait_health() IS
'Part of cdp.health: computed traits that failed, were not evaluated, or need what is gone.';

-- ---------- views ----------

CREATE FUNCTION cdp.setup_trait_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.computed_traits AS
        SELECT e.name, e.definition, e.type, CASE WHEN e.is_realtime THEN 'realtime' ELSE 'batch' END AS refresh,
               s.status, s.evaluated_at, s.error, s.sqlstate, s.hint, s.failed_since,
               e.owner, e.time_zone, e.description, e.created_at, e.changed_at
        FROM cdp_data.expression AS e LEFT JOIN cdp_data.expression_state AS s ON s.expression_id OPERATOR(pg_catalog.=) e.expression_id
        WHERE e.kind OPERATOR(pg_catalog.=) 'trait';
    COMMENT ON VIEW cdp.computed_traits IS 'traits that are expressions; see cdp.create_computed_trait.  Their values are columns of cdp.profiles';
    COMMENT ON COLUMN cdp.computed_traits.name IS 'name of the trait and of its column';
    COMMENT ON COLUMN cdp.computed_traits.definition IS 'the expression';
    COMMENT ON COLUMN cdp.computed_traits.type IS 'type of the column';
    COMMENT ON COLUMN cdp.computed_traits.refresh IS 'batch: evaluated by cdp.refresh(); realtime: also in the transaction that brings an event or trait';
    COMMENT ON COLUMN cdp.computed_traits.status IS 'new: not evaluated since it, or what it needs, was declared or changed; ok; failed';
    COMMENT ON COLUMN cdp.computed_traits.evaluated_at IS 'start of the latest evaluation for everybody that went through';
    COMMENT ON COLUMN cdp.computed_traits.error IS 'message of the error';
    COMMENT ON COLUMN cdp.computed_traits.sqlstate IS 'its SQLSTATE';
    COMMENT ON COLUMN cdp.computed_traits.hint IS 'what to do';
    COMMENT ON COLUMN cdp.computed_traits.failed_since IS 'when it first failed';
    COMMENT ON COLUMN cdp.computed_traits.owner IS 'role under which it runs';
    COMMENT ON COLUMN cdp.computed_traits.time_zone IS 'time zone under which it runs';
    COMMENT ON COLUMN cdp.computed_traits.description IS 'what it is for';
    COMMENT ON COLUMN cdp.computed_traits.created_at IS 'when it was declared';
    COMMENT ON COLUMN cdp.computed_traits.changed_at IS 'when its declaration, or that of a trait or segment that it needs, last changed';
END
$views$;
COMMENT ON FUNCTION cdp.setup_trait_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability trait.';
