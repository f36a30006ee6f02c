-- The examples of docs/operations.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP ROLE IF EXISTS regress_cdp_loader;
CREATE ROLE regress_cdp_loader LOGIN;
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE TABLE contact (id text PRIMARY KEY, email text, country text, modified timestamptz);
INSERT INTO contact VALUES ('17', 'ann@example.com', 'GB', '2026-01-05');
CREATE TABLE ticket (id text PRIMARY KEY, email text, modified timestamptz);
INSERT INTO ticket VALUES ('1', 'ann@example.com', '2026-01-06');
SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified', identifiers => 'id AS crm_id, email', traits => 'country');
SELECT cdp.create_source('desk', 'ticket', record_key => 'id', observed_at => 'modified', identifiers => 'email');
CALL cdp.refresh();
SELECT cdp.grant_access('regress_cdp_loader', 'writer');
-- sizes and statistics differ from run to run
\o /dev/null
SELECT relname AS "table", n_live_tup AS rows, pg_size_pretty(pg_total_relation_size(relid)) AS size
FROM pg_stat_user_tables WHERE schemaname = 'cdp_data' ORDER BY pg_total_relation_size(relid) DESC LIMIT 8;
SELECT relname AS "table", n_live_tup AS live, n_dead_tup AS dead, n_tup_hot_upd AS hot_updates, n_tup_upd AS updates, last_autovacuum
FROM pg_stat_user_tables WHERE schemaname = 'cdp_data' ORDER BY n_dead_tup DESC LIMIT 8;
SELECT step, source, mode, rows_read, finished_at - started_at AS took
FROM cdp.refresh_log WHERE refresh_id = (SELECT max(refresh_id) FROM cdp.refresh_log) ORDER BY log_id;
SELECT pid, now() - xact_start AS since, wait_event_type, pg_blocking_pids(pid) AS waits_for, left(query, 60) AS query
FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' ORDER BY xact_start;
\o
ALTER ROLE regress_cdp_loader SET maintenance_work_mem = '1GB';
ALTER TABLE cdp_data.event SET (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX profile_row_country ON cdp_data.profile_row (country);
SELECT count(*) FROM pg_index WHERE indrelid = 'cdp_data.profile_row'::regclass AND indexrelid = 'cdp_data.profile_row_country'::regclass;
-- it stays when columns come and go
SELECT cdp.rename_trait('country', 'home');
SELECT cdp.setup() IS NOT NULL AS set_up;
SELECT pg_get_indexdef('cdp_data.profile_row_country'::regclass);
SELECT cdp.rename_trait('home', 'country');
ALTER TABLE ticket RENAME COLUMN email TO sender;
CALL cdp.refresh();
SELECT source, status, last_error, last_hint FROM cdp.sources WHERE status <> 'ok' OR lag IS NULL OR lag > interval '26 hours';
SELECT severity, "check", detail FROM cdp.health;
SELECT cdp.alter_source('desk', identifiers => 'sender AS email');
CALL cdp.refresh();
SELECT count(*) FROM cdp.health;
CALL cdp.expire_segments();
DELETE FROM cdp_data.refresh_log WHERE started_at < now() - interval '90 days';
SELECT source, status FROM cdp.sources ORDER BY source;
SELECT * FROM cdp.check_identities();
SELECT cdp.teardown(false);
DROP TABLE contact, ticket;
DROP OWNED BY regress_cdp_loader;
DROP ROLE regress_cdp_loader;
