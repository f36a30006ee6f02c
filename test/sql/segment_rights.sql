-- Whose rights: a segment and a computed trait run as their owner, who may do no
-- more than the owner of the storage, whoever makes them run: a refresh, an event,
-- a window that closes, an explanation, a look back, by a superuser as by a robot.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = ISO;
CREATE ROLE regress_cdp_platform;
CREATE ROLE regress_cdp_analyst;
CREATE ROLE regress_cdp_stranger;
CREATE ROLE regress_cdp_robot;
CREATE ROLE regress_cdp_reader;
GRANT CREATE ON DATABASE contrib_regression TO regress_cdp_platform;
GRANT CREATE ON SCHEMA cdp TO regress_cdp_platform;
GRANT regress_cdp_analyst TO regress_cdp_platform;
SET ROLE regress_cdp_platform;
SELECT cdp.setup() IS NOT NULL AS set_up;
SELECT cdp.grant_access('regress_cdp_robot', 'writer');
SELECT cdp.grant_access('regress_cdp_analyst', 'admin');
SELECT cdp.grant_access('regress_cdp_reader', 'reader');
RESET ROLE;

CREATE SCHEMA hidden;
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA hidden TO regress_cdp_analyst, regress_cdp_platform;
GRANT USAGE, CREATE ON SCHEMA bench TO regress_cdp_analyst;
GRANT USAGE ON SCHEMA bench TO regress_cdp_platform, regress_cdp_robot, regress_cdp_reader;
CREATE TABLE hidden.staff (email text, salary numeric, city text, keeper name);
INSERT INTO hidden.staff VALUES ('ann@x.org', 100, 'Bonn', 'regress_cdp_analyst'), ('bob@x.org', 200, 'Kobe', 'regress_cdp_platform'), ('cat@x.org', 300, 'Lyon', 'postgres');
GRANT SELECT (email, city, keeper) ON hidden.staff TO regress_cdp_analyst;
ALTER TABLE hidden.staff ENABLE ROW LEVEL SECURITY;
ALTER TABLE hidden.staff FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON hidden.staff USING (keeper = current_user);
SELECT cdp.track('{"email": "ann@x.org"}', 'login', now() - interval '1 hour', record_key => '1'), cdp.track('{"email": "bob@x.org"}', 'login', now() - interval '1 hour', record_key => '2'),
       cdp.track('{"email": "cat@x.org"}', 'login', now() - interval '1 hour', record_key => '3') \g /dev/null

