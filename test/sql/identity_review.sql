-- Odd circumstances: savepoints, cursors, queries that write, altered and
-- recreated storage, parallel workers, very many calls in one transaction.
SET timezone = 'UTC';
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cdp.setup();

-- more calls in one transaction than the server's lock table has room for
SELECT count(cdp.identify(jsonb_build_object('crm_id', g, 'email', 'u' || g || '@many.org'), 'web', g::text, '2024-01-01'))
FROM generate_series(1, 12000) AS g;
SELECT cdp.identify(jsonb_build_object('email', (SELECT jsonb_agg('e' || g || '@wide.org') FROM generate_series(1, 12000) AS g)), 'wide', '1') IS NULL AS is_rejected;
SELECT count(*), count(DISTINCT profile_id) FROM cdp.identifiers;

-- savepoints: what is rolled back leaves nothing behind, in memory or in the tables
BEGIN;
SELECT records_new FROM cdp.stitch('sp', $$SELECT 1 AS record_key, 's1' AS crm_id, 's1@sp.org' AS email$$);
SAVEPOINT a;
SELECT cdp.block_identifier('email', 's1@sp.org');
SELECT cdp.create_namespace('gone', 'exact', priority => 9);
SELECT cdp.resolve('crm_id', 's1') = cdp.resolve('email', 's1@sp.org') AS is_one;
ROLLBACK TO a;
SELECT cdp.resolve('gone', 'x');
ROLLBACK TO a;
SELECT cdp.resolve('crm_id', 's1') = cdp.resolve('email', 's1@sp.org') AS is_one;
SELECT records_new, profiles_new FROM cdp.stitch('sp', $$SELECT 1/(3-g) AS record_key, 's' || g AS crm_id FROM generate_series(2, 5) AS g$$);
ROLLBACK TO a;
SELECT cdp.identify('{"crm_id": "s1", "email": "s1b@sp.org"}', 'sp', '2') = cdp.resolve('crm_id', 's1') AS same;
ROLLBACK TO a;
SELECT cdp.resolve('email', 's1b@sp.org');
SELECT cdp.retract('sp', '1');
COMMIT;
SELECT cdp.resolve('crm_id', 's1') = cdp.resolve('email', 's1@sp.org') AS is_one;

-- a loop with errors caught
DO $$
BEGIN
    FOR i IN 1..3 LOOP
        BEGIN
            PERFORM cdp.stitch('loop', format('SELECT %s AS record_key, %L AS crm_id, 10 / (2 - %s) AS email', i, 'l' || i, i));
        EXCEPTION WHEN division_by_zero OR datatype_mismatch THEN
            RAISE WARNING 'caught %', SQLSTATE;
        END;
        PERFORM cdp.identify(jsonb_build_object('crm_id', 'l' || i), 'loop', i::text);
    END LOOP;
END $$;
SELECT count(*) FROM cdp.identifiers WHERE value LIKE 'l_' AND namespace = 'crm_id';

-- the query of a stitch can read the graph, but not write it
CREATE FUNCTION writes(key text) RETURNS text LANGUAGE sql AS $$ SELECT cdp.identify(jsonb_build_object('crm_id', key), 'inner', key)::text $$;
SELECT records_new FROM cdp.stitch('outer', $$SELECT 1 AS record_key, writes('1') AS loyalty_id$$);
SELECT records_new FROM cdp.stitch('outer', $$SELECT 1 AS record_key, (cdp.stitch('inner', 'SELECT 1 AS record_key, 2 AS crm_id')).records_new AS loyalty_id$$);
SELECT records_new FROM cdp.stitch('outer', $$SELECT identifier_id AS record_key, value AS email, cdp.resolve('email', value) AS loyalty_id FROM cdp.identifiers WHERE namespace = 'email' AND value LIKE 'u1__@many.org'$$);
SELECT writes('1') IS NOT NULL AS written;
DROP FUNCTION writes(text);

-- many rows while a cursor reads through the indexes that a first load would build anew
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
DECLARE c CURSOR FOR SELECT value FROM cdp_data.identifier WHERE id > 0 ORDER BY id;
FETCH 1 FROM c;
SELECT records_new FROM cdp.stitch('bulk', $$SELECT g AS record_key, 'b' || g AS crm_id FROM generate_series(1, 40000) AS g$$);
FETCH 1 FROM c;
ROLLBACK;

