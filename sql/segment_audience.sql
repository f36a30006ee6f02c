-- The type cdp.audience: a compressed set of ids. All is written in C
-- (src/segment/audience*.c) and described in docs/segment.md.

CREATE TYPE cdp.audience;

CREATE FUNCTION cdp.audience_in(cstring) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_audience_in';
CREATE FUNCTION cdp.audience_out(cdp.audience) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_audience_out';
CREATE FUNCTION cdp.audience_recv(internal) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_audience_recv';
CREATE FUNCTION cdp.audience_send(cdp.audience) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_audience_send';

-- compressed already, so not compressed again
CREATE TYPE cdp.audience (
	INPUT = cdp.audience_in,
	OUTPUT = cdp.audience_out,
	RECEIVE = cdp.audience_recv,
	SEND = cdp.audience_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = external
);

COMMENT ON TYPE cdp.audience IS
	'compressed set of ids from 0 to 9223372036854775807, written as {1,2,5-9}';
COMMENT ON FUNCTION cdp.audience_in(cstring) IS 'reads {1,2,5-9}';
COMMENT ON FUNCTION cdp.audience_out(cdp.audience) IS 'writes {1,2,5-9}';
COMMENT ON FUNCTION cdp.audience_recv(internal) IS 'reads the binary form, which docs/segment.md specifies';
COMMENT ON FUNCTION cdp.audience_send(cdp.audience) IS
	'the binary form, which docs/segment.md specifies: a version byte, then Roaring''s portable 64-bit format';

CREATE FUNCTION cdp.audience(ids bigint[]) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_audience';
COMMENT ON FUNCTION cdp.audience(bigint[]) IS 'the ids of an array as an audience; NULL elements count for nothing';

