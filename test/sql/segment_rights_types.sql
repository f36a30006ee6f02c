-- What an owner's text yields, and what its names stand for, is decided by others
-- after the declaration: functions that yield another type, casts between types,
-- temporary objects of whoever makes it run.  None of that runs with other rights
-- than the owner's, and none with the owner's that the owner did not choose.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_cdp_platform;
CREATE ROLE regress_cdp_analyst;
CREATE ROLE regress_cdp_robot;
GRANT CREATE ON DATABASE contrib_regression TO regress_cdp_platform;
GRANT CREATE ON SCHEMA cdp TO regress_cdp_platform;
GRANT regress_cdp_analyst TO regress_cdp_platform;
CREATE SCHEMA bench;
GRANT USAGE, CREATE ON SCHEMA bench TO regress_cdp_analyst;
GRANT USAGE ON SCHEMA bench TO regress_cdp_platform, regress_cdp_robot;
SET ROLE regress_cdp_platform;
SELECT cdp.setup() IS NOT NULL AS set_up;
SELECT cdp.grant_access('regress_cdp_robot', 'writer');
SELECT cdp.grant_access('regress_cdp_analyst', 'reader');
SET ROLE regress_cdp_analyst;
CREATE TABLE bench.log (who name, what text);
GRANT INSERT, SELECT ON bench.log TO PUBLIC;
CREATE TABLE bench.staff (email text);
INSERT INTO bench.staff VALUES ('ann@x.org');
CREATE FUNCTION bench.label(bigint) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'n' || $1 $$;
RESET ROLE;
SET search_path = bench, public;

-- ---------- another type than that of the column ----------
SET ROLE regress_cdp_platform;
SELECT cdp.create_computed_trait('label', 'bench.label(count(*))', refresh => 'realtime', owner => 'regress_cdp_analyst');
RESET ROLE;
SELECT cdp.track('{"email": "ann@x.org"}', 'login', '2026-01-01 00:00+00', record_key => '1') > 0 AS tracked;
SELECT label FROM cdp.profiles;
-- one that is passed by value, in a session that has the plan
SET ROLE regress_cdp_analyst;
DROP FUNCTION bench.label;
CREATE FUNCTION bench.label(bigint) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT 1000 + $1 $$;
RESET ROLE;
SELECT cdp.track('{"email": "ann@x.org"}', 'login', '2026-01-02 00:00+00', record_key => '2') > 0 AS tracked;
SELECT label FROM cdp.profiles;
-- one whose cast is a function of the analyst's, by an event of the robot
SET ROLE regress_cdp_analyst;
DROP FUNCTION bench.label;
CREATE TYPE bench.mood AS ENUM ('even', 'odd');
CREATE FUNCTION bench.write_down(bench.mood) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.log VALUES (current_user, 'cast');
    RETURN format('it is %s', (SELECT enumlabel FROM pg_enum WHERE enumtypid = 'bench.mood'::regtype ORDER BY enumsortorder LIMIT 1));
END $$;
CREATE CAST (bench.mood AS text) WITH FUNCTION bench.write_down(bench.mood) AS ASSIGNMENT;
CREATE FUNCTION bench.label(bigint) RETURNS bench.mood LANGUAGE sql STABLE AS $$ SELECT CASE $1 % 2 WHEN 0 THEN 'even' ELSE 'odd' END::bench.mood $$;
SET ROLE regress_cdp_robot;
SELECT cdp.track('{"email": "ann@x.org"}', 'login', '2026-01-03 00:00+00', record_key => '3') > 0 AS tracked;
RESET ROLE;
CALL cdp.refresh();
SELECT label FROM cdp.profiles;
SELECT DISTINCT * FROM bench.log;
TRUNCATE bench.log;
SET ROLE regress_cdp_platform;
SELECT cdp.drop_computed_trait('label');
RESET ROLE;

