-- Refreshing segments and computed traits: the first evaluation, changes only, order, queries, merges, small databases, transaction blocks.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CALL cdp.refresh_segments();
SELECT cdp.setup() IS NOT NULL AS set_up;

-- Nobody, and nothing to evaluate.
CALL cdp.refresh_segments();
CALL cdp.refresh_segments('{}');
CALL cdp.refresh_segments(ARRAY['nobody']);
CALL cdp.refresh_segments(on_error => 'ignore');
SELECT cdp.create_segment('everybody', 'true');
SELECT cdp.create_segment('quiet', 'count(*) = 0');
CALL cdp.refresh();
SELECT name, members, status, evaluated_at IS NOT NULL AS evaluated FROM cdp.segments ORDER BY name;
SELECT step, status, rows_read, records_new, retracted FROM cdp.refresh_log WHERE step = 'segments';

-- One person without events.
CREATE SCHEMA shop;
CREATE TABLE shop.person (id bigint PRIMARY KEY, email text, phone text, country text, changed timestamptz);
CREATE TABLE shop.sale (id bigint PRIMARY KEY, email text, anonymous text, name text, amount numeric, at timestamptz);
SELECT cdp.create_source('people', 'shop.person', record_key => 'id', observed_at => 'changed', identifiers => 'email, phone', traits => 'country');
SELECT cdp.create_source('sales', 'shop.sale', record_key => 'id', occurred_at => 'at', event_name => 'name', identifiers => 'email, anonymous AS anonymous_id', properties => 'amount');
INSERT INTO shop.person VALUES (1, 'ann@example.org', NULL, 'US', '2026-01-01');
CALL cdp.refresh();
SELECT segment, p.email FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) ORDER BY 1, 2;
SELECT step, status, rows_read, records_new, retracted FROM cdp.refresh_log WHERE step = 'segments' ORDER BY log_id DESC LIMIT 1;

-- Some more, with events.
INSERT INTO shop.person VALUES (2, 'bob@example.org', NULL, 'DE', '2026-01-02'), (3, 'cem@example.org', NULL, 'DE', '2026-01-03'), (4, 'dora@example.org', '+15550100004', 'FR', '2026-01-04');
INSERT INTO shop.sale VALUES (1, 'ann@example.org', NULL, 'sale', 10, '2026-02-01'), (2, 'ann@example.org', NULL, 'sale', 20, '2026-02-02'), (3, 'bob@example.org', NULL, 'sale', 5, '2026-02-03'),
    (4, 'bob@example.org', NULL, 'return', 5, '2026-02-04'), (5, NULL, 'browser-1', 'visit', NULL, '2026-02-05');
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'sale') $$);
SELECT cdp.create_computed_trait('names', $$ array_agg(DISTINCT event.event_name ORDER BY event.event_name) $$);
SELECT cdp.create_computed_trait('latest', $$ max(event.occurred_at)::date $$);
SELECT cdp.create_segment('buyers', 'profile.spent > 0');
SELECT cdp.create_segment('big', $$ segment.buyers AND profile.spent >= 30 AND profile.country = 'US' $$);
SELECT cdp.create_segment('known_quiet', 'NOT segment.buyers', include_anonymous => false);
SELECT cdp.create_segment('unsaid', 'profile.spent > 7');    -- NULL for who bought nothing
SELECT place, (SELECT array_agg(e.name ORDER BY e.name) FROM cdp_data.expression AS e WHERE e.expression_id = ANY (p.expression_ids)) AS names FROM cdp.plan_evaluation(NULL) AS p ORDER BY place;
CREATE TEMPORARY VIEW now_in AS
SELECT m.segment, string_agg(COALESCE(p.email, p.anonymous_id), ' ' ORDER BY COALESCE(p.email, p.anonymous_id) COLLATE "C") AS members
FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) GROUP BY m.segment;
CREATE TEMPORARY VIEW changes AS
SELECT c.segment, c.change, c.cause, COALESCE(p.email, p.anonymous_id) AS who FROM cdp.segment_changes AS c LEFT JOIN cdp.profiles AS p USING (profile_id);
CREATE TEMPORARY TABLE seen AS SELECT max(change_id) AS change_id FROM cdp_data.segment_change;
CREATE TEMPORARY VIEW news AS
SELECT e.name AS segment, c.is_entry, c.cause, COALESCE(p.email, p.anonymous_id, CASE WHEN p.profile_id IS NULL THEN 'retired' END) AS who
FROM cdp_data.segment_change AS c JOIN cdp_data.expression AS e ON e.expression_id = c.segment_id LEFT JOIN cdp.profiles AS p USING (profile_id)
WHERE c.change_id > (SELECT change_id FROM seen) ORDER BY 1, 2, 4;
CALL cdp.refresh();
TABLE now_in ORDER BY 1;
TABLE news;
SELECT email, spent, names, latest FROM cdp.profiles ORDER BY email COLLATE "C" NULLS LAST;

