-- The type of lifetime models, the aggregates on data with known parameters, and
-- scores: published values, limits, errors.
SET extra_float_digits = 0;

-- Text, jsonb and binary form.
CREATE TEMPORARY TABLE model AS
SELECT model FROM (VALUES
	('{"family": "bgnbd", "r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "period_days": 7}'::cdp.lifetime_model),
	('{"family": "mbgnbd", "r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}'),
	('{"family": "pareto_nbd", "r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669, "period_days": 7}'),
	('{"family": "gamma_gamma", "p": 6.25, "q": 3.74, "v": 15.44}'),
	('{"family": "bgbb", "alpha": 1.2035, "beta": 0.7497, "gamma": 0.6567, "delta": 2.7834}'),
	('{"family": "sbg", "alpha": 0.668, "beta": 3.806, "standard_errors": {"alpha": 0.1, "beta": null}, "log_likelihood": -1611.2, "n": 1000, "iterations": 15, "converged": true, "gradient_norm": 1e-12, "prior": true}')) AS given (model);
SELECT model FROM model;
SELECT model::jsonb->>'family' AS family, model::jsonb::cdp.lifetime_model::text = model::text AS lossless, encode(cdp.lifetime_model_send(model), 'hex') AS bytes FROM model;

SELECT '{"family": "bgnbd", "r": 1, "alpha": 1, "a": 1}'::cdp.lifetime_model;
SELECT '{"family": "bgnbd", "r": 1, "alpha": 1, "a": 1, "b": 1, "c": 1}'::cdp.lifetime_model;
SELECT '{"family": "bgnbd", "r": 1, "alpha": 1, "a": 1, "b": "1"}'::cdp.lifetime_model;
SELECT '{"family": "bgnbd", "r": 1, "alpha": 1, "a": 1, "b": -1}'::cdp.lifetime_model;
SELECT '{"family": "bgnbd", "r": 1, "alpha": 1, "a": 1, "b": 1, "version": 2}'::cdp.lifetime_model;
SELECT '{"family": "gamma_gamma", "p": 1, "q": 0.9, "v": 1}'::cdp.lifetime_model;
SELECT '{"family": "other"}'::cdp.lifetime_model;
SELECT '[]'::cdp.lifetime_model;
SELECT '{"family"'::cdp.lifetime_model;

-- Published values: Fader and Hardie's spreadsheets, the walkthrough of BTYD.
\set bg '''{"family": "bgnbd", "r": 0.2425982, "alpha": 4.4136842, "a": 0.7929899, "b": 2.4261667, "period_days": 7}'''
\set pareto '''{"family": "pareto_nbd", "r": 0.5534, "alpha": 10.5802, "s": 0.6061, "beta": 11.6562, "period_days": 7}'''
\set spend '''{"family": "gamma_gamma", "p": 6.25, "q": 3.74, "v": 15.44}'''
\set gone '''{"family": "bgbb", "alpha": 1.203507, "beta": 0.7497667, "gamma": 0.6567568, "delta": 2.783887}'''
\set contract '''{"family": "sbg", "alpha": 3.80, "beta": 15.20}'''
SELECT round(cdp.expected_purchases(:bg, 52, 0, 0, 0)::numeric, 6) AS "1.444004",
	round(cdp.expected_purchases(:bg, 52, 26, 30.857142857142857, 31)::numeric, 4) AS "25.7566",
	round(cdp.p_alive(:bg, 26, 30.857142857142857, 31)::numeric, 6) AS "0.968852",
	round(cdp.expected_purchases(:bg, 52, 25, 20, 39)::numeric, 10) AS "0.0003583685";
