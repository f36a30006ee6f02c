-- Fits of simulated customers: the parameters come out within their standard
-- errors, whatever the order of the rows and the number of workers.
\set SHOW_CONTEXT never
SET extra_float_digits = 0;
SET jit = off;
SELECT setseed(0.42) \g /dev/null

-- Gamma of whole shape is a sum of exponentials; Beta(1, b) and Pareto have inverses.
CREATE TABLE buyer (id integer, bg_x integer, bg_t float8, pareto_x integer, pareto_t float8, age float8, mean float8);
DO $$
DECLARE
	rate float8;
	leaving float8;
	life float8;
	now_at float8;
	end_at float8;
	spend_rate float8;
	spent float8;
	buyer buyer;
BEGIN
	FOR i IN 1 .. 4000 LOOP
		end_at := 30 + floor(random() * 40);
		buyer := ROW(i, 0, 0, 0, 0, end_at, NULL);
		-- BG/NBD: r = 2, alpha = 10, a = 1, b = 3
		rate := -(ln(1 - random()) + ln(1 - random())) / 10;
		leaving := 1 - (1 - random()) ^ (1.0 / 3);
		now_at := 0;
		LOOP
			now_at := now_at - ln(1 - random()) / rate;
			EXIT WHEN now_at > end_at;
			buyer.bg_x := buyer.bg_x + 1;
			buyer.bg_t := now_at;
			EXIT WHEN random() < leaving;
		END LOOP;
		-- Pareto/NBD: r = 2, alpha = 10, s = 1, beta = 20
		rate := -(ln(1 - random()) + ln(1 - random())) / 10;
		life := -ln(1 - random()) / (-ln(1 - random()) / 20);
		now_at := 0;
		LOOP
			now_at := now_at - ln(1 - random()) / rate;
			EXIT WHEN now_at > least(end_at, life);
			buyer.pareto_x := buyer.pareto_x + 1;
			buyer.pareto_t := now_at;
		END LOOP;
		-- Gamma-Gamma: p = 2, q = 3, v = 10
		IF buyer.bg_x > 0 THEN
			spend_rate := -(ln(1 - random()) + ln(1 - random()) + ln(1 - random())) / 10;
			spent := 0;
			FOR j IN 1 .. 2 * buyer.bg_x LOOP
				spent := spent - ln(1 - random()) / spend_rate;
			END LOOP;
			buyer.mean := spent / buyer.bg_x;
		END IF;
		INSERT INTO buyer VALUES (buyer.*);
	END LOOP;
END
$$;

-- The distance to the truth in standard errors, of each parameter.
CREATE FUNCTION distances(model cdp.lifetime_model, truth jsonb) RETURNS TABLE (parameter text, within boolean)
LANGUAGE sql AS $$
	SELECT key, abs((model::jsonb->>key)::float8 - value::float8) < 3.5 * (model::jsonb->'standard_errors'->>key)::float8
	FROM jsonb_each_text(truth) ORDER BY key
$$;
CREATE TABLE fitted AS
SELECT cdp.bgnbd_fit(bg_x, bg_t, age) AS bg, cdp.pareto_nbd_fit(pareto_x, pareto_t, age) AS pareto, cdp.gamma_gamma_fit(bg_x, mean) AS spend FROM buyer;
SELECT 'bgnbd' AS family, distances.* FROM fitted, distances(bg, '{"r": 2, "alpha": 10, "a": 1, "b": 3}')
UNION ALL SELECT 'pareto_nbd', distances.* FROM fitted, distances(pareto, '{"r": 2, "alpha": 10, "s": 1, "beta": 20}')
UNION ALL SELECT 'gamma_gamma', distances.* FROM fitted, distances(spend, '{"p": 2, "q": 3, "v": 10}')
ORDER BY 1, 2;
SELECT bool_and((m::jsonb->>'converged')::boolean AND (m::jsonb->>'gradient_norm')::float8 < 1e-8 AND (m::jsonb->>'n')::integer IN (4000, (SELECT count(*) FROM buyer WHERE bg_x > 0))) AS converged
FROM fitted, unnest(ARRAY[bg, pareto, spend]) AS m;

