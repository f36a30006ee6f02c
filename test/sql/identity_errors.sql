-- What the functions of the identity graph say when the caller is wrong, and what
-- becomes of rows that cannot be taken in.
SET timezone = 'UTC';
\set VERBOSITY default
\set SHOW_CONTEXT never

-- before setup, every function says so
SELECT cdp.resolve('email', 'a@x.example');
SELECT cdp.identify('{"email": "a@x.example"}', 'crm', '1', NULL);
SELECT * FROM cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS crm_id');
SELECT cdp.retract('crm', '1');
SELECT cdp.create_namespace('more', 'exact', priority => 1);
SELECT cdp.configure('max_replay', '1');
SELECT * FROM cdp.check_identities();
SELECT cdp.rebuild_identities();

SELECT cdp.setup();

-- prints SQLSTATE, message, detail and hint
CREATE FUNCTION report(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN 'no error: ' || coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || message || CASE WHEN detail <> '' THEN E'\n  DETAIL: ' || detail ELSE '' END
           || CASE WHEN hint <> '' THEN E'\n  HINT: ' || hint ELSE '' END;
END $$;
\pset format unaligned
\pset tuples_only on

-- namespaces
SELECT report($$SELECT cdp.create_namespace('email', 'email', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace('', 'exact', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace(NULL, 'exact', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace(repeat('n', 200), 'exact', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace('record_key', 'exact', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace('observed_at', 'exact', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace('n', 'no such', priority => 1)$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => 0)$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => -3)$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => 1, max_links => 0)$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => 1, max_per_profile => 0)$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => 1, kind => 'robot')$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => 1, entity => 'household')$$);
SELECT report($$SELECT cdp.create_namespace('n', 'exact', priority => 1, pattern => '(')$$);
SELECT report($$SELECT cdp.create_namespace('n', 'phone', priority => 1, default_region => 'ZZ')$$);
SELECT report($$SELECT cdp.alter_namespace('nowhere', priority => 1)$$);
SELECT report($$SELECT cdp.alter_namespace(NULL, priority => 1)$$);
SELECT report($$SELECT cdp.alter_namespace('email', priority => 0)$$);
SELECT report($$SELECT cdp.drop_namespace('nowhere')$$);
SELECT report($$SELECT cdp.drop_namespace(NULL)$$);

-- options
SELECT report($$SELECT cdp.configure('nothing', '1')$$);
SELECT report($$SELECT cdp.configure('max_replay', 'many')$$);
SELECT report($$SELECT cdp.configure('conflict_policy', 'fight')$$);
SELECT report($$SELECT cdp.configure(NULL, '1')$$);

-- stitch: the caller is wrong
SELECT report($$SELECT cdp.stitch(NULL, 'SELECT 1 AS record_key, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', NULL)$$);
SELECT report($$SELECT cdp.stitch('', 'SELECT 1 AS record_key, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', '')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELEC 1')$$);
SELECT report($$SELECT cdp.stitch('crm', 'CREATE TABLE t (a integer)')$$);
SELECT report($$SELECT cdp.stitch('crm', 'DELETE FROM cdp_data.record RETURNING record_key')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS crm_id; SELECT 3 AS record_key, 4 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'WITH d AS (DELETE FROM cdp_data.record RETURNING record_key) SELECT record_key, record_key AS crm_id FROM d')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS crm_id INTO t')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS crm_id FROM nowhere')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT $1 AS record_key, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS record_key, 3 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, now() AS observed_at, now() AS observed_at, 3 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS customer')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 2 AS "Email"')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, ''yesterday'' AS observed_at, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, now()::timestamp AS observed_at, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 1700000000 AS observed_at, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, point(1, 2) AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, 1.5 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, true AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, ''{"a": 1}''::jsonb AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT ARRAY[1] AS record_key, 2 AS crm_id')$$);
SELECT report($$SELECT cdp.stitch('crm', 'SELECT 1 AS record_key, gen_random_uuid() AS device_id') IS NOT NULL$$);
-- it fails half-way: nothing stays
SELECT report($$SELECT cdp.stitch('crm', 'SELECT i AS record_key, i / (i - 3) AS crm_id FROM generate_series(1, 5) i')$$);
SELECT count(*) FROM cdp_data.record WHERE source = 'crm' AND record_key IN ('1', '2');

