-- source: cdp.refresh and its steps.
--
-- The procedure is C and commits between the steps, which are functions here.
-- Everything that is said while they run, and everything in cdp_data.refresh_log,
-- is numbers and names, never the values of people.

CREATE PROCEDURE cdp.refresh(
    sources text[] DEFAULT NULL, full_compare boolean DEFAULT false, allow_deletes boolean DEFAULT false, on_error text DEFAULT 'error')
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cdp_refresh';
COMMENT ON PROCEDURE cdp.refresh(text[], boolean, boolean, text) IS
'Brings everything up to date: reads what is new in the sources (NULL: all), re-evaluates queued identities, derives the profiles, and evaluates computed traits and segments.  full_compare reads the sources whole and notices deleted rows; a source that would lose more than 20 % of its records is stopped unless allow_deletes.  When sources, computed traits or segments fail, the others are done and an error names them (on_error => ''report'': a warning).  Outside of a transaction block it commits step by step.';

CREATE PROCEDURE cdp.refresh(
    source text, full_compare boolean DEFAULT false, allow_deletes boolean DEFAULT false, on_error text DEFAULT 'error')
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cdp_refresh';
COMMENT ON PROCEDURE cdp.refresh(text, boolean, boolean, text) IS
'The same as cdp.refresh(sources ...) with one source: reads what is new in it, and brings people, computed traits and segments up to date.  An array written as text, such as ''{crm,shop}'', is taken as one.';

