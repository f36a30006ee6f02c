-- Installation and use in a database where somebody has planted objects to be
-- run with another's rights, and by an owner of the database who is no
-- superuser.
--
-- Three roles: the intruder may create in the schema public and made the schemas
-- cdp and cdp_data beforehand; the owner owns the database; the superuser runs
-- this test.  Whatever is planted raises an error when it is run, so that any
-- call of it shows here.

SELECT current_database() AS test_database \gset
SET client_min_messages = warning;
DROP DATABASE IF EXISTS regress_cdp_hostile;
DROP ROLE IF EXISTS regress_cdp_intruder, regress_cdp_owner, regress_cdp_reader;
RESET client_min_messages;
CREATE ROLE regress_cdp_intruder;
CREATE ROLE regress_cdp_owner;
CREATE ROLE regress_cdp_reader;
CREATE DATABASE regress_cdp_hostile OWNER regress_cdp_owner;
GRANT CREATE ON DATABASE regress_cdp_hostile TO regress_cdp_intruder;
\c regress_cdp_hostile
GRANT CREATE, USAGE ON SCHEMA public TO regress_cdp_intruder;

-- 1. The schema cdp exists, with functions and operators in it that the
-- extension also has or calls.
SET SESSION AUTHORIZATION regress_cdp_intruder;
CREATE SCHEMA cdp;
CREATE FUNCTION cdp.version() RETURNS text LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'trapped: cdp.version() as %', current_user; END$$;
CREATE FUNCTION cdp.normalize_email(text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'trapped: cdp.normalize_email() as %', current_user; END$$;
CREATE FUNCTION cdp.text_equal(text, text) RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'trapped: operator as %', current_user; END$$;
CREATE OPERATOR cdp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = cdp.text_equal);
RESET SESSION AUTHORIZATION;

\set VERBOSITY terse
CREATE EXTENSION cdp;
CREATE EXTENSION cdp SCHEMA cdp;
-- The owner of the database gets no further.
SET SESSION AUTHORIZATION regress_cdp_owner;
CREATE EXTENSION cdp;
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
-- Nothing of it was created, replaced or taken over.
SELECT count(*) AS extensions FROM pg_extension WHERE extname = 'cdp';
SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'cdp';
SELECT proname, proowner::regrole, lanname
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE pronamespace = 'cdp'::regnamespace ORDER BY proname;
SET client_min_messages = warning;
DROP SCHEMA cdp CASCADE;
RESET client_min_messages;

-- 2. Traps in public, under names and for types that our scripts and functions
-- use, in a session that finds public before pg_catalog.
SET SESSION AUTHORIZATION regress_cdp_intruder;
CREATE PROCEDURE public.plant(name text, arguments text, result text) LANGUAGE plpgsql AS
$plant$
BEGIN
	EXECUTE format($f$CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS
		$$BEGIN RAISE EXCEPTION 'trapped: %I(%s) as %%', current_user; END$$ $f$, name, arguments, result, name, arguments);
END
$plant$;
CALL public.plant('lower', 'text', 'text');
CALL public.plant('upper', 'text', 'text');
CALL public.plant('btrim', 'text', 'text');
CALL public.plant('format', 'text, text', 'text');
CALL public.plant('format', 'text, name', 'text');
CALL public.plant('format', 'text, regrole', 'text');
CALL public.plant('format', 'text, integer', 'text');
CALL public.plant('quote_ident', 'text', 'text');
CALL public.plant('to_regclass', 'text', 'regclass');
CALL public.plant('to_regnamespace', 'text', 'regnamespace');
CALL public.plant('now', '', 'timestamptz');
CALL public.plant('clock_timestamp', '', 'timestamptz');
CALL public.plant('length', 'text', 'integer');
CALL public.plant('cardinality', 'anyarray', 'integer');
CALL public.plant('array_length', 'anyarray, integer', 'integer');
CALL public.plant('unnest', 'anyarray', 'SETOF anyelement');
CALL public.plant('jsonb_typeof', 'jsonb', 'text');
CALL public.plant('jsonb_each', 'jsonb', 'SETOF jsonb');
CALL public.plant('hashtextextended', 'text, bigint', 'bigint');
CALL public.plant('pg_advisory_xact_lock', 'bigint', 'void');
CALL public.plant('has_schema_privilege', 'text, text', 'boolean');
CALL public.plant('nextval', 'regclass', 'bigint');
CREATE PROCEDURE public.plant_operators(left_type text, right_type text) LANGUAGE plpgsql AS
$plant$
DECLARE
	operator text;
	function_name text := format('trap_%s_%s', replace(left_type, '"', ''), replace(right_type, '"', ''));