-- At the maximum, no direction goes up: the log-likelihood is that of the sum of customers.
SELECT abs(sum(cdp.customer_log_likelihood(bg, bg_x, bg_t, age)) - max((bg::jsonb->>'log_likelihood')::float8)) < 1e-6 AS sum_of_customers
FROM buyer, fitted;
SELECT bool_and(changed < (bg::jsonb->>'log_likelihood')::float8) AS is_maximum
FROM fitted, LATERAL (
	SELECT key, factor, (SELECT sum(cdp.customer_log_likelihood((bg::jsonb || jsonb_build_object(key, (bg::jsonb->>key)::float8 * factor))::cdp.lifetime_model, bg_x, bg_t, age)) FROM buyer) AS changed
	FROM unnest(ARRAY['r', 'alpha', 'a', 'b']) AS key, unnest(ARRAY[0.98, 1.02]) AS factor) AS around;

-- MBG/NBD of new customers who may leave at once; BG/BB and sBG of counted outcomes.
WITH mbg AS (SELECT cdp.mbgnbd_fit(bg_x, bg_t, age) AS model FROM buyer)
SELECT (model::jsonb->>'converged')::boolean AS converged, cdp.p_alive(model, 0, 0, 50) < 1 AS once_may_be_gone FROM mbg;
WITH donor AS (
	SELECT count(*) FILTER (WHERE gave) AS x, coalesce(max(year) FILTER (WHERE gave), 0) AS t_x
	FROM (SELECT id, year, random() < chance AND year <= life AS gave
		FROM (SELECT id, random() AS chance, ceil(ln(1 - random()) / ln(1 - (1 - (1 - random()) ^ (1.0 / 3)))) - 1 AS life FROM generate_series(1, 8000) AS id OFFSET 0) AS donor, generate_series(1, 8) AS year) AS years
	GROUP BY id
), model AS (SELECT cdp.bgbb_fit(x, t_x, 8) AS model FROM donor)
SELECT distances.* FROM model, distances(model, '{"alpha": 1, "beta": 1, "gamma": 1, "delta": 3}');
WITH contract AS (
	SELECT least(ended, 9)::integer AS periods, ended <= 8 AS churned
	FROM (SELECT ceil(ln(1 - random()) / ln(1 - (1 - (1 - random()) ^ (1.0 / 3)))) AS ended FROM generate_series(1, 8000)) AS life
), model AS (SELECT cdp.sbg_fit(periods, churned) AS model FROM contract)
SELECT distances.* FROM model, distances(model, '{"alpha": 1, "beta": 3}');

-- Weights count like rows; equal rows are compressed; models per group.
SELECT cdp.bgnbd_fit(bg_x, bg_t, age, cdp.lifetime_options(weight => 2))::jsonb->>'r' = (SELECT cdp.bgnbd_fit(bg_x, bg_t, age)::jsonb->>'r' FROM buyer, generate_series(1, 2)) AS equal FROM buyer;
SELECT id % 2 AS half, (cdp.bgnbd_fit(bg_x, bg_t, age)::jsonb->>'n')::integer AS n, (cdp.bgnbd_fit(bg_x, bg_t, age)::jsonb->>'converged')::boolean AS converged FROM buyer GROUP BY id % 2 ORDER BY 1;
-- a model does not depend on the unit of time, but for its scale
SELECT abs((days::jsonb->>'alpha')::float8 / (bg::jsonb->>'alpha')::float8 - 7) < 1e-8 AS alpha, abs((days::jsonb->>'b')::float8 - (bg::jsonb->>'b')::float8) < 1e-8 AS b
FROM fitted, (SELECT cdp.bgnbd_fit(bg_x, bg_t * 7, age * 7) AS days FROM buyer) AS by_day;

-- A few customers need a prior: another model, or the start values.
SELECT cdp.bgnbd_fit(0, 0, i) IS NOT NULL AS fitted FROM generate_series(1, 10) AS i;
SELECT (near::jsonb->>'converged')::boolean AS converged, (near::jsonb->>'prior')::boolean AS prior, abs(ln((near::jsonb->>'r')::float8 / (bg::jsonb->>'r')::float8)) < 0.3 AS near_the_prior
FROM fitted, (SELECT cdp.bgnbd_fit(bg_x, bg_t, age, cdp.lifetime_options(prior => bg, prior_deviation => 0.1)) AS near FROM buyer, fitted WHERE id <= 3) AS few;
SELECT (cdp.bgnbd_fit(bg_x, bg_t, age, cdp.lifetime_options(prior_deviation => 1))::jsonb->>'converged')::boolean AS converged FROM buyer WHERE id <= 3;

