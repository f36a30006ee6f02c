-- identity: a first load, whose rows go to the tables without index entries, and the indexes that are built afterwards: one of
-- them from the keys in memory, in order.  Keys of every length around the eight bytes that are compared at a time, with long
-- common beginnings, and bytes above 127.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION amcheck;
SELECT cdp.setup();

CREATE TABLE bulk_row AS
SELECT k.record_key, '2024-01-01 00:00:00+00'::timestamptz + hashint4(n) % 1000000 * interval '1 second' AS observed_at,
    'u' || n AS user_id, 'u' || n % 20000 || '@example.org' AS email
FROM generate_series(1, 6000) AS n,
    LATERAL (VALUES (n::text), ('key-' || n), ('k' || lpad(n::text, 7, '0')), ('a-long-beginning-of-a-key/' || lpad(n::text, 16, '0')),
        (md5(n::text)), ('é' || chr(200 + n % 500) || '-' || n), (lpad('', n % 40 + 1, 'x') || n)) AS k(record_key);
SELECT count(*), count(DISTINCT record_key) FROM bulk_row;

-- Every index of the four tables, by its own structure and against the table.
CREATE FUNCTION bulk_indexes() RETURNS TABLE (index_name text, is_sound boolean) LANGUAGE plpgsql AS $$
BEGIN
    FOR index_name IN
        SELECT c.oid::regclass::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid IN ('cdp_data.identifier'::regclass, 'cdp_data.record'::regclass, 'cdp_data.link'::regclass, 'cdp_data.profile'::regclass)
        ORDER BY 1
    LOOP
        PERFORM bt_index_parent_check(index_name::regclass, true, true);
        is_sound := true;
        RETURN NEXT;
    END LOOP;
END $$;

-- In which order the rows come makes no difference.
SELECT rows_read, records_new, records_changed FROM cdp.stitch('bulk', 'SELECT record_key, observed_at, user_id, email FROM bulk_row');
SELECT * FROM bulk_indexes();
SELECT * FROM cdp.check_identities();

-- Each record is found by its key, and the index has them in order.
SET enable_seqscan = off;
SELECT count(*) FROM bulk_row AS b JOIN cdp_data.record AS r ON r.source = 'bulk' AND r.record_key = b.record_key;
SELECT count(*) AS out_of_order
FROM (SELECT record_key, lag(record_key) OVER () AS before FROM (SELECT record_key FROM cdp_data.record WHERE source = 'bulk' ORDER BY source, record_key) AS o) AS pairs
WHERE before >= record_key;
RESET enable_seqscan;

-- A second source of that size on top: its keys go into the index that is there. The same again changes nothing.
SELECT rows_read, records_new, records_changed FROM cdp.stitch('second', 'SELECT record_key, observed_at, email FROM bulk_row');
SELECT rows_read, records_new, records_changed, records_unchanged FROM cdp.stitch('bulk', 'SELECT record_key, observed_at, user_id, email FROM bulk_row');
SELECT * FROM bulk_indexes();
SELECT * FROM cdp.check_identities();

-- An error after the indexes were built leaves the table as it was, and the next call finds it in order.
SELECT cdp.teardown(false);
SELECT cdp.setup();
BEGIN;
SELECT records_new FROM cdp.stitch('bulk', 'SELECT record_key, observed_at, user_id, email FROM bulk_row');
ROLLBACK;
SELECT records_new FROM cdp.stitch('bulk', 'SELECT record_key, observed_at, user_id, email FROM bulk_row');
SELECT * FROM bulk_indexes();
SELECT * FROM cdp.check_identities();

SELECT cdp.teardown(false);
DROP TABLE bulk_row;
DROP FUNCTION bulk_indexes;
DROP EXTENSION amcheck;
