-- Models and rules in variables of PL/pgSQL: the state of a call is kept within a
-- transaction, the value of the variable may be another one at each call.

-- The probability is 1 / (1 + exp(-center)); the other bounds put the number 1 into another bin.
CREATE FUNCTION pg_temp.line(center double precision) RETURNS cdp.logit_model LANGUAGE sql IMMUTABLE AS $$
SELECT format('{"model": "logit", "version": 1, "center": %s, "features": [{"name": "x", "type": "number", "bins": [{"bounds": [%s], "shares": [0.5, 0.5, 0]}]}],
	"terms": [{"coefficient": 0}, {"coefficient": 0, "deviation": 1}]}', $1, $1)::cdp.logit_model
$$;
CREATE FUNCTION pg_temp.trees(base double precision) RETURNS cdp.gbt_model LANGUAGE sql IMMUTABLE AS $$
SELECT format('{"model": "gbt", "version": 1, "base": %s, "features": [{"name": "x", "type": "number", "bins": [{"bounds": [%s], "shares": [0.5, 0.5, 0]}]}], "trees": []}', $1, $1)::cdp.gbt_model
$$;
CREATE FUNCTION pg_temp.calibration(b double precision) RETURNS cdp.calibration LANGUAGE sql IMMUTABLE AS $$
SELECT format('{"model": "calibration", "version": 1, "method": "platt", "a": 1, "b": %s}', $1)::cdp.calibration
$$;
CREATE FUNCTION pg_temp.steps(probability double precision) RETURNS cdp.calibration LANGUAGE sql IMMUTABLE AS $$
SELECT format('{"model": "calibration", "version": 1, "method": "isotonic", "scores": [0.5], "probabilities": [%s]}', $1)::cdp.calibration
$$;
-- Stored out of line, they are compared by where they are.
CREATE TEMPORARY TABLE stored (i integer, line cdp.logit_model, trees cdp.gbt_model, calibration cdp.calibration);
ALTER TABLE stored ALTER line SET STORAGE external, ALTER trees SET STORAGE external, ALTER calibration SET STORAGE external;
INSERT INTO stored
SELECT i, jsonb_set(pg_temp.line(i)::jsonb, '{note}', to_jsonb(repeat('x', 10000)))::text::cdp.logit_model,
	jsonb_set(pg_temp.trees(i)::jsonb, '{note}', to_jsonb(repeat('x', 10000)))::text::cdp.gbt_model,
	jsonb_set(pg_temp.calibration(i)::jsonb, '{note}', to_jsonb(repeat('x', 10000)))::text::cdp.calibration
FROM generate_series(0, 2) AS i;

DO $$
DECLARE
	line cdp.logit_model;
	trees cdp.gbt_model;
	calibration cdp.calibration;
	steps cdp.calibration;
	lifetime cdp.lifetime_model;
	rules cdp.survivorship;
	number double precision;
	bins smallint[];
	given text;
	x record;
	row_of record;
	profile cdp.profile := cdp.profile_of('a', '2026-01-01', 1, 'mark', 'first') OPERATOR(cdp.||) cdp.profile_of('b', '2026-01-02', 2, 'mark', 'last');
BEGIN
	SELECT 1.0::double precision AS x INTO row_of;
	FOR i IN 0..3 LOOP
		line := pg_temp.line(i % 3);
		trees := pg_temp.trees(i % 3);
		calibration := pg_temp.calibration(i % 3);
		steps := pg_temp.steps(i % 3 / 4.0);
		lifetime := ('{"family": "bgnbd", "r": ' || 1 + i % 3 || ', "alpha": 4, "a": 1, "b": 2, "period_days": 7}')::cdp.lifetime_model;
		rules := ('{"default": "' || (ARRAY['last', 'first', 'longest'])[1 + i % 3] || '"}')::cdp.survivorship;
		number := cdp.predict(line, '{1}'::double precision[]);
		RAISE INFO 'logit: %', round(number::numeric, 4);
		number := cdp.predict(line, '{1}'::double precision[], '{}'::text[]);
		RAISE INFO 'logit, arrays: %', round(number::numeric, 4);
		number := cdp.predict_row(line, row_of);
		RAISE INFO 'logit, row: %', round(number::numeric, 4);
		number := cdp.predict(trees, '{1}'::double precision[]);
		RAISE INFO 'trees: %', round(number::numeric, 4);
		number := cdp.predict(trees, '{1}'::double precision[], '{}'::text[]);
		RAISE INFO 'trees, arrays: %', round(number::numeric, 4);
		number := cdp.predict_row(trees, row_of);
		RAISE INFO 'trees, row: %', round(number::numeric, 4);
		number := cdp.predict(calibration, 0.5);
		RAISE INFO 'Platt: %', round(number::numeric, 4);
		number := cdp.predict(steps, 0.5);
		RAISE INFO 'isotonic: %', round(number::numeric, 4);
		bins := cdp.input_bins(line, '{1}'::double precision[]);
		RAISE INFO 'bins, logit: %', bins;
		bins := cdp.input_bins(line, row_of);
		RAISE INFO 'bins, logit, row: %', bins;
		bins := cdp.input_bins(trees, '{1}'::double precision[]);
		RAISE INFO 'bins, trees: %', bins;
		bins := cdp.input_bins(trees, row_of);
		RAISE INFO 'bins, trees, row: %', bins;
		number := cdp.expected_purchases(lifetime, 10, 2, 20, 30);
		RAISE INFO 'purchases: %', round(number::numeric, 4);
		number := cdp.p_alive(lifetime, 2, 20, 30);
		RAISE INFO 'alive: %', round(number::numeric, 4);
		given := cdp.get_text(profile, 'mark', rules);
		RAISE INFO 'survivorship: %', given;
	END LOOP;
	FOR x IN SELECT * FROM stored ORDER BY i LOOP
		number := cdp.predict(x.line, '{1}'::double precision[]);
		RAISE INFO 'logit, stored: %', round(number::numeric, 4);
		number := cdp.predict(x.trees, '{1}'::double precision[]);
		RAISE INFO 'trees, stored: %', round(number::numeric, 4);
		number := cdp.predict(x.calibration, 0.5);
		RAISE INFO 'Platt, stored: %', round(number::numeric, 4);
		bins := cdp.input_bins(x.line, '{1}'::double precision[]);
		RAISE INFO 'bins, stored: %', bins;
	END LOOP;
END $$;

-- In columns, and as constants.
SELECT i, round(cdp.predict(line, '{1}')::numeric, 4) AS line, round(cdp.predict(trees, '{1}')::numeric, 4) AS trees, round(cdp.predict(calibration, 0.5)::numeric, 4) AS calibration FROM stored ORDER BY i;
SELECT i, round(cdp.predict(pg_temp.line(1), ARRAY[i])::numeric, 4) AS line, round(cdp.predict(pg_temp.trees(1), ARRAY[i])::numeric, 4) AS trees, round(cdp.predict(pg_temp.calibration(1), 0.5)::numeric, 4) AS calibration
FROM unnest('{1, 2}'::double precision[]) AS i;
DROP TABLE stored;
