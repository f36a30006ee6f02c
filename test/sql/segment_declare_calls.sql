-- Segments: declaring, changing, renaming and dropping them; what is refused; who may.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP ROLE IF EXISTS regress_cdp_marketer, regress_cdp_team, regress_cdp_outsider, regress_cdp_loader, regress_cdp_steward, regress_cdp_analyst;
SELECT cdp.setup();
CREATE SCHEMA shop;
CREATE TABLE shop.sale (id bigint PRIMARY KEY, email text, amount numeric, at timestamptz);
INSERT INTO shop.sale VALUES (1, 'ann@example.org', 10, '2026-02-01'), (2, 'bob@example.org', 5, '2026-02-03');
SELECT cdp.create_source('sales', 'shop.sale', record_key => 'id', occurred_at => 'at', event_name => $$'sale'$$, identifiers => 'email', properties => 'amount');
CALL cdp.refresh();

SELECT cdp.create_segment('buyers', $$ count(*) FILTER (WHERE event.event_name = 'sale') > 0 $$, description => 'who bought anything');
SELECT cdp.create_segment('recent', $$ max(event.occurred_at) > now() - interval '30 days' $$, refresh => 'realtime', include_anonymous => false, time_zone => 'Europe/Berlin');
SELECT cdp.create_segment('both', 'segment.buyers AND segment.recent');
SELECT cdp.create_segment('chosen', query => 'SELECT profile_id FROM cdp.profiles WHERE event_count = 1');
SELECT name, definition, is_query, refresh, members, status, owner = current_user AS own, time_zone, include_anonymous, description FROM cdp.segments ORDER BY name;
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'cdp.profile_segments'::regclass AND attnum > 0 ORDER BY attnum;
SELECT name, kind, depends_on_kind, depends_on, detail FROM cdp.segment_dependencies WHERE name IN ('buyers', 'recent', 'both') AND (depends_on_kind <> 'window') ORDER BY 1, 3, 4;

-- The same again, another, a change.
UPDATE cdp_data.expression_state SET status = 'ok', members = 0;
SELECT cdp.create_segment('buyers', $$ count(*) FILTER (WHERE event.event_name = 'sale') > 0 $$, description => 'who bought anything');
SELECT cdp.create_segment('chosen', query => 'SELECT profile_id FROM cdp.profiles WHERE event_count = 1');
SELECT name, status FROM cdp.segments WHERE status <> 'ok';
SELECT cdp.create_segment('buyers', 'true');
SELECT cdp.create_segment('buyers', $$ count(*) FILTER (WHERE event.event_name = 'sale') > 0 $$, include_anonymous => false, description => 'who bought anything');
SELECT cdp.create_segment('chosen', 'SELECT profile_id FROM cdp.profiles WHERE event_count = 1');
SELECT cdp.alter_segment('buyers', include_anonymous => false);
SELECT name, status, include_anonymous FROM cdp.segments ORDER BY name;
UPDATE cdp_data.expression_state SET status = 'ok';
-- what only says what it is for, or follows it less closely, evaluates nothing
SELECT cdp.alter_segment('buyers', description => 'buyers of anything');
SELECT cdp.alter_segment('recent', refresh => 'batch');
SELECT name, status, refresh, description FROM cdp.segments WHERE name IN ('buyers', 'recent') ORDER BY name;
SELECT col_description('cdp.profile_segments'::regclass, attnum) FROM pg_attribute WHERE attrelid = 'cdp.profile_segments'::regclass AND attname = 'buyers';
SELECT cdp.alter_segment('recent', refresh => 'realtime');
SELECT name, status, refresh FROM cdp.segments WHERE name = 'recent';
-- from predicate to query and back
SELECT cdp.alter_segment('buyers', query => 'SELECT profile_id FROM cdp.events');
SELECT name, is_query, definition, description FROM cdp.segments WHERE name = 'buyers';
SELECT cdp.alter_segment('buyers', refresh => 'realtime');
SELECT cdp.alter_segment('buyers', 'count(*) > 0', refresh => 'realtime');
SELECT name, is_query, refresh, definition, include_anonymous FROM cdp.segments WHERE name = 'buyers';
-- a clock that cannot be foreseen is said once, and only where it costs something
SET client_min_messages = notice;
SELECT cdp.create_segment('mornings', 'extract(hour FROM now()) < 12 AND count(*) > 0');
SELECT cdp.alter_segment('mornings', refresh => 'realtime');
SELECT cdp.alter_segment('mornings', refresh => 'realtime', description => 'same again');
SELECT cdp.alter_segment('mornings', 'extract(hour FROM now()) < 11');
SELECT cdp.alter_segment('mornings', 'profile.last_seen > now() - interval ''1 hour''');
SELECT cdp.drop_segment('mornings');
SET client_min_messages = warning;

