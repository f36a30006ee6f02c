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

CREATE FUNCTION cdp.note_realtime_failure(expression_id integer, state text, message text, hint text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
BEGIN
    INSERT INTO cdp_data.expression_state AS s (expression_id, status, error, sqlstate, hint, failed_since)
    VALUES ($1, 'failed', cdp.without_values(state, message), state,
            CASE WHEN cdp.without_values(state, message) = message THEN $4 END, pg_catalog.now())
    ON CONFLICT ON CONSTRAINT expression_state_pkey DO UPDATE
    SET status = 'failed', error = EXCLUDED.error, sqlstate = EXCLUDED.sqlstate, hint = EXCLUDED.hint,
        failed_since = COALESCE(s.failed_since, EXCLUDED.failed_since)
    WHERE s.status <> 'failed';
END
$note$;
COMMENT ON FUNCTION cdp.note_realtime_failure(integer, text, text, text) IS
'Internal: notes that an expression failed for some person in real time.  It is left alone until a refresh evaluates it.';

-- ---------- capture ----------

CREATE FUNCTION cdp.moved_profiles() RETURNS bigint[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_moved_profiles';
COMMENT ON FUNCTION cdp.moved_profiles() IS
'Internal, called by capture: the profiles that captured rows have merged, split or given an identifier in this transaction since the last call.';

CREATE FUNCTION cdp.expressions_of_events(event_names text[], person boolean) RETURNS integer[]
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_expressions_of_events';
COMMENT ON FUNCTION cdp.expressions_of_events(text[], boolean) IS
'Internal, called by capture: the computed traits and segments with refresh => ''realtime'' that events of these names concern and, with person, those that read what records say of a person.';

CREATE FUNCTION cdp.captured_names(source text, keys text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $names$
BEGIN
    RETURN ARRAY(SELECT DISTINCT e.event_name FROM cdp_data.event AS e WHERE e.source = $1 AND e.record_key = ANY ($2));
END
$names$;
COMMENT ON FUNCTION cdp.captured_names(text, text[]) IS
'Internal, called by capture: the names of the events that these rows are stored as.';

CREATE FUNCTION cdp.evaluate_captured(source text, people bigint[], moved bigint[], event_names text[], is_merge boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $evaluate$
DECLARE
    is_event CONSTANT boolean := EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name = $1 AND s.kind = 'event');
    news CONSTANT text := CASE WHEN is_event THEN 'event' ELSE 'trait' END;
    others CONSTANT bigint[] := ARRAY(SELECT p FROM pg_catalog.unnest(people) AS p WHERE p <> ALL (moved));
BEGIN
    -- Of who is somebody else now, everything may have changed.
    PERFORM cdp.evaluate_profiles(moved, NULL, CASE WHEN is_merge THEN 'identity' ELSE news END);
    PERFORM cdp.evaluate_profiles(others, cdp.expressions_of_events(event_names, NOT is_event), news);
END
$evaluate$;
COMMENT ON FUNCTION cdp.evaluate_captured(text, bigint[], bigint[], text[], boolean) IS
'Internal, called by capture: evaluates what captured rows concern for their people, whose rows in cdp.profiles are up to date.';
