-- profile: traits, and the columns that they have in cdp.profiles.
--
-- Declaring a trait adds a column to a table and to a view, so all of this is
-- for the owner of the storage.

-- ---------- views whose columns follow declarations ----------

CREATE FUNCTION cdp.view_dependents(view regclass, view_column name DEFAULT NULL) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.array_agg(DISTINCT o.object ORDER BY o.object)
    FROM (
        SELECT COALESCE(pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, r.ev_class, 0),
                        pg_catalog.pg_describe_object(d.classid, d.objid, 0)) AS object
        FROM pg_catalog.pg_depend AS d
        LEFT JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
        WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = view AND d.deptype IN ('n', 'a')
          AND r.ev_class IS DISTINCT FROM view::oid
          AND (view_column IS NULL OR d.refobjsubid = (SELECT a.attnum FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = view AND a.attname = view_column))
        UNION ALL
        -- its row type, of functions and tables
        SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0)
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_depend AS d
          ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = c.reltype AND d.deptype IN ('n', 'a')
        WHERE c.oid = view
    ) AS o;
END;
COMMENT ON FUNCTION cdp.view_dependents(regclass, name) IS
'Internal: what was built on a view, or on one column of it; NULL: nothing.';

-- Whoever reads the view has it locked, so a change waits for long reports, and everybody else waits for
-- the change: hence not long at a time.  Others may hold what is asked for and wait for what is held
-- already: all of it is let go before PostgreSQL looks for a deadlock, and asked for again.
CREATE FUNCTION cdp.lock_view(view regclass, with_tables boolean DEFAULT true, with_members boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $lock$
DECLARE
    started CONSTANT timestamptz := pg_catalog.clock_timestamp();
    -- LOCK takes the tables of the view along; this changes nothing, and locks the view alone.
    lock_alone CONSTANT text := 'ALTER VIEW %s ALTER COLUMN profile_id DROP DEFAULT';
    attempt integer := 0;
BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', LEAST(2000, GREATEST(1, s.setting::integer * 0.8)::integer)::text, true)
    FROM pg_catalog.pg_settings AS s WHERE s.name = 'deadlock_timeout';
    LOOP
        BEGIN
            IF with_members THEN
                LOCK TABLE cdp_data.segment_member IN SHARE ROW EXCLUSIVE MODE;
                EXECUTE pg_catalog.format(lock_alone, 'cdp.profile_segments'::regclass);
            END IF;
            EXECUTE pg_catalog.format(CASE WHEN with_tables THEN 'LOCK TABLE %s IN ACCESS EXCLUSIVE MODE' ELSE lock_alone END, view);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            attempt := attempt + 1;
            EXIT WHEN pg_catalog.clock_timestamp() > started + interval '30 seconds';
            PERFORM pg_catalog.pg_sleep(LEAST(0.1 * attempt, 2));
        END;
    END LOOP;
    RAISE lock_not_available USING
        MESSAGE = pg_catalog.format('could not change the columns of %s, which is being read', view),
        HINT = 'Repeat the call when long reports and evaluations have ended; pg_stat_activity shows them.';
END
$lock$;
COMMENT ON FUNCTION cdp.lock_view(regclass, boolean, boolean) IS
'Internal: locks a view, its tables unless told otherwise, and the members of segments where asked for, for a change of columns: with patience (30 seconds) but without holding up others for long.';

CREATE FUNCTION cdp.shape_view(
    view_name name, from_clause text, names text[], types text[], expressions text[], comments text[], view_comment text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
    SET client_min_messages = warning
AS $shape$
DECLARE
    view regclass := pg_catalog.to_regclass(pg_catalog.format('cdp.%I', view_name));
    old record;
    place integer;
    dependents text[] := cdp.view_dependents(view);
    target text[] := '{}';
    listed boolean[] := pg_catalog.array_fill(false, ARRAY[pg_catalog.cardinality(names)]);
    is_new boolean := view IS NULL;
    privilege record;
    privileges text[] := '{}';
BEGIN
    -- The columns that the view has keep their places, since CREATE OR REPLACE VIEW can only append.
    FOR old IN
        SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum
    LOOP
        place := pg_catalog.array_position(names, old.name::text);
        IF types[place] = old.type THEN
            target := target OPERATOR(pg_catalog.||) pg_catalog.format('%s AS %I', expressions[place], old.name);
            listed[place] := true;
        ELSIF dependents IS NULL THEN
            is_new := true;
        ELSIF place IS NOT NULL OR cdp.view_dependents(view, old.name) IS NOT NULL THEN
            RAISE dependent_objects_still_exist USING
                MESSAGE = CASE WHEN place IS NULL
                    THEN pg_catalog.format('cannot drop column "%s" of view %s because other objects depend on it', old.name, view)
                    ELSE pg_catalog.format('cannot change the type of column "%s" of view %s from %s to %s because other objects depend on the view',
                                           old.name, view, old.type, types[place]) END,
                DETAIL = pg_catalog.format('These do: %s.', pg_catalog.array_to_string(CASE WHEN place IS NULL THEN cdp.view_dependents(view, old.name) ELSE dependents END, ', ')),
                HINT = 'Drop those objects first and create them again afterwards.';
        ELSE
            -- Something needs the view, though not this column: it stays, empty.
            target := target OPERATOR(pg_catalog.||) pg_catalog.format('NULL::%s AS %I', old.type, old.name);
        END IF;
    END LOOP;
    IF view IS NOT NULL AND is_new THEN
        -- Nothing depends on the view, so it can be made anew; who may read it is kept.
        FOR privilege IN
            SELECT a.grantee, a.privilege_type, a.is_grantable
            FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
            WHERE c.oid = view AND a.grantee <> c.relowner
        LOOP
            privileges := privileges OPERATOR(pg_catalog.||) pg_catalog.format('GRANT %s ON cdp.%I TO %s%s', privilege.privilege_type, view_name,
                CASE WHEN privilege.grantee = 0 THEN 'PUBLIC' ELSE privilege.grantee::regrole::text END,
                CASE WHEN privilege.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        END LOOP;
        EXECUTE pg_catalog.format('DROP VIEW cdp.%I', view_name);
    END IF;
    IF is_new THEN
        target := '{}';
        listed := pg_catalog.array_fill(false, ARRAY[pg_catalog.cardinality(names)]);
    END IF;
    FOR place IN 1 .. pg_catalog.cardinality(names) LOOP
        IF NOT listed[place] THEN
            target := target OPERATOR(pg_catalog.||) pg_catalog.format('%s AS %I', expressions[place], names[place]);
        END IF;
    END LOOP;

    EXECUTE pg_catalog.format('CREATE OR REPLACE VIEW cdp.%I AS SELECT %s FROM %s', view_name, pg_catalog.array_to_string(target, ', '), from_clause);
    view := pg_catalog.to_regclass(pg_catalog.format('cdp.%I', view_name));
    IF (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = view) <> (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data') THEN
        EXECUTE pg_catalog.format('ALTER VIEW cdp.%I OWNER TO %s', view_name,
            (SELECT n.nspowner::regrole FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data'));
    END IF;
    FOR place IN 1 .. pg_catalog.cardinality(privileges) LOOP
        EXECUTE privileges[place];
    END LOOP;
    IF pg_catalog.obj_description(view, 'pg_class') IS DISTINCT FROM view_comment THEN
        EXECUTE pg_catalog.format('COMMENT ON VIEW cdp.%I IS %L', view_name, view_comment);
    END IF;
    -- With hundreds of columns, most of what the change of one takes would be comments that are there.
    FOR old IN
        SELECT a.attname AS name, COALESCE(w.comment, 'dropped; the column stays, empty, while other objects depend on the view') AS comment
        FROM pg_catalog.pg_attribute AS a
        LEFT JOIN ROWS FROM (pg_catalog.unnest(names), pg_catalog.unnest(comments)) AS w(name, comment) ON w.name = a.attname
        WHERE a.attrelid = view AND a.attnum > 0
          AND pg_catalog.col_description(a.attrelid, a.attnum)
              IS DISTINCT FROM COALESCE(w.comment, 'dropped; the column stays, empty, while other objects depend on the view')
    LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN cdp.%I.%I IS %L', view_name, old.name, old.comment);
    END LOOP;
END
$shape$;
COMMENT ON FUNCTION cdp.shape_view(name, text, text[], text[], text[], text[], text) IS
'Internal: creates a view in schema cdp, or brings it to these columns without breaking what was built on it: new columns are appended; one that goes or changes its type is an error while something depends on it.  Privileges are kept.';

-- ---------- the columns of a profile ----------

CREATE FUNCTION cdp.trait_type(type regtype) RETURNS regtype
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $type$
DECLARE
    base record;
BEGIN
    SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype INTO base FROM pg_catalog.pg_type AS t WHERE t.oid = type;
    WHILE base.typtype = 'd' LOOP
        SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype INTO base FROM pg_catalog.pg_type AS t WHERE t.oid = base.typbasetype;
    END LOOP;
    IF base.typtype = 'p' AND base.oid NOT IN ('record'::regtype, 'unknown'::regtype) THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('a trait cannot be of type %s', type),
            HINT = 'A trait is a boolean, a number, a text, a time or jsonb.';
    END IF;
    RETURN CASE
        WHEN base.oid = 'boolean'::regtype THEN 'boolean'
        WHEN base.oid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN 'bigint'
        WHEN base.oid IN ('real'::regtype, 'double precision'::regtype) THEN 'double precision'
        WHEN base.oid = 'numeric'::regtype THEN 'numeric'
        WHEN base.oid IN ('timestamptz'::regtype, 'timestamp'::regtype) THEN 'timestamptz'
        WHEN base.oid IN ('json'::regtype, 'jsonb'::regtype, 'record'::regtype) OR base.typtype = 'c' OR base.typcategory = 'A' THEN 'jsonb'
        ELSE 'text'
    END::regtype;
END
$type$;
COMMENT ON FUNCTION cdp.trait_type(regtype) IS
'The type in which a trait keeps values of a type: boolean, bigint, double precision, numeric, text, timestamptz or jsonb.';

-- DROP EXTENSION would take the columns of a type of the extension along, so a teardown that keeps
-- the data writes them as text, from which cdp.setup() reads the very same values again.
CREATE FUNCTION cdp.convert_profile_columns(from_type text, to_type text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $convert$
DECLARE
    stored record;
BEGIN
    FOR stored IN
        SELECT a.attrelid::regclass AS relation, a.attname AS name
        FROM pg_catalog.pg_attribute AS a
        JOIN (VALUES ('contribution', 'traits'), ('contribution_history', 'traits'), ('profile_value', 'value')) AS v(relation, name)
          ON a.attrelid = pg_catalog.to_regclass('cdp_data.' || v.relation) AND a.attname = v.name
        WHERE a.atttypid = pg_catalog.to_regtype(from_type)
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %I::text::%s', stored.relation, stored.name, to_type, stored.name, to_type);
    END LOOP;
END
$convert$;
COMMENT ON FUNCTION cdp.convert_profile_columns(text, text) IS
'Part of cdp.teardown and cdp.setup: turns the stored columns of type cdp.profile into text and back.';

CREATE FUNCTION cdp.profile_fixed_columns(OUT name text, OUT type text, OUT comment text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.* FROM (VALUES
        ('profile_id', 'bigint', 'key of the person; see cdp.resolve and cdp.canonical_id'),
        ('is_known', 'boolean', 'whether an identifier of a person, not only of devices, belongs to the profile'),
        ('first_seen', 'timestamp with time zone', 'time of the oldest record or event'),
        ('last_seen', 'timestamp with time zone', 'time of the newest record or event'),
        ('event_count', 'bigint', 'number of events'),
        ('record_count', 'bigint', 'number of records that are not events')
    ) AS v(name, type, comment);
END;
COMMENT ON FUNCTION cdp.profile_fixed_columns() IS 'Internal: the columns of cdp.profiles that are neither traits nor namespaces.';

-- A namespace has a column unless a trait, of records or computed, is named like it.
CREATE FUNCTION cdp.profile_columns(
    OUT name text, OUT type text, OUT comment text, OUT trait_key text, OUT namespace_id smallint,
    OUT survivorship text, OUT place bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $columns$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.name, c.type, c.comment, c.key, c.namespace_id, c.survivorship, pg_catalog.row_number() OVER (ORDER BY c.origin, c.id)
    FROM (
        SELECT n.name::text AS name, 'text' AS type, 1 AS origin, n.namespace_id::integer AS id, n.namespace_id, NULL AS key, NULL AS survivorship,
               pg_catalog.format('preferred identifier of namespace %s: the one in the newest record', n.name) AS comment
        FROM cdp_data.namespace AS n
        WHERE n.name NOT IN (SELECT f.name FROM cdp.profile_fixed_columns() AS f)
          AND NOT EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.name = n.name)
          AND NOT EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name = n.name)
        UNION ALL
        SELECT t.name, t.type, 2, t.trait_id, CASE WHEN t.type = 'text' THEN n.namespace_id END, t.key,
               CASE WHEN (t.survivorship, t.ignore_empty) <> ('last', false) THEN pg_catalog.jsonb_build_object('default',
                   pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('policy', t.survivorship, 'sources', pg_catalog.to_jsonb(t.sources),
                       'ignore_empty', CASE WHEN t.ignore_empty THEN true END)))::text END,
               pg_catalog.format('trait %s%s, survivorship %s%s%s', t.key,
                   CASE WHEN n.name IS NOT NULL AND t.type = 'text' THEN ', where it has none the preferred identifier,' ELSE '' END,
                   t.survivorship, ' (' OPERATOR(pg_catalog.||) pg_catalog.array_to_string(t.sources, ', ') OPERATOR(pg_catalog.||) ')',
                   CASE WHEN t.ignore_empty THEN ', empty values lose' END)
        FROM cdp_data.trait AS t LEFT JOIN cdp_data.namespace AS n ON n.name = t.name
        UNION ALL
        -- These are evaluated, not derived from records.
        SELECT e.name, e.type, 3, e.expression_id, NULL, NULL, NULL, pg_catalog.concat('computed trait', ': ' || e.description)
        FROM cdp_data.expression AS e WHERE e.kind = 'trait'
    ) AS c
    ORDER BY 7;
END
$columns$;
COMMENT ON FUNCTION cdp.profile_columns() IS
'Internal: the columns of cdp.profiles that follow declarations: namespaces, then traits; trait_key and namespace_id say where the value comes from, survivorship is the policy of the trait where it is not the default one.';

CREATE FUNCTION cdp.shape_profiles() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $shape$
DECLARE
    view_comment CONSTANT text := 'one row per person: when seen, how often, identifiers and traits';
    from_clause CONSTANT text := 'cdp_data.profile_row AS p';
    kept record;
    wanted record;
    change record;
    changes text := '';
BEGIN
    WITH wanted_column AS (
        SELECT f.name, f.type, f.comment, -1 AS place, row_number() OVER () AS fixed FROM cdp.profile_fixed_columns() AS f
        UNION ALL
        SELECT c.name, c.type, c.comment, c.place, 0 FROM cdp.profile_columns() AS c
    )
    SELECT pg_catalog.array_agg(w.name ORDER BY w.place, w.fixed) AS names, pg_catalog.array_agg(w.type ORDER BY w.place, w.fixed) AS types,
           pg_catalog.array_agg(pg_catalog.format('p.%I', w.name) ORDER BY w.place, w.fixed) AS expressions,
           pg_catalog.array_agg(w.comment ORDER BY w.place, w.fixed) AS comments
    INTO wanted FROM wanted_column AS w;

    IF pg_catalog.to_regclass('cdp.profiles') IS NOT NULL THEN
        -- Where no column changes, nobody who reads need be waited for.
        IF NOT EXISTS (
            SELECT FROM (SELECT r.relation, c.name, c.type
                         FROM ROWS FROM (pg_catalog.unnest(wanted.names), pg_catalog.unnest(wanted.types)) AS c(name, type)
                         CROSS JOIN (VALUES ('cdp.profiles'::regclass), ('cdp_data.profile_row'::regclass)) AS r(relation)) AS w
            FULL JOIN (SELECT a.attrelid, a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
                       FROM pg_catalog.pg_attribute AS a
                       WHERE a.attrelid IN ('cdp.profiles'::regclass, 'cdp_data.profile_row'::regclass) AND a.attnum > 0 AND NOT a.attisdropped) AS a
              ON a.attrelid = w.relation::oid AND a.name = w.name AND a.type = w.type
            WHERE a.attrelid IS NULL OR w.relation IS NULL) THEN
            FOR change IN SELECT c.* FROM ROWS FROM (pg_catalog.unnest(wanted.names), pg_catalog.unnest(wanted.comments)) AS c(name, comment) LOOP
                EXECUTE pg_catalog.format('COMMENT ON COLUMN cdp_data.profile_row.%I IS %L', change.name, change.comment);
                EXECUTE pg_catalog.format('COMMENT ON COLUMN cdp.profiles.%I IS %L', change.name, change.comment);
            END LOOP;
            PERFORM cdp.shape_derivation();
            RETURN;
        END IF;
        PERFORM cdp.lock_view('cdp.profiles');
    END IF;

    -- What goes leaves the view first, because the view stands on the table.
    SELECT pg_catalog.array_agg(w.name ORDER BY w.place) AS names, pg_catalog.array_agg(w.type ORDER BY w.place) AS types,
           pg_catalog.array_agg(w.expression ORDER BY w.place) AS expressions, pg_catalog.array_agg(w.comment ORDER BY w.place) AS comments
    INTO kept
    FROM ROWS FROM (pg_catalog.unnest(wanted.names), pg_catalog.unnest(wanted.types), pg_catalog.unnest(wanted.expressions), pg_catalog.unnest(wanted.comments)) WITH ORDINALITY AS w(name, type, expression, comment, place)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = 'cdp_data.profile_row'::regclass AND a.attname = w.name AND NOT a.attisdropped
     AND pg_catalog.format_type(a.atttypid, a.atttypmod) = w.type;

    FOR change IN
        SELECT COALESCE(w.name, a.attname::text) AS name, w.type, a.attname IS NOT NULL AS is_stored
        FROM ROWS FROM (pg_catalog.unnest(wanted.names), pg_catalog.unnest(wanted.types)) WITH ORDINALITY AS w(name, type, place)
        FULL JOIN (SELECT s.attname, pg_catalog.format_type(s.atttypid, s.atttypmod) AS type FROM pg_catalog.pg_attribute AS s
                   WHERE s.attrelid = 'cdp_data.profile_row'::regclass AND s.attnum > 0 AND NOT s.attisdropped) AS a ON a.attname = w.name
        WHERE a.type IS DISTINCT FROM w.type
        ORDER BY w.place
    LOOP
        changes := changes OPERATOR(pg_catalog.||) CASE
            WHEN change.type IS NULL THEN pg_catalog.format(', DROP COLUMN %I', change.name)
            WHEN change.is_stored THEN pg_catalog.format(', ALTER COLUMN %1$I TYPE %2$s USING NULL::%2$s', change.name, change.type::regtype)
            ELSE pg_catalog.format(', ADD COLUMN %I %s', change.name, change.type::regtype) END;
        IF change.is_stored AND change.type IS NOT NULL AND cdp.view_dependents(pg_catalog.to_regclass('cdp.profiles')) IS NOT NULL THEN
            RAISE dependent_objects_still_exist USING
                MESSAGE = pg_catalog.format('cannot change the type of column "%s" of cdp.profiles to %s because other objects depend on the view', change.name, change.type),
                DETAIL = pg_catalog.format('These do: %s.', pg_catalog.array_to_string(cdp.view_dependents('cdp.profiles'), ', ')),
                HINT = 'Drop those objects first and create them again afterwards.';
        END IF;
        IF change.is_stored AND pg_catalog.to_regclass('cdp.profiles') IS NOT NULL AND kept.names IS NOT NULL THEN
            PERFORM cdp.shape_view('profiles', from_clause, kept.names, kept.types, kept.expressions, kept.comments, view_comment);
            kept.names := NULL;
        END IF;
    END LOOP;
    IF changes <> '' THEN
        EXECUTE 'ALTER TABLE cdp_data.profile_row ' OPERATOR(pg_catalog.||) pg_catalog.substr(changes, 3);
    END IF;
    FOR change IN SELECT c.* FROM ROWS FROM (pg_catalog.unnest(wanted.names), pg_catalog.unnest(wanted.comments)) AS c(name, comment) LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN cdp_data.profile_row.%I IS %L', change.name, change.comment);
    END LOOP;
    PERFORM cdp.shape_view('profiles', from_clause, wanted.names, wanted.types, wanted.expressions, wanted.comments, view_comment);
    PERFORM cdp.shape_derivation();
END
$shape$;
COMMENT ON FUNCTION cdp.shape_profiles() IS
'Internal: brings the columns of cdp_data.profile_row and of cdp.profiles to the declared traits and the namespaces.';

CREATE FUNCTION cdp.declare_namespace_column(namespace text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $declare$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data' AND NOT pg_catalog.pg_has_role(n.nspowner, 'USAGE')) THEN
        -- An administrator may change namespaces; columns are the owner's.
        RAISE NOTICE USING
            MESSAGE = pg_catalog.format('cdp.profiles keeps its columns for now; namespace "%s" counts otherwise', namespace),
            HINT = 'The owner of the storage brings the columns up to date with SELECT cdp.setup().';
        RETURN;
    END IF;
    PERFORM cdp.shape_profiles();
END
$declare$;
COMMENT ON FUNCTION cdp.declare_namespace_column(text) IS
'Part of cdp.create_namespace and cdp.drop_namespace: brings the columns of cdp.profiles to the namespaces where the caller may do that.';

-- ---------- declarations ----------

CREATE FUNCTION cdp.check_trait_name(name text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
DECLARE
    clash record;
BEGIN
    IF name IS NULL OR name = '' OR pg_catalog.octet_length(name) > 63 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid name for a trait: "%s"', name),
            HINT = 'A trait is a column of cdp.profiles, so its name has 1 to 63 bytes.';
    END IF;
    IF name IN (SELECT f.name FROM cdp.profile_fixed_columns() AS f) OR name IN ('tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid') THEN
        RAISE reserved_name USING
            MESSAGE = pg_catalog.format('"%s" is a column of every profile and cannot be a trait', name),
            HINT = 'Name the expression otherwise: ... AS another_name.';
    END IF;
    IF EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name = check_trait_name.name) THEN
        RAISE duplicate_object USING
            MESSAGE = pg_catalog.format('"%s" is a computed trait', name),
            HINT = 'Choose another name, or rename or drop that trait with cdp.rename_computed_trait or cdp.drop_computed_trait.';
    END IF;
    SELECT t.name, t.key INTO clash FROM cdp_data.trait AS t WHERE (t.name = check_trait_name.name) <> (t.key = check_trait_name.name) LIMIT 1;
    IF FOUND THEN
        RAISE duplicate_object USING
            MESSAGE = CASE WHEN clash.name = check_trait_name.name
                THEN pg_catalog.format('"%s" is the name that cdp.rename_trait gave to trait "%s"', clash.name, clash.key)
                ELSE pg_catalog.format('"%s" is the name by which sources give trait "%s"', clash.key, clash.name) END,
            HINT = pg_catalog.format('Sources go on calling it "%s" after a rename; the view cdp.traits shows both names.', clash.key);
    END IF;
END
$check$;
COMMENT ON FUNCTION cdp.check_trait_name(text) IS 'Internal: raises an error that says why a name cannot be that of a trait.';

CREATE FUNCTION cdp.require_declarer() RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
BEGIN
    PERFORM cdp.require_storage();
    PERFORM cdp.require_owner();
END
$require$;
COMMENT ON FUNCTION cdp.require_declarer() IS
'Internal: raises an error unless the caller may add columns to the storage, which takes its owner or a member of that role; otherwise does nothing.';

-- Whether values of one type can all stand in a column of the other.
CREATE FUNCTION cdp.trait_accepts(type text, expression_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN type = expression_type OR type IN ('text', 'jsonb') OR type = 'numeric' AND expression_type IN ('bigint', 'double precision')
        OR type = 'double precision' AND expression_type IN ('bigint', 'numeric');
COMMENT ON FUNCTION cdp.trait_accepts(text, text) IS
'Internal: whether a trait of a type takes the values of an expression of another one: text and jsonb take everything, numeric and double precision take numbers.';

CREATE FUNCTION cdp.trait_sources(key text, OUT source text, OUT type text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $sources$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT DISTINCT s.source::text, cdp.trait_type(s.type::regtype)::text
    FROM cdp_data.source_column AS s WHERE s.kind = 'trait' AND s.name = $1 ORDER BY 1;
END
$sources$;
COMMENT ON FUNCTION cdp.trait_sources(text) IS 'Internal: the sources that have an expression for a trait, with the type in which it would be kept.';

CREATE FUNCTION cdp.declare_trait_columns(source text, traits text[], types regtype[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $declare$
#variable_conflict use_column
DECLARE
    given record;
    known record;
    other record;
    is_changed boolean := false;
    retyped text[] := '{}';
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait, cdp_data.expression IN SHARE ROW EXCLUSIVE MODE;
    FOR given IN
        SELECT g.name, cdp.trait_type(g.type)::text AS type, pg_catalog.count(*) OVER (PARTITION BY g.name) AS times
        FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY AS g(name, type, place) ORDER BY g.place
    LOOP
        PERFORM cdp.check_trait_name(given.name);
        IF given.times > 1 THEN
            RAISE duplicate_column USING
                MESSAGE = pg_catalog.format('trait "%s" is given more than once', given.name),
                HINT = 'Give it one expression, for example with coalesce(...).';
        END IF;
        SELECT t.* INTO known FROM cdp_data.trait AS t WHERE t.key = given.name;
        IF NOT FOUND THEN
            INSERT INTO cdp_data.trait (name, key, type, survivorship, ignore_empty, history, is_declared)
            VALUES (given.name, given.name, given.type, 'last', false, false, false);
            is_changed := true;
        ELSIF known.is_declared THEN
            IF NOT cdp.trait_accepts(known.type, given.type) THEN
                RAISE datatype_mismatch USING
                    MESSAGE = pg_catalog.format('trait "%s" is %s, and the expression of source "%s" is %s', given.name, known.type, $1, given.type),
                    HINT = pg_catalog.format('Cast the expression: (...)::%s AS %I.', known.type, given.name);
            END IF;
        ELSIF known.type <> given.type THEN
            SELECT s.source, s.type INTO other FROM cdp.trait_sources(given.name) AS s WHERE s.source <> $1 LIMIT 1;
            IF FOUND THEN
                RAISE datatype_mismatch USING
                    MESSAGE = pg_catalog.format('trait "%s" is %s in source "%s" and %s in source "%s"', given.name, known.type, other.source, given.type, $1),
                    HINT = pg_catalog.format('Cast one of the expressions, or declare the type first: SELECT cdp.create_trait(%L, ''text'').', given.name);
            END IF;
            UPDATE cdp_data.trait SET type = given.type WHERE trait_id = known.trait_id;
            retyped := retyped || known.name::text;
            is_changed := true;
        END IF;
    END LOOP;
    IF is_changed THEN
        PERFORM cdp.shape_profiles();
        PERFORM cdp.renew_dependents('trait', r.name, pg_catalog.format('trait "%s"', r.name)) FROM pg_catalog.unnest(retyped) AS r(name);
        INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
    END IF;
END
$declare$;
COMMENT ON FUNCTION cdp.declare_trait_columns(text, text[], regtype[]) IS
'Part of cdp.create_source and cdp.alter_source: gives the traits of a select list a column, of the type of the expression and with the default policy, and raises an error where the type does not agree with the declared trait or with another source.';

-- Where a source does not say since when its rows say what they say, that is known from now on.
CREATE FUNCTION cdp.begin_history(key text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $begin$
BEGIN
    INSERT INTO cdp_data.contribution_history AS h (hub, source, record_key, observed_at, traits)
    SELECT c.hub, c.source, c.record_key,
           CASE WHEN EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = c.source AND s.observed_at IS NOT NULL)
                     AND NOT EXISTS (SELECT FROM cdp_data.contribution_history AS n
                                     WHERE n.source = c.source AND n.record_key = c.record_key AND n.observed_at > c.observed_at)
                THEN c.observed_at ELSE GREATEST(c.observed_at, pg_catalog.now()) END,
           cdp.remove_traits(c.traits, ARRAY(
               SELECT p.trait FROM cdp.profile_traits(c.traits) AS p
               WHERE p.trait <> $1 AND NOT EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.key = p.trait AND t.history)))
    FROM cdp_data.contribution AS c
    WHERE c.traits OPERATOR(cdp.?) $1
    ON CONFLICT ON CONSTRAINT contribution_history_key DO UPDATE SET hub = EXCLUDED.hub, traits = EXCLUDED.traits;
END
$begin$;
COMMENT ON FUNCTION cdp.begin_history(text) IS
'Part of cdp.create_trait and cdp.alter_trait: what the records say of a trait now is the first version of its history.';

CREATE FUNCTION cdp.set_trait(
    trait_id integer, type text, survivorship text, sources text[], ignore_empty boolean, history boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $set$
#variable_conflict use_column
DECLARE
    known record;
    misfit record;
BEGIN
    SELECT t.* INTO STRICT known FROM cdp_data.trait AS t WHERE t.trait_id = $1;
    IF $3 IS NULL OR $3 NOT IN ('last', 'first', 'priority', 'most_frequent', 'min', 'max', 'longest') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('survivorship policy "%s" does not exist', $3),
            HINT = 'The policies are last, first, priority, most_frequent, min, max and longest.';
    END IF;
    -- A ranking that cdp.survivorship does not take would fail everybody's derivation.
    IF pg_catalog.array_ndims($4) > 1 OR EXISTS (SELECT FROM pg_catalog.unnest($4) AS s(name) GROUP BY s.name COLLATE "C" HAVING pg_catalog.count(*) > 1) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('sources of trait "%s" must be a list of different sources', known.name),
            HINT = 'Each source has one rank: sources => ARRAY[''best'', ''next''].';
    END IF;
    IF ($3 = 'priority') <> (COALESCE(pg_catalog.cardinality($4), 0) > 0) OR pg_catalog.array_position($4, NULL) IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = CASE WHEN $3 = 'priority' THEN 'policy priority needs ranked sources' ELSE pg_catalog.format('policy %s takes no sources', $3) END,
            HINT = 'Write survivorship => ''priority'', sources => ARRAY[''best'', ''next''].';
    END IF;
    SELECT s.source, s.type INTO misfit FROM cdp.trait_sources(known.key) AS s WHERE NOT cdp.trait_accepts($2, s.type) LIMIT 1;
    IF FOUND THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('trait "%s" cannot be %s because the expression of source "%s" is %s', known.name, $2, misfit.source, misfit.type),
            HINT = pg_catalog.format('Cast that expression with cdp.alter_source: (...)::%s AS %I.', $2, known.key);
    END IF;
    UPDATE cdp_data.trait AS t
    SET type = $2, survivorship = $3, sources = CASE WHEN $3 = 'priority' THEN $4 END, ignore_empty = $5, history = $6, is_declared = true
    WHERE t.trait_id = $1;
    IF $6 AND NOT known.history THEN
        PERFORM cdp.begin_history(known.key);
    END IF;
    PERFORM cdp.shape_profiles();
    IF $2 <> known.type THEN
        PERFORM cdp.renew_dependents('trait', known.name, pg_catalog.format('trait "%s"', known.name));
    END IF;
    INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
END
$set$;
COMMENT ON FUNCTION cdp.set_trait(integer, text, text, text[], boolean, boolean) IS
'Part of cdp.create_trait and cdp.alter_trait: checks and writes what a trait is, and brings the columns to it.';

CREATE FUNCTION cdp.create_trait(
    name text, type regtype, survivorship text DEFAULT 'last', sources text[] DEFAULT NULL,
    ignore_empty boolean DEFAULT false, history boolean DEFAULT false, replace boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $create$
#variable_conflict use_column
DECLARE
    known record;
    kept_type text;
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait, cdp_data.expression IN SHARE ROW EXCLUSIVE MODE;
    PERFORM cdp.check_trait_name($1);
    IF $2 IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'type must not be null';
    END IF;
    kept_type := cdp.trait_type($2)::text;
    SELECT t.* INTO known FROM cdp_data.trait AS t WHERE t.name = $1;
    IF NOT FOUND THEN
        INSERT INTO cdp_data.trait (name, key, type, survivorship, ignore_empty, history, is_declared)
        VALUES ($1, $1, kept_type, 'last', false, false, true) RETURNING trait_id INTO known;
    ELSIF known.is_declared THEN
        IF (known.type, known.survivorship, known.sources, known.ignore_empty, known.history)
           IS NOT DISTINCT FROM (kept_type, $3, $4, COALESCE($5, false), COALESCE($6, false)) THEN
            RETURN;
        END IF;
        IF NOT COALESCE($7, false) THEN
            RAISE duplicate_object USING
                MESSAGE = pg_catalog.format('trait "%s" is already declared otherwise', $1),
                HINT = 'Use replace => true, or cdp.alter_trait.';
        END IF;
    END IF;
    PERFORM cdp.set_trait(known.trait_id, kept_type, $3, $4, COALESCE($5, false), COALESCE($6, false));
END
$create$;
COMMENT ON FUNCTION cdp.create_trait(text, regtype, text, text[], boolean, boolean, boolean) IS
'Declares a trait of people: the type of its column in cdp.profiles, the policy by which one of several values wins (last, first, priority with ranked sources, most_frequent, min, max, longest), whether empty values lose, and whether superseded ones are kept.  The same declaration again does nothing; another one needs replace => true.';

CREATE FUNCTION cdp.require_trait(name text) RETURNS integer
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
DECLARE
    found_id integer;
BEGIN
    SELECT t.trait_id INTO found_id FROM cdp_data.trait AS t WHERE t.name = require_trait.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('trait "%s" does not exist', require_trait.name),
            HINT = 'The view cdp.traits lists the traits.';
    END IF;
    RETURN found_id;
END
$require$;
COMMENT ON FUNCTION cdp.require_trait(text) IS 'Internal: the key of a trait; an error when there is none of that name.';

CREATE FUNCTION cdp.alter_trait(
    name text, type regtype DEFAULT NULL, survivorship text DEFAULT NULL, sources text[] DEFAULT NULL,
    ignore_empty boolean DEFAULT NULL, history boolean DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $alter$
#variable_conflict use_column
DECLARE
    known record;
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait, cdp_data.expression IN SHARE ROW EXCLUSIVE MODE;
    SELECT t.* INTO known FROM cdp_data.trait AS t WHERE t.trait_id = cdp.require_trait($1);
    PERFORM cdp.set_trait(known.trait_id, COALESCE(cdp.trait_type($2)::text, known.type), COALESCE($3, known.survivorship),
        CASE WHEN COALESCE($3, known.survivorship) = 'priority' THEN COALESCE($4, known.sources) ELSE $4 END,
        COALESCE($5, known.ignore_empty), COALESCE($6, known.history));
END
$alter$;
COMMENT ON FUNCTION cdp.alter_trait(text, regtype, text, text[], boolean, boolean) IS
'Changes what a trait is; NULL keeps a setting.  A new type is an error while something is built on cdp.profiles, or while the expression of a source does not fit it; what reads the trait is analysed again, and an error there undoes the change.';

CREATE FUNCTION cdp.rename_trait(name text, new_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $rename$
#variable_conflict use_column
DECLARE
    renamed integer;
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait IN SHARE ROW EXCLUSIVE MODE;
    renamed := cdp.require_trait($1);
    IF $1 = $2 THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.trait_id = renamed AND t.key = $2) THEN
        NULL;                   -- back to the name that its sources use
    ELSE
        PERFORM cdp.check_trait_name($2);
    END IF;
    IF EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.name = $2) THEN
        RAISE duplicate_object USING MESSAGE = pg_catalog.format('trait "%s" already exists', $2);
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid IN ('cdp_data.profile_row'::regclass, 'cdp.profiles'::regclass) AND a.attname = $2 AND NOT a.attisdropped) THEN
        RAISE duplicate_column USING
            MESSAGE = pg_catalog.format('cdp.profiles has a column "%s" already', $2),
            HINT = 'It is that of a namespace, or of a dropped trait that other objects still read.';
    END IF;
    PERFORM cdp.lock_view('cdp.profiles');
    -- What was built on the view refers to the column by number and goes on.
    EXECUTE pg_catalog.format('ALTER VIEW cdp.profiles RENAME COLUMN %I TO %I', $1, $2);
    EXECUTE pg_catalog.format('ALTER TABLE cdp_data.profile_row RENAME COLUMN %I TO %I', $1, $2);
    UPDATE cdp_data.trait AS t SET name = $2 WHERE t.trait_id = renamed;
    -- The column of a namespace of the old name comes back.
    PERFORM cdp.shape_profiles();
    IF EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.name = $1) THEN
        INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
    END IF;
    PERFORM cdp.warn_of_dependents($1);
END
$rename$;
COMMENT ON FUNCTION cdp.rename_trait(text, text) IS
'Renames a trait and its column in cdp.profiles; what was built on the view goes on.  Select lists of sources keep calling the trait by its first name, which the view cdp.traits shows as key.';

CREATE FUNCTION cdp.drop_trait(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $drop$
#variable_conflict use_column
DECLARE
    known record;
    givers text;
BEGIN
    PERFORM cdp.require_declarer();
    LOCK TABLE cdp_data.trait IN SHARE ROW EXCLUSIVE MODE;
    SELECT t.* INTO known FROM cdp_data.trait AS t WHERE t.trait_id = cdp.require_trait($1);
    SELECT pg_catalog.string_agg(pg_catalog.format('"%s"', s.source), ', ') INTO givers FROM cdp.trait_sources(known.key) AS s;
    IF givers IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = pg_catalog.format('cannot drop trait "%s" because sources give it', $1),
            DETAIL = pg_catalog.format('These do: %s.', givers),
            HINT = 'Take it out of their traits with cdp.alter_source first.';
    END IF;
    DELETE FROM cdp_data.trait AS t WHERE t.trait_id = known.trait_id;
    PERFORM cdp.shape_profiles();
    IF EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.name = $1) THEN
        INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
    END IF;
    PERFORM cdp.warn_of_dependents($1);
END
$drop$;
COMMENT ON FUNCTION cdp.drop_trait(text) IS
'Drops a trait and its column; an error while the expression of a source gives it or while something depends on its column in cdp.profiles.  What records said stays in cdp.profile_values.';