-- What is refused.
SELECT cdp.create_segment('no');
SELECT cdp.create_segment('no', 'true', 'SELECT 1');
SELECT cdp.create_segment('no', query => 'SELECT profile_id FROM cdp.profiles', refresh => 'realtime');
SELECT cdp.create_segment('no', '1');
SELECT cdp.create_segment('no', '');
SELECT cdp.create_segment('no', 'segment.nobody');
SELECT cdp.create_segment('no', 'profile.event_count > 1 AND profile.email <> Nobody');
SELECT cdp.create_segment('no', 'profile.email <> "Nobody"');
SELECT cdp.create_segment('no', 'evnt_count > 1');
-- one line says where the text was given, and none that the extension is made of functions
\set SHOW_CONTEXT errors
SELECT cdp.create_segment('no', 'France');
\set SHOW_CONTEXT never
SELECT cdp.create_segment('no', query => 'SELECT email FROM shop.sale');
SELECT cdp.create_segment('no', query => 'DELETE FROM shop.sale RETURNING id');
SELECT cdp.create_segment('no', 'true', refresh => 'hourly');
SELECT cdp.create_segment('no', 'true', time_zone => 'Mars');
SELECT cdp.create_segment(NULL, 'true');
SELECT cdp.create_segment('', 'true');
SELECT cdp.create_segment(repeat('x', 64), 'true');
SELECT cdp.create_segment('profile_id', 'true');
SELECT cdp.create_segment('xmin', 'true');
SELECT cdp.alter_segment('no', 'true');
SELECT cdp.alter_segment('buyers', 'segment.both');
SELECT cdp.alter_segment('buyers', 'true', 'SELECT 1');
SELECT cdp.check_expression_cycle('segment', 'buyers', '{segment}', '{both}');
SELECT name FROM cdp.segments ORDER BY name;

-- A predicate that is NULL, names that need quotes, names that a trait has as well.
SELECT cdp.create_segment('never', NULL::text, query => NULL);
SELECT cdp.create_segment('never', 'NULL::boolean');
SELECT cdp.create_segment('Best "Customers"', 'profile.event_count > 1');
SELECT cdp.create_segment('Best "Customers"', 'profile.event_count > 2');
SELECT cdp.create_segment('not those', 'NOT segment."Best ""Customers"""');
SELECT cdp.create_computed_trait('buyers', 'count(*)');
SELECT cdp.create_segment('many_buys', 'profile.buyers > 3 OR segment.buyers');
SELECT depends_on_kind, depends_on FROM cdp.segment_dependencies WHERE name = 'many_buys' AND depends_on_kind IN ('trait', 'segment') ORDER BY 1, 2;
SELECT * FROM cdp.profile_segments LIMIT 0;

-- Renamed and dropped.
CREATE VIEW shop.vip AS SELECT profile_id FROM cdp.profile_segments WHERE "Best ""Customers""" AND NOT buyers;
SELECT cdp.rename_segment('Best "Customers"', 'best');
SELECT cdp.alter_segment('not those', 'true');
SELECT cdp.rename_segment('Best "Customers"', 'best');
SELECT cdp.rename_segment('best', 'buyers');
SELECT cdp.rename_segment('best', 'profile_id');
SELECT cdp.rename_segment('nobody', 'somebody');
SELECT pg_get_viewdef('shop.vip') ~ '\mbest\M' AS follows;
SELECT cdp.drop_segment('best');
DROP VIEW shop.vip;
CREATE VIEW shop.others AS SELECT profile_id, never FROM cdp.profile_segments;
SELECT cdp.drop_segment('best');
-- the place of its column is kept while something was built on the view
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'cdp.profile_segments'::regclass AND attname = 'best';
SELECT cdp.rename_segment('never', 'best');
DROP VIEW shop.others;
SELECT cdp.drop_segment('buyers');
INSERT INTO cdp_data.segment_member SELECT e.expression_id, 1, now() FROM cdp_data.expression AS e;
INSERT INTO cdp_data.segment_change (segment_id, profile_id, is_entry, changed_at, cause) SELECT e.expression_id, 1, true, now(), 'batch' FROM cdp_data.expression AS e;
SET client_min_messages = notice;
SELECT cdp.drop_segment('buyers', cascade => true);
SET client_min_messages = warning;
SELECT cdp.drop_segment('buyers');
SELECT cdp.drop_segment(NULL);
SELECT name FROM cdp.segments ORDER BY name;
SELECT DISTINCT segment FROM cdp.segment_members ORDER BY segment;
SELECT DISTINCT segment FROM cdp.segment_changes ORDER BY segment;
SELECT count(*) FROM cdp_data.segment_member AS m WHERE m.segment_id NOT IN (SELECT expression_id FROM cdp_data.expression);
SELECT attname FROM pg_attribute WHERE attrelid = 'cdp.profile_segments'::regclass AND attnum > 0 ORDER BY attnum;

