-- What the demo prints about scores: who will come back, what people are worth, who is likely to leave.

\pset null ''
SET client_min_messages = warning;

\echo
\echo 'WHO WILL COME BACK?'
\echo 'Two models of the shop''s customers, fitted to what they did until 9 September: how often they buy (MBG/NBD; a weak prior, since few of them seem to leave for good), and what they spend (Gamma-Gamma).'
\echo
CREATE TABLE demo.customer AS
SELECT profile_id, cdp.rfm(occurred_at, amount, cdp.rfm_options(observation_end => '2011-09-09')) AS rfm,
	count(*) FILTER (WHERE occurred_at >= '2011-09-10 00:00 Europe/London' AND event_name = 'purchase') > 0 AS came_back
FROM cdp.events WHERE source = 'shop' GROUP BY profile_id;
CREATE TABLE demo.fitted AS
SELECT cdp.mbgnbd_fit(rfm, cdp.lifetime_options(prior_deviation => 1)) AS purchases, cdp.gamma_gamma_fit(rfm) FILTER (WHERE (rfm).monetary > 0) AS spend FROM demo.customer;
SELECT model.name AS model, key AS parameter, round(value::text::numeric, 3) AS value, round((model.document->'standard_errors'->>key)::numeric, 3) AS "standard error", model.document->>'n' AS customers
FROM demo.fitted, LATERAL (VALUES ('purchases', purchases::jsonb), ('spend', spend::jsonb)) AS model (name, document), jsonb_each(document)
WHERE key IN ('r', 'alpha', 'a', 'b', 'p', 'q', 'v') ORDER BY 1, 2;
\echo 'Were they right? What each tenth was expected to do in the three months after, and whether they came. The best tenth first:'
\echo
SELECT tenth, count(*) AS customers, round(avg(expected)::numeric, 2) AS "purchases expected", round(avg(1 - churn)::numeric, 2) AS "chance to come", round(avg(came_back::integer), 2) AS "did come"
FROM (
	SELECT ntile(10) OVER (ORDER BY cdp.p_no_purchase(purchases, '91 days', rfm), profile_id) AS tenth, came_back,
		cdp.expected_purchases(purchases, '91 days', rfm) AS expected, cdp.p_no_purchase(purchases, '91 days', rfm) AS churn
	FROM demo.customer, demo.fitted WHERE (rfm).purchases > 0
) AS customer GROUP BY tenth ORDER BY tenth;
SELECT round(cdp.auc(1 - cdp.p_no_purchase(purchases, '91 days', rfm), came_back)::numeric, 3) AS "AUC of the churn number",
	round(cdp.auc(cdp.p_alive(purchases, rfm), came_back)::numeric, 3) AS "of P(alive)", round(cdp.auc((rfm).frequency, came_back)::numeric, 3) AS "of the number of purchases"
FROM demo.customer, demo.fitted WHERE (rfm).purchases > 0;

\echo 'SCORES OF EVERYBODY'
\echo 'Fitted to the whole year, the models go to the registry, and two scores become traits, evaluated with the others by each refresh: churn (nothing within 90 days) and the value of the next year.'
\echo
SELECT cdp.register_model('purchases', cdp.mbgnbd_fit(rfm, cdp.lifetime_options(prior_deviation => 1)), training => '{"until": "2011-12-09"}'),
	cdp.register_model('spend', cdp.gamma_gamma_fit(rfm) FILTER (WHERE (rfm).monetary > 0))
