-- The type cdp.profile: what sources say about a person, with who says it and
-- since when, as a value that merges.  All is written in C (src/profile) and
-- described in docs/profile.md.

CREATE TYPE cdp.profile;

COMMENT ON TYPE cdp.profile IS
	'traits of a person: for each trait, source and record the newest value; profiles merge in any order';

CREATE FUNCTION cdp.profile_in(cstring) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200
	AS 'MODULE_PATHNAME', 'cdp_profile_in';

COMMENT ON FUNCTION cdp.profile_in(cstring) IS 'reads the text form of a profile, which is JSON';

CREATE FUNCTION cdp.profile_out(cdp.profile) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200
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

-- Compressed where it is large; reading one trait decompresses no more than it needs.
CREATE TYPE cdp.profile (
	INPUT = cdp.profile_in,
	OUTPUT = cdp.profile_out,
	RECEIVE = cdp.profile_recv,
	SEND = cdp.profile_send,
	INTERNALLENGTH = VARIABLE,
	STORAGE = extended
);

-- Making profiles

CREATE FUNCTION cdp.profile_build(source text, observed_at timestamptz, traits jsonb, record bigint DEFAULT 0) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 150
	AS 'MODULE_PATHNAME', 'cdp_profile_build';

COMMENT ON FUNCTION cdp.profile_build(text, timestamptz, jsonb, bigint) IS
	'what a record of a source says: one value for each key of a JSON object; NULL for NULL traits';

-- stable because the texts of some types depend on settings
CREATE FUNCTION cdp.profile_of(source text, observed_at timestamptz, record bigint, VARIADIC traits "any") RETURNS cdp.profile
	LANGUAGE c STABLE PARALLEL SAFE COST 150
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
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
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

-- The cost of merging stands where a profile is added, not where a group ends: a
-- worker that has a group for itself merges it, and nothing is left for the leader.
CREATE FUNCTION cdp.profile_agg_transition(internal, cdp.profile) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_transition';

COMMENT ON FUNCTION cdp.profile_agg_transition(internal, cdp.profile) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_combine(internal, internal) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 30
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_combine';

COMMENT ON FUNCTION cdp.profile_agg_combine(internal, internal) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_serialize(internal) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_serialize';