-- Who may declare, and for whom.
CREATE ROLE regress_cdp_team;
CREATE ROLE regress_cdp_outsider;
CREATE ROLE regress_cdp_marketer IN ROLE regress_cdp_team;
CREATE ROLE regress_cdp_steward;
CREATE ROLE regress_cdp_loader;
CREATE ROLE regress_cdp_analyst;
GRANT CREATE, USAGE ON SCHEMA cdp TO regress_cdp_marketer;
SELECT cdp.teardown(false);
SELECT format('GRANT CREATE ON DATABASE %I TO regress_cdp_marketer', current_database()) \gexec
SET ROLE regress_cdp_marketer;
SELECT cdp.setup();
SELECT cdp.create_segment('own', 'profile.event_count > 0');
SELECT cdp.create_segment('ours', 'profile.event_count > 0', owner => 'regress_cdp_team');
SELECT cdp.grant_access('regress_cdp_team', 'reader');
SELECT cdp.create_segment('ours', 'profile.event_count > 0', owner => 'regress_cdp_team');
SELECT cdp.create_segment('theirs', 'true', owner => 'regress_cdp_outsider');
SELECT cdp.alter_segment('ours', owner => 'regress_cdp_outsider');
SELECT name, owner FROM cdp.segments ORDER BY name;
SELECT cdp.grant_access('regress_cdp_steward', 'admin');
SELECT cdp.grant_access('regress_cdp_loader', 'writer');
SELECT cdp.grant_access('regress_cdp_analyst', 'reader');
RESET ROLE;
-- a superuser may be anybody, but the storage's owner must be a member, too
SELECT cdp.create_segment('theirs', 'true', owner => 'regress_cdp_outsider');
SELECT cdp.create_computed_trait('theirs', '1', owner => 'regress_cdp_outsider');
-- an administrator of settings adds no columns, and cannot plant a text that runs as another role either
SET ROLE regress_cdp_steward;
SELECT cdp.create_segment('mine', 'true');
SELECT cdp.drop_segment('own');
SELECT cdp.rename_segment('own', 'mine');
UPDATE cdp_data.expression SET definition = 'false';
INSERT INTO cdp_data.expression (kind, name, definition, is_query, type, is_realtime, include_anonymous, owner, time_zone, search_path)
VALUES ('segment', 'planted', 'true', false, 'boolean', false, true, 'regress_cdp_marketer', 'UTC', 'public');
-- a writer evaluates and keeps positions, but changes no definition
SET ROLE regress_cdp_loader;
UPDATE cdp_data.expression_state SET members = 0;
INSERT INTO cdp_data.expression_due VALUES (1, now());
INSERT INTO cdp_data.segment_member SELECT expression_id, 1, now() FROM cdp_data.expression WHERE name = 'own';
INSERT INTO cdp_data.segment_change (segment_id, profile_id, is_entry, changed_at, cause) SELECT expression_id, 1, true, '2026-01-01', 'batch' FROM cdp_data.expression WHERE name = 'own';
SELECT segment, profile_id, change FROM cdp.read_changes('mails');
SELECT cdp.close_segment_days() >= 0 AS closed;
UPDATE cdp_data.expression SET definition = 'false';
DELETE FROM cdp_data.expression_fact;
SELECT cdp.create_segment('mine', 'true');
-- a reader reads
SET ROLE regress_cdp_analyst;
SELECT name, members FROM cdp.segments ORDER BY name;
SELECT segment, profile_id FROM cdp.segment_members;
SELECT segment, change, changed_at FROM cdp.segment_changes;
SELECT segment, members, entered FROM cdp.segment_daily WHERE day = '2026-01-01';
SELECT count(*) FROM cdp.profile_segments;
SELECT cdp.segment_audience('own'), cdp.cardinality(cdp.segment_audience('ours'));
SELECT * FROM cdp.audience_overlap('{own,ours}');
SELECT count(*) >= 0 AS healthy FROM cdp.health;
SELECT * FROM cdp.read_changes('mails');
SELECT cdp.forget_reader('mails');
SELECT cdp.close_segment_days();
SELECT cdp.create_segment('mine', 'true');
DELETE FROM cdp_data.segment_member;
RESET ROLE;
-- roles that go
REVOKE regress_cdp_team FROM regress_cdp_marketer;
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" = 'segment owner';
SET ROLE regress_cdp_marketer;
SELECT cdp.alter_segment('ours', description => 'still ours');
RESET ROLE;
GRANT regress_cdp_team TO regress_cdp_marketer;
DROP OWNED BY regress_cdp_team;
DROP ROLE regress_cdp_team;
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" = 'segment owner';
SET ROLE regress_cdp_marketer;
SELECT cdp.alter_segment('ours', description => 'mine now');
SELECT name, owner, description FROM cdp.segments ORDER BY name;
SELECT cdp.teardown(false);
RESET ROLE;

DROP SCHEMA shop CASCADE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_cdp_marketer', current_database()) \gexec
DROP OWNED BY regress_cdp_marketer, regress_cdp_outsider, regress_cdp_loader, regress_cdp_steward, regress_cdp_analyst;
DROP ROLE regress_cdp_marketer, regress_cdp_outsider, regress_cdp_loader, regress_cdp_steward, regress_cdp_analyst;
