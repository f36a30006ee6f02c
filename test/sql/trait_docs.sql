-- The examples of docs/trait.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
-- Computed traits.
SET client_min_messages = error;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
\set SHOW_CONTEXT never
SELECT cdp.setup();
CREATE SCHEMA shop;
CREATE TABLE shop.visit (id bigint PRIMARY KEY, email text, name text, at timestamptz, amount numeric, shop text);
INSERT INTO shop.visit VALUES
    (1, 'ann@example.com', 'purchase', '2026-03-01 10:20', 80, 'web'), (2, 'ann@example.com', 'purchase', '2026-03-29 18:00', 25.50, 'berlin'),
    (3, 'ann@example.com', 'view', '2026-03-30 09:00', NULL, 'berlin'), (4, 'bob@example.com', 'purchase', '2026-03-09 12:00', 35, 'berlin'),
    (5, 'eve@example.com', 'view', '2026-03-30 20:00', NULL, 'web');
SELECT cdp.create_source('visits', 'shop.visit', record_key => 'id', identifiers => 'email', occurred_at => 'at', event_name => 'name', properties => 'amount, shop');
CALL cdp.refresh();
SELECT cdp.create_computed_trait('lifetime_value', $$ coalesce(sum(event.amount) FILTER (WHERE event.event_name = 'purchase'), 0) $$);
SELECT cdp.create_computed_trait('last_purchase', $$ (max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase'))::date $$);
SELECT cdp.create_computed_trait('usual_shop', $$ cdp.most_frequent(event.shop) $$, description => 'where they mostly are');
SELECT cdp.create_computed_trait('tier', $$
    CASE WHEN profile.lifetime_value >= 100 THEN 'gold' WHEN profile.lifetime_value > 0 THEN 'silver' ELSE 'none' END
$$);
CALL cdp.refresh();
SELECT email, lifetime_value, last_purchase, usual_shop, tier FROM cdp.profiles ORDER BY email;
SELECT name, depends_on_kind, depends_on, detail FROM cdp.segment_dependencies WHERE name IN ('tier', 'usual_shop') ORDER BY name, depends_on_kind, depends_on;
SELECT cdp.alter_computed_trait('lifetime_value', $$ round(sum(event.amount) FILTER (WHERE event.event_name = 'purchase'))::bigint $$);
SELECT cdp.alter_computed_trait('usual_shop', refresh => 'realtime');
SELECT cdp.drop_computed_trait('lifetime_value');
CALL cdp.refresh();
SELECT email, lifetime_value, tier FROM cdp.profiles ORDER BY email;
DROP SCHEMA shop CASCADE;
SELECT cdp.teardown(false);
RESET timezone;
RESET datestyle;
RESET client_min_messages;

-- Aggregates.
SET datestyle = 'ISO, MDY';
SET timezone = 'UTC';
CREATE TABLE events (person integer, name text, at timestamptz, amount numeric, store text);
INSERT INTO events VALUES
    (1, 'view', '2026-03-01 10:00', NULL, 'web'), (1, 'cart', '2026-03-01 10:05', NULL, 'web'),
    (1, 'buy', '2026-03-01 10:20', 80, 'web'), (1, 'buy', '2026-03-29 18:00', 20, 'berlin'),
    (2, 'view', '2026-03-02 09:00', NULL, 'web'), (2, 'cart', '2026-03-02 09:01', NULL, 'web'),
    (2, 'buy', '2026-03-09 12:00', 35, 'berlin'), (2, 'view', '2026-03-30 20:00', NULL, 'web'),
    (3, 'buy', '2026-01-05 16:00', 300, 'hamburg'), (3, 'view', '2026-01-05 17:00', NULL, 'web');
SELECT person, cdp.did_sequence(name, at, cdp.sequence_options('{view,cart,buy}', within => '1 hour')) AS bought,
       cdp.sequence_step(name, at, cdp.sequence_options('{view,cart,buy}', within => '1 hour')) AS steps_within_an_hour,
       cdp.sequence_step(name, at, cdp.sequence_options('{view,cart,buy}')) AS steps
FROM events GROUP BY person ORDER BY person;
SELECT person, cdp.session_count(at, '30 minutes') AS sessions FROM events GROUP BY person ORDER BY person;
SELECT person, round(cdp.decayed_sum(amount, at, '30 days')::numeric, 2) AS at_their_newest,
       round(cdp.decayed_sum(amount, at, '30 days', '2026-04-01')::numeric, 2) AS in_april, sum(amount)
FROM events GROUP BY person ORDER BY person;
SELECT person, cdp.most_frequent(store) AS usual, cdp.first_value_at(store, at) AS first, cdp.last_value_at(store, at) AS last,
       cdp.last_value_at(amount, at) AS last_amount
FROM events GROUP BY person ORDER BY person;
CREATE TABLE daily AS
SELECT person, at::date AS day, cdp.session_count_state_agg(at, '30 minutes') AS sessions,
       cdp.decayed_sum_state_agg(amount, at, '30 days') AS spent, cdp.most_frequent_state_agg(store) AS stores
FROM events GROUP BY person, at::date;
SELECT person, cdp.session_count_value(cdp.session_count_merge_agg(sessions)) AS sessions,
       round(cdp.decayed_sum_value(cdp.decayed_sum_merge_agg(spent), '2026-04-01')::numeric, 2) AS in_april,
       cdp.most_frequent_value(cdp.most_frequent_merge_agg(stores), NULL::text) AS usual
FROM daily GROUP BY person ORDER BY person;
RESET search_path;
DROP TABLE events, daily;
