-- The examples of docs/segment.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
-- Segments.
SET client_min_messages = error;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SELECT cdp.setup();
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id bigint PRIMARY KEY, email text, country text, plan text, birthday date, is_employee boolean);
INSERT INTO shop.customer VALUES
    (1, 'ann@example.com', 'FR', 'pro', '1990-05-17', false), (2, 'bob@example.com', 'FR', 'free', NULL, false),
    (3, 'eve@example.com', 'US', 'pro', '1985-11-02', false), (4, 'joe@example.com', 'US', 'free', '2001-01-30', true),
    (5, 'kim@example.com', 'DE', NULL, NULL, false);
CREATE TABLE shop.activity (id bigint PRIMARY KEY, email text, device text, name text, at timestamptz, amount numeric, channel text, product text);
INSERT INTO shop.activity
SELECT row_number() OVER (), a.who || '@example.com', a.device, a.name, now() - a.days_ago * interval '1 day', a.amount, a.channel, a.product
FROM (VALUES
    ('ann', NULL, 'purchase', 20, 120, 'store', 'boots'), ('ann', NULL, 'purchase', 5, 40, 'web', 'hat'), ('ann', NULL, 'view', 3, NULL, 'web', 'garden'),
    ('ann', NULL, 'email_opened', 70, NULL, 'mail', NULL),
    ('bob', NULL, 'purchase', 25, 80, 'store', 'boots'), ('bob', NULL, 'email_opened', 10, NULL, 'mail', NULL), ('bob', NULL, 'login', 2, NULL, 'web', NULL),
    ('eve', NULL, 'view', 8, NULL, 'web', 'garden'), ('eve', NULL, 'purchase', 100, 300, 'web', 'saw'), ('eve', NULL, 'cart', 1, NULL, 'web', 'rake'),
    ('joe', NULL, 'login', 1, NULL, 'web', NULL), ('joe', NULL, 'purchase', 200, 10, 'store', 'gloves'),
    (NULL, 'd1', 'view', 1, NULL, 'web', 'garden')
) AS a(who, device, name, days_ago, amount, channel, product);
SELECT cdp.create_source('customers', 'shop.customer', record_key => 'id', identifiers => 'email',
    traits => 'country, plan, birthday::text AS birthday, is_employee');
SELECT cdp.create_source('activity', 'shop.activity', record_key => 'id', identifiers => 'email, device AS device_id',
    occurred_at => 'at', event_name => 'name', properties => 'amount, channel, product');
CALL cdp.refresh();
SELECT cdp.create_computed_trait('lifetime_value', $$
    coalesce(sum(event.amount) FILTER (WHERE event.event_name = 'purchase'), 0)
$$);
SELECT cdp.create_segment('employees', $$ profile.is_employee $$);
SELECT cdp.create_segment('lapsed_vip', $$
    profile.country IN ('US', 'CA')
    AND profile.lifetime_value > 200
    AND count(*) FILTER (WHERE event.event_name = 'login' AND event.occurred_at > now() - interval '60 days') = 0
    AND NOT segment.employees
$$, description => 'worth winning back');
CALL cdp.refresh();
SELECT m.segment, p.email FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) ORDER BY segment, email;
-- counts and sums, in a window or ever
SELECT cdp.create_segment('two purchases', $$ count(*) FILTER (WHERE event.event_name = 'purchase') >= 2 $$);
SELECT cdp.create_segment('active this week', $$ count(*) FILTER (WHERE event.occurred_at > now() - interval '7 days') > 0 $$);
SELECT cdp.create_segment('spent 100 in a month', $$
    sum(event.amount) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '1 month') > 100 $$);
