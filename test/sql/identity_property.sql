-- The identity engine against the slow reference of test/property, in seeded
-- random workloads: the same partition, refusals, links and evidence after every
-- step, and the rules of ids.  A failure prints its seed and the workload, shrunk,
-- as a script.
--
-- Environment: CDP_PROPERTY_WORKLOADS, how many small workloads (default 1000;
-- the others grow with it), CDP_PROPERTY_SEED, the first seed (default 1).
\set ECHO none
SET client_min_messages = error;
SET jit = off;
\getenv directory PG_ABS_SRCDIR
\set file :directory '/property/reference.sql'
\i :file
\set file :directory '/property/workload.sql'
\i :file
\set file :directory '/property/execute.sql'
\i :file
\set file :directory '/property/run.sql'
\i :file
\set workloads 1000
\getenv workloads CDP_PROPERTY_WORKLOADS
\set seed 1
\getenv seed CDP_PROPERTY_SEED
SELECT cdp.setup() \g /dev/null
SET search_path = reference, pg_catalog;

-- Workloads are rolled back; what that leaves is cleared away after every 100.
\echo small workloads: 20 identifiers, 12 records, 12 steps, checked after each
SELECT unnest(ARRAY[format('CALL run(%s, %s, %L)', s, least(100, :seed + :workloads - s), 'small'), 'VACUUM'])
FROM generate_series(:seed, :seed + :workloads - 1, 100) s
\gexec
\echo longer ones, of 60 steps
SELECT unnest(ARRAY[format('CALL run(%s, %s, %L, %L)', s, least(20, :workloads / 40), 'small', '{"steps": 60}'), 'VACUUM'])
FROM generate_series(:seed + 50000, :seed + 50000 + :workloads / 40 - 1, 20) s
\gexec
\echo large ones: hundreds of identifiers and records, hubs, batches of up to 200 rows
SELECT unnest(ARRAY[format('CALL run(%s, %s, %L, %L)', s, 1, 'large', '{"steps": 30, "check_every": 5, "rebuild_every": 15}'), 'VACUUM'])
FROM generate_series(:seed, :seed + :workloads / 500) s
\gexec
\echo real transactions, and what resolve_at says of each moment afterwards
SELECT format('CALL history_of(%s, 15)', s) FROM generate_series(:seed, :seed + :workloads / 100) s
\gexec

SELECT count(*) AS problems FROM cdp.check_identities();
RESET search_path;
DROP SCHEMA reference CASCADE;
SELECT cdp.teardown(false);
