-- source: declarations: what a source is, and the statements that follow from it.

CREATE FUNCTION cdp.create_source(
    name text, relation text,
    record_key text DEFAULT NULL, observed_at text DEFAULT NULL, occurred_at text DEFAULT NULL, event_name text DEFAULT NULL,
    identifiers text DEFAULT NULL, traits text DEFAULT NULL, properties text DEFAULT NULL, profile_id text DEFAULT NULL,
    filter text DEFAULT NULL, deleted text DEFAULT NULL, watermark text DEFAULT NULL, watermark_overlap text DEFAULT NULL,
    time_zone text DEFAULT NULL, capture text DEFAULT 'pull', owner regrole DEFAULT NULL, replace boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET quote_all_identifiers = off     -- names of relations and types are compared as text
    AS 'MODULE_PATHNAME', 'cdp_create_source';
COMMENT ON FUNCTION cdp.create_source(text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, regrole, boolean) IS
'Declares a table, view or foreign table as a source: its key, the identifiers of its rows, and the traits (or, with occurred_at and event_name, the events and properties) that they give.  The arguments are SQL expressions and select lists over its rows; all of it is checked here, and cdp.refresh() reads the rows.  The same declaration again does nothing; another one needs replace => true.';

CREATE FUNCTION cdp.alter_source(
    name text, relation text DEFAULT NULL,
    record_key text DEFAULT NULL, observed_at text DEFAULT NULL, occurred_at text DEFAULT NULL, event_name text DEFAULT NULL,
    identifiers text DEFAULT NULL, traits text DEFAULT NULL, properties text DEFAULT NULL, profile_id text DEFAULT NULL,
    filter text DEFAULT NULL, deleted text DEFAULT NULL, watermark text DEFAULT NULL, watermark_overlap text DEFAULT NULL,
    time_zone text DEFAULT NULL, capture text DEFAULT NULL, owner regrole DEFAULT NULL, reset text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET quote_all_identifiers = off     -- names of relations and types are compared as text
    AS 'MODULE_PATHNAME', 'cdp_alter_source';
COMMENT ON FUNCTION cdp.alter_source(text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, regrole, text[]) IS
'Changes the declaration of a source; NULL keeps a part, reset => ARRAY[''filter''] takes one away.  The next refresh reads the whole source again.';

CREATE FUNCTION cdp.require_source(source text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
BEGIN
    PERFORM cdp.require_storage();
    IF source IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'source must not be null';
    END IF;
    IF NOT EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = require_source.source AND s.relation IS NOT NULL) THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('source "%s" does not exist', source),
            HINT = 'The view cdp.sources lists the sources.';
    END IF;
END
$require$;
COMMENT ON FUNCTION cdp.require_source(text) IS 'Internal: raises an error with a hint when no such source is declared; otherwise does nothing.';

CREATE FUNCTION cdp.lock_source(source text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $lock$
DECLARE
    key CONSTANT bigint := pg_catalog.hashtextextended('cdp.source ' || source, 0);
BEGIN
    IF NOT pg_catalog.pg_try_advisory_xact_lock(key) THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('source "%s" is busy in another session, waiting', source);
        PERFORM pg_catalog.pg_advisory_xact_lock(key);
    END IF;
END
$lock$;
COMMENT ON FUNCTION cdp.lock_source(text) IS
'Internal: lets one transaction at a time refresh, alter or drop a source; the next one waits, with a notice.';

-- ---------- columns of events ----------

CREATE FUNCTION cdp.add_columns(relation regclass, names text[], types text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $add$
DECLARE
    used bigint;
    attempt integer := 0;
    previous_timeout CONSTANT text := pg_catalog.current_setting('lock_timeout');
BEGIN
    IF pg_catalog.cardinality(names) = 0 THEN
        RETURN;
    END IF;
    -- Dropped columns count, too.
    SELECT pg_catalog.count(*) INTO used FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = add_columns.relation AND a.attnum > 0;
    IF used + pg_catalog.cardinality(names) > 1590 THEN
        RAISE too_many_columns USING
            MESSAGE = pg_catalog.format('%s would have %s columns; a table has at most 1600', relation, used + pg_catalog.cardinality(names)),
            HINT = 'Declare fewer columns; properties that few people ask for can stay together in one jsonb column named properties.';
    END IF;
    -- A reader that holds the table for long must not make every other one queue behind this call.
    LOOP
        BEGIN
            PERFORM pg_catalog.set_config('lock_timeout', '2s', true);
            EXECUTE pg_catalog.format('ALTER TABLE %s %s', relation, (
                SELECT pg_catalog.string_agg(pg_catalog.format('ADD COLUMN %I %s', c.name, c.type::regtype), ', ' ORDER BY c.number)
                FROM ROWS FROM (pg_catalog.unnest(names), pg_catalog.unnest(types)) WITH ORDINALITY AS c(name, type, number)));
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            attempt := attempt + 1;
            IF attempt = 5 THEN
                RAISE lock_not_available USING
                    MESSAGE = pg_catalog.format('could not add columns to %s, because other sessions keep reading it', relation),
                    HINT = 'Try again when the long transactions have ended; pg_stat_activity shows them.';
            END IF;
        END;
        PERFORM pg_catalog.set_config('lock_timeout', previous_timeout, true);
        PERFORM pg_catalog.pg_sleep(0.2 * attempt);
    END LOOP;
    PERFORM pg_catalog.set_config('lock_timeout', previous_timeout, true);
END
$add$;
COMMENT ON FUNCTION cdp.add_columns(regclass, text[], text[]) IS
'Internal: adds columns to a table of the storage in one ALTER TABLE, which waits for two seconds at a time, five times at most.  An error near the limit of 1,600 columns.';

CREATE FUNCTION cdp.register_source_properties(source text, names text[], types text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $register$
DECLARE
    clash record;
    new_names text[];
    new_types text[];
BEGIN
    LOCK TABLE cdp_data.property IN SHARE ROW EXCLUSIVE MODE;
    SELECT c.name, c.type, p.type AS stored_type,
           (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('"%s"', o.source), ', ')
            FROM cdp_data.source_column AS o WHERE o.kind = 'property' AND o.name = c.name AND o.source <> register_source_properties.source) AS others
    INTO clash
    FROM ROWS FROM (pg_catalog.unnest(names), pg_catalog.unnest(types)) AS c(name, type) JOIN cdp_data.property AS p ON p.name = c.name
    WHERE p.type::regtype <> c.type::regtype
    LIMIT 1;
    IF FOUND THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('property "%s" has type %s in source "%s" and type %s %s', clash.name, clash.type::regtype, source,
                clash.stored_type::regtype, COALESCE('in source ' || clash.others, 'in cdp.events')),
            HINT = pg_catalog.format('Cast it: (...)::%s AS %I, or choose another name.', clash.stored_type::regtype, clash.name);
    END IF;
    SELECT pg_catalog.array_agg(c.name ORDER BY c.number), pg_catalog.array_agg(c.type ORDER BY c.number) INTO new_names, new_types
    FROM ROWS FROM (pg_catalog.unnest(names), pg_catalog.unnest(types)) WITH ORDINALITY AS c(name, type, number)
    WHERE NOT EXISTS (SELECT FROM cdp_data.property AS p WHERE p.name = c.name);
    IF new_names IS NULL THEN
        RETURN;
    END IF;
    PERFORM cdp.add_columns('cdp_data.event', new_names, new_types);
    INSERT INTO cdp_data.property (name, type)
    SELECT c.name, c.type FROM ROWS FROM (pg_catalog.unnest(new_names), pg_catalog.unnest(new_types)) AS c(name, type);
    PERFORM cdp.shape_events();
END
$register$;
COMMENT ON FUNCTION cdp.register_source_properties(text, text[], text[]) IS
'Part of cdp.create_source and cdp.alter_source: adds the columns of properties that are new to cdp_data.event.  An error when another source gives a property another type.';

-- ---------- storing and dropping ----------

CREATE FUNCTION cdp.check_watermark_overlap(overlap text, watermark_type text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
DECLARE
    is_valid boolean;
BEGIN
    IF overlap IS NULL THEN
        RETURN;
    END IF;
    IF watermark_type IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'watermark_overlap without watermark',
            HINT = 'Give the watermark, or leave watermark_overlap out.';
    END IF;
    BEGIN
        is_valid := CASE watermark_type::regtype
            WHEN 'timestamptz'::regtype THEN overlap::interval >= '0'::interval AND pg_catalog.now() - overlap::interval IS NOT NULL
            WHEN 'int8'::regtype THEN overlap::bigint >= 0
            WHEN 'numeric'::regtype THEN overlap::numeric >= 0 AND overlap::numeric <> 'NaN'
            ELSE false END;
    EXCEPTION WHEN data_exception THEN
        is_valid := false;
    END;
    IF NOT is_valid THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid watermark_overlap "%s"', overlap),
            HINT = 'For times it is an interval (1 hour), for numbers a number, neither of them negative; texts have none.';
    END IF;
END
$check$;
COMMENT ON FUNCTION cdp.check_watermark_overlap(text, text) IS
'Internal: raises an error when an overlap does not go with the type of its watermark.';

CREATE FUNCTION cdp.store_source(
    name text, relation text,
    record_key text, observed_at text, occurred_at text, event_name text, identifiers text, traits text, properties text, profile_id text,
    filter text, deleted text, watermark text, watermark_overlap text, time_zone text, capture text, owner text, search_path text,
    column_kinds text[], column_numbers integer[], column_names text[], column_types text[], replace boolean, is_new boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $store$
DECLARE
    stored record;
    source_kind CONSTANT text := CASE WHEN $5 IS NULL THEN 'record' ELSE 'event' END;
    trait_names text[];
    trait_types text[];
    property_names text[];
    property_types text[];
BEGIN
    PERFORM cdp.lock_source($1);
    SELECT s.* INTO stored FROM cdp_data.source AS s WHERE s.name = $1;
    IF FOUND AND is_new AND stored.relation IS NOT NULL THEN
        IF (stored.relation, stored.record_key, stored.observed_at, stored.occurred_at, stored.event_name, stored.identifiers, stored.traits,
            stored.properties, stored.profile_id, stored.filter, stored.deleted, stored.watermark, stored.watermark_overlap, stored.time_zone,
            stored.capture, stored.owner::text, stored.search_path)
           IS NOT DISTINCT FROM ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
           -- A type may have changed though the texts did not.
           AND NOT EXISTS (
               SELECT FROM (SELECT c.kind, c.number, c.name, c.type FROM cdp_data.source_column AS c WHERE c.source = $1) AS a
               FULL JOIN ROWS FROM (pg_catalog.unnest(column_kinds), pg_catalog.unnest(column_numbers), pg_catalog.unnest(column_names),
                                    pg_catalog.unnest(column_types)) AS b(kind, number, name, type)
               ON (a.kind, a.number, a.name, a.type) = (b.kind, b.number, b.name, b.type)
               WHERE a.kind IS NULL OR b.kind IS NULL) THEN
            RETURN;
        END IF;
        IF NOT replace THEN
            RAISE duplicate_object USING
                MESSAGE = pg_catalog.format('source "%s" already exists with another declaration', $1),
                HINT = 'Use replace => true, or cdp.alter_source.';
        END IF;
    END IF;
    IF stored.kind <> source_kind THEN
        RAISE feature_not_supported USING
            MESSAGE = pg_catalog.format('source "%s" gives %ss and cannot give %ss', $1, stored.kind, source_kind),
            HINT = 'Declare a source under another name, and drop this one with cdp.drop_source.';
    END IF;
    PERFORM cdp.check_watermark_overlap($14, (
        SELECT c.type FROM ROWS FROM (pg_catalog.unnest(column_kinds), pg_catalog.unnest(column_types)) AS c(kind, type) WHERE c.kind = 'watermark'));

    INSERT INTO cdp_data.source AS s
        (name, kind, relation, record_key, observed_at, occurred_at, event_name, identifiers, traits, properties, profile_id, filter, deleted,
         watermark, watermark_overlap, time_zone, capture, owner, search_path)
    VALUES ($1, source_kind, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
    ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE
    SET relation = EXCLUDED.relation, record_key = EXCLUDED.record_key, observed_at = EXCLUDED.observed_at, occurred_at = EXCLUDED.occurred_at,
        event_name = EXCLUDED.event_name, identifiers = EXCLUDED.identifiers, traits = EXCLUDED.traits, properties = EXCLUDED.properties,
        profile_id = EXCLUDED.profile_id, filter = EXCLUDED.filter, deleted = EXCLUDED.deleted, watermark = EXCLUDED.watermark,
        watermark_overlap = EXCLUDED.watermark_overlap, time_zone = EXCLUDED.time_zone, capture = EXCLUDED.capture, owner = EXCLUDED.owner,
        search_path = EXCLUDED.search_path, altered_at = pg_catalog.now();
    IF stored.kind IS NULL AND source_kind = 'event' THEN
        -- What came under that name by direct calls counts as records no longer.
        INSERT INTO cdp_data.changed_profile (profile_id) SELECT DISTINCT -r.hub FROM cdp_data.record AS r WHERE r.source = $1;
    END IF;
    DELETE FROM cdp_data.source_column AS c WHERE c.source = $1;
    INSERT INTO cdp_data.source_column (source, kind, number, name, type, is_declared)
    SELECT $1, c.kind, c.number, c.name, c.type, NOT (c.kind = 'property' AND c.name = 'properties')
    FROM ROWS FROM (pg_catalog.unnest(column_kinds), pg_catalog.unnest(column_numbers), pg_catalog.unnest(column_names),
                    pg_catalog.unnest(column_types)) AS c(kind, number, name, type);
    -- Everything is read again; what was read so far stays until then.
    INSERT INTO cdp_data.source_state AS t (name) VALUES ($1)
    ON CONFLICT ON CONSTRAINT source_state_pkey DO UPDATE SET needs_full = true;
    DELETE FROM cdp_data.source_batch AS b WHERE b.source = $1;

    SELECT pg_catalog.array_agg(c.name ORDER BY c.number) FILTER (WHERE c.kind = 'trait'),
           pg_catalog.array_agg(c.type ORDER BY c.number) FILTER (WHERE c.kind = 'trait'),
           pg_catalog.array_agg(c.name ORDER BY c.number) FILTER (WHERE c.kind = 'property' AND c.is_declared),
           pg_catalog.array_agg(c.type ORDER BY c.number) FILTER (WHERE c.kind = 'property' AND c.is_declared)
    INTO trait_names, trait_types, property_names, property_types
    FROM cdp_data.source_column AS c WHERE c.source = $1;
    PERFORM cdp.declare_trait_columns($1, COALESCE(trait_names, '{}'), COALESCE(trait_types, '{}')::regtype[]);
    PERFORM cdp.register_source_properties($1, COALESCE(property_names, '{}'), COALESCE(property_types, '{}'));
    IF trait_names IS NULL AND source_kind = 'record' THEN
        WITH gone AS (DELETE FROM cdp_data.contribution AS c WHERE c.source = $1 RETURNING c.hub)
        INSERT INTO cdp_data.changed_profile (profile_id) SELECT DISTINCT -g.hub FROM gone AS g;
    END IF;
    PERFORM cdp.install_capture($1);
END
$store$;
COMMENT ON FUNCTION cdp.store_source(text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text[], integer[], text[], text[], boolean, boolean) IS
'Part of cdp.create_source and cdp.alter_source, which checked the declaration: writes it and adds the columns of new traits and properties.';

CREATE FUNCTION cdp.verify_source(source text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_verify_source';
COMMENT ON FUNCTION cdp.verify_source(text) IS
'Internal: reads the declaration of a source against its relation as it is now; an error when the relation, a column or a right is missing, or a type has changed.';

CREATE FUNCTION cdp.drop_source(name text, keep_data boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $drop$
DECLARE
    kind text;
BEGIN
    PERFORM cdp.require_admin();
    PERFORM cdp.require_owner();
    IF keep_data IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'keep_data must not be null';
    END IF;
    PERFORM cdp.require_source(name);
    PERFORM cdp.lock_source(name);
    PERFORM cdp.remove_capture(name);
    IF NOT keep_data THEN
        PERFORM cdp.take_in(name, 'missing', NULL, 'nothing');
        DELETE FROM cdp_data.contribution_history AS h WHERE h.source = drop_source.name;
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = drop_source.name;
    END IF;
    DELETE FROM cdp_data.captured_key AS c WHERE c.source = drop_source.name;
    DELETE FROM cdp_data.source_batch AS b WHERE b.source = drop_source.name;
    DELETE FROM cdp_data.source_state AS t WHERE t.name = drop_source.name;
    DELETE FROM cdp_data.source_column AS c WHERE c.source = drop_source.name;
    DELETE FROM cdp_data.source AS s WHERE s.name = drop_source.name RETURNING s.kind INTO kind;
    IF keep_data AND kind = 'event' THEN
        -- What stays without an event, which was refused, counts as a record from now on.
        INSERT INTO cdp_data.changed_profile (profile_id)
        SELECT DISTINCT -r.hub FROM cdp_data.record AS r
        WHERE r.source = drop_source.name
          AND NOT EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source = r.source AND e.record_key = r.record_key);
    END IF;
END
$drop$;
COMMENT ON FUNCTION cdp.drop_source(text, boolean) IS
'Forgets a source, and with it everything that it brought in: evidence, traits and events.  With keep_data => true that stays as it is, and a later source of the same name takes it up.  Columns of traits and properties stay.';

-- ---------- statements ----------

CREATE FUNCTION cdp.source_key(source text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $key$
DECLARE
    key_text text;
    key_columns integer;
BEGIN
    SELECT s.record_key, (SELECT pg_catalog.count(*) FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'key')
    INTO key_text, key_columns
    FROM cdp_data.source AS s WHERE s.name = source_key.source;
    IF key_columns = 1 THEN
        RETURN pg_catalog.format(E'(SELECT (r.k1)::pg_catalog.text FROM (SELECT %s\n) AS r(k1))', key_text);
    END IF;
    RETURN pg_catalog.format(E'(SELECT CASE WHEN pg_catalog.num_nulls(%3$s) OPERATOR(pg_catalog.=) 0 THEN pg_catalog.jsonb_build_array(%1$s)::pg_catalog.text END FROM (SELECT %2$s\n) AS r(%3$s))',
        (SELECT pg_catalog.string_agg(pg_catalog.format('(r.k%s)::pg_catalog.text', n), ', ' ORDER BY n) FROM pg_catalog.generate_series(1, key_columns) AS n),
        key_text,
        (SELECT pg_catalog.string_agg('k' || n, ', ' ORDER BY n) FROM pg_catalog.generate_series(1, key_columns) AS n));
END
$key$;
COMMENT ON FUNCTION cdp.source_key(text) IS
'Internal: the record_key of a source as one SQL expression of type text over a row of its relation, which goes by its own name.  A key of several columns is the text of a JSON array, and NULL when one of them is.';

CREATE FUNCTION cdp.source_stored_keys(source text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $stored$
BEGIN
    -- A row whose event could not be stored may have left its identifiers as evidence.
    RETURN (
        SELECT pg_catalog.format(
            'SELECT DISTINCT k.record_key FROM (SELECT t.record_key FROM cdp_data.%I AS t WHERE t.source = %L'
            ' UNION ALL SELECT t.record_key FROM cdp_data.record AS t WHERE t.source = %L) AS k'
            ' WHERE NOT EXISTS (SELECT FROM present AS p WHERE p.record_key = k.record_key)',
            CASE s.kind WHEN 'event' THEN 'event' ELSE 'contribution' END, s.name, s.name)
        FROM cdp_data.source AS s WHERE s.name = source_stored_keys.source);
END
$stored$;
COMMENT ON FUNCTION cdp.source_stored_keys(text) IS
'Part of cdp.source_query: a SELECT of the keys that are stored for a source and not in the relation present(record_key).';

CREATE FUNCTION cdp.source_write(source text, selection text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $write$
DECLARE
    s record;
    stored text;                -- the table that holds what the source gives
    columns text[];             -- its columns beside hub, observed_at, source and record_key, quoted
    expressions text[];         -- their values, from incoming
    comparison text[];          -- the columns of which a difference is a change
    history text;               -- the versioned traits, NULL: none
    watermark text;             -- the greatest one of the batch, NULL: none
    parts text[];
BEGIN
    SELECT t.* INTO s FROM cdp_data.source AS t WHERE t.name = source_write.source;
    stored := CASE s.kind WHEN 'event' THEN 'event' ELSE 'contribution' END;
    SELECT pg_catalog.format('cdp.profile_of(%L, i.observed_at, cdp.record_hash(i.record_key), %s)', s.name,
               pg_catalog.string_agg(pg_catalog.format('%L::pg_catalog.text, i.v%s', c.name, c.number), ', ' ORDER BY c.number))
    INTO history
    FROM cdp_data.source_column AS c JOIN cdp_data.trait AS t ON t.key = c.name AND t.history
    WHERE c.source = s.name AND c.kind = 'trait' HAVING pg_catalog.count(*) > 0;
    -- A trait that the source gives no longer ends with the next version of each record.
    IF history IS NULL AND s.kind = 'record' AND EXISTS (SELECT FROM cdp_data.contribution_history AS h WHERE h.source = s.name) THEN
        history := '''{}''::cdp.profile';
    END IF;

    parts := ARRAY[pg_catalog.format(
        'gone AS (DELETE FROM cdp_data.%I AS t WHERE t.source = %L AND t.record_key = ANY (ARRAY(SELECT i.record_key FROM incoming AS i WHERE i.deleted)) RETURNING t.hub, t.record_key)',
        stored, s.name)];
    IF history IS NOT NULL THEN
        -- From now on the record says nothing; its versions stay, for reading as of an earlier time.
        parts := parts || pg_catalog.format(
            'ended AS (INSERT INTO cdp_data.contribution_history (hub, source, record_key, observed_at, traits)'
            ' SELECT g.hub, %L, g.record_key, pg_catalog.now(), ''{}''::cdp.profile FROM gone AS g'
            ' ON CONFLICT ON CONSTRAINT contribution_history_key DO UPDATE SET traits = EXCLUDED.traits)', s.name);
    END IF;
    IF selection = 'missing' THEN
        RETURN pg_catalog.format(
            E'WITH %s,\nbatch AS (INSERT INTO cdp_data.source_batch (source, added, changed, removed) SELECT %L, 0, 0, pg_catalog.count(*) FROM gone AS g)'
            '\nINSERT INTO cdp_data.changed_profile (profile_id) SELECT DISTINCT -g.hub FROM gone AS g',
            pg_catalog.array_to_string(parts, E',\n'), s.name);
    END IF;

    IF s.kind = 'event' THEN
        SELECT ARRAY['occurred_at', 'event_name'] || pg_catalog.array_agg(pg_catalog.quote_ident(c.name) ORDER BY c.number) FILTER (WHERE c.name IS NOT NULL),
               ARRAY['i.occurred_at', 'i.event_name'] || pg_catalog.array_agg('i.v' || c.number ORDER BY c.number) FILTER (WHERE c.name IS NOT NULL)
        INTO columns, expressions
        FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'property';
        parts := parts || pg_catalog.format(
            'refused AS (INSERT INTO cdp_data.rejected_record (source, record_key, observed_at, reason, detail, identifiers, profile_id, rejected_at)'
            ' SELECT %L, i.record_key, i.observed_at, ''invalid_event'', CASE WHEN COALESCE(i.event_name, '''') = '''' THEN ''event_name is empty'''
            ' WHEN i.occurred_at IS NULL THEN ''occurred_at is null'' ELSE ''occurred_at is infinite'' END, ''[]'', n.profile_id, pg_catalog.now()'
            ' FROM incoming AS i LEFT JOIN cdp_data.identifier AS n ON n.id = i.hub'
            ' WHERE NOT i.deleted AND (pg_catalog.isfinite(i.occurred_at) AND i.event_name <> '''') IS NOT TRUE)', s.name);
    ELSE
        -- Without traits a record leaves nothing but its evidence.
        SELECT ARRAY[pg_catalog.format('cdp.profile_of(%L, i.observed_at, cdp.record_hash(i.record_key), %s)', s.name,
                   pg_catalog.string_agg(pg_catalog.format('%L::pg_catalog.text, i.v%s', c.name, c.number), ', ' ORDER BY c.number))],
               ARRAY['traits']
        INTO expressions, columns
        FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'trait' HAVING pg_catalog.count(*) > 0;
    END IF;
    IF selection IN ('first', 'all', 'since') THEN
        -- A time that lies ahead, or never ends, must not hide what comes later.
        watermark := (
            SELECT pg_catalog.format('(SELECT pg_catalog.to_jsonb(%s) #>> ''{}'' FROM incoming AS i)', CASE c.type::regtype
                WHEN 'timestamptz'::regtype THEN 'LEAST(pg_catalog.max(i.w) FILTER (WHERE pg_catalog.isfinite(i.w)), pg_catalog.now())'
                WHEN 'numeric'::regtype THEN 'pg_catalog.max(i.w) FILTER (WHERE i.w < ''Infinity'')'     -- and NaN is greater
                WHEN 'int8'::regtype THEN 'pg_catalog.max(i.w) FILTER (WHERE i.w < 9223372036854775807)'
                ELSE 'pg_catalog.max(i.w)' END)
            FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'watermark');
    END IF;
    IF columns IS NULL THEN
        RETURN CASE WHEN watermark IS NOT NULL THEN pg_catalog.format(
            'INSERT INTO cdp_data.source_batch (source, watermark, added, changed, removed) SELECT %L, %s, 0, 0, 0', s.name, watermark) END;
    END IF;
    -- Without times of its own, a row that was read again at a later time is the same row.
    comparison := ARRAY['hub'] || CASE WHEN s.observed_at IS NULL THEN '{}' ELSE ARRAY['observed_at'] END || columns;

    -- What the rows should come to, then those that differ from what is stored: only these are written.
    -- Values are compared by their bytes (*<>), which needs no operator of their types.
    parts := parts || pg_catalog.format(
        '%s AS MATERIALIZED (SELECT i.record_key, i.hub, i.observed_at, %s%s FROM incoming AS i WHERE NOT i.deleted%s)',
        CASE selection WHEN 'first' THEN 'changed' ELSE 'wanted' END,
        (SELECT pg_catalog.string_agg(pg_catalog.format('%s AS %s', x.expression, x.name), ', ' ORDER BY x.number)
         FROM ROWS FROM (pg_catalog.unnest(expressions), pg_catalog.unnest(columns)) WITH ORDINALITY AS x(expression, name, number)),
        pg_catalog.concat(', ' || history || ' AS versioned_traits', CASE selection WHEN 'first' THEN ', NULL::pg_catalog.int8 AS old_hub' END),
        CASE s.kind WHEN 'event' THEN ' AND pg_catalog.isfinite(i.occurred_at) AND i.event_name <> ''''' ELSE '' END);
    -- Each row is looked up by the key: whatever the planner knows of the table, which may be filled right
    -- now, the work goes by the rows of the batch.  In a first load there is nothing to look up.
    IF selection <> 'first' THEN
        parts := parts || pg_catalog.format(
            'changed AS MATERIALIZED (SELECT w.*, t.hub AS old_hub FROM wanted AS w'
            ' LEFT JOIN LATERAL (SELECT o.* FROM cdp_data.%I AS o WHERE o.source = %L AND o.record_key = w.record_key LIMIT 1) AS t ON true'
            ' WHERE t.source IS NULL OR %sROW(%s)::record OPERATOR(pg_catalog.*<>) ROW(%s)::record)',
            stored, s.name, CASE WHEN s.observed_at IS NOT NULL THEN 't.observed_at <= w.observed_at AND ' END,
            (SELECT pg_catalog.string_agg('t.' || x.name, ', ' ORDER BY x.number) FROM pg_catalog.unnest(comparison) WITH ORDINALITY AS x(name, number)),
            (SELECT pg_catalog.string_agg('w.' || x.name, ', ' ORDER BY x.number) FROM pg_catalog.unnest(comparison) WITH ORDINALITY AS x(name, number)));
    END IF;
    IF history IS NOT NULL THEN
        parts := parts || pg_catalog.format(
            'versions AS (INSERT INTO cdp_data.contribution_history AS t (hub, source, record_key, observed_at, traits)'
            ' SELECT c.hub, %L, c.record_key, %s, c.versioned_traits FROM changed AS c'
            ' ON CONFLICT ON CONSTRAINT contribution_history_key DO UPDATE SET hub = EXCLUDED.hub, traits = EXCLUDED.traits)', s.name,
            -- What comes without a time of its own, under the time of an earlier version, or back after
            -- it was gone, was not known before it arrived.
            CASE WHEN s.observed_at IS NULL THEN 'GREATEST(c.observed_at, pg_catalog.now())'
                 WHEN selection = 'first' THEN 'c.observed_at'
                 ELSE pg_catalog.format('CASE WHEN EXISTS (SELECT FROM cdp_data.contribution_history AS h WHERE h.source = %L AND h.record_key = c.record_key'
                                        ' AND h.observed_at >= c.observed_at) THEN GREATEST(c.observed_at, pg_catalog.now()) ELSE c.observed_at END', s.name) END);
    END IF;
    IF selection IN ('first', 'all', 'since') THEN
        parts := parts || pg_catalog.format(
            'batch AS (INSERT INTO cdp_data.source_batch (source, watermark, added, changed, removed)'
            ' SELECT %L, %s, pg_catalog.count(*) FILTER (WHERE c.old_hub IS NULL), pg_catalog.count(c.old_hub), (SELECT pg_catalog.count(*) FROM gone) FROM changed AS c)',
            s.name, COALESCE(watermark, 'NULL'));
    END IF;
    -- -hub stands for whoever holds it when it is looked at, 0 for everybody: after a first load
    -- that is less work than one row for each.
    parts := parts || ARRAY[
        'is_much AS (SELECT pg_catalog.count(*) > (SELECT GREATEST(100000, p.reltuples / 5) FROM pg_catalog.pg_class AS p'
        ' WHERE p.oid = ''cdp_data.profile_row''::pg_catalog.regclass) AS yes FROM changed)',
        'people AS (INSERT INTO cdp_data.changed_profile (profile_id) SELECT 0 FROM is_much AS m WHERE m.yes UNION ALL SELECT DISTINCT -h.hub'
        ' FROM (SELECT g.hub FROM gone AS g UNION ALL SELECT c.hub FROM changed AS c UNION ALL SELECT c.old_hub FROM changed AS c WHERE c.old_hub <> c.hub) AS h'
        ' WHERE NOT (SELECT m.yes FROM is_much AS m))'];
    RETURN pg_catalog.format(
        E'WITH %8$s\nINSERT INTO cdp_data.%1$I AS t (source, record_key, hub, observed_at, %3$s) SELECT %2$L, c.record_key, c.hub, c.observed_at, %4$s FROM changed AS c'
        ' ON CONFLICT ON CONSTRAINT %5$I DO UPDATE SET (%6$s) = ROW(%7$s)%9$s',
        stored, s.name, pg_catalog.array_to_string(columns, ', '),
        (SELECT pg_catalog.string_agg('c.' || x.name, ', ' ORDER BY x.number) FROM pg_catalog.unnest(columns) WITH ORDINALITY AS x(name, number)),
        stored || '_key', pg_catalog.array_to_string(comparison, ', '),
        (SELECT pg_catalog.string_agg('EXCLUDED.' || x.name, ', ' ORDER BY x.number) FROM pg_catalog.unnest(comparison) WITH ORDINALITY AS x(name, number)),
        pg_catalog.array_to_string(parts, E',\n'),
        CASE WHEN s.observed_at IS NOT NULL THEN ' WHERE t.observed_at <= EXCLUDED.observed_at' END);
END
$write$;
COMMENT ON FUNCTION cdp.source_write(text, text) IS
'Part of cdp.source_query: the statement that stores what the rows of a source give, which reads the relation incoming.';

CREATE FUNCTION cdp.source_query(
    source text, selection text, since text DEFAULT NULL,
    OUT query text, OUT identifier_columns integer, OUT is_event boolean, OUT owner name, OUT time_zone text, OUT search_path text,
    OUT write text, OUT missing text)
    RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $query$
DECLARE
    s record;
    texts text[];               -- the texts of the declaration, and the names of their columns in the subquery r
    names text[];
    head text[];                -- record_key, observed_at, deleted
    identifier_list text;       -- the identifiers of r, each after a comma
    payload text;               -- the rest, likewise
    subquery text;
    conditions text[] := '{}';
    past text;                  -- holds for rows past the watermark
    watermark_type regtype;
    keys record;
BEGIN
    IF selection IS NULL OR selection NOT IN ('first', 'all', 'since', 'keys', 'missing', 'list') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid selection %L of rows of source "%s"', selection, source),
            HINT = 'The selections are first, all, since, keys, missing and list.';
    END IF;
    SELECT t.* INTO s FROM cdp_data.source AS t WHERE t.name = source_query.source AND t.relation IS NOT NULL;
    IF NOT FOUND THEN
        PERFORM cdp.require_source(source);
    END IF;
    is_event := s.kind = 'event';
    owner := s.owner;
    time_zone := COALESCE(s.time_zone, (SELECT o.value FROM cdp.options AS o WHERE o.name = 'time_zone'));
    search_path := s.search_path;
    write := cdp.source_write(source, selection);
    IF selection = 'missing' THEN
        missing := cdp.source_stored_keys(source);
        IF since = 'nothing' THEN       -- the source is dropped: all of it goes
            query := 'SELECT NULL::pg_catalog.text AS record_key WHERE false';
            identifier_columns := 0;
            SELECT pg_catalog.pg_get_userbyid(n.nspowner) INTO owner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data';
            RETURN;
        END IF;
    END IF;

    -- Each text stands alone on its lines, so that a comment in it ends there.
    SELECT pg_catalog.count(*) AS number,
           pg_catalog.array_agg('k' || c.number ORDER BY c.number) AS names,
           pg_catalog.string_agg(pg_catalog.format('(r.k%s)::pg_catalog.text', c.number), ', ' ORDER BY c.number) AS as_text,
           pg_catalog.string_agg(
               -- In its own type an index of the table serves; equality of other types is that of their texts.
               CASE WHEN c.type NOT LIKE '%.%'
                    THEN pg_catalog.format('r.k%s OPERATOR(pg_catalog.=) (pg_catalog.jsonb_array_element_text(w.key::pg_catalog.jsonb, %s))::%s', c.number, c.number - 1, c.type::regtype)
                    ELSE pg_catalog.format('(r.k%s)::pg_catalog.text OPERATOR(pg_catalog.=) pg_catalog.jsonb_array_element_text(w.key::pg_catalog.jsonb, %s)', c.number, c.number - 1) END,
               ' AND ' ORDER BY c.number) AS equalities,
           pg_catalog.min(c.type) AS type
    INTO keys
    FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'key';
    texts := ARRAY[s.record_key];
    names := keys.names;
    head := ARRAY[
        CASE WHEN keys.number = 1 THEN keys.as_text -- As of one column, a part that is missing makes it no key: no condition on the columns finds it again.
             ELSE pg_catalog.format('CASE WHEN pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.=) 0 THEN (pg_catalog.jsonb_build_array(%s))::pg_catalog.text END',
                                    (SELECT pg_catalog.string_agg('r.' || n, ', ') FROM pg_catalog.unnest(keys.names) AS n), keys.as_text) END,
        'NULL::pg_catalog.timestamptz', 'false'];
    IF s.observed_at IS NOT NULL THEN
        texts := texts || pg_catalog.format(E'(%s\n)', s.observed_at);
        names := names || 'observed'::text;
        head[2] := '(r.observed)::pg_catalog.timestamptz';
    END IF;
    IF s.deleted IS NOT NULL THEN
        texts := texts || pg_catalog.format(E'(%s\n)', s.deleted);
        names := names || 'deleted'::text;
        head[3] := 'COALESCE(r.deleted, false)';
    END IF;
    SELECT pg_catalog.count(*), COALESCE(pg_catalog.string_agg(pg_catalog.format(', r.i%s AS %I', c.number, c.name), '' ORDER BY c.number), '')
    INTO identifier_columns, identifier_list
    FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'identifier';
    IF s.identifiers IS NOT NULL THEN
        texts := texts || s.identifiers;
        names := names || (SELECT pg_catalog.array_agg('i' || n ORDER BY n) FROM pg_catalog.generate_series(1, identifier_columns) AS n);
        payload := '';
    ELSE
        texts := texts || pg_catalog.format(E'(%s\n)', s.profile_id);
        names := names || 'profile'::text;
        payload := ', (r.profile)::pg_catalog.int8 AS profile_id';
    END IF;
    IF is_event THEN
        texts := texts || pg_catalog.format(E'(%s\n)', s.occurred_at) || pg_catalog.format(E'(%s\n)', s.event_name);
        names := names || 'occurred'::text || 'event'::text;
        payload := payload || ', (r.occurred)::pg_catalog.timestamptz AS occurred_at, (r.event)::pg_catalog.text AS event_name';
    END IF;
    IF COALESCE(s.traits, s.properties) IS NOT NULL THEN
        texts := texts || COALESCE(s.traits, s.properties);
        SELECT names || pg_catalog.array_agg('v' || c.number ORDER BY c.number),
               payload || pg_catalog.string_agg(
                   CASE c.type::regtype WHEN 'jsonb'::regtype THEN pg_catalog.format(', pg_catalog.to_jsonb(r.v%s) AS v%1$s', c.number)
                        ELSE pg_catalog.format(', (r.v%s)::%s AS v%1$s', c.number, c.type::regtype) END, '' ORDER BY c.number)
        INTO names, payload
        FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind IN ('trait', 'property');
    END IF;
    IF s.watermark IS NOT NULL THEN
        texts := texts || pg_catalog.format(E'(%s\n)', s.watermark);
        names := names || 'w'::text;
        SELECT c.type::regtype INTO watermark_type FROM cdp_data.source_column AS c WHERE c.source = s.name AND c.kind = 'watermark';
        IF selection IN ('first', 'all', 'since') THEN
            payload := payload || pg_catalog.format(', (r.w)::%s AS w', watermark_type);
        END IF;
    END IF;
    subquery := pg_catalog.format(E'(SELECT %s\nFROM %s', pg_catalog.array_to_string(texts, E'\n, '), s.relation);

    CASE
        WHEN selection IN ('since', 'list') AND since IS NOT NULL AND watermark_type IS NOT NULL THEN
            -- One constant, which another server behind a foreign table can compare with, too.
            past := pg_catalog.format('(r.w IS NULL OR r.w OPERATOR(pg_catalog.>=) %L::%s)',
                CASE watermark_type
                    WHEN 'timestamptz'::regtype THEN pg_catalog.to_jsonb(since::timestamptz - COALESCE(s.watermark_overlap, '1 hour')::interval) #>> '{}'
                    WHEN 'text'::regtype THEN since
                    WHEN 'numeric'::regtype THEN (since::numeric - COALESCE(s.watermark_overlap, '1000')::numeric)::text
                    -- no further than the least one
                    ELSE GREATEST(since::numeric - COALESCE(s.watermark_overlap, '1000')::numeric, -9223372036854775808)::text END,
                CASE watermark_type WHEN 'numeric'::regtype THEN 'pg_catalog.numeric' WHEN 'int8'::regtype THEN 'pg_catalog.int8'
                    WHEN 'text'::regtype THEN 'pg_catalog.text' ELSE 'pg_catalog.timestamptz' END);
            conditions := conditions || past;
        WHEN selection = 'keys' THEN
            conditions := conditions || CASE
                WHEN keys.number > 1 THEN pg_catalog.format('EXISTS (SELECT FROM pg_catalog.unnest($1) AS w(key) WHERE %s)', keys.equalities)
                WHEN keys.type NOT LIKE '%.%' THEN pg_catalog.format('r.k1 OPERATOR(pg_catalog.=) ANY ($1::%s[])', keys.type::regtype)
                ELSE '(r.k1)::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1)' END;
        WHEN selection = 'missing' AND s.deleted IS NOT NULL THEN
            conditions := conditions || 'r.deleted IS NOT TRUE'::text;
        ELSE NULL;
    END CASE;
    IF selection = 'list' THEN
        -- Past a watermark also the rows that the filter keeps out, since they may have been let in before.
        query := pg_catalog.format(E'SELECT %s, %s\nFROM %s%s) AS r(%s)%s', head[1],
            CASE WHEN s.watermark IS NULL THEN 'NULL::pg_catalog.text' ELSE pg_catalog.format('pg_catalog.to_jsonb((r.w)::%s) OPERATOR(pg_catalog.#>>) ''{}''', watermark_type) END,
            subquery, CASE WHEN past IS NULL THEN E'\nWHERE (' || s.filter || E'\n)' END, pg_catalog.array_to_string(names, ', '), E'\nWHERE ' || past);
        RETURN;
    END IF;

    query := pg_catalog.format(E'SELECT %s%s%s\nFROM %s%s) AS r(%s)%s',
        head[1] || ' AS record_key', CASE selection WHEN 'missing' THEN '' ELSE pg_catalog.format(', %s AS observed_at, %s AS deleted', head[2], head[3]) END,
        CASE selection WHEN 'missing' THEN '' ELSE identifier_list || payload END,
        subquery, E'\nWHERE (' || s.filter || E'\n)', pg_catalog.array_to_string(names, ', '),
        E'\nWHERE ' || NULLIF(pg_catalog.array_to_string(conditions, ' AND '), ''));
    IF past IS NOT NULL AND s.filter IS NOT NULL THEN
        -- Rows that the filter keeps out now may have been let in before.
        query := query || pg_catalog.format(E'\nUNION ALL\nSELECT %s, %s, true%s%s\nFROM %s\nWHERE (%s\n) IS NOT TRUE) AS r(%s)\nWHERE %s',
            head[1], head[2], pg_catalog.repeat(', NULL', identifier_columns),
            pg_catalog.repeat(', NULL', (SELECT pg_catalog.count(*)::integer FROM pg_catalog.unnest(names) AS n(name) WHERE n.name ~ '^(profile|occurred|event|w|v[0-9]+)$')),
            subquery, s.filter, pg_catalog.array_to_string(names, ', '), past);
    END IF;
END
$query$;
COMMENT ON FUNCTION cdp.source_query(text, text, text) IS
'Internal: what cdp.take_in runs for a source; the selections are first and all (the first time, when nothing is stored), since (a watermark), keys ($1 text[]) and missing, and list for cdp.source_keys.  See sql/source_take_in.sql.';
