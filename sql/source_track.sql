-- source: direct calls, one event at a time.

CREATE FUNCTION cdp.track(
    identifiers jsonb, event_name text, occurred_at timestamptz DEFAULT NULL, properties jsonb DEFAULT '{}',
    source text DEFAULT 'track', record_key text DEFAULT NULL, observed_at timestamptz DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_track';
COMMENT ON FUNCTION cdp.track(jsonb, text, timestamptz, jsonb, text, text, timestamptz) IS
'Takes in one event of whoever the identifiers name, such as {"anonymous_id": "f3a9"}, and returns the profile; NULL when it is rejected (see cdp.rejected_records).  The same (source, record_key) again replaces the event, or changes nothing; without a record_key each call is an event of its own.';
