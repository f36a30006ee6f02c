-- The type cdp.profile: what sources say about a person, with who says it and
-- since when, as a value that merges.  All is written in C (src/profile) and
-- described in docs/profile.md.

CREATE TYPE cdp.profile;

COMMENT ON TYPE cdp.profile IS
	'traits of a person: for each trait, source and record the newest value; profiles merge in any order';

CREATE FUNCTION cdp.profile_in(cstring) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_in';

COMMENT ON FUNCTION cdp.profile_in(cstring) IS 'reads the text form of a profile, which is JSON';

CREATE FUNCTION cdp.profile_out(cdp.profile) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_out';

COMMENT ON FUNCTION cdp.profile_out(cdp.profile) IS 'writes the text form of a profile, which is JSON';

CREATE FUNCTION cdp.profile_recv(internal) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_recv';

COMMENT ON FUNCTION cdp.profile_recv(internal) IS 'reads the binary form of a profile';

CREATE FUNCTION cdp.profile_send(cdp.profile) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_send';

COMMENT ON FUNCTION cdp.profile_send(cdp.profile) IS 'writes the binary form of a profile';

-- Not compressed, so that reading one trait of a large value fetches only parts of it.
CREATE TYPE cdp.profile (
	INPUT = cdp.profile_in,
	OUTPUT = cdp.profile_out,
	RECEIVE = cdp.profile_recv,
	SEND = cdp.profile_send,
	INTERNALLENGTH = VARIABLE,
	STORAGE = external
);

-- Making profiles

CREATE FUNCTION cdp.profile_build(source text, observed_at timestamptz, traits jsonb, record bigint DEFAULT 0) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_build';

COMMENT ON FUNCTION cdp.profile_build(text, timestamptz, jsonb, bigint) IS
	'what a record of a source says: one value for each key of a JSON object; NULL for NULL traits';

-- stable because the texts of some types depend on settings
CREATE FUNCTION cdp.profile_of(source text, observed_at timestamptz, record bigint, VARIADIC traits "any") RETURNS cdp.profile
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_of';

COMMENT ON FUNCTION cdp.profile_of(text, timestamptz, bigint, "any") IS
	'what a record of a source says: names of traits and their values of any types, alternating';

CREATE FUNCTION cdp.record_hash(record_key text) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_record_hash';

COMMENT ON FUNCTION cdp.record_hash(text) IS
	'64-bit hash of a record key, the same in every database and release';

-- Merging

CREATE FUNCTION cdp.profile_concat(cdp.profile, cdp.profile) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_concat';

COMMENT ON FUNCTION cdp.profile_concat(cdp.profile, cdp.profile) IS
	'merges two profiles: for each trait, source and record the newest value of both';

CREATE OPERATOR cdp.|| (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_concat,
	COMMUTATOR = OPERATOR(cdp.||)
);

COMMENT ON OPERATOR cdp.||(cdp.profile, cdp.profile) IS 'merge';

CREATE FUNCTION cdp.profile_agg_transition(internal, cdp.profile) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_transition';

COMMENT ON FUNCTION cdp.profile_agg_transition(internal, cdp.profile) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_combine(internal, internal) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_combine';

COMMENT ON FUNCTION cdp.profile_agg_combine(internal, internal) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_serialize(internal) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_serialize';

COMMENT ON FUNCTION cdp.profile_agg_serialize(internal) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_deserialize(bytea, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_deserialize';

COMMENT ON FUNCTION cdp.profile_agg_deserialize(bytea, internal) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_final(internal) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_final';

COMMENT ON FUNCTION cdp.profile_agg_final(internal) IS 'part of profile_agg';

CREATE AGGREGATE cdp.profile_agg(cdp.profile) (
	SFUNC = cdp.profile_agg_transition,
	STYPE = internal,
	SSPACE = 512,
	FINALFUNC = cdp.profile_agg_final,
	COMBINEFUNC = cdp.profile_agg_combine,
	SERIALFUNC = cdp.profile_agg_serialize,
	DESERIALFUNC = cdp.profile_agg_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.profile_agg(cdp.profile) IS
	'merges profiles: for each trait, source and record the newest value; NULLs are left out';

-- Casts

CREATE FUNCTION cdp.profile_from_jsonb(jsonb) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_from_jsonb';

COMMENT ON FUNCTION cdp.profile_from_jsonb(jsonb) IS 'reads a profile from JSON of its text form';

CREATE CAST (jsonb AS cdp.profile) WITH FUNCTION cdp.profile_from_jsonb(jsonb);

COMMENT ON CAST (jsonb AS cdp.profile) IS 'a profile from JSON of its text form';
