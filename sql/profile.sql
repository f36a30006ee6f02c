-- profile: unified profiles, their views, and everything about one person in one call.
--
-- Nothing is re-keyed when people merge or split: a contribution or event names
-- the identifier that it hangs on (hub), and its person is the profile that
-- holds that identifier.  What is stored per person is derived from that.

-- ---------- derivation ----------

CREATE FUNCTION cdp.trait_value(profile cdp.profile, trait text, survivorship cdp.survivorship, type anyelement) RETURNS anyelement
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'cdp_trait_value';
COMMENT ON FUNCTION cdp.trait_value(cdp.profile, text, cdp.survivorship, anyelement) IS
'The value that wins for a trait (survivorship NULL: the newest) as the type of the last argument, such as NULL::bigint; NULL where there is none, or none that fits that type.';

-- The expressions by which the columns come about, from p, one row per person with the
-- identifiers, and v.value, the person's candidates.
CREATE FUNCTION cdp.derived_columns(OUT names text, OUT expressions text, OUT identifier_columns text, OUT updates text) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $columns$
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.name), ', ' ORDER BY c.place, c.fixed),
           pg_catalog.string_agg(pg_catalog.format('%s AS %I', c.expression, c.name), ', ' ORDER BY c.place, c.fixed),
           COALESCE(pg_catalog.string_agg(c.identifier_column, '' ORDER BY c.place), ''),
           pg_catalog.string_agg(pg_catalog.format('%I = EXCLUDED.%I', c.name, c.name), ', ' ORDER BY c.place, c.fixed) FILTER (WHERE c.name <> 'profile_id')
    INTO names, expressions, identifier_columns, updates
    FROM (
        SELECT f.name, 0 AS place, pg_catalog.row_number() OVER () AS fixed, pg_catalog.format('p.%I', f.name) AS expression, NULL AS identifier_column
        FROM cdp.profile_fixed_columns() AS f
        UNION ALL
        SELECT g.name, g.place, 0,
               CASE WHEN g.getter IS NULL THEN pg_catalog.format('p.namespace_%s', g.namespace_id)
                    WHEN g.namespace_id IS NULL THEN g.getter
                    ELSE pg_catalog.format('COALESCE(%s, p.namespace_%s)', g.getter, g.namespace_id) END,
               CASE WHEN g.namespace_id IS NOT NULL THEN
                   pg_catalog.format(', max(m.value COLLATE "default") FILTER (WHERE m.place = 1 AND m.namespace_id = %s) AS namespace_%s', g.namespace_id, g.namespace_id) END
        FROM (
            SELECT c.name, c.place, c.namespace_id,
                   CASE WHEN c.trait_key IS NOT NULL THEN
                       pg_catalog.format('cdp.trait_value(v.value, %L, %s::cdp.survivorship, NULL::%s)', c.trait_key, pg_catalog.quote_nullable(c.survivorship), c.type) END AS getter
            FROM cdp.profile_columns() AS c
            WHERE (c.trait_key IS NOT NULL OR c.namespace_id IS NOT NULL)   -- computed traits are written by evaluation alone
              -- the namespace of an administrator has no column before the owner's next cdp.setup()
              AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                          WHERE a.attrelid = 'cdp_data.profile_row'::regclass AND a.attname = c.name AND NOT a.attisdropped)
        ) AS g
    ) AS c;
END
$columns$;
COMMENT ON FUNCTION cdp.derived_columns() IS
'Part of cdp.shape_derivation: the columns of cdp_data.profile_row with the SQL expressions that they are derived by.';

-- The statement for given people stands in a function of the storage, so that each session plans it
-- once; it changes with the traits, and is dumped and restored with them.
CREATE FUNCTION cdp.shape_derivation() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $create$
DECLARE
    c record := cdp.derived_columns();
