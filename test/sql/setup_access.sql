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
SELECT cdp.teardown(false);
DROP OWNED BY regress_cdp_reads, regress_cdp_writes;
DROP ROLE regress_cdp_reads, regress_cdp_writes;
