-- Logistic regression: the type of the model, fits, predictions.  All of it is C
-- (src/score/logit*.c) and described in docs/score.md.

CREATE TYPE cdp.logit_model;

CREATE FUNCTION cdp.logit_model_in(cstring) RETURNS cdp.logit_model
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_model_in';

COMMENT ON FUNCTION cdp.logit_model_in(cstring) IS 'input of cdp.logit_model: its document, checked';

CREATE FUNCTION cdp.logit_model_out(cdp.logit_model) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_model_out';

COMMENT ON FUNCTION cdp.logit_model_out(cdp.logit_model) IS 'output of cdp.logit_model: its document';

CREATE FUNCTION cdp.logit_model_recv(internal) RETURNS cdp.logit_model
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_model_recv';

COMMENT ON FUNCTION cdp.logit_model_recv(internal) IS 'binary input of cdp.logit_model, checked';

CREATE FUNCTION cdp.logit_model_send(cdp.logit_model) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_model_send';

COMMENT ON FUNCTION cdp.logit_model_send(cdp.logit_model) IS 'binary output of cdp.logit_model';

CREATE TYPE cdp.logit_model (
	INPUT = cdp.logit_model_in,
	OUTPUT = cdp.logit_model_out,
	RECEIVE = cdp.logit_model_recv,
	SEND = cdp.logit_model_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);

COMMENT ON TYPE cdp.logit_model IS 'a logistic model: features and their levels, coefficients, standard errors, and how it was fitted; a document that casts to jsonb';

CREATE CAST (cdp.logit_model AS jsonb) WITHOUT FUNCTION;

COMMENT ON CAST (cdp.logit_model AS jsonb) IS 'the document of the model';

CREATE TYPE cdp.logit_options AS (
	l1 double precision,
	l2 double precision,
	standardize boolean,
	max_iterations integer,
	tolerance double precision,
	positive_weight double precision,
	balanced boolean,
	nulls text,
	names text[]
);

COMMENT ON TYPE cdp.logit_options IS 'how a logistic model is fitted; made by cdp.logit_options()';

CREATE FUNCTION cdp.logit_options(
	l1 double precision DEFAULT 0,
	l2 double precision DEFAULT 0,
	standardize boolean DEFAULT true,
	max_iterations integer DEFAULT 50,
	tolerance double precision DEFAULT 1e-14,
	positive_weight double precision DEFAULT 1,
	balanced boolean DEFAULT false,
	nulls text DEFAULT 'skip',
	names text[] DEFAULT NULL
) RETURNS cdp.logit_options
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW(l1, l2, standardize, max_iterations, tolerance, positive_weight, balanced, nulls, names)::cdp.logit_options;

COMMENT ON FUNCTION cdp.logit_options(double precision, double precision, boolean, integer, double precision, double precision, boolean, text, text[]) IS
	'options of logistic fits: penalties l1 and l2, on standardized coefficients or not; weight of the positive class, or balanced classes; nulls skip or error; names of the features for cdp.logit_fit';

-- The one-pass aggregate, which keeps its rows.  Its label is a boolean or a
-- number, then come the features, and as you like a weight and options.

CREATE FUNCTION cdp.logit_fit_combine(internal, internal) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_combine';

COMMENT ON FUNCTION cdp.logit_fit_combine(internal, internal) IS 'combines two states of cdp.logit_fit';

CREATE FUNCTION cdp.logit_fit_serialize(internal) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_serialize';

COMMENT ON FUNCTION cdp.logit_fit_serialize(internal) IS 'a state of cdp.logit_fit for another process';

