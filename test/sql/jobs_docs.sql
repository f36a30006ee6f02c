-- The examples of docs/jobs.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP ROLE IF EXISTS regress_cdp_dashboard;
CREATE ROLE regress_cdp_dashboard;
SELECT cdp.setup() IS NOT NULL AS set_up;
-- @tables
CREATE TABLE contact (id integer PRIMARY KEY, email text, phone text, name text, country text, modified timestamptz);
INSERT INTO contact SELECT i, 'person' || i || '@example.com', NULL, 'Person ' || i, (ARRAY['DE', 'FR', 'ES'])[1 + i % 3], '2026-01-01' FROM generate_series(1, 300) AS i;
INSERT INTO contact VALUES (901, 'ann@example.com', '+442079460018', 'Ann Smith', 'GB', '2026-01-05'), (902, 'bob@example.com', NULL, 'Bob Smith', 'GB', '2026-01-06');
CREATE TABLE visit (id bigint PRIMARY KEY, browser text, login text, page text, at timestamptz, loaded_at timestamptz);
INSERT INTO visit VALUES
    (1, 'b-1', NULL, '/pricing', '2026-03-01 10:00', '2026-03-01 11:00'),
    (2, 'b-1', 'ann@example.com', '/account', '2026-03-01 10:05', '2026-03-01 11:00'),
    (3, 'b-2', NULL, '/pricing', '2026-03-02 09:00', '2026-03-02 10:00');
CREATE TABLE purchase (number integer PRIMARY KEY, email text, amount numeric(10,2), at timestamptz);
INSERT INTO purchase
SELECT row_number() OVER (ORDER BY at, i, n), 'person' || i || '@example.com', (15 + (hashint4(i) & 31) + (hashint4(i * 100 + n) & 15))::numeric + 0.99, at
FROM (SELECT i, n, timestamptz '2025-01-01 12:00' + make_interval(days => (i % 90) + n * (10 + (hashint4(i) & 63)) + (hashint4(i * 31 + n) & 7)) AS at
      FROM generate_series(1, 300) AS i, generate_series(0, 12) AS n
      WHERE n <= (hashint4(i + 7) & 7) + (hashint4(i + 11) & 3)) AS p
WHERE at < '2026-03-01';
-- @first
SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified',
    identifiers => 'id AS crm_id, email, phone', traits => 'name, country');
CALL cdp.refresh();
-- @first_people
SELECT profile_id, name, email, phone, country FROM cdp.profiles WHERE country = 'GB' ORDER BY profile_id;
SELECT * FROM cdp.health;
-- @stream
SELECT cdp.create_source('web', 'visit', record_key => 'id', occurred_at => 'at', watermark => 'loaded_at',
    event_name => $$'page viewed'$$, identifiers => 'browser AS anonymous_id, login AS email', properties => 'page');
SELECT cdp.create_source('shop', 'purchase', record_key => 'number', occurred_at => 'at', watermark => 'at',
    event_name => $$'purchase'$$, identifiers => 'email', properties => 'amount');
CALL cdp.refresh();
-- @stream_events
SELECT coalesce(name, 'browser ' || anonymous_id) AS who, occurred_at, event_name, page
FROM cdp.events JOIN cdp.profiles USING (profile_id) WHERE page IS NOT NULL ORDER BY occurred_at;
-- @wrong
SELECT cdp.identify('{"email": ["ann@example.com", "cleo@example.com"]}', 'desk', 'call-1', '2026-03-05') > 0 AS taken_in;
SELECT cdp.resolve('email', 'cleo@example.com') = cdp.resolve('email', 'ann@example.com') AS is_one_person;
-- @wrong_why
SELECT step, from_value, to_value, source, record_key FROM cdp.explain_link('crm_id', '901', 'email', 'cleo@example.com');
-- @wrong_split
SELECT part, namespace, value FROM cdp.split_profile(cdp.resolve('crm_id', '901'), '{"email": "cleo@example.com"}', 'a present for a friend');
-- @wrong_done
SELECT count(*) AS identifiers
FROM cdp.split_profile(cdp.resolve('crm_id', '901'), '{"email": "cleo@example.com"}', 'a present for a friend', dry_run => false);
SELECT cdp.resolve('email', 'cleo@example.com') = cdp.resolve('email', 'ann@example.com') AS is_one_person;
-- @audience
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'purchase') $$);
SELECT cdp.create_segment('gone_quiet', $$
    profile.spent >= 150
    AND count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '60 days') = 0
