-- Capture: what the triggers on the tables of sources notice, and what they never do to the writer.

SET client_min_messages = warning;
SELECT cdp.setup();
SET TimeZone = 'UTC';
SELECT cdp.configure('time_zone', 'UTC');

-- The tables belong to one role, another one writes; neither has rights in the storage.
CREATE ROLE regress_capture_owner;
CREATE ROLE regress_capture_writer;
CREATE SCHEMA live AUTHORIZATION regress_capture_owner;
GRANT USAGE ON SCHEMA live TO regress_capture_writer;
SET ROLE regress_capture_owner;
CREATE TABLE live.contact (id bigint PRIMARY KEY, email text, crm text, country text, changed timestamptz);
CREATE TABLE live.visit (id bigint, page integer, email text, cookie text, seconds integer, at timestamptz, PRIMARY KEY (id, page));
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON live.contact, live.visit TO regress_capture_writer;
-- An expression that fails, and one that looks who asks.
CREATE FUNCTION live.checked(email text) RETURNS text LANGUAGE plpgsql STABLE AS
$$BEGIN
    IF email LIKE 'bad%' THEN RAISE EXCEPTION 'this e-mail address is bad'; END IF;
    IF current_user <> 'regress_capture_owner' THEN RAISE EXCEPTION 'called by %', current_user; END IF;
    RETURN email;
END$$;
RESET ROLE;

SELECT cdp.create_source('crm', 'live.contact', record_key => 'id', observed_at => 'changed',
    identifiers => 'live.checked(email) AS email, crm AS crm_id', traits => 'country', capture => 'immediate', owner => 'regress_capture_owner');
SELECT cdp.create_source('web', 'live.visit', record_key => 'id, page', occurred_at => 'at', event_name => $$'visit'$$,
    identifiers => 'email, cookie AS anonymous_id', properties => '60 / seconds AS rate', capture => 'queue', owner => 'regress_capture_owner');
SELECT tgrelid::regclass AS "table", tgname AS trigger, tgenabled AS enabled FROM pg_trigger WHERE tgfoid = 'cdp_data.capture'::regproc ORDER BY 1, 2;
-- Nobody else may use the function.
SELECT has_function_privilege('regress_capture_writer', 'cdp_data.capture()', 'EXECUTE') AS writer_may,
       has_function_privilege('regress_capture_owner', 'cdp_data.capture()', 'EXECUTE') AS owner_may,
       (SELECT prosecdef AND proconfig = ARRAY['search_path=pg_catalog, pg_temp'] FROM pg_proc WHERE oid = 'cdp_data.capture'::regproc) AS as_its_owner;

CREATE VIEW person AS SELECT crm_id, email, country, anonymous_id, record_count, event_count FROM cdp.profiles ORDER BY crm_id NULLS LAST, email;
CREATE VIEW noted AS SELECT source, record_key, count(*) AS times FROM cdp_data.captured_key GROUP BY source, record_key ORDER BY source, record_key COLLATE "C";

-- ---------- immediate ----------
SET ROLE regress_capture_writer;
BEGIN;
INSERT INTO live.contact VALUES (1, 'ann@example.org', 'c1', 'FR', '2024-01-01'), (2, 'bob@example.org', 'c2', 'IT', '2024-01-01');
RESET ROLE;
-- in the same transaction
SELECT * FROM person;
ROLLBACK;
RESET ROLE;
SELECT * FROM person;
SET ROLE regress_capture_writer;
INSERT INTO live.contact VALUES (1, 'ann@example.org', 'c1', 'FR', '2024-01-01'), (2, 'bob@example.org', 'c2', 'IT', '2024-01-01');
UPDATE live.contact SET country = 'DE', changed = '2024-01-02' WHERE id = 1;
RESET ROLE;
SELECT * FROM person;
-- COPY; a merge, which takes a row away; its undoing; a change of key; MERGE; ON CONFLICT
SET ROLE regress_capture_writer;
COPY live.contact FROM stdin;
3	ann@example.org	\N	ES	2024-01-03
4	cat@example.org	c4	PT	2024-01-03
\.
RESET ROLE;
SELECT * FROM person;
UPDATE live.contact SET email = 'anna@example.org', changed = '2024-01-04' WHERE id = 3;
SELECT * FROM person;
UPDATE live.contact SET id = 30 WHERE id = 3;
SELECT source, record_key FROM cdp_data.contribution ORDER BY 1, 2;
INSERT INTO live.contact VALUES (4, 'cat@example.org', 'c4', 'NL', '2024-01-05'), (5, 'dan@example.org', 'c5', 'NL', '2024-01-05')
ON CONFLICT (id) DO UPDATE SET country = EXCLUDED.country, changed = EXCLUDED.changed;
MERGE INTO live.contact AS c USING (VALUES (5, 'BE'), (6, 'BE')) AS n(id, country) ON n.id = c.id
    WHEN MATCHED THEN DELETE
    WHEN NOT MATCHED THEN INSERT VALUES (n.id, 'eve@example.org', 'c6', n.country, '2024-01-06');
