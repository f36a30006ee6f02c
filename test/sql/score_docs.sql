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

CREATE TABLE seed AS SELECT customer_id FROM campaign WHERE answered AND customer_id <= 500;
CREATE TABLE lookalike AS
SELECT cdp.train_logit($$
    SELECT seed.customer_id IS NOT NULL AS is_seed, age, orders, channel
    FROM campaign LEFT JOIN seed USING (customer_id)
    WHERE seed.customer_id IS NOT NULL OR campaign.customer_id % 4 = 0
$$, 'is_seed', options => cdp.logit_options(l2 => 1)) AS model;
SELECT count(*) AS audience, round(avg(answered::integer), 2) AS answered, (SELECT round(avg(answered::integer), 2) FROM campaign) AS "all"
FROM (SELECT campaign.* FROM campaign, lookalike
      WHERE customer_id NOT IN (SELECT customer_id FROM seed)
      ORDER BY cdp.predict_row(model, campaign) DESC, customer_id LIMIT 200) AS best;

CREATE TABLE visit AS
SELECT i % 50 AS lead, (ARRAY['view', 'view', 'view', 'download', 'demo'])[1 + i * 7 % 5] AS kind,
    timestamptz '2026-01-01 00:00+00' + i * interval '3 hours' AS at
FROM generate_series(1, 700) i WHERE i % 50 < i * 7 % 60;
SELECT lead, round((100 * (1 - exp(-cdp.decayed_sum(points, at, '14 days', '2026-04-01 00:00+00') / 20)))::numeric, 1) AS score
FROM visit JOIN (VALUES ('view', 1), ('download', 5), ('demo', 20)) AS weight (kind, points) USING (kind)
GROUP BY lead ORDER BY score DESC, lead LIMIT 3;

CREATE TABLE offer AS
SELECT date '2026-01-01' + i / 100 AS day, (ARRAY['voucher', 'free shipping', 'new arrivals'])[1 + i % 3] AS arm,
    sin(i * 12.9898) * 43758.5453 - floor(sin(i * 12.9898) * 43758.5453) < (ARRAY[0.06, 0.09, 0.05])[1 + i % 3] AS clicked
FROM generate_series(0, 1999) i;
CREATE TABLE bandit_day AS
SELECT day, cdp.beta_bandit_agg(arm, clicked) AS bandit FROM offer GROUP BY day;
SELECT arm, trials, rewards, round(mean::numeric, 4) AS mean, round(p_best::numeric, 3) AS p_best
FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_merge_agg(bandit) FROM bandit_day));

SELECT arm, count(*) AS people
FROM (SELECT cdp.beta_bandit_sample(bandit, hashtextextended(person || ' 2026-02-01', 0), ARRAY['voucher', 'free shipping', 'quiz'], prior_failures => 20) AS arm
      FROM (SELECT cdp.beta_bandit_merge_agg(bandit) AS bandit FROM bandit_day) AS merged, generate_series(1, 10000) AS person) AS choice
GROUP BY arm ORDER BY arm;

SELECT round(cdp.auc(p, answered)::numeric, 4) AS auc, round(cdp.log_loss(p, answered)::numeric, 4) AS log_loss,
    round(cdp.brier_score(p, answered)::numeric, 4) AS brier
FROM (SELECT cdp.predict_row(model, campaign) AS p, answered FROM campaign, propensity) s;

SELECT part, round(lowest_score::numeric, 3) AS lowest, weight, positive, round(lift::numeric, 2) AS lift,
    round(captured::numeric, 3) AS captured
FROM cdp.decile_table((SELECT cdp.metrics_agg(cdp.predict_row(model, campaign), answered) FROM campaign, propensity), 5);

SELECT round(cdp.predict(calibration, 0.9)::numeric, 2) AS calibrated
FROM (SELECT cdp.calibrate(cdp.metrics_agg(1 - (1 - cdp.predict_row(model, campaign)) ^ 2, answered)) AS calibration
    FROM campaign, propensity) s;

-- The platform.
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT cdp.setup() \g /dev/null
ALTER TABLE shop_order ADD COLUMN id integer GENERATED ALWAYS AS IDENTITY;
SELECT cdp.create_source('shop', 'shop_order', record_key => 'id', identifiers => 'customer AS crm_id',
    occurred_at => $$day::timestamp AT TIME ZONE 'UTC'$$, event_name => $$'purchase'$$, properties => 'amount::double precision AS amount');
SELECT cdp.register_model('repeat_purchases', purchases, training => '{"orders": "of 2025"}') AS version FROM model;
SELECT cdp.create_score('churn', 'repeat_purchases', $$
    cdp.p_no_purchase(model, '90 days', cdp.rfm(event.occurred_at, event.amount, cdp.rfm_options(observation_end => '2025-12-31'))
        FILTER (WHERE event.event_name = 'purchase'))
$$);
CALL cdp.refresh();
SELECT crm_id, round(churn::numeric, 3) AS churn, churn_percentile FROM cdp.profiles WHERE crm_id IN ('1', '2', '3') ORDER BY crm_id;

SELECT cdp.create_computed_trait('orders', $$ count(*) FILTER (WHERE event.event_name = 'purchase') $$);
SELECT cdp.create_computed_trait('days_since_order',
    $$ extract(epoch FROM now() - max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase'))::double precision / 86400 $$);
SELECT cdp.training_sql(ARRAY['orders', 'days_since_order'], $$
    SELECT profile_id, timestamptz '2025-10-01 00:00+00' AS as_of, bool_or(occurred_at > '2025-10-01 00:00+00') AS label
    FROM cdp.events GROUP BY profile_id HAVING min(occurred_at) <= '2025-10-01 00:00+00'
$$) AS training_query \gset
CREATE TABLE example AS :training_query;
CREATE TABLE trained AS
SELECT cdp.train_logit('SELECT label, orders, days_since_order FROM example', 'label') AS model;
CREATE TABLE scored AS
SELECT label, cdp.predict(model, ARRAY[orders, days_since_order]) AS score FROM example, trained;
SELECT cdp.register_model('buys_again', model, quality => (SELECT cdp.quality(cdp.metrics_agg(score, label)) FROM scored),
    scores => (SELECT array_agg(score) FROM scored)) AS version FROM trained;
SELECT cdp.create_score('buys_again', 'buys_again', $$ cdp.predict(model, ARRAY[profile.orders, profile.days_since_order]) $$);
SELECT name, version, type, round((quality->>'auc')::numeric, 2) AS auc FROM cdp.models ORDER BY name;

CALL cdp.refresh();
SELECT feature, people, drift > 0.25 AS much, drifted_since = measured_at AS since_now
FROM cdp.score_inputs WHERE score = 'buys_again' ORDER BY place;
SELECT severity, split_part(detail, ':', 1) AS detail FROM cdp.health WHERE "check" = 'features have drifted';
SELECT place, feature, bounds, levels, cardinality(shares) AS bins FROM propensity, cdp.feature_shares(model::jsonb);
SELECT cdp.input_bins(model, ARRAY[30, NULL], ARRAY['fax']) AS bins FROM propensity;

SELECT round(cdp.stability_index(cdp.bin_shares('{1,2,3,4,5,6,7,8}', '{3,5,7}'), cdp.bin_shares('{3,4,5,6,7,8,9,9}', '{3,5,7}'))::numeric, 3) AS index;

SELECT cdp.teardown(false);
DROP TABLE shop_order, customer, daily, model, trained, example, scored;
DROP FUNCTION u;
DROP TABLE campaign, propensity, boosted, seed, lookalike, visit, offer, bandit_day;
