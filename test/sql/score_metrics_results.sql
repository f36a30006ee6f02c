-- Metrics of scores, against their definitions in plain SQL on data that are made
-- here, and against hand-made cases.
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.uniform(text) RETURNS double precision LANGUAGE sql IMMUTABLE
	RETURN (('x' || substr(md5($1), 1, 8))::bit(32)::bigint + 0.5) / 4294967296;
CREATE TABLE scored AS
SELECT i AS id, p, pg_temp.uniform(i || 'b') < p AS label, 1 + i % 4 AS weight
FROM (SELECT i, CASE WHEN i % 10 = 0 THEN 0.25 ELSE pg_temp.uniform(i || 'a') ^ 2 END AS p FROM generate_series(1, 5000) i) s;
ALTER TABLE scored SET (parallel_workers = 2);
ANALYZE scored;

-- A case to be checked by hand: of the 6 pairs, 3 are in order and 1 is tied.
SELECT cdp.auc(score, label), round(cdp.normalized_gini(score, label)::numeric, 10) AS gini, round(cdp.ks_statistic(score, label)::numeric, 10) AS ks, round(cdp.brier_score(score, label)::numeric, 10) AS brier, round(cdp.log_loss(score, label)::numeric, 10) AS log_loss
FROM (VALUES (0.1, false), (0.4, true), (0.4, false), (0.8, true), (0.9, false)) v (score, label);
SELECT cdp.auc(score, label), round(cdp.brier_score(score, label)::numeric, 10) AS brier
FROM (VALUES (0.1, 0), (0.4, 1), (0.4, 0), (0.8, 1), (0.9, 0)) v (score, label);

-- The definitions.
WITH ranked AS (
	SELECT *, rank() OVER (ORDER BY p) + (count(*) OVER (PARTITION BY p) - 1) / 2.0 AS midrank FROM scored
), reference AS (
	SELECT (sum(midrank) FILTER (WHERE label) - n1 * (n1 + 1) / 2.0) / (n1 * n0) AS auc, log_loss, brier
	FROM ranked, (SELECT count(*) FILTER (WHERE label) AS n1, count(*) FILTER (WHERE NOT label) AS n0,
		avg(CASE WHEN label THEN -ln(p) ELSE -ln(1 - p) END) AS log_loss, avg((p - label::integer) ^ 2) AS brier FROM scored) s
	GROUP BY n1, n0, log_loss, brier
)
SELECT abs(cdp.auc(s.p, s.label) - r.auc) < 1e-12 AS auc, abs(cdp.log_loss(s.p, s.label) - r.log_loss) < 1e-12 AS log_loss,
	abs(cdp.brier_score(s.p, s.label) - r.brier) < 1e-12 AS brier, abs(cdp.normalized_gini(s.p, s.label) - (2 * r.auc - 1)) < 1e-12 AS gini,
	abs(cdp.binned_auc(s.p, s.label) - r.auc) < 1e-3 AS binned
FROM scored s, reference r GROUP BY r.auc, r.log_loss, r.brier;
SELECT abs(cdp.ks_statistic(p, label) - (SELECT max(abs(f1 - f0)) FROM (
	SELECT count(*) FILTER (WHERE label) OVER w / (count(*) FILTER (WHERE label) OVER ())::float8 AS f1,
		count(*) FILTER (WHERE NOT label) OVER w / (count(*) FILTER (WHERE NOT label) OVER ())::float8 AS f0
	FROM scored WINDOW w AS (ORDER BY p)) c)) < 1e-12 AS ks
FROM scored;

-- AUC looks at the order only.
SELECT cdp.auc(p, label) = cdp.auc(p * 1000 - 500, label) AS scaled, abs(cdp.auc(p, label) + cdp.auc(-p, label) - 1) < 1e-12 AS reversed FROM scored;
SELECT cdp.auc(score, label) FROM (VALUES (-1e308, false), (1e308, true), (-0.0, true), (0.0, false)) v (score, label);

-- Stored metrics say the same, also merged from parts, in parallel, and weighted.
CREATE TABLE stored (part integer, exact cdp.metrics, binned cdp.metrics);
INSERT INTO stored SELECT id % 7, cdp.metrics_agg(p, label), cdp.metrics_binned_agg(p, label) FROM scored GROUP BY 1;
SELECT cdp.auc(m) = a AS auc, abs(cdp.log_loss(m) - l) < 1e-12 AS log_loss, abs(cdp.brier_score(m) - b) < 1e-12 AS brier, cdp.ks_statistic(m) = k AS ks,
	cdp.normalized_gini(m) = g AS gini, s.*