-- Any order, any number of workers: the same to the last digit.
ALTER TABLE buyer SET (parallel_workers = 2);
SELECT cdp.bgnbd_fit(bg_x, bg_t, age ORDER BY id DESC)::text = (SELECT bg::text FROM fitted) AS bg, cdp.gamma_gamma_fit(bg_x, mean ORDER BY mean)::text = (SELECT spend::text FROM fitted) AS spend FROM buyer;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT cdp.bgnbd_fit(bg_x, bg_t, age), cdp.gamma_gamma_fit(bg_x, mean) FROM buyer;
SELECT cdp.bgnbd_fit(bg_x, bg_t, age)::text = (SELECT bg::text FROM fitted) AS bg, cdp.pareto_nbd_fit(pareto_x, pareto_t, age)::text = (SELECT pareto::text FROM fitted) AS pareto,
	cdp.gamma_gamma_fit(bg_x, mean)::text = (SELECT spend::text FROM fitted) AS spend FROM buyer;
RESET max_parallel_workers_per_gather;

CREATE TABLE wide AS
SELECT i, CASE WHEN i % 3 = 0 THEN i % 5 ELSE (i % 4) ^ (i % 11) END AS x, exp((i % 6000 - 5000) / 100.0::float8) AS age,
	CASE WHEN (CASE WHEN i % 3 = 0 THEN i % 5 ELSE (i % 4) ^ (i % 11) END) = 0 THEN 0 ELSE (i % 101) / 101.0::float8 END AS share
FROM generate_series(1, 12000) AS i;
-- Also of rows that no division by size puts in order: times over twenty-six powers of ten.
SET client_min_messages = error;
SELECT count(DISTINCT model) AS models
FROM (SELECT cdp.bgnbd_fit(x, age * share, age ORDER BY i * 7919 % 9973)::text AS model FROM wide
      UNION ALL SELECT cdp.bgnbd_fit(x, age * share, age ORDER BY i DESC)::text FROM wide
      UNION ALL SELECT cdp.bgnbd_fit(x, age * share, age ORDER BY age, i)::text FROM wide) AS fit;
RESET client_min_messages;
DROP TABLE wide;

-- Nothing to fit, and errors.
SELECT cdp.bgnbd_fit(bg_x, bg_t, age), cdp.sbg_fit(1, NULL) FROM buyer WHERE false;
SELECT cdp.gamma_gamma_fit(0, NULL), cdp.gamma_gamma_fit(0, 5);
SELECT cdp.bgnbd_fit(1, 5, 3);
SELECT cdp.bgnbd_fit(1.5, 2, 3);
SELECT cdp.bgnbd_fit(1, 2, 'NaN');
SELECT cdp.gamma_gamma_fit(1, 0);
SELECT cdp.bgbb_fit(3, 2, 6);
SELECT cdp.sbg_fit(0, true);
SELECT cdp.bgnbd_fit(1, 2, 3, cdp.lifetime_options(weight => -1));
SELECT cdp.bgnbd_fit(1, 2, 3, cdp.lifetime_options(prior_deviation => 0));
SELECT cdp.bgnbd_fit(1, 2, 3, cdp.lifetime_options(prior => spend)) FROM fitted;
SELECT cdp.bgnbd_fit(bg_x, bg_t, age, cdp.lifetime_options(prior_deviation => id)) FROM (TABLE buyer LIMIT 10) AS buyer;
-- Times near 0 in their unit: a parameter below the smallest that a model can have.
SELECT model::jsonb->'alpha' AS alpha, model::jsonb->'converged' AS converged, model::jsonb->'standard_errors'->'r' AS error
FROM (SELECT cdp.bgnbd_fit(x, recency, 1e-10) AS model FROM (VALUES (5, 1e-11), (1, 5e-11)) AS given (x, recency)) AS fitted;
SET maintenance_work_mem = '1MB';
SELECT cdp.bgnbd_fit(1, i / 100000.0, 1) FROM generate_series(1, 30000) AS i;
RESET maintenance_work_mem;

DROP FUNCTION distances;
DROP TABLE buyer, fitted;