SELECT x, cdp.expected_purchases(:pareto, 52, x, 20, 39)::numeric(10, 4) FROM unnest(ARRAY[10, 15, 20, 25]) AS x;
SELECT cdp.p_alive(:pareto, 26, 30.857142857142857, 31)::numeric(10, 6) AS "0.997873";
SELECT cdp.expected_spend(:spend, x, m)::numeric(10, 3) FROM (VALUES (2, 22.35), (1, 11.77), (0, NULL), (0, 0), (2, 0)) AS customer (x, m);
SELECT cdp.expected_purchases(:gone, 10, 0, 0, 0)::numeric(10, 6) AS "3.179805", cdp.expected_purchases(:gone, 10, 0, 0, 6)::numeric(10, 7) AS "0.1302169",
	cdp.expected_purchases(:gone, 10, 4, 5, 6)::numeric(10, 5) AS "3.62786", cdp.p_alive(:gone, 6, 6, 6)::numeric(4, 2) AS "0.93 a year later", cdp.p_no_purchase(:gone, 3, 0, 0, 6)::numeric(6, 4);
SELECT n, cdp.residual_life(:contract, n, 0.1)::numeric(10, 2) FROM generate_series(0, 5) AS n;
SELECT cdp.survival('{"family": "sbg", "alpha": 1, "beta": 1}', t)::numeric(10, 4), cdp.retention_rate('{"family": "sbg", "alpha": 1, "beta": 1}', t + 1)::numeric(10, 4) FROM generate_series(0, 4) AS t;
SELECT cdp.p_purchases('{"family": "bgnbd", "r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}', 0, 39)::numeric(10, 7) AS "0.5737864",
	(SELECT sum(cdp.p_purchases('{"family": "mbgnbd", "r": 0.5, "alpha": 5, "a": 0.8, "b": 2}', n, 20)) FROM generate_series(0, 2000) AS n)::numeric(10, 9) AS "1",
	(SELECT sum(n * cdp.p_purchases('{"family": "mbgnbd", "r": 0.5, "alpha": 5, "a": 0.8, "b": 2}', n, 20)) - cdp.expected_purchases('{"family": "mbgnbd", "r": 0.5, "alpha": 5, "a": 0.8, "b": 2}', 20, 0, 0, 0) FROM generate_series(0, 2000) AS n)::numeric(10, 9) AS "0";
-- About as many as are expected, of many; and where the rest of the distribution is long (by the incomplete beta function).
SELECT n, cdp.p_purchases('{"family": "mbgnbd", "r": 100, "alpha": 1, "a": 1, "b": 2}', n, 9990)::numeric(20, 16) FROM unnest(ARRAY[900000, 999000, 1000000]) AS n;
SELECT cdp.p_purchases('{"family": "bgnbd", "r": 0.001, "alpha": 0.001, "a": 1, "b": 5}', 100000, 10000)::numeric(20, 16) AS "0.0000000000025081";

-- No purchase: the ratio of likelihoods; now and later.
SELECT abs(cdp.p_no_purchase(m, 10, 3, 20, 39) / exp(cdp.customer_log_likelihood(m, 3, 20, 49) - cdp.customer_log_likelihood(m, 3, 20, 39)) - 1) < 1e-12 AS no_purchase,
	cdp.p_alive(m, 3, 20, 39) > cdp.p_alive(m, 3, 20, 39, 10) AS alive, 1 - cdp.p_no_purchase(m, 10, 3, 20, 39) < cdp.expected_purchases(m, 10, 3, 20, 39) AS purchases
FROM (SELECT model AS m FROM model WHERE model::jsonb->>'family' IN ('bgnbd', 'mbgnbd', 'pareto_nbd', 'bgbb')) AS buying;