SELECT * FROM person;
DELETE FROM live.contact WHERE id = 30;
SELECT * FROM person;
UPDATE live.contact SET country = 'XX' WHERE false;
-- The table changes while the session goes on.
ALTER TABLE live.contact ADD COLUMN note text;
INSERT INTO live.contact VALUES (7, 'gus@example.org', 'c7', 'SE', '2024-01-07', 'new');
DELETE FROM live.contact WHERE id = 7;
-- The time of a row goes back: what is stored is newer.
UPDATE live.contact SET country = 'XX', changed = '2023-01-01' WHERE id = 1;
SELECT country FROM person WHERE crm_id = 'c1';

-- ---------- what fails ----------
-- One row of several; the writer does not notice, and the others are taken in.
SET ROLE regress_capture_writer;
INSERT INTO live.contact SELECT i, CASE WHEN i = 17 THEN 'bad@example.org' ELSE 'p' || i || '@example.org' END, 'x' || i, 'FR', '2024-02-01' FROM generate_series(11, 30) AS i;
RESET ROLE;
SELECT source, record_key, reason, detail, identifiers FROM cdp.rejected_records;
SELECT count(*) FROM person WHERE crm_id LIKE 'x%';
-- Corrected, it is forgotten.
UPDATE live.contact SET email = 'p17@example.org', changed = '2024-02-02' WHERE id = 17;
SELECT count(*) AS rejected, (SELECT count(*) FROM person WHERE crm_id = 'x17') AS taken_in FROM cdp.rejected_records;
-- All rows, and not because of them: they are left to a refresh, which stops the source and says why.
ALTER FUNCTION live.checked(text) RENAME TO renamed;
INSERT INTO live.contact VALUES (40, 'fay@example.org', 'c40', 'FR', '2024-03-01'), (41, 'gil@example.org', 'c41', 'FR', '2024-03-01');
UPDATE live.contact SET country = 'IT' WHERE id = 40;
SELECT source, record_key, reason, detail FROM cdp.rejected_records;
SELECT * FROM noted;
ALTER FUNCTION live.renamed(text) RENAME TO checked;
-- The next change brings them along.
UPDATE live.contact SET country = 'BE' WHERE id = 1;
SELECT * FROM noted;
SELECT crm_id, country FROM person WHERE crm_id IN ('c40', 'c41');
-- A refresh that works forgets the failure.
CALL cdp.refresh();
SELECT count(*) AS rejected FROM cdp.rejected_records;
-- What the writer has to know reaches it: here a timeout.
BEGIN;
SET LOCAL statement_timeout = '100ms';
CREATE OR REPLACE FUNCTION live.checked(email text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT pg_sleep(10)::text || email $$;
\set VERBOSITY terse
INSERT INTO live.contact VALUES (50, 'hal@example.org', 'c50', 'FR', '2024-03-01');
ROLLBACK;
-- and a serialization failure, which it may repeat: a prepared transaction writes what the expression reads, and read what this one writes
CREATE TABLE live.written (n integer);
CREATE TABLE live.read (n integer);
GRANT SELECT ON live.read TO regress_capture_owner;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM live.written;
INSERT INTO live.read VALUES (1);
PREPARE TRANSACTION 'regress_cdp_other';
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO live.written VALUES (1);
CREATE OR REPLACE FUNCTION live.checked(email text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT email || count(*) FROM live.read $$;
INSERT INTO live.contact VALUES (50, 'hal@example.org', 'c50', 'FR', '2024-03-01');
ROLLBACK;
ROLLBACK PREPARED 'regress_cdp_other';
BEGIN;
LOCK TABLE live.read;
PREPARE TRANSACTION 'regress_cdp_other';
BEGIN;
SET LOCAL lock_timeout = '100ms';
CREATE OR REPLACE FUNCTION live.checked(email text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN email || (SELECT count(*) FROM live.read); END $$;
INSERT INTO live.contact VALUES (50, 'hal@example.org', 'c50', 'FR', '2024-03-01');
ROLLBACK;
ROLLBACK PREPARED 'regress_cdp_other';
DROP TABLE live.written, live.read;
-- while RAISE with such a SQLSTATE is an error in an expression like others
BEGIN;
CREATE OR REPLACE FUNCTION live.checked(email text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE serialization_failure; END $$;
INSERT INTO live.contact VALUES (50, 'hal@example.org', 'c50', 'FR', '2024-03-01');
SELECT record_key, reason, detail FROM cdp.rejected_records;
ROLLBACK;
\set VERBOSITY default
-- The expressions can do nothing with the rights of the storage's owner, nor of the writer.
BEGIN;
CREATE OR REPLACE FUNCTION live.checked(email text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN DELETE FROM cdp_data.source; RETURN email; END $$;
INSERT INTO live.contact VALUES (50, 'hal@example.org', 'c50', 'FR', '2024-03-01');
SELECT detail FROM cdp.rejected_records;
ROLLBACK;
BEGIN;
CREATE OR REPLACE FUNCTION live.checked(email text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM cdp.block_identifier('email', email); RETURN email; END $$;
INSERT INTO live.contact VALUES (50, 'hal@example.org', 'c50', 'FR', '2024-03-01');
SELECT count(*) AS failed FROM cdp.rejected_records;
ROLLBACK;
-- A role of which the owner of the storage is no member: nothing of it runs.
SELECT * FROM noted;

-- Nor can somebody else's rows, of types made for the purpose, run code with the rights of the source's owner.
CREATE SCHEMA other;
CREATE TYPE other.number AS (n integer);
CREATE FUNCTION other.as_text(other.number) RETURNS text LANGUAGE sql AS $$ SELECT 'run by ' || current_user $$;
CREATE CAST (other.number AS text) WITH FUNCTION other.as_text(other.number) AS ASSIGNMENT;
CREATE TABLE other.contact (id other.number);
CREATE TRIGGER planted AFTER INSERT ON other.contact REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION cdp_data.capture('web');
INSERT INTO other.contact VALUES (ROW(1));
SELECT * FROM noted;
SELECT cdp.grant_access('regress_capture_writer', 'admin');
SET ROLE regress_capture_writer;
BEGIN;
DECLARE changed CURSOR FOR SELECT 1 AS id, 2 AS page;
SELECT * FROM cdp.changed_keys('web', 'live.visit', 'changed');
ROLLBACK;
RESET ROLE;
SELECT cdp.grant_access('regress_capture_writer', 'reader');
DROP SCHEMA other CASCADE;

-- ---------- queue ----------
SET ROLE regress_capture_writer;
INSERT INTO live.visit VALUES (1, 1, 'ann@example.org', 'k1', 10, '2024-01-01'), (1, 2, NULL, 'k1', 10, '2024-01-01');
INSERT INTO live.visit SELECT 2, p, NULL, 'k2', 5, '2024-01-02' FROM generate_series(1, 3) AS p;
UPDATE live.visit SET seconds = 20 WHERE id = 1;
UPDATE live.visit SET page = 9 WHERE id = 2 AND page = 3;
DELETE FROM live.visit WHERE id = 2 AND page = 1;
RESET ROLE;
SELECT * FROM noted;
-- Nothing is withdrawn by TRUNCATE; the next refresh compares everything.
UPDATE cdp_data.source_state SET needs_full = false;
DELETE FROM cdp_data.captured_key;
TRUNCATE live.visit, live.contact;
SELECT * FROM noted;
SELECT count(*) AS people FROM person;
DELETE FROM cdp_data.captured_key;

-- ---------- partitions ----------
CREATE TABLE live.click (id bigint NOT NULL, cookie text, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE live.click_2024 PARTITION OF live.click FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY RANGE (at);
CREATE TABLE live.click_2024_1 PARTITION OF live.click_2024 FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
-- with its columns in another order
CREATE TABLE live.click_2024_2 (at timestamptz NOT NULL, cookie text, id bigint NOT NULL);
ALTER TABLE live.click_2024 ATTACH PARTITION live.click_2024_2 FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
SELECT cdp.create_source('click', 'live.click', record_key => 'id', occurred_at => 'at', event_name => $$'click'$$, identifiers => 'cookie AS anonymous_id', capture => 'queue');
INSERT INTO live.click VALUES (1, 'k1', '2024-02-01'), (2, 'k1', '2024-08-01');
INSERT INTO live.click_2024 VALUES (3, 'k1', '2024-02-01');
INSERT INTO live.click_2024_1 VALUES (4, 'k1', '2024-02-01');
INSERT INTO live.click_2024_2 (id, cookie, at) VALUES (5, 'k1', '2024-08-01');
-- from one partition to the other
UPDATE live.click SET at = '2024-09-01' WHERE id = 1;
DELETE FROM live.click_2024_1 WHERE id = 4;
SELECT * FROM noted;
DELETE FROM cdp_data.captured_key;
-- A new one has its triggers after the next look, and a full compare follows.
CREATE TABLE live.click_2025 PARTITION OF live.click FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO live.click VALUES (6, 'k1', '2025-02-01');
INSERT INTO live.click_2025 VALUES (7, 'k1', '2025-02-01');
SELECT * FROM noted;
SELECT cdp.verify_capture('click') AS was_missing;
SELECT cdp.verify_capture('click') AS was_missing;
INSERT INTO live.click_2025 VALUES (8, 'k1', '2025-02-01');
SELECT * FROM noted;
DELETE FROM cdp_data.captured_key;
-- Triggers that somebody disabled or dropped.
ALTER TABLE live.click DISABLE TRIGGER cdp_click_insert;
DROP TRIGGER cdp_click_update ON live.click_2024;
SELECT cdp.verify_capture('click') AS was_missing;
SELECT cdp.verify_capture('click') AS was_missing;

-- ---------- declarations ----------
-- A session that does not fire ordinary triggers is seen as well.
SET session_replication_role = replica;
INSERT INTO live.contact VALUES (1, 'ann@example.org', 'c1', 'ES', '2025-01-01');
RESET session_replication_role;
SELECT country FROM person WHERE crm_id = 'c1';
-- From one kind of capture to another and back; the triggers follow.
SELECT cdp.alter_source('crm', capture => 'pull');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'live.contact'::regclass;
INSERT INTO live.contact VALUES (2, 'bob@example.org', 'c2', 'ES', '2025-01-01');
SELECT * FROM noted;
SELECT cdp.alter_source('crm', capture => 'queue');
INSERT INTO live.contact VALUES (3, 'bob@example.org', 'c2', 'ES', '2025-01-01');
SELECT * FROM noted;
SELECT cdp.drop_source('crm');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'live.contact'::regclass;
SELECT * FROM noted;
-- Views and such have no triggers for this.
CREATE VIEW live.seen AS SELECT * FROM live.contact;
SELECT cdp.create_source('seen', 'live.seen', record_key => 'id', identifiers => 'email', capture => 'queue');
SELECT count(*) AS sources FROM cdp_data.source WHERE name = 'seen';
-- The table is gone: no triggers are asked for, and the error says what is missing.
CREATE TABLE live.brief (id integer PRIMARY KEY, email text);
SELECT cdp.create_source('brief', 'live.brief', record_key => 'id', identifiers => 'email', capture => 'queue');
SELECT count(*) AS triggers FROM cdp.capture_triggers('brief');
DROP TABLE live.brief;
SELECT count(*) AS triggers FROM cdp.capture_triggers('brief');
SELECT cdp.verify_capture('brief') AS was_missing;
SELECT cdp.install_capture('brief');
\set VERBOSITY sqlstate
SELECT cdp.install_capture('brief');
\set VERBOSITY default
SELECT cdp.drop_source('brief');
-- A long name.
SELECT cdp.create_source('a source with a name that is much longer than the name of a trigger can be', 'live.contact', record_key => 'id', identifiers => 'email', capture => 'queue');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'live.contact'::regclass ORDER BY 1;

-- ---------- without cdp ----------
SELECT * FROM cdp.check_identities();
DROP VIEW person, noted;
-- The storage stays and the extension goes: the writers go on, and what they wrote is read when it is back.
UPDATE cdp_data.source_state SET needs_full = false;
SELECT cdp.teardown(true);
DROP EXTENSION cdp;
INSERT INTO live.visit VALUES (5, 1, 'ann@example.org', 'k1', 10, '2024-01-01');
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT source, record_key FROM cdp_data.captured_key ORDER BY captured_id DESC LIMIT 1;
SELECT source, reason, detail FROM cdp.rejected_records WHERE record_key IS NULL;
INSERT INTO live.visit VALUES (6, 1, 'ann@example.org', 'k1', 10, '2024-01-01');
SELECT source, record_key FROM cdp_data.captured_key WHERE source = 'web' ORDER BY captured_id DESC LIMIT 1;
-- The triggers go with the storage.
SELECT cdp.teardown(false);
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid IN ('live.visit'::regclass, 'live.click'::regclass, 'live.contact'::regclass);
INSERT INTO live.visit VALUES (7, 1, 'ann@example.org', 'k1', 10, '2024-01-01');
DROP SCHEMA live CASCADE;
DROP OWNED BY regress_capture_writer;
DROP ROLE regress_capture_owner, regress_capture_writer;
