-- Boosted trees: the type of the model, training, predictions.  All of it is C
-- (src/score/gbt*.c) and described in docs/score.md; training loads the module
-- cdp_gbt, and nothing else needs it.

CREATE TYPE cdp.gbt_model;

CREATE FUNCTION cdp.gbt_model_in(cstring) RETURNS cdp.gbt_model
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_gbt_model_in';

COMMENT ON FUNCTION cdp.gbt_model_in(cstring) IS 'input of cdp.gbt_model: its document, checked';

CREATE FUNCTION cdp.gbt_model_out(cdp.gbt_model) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_gbt_model_out';

COMMENT ON FUNCTION cdp.gbt_model_out(cdp.gbt_model) IS 'output of cdp.gbt_model: its document';

CREATE FUNCTION cdp.gbt_model_recv(internal) RETURNS cdp.gbt_model
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_gbt_model_recv';

COMMENT ON FUNCTION cdp.gbt_model_recv(internal) IS 'binary input of cdp.gbt_model, checked';

CREATE FUNCTION cdp.gbt_model_send(cdp.gbt_model) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_gbt_model_send';

COMMENT ON FUNCTION cdp.gbt_model_send(cdp.gbt_model) IS 'binary output of cdp.gbt_model';

CREATE TYPE cdp.gbt_model (
	INPUT = cdp.gbt_model_in,
	OUTPUT = cdp.gbt_model_out,
	RECEIVE = cdp.gbt_model_recv,
	SEND = cdp.gbt_model_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);

COMMENT ON TYPE cdp.gbt_model IS 'boosted trees for a label of yes and no: features and their levels, and the trees; a document that casts to jsonb';

CREATE CAST (cdp.gbt_model AS jsonb) WITHOUT FUNCTION;

COMMENT ON CAST (cdp.gbt_model AS jsonb) IS 'the document of the model';

CREATE TYPE cdp.gbt_options AS (
	trees integer,
	depth integer,
	learning_rate double precision,
	min_weight double precision,
	l2 double precision,
	l1 double precision,
	min_gain double precision,
	row_share double precision,
	column_share double precision,
	positive_weight double precision,
	seed integer
);

COMMENT ON TYPE cdp.gbt_options IS 'how boosted trees are trained; made by cdp.gbt_options()';

CREATE FUNCTION cdp.gbt_options(
	trees integer DEFAULT 200,
	depth integer DEFAULT 3,
	learning_rate double precision DEFAULT 0.1,
	min_weight double precision DEFAULT 1,
	l2 double precision DEFAULT 1,
	l1 double precision DEFAULT 0,
	min_gain double precision DEFAULT 0,
	row_share double precision DEFAULT 1,
	column_share double precision DEFAULT 1,
	positive_weight double precision DEFAULT 1,
	seed integer DEFAULT 0
) RETURNS cdp.gbt_options
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW(trees, depth, learning_rate, min_weight, l2, l1, min_gain, row_share, column_share, positive_weight, seed)::cdp.gbt_options;

COMMENT ON FUNCTION cdp.gbt_options(integer, integer, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, integer) IS
	'options of boosted trees: number and depth of trees, learning rate, least weight of a leaf, penalties, least gain of a split, shares of rows and columns for each tree, weight of the positive class, seed';

-- takes query text, which runs with the caller's rights and search_path
CREATE FUNCTION cdp.train_gbt(
	query text,
	label text,
	features text[] DEFAULT NULL,
	weight text DEFAULT NULL,
	options cdp.gbt_options DEFAULT NULL
) RETURNS cdp.gbt_model
	LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000
	AS 'MODULE_PATHNAME', 'cdp_train_gbt';

COMMENT ON FUNCTION cdp.train_gbt(text, text, text[], text, cdp.gbt_options) IS
	'boosted trees for the rows of a query, trained by XGBoost with one thread: label, features (all other columns) and weight are names of its columns';

CREATE FUNCTION cdp.predict(model cdp.gbt_model, features double precision[]) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_predict_gbt';

COMMENT ON FUNCTION cdp.predict(cdp.gbt_model, double precision[]) IS
	'probability by boosted trees; NULL elements are missing values';

CREATE FUNCTION cdp.predict(model cdp.gbt_model, features double precision[], categories text[]) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_predict_gbt';

COMMENT ON FUNCTION cdp.predict(cdp.gbt_model, double precision[], text[]) IS
	'probability by boosted trees with categories, each in the order of the features; NULL elements are missing values';

-- stable, as the text of a column's value may depend on settings
CREATE FUNCTION cdp.predict_row(model cdp.gbt_model, "row" record) RETURNS double precision
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 20
	AS 'MODULE_PATHNAME', 'cdp_predict_row_gbt';

COMMENT ON FUNCTION cdp.predict_row(cdp.gbt_model, record) IS
	'probability by boosted trees for a row, whose columns are called like the features; NULLs are missing values';

CREATE FUNCTION cdp.explain_prediction(
	model cdp.gbt_model,
	features double precision[],
	OUT feature text,
	OUT contribution double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_explain_prediction_gbt';

COMMENT ON FUNCTION cdp.explain_prediction(cdp.gbt_model, double precision[]) IS
	'what each feature adds to the log odds of a row (SHAP value), against the baseline';

CREATE FUNCTION cdp.explain_prediction(
	model cdp.gbt_model,
	features double precision[],
	categories text[],
	OUT feature text,
	OUT contribution double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_explain_prediction_gbt';

COMMENT ON FUNCTION cdp.explain_prediction(cdp.gbt_model, double precision[], text[]) IS
	'the same for boosted trees with categories';

CREATE FUNCTION cdp.explain_prediction(
	model cdp.gbt_model,
	"row" record,
	OUT feature text,
	OUT contribution double precision
) RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 20
	AS 'MODULE_PATHNAME', 'cdp_explain_prediction_gbt_row';

COMMENT ON FUNCTION cdp.explain_prediction(cdp.gbt_model, record) IS
	'the same for a row, whose columns are called like the features of the model';
