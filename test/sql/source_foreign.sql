-- A source on another server: tables behind postgres_fdw, as where this server
-- is one beside a managed one.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
-- The other server is another database of this one.
SELECT current_database() AS here, current_user AS me, current_setting('port') AS port, split_part(current_setting('unix_socket_directories'), ',', 1) AS socket_folder \gset
CREATE DATABASE regress_cdp_remote TEMPLATE template0;
\c regress_cdp_remote
CREATE TABLE orders (id bigint PRIMARY KEY, mail text, total numeric(10,2), placed timestamptz, changed timestamptz);
INSERT INTO orders SELECT n, 'u' || n % 10 || '@x.org', n, '2026-01-01'::timestamptz + n * '1 hour'::interval, '2026-01-01'::timestamptz + n * '1 hour'::interval FROM generate_series(1, 100) AS n;
CREATE TABLE people (id uuid PRIMARY KEY, mail text, country text);
INSERT INTO people SELECT ('00000000-0000-4000-8000-0000000000' || 10 + n)::uuid, 'u' || n || '@x.org', 'DE' FROM generate_series(0, 9) AS n;
\c :here
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE EXTENSION postgres_fdw;
CREATE SERVER managed FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'regress_cdp_remote', host :'socket_folder', port :'port');
CREATE USER MAPPING FOR CURRENT_USER SERVER managed OPTIONS (user :'me');
CREATE SCHEMA remote;
IMPORT FOREIGN SCHEMA public FROM SERVER managed INTO remote;

SELECT cdp.create_source('orders', 'remote.orders', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'placed', event_name => $$'order'$$, properties => 'total AS amount', watermark => 'changed');
SELECT cdp.create_source('people', 'remote.people', record_key => 'id', identifiers => 'mail AS email', traits => 'country');
SELECT cdp.create_source('queued', 'remote.people', record_key => 'id', identifiers => 'mail AS email', capture => 'queue');
CALL cdp.refresh();
CREATE VIEW what AS SELECT l.source, l.mode, l.status, l.rows_read, l.records_new AS new, l.records_changed AS changed, l.retracted AS gone
FROM cdp.refresh_log AS l WHERE l.step = 'source' AND l.refresh_id = (SELECT max(m.refresh_id) FROM cdp.refresh_log AS m) ORDER BY l.log_id;
TABLE what;
SELECT email, country, event_count FROM cdp.profiles ORDER BY email LIMIT 3;
-- The condition on the watermark is evaluated over there.
SELECT query AS since FROM cdp.source_query('orders', 'since', '2026-01-05T00:00:00+00:00') \gset
EXPLAIN (VERBOSE, COSTS OFF) :since;
UPDATE remote.orders SET total = 1000, changed = '2026-02-01' WHERE id = 7;
INSERT INTO remote.orders VALUES (101, 'u1@x.org', 5, '2026-02-01', '2026-02-01');
DELETE FROM remote.people WHERE mail = 'u3@x.org';
CALL cdp.refresh();
TABLE what;
SELECT record_key, amount FROM cdp.events WHERE record_key IN ('7', '101') ORDER BY record_key;
CALL cdp.refresh(full_compare => true);
TABLE what;
-- The other server is away: its sources wait, and nothing is lost.
ALTER SERVER managed OPTIONS (SET dbname 'regress_cdp_nowhere');
CALL cdp.refresh(on_error => 'report');
SELECT source, status, last_sqlstate, last_hint FROM cdp.sources ORDER BY source;
SELECT count(*) FROM cdp.events;
ALTER SERVER managed OPTIONS (SET dbname 'regress_cdp_remote');
CALL cdp.refresh();
SELECT source, status FROM cdp.sources ORDER BY source;

DROP VIEW what;
DROP SCHEMA remote CASCADE;
DROP EXTENSION postgres_fdw CASCADE;
DROP DATABASE regress_cdp_remote WITH (FORCE);
SELECT cdp.teardown(false);