$$);
CALL cdp.refresh();
-- @audience_why
SELECT repeat('  ', depth) || part AS part, result, note
FROM cdp.explain_segment('gone_quiet', cdp.resolve('email', 'person3@example.com'), '2026-03-01');
-- @audience_inputs
SELECT part, result, inputs
FROM cdp.explain_segment('gone_quiet', cdp.resolve('email', 'person3@example.com'), '2026-03-01') WHERE kind = 'condition';
-- @audience_events
SELECT occurred_at, amount, source, record_key FROM cdp.events
WHERE profile_id = cdp.resolve('email', 'person3@example.com') AND event_name = 'purchase' ORDER BY occurred_at DESC LIMIT 2;
-- (who is in at that time, for the choice of the example)
SELECT count(*) > 10 AS enough FROM cdp.segment_at('gone_quiet', '2026-03-01');
-- @clv_customers
CREATE TABLE customer AS
SELECT profile_id, cdp.rfm(occurred_at, amount, cdp.rfm_options(observation_end => '2026-03-01')) AS rfm
FROM cdp.events WHERE event_name = 'purchase' GROUP BY profile_id;
CREATE TABLE value_model AS
SELECT cdp.mbgnbd_fit(rfm) AS purchases, cdp.gamma_gamma_fit(rfm) AS spend FROM customer;
-- @clv_converged
SELECT purchases::jsonb->'converged' AS purchases, spend::jsonb->'converged' AS spend FROM value_model;
-- @clv_values
CREATE TABLE customer_value AS
SELECT profile_id, round(cdp.p_no_purchase(purchases, '90 days', rfm)::numeric, 3) AS churn_90d,
       round(cdp.lifetime_value(purchases, spend, rfm, '1 year', discount_per_year => 0.1, margin => 0.3)::numeric, 2) AS value_1y,
       timestamptz '2026-03-01' AS computed_at
FROM customer, value_model;
SELECT cdp.create_source('value', 'customer_value', record_key => 'profile_id', profile_id => 'profile_id',
    observed_at => 'computed_at', traits => 'value_1y, churn_90d');
CALL cdp.refresh();
-- @clv_best
SELECT country, count(*) AS customers, round(avg(churn_90d), 1) AS churn, round(sum(value_1y), -1) AS value
FROM cdp.profiles WHERE value_1y IS NOT NULL GROUP BY country ORDER BY country;
-- @churn_traits
SELECT cdp.create_computed_trait('orders', $$ count(*) FILTER (WHERE event.event_name = 'purchase') $$);
SELECT cdp.create_computed_trait('orders_90d',
    $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '90 days') $$);
