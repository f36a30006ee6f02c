-- What the dashboard reads beside the views of cdp: segments, and a schema "mart" of the kind that a dbt project keeps.

SET client_min_messages = warning;

SELECT cdp.create_computed_trait('spend', $$ sum(event.amount) FILTER (WHERE event.event_name IN ('purchase', 'refund')) $$,
	description => 'purchases less refunds') \g /dev/null
SELECT cdp.create_computed_trait('last_purchase', $$ max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase') $$) \g /dev/null
SELECT cdp.create_segment('big_spenders', $$ profile.spend > 2000 $$, description => 'more than 2,000 in all') \g /dev/null
SELECT cdp.create_segment('active', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '60 days') > 0 $$,
	description => 'bought within 60 days') \g /dev/null
SELECT cdp.create_segment('lapsed', $$ profile.last_purchase < now() - interval '180 days' $$, description => 'bought once, not within 180 days') \g /dev/null
SELECT cdp.create_segment('win_back', $$ segment.big_spenders AND NOT segment.active $$, description => 'worth a call') \g /dev/null
SELECT cdp.create_segment('newsletter', $$ profile.newsletter $$, description => 'wants the newsletter') \g /dev/null
CALL cdp.refresh();

CREATE SCHEMA mart;
COMMENT ON SCHEMA mart IS 'what the dashboard reads beside the views of cdp';

CREATE TABLE mart.customer_value AS
WITH summary AS (
	SELECT e.profile_id, cdp.rfm(e.occurred_at, e.amount::double precision, cdp.rfm_options(period => '1 week')) AS rfm
	FROM cdp.events AS e WHERE e.event_name IN ('purchase', 'refund')
	GROUP BY e.profile_id HAVING sum(e.amount) > 0
), model AS (
	SELECT cdp.mbgnbd_fit(s.rfm, cdp.lifetime_options(prior_deviation => 1)) AS purchases, cdp.gamma_gamma_fit(s.rfm) AS spend, cdp.rfm_breakpoints(s.rfm) AS breakpoints
	FROM summary AS s
), scored AS (
	SELECT s.profile_id, s.rfm, cdp.rfm_score(s.rfm, m.breakpoints) AS score, m.purchases, m.spend FROM summary AS s CROSS JOIN model AS m
)
SELECT c.profile_id, p.country, (c.score).segment AS rfm_segment, (c.score).recency AS recency_score, (c.score).frequency AS frequency_score, (c.score).monetary AS monetary_score,
	cdp.p_alive(c.purchases, c.rfm) AS p_alive,
	v.lifetime_value, least(v.lifetime_value, 5000) AS lifetime_value_capped
FROM scored AS c JOIN cdp.profiles AS p USING (profile_id)
CROSS JOIN LATERAL (SELECT cdp.lifetime_value(c.purchases, c.spend, c.rfm, interval '1 year') AS lifetime_value) AS v;
COMMENT ON TABLE mart.customer_value IS 'recency, frequency and monetary scores and the value of the next year, a row per customer';
COMMENT ON COLUMN mart.customer_value.profile_id IS 'person';
COMMENT ON COLUMN mart.customer_value.country IS 'country that most records say';
COMMENT ON COLUMN mart.customer_value.rfm_segment IS 'named segment of the scores';
COMMENT ON COLUMN mart.customer_value.recency_score IS 'quartile of recency, 4 is best';
COMMENT ON COLUMN mart.customer_value.frequency_score IS 'quartile of the number of purchases, 4 is best';
COMMENT ON COLUMN mart.customer_value.monetary_score IS 'quartile of the mean amount, 4 is best';
COMMENT ON COLUMN mart.customer_value.p_alive IS 'probability that the customer buys again (MBG/NBD)';
COMMENT ON COLUMN mart.customer_value.lifetime_value IS 'expected spend of the next year, discounted by 10 %';
COMMENT ON COLUMN mart.customer_value.lifetime_value_capped IS 'the same, 5,000 where it is more: for a histogram';