BEGIN
    EXECUTE pg_catalog.format($function$
CREATE OR REPLACE FUNCTION cdp_data.derive_profiles(ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    -- A few people out of millions: always by index, whatever the tables held when the plan was made.
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
AS %L
$function$, pg_catalog.format($body$
DECLARE
    changed bigint;
BEGIN
    WITH member AS MATERIALIZED (
        SELECT i.profile_id, i.namespace_id, i.value, r.records, r.first_seen, r.last_seen, e.events, e.first_event, e.last_event,
               GREATEST(r.held, e.held, (SELECT max(l.last_seen) FROM cdp_data.link AS l WHERE l.b = i.id AND l.state = 'j' AND l.records > 0)) AS held,
               (SELECT cdp.profile_agg(c.traits) FROM cdp_data.contribution AS c WHERE c.hub = i.id) AS traits
        FROM cdp_data.identifier AS i
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE NOT k.is_event) AS records, min(k.first_seen) FILTER (WHERE NOT k.is_event) AS first_seen,
                   max(k.observed_at) FILTER (WHERE NOT k.is_event) AS last_seen, max(k.observed_at) AS held
            FROM (SELECT d.first_seen, d.observed_at,
                         -- what a source of events has is no record, even where the event was refused;
                         -- whether another one has any events is a question to one page, whatever the record
                         EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = d.source AND s.kind = 'event')
                         OR EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source = d.source)
                         AND EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source = d.source AND e.record_key = d.record_key) AS is_event
                  FROM cdp_data.record AS d WHERE d.hub = i.id OFFSET 0) AS k
        ) AS r
        CROSS JOIN LATERAL (
            SELECT count(*) AS events, min(e.occurred_at) AS first_event, max(e.occurred_at) AS last_event, max(e.observed_at) AS held
            FROM cdp_data.event AS e WHERE e.hub = i.id
        ) AS e
        WHERE i.profile_id = ANY (ids) AND i.state = 'u'
    ), person AS MATERIALIZED (
        SELECT m.profile_id, bool_or(n.kind = 'person') AS is_known,
               LEAST(min(m.first_seen), min(m.first_event)) AS first_seen, GREATEST(max(m.last_seen), max(m.last_event)) AS last_seen,
               sum(m.events)::bigint AS event_count, sum(m.records)::bigint AS record_count, cdp.profile_agg(m.traits) AS value%s
        FROM (SELECT k.*, row_number() OVER (PARTITION BY k.profile_id, k.namespace_id ORDER BY k.held DESC NULLS LAST, k.value) AS place
              FROM member AS k) AS m
        JOIN cdp_data.namespace AS n ON n.namespace_id = m.namespace_id
        GROUP BY m.profile_id
    ), written_value AS (
        INSERT INTO cdp_data.profile_value AS t (profile_id, value)
        SELECT v.profile_id, v.value
        FROM person AS v LEFT JOIN cdp_data.profile_value AS o ON o.profile_id = v.profile_id
        WHERE v.value IS NOT NULL AND (o.profile_id IS NULL OR o.value OPERATOR(cdp.<>) v.value)
        ON CONFLICT ON CONSTRAINT profile_value_pkey DO UPDATE SET value = EXCLUDED.value
        RETURNING t.profile_id
    ), gone_value AS (
        DELETE FROM cdp_data.profile_value AS o
        WHERE o.profile_id = ANY (ids) AND o.profile_id NOT IN (SELECT v.profile_id FROM person AS v WHERE v.value IS NOT NULL)
        RETURNING o.profile_id
    ), written AS (
        INSERT INTO cdp_data.profile_row AS t (%s)
        SELECT f.*
        FROM (SELECT %s FROM person AS p CROSS JOIN LATERAL (SELECT p.value) AS v(value)) AS f
        LEFT JOIN (SELECT %s FROM cdp_data.profile_row) AS o ON o.profile_id = f.profile_id
        WHERE o.profile_id IS NULL OR (o.*) IS DISTINCT FROM (f.*)
        ON CONFLICT ON CONSTRAINT profile_row_pkey DO UPDATE SET %s
        RETURNING t.profile_id
    ), gone AS (
        DELETE FROM cdp_data.profile_row AS o
        WHERE o.profile_id = ANY (ids) AND o.profile_id NOT IN (SELECT p.profile_id FROM person AS p)
        RETURNING o.profile_id
    )
    SELECT count(*) INTO changed
    FROM (SELECT profile_id FROM written_value UNION SELECT profile_id FROM gone_value
          UNION SELECT profile_id FROM written UNION SELECT profile_id FROM gone) AS w;
    RETURN changed;
END
$body$, c.identifier_columns, c.names, c.expressions, c.names, c.updates));
    COMMENT ON FUNCTION cdp_data.derive_profiles(bigint[]) IS 'Derives what is stored of these people again and returns how many of them changed; made by cdp.shape_derivation, called by cdp.materialize_profiles.';
END
$create$;
COMMENT ON FUNCTION cdp.shape_derivation() IS
'Part of cdp.shape_profiles: makes the function that derives the rows of given people.';

CREATE FUNCTION cdp.derive_all_profiles() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $all$
DECLARE
    derived record := cdp.derived_columns();
    is_first boolean;
    event_sources text[];
    mixed_sources text[];
    event_test text;
    changed bigint;
    total bigint := 0;
    caller_work_mem CONSTANT text := pg_catalog.current_setting('work_mem');
