-- Training sets: each row of a population as of its own time.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS is_set_up;

CREATE SCHEMA shop;
CREATE TABLE shop.customer (id integer PRIMARY KEY, mail text, country text, tier text, points integer, changed_at timestamptz);
CREATE TABLE shop.activity (id integer PRIMARY KEY, mail text, name text, at timestamptz, amount numeric);
SELECT cdp.create_trait('country', 'text', history => true);
SELECT cdp.create_trait('points', 'bigint', survivorship => 'max', history => true);
SELECT cdp.create_source('crm', 'shop.customer', record_key => 'id', observed_at => 'changed_at', identifiers => 'mail AS email', traits => 'country, tier, points');
SELECT cdp.create_source('web', 'shop.activity', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'at', event_name => 'name', properties => 'amount');
INSERT INTO shop.customer VALUES (1, 'ann@example.com', 'DE', 'gold', 5, '2021-01-01'), (2, 'bob@example.com', 'FR', 'gold', 7, '2021-02-01');
INSERT INTO shop.activity VALUES
    (1, 'ann@example.com', 'purchase', '2021-01-10', 100), (2, 'ann@example.com', 'login', '2021-02-10', NULL),
    (3, 'bob@example.com', 'purchase', '2021-02-15', 50), (4, 'ann@example.com', 'purchase', '2021-03-10', 20.5);
CALL cdp.refresh();
UPDATE shop.customer SET country = 'AT', points = 9, changed_at = '2021-03-01' WHERE id = 1;
CALL cdp.refresh();

SELECT cdp.create_computed_trait('spending', $$ sum(event.amount) $$);
SELECT cdp.create_computed_trait('days_silent', $$ current_date - max(event.occurred_at)::date $$);
SELECT cdp.create_computed_trait('names', $$ array_agg(DISTINCT event.event_name) $$);
SELECT cdp.create_segment('buyer', $$ count(*) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '30 days') > 0 $$);
SELECT cdp.create_segment('german', $$ profile.country = 'DE' $$);
SELECT cdp.create_segment('lost_buyer', $$ profile.spending > 0 AND NOT segment.buyer $$);

-- Several rows of one person; no row without a time or a person; one for whoever is not known.
CREATE TABLE shop.decision (mail text, person bigint, at timestamptz, outcome boolean);
INSERT INTO shop.decision
    SELECT mail, cdp.resolve('email', mail), at, at > '2021-02-20'
    FROM unnest('{ann@example.com, bob@example.com}'::text[]) AS mail CROSS JOIN unnest('{2020-12-31, 2021-01-20, 2021-02-20, 2021-03-01, 2021-05-01}'::timestamptz[]) AS at;
INSERT INTO shop.decision VALUES ('nobody@example.com', 4711, '2021-02-20', true), ('ann@example.com', cdp.resolve('email', 'ann@example.com'), NULL, true), ('zoe@example.com', NULL, '2021-02-20', false);
SET search_path = shop, public;
SELECT cdp.training_sql(ARRAY['country', 'points', 'event_count', 'spending', 'days_silent', 'names', 'buyer', 'segment.german', 'profile.email', 'lost_buyer'],
    $$ SELECT outcome AS label, d.person AS profile_id, d.at AS as_of FROM decision AS d $$) AS statement \gset
RESET search_path;
:statement ORDER BY email, as_of;
-- it is one query, whatever the search_path, and has types
CREATE TABLE shop.training AS :statement;
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'shop.training'::regclass AND attnum > 0 ORDER BY attnum;
SELECT count(*) FROM (:statement) AS t WHERE t.buyer;
-- a row is what the segment was at that time, of those who had been seen
SELECT t.profile_id, t.as_of, t.buyer FROM shop.training AS t
WHERE t.as_of >= (SELECT p.first_seen FROM cdp.profiles AS p WHERE p.profile_id = t.profile_id)
  AND t.buyer IS DISTINCT FROM EXISTS (SELECT FROM cdp.segment_at('buyer', t.as_of) AS id WHERE id = t.profile_id);
-- labels of any type, populations of any form
SELECT cdp.training_sql('{spending}', $$ WITH c AS (SELECT profile_id, timestamptz '2021-02-20' AS as_of FROM cdp.profiles) SELECT profile_id, as_of, NULL AS label FROM c UNION ALL SELECT 1::smallint, '2021-05-01', 'late' ORDER BY 2 DESC LIMIT 3; $$) AS statement \gset
:statement ORDER BY profile_id, as_of;
CREATE TEMPORARY TABLE chosen AS SELECT 1 AS profile_id, timestamptz '2021-02-20' AS as_of, '{"a": 1}'::jsonb AS label;
SELECT cdp.training_sql('{points}', 'TABLE chosen') AS statement \gset
:statement;

