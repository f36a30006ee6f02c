-- Keys of captured rows: that the row which a trigger sees and the row which is
-- read by key are one, whatever the type of the key and the settings of the session
-- that writes, and that a key which triggers cannot see is refused.
SET client_min_messages = warning;
SELECT cdp.setup();
CREATE SCHEMA shop;

-- ---------- types ----------
-- A real is equal to its own text only as a real.
CREATE TABLE shop.measured (q real, n bigint, seen integer);
INSERT INTO shop.measured VALUES (0.1, 1, 0), (0.2, 2, 0), ('NaN', 3, 0), (1e-30, 4, 0);
SELECT cdp.create_source('measured', 'shop.measured', record_key => 'q', occurred_at => $$'2024-01-01'::timestamptz$$, event_name => $$'visit'$$,
    identifiers => 'n AS crm_id', properties => 'seen', capture => 'immediate');
-- and together with another column
SELECT cdp.create_source('measured_too', 'shop.measured', record_key => 'q, n', occurred_at => $$'2024-01-01'::timestamptz$$, event_name => $$'visit'$$,
    identifiers => 'n AS crm_id', properties => 'seen', capture => 'immediate');
-- The name of bit without a length means one bit.
CREATE TABLE shop.flagged (flags bit(8), n bigint, seen integer);
INSERT INTO shop.flagged VALUES (B'10100000', 1, 0), (B'10000000', 2, 0);
SELECT cdp.create_source('flagged', 'shop.flagged', record_key => 'flags', occurred_at => $$'2024-01-01'::timestamptz$$, event_name => $$'visit'$$,
    identifiers => 'n AS crm_id', properties => 'seen, flags', capture => 'immediate');
-- A key of several columns of which one is NULL is none, as one column that is NULL.
CREATE TABLE shop.line (number integer, place text, n bigint, seen integer);
INSERT INTO shop.line VALUES (NULL, 'x', 1, 0), (1, NULL, 2, 0), (1, 'y', 3, 0);
SELECT cdp.create_source('line', 'shop.line', record_key => 'number, place', occurred_at => $$'2024-01-01'::timestamptz$$, event_name => $$'visit'$$,
    identifiers => 'n AS crm_id', properties => 'seen', capture => 'immediate');
CALL cdp.refresh();
SELECT source, record_key, seen FROM cdp.events ORDER BY source, record_key COLLATE "C";
SELECT DISTINCT flags FROM cdp.events WHERE source = 'flagged' ORDER BY flags;
SELECT source, reason, count(*) FROM cdp.rejected_records GROUP BY source, reason;
UPDATE shop.measured SET seen = 1;
UPDATE shop.flagged SET seen = 1;
UPDATE shop.line SET seen = 1;
SELECT source, record_key, seen FROM cdp.events ORDER BY source, record_key COLLATE "C";
DELETE FROM shop.measured WHERE n = 1;
DELETE FROM shop.flagged WHERE n = 1;
INSERT INTO shop.line VALUES (2, NULL, 4, 0), (2, 'z', 5, 0);
SELECT source, count(*) FROM cdp.events GROUP BY source ORDER BY source;
SELECT source, record_key, reason, detail FROM cdp.rejected_records WHERE reason = 'capture_failed';

-- ---------- settings of the writer ----------
CREATE TABLE shop.file (id bytea PRIMARY KEY, sku text, nr float8, price money, doc text);
INSERT INTO shop.file VALUES ('\x00ff', 'a\b', 1234567890123456.25, 1.5, 'the cats'), ('\x01fe', 'c\d', 1234567890123456.5, 2.5, 'the dogs');
SELECT cdp.create_namespace('nr', 'exact');
SELECT cdp.create_source('file', 'shop.file', record_key => 'id', identifiers => 'nr AS nr', capture => 'immediate',
    traits => $$ replace(sku, '\', '/') AS sku, price::text AS price, to_tsvector(doc)::text AS words, (sku = NULL) IS NULL AS unknown,
               pg_typeof(id)::regtype::text AS type, to_char(nr, '9G999999999999999D9') AS nr_text, id::text AS id_text $$);
CALL cdp.refresh(ARRAY['file']);
CREATE TEMPORARY VIEW files AS SELECT record_key, traits FROM cdp_data.contribution WHERE source = 'file' ORDER BY record_key;
CREATE TEMPORARY TABLE before AS SELECT * FROM files;
SELECT record_key, cdp.get_text(traits, 'sku') AS sku, cdp.get_text(traits, 'price') AS price, cdp.get_text(traits, 'words') AS words,
       cdp.get_text(traits, 'nr_text') AS nr_text, cdp.get_text(traits, 'id_text') AS id_text FROM files;
SET bytea_output = escape;
SET extra_float_digits = 0;
UPDATE shop.file SET sku = sku;
SELECT record_key FROM files;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = off;
SET transform_null_equals = on;
SET default_text_search_config = 'pg_catalog.english';
SET quote_all_identifiers = on;
SET row_security = off;
SET xmlbinary = hex;
UPDATE shop.file SET sku = sku;
SELECT count(*) AS records FROM files;
SELECT count(*) AS different FROM (SELECT record_key, traits::text FROM files EXCEPT SELECT record_key, traits::text FROM before) AS d;
SELECT value FROM cdp.identifiers WHERE namespace = 'nr' ORDER BY value;
-- whoever refreshes, and whoever declares
CALL cdp.refresh(ARRAY['file'], full_compare => true);
RESET quote_all_identifiers;
SELECT cdp.create_source('file_again', 'shop.file', record_key => 'id', identifiers => 'nr AS nr', traits => 'replace(sku, ''\\'', ''/'') AS sku');
CALL cdp.refresh(ARRAY['file_again']);
RESET ALL;
SET client_min_messages = warning;
SELECT count(*) AS different FROM (SELECT record_key, traits::text FROM files EXCEPT SELECT record_key, traits::text FROM before) AS d;
SELECT record_key, cdp.get_text(traits, 'sku') AS sku FROM cdp_data.contribution WHERE source = 'file_again' ORDER BY record_key;
SELECT source, status, last_error FROM cdp.sources WHERE status <> 'ok';
SELECT source, reason, detail FROM cdp.rejected_records WHERE source LIKE 'file%';

-- ---------- what triggers cannot see ----------
CREATE TABLE shop.visit (id bigint, n bigint);
CREATE FUNCTION shop.visit_key(shop.visit) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1.id::text;
SELECT cdp.create_source('visit', 'shop.visit', record_key => 'tableoid, id', identifiers => 'n AS crm_id', capture => 'queue');
-- (PostgreSQL 16 says more of it)
DO $$
DECLARE hint text;
BEGIN
    PERFORM cdp.create_source('visit', 'shop.visit', record_key => 'shop.visit.id', identifiers => 'n AS crm_id', capture => 'immediate');
EXCEPTION WHEN undefined_table THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RAISE INFO '%: %', SQLERRM, hint;
END $$;
SELECT cdp.create_source('visit', 'shop.visit', record_key => 'tableoid, shop.visit.id', identifiers => 'n AS crm_id');
SELECT cdp.alter_source('visit', capture => 'queue');
SELECT cdp.alter_source('visit', record_key => 'shop.visit_key(visit)', capture => 'queue');
INSERT INTO shop.visit VALUES (6, 1);
SELECT cdp.alter_source('visit', record_key => 'visit.id');
INSERT INTO shop.visit VALUES (7, 1);
SELECT source, record_key FROM cdp_data.captured_key;
SELECT cdp.teardown(false);
DROP SCHEMA shop CASCADE;
