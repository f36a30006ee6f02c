-- Rows that cannot be taken in: noted with the reason, the others taken in, and
-- read again when the cause is mended.  Also keys of several columns, old
-- versions in the table, and profile ids in place of identifiers.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA app;
CREATE TABLE app.users (id integer PRIMARY KEY, mail text, birth_year text, changed bigint);
INSERT INTO app.users SELECT n, 'u' || n || '@x.org', (1950 + n % 50)::text, n FROM generate_series(1, 300) AS n;
UPDATE app.users SET birth_year = 'unknown' WHERE id IN (7, 77, 177);
UPDATE app.users SET mail = 'not an address' WHERE id = 8;
UPDATE app.users SET mail = NULL WHERE id = 9;
CREATE VIEW what AS SELECT l.source, l.mode, l.status, l.rows_read, l.records_new AS new, l.records_changed AS changed, l.retracted AS gone, l.rejected, l.sqlstate
FROM cdp.refresh_log AS l WHERE l.step = 'source' AND l.refresh_id = (SELECT max(m.refresh_id) FROM cdp.refresh_log AS m) ORDER BY l.log_id;

SELECT cdp.create_source('app', 'app.users', record_key => 'id', identifiers => 'mail AS email', traits => 'birth_year::integer AS birth_year', watermark => 'changed', watermark_overlap => '0');
CALL cdp.refresh();
TABLE what;
SELECT record_key, reason, detail FROM cdp.rejected_records ORDER BY record_key COLLATE "C";
SELECT count(*), min(birth_year), max(birth_year) FROM cdp.profiles;
SELECT source, status, rows_read, rejected, watermark FROM cdp.sources;
-- past the watermark, too
UPDATE app.users SET birth_year = '19xx', changed = 301 WHERE id = 10;
UPDATE app.users SET birth_year = '1999', changed = 302 WHERE id = 11;
CALL cdp.refresh();
TABLE what;
SELECT record_key, reason, detail FROM cdp.rejected_records WHERE record_key IN ('10', '11');
SELECT email, birth_year FROM cdp.profiles WHERE email IN ('u10@x.org', 'u11@x.org') ORDER BY email;
SELECT watermark FROM cdp.sources;
-- a row whose data was mended and that is read again by its watermark is no longer rejected
UPDATE app.users SET birth_year = '2000', changed = 303 WHERE id = 10;
CALL cdp.refresh();
SELECT count(*) FROM cdp.rejected_records WHERE record_key = '10';
-- mended without a sign of it: replayed
UPDATE app.users SET birth_year = '1960' WHERE id = 7;
UPDATE app.users SET mail = 'u8@x.org' WHERE id = 8;
DELETE FROM app.users WHERE id = 9;
SELECT * FROM cdp.replay_rejected('app', ARRAY['7']);
SELECT * FROM cdp.replay_rejected('app');
SELECT record_key, reason FROM cdp.rejected_records ORDER BY record_key COLLATE "C";
-- or the declaration was
SELECT cdp.alter_source('app', traits => $$ CASE WHEN birth_year ~ '^[0-9]+$' THEN birth_year::integer END AS birth_year $$);
SELECT * FROM cdp.replay_rejected();
SELECT count(*) FROM cdp.rejected_records;
SELECT * FROM cdp.replay_rejected('nothing');
-- More than 1,000 of them, and it is not the rows.
INSERT INTO app.users SELECT n, 'u' || n || '@x.org', 'none', n FROM generate_series(1001, 2100) AS n;
SELECT cdp.alter_source('app', traits => 'birth_year::integer AS birth_year');
CALL cdp.refresh();
SELECT status, last_error, last_sqlstate, last_hint FROM cdp.sources;
SELECT count(*) FROM cdp_data.contribution;

-- Events without a time or a name.
CREATE TABLE app.clicks (page text, number integer, mail text, name text, at timestamptz, PRIMARY KEY (page, number));
INSERT INTO app.clicks VALUES ('home', 1, 'u1@x.org', 'view', '2026-01-01'), ('home', 2, 'u1@x.org', NULL, '2026-01-01'), ('a,"b"', 1, 'u1@x.org', '', '2026-01-01'),
    ('a,"b"', 2, 'u1@x.org', 'view', NULL), ('a,"b"', 3, 'u1@x.org', 'view', 'infinity'), ('a,"b"', 4, 'u1@x.org', 'view', '2026-01-02');