FROM (SELECT cdp.rfm(occurred_at, amount, cdp.rfm_options(observation_end => '2011-12-09')) AS rfm FROM cdp.events WHERE source = 'shop' GROUP BY profile_id) AS customer \g /dev/null
SELECT cdp.create_score('churn', 'purchases', $$
	cdp.p_no_purchase(model, '90 days', cdp.rfm(event.occurred_at, event.amount, cdp.rfm_options(observation_end => '2011-12-09')) FILTER (WHERE event.source = 'shop'))
$$) \g /dev/null
SELECT cdp.create_score('value', 'purchases', $$
	cdp.lifetime_value(model, (SELECT value::cdp.lifetime_model FROM cdp.models WHERE name = 'spend' AND is_current),
		cdp.rfm(event.occurred_at, event.amount, cdp.rfm_options(observation_end => '2011-12-09')) FILTER (WHERE event.source = 'shop'),
		'1 year', discount_per_year => 0.1, margin => 0.3)
$$) \g /dev/null
SELECT cdp.create_computed_trait('spent', $$ round(sum(event.amount) FILTER (WHERE event.source = 'shop'), 2) $$) \g /dev/null
SELECT cdp.create_segment('vip_at_risk', 'profile.spent > 2000 AND profile.churn_percentile > 50') \g /dev/null
CALL cdp.refresh_segments();
SELECT name AS score, model, model_version AS version, people, round(percentile_bounds[50]::numeric, 3) AS median, round(percentile_bounds[90]::numeric, 3) AS "90 percent below" FROM cdp.scores ORDER BY name;
\echo 'The most valuable:'
\echo
SELECT name, email, spent, round(value::numeric) AS "value of next year", round(churn::numeric, 2) AS churn, churn_percentile AS "churn percentile"
FROM cdp.profiles WHERE value IS NOT NULL ORDER BY value DESC, profile_id LIMIT 5;
\echo 'And a segment that reads them, spent more than 2,000 pounds and more likely gone than half of all:'
\echo
SELECT members FROM cdp.segments WHERE name = 'vip_at_risk';
SELECT profiles.name, profiles.email, profiles.spent, round(churn::numeric, 2) AS churn
FROM cdp.segment_members JOIN cdp.profiles USING (profile_id)
WHERE segment_members.segment = 'vip_at_risk' ORDER BY spent DESC LIMIT 5;

\echo 'WHO WILL CANCEL?'
\echo 'Contracts of a telephone company: a logistic model learns from four fifths of them who cancels, and is asked about the last fifth.'
\echo
CREATE TABLE telco.split AS SELECT contract.*, hashtext(customer_id) % 5 = 0 AS is_test FROM telco.contract;
CREATE TABLE telco.model AS
SELECT cdp.train_logit('SELECT churn, tenure, contract, internet, payment, senior, charges FROM telco.split WHERE NOT is_test', 'churn') AS logit;
SELECT term, round(coefficient::numeric, 3) AS coefficient, round(odds_ratio::numeric, 2) AS "odds ratio", round(z::numeric, 1) AS z
FROM telco.model, cdp.coefficients(logit) WHERE term <> '(intercept)' ORDER BY abs(z) DESC LIMIT 6;
CREATE TABLE telco.test AS
SELECT split.*, cdp.predict_row(logit, split) AS score FROM telco.split, telco.model WHERE is_test;
\echo 'Lift: of a hundred calls to the tenth with the highest scores, how many reach somebody who would have left?'
\echo
SELECT part AS tenth, round(lowest_score::numeric, 2) AS "score from", round(weight::numeric) AS contracts, round(positive::numeric) AS cancelled, round(rate::numeric, 2) AS rate, round(lift::numeric, 2) AS lift,
	round(captured::numeric, 2) AS "captured so far", repeat('#', round(rate * 40)::integer) AS " "
FROM cdp.decile_table((SELECT cdp.metrics_agg(score, churn) FROM telco.test));
SELECT round(cdp.auc(score, churn)::numeric, 3) AS "AUC", round(cdp.log_loss(score, churn)::numeric, 3) AS "log-loss", round(cdp.calibration_error(cdp.metrics_agg(score, churn))::numeric, 3) AS "calibration error" FROM telco.test;
\echo 'Why the first of them? What each feature adds to the log odds:'
\echo
SELECT customer_id, round(score::numeric, 3) AS probability, feature, round(contribution::numeric, 2) AS contribution
FROM (SELECT * FROM telco.test ORDER BY score DESC, customer_id LIMIT 1) AS test, telco.model, cdp.explain_prediction(logit, test) WHERE feature <> '(baseline)' ORDER BY abs(contribution) DESC;