-- stitch: rows are wrong, and are counted and kept
\pset tuples_only off
CREATE TABLE rows (record_key text, observed_at timestamptz, crm_id text[], email text, device_id text);
INSERT INTO rows VALUES
    (NULL, '2024-01-01', '{1}', NULL, NULL),
    ('', '2024-01-01', '{1}', NULL, NULL),
    ('infinite', 'infinity', '{1}', NULL, NULL),
    ('infinite too', '-infinity', '{1}', NULL, NULL),
    ('nothing', '2024-01-01', NULL, NULL, NULL),
    ('empty', '2024-01-01', '{}', '', '   '),
    ('invalid', '2024-01-01', NULL, 'no address', NULL),
    ('two', '2024-01-01', '{2,3}', NULL, NULL),
    ('two the same', '2024-01-01', '{4,4}', NULL, NULL),
    ('junk', '2024-01-01', NULL, 'test@test.com', 'null'),
    ('good', '2024-01-01', '{5}', 'no address', NULL);
SELECT rows_read, records_new, rejected, identifiers_dropped FROM cdp.stitch('rows', 'SELECT * FROM rows');
SELECT source, record_key, observed_at, reason, detail, identifiers FROM cdp.rejected_records ORDER BY record_key COLLATE "C" NULLS FIRST, reason;
SELECT record_key FROM cdp_data.record WHERE source = 'rows' ORDER BY record_key COLLATE "C";
-- what was rejected is unknown
SELECT cdp.resolve('crm_id', '1'), cdp.resolve('crm_id', '2');
-- again: nothing new, and each is kept once
SELECT rows_read, records_new, records_changed, rejected FROM cdp.stitch('rows', 'SELECT * FROM rows');
SELECT count(*) FROM cdp.rejected_records;
-- a rejected version leaves the older evidence as it is
SELECT rows_read, records_changed, rejected FROM cdp.stitch('rows', $$SELECT 'good' AS record_key, '2024-02-01'::timestamptz AS observed_at, ARRAY['6', '7'] AS crm_id$$);
SELECT cdp.resolve('crm_id', '5') IS NOT NULL AS known, cdp.resolve('crm_id', '6'), (SELECT observed_at FROM cdp_data.record WHERE source = 'rows' AND record_key = 'good');
-- once the record is accepted, the rejection goes
SELECT rows_read, records_new, rejected FROM cdp.stitch('rows', $$SELECT 'two' AS record_key, '2024-02-01'::timestamptz AS observed_at, '2' AS crm_id$$);
SELECT count(*) FROM cdp.rejected_records WHERE record_key = 'two';
\pset tuples_only on

-- identify
SELECT report($$SELECT cdp.identify(NULL, 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": "1"}', NULL, '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": "1"}', 'crm', NULL, now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": "1"}', '', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": "1"}', 'crm', '', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": "1"}', 'crm', '1', 'infinity')$$);
SELECT report($$SELECT cdp.identify('{"crm_id": "1"}', 'crm', '1', '-infinity')$$);
SELECT report($$SELECT cdp.identify('{}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('[]', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('"text"', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('null', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('[{"crm_id": "1"}]', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"customer": "1"}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": {"a": 1}}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": [["1"]]}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": [{"a": 1}]}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": true}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": ["1", "2"]}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"email": "no address"}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": null, "email": []}', 'crm', '1', now())$$);
SELECT report($$SELECT cdp.identify('{"crm_id": ["8", "8"], "email": ["no address", null]}', 'crm', '8', '2024-01-01') IS NOT NULL$$);

-- resolve and friends
SELECT report($$SELECT cdp.resolve('nowhere', 'x')$$);
SELECT report($$SELECT cdp.resolve_at('nowhere', 'x', now())$$);
SELECT report($$SELECT cdp.explain_link('nowhere', 'x', 'crm_id', 'y')$$);
SELECT report($$SELECT cdp.explain_link(NULL, 'x', 'crm_id', 'y')$$);
SELECT report($$SELECT cdp.explain_refusals(NULL)$$);
SELECT report($$SELECT cdp.explain_refusals(-1)$$);
SELECT report($$SELECT cdp.profile_identifiers(NULL)$$);
SELECT report($$SELECT cdp.retract(NULL, '1')$$);
SELECT report($$SELECT cdp.retract('crm', NULL)$$);

