-- The examples of docs/segment.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
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
INSERT INTO archive.contacts SELECT n, 'p' || n || '@example.com', CASE WHEN n % 4 = 0 THEN 'pro' ELSE 'free' END, '2026-01-01' FROM generate_series(1, 200) AS n;
INSERT INTO archive.visits
    SELECT row_number() OVER (), 'p' || n || '@example.com', CASE WHEN k % 3 = n % 3 THEN 'purchase' ELSE 'login' END,
           timestamptz '2026-01-02' + (n % 7 + k * (3 + n % 11)) * interval '1 day', 5 + n % 13 * k
    FROM generate_series(1, 200) AS n, generate_series(1, 12) AS k WHERE n % 11 < 9 OR k < 4;
CALL cdp.refresh();
UPDATE archive.contacts SET plan = 'pro', changed_at = '2026-03-01' WHERE id % 10 = 3;
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
FROM cdp.explain_segment('rising', cdp.resolve('email', 'p13@example.com'), '2026-02-20');
SELECT part, inputs FROM cdp.explain_segment('rising', cdp.resolve('email', 'p13@example.com'), '2026-02-20')
WHERE is_decisive AND kind = 'condition';
SELECT at::date, count(*) AS members FROM generate_series(timestamptz '2026-02-01', '2026-05-01', '1 month') AS at, cdp.segment_at('rising', at) GROUP BY at ORDER BY at;
SELECT cdp.create_segment('silent_since', $$ profile.last_seen < now() - interval '30 days' $$);
SELECT count(*) FROM cdp.segment_at('silent_since', '2026-03-01');
CREATE VIEW archive.decisions AS
    SELECT p.profile_id, at AS as_of,
           EXISTS (SELECT FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'purchase'
                   AND e.occurred_at > at AND e.occurred_at <= at + interval '30 days') AS label
    FROM cdp.profiles AS p, unnest('{2026-02-01, 2026-03-01, 2026-04-01}'::timestamptz[]) AS at;
SELECT cdp.training_sql('{plan, spent, days_silent, event_count, rising}', 'SELECT * FROM archive.decisions') AS training \gset
SELECT * FROM (:training) AS t WHERE profile_id = cdp.resolve('email', 'p13@example.com') ORDER BY as_of;
SELECT cdp.train_logit(:'training', 'label', ARRAY['spent', 'days_silent', 'event_count', 'plan']) IS NOT NULL AS is_trained;
DROP SCHEMA archive CASCADE;
SELECT cdp.teardown(false);
RESET timezone;
RESET datestyle;
