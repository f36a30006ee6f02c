-- The identity engine against the slow reference of test/property, in seeded
-- random workloads: the same partition, refusals, links and evidence after every
-- step, and the rules of ids.  A failure prints its seed and the workload, shrunk,
-- as a script.
--
-- Environment: CDP_PROPERTY_WORKLOADS, how many small workloads (default 1000;
-- the others grow with it), CDP_PROPERTY_SEED, the first seed (default 1).
\set ECHO none
SET client_min_messages = warning;
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
\o /dev/null
SELECT cdp.setup();
\o
SET search_path = reference, pg_catalog;
SELECT greatest(:workloads / 200, 1) AS large, greatest(:workloads / 50, 1) AS histories \gset
\set ECHO all

-- small workloads: 20 identifiers, 12 records, 12 steps, checked after each
CALL run(:seed, :workloads, 'small');
VACUUM;

-- longer ones
CALL run(:seed + 50000, :workloads / 10, 'small', '{"steps": 60}');
VACUUM;

-- large ones: hundreds of identifiers and records, hubs, batches of up to 200 rows
CALL run(:seed, :large, 'large', '{"steps": 30, "check_every": 5, "rebuild_every": 15}');

-- real transactions, and what resolve_at says of each moment afterwards
SET client_min_messages = error;
SELECT format('CALL history_of(%s, 15)', s) FROM generate_series(:seed, :seed + :histories - 1) s
\set ECHO none
\gexec
\set ECHO all
RESET client_min_messages;

SELECT count(*) FROM cdp.check_identities();
RESET search_path;
DROP SCHEMA reference CASCADE;
SELECT cdp.teardown(false);
