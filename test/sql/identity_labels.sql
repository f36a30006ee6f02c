-- People with hundreds and thousands of labels and limited values: the partition against a slow reference, and in time that grows with
-- their number.
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT cdp.setup();
SELECT cdp.create_namespace('account', priority => 8, max_per_profile => 100);
CREATE TABLE given AS
    SELECT n, to_char(n * n % 7, '"L"FM00') AS loyalty_id, to_char(n * 7919 % 311, '"A"FM000') AS account, '2024-01-01'::timestamptz + n * interval '1 minute' AS at
    FROM generate_series(1, 900) AS n;
SELECT records_new, refusals > 0 AS refused FROM cdp.stitch('crm', 'SELECT n AS record_key, at AS observed_at, loyalty_id, account FROM given');
CREATE VIEW identifier AS SELECT i.identifier_id AS id, i.namespace, i.value, i.profile_id FROM cdp.identifiers AS i;

-- all links in canonical order, one by one
CREATE FUNCTION differs() RETURNS TABLE (namespace text, value text) LANGUAGE plpgsql AS $$
DECLARE
    l record;
    x bigint;
    y bigint;
BEGIN
    CREATE TEMPORARY TABLE part ON COMMIT DROP AS SELECT i.id, i.namespace, i.value, i.id AS part, i.id AS class FROM identifier AS i;
    LOOP
        UPDATE part AS p SET class = k.class
        FROM (SELECT q.id, min(o.class) AS class FROM part AS q JOIN cdp_data.label AS m ON m.kind = 'must_link' AND q.id IN (m.a, m.b)
              JOIN part AS o ON o.id IN (m.a, m.b) GROUP BY q.id) AS k
        WHERE k.id = p.id AND k.class < p.class;
        EXIT WHEN NOT FOUND;
    END LOOP;
    FOR l IN
        SELECT c.a, c.b FROM (
            SELECT 0 AS rank, NULL::timestamptz AS at, least(a.value, b.value) AS first, greatest(a.value, b.value) AS second, m.a, m.b
            FROM cdp_data.label AS m JOIN identifier AS a ON a.id = m.a JOIN identifier AS b ON b.id = m.b WHERE m.kind = 'must_link'
            UNION ALL
            SELECT 1, min(g.at), g.loyalty_id, g.account, a.id, b.id
            FROM given AS g JOIN identifier AS a ON a.namespace = 'loyalty_id' AND a.value = g.loyalty_id
            JOIN identifier AS b ON b.namespace = 'account' AND b.value = g.account GROUP BY g.loyalty_id, g.account, a.id, b.id) AS c
        ORDER BY c.rank, c.at, c.first COLLATE "C", c.second COLLATE "C"
    LOOP
        SELECT p.part INTO x FROM part AS p WHERE p.id = l.a;
        SELECT p.part INTO y FROM part AS p WHERE p.id = l.b;
        CONTINUE WHEN x = y OR EXISTS (
            SELECT FROM cdp_data.label AS c JOIN part AS p ON p.id = c.a JOIN part AS q ON q.id = c.b
            WHERE c.kind = 'cannot_link' AND p.part IN (x, y) AND q.part IN (x, y))
            OR (SELECT count(DISTINCT p.class) > 100 FROM part AS p WHERE p.part IN (x, y) AND p.namespace = 'account');
        UPDATE part AS p SET part = x WHERE p.part = y;
    END LOOP;
    RETURN QUERY
    SELECT i.namespace, i.value FROM identifier AS i JOIN part AS p USING (id)
    WHERE (SELECT array_agg(j.id ORDER BY j.id) FROM identifier AS j WHERE j.profile_id = i.profile_id)
          <> (SELECT array_agg(q.id ORDER BY q.id) FROM part AS q WHERE q.part = p.part)
    ORDER BY 1, 2;
    DROP TABLE part;
END $$;
CREATE VIEW largest AS SELECT count(*) AS identifiers FROM identifier GROUP BY profile_id HAVING count(*) > 64 ORDER BY 1 DESC;
TABLE largest;
SELECT * FROM differs();
-- labels change that, one by one and together
SELECT count(cdp.must_link('account', to_char(n * 3, '"A"FM000'), 'account', to_char(n * 3 + 1, '"A"FM000')) IS NULL) FROM generate_series(1, 60) AS n;
TABLE largest;
SELECT * FROM differs();
SELECT count(cdp.cannot_link('account', to_char(n * 5, '"A"FM000'), 'loyalty_id', to_char(n % 7, '"L"FM00')) IS NULL) FROM generate_series(1, 60) AS n;
TABLE largest;
SELECT * FROM differs();
INSERT INTO cdp_data.label (kind, a, b)
SELECT 'must_link', least(a.id, b.id), greatest(a.id, b.id) FROM identifier AS a JOIN identifier AS b ON b.value = to_char(substr(a.value, 2)::integer + 3, '"A"FM000')
WHERE a.namespace = 'account' AND b.namespace = 'account' AND substr(a.value, 2)::integer % 3 = 1 AND substr(a.value, 2)::integer < 280 ORDER BY a.value DESC;
SELECT merges > 0 AS merged FROM cdp.rebuild_identities();
TABLE largest;
SELECT * FROM differs();
-- what comes one by one comes to the same
SELECT count(cdp.retract('crm', n::text)) FROM generate_series(1, 900, 3) AS n;
SELECT * FROM cdp.check_identities();
SELECT records_new FROM cdp.stitch('crm', 'SELECT n AS record_key, at AS observed_at, loyalty_id, account FROM given');
SELECT * FROM differs();
SELECT * FROM cdp.check_identities();
DROP FUNCTION differs;
DROP VIEW largest, identifier;
DROP TABLE given;
SELECT cdp.teardown(false);

-- Thousands of customer numbers that a chain of must-links makes one.
SELECT cdp.setup();
SELECT records_new FROM cdp.stitch('crm', $$SELECT n AS record_key, to_char(n, 'FM00000') AS crm_id FROM generate_series(1, 8000) AS n$$);
SELECT count(DISTINCT profile_id) FROM cdp.identifiers WHERE state = 'usable';
INSERT INTO cdp_data.label (kind, a, b)
SELECT 'must_link', a.identifier_id, b.identifier_id
FROM cdp.identifiers AS a JOIN cdp.identifiers AS b ON b.namespace = 'crm_id' AND b.value = to_char(a.value::integer + 1, 'FM00000')
WHERE a.namespace = 'crm_id' ORDER BY a.value DESC;
SET statement_timeout = '60s';
SELECT merges FROM cdp.rebuild_identities();
RESET statement_timeout;
SELECT count(DISTINCT profile_id) FROM cdp.identifiers WHERE state = 'usable';
SELECT cdp.teardown(false);