-- Lifetime value: of its parts. Over a long time it comes near what all the future is worth.
SELECT abs(cdp.lifetime_value(:bg, :spend, 3, 20, 39, 30, 52, 0) - cdp.expected_purchases(:bg, 52, 3, 20, 39) * cdp.expected_spend(:spend, 3, 30)) < 1e-9 AS undiscounted,
	cdp.lifetime_value(:bg, :spend, 3, 20, 39, 30, 52, 0.1, 0.5)::numeric(10, 4), cdp.lifetime_value(:bg, :spend, 0, 0, 39, NULL, 52)::numeric(10, 4),
	cdp.lifetime_value(:bg, :spend, 3, 20, 39, NULL, 52) IS NULL AS unknown,
	(cdp.lifetime_value(:pareto, :spend, 3, 20, 39, 30, 5000, 0.1) / cdp.discounted_purchases(:pareto, 3, 20, 39, 0.1) / cdp.expected_spend(:spend, 3, 30))::numeric(10, 3) AS "a little below 1",
	(cdp.lifetime_value(:bg, :spend, 3, 20, 39, 30, 5000, 0.5) / cdp.discounted_purchases(:bg, 3, 20, 39, 0.5) / cdp.expected_spend(:spend, 3, 30))::numeric(10, 3) AS "also";
-- an rfm value has units of its own
SELECT abs(cdp.lifetime_value(:bg, :spend, weeks, '364 days') - cdp.lifetime_value(:bg, :spend, 3, 20, 39, 30, 52)) < 1e-9 AS value,
	abs(cdp.p_no_purchase(:bg, '10 weeks', days) - cdp.p_no_purchase(:bg, 10, 3, 20, 39)) < 1e-12 AS no_purchase, abs(cdp.p_alive(:bg, days) - cdp.p_alive(:bg, 3, 20, 39)) < 1e-12 AS alive,
	abs(cdp.expected_purchases(:bg, '70 days', days) - cdp.expected_purchases(:bg, 10, 3, 20, 39)) < 1e-12 AS purchases
FROM (SELECT ROW(3, 20, 39, 30, NULL, NULL, 4, 120, '7 days')::cdp.rfm_summary AS weeks, ROW(3, 140, 273, 30, NULL, NULL, 4, 120, '1 day')::cdp.rfm_summary AS days) AS customer;

-- Errors.
SELECT cdp.expected_purchases(:bg, 10, 3, 40, 39);
SELECT cdp.expected_purchases(:bg, 10, 0, 1, 39);
SELECT cdp.expected_purchases(:bg, 10, 1.5, 1, 39);
SELECT cdp.expected_purchases(:bg, -1, 1, 1, 39);
SELECT cdp.expected_purchases(:bg, 'NaN', 1, 1, 39);
SELECT cdp.expected_purchases(:spend, 1, 1, 1, 39);
SELECT cdp.expected_purchases(:gone, 1.5, 1, 1, 39);
SELECT cdp.p_alive(:bg, 1, 'Infinity', 'Infinity');
SELECT cdp.expected_spend(:spend, 1, -1);
SELECT cdp.lifetime_value(:bg, :bg, 3, 20, 39, 30, 52);
SELECT cdp.lifetime_value('{"family": "bgnbd", "r": 1, "alpha": 1, "a": 1, "b": 1}', :spend, 3, 20, 39, 30, 52);
SELECT cdp.discounted_purchases(:bg, 3, 20, 39, 0);
SELECT cdp.residual_life('{"family": "sbg", "alpha": 0.9, "beta": 1}', 1);
SELECT cdp.survival(:contract, -1);

