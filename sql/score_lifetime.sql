-- Lifetime value and churn: the type of models, the aggregates that fit them and
-- the functions that score customers (docs/score.md).  What takes rfm values is
-- in score_rfm.sql.

-- type

CREATE TYPE cdp.lifetime_model;

CREATE FUNCTION cdp.lifetime_model_in(cstring)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_lifetime_model_in'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_model_in(cstring) IS
	'input function of the type';

CREATE FUNCTION cdp.lifetime_model_out(cdp.lifetime_model)
RETURNS cstring
AS 'MODULE_PATHNAME', 'cdp_lifetime_model_out'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_model_out(cdp.lifetime_model) IS
	'output function of the type';

CREATE FUNCTION cdp.lifetime_model_recv(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_lifetime_model_recv'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_model_recv(internal) IS
	'binary input function of the type';

CREATE FUNCTION cdp.lifetime_model_send(cdp.lifetime_model)
RETURNS bytea
AS 'MODULE_PATHNAME', 'cdp_lifetime_model_send'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_model_send(cdp.lifetime_model) IS
	'binary output function of the type';

CREATE TYPE cdp.lifetime_model (
	INPUT = cdp.lifetime_model_in,
	OUTPUT = cdp.lifetime_model_out,
	RECEIVE = cdp.lifetime_model_recv,
	SEND = cdp.lifetime_model_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = plain
);

COMMENT ON TYPE cdp.lifetime_model IS
	'a model of purchases, spend or contracts: family, parameters and how well they are known; its text is JSON';

CREATE FUNCTION cdp.lifetime_model_to_jsonb(cdp.lifetime_model)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'cdp_lifetime_model_to_jsonb'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_model_to_jsonb(cdp.lifetime_model) IS
	'cast of a model to jsonb, with keys as in the literature';

CREATE FUNCTION cdp.lifetime_model_from_jsonb(jsonb)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_lifetime_model_from_jsonb'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_model_from_jsonb(jsonb) IS
	'cast of jsonb to a model: family and parameters are enough';

CREATE CAST (cdp.lifetime_model AS jsonb) WITH FUNCTION cdp.lifetime_model_to_jsonb(cdp.lifetime_model);

COMMENT ON CAST (cdp.lifetime_model AS jsonb) IS
	'the text form of the model';

CREATE CAST (jsonb AS cdp.lifetime_model) WITH FUNCTION cdp.lifetime_model_from_jsonb(jsonb);

COMMENT ON CAST (jsonb AS cdp.lifetime_model) IS
	'family and parameters are enough';

-- options

CREATE TYPE cdp.lifetime_options AS (
	weight float8,
	prior cdp.lifetime_model,
	prior_deviation float8,
	period interval
);

COMMENT ON TYPE cdp.lifetime_options IS
	'how to fit a lifetime model; made by the function of the same name';

CREATE FUNCTION cdp.lifetime_options(weight float8 DEFAULT NULL, prior cdp.lifetime_model DEFAULT NULL,
	prior_deviation float8 DEFAULT NULL, period interval DEFAULT NULL)
RETURNS cdp.lifetime_options
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ROW(weight, prior, prior_deviation, period)::cdp.lifetime_options;

COMMENT ON FUNCTION cdp.lifetime_options(float8, cdp.lifetime_model, float8, interval) IS
	'options of a fit: weight of the row (default 1), prior model and the standard deviation of the logarithms of its parameters (default 1), unit of time (for discounts by the year)';

-- support functions of the aggregates

CREATE FUNCTION cdp.lifetime_fit_transition(internal, float8, float8, float8)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_transition(internal, float8, float8, float8) IS
	'transition function';

CREATE FUNCTION cdp.lifetime_fit_transition(internal, float8, float8, float8, cdp.lifetime_options)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_transition(internal, float8, float8, float8, cdp.lifetime_options) IS
	'transition function';

CREATE FUNCTION cdp.gamma_gamma_fit_transition(internal, float8, float8)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_gamma_gamma_fit_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.gamma_gamma_fit_transition(internal, float8, float8) IS
	'transition function';

CREATE FUNCTION cdp.gamma_gamma_fit_transition(internal, float8, float8, cdp.lifetime_options)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_gamma_gamma_fit_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.gamma_gamma_fit_transition(internal, float8, float8, cdp.lifetime_options) IS
	'transition function';

CREATE FUNCTION cdp.sbg_fit_transition(internal, integer, boolean)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_sbg_fit_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.sbg_fit_transition(internal, integer, boolean) IS
	'transition function';

CREATE FUNCTION cdp.sbg_fit_transition(internal, integer, boolean, cdp.lifetime_options)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_sbg_fit_transition'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.sbg_fit_transition(internal, integer, boolean, cdp.lifetime_options) IS
	'transition function';

CREATE FUNCTION cdp.lifetime_fit_combine(internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_combine(internal, internal) IS
	'combine function of the fits';

CREATE FUNCTION cdp.lifetime_fit_serialize(internal)
RETURNS bytea
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_serialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_serialize(internal) IS
	'serialisation function of the fits';

CREATE FUNCTION cdp.lifetime_fit_deserialize(bytea, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'cdp_lifetime_fit_deserialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cdp.lifetime_fit_deserialize(bytea, internal) IS
	'deserialisation function of the fits';

CREATE FUNCTION cdp.bgnbd_fit_final(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_bgnbd_fit_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.bgnbd_fit_final(internal) IS
	'final function';

CREATE FUNCTION cdp.mbgnbd_fit_final(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_mbgnbd_fit_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.mbgnbd_fit_final(internal) IS
	'final function';

CREATE FUNCTION cdp.pareto_nbd_fit_final(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_pareto_nbd_fit_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.pareto_nbd_fit_final(internal) IS
	'final function';

CREATE FUNCTION cdp.gamma_gamma_fit_final(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_gamma_gamma_fit_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.gamma_gamma_fit_final(internal) IS
	'final function';

CREATE FUNCTION cdp.bgbb_fit_final(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_bgbb_fit_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.bgbb_fit_final(internal) IS
	'final function';

CREATE FUNCTION cdp.sbg_fit_final(internal)
RETURNS cdp.lifetime_model
AS 'MODULE_PATHNAME', 'cdp_sbg_fit_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION cdp.sbg_fit_final(internal) IS
	'final function';

-- fits

CREATE AGGREGATE cdp.bgnbd_fit(frequency float8, recency float8, age float8) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.bgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.bgnbd_fit(float8, float8, float8) IS
	'BG/NBD model of repeat purchases, by maximum likelihood; a customer can leave after a repeat purchase';

CREATE AGGREGATE cdp.bgnbd_fit(frequency float8, recency float8, age float8, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.bgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.bgnbd_fit(float8, float8, float8, cdp.lifetime_options) IS
	'the same with options';

CREATE AGGREGATE cdp.mbgnbd_fit(frequency float8, recency float8, age float8) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.mbgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.mbgnbd_fit(float8, float8, float8) IS
	'MBG/NBD model of repeat purchases, by maximum likelihood; a customer can leave after any purchase, the first too';

CREATE AGGREGATE cdp.mbgnbd_fit(frequency float8, recency float8, age float8, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.mbgnbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.mbgnbd_fit(float8, float8, float8, cdp.lifetime_options) IS
	'the same with options';

CREATE AGGREGATE cdp.pareto_nbd_fit(frequency float8, recency float8, age float8) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.pareto_nbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.pareto_nbd_fit(float8, float8, float8) IS
	'Pareto/NBD model of repeat purchases, by maximum likelihood; a customer can leave at any time';

CREATE AGGREGATE cdp.pareto_nbd_fit(frequency float8, recency float8, age float8, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.pareto_nbd_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.pareto_nbd_fit(float8, float8, float8, cdp.lifetime_options) IS
	'the same with options';

CREATE AGGREGATE cdp.bgbb_fit(frequency float8, recency float8, age float8) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.bgbb_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.bgbb_fit(float8, float8, float8) IS
	'BG/BB model of purchases at discrete opportunities (age is their number), by maximum likelihood';

CREATE AGGREGATE cdp.bgbb_fit(frequency float8, recency float8, age float8, options cdp.lifetime_options) (
	SFUNC = cdp.lifetime_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.bgbb_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.bgbb_fit(float8, float8, float8, cdp.lifetime_options) IS
	'the same with options';

CREATE AGGREGATE cdp.gamma_gamma_fit(frequency float8, monetary float8) (
	SFUNC = cdp.gamma_gamma_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.gamma_gamma_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.gamma_gamma_fit(float8, float8) IS
	'Gamma-Gamma model of the mean spend of repeat purchases, by maximum likelihood';

CREATE AGGREGATE cdp.gamma_gamma_fit(frequency float8, monetary float8, options cdp.lifetime_options) (
	SFUNC = cdp.gamma_gamma_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.gamma_gamma_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.gamma_gamma_fit(float8, float8, cdp.lifetime_options) IS
	'the same with options';

CREATE AGGREGATE cdp.sbg_fit(periods integer, churned boolean) (
	SFUNC = cdp.sbg_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.sbg_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.sbg_fit(integer, boolean) IS
	'shifted-beta-geometric model of contracts, by maximum likelihood; periods is the number of periods begun, the last of which is over where churned';

CREATE AGGREGATE cdp.sbg_fit(periods integer, churned boolean, options cdp.lifetime_options) (
	SFUNC = cdp.sbg_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.sbg_fit_final,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = cdp.lifetime_fit_combine,
	SERIALFUNC = cdp.lifetime_fit_serialize,
	DESERIALFUNC = cdp.lifetime_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.sbg_fit(integer, boolean, cdp.lifetime_options) IS
	'the same with options';

-- scores

CREATE FUNCTION cdp.expected_purchases(model cdp.lifetime_model, horizon float8, frequency float8, recency float8, age float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_expected_purchases'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;

COMMENT ON FUNCTION cdp.expected_purchases(cdp.lifetime_model, float8, float8, float8, float8) IS
	'expected repeat purchases within the horizon, in the unit of the model; of a new customer with 0, 0, 0';

CREATE FUNCTION cdp.p_alive(model cdp.lifetime_model, frequency float8, recency float8, age float8, horizon float8 DEFAULT 0)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_p_alive'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION cdp.p_alive(cdp.lifetime_model, float8, float8, float8, float8) IS
	'probability that the customer has not left, now or when the horizon has passed';

CREATE FUNCTION cdp.p_no_purchase(model cdp.lifetime_model, horizon float8, frequency float8, recency float8, age float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_p_no_purchase'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION cdp.p_no_purchase(cdp.lifetime_model, float8, float8, float8, float8) IS
	'probability of no purchase within the horizon: the churn number';

CREATE FUNCTION cdp.p_purchases(model cdp.lifetime_model, purchases integer, horizon float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_p_purchases'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION cdp.p_purchases(cdp.lifetime_model, integer, float8) IS
	'probability that a new customer makes exactly so many repeat purchases within the horizon';

CREATE FUNCTION cdp.customer_log_likelihood(model cdp.lifetime_model, frequency float8, recency float8, age float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_customer_log_likelihood'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION cdp.customer_log_likelihood(cdp.lifetime_model, float8, float8, float8) IS
	'log-likelihood of one customer under the model';

CREATE FUNCTION cdp.discounted_purchases(model cdp.lifetime_model, frequency float8, recency float8, age float8, discount_per_year float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_discounted_purchases'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION cdp.discounted_purchases(cdp.lifetime_model, float8, float8, float8, float8) IS
	'expected purchases over all the future, discounted continuously';

CREATE FUNCTION cdp.expected_spend(model cdp.lifetime_model, frequency float8, monetary float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_expected_spend'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;

COMMENT ON FUNCTION cdp.expected_spend(cdp.lifetime_model, float8, float8) IS
	'expected mean spend per purchase of a gamma_gamma model; monetary may be NULL where frequency is 0';

CREATE FUNCTION cdp.lifetime_value(model cdp.lifetime_model, spend_model cdp.lifetime_model, frequency float8, recency float8, age float8, monetary float8,
	horizon float8, discount_per_year float8 DEFAULT 0.1, margin float8 DEFAULT 1)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_lifetime_value'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 500;

COMMENT ON FUNCTION cdp.lifetime_value(cdp.lifetime_model, cdp.lifetime_model, float8, float8, float8, float8, float8, float8, float8) IS
	'expected value of the purchases within the horizon, discounted from the end of each month; monetary may be NULL where frequency is 0';

CREATE FUNCTION cdp.survival(model cdp.lifetime_model, renewals integer)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_survival'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;

COMMENT ON FUNCTION cdp.survival(cdp.lifetime_model, integer) IS
	'share of contracts of an sbg model that are renewed so many times';

CREATE FUNCTION cdp.retention_rate(model cdp.lifetime_model, renewal integer)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_retention_rate'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;

COMMENT ON FUNCTION cdp.retention_rate(cdp.lifetime_model, integer) IS
	'share of the contracts that come up for their n-th renewal and are renewed';

CREATE FUNCTION cdp.residual_life(model cdp.lifetime_model, periods integer, discount_per_period float8 DEFAULT 0)
RETURNS float8
AS 'MODULE_PATHNAME', 'cdp_residual_life'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;

COMMENT ON FUNCTION cdp.residual_life(cdp.lifetime_model, integer, float8) IS
	'expected discounted number of further periods of a contract in this period; of a new contract, its first period included, with 0';
