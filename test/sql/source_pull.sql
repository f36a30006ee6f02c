-- Refresh by pull: watermark and overlap, full compares, filters, deletions and
-- the guard, replaced tables, drift, transaction blocks, failures.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA crm;
CREATE TABLE crm.contacts (id integer PRIMARY KEY, mail text, country text, status text DEFAULT 'active', updated timestamptz, removed boolean);
INSERT INTO crm.contacts SELECT n, 'p' || n || '@x.org', (ARRAY['DE', 'JP', 'US'])[n % 3 + 1], 'active', '2026-01-01'::timestamptz + n * '1 day'::interval, false
FROM generate_series(1, 20) AS n;
SELECT cdp.create_source('crm', 'crm.contacts', record_key => 'id', observed_at => 'updated', identifiers => 'mail AS email, id AS crm_id',
    traits => 'country', watermark => 'updated', deleted => 'removed', filter => $$ status = 'active' $$);
CREATE VIEW what AS SELECT l.source, l.mode, l.status, l.rows_read, l.records_new AS new, l.records_changed AS changed, l.retracted AS gone, l.rejected, l.sqlstate
FROM cdp.refresh_log AS l WHERE l.step = 'source' AND l.refresh_id = (SELECT max(m.refresh_id) FROM cdp.refresh_log AS m) ORDER BY l.log_id;

-- everything, then what is new, with the overlap of an hour
CALL cdp.refresh();
TABLE what;
SELECT source, status, rows_read, rejected, watermark, lag < '1 hour' AS is_recent, queued FROM cdp.sources;
CALL cdp.refresh();
TABLE what;
UPDATE crm.contacts SET country = 'FR', updated = '2026-02-01' WHERE id = 1;
-- committed late, yet within the overlap; and too late to be seen
INSERT INTO crm.contacts VALUES (21, 'p21@x.org', 'IT', 'active', '2026-01-20 23:30+00'), (22, 'p22@x.org', 'IT', 'active', '2026-01-20 22:30+00');
CALL cdp.refresh();
TABLE what;
SELECT email, country FROM cdp.profiles WHERE email IN ('p1@x.org', 'p21@x.org', 'p22@x.org') ORDER BY email;
-- a row without watermark is always read
INSERT INTO crm.contacts VALUES (23, 'p23@x.org', 'IT', 'active', NULL);
CALL cdp.refresh();
TABLE what;
-- a row leaves the filter, another is marked as deleted: both are gone, and come back
UPDATE crm.contacts SET status = 'trial', updated = '2026-02-02' WHERE id = 2;
UPDATE crm.contacts SET removed = true, updated = '2026-02-02' WHERE id = 3;
CALL cdp.refresh();
TABLE what;
SELECT count(*) FROM cdp_data.contribution WHERE record_key IN ('2', '3');
UPDATE crm.contacts SET status = 'active', removed = false, updated = '2026-02-03' WHERE id IN (2, 3);
CALL cdp.refresh();
TABLE what;
-- what the watermark does not show, a full compare does
DELETE FROM crm.contacts WHERE id IN (4, 5);
CALL cdp.refresh();
TABLE what;
CALL cdp.refresh(full_compare => true);
TABLE what;
-- a watermark that lies ahead, or never ends, hides nothing
INSERT INTO crm.contacts VALUES (24, 'p24@x.org', 'IT', 'active', '2990-01-01'), (25, 'p25@x.org', 'IT', 'active', 'infinity');
CALL cdp.refresh();
TABLE what;
SELECT watermark::timestamptz <= now() AS is_past FROM cdp.sources;
SELECT record_key, reason FROM cdp.rejected_records;
DELETE FROM crm.contacts WHERE id IN (24, 25);
CALL cdp.refresh(full_compare => true);

-- The guard: a table that lost more than a fifth stops the source, and nothing of it is changed.
CREATE TABLE crm.saved AS TABLE crm.contacts;
DELETE FROM crm.contacts WHERE id > 12;
INSERT INTO crm.contacts VALUES (30, 'p30@x.org', 'ES', 'active', '2026-02-04');
CALL cdp.refresh(full_compare => true);
TABLE what;
SELECT source, status, last_error, last_sqlstate, last_hint, failed_since IS NOT NULL AS has_failed FROM cdp.sources;
SELECT count(*) FROM cdp_data.contribution;
SELECT "check", severity, detail, hint FROM cdp.health;
CALL cdp.refresh(full_compare => true, allow_deletes => true);
TABLE what;
SELECT source, status, last_error, failed_since FROM cdp.sources;
SELECT * FROM cdp.health;

