-- Refreshing segments: expressions that fail, and those of several owners that read one another.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
DROP ROLE IF EXISTS regress_cdp_marketer, regress_cdp_finance, regress_cdp_loader;
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA shop;
CREATE TABLE shop.person (id bigint PRIMARY KEY, email text, country text, code text, changed timestamptz);
CREATE TABLE shop.sale (id bigint PRIMARY KEY, email text, name text, amount numeric, at timestamptz);
INSERT INTO shop.person VALUES (1, 'ann@example.org', 'US', '1', '2026-01-01'), (2, 'bob@example.org', 'DE', '2', '2026-01-02'), (3, 'cem@example.org', 'DE', '3', '2026-01-03');
INSERT INTO shop.sale VALUES (1, 'ann@example.org', 'sale', 10, '2026-02-01'), (2, 'ann@example.org', 'sale', 20, '2026-02-02'), (3, 'bob@example.org', 'sale', 5, '2026-02-03');
SELECT cdp.create_source('people', 'shop.person', record_key => 'id', observed_at => 'changed', identifiers => 'email', traits => 'country, code');
SELECT cdp.create_source('sales', 'shop.sale', record_key => 'id', occurred_at => 'at', event_name => 'name', identifiers => 'email', properties => 'amount');
CREATE TEMPORARY VIEW now_in AS
SELECT m.segment, string_agg(left(p.email, 3), ' ' ORDER BY p.email COLLATE "C") AS members
FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) GROUP BY m.segment;

-- One among twenty fails for one person; the others go on.
SELECT count(cdp.create_segment('s' || lpad(n::text, 2, '0'), format('count(*) >= %s', n % 4))) FROM generate_series(1, 20) AS n WHERE n <> 13;
SELECT cdp.create_segment('s13', $$ profile.code::integer > 1 $$);
SELECT cdp.create_computed_trait('inverse', $$ 1.0 / count(*) $$);
SELECT cdp.create_computed_trait('amount', $$ sum(event.amount) $$);
CALL cdp.refresh();
SELECT * FROM now_in WHERE segment IN ('s01', 's12', 's13', 's14') ORDER BY 1;
UPDATE shop.person SET code = 'sec"ret', changed = changed + interval '1 day' WHERE id = 2;
INSERT INTO shop.sale VALUES (4, 'bob@example.org', 'sale', 5, '2026-02-04'), (5, 'bob@example.org', 'sale', 5, '2026-02-05');
CALL cdp.refresh();
SELECT * FROM now_in WHERE segment IN ('s03', 's13', 's14') ORDER BY 1;
SELECT kind, name, status, error, sqlstate, hint, evaluated_at IS NOT NULL AS evaluated, failed_since IS NOT NULL AS since
FROM cdp_data.expression JOIN cdp_data.expression_state USING (expression_id) WHERE status <> 'ok' ORDER BY 1, 2;
SELECT email, amount, inverse FROM cdp.profiles ORDER BY email;
SELECT step, status, rows_read, sqlstate, message FROM cdp.refresh_log WHERE refresh_id = (SELECT max(refresh_id) FROM cdp.refresh_log) AND source IS NULL ORDER BY step, rows_read;
SELECT "check", severity, detail, hint FROM cdp.health_checks() WHERE severity = 'error' ORDER BY detail;
-- what failed goes alone from then on
CALL cdp.refresh_segments(on_error => 'report');
SELECT count(*) AS passes, max(rows_read) AS largest FROM cdp.refresh_log WHERE refresh_id = (SELECT max(refresh_id) FROM cdp.refresh_log) AND step = 'segments' AND status = 'ok';
-- mended: the data, the definition
UPDATE shop.person SET code = '20', changed = changed + interval '1 day' WHERE id = 2;
SELECT cdp.alter_computed_trait('inverse', $$ 1.0 / NULLIF(count(*), 0) $$);
CALL cdp.refresh();
SELECT * FROM now_in WHERE segment IN ('s13') ORDER BY 1;
SELECT email, round(inverse, 2) AS inverse FROM cdp.profiles ORDER BY email;
SELECT count(*) FROM cdp_data.expression_state WHERE status <> 'ok' OR error IS NOT NULL OR hint IS NOT NULL OR failed_since IS NOT NULL;