-- blocks
SELECT report($$SELECT cdp.block_identifier('nowhere', 'x', 'why')$$);
SELECT report($$SELECT cdp.block_identifier('email', NULL, 'why')$$);
SELECT report($$SELECT cdp.block_identifier('email', 'x@x.example', 'why', pattern => 'x')$$);
SELECT report($$SELECT cdp.block_identifier('email', pattern => '(')$$);
SELECT report($$SELECT cdp.block_identifier('email', 'no address', 'why')$$);
SELECT report($$SELECT cdp.unblock_identifier('nowhere', 'x')$$);
SELECT report($$SELECT cdp.unblock_identifier('email', NULL)$$);

-- labels
SELECT report($$SELECT cdp.must_link('crm_id', '11', 'crm_id', '12', 'one') IS NOT NULL$$);
SELECT report($$SELECT cdp.must_link('crm_id', '12', 'crm_id', '13', 'one') IS NOT NULL$$);
SELECT report($$SELECT cdp.cannot_link('crm_id', '11', 'crm_id', '12', 'two')$$);
SELECT report($$SELECT cdp.cannot_link('crm_id', '12', 'crm_id', '11', 'two')$$);
SELECT report($$SELECT cdp.cannot_link('crm_id', '11', 'crm_id', '13', 'two, by way of 12')$$);
SELECT report($$SELECT cdp.cannot_link('crm_id', '13', 'crm_id', '14', 'two') IS NOT NULL$$);
SELECT report($$SELECT cdp.must_link('crm_id', '11', 'crm_id', '14', 'one, against 13 and 14')$$);
SELECT report($$SELECT cdp.must_link('crm_id', '13', 'crm_id', '14', 'one')$$);
-- resting ones count
SELECT report($$SELECT cdp.block_identifier('crm_id', '12', 'junk') IS NOT NULL$$);
SELECT report($$SELECT cdp.cannot_link('crm_id', '11', 'crm_id', '13', 'two, by way of 12')$$);
SELECT report($$SELECT cdp.must_link('crm_id', '11', 'crm_id', '14', 'one, against 13 and 14')$$);
SELECT report($$SELECT cdp.unblock_identifier('crm_id', '12') IS NOT NULL$$);
-- the same label once more
SELECT report($$SELECT cdp.must_link('crm_id', '12', 'crm_id', '11', 'one') IS NOT NULL$$);
SELECT count(*) FROM cdp.labels;
SELECT report($$SELECT cdp.must_link('crm_id', '11', 'crm_id', '11', 'self')$$);
SELECT report($$SELECT cdp.cannot_link('crm_id', '11', 'crm_id', ' 11 ', 'self')$$);
SELECT report($$SELECT cdp.must_link('nowhere', '11', 'crm_id', '11', 'self')$$);
SELECT report($$SELECT cdp.must_link('crm_id', NULL, 'crm_id', '11', 'self')$$);
SELECT report($$SELECT cdp.cannot_link('email', 'no address', 'crm_id', '11', 'self')$$);
SELECT report($$SELECT cdp.remove_label('crm_id', '11', 'crm_id', 'never')$$);
SELECT report($$SELECT cdp.remove_label('nowhere', '11', 'crm_id', 'never')$$);

-- split_profile
SELECT report($$SELECT cdp.split_profile(-1, '{"crm_id": "11"}', 'why')$$);
SELECT report($$SELECT cdp.split_profile(NULL, '{"crm_id": "11"}', 'why')$$);
SELECT report($$SELECT cdp.split_profile(cdp.resolve('crm_id', '11'), NULL, 'why')$$);
SELECT regexp_replace(report($$SELECT cdp.split_profile(cdp.resolve('crm_id', '11'), '{}', 'why')$$), '(profile |\()\d+', '\1N', 'g');
SELECT regexp_replace(report($$SELECT cdp.split_profile(cdp.resolve('crm_id', '11'), '{"crm_id": "14"}', 'not of this profile')$$), '(profile |\()\d+', '\1N', 'g');
SELECT regexp_replace(report($$SELECT cdp.split_profile(cdp.resolve('crm_id', '11'), '{"crm_id": ["11", "12", "13"]}', 'all of it')$$), '(profile |\()\d+', '\1N', 'g');
SELECT report($$SELECT cdp.split_profile(cdp.resolve('crm_id', '11'), '{"crm_id": "11"}', 'against a must-link', dry_run => false)$$);