CREATE FUNCTION cdp.member_array(audience cdp.audience) RETURNS bigint[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_member_array';
COMMENT ON FUNCTION cdp.member_array(cdp.audience) IS 'the ids of an audience as an array, in increasing order';

CREATE CAST (bigint[] AS cdp.audience) WITH FUNCTION cdp.audience(bigint[]);
COMMENT ON CAST (bigint[] AS cdp.audience) IS 'the ids of an array as an audience';
CREATE CAST (cdp.audience AS bigint[]) WITH FUNCTION cdp.member_array(cdp.audience);
COMMENT ON CAST (cdp.audience AS bigint[]) IS 'the ids of an audience as an array, in increasing order';

CREATE FUNCTION cdp.members(audience cdp.audience) RETURNS SETOF bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1 ROWS 10000
	AS 'MODULE_PATHNAME', 'cdp_members';
COMMENT ON FUNCTION cdp.members(cdp.audience) IS 'the ids of an audience as rows, in increasing order';

CREATE FUNCTION cdp.cardinality(audience cdp.audience) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_cardinality';
COMMENT ON FUNCTION cdp.cardinality(cdp.audience) IS 'number of ids in an audience';

CREATE FUNCTION cdp.audience_and(cdp.audience, cdp.audience) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_and';
COMMENT ON FUNCTION cdp.audience_and(cdp.audience, cdp.audience) IS 'ids that are in both audiences';

CREATE OPERATOR cdp.& (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_and,
	COMMUTATOR = OPERATOR(cdp.&)
);
COMMENT ON OPERATOR cdp.& (cdp.audience, cdp.audience) IS 'ids that are in both audiences';

CREATE FUNCTION cdp.audience_or(cdp.audience, cdp.audience) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_or';
COMMENT ON FUNCTION cdp.audience_or(cdp.audience, cdp.audience) IS 'ids that are in one of the audiences';

CREATE OPERATOR cdp.| (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_or,
	COMMUTATOR = OPERATOR(cdp.|)
);
COMMENT ON OPERATOR cdp.| (cdp.audience, cdp.audience) IS 'ids that are in one of the audiences';

CREATE FUNCTION cdp.audience_minus(cdp.audience, cdp.audience) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_minus';
COMMENT ON FUNCTION cdp.audience_minus(cdp.audience, cdp.audience) IS 'ids of the first audience that are not in the second';

CREATE OPERATOR cdp.- (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_minus
);
COMMENT ON OPERATOR cdp.- (cdp.audience, cdp.audience) IS 'ids of the first audience that are not in the second';

CREATE FUNCTION cdp.audience_xor(cdp.audience, cdp.audience) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_xor';
COMMENT ON FUNCTION cdp.audience_xor(cdp.audience, cdp.audience) IS 'ids that are in just one of the two audiences';

CREATE OPERATOR cdp.# (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_xor,
	COMMUTATOR = OPERATOR(cdp.#)
);
COMMENT ON OPERATOR cdp.# (cdp.audience, cdp.audience) IS 'ids that are in just one of the two audiences';

CREATE FUNCTION cdp.audience_contains(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_contains';
COMMENT ON FUNCTION cdp.audience_contains(cdp.audience, cdp.audience) IS 'whether the first audience has every id of the second';

CREATE FUNCTION cdp.audience_contained(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_contained';
COMMENT ON FUNCTION cdp.audience_contained(cdp.audience, cdp.audience) IS 'whether the second audience has every id of the first';

CREATE FUNCTION cdp.audience_overlaps(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_audience_overlaps';
COMMENT ON FUNCTION cdp.audience_overlaps(cdp.audience, cdp.audience) IS 'whether two audiences have an id in common';

CREATE FUNCTION cdp.audience_has(cdp.audience, bigint) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_has';
COMMENT ON FUNCTION cdp.audience_has(cdp.audience, bigint) IS 'whether the audience has the id';

CREATE FUNCTION cdp.audience_is_member(bigint, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_is_member';
COMMENT ON FUNCTION cdp.audience_is_member(bigint, cdp.audience) IS 'whether the id is in the audience';

CREATE OPERATOR cdp.@> (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_contains,
	COMMUTATOR = OPERATOR(cdp.<@),
	RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR cdp.@> (cdp.audience, cdp.audience) IS 'whether the first audience has every id of the second';

CREATE OPERATOR cdp.<@ (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_contained,
	COMMUTATOR = OPERATOR(cdp.@>),
	RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR cdp.<@ (cdp.audience, cdp.audience) IS 'whether the second audience has every id of the first';

CREATE OPERATOR cdp.&& (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_overlaps,
	COMMUTATOR = OPERATOR(cdp.&&),
	RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR cdp.&& (cdp.audience, cdp.audience) IS 'whether two audiences have an id in common';

CREATE OPERATOR cdp.@> (
	LEFTARG = cdp.audience, RIGHTARG = bigint, FUNCTION = cdp.audience_has,
	COMMUTATOR = OPERATOR(cdp.<@),
	RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR cdp.@> (cdp.audience, bigint) IS 'whether the audience has the id';

CREATE OPERATOR cdp.<@ (
	LEFTARG = bigint, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_is_member,
	COMMUTATOR = OPERATOR(cdp.@>),
	RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR cdp.<@ (bigint, cdp.audience) IS 'whether the id is in the audience';

CREATE FUNCTION cdp.audience_eq(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_eq';
COMMENT ON FUNCTION cdp.audience_eq(cdp.audience, cdp.audience) IS 'whether two audiences have the same ids';

CREATE FUNCTION cdp.audience_ne(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_ne';
COMMENT ON FUNCTION cdp.audience_ne(cdp.audience, cdp.audience) IS 'whether two audiences differ';

CREATE FUNCTION cdp.audience_lt(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_lt';
COMMENT ON FUNCTION cdp.audience_lt(cdp.audience, cdp.audience) IS 'less, in an order without a meaning';

CREATE FUNCTION cdp.audience_le(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_le';
COMMENT ON FUNCTION cdp.audience_le(cdp.audience, cdp.audience) IS 'less or equal, in an order without a meaning';

CREATE FUNCTION cdp.audience_gt(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_gt';
COMMENT ON FUNCTION cdp.audience_gt(cdp.audience, cdp.audience) IS 'greater, in an order without a meaning';

CREATE FUNCTION cdp.audience_ge(cdp.audience, cdp.audience) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_ge';
COMMENT ON FUNCTION cdp.audience_ge(cdp.audience, cdp.audience) IS 'greater or equal, in an order without a meaning';

CREATE FUNCTION cdp.audience_cmp(cdp.audience, cdp.audience) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_cmp';
COMMENT ON FUNCTION cdp.audience_cmp(cdp.audience, cdp.audience) IS '-1, 0 or 1 by the order of the bytes, which has no meaning';

CREATE FUNCTION cdp.audience_hash(cdp.audience) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_hash';
COMMENT ON FUNCTION cdp.audience_hash(cdp.audience) IS 'hash of an audience';

CREATE FUNCTION cdp.audience_hash_extended(cdp.audience, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_audience_hash_extended';
COMMENT ON FUNCTION cdp.audience_hash_extended(cdp.audience, bigint) IS 'hash of an audience, with a seed';

CREATE OPERATOR cdp.= (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_eq,
	COMMUTATOR = OPERATOR(cdp.=), NEGATOR = OPERATOR(cdp.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR cdp.= (cdp.audience, cdp.audience) IS 'whether two audiences have the same ids';

CREATE OPERATOR cdp.<> (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_ne,
	COMMUTATOR = OPERATOR(cdp.<>), NEGATOR = OPERATOR(cdp.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR cdp.<> (cdp.audience, cdp.audience) IS 'whether two audiences differ';

CREATE OPERATOR cdp.< (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_lt,
	COMMUTATOR = OPERATOR(cdp.>), NEGATOR = OPERATOR(cdp.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR cdp.< (cdp.audience, cdp.audience) IS 'less, in an order without a meaning';

CREATE OPERATOR cdp.<= (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_le,
	COMMUTATOR = OPERATOR(cdp.>=), NEGATOR = OPERATOR(cdp.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR cdp.<= (cdp.audience, cdp.audience) IS 'less or equal, in an order without a meaning';

CREATE OPERATOR cdp.> (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_gt,
	COMMUTATOR = OPERATOR(cdp.<), NEGATOR = OPERATOR(cdp.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR cdp.> (cdp.audience, cdp.audience) IS 'greater, in an order without a meaning';

CREATE OPERATOR cdp.>= (
	LEFTARG = cdp.audience, RIGHTARG = cdp.audience, FUNCTION = cdp.audience_ge,
	COMMUTATOR = OPERATOR(cdp.<=), NEGATOR = OPERATOR(cdp.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR cdp.>= (cdp.audience, cdp.audience) IS 'greater or equal, in an order without a meaning';

CREATE OPERATOR CLASS cdp.audience_order
	DEFAULT FOR TYPE cdp.audience USING btree AS
	OPERATOR 1 cdp.<,
	OPERATOR 2 cdp.<=,
	OPERATOR 3 cdp.=,
	OPERATOR 4 cdp.>=,
	OPERATOR 5 cdp.>,
	FUNCTION 1 cdp.audience_cmp(cdp.audience, cdp.audience);
COMMENT ON OPERATOR CLASS cdp.audience_order USING btree IS 'order of audiences by their bytes, for sorting and merging';
COMMENT ON OPERATOR FAMILY cdp.audience_order USING btree IS 'order of audiences by their bytes, for sorting and merging';

CREATE OPERATOR CLASS cdp.audience_equality
	DEFAULT FOR TYPE cdp.audience USING hash AS
	OPERATOR 1 cdp.=,
	FUNCTION 1 cdp.audience_hash(cdp.audience),
	FUNCTION 2 cdp.audience_hash_extended(cdp.audience, bigint);
COMMENT ON OPERATOR CLASS cdp.audience_equality USING hash IS 'equality of audiences';
COMMENT ON OPERATOR FAMILY cdp.audience_equality USING hash IS 'equality of audiences';

CREATE FUNCTION cdp.audience_agg_transition(cdp.audience, bigint) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_audience_agg_transition';
COMMENT ON FUNCTION cdp.audience_agg_transition(cdp.audience, bigint) IS 'adds an id in cdp.audience_agg';

CREATE FUNCTION cdp.audience_union_transition(cdp.audience, cdp.audience) RETURNS cdp.audience
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_audience_union_transition';
COMMENT ON FUNCTION cdp.audience_union_transition(cdp.audience, cdp.audience) IS
	'adds an audience in cdp.audience_union_agg, and merges the states of cdp.audience_agg';

CREATE AGGREGATE cdp.audience_agg(bigint) (
	SFUNC = cdp.audience_agg_transition,
	STYPE = cdp.audience,
	SSPACE = 4096,
	INITCOND = '{}',
	COMBINEFUNC = cdp.audience_union_transition,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.audience_agg(bigint) IS 'the ids as an audience; the empty one where there are none';

CREATE AGGREGATE cdp.audience_union_agg(cdp.audience) (
	SFUNC = cdp.audience_union_transition,
	STYPE = cdp.audience,
	SSPACE = 4096,
	INITCOND = '{}',
	COMBINEFUNC = cdp.audience_union_transition,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.audience_union_agg(cdp.audience) IS
	'ids that are in one of the audiences; the empty one where there are none';

CREATE AGGREGATE cdp.audience_intersection_agg(cdp.audience) (
	SFUNC = cdp.audience_and,
	STYPE = cdp.audience,
	SSPACE = 4096,
	COMBINEFUNC = cdp.audience_and,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.audience_intersection_agg(cdp.audience) IS
	'ids that are in every audience; NULL where there are none';
