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

-- Every way in which a stored record and rows of three goes can stand to each other in time, rows without a time included.
SELECT cdp.setup();
CREATE TABLE versions AS
    SELECT b::text || a[1] || a[2] || a[3] || w AS record_key, go, (times)[a[go] + 1] AS observed_at, 'e' || ascii(md5(w || 'x' || go || a[1])) || '@x.example' AS email, b
    FROM (SELECT '{NULL,NULL,2024-01-01,2024-01-02,2024-01-03,2999-01-01}'::timestamptz[] AS times) AS t,
         generate_series(0, 1) AS b, generate_series(0, 5) AS x, generate_series(0, 5) AS y, generate_series(0, 5) AS z, generate_series(1, 2) AS w,
         LATERAL (SELECT ARRAY[x, y, z] AS a) AS k, generate_series(1, 3) AS go
    WHERE a[go] > 0;
CREATE VIEW outcome AS
    SELECT r.record_key, r.observed_at, r.first_seen, i.value FROM cdp_data.record AS r JOIN cdp.identifiers AS i ON i.identifier_id = r.hub
    WHERE r.record_key NOT LIKE 'filler%';
CREATE FUNCTION rows_of_goes() RETURNS TABLE (record_key text, observed_at timestamptz, email text) LANGUAGE plpgsql AS $$
BEGIN
    FOR g IN 1..3 LOOP
        RETURN QUERY SELECT v.record_key, v.observed_at, v.email FROM versions AS v WHERE v.go = g;
        RETURN QUERY SELECT 'filler' || g || '/' || f, '2024-01-01'::timestamptz, 'f' || f || '@x.example' FROM generate_series(1, 8000) AS f;
    END LOOP;
END $$;
BEGIN;
SELECT rows_read FROM cdp.stitch('crm', $$SELECT DISTINCT record_key, '2024-01-02'::timestamptz AS observed_at, 'before@x.example' AS email FROM versions WHERE b = 1$$);
SAVEPOINT before;
SET LOCAL maintenance_work_mem = '256MB';
SELECT rows_read FROM cdp.stitch('crm', 'SELECT * FROM rows_of_goes()');
SELECT json_agg(to_json(o)) AS one_go FROM outcome AS o \gset
ROLLBACK TO before;
SET LOCAL maintenance_work_mem = '1MB';
SELECT rows_read FROM cdp.stitch('crm', 'SELECT * FROM rows_of_goes()');
SELECT count(*) FROM outcome;
SELECT o.*, s.* FROM json_populate_recordset(NULL::outcome, :'one_go') AS o FULL JOIN outcome AS s USING (record_key)
WHERE (o.observed_at, o.first_seen, o.value) IS DISTINCT FROM (s.observed_at, s.first_seen, s.value);
COMMIT;
SELECT * FROM cdp.check_identities();
DROP FUNCTION rows_of_goes;
DROP VIEW outcome;
DROP TABLE versions;

-- The same for versions that say that their row is gone: the newest one counts, at equal time the deletion, wherever it stands.
CREATE TABLE versions AS
    SELECT x || '-' || y || '-' || z || '-' || w AS id, go, (times)[a[go] + 1] AS at, (w >> (go - 1)) % 2 = 1 AS gone, 'plan ' || go AS plan
    FROM (SELECT '{NULL,2024-01-01,2024-01-02,2024-01-03}'::timestamptz[] AS times) AS t,
         generate_series(0, 3) AS x, generate_series(0, 3) AS y, generate_series(0, 3) AS z, generate_series(0, 7) AS w,
         LATERAL (SELECT ARRAY[x, y, z] AS a) AS k, generate_series(1, 3) AS go
    WHERE a[go] > 0;
CREATE TABLE kept AS TABLE versions WITH NO DATA;
INSERT INTO kept SELECT * FROM versions WHERE go = 1;
INSERT INTO kept SELECT 'filler1/' || g, 1, '2024-01-01', false, 'filler' FROM generate_series(1, 8000) AS g;
INSERT INTO kept SELECT * FROM versions WHERE go = 2;
INSERT INTO kept SELECT 'filler2/' || g, 2, '2024-01-01', false, 'filler' FROM generate_series(1, 8000) AS g;
INSERT INTO kept SELECT * FROM versions WHERE go = 3;
SELECT cdp.create_source('kept', 'kept', record_key => 'id', observed_at => 'at', identifiers => 'id AS crm_id', traits => 'plan', deleted => 'gone', watermark => 'at');
SET maintenance_work_mem = '1MB';
CALL cdp.refresh();
RESET maintenance_work_mem;
CREATE VIEW expected AS
    SELECT v.id FROM (SELECT DISTINCT ON (id) id, gone FROM versions ORDER BY id, at DESC, gone DESC) AS v WHERE NOT v.gone;
CREATE VIEW found AS SELECT r.record_key AS id FROM cdp_data.record AS r WHERE r.source = 'kept' AND r.record_key NOT LIKE 'filler%';
SELECT count(*) FROM expected;
SELECT 'lost' AS what, id FROM (TABLE expected EXCEPT TABLE found) AS l UNION ALL SELECT 'not gone', id FROM (TABLE found EXCEPT TABLE expected) AS n;
SELECT p.crm_id, p.plan, v.plan FROM cdp.profiles AS p JOIN expected AS e ON e.id = p.crm_id
JOIN LATERAL (SELECT array_agg(plan) AS plans, min(plan) AS plan FROM versions AS x
              WHERE x.id = e.id AND NOT x.gone AND x.at = (SELECT max(y.at) FROM versions AS y WHERE y.id = e.id)) AS v ON p.plan <> ALL (v.plans);
SELECT * FROM cdp.check_identities();
SELECT cdp.drop_source('kept');
DROP VIEW expected, found;
DROP TABLE versions, kept;
SELECT cdp.teardown(false);