-- The same again writes nothing.
UPDATE seen SET change_id = (SELECT max(change_id) FROM cdp_data.segment_change);
SELECT array_agg((xmin, ctid)::text ORDER BY ctid) AS rows_before FROM cdp_data.profile_row \gset
CALL cdp.refresh_segments();
TABLE news;
SELECT array_agg((xmin, ctid)::text ORDER BY ctid) = :'rows_before' AS same_rows FROM cdp_data.profile_row;
SELECT rows_read, records_new, records_changed, retracted FROM cdp.refresh_log ORDER BY log_id DESC LIMIT 1;

-- Changes only.
INSERT INTO shop.sale VALUES (6, 'cem@example.org', NULL, 'sale', 7, '2026-02-06');
UPDATE shop.sale SET amount = 8, at = at + interval '1 minute' WHERE id = 3;
DELETE FROM shop.sale WHERE id = 2;
CALL cdp.refresh(allow_deletes => true);
TABLE news;
SELECT email, spent FROM cdp.profiles WHERE spent IS NOT NULL ORDER BY email;
SELECT rows_read, records_new, records_changed, retracted FROM cdp.refresh_log WHERE step = 'segments' ORDER BY log_id DESC LIMIT 1;
-- a value that is equal and looks otherwise is written all the same
UPDATE shop.sale SET amount = 8.00, at = at + interval '1 minute' WHERE id = 3;
CALL cdp.refresh(ARRAY['sales']);
SELECT email, spent FROM cdp.profiles WHERE email LIKE 'bob%';

-- A definition that changes says so.
UPDATE seen SET change_id = (SELECT max(change_id) FROM cdp_data.segment_change);
SELECT cdp.alter_segment('big', $$ profile.spent >= 8 $$);
CALL cdp.refresh_segments(ARRAY['big']);
TABLE news;
SELECT name, status, members FROM cdp.segments ORDER BY name;

-- Merges: the retired id leaves, for that reason.
UPDATE seen SET change_id = (SELECT max(change_id) FROM cdp_data.segment_change);
INSERT INTO shop.sale VALUES (7, 'dora@example.org', 'browser-1', 'sale', 40, '2026-02-07');
CALL cdp.refresh(ARRAY['sales']);
TABLE news;
TABLE now_in ORDER BY 1;
SELECT m.segment, m.profile_id FROM cdp.segment_members AS m WHERE NOT EXISTS (SELECT FROM cdp.profiles AS p WHERE p.profile_id = m.profile_id);

-- Queries: NULLs, duplicates, retired and unknown ids, other types.
SELECT profile_id AS ann FROM cdp.profiles WHERE email LIKE 'ann%' \gset
SELECT profile_id AS dora FROM cdp.profiles WHERE email LIKE 'dora%' \gset
SELECT min(p.profile_id) AS retired FROM cdp_data.profile AS p WHERE p.state = 'r' \gset
CREATE TABLE public.picked (id numeric, label text);
INSERT INTO public.picked VALUES (:ann, 'ann'), (:ann, 'again'), (NULL, 'none'), (:retired, 'retired'), (987654321, 'unknown'), (-5, 'negative'), (0, 'zero');
SELECT cdp.create_segment('picked', query => 'SELECT id::bigint FROM public.picked');
SELECT cdp.create_segment('small_ids', query => 'SELECT id::integer AS profile_id FROM public.picked');
SELECT cdp.create_segment('via_segment', query => $$ SELECT m.profile_id FROM cdp.segment_members AS m WHERE m.segment = 'buyers' $$);
SELECT cdp.create_segment('picked_buyers', 'segment.picked AND segment.buyers');
CALL cdp.refresh_segments(ARRAY['picked_buyers', 'small_ids', 'via_segment']);
SELECT * FROM now_in WHERE segment IN ('picked', 'small_ids', 'via_segment', 'picked_buyers') ORDER BY 1;
DELETE FROM public.picked WHERE label = 'retired';
CALL cdp.refresh();
SELECT * FROM now_in WHERE segment IN ('picked', 'small_ids', 'picked_buyers') ORDER BY 1;

-- Only the people who are known.
SELECT cdp.create_segment('all_known', query => 'SELECT profile_id FROM cdp.profiles', include_anonymous => false);
SELECT cdp.create_segment('all_people', query => 'SELECT profile_id FROM cdp.profiles');
INSERT INTO shop.sale VALUES (8, NULL, 'browser-2', 'visit', NULL, '2026-02-08');
CALL cdp.refresh();
SELECT segment, count(*), count(*) FILTER (WHERE p.is_known) AS known FROM cdp.segment_members JOIN cdp.profiles AS p USING (profile_id) WHERE segment LIKE 'all%' GROUP BY segment ORDER BY segment;