BEGIN
	CALL public.plant(function_name, left_type || ', ' || right_type, 'boolean');
	FOREACH operator IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>=', '~', '!~'] LOOP
		EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.%I)', operator, left_type, right_type, function_name);
	END LOOP;
END
$plant$;
CALL public.plant_operators('text', 'text');
CALL public.plant_operators('name', 'text');
CALL public.plant_operators('name', 'name');
CALL public.plant_operators('smallint', 'smallint');
CALL public.plant_operators('integer', 'integer');
CALL public.plant_operators('bigint', 'bigint');
CALL public.plant_operators('bigint', 'integer');
CALL public.plant_operators('oid', 'oid');
CALL public.plant_operators('regclass', 'regclass');
CALL public.plant_operators('boolean', 'boolean');
CALL public.plant_operators('"char"', '"char"');
CALL public.plant_operators('timestamptz', 'timestamptz');
CALL public.plant_operators('bytea', 'bytea');
CALL public.plant_operators('jsonb', 'jsonb');
CREATE TABLE public.pg_class (relname text);
CREATE TABLE public.pg_namespace (nspname text);
RESET SESSION AUTHORIZATION;
SET search_path = public, pg_catalog;
SELECT lower('A');		-- the traps work
SELECT 1 = 2;
CREATE EXTENSION cdp;
SELECT extname, extowner::regrole FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'cdp';
-- ... and the storage, with what writes and reads it.  Functions that take query
-- text read that text as the caller would, so it is kept free of traps.
SELECT cdp.setup();
SELECT cdp.normalize_email(' Ann@Example.COM '), cdp.normalize_digits('a1'), cdp.normalize_lower(' A ');
SELECT * FROM cdp.connected_components('VALUES (1::bigint, 2::bigint)') ORDER BY 1;
SELECT records_new, profiles_new, rejected
FROM cdp.stitch('shop', $$SELECT '1' AS record_key, '2026-01-01 00:00+00'::timestamptz AS observed_at, 'ann@example.com' AS email, '17' AS crm_id$$);
SELECT cdp.identify('{"email": "ann@example.com", "phone": "+49 30 901820"}', 'web', 'a', '2026-01-02 00:00+00') IS NOT NULL AS identified;
SELECT cdp.resolve('email', 'ANN@example.com') IS NOT NULL AS resolved;
SELECT cdp.resolve_at('email', 'ann@example.com', '2020-01-01 00:00+00') IS NULL AS unknown_then;
SELECT namespace, value FROM cdp.profile_identifiers(cdp.resolve('crm_id', '17')) ORDER BY namespace USING OPERATOR(pg_catalog.<), value USING OPERATOR(pg_catalog.<);
SELECT cdp.create_namespace('badge', priority => 8);
SELECT cdp.alter_namespace('badge', max_links => 3);
SELECT cdp.drop_namespace('badge');
SELECT cdp.block_identifier('email', 'noreply@example.com', 'a machine');
SELECT cdp.unblock_identifier('email', 'noreply@example.com');
SELECT cdp.configure('max_replay', '50000');
SELECT cdp.cannot_link('email', 'ann@example.com', 'email', 'bob@example.com', 'two people') IS NOT NULL AS labelled;
SELECT cdp.remove_label('email', 'ann@example.com', 'email', 'bob@example.com') IS NOT NULL AS removed;
SELECT cdp.must_link('email', 'ann@example.com', 'email', 'ann@example.org', 'same person') IS NOT NULL AS labelled;
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS explained FROM cdp.explain_link('email', 'ann@example.com', 'crm_id', '17');
SELECT count(*) FROM cdp.explain_refusals(cdp.resolve('crm_id', '17'));
SELECT count(*) FROM cdp.check_identities();
SELECT cdp.rebuild_identities() IS NOT NULL AS rebuilt;
SELECT cdp.refresh_identities() IS NOT NULL AS refreshed;
SELECT cdp.renormalize() IS NOT NULL AS renormalized;
SELECT cdp.retract('web', 'a');
SELECT count(*) FROM cdp.identifiers;
SELECT count(*) FROM cdp.options;
SELECT cdp.grant_access('regress_cdp_reader', 'reader');
SET client_min_messages = warning;
SELECT cdp.teardown(false);
RESET client_min_messages;
DROP EXTENSION cdp;

