-- source: capture, triggers on the tables of sources that notice changed rows.
--
-- The trigger function cdp_data.capture() is made by cdp.setup(), belongs to the
-- owner of the storage and is SECURITY DEFINER, because who writes to a
-- source's table has no rights in the storage.  It finds the keys of the rows
-- that a statement changed, under the role of the source's owner
-- (cdp.changed_keys), and either notes them (capture => 'queue') or has the rows
-- taken in at once (capture => 'immediate').  What goes wrong is noted in
-- cdp.rejected_records and does not reach the writer.

-- ---------- the relation of a source ----------

CREATE FUNCTION cdp.find_relation(relation text) RETURNS oid
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.oid
    FROM (SELECT pg_catalog.parse_ident(relation)) AS p(parts)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname OPERATOR(pg_catalog.=) (p.parts)[1]
    JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) (p.parts)[2];
END;
COMMENT ON FUNCTION cdp.find_relation(text) IS
'Internal: the relation of that qualified name, NULL when there is none.  Looked up in the catalogs, since who refreshes need not have rights on the schema.';

-- ---------- the trigger function ----------

CREATE FUNCTION cdp.changed_query(source text, relation regclass, OUT query text, OUT owner name, OUT time_zone text, OUT search_path text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $query$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    -- Rows of other tables might be of types that have their own idea of a cast to text.
    WITH RECURSIVE above AS (
        SELECT $2::oid AS relid
        UNION
        SELECT i.inhparent FROM above AS a JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = a.relid
    )
    SELECT pg_catalog.format('SELECT DISTINCT k.record_key FROM (SELECT %s AS record_key FROM changed AS %I) AS k WHERE k.record_key IS NOT NULL',
                             cdp.source_key(s.name), n.parts[pg_catalog.cardinality(n.parts)]),
           s.owner, COALESCE(s.time_zone, (SELECT o.value FROM cdp.options AS o WHERE o.name = 'time_zone')), s.search_path
    FROM cdp_data.source AS s CROSS JOIN LATERAL pg_catalog.parse_ident(s.relation) AS n(parts)
    WHERE s.name = $1 AND EXISTS (SELECT FROM above AS a WHERE a.relid = cdp.find_relation(s.relation));
END
$query$;
COMMENT ON FUNCTION cdp.changed_query(text, regclass) IS
'Internal: what cdp.changed_keys runs over the relation "changed", and under which role and settings; no row when there is no such source, or when the table is neither its table nor a partition of it.';

CREATE FUNCTION cdp.changed_keys(source text, relation regclass, changed refcursor) RETURNS SETOF text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_changed_keys';
COMMENT ON FUNCTION cdp.changed_keys(text, regclass, refcursor) IS
'Part of capture: the keys of the rows of a table that an open cursor yields, by the expression of the source and under the role of its owner.  Only the owner of the storage may call it.';

CREATE FUNCTION cdp.is_applying() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cdp_is_applying';
COMMENT ON FUNCTION cdp.is_applying() IS
'Part of capture: whether this session applies changes of another server row by row, so that only triggers for rows fire.';

CREATE FUNCTION cdp.wait_to_write(keys bigint, patience integer) RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_wait_to_write';
COMMENT ON FUNCTION cdp.wait_to_write(bigint, integer) IS
'Part of capture: waits, for so many milliseconds, until that many keys can be taken in; false when a refresh does not let it.';

CREATE FUNCTION cdp.is_about_rows(state text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Data exceptions, constraints, exceptions of functions, limits, RAISE; not a missing column or right.
    SELECT "left"(state, 2) = ANY (ARRAY['21', '22', '23', '2F', '38', '39', '54', 'P0']);
END;
COMMENT ON FUNCTION cdp.is_about_rows(text) IS
'Internal: whether an error with this SQLSTATE is likely due to a value of one row, so that other rows may do better.';

CREATE FUNCTION cdp.note_failed_capture(source text, record_key text, state text, message text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
BEGIN
    IF record_key IS NOT NULL THEN
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = $1 AND r.record_key = $2;
    ELSIF EXISTS (SELECT FROM cdp_data.rejected_record AS r
                  WHERE r.source = $1 AND r.record_key IS NULL AND r.reason = 'capture_failed' AND r.detail = $4) THEN
        RETURN;
    END IF;
    INSERT INTO cdp_data.rejected_record (source, record_key, reason, detail, identifiers, rejected_at)
    VALUES ($1, $2, 'capture_failed', $4, pg_catalog.jsonb_build_object('sqlstate', $3), pg_catalog.clock_timestamp());
END
$note$;
COMMENT ON FUNCTION cdp.note_failed_capture(text, text, text, text) IS
'Part of capture: notes in cdp.rejected_records what went wrong; without a record_key, once for each message.';

CREATE FUNCTION cdp.take_in_keys(source text, keys text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $take$
DECLARE
    -- Parts of the keys that are still to be taken in: where each begins and ends.
    starts integer[] := ARRAY[1];
    ends integer[] := ARRAY[COALESCE(pg_catalog.cardinality(keys), 0)];
    first integer;
    last integer;
    attempts integer := 0;
    remaining text[] := '{}';
    state text;
    message text;
BEGIN
    WHILE pg_catalog.cardinality(starts) > 0 LOOP
        first := starts[pg_catalog.cardinality(starts)];
        last := ends[pg_catalog.cardinality(ends)];
        starts := starts[:pg_catalog.cardinality(starts) - 1];
        ends := ends[:pg_catalog.cardinality(ends) - 1];
        IF last < first THEN
            CONTINUE;
        END IF;
        -- When very many fail, it is not the rows.
        attempts := attempts + 1;
        IF attempts > 200 THEN
            remaining := remaining || keys[first:last];
            CONTINUE;
        END IF;
        BEGIN
            PERFORM cdp.take_in(source, 'keys', keys[first:last]);
        EXCEPTION
            WHEN transaction_rollback OR operator_intervention OR lock_not_available THEN
                RAISE;
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
                IF NOT cdp.is_about_rows(state) THEN
                    PERFORM cdp.note_failed_capture(source, NULL, state, message);
                    RETURN remaining || keys[first:last] || COALESCE((
                        SELECT pg_catalog.array_agg(k.key ORDER BY p.part, k.number)
                        FROM ROWS FROM (pg_catalog.unnest(starts), pg_catalog.unnest(ends)) WITH ORDINALITY AS p(first, last, part)
                        CROSS JOIN LATERAL pg_catalog.unnest(keys[p.first:p.last]) WITH ORDINALITY AS k(key, number)), '{}');
                ELSIF first = last THEN
                    PERFORM cdp.note_failed_capture(source, keys[first], state, message);
                ELSE
                    starts := starts || (first + last) / 2 + 1 || first;
                    ends := ends || last || (first + last) / 2;
                END IF;
        END;
    END LOOP;
    RETURN remaining;
END
$take$;
COMMENT ON FUNCTION cdp.take_in_keys(text, text[]) IS
'Part of capture: takes in the rows with these keys; a row that fails is found by halving, noted in cdp.rejected_records and left out.  Returns the keys that are left for a refresh, because it is not the rows that fail.';

CREATE FUNCTION cdp.record_hubs(source text, keys text[]) RETURNS bigint[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    -- such a plan may cost much by the planner's account, and to compile it each time takes far longer than to run it
    SET jit = off
AS $hubs$
BEGIN
    RETURN ARRAY(
        SELECT r.hub FROM cdp_data.record AS r WHERE r.source = $1 AND r.record_key = ANY ($2)
        UNION SELECT c.hub FROM cdp_data.contribution AS c WHERE c.source = $1 AND c.record_key = ANY ($2)
        UNION SELECT e.hub FROM cdp_data.event AS e WHERE e.source = $1 AND e.record_key = ANY ($2));
END
$hubs$;
COMMENT ON FUNCTION cdp.record_hubs(text, text[]) IS
'Part of capture: the identifiers on which records hang.';

CREATE FUNCTION cdp.capture_now(source text, keys text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $capture$
DECLARE
    -- For as long as a writer may wait for a refresh, in milliseconds.
    patience CONSTANT integer := 1000;
    -- With more keys than this, deriving the rows of people is left to a refresh.
    at_once CONSTANT integer := 10000;
    hubs bigint[];
    last_change bigint;
    remaining text[];
    people bigint[];
    moved bigint[];
    event_names text[];
    -- Whether anybody is evaluated here.
    has_realtime CONSTANT boolean := EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.is_realtime);
BEGIN
    IF NOT cdp.wait_to_write(pg_catalog.cardinality(keys), patience) THEN
        INSERT INTO cdp_data.captured_key (source, record_key) SELECT $1, k FROM pg_catalog.unnest(keys) AS k;
        RETURN;
    END IF;
    IF has_realtime THEN
        -- Before anything that the pass of a refresh might wait for; see src/segment/realtime.c.
        LOCK TABLE cdp_data.segment_member IN ROW EXCLUSIVE MODE;
        PERFORM cdp.moved_profiles();
    END IF;
    -- Some of what had to be left earlier comes along.
    IF pg_catalog.cardinality(keys) <= 50 THEN
        WITH earlier AS (
            DELETE FROM cdp_data.captured_key AS c
            WHERE c.captured_id = ANY (ARRAY(SELECT q.captured_id FROM cdp_data.captured_key AS q
                                             WHERE q.source = $1 AND q.record_key IS NOT NULL ORDER BY q.captured_id LIMIT 50 FOR UPDATE SKIP LOCKED))
            RETURNING c.record_key)
        SELECT keys || COALESCE(pg_catalog.array_agg(DISTINCT e.record_key), '{}') INTO keys FROM earlier AS e WHERE e.record_key <> ALL (keys);
    END IF;
    IF pg_catalog.cardinality(keys) <= at_once THEN
        hubs := cdp.record_hubs(source, keys);
        IF has_realtime THEN
            event_names := cdp.captured_names(source, keys);
        END IF;
        SELECT pg_catalog.max(c.change_id) INTO last_change FROM cdp_data.identity_change AS c;
    END IF;
    remaining := cdp.take_in_keys(source, keys);
    IF pg_catalog.cardinality(remaining) > 0 THEN
        INSERT INTO cdp_data.captured_key (source, record_key) SELECT $1, k FROM pg_catalog.unnest(remaining) AS k;
    END IF;
    IF pg_catalog.cardinality(keys) > at_once THEN
        RETURN;
    END IF;
    hubs := hubs || cdp.record_hubs(source, keys);
    people := ARRAY(
        SELECT i.profile_id FROM cdp_data.identifier AS i WHERE i.id = ANY (hubs)
        UNION SELECT c.profile_id FROM cdp_data.identity_change AS c WHERE c.change_id > COALESCE(last_change, 0)
        UNION SELECT c.other_profile_id FROM cdp_data.identity_change AS c WHERE c.change_id > COALESCE(last_change, 0));
    IF has_realtime THEN
        moved := cdp.moved_profiles();
        people := ARRAY(SELECT p FROM pg_catalog.unnest(people) AS p UNION SELECT m FROM pg_catalog.unnest(moved) AS m);
    END IF;
    IF pg_catalog.cardinality(people) > 0 THEN
        PERFORM cdp.materialize_profiles(people);
        IF has_realtime THEN
            PERFORM cdp.evaluate_captured(source, people, moved, event_names || cdp.captured_names(source, keys),
                EXISTS (SELECT FROM cdp_data.identity_change AS c WHERE c.change_id > COALESCE(last_change, 0)));
        END IF;
    END IF;
END
$capture$;
COMMENT ON FUNCTION cdp.capture_now(text, text[]) IS
'Part of capture: takes in the rows with these keys and derives the rows of the people whom they concern.  While a refresh is writing, the keys are noted instead.';

CREATE FUNCTION cdp.setup_capture_functions() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $create$
BEGIN
    CREATE OR REPLACE FUNCTION cdp_data.capture() RETURNS trigger
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
    AS $body$
    DECLARE
        source_name CONSTANT text := TG_ARGV[0];
        mode text;
        changed refcursor;
        keys text[];
        state text;
        message text;
    BEGIN
        IF TG_LEVEL = 'ROW' AND NOT cdp.is_applying() THEN
            RETURN NULL;    -- the trigger for the statement sees the row
        END IF;
        SELECT s.capture INTO mode FROM cdp_data.source AS s WHERE s.name = source_name;
        IF mode IS NULL OR mode = 'pull' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'TRUNCATE' THEN
            -- Nothing is withdrawn: the rows may be about to come back.
            INSERT INTO cdp_data.captured_key (source, record_key) VALUES (source_name, NULL);
            RETURN NULL;
        END IF;
        IF TG_LEVEL = 'ROW' THEN
            -- Analysed each time: a session may live through changes of the table.
            IF TG_OP = 'INSERT' THEN
                OPEN changed NO SCROLL FOR EXECUTE 'SELECT $1.*' USING NEW;
            ELSIF TG_OP = 'DELETE' THEN
                OPEN changed NO SCROLL FOR EXECUTE 'SELECT $1.*' USING OLD;
            ELSE
                OPEN changed NO SCROLL FOR EXECUTE 'SELECT $1.* UNION ALL SELECT $2.*' USING OLD, NEW;
            END IF;
        ELSIF TG_OP = 'INSERT' THEN
            OPEN changed NO SCROLL FOR SELECT n.* FROM new_rows AS n;
        ELSIF TG_OP = 'DELETE' THEN
            OPEN changed NO SCROLL FOR SELECT o.* FROM old_rows AS o;
        ELSE
            OPEN changed NO SCROLL FOR SELECT o.* FROM old_rows AS o UNION ALL SELECT n.* FROM new_rows AS n;
        END IF;
        IF mode = 'queue' THEN
            INSERT INTO cdp_data.captured_key (source, record_key) SELECT source_name, k FROM cdp.changed_keys(source_name, TG_RELID, changed) AS k;
        ELSE
            keys := ARRAY(SELECT k FROM cdp.changed_keys(source_name, TG_RELID, changed) AS k);
            IF pg_catalog.cardinality(keys) > 0 THEN
                PERFORM cdp.capture_now(source_name, keys);
            END IF;
        END IF;
        CLOSE changed;
        RETURN NULL;
    EXCEPTION
        -- What the writer has to know: cancelling and timeouts, deadlocks, serialization failures.
        WHEN transaction_rollback OR operator_intervention OR lock_not_available THEN
            RAISE;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            BEGIN
                -- Nothing of schema cdp, which may be gone while the storage was kept.
                -- Noted each time, since a full compare that is about to end may not have seen these rows.
                INSERT INTO cdp_data.captured_key (source, record_key) VALUES (source_name, NULL);
                INSERT INTO cdp_data.rejected_record (source, reason, detail, identifiers, rejected_at)
                SELECT source_name, 'capture_failed', message, pg_catalog.jsonb_build_object('sqlstate', state), pg_catalog.clock_timestamp()
                WHERE NOT EXISTS (SELECT FROM cdp_data.rejected_record AS r
                                  WHERE r.source = source_name AND r.record_key IS NULL AND r.reason = 'capture_failed' AND r.detail = message);
            EXCEPTION
                WHEN transaction_rollback OR operator_intervention OR lock_not_available THEN
                    RAISE;
                WHEN OTHERS THEN
                    RAISE WARNING USING
                        MESSAGE = pg_catalog.format('changes of %s were not captured for source "%s" of cdp', TG_RELID::regclass, source_name),
                        HINT = pg_catalog.format('CALL cdp.refresh(ARRAY[%L], full_compare => true) reads them.', source_name);
            END;
            RETURN NULL;
    END
    $body$;
    REVOKE ALL ON FUNCTION cdp_data.capture() FROM PUBLIC;
    COMMENT ON FUNCTION cdp_data.capture() IS 'Trigger on the tables of sources with capture: notes the changed rows, or takes them in at once; see cdp.install_capture.';
END
$create$;
COMMENT ON FUNCTION cdp.setup_capture_functions() IS
'Part of cdp.setup(): makes or replaces the trigger function of capture, which belongs to the owner of the storage.';

-- ---------- triggers ----------

CREATE FUNCTION cdp.capture_triggers(source text, OUT relation regclass, OUT trigger_name name, OUT event text, OUT level text, OUT enabled text, OUT definition text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $triggers$
DECLARE
    declared record;
    root oid;
    -- Names of sources may be longer than names of triggers.
    label CONSTANT text := CASE WHEN pg_catalog.octet_length(source) <= 40 THEN source
                                ELSE pg_catalog.substr(pg_catalog.md5(source), 1, 16) END;
BEGIN
    SELECT s.relation, s.capture INTO declared FROM cdp_data.source AS s WHERE s.name = source;
    IF declared.capture IS NULL OR declared.capture = 'pull' OR declared.relation IS NULL THEN
        RETURN;
    END IF;
    root := cdp.find_relation(declared.relation);
    RETURN QUERY
    WITH RECURSIVE tree AS (
        SELECT root AS relid
        UNION
        SELECT i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.relid
    ), tables AS (
        SELECT c.oid::regclass AS relid, c.relispartition AND c.oid <> root AS is_partition
        FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
        WHERE c.relkind IN ('r', 'p')
    )
    SELECT t.relid, n.name::name, k.event, k.level, k.enabled,
           pg_catalog.format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH %s EXECUTE FUNCTION cdp_data.capture(%L)',
                             n.name, k.event, t.relid, k.referencing, k.level, source)
    FROM tables AS t
    CROSS JOIN (VALUES
        ('insert', 'INSERT', 'REFERENCING NEW TABLE AS new_rows', 'STATEMENT', 'ALWAYS'),
        ('update', 'UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows', 'STATEMENT', 'ALWAYS'),
        ('delete', 'DELETE', 'REFERENCING OLD TABLE AS old_rows', 'STATEMENT', 'ALWAYS'),
        ('truncate', 'TRUNCATE', '', 'STATEMENT', 'ALWAYS'),
        -- For rows that are applied one by one; partitions have it from their parent.
        ('row', 'INSERT OR UPDATE OR DELETE', '', 'ROW', 'REPLICA')
    ) AS k(suffix, event, referencing, level, enabled)
    CROSS JOIN LATERAL (SELECT pg_catalog.format('cdp_%s_%s', label, k.suffix)) AS n(name)
    WHERE k.level = 'STATEMENT' OR NOT t.is_partition
    ORDER BY t.relid::oid, k.suffix;
END
$triggers$;
COMMENT ON FUNCTION cdp.capture_triggers(text) IS
'Internal: the triggers that a source with capture has to have, on its table and on each partition.';

CREATE FUNCTION cdp.verify_capture(source text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $verify$
DECLARE
    t record;
    was_missing boolean := false;
BEGIN
    FOR t IN
        SELECT w.*, g.oid IS NOT NULL AS exists
        FROM cdp.capture_triggers(source) AS w
        LEFT JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = w.relation AND g.tgname = w.trigger_name
            AND g.tgfoid = 'cdp_data.capture'::regproc
        WHERE g.oid IS NULL OR g.tgenabled <> pg_catalog.left(w.enabled, 1)::"char"
    LOOP
        -- Disabling them is a way of missing changes, too.
        was_missing := true;
        BEGIN
            IF NOT t.exists THEN
                EXECUTE t.definition;
            END IF;
            EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE %s TRIGGER %I', t.relation, t.enabled, t.trigger_name);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE insufficient_privilege USING
                MESSAGE = pg_catalog.format('the triggers of source "%s" are missing, and role %s may not create them', source, pg_catalog.quote_ident(current_user)),
                DETAIL = SQLERRM,
                HINT = pg_catalog.format('The owner of the table, with access to cdp as admin, runs SELECT cdp.install_capture(%L).', source);
        END;
    END LOOP;
    RETURN was_missing;
END
$verify$;
COMMENT ON FUNCTION cdp.verify_capture(text) IS
'Internal: puts back the triggers of a source with capture that are missing or disabled, after its table was created anew or got a partition.  True when there were any, so that a full compare has to follow.';

CREATE FUNCTION cdp.remove_capture(source text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $remove$
DECLARE
    t record;
BEGIN
    PERFORM cdp.require_storage();
    FOR t IN
        SELECT g.tgrelid::regclass AS relation, g.tgname
        FROM pg_catalog.pg_trigger AS g
        WHERE g.tgfoid = 'cdp_data.capture'::regproc AND g.tgparentid = 0
          AND g.tgargs = pg_catalog.convert_to(source, pg_catalog.getdatabaseencoding()) || pg_catalog.decode('00', 'hex')
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
    END LOOP;
    DELETE FROM cdp_data.captured_key AS c WHERE c.source = $1;
END
$remove$;
COMMENT ON FUNCTION cdp.remove_capture(text) IS
'Part of cdp.drop_source: takes the triggers of a source away, wherever they are, and forgets the keys that they noted.';

CREATE FUNCTION cdp.install_capture(source text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $install$
DECLARE
    declared record;
    kind "char";
    stale record;
    abroad regclass;
BEGIN
    PERFORM cdp.require_storage();
    SELECT s.relation, s.capture INTO declared FROM cdp_data.source AS s WHERE s.name = source;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('source "%s" does not exist', source),
            HINT = 'The view cdp.sources lists the sources.';
    END IF;
    -- Triggers on another table than today's, or of a source that is pulled now.
    FOR stale IN
        SELECT g.tgrelid::regclass AS relation, g.tgname
        FROM pg_catalog.pg_trigger AS g
        WHERE g.tgfoid = 'cdp_data.capture'::regproc AND g.tgparentid = 0
          AND g.tgargs = pg_catalog.convert_to(source, pg_catalog.getdatabaseencoding()) || pg_catalog.decode('00', 'hex')
          AND NOT EXISTS (SELECT FROM cdp.capture_triggers(source) AS w WHERE w.relation = g.tgrelid AND w.trigger_name = g.tgname)
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', stale.tgname, stale.relation);
    END LOOP;
    IF declared.capture = 'pull' THEN
        DELETE FROM cdp_data.captured_key AS c WHERE c.source = $1;
        RETURN;
    END IF;
    SELECT c.relkind INTO kind FROM pg_catalog.pg_class AS c WHERE c.oid = cdp.find_relation(declared.relation);
    IF kind IS NULL THEN
        RAISE undefined_table USING
            MESSAGE = pg_catalog.format('relation %s of source "%s" does not exist', declared.relation, source),
            HINT = 'When the table is back, the next refresh gives it its triggers; another one is named with cdp.alter_source.';
    END IF;
    IF kind NOT IN ('r', 'p') THEN
        RAISE wrong_object_type USING
            MESSAGE = pg_catalog.format('%s is no table, so triggers cannot see its changes', declared.relation),
            HINT = 'Use capture => ''pull'', or declare the table that the view reads.';
    END IF;
    -- PostgreSQL would refuse statements of writers that reach it.
    WITH RECURSIVE tree AS (
        SELECT cdp.find_relation(declared.relation) AS relid
        UNION
        SELECT i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.relid
    )
    SELECT c.oid::regclass INTO abroad FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.relid WHERE c.relkind = 'f' LIMIT 1;
    IF FOUND THEN
        RAISE wrong_object_type USING
            MESSAGE = pg_catalog.format('changes of %s cannot be captured, because its partition %s is a foreign table', declared.relation, abroad),
            HINT = 'Use capture => ''pull''.';
    END IF;
    PERFORM cdp.verify_capture(source);
END
$install$;
COMMENT ON FUNCTION cdp.install_capture(text) IS
'Part of cdp.create_source and cdp.alter_source: gives the table of a source, and each partition, the triggers that its declaration asks for.';