SELECT cdp.create_computed_trait('days_since',
    $$ EXTRACT(day FROM now() - max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase'))::integer $$);
-- @churn_rows
CREATE VIEW decision AS
SELECT buyer.profile_id, day.at AS as_of,
       NOT EXISTS (SELECT FROM cdp.events AS later WHERE later.profile_id = buyer.profile_id AND later.event_name = 'purchase'
                   AND later.occurred_at > day.at AND later.occurred_at <= day.at + interval '60 days') AS label
FROM (VALUES (timestamptz '2025-06-01'), ('2025-09-01'), ('2025-12-01')) AS day(at)
JOIN (SELECT profile_id, min(occurred_at) AS since FROM cdp.events WHERE event_name = 'purchase' GROUP BY profile_id) AS buyer ON buyer.since <= day.at;
-- @churn_set
SELECT cdp.training_sql('{orders_90d, orders, spent, days_since}', 'SELECT * FROM decision') AS training \gset
CREATE TABLE training AS :training;
SELECT as_of::date, count(*) AS customers, count(*) FILTER (WHERE label) AS left_us, max(days_since) AS longest FROM training GROUP BY as_of ORDER BY as_of;
-- @churn_fit
CREATE TABLE churn_model AS
SELECT cdp.train_logit($$ SELECT label, orders_90d, orders, spent, days_since FROM training WHERE as_of < '2025-12-01' $$, 'label',
    options => cdp.logit_options(l2 => 1)) AS model;
-- @churn_quality
SELECT round(cdp.auc(cdp.predict_row(model, training), label)::numeric, 1) AS auc
FROM training, churn_model WHERE as_of = '2025-12-01';
-- @churn_score
SELECT cdp.register_model('leaving', model) AS version FROM churn_model;
SELECT cdp.create_score('leaving', 'leaving',
    $$ cdp.predict(model, ARRAY[profile.orders_90d, profile.orders, profile.spent, profile.days_since]::double precision[]) $$);
CALL cdp.refresh();
SELECT count(leaving) AS scored, bool_and(leaving BETWEEN 0 AND 1) AS probabilities, max(leaving_percentile) AS top FROM cdp.profiles;
-- @delete_what
SELECT namespace, value, records FROM cdp.profile_identifiers(cdp.resolve('email', 'person7@example.com'));
SELECT t.trait, x.source, x.record_key
FROM cdp.traits AS t, cdp.explain_trait(cdp.resolve('email', 'person7@example.com'), t.trait) AS x ORDER BY t.trait;
SELECT source, count(*) AS events FROM cdp.events WHERE profile_id = cdp.resolve('email', 'person7@example.com') GROUP BY source;
-- @delete_rows
BEGIN;
CREATE TEMPORARY TABLE leaving ON COMMIT DROP AS SELECT cdp.resolve('email', 'person7@example.com') AS profile_id;
DELETE FROM customer WHERE profile_id = (SELECT profile_id FROM leaving);
DELETE FROM training WHERE profile_id = (SELECT profile_id FROM leaving);
DELETE FROM customer_value WHERE profile_id = (SELECT profile_id FROM leaving);
DELETE FROM contact WHERE id = 7;
DELETE FROM purchase WHERE email = 'person7@example.com';
COMMIT;
CALL cdp.refresh(full_compare => true);
-- @delete_left
SELECT crm_id, name, country, value_1y, event_count, record_count FROM cdp.profiles WHERE profile_id = cdp.resolve('email', 'person7@example.com');
SELECT namespace, value, records FROM cdp.profile_identifiers(cdp.resolve('email', 'person7@example.com'));
-- @dashboard_role
SELECT cdp.grant_access('regress_cdp_dashboard', 'reader');
-- @dashboard
SET ROLE regress_cdp_dashboard;
SELECT source, status, rows_read, rejected FROM cdp.sources ORDER BY source;
SELECT date_trunc('quarter', occurred_at)::date AS quarter, count(DISTINCT profile_id) AS buyers, sum(amount) AS revenue
FROM cdp.events WHERE event_name = 'purchase' GROUP BY 1 ORDER BY 1;
SELECT count(*) FILTER (WHERE is_known) AS people, count(*) FILTER (WHERE NOT is_known) AS browsers FROM cdp.profiles;
SELECT kind, count(*) FROM cdp.identity_changes GROUP BY kind ORDER BY kind;
RESET ROLE;
-- (the page ends here)
SELECT * FROM cdp.check_identities();
SELECT relname AS table_that_still_has_the_address
FROM pg_class, LATERAL (SELECT query_to_xml(format('SELECT 1 FROM cdp_data.%I AS t WHERE t::text LIKE %L', relname, '%person7@%'), false, true, '')::text AS found) AS f
WHERE relnamespace = 'cdp_data'::regnamespace AND relkind = 'r' AND found LIKE '%row%' ORDER BY 1;
DROP VIEW decision;
SELECT cdp.teardown(false);
DROP TABLE contact, visit, purchase, customer, value_model, customer_value, training, churn_model;
DROP ROLE regress_cdp_dashboard;
