-- From transactions to customers: recency, frequency, monetary value, scores of
-- them, and the lifetime models from such values (docs/score.md).

-- types

CREATE TYPE cdp.rfm_options AS (
	period interval,
	merge interval,
	observation_end timestamp,
	time_zone text,
	refunds text
);

COMMENT ON TYPE cdp.rfm_options IS
	'how transactions become customers; made by the function of the same name';

CREATE FUNCTION cdp.rfm_options(period interval DEFAULT '7 days', merge interval DEFAULT '1 day',
	observation_end timestamp DEFAULT NULL, time_zone text DEFAULT 'UTC', refunds text DEFAULT 'subtract')
RETURNS cdp.rfm_options
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ROW(period, merge, observation_end, time_zone, refunds)::cdp.rfm_options;

COMMENT ON FUNCTION cdp.rfm_options(interval, interval, timestamp, text, text) IS
	'options of cdp.rfm: unit of recency and age, span of one purchase, end of observation (default now), zone in which days begin, refunds (subtract or ignore)';

CREATE TYPE cdp.rfm_summary AS (
	frequency integer,
	recency float8,
	age float8,
	monetary float8,
	first_at timestamp,
	last_at timestamp,
	purchases integer,
	total float8,
	period interval
);

COMMENT ON TYPE cdp.rfm_summary IS
	'what a customer''s transactions come to: repeat purchases, time from first to last and from first to the end of observation, mean repeat purchase, first and last period, purchases, total, unit of the times';

CREATE TYPE cdp.rfm_state;

CREATE FUNCTION cdp.rfm_state_in(cstring)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_state_in'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_state_in(cstring) IS
	'input function of the type';

CREATE FUNCTION cdp.rfm_state_out(cdp.rfm_state)
RETURNS cstring
AS 'MODULE_PATHNAME', 'cdp_rfm_state_out'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_state_out(cdp.rfm_state) IS
	'output function of the type';

CREATE FUNCTION cdp.rfm_state_recv(internal)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_state_recv'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_state_recv(internal) IS
	'binary input function of the type';

CREATE FUNCTION cdp.rfm_state_send(cdp.rfm_state)
RETURNS bytea
AS 'MODULE_PATHNAME', 'cdp_rfm_state_send'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_state_send(cdp.rfm_state) IS
	'binary output function of the type';

CREATE TYPE cdp.rfm_state (
	INPUT = cdp.rfm_state_in,
	OUTPUT = cdp.rfm_state_out,
	RECEIVE = cdp.rfm_state_recv,
	SEND = cdp.rfm_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.rfm_state IS
	'a customer''s transactions, merged by period; states merge';

-- aggregates

CREATE FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamptz, float8)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamptz, float8) IS
	'transition function';

CREATE FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamptz, float8, cdp.rfm_options)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamptz, float8, cdp.rfm_options) IS
	'transition function';

CREATE FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamp, float8)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_transition_local'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamp, float8) IS
	'transition function';

CREATE FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamp, float8, cdp.rfm_options)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_transition_local'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_transition(cdp.rfm_state, timestamp, float8, cdp.rfm_options) IS
	'transition function';

CREATE FUNCTION cdp.rfm_transition(cdp.rfm_state, date, float8)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_transition_date'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_transition(cdp.rfm_state, date, float8) IS
	'transition function';

CREATE FUNCTION cdp.rfm_transition(cdp.rfm_state, date, float8, cdp.rfm_options)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_transition_date'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_transition(cdp.rfm_state, date, float8, cdp.rfm_options) IS
	'transition function';

CREATE FUNCTION cdp.rfm_combine(cdp.rfm_state, cdp.rfm_state)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_combine(cdp.rfm_state, cdp.rfm_state) IS
	'combine function';

CREATE FUNCTION cdp.rfm_merge_transition(cdp.rfm_state, cdp.rfm_state)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_merge_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_merge_transition(cdp.rfm_state, cdp.rfm_state) IS
	'transition function';

CREATE FUNCTION cdp.rfm_state_final(cdp.rfm_state)
RETURNS cdp.rfm_state
AS 'MODULE_PATHNAME', 'cdp_rfm_state_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_state_final(cdp.rfm_state) IS
	'final function';

