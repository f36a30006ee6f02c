-- The examples of docs/score.md.
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

SELECT round(cdp.auc(p, answered)::numeric, 4) AS auc, round(cdp.log_loss(p, answered)::numeric, 4) AS log_loss,
    round(cdp.brier_score(p, answered)::numeric, 4) AS brier
FROM (SELECT cdp.predict_row(model, campaign) AS p, answered FROM campaign, propensity) s;

SELECT part, round(lowest_score::numeric, 3) AS lowest, weight, positive, round(lift::numeric, 2) AS lift,
    round(captured::numeric, 3) AS captured
FROM cdp.decile_table((SELECT cdp.metrics_agg(cdp.predict_row(model, campaign), answered) FROM campaign, propensity), 5);

SELECT round(cdp.predict(calibration, 0.9)::numeric, 2) AS calibrated
FROM (SELECT cdp.calibrate(cdp.metrics_agg(1 - (1 - cdp.predict_row(model, campaign)) ^ 2, answered)) AS calibration
    FROM campaign, propensity) s;

DROP TABLE campaign, propensity;
