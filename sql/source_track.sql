-- source: direct calls, one event at a time.

CREATE FUNCTION cdp.track(
    identifiers jsonb, event_name text, occurred_at timestamptz DEFAULT NULL, properties jsonb DEFAULT '{}',
    source text DEFAULT 'track', record_key text DEFAULT NULL, observed_at timestamptz DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_track';
COMMENT ON FUNCTION cdp.track(jsonb, text, timestamptz, jsonb, text, text, timestamptz) IS
'Takes in one event of whoever the identifiers name, such as {"anonymous_id": "f3a9"}, and returns the profile; NULL when it is rejected (see cdp.rejected_records).  The same (source, record_key) again replaces the event, or changes nothing; without a record_key each call is an event of its own.';

CREATE FUNCTION cdp.profile_of_json(source text, observed_at timestamptz, traits jsonb, record bigint, names text[], types text[], time_zone text,
    OUT said cdp.profile, OUT unfit text[])
    RETURNS record
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_profile_of_json';
COMMENT ON FUNCTION cdp.profile_of_json(text, timestamptz, jsonb, bigint, text[], text[], text) IS
'Part of cdp.identify: what cdp.profile_build gives, with the named traits brought to these types, and the names of traits whose value does not fit, which are left out.';

CREATE FUNCTION cdp.store_contribution(source text, record_key text, observed_at timestamptz, hub bigint, traits jsonb, moved bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    -- A few rows out of millions: always by index, whatever the tables held when the plan was made.
    SET enable_seqscan = off
    -- such a plan may cost much by the planner's account, and to compile it each time takes far longer than to run it
    SET jit = off
AS $store$
DECLARE
    record CONSTANT bigint := cdp.record_hash(record_key);
    zone CONSTANT text := COALESCE((SELECT o.value FROM cdp_data.option AS o WHERE o.name = 'time_zone'), 'UTC');
    names text[];
    types text[];
    with_history text[];
    spoken record;
    past cdp.profile;
    previous record;
    version_time timestamptz;
    written bigint;
    people bigint[];
BEGIN
    SELECT COALESCE(pg_catalog.array_agg(t.key), '{}'), COALESCE(pg_catalog.array_agg(t.type), '{}'), pg_catalog.array_agg(t.key) FILTER (WHERE t.history)
    INTO names, types, with_history
    FROM cdp_data.trait AS t WHERE $5 ? t.key;
    spoken := cdp.profile_of_json($1, $3, $5, record, names, types, zone);
    SELECT c.hub, c.observed_at INTO previous FROM cdp_data.contribution AS c WHERE c.source = $1 AND c.record_key = $2 FOR UPDATE;
    INSERT INTO cdp_data.contribution AS c (hub, observed_at, source, record_key, traits)
    VALUES ($4, $3, $1, $2, spoken.said)
    ON CONFLICT ON CONSTRAINT contribution_key DO UPDATE
    SET hub = EXCLUDED.hub, observed_at = EXCLUDED.observed_at, traits = EXCLUDED.traits
    -- Equal profiles have equal bytes.
    WHERE c.observed_at <= EXCLUDED.observed_at
      AND ROW(c.hub, c.observed_at, c.traits)::record OPERATOR(pg_catalog.*<>) ROW(EXCLUDED.hub, EXCLUDED.observed_at, EXCLUDED.traits)::record;
    GET DIAGNOSTICS written = ROW_COUNT;
    -- What comes without a time of its own, or under the time of an earlier version, was not known
    -- before it arrived; a version that comes late is one of its time.
    IF with_history IS NOT NULL OR EXISTS (SELECT FROM cdp_data.contribution_history AS h WHERE h.source = $1 AND h.record_key = $2) THEN
        version_time := CASE
            WHEN written > 0 AND EXISTS (SELECT FROM cdp_data.contribution_history AS h WHERE h.source = $1 AND h.record_key = $2 AND h.observed_at >= $3)
                THEN GREATEST($3, pg_catalog.now())
            WHEN written > 0 OR $3 < previous.observed_at THEN $3 END;
    END IF;
    IF version_time IS NOT NULL THEN
        SELECT j.said INTO past
        FROM cdp.profile_of_json($1, $3, (SELECT COALESCE(pg_catalog.jsonb_object_agg(e.key, e.value), '{}') FROM pg_catalog.jsonb_each($5) AS e WHERE e.key = ANY (with_history)),
                                 record, names, types, zone) AS j;
        INSERT INTO cdp_data.contribution_history AS h (hub, source, record_key, observed_at, traits) VALUES ($4, $1, $2, version_time, past)
        ON CONFLICT ON CONSTRAINT contribution_history_key DO UPDATE SET hub = EXCLUDED.hub, traits = EXCLUDED.traits;
    END IF;
    IF spoken.unfit <> '{}' THEN
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = $1 AND r.record_key = $2;
        INSERT INTO cdp_data.rejected_record (source, record_key, observed_at, reason, detail, identifiers, profile_id, rejected_at)
        SELECT $1, $2, $3, 'invalid_trait',
               'left out: ' || (SELECT pg_catalog.string_agg(pg_catalog.format('%s is not of type %s', t.key, t.type), ', ' ORDER BY t.key)
                                FROM cdp_data.trait AS t WHERE t.key = ANY (spoken.unfit)),
               '{}', i.profile_id, pg_catalog.clock_timestamp()
        FROM cdp_data.identifier AS i WHERE i.id = $4;
    END IF;
    -- An id that retired just now leaves, and whoever took over has what it held.
    IF written > 0 OR moved <> '{}' THEN
        people := ARRAY(SELECT i.profile_id FROM cdp_data.identifier AS i WHERE i.id = ANY (ARRAY[$4, previous.hub]) UNION SELECT m FROM pg_catalog.unnest(moved) AS m);
        PERFORM cdp.materialize_profiles(people);
    END IF;
    RETURN people;
END
$store$;
COMMENT ON FUNCTION cdp.store_contribution(text, text, timestamptz, bigint, jsonb, bigint[]) IS
'Part of cdp.identify: puts the traits of a record in the place of what it said before, unless that is newer, and derives the rows of its person and of those who merged or split by it (moved).  Returns whose rows were derived, NULL when nothing changed.';