-- 3. Storage that somebody else planted is not taken for ours: reading it would
-- run its owner's code.
SET search_path = pg_catalog;
SET SESSION AUTHORIZATION regress_cdp_intruder;
CREATE SCHEMA cdp_data;
CREATE FUNCTION cdp_data.trap() RETURNS integer LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'trapped: view as %', current_user; END$$;
CREATE VIEW cdp_data.storage AS SELECT cdp_data.trap() AS version;
GRANT USAGE ON SCHEMA cdp_data TO PUBLIC;
GRANT SELECT, UPDATE ON cdp_data.storage TO PUBLIC;
RESET SESSION AUTHORIZATION;
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT cdp.configure('max_replay', '50000');
SELECT cdp.resolve('email', 'ann@example.com');
-- Nor are tables of the right names and the wrong columns.
SET SESSION AUTHORIZATION regress_cdp_intruder;
DROP VIEW cdp_data.storage;
CREATE TABLE cdp_data.storage AS SELECT 1 AS version;
CREATE TABLE cdp_data.namespace AS SELECT 1 AS name;
GRANT ALL ON ALL TABLES IN SCHEMA cdp_data TO PUBLIC;
SELECT cdp.resolve('email', 'ann@example.com');
RESET SESSION AUTHORIZATION;
SELECT cdp.setup();
SELECT cdp.resolve('email', 'ann@example.com');
SET client_min_messages = warning;
DROP SCHEMA cdp_data CASCADE;
RESET client_min_messages;
-- The owner of real storage cannot lead the library astray either.
SELECT cdp.setup();
SELECT cdp.identify('{"email": "ann@example.com"}', 'web', 'a', '2026-01-02 00:00+00') IS NOT NULL AS identified;
ALTER TABLE cdp_data.link ALTER COLUMN records TYPE text;
SELECT cdp.resolve('email', 'ann@example.com');
ALTER TABLE cdp_data.link ALTER COLUMN records TYPE integer USING records::integer;
SELECT cdp.resolve('email', 'ann@example.com') IS NOT NULL AS resolved;
ALTER TABLE cdp_data.namespace ALTER COLUMN normalizer DROP NOT NULL;
SELECT cdp.resolve('email', 'ann@example.com');
ALTER TABLE cdp_data.namespace ALTER COLUMN normalizer SET NOT NULL;
BEGIN;
ALTER TABLE cdp_data.identifier DROP CONSTRAINT identifier_value_key;
SELECT cdp.resolve('email', 'ann@example.com');
ROLLBACK;
BEGIN;
ALTER TABLE cdp_data.identifier DROP CONSTRAINT identifier_value_key;
CREATE INDEX identifier_value_key ON cdp_data.identifier (id);
SELECT cdp.resolve('email', 'ann@example.com');
ROLLBACK;
ALTER TABLE cdp_data.link OWNER TO regress_cdp_intruder;
SELECT cdp.resolve('email', 'ann@example.com');
ALTER TABLE cdp_data.link OWNER TO CURRENT_USER;
SELECT cdp.resolve('email', 'ann@example.com') IS NOT NULL AS resolved;
SET client_min_messages = warning;
SELECT cdp.teardown(false);
DROP EXTENSION cdp;
RESET client_min_messages;