BEGIN
    -- Maintenance, like the building of an index; a handful of hash tables and sorts share the memory.
    PERFORM pg_catalog.set_config('work_mem', pg_catalog.format('%skB', GREATEST(pg_catalog.pg_size_bytes(caller_work_mem),
        pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) / 2) / 1024), true);
    -- Files that are empty hold nothing in any snapshot.
    is_first := pg_catalog.pg_relation_size('cdp_data.profile_row') = 0 AND pg_catalog.pg_relation_size('cdp_data.profile_value') = 0;

    -- Which records are events: all of a source of events, also those of which the event was refused; of sources
    -- that both tell of people and of events, those that stand among the events.
    WITH RECURSIVE found(source) AS (
        (SELECT e.source FROM cdp_data.event AS e ORDER BY e.source LIMIT 1)
        UNION ALL
        SELECT (SELECT e.source FROM cdp_data.event AS e WHERE e.source > f.source ORDER BY e.source LIMIT 1) FROM found AS f WHERE f.source IS NOT NULL
    )
    SELECT COALESCE(pg_catalog.array_agg(s.name) FILTER (WHERE s.kind = 'event'), '{}'),
           COALESCE(pg_catalog.array_agg(f.source) FILTER (WHERE s.kind IS DISTINCT FROM 'event' AND f.source IS NOT NULL), '{}')
    INTO event_sources, mixed_sources
    FROM found AS f FULL JOIN cdp_data.source AS s ON s.name = f.source;
    event_test := pg_catalog.format('r.source = ANY (%L::text[])', event_sources);
    IF pg_catalog.cardinality(mixed_sources) > 0 THEN
        event_test := pg_catalog.format('(%s OR r.source = ANY (%L::text[]) AND EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source = r.source AND e.record_key = r.record_key))',
                                        event_test, mixed_sources);
    END IF;

    EXECUTE pg_catalog.format('INSERT INTO cdp_data.profile_value AS t (profile_id, value) %s %s', CASE WHEN is_first THEN '' ELSE
        'SELECT v.profile_id, v.value FROM (' END, $value$
        SELECT i.profile_id, cdp.profile_agg(c.traits) AS value
        FROM cdp_data.contribution AS c JOIN cdp_data.identifier AS i ON i.id = c.hub AND i.state = 'u'
        GROUP BY i.profile_id $value$ || CASE WHEN is_first THEN '' ELSE $value$
        ) AS v LEFT JOIN cdp_data.profile_value AS o ON o.profile_id = v.profile_id
        WHERE o.profile_id IS NULL OR o.value OPERATOR(cdp.<>) v.value
        ON CONFLICT ON CONSTRAINT profile_value_pkey DO UPDATE SET value = EXCLUDED.value $value$ END);
    IF NOT is_first THEN
        DELETE FROM cdp_data.profile_value AS o
        WHERE NOT EXISTS (SELECT FROM cdp_data.contribution AS c JOIN cdp_data.identifier AS i ON i.id = c.hub AND i.state = 'u' WHERE i.profile_id = o.profile_id);
    END IF;

    EXECUTE pg_catalog.format($row$
        INSERT INTO cdp_data.profile_row AS t (%1$s)
        SELECT f.*
        FROM (SELECT %2$s
              FROM (SELECT m.profile_id, bool_or(n.kind = 'person') AS is_known,
                           LEAST(min(m.first_seen), min(m.first_event)) AS first_seen, GREATEST(max(m.last_seen), max(m.last_event)) AS last_seen,
                           COALESCE(sum(m.events), 0)::bigint AS event_count, COALESCE(sum(m.records), 0)::bigint AS record_count%3$s
                    FROM (SELECT i.profile_id, i.namespace_id, i.value, r.records, r.first_seen, r.last_seen, e.events, e.first_event, e.last_event,
                                 row_number() OVER (PARTITION BY i.profile_id, i.namespace_id ORDER BY GREATEST(r.held, e.held, l.held) DESC NULLS LAST, i.value) AS place
                          FROM cdp_data.identifier AS i
                          LEFT JOIN (SELECT r.hub, count(*) FILTER (WHERE NOT r.is_event) AS records, min(r.first_seen) FILTER (WHERE NOT r.is_event) AS first_seen,
                                            max(r.observed_at) FILTER (WHERE NOT r.is_event) AS last_seen, max(r.observed_at) AS held
                                     FROM (SELECT r.hub, r.first_seen, r.observed_at, %4$s AS is_event FROM cdp_data.record AS r%6$s) AS r
                                     GROUP BY r.hub) AS r ON r.hub = i.id
                          LEFT JOIN (SELECT e.hub, count(*) AS events, min(e.occurred_at) AS first_event, max(e.occurred_at) AS last_event, max(e.observed_at) AS held
                                     FROM cdp_data.event AS e GROUP BY e.hub) AS e ON e.hub = i.id
                          LEFT JOIN (SELECT l.b, max(l.last_seen) AS held FROM cdp_data.link AS l WHERE l.state = 'j' AND l.records > 0 GROUP BY l.b) AS l ON l.b = i.id
                          WHERE i.state = 'u') AS m
                    JOIN cdp_data.namespace AS n ON n.namespace_id = m.namespace_id
                    GROUP BY m.profile_id) AS p
              LEFT JOIN cdp_data.profile_value AS v ON v.profile_id = p.profile_id) AS f$row$
        || CASE WHEN is_first THEN '' ELSE $row$
        LEFT JOIN (SELECT %1$s FROM cdp_data.profile_row) AS o ON o.profile_id = f.profile_id
        WHERE o.profile_id IS NULL OR (o.*) IS DISTINCT FROM (f.*)
        ON CONFLICT ON CONSTRAINT profile_row_pkey DO UPDATE SET %5$s $row$ END,
        derived.names, derived.expressions, derived.identifier_columns, event_test, derived.updates,
        CASE WHEN pg_catalog.cardinality(mixed_sources) > 0 THEN ' OFFSET 0' ELSE '' END);      -- the test once a record
    GET DIAGNOSTICS changed = ROW_COUNT;
    total := changed;
    IF NOT is_first THEN
        DELETE FROM cdp_data.profile_row AS o
        WHERE NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.profile_id = o.profile_id AND i.state = 'u');
        GET DIAGNOSTICS changed = ROW_COUNT;
        total := total + changed;
    END IF;
    PERFORM pg_catalog.set_config('work_mem', caller_work_mem, true);
    RETURN total;
