-- The type cdp.survivorship: which of several values of a trait wins.  The
-- functions of profiles that go by it are in profile_type.sql.  All is written in
-- C (src/profile) and described in docs/profile.md.

CREATE TYPE cdp.survivorship;

COMMENT ON TYPE cdp.survivorship IS
	'which value of a trait wins: a policy for each trait and a default, as JSON';

CREATE FUNCTION cdp.survivorship_in(cstring) RETURNS cdp.survivorship
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_in';

COMMENT ON FUNCTION cdp.survivorship_in(cstring) IS
	'reads the text form of a survivorship, which is JSON';

CREATE FUNCTION cdp.survivorship_out(cdp.survivorship) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_out';

COMMENT ON FUNCTION cdp.survivorship_out(cdp.survivorship) IS
	'writes the text form of a survivorship, which is JSON';

CREATE FUNCTION cdp.survivorship_recv(internal) RETURNS cdp.survivorship
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_recv';

COMMENT ON FUNCTION cdp.survivorship_recv(internal) IS
	'reads the binary form of a survivorship';

CREATE FUNCTION cdp.survivorship_send(cdp.survivorship) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_send';

COMMENT ON FUNCTION cdp.survivorship_send(cdp.survivorship) IS
	'writes the binary form of a survivorship';

CREATE TYPE cdp.survivorship (
	INPUT = cdp.survivorship_in,
	OUTPUT = cdp.survivorship_out,
	RECEIVE = cdp.survivorship_recv,
	SEND = cdp.survivorship_send,
	INTERNALLENGTH = VARIABLE,
	STORAGE = extended
);

CREATE FUNCTION cdp.survivorship_from_jsonb(jsonb) RETURNS cdp.survivorship
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_from_jsonb';

COMMENT ON FUNCTION cdp.survivorship_from_jsonb(jsonb) IS
	'reads a survivorship from JSON of its text form';

CREATE FUNCTION cdp.survivorship_to_jsonb(cdp.survivorship) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_to_jsonb';

COMMENT ON FUNCTION cdp.survivorship_to_jsonb(cdp.survivorship) IS
	'the text form of a survivorship as jsonb';

CREATE CAST (jsonb AS cdp.survivorship) WITH FUNCTION cdp.survivorship_from_jsonb(jsonb);

COMMENT ON CAST (jsonb AS cdp.survivorship) IS 'a survivorship from JSON of its text form';

CREATE CAST (cdp.survivorship AS jsonb) WITH FUNCTION cdp.survivorship_to_jsonb(cdp.survivorship);

COMMENT ON CAST (cdp.survivorship AS jsonb) IS 'the text form of a survivorship as jsonb';

CREATE FUNCTION cdp.survivorship_eq(cdp.survivorship, cdp.survivorship) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_eq';

COMMENT ON FUNCTION cdp.survivorship_eq(cdp.survivorship, cdp.survivorship) IS
	'operator =';

CREATE FUNCTION cdp.survivorship_ne(cdp.survivorship, cdp.survivorship) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_survivorship_ne';

COMMENT ON FUNCTION cdp.survivorship_ne(cdp.survivorship, cdp.survivorship) IS
	'operator <>';

CREATE OPERATOR cdp.= (
	LEFTARG = cdp.survivorship,
	RIGHTARG = cdp.survivorship,
	FUNCTION = cdp.survivorship_eq,
	COMMUTATOR = OPERATOR(cdp.=),
	NEGATOR = OPERATOR(cdp.<>),
	RESTRICT = eqsel,
	JOIN = eqjoinsel
);

COMMENT ON OPERATOR cdp.=(cdp.survivorship, cdp.survivorship) IS 'the same policies?';

CREATE OPERATOR cdp.<> (
	LEFTARG = cdp.survivorship,
	RIGHTARG = cdp.survivorship,
	FUNCTION = cdp.survivorship_ne,
	COMMUTATOR = OPERATOR(cdp.<>),
	NEGATOR = OPERATOR(cdp.=),
	RESTRICT = neqsel,
	JOIN = neqjoinsel
);

COMMENT ON OPERATOR cdp.<>(cdp.survivorship, cdp.survivorship) IS 'not the same policies?';