CREATE FUNCTION cdp.source_keys(source text, since text DEFAULT NULL, OUT record_key text, OUT watermark text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
    AS 'MODULE_PATHNAME', 'cdp_source_keys';
COMMENT ON FUNCTION cdp.source_keys(text, text) IS
'Part of cdp.refresh: the keys of the rows of a source, past a watermark or all of them, read under the role of its owner.';

-- ---------- the whole refresh ----------

CREATE FUNCTION cdp.analyze_storage(rows_new numeric, relations text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $analyze$
DECLARE
    name text;
BEGIN
    -- After a load that made the tables what they are, their statistics are of something else.  Autovacuum
    -- comes too late for what follows at once, and only owners may do it in its place.
    IF rows_new < 10000 OR rows_new IS NULL OR NOT pg_catalog.pg_has_role(
        (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data'), 'USAGE') THEN
        RETURN;
    END IF;
    FOR name IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'cdp_data'::regnamespace AND c.relname = ANY (relations) AND rows_new > c.reltuples * 0.2 ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('ANALYZE cdp_data.%I', name);
    END LOOP;
END
$analyze$;
COMMENT ON FUNCTION cdp.analyze_storage(numeric, text[]) IS
'Part of cdp.refresh: analyzes those tables of the storage that just grew by more than a fifth and by 10,000 rows.';

CREATE FUNCTION cdp.refresh_step(refresh_id bigint, is_atomic boolean, attempt integer, step text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $step$
DECLARE
    started CONSTANT timestamptz := pg_catalog.clock_timestamp();
    done bigint;
BEGIN
    BEGIN
        IF step = 'identities' THEN
            done := cdp.refresh_identities();
            IF done > 0 THEN
                RAISE NOTICE USING MESSAGE = pg_catalog.format('identities: %s queued identifiers evaluated again in %s', done, cdp.elapsed(started));
            END IF;
        ELSE
            PERFORM cdp.analyze_storage(
                (SELECT pg_catalog.sum(l.records_new) FROM cdp_data.refresh_log AS l WHERE l.refresh_id = refresh_step.refresh_id),
                ARRAY['identifier', 'profile', 'record', 'link', 'event', 'contribution']);
            done := cdp.materialize_profiles(NULL);
            PERFORM cdp.analyze_storage(done, ARRAY['profile_row', 'profile_value']);
            RAISE NOTICE USING MESSAGE = pg_catalog.format('profiles: %s derived in %s', done, cdp.elapsed(started));
        END IF;
    EXCEPTION WHEN transaction_rollback THEN
        -- A deadlock with other writers: the transaction ends, and the step begins anew.
        IF is_atomic OR attempt >= 5 THEN
            RAISE;
        END IF;
        RETURN true;
    END;
    INSERT INTO cdp_data.refresh_log (refresh_id, step, started_at, finished_at, status, rows_read)
    VALUES ($1, $4, started, pg_catalog.clock_timestamp(), 'ok', done);
    RETURN false;
END
$step$;
COMMENT ON FUNCTION cdp.refresh_step(bigint, boolean, integer, text) IS
'Part of cdp.refresh: a step that is not about one source, identities or profiles.  True: a deadlock ended it, to be tried again.';

CREATE FUNCTION cdp.elapsed(since timestamptz) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN pg_catalog.round((EXTRACT(epoch FROM (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) since)))::numeric, 1)::text OPERATOR(pg_catalog.||) ' s';
COMMENT ON FUNCTION cdp.elapsed(timestamptz) IS 'Internal: the time since then, for progress lines.';

CREATE FUNCTION cdp.finish_refresh(refresh_id bigint, is_atomic boolean) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $finish$
DECLARE
    failed text;
    reasons text;
    any_source boolean;
    any_expression boolean;
BEGIN
    -- Steps that are about no source are named after the computed trait or segment that failed.
    SELECT pg_catalog.string_agg(COALESCE('"' OPERATOR(pg_catalog.||) n.source OPERATOR(pg_catalog.||) '"', n.step), ', ' ORDER BY n.source, n.step),
           pg_catalog.string_agg(pg_catalog.format('%s: %s', COALESCE(n.source, n.step), n.message), E'\n' ORDER BY n.source, n.step),
           pg_catalog.bool_or(n.source IS NOT NULL), pg_catalog.bool_or(n.source IS NULL)
    INTO failed, reasons, any_source, any_expression
    FROM (SELECT l.source, CASE WHEN l.source IS NULL THEN l.step END AS step, l.message
          FROM cdp_data.refresh_log AS l WHERE l.refresh_id = finish_refresh.refresh_id AND l.status = 'failed') AS n;
    IF failed IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'external_routine_exception',
            MESSAGE = pg_catalog.format('refresh failed for %s', failed),
            DETAIL = reasons,
            HINT = CASE WHEN is_atomic THEN 'The transaction is rolled back; with on_error => ''report'' everything else is kept.  '
                        ELSE 'Everything else is done and committed.  ' END
                   || CASE WHEN any_source AND any_expression THEN 'The view cdp.health says what to do.'
                           WHEN any_source THEN 'The view cdp.sources says what to do.'
                           ELSE 'The view cdp.segments says what to do.' END;
    END IF;
END
$finish$;
COMMENT ON FUNCTION cdp.finish_refresh(bigint, boolean) IS
'Part of cdp.refresh: raises an error that names the sources, computed traits and segments that failed.';

-- ---------- one source ----------

CREATE FUNCTION cdp.relation_files(relation text) RETURNS text[]
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.array_agg(pg_catalog.format('%s/%s', c.oid, pg_catalog.pg_relation_filenode(c.oid::regclass)) ORDER BY c.oid)
    FROM (SELECT cdp.find_relation(relation)) AS given(relid)
    -- partitions, and tables that inherit from it
    CROSS JOIN LATERAL (
        WITH RECURSIVE tree(relid) AS (
            SELECT given.relid
            UNION
            SELECT i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent OPERATOR(pg_catalog.=) t.relid)
        SELECT t.relid FROM tree AS t) AS r
    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.relid
    WHERE c.relkind OPERATOR(pg_catalog.=) 'r' OR c.relkind OPERATOR(pg_catalog.=) 'm';
END;
COMMENT ON FUNCTION cdp.relation_files(text) IS
'Part of cdp.refresh: the tables behind a relation and their files, which change when a table is replaced or truncated; NULL for views and foreign tables.';

CREATE FUNCTION cdp.note_failed_row(source text, record_key text, state text, message text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
BEGIN
    DELETE FROM cdp_data.rejected_record AS r WHERE r.source = $1 AND r.record_key = $2;
    INSERT INTO cdp_data.rejected_record (source, record_key, reason, detail, identifiers, rejected_at)
    VALUES ($1, $2, 'failed_expression', pg_catalog.format('%s (%s)', $4, $3), '[]', pg_catalog.clock_timestamp());
END
$note$;
COMMENT ON FUNCTION cdp.note_failed_row(text, text, text, text) IS
'Part of cdp.refresh: notes a row of which an expression fails in cdp.rejected_records.';

-- Halves what fails until the failing row is alone.
CREATE FUNCTION cdp.take_in_halves(source text, keys text[], failed_before bigint, OUT counts bigint[], OUT failed bigint)
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $halves$
DECLARE
    size CONSTANT integer := pg_catalog.cardinality(keys);
    is_event CONSTANT boolean := EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = $1 AND s.kind = 'event');
    part record;
    state text;
    message text;
BEGIN
    failed := failed_before;
    BEGIN
        -- Events that hold one identifier are no records of the identity graph, so what was stored is counted.
        SELECT ARRAY[t.rows_read, LEAST(t.records_new, n.stored), n.stored - LEAST(t.records_new, n.stored), GREATEST(t.rows_read - t.rejected - n.stored, 0), t.retracted, t.rejected] INTO counts
        FROM cdp.take_in(source, 'keys', keys) AS t
        CROSS JOIN LATERAL (SELECT CASE WHEN is_event THEN t.written ELSE GREATEST(t.written, t.records_new + t.records_changed) END) AS n(stored);
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
        IF NOT cdp.is_about_rows(state) THEN
            RAISE;
        END IF;
    END;
    counts := ARRAY[0, 0, 0, 0, 0, 0];
    IF size <= 1 THEN
        failed := failed + 1;
        IF failed > 1000 THEN
            RAISE program_limit_exceeded USING
                MESSAGE = pg_catalog.format('expressions of source "%s" fail for more than 1000 rows', source),
                HINT = 'Mend them with cdp.alter_source, for example with CASE or a filter.';
        END IF;
        PERFORM cdp.note_failed_row(source, keys[1], state, message);
        counts[1] := 1;
        counts[6] := 1;
        RETURN;
    END IF;
    FOR i IN 0 .. 1 LOOP
        part := cdp.take_in_halves(source, CASE i WHEN 0 THEN keys[: size / 2] ELSE keys[size / 2 + 1 :] END, failed);
        failed := part.failed;
        counts := cdp.add_counts(counts, part.counts);
    END LOOP;
END
$halves$;
COMMENT ON FUNCTION cdp.take_in_halves(text, text[], bigint) IS
'Part of cdp.refresh: takes in the rows with these keys; where that fails, half of them, and so on.  A row that fails alone is noted in cdp.rejected_records; more than 1000 of them are an error.';

CREATE FUNCTION cdp.batch_counts(source text, records_new bigint, records_changed bigint, retracted bigint,
    OUT added bigint, OUT changed bigint, OUT removed bigint)
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $counts$
BEGIN
    -- Without traits there is nothing but the evidence.
    IF EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = $1 AND s.kind = 'record' AND s.traits IS NULL) THEN
        added := records_new;
        changed := records_changed;
        removed := retracted;
        RETURN;
    END IF;
    SELECT COALESCE(pg_catalog.sum(b.added), 0), COALESCE(pg_catalog.sum(b.changed), 0), COALESCE(pg_catalog.sum(b.removed), 0) INTO added, changed, removed
    FROM cdp_data.source_batch AS b WHERE b.source = $1;
END
$counts$;
COMMENT ON FUNCTION cdp.batch_counts(text, bigint, bigint, bigint) IS
'Part of cdp.refresh: what the batches of the running refresh of a source came to.  Counts what was stored, since events that hold one identifier are no records of the identity graph.';

CREATE FUNCTION cdp.take_in_rows(source text, selection text, since text) RETURNS bigint[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $rows$
DECLARE
    counts bigint[];
    part record;
    state text;
    parts refcursor;
    keys text[];
    watermarks text[];
    keyless bigint;
    failed bigint := 0;
    total bigint[] := ARRAY[0, 0, 0, 0, 0, 0];
BEGIN
    BEGIN
        SELECT ARRAY[t.rows_read, b.added, b.changed, GREATEST(t.rows_read - b.added - b.changed - b.removed - t.rejected, 0), b.removed, t.rejected] INTO counts
        FROM cdp.take_in(source, selection, NULL, since) AS t
        CROSS JOIN LATERAL cdp.batch_counts(source, t.records_new, t.records_changed, t.retracted) AS b;
        RETURN counts;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
        IF NOT cdp.is_about_rows(state) THEN
            RAISE;
        END IF;
    END;
    RAISE NOTICE USING MESSAGE = pg_catalog.format('source "%s": an expression fails for some row, reading by key', source);
    -- Both from one snapshot: the watermark must not pass rows that were committed while these are taken in.
    -- In parts, since all keys need not fit into one array; the rows of one key are in one part.
    OPEN parts NO SCROLL FOR
        SELECT pg_catalog.array_agg(DISTINCT n.record_key) FILTER (WHERE n.record_key IS NOT NULL),
               pg_catalog.array_agg(DISTINCT n.watermark) FILTER (WHERE n.watermark IS NOT NULL),
               pg_catalog.count(*) FILTER (WHERE n.record_key IS NULL)
        FROM (SELECT k.record_key, k.watermark,
                     (pg_catalog.rank() OVER (ORDER BY k.record_key) - 1) / LEAST(1000000, GREATEST(1000, pg_catalog.count(*) OVER () / 50)) AS part
              FROM cdp.source_keys(source, since) AS k) AS n
        GROUP BY n.part;
    LOOP
        FETCH parts INTO keys, watermarks, keyless;
        EXIT WHEN NOT FOUND;
        PERFORM cdp.keep_watermark(source, watermarks);
        IF keyless > 0 THEN
            -- Nothing but their number is known here; the same rows may have been noted before.
            DELETE FROM cdp_data.rejected_record AS r
            WHERE r.source = $1 AND r.record_key IS NULL AND r.reason = 'missing_record_key' AND r.identifiers = '[]';
            INSERT INTO cdp_data.rejected_record (source, reason, identifiers, rejected_at)
            SELECT $1, 'missing_record_key', '[]', pg_catalog.clock_timestamp() FROM pg_catalog.generate_series(1, keyless);
            total := cdp.add_counts(total, ARRAY[keyless, 0, 0, 0, 0, keyless]);
        END IF;
        CONTINUE WHEN keys IS NULL;
        part := cdp.take_in_halves(source, keys, failed);
        failed := part.failed;
        total := cdp.add_counts(total, part.counts);
    END LOOP;
    CLOSE parts;
    RETURN total;
END
$rows$;
COMMENT ON FUNCTION cdp.take_in_rows(text, text, text) IS
'Part of cdp.refresh: takes in all rows or those past a watermark; when an expression fails for some row, the others all the same.  Returns rows read, new, changed, unchanged, retracted and rejected.';

CREATE FUNCTION cdp.take_in_missing(source text, max_deleted bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    -- Two long lists of keys, of which the planner may know next to nothing.
    SET enable_nestloop = off
AS $missing$
BEGIN
    RETURN (
        SELECT b.removed
        FROM cdp.take_in(source, 'missing', NULL, NULL, max_deleted) AS t
        CROSS JOIN LATERAL cdp.batch_counts(source, t.records_new, t.records_changed, t.retracted) AS b);
END
$missing$;
COMMENT ON FUNCTION cdp.take_in_missing(text, bigint) IS
'Part of cdp.refresh: withdraws what is stored of a source and not in it any more, and returns how much that was; an error when it is more than max_deleted.';

CREATE FUNCTION cdp.keep_watermark(source text, more text[] DEFAULT '{}') RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $keep$
DECLARE
    watermark_type text;
    greatest_value text;
BEGIN
    SELECT c.type INTO watermark_type FROM cdp_data.source_column AS c WHERE c.source = keep_watermark.source AND c.kind = 'watermark';
    IF NOT FOUND THEN
        DELETE FROM cdp_data.source_batch AS b WHERE b.source = keep_watermark.source;
        RETURN;
    END IF;
    -- A time that lies ahead must not hide what comes later.
    EXECUTE pg_catalog.format(
        'SELECT pg_catalog.to_jsonb(%s) #>> ''{}'' FROM (SELECT b.watermark FROM cdp_data.source_batch AS b WHERE b.source = $1 UNION ALL SELECT m FROM pg_catalog.unnest($2) AS m) AS v(value)',
        CASE watermark_type::regtype
            WHEN 'timestamptz'::regtype THEN 'LEAST(pg_catalog.max(v.value::timestamptz) FILTER (WHERE pg_catalog.isfinite(v.value::timestamptz)), pg_catalog.now())'
            WHEN 'numeric'::regtype THEN 'pg_catalog.max(v.value::numeric) FILTER (WHERE v.value::numeric < ''Infinity'')'
            WHEN 'int8'::regtype THEN 'pg_catalog.max(v.value::bigint) FILTER (WHERE v.value::bigint < 9223372036854775807)'
            ELSE pg_catalog.format('pg_catalog.max(v.value::%s)', watermark_type::regtype) END)
    INTO greatest_value USING source, more;
    DELETE FROM cdp_data.source_batch AS b WHERE b.source = keep_watermark.source;
    IF greatest_value IS NOT NULL THEN
        INSERT INTO cdp_data.source_batch (source, watermark, added, changed, removed) VALUES (source, greatest_value, 0, 0, 0);
    END IF;
END
$keep$;
COMMENT ON FUNCTION cdp.keep_watermark(text, text[]) IS
'Part of cdp.refresh: keeps the greatest of the watermarks that were read.';

CREATE FUNCTION cdp.pull_source(source text, full_compare boolean, allow_deletes boolean, OUT mode text, OUT counts bigint[])
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $pull$
DECLARE
    s record;
    state record;
    files text[];
    stored bigint;
    had_data boolean;
    reason text;
    part text[];
BEGIN
    SELECT t.* INTO STRICT s FROM cdp_data.source AS t WHERE t.name = pull_source.source;
    SELECT t.* INTO STRICT state FROM cdp_data.source_state AS t WHERE t.name = pull_source.source;
    files := cdp.relation_files(s.relation);
    reason := CASE
        WHEN full_compare THEN 'asked for'
        WHEN state.last_full_at IS NULL THEN 'first time'
        WHEN cdp.verify_capture(source) THEN 'triggers were missing and are back'
        WHEN state.needs_full THEN 'declared anew'
        WHEN EXISTS (SELECT FROM cdp_data.captured_key AS c WHERE c.source = pull_source.source AND c.record_key IS NULL) THEN 'truncated, or a capture failed'
        WHEN NOT COALESCE(state.files, '{}') <@ COALESCE(files, '{}') THEN 'table was replaced or truncated'
        WHEN s.capture = 'pull' AND s.watermark IS NULL THEN 'no watermark' END;
    mode := CASE WHEN reason IS NOT NULL THEN 'full' WHEN s.watermark IS NOT NULL THEN 'since' ELSE 'captured' END;
    counts := ARRAY[0, 0, 0, 0, 0, 0];

    IF mode = 'full' THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('source "%s": reading all of it (%s)', source, reason);
        -- What was noted before is seen by the statements that follow.
        DELETE FROM cdp_data.captured_key AS c WHERE c.source = pull_source.source;
        DELETE FROM cdp_data.source_batch AS b WHERE b.source = pull_source.source;
        -- Rows that still cannot be taken in are noted again.
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = pull_source.source;
        had_data := EXISTS (SELECT FROM cdp_data.record AS r WHERE r.source = pull_source.source)
                    OR EXISTS (SELECT FROM cdp_data.contribution AS c WHERE c.source = pull_source.source)
                    OR EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source = pull_source.source);
        counts := cdp.take_in_rows(source, CASE WHEN had_data THEN 'all' ELSE 'first' END, NULL);
        IF had_data THEN
            IF s.kind = 'event' THEN
                SELECT pg_catalog.count(*) INTO stored FROM cdp_data.event AS e WHERE e.source = pull_source.source;
            ELSE
                SELECT GREATEST((SELECT pg_catalog.count(*) FROM cdp_data.contribution AS c WHERE c.source = pull_source.source),
                                (SELECT pg_catalog.count(*) FROM cdp_data.record AS r WHERE r.source = pull_source.source)) INTO stored;
            END IF;
            counts[5] := cdp.take_in_missing(source, CASE WHEN allow_deletes THEN NULL ELSE pg_catalog.floor((stored - counts[2]) * 0.2)::bigint END);
        END IF;
    ELSE
        LOOP
            WITH taken AS (
                DELETE FROM cdp_data.captured_key AS c
                WHERE c.captured_id = ANY (ARRAY(SELECT q.captured_id FROM cdp_data.captured_key AS q
                                                 WHERE q.source = pull_source.source AND q.record_key IS NOT NULL
                                                 ORDER BY q.captured_id LIMIT 50000 FOR UPDATE SKIP LOCKED))
                RETURNING c.record_key)
            SELECT pg_catalog.array_agg(DISTINCT t.record_key) INTO part FROM taken AS t;
            EXIT WHEN part IS NULL;
            counts := cdp.add_counts(counts, (cdp.take_in_halves(source, part, 0)).counts);
        END LOOP;
        -- What kept the triggers from taking rows in is over.
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = pull_source.source AND r.record_key IS NULL AND r.reason = 'capture_failed';
        IF mode = 'since' THEN
            counts := cdp.add_counts(counts, cdp.take_in_rows(source, 'since', (
                SELECT b.watermark FROM cdp_data.source_batch AS b WHERE b.source = pull_source.source AND b.watermark IS NOT NULL LIMIT 1)));
        END IF;
    END IF;
    PERFORM cdp.keep_watermark(source);
    UPDATE cdp_data.source_state AS t
    SET files = pull_source_files.files, needs_full = t.needs_full AND mode <> 'full',
        last_full_at = CASE mode WHEN 'full' THEN pg_catalog.now() ELSE t.last_full_at END
    FROM (SELECT files) AS pull_source_files(files)
    WHERE t.name = pull_source.source;
END
$pull$;
COMMENT ON FUNCTION cdp.pull_source(text, boolean, boolean) IS
'Part of cdp.refresh: reads a source, whole or what is new in it.  Returns the mode and the rows read, new, changed, unchanged, retracted and rejected.';

CREATE FUNCTION cdp.add_counts(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.array_agg(x.a OPERATOR(pg_catalog.+) x.b ORDER BY x.place)
    FROM ROWS FROM (pg_catalog.unnest(a), pg_catalog.unnest(b)) WITH ORDINALITY AS x(a, b, place);
END;
COMMENT ON FUNCTION cdp.add_counts(bigint[], bigint[]) IS 'Internal: adds two lists of counts place by place.';

CREATE FUNCTION cdp.refresh_source(refresh_id bigint, is_atomic boolean, attempt integer, source text, full_compare boolean, allow_deletes boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $refresh$
DECLARE
    started CONSTANT timestamptz := pg_catalog.clock_timestamp();
    pulled record;
    state text;
    message text;
    hint text;
    is_reading boolean := false;
BEGIN
    PERFORM cdp.lock_source(source);
    IF NOT EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = refresh_source.source) THEN
        INSERT INTO cdp_data.refresh_log (refresh_id, step, source, started_at, finished_at, status, message)
        VALUES ($1, 'source', $4, started, pg_catalog.clock_timestamp(), 'skipped', 'dropped meanwhile');
        RETURN false;
    END IF;
    BEGIN
        -- Reads the declaration anew against the relation as it is now: dropped and retyped columns show here.
        PERFORM cdp.verify_source(source);
        is_reading := true;
        pulled := cdp.pull_source(source, full_compare, allow_deletes);
        UPDATE cdp_data.source_state AS t
        SET status = 'ok', rows_read = t.rows_read + pulled.counts[1], rejected = pulled.counts[6], last_refresh_at = started, last_success_at = started,
            last_error = NULL, last_sqlstate = NULL, last_hint = NULL, failed_since = NULL
        WHERE t.name = refresh_source.source;
        INSERT INTO cdp_data.refresh_log (refresh_id, step, source, mode, started_at, finished_at, status,
                                          rows_read, records_new, records_changed, records_unchanged, retracted, rejected)
        VALUES ($1, 'source', $4, pulled.mode, started, pg_catalog.clock_timestamp(), 'ok',
                pulled.counts[1], pulled.counts[2], pulled.counts[3], pulled.counts[4], pulled.counts[5], pulled.counts[6]);
        RAISE NOTICE USING MESSAGE = pg_catalog.format('source "%s": %s rows read, %s new, %s changed, %s gone, %s rejected in %s',
            source, pulled.counts[1], pulled.counts[2], pulled.counts[3], pulled.counts[5], pulled.counts[6], cdp.elapsed(started));
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        -- These are for the caller to repeat, who has the whole transaction in hand.
        IF is_atomic AND state LIKE '40%' THEN
            RAISE;
        ELSIF state LIKE '40%' AND attempt < 5 THEN
            RETURN true;
        END IF;
        -- Errors about values quote them, and what a function raises may hold anything.  Kept are those
        -- of the server about connections, rights, limits and locks, and those of the engine.
        IF is_reading AND state <> '42501'
           AND pg_catalog.left(state, 2) <> ALL (ARRAY['08', '21', '25', '28', '40', '53', '54', '55', '57', '58', 'HV', 'XX']) THEN
            message := pg_catalog.format('an expression fails (SQLSTATE %s)', state);
            hint := 'The message may hold values of a row: a SELECT of the expressions over the table shows it.  Mend them with cdp.alter_source.';
        END IF;
        hint := COALESCE(NULLIF(hint, ''), CASE
            WHEN state IN ('42703', '42883', '42804', '42P18') THEN 'A column of the table was dropped or has another type: bring it back, or mend the declaration with cdp.alter_source.'
            WHEN state IN ('42P01', '3F000') THEN 'When the table is back, the next refresh goes on.'
            WHEN state = '42501' THEN 'Grant what is missing to the owner of the source, or give the source to another role with cdp.alter_source.'
            WHEN state LIKE '08%' OR state LIKE 'HV%' THEN 'The next refresh tries again.'
            WHEN state LIKE '40%' OR state = '55P03' THEN 'The next refresh tries again.'
            ELSE 'Mend the cause, then refresh again.' END);
        UPDATE cdp_data.source_state AS t
        SET status = 'stopped', last_refresh_at = started, last_error = message, last_sqlstate = state, last_hint = hint,
            failed_since = COALESCE(t.failed_since, started),
            -- What the guard held back is compared again, not passed over by the watermark.
            needs_full = t.needs_full OR state = '55000'
        WHERE t.name = refresh_source.source;
        INSERT INTO cdp_data.refresh_log (refresh_id, step, source, started_at, finished_at, status, sqlstate, message)
        VALUES ($1, 'source', $4, started, pg_catalog.clock_timestamp(), 'failed', state, message);
        RAISE WARNING USING MESSAGE = pg_catalog.format('source "%s" is stopped: %s', source, message), HINT = hint;
    END;
    RETURN false;
END
$refresh$;
COMMENT ON FUNCTION cdp.refresh_source(bigint, boolean, integer, text, boolean, boolean) IS
'Part of cdp.refresh: reads one source and notes how it went.  When it fails, nothing of it is changed.  True: a deadlock ended it, to be tried again.';

-- ---------- replay ----------

CREATE FUNCTION cdp.replay_rejected(source text DEFAULT NULL, record_keys text[] DEFAULT NULL, OUT rows_read bigint, OUT accepted bigint, OUT rejected bigint)
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $replay$
DECLARE
    name text;
    keys text[];
    part record;
    failed bigint;
BEGIN
    rows_read := 0;
    rejected := 0;
    IF source IS NOT NULL THEN
        PERFORM cdp.require_source(source);
    ELSE
        PERFORM cdp.require_storage();
    END IF;
    FOR name IN SELECT s.name FROM cdp_data.source AS s WHERE s.relation IS NOT NULL AND (replay_rejected.source IS NULL OR s.name = replay_rejected.source) ORDER BY s.name LOOP
        PERFORM cdp.lock_source(name);
        SELECT pg_catalog.array_agg(DISTINCT r.record_key) INTO keys
        FROM cdp_data.rejected_record AS r
        WHERE r.source = name AND r.record_key IS NOT NULL AND (replay_rejected.record_keys IS NULL OR r.record_key = ANY (replay_rejected.record_keys));
        CONTINUE WHEN keys IS NULL;
        -- Those that fail again are noted again.
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = name AND r.record_key = ANY (keys);
        failed := 0;
        FOR start_at IN 1 .. pg_catalog.cardinality(keys) BY 10000 LOOP
            part := cdp.take_in_halves(name, keys[start_at : start_at + 9999], failed);
            failed := part.failed;
            rows_read := rows_read + part.counts[1];
        END LOOP;
        rejected := rejected + (SELECT pg_catalog.count(*) FROM cdp_data.rejected_record AS r WHERE r.source = name AND r.record_key = ANY (keys));
    END LOOP;
    accepted := rows_read - rejected;
END
$replay$;
COMMENT ON FUNCTION cdp.replay_rejected(text, text[]) IS
'Reads rejected rows of a source (NULL: of all) again, all or those with the given keys, as they are in their tables now.  Rows that are taken in, or are gone, leave cdp.rejected_records.';
