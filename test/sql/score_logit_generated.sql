-- Logistic regression on data that are made here: the parameters they were made
-- with come back, fits by every way agree, and what cannot be fitted is said.

-- The twenty patients of MADlib's documentation, with its results.
CREATE TEMPORARY TABLE patients (second_attack integer, treatment integer, trait_anxiety integer);
INSERT INTO patients VALUES
	(1, 1, 70), (1, 1, 80), (1, 1, 50), (1, 0, 60), (1, 0, 40), (1, 0, 65), (1, 0, 75), (1, 0, 80), (1, 0, 70), (1, 0, 60),
	(0, 1, 65), (0, 1, 50), (0, 1, 45), (0, 1, 35), (0, 1, 40), (0, 1, 50), (0, 0, 55), (0, 0, 45), (0, 0, 50), (0, 0, 60);
SELECT c.term, abs(c.coefficient / r.coefficient - 1) < 1e-7 AS coefficient, abs(c.standard_error / r.standard_error - 1) < 1e-5 AS standard_error
FROM (SELECT cdp.logit_fit(second_attack, ARRAY[treatment, trait_anxiety], cdp.logit_options(names => '{treatment,trait_anxiety}')) AS model FROM patients) f,
	LATERAL cdp.coefficients(f.model) WITH ORDINALITY c
	JOIN (VALUES (1, -6.36346994178192, 3.21389766375099), (2, -1.02410605239327, 1.17107844860319), (3, 0.119044916668607, 0.0549790458269317))
		AS r (place, coefficient, standard_error) ON r.place = c.ordinality
ORDER BY c.ordinality;
SELECT round((model::jsonb->>'log_likelihood')::numeric, 10) AS log_likelihood, model::jsonb->'converged' AS converged
FROM (SELECT cdp.logit_fit(second_attack = 1, ARRAY[treatment, trait_anxiety]) AS model FROM patients) f;

-- 20,000 rows with known parameters; md5 makes the same numbers everywhere.
CREATE FUNCTION pg_temp.uniform(text) RETURNS double precision LANGUAGE sql IMMUTABLE
	RETURN (('x' || substr(md5($1), 1, 8))::bit(32)::bigint + 0.5) / 4294967296;
CREATE TABLE generated AS
SELECT i AS id, x1, x2, x3, kind, pg_temp.uniform(i || 'y') < 1 / (1 + exp(-(19.5 + 0.8 * x1 - 0.02 * x2 + 0.5 * (kind = 'b')::integer - 0.7 * (kind = 'c')::integer))) AS y,
	1 + i % 3 AS w
FROM (SELECT i, 4 * pg_temp.uniform(i || 'a') - 2 AS x1, 1000 + 50 * pg_temp.uniform(i || 'b') AS x2, pg_temp.uniform(i || 'c') AS x3,
		CASE i % 5 WHEN 0 THEN 'c' WHEN 1 THEN 'b' ELSE 'a' END AS kind
	FROM generate_series(1, 20000) i) s;
ALTER TABLE generated SET (parallel_workers = 4);
ANALYZE generated;

CREATE TABLE models (name text PRIMARY KEY, model cdp.logit_model);
INSERT INTO models VALUES ('serial', cdp.train_logit('SELECT y, x1, x2, x3, kind FROM generated', 'y'));
SELECT c.term, abs(c.coefficient - t.truth) < 4 * c.standard_error AS recovered, c.p_value < 0.001 AS significant,
	abs(c.odds_ratio - exp(c.coefficient)) < 1e-12 AS odds, abs(c.z - c.coefficient / c.standard_error) < 1e-12 AS z
FROM models, LATERAL cdp.coefficients(model) c
	JOIN (VALUES ('(intercept)', 19.5), ('x1', 0.8), ('x2', -0.02), ('x3', 0.0), ('kind=b', 0.5), ('kind=c', -0.7)) AS t (term, truth) USING (term)
ORDER BY c.term;