END
$all$;
COMMENT ON FUNCTION cdp.derive_all_profiles() IS
'Part of cdp.materialize_profiles: derives what is stored of everybody again, in a few set-based statements, and returns how many rows changed.';

CREATE FUNCTION cdp.materialize_profiles(profile_ids bigint[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $materialize$
DECLARE
    -- Above this share of all people it is faster to derive everybody again.
    share CONSTANT real := 0.1;
    batch CONSTANT integer := 1000;
    is_snapshot CONSTANT boolean := pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable');
    ids bigint[];
    part bigint[];
    free bigint[];
    people real;
    is_everybody boolean := false;
    total bigint := 0;
    -- Segments are being evaluated under this lock, and who changed meanwhile is read in the queue at their end.
    evaluation CONSTANT bigint := pg_catalog.hashtextextended('cdp.evaluation', 0);
    may_delete boolean;
BEGIN
    PERFORM cdp.require_storage();
    IF profile_ids IS NULL THEN
        PERFORM pg_catalog.pg_advisory_xact_lock(evaluation);
    ELSE
        may_delete := NOT is_snapshot AND pg_catalog.pg_try_advisory_xact_lock_shared(evaluation);
    END IF;

    -- The lock on the table comes first: who derives everybody and who derives a few wait for each
    -- other.  Then what is due is taken out of the queue, then people are locked, and only then is
    -- read what is derived from: a change that is not seen is still in the queue afterwards, and
    -- what is written last was read last.
    IF profile_ids IS NOT NULL THEN
        LOCK TABLE cdp_data.profile_row IN ROW EXCLUSIVE MODE;
        ids := ARRAY(SELECT DISTINCT u.id FROM pg_catalog.unnest(profile_ids) AS u(id) WHERE u.id IS NOT NULL ORDER BY u.id);
        FOR start IN 1 .. pg_catalog.cardinality(ids) BY batch LOOP
            part := ids[start : start + batch - 1];
            PERFORM FROM cdp_data.profile AS p WHERE p.profile_id = ANY (part) ORDER BY p.profile_id FOR NO KEY UPDATE;
            IF may_delete THEN          -- otherwise others may have changed them unseen; the next refresh looks again
                DELETE FROM cdp_data.changed_profile AS q
                WHERE q.ctid = ANY (ARRAY(
                    SELECT k.ctid FROM cdp_data.changed_profile AS k
                    WHERE k.profile_id = ANY (part || ARRAY(SELECT - i.id FROM cdp_data.identifier AS i WHERE i.profile_id = ANY (part)))
                    FOR UPDATE SKIP LOCKED));
            END IF;
            total := total + cdp_data.derive_profiles(part);
        END LOOP;
        RETURN total;
    END IF;

    SELECT c.reltuples INTO people FROM pg_catalog.pg_class AS c WHERE c.oid = 'cdp_data.profile_row'::regclass;
    IF EXISTS (SELECT FROM cdp_data.changed_profile AS q WHERE q.profile_id = 0)
       OR (SELECT pg_catalog.count(*) FROM (SELECT DISTINCT q.profile_id FROM cdp_data.changed_profile AS q) AS d) > GREATEST(share * people, batch) THEN
        LOCK TABLE cdp_data.profile_row IN SHARE ROW EXCLUSIVE MODE;
        DELETE FROM cdp_data.changed_profile;
        RETURN cdp.derive_all_profiles();
    END IF;

    LOCK TABLE cdp_data.profile_row IN ROW EXCLUSIVE MODE;
    WITH taken AS (
        DELETE FROM cdp_data.changed_profile AS q
        WHERE q.ctid = ANY (ARRAY(SELECT k.ctid FROM cdp_data.changed_profile AS k FOR UPDATE SKIP LOCKED))
        RETURNING q.profile_id
    )
    SELECT pg_catalog.array_agg(DISTINCT t.profile_id) INTO ids FROM taken AS t;
    is_everybody := 0 = ANY (ids);      -- since the look at the queue
    ids := ARRAY(
        SELECT u.id FROM pg_catalog.unnest(ids) AS u(id) WHERE u.id > 0
        UNION
        SELECT i.profile_id FROM pg_catalog.unnest(ids) AS u(id) JOIN cdp_data.identifier AS i ON i.id = - u.id
        UNION
        -- who took over from an id that retired meanwhile: looked up one by one, not among all that ever retired
        SELECT i.profile_id
        FROM pg_catalog.unnest(ids) AS u(id)
        CROSS JOIN LATERAL (SELECT p.anchor FROM cdp_data.profile AS p WHERE p.profile_id = u.id AND p.state = 'r' OFFSET 0) AS r
        CROSS JOIN LATERAL (SELECT k.profile_id FROM cdp_data.identifier AS k WHERE k.id = r.anchor OFFSET 0) AS i
        WHERE u.id > 0
        ORDER BY 1);
    FOR start IN 1 .. pg_catalog.cardinality(ids) BY batch LOOP
        part := ids[start : start + batch - 1];
        free := ARRAY(SELECT p.profile_id FROM cdp_data.profile AS p WHERE p.profile_id = ANY (part) ORDER BY p.profile_id FOR NO KEY UPDATE SKIP LOCKED);
        IF pg_catalog.cardinality(free) < pg_catalog.cardinality(part) THEN      -- whoever is being changed right now is left to the next call
            INSERT INTO cdp_data.changed_profile (profile_id)
            SELECT p.profile_id FROM cdp_data.profile AS p WHERE p.profile_id = ANY (part) AND p.profile_id <> ALL (free);
        END IF;
        total := total + cdp_data.derive_profiles(free);
    END LOOP;
    IF is_everybody THEN
        INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
    END IF;
    RETURN total;
END
$materialize$;
COMMENT ON FUNCTION cdp.materialize_profiles(bigint[]) IS
'Brings what is stored of people (cdp.profiles, cdp.profile_values) to what their records say now: of the given ones, or (NULL) of all that changed since the last call.  Returns how many changed.  cdp.refresh calls it.';

-- ---------- views ----------

CREATE FUNCTION cdp.shape_events() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off     -- names of types are compared as text
AS $shape$
DECLARE
    c record;
BEGIN
    SELECT pg_catalog.array_agg(v.name ORDER BY v.place, v.name) AS names, pg_catalog.array_agg(v.type ORDER BY v.place, v.name) AS types,
           pg_catalog.array_agg(v.expression ORDER BY v.place, v.name) AS expressions, pg_catalog.array_agg(v.comment ORDER BY v.place, v.name) AS comments
    INTO c
    FROM (
        VALUES ('profile_id', 'bigint', 'i.profile_id', 'person who did it: the profile that holds the strongest identifier of the event', 1),
               ('event_name', 'text', 'e.event_name', 'what happened', 2),
               ('occurred_at', 'timestamp with time zone', 'e.occurred_at', 'when it happened', 3),
               ('source', 'text', 'e.source', 'source', 4),
               ('record_key', 'text', 'e.record_key', 'key of the row within its source', 5),
               ('observed_at', 'timestamp with time zone', 'e.observed_at', 'time of this version of the row', 6),
               ('properties', 'jsonb', 'e.properties', 'properties without a column of their own', 7)
        UNION ALL
        SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format('e.%I', a.attname), pg_catalog.format('property %s', a.attname), 100 + a.attnum
        FROM pg_catalog.pg_attribute AS a JOIN cdp_data.property AS p ON p.name = a.attname
        WHERE a.attrelid = 'cdp_data.event'::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ) AS v(name, type, expression, comment, place);
    IF pg_catalog.to_regclass('cdp.events') IS NOT NULL THEN
        PERFORM cdp.lock_view('cdp.events');
    END IF;
    PERFORM cdp.shape_view('events', 'cdp_data.event AS e JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) e.hub',
        c.names, c.types, c.expressions, c.comments, 'what people did, each event with the person as known now');
END
$shape$;
COMMENT ON FUNCTION cdp.shape_events() IS
'Part of cdp.create_source and cdp.alter_source: brings the columns of cdp.events to those that cdp_data.event has for declared properties.';

CREATE FUNCTION cdp.setup_profile_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
DECLARE
    columns_before CONSTANT bigint := (SELECT pg_catalog.max(a.attnum) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'cdp_data.profile_row'::regclass);
BEGIN
    PERFORM cdp.shape_profiles();
    -- The namespace of an administrator gets its column here, and may have identifiers by now.
    IF (SELECT pg_catalog.max(a.attnum) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'cdp_data.profile_row'::regclass) > columns_before
       AND NOT EXISTS (SELECT FROM cdp_data.changed_profile AS q WHERE q.profile_id = 0) THEN
        INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
    END IF;
    PERFORM cdp.shape_events();

    CREATE OR REPLACE VIEW cdp.profile_values AS
        SELECT v.profile_id, v.value FROM cdp_data.profile_value AS v;
    COMMENT ON VIEW cdp.profile_values IS 'all that records say of a person, as one value of type cdp.profile with every candidate and where it came from';
    COMMENT ON COLUMN cdp.profile_values.profile_id IS 'key of the person';
    COMMENT ON COLUMN cdp.profile_values.value IS 'all candidates of all traits; cdp.profile_traits(value) lists them';

    CREATE OR REPLACE VIEW cdp.traits AS
        SELECT t.name AS trait, t.key, t.type, t.survivorship, t.sources, t.ignore_empty, t.history, t.is_declared, t.created_at,
               (SELECT pg_catalog.array_agg(DISTINCT s.source::text ORDER BY s.source::text) FROM cdp_data.source_column AS s
                WHERE s.kind OPERATOR(pg_catalog.=) 'trait' AND s.name OPERATOR(pg_catalog.=) t.key) AS given_by
        FROM cdp_data.trait AS t;
    COMMENT ON VIEW cdp.traits IS 'the traits that have a column in cdp.profiles; see cdp.create_trait';
    COMMENT ON COLUMN cdp.traits.trait IS 'name of the trait and of its column';
    COMMENT ON COLUMN cdp.traits.key IS 'name by which select lists of sources give it: the first name, where it was renamed';
    COMMENT ON COLUMN cdp.traits.type IS 'type of the column';
    COMMENT ON COLUMN cdp.traits.survivorship IS 'policy by which one of several values wins';
    COMMENT ON COLUMN cdp.traits.sources IS 'ranked sources of the policy priority, best first';
    COMMENT ON COLUMN cdp.traits.ignore_empty IS 'whether NULL and empty values lose against any other';
    COMMENT ON COLUMN cdp.traits.history IS 'whether superseded values are kept';
    COMMENT ON COLUMN cdp.traits.is_declared IS 'by cdp.create_trait; otherwise by the expression of a source, with the default policy';
    COMMENT ON COLUMN cdp.traits.created_at IS 'since when';
    COMMENT ON COLUMN cdp.traits.given_by IS 'sources with an expression for it';
END
$views$;
COMMENT ON FUNCTION cdp.setup_profile_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability profile.';

-- ---------- one person ----------

CREATE FUNCTION cdp.current_survivorship() RETURNS cdp.survivorship
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $current$
DECLARE
    rules jsonb;
BEGIN
    SELECT pg_catalog.jsonb_object_agg(t.key, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
               'policy', t.survivorship, 'sources', pg_catalog.to_jsonb(t.sources), 'ignore_empty', NULLIF(t.ignore_empty, false))))
    INTO rules
    FROM cdp_data.trait AS t WHERE (t.survivorship, t.ignore_empty) <> ('last', false);
    RETURN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('default', '{"policy": "last"}'::jsonb, 'traits', rules))::text::cdp.survivorship;