-- Nothing that is not finite, and probabilities are probabilities, in the corners of what is valid.
SET jit = off;
CREATE TEMPORARY TABLE corner AS
SELECT format('{"family": "%s", "r": %s, "alpha": %s, "a": %s, "b": %s, "period_days": 7}', f, r, alpha, a, b)::cdp.lifetime_model AS m
FROM unnest(ARRAY['bgnbd', 'mbgnbd']) AS f, unnest(ARRAY[0.01, 1, 1000]) AS r, unnest(ARRAY[0.001, 4.4, 1e5]) AS alpha, unnest(ARRAY[0.001, 0.8, 1, 1.0000001, 1000]) AS a, unnest(ARRAY[0.01, 2.4, 1e4]) AS b
UNION ALL
SELECT format('{"family": "pareto_nbd", "r": %s, "alpha": %s, "s": %s, "beta": %s, "period_days": 7}', r, alpha, s, beta)::cdp.lifetime_model
FROM unnest(ARRAY[0.01, 1, 1000]) AS r, unnest(ARRAY[0.001, 10.58, 1e5]) AS alpha, unnest(ARRAY[0.001, 0.6, 1, 1.0000001, 1000]) AS s, unnest(ARRAY[0.001, 11.6, 1e5]) AS beta;
CREATE TEMPORARY TABLE history AS
SELECT x::float8, (CASE WHEN x = 0 THEN 0 ELSE age * share END)::float8 AS t_x, age::float8
FROM unnest(ARRAY[0, 1, 10, 3000]) AS x, unnest(ARRAY[0.001, 39, 1e5]) AS age, unnest(ARRAY[0, 0.5, 1]) AS share WHERE x > 0 OR share = 0;
SELECT count(*), bool_and(alive BETWEEN 0 AND 1 AND later <= alive * (1 + 1e-9) AND none BETWEEN 0 AND 1 AND 1 - none <= purchases + 1e-9 AND purchases >= 0) AS sound
FROM corner, history, unnest(ARRAY[0, 0.001, 52, 1e5]) AS horizon,
	LATERAL (SELECT cdp.p_alive(m, x, t_x, age) AS alive, cdp.p_alive(m, x, t_x, age, horizon) AS later, cdp.p_no_purchase(m, horizon, x, t_x, age) AS none,
		cdp.expected_purchases(m, horizon, x, t_x, age) AS purchases OFFSET 0) AS scores;
SELECT count(cdp.customer_log_likelihood(m, x, t_x, age)) FROM corner, history;
SELECT bool_and(cdp.discounted_purchases(m, x, t_x, age, discount) >= 0) FROM corner, history, unnest(ARRAY[0.001, 0.1, 10]) AS discount WHERE x IN (0, 10) AND age = 39;
SELECT bool_and(cdp.expected_spend(format('{"family": "gamma_gamma", "p": %s, "q": %s, "v": %s}', p, q, v)::cdp.lifetime_model, x, mean) >= 0)
FROM unnest(ARRAY[0.001, 6, 1000]) AS p, unnest(ARRAY[1.0000001, 3.7, 1000]) AS q, unnest(ARRAY[0.001, 15, 1e6]) AS v, unnest(ARRAY[0, 1, 3000]) AS x, unnest(ARRAY[0.01, 30, 1e9]) AS mean;
SELECT bool_and(cdp.p_alive(m, x, t_x, n) BETWEEN 0 AND 1 AND cdp.p_no_purchase(m, 5, x, t_x, n) BETWEEN 0 AND 1 AND cdp.expected_purchases(m, 5, x, t_x, n) BETWEEN 0 AND 5
	AND cdp.discounted_purchases(m, x, t_x, n, 0.1) >= 0)
FROM (SELECT format('{"family": "bgbb", "alpha": %s, "beta": %s, "gamma": %s, "delta": %s, "period_days": 365}', a, b, g, d)::cdp.lifetime_model AS m
	FROM unnest(ARRAY[0.001, 1, 1000]) AS a, unnest(ARRAY[0.001, 1, 1000]) AS b, unnest(ARRAY[0.001, 1, 1000]) AS g, unnest(ARRAY[0.001, 1, 1000]) AS d) AS models,
	(VALUES (0, 0, 0), (0, 0, 300), (1, 1, 300), (1, 300, 300), (300, 300, 300)) AS donor (x, t_x, n);
SELECT bool_and(cdp.residual_life(m, n, d) > 0 AND cdp.survival(m, n) BETWEEN 0 AND 1)
FROM (SELECT format('{"family": "sbg", "alpha": %s, "beta": %s}', a, b)::cdp.lifetime_model AS m FROM unnest(ARRAY[0.001, 1, 1000]) AS a, unnest(ARRAY[0.001, 1, 1000]) AS b) AS models,
	unnest(ARRAY[0, 1, 1000]) AS n, unnest(ARRAY[0.000001, 0.1, 10]) AS d;