FROM (SELECT cdp.metrics_merge_agg(exact) AS m FROM stored) t, LATERAL cdp.metrics_summary(m) s,
	(SELECT cdp.auc(p, label) AS a, cdp.log_loss(p, label) AS l, cdp.brier_score(p, label) AS b, cdp.ks_statistic(p, label) AS k, cdp.normalized_gini(p, label) AS g FROM scored) r;
SELECT cdp.auc(m) = a AS auc, abs(cdp.log_loss(m) - l) < 1e-12 AS log_loss, abs(cdp.brier_score(m) - b) < 1e-12 AS brier, s.n, s.weight, s.positive, s.scores <= 4096 AS scores, s.binned
FROM (SELECT cdp.metrics_merge_agg(binned) AS m FROM stored) t, LATERAL cdp.metrics_summary(m) s,
	(SELECT cdp.binned_auc(p, label) AS a, cdp.log_loss(p, label) AS l, cdp.brier_score(p, label) AS b FROM scored) r;
SELECT (SELECT cdp.metrics_agg(p, label)::text FROM scored) = (SELECT cdp.metrics_merge_agg(exact)::text FROM stored) AS same_value,
	(SELECT cdp.metrics_agg(p, label)::text FROM scored) = (SELECT cdp.metrics_agg(p, label ORDER BY id DESC)::text FROM scored) AS any_order,
	(SELECT cdp.metrics_agg(p, label)::text FROM scored) = (SELECT cdp.metrics_agg(p, label)::text::cdp.metrics::text FROM scored) AS text_form;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT cdp.auc(p, label) FROM scored;
CREATE TABLE parallel_result AS SELECT cdp.metrics_agg(p, label) AS exact, cdp.metrics_binned_agg(p, label) AS binned, cdp.auc(p, label), cdp.log_loss(p, label) FROM scored;
SET max_parallel_workers_per_gather = 0;
SELECT r.exact::text = s.exact::text AS exact, abs(cdp.auc(r.binned) - cdp.auc(s.binned)) < 1e-12 AS binned, r.auc = s.auc AS auc, r.log_loss = s.log_loss AS log_loss
FROM parallel_result r, (SELECT cdp.metrics_agg(p, label) AS exact, cdp.metrics_binned_agg(p, label) AS binned, cdp.auc(p, label), cdp.log_loss(p, label) FROM scored) s;
RESET ALL;

-- Weights count like repeated rows.
SELECT abs(cdp.auc(w.m) - cdp.auc(r.m)) < 1e-12 AS auc, abs(cdp.log_loss(w.m) - cdp.log_loss(r.m)) < 1e-12 AS log_loss, abs(cdp.lift(w.m, 0.1) - cdp.lift(r.m, 0.1)) < 1e-9 AS lift,
	abs(cdp.ks_statistic(w.m) - cdp.ks_statistic(r.m)) < 1e-12 AS ks, abs(cdp.auc(b.m) - cdp.auc(r.m)) < 1e-3 AS binned
FROM (SELECT cdp.metrics_agg(p, label, weight) AS m FROM scored) w, (SELECT cdp.metrics_agg(p, label) AS m FROM scored, generate_series(1, weight)) r,
	(SELECT cdp.metrics_binned_agg(p, label::integer, weight) AS m FROM scored) b;

-- Lift and the decile table; rows of equal score on a border are divided.
SELECT part, round(weight::numeric, 6) AS weight, round(positive::numeric, 6) AS positive, round(rate::numeric, 6) AS rate, round(lift::numeric, 6) AS lift, round(captured::numeric, 6) AS captured
FROM cdp.decile_table((SELECT cdp.metrics_agg(i, i > 15) FROM generate_series(1, 20) i));
SELECT lowest_score, highest_score, round(weight::numeric, 6) AS weight, round(positive::numeric, 6) AS positive
FROM cdp.decile_table((SELECT cdp.metrics_agg(0.5, i > 5) FROM generate_series(1, 20) i), 4);
SELECT count(*), abs(sum(weight) - 5000) < 1e-6 AS weight, abs(max(captured) - 1) < 1e-12 AS captured, abs(max(lift) - max(l)) < 1e-9 AS lift
FROM (SELECT cdp.metrics_agg(p, label) AS m, cdp.lift(cdp.metrics_agg(p, label), 0.1) AS l FROM scored) s, LATERAL cdp.decile_table(m);
SELECT cdp.lift(m, 0.25) AS quarter, cdp.lift(m, 1) AS "all" FROM (SELECT cdp.metrics_agg(i, i > 15) AS m FROM generate_series(1, 20) i) s;