-- a namespace in use
SELECT report($$SELECT cdp.drop_namespace('crm_id')$$);

SELECT * FROM cdp.check_identities();
DROP TABLE rows;

-- roles ---------------------------------------------------------------------------------
\pset tuples_only off
SET client_min_messages = error;
DROP ROLE IF EXISTS cdp_test_reader, cdp_test_writer, cdp_test_admin, cdp_test_nobody;
CREATE ROLE cdp_test_reader;
CREATE ROLE cdp_test_writer;
CREATE ROLE cdp_test_admin;
CREATE ROLE cdp_test_nobody;
RESET client_min_messages;
SELECT cdp.grant_access('cdp_test_reader', 'reader');
SELECT cdp.grant_access('cdp_test_writer', 'writer');
SELECT cdp.grant_access('cdp_test_admin', 'admin');
SELECT report($$SELECT cdp.grant_access('cdp_test_nobody', 'king')$$);
SELECT report($$SELECT cdp.grant_access('cdp_test_nobody', NULL)$$);
SELECT report($$SELECT cdp.grant_access(NULL, 'reader')$$);
GRANT USAGE ON SCHEMA public TO PUBLIC;
CREATE VIEW attempts AS SELECT * FROM (VALUES
    (1, $$SELECT cdp.resolve('crm_id', '5') IS NOT NULL$$),
    (2, $$SELECT count(*) > 0 FROM cdp.identifiers$$),
    (3, $$SELECT count(*) FROM cdp.profile_identifiers(cdp.resolve('crm_id', '5'))$$),
    (4, $$SELECT count(*) FROM cdp.check_identities()$$),
    (5, $$SELECT cdp.identify('{"crm_id": "5", "device_id": "roles"}', 'roles', '1', '2024-01-01') IS NOT NULL$$),
    (6, $$SELECT rows_read FROM cdp.stitch('roles', 'SELECT 2 AS record_key, 5 AS crm_id, ''roles 2'' AS device_id')$$),
    (7, $$SELECT cdp.retract('roles', '2')$$),
    (8, $$SELECT cdp.must_link('crm_id', '5', 'email', 'roles@x.example', 'r') IS NOT NULL$$),
    (9, $$SELECT cdp.remove_label('crm_id', '5', 'email', 'roles@x.example') IS NOT NULL$$),
    (10, $$SELECT cdp.block_identifier('crm_id', 'roles', 'r') IS NOT NULL$$),
    (11, $$SELECT cdp.unblock_identifier('crm_id', 'roles') IS NOT NULL$$),
    (12, $$SELECT cdp.create_namespace('roles', 'exact', priority => 9) IS NOT NULL$$),
    (13, $$SELECT cdp.alter_namespace('roles', max_links => 3) IS NOT NULL$$),
    (14, $$SELECT cdp.drop_namespace('roles') IS NOT NULL$$),
    (15, $$SELECT cdp.configure('max_replay', '77') IS NOT NULL$$),
    (16, $$SELECT cdp.rebuild_identities() IS NOT NULL$$)) a(n, statement);
GRANT SELECT ON attempts TO PUBLIC;
SET ROLE cdp_test_nobody;
SELECT n, report(statement) FROM attempts ORDER BY n;
SET ROLE cdp_test_reader;
SELECT n, report(statement) FROM attempts ORDER BY n;
SET ROLE cdp_test_writer;
SELECT n, report(statement) FROM attempts ORDER BY n;
SET ROLE cdp_test_admin;
SELECT n, report(statement) FROM attempts ORDER BY n;
RESET ROLE;
SELECT * FROM cdp.check_identities();
DROP VIEW attempts;
DROP FUNCTION report(text);
SELECT cdp.teardown(false);
DROP OWNED BY cdp_test_reader, cdp_test_writer, cdp_test_admin, cdp_test_nobody;
DROP ROLE cdp_test_reader, cdp_test_writer, cdp_test_admin, cdp_test_nobody;