-- ---------- temporary objects ----------
SET ROLE regress_cdp_platform;
SELECT cdp.create_segment('staff', $$ EXISTS (SELECT FROM staff AS s WHERE s.email = profile.email) $$, refresh => 'realtime', owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('listed', query => $$ SELECT p.profile_id FROM cdp.profiles AS p JOIN staff USING (email) $$, owner => 'regress_cdp_analyst');
RESET ROLE;
CALL cdp.refresh();
SELECT segment, profile_id FROM cdp.segment_members ORDER BY segment;
-- They are not what the text meant, in the session of the robot,
DROP TABLE bench.staff;
\c -
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_cdp_robot;
CREATE FUNCTION pg_temp.write_down() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.log VALUES (current_user, 'view');
    RETURN 'ann@x.org';
END $$;
CREATE VIEW pg_temp.staff AS SELECT pg_temp.write_down() AS email;
GRANT SELECT ON pg_temp.staff TO PUBLIC;
SELECT cdp.identify('{"email": "bob@x.org"}', 'crm', '1') > 0 AS identified;
RESET SESSION AUTHORIZATION;
CALL cdp.refresh(on_error => 'report');
SELECT name, status, error FROM cdp.segments ORDER BY name;
SELECT * FROM bench.log;
-- nor where a reader asks why,
SET SESSION AUTHORIZATION regress_cdp_robot;
SELECT kind, result, note FROM cdp.explain_segment('listed', cdp.resolve('email', 'ann@x.org'));
SELECT kind, result FROM cdp.explain_segment('staff', cdp.resolve('email', 'ann@x.org'));
RESET SESSION AUTHORIZATION;
SELECT * FROM bench.log;
-- and nothing that others will run is built on them.
SET ROLE regress_cdp_platform;
CREATE TABLE pg_temp.mine (id bigint);
CREATE DOMAIN pg_temp.name_of_mine AS text;
CREATE FUNCTION pg_temp.is_mine(bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT cdp.create_segment('mine', 'EXISTS (SELECT FROM mine)');
SELECT cdp.create_segment('mine', 'pg_temp.is_mine(count(*))');
SELECT cdp.create_segment('mine', 'max(event.event_name)::name_of_mine = ''x''');
SELECT cdp.create_segment('mine', query => 'SELECT id FROM mine');
SELECT cdp.create_segment('mine', query => 'SELECT profile_id FROM cdp.profiles WHERE pg_temp.is_mine(profile_id)');
-- One's own text here and now may be.
SELECT members FROM cdp.preview_segment('EXISTS (SELECT FROM mine)');
SELECT members FROM cdp.preview_segment(query => 'SELECT id FROM mine');

-- ---------- the end of a text ----------
-- A query that ends with a semicolon or in a comment can stand inside of another one.
SELECT cdp.create_segment('ended', query => 'SELECT profile_id FROM cdp.profiles; -- everybody');
SELECT cdp.segment_sql('ended');
SELECT kind, result FROM cdp.explain_segment('ended', cdp.resolve('email', 'ann@x.org'));
SELECT members FROM cdp.preview_segment(query => 'SELECT profile_id FROM cdp.profiles; -- everybody');

-- ---------- errors under a false name ----------
-- A function that says it is a serialization failure is a failure of its segment
-- all the same: neither events nor refreshes fail with it, over and over.
RESET ROLE;
CREATE FUNCTION bench.conflict(bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF $1 > 0 THEN
        RAISE serialization_failure USING MESSAGE = 'retry, please';
    END IF;
    RETURN false;
END $$;
SET ROLE regress_cdp_platform;
SELECT cdp.create_segment('conflict', 'bench.conflict(count(*))', refresh => 'realtime');
SELECT cdp.create_segment('innocent', 'count(*) > 3', refresh => 'realtime');
SELECT cdp.track('{"email": "ann@x.org"}', 'login', '2026-01-04 00:00+00', record_key => '4') > 0 AS tracked;
SELECT name, status, error FROM cdp.segments WHERE name IN ('conflict', 'innocent') ORDER BY name;
CALL cdp.refresh_segments(ARRAY['conflict', 'innocent'], on_error => 'report');
SELECT name, status, error, members FROM cdp.segments WHERE name IN ('conflict', 'innocent') ORDER BY name;
SELECT cdp.drop_segment('conflict');

-- ---------- values in messages ----------
-- An explanation shows those that an error quotes to the owner, not to others who ask.
SELECT cdp.create_segment('quoting', 'max(event.event_name)::integer > 0');
SELECT kind, note FROM cdp.explain_segment('quoting', cdp.resolve('email', 'ann@x.org')) WHERE kind <> 'segment';
SET SESSION AUTHORIZATION regress_cdp_robot;
SELECT kind, note FROM cdp.explain_segment('quoting', cdp.resolve('email', 'ann@x.org')) WHERE kind <> 'segment';
RESET SESSION AUTHORIZATION;
SET ROLE regress_cdp_platform;
SELECT cdp.drop_segment('quoting');

-- ---------- names ----------
-- An empty one does not make a registered text that of whoever runs it.
INSERT INTO cdp_data.expression (kind, name, definition, is_query, type, is_realtime, include_anonymous, owner, time_zone, search_path)
VALUES ('segment', '', '(SELECT count(*) FROM pg_catalog.pg_authid) > 0', false, 'boolean', false, true, 'regress_cdp_platform', 'UTC', 'pg_temp');
RESET ROLE;
CALL cdp.refresh_segments(ARRAY[''], on_error => 'report');
SELECT name, status, error FROM cdp.segments WHERE name = '';

DROP SCHEMA bench CASCADE;
SELECT cdp.teardown(false);
REVOKE ALL ON SCHEMA cdp FROM regress_cdp_platform;
REVOKE ALL ON DATABASE contrib_regression FROM regress_cdp_platform;
DISCARD TEMP;
DROP ROLE regress_cdp_platform, regress_cdp_analyst, regress_cdp_robot;