CREATE FUNCTION cdp.rfm_final(cdp.rfm_state)
RETURNS cdp.rfm_summary
AS 'MODULE_PATHNAME', 'cdp_rfm_final'
LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_final(cdp.rfm_state) IS
	'final function; stable, since without an end of observation time goes on';

CREATE AGGREGATE cdp.rfm(occurred_at timestamptz, amount float8) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm(timestamptz, float8) IS
	'recency, frequency and monetary value of the transactions; amounts below 0 are refunds';

CREATE AGGREGATE cdp.rfm(occurred_at timestamptz, amount float8, options cdp.rfm_options) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm(timestamptz, float8, cdp.rfm_options) IS
	'recency, frequency and monetary value of the transactions; amounts below 0 are refunds';

CREATE AGGREGATE cdp.rfm_state_agg(occurred_at timestamptz, amount float8) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_state_agg(timestamptz, float8) IS
	'the same as a state, which can be stored, merged and summarised at any time';

CREATE AGGREGATE cdp.rfm_state_agg(occurred_at timestamptz, amount float8, options cdp.rfm_options) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_state_agg(timestamptz, float8, cdp.rfm_options) IS
	'the same as a state, which can be stored, merged and summarised at any time';

CREATE AGGREGATE cdp.rfm(occurred_at timestamp, amount float8) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm(timestamp, float8) IS
	'recency, frequency and monetary value of the transactions; amounts below 0 are refunds';

CREATE AGGREGATE cdp.rfm(occurred_at timestamp, amount float8, options cdp.rfm_options) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm(timestamp, float8, cdp.rfm_options) IS
	'recency, frequency and monetary value of the transactions; amounts below 0 are refunds';

CREATE AGGREGATE cdp.rfm_state_agg(occurred_at timestamp, amount float8) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_state_agg(timestamp, float8) IS
	'the same as a state, which can be stored, merged and summarised at any time';

CREATE AGGREGATE cdp.rfm_state_agg(occurred_at timestamp, amount float8, options cdp.rfm_options) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_state_agg(timestamp, float8, cdp.rfm_options) IS
	'the same as a state, which can be stored, merged and summarised at any time';

CREATE AGGREGATE cdp.rfm(occurred_at date, amount float8) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm(date, float8) IS
	'recency, frequency and monetary value of the transactions; amounts below 0 are refunds';

CREATE AGGREGATE cdp.rfm(occurred_at date, amount float8, options cdp.rfm_options) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm(date, float8, cdp.rfm_options) IS
	'recency, frequency and monetary value of the transactions; amounts below 0 are refunds';

CREATE AGGREGATE cdp.rfm_state_agg(occurred_at date, amount float8) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_state_agg(date, float8) IS
	'the same as a state, which can be stored, merged and summarised at any time';