-- TRUNCATE and COPY: nothing is withdrawn that is there again.
TRUNCATE crm.contacts;
INSERT INTO crm.contacts SELECT * FROM crm.saved;
CALL cdp.refresh();
TABLE what;
-- dbt's way: a new table takes the place of the old one
CREATE TABLE crm.contacts__new AS SELECT * FROM crm.contacts WHERE id <> 20;
ALTER TABLE crm.contacts RENAME TO contacts__old;
ALTER TABLE crm.contacts__new RENAME TO contacts;
DROP TABLE crm.contacts__old;
CALL cdp.refresh();
TABLE what;
-- dropped and made again, in between a refresh
DROP TABLE crm.contacts;
CALL cdp.refresh();
SELECT source, status, last_error, last_hint FROM cdp.sources;
SELECT count(*) FROM cdp_data.contribution;
CREATE TABLE crm.contacts (extra text, id bigint, mail varchar, country text, status text, updated timestamptz, removed boolean);
INSERT INTO crm.contacts SELECT 'x', s.* FROM crm.saved AS s;
CALL cdp.refresh();
TABLE what;

-- Drift: a dropped column and a retyped one stop their source; the others go on.
CREATE TABLE crm.tickets (id integer PRIMARY KEY, mail text, priority integer, opened timestamptz);
INSERT INTO crm.tickets VALUES (1, 'p1@x.org', 3, '2026-02-01'), (2, 'p2@x.org', 1, '2026-02-02');
SELECT cdp.create_source('tickets', 'crm.tickets', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'opened', event_name => $$'ticket opened'$$, properties => 'priority');
CALL cdp.refresh();
ALTER TABLE crm.tickets RENAME COLUMN priority TO importance;
INSERT INTO crm.contacts VALUES ('x', 40, 'p40@x.org', 'DE', 'active', now());
CALL cdp.refresh();
TABLE what;
SELECT source, status, last_error, last_hint FROM cdp.sources ORDER BY source;
ALTER TABLE crm.tickets RENAME COLUMN importance TO priority;
ALTER TABLE crm.tickets ALTER COLUMN priority TYPE text USING 'p' || priority;
CALL cdp.refresh(on_error => 'report');
SELECT source, status, last_error, last_hint FROM cdp.sources ORDER BY source;
SELECT record_key, priority FROM cdp.events ORDER BY record_key;
-- to a wider type of the same kind is no drift
ALTER TABLE crm.tickets ALTER COLUMN priority TYPE smallint USING substr(priority, 2)::smallint;
CALL cdp.refresh();
SELECT source, status FROM cdp.sources ORDER BY source;

-- A changed row replaces its event, a deleted one takes it away.
UPDATE crm.tickets SET priority = 9, opened = '2026-01-15' WHERE id = 1;
INSERT INTO crm.tickets VALUES (3, 'p3@x.org', 1, '2026-02-03'), (4, 'p3@x.org', 1, '2026-02-03'), (5, 'p3@x.org', 1, '2026-02-03');
CALL cdp.refresh(ARRAY['tickets']);
DELETE FROM crm.tickets WHERE id = 5;
CALL cdp.refresh(ARRAY['tickets']);
SELECT record_key, occurred_at, priority FROM cdp.events ORDER BY record_key;
-- Rows that did not change are not written.
SELECT xmin AS before FROM cdp_data.event WHERE record_key = '1' \gset
CALL cdp.refresh(ARRAY['tickets']);
SELECT xmin = :'before' AS is_untouched FROM cdp_data.event WHERE record_key = '1';

