-- A stitch that does not fit into maintenance_work_mem is done in several goes, with the same outcome: of versions as old as what an
-- earlier call stored the later call's counts, also where an older version of the record stood in an earlier go.
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT cdp.setup();
CREATE TABLE given (n integer, record_key text, observed_at timestamptz, email text);
INSERT INTO given VALUES (0, 'k', '2024-01-01', 'old@x.example');
INSERT INTO given SELECT g, g::text, '2024-01-02', 'e' || g || '@x.example' FROM generate_series(1, 20000) AS g;
INSERT INTO given VALUES (20001, 'k', '2024-01-03', 'b@x.example');
INSERT INTO given VALUES (20002, '1', '2024-01-02', 'd1@x.example'), (20003, '2', '2024-01-02', 'f2@x.example');

CREATE FUNCTION outcome() RETURNS TABLE (record_key text, observed_at timestamptz, first_seen timestamptz, email text) LANGUAGE sql AS $$
    SELECT r.record_key, r.observed_at, r.first_seen, i.value FROM cdp_data.record AS r JOIN cdp.identifiers AS i ON i.identifier_id = r.hub
    WHERE r.record_key IN ('k', '1', '2') ORDER BY 1
$$;
SELECT records_new FROM cdp.stitch('crm', $$SELECT 'k' AS record_key, '2024-01-03'::timestamptz AS observed_at, 'z@x.example' AS email$$);
BEGIN;
SET LOCAL maintenance_work_mem = '256MB';
SELECT rows_read FROM cdp.stitch('crm', 'SELECT record_key, observed_at, email FROM given ORDER BY n');
SELECT * FROM outcome();
ROLLBACK;
SET maintenance_work_mem = '1MB';
SELECT rows_read FROM cdp.stitch('crm', 'SELECT record_key, observed_at, email FROM given ORDER BY n');
SELECT * FROM outcome();
RESET maintenance_work_mem;
SELECT * FROM cdp.check_identities();
DROP FUNCTION outcome;
DROP TABLE given;
SELECT cdp.teardown(false);