CREATE FUNCTION cdp.logit_fit_deserialize(bytea, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_deserialize';

COMMENT ON FUNCTION cdp.logit_fit_deserialize(bytea, internal) IS 'a state of cdp.logit_fit from another process';

CREATE FUNCTION cdp.logit_fit_final(internal) RETURNS cdp.logit_model
	LANGUAGE c VOLATILE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_final';

COMMENT ON FUNCTION cdp.logit_fit_final(internal) IS 'the model of the rows that cdp.logit_fit has seen';

CREATE FUNCTION cdp.logit_fit_transition(internal, boolean, double precision[]) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_transition';

COMMENT ON FUNCTION cdp.logit_fit_transition(internal, boolean, double precision[]) IS 'adds a row to a state of cdp.logit_fit';

CREATE AGGREGATE cdp.logit_fit(label boolean, features double precision[]) (
	SFUNC = cdp.logit_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.logit_fit_final,
	COMBINEFUNC = cdp.logit_fit_combine,
	SERIALFUNC = cdp.logit_fit_serialize,
	DESERIALFUNC = cdp.logit_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_fit(boolean, double precision[]) IS
	'logistic model of the rows; label: true or false, features: numbers, as many in each row';

CREATE FUNCTION cdp.logit_fit_transition(internal, boolean, double precision[], cdp.logit_options) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_transition';

COMMENT ON FUNCTION cdp.logit_fit_transition(internal, boolean, double precision[], cdp.logit_options) IS 'adds a row to a state of cdp.logit_fit';

CREATE AGGREGATE cdp.logit_fit(label boolean, features double precision[], options cdp.logit_options) (
	SFUNC = cdp.logit_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.logit_fit_final,
	COMBINEFUNC = cdp.logit_fit_combine,
	SERIALFUNC = cdp.logit_fit_serialize,
	DESERIALFUNC = cdp.logit_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_fit(boolean, double precision[], cdp.logit_options) IS
	'logistic model of the rows with options; label: true or false, features: numbers, as many in each row';

CREATE FUNCTION cdp.logit_fit_transition(internal, boolean, double precision[], double precision, cdp.logit_options) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_transition';

COMMENT ON FUNCTION cdp.logit_fit_transition(internal, boolean, double precision[], double precision, cdp.logit_options) IS 'adds a row to a state of cdp.logit_fit';

CREATE AGGREGATE cdp.logit_fit(label boolean, features double precision[], weight double precision, options cdp.logit_options) (
	SFUNC = cdp.logit_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.logit_fit_final,
	COMBINEFUNC = cdp.logit_fit_combine,
	SERIALFUNC = cdp.logit_fit_serialize,
	DESERIALFUNC = cdp.logit_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_fit(boolean, double precision[], double precision, cdp.logit_options) IS
	'logistic model of the rows with a weight for each row and options, which may be NULL; label: true or false, features: numbers, as many in each row';

CREATE FUNCTION cdp.logit_fit_transition(internal, double precision, double precision[]) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_transition';

COMMENT ON FUNCTION cdp.logit_fit_transition(internal, double precision, double precision[]) IS 'adds a row to a state of cdp.logit_fit';

CREATE AGGREGATE cdp.logit_fit(label double precision, features double precision[]) (
	SFUNC = cdp.logit_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.logit_fit_final,
	COMBINEFUNC = cdp.logit_fit_combine,
	SERIALFUNC = cdp.logit_fit_serialize,
	DESERIALFUNC = cdp.logit_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_fit(double precision, double precision[]) IS
	'logistic model of the rows; label: from 0 to 1, features: numbers, as many in each row';

CREATE FUNCTION cdp.logit_fit_transition(internal, double precision, double precision[], cdp.logit_options) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_transition';

COMMENT ON FUNCTION cdp.logit_fit_transition(internal, double precision, double precision[], cdp.logit_options) IS 'adds a row to a state of cdp.logit_fit';

CREATE AGGREGATE cdp.logit_fit(label double precision, features double precision[], options cdp.logit_options) (
	SFUNC = cdp.logit_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.logit_fit_final,
	COMBINEFUNC = cdp.logit_fit_combine,
	SERIALFUNC = cdp.logit_fit_serialize,
	DESERIALFUNC = cdp.logit_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_fit(double precision, double precision[], cdp.logit_options) IS
	'logistic model of the rows with options; label: from 0 to 1, features: numbers, as many in each row';

CREATE FUNCTION cdp.logit_fit_transition(internal, double precision, double precision[], double precision, cdp.logit_options) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_fit_transition';

COMMENT ON FUNCTION cdp.logit_fit_transition(internal, double precision, double precision[], double precision, cdp.logit_options) IS 'adds a row to a state of cdp.logit_fit';

CREATE AGGREGATE cdp.logit_fit(label double precision, features double precision[], weight double precision, options cdp.logit_options) (
	SFUNC = cdp.logit_fit_transition,
	STYPE = internal,
	FINALFUNC = cdp.logit_fit_final,
	COMBINEFUNC = cdp.logit_fit_combine,
	SERIALFUNC = cdp.logit_fit_serialize,
	DESERIALFUNC = cdp.logit_fit_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_fit(double precision, double precision[], double precision, cdp.logit_options) IS
	'logistic model of the rows with a weight for each row and options, which may be NULL; label: from 0 to 1, features: numbers, as many in each row';

-- A pass over the rows at given coefficients: what cdp.train_logit runs, and what
-- can be run per shard or per day and merged.

CREATE TYPE cdp.logit_step;

CREATE FUNCTION cdp.logit_step_in(cstring) RETURNS cdp.logit_step
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_in';

COMMENT ON FUNCTION cdp.logit_step_in(cstring) IS 'input of cdp.logit_step: its binary form in hexadecimal';

CREATE FUNCTION cdp.logit_step_out(cdp.logit_step) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_out';

COMMENT ON FUNCTION cdp.logit_step_out(cdp.logit_step) IS 'output of cdp.logit_step: its binary form in hexadecimal';

CREATE FUNCTION cdp.logit_step_recv(internal) RETURNS cdp.logit_step
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_recv';

COMMENT ON FUNCTION cdp.logit_step_recv(internal) IS 'binary input of cdp.logit_step, checked';

CREATE FUNCTION cdp.logit_step_send(cdp.logit_step) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_send';

COMMENT ON FUNCTION cdp.logit_step_send(cdp.logit_step) IS 'binary output of cdp.logit_step';

CREATE TYPE cdp.logit_step (
	INPUT = cdp.logit_step_in,
	OUTPUT = cdp.logit_step_out,
	RECEIVE = cdp.logit_step_recv,
	SEND = cdp.logit_step_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.logit_step IS 'sums over rows for a logistic fit: moments, or log-likelihood, gradient and Hessian at the coefficients of a model';

CREATE FUNCTION cdp.logit_step_transition(cdp.logit_step, cdp.logit_model, double precision, double precision, double precision[], text[]) RETURNS cdp.logit_step
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_transition';

COMMENT ON FUNCTION cdp.logit_step_transition(cdp.logit_step, cdp.logit_model, double precision, double precision, double precision[], text[]) IS
	'adds a row to a cdp.logit_step';

CREATE FUNCTION cdp.logit_step_combine(cdp.logit_step, cdp.logit_step) RETURNS cdp.logit_step
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_combine';

COMMENT ON FUNCTION cdp.logit_step_combine(cdp.logit_step, cdp.logit_step) IS 'adds two cdp.logit_step of the same model';

CREATE FUNCTION cdp.logit_step_final(cdp.logit_step) RETURNS cdp.logit_step
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_logit_step_final';

COMMENT ON FUNCTION cdp.logit_step_final(cdp.logit_step) IS 'a cdp.logit_step without pending rows';

CREATE AGGREGATE cdp.logit_step_agg(model cdp.logit_model, label double precision, weight double precision, numbers double precision[], categories text[]) (
	SFUNC = cdp.logit_step_transition,
	STYPE = cdp.logit_step,
	FINALFUNC = cdp.logit_step_final,
	COMBINEFUNC = cdp.logit_step_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_step_agg(cdp.logit_model, double precision, double precision, double precision[], text[]) IS
	'sums of the rows at the coefficients of the model, or moments where it has none yet; numbers and categories in the order of its features';

CREATE AGGREGATE cdp.logit_step_merge_agg(cdp.logit_step) (
	SFUNC = cdp.logit_step_combine,
	STYPE = cdp.logit_step,
	FINALFUNC = cdp.logit_step_final,
	COMBINEFUNC = cdp.logit_step_combine,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.logit_step_merge_agg(cdp.logit_step) IS 'the sum of steps of the same model';

-- ---------- the first pass of training ----------

CREATE FUNCTION cdp.training_sums_agg_transition(internal, cdp.logit_model, double precision, double precision, double precision[], text[]) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_training_sums_agg_transition';

COMMENT ON FUNCTION cdp.training_sums_agg_transition(internal, cdp.logit_model, double precision, double precision, double precision[], text[]) IS 'adds a row to a state of cdp.training_sums_agg';

CREATE FUNCTION cdp.training_sums_agg_combine(internal, internal) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_training_sums_agg_combine';

COMMENT ON FUNCTION cdp.training_sums_agg_combine(internal, internal) IS 'combines two states of cdp.training_sums_agg';

CREATE FUNCTION cdp.training_sums_agg_serialize(internal) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_training_sums_agg_serialize';

COMMENT ON FUNCTION cdp.training_sums_agg_serialize(internal) IS 'a state of cdp.training_sums_agg for another process';

CREATE FUNCTION cdp.training_sums_agg_deserialize(bytea, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_training_sums_agg_deserialize';

COMMENT ON FUNCTION cdp.training_sums_agg_deserialize(bytea, internal) IS 'a state of cdp.training_sums_agg from another process';

CREATE FUNCTION cdp.training_sums_agg_final(internal) RETURNS bytea
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_training_sums_agg_final';

COMMENT ON FUNCTION cdp.training_sums_agg_final(internal) IS 'the sums of the rows that cdp.training_sums_agg has seen';

CREATE AGGREGATE cdp.training_sums_agg(model cdp.logit_model, label double precision, weight double precision, numbers double precision[], categories text[]) (
	SFUNC = cdp.training_sums_agg_transition,
	STYPE = internal,
	FINALFUNC = cdp.training_sums_agg_final,
	COMBINEFUNC = cdp.training_sums_agg_combine,
	SERIALFUNC = cdp.training_sums_agg_serialize,
	DESERIALFUNC = cdp.training_sums_agg_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.training_sums_agg(cdp.logit_model, double precision, double precision, double precision[], text[]) IS
	'Part of cdp.train_logit, its first pass: what cdp.logit_step_agg gives, and how numbers and categories, in the order of the model''s features, are distributed';

-- takes query text, which runs with the caller's rights and search_path
CREATE FUNCTION cdp.train_logit(
	query text,
	label text,
	features text[] DEFAULT NULL,
	weight text DEFAULT NULL,
	options cdp.logit_options DEFAULT NULL
) RETURNS cdp.logit_model
	LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000
	AS 'MODULE_PATHNAME', 'cdp_train_logit';

COMMENT ON FUNCTION cdp.train_logit(text, text, text[], text, cdp.logit_options) IS
	'logistic model of the rows of a query, of any number: label, features (all other columns) and weight are names of its columns; a pass over the query for each step, which may be parallel';

CREATE FUNCTION cdp.coefficients(
	model cdp.logit_model,
	OUT term text,
	OUT coefficient double precision,
	OUT standard_error double precision,
	OUT z double precision,
	OUT p_value double precision,
	OUT odds_ratio double precision,
	OUT aliased boolean,
	OUT separated boolean
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_coefficients';

COMMENT ON FUNCTION cdp.coefficients(cdp.logit_model) IS
	'the terms of a logistic model with coefficient, standard error, z, p and odds ratio';

CREATE FUNCTION cdp.predict(model cdp.logit_model, features double precision[]) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_predict';

COMMENT ON FUNCTION cdp.predict(cdp.logit_model, double precision[]) IS
	'probability by a model of numbers; NULL where a feature is NULL';

CREATE FUNCTION cdp.predict(model cdp.logit_model, features double precision[], categories text[]) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_predict';

COMMENT ON FUNCTION cdp.predict(cdp.logit_model, double precision[], text[]) IS
	'probability by a model with categories, each in the order of its features; NULL where one is NULL';

-- stable, as the text of a column's value may depend on settings
CREATE FUNCTION cdp.predict_row(model cdp.logit_model, "row" record) RETURNS double precision
	LANGUAGE c STABLE PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'cdp_predict_row';

COMMENT ON FUNCTION cdp.predict_row(cdp.logit_model, record) IS
	'probability by a model for a row, whose columns are called like its features; NULL where one is NULL';

CREATE FUNCTION cdp.explain_prediction(
	model cdp.logit_model,
	features double precision[],
	OUT feature text,
	OUT contribution double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_explain_prediction';

COMMENT ON FUNCTION cdp.explain_prediction(cdp.logit_model, double precision[]) IS
	'what each feature adds to the log odds of a row, against the mean of the rows of the fit, which is the baseline';

CREATE FUNCTION cdp.explain_prediction(
	model cdp.logit_model,
	features double precision[],
	categories text[],
	OUT feature text,
	OUT contribution double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_explain_prediction';

COMMENT ON FUNCTION cdp.explain_prediction(cdp.logit_model, double precision[], text[]) IS
	'the same for a model with categories';

CREATE FUNCTION cdp.explain_prediction(
	model cdp.logit_model,
	"row" record,
	OUT feature text,
	OUT contribution double precision
) RETURNS SETOF record
	LANGUAGE c STABLE PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_explain_prediction_row';

COMMENT ON FUNCTION cdp.explain_prediction(cdp.logit_model, record) IS
	'the same for a row, whose columns are called like the features of the model';