SELECT cdp.create_segment('average above 50', $$ avg(event.amount) FILTER (WHERE event.event_name = 'purchase') > 50 $$);
-- not done: at all, or not lately
SELECT cdp.create_segment('never bought', $$ count(*) FILTER (WHERE event.event_name = 'purchase') = 0 $$);
SELECT cdp.create_segment('silent for 90 days', $$ max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase') < now() - interval '90 days' $$);
-- in an order, within a time; the furthest step
SELECT cdp.create_segment('view then cart', $$
    cdp.did_sequence(event.event_name, event.occurred_at, cdp.sequence_options('{view,cart}', within => '14 days')) $$);
SELECT cdp.create_segment('cart, no purchase since', $$
    max(event.occurred_at) FILTER (WHERE event.event_name = 'cart')
    > coalesce(max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase'), '-infinity') $$);
-- first and last, and what it was
SELECT cdp.create_segment('last bought in store', $$
    cdp.last_value_at(event.channel, event.occurred_at) FILTER (WHERE event.event_name = 'purchase') = 'store' $$);
SELECT cdp.create_segment('first seen this month', $$ profile.first_seen > now() - interval '1 month' $$);
-- calendar dates
SELECT cdp.create_segment('bought since 2020', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at >= '2020-01-01') > 0 $$);
SELECT cdp.create_segment('born in May', $$ extract(month FROM profile.birthday::date) = 5 $$);
-- lists, texts, ranges, what is there and what is not
SELECT cdp.create_segment('Europe', $$ profile.country IN ('DE', 'FR', 'NL') $$);
SELECT cdp.create_segment('at example.com', $$ profile.email ILIKE '%@example.com' AND profile.email !~ '^(test|demo)' $$);
SELECT cdp.create_segment('worth 50 to 200', $$ profile.lifetime_value BETWEEN 50 AND 200 $$);
SELECT cdp.create_segment('no plan', $$ profile.plan IS NULL $$, include_anonymous => false);
-- what they mostly do
SELECT cdp.create_segment('shoppers in store', $$ cdp.most_frequent(event.channel) FILTER (WHERE event.event_name = 'purchase') = 'store' $$);
SELECT cdp.create_segment('bought boots', $$ bool_or(event.product = 'boots') FILTER (WHERE event.event_name = 'purchase') $$);
-- of other segments
SELECT cdp.create_segment('all but employees', $$ NOT segment.employees $$);
SELECT cdp.create_segment('pros in Europe', $$ segment."Europe" AND profile.plan = 'pro' $$);
-- by any query that yields profile_id
SELECT cdp.create_segment('best customer', query => $$ SELECT profile_id FROM cdp.profiles ORDER BY lifetime_value DESC LIMIT 1 $$);
-- bought in store in the last 30 days, but no answer to an e-mail in 60
SELECT cdp.create_segment('store only', $$
    count(*) FILTER (WHERE event.event_name = 'purchase' AND event.channel = 'store' AND event.occurred_at > now() - interval '30 days') > 0
    AND count(*) FILTER (WHERE event.event_name IN ('email_opened', 'email_clicked') AND event.occurred_at > now() - interval '60 days') = 0
$$);
-- bought X in store, looked at Y online, and is worth more than Z
SELECT cdp.create_segment('boots and garden', $$
    count(*) FILTER (WHERE event.event_name = 'purchase' AND event.channel = 'store' AND event.product = 'boots') > 0
    AND count(*) FILTER (WHERE event.event_name = 'view' AND event.channel = 'web' AND event.product = 'garden') > 0
    AND profile.lifetime_value > 100
$$);
-- already converted: those whom a campaign leaves out
SELECT cdp.create_segment('converted', $$
    count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '14 days') > 0
$$);
CALL cdp.refresh();
SELECT s.name, string_agg(coalesce(split_part(p.email, '@', 1), 'somebody'), ', ' ORDER BY p.email) AS members
FROM cdp.segments AS s LEFT JOIN cdp.segment_members AS m ON m.segment = s.name LEFT JOIN cdp.profiles AS p USING (profile_id)
WHERE s.name NOT IN ('employees', 'lapsed_vip') GROUP BY s.name ORDER BY s.name;
-- Operators.
CREATE TABLE shop.newsletter (email text);
INSERT INTO shop.newsletter VALUES ('kim@example.com'), ('eve@example.com'), ('max@example.com');
CREATE FUNCTION shop.who(predicate text) RETURNS text LANGUAGE sql STABLE RETURN (
    SELECT coalesce(string_agg(coalesce(split_part(p.email, '@', 1), 'somebody'), ', ' ORDER BY p.email), 'nobody')
    FROM cdp.preview_segment(predicate) AS s JOIN cdp.profiles AS p ON p.profile_id = ANY (s.sample));
SELECT task, shop.who(predicate)
FROM (VALUES
    ('Bought exactly once', $$ count(*) FILTER (WHERE event.event_name = 'purchase') = 1 $$),
    ('Did something one to three times in 10 days', $$ count(*) FILTER (WHERE event.occurred_at > now() - interval '10 days') BETWEEN 1 AND 3 $$),
    ('Bought in two channels', $$ count(DISTINCT event.channel) FILTER (WHERE event.event_name = 'purchase') = 2 $$),
    ('Spent more than 100 in 30 days', $$ sum(event.amount) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '30 days') > 100 $$),
    ('Spends 50 to 100 each time', $$ avg(event.amount) FILTER (WHERE event.event_name = 'purchase') BETWEEN 50 AND 100 $$),
    ('Once paid 200 or more', $$ max(event.amount) FILTER (WHERE event.event_name = 'purchase') >= 200 $$),
    ('Buys in store at least every second time', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.channel = 'store')
        >= 0.5 * nullif(count(*) FILTER (WHERE event.event_name = 'purchase'), 0) $$)
) AS example(task, predicate);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('Bought in the last 30 days', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '30 days') > 0 $$),
    ('Bought between 60 and 120 days ago', $$ count(*) FILTER (WHERE event.event_name = 'purchase'
        AND event.occurred_at BETWEEN now() - interval '120 days' AND now() - interval '60 days') > 0 $$),
    ('Last bought more than 90 days ago', $$ max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase') < now() - interval '90 days' $$),
    ('Did something yesterday', $$ count(*) FILTER (WHERE event.occurred_at::date = current_date - 1) > 0 $$),
    ('Born on a weekend', $$ extract(isodow FROM profile.birthday::date) IN (6, 7) $$),
    ('Bought within 60 days of being first seen', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at < profile.first_seen + interval '60 days') > 0 $$)
) AS example(task, predicate);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('Bought, but not in the last 50 days', $$ count(*) FILTER (WHERE event.event_name = 'purchase') > 0
        AND count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '50 days') = 0 $$),
    ('Recently stopped: bought 15 to 60 days ago, not since', $$ max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase')
        BETWEEN now() - interval '60 days' AND now() - interval '15 days' $$),
    ('Came back: active, after 30 days of nothing', $$ count(*) FILTER (WHERE event.occurred_at > now() - interval '10 days') > 0
        AND count(*) FILTER (WHERE event.occurred_at BETWEEN now() - interval '40 days' AND now() - interval '10 days') = 0
        AND count(*) FILTER (WHERE event.occurred_at < now() - interval '40 days') > 0 $$),
    ('New: first seen in the last 2 days', $$ profile.first_seen > now() - interval '2 days' $$),
    ('Active on three different days', $$ count(DISTINCT event.occurred_at::date) >= 3 $$),
    ('Came by three times, a day apart', $$ cdp.session_count(event.occurred_at, interval '1 day') >= 3 $$)
) AS example(task, predicate);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('Bought again within 30 days', $$ cdp.did_sequence(event.event_name, event.occurred_at, cdp.sequence_options('{purchase,purchase}', within => '30 days')) $$),
    ('Stopped at the cart', $$ cdp.sequence_step(event.event_name, event.occurred_at, cdp.sequence_options('{view,cart,purchase}')) = 2 $$),
    ('Abandoned a cart in the last 3 days', $$ max(event.occurred_at) FILTER (WHERE event.event_name = 'cart')
        > greatest(now() - interval '3 days', max(event.occurred_at) FILTER (WHERE event.event_name = 'purchase')) $$),
    ('First bought in store', $$ cdp.first_value_at(event.channel, event.occurred_at) FILTER (WHERE event.event_name = 'purchase') = 'store' $$)
) AS example(task, predicate);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('All purchases were on the web', $$ bool_and(event.channel = 'web') FILTER (WHERE event.event_name = 'purchase') $$),
    ('Bought, but never boots or hats', $$ bool_and(event.product NOT IN ('boots', 'hat')) FILTER (WHERE event.event_name = 'purchase') $$),
    ('Spent 100 on one product', $$ EXISTS (SELECT FROM cdp.events AS e WHERE e.profile_id = profile.profile_id AND e.event_name = 'purchase'
        GROUP BY e.product HAVING sum(e.amount) >= 100) $$)
) AS example(task, predicate);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('Scores 50 with a half-life of 30 days', $$ cdp.decayed_sum(event.amount, event.occurred_at, interval '30 days', now()) FILTER (WHERE event.event_name = 'purchase') >= 50 $$),
    ('Typical purchase is 80 or more', $$ percentile_cont(0.5) WITHIN GROUP (ORDER BY event.amount) FILTER (WHERE event.event_name = 'purchase') >= 80 $$),
    ('One purchase is less than half of all spending', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.amount < profile.lifetime_value / 2) > 0 $$)
) AS example(task, predicate);
SELECT members, share FROM cdp.preview_segment(query => $$
    SELECT profile_id
    FROM (SELECT profile_id, percent_rank() OVER (ORDER BY lifetime_value DESC) AS rank FROM cdp.profiles WHERE lifetime_value > 0) AS buyer
    WHERE rank <= 0.2
$$);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('On the list of the newsletter', $$ profile.email IN (SELECT n.email FROM shop.newsletter AS n) $$),
    ('Lifetime value from 50 to 200', $$ profile.lifetime_value BETWEEN 50 AND 200 $$),
    ('Address contains "example", in any case', $$ profile.email ILIKE '%EXAMPLE%' $$),
    ('Address starts with a or b', $$ profile.email ~ '^[ab]' $$),
    ('Plan is not known', $$ profile.plan IS NULL $$),
    ('Only a device is known', $$ NOT profile.is_known $$),
    ('Can be reached by mail but not by phone', $$ profile.email IS NOT NULL AND profile.phone IS NULL $$),
    ('French, and no employee', $$ segment."Europe" AND NOT segment.employees AND profile.country = 'FR' $$),
    ('Half of the people, always the same', $$ hashint8extended(profile.profile_id, 2026) % 2 = 0 $$)
) AS example(task, predicate);
SELECT task, shop.who(predicate)
FROM (VALUES
    ('Bought in store in the last 30 days, but did not answer an e-mail in 60', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.channel = 'store'
            AND event.occurred_at > now() - interval '30 days') > 0
        AND count(*) FILTER (WHERE event.event_name IN ('email_opened', 'email_clicked') AND event.occurred_at > now() - interval '60 days') = 0 $$),
    ('Bought boots in store, looked at garden things online, and is worth more than 100', $$ bool_or(event.product = 'boots' AND event.channel = 'store') FILTER (WHERE event.event_name = 'purchase')
        AND bool_or(event.product = 'garden' AND event.channel = 'web') FILTER (WHERE event.event_name = 'view') AND profile.lifetime_value > 100 $$),
    ('Has converted already, and is to be left out of the campaign', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '14 days') > 0 $$)
) AS example(task, predicate);
-- End of operators.
SELECT "Europe", converted, count(*) AS people FROM cdp.profile_segments WHERE NOT employees GROUP BY 1, 2 ORDER BY 1, 2;
SELECT segment, members, entered, exited FROM cdp.segment_daily WHERE segment IN ('Europe', 'converted') AND day = (now() AT TIME ZONE 'UTC')::date ORDER BY segment;
SELECT segment, change, cause FROM cdp.read_changes('crm', 3) ORDER BY change_id;
SELECT * FROM cdp.audience_overlap('{Europe, two purchases, bought boots}');
SELECT email FROM cdp.profiles
WHERE profile_id IN (SELECT cdp.members(cdp.segment_audience('bought boots') OPERATOR(cdp.-) cdp.segment_audience('converted')));
SELECT cdp.alter_segment('spent 100 in a month', description => 'good customers of late', refresh => 'realtime');
SELECT cdp.rename_segment('spent 100 in a month', 'spenders');
SELECT cdp.drop_segment('best customer');
SELECT cdp.alter_segment('Europe', $$ segment."pros in Europe" OR profile.country = 'FR' $$);
CREATE FUNCTION shop.is_premium(plan text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN plan = 'pro';
SELECT cdp.create_segment('premium', $$ shop.is_premium(profile.plan) $$);
DROP FUNCTION shop.is_premium(text);
CALL cdp.refresh(on_error => 'report');
SELECT detail, hint FROM cdp.health WHERE "check" = 'segment needs what is gone';
DROP SCHEMA shop CASCADE;
SELECT cdp.teardown(false);
RESET timezone;
RESET client_min_messages;

-- Audiences.
CREATE TABLE purchases (profile_id bigint, product text);
INSERT INTO purchases SELECT i, CASE WHEN i % 3 = 0 THEN 'shoes' ELSE 'hats' END FROM generate_series(1, 30) AS i;
CREATE TABLE mailings (name text, recipients cdp.audience);
INSERT INTO mailings VALUES ('spring', '{1-10,12}'), ('summer', '{8,9,20-25}');
SELECT product, cdp.audience_agg(profile_id) AS buyers FROM purchases GROUP BY product ORDER BY product;
SET search_path = public, cdp;
SELECT shoes & spring AS both, shoes | spring AS either, spring - shoes AS not_shoes, shoes # spring AS just_one
FROM (SELECT audience_agg(profile_id) AS shoes FROM purchases WHERE product = 'shoes') AS p,
     (SELECT recipients AS spring FROM mailings WHERE name = 'spring') AS m;
SELECT m.name, cardinality(m.recipients) AS recipients, cardinality(m.recipients & p.buyers) AS buyers, m.recipients @> 9::bigint AS went_to_9
FROM mailings AS m, (SELECT audience_agg(profile_id) AS buyers FROM purchases WHERE product = 'shoes') AS p
ORDER BY m.name;
SELECT p.profile_id, p.product
FROM mailings AS m, members(m.recipients) AS profile_id JOIN purchases AS p USING (profile_id)
WHERE m.name = 'summer' AND p.product = 'shoes' ORDER BY profile_id;
SELECT audience_union_agg(recipients) AS reached, audience_intersection_agg(recipients) AS reached_each_time FROM mailings;
WITH named AS (SELECT name, recipients FROM mailings
	UNION ALL SELECT 'shoes', audience_agg(profile_id) FROM purchases WHERE product = 'shoes')
SELECT a.name, b.name, cardinality(a.recipients & b.recipients) AS overlap
FROM named AS a JOIN named AS b ON a.name < b.name ORDER BY 1, 2;
SELECT ARRAY[7, 3, NULL, 4]::bigint[]::audience AS audience, '{3-5}'::audience::bigint[] AS ids;
RESET search_path;
DROP TABLE purchases, mailings;

-- previews, explanations, as of a time, training sets
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT cdp.setup() \g /dev/null
CREATE SCHEMA archive;
CREATE TABLE archive.contacts (id integer PRIMARY KEY, mail text, plan text, changed_at timestamptz);
CREATE TABLE archive.visits (id integer PRIMARY KEY, mail text, name text, at timestamptz, amount numeric);
SELECT cdp.create_trait('plan', 'text', history => true);
SELECT cdp.create_source('contacts', 'archive.contacts', record_key => 'id', observed_at => 'changed_at', identifiers => 'mail AS email', traits => 'plan');
SELECT cdp.create_source('visits', 'archive.visits', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'at', event_name => 'name',
    properties => 'amount');
INSERT INTO archive.contacts SELECT n, 'p' || n || '@example.com', CASE WHEN n % 4 = 0 THEN 'pro' ELSE 'free' END, '2021-01-01' FROM generate_series(1, 200) AS n;
INSERT INTO archive.visits
    SELECT row_number() OVER (), 'p' || n || '@example.com', CASE WHEN k % 3 = n % 3 THEN 'purchase' ELSE 'login' END,
           timestamptz '2021-01-02' + (n % 7 + k * (3 + n % 11)) * interval '1 day', 5 + n % 13 * k
    FROM generate_series(1, 200) AS n, generate_series(1, 12) AS k WHERE n % 11 < 9 OR k < 4;
CALL cdp.refresh();
UPDATE archive.contacts SET plan = 'pro', changed_at = '2021-03-01' WHERE id % 10 = 3;
CALL cdp.refresh();
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'purchase') $$);
SELECT cdp.create_computed_trait('days_silent', $$ extract(day FROM now() - max(event.occurred_at)) $$);
SELECT cdp.create_segment('rising', $$
    profile.plan = 'free'
    AND profile.spent > 100
    AND count(*) FILTER (WHERE event.occurred_at > now() - interval '30 days') >= 2
$$);
CALL cdp.refresh();
SELECT members, people, share, cardinality(sample) AS in_sample
FROM cdp.preview_segment($$ profile.plan = 'pro' AND profile.spent > 200 $$);
SELECT repeat('  ', depth) || part AS part, result, is_decisive AS decides, note
FROM cdp.explain_segment('rising', cdp.resolve('email', 'p13@example.com'), '2021-02-20');
SELECT part, inputs FROM cdp.explain_segment('rising', cdp.resolve('email', 'p13@example.com'), '2021-02-20')
WHERE is_decisive AND kind = 'condition';
SELECT at::date, count(*) AS members FROM generate_series(timestamptz '2021-02-01', '2021-05-01', '1 month') AS at, cdp.segment_at('rising', at) GROUP BY at ORDER BY at;
SELECT cdp.create_segment('silent_since', $$ profile.last_seen < now() - interval '30 days' $$);
SELECT count(*) FROM cdp.segment_at('silent_since', '2021-03-01');
CREATE VIEW archive.decisions AS
    SELECT p.profile_id, at AS as_of,
           EXISTS (SELECT FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'purchase'
                   AND e.occurred_at > at AND e.occurred_at <= at + interval '30 days') AS label
    FROM cdp.profiles AS p, unnest('{2021-02-01, 2021-03-01, 2021-04-01}'::timestamptz[]) AS at;
SELECT cdp.training_sql('{plan, spent, days_silent, event_count, rising}', 'SELECT * FROM archive.decisions') AS training \gset
SELECT * FROM (:training) AS t WHERE profile_id = cdp.resolve('email', 'p13@example.com') ORDER BY as_of;
SELECT cdp.train_logit(:'training', 'label', ARRAY['spent', 'days_silent', 'event_count', 'plan']) IS NOT NULL AS is_trained;
DROP SCHEMA archive CASCADE;
SELECT cdp.teardown(false);
RESET timezone;
RESET datestyle;
