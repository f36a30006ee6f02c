-- Segments as of an earlier time: every clock, late events, windows, history of traits, and what is refused.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS is_set_up;

CREATE SCHEMA shop;
CREATE TABLE shop.customer (id integer PRIMARY KEY, mail text, country text, tier text, plan text, changed_at timestamptz);
CREATE TABLE shop.activity (id integer PRIMARY KEY, mail text, name text, at timestamptz, amount numeric);
SELECT cdp.create_trait('country', 'text', history => true);
SELECT cdp.create_trait('plan', 'text', survivorship => 'first', history => true);
SELECT cdp.create_source('crm', 'shop.customer', record_key => 'id', observed_at => 'changed_at', identifiers => 'mail AS email', traits => 'country, tier, plan');
SELECT cdp.create_source('web', 'shop.activity', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'at', event_name => 'name', properties => 'amount');
INSERT INTO shop.customer VALUES (1, 'ann@example.com', 'DE', 'gold', 'basic', '2021-01-01'), (2, 'bob@example.com', 'FR', 'gold', 'basic', '2021-02-01');
INSERT INTO shop.activity VALUES
    (1, 'ann@example.com', 'purchase', '2021-01-10 10:00', 100), (2, 'ann@example.com', 'login', '2021-02-10 22:30', NULL),
    (3, 'bob@example.com', 'purchase', '2021-02-15 08:00', 50), (4, 'ann@example.com', 'purchase', '2021-03-10 12:00', 20),
    (5, 'cem@example.com', 'login', '2021-04-01 00:30', NULL);
CALL cdp.refresh();
UPDATE shop.customer SET country = 'AT', plan = 'pro', changed_at = '2021-03-01' WHERE id = 1;
CALL cdp.refresh();
CREATE VIEW person AS SELECT profile_id, split_part(email, '@', 1) AS name FROM cdp.profiles;
CREATE FUNCTION members(segment text, at timestamptz) RETURNS text
    LANGUAGE sql STABLE AS $$ SELECT string_agg(name, ' ' ORDER BY name) FROM cdp.segment_at(segment, at) AS m(id) JOIN person ON profile_id = id $$;

-- ---------- clocks ----------
SELECT cdp.create_segment(name, format('count(*) FILTER (WHERE event.occurred_at > %s) > 0', clock), time_zone => 'Europe/Berlin')
FROM (VALUES ('clock_now', $$now() - interval '14 days'$$), ('clock_transaction', $$transaction_timestamp() - interval '14 days'$$),
             ('clock_statement', $$statement_timestamp() - interval '14 days'$$), ('clock_timestamp', $$current_timestamp - interval '14 days'$$),
             ('clock_timestamp_0', $$current_timestamp(0) - interval '14 days'$$), ('clock_local', $$localtimestamp - interval '14 days'$$),
             ('clock_local_0', $$localtimestamp(0) - interval '14 days'$$), ('clock_date', $$current_date - 14$$)) AS c(name, clock);
SELECT name, members(name, '2021-02-24 22:00') AS "24 Feb 22:00", members(name, '2021-02-24 22:30') AS "22:30", members(name, '2021-02-24 23:00') AS "23:00",
       members(name, '2021-04-14 22:00') AS "14 Apr 22:00", members(name, '2021-04-15 00:30') AS "15 Apr 00:30"
FROM unnest(ARRAY['clock_now', 'clock_transaction', 'clock_statement', 'clock_timestamp', 'clock_timestamp_0', 'clock_local', 'clock_local_0', 'clock_date']) AS name;
SELECT cdp.create_segment('time_of_day', $$ current_time > '12:00+00' AND localtime > '13:30' AND current_time(0) > '12:00+00' AND localtime(0) > '13:30' $$, time_zone => 'Europe/Berlin');
SELECT cdp.create_segment('aged', $$ extract(month from age(max(event.occurred_at))) = 1 $$);
SELECT cdp.create_segment('aged_local', $$ age(max(event.occurred_at AT TIME ZONE 'UTC')) >= interval '1 month' $$);
SELECT at, members('time_of_day', at) AS time_of_day, members('aged', at) AS aged, members('aged_local', at) AS aged_local
FROM unnest('{2021-02-20 11:00, 2021-02-20 12:20, 2021-02-20 12:40, 2021-04-11 11:00, 2021-07-01 12:20}'::timestamptz[]) AS at;
SELECT cdp.create_segment('ticking', $$ count(*) FILTER (WHERE event.occurred_at > clock_timestamp()) > 0 $$);

