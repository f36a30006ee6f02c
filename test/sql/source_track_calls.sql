-- Direct calls: cdp.track, and cdp.identify with traits.

\set VERBOSITY default
SET client_min_messages = warning;
SELECT cdp.setup();
SET TimeZone = 'UTC';
SET search_path = public, cdp;
SELECT cdp.configure('time_zone', 'Europe/Paris');

-- What is stored of the events, and who they belong to.
CREATE VIEW tracked AS
    SELECT i.profile_id, n.name AS hub, e.source, e.record_key, e.event_name, e.occurred_at, e.observed_at, e.properties
    FROM cdp_data.event AS e JOIN cdp_data.identifier AS i ON i.id = e.hub JOIN cdp_data.namespace AS n ON n.namespace_id = i.namespace_id
    ORDER BY e.source, e.record_key;

-- ---------- one event ----------
SELECT cdp.track('{"anonymous_id": "a1"}', 'page_view', '2024-01-01 10:00+00', '{"path": "/"}', record_key => '1', observed_at => '2024-01-01 10:00+00') AS profile_id;
SELECT * FROM tracked;
-- It is its own evidence.
SELECT count(*) AS records FROM cdp_data.record;
-- The same again changes nothing, not even the row's place.
SELECT ctid AS place FROM cdp_data.event WHERE record_key = '1' \gset
DELETE FROM cdp_data.changed_profile;
SELECT cdp.track('{"anonymous_id": "a1"}', 'page_view', '2024-01-01 10:00+00', '{"path": "/"}', record_key => '1', observed_at => '2024-01-01 10:00+00') AS profile_id;
SELECT ctid = :'place' AS unchanged FROM cdp_data.event;
SELECT count(*) AS queued FROM cdp_data.changed_profile;
-- At the same time, and later, a version replaces what is stored.
SELECT cdp.track('{"anonymous_id": "a1"}', 'page_view', '2024-01-01 10:00+00', '{"path": "/home"}', record_key => '1', observed_at => '2024-01-01 10:00+00') AS profile_id;
SELECT cdp.track('{"anonymous_id": "a1"}', 'page_left', '2024-01-01 10:05+00', '{"path": "/home"}', record_key => '1', observed_at => '2024-01-02 10:00+00') AS profile_id;
SELECT * FROM tracked;
-- An earlier one does not.
SELECT cdp.track('{"anonymous_id": "other"}', 'page_view', '2024-01-01 10:00+00', record_key => '1', observed_at => '2024-01-01 12:00+00') AS profile_id;
SELECT event_name, properties FROM tracked;
-- Without a time of its own, a version has the one that is stored.
SELECT cdp.track('{"anonymous_id": "a1"}', 'page_seen', '2024-01-01 10:05+00', record_key => '1') AS profile_id;
SELECT event_name, properties, observed_at FROM tracked;
-- A new event without one is as old as what happened, which is now unless it is said.
BEGIN;
SELECT cdp.track('{"anonymous_id": "a1"}', 'login', source => 'app', record_key => '1') AS profile_id;
SELECT occurred_at = now() AS occurred_now, observed_at = now() AS observed_now FROM tracked WHERE source = 'app';
COMMIT;
SELECT cdp.track('{"anonymous_id": "a1"}', 'login', '2023-12-24', source => 'app', record_key => '0') AS profile_id;
SELECT occurred_at, observed_at FROM tracked WHERE source = 'app' AND record_key = '0';
-- What it says about when that happened can be corrected, to an earlier time as well.
SELECT cdp.track('{"anonymous_id": "a1"}', 'login', '2023-12-23', source => 'app', record_key => '0') AS profile_id;
SELECT occurred_at, observed_at FROM tracked WHERE source = 'app' AND record_key = '0';
-- Without a key each call is an event of its own.
SELECT cdp.track('{"anonymous_id": "a1"}', 'click', '2024-01-03', source => 'clicks'), cdp.track('{"anonymous_id": "a1"}', 'click', '2024-01-03', source => 'clicks');
SELECT count(*) AS events, count(DISTINCT record_key) AS keys, min(length(record_key)) AS length FROM tracked WHERE source = 'clicks';

