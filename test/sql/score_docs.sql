-- The examples of docs/score.md.
-- Customers from transactions, lifetime value and churn.
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
CREATE FUNCTION u(a integer, b integer) RETURNS float8 LANGUAGE sql IMMUTABLE
RETURN sin(a * 12.9898 + b * 78.233) * 43758.5453 - floor(sin(a * 12.9898 + b * 78.233) * 43758.5453);
CREATE TABLE shop_order AS
SELECT customer, date '2025-01-01' + customer % 180 + floor(CASE WHEN n > 0 THEN sum(wait) OVER (PARTITION BY customer ORDER BY n) ELSE 0 END)::integer AS day,
    (20 + 30 * abs(sin(customer)) + 10 * abs(sin(customer + n)))::numeric(10, 2) AS amount
FROM (SELECT customer, n, -ln(u(customer, n)) * 25 / -ln(u(customer, 98)) AS wait
      FROM generate_series(1, 600) AS customer, generate_series(0, 30) AS n
      WHERE n <= ln(u(customer, 99)) / ln(0.75)) AS purchase;
DELETE FROM shop_order WHERE day > '2025-12-31';
CREATE TABLE customer AS
SELECT customer, cdp.rfm(day, amount, cdp.rfm_options(observation_end => '2025-12-31')) AS rfm
FROM shop_order GROUP BY customer;
SELECT customer, (rfm).frequency, round((rfm).recency::numeric, 2) AS recency, round((rfm).age::numeric, 2) AS age,
    (rfm).monetary, (rfm).first_at::date, (rfm).purchases, (rfm).total, (rfm).period
FROM customer WHERE customer <= 3 ORDER BY customer;

CREATE TABLE daily AS
SELECT customer, day, cdp.rfm_state_agg(day, amount) AS state FROM shop_order GROUP BY customer, day;
SELECT customer, (cdp.rfm_summarize(state, '2025-06-30')).frequency,
    cdp.rfm_purchases(state, '2025-06-30', '2025-12-31') AS in_the_second_half
FROM (SELECT customer, cdp.rfm_merge_agg(state) AS state FROM daily GROUP BY customer) AS merged
WHERE customer IN (2, 6, 13) ORDER BY customer;

SELECT (score).segment, count(*), min((score).score) AS from_score, max((score).score) AS to_score
FROM (SELECT cdp.rfm_score(rfm, breakpoints) AS score
      FROM customer, (SELECT cdp.rfm_breakpoints(rfm) AS breakpoints FROM customer) AS quartiles) AS scored
GROUP BY 1 ORDER BY 1;

CREATE TABLE model AS
SELECT cdp.mbgnbd_fit(rfm) AS purchases, cdp.gamma_gamma_fit(rfm) AS spend FROM customer;
SELECT round((purchases::jsonb->>'r')::numeric, 2) AS r, purchases::jsonb->'converged' AS converged FROM model;
SELECT customer, round(cdp.p_alive(purchases, rfm)::numeric, 3) AS p_alive,
    round(cdp.p_no_purchase(purchases, '90 days', rfm)::numeric, 3) AS churn,
    round(cdp.expected_purchases(purchases, '1 year', rfm)::numeric, 2) AS purchases,
    round(cdp.lifetime_value(purchases, spend, rfm, '1 year', discount_per_year => 0.1, margin => 0.3)::numeric, 2) AS value
FROM customer, model WHERE customer <= 3 ORDER BY customer;

SELECT customer % 3 AS region, cdp.mbgnbd_fit(rfm, cdp.lifetime_options(prior => purchases, prior_deviation => 0.5))::jsonb->'n' AS n
FROM customer, model GROUP BY 1 ORDER BY 1;

SELECT periods, round(cdp.retention_rate(contract, periods)::numeric, 3) AS retention,
    round(cdp.residual_life(contract, periods, 0.1)::numeric, 2) AS residual_life
FROM (SELECT cdp.lifetime_model '{"family": "sbg", "alpha": 0.668, "beta": 3.806}' AS contract) AS model, generate_series(1, 3) AS periods;
DROP TABLE shop_order, customer, daily, model;
DROP FUNCTION u;

CREATE TABLE campaign AS
SELECT i AS customer_id, 20 + i * 37 % 50 AS age, i * 13 % 9 AS orders,
    (ARRAY['email', 'phone', 'shop'])[1 + i * 11 % 3] AS channel,
    sin(i * 12.9898) * 43758.5453 - floor(sin(i * 12.9898) * 43758.5453)
        < 1 / (1 + exp(2.5 - 0.4 * (i * 13 % 9))) AS answered
FROM generate_series(1, 2000) i;

CREATE TABLE propensity AS
SELECT cdp.train_logit('SELECT answered, age, orders, channel FROM campaign', 'answered') AS model;
SELECT term, round(coefficient::numeric, 3) AS coefficient, round(odds_ratio::numeric, 3) AS odds_ratio,
    p_value < 0.001 AS significant
FROM propensity, cdp.coefficients(model);

SELECT channel, (cdp.logit_fit(answered, ARRAY[age, orders]))::jsonb->'converged' AS converged
FROM campaign GROUP BY channel ORDER BY channel;

SELECT customer_id, round(cdp.predict_row(model, campaign)::numeric, 4) AS probability
FROM campaign, propensity
ORDER BY 2 DESC, 1 LIMIT 3;

SELECT feature, round(contribution::numeric, 3) AS contribution
FROM propensity, campaign, cdp.explain_prediction(model, campaign)
WHERE customer_id = 8;

CREATE TABLE boosted AS
SELECT cdp.train_gbt('SELECT answered, age, orders, channel FROM campaign ORDER BY customer_id', 'answered',
    options => cdp.gbt_options(trees => 50)) AS model;
SELECT cdp.auc(cdp.predict_row(model, campaign), answered) > 0.75 AS good FROM campaign, boosted;

SELECT round(cdp.auc(p, answered)::numeric, 4) AS auc, round(cdp.log_loss(p, answered)::numeric, 4) AS log_loss,
    round(cdp.brier_score(p, answered)::numeric, 4) AS brier
FROM (SELECT cdp.predict_row(model, campaign) AS p, answered FROM campaign, propensity) s;

SELECT part, round(lowest_score::numeric, 3) AS lowest, weight, positive, round(lift::numeric, 2) AS lift,
    round(captured::numeric, 3) AS captured
FROM cdp.decile_table((SELECT cdp.metrics_agg(cdp.predict_row(model, campaign), answered) FROM campaign, propensity), 5);

SELECT round(cdp.predict(calibration, 0.9)::numeric, 2) AS calibrated
FROM (SELECT cdp.calibrate(cdp.metrics_agg(1 - (1 - cdp.predict_row(model, campaign)) ^ 2, answered)) AS calibration
    FROM campaign, propensity) s;

DROP TABLE campaign, propensity, boosted;