COMMENT ON FUNCTION cdp.profile_agg_serialize(internal) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_deserialize(bytea, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_profile_agg_deserialize';

COMMENT ON FUNCTION cdp.profile_agg_deserialize(bytea, internal) IS 'part of profile_agg';

CREATE FUNCTION cdp.profile_agg_final(internal) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50
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
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200
	AS 'MODULE_PATHNAME', 'cdp_profile_from_jsonb';

COMMENT ON FUNCTION cdp.profile_from_jsonb(jsonb) IS 'reads a profile from JSON of its text form';

CREATE CAST (jsonb AS cdp.profile) WITH FUNCTION cdp.profile_from_jsonb(jsonb);

COMMENT ON CAST (jsonb AS cdp.profile) IS 'a profile from JSON of its text form';

-- Reading a trait: the value that wins, which is the newest

CREATE FUNCTION cdp.get_text(profile cdp.profile, trait text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_text';

COMMENT ON FUNCTION cdp.get_text(cdp.profile, text) IS
	'newest value of a trait as text; NULL where it is NULL; NULL where there is none';

CREATE FUNCTION cdp.get_jsonb(profile cdp.profile, trait text) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_jsonb';

COMMENT ON FUNCTION cdp.get_jsonb(cdp.profile, text) IS
	'newest value of a trait as jsonb; NULL where there is none';

CREATE FUNCTION cdp.get_boolean(profile cdp.profile, trait text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_boolean';

COMMENT ON FUNCTION cdp.get_boolean(cdp.profile, text) IS
	'newest value of a trait as boolean; NULL where there is none';

CREATE FUNCTION cdp.get_bigint(profile cdp.profile, trait text) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_bigint';

COMMENT ON FUNCTION cdp.get_bigint(cdp.profile, text) IS
	'newest value of a trait as bigint; NULL where there is none';

CREATE FUNCTION cdp.get_double(profile cdp.profile, trait text) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_double';

COMMENT ON FUNCTION cdp.get_double(cdp.profile, text) IS
	'newest value of a trait as double precision; NULL where there is none';

CREATE FUNCTION cdp.get_numeric(profile cdp.profile, trait text) RETURNS numeric
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_numeric';

COMMENT ON FUNCTION cdp.get_numeric(cdp.profile, text) IS
	'newest value of a trait as numeric; NULL where there is none';

CREATE FUNCTION cdp.get_timestamptz(profile cdp.profile, trait text) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_timestamptz';

COMMENT ON FUNCTION cdp.get_timestamptz(cdp.profile, text) IS
	'newest value of a trait as timestamptz; NULL where there is none';

CREATE OPERATOR cdp.->> (
	LEFTARG = cdp.profile,
	RIGHTARG = text,
	FUNCTION = cdp.get_text
);

COMMENT ON OPERATOR cdp.->>(cdp.profile, text) IS 'newest value of a trait as text';

CREATE OPERATOR cdp.-> (
	LEFTARG = cdp.profile,
	RIGHTARG = text,
	FUNCTION = cdp.get_jsonb
);

COMMENT ON OPERATOR cdp.->(cdp.profile, text) IS 'newest value of a trait as jsonb';

-- Which traits there are, and what they hold

CREATE FUNCTION cdp.profile_exists(profile cdp.profile, trait text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_profile_exists';

COMMENT ON FUNCTION cdp.profile_exists(cdp.profile, text) IS
	'whether there is a value for a trait, if only NULL';

CREATE FUNCTION cdp.profile_exists_any(profile cdp.profile, traits text[]) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_profile_exists_any';

COMMENT ON FUNCTION cdp.profile_exists_any(cdp.profile, text[]) IS
	'whether there is a value for any of the traits';

CREATE FUNCTION cdp.profile_exists_all(profile cdp.profile, traits text[]) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_profile_exists_all';

COMMENT ON FUNCTION cdp.profile_exists_all(cdp.profile, text[]) IS
	'whether there is a value for each of the traits';

CREATE FUNCTION cdp.profile_contains(profile cdp.profile, traits jsonb) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_profile_contains';

COMMENT ON FUNCTION cdp.profile_contains(cdp.profile, jsonb) IS
	'whether the newest values, as jsonb, contain a JSON object';

CREATE OPERATOR cdp.? (
	LEFTARG = cdp.profile,
	RIGHTARG = text,
	FUNCTION = cdp.profile_exists,
	RESTRICT = matchingsel,
	JOIN = matchingjoinsel
);

COMMENT ON OPERATOR cdp.?(cdp.profile, text) IS 'is there a value for the trait?';

CREATE OPERATOR cdp.?| (
	LEFTARG = cdp.profile,
	RIGHTARG = text[],
	FUNCTION = cdp.profile_exists_any,
	RESTRICT = matchingsel,
	JOIN = matchingjoinsel
);

COMMENT ON OPERATOR cdp.?|(cdp.profile, text[]) IS 'is there a value for any of the traits?';

CREATE OPERATOR cdp.?& (
	LEFTARG = cdp.profile,
	RIGHTARG = text[],
	FUNCTION = cdp.profile_exists_all,
	RESTRICT = matchingsel,
	JOIN = matchingjoinsel
);

COMMENT ON OPERATOR cdp.?&(cdp.profile, text[]) IS 'is there a value for each of the traits?';

CREATE OPERATOR cdp.@> (
	LEFTARG = cdp.profile,
	RIGHTARG = jsonb,
	FUNCTION = cdp.profile_contains,
	RESTRICT = matchingsel,
	JOIN = matchingjoinsel
);

COMMENT ON OPERATOR cdp.@>(cdp.profile, jsonb) IS 'do the newest values contain the object?';

-- Taking out: local edits, which a later || can undo

CREATE FUNCTION cdp.remove_trait(profile cdp.profile, trait text) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_remove_trait';

COMMENT ON FUNCTION cdp.remove_trait(cdp.profile, text) IS
	'the profile without the values of a trait';

CREATE FUNCTION cdp.remove_traits(profile cdp.profile, traits text[]) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_remove_traits';

COMMENT ON FUNCTION cdp.remove_traits(cdp.profile, text[]) IS
	'the profile without the values of some traits';

CREATE FUNCTION cdp.remove_source(profile cdp.profile, source text) RETURNS cdp.profile
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_remove_source';

COMMENT ON FUNCTION cdp.remove_source(cdp.profile, text) IS
	'the profile without what a source says';

CREATE OPERATOR cdp.- (
	LEFTARG = cdp.profile,
	RIGHTARG = text,
	FUNCTION = cdp.remove_trait
);

COMMENT ON OPERATOR cdp.-(cdp.profile, text) IS 'without a trait';

CREATE OPERATOR cdp.- (
	LEFTARG = cdp.profile,
	RIGHTARG = text[],
	FUNCTION = cdp.remove_traits
);

COMMENT ON OPERATOR cdp.-(cdp.profile, text[]) IS 'without some traits';

-- All candidates

CREATE FUNCTION cdp.profile_traits(profile cdp.profile)
RETURNS TABLE (trait text, value jsonb, type text, source text, record bigint, observed_at timestamptz, is_winner boolean)
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_profile_traits';

COMMENT ON FUNCTION cdp.profile_traits(cdp.profile) IS
	'every value of every trait, with its source, record and time; the newest of each trait is the winner';

CREATE FUNCTION cdp.explain_trait(profile cdp.profile, trait text)
RETURNS TABLE (place integer, value jsonb, type text, source text, record bigint, observed_at timestamptz, is_winner boolean, reason text)
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 5
	AS 'MODULE_PATHNAME', 'cdp_explain_trait';

COMMENT ON FUNCTION cdp.explain_trait(cdp.profile, text) IS
	'the values of a trait, the newest first, each with the reason why it wins or does not';

-- Subscripting: profile['country']

CREATE FUNCTION cdp.profile_subscript(internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_subscript';

COMMENT ON FUNCTION cdp.profile_subscript(internal) IS 'subscripting of profiles';

ALTER TYPE cdp.profile SET (SUBSCRIPT = cdp.profile_subscript);

-- The cast to jsonb

CREATE FUNCTION cdp.profile_to_jsonb(profile cdp.profile) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_profile_to_jsonb';

COMMENT ON FUNCTION cdp.profile_to_jsonb(cdp.profile) IS
	'object with the newest value of each trait';

CREATE CAST (cdp.profile AS jsonb) WITH FUNCTION cdp.profile_to_jsonb(cdp.profile);

COMMENT ON CAST (cdp.profile AS jsonb) IS 'object with the newest value of each trait';

-- Comparing and hashing, by all candidates

CREATE FUNCTION cdp.profile_eq(cdp.profile, cdp.profile) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_eq';

COMMENT ON FUNCTION cdp.profile_eq(cdp.profile, cdp.profile) IS
	'operator =';

CREATE FUNCTION cdp.profile_ne(cdp.profile, cdp.profile) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_ne';

COMMENT ON FUNCTION cdp.profile_ne(cdp.profile, cdp.profile) IS
	'operator <>';

CREATE FUNCTION cdp.profile_lt(cdp.profile, cdp.profile) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_lt';

COMMENT ON FUNCTION cdp.profile_lt(cdp.profile, cdp.profile) IS
	'operator <';

CREATE FUNCTION cdp.profile_le(cdp.profile, cdp.profile) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_le';

COMMENT ON FUNCTION cdp.profile_le(cdp.profile, cdp.profile) IS
	'operator <=';

CREATE FUNCTION cdp.profile_gt(cdp.profile, cdp.profile) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_gt';

COMMENT ON FUNCTION cdp.profile_gt(cdp.profile, cdp.profile) IS
	'operator >';

CREATE FUNCTION cdp.profile_ge(cdp.profile, cdp.profile) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_ge';

COMMENT ON FUNCTION cdp.profile_ge(cdp.profile, cdp.profile) IS
	'operator >=';

CREATE OPERATOR cdp.= (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_eq,
	COMMUTATOR = OPERATOR(cdp.=),
	NEGATOR = OPERATOR(cdp.<>),
	RESTRICT = eqsel,
	JOIN = eqjoinsel,
	HASHES,
	MERGES
);

COMMENT ON OPERATOR cdp.=(cdp.profile, cdp.profile) IS 'the same values from the same records?';

CREATE OPERATOR cdp.<> (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_ne,
	COMMUTATOR = OPERATOR(cdp.<>),
	NEGATOR = OPERATOR(cdp.=),
	RESTRICT = neqsel,
	JOIN = neqjoinsel
);

COMMENT ON OPERATOR cdp.<>(cdp.profile, cdp.profile) IS 'not the same values from the same records?';

CREATE OPERATOR cdp.< (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_lt,
	COMMUTATOR = OPERATOR(cdp.>),
	NEGATOR = OPERATOR(cdp.>=),
	RESTRICT = scalarltsel,
	JOIN = scalarltjoinsel
);

COMMENT ON OPERATOR cdp.<(cdp.profile, cdp.profile) IS 'before, in an order for sorting?';

CREATE OPERATOR cdp.<= (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_le,
	COMMUTATOR = OPERATOR(cdp.>=),
	NEGATOR = OPERATOR(cdp.>),
	RESTRICT = scalarlesel,
	JOIN = scalarlejoinsel
);

COMMENT ON OPERATOR cdp.<=(cdp.profile, cdp.profile) IS 'before or equal, in an order for sorting?';

CREATE OPERATOR cdp.> (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_gt,
	COMMUTATOR = OPERATOR(cdp.<),
	NEGATOR = OPERATOR(cdp.<=),
	RESTRICT = scalargtsel,
	JOIN = scalargtjoinsel
);

COMMENT ON OPERATOR cdp.>(cdp.profile, cdp.profile) IS 'after, in an order for sorting?';

CREATE OPERATOR cdp.>= (
	LEFTARG = cdp.profile,
	RIGHTARG = cdp.profile,
	FUNCTION = cdp.profile_ge,
	COMMUTATOR = OPERATOR(cdp.<=),
	NEGATOR = OPERATOR(cdp.<),
	RESTRICT = scalargesel,
	JOIN = scalargejoinsel
);

COMMENT ON OPERATOR cdp.>=(cdp.profile, cdp.profile) IS 'after or equal, in an order for sorting?';

CREATE FUNCTION cdp.profile_cmp(cdp.profile, cdp.profile) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_cmp';

COMMENT ON FUNCTION cdp.profile_cmp(cdp.profile, cdp.profile) IS
	'order for sorting: less than, equal to or greater than 0';

CREATE FUNCTION cdp.profile_hash(cdp.profile) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_hash';

COMMENT ON FUNCTION cdp.profile_hash(cdp.profile) IS
	'hash';

CREATE FUNCTION cdp.profile_hash_extended(cdp.profile, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_hash_extended';

COMMENT ON FUNCTION cdp.profile_hash_extended(cdp.profile, bigint) IS
	'hash with a seed';

CREATE OPERATOR FAMILY cdp.profile_ops USING btree;

COMMENT ON OPERATOR FAMILY cdp.profile_ops USING btree IS 'order of profiles for sorting';

CREATE OPERATOR CLASS cdp.profile_ops DEFAULT FOR TYPE cdp.profile USING btree FAMILY cdp.profile_ops AS
	OPERATOR 1 cdp.<,
	OPERATOR 2 cdp.<=,
	OPERATOR 3 cdp.=,
	OPERATOR 4 cdp.>=,
	OPERATOR 5 cdp.>,
	FUNCTION 1 cdp.profile_cmp(cdp.profile, cdp.profile);

COMMENT ON OPERATOR CLASS cdp.profile_ops USING btree IS 'order of profiles for sorting';

CREATE OPERATOR FAMILY cdp.profile_ops USING hash;

COMMENT ON OPERATOR FAMILY cdp.profile_ops USING hash IS 'hashing of profiles';

CREATE OPERATOR CLASS cdp.profile_ops DEFAULT FOR TYPE cdp.profile USING hash FAMILY cdp.profile_ops AS
	OPERATOR 1 cdp.=,
	FUNCTION 1 cdp.profile_hash(cdp.profile),
	FUNCTION 2 cdp.profile_hash_extended(cdp.profile, bigint);

COMMENT ON OPERATOR CLASS cdp.profile_ops USING hash IS 'hashing of profiles';

-- GIN, for ?, ?|, ?& and @>.  Not a default class: such an index is costly to keep current.

CREATE FUNCTION cdp.profile_gin_extract(cdp.profile, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_gin_extract';

COMMENT ON FUNCTION cdp.profile_gin_extract(cdp.profile, internal) IS
	'support for GIN: keys of a profile';

CREATE FUNCTION cdp.profile_gin_extract_query(internal, internal, smallint, internal, internal, internal, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_gin_extract_query';

COMMENT ON FUNCTION cdp.profile_gin_extract_query(internal, internal, smallint, internal, internal, internal, internal) IS
	'support for GIN: keys of a search';

CREATE FUNCTION cdp.profile_gin_consistent(internal, smallint, internal, integer, internal, internal, internal, internal) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_gin_consistent';

COMMENT ON FUNCTION cdp.profile_gin_consistent(internal, smallint, internal, integer, internal, internal, internal, internal) IS
	'support for GIN: do keys match?';

CREATE FUNCTION cdp.profile_gin_triconsistent(internal, smallint, internal, integer, internal, internal, internal) RETURNS "char"
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_profile_gin_triconsistent';

COMMENT ON FUNCTION cdp.profile_gin_triconsistent(internal, smallint, internal, integer, internal, internal, internal) IS
	'support for GIN: might keys match?';

CREATE OPERATOR FAMILY cdp.profile_gin_ops USING gin;

COMMENT ON OPERATOR FAMILY cdp.profile_gin_ops USING gin IS 'traits of profiles and their newest values';

CREATE OPERATOR CLASS cdp.profile_gin_ops FOR TYPE cdp.profile USING gin FAMILY cdp.profile_gin_ops AS
	OPERATOR 7 cdp.@>(cdp.profile, jsonb),
	OPERATOR 9 cdp.?(cdp.profile, text),
	OPERATOR 10 cdp.?|(cdp.profile, text[]),
	OPERATOR 11 cdp.?&(cdp.profile, text[]),
	FUNCTION 1 btint8cmp(bigint, bigint),
	FUNCTION 2 cdp.profile_gin_extract(cdp.profile, internal),
	FUNCTION 3 cdp.profile_gin_extract_query(internal, internal, smallint, internal, internal, internal, internal),
	FUNCTION 4 cdp.profile_gin_consistent(internal, smallint, internal, integer, internal, internal, internal, internal),
	FUNCTION 6 cdp.profile_gin_triconsistent(internal, smallint, internal, integer, internal, internal, internal),
	STORAGE bigint;

COMMENT ON OPERATOR CLASS cdp.profile_gin_ops USING gin IS 'traits of profiles and their newest values';

-- Reading a profile under given policies

CREATE FUNCTION cdp.profile_winner(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_profile_winner';

COMMENT ON FUNCTION cdp.profile_winner(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as jsonb; NULL where there is none';

CREATE FUNCTION cdp.profile_winners(profile cdp.profile, survivorship cdp.survivorship) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_profile_winners';

COMMENT ON FUNCTION cdp.profile_winners(cdp.profile, cdp.survivorship) IS
	'object with the winning value of each trait';

CREATE FUNCTION cdp.get_text(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_text';

COMMENT ON FUNCTION cdp.get_text(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as text; NULL where it is NULL; NULL where there is none';

CREATE FUNCTION cdp.get_jsonb(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_jsonb';

COMMENT ON FUNCTION cdp.get_jsonb(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as jsonb; NULL where there is none';

CREATE FUNCTION cdp.get_boolean(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_boolean';

COMMENT ON FUNCTION cdp.get_boolean(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as boolean; NULL where there is none';

CREATE FUNCTION cdp.get_bigint(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_bigint';

COMMENT ON FUNCTION cdp.get_bigint(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as bigint; NULL where there is none';

CREATE FUNCTION cdp.get_double(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_double';

COMMENT ON FUNCTION cdp.get_double(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as double precision; NULL where there is none';

CREATE FUNCTION cdp.get_numeric(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS numeric
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_numeric';

COMMENT ON FUNCTION cdp.get_numeric(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as numeric; NULL where there is none';

CREATE FUNCTION cdp.get_timestamptz(profile cdp.profile, trait text, survivorship cdp.survivorship) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_get_timestamptz';

COMMENT ON FUNCTION cdp.get_timestamptz(cdp.profile, text, cdp.survivorship) IS
	'value of a trait that wins, as timestamptz; NULL where there is none';

CREATE FUNCTION cdp.profile_traits(profile cdp.profile, survivorship cdp.survivorship)
RETURNS TABLE (trait text, value jsonb, type text, source text, record bigint, observed_at timestamptz, is_winner boolean)
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_profile_traits';

COMMENT ON FUNCTION cdp.profile_traits(cdp.profile, cdp.survivorship) IS
	'every value of every trait, with its source, record and time, the winner of each trait marked';

CREATE FUNCTION cdp.explain_trait(profile cdp.profile, trait text, survivorship cdp.survivorship)
RETURNS TABLE (place integer, value jsonb, type text, source text, record bigint, observed_at timestamptz, is_winner boolean, reason text)
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 5
	AS 'MODULE_PATHNAME', 'cdp_explain_trait';

COMMENT ON FUNCTION cdp.explain_trait(cdp.profile, text, cdp.survivorship) IS
	'the values of a trait, the winner first, each with the reason why it wins or does not';