-- ---------- declaring ----------
-- The owner must be able to read what the text reads, whoever declares it.
SELECT cdp.create_segment('rich', $$ EXISTS (SELECT FROM hidden.staff AS s WHERE s.email = profile.email AND s.salary > 150) $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('rich', query => $$ SELECT p.profile_id FROM cdp.profiles AS p JOIN hidden.staff AS s USING (email) WHERE s.salary > 150 $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_computed_trait('pay', $$ (SELECT s.salary FROM hidden.staff AS s WHERE s.email = profile.email) $$, owner => 'regress_cdp_analyst');
SET ROLE regress_cdp_platform;
SELECT cdp.create_segment('rich', $$ EXISTS (SELECT FROM hidden.staff AS s WHERE s.email = profile.email AND s.salary > 150) $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('other', 'true', owner => 'regress_cdp_stranger');
SELECT cdp.create_segment('other', 'true', owner => 'postgres') IS NULL AS created;
-- Nor does the text itself get round: it is analysed as the owner.
\set VERBOSITY sqlstate
SELECT cdp.analyse_expression('segment', 'other', 'true', false, 'postgres', 'UTC', 'public');
\set VERBOSITY default
SELECT cdp.create_segment('staff', $$ EXISTS (SELECT FROM hidden.staff AS s WHERE s.email = profile.email) $$, owner => 'regress_cdp_analyst', refresh => 'realtime');
SELECT cdp.create_computed_trait('city', $$ (SELECT s.city FROM hidden.staff AS s WHERE s.email = profile.email) $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('listed', query => $$ SELECT p.profile_id FROM cdp.profiles AS p JOIN hidden.staff AS s USING (email) $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('of_platform', 'count(*) > 0', refresh => 'realtime');
-- A declaration adds columns, so it takes the owner of the storage; and its row is guarded.
SET ROLE regress_cdp_analyst;
SELECT cdp.create_segment('mine', 'true');
SELECT cdp.drop_segment('staff');
UPDATE cdp_data.expression SET owner = 'regress_cdp_platform', definition = 'true';
SET ROLE regress_cdp_robot;
SELECT cdp.create_segment('mine', 'true');
SELECT cdp.alter_segment('staff', predicate => 'true');
UPDATE cdp_data.expression SET definition = 'true';
SET ROLE regress_cdp_stranger;
SELECT cdp.compile_segment('true');
SELECT * FROM cdp.segment_members;
SELECT * FROM cdp.explain_segment('staff', 1);
SELECT cdp.segment_at('staff', now());
CALL cdp.expire_segments();
RESET ROLE;

-- ---------- row security is that of the owner ----------
-- The superuser sees all rows, the platform Bob's, the analyst Ann's.
SELECT email FROM hidden.staff ORDER BY email;
CALL cdp.refresh();
SELECT m.segment, p.email, p.city FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) ORDER BY 1, 2;
SELECT p.email FROM cdp.profiles AS p WHERE p.city IS NOT NULL;
SELECT result, is_decisive FROM cdp.explain_segment('staff', cdp.resolve('email', 'cat@x.org')) WHERE place = 0 OR depth = 0;
SELECT result, is_decisive FROM cdp.explain_segment('staff', cdp.resolve('email', 'ann@x.org')) WHERE place = 0 OR depth = 0;
-- by an event, in the transaction of a superuser, of the platform, of the robot
SELECT cdp.track('{"email": "cat@x.org"}', 'login', now(), record_key => '4') > 0 AS tracked;
SET ROLE regress_cdp_robot;
SELECT cdp.track('{"email": "bob@x.org"}', 'login', now(), record_key => '5') > 0 AS tracked;
SELECT email FROM hidden.staff;
CALL cdp.expire_segments();
CALL cdp.refresh();
RESET ROLE;
SET ROLE regress_cdp_platform;
SELECT cdp.track('{"email": "ann@x.org"}', 'login', now(), record_key => '6') > 0 AS tracked;
CALL cdp.refresh();
RESET ROLE;
CALL cdp.refresh();
SELECT m.segment, p.email, p.city FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) ORDER BY 1, 2;
-- Who may read profiles may ask why somebody is in a segment; what its owner reads beyond is not told.
SET ROLE regress_cdp_platform;
SELECT cdp.create_segment('in_bonn', $$ (SELECT s.city FROM hidden.staff AS s WHERE s.email = profile.email) = 'Bonn' $$, owner => 'regress_cdp_analyst');
SET ROLE regress_cdp_reader;
SELECT part, result, inputs, note FROM cdp.explain_segment('in_bonn', cdp.resolve('email', 'ann@x.org'));
RESET ROLE;
SET ROLE regress_cdp_analyst;
CREATE FUNCTION bench.judge(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'a secret of somebody'; END $$;
SET ROLE regress_cdp_platform;
SELECT cdp.create_segment('judged', query => $$ SELECT p.profile_id FROM cdp.profiles AS p WHERE bench.judge(p.email) $$, owner => 'regress_cdp_analyst'),
       cdp.create_segment('judged_each', $$ bench.judge(profile.email) $$, owner => 'regress_cdp_analyst');
SET ROLE regress_cdp_reader;
SELECT * FROM cdp.explain_segment('judged', cdp.resolve('email', 'ann@x.org'));
SELECT * FROM cdp.segment_at('judged_each', now());
SELECT result, note FROM cdp.explain_segment('judged_each', cdp.resolve('email', 'ann@x.org'));
SET ROLE regress_cdp_platform;
SELECT * FROM cdp.segment_at('judged_each', now());
SELECT cdp.drop_segment('judged'), cdp.drop_segment('judged_each');
RESET ROLE;
DROP FUNCTION bench.judge;
-- evaluating for everybody is for those who may write what comes out
SET ROLE regress_cdp_reader;
SELECT cdp.evaluate_pass(ARRAY(SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.name = 'in_bonn'));
RESET ROLE;
-- whoever may read no profiles has no previews, and previews are with the caller's rights
SET ROLE regress_cdp_platform;
SELECT members FROM cdp.preview_segment($$ EXISTS (SELECT FROM hidden.staff AS s WHERE s.email = profile.email) $$);
SET ROLE regress_cdp_reader;
SELECT members FROM cdp.preview_segment($$ EXISTS (SELECT FROM hidden.staff AS s WHERE s.email = profile.email) $$);
SELECT members, people FROM cdp.preview_segment('count(*) > 1');
SET ROLE regress_cdp_stranger;
SELECT members FROM cdp.preview_segment('true');
RESET ROLE;
SELECT members FROM cdp.preview_segment($$ EXISTS (SELECT FROM hidden.staff AS s WHERE s.email = profile.email) $$);

-- ---------- functions that the text calls ----------
-- are those of the owner's search_path, and run with the owner's rights, in a security-restricted operation
SET ROLE regress_cdp_analyst;
CREATE FUNCTION bench.who(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_user; END $$;
CREATE FUNCTION bench.passwords(profile_id bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT count(*) FROM pg_catalog.pg_authid); END $$;
CREATE FUNCTION bench.climb(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN SET ROLE NONE; RETURN current_user; END $$;
CREATE FUNCTION bench.become(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM set_config('role', 'none', true), set_config('session_authorization', 'postgres', true); RETURN current_user; END $$;
CREATE FUNCTION bench.leave(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN EXECUTE 'CREATE TEMPORARY TABLE left_behind (x integer)'; RETURN 'left'; END $$;
CREATE FUNCTION bench.write(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN INSERT INTO hidden.staff DEFAULT VALUES; RETURN 'written'; END $$;
CREATE FUNCTION bench.later(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN EXECUTE 'DECLARE later CURSOR WITH HOLD FOR SELECT count(*) FROM pg_authid'; RETURN 'declared'; END $$;
CREATE FUNCTION bench.listen(profile_id bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN EXECUTE 'LISTEN something'; RETURN 'listening'; END $$;
-- a cast, an operator and an aggregate are calls, too
CREATE FUNCTION bench.keep(state text, item text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_user; END $$;
CREATE AGGREGATE bench.kept(text) (SFUNC = bench.keep, STYPE = text);
CREATE FUNCTION bench.same(a text, b text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_user = 'regress_cdp_analyst'; END $$;
CREATE OPERATOR bench.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = bench.same);
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bench TO PUBLIC;
RESET ROLE;
CREATE FUNCTION public.who(profile_id bigint) RETURNS text LANGUAGE sql STABLE RETURN 'somebody else';
SET ROLE regress_cdp_platform;
SET search_path = bench;
SELECT cdp.create_segment('by_owner', $$ who(profile.profile_id) = 'regress_cdp_analyst' AND kept(event.event_name) = 'regress_cdp_analyst' AND profile.email === '' $$, owner => 'regress_cdp_analyst', refresh => 'realtime');
SELECT cdp.create_segment('passwords', 'passwords(profile.profile_id) > 0', owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('climb', $$ climb(profile.profile_id) <> '' $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('become', $$ become(profile.profile_id) <> '' $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('leave', $$ leave(profile.profile_id) <> '' $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('write', $$ write(profile.profile_id) <> '' $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('later', $$ later(profile.profile_id) <> '' $$, owner => 'regress_cdp_analyst');
SELECT cdp.create_segment('listen', $$ listen(profile.profile_id) <> '' $$, owner => 'regress_cdp_analyst');
SET search_path = public;
RESET ROLE;
-- the superuser's rights are not lent
SET client_min_messages = error;
CALL cdp.refresh(on_error => 'report');
SELECT name, status, members, sqlstate FROM cdp.segments ORDER BY name;
SELECT current_user = session_user AS is_back, to_regclass('left_behind') IS NULL AS nothing_left, (SELECT count(*) FROM pg_cursors WHERE name = 'later') AS cursors, (SELECT count(*) FROM pg_listening_channels()) AS channels;
SELECT cdp.track('{"email": "cat@x.org"}', 'login', now(), record_key => '7') > 0 AS tracked;
CALL cdp.expire_segments();
SELECT count(*) AS by_owner FROM cdp.segment_members WHERE segment = 'by_owner';
SELECT segment, is_decisive, note IS NOT NULL AS has_note FROM (SELECT 'by_owner' AS segment, e.* FROM cdp.explain_segment('by_owner', cdp.resolve('email', 'cat@x.org')) AS e) AS e WHERE depth = 0;
SELECT result FROM cdp.explain_segment('passwords', cdp.resolve('email', 'cat@x.org')) WHERE depth = 0;
SELECT count(*) FROM cdp.segment_at('passwords', now());
SELECT count(*) FROM cdp.segment_at('climb', now());
SELECT count(*) FROM cdp.segment_at('by_owner', now());
-- the settings of a session do not reach it either
SET search_path = pg_temp, public;
CREATE FUNCTION pg_temp.who(profile_id bigint) RETURNS text LANGUAGE sql STABLE RETURN 'an impostor';
CALL cdp.refresh(on_error => 'report');
SET client_min_messages = warning;
SELECT members FROM cdp.segments WHERE name = 'by_owner';
SET search_path = public;
-- an event goes through although expressions of others fail
SET ROLE regress_cdp_platform;
SELECT cdp.alter_segment(name, refresh => 'realtime') FROM cdp.segments WHERE name IN ('passwords', 'climb', 'write', 'leave') \g /dev/null
RESET ROLE;
SELECT cdp.track('{"email": "bob@x.org"}', 'login', now(), record_key => '8') > 0 AS tracked;
SELECT name, status, sqlstate FROM cdp.segments WHERE refresh = 'realtime' ORDER BY name;
SELECT current_user = session_user AS is_back, to_regclass('left_behind') IS NULL AS nothing_left;
SET ROLE regress_cdp_platform;
SELECT cdp.drop_segment(name) FROM cdp.segments WHERE name NOT IN ('staff', 'listed', 'by_owner', 'of_platform') \g /dev/null
RESET ROLE;

-- ---------- rights that are lost ----------
-- of a column: just what needs it
REVOKE SELECT (city) ON hidden.staff FROM regress_cdp_analyst;
CALL cdp.refresh(on_error => 'report');
SELECT 'trait' AS kind, name, status, sqlstate, error FROM cdp.computed_traits UNION ALL SELECT 'segment', name, status, sqlstate, error FROM cdp.segments ORDER BY 1, 2;
GRANT SELECT (city) ON hidden.staff TO regress_cdp_analyst;
CALL cdp.refresh(on_error => 'report');
SELECT name, status FROM cdp.computed_traits;
-- of a function
REVOKE EXECUTE ON FUNCTION bench.who FROM PUBLIC, regress_cdp_analyst;
SELECT cdp.track('{"email": "ann@x.org"}', 'login', now(), record_key => '9') > 0 AS tracked;
SELECT name, status, sqlstate, error FROM cdp.segments ORDER BY name;
GRANT EXECUTE ON FUNCTION bench.who TO regress_cdp_analyst;
CALL cdp.refresh();
SELECT name, status FROM cdp.segments ORDER BY name;
-- of the profiles themselves
SET ROLE regress_cdp_platform;
REVOKE SELECT ON cdp.profiles FROM regress_cdp_analyst;
RESET ROLE;
CALL cdp.refresh(on_error => 'report');
SELECT name, status, sqlstate, error FROM cdp.segments ORDER BY name;
SET ROLE regress_cdp_platform;
SELECT cdp.grant_access('regress_cdp_analyst', 'admin');
-- of the storage's owner to be that role
RESET ROLE;
REVOKE regress_cdp_analyst FROM regress_cdp_platform;
CALL cdp.refresh(on_error => 'report');
SELECT name, status, sqlstate, error, hint FROM cdp.segments ORDER BY name;
SELECT cdp.track('{"email": "ann@x.org"}', 'login', now(), record_key => '10') > 0 AS tracked;
SELECT cdp.segment_sql('staff');
SELECT * FROM cdp.explain_segment('staff', cdp.resolve('email', 'ann@x.org'));
SELECT cdp.segment_at('staff', now());
SELECT "check", severity FROM cdp.health WHERE severity <> 'ok' ORDER BY 1, 2;

DROP SCHEMA hidden, bench CASCADE;
DROP FUNCTION public.who;
SELECT cdp.teardown(false);
REVOKE ALL ON SCHEMA cdp FROM regress_cdp_platform;
REVOKE ALL ON DATABASE contrib_regression FROM regress_cdp_platform;
DROP ROLE regress_cdp_platform, regress_cdp_analyst, regress_cdp_stranger, regress_cdp_robot, regress_cdp_reader;