END
$current$;
COMMENT ON FUNCTION cdp.current_survivorship() IS
'The policies of all traits, as cdp.create_trait declared them, as one value: SELECT cdp.profile_traits(value, cdp.current_survivorship()) FROM cdp.profile_values.';

-- What identifiers hold of a person, by index whatever the tables held when the plan was made.
CREATE FUNCTION cdp.get_profile(profile_id bigint, events integer DEFAULT 20) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET jit = off
AS $get$
#variable_conflict use_column
DECLARE
    wanted bigint := cdp.canonical_id($1);
    hubs bigint[];
    counted record;
    identifiers jsonb;
    traits jsonb;
    computed jsonb;
    segments jsonb;
    recent jsonb;
    known boolean;
BEGIN
    IF wanted IS NULL THEN
        RETURN NULL;
    END IF;
    IF $2 < 0 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'events must not be negative',
            HINT = 'Give 0 for none, NULL for all of them.';
    END IF;
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('namespace', n.name, 'value', i.value, 'state',
               CASE i.state WHEN 'u' THEN 'usable' WHEN 's' THEN 'shared' ELSE 'blocked' END, 'created_at', i.created_at) ORDER BY n.priority, n.name, i.value),
           pg_catalog.array_agg(i.id) FILTER (WHERE i.state = 'u'), COALESCE(pg_catalog.bool_or(n.kind = 'person') FILTER (WHERE i.state = 'u'), false)
    INTO identifiers, hubs, known
    FROM cdp_data.identifier AS i JOIN cdp_data.namespace AS n ON n.namespace_id = i.namespace_id
    WHERE i.profile_id = wanted;

    SELECT p.first_seen, p.last_seen, p.event_count, p.record_count INTO counted FROM cdp_data.profile_row AS p WHERE p.profile_id = wanted;
    IF NOT FOUND OR EXISTS (SELECT FROM cdp_data.changed_profile AS q
                            WHERE q.profile_id = ANY (ARRAY[0, wanted] || ARRAY(SELECT - u.id FROM pg_catalog.unnest(hubs) AS u(id)))) THEN
        -- What is stored waits for the next refresh.
        SELECT LEAST(pg_catalog.min(r.first_seen), pg_catalog.min(e.first_seen)) AS first_seen, GREATEST(pg_catalog.max(r.last_seen), pg_catalog.max(e.last_seen)) AS last_seen,
               COALESCE(pg_catalog.sum(e.event_count), 0)::bigint AS event_count, COALESCE(pg_catalog.sum(r.record_count), 0)::bigint AS record_count
        INTO counted
        FROM pg_catalog.unnest(hubs) AS h(id)
        CROSS JOIN LATERAL (
            SELECT pg_catalog.count(*) AS record_count, pg_catalog.min(d.first_seen) AS first_seen, pg_catalog.max(d.observed_at) AS last_seen
            FROM cdp_data.record AS d
            WHERE d.hub = h.id AND NOT EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = d.source AND s.kind = 'event')
              AND NOT EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source = d.source AND e.record_key = d.record_key)) AS r
        CROSS JOIN LATERAL (
            SELECT pg_catalog.count(*) AS event_count, pg_catalog.min(e.occurred_at) AS first_seen, pg_catalog.max(e.occurred_at) AS last_seen
            FROM cdp_data.event AS e WHERE e.hub = h.id) AS e;
    END IF;

    WITH given AS MATERIALIZED (
        SELECT c.source, c.record_key, cdp.record_hash(c.record_key) AS record, c.traits FROM cdp_data.contribution AS c WHERE c.hub = ANY (hubs)
    )
    SELECT pg_catalog.jsonb_object_agg(COALESCE(t.name, w.trait), pg_catalog.jsonb_build_object('value', w.value, 'source', w.source,
               'record_key', (SELECT g.record_key FROM given AS g WHERE g.source = w.source AND g.record = w.record LIMIT 1), 'observed_at', w.observed_at))
    INTO traits
    FROM (SELECT cdp.profile_agg(g.traits) AS value FROM given AS g) AS v
    CROSS JOIN LATERAL cdp.profile_traits(v.value, cdp.current_survivorship()) AS w
    LEFT JOIN cdp_data.trait AS t ON t.key = w.trait
    WHERE w.is_winner AND w.value <> 'null';

    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('event_name', k.event_name, 'occurred_at', k.occurred_at, 'source', k.source, 'record_key', k.record_key,
               'properties', pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(k.*) - ARRAY['hub', 'occurred_at', 'observed_at', 'source', 'event_name', 'record_key', 'properties'])
                             || COALESCE(k.properties, '{}')) ORDER BY k.occurred_at DESC, k.source, k.record_key)
    INTO recent
    FROM (
        SELECT e.*
        FROM pg_catalog.unnest(hubs) AS h(id)
        CROSS JOIN LATERAL (SELECT e.* FROM cdp_data.event AS e WHERE e.hub = h.id ORDER BY e.occurred_at DESC LIMIT $2) AS e
        ORDER BY e.occurred_at DESC, e.source, e.record_key LIMIT $2
    ) AS k;

    IF EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait') THEN
        SELECT pg_catalog.jsonb_object_agg(e.name, v.value -> e.name) INTO computed
        FROM (SELECT pg_catalog.to_jsonb(p.*) AS value FROM cdp_data.profile_row AS p WHERE p.profile_id = wanted) AS v
        JOIN cdp_data.expression AS e ON e.kind = 'trait' WHERE v.value -> e.name <> 'null';
    END IF;
    SELECT pg_catalog.jsonb_object_agg(e.name, m.entered_at) INTO segments
    FROM cdp_data.expression AS e JOIN cdp_data.segment_member AS m ON m.segment_id = e.expression_id AND m.profile_id = wanted
    WHERE e.kind = 'segment';

    RETURN pg_catalog.jsonb_build_object('profile_id', wanted, 'is_known', known, 'first_seen', counted.first_seen, 'last_seen', counted.last_seen,
        'event_count', counted.event_count, 'record_count', counted.record_count, 'identifiers', identifiers,
        'traits', COALESCE(traits, '{}'), 'computed_traits', COALESCE(computed, '{}'), 'segments', COALESCE(segments, '{}'),
        'events', COALESCE(recent, '[]'));