-- an id that retired leads to the person of today, by whose events it goes
SELECT cdp.must_link('email', 'ann@example.com', 'email', 'bob@example.com', 'married');
CALL cdp.refresh();
SELECT cdp.training_sql('{spending, country}', $$ SELECT DISTINCT person AS profile_id, timestamptz '2021-02-20' AS as_of, mail AS label FROM shop.decision WHERE person < 4711 $$) AS statement \gset
:statement ORDER BY label;

-- ---------- what would leak is refused by name ----------
SELECT cdp.training_sql('{country, tier}', 'TABLE shop.decision');
SELECT cdp.training_sql('{country, tier}', 'SELECT person AS profile_id, at AS as_of, outcome AS label FROM shop.decision');
SELECT cdp.create_segment('gold', $$ profile.tier = 'gold' $$);
SELECT cdp.training_sql('{gold}', 'SELECT person AS profile_id, at AS as_of, outcome AS label FROM shop.decision');
SELECT cdp.training_sql('{last_seen}', 'SELECT person AS profile_id, at AS as_of, outcome AS label FROM shop.decision');
SELECT cdp.create_segment('chosen', query => 'SELECT profile_id FROM cdp.profiles');
SELECT cdp.training_sql('{chosen}', 'SELECT person AS profile_id, at AS as_of, outcome AS label FROM shop.decision');
SELECT cdp.create_segment('decided', $$ profile.profile_id IN (SELECT d.person FROM shop.decision AS d) $$);
SELECT cdp.training_sql('{decided}', 'SELECT person AS profile_id, at AS as_of, outcome AS label FROM shop.decision');

-- ---------- errors ----------
SELECT cdp.training_sql(NULL, 'SELECT 1');
SELECT cdp.training_sql('{country}', NULL);
SELECT cdp.training_sql('{}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{country, NULL}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{no_such}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{segment.country}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{country, profile.country}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{profile_id}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{country}', 'SELECT 1 AS profile_id, now() AS as_of');
SELECT cdp.training_sql('{country}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label, 2 AS weight');
SELECT cdp.training_sql('{country}', 'SELECT ''x'' AS profile_id, now() AS as_of, 1 AS label');
SELECT cdp.training_sql('{country}', 'SELECT 1 AS profile_id, current_date AS as_of, 1 AS label');
SELECT cdp.training_sql('{country}', 'SELECT 1 AS profile_id, now() AS as_of, nothing AS label');
SELECT cdp.training_sql('{country}', 'DELETE FROM shop.decision');
SELECT cdp.create_segment('berlin', $$ count(*) > 1 $$, time_zone => 'Europe/Berlin');
SELECT cdp.training_sql('{german, country, berlin}', 'SELECT 1 AS profile_id, now() AS as_of, 1 AS label');

-- ---------- rights ----------
-- Whoever runs the query needs the rights for it; making it needs those of a reader.
CREATE ROLE training_reader;
CREATE ROLE training_other;
SELECT cdp.grant_access('training_reader', 'reader');
GRANT USAGE ON SCHEMA shop TO training_reader;
SET ROLE training_reader;
SELECT cdp.training_sql('{country, german}', 'SELECT 1 AS profile_id, timestamptz ''2021-02-20'' AS as_of, 1 AS label') AS statement \gset
:statement;
SELECT cdp.training_sql('{country, points}', 'SELECT 1 AS profile_id, timestamptz ''2021-02-20'' AS as_of, 1 AS label') IS NOT NULL AS without_expressions;
SELECT cdp.training_sql('{country, german}', 'SELECT person AS profile_id, at AS as_of, outcome AS label FROM shop.decision') AS statement \gset
:statement;
\set VERBOSITY sqlstate
SET ROLE training_other;
SELECT cdp.training_sql('{country, german}', 'SELECT 1 AS profile_id, timestamptz ''2021-02-20'' AS as_of, 1 AS label');
:statement;
RESET ROLE;
\set VERBOSITY default

DROP SCHEMA shop CASCADE;
DROP TABLE chosen;
SELECT cdp.teardown(false);
DROP OWNED BY training_reader, training_other;
DROP ROLE training_reader, training_other;