-- At the maximum the residuals are orthogonal to the features.
SELECT abs(sum(y::integer - p)) < 1e-6 AS mean, abs(sum((y::integer - p) * x1)) < 1e-6 AS x1, abs(sum((y::integer - p) * (x2 - 1025))) < 1e-6 AS x2,
	abs(sum((y::integer - p) * (kind = 'b')::integer)) < 1e-6 AS kind
FROM (SELECT g.*, cdp.predict_row(m.model, g) AS p FROM generated g, models m) s;

-- The same model to 1e-9 with any number of workers, in any order, and by the
-- other ways to fit it.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
INSERT INTO models VALUES ('two workers', cdp.train_logit('SELECT y, x1, x2, x3, kind FROM generated', 'y'));
SET max_parallel_workers_per_gather = 4;
INSERT INTO models VALUES ('four workers', cdp.train_logit('SELECT y, x1, x2, x3, kind FROM generated;', 'y'));
CREATE TEMPORARY TABLE parallel_fit AS
	SELECT cdp.logit_fit(y, ARRAY[x1, x2, x3, (kind = 'b')::integer, (kind = 'c')::integer]) AS model FROM generated;
INSERT INTO models SELECT 'aggregate, parallel', model FROM parallel_fit;
EXPLAIN (COSTS OFF) SELECT cdp.logit_fit(y, ARRAY[x1, x2, x3]) FROM generated;
SET max_parallel_workers_per_gather = 0;
INSERT INTO models VALUES
	('another order', cdp.train_logit('SELECT y, x1, x2, x3, kind FROM generated ORDER BY x3 DESC -- a comment', 'y')),
	('an array', cdp.train_logit('SELECT y, ARRAY[x1, x2, x3] AS numbers, kind FROM generated', 'y')),
	('array and number', cdp.train_logit('SELECT y::integer AS y, x1, ARRAY[x2, x3] AS numbers, kind FROM generated', 'y', '{x1,numbers,kind}'));
INSERT INTO models SELECT 'aggregate', cdp.logit_fit(y, ARRAY[x1, x2, x3, (kind = 'b')::integer, (kind = 'c')::integer]) FROM generated;
INSERT INTO models SELECT 'aggregate, sorted', cdp.logit_fit(y, ARRAY[x1, x2, x3, (kind = 'b')::integer, (kind = 'c')::integer]) FROM (SELECT * FROM generated ORDER BY x1) s;
SELECT m.name, max(abs(a.coefficient / b.coefficient - 1)) < 1e-9 AS coefficients, max(abs(a.standard_error / b.standard_error - 1)) < 1e-9 AS standard_errors,
	abs((m.model::jsonb->>'log_likelihood')::float8 / (s.model::jsonb->>'log_likelihood')::float8 - 1) < 1e-12 AS log_likelihood, count(*)
FROM models m CROSS JOIN models s,
	LATERAL cdp.coefficients(m.model) WITH ORDINALITY a JOIN LATERAL cdp.coefficients(s.model) WITH ORDINALITY b USING (ordinality)
WHERE s.name = 'serial' AND m.name <> 'serial'
GROUP BY m.name, m.model::jsonb, s.model::jsonb ORDER BY m.name;

-- A model for each group.
SELECT kind, abs(coefficient - 0.8) < 4 * standard_error AS recovered
FROM (SELECT kind, cdp.logit_fit(y, ARRAY[x1, x2]) AS model FROM generated GROUP BY kind) s, LATERAL cdp.coefficients(model)
WHERE term = 'x1' ORDER BY kind;

-- Weights count like repeated rows.
SELECT max(abs(a.coefficient / b.coefficient - 1)) < 1e-9 AS coefficients, max(abs(a.standard_error / b.standard_error - 1)) < 1e-9 AS standard_errors
FROM cdp.coefficients(cdp.train_logit('SELECT y, x1, x2, w FROM generated', 'y', weight => 'w')) a
	JOIN cdp.coefficients(cdp.train_logit('SELECT y, x1, x2 FROM generated, generate_series(1, w)', 'y')) b USING (term);