-- Who would be a member at the end of each week: the segments as of then, not as they were kept.
CREATE TABLE mart.segment_history AS
SELECT s.name AS segment, w.week::date AS week, (SELECT count(*) FROM cdp.segment_at(s.name, w.week)) AS members
FROM (VALUES ('big_spenders'), ('active'), ('lapsed'), ('win_back')) AS s(name)
CROSS JOIN generate_series(now() - interval '26 weeks', now(), interval '2 weeks') AS w(week);
COMMENT ON TABLE mart.segment_history IS 'members of segments as of earlier times (cdp.segment_at)';

-- Who buys within 30 days?  Trained on what was known 90 and 60 days ago, tried on what was known 30 days ago.
CREATE TABLE mart.purchase_example AS
SELECT p.profile_id, a.as_of, a.days < 45 AS is_test,
	COALESCE(EXTRACT(epoch FROM a.as_of - max(e.occurred_at) FILTER (WHERE e.occurred_at <= a.as_of))::double precision / 86400, 400) AS days_since,
	ln(1 + count(*) FILTER (WHERE e.occurred_at <= a.as_of))::double precision AS log_lines,
	ln(1 + greatest(sum(e.amount) FILTER (WHERE e.occurred_at <= a.as_of), 0))::double precision AS log_spend,
	count(*) FILTER (WHERE e.occurred_at > a.as_of AND e.occurred_at <= a.as_of + interval '30 days') > 0 AS label
FROM cdp.profiles AS p
CROSS JOIN (SELECT d AS days, now() - d * interval '1 day' AS as_of FROM unnest(ARRAY[90, 60, 30]) AS d) AS a
JOIN cdp.events AS e ON e.profile_id = p.profile_id AND e.event_name = 'purchase'
GROUP BY p.profile_id, a.as_of, a.days
HAVING count(*) FILTER (WHERE e.occurred_at <= a.as_of) > 0;
CREATE TABLE mart.decile_lift AS
WITH model AS (
	SELECT cdp.train_logit('SELECT label, days_since, log_lines, log_spend FROM mart.purchase_example WHERE NOT is_test', 'label') AS model
), metrics AS (
	SELECT cdp.metrics_agg(cdp.predict_row(m.model, x), x.label) AS metrics FROM model AS m CROSS JOIN mart.purchase_example AS x WHERE x.is_test
)
SELECT t.part AS decile, t.weight AS customers, t.positive AS buyers, t.lift FROM metrics, cdp.decile_table(metrics.metrics, 10) AS t;
COMMENT ON TABLE mart.decile_lift IS 'customers by predicted purchase, the likeliest tenth first: how many times more of them bought than of all';

-- Virtual until somebody wants them stored.
CREATE VIEW mart.people_by_source AS
SELECT e.source, e.profile_id, min(e.occurred_at) AS first_seen FROM cdp.events AS e GROUP BY e.source, e.profile_id;
COMMENT ON VIEW mart.people_by_source IS 'when each person was first seen in each source of events';
CREATE VIEW mart.identity_health AS
SELECT 'merges' AS measure, count(*) AS number FROM cdp.identity_changes WHERE kind = 'merge'
UNION ALL SELECT 'splits', count(*) FROM cdp.identity_changes WHERE kind = 'split'
UNION ALL SELECT 'refused links', count(*) FROM cdp_data.link WHERE state = 'r'
UNION ALL SELECT 'shared identifiers', count(*) FROM cdp.identifiers WHERE state = 'shared'
UNION ALL SELECT 'rejected rows', count(*) FROM cdp.rejected_records;
COMMENT ON VIEW mart.identity_health IS 'what the identity graph came to, in numbers';
CREATE VIEW mart.profile_size AS
SELECT i.profile_id, count(*) AS identifiers FROM cdp.identifiers AS i GROUP BY i.profile_id;
COMMENT ON VIEW mart.profile_size IS 'number of identifiers of each profile';
CREATE VIEW mart.segment_overlap AS
SELECT array_to_string(o.segments, ' + ') AS segments, o.size AS members FROM cdp.audience_overlap(ARRAY['big_spenders', 'active', 'lapsed', 'newsletter']) AS o;
COMMENT ON VIEW mart.segment_overlap IS 'people in each combination of segments';

-- The role of the BI tool: it reads, and nothing else.
DO $role$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
		CREATE ROLE analyst LOGIN;
	END IF;
END
$role$;
SELECT cdp.grant_access('analyst', 'reader') \g /dev/null
GRANT USAGE ON SCHEMA mart TO analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA mart TO analyst;