-- A merge of which cdp.profiles does not know yet: whoever retired leaves all the same.
SELECT cdp.stitch('desk', $$ SELECT 'd1' AS record_key, now() AS observed_at, 'dora@example.org' AS email, 'browser-2' AS anonymous_id $$) IS NOT NULL AS stitched;
UPDATE seen SET change_id = (SELECT max(change_id) FROM cdp_data.segment_change);
SELECT count(*) AS retired_people FROM cdp.profiles WHERE cdp.canonical_id(profile_id) <> profile_id;
CALL cdp.refresh_segments();
SELECT count(*) AS retired_members FROM cdp.segment_members WHERE cdp.canonical_id(profile_id) <> profile_id;
SELECT segment, is_entry, cause FROM news;
SELECT cdp.retract('desk', 'd1');
CALL cdp.refresh();

-- Windows that close between two refreshes, and when to look again.
SELECT cdp.create_segment('lately', $$ count(*) FILTER (WHERE event.occurred_at > now() - interval '1 day') > 0 $$, refresh => 'realtime');
INSERT INTO shop.sale VALUES (9, 'bob@example.org', NULL, 'visit', NULL, now() - interval '23 hours'), (10, 'ann@example.org', NULL, 'visit', NULL, now() - interval '25 hours');
CALL cdp.refresh();
SELECT * FROM now_in WHERE segment = 'lately';
SELECT p.email, d.due_at BETWEEN now() + interval '50 minutes' AND now() + interval '70 minutes' AS in_an_hour FROM cdp_data.expression_due AS d JOIN cdp.profiles AS p USING (profile_id) ORDER BY 1;
-- a bound that is too early is put right, one that is too late too
UPDATE cdp_data.expression_due SET due_at = '-infinity';
INSERT INTO cdp_data.expression_due SELECT profile_id, '2000-01-01' FROM cdp.profiles WHERE email LIKE 'ann%';
CALL cdp.refresh_segments(ARRAY['lately']);
SELECT p.email, d.due_at BETWEEN now() + interval '50 minutes' AND now() + interval '70 minutes' AS in_an_hour FROM cdp_data.expression_due AS d JOIN cdp.profiles AS p USING (profile_id) ORDER BY 1;
UPDATE cdp_data.expression_due SET due_at = 'infinity';
CALL cdp.refresh_segments();
SELECT p.email, d.due_at BETWEEN now() + interval '50 minutes' AND now() + interval '70 minutes' AS in_an_hour FROM cdp_data.expression_due AS d JOIN cdp.profiles AS p USING (profile_id) ORDER BY 1;
UPDATE shop.sale SET at = at - interval '2 hours' WHERE id = 9;
CALL cdp.refresh();
SELECT count(*) FROM cdp.segment_members WHERE segment = 'lately';
SELECT count(*) FROM cdp_data.expression_due;

-- In a transaction block.
BEGIN;
SELECT cdp.create_segment('germans', $$ profile.country = 'DE' $$);
CALL cdp.refresh_segments(ARRAY['germans']);
SELECT * FROM now_in WHERE segment = 'germans';
ROLLBACK;
SELECT count(*) FROM cdp.segment_members WHERE segment = 'germans';
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL cdp.refresh_segments();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL cdp.refresh();
ROLLBACK;
-- outside of one, whatever the session prefers
SET default_transaction_isolation = 'serializable';
CALL cdp.refresh();
CALL cdp.refresh_segments();
RESET default_transaction_isolation;
-- from a function
CREATE FUNCTION public.do_it() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN CALL cdp.refresh_segments(ARRAY['buyers']); RETURN (SELECT members FROM cdp.segments WHERE name = 'buyers'); END $$;
SELECT public.do_it();

-- More columns than a statement can have: passes are divided.
SELECT count(cdp.create_segment('many_' || n, format('count(*) FILTER (WHERE event.amount > %s) > 0 OR sum(event.amount) FILTER (WHERE event.amount < -%s) > 0', n, n))) FROM generate_series(1, 40) AS n;
UPDATE cdp_data.expression SET definition = (SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s.%s) > 0', n, substr(name, 6)), ' OR ') FROM generate_series(1, 60) AS n) WHERE name LIKE 'many%';
CALL cdp.refresh_segments();
SELECT status, count(*), min(members), max(members) FROM cdp.segments WHERE name LIKE 'many%' GROUP BY status;
SELECT count(*) > 1 AS several FROM cdp.refresh_log WHERE step = 'segments' AND refresh_id = (SELECT max(refresh_id) FROM cdp.refresh_log) AND rows_read > 1;
SELECT * FROM cdp.health_checks() WHERE severity = 'error';

DROP SCHEMA shop CASCADE;
DROP TABLE public.picked;
DROP FUNCTION public.do_it;
DROP VIEW now_in, changes, news;
SELECT cdp.teardown(false);
