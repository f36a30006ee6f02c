-- People, each with a browser and a user_id, and their events, of 20 names that are as frequent as such names are, over the last year;
-- some people do much, most little.  The same events stand in bench.event with the person, and the people in bench.person, as somebody
-- without cdp would have them.  Variables: people, events.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION cdp;
SELECT cdp.setup() \g /dev/null
CREATE SCHEMA bench;
CREATE TABLE bench.person AS
SELECT i::bigint AS person_id, (ARRAY['US', 'CA', 'DE', 'FR', 'GB', 'PL', 'ES', 'IT', 'NL', 'SE'])[1 + (hashint8(i) & 1023) % 10] AS country,
       (ARRAY['free', 'free', 'free', 'pro', 'team'])[1 + (hashint8(i * 3) & 1023) % 5] AS plan, 18 + (hashint8(i * 7) & 1023) % 60 AS age
FROM generate_series(1, :people) AS i;
ALTER TABLE bench.person ADD PRIMARY KEY (person_id);
SELECT cdp.create_source('crm', 'bench.person', record_key => 'person_id', observed_at => $$ timestamptz '2025-01-01' $$,
    identifiers => $$ 'u' || person_id AS user_id, 'b' || person_id AS anonymous_id $$, traits => 'country, plan, age, person_id AS person') \g /dev/null
CALL cdp.refresh();
CREATE TABLE bench.incoming (id bigint, person bigint, at timestamptz, name text, amount numeric, category text, channel text, seconds integer);
SELECT cdp.create_source('web', 'bench.incoming', record_key => 'id', identifiers => $$ 'b' || person AS anonymous_id $$, occurred_at => 'at', event_name => 'name',
    properties => 'amount, category, channel, seconds') \g /dev/null

-- In the order of their time; seven of ten know the browser alone.
CREATE TABLE bench.event AS
SELECT e.person_id, e.event_name, e.occurred_at, CASE WHEN e.event_name IN ('purchase', 'add_to_cart', 'refund') THEN e.dice % 20000 / 100.0 END AS amount,
       CASE WHEN e.event_name IN ('product_view', 'purchase', 'add_to_cart') THEN (ARRAY['shoes', 'shirts', 'trousers', 'hats', 'bags', 'coats', 'socks', 'belts'])[1 + e.dice % 8] END AS category,
       (ARRAY['web', 'web', 'web', 'app', 'app', 'store'])[1 + e.dice % 6] AS channel, (e.dice % 600)::integer AS seconds
FROM (
    SELECT 1 + floor(:people * power(random(), 2.5))::bigint AS person_id, now() - interval '365 days' + i * (interval '365 days' / :events) AS occurred_at,
           (hashint8(i * 11)::bigint & 2147483647) AS dice,
           (ARRAY['page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view',
                  'product_view', 'product_view', 'product_view', 'product_view', 'product_view', 'product_view', 'search', 'search', 'search', 'search', 'login', 'login', 'login',
                  'email_open', 'email_open', 'email_open', 'email_sent', 'email_sent', 'email_click', 'add_to_cart', 'add_to_cart', 'purchase', 'app_open', 'app_open',
                  'video_play', 'checkout', 'share', 'review', 'signup', 'logout', 'support_ticket', 'refund', 'subscribe', 'unsubscribe'])[1 + (hashint8(i * 5)::bigint & 2147483647) % 46] AS event_name
    FROM generate_series(1, :events::bigint) AS i) AS e;
-- What people do is skewed, and whose numbers are neighbours is not.
INSERT INTO cdp_data.event (hub, occurred_at, observed_at, source, event_name, record_key, amount, category, channel, seconds)
SELECT i.id, e.occurred_at, e.occurred_at, 'web', e.event_name, row_number() OVER ()::text, e.amount, e.category, e.channel, e.seconds
FROM bench.event AS e
JOIN cdp_data.identifier AS i ON i.value = CASE WHEN e.seconds % 10 < 7 THEN 'b' ELSE 'u' END || e.person_id
ORDER BY e.occurred_at;
INSERT INTO cdp_data.changed_profile VALUES (0);


VACUUM (ANALYZE);
CALL cdp.refresh(ARRAY[]::text[]);
VACUUM (ANALYZE);
CHECKPOINT;
