-- Health, traits with history, partitioned tables, keys and watermarks of other types.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT * FROM cdp.health_checks();
SELECT cdp.setup() IS NOT NULL AS set_up;
SELECT * FROM cdp.health;
CREATE SCHEMA web;
CREATE TYPE web.section AS ENUM ('home', 'shop');
CREATE TABLE web.visits (day date, section web.section, visit uuid, browser text, seen timestamptz, stamp text, PRIMARY KEY (day, section, visit)) PARTITION BY RANGE (day);
CREATE TABLE web.visits_1 PARTITION OF web.visits FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE web.visits_2 PARTITION OF web.visits FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO web.visits SELECT '2026-01-20'::date + n, CASE WHEN n % 2 = 0 THEN 'home' ELSE 'shop' END::web.section, ('00000000-0000-4000-8000-0000000000' || 10 + n)::uuid, 'b' || n % 4,
    '2026-01-20'::timestamptz + n * '1 day'::interval, 'v' || 100 + n FROM generate_series(0, 19) AS n;
SELECT cdp.create_source('visits', 'web.visits', record_key => 'day, section, visit', identifiers => 'browser AS anonymous_id', occurred_at => 'seen', event_name => 'section', properties => 'day, section AS part, visit', watermark => 'stamp');
SELECT "check", severity, detail, hint, since IS NOT NULL AS has_time FROM cdp.health;
CALL cdp.refresh();
CREATE VIEW what AS SELECT l.source, l.mode, l.status, l.rows_read, l.records_new AS new, l.records_changed AS changed, l.retracted AS gone, l.rejected
FROM cdp.refresh_log AS l WHERE l.step = 'source' AND l.refresh_id = (SELECT max(m.refresh_id) FROM cdp.refresh_log AS m) ORDER BY l.log_id;
TABLE what;
SELECT record_key, event_name, occurred_at, day, part, visit FROM cdp.events ORDER BY record_key LIMIT 2;
SELECT watermark FROM cdp.sources;
-- a text has no overlap: the greatest is read again
INSERT INTO web.visits VALUES ('2026-02-20', 'home', '00000000-0000-4000-8000-000000000099', 'b9', '2026-02-20', 'v200');
CALL cdp.refresh();
TABLE what;
-- one row by its key of three columns and three types
SELECT rows_read FROM cdp.take_in('visits', 'keys', ARRAY['["2026-02-20", "home", "00000000-0000-4000-8000-000000000099"]']);
-- a partition is truncated, detached, attached
TRUNCATE web.visits_1;
CALL cdp.refresh(on_error => 'report');
CALL cdp.refresh(allow_deletes => true);
TABLE what;
ALTER TABLE web.visits DETACH PARTITION web.visits_2;
CALL cdp.refresh(on_error => 'report');
ALTER TABLE web.visits ATTACH PARTITION web.visits_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CALL cdp.refresh();
TABLE what;
SELECT count(*) FROM cdp.events;

-- Traits whose past is kept.
CREATE TABLE web.members (id varchar(5) PRIMARY KEY, plan text, points integer, changed timestamptz);
INSERT INTO web.members VALUES ('m1', 'free', 1, '2026-01-01'), ('m2', 'gold', 2, '2026-01-01');
SELECT cdp.create_trait('plan', 'text', history => true);
SELECT cdp.create_source('members', 'web.members', record_key => 'id', observed_at => 'changed', identifiers => 'id AS crm_id', traits => 'plan, points', watermark => 'changed');
CALL cdp.refresh();
UPDATE web.members SET plan = 'gold', changed = '2026-02-01' WHERE id = 'm1';
CALL cdp.refresh();
DELETE FROM web.members WHERE id = 'm2';
CALL cdp.refresh(ARRAY['members'], full_compare => true, allow_deletes => true);
SELECT record_key, CASE WHEN observed_at < '2026-06-01' THEN observed_at END AS observed_at, traits OPERATOR(cdp.->>) 'plan' AS plan, traits OPERATOR(cdp.->>) 'points' AS points
FROM cdp_data.contribution_history ORDER BY record_key, contribution_history.observed_at;

-- What cdp.health says of old things.
UPDATE cdp_data.source_state SET last_success_at = '2026-01-01', last_full_at = '2026-01-01' WHERE name = 'members';
INSERT INTO cdp_data.captured_key (source, record_key, captured_at) VALUES ('members', 'm1', '2026-01-01');
SELECT "check", severity, regexp_replace(detail, 'read .* ago', 'read ... ago') AS detail, hint FROM cdp.health;
SELECT source, lag > '1 day' AS is_late, queued FROM cdp.sources ORDER BY source;

DROP VIEW what;
DROP SCHEMA web CASCADE;
SELECT cdp.teardown(false);
