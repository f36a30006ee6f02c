-- Which of several actions to take next: a type that holds what each has earned,
-- aggregates that make it, draws (Thompson sampling) and the probability of being
-- best.  All of it is C (src/score/bandit*.c) and described in docs/score.md.

CREATE TYPE cdp.beta_bandit;

CREATE FUNCTION cdp.beta_bandit_in(cstring) RETURNS cdp.beta_bandit
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_in';

COMMENT ON FUNCTION cdp.beta_bandit_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';

CREATE FUNCTION cdp.beta_bandit_out(cdp.beta_bandit) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_out';

COMMENT ON FUNCTION cdp.beta_bandit_out(cdp.beta_bandit) IS 'writes \x and hexadecimal digits of the binary form';

CREATE FUNCTION cdp.beta_bandit_recv(internal) RETURNS cdp.beta_bandit
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_recv';

COMMENT ON FUNCTION cdp.beta_bandit_recv(internal) IS 'reads the binary form, which docs/score.md specifies';

CREATE FUNCTION cdp.beta_bandit_send(cdp.beta_bandit) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_send';

COMMENT ON FUNCTION cdp.beta_bandit_send(cdp.beta_bandit) IS 'the binary form, which docs/score.md specifies';

CREATE TYPE cdp.beta_bandit (
	INPUT = cdp.beta_bandit_in,
	OUTPUT = cdp.beta_bandit_out,
	RECEIVE = cdp.beta_bandit_recv,
	SEND = cdp.beta_bandit_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.beta_bandit IS 'how often each of several actions was tried, and what it earned; can be stored and merged';

CREATE FUNCTION cdp.beta_bandit_transition(cdp.beta_bandit, text, boolean) RETURNS cdp.beta_bandit
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_transition';

COMMENT ON FUNCTION cdp.beta_bandit_transition(cdp.beta_bandit, text, boolean) IS 'adds a trial to a state';

CREATE FUNCTION cdp.beta_bandit_transition(cdp.beta_bandit, text, double precision) RETURNS cdp.beta_bandit
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_transition';

COMMENT ON FUNCTION cdp.beta_bandit_transition(cdp.beta_bandit, text, double precision) IS 'adds a trial to a state';

CREATE FUNCTION cdp.beta_bandit_merge(cdp.beta_bandit, cdp.beta_bandit) RETURNS cdp.beta_bandit
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_merge';

COMMENT ON FUNCTION cdp.beta_bandit_merge(cdp.beta_bandit, cdp.beta_bandit) IS 'the trials and rewards of both; NULL is none';

CREATE AGGREGATE cdp.beta_bandit_agg(arm text, reward boolean) (
	SFUNC = cdp.beta_bandit_transition,
	STYPE = cdp.beta_bandit,
	COMBINEFUNC = cdp.beta_bandit_merge,
	PARALLEL = safe
);

COMMENT ON AGGREGATE cdp.beta_bandit_agg(text, boolean) IS 'how often each arm was tried, and how often with success; rows with a NULL are left out';

CREATE AGGREGATE cdp.beta_bandit_agg(arm text, reward double precision) (
	SFUNC = cdp.beta_bandit_transition,
	STYPE = cdp.beta_bandit,
	COMBINEFUNC = cdp.beta_bandit_merge,
	PARALLEL = safe
);

COMMENT ON AGGREGATE cdp.beta_bandit_agg(text, double precision) IS
	'how often each arm was tried, and the sum of its rewards, each from 0 to 1; rows with a NULL are left out';

CREATE AGGREGATE cdp.beta_bandit_merge_agg(cdp.beta_bandit) (
	SFUNC = cdp.beta_bandit_merge,
	STYPE = cdp.beta_bandit,
	COMBINEFUNC = cdp.beta_bandit_merge,
	PARALLEL = safe
);

COMMENT ON AGGREGATE cdp.beta_bandit_merge_agg(cdp.beta_bandit) IS 'stored values of cdp.beta_bandit as one';

CREATE FUNCTION cdp.beta_bandit_sample(
	bandit cdp.beta_bandit,
	seed bigint,
	arms text[] DEFAULT NULL,
	prior_rewards double precision DEFAULT 1,
	prior_failures double precision DEFAULT 1
) RETURNS text
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_sample';

COMMENT ON FUNCTION cdp.beta_bandit_sample(cdp.beta_bandit, bigint, text[], double precision, double precision) IS
	'the arm to take next, by Thompson sampling; the same seed gives the same arm';

CREATE FUNCTION cdp.beta_bandit_arms(
	bandit cdp.beta_bandit,
	arms text[] DEFAULT NULL,
	prior_rewards double precision DEFAULT 1,
	prior_failures double precision DEFAULT 1,
	OUT arm text,
	OUT trials bigint,
	OUT rewards double precision,
	OUT mean double precision,
	OUT p_best double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000 ROWS 10
	AS 'MODULE_PATHNAME', 'cdp_beta_bandit_arms';

COMMENT ON FUNCTION cdp.beta_bandit_arms(cdp.beta_bandit, text[], double precision, double precision) IS
	'each arm: trials, sum of rewards, the mean to expect, and the probability that it is the best';