-- ---------- identities ----------
-- Several identifiers are evidence like those of any record.
SELECT cdp.track('{"anonymous_id": "a1", "email": "Ann@Example.org"}', 'sign_up', '2024-01-04', record_key => '2', observed_at => '2024-01-04') AS profile_id;
SELECT hub, profile_id FROM tracked WHERE record_key = '2';
SELECT source, record_key, observed_at, cardinality(ids) AS identifiers FROM cdp_data.record;
SELECT cdp.resolve('email', 'ann@example.org') = cdp.resolve('anonymous_id', 'a1') AS one_person;
-- A correction takes them apart again.
SELECT cdp.track('{"anonymous_id": "a1"}', 'sign_up', '2024-01-04', record_key => '2', observed_at => '2024-01-05') AS profile_id;
SELECT hub, profile_id FROM tracked WHERE record_key = '2';
SELECT cdp.resolve('email', 'ann@example.org') = cdp.resolve('anonymous_id', 'a1') AS one_person;
-- An event moves from one person to another, and both are to be derived again.
DELETE FROM cdp_data.changed_profile;
SELECT cdp.track('{"email": "bob@example.org"}', 'login', '2024-01-05', source => 'app', record_key => '2', observed_at => '2024-01-05') AS bob \gset
DELETE FROM cdp_data.changed_profile;
SELECT cdp.track('{"email": "cat@example.org"}', 'login', '2024-01-05', source => 'app', record_key => '2', observed_at => '2024-01-06') AS cat \gset
SELECT count(*) AS to_derive
FROM (SELECT q.profile_id FROM cdp_data.changed_profile AS q WHERE q.profile_id > 0
      UNION SELECT i.profile_id FROM cdp_data.changed_profile AS q JOIN cdp_data.identifier AS i ON i.id = - q.profile_id) AS q
WHERE q.profile_id IN (:bob, :cat);
-- From several identifiers to one and back.
SELECT cdp.track('{"email": "dan@example.org", "phone": "+33 6 12 34 56 78"}', 'login', '2024-01-05', source => 'app', record_key => '3', observed_at => '2024-01-05') =
       cdp.track('{"phone": "+33612345678"}', 'call', '2024-01-06', source => 'app', record_key => '4', observed_at => '2024-01-06') AS same_person;
SELECT * FROM cdp.check_identities();
SELECT cdp.retract('app', '3') AS retracted;
SELECT count(*) AS events FROM cdp_data.event WHERE source = 'app' AND record_key = '3';

-- ---------- rejected ----------
SELECT cdp.track('{"email": "nobody"}', 'login', '2024-01-01', source => 'app', record_key => '9', observed_at => '2024-01-01') AS profile_id;
SELECT source, record_key, observed_at, reason, identifiers FROM cdp.rejected_records;
SELECT cdp.track('{"email": "nobody@example.org"}', 'login', '2024-01-01', source => 'app', record_key => '9', observed_at => '2024-01-01') IS NOT NULL AS accepted;
SELECT cdp.track('{"email": "nobody@example.org"}', 'login', '2024-01-01', source => 'app', record_key => '9', observed_at => '2024-01-01') IS NOT NULL AS accepted;
SELECT count(*) AS rejected FROM cdp.rejected_records;
SELECT cdp.track(NULL, 'login');
SELECT cdp.track('{"email": "a@example.org"}', NULL);
SELECT cdp.track('{"email": "a@example.org"}', '');
SELECT cdp.track('{"email": "a@example.org"}', 'login', 'infinity');
SELECT cdp.track('{"email": "a@example.org"}', 'login', now(), '[1]');
SELECT cdp.track('{"email": "a@example.org"}', 'login', now(), NULL, NULL);
SELECT cdp.track('{"email": "a@example.org"}', 'login', observed_at => '-infinity');
SELECT cdp.track('{"mail": "a@example.org"}', 'login');
SELECT cdp.track('{"email": {"a": 1}}', 'login');
BEGIN READ ONLY;
SELECT cdp.track('{"email": "a@example.org"}', 'login');
ROLLBACK;

