-- From scores to probabilities: calibration, fitted to metrics.  All of it is C
-- (src/score/calibrate.c) and described in docs/score.md.  The script stands after
-- score_metrics.sql, whose type it uses.

CREATE TYPE cdp.calibration;

CREATE FUNCTION cdp.calibration_in(cstring) RETURNS cdp.calibration
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_calibration_in';

COMMENT ON FUNCTION cdp.calibration_in(cstring) IS 'input of cdp.calibration: its document, checked';

CREATE FUNCTION cdp.calibration_out(cdp.calibration) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_calibration_out';

COMMENT ON FUNCTION cdp.calibration_out(cdp.calibration) IS 'output of cdp.calibration: its document';

CREATE FUNCTION cdp.calibration_recv(internal) RETURNS cdp.calibration
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_calibration_recv';

COMMENT ON FUNCTION cdp.calibration_recv(internal) IS 'binary input of cdp.calibration, checked';

CREATE FUNCTION cdp.calibration_send(cdp.calibration) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_calibration_send';

COMMENT ON FUNCTION cdp.calibration_send(cdp.calibration) IS 'binary output of cdp.calibration';

CREATE TYPE cdp.calibration (
	INPUT = cdp.calibration_in,
	OUTPUT = cdp.calibration_out,
	RECEIVE = cdp.calibration_recv,
	SEND = cdp.calibration_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);

COMMENT ON TYPE cdp.calibration IS 'a function from scores to probabilities; a document that casts to jsonb';

CREATE CAST (cdp.calibration AS jsonb) WITHOUT FUNCTION;

COMMENT ON CAST (cdp.calibration AS jsonb) IS 'the document of the calibration';

CREATE FUNCTION cdp.calibrate(metrics cdp.metrics, method text DEFAULT 'platt') RETURNS cdp.calibration
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1000
	AS 'MODULE_PATHNAME', 'cdp_calibrate';

COMMENT ON FUNCTION cdp.calibrate(cdp.metrics, text) IS
	'calibration of scores to what came true; method platt (a logistic curve over the log odds, few rows suffice) or isotonic (any nondecreasing function)';

CREATE FUNCTION cdp.predict(calibration cdp.calibration, score double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_predict_calibrated';

COMMENT ON FUNCTION cdp.predict(cdp.calibration, double precision) IS
	'the calibrated probability of a score';