END
$get$;
COMMENT ON FUNCTION cdp.get_profile(bigint, integer) IS
'Everything about one person as one JSON object: identifiers, traits with the record that each value comes from, computed traits, segments with the time of entry, counts, and the latest events (NULL: all).  A retired id leads to its successor; NULL for an id that was never given.';

CREATE FUNCTION cdp.get_profile(namespace text, value text, events integer DEFAULT 20) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN cdp.get_profile(cdp.resolve(namespace, value), events);
COMMENT ON FUNCTION cdp.get_profile(text, text, integer) IS
'Everything about the person who holds an identifier, as cdp.get_profile(profile_id, events); NULL when the identifier is unknown.';

CREATE FUNCTION cdp.explain_trait(
    profile_id bigint, trait text,
    OUT place bigint, OUT value jsonb, OUT source text, OUT record_key text, OUT observed_at timestamptz, OUT is_winner boolean, OUT reason text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $explain$
#variable_conflict use_column
DECLARE
    wanted bigint := cdp.canonical_id($1);
    wanted_key text := COALESCE((SELECT t.key FROM cdp_data.trait AS t WHERE t.name = $2), $2);
BEGIN
    IF wanted IS NULL THEN
        RAISE no_data_found USING MESSAGE = pg_catalog.format('profile %s does not exist', $1);
    END IF;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT c.source, c.record_key, cdp.record_hash(c.record_key) AS record, c.traits
        FROM cdp_data.identifier AS i JOIN cdp_data.contribution AS c ON c.hub = i.id
        WHERE i.profile_id = wanted AND i.state = 'u'
    )
    SELECT x.place::bigint, x.value, x.source, (SELECT g.record_key FROM given AS g WHERE g.source = x.source AND g.record = x.record LIMIT 1)::text,
           x.observed_at, x.is_winner, x.reason
    FROM (SELECT cdp.profile_agg(g.traits) AS value FROM given AS g) AS v
    CROSS JOIN LATERAL cdp.explain_trait(v.value, wanted_key, cdp.current_survivorship()) AS x
    ORDER BY x.place;
    IF NOT FOUND AND NOT EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.key = wanted_key) THEN
        IF EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name = $2) THEN
            RAISE invalid_parameter_value USING
                MESSAGE = pg_catalog.format('"%s" is a computed trait, which no record gives', $2),
                HINT = 'The view cdp.computed_traits has its expression.';
        END IF;
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('trait "%s" does not exist', $2),
            DETAIL = 'It is not declared, and no record of this person gives it.',
            HINT = 'The view cdp.traits lists those that are declared.';
    END IF;