-- Inside a transaction block, and rolled back.
BEGIN;
SET LOCAL client_min_messages = notice;
INSERT INTO crm.tickets VALUES (6, 'p3@x.org', 2, '2026-02-05');
SET LOCAL client_min_messages = warning;
CALL cdp.refresh(ARRAY['tickets']);
SELECT count(*) FROM cdp.events;
ROLLBACK;
SELECT count(*) FROM cdp.events;
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL cdp.refresh();
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL cdp.refresh();
COMMIT;
SET default_transaction_isolation = 'serializable';
CALL cdp.refresh();
RESET default_transaction_isolation;
DO $$ BEGIN CALL cdp.refresh(ARRAY['tickets']); END $$;

-- arguments
CALL cdp.refresh(ARRAY['crm', 'nothing']);
CALL cdp.refresh(ARRAY[NULL]);
CALL cdp.refresh(full_compare => NULL);
CALL cdp.refresh(allow_deletes => NULL);
CALL cdp.refresh(on_error => 'ignore');
CALL cdp.refresh(on_error => NULL);
CALL cdp.refresh('{}');
-- one name, or an array written as text
CALL cdp.refresh('tickets');
CALL cdp.refresh('{tickets}');
CALL cdp.refresh('{tickets');
CALL cdp.refresh_segments('{tickets');
CALL cdp.refresh(ARRAY['{tickets']);
CALL cdp.refresh(source => 'tickets', full_compare => true);
CALL cdp.refresh('nothing');

-- A comment at the end of a text, also where another text follows it.
CREATE TABLE crm.noted (id integer, part integer, mail text, plan text, paid numeric, at timestamptz, gone boolean);
INSERT INTO crm.noted VALUES (1, 1, 'noted@x.org', 'gold', 12, '2026-01-01', NULL), (2, 1, 'left@x.org', 'gold', 12, '2026-01-01', true);
SELECT cdp.create_source('noted', 'crm.noted', record_key => 'id, part -- both', identifiers => 'mail AS email -- the only one', traits => 'plan AS plan_noted -- as sold',
    observed_at => 'at -- of sale', deleted => 'gone -- away', filter => 'id > 0 -- no tests', watermark => 'at -- as well', capture => 'immediate');
SELECT cdp.create_source('noted_paid', 'crm.noted', record_key => 'id, part -- both', identifiers => 'mail AS email -- the only one', properties => 'paid -- with tax',
    occurred_at => 'at -- of sale', event_name => $$'paid' -- always$$, deleted => 'gone -- away', filter => 'id > 0 -- no tests', watermark => 'at -- as well');
CALL cdp.refresh(ARRAY['noted', 'noted_paid']);
UPDATE crm.noted SET plan = 'silver', at = '2026-01-02', paid = NULL WHERE id = 1;
CALL cdp.refresh(ARRAY['noted', 'noted_paid']);
SELECT p.email, p.plan_noted, e.event_name, e.paid FROM cdp.profiles AS p JOIN cdp.events AS e USING (profile_id) WHERE e.source = 'noted_paid';
SELECT reason, detail FROM cdp.rejected_records WHERE source LIKE 'noted%';
SELECT cdp.drop_source('noted'), cdp.drop_source('noted_paid');

-- A watermark that no number passes does not hide what comes later.
CREATE TABLE crm.scored (id integer, mail text, score integer, version numeric);
INSERT INTO crm.scored VALUES (1, 'one@x.org', 1, 10), (2, 'two@x.org', 1, 'NaN'), (3, 'three@x.org', 1, 'Infinity'), (4, 'four@x.org', 1, '-Infinity');
SELECT cdp.create_source('scored', 'crm.scored', record_key => 'id', identifiers => 'mail AS email', traits => 'score AS scored', watermark => 'version', watermark_overlap => '0');
CALL cdp.refresh('scored');
UPDATE crm.scored SET score = 2, version = 11 WHERE id = 1;
UPDATE crm.scored SET score = 2 WHERE id > 1;
CALL cdp.refresh('scored');
SELECT s.watermark, (SELECT string_agg(p.email || ' ' || p.scored, ', ' ORDER BY p.email) FROM cdp.profiles AS p WHERE p.scored IS NOT NULL) AS read FROM cdp.sources AS s WHERE s.source = 'scored';
SELECT cdp.drop_source('scored');

-- The log and the progress lines hold numbers and names.
SELECT DISTINCT step, status FROM cdp.refresh_log ORDER BY step, status;

DROP VIEW what;
DROP SCHEMA crm CASCADE;
SELECT cdp.teardown(false);