SELECT max(abs(a.coefficient / b.coefficient - 1)) < 1e-9 AS coefficients
FROM (SELECT cdp.logit_fit(y, ARRAY[x1, x2], w, NULL) AS model FROM generated) f, LATERAL cdp.coefficients(f.model) a
	JOIN cdp.coefficients(cdp.train_logit('SELECT y, x1, x2, w FROM generated', 'y', weight => 'w')) b USING (term);
-- and the weight of a class like weights of its rows.
SELECT max(abs(a.coefficient / b.coefficient - 1)) < 1e-9 AS coefficients
FROM cdp.coefficients(cdp.train_logit('SELECT y, x1, x2 FROM generated', 'y', options => cdp.logit_options(positive_weight => 3))) a
	JOIN cdp.coefficients(cdp.train_logit('SELECT y, x1, x2, CASE WHEN y THEN 3 ELSE 1 END AS w FROM generated', 'y', weight => 'w')) b USING (term);
SELECT abs(sum((y::integer - p) * CASE WHEN y THEN cw[2] ELSE cw[1] END)) < 1e-6 OR abs(avg(CASE WHEN y THEN p END) + avg(CASE WHEN NOT y THEN p END) - 1) < 1e-9 AS balanced
FROM (SELECT y, cdp.predict(m.model, ARRAY[x1, x2]) AS p, ARRAY[(m.model::jsonb#>>'{class_weights,0}')::float8, (m.model::jsonb#>>'{class_weights,1}')::float8] AS cw
	FROM generated, (SELECT cdp.train_logit('SELECT y, x1, x2 FROM generated', 'y', options => cdp.logit_options(balanced => true)) AS model) m) s;

-- Penalties.  At the optimum of L2, the gradient is l2 * coefficient * variance;
-- of L1, l1 * sign * deviation where the coefficient is not 0, and no more than that where it is.
WITH fit AS (
	SELECT cdp.train_logit('SELECT y, x1, x2, x3 FROM generated', 'y', options => cdp.logit_options(l2 => 100)) AS model
), slope AS (
	SELECT sum((y::integer - p) * x1) AS x1, sum((y::integer - p) * x3) AS x3, var_pop(x1) AS v1, var_pop(x3) AS v3
	FROM (SELECT g.*, cdp.predict(fit.model, ARRAY[x1, x2, x3]) AS p FROM generated g, fit) s
)
SELECT c.term, abs(100 * c.coefficient * CASE c.term WHEN 'x1' THEN v1 ELSE v3 END - CASE c.term WHEN 'x1' THEN slope.x1 ELSE slope.x3 END) < 1e-5 AS optimal, c.standard_error
FROM slope, fit, LATERAL cdp.coefficients(fit.model) c WHERE c.term IN ('x1', 'x3') ORDER BY 1;
WITH fit AS (
	SELECT cdp.train_logit('SELECT y, x1, x2, x3 FROM generated', 'y', options => cdp.logit_options(l1 => 100)) AS model
), slope AS (
	SELECT sum((y::integer - p) * x1) / stddev_pop(x1) AS x1, sum((y::integer - p) * x3) / stddev_pop(x3) AS x3
	FROM (SELECT g.*, cdp.predict(fit.model, ARRAY[x1, x2, x3]) AS p FROM generated g, fit) s
)
SELECT abs(slope.x1 - 100) < 1e-5 AS x1, abs(slope.x3) <= 100 AS x3, (SELECT array_agg(term ORDER BY term) FROM cdp.coefficients(fit.model) WHERE coefficient = 0) AS zero
FROM slope, fit;
-- Without standardization, penalties are on the coefficients as they are.
SELECT max(abs(a.coefficient - b.coefficient)) < 1e-9 AS same
FROM cdp.coefficients(cdp.train_logit('SELECT y, (x1 - 0.003) / d AS x1 FROM generated, (SELECT stddev_pop(x1) AS d FROM generated) s', 'y', options => cdp.logit_options(l2 => 10, standardize => false))) a
	JOIN cdp.coefficients(cdp.train_logit('SELECT y, (x1 - 0.003) / d AS x1 FROM generated, (SELECT stddev_pop(x1) AS d FROM generated) s', 'y', options => cdp.logit_options(l2 => 10))) b USING (term);

-- Aliased and constant terms are reported, the first of those that say the same stays.
SELECT term, aliased, coefficient IS NULL AS no_coefficient
FROM cdp.coefficients(cdp.train_logit('SELECT y, x1, 2 * x1 + 1 AS again, 7.1 AS constant, kind, (kind = ''c'') AS is_c FROM generated', 'y'));

-- Separation: all rows, or those of a level.
SELECT term, separated
FROM cdp.coefficients(cdp.train_logit('SELECT i > 50 AS y, i AS x FROM generate_series(1, 100) i', 'y'));
SELECT term, separated
FROM cdp.coefficients(cdp.train_logit('SELECT i % 3 = 0 AND i <= 90 AS y, i % 7 AS x, (i > 90)::text AS late FROM generate_series(1, 100) i', 'y'));
SELECT cdp.logit_fit(i > 5, ARRAY[i]) IS NOT NULL AS model FROM generate_series(1, 10) i;
SELECT bool_and(isfinite(to_timestamp(coefficient))) AS finite
FROM cdp.coefficients(cdp.train_logit('SELECT i > 50 AS y, i AS x FROM generate_series(1, 100) i', 'y', options => cdp.logit_options(l2 => 1)));

-- NULLs: rows with one are left out and counted.
SELECT f.model::jsonb->'n' AS n, f.model::jsonb->'skipped' AS skipped
FROM (SELECT cdp.logit_fit(CASE WHEN id % 10 <> 0 THEN y END, ARRAY[x1, CASE WHEN id % 10 <> 1 THEN x3 END]) AS model FROM generated) f;
SELECT f.model::jsonb->'n' AS n, f.model::jsonb->'skipped' AS skipped, f.model::jsonb#>'{features,1,levels}' AS levels
FROM (SELECT cdp.train_logit($$SELECT CASE WHEN id % 10 <> 0 THEN y END AS y, CASE WHEN id % 10 <> 1 THEN x1 END AS x1, CASE id % 10 WHEN 0 THEN 'null label' WHEN 2 THEN NULL ELSE kind END AS kind FROM generated$$, 'y') AS model) f;
SELECT f.model::jsonb->'n' AS n, f.model::jsonb->'skipped' AS skipped
FROM (SELECT cdp.train_logit('SELECT y, CASE WHEN id > 100 THEN ARRAY[x1, x2] END AS x FROM generated', 'y') AS model) f;
SELECT cdp.logit_fit(y, ARRAY[CASE WHEN id <> 7 THEN x1 END], cdp.logit_options(nulls => 'error')) FROM generated;
SELECT cdp.train_logit('SELECT y, CASE WHEN id <> 7 THEN kind END AS kind FROM generated', 'y', options => cdp.logit_options(nulls => 'error'));

-- Predictions: NULL in, NULL out; unknown levels count like the reference.
CREATE TYPE generated_row AS (x1 numeric, x2 integer, x3 real, kind varchar);
SELECT abs(cdp.predict(model, '{0.5,1010,0.5}', '{b}') - cdp.predict_row(model, ROW(0.5, 1010, 0.5, 'b')::generated_row)) < 1e-12 AS same,
	cdp.predict(model, '{0.5,1010,0.5}', '{new}') = cdp.predict(model, '{0.5,1010,0.5}', '{a}') AS unknown,
	cdp.predict(model, '{0.5,NULL,0.5}', '{b}') AS null_number, cdp.predict(model, '{0.5,1010,0.5}', '{NULL}') AS null_category, cdp.predict(NULL::cdp.logit_model, '{1}') AS null_model
FROM models WHERE name = 'serial';
-- Contributions and the baseline together are the log odds.
SELECT count(*), max(abs(total - ln(p / (1 - p)))) < 1e-9 AS complete
FROM (SELECT cdp.predict_row(model, g) AS p, (SELECT sum(contribution) FROM cdp.explain_prediction(model, g)) AS total
	FROM generated g, models WHERE name = 'serial' AND id <= 100) s;
SELECT feature, round(contribution::numeric, 6) FROM cdp.explain_prediction('{"model": "logit", "version": 1, "center": -1, "features": [{"name": "age", "type": "number"}, {"name": "plan", "type": "category", "levels": ["free", "paid"]}], "terms": [{"term": "(intercept)", "coefficient": -5}, {"term": "age", "coefficient": 0.1, "mean": 40}, {"term": "plan=paid", "coefficient": 2, "mean": 0.25}]}'::cdp.logit_model, '{50}'::float8[], '{paid}');

-- Extreme values do no harm.
SELECT isfinite(to_timestamp(coefficient)) AS finite
FROM cdp.coefficients(cdp.train_logit('SELECT y, x1 * 1e150 AS large, x3 * 1e-150 AS small, x2 + 1e9 AS far FROM generated', 'y')) WHERE term = 'far';
SELECT cdp.predict('{"model": "logit", "version": 1, "center": 0, "features": [{"name": "x", "type": "number"}], "terms": [{"coefficient": 0}, {"coefficient": 1e300}]}'::cdp.logit_model, ARRAY[x])
FROM (VALUES (1e300), (-1e300)) v (x);

-- What cannot be fitted.
SELECT cdp.train_logit('SELECT true AS y, x1 FROM generated', 'y');
SELECT cdp.train_logit('SELECT y, x1 FROM generated WHERE false', 'y');
SELECT cdp.logit_fit(true, ARRAY[x1]) FROM generated;
SELECT cdp.logit_fit(y, ARRAY[x1]) FROM generated WHERE false;
SELECT cdp.train_logit('SELECT y, x1 FROM generated', 'z');
SELECT cdp.train_logit('SELECT y, x1 FROM generated', 'y', '{x1,y}');
SELECT cdp.train_logit('SELECT y, x1 FROM generated', 'y', '{x1,x1}');
SELECT cdp.train_logit('SELECT y, now() AS at FROM generated', 'y');
SELECT cdp.train_logit('SELECT kind, x1 FROM generated', 'kind');
SELECT cdp.train_logit('SELECT y FROM generated', 'y');
SELECT cdp.train_logit('SELECT id AS y, x1 FROM generated', 'y');
SELECT cdp.train_logit('SELECT y, md5(id::text) AS name FROM generated', 'y');
SELECT cdp.train_logit('DELETE FROM generated', 'y');
SELECT cdp.train_logit('SELECT y, x1 FROM generatted', 'y');
SELECT cdp.train_logit(NULL, 'y');
SELECT cdp.train_logit('SELECT y, x1 FROM generated', NULL);
SELECT cdp.logit_fit(y, CASE WHEN id = 3 THEN ARRAY[x1] ELSE ARRAY[x1, x2] END) FROM generated;
SELECT cdp.logit_fit(y, ARRAY['NaN'::float8]) FROM generated;
SELECT cdp.logit_fit(2, ARRAY[x1]) FROM generated;
SELECT cdp.logit_fit(y, ARRAY[x1 * 1e200]) FROM generated;
SELECT cdp.train_logit('SELECT y, x2, x1 * 1e200 AS large FROM generated', 'y');
SELECT cdp.train_logit('SELECT y, x1, kind FROM generated', 'y', '{x1}', weight => 'kind');
SELECT cdp.logit_fit(y, ARRAY[x1], -1, NULL) FROM generated;
SELECT cdp.logit_fit(y, ARRAY[x1], cdp.logit_options(l2 => -1)) FROM generated;
SELECT cdp.logit_fit(y, ARRAY[x1], cdp.logit_options(nulls => 'ignore')) FROM generated;
SELECT cdp.predict(model, '{1}') FROM models WHERE name = 'serial';
SELECT cdp.predict(model, '{1}', '{a}') FROM models WHERE name = 'serial';
SELECT cdp.predict_row(model, ROW(1, 2)) FROM models WHERE name = 'serial';
SET maintenance_work_mem = '1MB';
SELECT cdp.logit_fit(y, ARRAY[x1, x2, x3, x1, x2, x3]) FROM generated;
RESET maintenance_work_mem;

DROP TABLE generated, models;
DROP TYPE generated_row;