-- ---------- events ----------
SELECT cdp.create_segment('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'purchase') >= 100 $$);
SELECT cdp.create_segment('silent', $$ count(*) = 0 $$);
SELECT cdp.create_segment('counted', $$ profile.event_count = 2 AND profile.first_seen < now() - interval '20 days' $$);
SELECT cdp.create_segment('recorded', $$ profile.record_count = 1 $$);
SELECT at::date, members('spent', at) AS spent, members('silent', at) AS silent, members('counted', at) AS counted, members('recorded', at) AS recorded
FROM unnest('{2020-12-31, 2021-01-01, 2021-01-10 09:59, 2021-01-10 10:00, 2021-02-28, 2021-05-01}'::timestamptz[]) AS at;
-- one that comes late is one of its time
INSERT INTO shop.activity VALUES (6, 'bob@example.com', 'purchase', '2021-02-16 08:00', 60);
CALL cdp.refresh();
SELECT at::date, members('spent', at) AS spent FROM unnest('{2021-02-16, 2021-02-17}'::timestamptz[]) AS at;

-- ---------- traits ----------
SELECT cdp.create_segment('german', $$ profile.country = 'DE' $$);
SELECT cdp.create_segment('basic', $$ profile.plan = 'basic' $$);
SELECT cdp.create_segment('nobody_knows', $$ profile.country IS NULL $$);
SELECT at::date, members('german', at) AS german, members('basic', at) AS basic, members('nobody_knows', at) AS nobody_knows
FROM unnest('{2021-01-01, 2021-02-28, 2021-03-01, 2021-05-01}'::timestamptz[]) AS at;
-- a second source; the policy is applied to what was said until then
SELECT cdp.identify('{"email": "ann@example.com"}', source => 'form', record_key => 'a', observed_at => '2021-02-01', traits => '{"country": "CH", "plan": "trial"}') > 0 AS known;
SELECT at::date, members('german', at) AS german, members('basic', at) AS basic
FROM unnest('{2021-01-31, 2021-02-01}'::timestamptz[]) AS at;
-- one person by two records; identity is that of today
SELECT cdp.create_segment('swiss', $$ profile.country = 'CH' $$);
SELECT cdp.identify('{"email": "dot@example.com"}', source => 'form', record_key => 'd', observed_at => '2021-01-05', traits => '{"country": "CH"}') > 0 AS known;
SELECT members('swiss', '2021-01-10');
SELECT cdp.must_link('email', 'dot@example.com', 'email', 'bob@example.com', 'the same');
CALL cdp.refresh();
SELECT at::date, members('swiss', at) AS swiss FROM unnest('{2021-01-10, 2021-01-31, 2021-02-10}'::timestamptz[]) AS at;

-- a correction without a time of its own was not known before
SELECT pg_sleep(0.01), now() AS before_correction \gset
UPDATE shop.customer SET country = 'IT' WHERE id = 1;
CALL cdp.refresh();
SELECT cdp.create_segment('italian', $$ profile.country = 'IT' $$);
SELECT members('italian', '2021-03-02') AS then, members('italian', :'before_correction') AS before, members('italian', now()) AS now;
-- a record that is gone, and comes back
CREATE TEMPORARY TABLE kept AS SELECT * FROM shop.customer WHERE id = 1;
DELETE FROM shop.customer WHERE id = 1;
CALL cdp.refresh(allow_deletes => true);
SELECT members('italian', now()) AS gone, members('italian', :'before_correction') AS before;
INSERT INTO shop.customer SELECT * FROM kept;
CALL cdp.refresh();
SELECT members('italian', now()) AS back;
-- the same within one transaction, in which the time does not go on
BEGIN;
UPDATE shop.customer SET country = 'ES' WHERE id = 1;
CALL cdp.refresh();
DELETE FROM shop.customer WHERE id = 1;
CALL cdp.refresh(allow_deletes => true);
SELECT members('italian', now()) AS italian, members('swiss', now()) AS swiss, (SELECT count(*) FROM cdp_data.contribution_history WHERE observed_at = now()) AS versions;
ROLLBACK;

-- ---------- what is built on others ----------
SELECT cdp.create_computed_trait('spending', $$ COALESCE(sum(event.amount), 0) $$);
SELECT cdp.create_segment('nested', $$ profile.spending >= 100 AND NOT segment.german $$);
SELECT at::date, members('nested', at) AS nested FROM unnest('{2021-01-20, 2021-02-28, 2021-03-02}'::timestamptz[]) AS at;

-- ---------- what is not known is refused by name ----------
SELECT cdp.create_segment('gold', $$ profile.tier = 'gold' $$);
SELECT members('gold', '2021-02-02');
SELECT cdp.create_segment('among_others', $$ segment.gold OR count(*) > 3 $$);
SELECT members('among_others', '2021-02-02');
SELECT cdp.alter_trait('tier', history => true);
SELECT members('gold', '2021-02-02'), members('among_others', '2021-02-02'), members('gold', '2021-01-31');
SELECT cdp.create_segment('seen', $$ profile.last_seen > now() - interval '10 days' $$);
SELECT members('seen', '2021-02-02');
SELECT cdp.create_segment('ordered', $$ EXISTS (SELECT FROM shop.activity AS a WHERE a.mail = profile.email) $$);
SELECT members('ordered', '2021-02-02');
SELECT cdp.create_segment('evented', $$ (SELECT count(*) FROM cdp.events AS e WHERE e.profile_id = profile.profile_id) > 2 $$);
SELECT members('evented', '2021-02-02');
CREATE FUNCTION shop.is_nice(text) RETURNS boolean LANGUAGE sql STABLE RETURN $1 LIKE 'a%';
SELECT cdp.create_segment('nice', $$ shop.is_nice(profile.email) $$);
SELECT members('nice', '2021-02-02');
CREATE OR REPLACE FUNCTION shop.is_nice(text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 LIKE 'a%';
SELECT members('nice', '2021-02-02');
SELECT cdp.create_segment('chosen', query => 'SELECT profile_id FROM cdp.profiles');
SELECT members('chosen', '2021-02-02');
SELECT cdp.create_segment('on_chosen', $$ NOT segment.chosen $$);
SELECT members('on_chosen', '2021-02-02');
SELECT cdp.create_segment('berlin', $$ count(*) > 1 $$, time_zone => 'Europe/Berlin');
SELECT cdp.create_segment('on_berlin', $$ segment.berlin $$);
SELECT members('on_berlin', '2021-02-02');
SELECT cdp.create_computed_trait('berlin_count', $$ count(*) $$, time_zone => 'Europe/Berlin');
SELECT cdp.create_segment('on_berlin_count', $$ profile.berlin_count > 1 $$);
SELECT members('on_berlin_count', '2021-02-02');
SELECT cdp.create_trait('phone', 'text', history => true);
SELECT cdp.create_segment('callable', $$ profile.phone IS NOT NULL $$);
SELECT members('callable', '2021-02-02');
SELECT * FROM cdp.segment_at('no_such', now());
SELECT * FROM cdp.segment_at(NULL, now());
SELECT * FROM cdp.segment_at('gold', NULL);
SELECT members('silent', '-infinity') AS at_the_beginning, members('spent', 'infinity') AS at_the_end;

-- a record that goes over to another person takes its versions along: whose it is, is known today
UPDATE shop.customer SET mail = 'eve@example.com', country = 'PT', changed_at = '2021-06-01' WHERE id = 2;
CALL cdp.refresh();
SELECT cdp.create_segment('french', $$ profile.country = 'FR' $$);
SELECT cdp.create_segment('portuguese', $$ profile.country = 'PT' $$);
SELECT at::date, members('french', at) AS french, members('portuguese', at) AS portuguese,
       (SELECT result FROM cdp.explain_segment('french', (SELECT profile_id FROM person WHERE name = 'bob'), at) WHERE place = 1) AS bob_is_french
FROM unnest('{2021-05-31, 2021-06-01}'::timestamptz[]) AS at;

-- ---------- now ----------
-- what is not refused comes out now as it is evaluated now
CREATE FUNCTION evaluated(segment text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE format('SELECT string_agg(name, '' '' ORDER BY name) FROM (%s) AS m(id) JOIN person ON profile_id = id', cdp.segment_sql(segment)) INTO result;
    RETURN result;
END $$;
SELECT name, evaluated(name) AS evaluated FROM unnest(ARRAY['spent', 'silent', 'counted', 'recorded', 'german', 'basic', 'nobody_knows', 'swiss', 'italian', 'nested', 'gold', 'aged']) AS name
WHERE evaluated(name) IS DISTINCT FROM members(name, now());
SELECT count(*) FROM unnest(ARRAY['spent', 'silent', 'basic', 'nobody_knows', 'swiss', 'italian', 'nested', 'gold']) AS name WHERE evaluated(name) IS NOT NULL;

-- and as it is stored
CALL cdp.refresh();
SELECT count(*) > 5 AS some_are_members FROM cdp.segment_members;
SELECT s.segment, c.*
FROM unnest(ARRAY['spent', 'silent', 'counted', 'recorded', 'german', 'basic', 'nobody_knows', 'swiss', 'italian', 'nested', 'gold', 'aged', 'clock_date']) AS s(segment)
CROSS JOIN LATERAL (
    SELECT m.profile_id AS is_member, a.id AS evaluated
    FROM (SELECT m.profile_id FROM cdp.segment_members AS m WHERE m.segment = s.segment) AS m FULL JOIN cdp.segment_at(s.segment, now()) AS a(id) ON a.id = m.profile_id
    WHERE m.profile_id IS NULL OR a.id IS NULL) AS c;

-- ---------- rights ----------
CREATE ROLE as_of_reader;
CREATE ROLE as_of_other;
GRANT USAGE ON SCHEMA shop TO as_of_reader;
SET ROLE as_of_other;
SELECT count(*) FROM cdp.segment_at('spent', now());
RESET ROLE;
SELECT cdp.grant_access('as_of_reader', 'reader');
SET ROLE as_of_reader;
SELECT count(*) FROM cdp.segment_at('spent', now());
RESET ROLE;
REVOKE SELECT ON cdp.events FROM as_of_reader;
SET ROLE as_of_reader;
SELECT count(*) FROM cdp.segment_at('spent', now());
RESET ROLE;

DROP FUNCTION members, evaluated;
DROP VIEW person;
DROP SCHEMA shop CASCADE;
SELECT cdp.teardown(false);
DROP OWNED BY as_of_reader, as_of_other;
DROP ROLE as_of_reader, as_of_other;
