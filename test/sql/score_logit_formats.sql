-- The stored forms of logistic models, their steps, metrics and calibrations:
-- golden values of version 1, and values that nobody should have written.

-- Golden bytes: what was written once is read for ever, and written the same.
CREATE TEMPORARY TABLE golden (step cdp.logit_step, metrics cdp.metrics, binned cdp.metrics);
INSERT INTO golden
SELECT cdp.logit_step_agg('{"model": "logit", "version": 1, "center": 0, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 0}, {"coefficient": 0, "deviation": 2}]}', (x > 2)::integer, 1, ARRAY[x], '{}'),
	cdp.metrics_agg(x / 8, x > 2), cdp.metrics_binned_agg(0.5, x > 2)
FROM generate_series(1.0, 3) x;
SELECT * FROM golden \gx
SELECT encode(cdp.logit_step_send(step), 'hex') = substr(step::text, 3) AS step, encode(cdp.metrics_send(metrics), 'hex') = substr(metrics::text, 3) AS metrics,
	step::text::cdp.logit_step::text = step::text AS step_text, metrics::text::cdp.metrics::text = metrics::text AS metrics_text FROM golden;
SELECT '{"model": "logit", "version": 1, "center": 0.5, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 0.1}, {"coefficient": -2}]}'::cdp.logit_model AS model,
	'{"model": "calibration", "version": 1, "method": "platt", "a": 1, "b": 0}'::cdp.calibration AS calibration \gx
-- Through a table, out of line too.
CREATE TEMPORARY TABLE long_model AS
SELECT cdp.train_logit('SELECT i % 7 < 3 AS y, ARRAY[i % 11, i % 13] || (SELECT array_agg((hashint4(i * 100 + k) % 1000)::float8) FROM generate_series(1, 150) k) AS x FROM generate_series(1, 400) i', 'y', options => cdp.logit_options(l2 => 1)) AS model;
ALTER TABLE long_model ALTER model SET STORAGE external;
UPDATE long_model SET model = model::text::cdp.logit_model;
SELECT count(*), count(DISTINCT round(p::numeric, 6)) > 5 AS different
FROM (SELECT cdp.predict(model, array_fill(i / 10.0, '{152}')) AS p FROM long_model, generate_series(1, 10) i) s;
-- Steps of parts add up, whoever adds them.
CREATE TEMPORARY TABLE rows AS SELECT i::float8 AS x, i % 2 AS y FROM generate_series(1, 8) i;
SELECT cdp.logit_step_merge_agg(part ORDER BY place)::text = cdp.logit_step_merge_agg(part ORDER BY place DESC)::text AS merged
FROM (SELECT x > 4 AS place, cdp.logit_step_agg('{"model": "logit", "version": 1, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 0}, {"coefficient": 0}]}', y, 1, ARRAY[x], '{}') AS part FROM rows GROUP BY 1) s;
SELECT cdp.logit_step_merge_agg(part)
FROM (SELECT cdp.logit_step_agg(format('{"model": "logit", "version": 1, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 0}, {"coefficient": %s}]}', i)::cdp.logit_model, y, 1, ARRAY[x], '{}') AS part FROM rows, generate_series(1, 2) i GROUP BY i) s;

-- Steps that nobody wrote.
SELECT ''::cdp.logit_step;
SELECT '\x'::cdp.logit_step;
SELECT '\x01'::cdp.logit_step;
SELECT '\xzz'::cdp.logit_step;
SELECT '\x02000000000200'::cdp.logit_step;
SELECT ('\x0100' || lpad('', 8, 'f'))::cdp.logit_step;
SELECT ('\x0101ffffffff' || repeat('00', 144))::cdp.logit_step;
SELECT ('\x010100000001' || repeat('00', 72))::cdp.logit_step;
SELECT ('\x010100000001' || repeat('00', 24) || '7ff8000000000000' || repeat('00', 64))::cdp.logit_step;
SELECT ('\x010300000001' || repeat('00', 96))::cdp.logit_step;
SELECT ('\x010100000001' || repeat('00', 96))::cdp.logit_step IS NOT NULL AS valid;

-- Metrics that nobody wrote.
SELECT '\x'::cdp.metrics;
SELECT '\x0100'::cdp.metrics;
SELECT ('\x0100' || repeat('00', 24) || '00000000000000ff')::cdp.metrics;
SELECT ('\x0100' || repeat('00', 24) || '7fffffffffffffff')::cdp.metrics;
SELECT ('\x0100' || repeat('00', 24) || '0000000000000001' || repeat('00', 24))::cdp.metrics;
SELECT ('\x0100' || repeat('00', 24) || '0000000000000001' || '7ff0000000000000' || repeat('3ff0000000000000', 2))::cdp.metrics;
SELECT ('\x0100' || repeat('00', 24) || '0000000000000002' || repeat('3ff0000000000000', 6))::cdp.metrics;
SELECT ('\x0101' || repeat('00', 24) || '0000000000000001' || '4000000000000000' || repeat('3ff0000000000000', 2))::cdp.metrics;
SELECT ('\x0102' || repeat('00', 24) || '0000000000000000')::cdp.metrics;
SELECT cdp.auc(('\x0100' || repeat('00', 24) || '0000000000000000')::cdp.metrics) AS auc, cdp.lift(('\x0100' || repeat('00', 24) || '0000000000000000')::cdp.metrics, 0.1) AS lift,
	(SELECT count(*) FROM cdp.decile_table(('\x0100' || repeat('00', 24) || '0000000000000000')::cdp.metrics)) AS deciles;

-- Documents that nobody wrote.
SELECT '{'::cdp.logit_model;
SELECT '[]'::cdp.logit_model;
SELECT '{}'::cdp.logit_model;
SELECT '{"model": "tree"}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 2}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": 7}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [7]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "magic"}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "vector", "length": 1e9}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "vector", "length": 3000}, {"name": "y", "type": "vector", "length": 3000}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "category", "levels": []}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "category", "levels": ["b", "a"]}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 1}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 1}, {"coefficient": "1"}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 1}, {"coefficient": 1e400}]}'::cdp.logit_model;
SELECT '{"model": "logit", "version": 1, "class_weights": [0, 1], "features": []}'::cdp.logit_model;
SELECT cdp.predict('{"model": "logit", "version": 1, "features": [{"name": "x", "type": "number"}]}'::cdp.logit_model, '{1}'::float8[]);
SELECT cdp.predict('{"model": "logit", "version": 1, "center": 1, "features": [], "terms": [{"coefficient": 1}]}'::cdp.logit_model, '{}'::float8[]) = 1 / (1 + exp(-1)) AS no_features;
SELECT '{"model": "calibration", "version": 1, "method": "isotonic", "scores": [1, 0], "probabilities": [0, 1]}'::cdp.calibration;
SELECT '{"model": "calibration", "version": 1, "method": "isotonic", "scores": [0, 1], "probabilities": [0, 2]}'::cdp.calibration;
SELECT '{"model": "calibration", "version": 1, "method": "isotonic", "scores": [0, 1], "probabilities": [0]}'::cdp.calibration;
SELECT '{"model": "calibration", "version": 1, "method": "isotonic", "scores": [], "probabilities": []}'::cdp.calibration;
SELECT '{"model": "calibration", "version": 1, "method": "platt", "a": 1}'::cdp.calibration;
SELECT '{"model": "calibration", "version": 1, "method": "guess"}'::cdp.calibration;
DROP TABLE golden, long_model, rows;