-- ---------- declared properties ----------
-- A source of events declares them.
CREATE TABLE shop_order (id bigint PRIMARY KEY, email text, at timestamptz, amount numeric, items bigint, gift boolean, weight double precision, due timestamptz, note text, tags jsonb);
SELECT cdp.create_source('shop', 'shop_order', record_key => 'id', occurred_at => 'at', event_name => $$'order'$$, identifiers => 'email',
    properties => 'amount, items, gift, weight, due, note, tags');
-- The next call knows the columns.
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', source => 'till', record_key => '1',
    properties => '{"amount": 12.50, "items": 3, "gift": true, "weight": 1.25, "due": "2024-02-03T10:00:00+01:00", "note": "fragile", "tags": ["a", 1], "till": 7}') IS NOT NULL AS accepted;
-- Texts serve where they say the same; times without a zone are read in the zone of the option time_zone.
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', source => 'till', record_key => '2',
    properties => '{"amount": "12.50", "items": "3", "gift": "yes", "weight": "1e3", "due": "2024-07-03 10:00", "note": 17, "tags": "x"}') IS NOT NULL AS accepted;
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', source => 'till', record_key => '3',
    properties => '{"items": 3.0, "note": {"b": 1}, "gift": null, "amount": null}') IS NOT NULL AS accepted;
-- What does not fit its column stays under its name in properties; nothing is rounded.
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', source => 'till', record_key => '4',
    properties => '{"amount": "much", "items": 3.5, "gift": 1, "weight": "heavy", "due": "soon", "note": null, "x": null}') IS NOT NULL AS accepted;
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', source => 'till', record_key => '5',
    properties => '{"amount": [1], "items": 9223372036854775808, "gift": "maybe", "weight": "1e400", "due": 20240203, "tags": {"k": [null]}}') IS NOT NULL AS accepted;
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', source => 'till', record_key => '6',
    properties => '{"items": "-9223372036854775808", "amount": "NaN", "weight": "0x10"}') IS NOT NULL AS accepted;
SELECT record_key, amount, items, gift, weight, due, note, tags, properties FROM cdp_data.event WHERE source = 'till' ORDER BY record_key;
-- A replacement empties what it does not say.
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', '{"amount": 13}', 'till', '1') IS NOT NULL AS accepted;
SELECT amount, items, note, properties FROM cdp_data.event WHERE source = 'till' AND record_key = '1';
-- A column that comes while the session goes on.
SELECT cdp.alter_source('shop', properties => 'amount, items, gift, weight, due, note, tags, 1 AS till');
SELECT cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', '{"amount": 13, "till": 8}', 'till', '7') IS NOT NULL AS accepted;
SELECT amount, till, properties FROM cdp_data.event WHERE source = 'till' AND record_key = '7';
-- No wrong value fails the caller's transaction.
BEGIN;
SELECT count(cdp.track('{"email": "ann@example.org"}', 'order', '2024-02-01', jsonb_build_object('due', CASE WHEN i % 2 = 0 THEN 'soon' ELSE '2024-01-01' END), 'many')) AS tracked
FROM generate_series(1, 1000) AS i;
SELECT count(due) AS dates, count(properties) AS others FROM cdp_data.event WHERE source = 'many';
ROLLBACK;
SELECT cdp.drop_source('shop');

-- ---------- traits ----------
SELECT cdp.create_trait('signed_up', 'timestamptz');
SELECT cdp.create_trait('orders', 'bigint');
SELECT cdp.create_trait('country', 'text', survivorship => 'priority', sources => ARRAY['crm', 'app']);
SELECT cdp.create_trait('plan', 'text', history => true);
CREATE VIEW people AS SELECT profile_id, email, crm_id, signed_up, orders, country, plan, record_count FROM cdp.profiles WHERE crm_id IS NOT NULL OR country IS NOT NULL ORDER BY profile_id;
SELECT cdp.identify('{"email": "eve@example.org", "crm_id": 5}', 'crm', '5', '2024-03-01',
    traits => '{"signed_up": "2024-02-01 10:00", "orders": "12", "country": "FR", "plan": "free", "nickname": "Evi"}') AS eve \gset
