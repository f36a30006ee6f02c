-- How good scores are: a type that holds scores and labels, aggregates that make
-- it or one figure of it.  All of it is C (src/score/metrics*.c) and described in
-- docs/score.md.

CREATE TYPE cdp.metrics;

CREATE FUNCTION cdp.metrics_in(cstring) RETURNS cdp.metrics
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_in';

COMMENT ON FUNCTION cdp.metrics_in(cstring) IS 'input of cdp.metrics: its binary form in hexadecimal';

CREATE FUNCTION cdp.metrics_out(cdp.metrics) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_out';

COMMENT ON FUNCTION cdp.metrics_out(cdp.metrics) IS 'output of cdp.metrics: its binary form in hexadecimal';

CREATE FUNCTION cdp.metrics_recv(internal) RETURNS cdp.metrics
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_recv';

COMMENT ON FUNCTION cdp.metrics_recv(internal) IS 'binary input of cdp.metrics, checked';

CREATE FUNCTION cdp.metrics_send(cdp.metrics) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_send';

COMMENT ON FUNCTION cdp.metrics_send(cdp.metrics) IS 'binary output of cdp.metrics';

CREATE TYPE cdp.metrics (
	INPUT = cdp.metrics_in,
	OUTPUT = cdp.metrics_out,
	RECEIVE = cdp.metrics_recv,
	SEND = cdp.metrics_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.metrics IS 'scores with the weight of the rows labelled yes and no, from which their quality is read; can be stored and merged';

CREATE FUNCTION cdp.metrics_combine(internal, internal) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_combine';

COMMENT ON FUNCTION cdp.metrics_combine(internal, internal) IS 'combines two states of metrics';

CREATE FUNCTION cdp.metrics_serialize(internal) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_serialize';

COMMENT ON FUNCTION cdp.metrics_serialize(internal) IS 'a state of metrics for another process';

CREATE FUNCTION cdp.metrics_deserialize(bytea, internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_deserialize';

COMMENT ON FUNCTION cdp.metrics_deserialize(bytea, internal) IS 'a state of metrics from another process';

CREATE FUNCTION cdp.metrics_merge_transition(internal, cdp.metrics) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_merge_transition';

COMMENT ON FUNCTION cdp.metrics_merge_transition(internal, cdp.metrics) IS 'adds stored metrics to a state';

CREATE FUNCTION cdp.metrics_final(internal) RETURNS cdp.metrics
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_final';

COMMENT ON FUNCTION cdp.metrics_final(internal) IS 'metrics of the rows of a state';

CREATE FUNCTION cdp.metrics_final_auc(internal) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_final_auc';

COMMENT ON FUNCTION cdp.metrics_final_auc(internal) IS 'one figure of the rows of a state';

CREATE FUNCTION cdp.metrics_final_log_loss(internal) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_final_log_loss';

COMMENT ON FUNCTION cdp.metrics_final_log_loss(internal) IS 'one figure of the rows of a state';

CREATE FUNCTION cdp.metrics_final_brier_score(internal) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_final_brier_score';

COMMENT ON FUNCTION cdp.metrics_final_brier_score(internal) IS 'one figure of the rows of a state';

CREATE FUNCTION cdp.metrics_final_ks_statistic(internal) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_final_ks_statistic';

COMMENT ON FUNCTION cdp.metrics_final_ks_statistic(internal) IS 'one figure of the rows of a state';

CREATE FUNCTION cdp.metrics_final_normalized_gini(internal) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_final_normalized_gini';

COMMENT ON FUNCTION cdp.metrics_final_normalized_gini(internal) IS 'one figure of the rows of a state';

CREATE FUNCTION cdp.metrics_transition(internal, double precision, boolean) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition';

COMMENT ON FUNCTION cdp.metrics_transition(internal, double precision, boolean) IS 'adds a row to a state of metrics';

CREATE FUNCTION cdp.metrics_transition(internal, double precision, boolean, double precision) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition';

COMMENT ON FUNCTION cdp.metrics_transition(internal, double precision, boolean, double precision) IS 'adds a row to a state of metrics';

CREATE FUNCTION cdp.metrics_transition(internal, double precision, double precision) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition';

COMMENT ON FUNCTION cdp.metrics_transition(internal, double precision, double precision) IS 'adds a row to a state of metrics';

CREATE FUNCTION cdp.metrics_transition(internal, double precision, double precision, double precision) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition';

COMMENT ON FUNCTION cdp.metrics_transition(internal, double precision, double precision, double precision) IS 'adds a row to a state of metrics';

CREATE FUNCTION cdp.metrics_transition_binned(internal, double precision, boolean) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition_binned';

COMMENT ON FUNCTION cdp.metrics_transition_binned(internal, double precision, boolean) IS 'adds a row to a state of binned metrics';

CREATE FUNCTION cdp.metrics_transition_binned(internal, double precision, boolean, double precision) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition_binned';

COMMENT ON FUNCTION cdp.metrics_transition_binned(internal, double precision, boolean, double precision) IS 'adds a row to a state of binned metrics';

CREATE FUNCTION cdp.metrics_transition_binned(internal, double precision, double precision) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition_binned';

COMMENT ON FUNCTION cdp.metrics_transition_binned(internal, double precision, double precision) IS 'adds a row to a state of binned metrics';

CREATE FUNCTION cdp.metrics_transition_binned(internal, double precision, double precision, double precision) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_metrics_transition_binned';

COMMENT ON FUNCTION cdp.metrics_transition_binned(internal, double precision, double precision, double precision) IS 'adds a row to a state of binned metrics';

CREATE AGGREGATE cdp.metrics_agg(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_agg(double precision, boolean) IS
	'metrics of scores: any numbers, the higher the likelier';

CREATE AGGREGATE cdp.metrics_agg(score double precision, label boolean, weight double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_agg(double precision, boolean, double precision) IS
	'metrics of scores: any numbers, the higher the likelier, with a weight for each row';

CREATE AGGREGATE cdp.metrics_agg(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_agg(double precision, double precision) IS
	'metrics of scores: any numbers, the higher the likelier';

CREATE AGGREGATE cdp.metrics_agg(score double precision, label double precision, weight double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_agg(double precision, double precision, double precision) IS
	'metrics of scores: any numbers, the higher the likelier, with a weight for each row';

CREATE AGGREGATE cdp.metrics_binned_agg(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition_binned,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_binned_agg(double precision, boolean) IS
	'metrics of probabilities in 4,096 intervals of their log odds, of fixed size';

CREATE AGGREGATE cdp.metrics_binned_agg(score double precision, label boolean, weight double precision) (
	SFUNC = cdp.metrics_transition_binned,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_binned_agg(double precision, boolean, double precision) IS
	'metrics of probabilities in 4,096 intervals of their log odds, of fixed size, with a weight for each row';

CREATE AGGREGATE cdp.metrics_binned_agg(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition_binned,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_binned_agg(double precision, double precision) IS
	'metrics of probabilities in 4,096 intervals of their log odds, of fixed size';

CREATE AGGREGATE cdp.metrics_binned_agg(score double precision, label double precision, weight double precision) (
	SFUNC = cdp.metrics_transition_binned,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_binned_agg(double precision, double precision, double precision) IS
	'metrics of probabilities in 4,096 intervals of their log odds, of fixed size, with a weight for each row';

CREATE AGGREGATE cdp.metrics_merge_agg(metrics cdp.metrics) (
	SFUNC = cdp.metrics_merge_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.metrics_merge_agg(cdp.metrics) IS
	'metrics of all rows of several metrics';

CREATE AGGREGATE cdp.auc(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_auc,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.auc(double precision, boolean) IS
	'area under the ROC curve: the probability that a positive row has a higher score than a negative one, ties counting half';

CREATE AGGREGATE cdp.auc(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_auc,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.auc(double precision, double precision) IS
	'area under the ROC curve: the probability that a positive row has a higher score than a negative one, ties counting half';

CREATE AGGREGATE cdp.binned_auc(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition_binned,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_auc,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.binned_auc(double precision, boolean) IS
	'the same of probabilities in 4,096 intervals, in fixed memory';

CREATE AGGREGATE cdp.binned_auc(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition_binned,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_auc,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.binned_auc(double precision, double precision) IS
	'the same of probabilities in 4,096 intervals, in fixed memory';

CREATE AGGREGATE cdp.log_loss(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_log_loss,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.log_loss(double precision, boolean) IS
	'mean of -ln of the probability given to what came true, kept 1e-15 away from 0';

CREATE AGGREGATE cdp.log_loss(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_log_loss,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.log_loss(double precision, double precision) IS
	'mean of -ln of the probability given to what came true, kept 1e-15 away from 0';

CREATE AGGREGATE cdp.brier_score(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_brier_score,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.brier_score(double precision, boolean) IS
	'mean of the squared difference between probability and label';

CREATE AGGREGATE cdp.brier_score(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_brier_score,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.brier_score(double precision, double precision) IS
	'mean of the squared difference between probability and label';

CREATE AGGREGATE cdp.ks_statistic(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_ks_statistic,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.ks_statistic(double precision, boolean) IS
	'statistic of Kolmogorov and Smirnov: the largest difference between the distributions of scores of the two labels';

CREATE AGGREGATE cdp.ks_statistic(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_ks_statistic,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.ks_statistic(double precision, double precision) IS
	'statistic of Kolmogorov and Smirnov: the largest difference between the distributions of scores of the two labels';

CREATE AGGREGATE cdp.normalized_gini(score double precision, label boolean) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_normalized_gini,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.normalized_gini(double precision, boolean) IS
	'normalized Gini coefficient of scores for a label of yes and no: 2 AUC - 1';

CREATE AGGREGATE cdp.normalized_gini(score double precision, label double precision) (
	SFUNC = cdp.metrics_transition,
	STYPE = internal,
	FINALFUNC = cdp.metrics_final_normalized_gini,
	COMBINEFUNC = cdp.metrics_combine,
	SERIALFUNC = cdp.metrics_serialize,
	DESERIALFUNC = cdp.metrics_deserialize,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE cdp.normalized_gini(double precision, double precision) IS
	'normalized Gini coefficient of scores for a label of yes and no: 2 AUC - 1';

CREATE FUNCTION cdp.auc(metrics cdp.metrics) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_auc';

COMMENT ON FUNCTION cdp.auc(cdp.metrics) IS
	'area under the ROC curve: the probability that a positive row has a higher score than a negative one, ties counting half';

CREATE FUNCTION cdp.log_loss(metrics cdp.metrics) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_log_loss';

COMMENT ON FUNCTION cdp.log_loss(cdp.metrics) IS
	'mean of -ln of the probability given to what came true, kept 1e-15 away from 0';

CREATE FUNCTION cdp.brier_score(metrics cdp.metrics) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_brier_score';

COMMENT ON FUNCTION cdp.brier_score(cdp.metrics) IS
	'mean of the squared difference between probability and label';

CREATE FUNCTION cdp.ks_statistic(metrics cdp.metrics) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_ks_statistic';

COMMENT ON FUNCTION cdp.ks_statistic(cdp.metrics) IS
	'statistic of Kolmogorov and Smirnov: the largest difference between the distributions of scores of the two labels';

CREATE FUNCTION cdp.normalized_gini(metrics cdp.metrics) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_normalized_gini';

COMMENT ON FUNCTION cdp.normalized_gini(cdp.metrics) IS
	'normalized Gini coefficient of scores for a label of yes and no: 2 AUC - 1';

CREATE FUNCTION cdp.lift(metrics cdp.metrics, share double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_lift';

COMMENT ON FUNCTION cdp.lift(cdp.metrics, double precision) IS
	'how many times more often the label is yes in the share of rows with the highest scores than in all';

CREATE FUNCTION cdp.decile_table(
	metrics cdp.metrics,
	parts integer DEFAULT 10,
	OUT part integer,
	OUT lowest_score double precision,
	OUT highest_score double precision,
	OUT weight double precision,
	OUT positive double precision,
	OUT rate double precision,
	OUT lift double precision,
	OUT captured double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10
	AS 'MODULE_PATHNAME', 'cdp_decile_table';

COMMENT ON FUNCTION cdp.decile_table(cdp.metrics, integer) IS
	'rows in parts of equal weight, the highest scores first: rate, lift, and the share of all positives captured so far';

CREATE FUNCTION cdp.calibration_table(
	metrics cdp.metrics,
	parts integer DEFAULT 10,
	OUT low double precision,
	OUT high double precision,
	OUT weight double precision,
	OUT predicted double precision,
	OUT observed double precision
) RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10
	AS 'MODULE_PATHNAME', 'cdp_calibration_table';

COMMENT ON FUNCTION cdp.calibration_table(cdp.metrics, integer) IS
	'rows in intervals of equal width of the probability: the mean that was predicted, and the share that came true';

CREATE FUNCTION cdp.calibration_error(metrics cdp.metrics, parts integer DEFAULT 10) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_calibration_error';

COMMENT ON FUNCTION cdp.calibration_error(cdp.metrics, integer) IS
	'expected calibration error: the mean difference between predicted and observed over the intervals of cdp.calibration_table';

CREATE FUNCTION cdp.metrics_summary(
	metrics cdp.metrics,
	OUT n bigint,
	OUT weight double precision,
	OUT positive double precision,
	OUT scores bigint,
	OUT binned boolean
) RETURNS record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'cdp_metrics_summary';

COMMENT ON FUNCTION cdp.metrics_summary(cdp.metrics) IS
	'what metrics hold: rows, their weight, that of the positive ones, different scores, and whether they are binned';
