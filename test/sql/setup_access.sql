-- Roles that had access have it again after the views were away: teardown with the data kept, another extension, setup.

SET client_min_messages = warning;
CREATE ROLE regress_cdp_reads;
CREATE ROLE regress_cdp_writes;
SELECT cdp.setup();
SELECT cdp.grant_access('regress_cdp_reads', 'reader');
SELECT cdp.grant_access('regress_cdp_writes', 'writer');
SELECT cdp.teardown(true);
DROP EXTENSION cdp;
CREATE EXTENSION cdp;
SELECT cdp.setup();
SET ROLE regress_cdp_reads;
SELECT count(*) FROM cdp.segments;
SELECT count(*) FROM cdp.profiles;
SELECT cdp.identify('{"email": "a@example.org"}', 'crm', '1');
SET ROLE regress_cdp_writes;
SELECT cdp.identify('{"email": "a@example.org"}', 'crm', '1') IS NOT NULL AS written;
RESET ROLE;

-- A storage that is not complete is refused: an unreleased version set it up.
SELECT c.relname, t AS name
FROM (SELECT relname FROM pg_class WHERE relnamespace = 'cdp_data'::regnamespace AND relkind = 'r') AS c FULL JOIN cdp.table_names() AS t ON t = c.relname
WHERE c.relname IS NULL OR t IS NULL;
BEGIN;
DROP TABLE cdp_data.score_input, cdp_data.segment_day CASCADE;
SELECT cdp.setup();
ROLLBACK;

SELECT cdp.teardown(false);
-- What the storage of this version is.  Once a version was released, whoever changes this gives the storage
-- another number, and cdp.setup() a block that leads to it.
SELECT cdp.setup();
SELECT cdp.storage_version() AS version, count(*) AS columns, md5(string_agg(format('%s.%s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull),
    ', ' ORDER BY a.attrelid::regclass::text COLLATE "C", a.attnum)) AS digest
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = 'cdp_data'::regnamespace AND c.relkind IN ('r', 'm', 'i') AND a.attnum > 0 AND NOT a.attisdropped;
SELECT cdp.teardown(false);
DROP OWNED BY regress_cdp_reads, regress_cdp_writes;
DROP ROLE regress_cdp_reads, regress_cdp_writes;
