-- Real time: what an event, a trait, a merge, a split, a captured row and the clock do to membership, in
-- the transaction that brings them.  After each of them, members are compared with what the compiled
-- statement gives for everybody.
SET client_min_messages = warning;
SELECT cdp.setup() IS NOT NULL AS set_up;
RESET client_min_messages;

SET jit = off;

\getenv directory PG_ABS_SRCDIR
\set file :directory '/property/realtime.sql'
\set ECHO none
\i :file
\set ECHO all
-- What changed since the last time this was asked, by name.
CREATE TABLE seen (change_id bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION news() RETURNS TABLE (segment text, who text, change text, cause text) LANGUAGE sql AS $$
    WITH found AS (SELECT c.* FROM cdp_data.segment_change AS c, seen AS s WHERE c.change_id > s.change_id),
         noted AS (UPDATE seen SET change_id = COALESCE((SELECT max(f.change_id) FROM found AS f), change_id))
    SELECT e.name, (SELECT min(i.value) FROM cdp.identifiers AS i WHERE i.profile_id = n.id) || CASE WHEN n.id <> f.profile_id THEN ' (retired)' ELSE '' END,
           CASE WHEN f.is_entry THEN 'in' ELSE 'out' END, f.cause
    FROM found AS f JOIN cdp_data.expression AS e ON e.expression_id = f.segment_id
    CROSS JOIN LATERAL (SELECT cdp.canonical_id(f.profile_id) OFFSET 0) AS n(id) ORDER BY 1, 2, f.change_id
$$;


SELECT cdp.create_trait('country', 'text');
SELECT cdp.create_trait('plan', 'text');
SELECT cdp.create_computed_trait('purchases', $$ count(*) FILTER (WHERE event.event_name = 'purchase') $$, refresh => 'realtime');
SELECT cdp.create_segment('buyers', $$ profile.purchases >= 2 $$, refresh => 'realtime');
SELECT cdp.create_segment('known_buyers', $$ profile.purchases >= 1 $$, refresh => 'realtime', include_anonymous => false);
SELECT cdp.create_segment('recent', $$ count(*) FILTER (WHERE event.event_name = 'visit' AND event.occurred_at > now() - interval '1 day') > 0 $$, refresh => 'realtime');
SELECT cdp.create_segment('french', $$ profile.country = 'FR' AND NOT segment.buyers $$, refresh => 'realtime');
SELECT cdp.create_segment('frequent', $$ profile.event_count >= 4 $$, refresh => 'realtime');
SELECT cdp.create_segment('writes_to_org', $$ profile.email LIKE '%.org' $$, refresh => 'realtime');
SELECT cdp.create_segment('silent', $$ count(*) FILTER (WHERE event.event_name = 'visit') = 0 $$, refresh => 'realtime');
-- Not evaluated here.
SELECT cdp.create_segment('batch_buyers', $$ profile.purchases >= 1 $$);

-- ---------- events ----------
SELECT cdp.track('{"email": "ann@example.com"}', 'visit', now() - interval '10 days', source => 'web', record_key => 'v1') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT cdp.track('{"email": "ann@example.com"}', 'purchase', '2024-01-01', source => 'web', record_key => 'p1') IS NOT NULL AS tracked;
SELECT * FROM news();
-- Told late, and told twice.
SELECT cdp.track('{"email": "ann@example.com"}', 'purchase', '2023-01-01', source => 'web', record_key => 'p2') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT cdp.track('{"email": "ann@example.com"}', 'purchase', '2023-01-01', source => 'web', record_key => 'p2') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT purchases FROM cdp.profiles;
SELECT * FROM wrong();
-- The version that takes its place has another name.
SELECT cdp.track('{"email": "ann@example.com"}', 'return', '2023-01-01', source => 'web', record_key => 'p2', observed_at => '2023-01-02') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT * FROM wrong();
-- And then it is somebody else's.
SELECT cdp.track('{"email": "bob@example.com"}', 'purchase', '2023-01-01', source => 'web', record_key => 'p1', observed_at => '2024-01-02') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT * FROM wrong();
-- Counts of events, which every event moves.
SELECT cdp.track('{"email": "ann@example.com"}', 'ping', '2023-01-01', source => 'web', record_key => 'n' || i) IS NOT NULL AS tracked FROM generate_series(1, 2) AS i;
SELECT * FROM news();
SELECT * FROM wrong();
SELECT cdp.retract('web', 'n1'), cdp.retract('web', 'p1');
SELECT * FROM news();
SELECT * FROM wrong();

-- ---------- traits ----------
SELECT cdp.identify('{"email": "ann@example.com"}', 'crm', '1', '2024-01-01', '{"country": "FR"}') IS NOT NULL AS identified;
SELECT * FROM news();
SELECT cdp.identify('{"email": "ann@example.com"}', 'crm', '1', '2024-01-02', '{"country": "IT"}') IS NOT NULL AS identified;
SELECT * FROM news();
-- A newer record has another address.
SELECT cdp.identify('{"email": ["ann@example.com", "ann@example.org"]}', 'crm', '2', '2024-01-03') IS NOT NULL AS identified;
SELECT cdp.track('{"email": "ann@example.org"}', 'ping', now() - interval '1 hour', source => 'web', record_key => 'o1') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT cdp.track('{"email": "ann@example.com"}', 'ping', now(), source => 'web', record_key => 'o2') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT * FROM wrong();

-- ---------- people without a name ----------
SELECT cdp.track('{"anonymous_id": "a1"}', 'purchase', '2024-02-01', source => 'web', record_key => 'a1') IS NOT NULL AS tracked;
SELECT cdp.track('{"anonymous_id": "a1"}', 'purchase', '2024-02-02', source => 'web', record_key => 'a2') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT cdp.identify('{"anonymous_id": "a1", "email": "cleo@example.com"}', 'app', '1', '2024-03-01') IS NOT NULL AS identified;
SELECT * FROM news();
SELECT * FROM wrong();

-- ---------- merges and splits ----------
-- Ann has no purchase left; Cleo has two, and the ids become one.
SELECT cdp.identify('{"email": ["ann@example.com", "cleo@example.com"]}', 'app', '2', '2024-03-02') IS NOT NULL AS identified;
SELECT * FROM news();
SELECT * FROM wrong();
SELECT count(*) AS memberships_of_nobody FROM cdp_data.segment_member AS m JOIN cdp_data.profile AS p USING (profile_id) WHERE p.state = 'r';
SELECT cdp.retract('app', '2');
SELECT * FROM news();
SELECT * FROM wrong();
-- By an event that two identifiers share.
SELECT cdp.track('{"anonymous_id": "a1", "email": "dan@example.com"}', 'visit', '2024-03-03', source => 'web', record_key => 'm1') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT * FROM wrong();
-- By labels: those calls do not wait for expressions, whoever closes windows does it.
SELECT cdp.must_link('email', 'ann@example.com', 'email', 'bob@example.com', 'the same desk') IS NOT NULL AS linked;
SELECT count(*) AS put_off FROM cdp_data.expression_due WHERE due_at = '-infinity';
CALL cdp.expire_segments();
SELECT * FROM news();
SELECT count(*) AS put_off FROM cdp_data.expression_due WHERE due_at = '-infinity';
SELECT * FROM wrong();
SELECT cdp.block_identifier('anonymous_id', 'a1');
CALL cdp.expire_segments();
SELECT * FROM news();
SELECT * FROM wrong();
-- A blocked identifier is nobody.
SELECT cdp.track('{"anonymous_id": "a1"}', 'purchase', now(), source => 'web', record_key => 'a9') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT * FROM wrong();

-- ---------- windows that close ----------
SELECT cdp.track('{"email": "eve@example.com"}', 'visit', now() - interval '1 day' + interval '200 milliseconds', source => 'web', record_key => 'e1') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT cdp.track('{"email": "fay@example.com"}', 'visit', now() - interval '1 hour', source => 'web', record_key => 'f1') IS NOT NULL AS tracked;
SELECT * FROM news();
-- Both have a time to be looked at, and nobody else.
SELECT i.value, d.due_at > now() + interval '1 hour' AS later FROM cdp_data.expression_due AS d JOIN cdp.identifiers AS i USING (profile_id) ORDER BY 1;
SELECT pg_sleep(0.25);
CALL cdp.expire_segments();
SELECT * FROM news();
SELECT i.value, d.due_at > now() + interval '1 hour' AS later FROM cdp_data.expression_due AS d JOIN cdp.identifiers AS i USING (profile_id) ORDER BY 1;
SELECT * FROM wrong();
-- An event that happened before the window changes nothing, and none that closed is due.
SELECT cdp.track('{"email": "eve@example.com"}', 'visit', now() - interval '2 days', source => 'web', record_key => 'e2') IS NOT NULL AS tracked;
SELECT * FROM news();
-- In batches of one, and in a transaction block.
SELECT cdp.track(jsonb_build_object('email', 'g' || i || '@example.com'), 'visit', now() - interval '1 day' + interval '100 milliseconds', source => 'web', record_key => 'g' || i) IS NOT NULL AS tracked FROM generate_series(1, 5) AS i;
SELECT pg_sleep(0.15);
CALL cdp.expire_segments(1);
SELECT segment, change, cause, count(*) FROM news() GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
BEGIN;
CALL cdp.expire_segments();
COMMIT;
SELECT * FROM wrong();
CALL cdp.expire_segments(0);
CALL cdp.expire_segments(NULL);

-- ---------- what is put off ----------
SELECT cdp.configure('realtime_max_events', '3');
SELECT cdp.track('{"email": "hal@example.com"}', 'ping', '2024-01-01', source => 'web', record_key => 'h' || i) IS NOT NULL AS tracked FROM generate_series(1, 4) AS i;
SELECT cdp.materialize_profiles() > 0 AS derived;
SELECT * FROM news();
SELECT cdp.track('{"email": "hal@example.com"}', 'purchase', '2024-01-01', source => 'web', record_key => 'h9') IS NOT NULL AS tracked;
SELECT * FROM news();
SELECT i.value FROM cdp_data.expression_due AS d JOIN cdp.identifiers AS i USING (profile_id) WHERE d.due_at = '-infinity';
CALL cdp.expire_segments();
SELECT * FROM news();
SELECT * FROM wrong();
SELECT cdp.configure('realtime_max_events', NULL);
-- A snapshot that does not show what others commit.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cdp.track('{"email": "ida@example.com"}', 'purchase', '2024-01-01', source => 'web', record_key => 'i1') IS NOT NULL AS tracked;
SELECT cdp.evaluate_profiles(ARRAY[cdp.resolve('email', 'ida@example.com')]);
COMMIT;
SELECT * FROM news();
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL cdp.expire_segments();
ROLLBACK;
-- outside of one, whatever the session prefers, also when the expressions are read anew
SET default_transaction_isolation = 'serializable';
SELECT cdp.configure('realtime_max_events', '5000');
CALL cdp.expire_segments();
RESET default_transaction_isolation;
SELECT cdp.configure('realtime_max_events', NULL);
SELECT * FROM news();
SELECT * FROM wrong();

-- ---------- an expression that fails ----------
SELECT cdp.create_segment('fragile', $$ 10 / (count(*) FILTER (WHERE event.event_name = 'purchase') - 3) < 0 $$, refresh => 'realtime');
SELECT cdp.track('{"email": "jim@example.com"}', 'purchase', '2024-01-01', source => 'web', record_key => 'j' || i) IS NOT NULL AS tracked FROM generate_series(1, 3) AS i;
SELECT * FROM news();
SELECT name, status, error, sqlstate FROM cdp.segments WHERE status = 'failed';
-- It is left alone, and the others go on.
SELECT cdp.track('{"email": "jim@example.com"}', 'visit', '2024-01-01', source => 'web', record_key => 'j4') IS NOT NULL AS tracked;
SELECT cdp.retract('web', 'j2'), cdp.retract('web', 'j3');
SELECT * FROM news();
SELECT * FROM wrong();
-- What an error says of a value is not repeated.
SELECT cdp.create_segment('cast', $$ max((event.properties->>'amount')::numeric) > 5 $$, refresh => 'realtime');
SELECT cdp.track('{"email": "kim@example.com"}', 'order', '2024-01-01', '{"amount": "secret"}', source => 'web', record_key => 'k1') IS NOT NULL AS tracked;
SELECT name, error, sqlstate FROM cdp.segments WHERE name = 'cast';
SELECT cdp.drop_segment('fragile'), cdp.drop_segment('cast');

-- ---------- the function ----------
SELECT cdp.evaluate_profiles(NULL);
SELECT cdp.evaluate_profiles('{1}', cause => NULL);
SELECT cdp.evaluate_profiles('{1,NULL,999999}', '{NULL,999999}'), cdp.evaluate_profiles('{}');
-- What is evaluated by refreshes alone can be asked for.
SELECT cdp.evaluate_profiles(ARRAY[cdp.resolve('email', 'ida@example.com')], ARRAY(SELECT expression_id FROM cdp_data.expression WHERE name = 'batch_buyers'), 'batch');
SELECT * FROM news();
SELECT cdp.evaluate_profiles(ARRAY(SELECT profile_id FROM cdp.profiles)) AS nothing_is_left;

-- ---------- captured rows ----------
CREATE TABLE shop_order (id bigint PRIMARY KEY, email text, cookie text, at timestamptz, what text);
SELECT cdp.create_source('orders', 'shop_order', record_key => 'id', occurred_at => 'at', event_name => 'what', identifiers => 'email, cookie AS anonymous_id', capture => 'immediate');
CREATE TABLE contact (id bigint PRIMARY KEY, email text, country text);
SELECT cdp.create_source('contacts', 'contact', record_key => 'id', identifiers => 'email', traits => 'country', capture => 'immediate');
INSERT INTO shop_order VALUES (1, 'leo@example.com', NULL, '2024-01-01', 'purchase'), (2, 'leo@example.com', NULL, '2024-01-02', 'purchase'), (3, NULL, 'c3', '2024-01-02', 'purchase');
SELECT * FROM news();
SELECT * FROM wrong();
UPDATE shop_order SET what = 'return' WHERE id = 2;
SELECT * FROM news();
UPDATE shop_order SET what = 'purchase' WHERE id = 2;
UPDATE shop_order SET email = 'max@example.com' WHERE id = 2;
SELECT * FROM news();
SELECT * FROM wrong();
-- A row that joins two people, and then does not.
UPDATE shop_order SET email = 'leo@example.com' WHERE id = 3;
SELECT * FROM news();
SELECT * FROM wrong();
UPDATE shop_order SET email = NULL WHERE id = 3;
SELECT * FROM news();
SELECT * FROM wrong();
INSERT INTO contact VALUES (1, 'leo@example.com', 'FR'), (2, 'max@example.com', 'IT');
SELECT * FROM news();
UPDATE contact SET country = CASE country WHEN 'FR' THEN 'IT' ELSE 'FR' END;
SELECT * FROM news();
SELECT * FROM wrong();
DELETE FROM shop_order;
DELETE FROM contact;
SELECT * FROM news();
SELECT * FROM wrong();
-- An evaluation for everybody straight after a merge: whoever retired is a person no more.
SELECT cdp.track('{"email": "nina@example.com"}', 'view', now(), source => 'web', record_key => 'nina1') IS NOT NULL AS tracked;
SELECT cdp.track('{"anonymous_id": "nina-phone"}', 'view', now(), source => 'web', record_key => 'nina2') IS NOT NULL AS tracked;
CALL cdp.refresh_segments(on_error => 'report');
SELECT cdp.identify('{"email": "nina@example.com", "anonymous_id": "nina-phone"}', 'crm', 'nina3', now()) IS NOT NULL AS identified;
SELECT count(*) AS retired_people FROM cdp.profiles WHERE cdp.canonical_id(profile_id) <> profile_id;
CALL cdp.refresh_segments(on_error => 'report');
SELECT count(*) AS retired_members FROM cdp.segment_members WHERE cdp.canonical_id(profile_id) <> profile_id;
SELECT * FROM news();
SELECT * FROM wrong();
SELECT count(*) AS rejected FROM cdp.rejected_records;

SET client_min_messages = warning;
DROP FUNCTION wrong, news;
DROP TABLE seen, shop_order, contact;
SELECT cdp.teardown(false);
RESET client_min_messages;