CREATE AGGREGATE cdp.rfm_state_agg(occurred_at date, amount float8, options cdp.rfm_options) (
	SFUNC = cdp.rfm_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_state_agg(date, float8, cdp.rfm_options) IS
	'the same as a state, which can be stored, merged and summarised at any time';

CREATE AGGREGATE cdp.rfm_merge_agg(state cdp.rfm_state) (
	SFUNC = cdp.rfm_merge_transition,
	STYPE = cdp.rfm_state,
	FINALFUNC = cdp.rfm_state_final,
	FINALFUNC_MODIFY = SHAREABLE,
	COMBINEFUNC = cdp.rfm_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_merge_agg(cdp.rfm_state) IS
	'states merged into one';

CREATE FUNCTION cdp.rfm_summarize(state cdp.rfm_state, observation_end timestamp DEFAULT NULL)
RETURNS cdp.rfm_summary
AS 'MODULE_PATHNAME', 'cdp_rfm_summarize'
LANGUAGE C STABLE PARALLEL SAFE COST 10;

COMMENT ON FUNCTION cdp.rfm_summarize(cdp.rfm_state, timestamp) IS
	'recency, frequency and monetary value as of a time (default now); NULL where there was no purchase yet';

CREATE FUNCTION cdp.rfm_purchases(state cdp.rfm_state, after timestamp, until timestamp)
RETURNS integer
AS 'MODULE_PATHNAME', 'cdp_rfm_purchases'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION cdp.rfm_purchases(cdp.rfm_state, timestamp, timestamp) IS
	'purchases in the periods after that of one time, until that of another: what came in a holdout';

-- scores by quantiles

CREATE TYPE cdp.rfm_breakpoints AS (
	since_last float8[],
	purchases float8[],
	mean_amount float8[]
);

COMMENT ON TYPE cdp.rfm_breakpoints IS
	'quantiles of the customers'' time since the last purchase, number of purchases and mean amount';

CREATE TYPE cdp.rfm_scores AS (
	recency integer,
	frequency integer,
	monetary integer,
	score text,
	segment text
);

COMMENT ON TYPE cdp.rfm_scores IS
	'scores of a customer from 1 up to the number of bins, their digits, and the named segment (with 4 bins)';

CREATE FUNCTION cdp.rfm_breakpoints_transition(internal, cdp.rfm_summary)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_rfm_breakpoints_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_breakpoints_transition(internal, cdp.rfm_summary) IS
	'transition function';

CREATE FUNCTION cdp.rfm_breakpoints_transition(internal, cdp.rfm_summary, integer)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_rfm_breakpoints_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_breakpoints_transition(internal, cdp.rfm_summary, integer) IS
	'transition function';

CREATE FUNCTION cdp.rfm_breakpoints_combine(internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_rfm_breakpoints_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_breakpoints_combine(internal, internal) IS
	'combine function';

CREATE FUNCTION cdp.rfm_breakpoints_serialize(internal)
RETURNS bytea
AS 'MODULE_PATHNAME', 'cdp_rfm_breakpoints_serialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_breakpoints_serialize(internal) IS
	'serialisation function';

CREATE FUNCTION cdp.rfm_breakpoints_deserialize(bytea, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_rfm_breakpoints_deserialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_breakpoints_deserialize(bytea, internal) IS
	'deserialisation function';

CREATE FUNCTION cdp.rfm_breakpoints_final(internal)
RETURNS cdp.rfm_breakpoints
AS 'MODULE_PATHNAME', 'cdp_rfm_breakpoints_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.rfm_breakpoints_final(internal) IS
	'final function';

CREATE AGGREGATE cdp.rfm_breakpoints(customer cdp.rfm_summary) (
	SFUNC = cdp.rfm_breakpoints_transition,
	STYPE = internal,
	FINALFUNC = cdp.rfm_breakpoints_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.rfm_breakpoints_combine,
	SERIALFUNC = cdp.rfm_breakpoints_serialize,
	DESERIALFUNC = cdp.rfm_breakpoints_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_breakpoints(cdp.rfm_summary) IS
	'quartiles of the customers, for cdp.rfm_score';

CREATE AGGREGATE cdp.rfm_breakpoints(customer cdp.rfm_summary, bins integer) (
	SFUNC = cdp.rfm_breakpoints_transition,
	STYPE = internal,
	FINALFUNC = cdp.rfm_breakpoints_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.rfm_breakpoints_combine,
	SERIALFUNC = cdp.rfm_breakpoints_serialize,
	DESERIALFUNC = cdp.rfm_breakpoints_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.rfm_breakpoints(cdp.rfm_summary, integer) IS
	'quantiles of the customers for so many bins (2 to 9)';

CREATE FUNCTION cdp.rfm_score(customer cdp.rfm_summary, breakpoints cdp.rfm_breakpoints)
RETURNS cdp.rfm_scores
AS 'MODULE_PATHNAME', 'cdp_rfm_score'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;

COMMENT ON FUNCTION cdp.rfm_score(cdp.rfm_summary, cdp.rfm_breakpoints) IS
	'scores and segment of a customer; equal values have equal scores';

-- lifetime models from rfm values

CREATE FUNCTION cdp.lifetime_fit_transition(internal, cdp.rfm_summary)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_transition_rfm'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_transition(internal, cdp.rfm_summary) IS
	'transition function';

CREATE FUNCTION cdp.lifetime_fit_transition(internal, cdp.rfm_summary, cdp.lifetime_options)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_transition_rfm'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_transition(internal, cdp.rfm_summary, cdp.lifetime_options) IS
	'transition function';

CREATE FUNCTION cdp.gamma_gamma_fit_transition(internal, cdp.rfm_summary)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_gamma_gamma_fit_transition_rfm'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.gamma_gamma_fit_transition(internal, cdp.rfm_summary) IS
	'transition function';

CREATE FUNCTION cdp.gamma_gamma_fit_transition(internal, cdp.rfm_summary, cdp.lifetime_options)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_gamma_gamma_fit_transition_rfm'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.gamma_gamma_fit_transition(internal, cdp.rfm_summary, cdp.lifetime_options) IS
	'transition function';

CREATE AGGREGATE cdp.bgnbd_fit(customer cdp.rfm_summary) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.bgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.bgnbd_fit(cdp.rfm_summary) IS
	'the same from rfm values';

CREATE AGGREGATE cdp.bgnbd_fit(customer cdp.rfm_summary, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.bgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.bgnbd_fit(cdp.rfm_summary, cdp.lifetime_options) IS
	'the same from rfm values, with options';

CREATE AGGREGATE cdp.mbgnbd_fit(customer cdp.rfm_summary) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.mbgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.mbgnbd_fit(cdp.rfm_summary) IS
	'the same from rfm values';

CREATE AGGREGATE cdp.mbgnbd_fit(customer cdp.rfm_summary, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.mbgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.mbgnbd_fit(cdp.rfm_summary, cdp.lifetime_options) IS
	'the same from rfm values, with options';

CREATE AGGREGATE cdp.pareto_nbd_fit(customer cdp.rfm_summary) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.pareto_nbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.pareto_nbd_fit(cdp.rfm_summary) IS
	'the same from rfm values';

CREATE AGGREGATE cdp.pareto_nbd_fit(customer cdp.rfm_summary, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.pareto_nbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.pareto_nbd_fit(cdp.rfm_summary, cdp.lifetime_options) IS
	'the same from rfm values, with options';

CREATE AGGREGATE cdp.gamma_gamma_fit(customer cdp.rfm_summary) (
	SFUNC = cdp.gamma_gamma_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.gamma_gamma_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.gamma_gamma_fit(cdp.rfm_summary) IS
	'the same from rfm values';

CREATE AGGREGATE cdp.gamma_gamma_fit(customer cdp.rfm_summary, options cdp.lifetime_options) (
	SFUNC = cdp.gamma_gamma_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.gamma_gamma_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.gamma_gamma_fit(cdp.rfm_summary, cdp.lifetime_options) IS
	'the same from rfm values, with options';

CREATE FUNCTION cdp.expected_purchases(model cdp.lifetime_model, horizon interval, customer cdp.rfm_summary)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_expected_purchases_rfm'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;

COMMENT ON FUNCTION cdp.expected_purchases(cdp.lifetime_model, interval, cdp.rfm_summary) IS
	'the same of an rfm value, with an interval';

CREATE FUNCTION cdp.p_alive(model cdp.lifetime_model, customer cdp.rfm_summary)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_p_alive_rfm'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION cdp.p_alive(cdp.lifetime_model, cdp.rfm_summary) IS
	'the same of an rfm value';

CREATE FUNCTION cdp.p_no_purchase(model cdp.lifetime_model, horizon interval, customer cdp.rfm_summary)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_p_no_purchase_rfm'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION cdp.p_no_purchase(cdp.lifetime_model, interval, cdp.rfm_summary) IS
	'the same of an rfm value, with an interval';

CREATE FUNCTION cdp.discounted_purchases(model cdp.lifetime_model, customer cdp.rfm_summary, discount_per_year float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_discounted_purchases_rfm'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION cdp.discounted_purchases(cdp.lifetime_model, cdp.rfm_summary, float8) IS
	'the same of an rfm value';

CREATE FUNCTION cdp.expected_spend(model cdp.lifetime_model, customer cdp.rfm_summary)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_expected_spend_rfm'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;

COMMENT ON FUNCTION cdp.expected_spend(cdp.lifetime_model, cdp.rfm_summary) IS
	'the same of an rfm value';

CREATE FUNCTION cdp.lifetime_value(model cdp.lifetime_model, spend_model cdp.lifetime_model, customer cdp.rfm_summary,
	horizon interval, discount_per_year float8 DEFAULT 0.1, margin float8 DEFAULT 1)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_lifetime_value_rfm'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 500;

COMMENT ON FUNCTION cdp.lifetime_value(cdp.lifetime_model, cdp.lifetime_model, cdp.rfm_summary, interval, float8, float8) IS
	'the same of an rfm value, with an interval';
