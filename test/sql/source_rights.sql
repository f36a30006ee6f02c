-- Whose rights: a source's texts run as its owner, who may do no more than the
-- owner of the storage; whoever refreshes needs none on the tables.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_cdp_platform;
CREATE ROLE regress_cdp_analyst;
CREATE ROLE regress_cdp_stranger;
CREATE ROLE regress_cdp_robot;
CREATE ROLE regress_cdp_reader;
GRANT CREATE ON DATABASE contrib_regression TO regress_cdp_platform;
GRANT CREATE ON SCHEMA cdp TO regress_cdp_platform;
SET ROLE regress_cdp_platform;
SELECT cdp.setup() IS NOT NULL AS set_up;
RESET ROLE;
CREATE SCHEMA staging;
GRANT USAGE ON SCHEMA staging TO regress_cdp_platform, regress_cdp_analyst, regress_cdp_stranger;
CREATE TABLE staging.people (id integer PRIMARY KEY, mail text, salary numeric, city text);
INSERT INTO staging.people VALUES (1, 'ann@x.org', 100, 'Bonn'), (2, 'bob@x.org', 200, 'Kobe');
GRANT SELECT (id, mail, city) ON staging.people TO regress_cdp_analyst;
GRANT regress_cdp_analyst TO regress_cdp_platform;
SET ROLE regress_cdp_platform;
SELECT cdp.grant_access('regress_cdp_robot', 'writer');
SELECT cdp.grant_access('regress_cdp_analyst', 'admin');
SELECT cdp.grant_access('regress_cdp_reader', 'reader');

-- The caller must be able to read what the texts read.
SELECT cdp.create_source('people', 'staging.people', record_key => 'id', identifiers => 'mail AS email', traits => 'city, salary');
SELECT cdp.create_source('people', 'staging.people', record_key => 'id', identifiers => 'mail AS email', traits => 'city', owner => 'regress_cdp_stranger');
SELECT cdp.create_source('people', 'staging.people', record_key => 'id', identifiers => 'mail AS email', traits => 'city, salary', owner => 'regress_cdp_analyst');
SELECT cdp.create_source('people', 'staging.people', record_key => 'id', identifiers => 'mail AS email', traits => 'city', owner => 'regress_cdp_analyst');
SELECT source, owner FROM cdp.sources;
-- A declaration may add columns to the storage, so it takes its owner.
SET ROLE regress_cdp_analyst;
SELECT cdp.create_source('mine', 'staging.people', record_key => 'id', identifiers => 'mail AS email');
SELECT cdp.drop_source('people');
-- Nor is there a way round: the row itself is guarded.
UPDATE cdp_data.source SET traits = 'salary AS city', owner = 'regress_cdp_platform';
SET ROLE regress_cdp_robot;
UPDATE cdp_data.source SET traits = 'salary AS city';
SELECT * FROM staging.people;
-- The robot may refresh, and learns nothing of the table that way.
CALL cdp.refresh();
SELECT email, city FROM cdp.profiles ORDER BY email;
SELECT * FROM cdp.source_keys('people');
SELECT source, status, rows_read FROM cdp.sources;
SET ROLE regress_cdp_reader;
CALL cdp.refresh();
SELECT * FROM cdp.source_keys('people');
SELECT cdp.verify_source('people');
SELECT cdp.take_in('people', 'all');
SELECT email, city FROM cdp.profiles ORDER BY email;
SELECT source, status, rows_read FROM cdp.sources;
SELECT "check", severity FROM cdp.health;
SET ROLE regress_cdp_stranger;
CALL cdp.refresh();
SELECT * FROM cdp.sources;
RESET ROLE;

-- What the texts call runs with the rights of the owner, not of who refreshes, and cannot become anybody else.
CREATE FUNCTION staging.spy(text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_user || ' ' || session_user; END $$;
CREATE FUNCTION staging.climb(text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN SET ROLE NONE; RETURN current_user; END $$;
CREATE FUNCTION staging.settings(text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('search_path') || ' ' || current_setting('timezone') || ' ' || current_setting('datestyle'); END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA staging TO PUBLIC;
SET ROLE regress_cdp_platform;
SET search_path = staging, public;
SELECT cdp.alter_source('people', traits => 'city, staging.spy(city) AS who, settings(city) AS how');
RESET search_path;
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Tokyo';
CALL cdp.refresh();
SELECT email, who = 'regress_cdp_analyst ' || session_user AS is_owner, how FROM cdp.profiles ORDER BY email;
SELECT cdp.alter_source('people', traits => 'city, staging.climb(city) AS who');
CALL cdp.refresh(on_error => 'report');
SELECT record_key, reason, detail FROM cdp.rejected_records ORDER BY record_key;
SELECT status, last_error FROM cdp.sources;
RESET datestyle;
RESET timezone;

-- A role that the owner of the storage is no member of any more, or that is gone.
SELECT cdp.alter_source('people', traits => 'city');
RESET ROLE;
REVOKE regress_cdp_analyst FROM regress_cdp_platform;
SET ROLE regress_cdp_robot;
CALL cdp.refresh(on_error => 'report');
SELECT "check", severity, detail, hint FROM cdp.health ORDER BY 1;
RESET ROLE;
SET ROLE regress_cdp_platform;
SELECT cdp.alter_source('people', owner => 'regress_cdp_platform');
RESET ROLE;
GRANT SELECT ON staging.people TO regress_cdp_platform;
SET ROLE regress_cdp_platform;
SELECT cdp.alter_source('people', owner => 'regress_cdp_platform');
CALL cdp.refresh();
SELECT source, owner, status FROM cdp.sources;
RESET ROLE;
REVOKE SELECT (city) ON staging.people FROM regress_cdp_platform;
REVOKE SELECT ON staging.people FROM regress_cdp_platform;
SET ROLE regress_cdp_robot;
CALL cdp.refresh(on_error => 'report');
SELECT source, status, last_error, last_hint FROM cdp.sources;
RESET ROLE;

-- Captured: the triggers are looked at, too, by whoever refreshes, who has no right on the schema.
GRANT SELECT ON staging.people TO regress_cdp_platform;
SELECT cdp.create_source('captured', 'staging.people', record_key => 'id', identifiers => 'mail AS email', owner => 'regress_cdp_platform', capture => 'queue');
UPDATE staging.people SET mail = 'anna@x.org' WHERE id = 1;
SET ROLE regress_cdp_robot;
SELECT 'staging.people'::regclass;
CALL cdp.refresh(ARRAY['captured']);
SELECT source, status, last_error FROM cdp.sources WHERE source = 'captured';
RESET ROLE;
INSERT INTO staging.people VALUES (3, 'cid@x.org', 300, 'Lima');
SET ROLE regress_cdp_robot;
CALL cdp.refresh(ARRAY['captured']);
RESET ROLE;
SELECT source, status, last_error, rows_read FROM cdp.sources WHERE source = 'captured';

DROP SCHEMA staging CASCADE;
SELECT cdp.teardown(false);
REVOKE ALL ON SCHEMA cdp FROM regress_cdp_platform;
REVOKE ALL ON DATABASE contrib_regression FROM regress_cdp_platform;
DROP ROLE regress_cdp_platform, regress_cdp_analyst, regress_cdp_stranger, regress_cdp_robot, regress_cdp_reader;
