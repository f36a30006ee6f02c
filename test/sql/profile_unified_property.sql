-- The unified views against a slow reference over the raw source tables, in
-- seeded random workloads: rows that come, change and go, sources that are
-- refreshed in any order, merges, splits, shared and blocked identifiers,
-- policies that change.  A failure prints its seed and what was done.
--
-- Environment: CDP_PROPERTY_UNIFIED, how many workloads (default 60),
-- CDP_PROPERTY_SEED, the first seed (default 1).
\set ECHO none
SET client_min_messages = error;
SET jit = off;
\getenv directory PG_ABS_SRCDIR
\set file :directory '/property/unified.sql'
\set workloads 60
\getenv workloads CDP_PROPERTY_UNIFIED
\set seed 1
\getenv seed CDP_PROPERTY_SEED
SELECT cdp.setup() \g /dev/null
\i :file
CALL declare();
\echo short workloads from empty tables
SELECT unnest(ARRAY[format('CALL run_many(%s, %s, 15)', s, least(20, :seed + :workloads - s)), 'VACUUM'])
FROM generate_series(:seed, :seed + :workloads - 1, 20) s
\gexec
\echo longer ones
SELECT format('CALL run_many(%s, 1, 90)', s) FROM generate_series(:seed + 50000, :seed + 50000 + :workloads / 20) s
\gexec
\echo and one that is committed step by step
CALL run(:seed + 90000, 150, true);
SELECT count(*) AS problems FROM cdp.check_identities();
RESET search_path;
DROP SCHEMA unified CASCADE;
SELECT cdp.teardown(false);
