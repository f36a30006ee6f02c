-- segment: evaluating computed traits and segments for everybody.
--
-- cdp.refresh_segments and the last step of cdp.refresh are C procedures, which
-- commit after each pass; what a pass consists of are functions here.

CREATE PROCEDURE cdp.refresh_segments(names text[] DEFAULT NULL, on_error text DEFAULT 'error')
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cdp_refresh_segments';
COMMENT ON PROCEDURE cdp.refresh_segments(text[], text) IS
'Evaluates segments and computed traits for everybody, those of the given names and what they read the stored value of (NULL: all), in one pass over the events for each owner, and writes what changed.  cdp.refresh does the same at its end; this does not look at sources.  An expression that fails keeps its last result; the others are done and an error names it (on_error => ''report'': a warning).  Outside of a transaction block it commits pass by pass.';

CREATE PROCEDURE cdp.refresh_segments(name text, on_error text DEFAULT 'error')
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cdp_refresh_segments';
COMMENT ON PROCEDURE cdp.refresh_segments(text, text) IS
'The same as cdp.refresh_segments(names ...) with one name.  An array written as text, such as ''{vip,lapsed}'', is taken as one.';

CREATE FUNCTION cdp.start_evaluation(names text[], on_error text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $start$
DECLARE
    unknown text;
BEGIN
    PERFORM cdp.require_storage();
    IF on_error IS NULL OR on_error NOT IN ('error', 'report') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid on_error "%s"', on_error),
            HINT = 'The values are error and report.';
    END IF;
    IF NOT pg_catalog.has_table_privilege('cdp_data.segment_member', 'UPDATE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'permission denied to refresh',
            HINT = pg_catalog.format('The owner of the storage runs SELECT cdp.grant_access(%L, ''writer'').', pg_catalog.quote_ident(current_user));
    END IF;
    SELECT n.name INTO unknown FROM pg_catalog.unnest(names) WITH ORDINALITY AS n(name, place)
    WHERE NOT EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.name = n.name) ORDER BY n.place LIMIT 1;
    IF FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('segment or computed trait "%s" does not exist', unknown),
            HINT = 'The view cdp.segments lists the segments, cdp.computed_traits the computed traits.';
    END IF;
    RETURN pg_catalog.nextval('cdp_data.refresh_id');
END
$start$;
COMMENT ON FUNCTION cdp.start_evaluation(text[], text) IS
'Part of cdp.refresh_segments: checks its arguments and returns the number of the refresh.';

-- Which expression reads which other one, and whether by the stored value.  Within one owner, time zone
-- and search_path the other one is compiled into the first, and no order is needed.
CREATE FUNCTION cdp.expression_reads(OUT expression_id integer, OUT read_id integer, OUT is_stored boolean) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $reads$
BEGIN
    RETURN QUERY
    SELECT e.expression_id, r.expression_id,
           e.is_query OR r.is_query OR (e.owner, e.time_zone, e.search_path) <> (r.owner, r.time_zone, r.search_path)
    FROM cdp_data.expression_fact AS f
    JOIN cdp_data.expression AS e ON e.expression_id = f.expression_id
    JOIN cdp_data.expression AS r ON r.kind = f.kind AND r.name = f.name
    WHERE f.kind IN ('trait', 'segment');
END
$reads$;
COMMENT ON FUNCTION cdp.expression_reads() IS
'Part of cdp.refresh: which computed traits and segments each of them reads, and whether the stored value of theirs or their definition.';

CREATE FUNCTION cdp.plan_evaluation(names text[], OUT place bigint, OUT expression_ids integer[]) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $plan$
#variable_conflict use_column
DECLARE
    -- A statement has at most 1664 columns, its inner part one for each aggregate.
    most CONSTANT integer := 1000;
    wanted integer[];
BEGIN
    IF names IS NULL THEN
        wanted := ARRAY(SELECT e.expression_id FROM cdp_data.expression AS e);
    ELSE
        WITH RECURSIVE edge AS MATERIALIZED (
            SELECT r.* FROM cdp.expression_reads() AS r
        ), reached(expression_id, is_wanted) AS (
            SELECT e.expression_id, true FROM cdp_data.expression AS e WHERE e.name = ANY (names)
            UNION
            SELECT d.read_id, d.is_stored FROM reached AS r JOIN edge AS d ON d.expression_id = r.expression_id
        )
        SELECT pg_catalog.array_agg(DISTINCT r.expression_id) INTO wanted FROM reached AS r WHERE r.is_wanted;
    END IF;
    RETURN QUERY
    WITH RECURSIVE known_edge AS MATERIALIZED (
        SELECT r.* FROM cdp.expression_reads() AS r
    ), after_query(expression_id) AS (
        SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.is_query
        UNION
        SELECT d.expression_id FROM after_query AS a JOIN known_edge AS d ON d.read_id = a.expression_id
    ), edge AS MATERIALIZED (
        SELECT k.* FROM known_edge AS k
        UNION ALL
        -- What a query reads of traits and members by way of views is not known: it comes after all that do not need a query.
        SELECT q.expression_id, e.expression_id, true
        FROM cdp_data.expression AS q JOIN cdp_data.expression AS e ON e.expression_id NOT IN (SELECT a.expression_id FROM after_query AS a)
        WHERE q.is_query
    ), depth(expression_id, round) AS (
        -- The round of an expression is past that of whatever it reads the stored value of.
        SELECT e.expression_id, 0 FROM cdp_data.expression AS e
        UNION
        SELECT d.expression_id, p.round + d.is_stored::integer
        FROM depth AS p JOIN edge AS d ON d.read_id = p.expression_id
        WHERE p.round < 1000            -- there are no cycles; if there were, not for ever
    ), round AS (
        SELECT d.expression_id, pg_catalog.max(d.round) AS round FROM depth AS d GROUP BY d.expression_id
    ), ordered AS (
        SELECT e.*, r.round,
               -- What failed last time goes alone with its like, so that the others are one pass again.
               COALESCE(s.status, 'new') = 'failed' AS is_suspect,
               CASE WHEN e.is_query THEN e.expression_id END AS alone
        FROM cdp_data.expression AS e JOIN round AS r ON r.expression_id = e.expression_id
        LEFT JOIN cdp_data.expression_state AS s ON s.expression_id = e.expression_id
        WHERE e.expression_id = ANY (wanted)
    ), numbered AS (
        SELECT o.*, (pg_catalog.row_number() OVER (PARTITION BY o.round, o.alone, o.owner, o.time_zone, o.search_path, o.is_suspect ORDER BY o.expression_id) - 1) / most AS chunk
        FROM ordered AS o
    )
    SELECT pg_catalog.row_number() OVER (ORDER BY n.round, n.alone NULLS FIRST, n.is_suspect, pg_catalog.min(n.expression_id)),
           pg_catalog.array_agg(n.expression_id ORDER BY n.expression_id)
    FROM numbered AS n
    GROUP BY n.round, n.alone, n.owner, n.time_zone, n.search_path, n.is_suspect, n.chunk;
END
$plan$;
COMMENT ON FUNCTION cdp.plan_evaluation(text[]) IS
'Part of cdp.refresh: the passes by which expressions are evaluated, in their order; those of the given names and what they read the stored value of, or (NULL) all.';

CREATE FUNCTION cdp.evaluate_pass(
    expression_ids integer[],
    OUT people bigint, OUT entered bigint, OUT exited bigint, OUT changed bigint, OUT again bigint[],
    OUT sqlstate text, OUT message text, OUT hint text)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_evaluate_pass';
COMMENT ON FUNCTION cdp.evaluate_pass(integer[]) IS
'Part of cdp.refresh: evaluates expressions of one owner for everybody and writes what changed.  again: people who changed meanwhile and were left out.  Where an expression fails, its error is returned and nothing was changed.';

-- Messages about values quote them.
CREATE FUNCTION cdp.without_values(sqlstate text, message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Errors about values quote them, and a value may hold quotes itself; what a function raises may hold anything.
    SELECT CASE
        WHEN "left"(sqlstate, 2) = ANY (ARRAY['22', '23']) THEN pg_catalog.regexp_replace(message, '".*"', '"..."')
        WHEN "left"(sqlstate, 2) = ANY (ARRAY['08', '0A', '21', '25', '28', '3F', '40', '42', '53', '54', '55', '57', '58', 'HV', 'XX']) THEN message
        ELSE pg_catalog.concat('a function that it calls fails (SQLSTATE ', sqlstate, ')') END;
END;
COMMENT ON FUNCTION cdp.without_values(text, text) IS
'Internal: the message of an error without what may be the value of a person: what it quotes, or all that a function raises.';

CREATE FUNCTION cdp.note_failed_expression(refresh_id bigint, expression_id integer, started timestamptz, sqlstate text, message text, hint text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
#variable_conflict use_column
DECLARE
    failed record;
    reason text := cdp.without_values($4, $5);
    advice text := CASE
        WHEN $4 IN ('42703', '42883', '42P01', '3F000') THEN 'Bring back what was dropped or renamed, or mend the definition; the next refresh evaluates it again.'
        -- where the message is not shown whole, its hint may hold values as well
        WHEN $6 <> '' AND reason = $5 THEN $6
        WHEN $4 = '42501' THEN 'Grant what is missing to its owner, or give it to another role.'
        ELSE 'Mend the definition, or the data that it fails for; the next refresh evaluates it again.' END;
BEGIN
    SELECT e.kind, e.name INTO failed FROM cdp_data.expression AS e WHERE e.expression_id = $2;
    IF NOT FOUND THEN
        RETURN;             -- dropped meanwhile
    END IF;
    INSERT INTO cdp_data.expression_state AS s (expression_id, status, error, sqlstate, hint, failed_since)
    VALUES ($2, 'failed', reason, $4, advice, $3)
    ON CONFLICT ON CONSTRAINT expression_state_pkey DO UPDATE
    SET status = 'failed', error = EXCLUDED.error, sqlstate = EXCLUDED.sqlstate, hint = EXCLUDED.hint,
        failed_since = COALESCE(s.failed_since, EXCLUDED.failed_since);
    INSERT INTO cdp_data.refresh_log (refresh_id, step, started_at, finished_at, status, sqlstate, message)
    VALUES ($1, cdp.expression_label(failed.kind, failed.name),
            $3, pg_catalog.clock_timestamp(), 'failed', $4, reason);
    RAISE WARNING USING
        MESSAGE = pg_catalog.format('%s keeps its last result: %s', cdp.expression_label(failed.kind, failed.name), reason),
        HINT = advice;
END
$note$;
COMMENT ON FUNCTION cdp.note_failed_expression(bigint, integer, timestamptz, text, text, text) IS
'Part of cdp.refresh: notes that a computed trait or segment fails, and why.';

CREATE FUNCTION cdp.note_old_values(expression_ids integer[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
DECLARE
    stale record;
    what text;
BEGIN
    FOR stale IN
        SELECT e.expression_id, e.kind, e.name, pg_catalog.string_agg(cdp.expression_label(r.kind, r.name), ', ' ORDER BY r.kind, r.name) AS failed
        FROM cdp.expression_reads() AS d
        JOIN cdp_data.expression AS e ON e.expression_id = d.expression_id
        JOIN cdp_data.expression AS r ON r.expression_id = d.read_id
        JOIN cdp_data.expression_state AS s ON s.expression_id = d.read_id AND s.status = 'failed'
        WHERE d.is_stored AND d.expression_id = ANY (expression_ids)
        GROUP BY e.expression_id, e.kind, e.name ORDER BY e.kind, e.name
    LOOP
        what := pg_catalog.format('It reads the last result of %s, which fails.', stale.failed);
        UPDATE cdp_data.expression_state AS s SET hint = what WHERE s.expression_id = stale.expression_id AND s.status = 'ok';
        RAISE WARNING USING
            MESSAGE = pg_catalog.format('%s is evaluated with an old value', cdp.expression_label(stale.kind, stale.name)),
            DETAIL = what;
    END LOOP;
END
$note$;
COMMENT ON FUNCTION cdp.note_old_values(integer[]) IS
'Part of cdp.refresh: says of which expressions a value that they read is old, because its own expression fails.';

CREATE FUNCTION cdp.evaluate_step(refresh_id bigint, is_atomic boolean, attempt integer, expression_ids integer[]) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $step$
#variable_conflict use_column
DECLARE
    -- Beyond so many, people who changed meanwhile are left to cdp.expire_segments() and the next refresh (MOST_AGAIN in src/segment/pass_write.c).
    most_again CONSTANT integer := 1000;
    started CONSTANT timestamptz := pg_catalog.clock_timestamp();
    -- Before the snapshot of the pass and to the end of the transaction: see src/segment/pass_write.c.
    key CONSTANT bigint := pg_catalog.hashtextextended('cdp.evaluation', 0);
    done record;
BEGIN
    IF NOT pg_catalog.pg_try_advisory_xact_lock(key) THEN
        IF $3 = 1 THEN
            RAISE NOTICE 'segments are being evaluated by another session, waiting';
        END IF;
        PERFORM pg_catalog.pg_advisory_xact_lock(key);
        IF NOT $2 THEN
            -- In a transaction that begins now, so that its clock is not behind that of the other one.
            RETURN 'again';
        END IF;
    END IF;
    BEGIN
        SELECT p.* INTO STRICT done FROM cdp.evaluate_pass($4) AS p;
    EXCEPTION WHEN transaction_rollback THEN
        IF $2 OR $3 >= 5 THEN
            RAISE;
        END IF;
        RETURN 'again';
    END;
    IF done.sqlstate IS NOT NULL THEN
        IF pg_catalog.cardinality($4) > 1 THEN
            RETURN 'split';
        END IF;
        PERFORM cdp.note_failed_expression($1, $4[1], started, done.sqlstate, done.message, done.hint);
        RETURN 'done';
    END IF;
    PERFORM cdp.note_old_values($4);
    IF pg_catalog.cardinality(done.again) BETWEEN 1 AND most_again THEN
        -- Segments in batches were written as of the beginning of the pass, for them too.
        PERFORM cdp.evaluate_profiles(done.again,
            ARRAY(SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.expression_id = ANY ($4) AND (e.is_realtime OR e.kind = 'trait')), 'batch');
    END IF;
    PERFORM cdp.note_scores($4, started);
    IF done.entered + done.exited > 0 THEN
        PERFORM pg_catalog.pg_notify('cdp_segment_changes', '');
    END IF;
    INSERT INTO cdp_data.refresh_log (refresh_id, step, started_at, finished_at, status, rows_read, records_new, records_changed, retracted)
    VALUES ($1, 'segments', started, pg_catalog.clock_timestamp(), 'ok', pg_catalog.cardinality($4), done.entered, done.changed, done.exited);
    RAISE NOTICE USING MESSAGE = pg_catalog.format('segments: %s expressions evaluated for %s people, %s entered, %s left, %s with new values in %s',
        pg_catalog.cardinality($4), done.people, done.entered, done.exited, done.changed, cdp.elapsed(started));
    RETURN 'done';
END
$step$;
COMMENT ON FUNCTION cdp.evaluate_step(bigint, boolean, integer, integer[]) IS
'Part of cdp.refresh: one pass, noted in the log.  Returns done, again (after a deadlock or a wait, in another transaction) or split (something in it fails: its halves are passes of their own).';