-- and while the tables have columns of somebody else's
BEGIN;
ALTER TABLE cdp_data.identifier ADD COLUMN note text;
ALTER TABLE cdp_data.record ADD COLUMN note text DEFAULT 'default';
SELECT records_new FROM cdp.stitch('bulk', $$SELECT g AS record_key, 'b' || g AS crm_id FROM generate_series(1, 40000) AS g$$);
SELECT note, count(*) FROM cdp_data.record WHERE source = 'bulk' GROUP BY note;
SELECT note, count(*) FROM cdp_data.identifier WHERE value LIKE 'b%' GROUP BY note;
ROLLBACK;

-- what is too long ends at a whole character
SELECT rejected FROM cdp.stitch('long', $$SELECT 'a' || repeat(U&'\00e9', 1000) AS record_key, 'x' || repeat(U&'\00e9', 1000) AS email$$);
SELECT octet_length(record_key) AS key_bytes, octet_length(identifiers -> 0 ->> 'email') AS value_bytes FROM cdp.rejected_records WHERE source = 'long';

-- a prepared statement and DISCARD
PREPARE take(text) AS SELECT cdp.identify(jsonb_build_object('crm_id', $1), 'prepared', $1) IS NOT NULL AS taken;
EXECUTE take('p1');
DISCARD PLANS;
EXECUTE take('p2');
DISCARD ALL;
SET client_min_messages = warning;
SELECT cdp.identify('{"crm_id": "p3"}', 'prepared', 'p3') IS NOT NULL AS taken;

-- in a parallel worker
CREATE TABLE looked_up AS SELECT 'U' || g || '@many.org' AS mail FROM generate_series(1, 3000) AS g;
ANALYZE looked_up;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(cdp.resolve('email', mail)) FROM looked_up;
SELECT count(DISTINCT cdp.resolve('email', mail)), count(cdp.resolve_at('email', mail, now())) FROM looked_up;
DROP TABLE looked_up;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- who may not read the tables learns nothing from the C code that does
CREATE ROLE cdp_review_role;
GRANT USAGE ON SCHEMA cdp_data TO cdp_review_role;
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA cdp_data TO cdp_review_role;
SET ROLE cdp_review_role;
SELECT * FROM cdp.identity_differences();
SELECT cdp.identify('{"crm_id": "p3"}', 'prepared', 'p3');
RESET ROLE;
DROP OWNED BY cdp_review_role;
DROP ROLE cdp_review_role;

-- a blocked row that says nothing
BEGIN;
ALTER TABLE cdp_data.blocked_identifier DROP CONSTRAINT blocked_identifier_check;
INSERT INTO cdp_data.blocked_identifier (reason) VALUES ('neither value nor pattern');
SELECT cdp.resolve('crm_id', 'nobody');
ROLLBACK;

-- many splits at once, and a chain of must-links deeper than the stack
SELECT records_new, profiles_new FROM cdp.stitch('pairs', $$SELECT g AS record_key, 'L' || (g / 2) AS loyalty_id, 'q' || g || '@q.org' AS email FROM generate_series(2, 20001) AS g$$);
SELECT cdp.alter_namespace('email', max_per_profile => 1);
SELECT count(*) FROM cdp.identity_changes WHERE kind = 'split' AND changed_at > now() - interval '1 hour';
SELECT cdp.alter_namespace('email', unlimited => ARRAY['max_per_profile']);
SELECT records_new FROM cdp.stitch('chain', $$SELECT g AS record_key, 'M' || lpad(g::text, 5, '0') AS loyalty_id FROM generate_series(1, 20000) AS g$$);
INSERT INTO cdp_data.label (kind, a, b)
SELECT 'must_link', i.id, lead(i.id) OVER w FROM cdp_data.identifier AS i WHERE i.value LIKE 'M%' WINDOW w AS (ORDER BY i.value)
ORDER BY i.value LIMIT 19999;
SELECT cdp.identify('{"loyalty_id": "M00005", "email": "m5@chain.org"}', 'chain', 'm5') IS NOT NULL AS taken;
DELETE FROM cdp_data.label;

SELECT * FROM cdp.check_identities();

-- dropped and recreated in one session, with all statements prepared
SELECT cdp.teardown(false);
SELECT cdp.resolve('crm_id', '1');
SELECT cdp.setup();
SELECT records_new FROM cdp.stitch('again', $$SELECT 1 AS record_key, 1 AS crm_id, 'a@again.org' AS email$$);
SELECT cdp.identify('{"crm_id": 1, "email": "b@again.org"}', 'again', '2') = cdp.resolve('email', 'a@again.org') AS same;
SELECT cdp.retract('again', '2');
SELECT * FROM cdp.check_identities();
BEGIN;
SELECT cdp.teardown(false);
ROLLBACK;
SELECT cdp.resolve('crm_id', '1') IS NOT NULL AS known;
SELECT cdp.teardown(false);