-- The row of the person is there in the same transaction.
SELECT signed_up, orders, country, plan, record_count FROM people WHERE profile_id = :eve;
SELECT value -> 'nickname' AS nickname, value ->> 'signed_up' AS signed_up FROM cdp.profile_values WHERE profile_id = :eve;
-- A newer version replaces all that the record said; an older one says nothing; without traits they stay.
SELECT cdp.identify('{"email": "eve@example.org", "crm_id": 5}', 'crm', '5', '2024-03-02', traits => '{"country": "DE", "plan": "gold", "orders": 1.5}') = :eve AS same;
-- A value that does not fit its type is left out, and said so, until the record comes with another.
SELECT source, record_key, reason, detail FROM cdp.rejected_records;
SELECT value ? 'orders' AS has_orders FROM cdp.profile_values WHERE profile_id = :eve;
SELECT cdp.identify('{"email": "eve@example.org", "crm_id": 5}', 'crm', '5', '2024-01-02', traits => '{"country": "XX"}') = :eve AS same;
SELECT cdp.identify('{"email": "eve@example.org", "crm_id": 5}', 'crm', '5', '2024-03-03') = :eve AS same;
SELECT signed_up, orders, country, plan, record_count FROM people WHERE profile_id = :eve;
SELECT cdp.identify('{"email": "eve@example.org", "crm_id": 5}', 'crm', '5', '2024-03-03', traits => '{"country": "DE", "plan": "gold", "orders": "15"}') = :eve AS same;
SELECT count(*) AS rejected FROM cdp.rejected_records;
SELECT observed_at, traits ->> 'plan' AS plan FROM cdp_data.contribution_history ORDER BY observed_at;
-- Two records of a person, by the policy of the trait.
SELECT cdp.identify('{"email": "eve@example.org"}', 'app', 'e', '2024-06-01', traits => '{"country": "IT", "orders": 4}') = :eve AS same;
SELECT orders, country, record_count FROM people WHERE profile_id = :eve;
-- The record moves to somebody else, and takes its traits along.
SELECT cdp.identify('{"email": "fay@example.org"}', 'app', 'e', '2024-06-02', traits => '{"country": "IT", "orders": 4}') AS fay \gset
SELECT email, orders, country FROM people;
SELECT cdp.retract('crm', '5') AS retracted;
SELECT cdp.materialize_profiles() >= 0 AS derived;
SELECT email, orders, country FROM people;
-- Two people turn out to be one: the row of the id that retires goes in the same transaction.
SELECT cdp.identify('{"email": "gil@example.org"}', 'app', 'g', '2024-06-03', traits => '{"country": "FR"}') AS gil \gset
SELECT cdp.identify('{"crm_id": 9}', 'crm', '9', '2024-06-03', traits => '{"orders": 7}') <> :gil AS somebody_else;
SELECT cdp.identify('{"email": "gil@example.org", "crm_id": 9}', 'app', 'h', '2024-06-04', traits => '{"country": "PT"}') AS gil \gset
SELECT profile_id = :gil AS same, email, orders, country, record_count FROM people WHERE email = 'gil@example.org' OR orders = 7;
SELECT count(*) AS values FROM cdp.profile_values WHERE value @> '{"orders": 7}' OR value @> '{"country": "PT"}';
-- So it does where no traits are said: who took over has at once what both held.
SELECT cdp.materialize_profiles() >= 0 AS derived;
SELECT cdp.track('{"anonymous_id": "hal-phone"}', 'login', '2024-06-05', source => 'web', record_key => 'h1') IS NOT NULL AS tracked;
SELECT cdp.identify('{"email": "hal@example.org"}', 'app', 'hal', '2024-06-05', traits => '{"country": "NL"}') IS NOT NULL AS identified;
SELECT cdp.materialize_profiles() >= 0 AS derived;
CREATE VIEW joined AS SELECT email, anonymous_id, crm_id, country, event_count AS events, record_count AS records FROM cdp.profiles
WHERE email = 'hal@example.org' OR anonymous_id = 'hal-phone' OR crm_id = '11' ORDER BY email, anonymous_id, crm_id;
TABLE joined;
SELECT cdp.track('{"anonymous_id": "hal-phone", "email": "hal@example.org"}', 'login', '2024-06-06', source => 'web', record_key => 'h2') IS NOT NULL AS tracked;
TABLE joined;
SELECT cdp.identify('{"crm_id": 11}', 'crm', '11', '2024-06-05', traits => '{"country": "BE"}') IS NOT NULL AS identified;
TABLE joined;
SELECT cdp.identify('{"crm_id": 11, "email": "hal@example.org"}', 'app', 'hal2', '2024-06-06') IS NOT NULL AS identified;
TABLE joined;
SELECT count(*) AS values, count(*) FILTER (WHERE value @> '{"country": "NL"}') AS of_hal FROM cdp.profile_values WHERE profile_id IN (SELECT profile_id FROM cdp.profiles WHERE email = 'hal@example.org');
SELECT cdp.materialize_profiles() AS changed;
-- Under a snapshot the rows wait for the next refresh, which finds them.
SELECT cdp.track('{"anonymous_id": "hal-tablet"}', 'login', '2024-06-05', source => 'web', record_key => 'h3') IS NOT NULL AS tracked;
SELECT cdp.materialize_profiles() AS changed;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cdp.track('{"anonymous_id": "hal-tablet", "email": "hal@example.org"}', 'login', '2024-06-06', source => 'web', record_key => 'h4') IS NOT NULL AS tracked;
COMMIT;
SELECT count(*) AS rows, sum(event_count) AS events FROM cdp.profiles WHERE email = 'hal@example.org' OR anonymous_id = 'hal-tablet';
SELECT cdp.materialize_profiles() AS changed;
SELECT count(*) AS rows, sum(event_count) AS events FROM cdp.profiles WHERE email = 'hal@example.org' OR anonymous_id = 'hal-tablet';
-- What is taken back rolls back with it.
BEGIN;
SELECT cdp.track('{"anonymous_id": "hal-watch"}', 'login', '2024-06-05', source => 'web', record_key => 'h5') IS NOT NULL AS tracked;
SELECT cdp.materialize_profiles(ARRAY[cdp.resolve('anonymous_id', 'hal-watch')]) AS changed;
SAVEPOINT before;
SELECT cdp.identify('{"anonymous_id": "hal-watch", "email": "hal@example.org"}', 'app', 'hal3', '2024-06-06') IS NOT NULL AS identified;
SELECT count(*) AS rows FROM cdp.profiles WHERE email = 'hal@example.org' OR anonymous_id = 'hal-watch';
ROLLBACK TO before;
SELECT count(*) AS rows FROM cdp.profiles WHERE email = 'hal@example.org' OR anonymous_id = 'hal-watch';
COMMIT;
DROP VIEW joined;
SELECT cdp.identify('{"email": "eve@example.org"}', 'crm', '5', traits => '["FR"]');
SELECT cdp.identify('{"email": "eve"}', 'crm', '5', traits => '{"country": "FR"}') AS rejected;

-- ---------- rights ----------
CREATE ROLE regress_track_writer;
SET ROLE regress_track_writer;
SELECT cdp.track('{"email": "ann@example.org"}', 'login');
RESET ROLE;
SELECT cdp.grant_access('regress_track_writer', 'writer');
SET ROLE regress_track_writer;
SELECT cdp.track('{"email": "ann@example.org"}', 'login') IS NOT NULL AS accepted;
SELECT cdp.identify('{"email": "ann@example.org"}', 'app', 'w', traits => '{"country": "ES"}') IS NOT NULL AS accepted;
RESET ROLE;

SELECT * FROM cdp.check_identities();
DROP VIEW tracked, people;
DROP TABLE shop_order;
SELECT cdp.teardown(false);
DROP OWNED BY regress_track_writer;
DROP ROLE regress_track_writer;
