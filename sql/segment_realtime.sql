-- segment: evaluation for given people, in the transaction that changed what they depend on, and windows that close.

CREATE FUNCTION cdp.evaluate_profiles(profile_ids bigint[], expression_ids integer[] DEFAULT NULL, cause text DEFAULT 'event') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_evaluate_profiles';
COMMENT ON FUNCTION cdp.evaluate_profiles(bigint[], integer[], text) IS
'Internal, called by capture: evaluates computed traits and segments (NULL: those with refresh => ''realtime'') for people and writes what changed, with the cause that cdp.segment_changes shows.  Retired people leave all segments.  Returns how many memberships and values changed; 0 where the work is put off until cdp.expire_segments: under REPEATABLE READ and SERIALIZABLE, and for people with more events than the option realtime_max_events.';

CREATE PROCEDURE cdp.expire_segments(batch integer DEFAULT 1000)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cdp_expire_segments';
COMMENT ON PROCEDURE cdp.expire_segments(integer) IS
'Evaluates people for whom time alone changes a segment or computed trait with refresh => ''realtime'': a window closed, such as event.occurred_at > now() - interval ''30 days''.  Takes as long as there are such people, whatever the number of all; does what real-time evaluation put off, too.  Several callers share the work.  Outside of a transaction block it commits after each batch of people.  cdp.refresh() does the same; the background worker (cdp.worker_databases) calls it every few seconds.';

CREATE FUNCTION cdp.note_failed_expression(expression_id integer, state text, message text, hint text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
BEGIN
    -- Messages about values quote them.
    IF state LIKE '22%' AND state NOT IN ('22012', '22003') AND COALESCE(hint, '') = '' OR state LIKE '23%' THEN
        message := pg_catalog.format('the expression fails (SQLSTATE %s)', state);
    END IF;
    INSERT INTO cdp_data.expression_state AS s (expression_id, status, error, sqlstate, hint, failed_since)
    VALUES ($1, 'failed', message, state, $4, pg_catalog.now())
    ON CONFLICT ON CONSTRAINT expression_state_pkey DO UPDATE
    SET status = 'failed', error = EXCLUDED.error, sqlstate = EXCLUDED.sqlstate, hint = EXCLUDED.hint,
        failed_since = COALESCE(s.failed_since, EXCLUDED.failed_since)
    WHERE s.status <> 'failed';
END
$note$;
COMMENT ON FUNCTION cdp.note_failed_expression(integer, text, text, text) IS
'Internal: notes that the evaluation of an expression failed.  It is left alone until a refresh evaluates it.';