SELECT cdp.drop_source('app');
SELECT cdp.create_source('clicks', 'app.clicks', record_key => 'page, number', identifiers => 'mail AS email', occurred_at => 'at', event_name => 'name');
CALL cdp.refresh();
TABLE what;
SELECT record_key, event_name, occurred_at FROM cdp.events ORDER BY record_key COLLATE "C";
SELECT record_key, reason, detail, profile_id = cdp.resolve('email', 'u1@x.org') AS is_known FROM cdp.rejected_records ORDER BY record_key COLLATE "C";
UPDATE app.clicks SET name = 'view', at = '2026-01-03' WHERE page = 'a,"b"';
SELECT * FROM cdp.replay_rejected();
SELECT record_key, event_name, occurred_at FROM cdp.events ORDER BY record_key COLLATE "C";
SELECT record_key, reason FROM cdp.rejected_records;
CALL cdp.refresh();
DELETE FROM app.clicks WHERE name IS NULL;
CALL cdp.refresh();
SELECT count(*) FROM cdp.rejected_records;

-- A refused event is neither an event nor a record of its person, whichever way people are derived.
CREATE TABLE app.signs (number integer, mail text, browser text, name text, at timestamptz, changed bigint);
INSERT INTO app.signs VALUES (1, 'v1@x.org', 'b1', 'view', '2026-01-01', 1), (2, 'v1@x.org', 'b1', '', '2026-01-05', 2), (3, 'v2@x.org', 'b2', 'view', NULL, 3),
    (4, 'v3@x.org', NULL, NULL, '2026-01-02', 4), (5, 'v2@x.org', 'b2', 'view', 'infinity', 5);
SELECT cdp.create_source('signs', 'app.signs', record_key => 'number', identifiers => 'mail AS email, browser AS anonymous_id', occurred_at => 'at', event_name => 'name', watermark => 'changed');
SELECT cdp.identify('{"email": "v3@x.org"}', 'desk', '1', '2026-01-03');
CREATE VIEW counted AS SELECT email, event_count AS events, record_count AS records, first_seen, last_seen FROM cdp.profiles WHERE email LIKE 'v%' ORDER BY email;
CALL cdp.refresh();
TABLE what;
TABLE counted;
INSERT INTO cdp_data.changed_profile VALUES (0);
SELECT cdp.materialize_profiles() AS changed_by_all;
SELECT cdp.materialize_profiles(ARRAY(SELECT profile_id FROM cdp.profiles)) AS changed_by_few;
-- so says the call that does not wait, too
INSERT INTO cdp_data.changed_profile SELECT profile_id FROM cdp.profiles;
SELECT c.email, g.one -> 'event_count' AS events, g.one -> 'record_count' AS records, (g.one ->> 'last_seen')::timestamptz IS NOT DISTINCT FROM c.last_seen AS is_equal
FROM counted AS c CROSS JOIN LATERAL (SELECT cdp.get_profile('email', c.email) AS one) AS g ORDER BY c.email;
-- and so it stays where the source is forgotten, and declared again: all agree on what the records are then
SELECT cdp.drop_source('signs', keep_data => true);
CALL cdp.refresh();
SELECT email, events, records FROM counted;
INSERT INTO cdp_data.changed_profile VALUES (0);
SELECT cdp.materialize_profiles() AS changed_by_all;
SELECT cdp.create_source('signs', 'app.signs', record_key => 'number', identifiers => 'mail AS email, browser AS anonymous_id', occurred_at => 'at', event_name => 'name', watermark => 'changed');
SELECT cdp.materialize_profiles() AS changed_by_few;
TABLE counted;
INSERT INTO cdp_data.changed_profile VALUES (0);
SELECT cdp.materialize_profiles() AS changed_by_all;
DROP VIEW counted;
SELECT cdp.drop_source('signs');
SELECT cdp.retract('desk', '1');