-- What a function raises may be the value of a person, and so may its hint.
CREATE FUNCTION shop.judge(text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE EXCEPTION 'bad person %', $1 USING HINT = 'ask ' || $1; END $$;
SELECT cdp.create_segment('judged', $$ shop.judge(profile.email) $$), cdp.create_segment('judged_at_once', $$ count(*) > 0 AND shop.judge(profile.email) $$, refresh => 'realtime');
CALL cdp.refresh_segments(ARRAY['judged'], on_error => 'report');
SELECT cdp.track('{"email": "cem@example.org"}', 'sale', '2026-02-05', record_key => 'j1') IS NOT NULL AS tracked;
SELECT name, error, sqlstate, hint FROM cdp_data.expression JOIN cdp_data.expression_state USING (expression_id) WHERE name LIKE 'judged%' ORDER BY 1;
SELECT count(*) FROM cdp.refresh_log WHERE message LIKE '%example.org%';
SELECT cdp.drop_segment('judged'), cdp.drop_segment('judged_at_once'), cdp.retract('track', 'j1') \g /dev/null
DROP FUNCTION shop.judge;

-- A function that is dropped, a column that goes, and what needs them.
CREATE FUNCTION shop.is_big(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 12';
SELECT cdp.create_segment('big', $$ shop.is_big(sum(event.amount)) $$);
SELECT cdp.create_segment('big_germans', $$ segment.big AND profile.country = 'DE' $$);
CALL cdp.refresh();
SELECT * FROM now_in WHERE segment LIKE 'big%' ORDER BY 1;
DROP FUNCTION shop.is_big;
CALL cdp.refresh_segments();
SELECT * FROM now_in WHERE segment LIKE 'big%' ORDER BY 1;
SELECT name, status, error, sqlstate FROM cdp_data.expression JOIN cdp_data.expression_state USING (expression_id) WHERE status = 'failed' ORDER BY 1;
CREATE FUNCTION shop.is_big(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 20';
CALL cdp.refresh_segments(ARRAY['big', 'big_germans']);
CALL cdp.refresh_segments('{big,big_germans}');
CALL cdp.refresh_segments('big');
CALL cdp.refresh_segments('nobody', 'report');
SELECT * FROM now_in WHERE segment LIKE 'big%' ORDER BY 1;
-- in a transaction block nothing of it stays, unless it is only reported
BEGIN;
SELECT cdp.alter_segment('s01', 'false');
SELECT cdp.alter_segment('big', '1 / (count(*) - 3) > 0');
CALL cdp.refresh_segments();
ROLLBACK;
BEGIN;
SELECT cdp.alter_segment('s01', 'false');
SELECT cdp.alter_segment('big', '1 / (count(*) - 3) > 0');
CALL cdp.refresh_segments(on_error => 'report');
COMMIT;
SELECT * FROM now_in WHERE segment IN ('s01', 'big') ORDER BY 1;
-- sources and segments that fail together
ALTER TABLE shop.sale RENAME TO sold;
CALL cdp.refresh();
ALTER TABLE shop.sold RENAME TO sale;
SELECT cdp.drop_segment('big', cascade => true);
CALL cdp.refresh();

-- Owners who read one another by turns: each round sees what the one before came to.
CREATE ROLE regress_cdp_marketer;
CREATE ROLE regress_cdp_finance;
SELECT cdp.grant_access('regress_cdp_marketer', 'reader');
SELECT cdp.grant_access('regress_cdp_finance', 'reader');
SELECT cdp.create_computed_trait('value', 'sum(event.amount)', owner => 'regress_cdp_finance');
SELECT cdp.create_segment('valuable', 'profile.value >= 15', owner => 'regress_cdp_marketer');
SELECT cdp.create_computed_trait('bonus', 'CASE WHEN segment.valuable THEN profile.value * 10 END', owner => 'regress_cdp_finance');
SELECT cdp.create_segment('rewarded', 'profile.bonus > 200', owner => 'regress_cdp_marketer');
SELECT cdp.create_segment('listed', query => $$ SELECT profile_id FROM cdp.segment_members WHERE segment = 'rewarded' $$, owner => 'regress_cdp_marketer');
SELECT place, (SELECT array_agg(e.name ORDER BY e.name) FROM cdp_data.expression AS e WHERE e.expression_id = ANY (p.expression_ids) AND e.name !~ '^s[0-9]') AS names FROM cdp.plan_evaluation(NULL) AS p ORDER BY place;
SELECT (SELECT array_agg(e.name ORDER BY e.name) FROM cdp_data.expression AS e WHERE e.expression_id = ANY (p.expression_ids)) AS names FROM cdp.plan_evaluation(ARRAY['bonus']) AS p ORDER BY place;
CALL cdp.refresh();
SELECT email, value, bonus FROM cdp.profiles ORDER BY email;
SELECT * FROM now_in WHERE segment IN ('valuable', 'rewarded', 'listed') ORDER BY 1;
INSERT INTO shop.sale VALUES (6, 'bob@example.org', 'sale', 6, '2026-02-06');
CALL cdp.refresh();
SELECT email, value, bonus FROM cdp.profiles ORDER BY email;
SELECT * FROM now_in WHERE segment IN ('valuable', 'rewarded', 'listed') ORDER BY 1;
-- what reads the stored value of a failing one goes on with the old one, and says so
INSERT INTO shop.sale VALUES (7, 'cem@example.org', 'sale', 100, '2026-02-07'), (8, 'bob@example.org', 'refund', -20, '2026-02-08');
UPDATE cdp_data.expression SET definition = '1 / (sum(event.amount) - 100) > 1' WHERE name = 'valuable';
CALL cdp.refresh();
SELECT email, value, bonus FROM cdp.profiles ORDER BY email;
SELECT name, status, hint FROM cdp_data.expression JOIN cdp_data.expression_state USING (expression_id) WHERE hint IS NOT NULL ORDER BY name;
UPDATE cdp_data.expression SET definition = 'profile.value >= 15' WHERE name = 'valuable';
CALL cdp.refresh();
SELECT email, value, bonus FROM cdp.profiles ORDER BY email;

-- Rights: each with those of its owner, whoever refreshes.
CREATE ROLE regress_cdp_loader;
SELECT cdp.grant_access('regress_cdp_loader', 'writer');
SET ROLE regress_cdp_loader;
CALL cdp.refresh_segments();
RESET ROLE;
SET ROLE regress_cdp_marketer;
CALL cdp.refresh_segments();
RESET ROLE;
CREATE TABLE shop.vip (email text);
INSERT INTO shop.vip VALUES ('cem@example.org');
GRANT USAGE ON SCHEMA shop TO regress_cdp_marketer;
GRANT SELECT ON shop.vip TO regress_cdp_marketer;
SELECT cdp.create_segment('vip', 'profile.email IN (SELECT v.email FROM shop.vip AS v)', owner => 'regress_cdp_marketer');
SELECT cdp.create_segment('vip_ids', query => 'SELECT p.profile_id FROM cdp.profiles AS p JOIN shop.vip AS v USING (email)', owner => 'regress_cdp_marketer');
CALL cdp.refresh_segments();
REVOKE SELECT ON shop.vip FROM regress_cdp_marketer;
INSERT INTO shop.vip VALUES ('ann@example.org');
CALL cdp.refresh_segments();
SELECT * FROM now_in WHERE segment LIKE 'vip%' ORDER BY 1;
GRANT SELECT ON shop.vip TO regress_cdp_marketer;
-- a query that runs into an error, and one whose type no cast leads to
SELECT cdp.alter_segment('vip_ids', query => 'SELECT 1 / (event_count - 1) FROM cdp.profiles');
CALL cdp.refresh_segments(ARRAY['vip', 'vip_ids']);
SELECT cdp.alter_segment('vip_ids', query => 'SELECT profile_id FROM cdp.profiles');
UPDATE cdp_data.expression SET definition = 'SELECT now()' WHERE name = 'vip_ids';
CALL cdp.refresh_segments(ARRAY['vip_ids'], on_error => 'report');
UPDATE cdp_data.expression SET definition = $$ SELECT 'x' || profile_id FROM cdp.profiles $$ WHERE name = 'vip_ids';
CALL cdp.refresh_segments(ARRAY['vip_ids'], on_error => 'report');
UPDATE cdp_data.expression SET definition = 'SELECT profile_id::text FROM cdp.profiles' WHERE name = 'vip_ids';
CALL cdp.refresh_segments(ARRAY['vip_ids']);
SELECT * FROM now_in WHERE segment LIKE 'vip%' ORDER BY 1;
-- an owner who is gone
REASSIGN OWNED BY regress_cdp_marketer TO CURRENT_USER;
DROP OWNED BY regress_cdp_marketer;
DROP ROLE regress_cdp_marketer;
CALL cdp.refresh_segments(ARRAY['vip'], on_error => 'report');
SELECT * FROM now_in WHERE segment LIKE 'vip%' ORDER BY 1;
-- what takes more temporary files than it may is an expression that fails, also where an event comes in
SELECT cdp.create_segment('greedy', $$ count(*) > 0 AND (SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY i % 10, i) AS r FROM generate_series(1, 100000) AS i) AS s) > 0 $$, refresh => 'realtime');
SET work_mem = '64kB';
SET maintenance_work_mem = '1MB';
SET temp_file_limit = '100kB';
-- the message, which is warned of as well, has quotation marks in later versions of PostgreSQL
SET client_min_messages = error;
CALL cdp.refresh_segments(ARRAY['greedy', 's01'], on_error => 'report');
SET client_min_messages = warning;
SELECT name, status, sqlstate, replace(error, '"', '') AS error, hint FROM cdp.segments WHERE name IN ('greedy', 's01') ORDER BY name;
RESET temp_file_limit;
CALL cdp.refresh_segments(ARRAY['greedy']);
SELECT name, status, members FROM cdp.segments WHERE name = 'greedy';
SET temp_file_limit = '100kB';
SELECT cdp.track('{"email": "dee@example.org"}', 'sale', '2026-03-01') IS NOT NULL AS tracked;
SELECT name, status, sqlstate FROM cdp.segments WHERE name = 'greedy';
RESET temp_file_limit;
RESET work_mem;
-- and so is a query whose people take more memory than they may
INSERT INTO cdp_data.profile_row (profile_id, event_count, record_count, is_known)
SELECT 1000000 + (n << 32), 0, 0, true FROM generate_series(1::bigint, 30000) AS n;
SELECT cdp.create_segment('scattered', query => 'SELECT profile_id FROM cdp.profiles WHERE profile_id > 1000000'),
       cdp.create_segment('next', query => 'SELECT min(profile_id) FROM cdp.profiles');
CALL cdp.refresh_segments('{scattered,next}', on_error => 'report');
SELECT name, status, members, sqlstate, error, hint FROM cdp.segments WHERE name IN ('scattered', 'next') ORDER BY name DESC;
RESET maintenance_work_mem;
CALL cdp.refresh_segments('scattered');
SELECT name, status, members FROM cdp.segments WHERE name = 'scattered';

DROP VIEW now_in;
SELECT cdp.teardown(false);
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_cdp_finance, regress_cdp_loader;
DROP ROLE regress_cdp_finance, regress_cdp_loader;
