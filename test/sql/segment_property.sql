-- Segments and computed traits against plain SQL over the raw tables, in seeded
-- random workloads: random expressions, events that come, come late, are
-- corrected and go, people who merge and split, windows that close, sessions with
-- other settings; in real time, after each change, and by refreshes.  A failure
-- prints its seed, what was done and the expressions.
--
-- Environment: CDP_PROPERTY_SEGMENTS, how many workloads (default 30, each with 8
-- expressions), CDP_PROPERTY_SEED, the first seed (default 1).
\set ECHO none
SET client_min_messages = error;
SET jit = off;
\getenv directory PG_ABS_SRCDIR
\set file :directory '/property/segment.sql'
\set workloads 30
\getenv workloads CDP_PROPERTY_SEGMENTS
\set seed 1
\getenv seed CDP_PROPERTY_SEED
SELECT cdp.setup() \g /dev/null
\i :file
CALL declare();
\echo workloads in a transaction: changes, days that go by, refreshes
SELECT unnest(ARRAY[format('CALL run_many(%s, %s, 12, 8)', s, least(10, :seed + :workloads - s)), 'VACUUM'])
FROM generate_series(:seed, :seed + :workloads - 1, 10) s
\gexec
\echo many expressions together
SELECT format('CALL run_many(%s, 1, 6, 60)', s) FROM generate_series(:seed + 30000, :seed + 30000 + :workloads / 30) s
\gexec
\echo committed ones, with windows that close while they run
SELECT format('CALL run_quick(%s, 20, 8)', s) FROM generate_series(:seed + 50000, :seed + 50000 + :workloads / 30) s
\gexec
SELECT count(*) AS problems FROM cdp.check_identities();
RESET search_path;
DROP SCHEMA predicate, decoy CASCADE;
SELECT cdp.teardown(false);