-- A table that keeps old versions of its rows: the newest counts.
CREATE TABLE app.versions (id integer, mail text, plan text, synced timestamptz, gone boolean);
INSERT INTO app.versions VALUES (1, 'u1@x.org', 'free', '2026-01-01', false), (1, 'u1@x.org', 'gold', '2026-01-03', false), (1, 'u1@x.org', 'silver', '2026-01-02', false),
    (2, 'u2@x.org', 'free', '2026-01-01', false), (2, 'u2@x.org', 'gold', '2026-01-02', true);
SELECT cdp.create_source('versions', 'app.versions', record_key => 'id', observed_at => 'synced', identifiers => 'mail AS email', traits => 'plan', deleted => 'gone', watermark => 'synced');
CALL cdp.refresh();
SELECT email, plan FROM cdp.profiles WHERE plan IS NOT NULL ORDER BY email;
INSERT INTO app.versions VALUES (1, 'u1@x.org', 'free', '2026-01-04', false), (2, 'u2@x.org', 'silver', '2026-01-05', false);
CALL cdp.refresh();
SELECT email, plan FROM cdp.profiles WHERE plan IS NOT NULL ORDER BY email;

-- What dbt computed for a person comes back by the person's id.
CREATE TABLE app.scores AS SELECT cdp.resolve('email', 'u1@x.org') AS person, 0.75 AS churn_risk, timestamptz '2026-02-01' AS computed;
SELECT cdp.create_source('scores', 'app.scores', record_key => 'person', profile_id => 'person', traits => 'churn_risk', observed_at => 'computed');
CALL cdp.refresh();
TABLE what;
SELECT email, plan, churn_risk FROM cdp.profiles WHERE plan IS NOT NULL ORDER BY email;
UPDATE app.scores SET churn_risk = 0.5, computed = '2026-02-02';
INSERT INTO app.scores VALUES (NULL, 0.1, now()), (999999, 0.2, now());
CALL cdp.refresh();
TABLE what;
SELECT email, plan, churn_risk FROM cdp.profiles WHERE plan IS NOT NULL ORDER BY email;
SELECT record_key, reason FROM cdp.rejected_records ORDER BY rejected_id;
DELETE FROM app.scores;
CALL cdp.refresh(allow_deletes => true);
SELECT email, plan, churn_risk FROM cdp.profiles WHERE plan IS NOT NULL ORDER BY email;

-- What stops a source says nothing about anybody: messages that may quote a value are replaced.
CREATE TABLE app.guest (id text, mail text, born text);
INSERT INTO app.guest VALUES ('ok', 'ok@example.org', '1984-12-31'), ('secret', 'secret@example.org', '31/12/1984');
CREATE FUNCTION app.checked(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$BEGIN IF value = 'secret' THEN RAISE EXCEPTION 'bad key of %', value USING HINT = 'It is ' || value; END IF; RETURN value; END$$;
SELECT cdp.create_source('guest', 'app.guest', record_key => 'id', identifiers => 'mail AS email', filter => $$ born::date > '1900-01-01' $$);
CALL cdp.refresh('guest', on_error => 'report');
SELECT cdp.alter_source('guest', record_key => 'app.checked(id)', reset => ARRAY['filter']);
CALL cdp.refresh('guest', on_error => 'report');
SELECT cdp.alter_source('guest', record_key => 'id', filter => $$ (mail || '.table')::regclass IS NOT NULL $$);
CALL cdp.refresh('guest', on_error => 'report');
SELECT cdp.alter_source('guest', filter => $$ mail::tsquery IS NOT NULL $$);
UPDATE app.guest SET mail = mail || ' secret';
CALL cdp.refresh('guest', on_error => 'report');
CALL cdp.refresh('guest');
SELECT count(*) AS values_in_log FROM cdp.refresh_log WHERE message ~ 'secret|1984';
SELECT last_error, last_hint FROM cdp.sources WHERE source = 'guest';
-- about the declaration and rights the server says it
ALTER TABLE app.guest DROP COLUMN mail;
CALL cdp.refresh('guest', on_error => 'report');

DROP VIEW what;
DROP SCHEMA app CASCADE;
SELECT cdp.teardown(false);