END
$explain$;
COMMENT ON FUNCTION cdp.explain_trait(bigint, text) IS
'Why a trait of a person has the value that it has: every value that records give for it, the winner first, each with its record and the reason for its place.  No rows when no record gives it for this person; an error when the trait is not declared either.';

-- ---------- health ----------

CREATE FUNCTION cdp.profile_health(OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $health$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'profiles are waiting', 'info',
           pg_catalog.format('%s changes are not in cdp.profiles yet', CASE WHEN q.waiting > 100000 THEN 'more than 100000' ELSE q.waiting::text END),
           'CALL cdp.refresh(); cdp.get_profile() and cdp.events show them already.', NULL::timestamptz
    FROM (SELECT pg_catalog.count(*) AS waiting FROM (SELECT FROM cdp_data.changed_profile AS c LIMIT 100001) AS few) AS q
    WHERE q.waiting > 0
    UNION ALL
    SELECT 'column is missing', 'warning', pg_catalog.format('cdp.profiles has no column for %s', pg_catalog.string_agg(pg_catalog.format('"%s"', c.name), ', ')),
           'The owner of the storage calls SELECT cdp.setup();', NULL
    FROM cdp.profile_columns() AS c
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = pg_catalog.to_regclass('cdp.profiles') AND a.attname = c.name AND NOT a.attisdropped)
    HAVING pg_catalog.count(*) > 0;
END
$health$;
COMMENT ON FUNCTION cdp.profile_health() IS
'Part of cdp.health: what is not in the unified views yet.';