-- Calibration: what was predicted is what came true.
SELECT low, high, weight, abs(predicted - observed) < 4 * sqrt(predicted * (1 - predicted) / weight) AS calibrated
FROM cdp.calibration_table((SELECT cdp.metrics_agg(p, label) FROM scored), 5);
SELECT cdp.calibration_error((SELECT cdp.metrics_agg(p, label) FROM scored)) < 0.02 AS small, round(cdp.calibration_error(cdp.metrics_agg(0.9, i > 5))::numeric, 10) AS large
FROM generate_series(1, 10) i;
-- Scores that were twisted are set right again.
SELECT method, abs(cdp.log_loss(p, label) - r.log_loss) < 0.01 AS log_loss, cdp.log_loss(twisted, label) > r.log_loss + 0.05 AS was_wrong
FROM (VALUES ('platt'), ('isotonic')) v (method),
	LATERAL (SELECT cdp.calibrate(cdp.metrics_agg(1 / (1 + exp(2 - 2 * ln(p / (1 - p)))), label), method) AS calibration FROM scored) c,
	LATERAL (SELECT label, 1 / (1 + exp(2 - 2 * ln(p / (1 - p)))) AS twisted, cdp.predict(calibration, 1 / (1 + exp(2 - 2 * ln(p / (1 - p))))) AS p FROM scored OFFSET 0) s,
	(SELECT cdp.log_loss(p, label) FROM scored) r
GROUP BY method, r.log_loss ORDER BY method;
SELECT round((c::jsonb->>'a')::numeric, 6) AS a, round((c::jsonb->>'b')::numeric, 6) AS b FROM (SELECT cdp.calibrate(cdp.metrics_agg(score, label)) AS c
	FROM (VALUES (0.2, false), (0.3, true), (0.6, false), (0.7, true), (0.9, true)) v (score, label)) s;
SELECT cdp.calibrate(cdp.metrics_agg(score, label), 'isotonic') AS c FROM (VALUES (1, false), (2, true), (3, false), (4, true), (5, true)) v (score, label) \gset
SELECT :'c'::cdp.calibration;
SELECT x, cdp.predict(:'c'::cdp.calibration, x) FROM unnest(ARRAY[0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 9]) x;
SELECT cdp.predict(cdp.calibrate(cdp.metrics_agg(0.5, i = 1)), 0.5) BETWEEN 0.31 AND 0.32 AS one_score FROM generate_series(1, 4) i;
-- Scores as far apart as they can be.
SELECT s, round(cdp.predict(cdp.calibrate(cdp.metrics_agg(score, label), 'isotonic'), s)::numeric, 6) AS p FROM (VALUES (-1.7e308, false), (1.7e308, true)) v (score, label), unnest('{-1.7e308,-8.5e307,0,1,8.5e307,1.7e308}'::double precision[]) s GROUP BY s ORDER BY s;

-- Nothing to tell.
SELECT cdp.auc(p, label), cdp.log_loss(p, label), cdp.ks_statistic(p, label) FROM scored WHERE false;
SELECT cdp.auc(p, label), cdp.normalized_gini(p, label), cdp.ks_statistic(p, label), cdp.binned_auc(p, label) FROM scored WHERE label;
SELECT (cdp.metrics_summary(cdp.metrics_agg(score, label))).* FROM (VALUES (NULL, true), (0.5, NULL), (0.2, false)) v (score, label);

-- Errors.
SELECT cdp.auc('NaN'::float8, true);
SELECT cdp.auc(1, 2);
SELECT cdp.log_loss(2, true);
SELECT cdp.binned_auc(2, true);
SELECT cdp.metrics_agg(0.5, true, -1);
SELECT cdp.calibration_table(cdp.metrics_agg(2, true));
SELECT cdp.lift(cdp.metrics_agg(0.5, true), 0);
SELECT cdp.decile_table(cdp.metrics_agg(0.5, true), 0);
SELECT cdp.metrics_merge_agg(m) FROM (SELECT cdp.metrics_agg(0.5, true) UNION ALL SELECT cdp.metrics_binned_agg(0.5, true)) s (m);
SELECT cdp.calibrate(cdp.metrics_agg(0.5, true));
SELECT cdp.calibrate(cdp.metrics_agg(i, i > 1)) FROM generate_series(1, 2) i;
SELECT cdp.calibrate(cdp.metrics_agg(i, i > 1), 'beta') FROM generate_series(1, 2) i;
SET maintenance_work_mem = '1MB';
SELECT cdp.auc(i, i % 2 = 0) FROM generate_series(1, 1000000) i;
SELECT round(cdp.binned_auc(i / 1000000.0, i % 2 = 0)::numeric, 4) AS binned FROM generate_series(1, 1000000) i;
RESET maintenance_work_mem;
DROP TABLE scored, stored, parallel_result;