-- 4. The owner of the database, who is no superuser, installs and uses all of it.
RESET search_path;
DROP OWNED BY regress_cdp_intruder;
SET SESSION AUTHORIZATION regress_cdp_owner;
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT cdp.setup();
SELECT cdp.normalize_email('Ann@Example.COM');
SELECT cdp.normalize_phone('030 901820', 'DE');
-- The query text has its caller's rights, and nothing more.
SELECT records_new, profiles_new
FROM cdp.stitch('shop', $$SELECT 1 AS record_key, '2026-01-01 00:00+00'::timestamptz AS observed_at, current_user::text AS user_id, session_user::text AS crm_id$$);
SELECT namespace, value FROM cdp.profile_identifiers(cdp.resolve('user_id', 'regress_cdp_owner')) ORDER BY 1, 2;
SELECT * FROM cdp.stitch('shop', 'SELECT rolname AS record_key, rolpassword AS user_id FROM pg_catalog.pg_authid');
SELECT * FROM cdp.connected_components('SELECT oid::bigint, oid::bigint FROM pg_catalog.pg_authid');
SELECT cdp.identify('{"email": "ann@example.com", "user_id": "regress_cdp_owner"}', 'web', 'a', '2026-01-02 00:00+00') IS NOT NULL AS identified;
SELECT cdp.create_namespace('badge', priority => 8);
SELECT cdp.drop_namespace('badge');
SELECT cdp.block_identifier('email', 'noreply@example.com', 'a machine');
SELECT cdp.configure('max_replay', '50000');
SELECT name, value FROM cdp.options WHERE value <> default_value;
SELECT cdp.retract('web', 'a');
SELECT count(*) FROM cdp.check_identities();
SELECT cdp.rebuild_identities() IS NOT NULL AS rebuilt;
SELECT count(*) FROM cdp.identifiers;
-- He lets another read, who then can, but cannot write.
SELECT cdp.grant_access('regress_cdp_reader', 'reader');
SET SESSION AUTHORIZATION regress_cdp_reader;
SELECT cdp.resolve('user_id', 'regress_cdp_owner') IS NOT NULL AS resolved;
SELECT count(*) FROM cdp.identifiers;
SELECT cdp.identify('{"email": "eve@example.com"}', 'web', 'b', '2026-01-02 00:00+00');
SELECT cdp.setup();
SELECT cdp.teardown(false);
-- The intruder may call the toolkit and sees nothing of the platform.
SET SESSION AUTHORIZATION regress_cdp_intruder;
SELECT cdp.normalize_lower(' A ');
SELECT cdp.resolve('user_id', 'regress_cdp_owner');
SELECT count(*) FROM cdp.identifiers;
CREATE FUNCTION cdp.trap() RETURNS integer LANGUAGE sql RETURN 1;
-- Storage and views block a plain DROP EXTENSION; teardown precedes it.
SET SESSION AUTHORIZATION regress_cdp_owner;
\set VERBOSITY terse
DROP EXTENSION cdp;
\set VERBOSITY default
SELECT cdp.teardown();
DROP EXTENSION cdp;
SELECT count(*) AS tables_kept FROM pg_catalog.pg_tables WHERE schemaname = 'cdp_data' AND tablename IN ('record', 'identifier', 'link');
-- Kept storage is taken up again.
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT namespace, value FROM cdp.profile_identifiers(cdp.resolve('user_id', 'regress_cdp_owner')) ORDER BY 1, 2;
SET client_min_messages = warning;
SELECT cdp.teardown(false);
RESET client_min_messages;
DROP EXTENSION cdp;
RESET SESSION AUTHORIZATION;

\c :test_database
DROP DATABASE regress_cdp_hostile;
DROP ROLE regress_cdp_intruder, regress_cdp_owner, regress_cdp_reader;
