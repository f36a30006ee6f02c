-- Settings of the session, functions and values that sources have to stand:
-- names that the session wants quoted, backslashes, errors that pretend to be
-- cancels, watermarks at the ends of their type, and errors' context.
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA depot;

-- ---------- names of types and relations, whatever the session wants quoted ----------
CREATE TABLE depot.box (id integer PRIMARY KEY, mail text, weight bigint, label text, form integer[], packed timestamptz);
INSERT INTO depot.box VALUES (1, 'one@x.org', 10, 'a', '{1}', '2026-01-01'), (2, 'two@x.org', 20, 'b', '{2}', '2026-01-02');
SET quote_all_identifiers = on;
SELECT cdp.create_trait('label', 'text');
SELECT cdp.create_source('box', 'depot.box', record_key => 'id', identifiers => 'mail AS email', traits => 'weight, label, form');
SELECT cdp.create_source('box_again', 'depot.box', record_key => 'id', identifiers => 'mail AS email', traits => 'weight, label, form');
SELECT cdp.create_source('packed', 'depot.box', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'packed', event_name => $$'packed'$$, properties => 'label, form');
SELECT cdp.alter_trait('label', survivorship => 'longest');
RESET quote_all_identifiers;
-- the same declarations
SELECT cdp.create_source('box', 'depot.box', record_key => 'id', identifiers => 'mail AS email', traits => 'weight, label, form');
SELECT cdp.create_source('packed_again', 'depot.box', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'packed', event_name => $$'packed'$$, properties => 'label, form');
SELECT name, relation, search_path FROM cdp_data.source ORDER BY name;
SELECT name, type FROM cdp_data.trait ORDER BY name;
SET quote_all_identifiers = on;
SELECT cdp.create_source('box', 'depot.box', record_key => 'id', identifiers => 'mail AS email', traits => 'weight, label, form');
CALL cdp.refresh();
SELECT cdp.create_namespace('box_number', 'exact');
SELECT cdp.create_computed_trait('label_length', 'length(profile.label)');
SELECT cdp.create_segment('heavy', 'weight > 15');
CALL cdp.refresh();
SELECT email, weight, label, form, label_length FROM cdp.profiles ORDER BY email;
SELECT name, members, status FROM cdp.segments;
SELECT source, status, last_error FROM cdp.sources ORDER BY source;
RESET quote_all_identifiers;

-- ---------- backslashes ----------
CREATE TABLE depot."back\slash" (id integer PRIMARY KEY, mail text);
INSERT INTO depot."back\slash" VALUES (1, 'back@x.org');
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT cdp.create_source('back\\slash', 'depot."back\\slash"', record_key => 'id', identifiers => 'mail AS email', capture => 'queue');
CALL cdp.refresh('back\\slash');
INSERT INTO depot."back\slash" VALUES (2, 'back2@x.org');
SELECT cdp.alter_source('back\\slash', capture => 'immediate');
CALL cdp.refresh('back\\slash');
INSERT INTO depot."back\slash" VALUES (3, 'back3@x.org');
SELECT source, record_key FROM cdp_data.record WHERE source LIKE 'back%' ORDER BY record_key;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'depot."back\\slash"'::regclass ORDER BY tgname;
RESET escape_string_warning;
SELECT "check", detail FROM cdp.health;
SET escape_string_warning = off;
SELECT cdp.drop_source('back\\slash');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'depot."back\\slash"'::regclass ORDER BY tgname;
RESET standard_conforming_strings;
RESET escape_string_warning;

-- ---------- selections ----------
\set SHOW_CONTEXT never
SELECT cdp.take_in('box', 'bogus');
SELECT cdp.take_in('box', 'list');
SELECT cdp.source_query('box', NULL);
\set SHOW_CONTEXT errors

-- ---------- errors that pretend to be something else ----------
CREATE TABLE depot.guest (id integer PRIMARY KEY, mail text, code text);
INSERT INTO depot.guest SELECT n, 'guest' || n || '@x.org', 'ok' FROM generate_series(1, 9) AS n;
CREATE FUNCTION depot.checked(mail text, code text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$BEGIN
    IF code = 'assert' THEN
        ASSERT mail IS NULL, 'not wanted: ' || mail;
    ELSIF code <> 'ok' THEN
        RAISE EXCEPTION 'not wanted: %', mail USING ERRCODE = code;
    END IF;
    RETURN mail;
END$$;
SELECT cdp.create_source('guest', 'depot.guest', record_key => 'id', identifiers => 'mail AS email', traits => 'depot.checked(mail, code) AS checked', capture => 'immediate');
CALL cdp.refresh('guest');
-- no writer is stopped
UPDATE depot.guest SET code = '57014' WHERE id = 1;
UPDATE depot.guest SET code = '40001' WHERE id = 2;
UPDATE depot.guest SET code = '55P03' WHERE id = 3;
UPDATE depot.guest SET code = '53200' WHERE id = 4;
UPDATE depot.guest SET code = 'assert' WHERE id = 5;
UPDATE depot.guest SET code = '42501' WHERE id = 6;
UPDATE depot.guest SET code = '22023' WHERE id = 7;
SELECT record_key, reason, detail, identifiers FROM cdp.rejected_records ORDER BY record_key;
SELECT count(*) FROM cdp_data.captured_key;
-- nor a refresh, which takes in the others
UPDATE depot.guest SET mail = 'new@x.org' WHERE id = 9;
CALL cdp.refresh('guest', full_compare => true);
SELECT record_key, reason, detail FROM cdp.rejected_records ORDER BY record_key;
SELECT status, rejected, last_error FROM cdp.sources WHERE source = 'guest';
-- nor does anybody learn of the values where it is the key or the filter
CREATE FUNCTION depot.checked_id(id integer, mail text, code text) RETURNS integer LANGUAGE sql IMMUTABLE RETURN CASE WHEN depot.checked(mail, code) IS NOT NULL THEN id END;
SELECT cdp.alter_source('guest', record_key => 'depot.checked_id(id, mail, code)', reset => ARRAY['traits']);
UPDATE depot.guest SET code = 'ok' WHERE id > 1;
CALL cdp.refresh('guest', on_error => 'report');
UPDATE depot.guest SET code = 'assert' WHERE id = 1;
CALL cdp.refresh('guest', on_error => 'report');
SELECT status, last_error, last_sqlstate FROM cdp.sources WHERE source = 'guest';
SELECT count(*) AS values_in_log FROM cdp.refresh_log WHERE message ~ 'not wanted';
SELECT cdp.drop_source('guest');

-- ---------- watermarks at the ends of their type ----------
CREATE TABLE depot.move (id integer PRIMARY KEY, mail text, version bigint);
INSERT INTO depot.move VALUES (1, 'one@x.org', -9223372036854775808), (2, 'two@x.org', -9223372036854775807);
SELECT cdp.create_source('move', 'depot.move', record_key => 'id', identifiers => 'mail AS email', watermark => 'version');
CALL cdp.refresh('move');
INSERT INTO depot.move VALUES (3, 'three@x.org', -9223372036854775000);
CALL cdp.refresh('move');
INSERT INTO depot.move VALUES (4, 'four@x.org', 9223372036854775807), (5, 'five@x.org', 5);
CALL cdp.refresh('move');
INSERT INTO depot.move VALUES (6, 'six@x.org', 6);
CALL cdp.refresh('move');
SELECT s.status, s.watermark, (SELECT count(*) FROM cdp_data.record AS r WHERE r.source = s.source) AS records FROM cdp.sources AS s WHERE s.source = 'move';
SELECT cdp.alter_source('move', watermark_overlap => '9223372036854775807');
CALL cdp.refresh('move');
CALL cdp.refresh('move');
SELECT status, watermark FROM cdp.sources WHERE source = 'move';
\set SHOW_CONTEXT never
SELECT cdp.alter_source('move', watermark => 'to_timestamp(version)', watermark_overlap => '300000 years');
\set SHOW_CONTEXT errors
SELECT cdp.drop_source('move');

-- ---------- keys in several parts ----------
-- A row that fails makes the refresh read by key: each key once, whatever the number of its rows, and rows without one as well.
CREATE TABLE depot.line (id text, mail text, amount text, version bigint);
INSERT INTO depot.line SELECT 'k' || n, 'line' || n || '@x.org', n::text, n FROM generate_series(1, 2500) AS n;
INSERT INTO depot.line SELECT 'k1500', 'line1500@x.org', n::text, n FROM generate_series(1, 1200) AS n;
INSERT INTO depot.line SELECT NULL, 'none' || n || '@x.org', n::text, 3000 + n FROM generate_series(1, 3) AS n;
UPDATE depot.line SET amount = 'many' WHERE id IN ('k7', 'k2400');
SELECT cdp.create_source('line', 'depot.line', record_key => 'id', identifiers => 'mail AS email', traits => 'amount::integer AS amount', watermark => 'version');
CALL cdp.refresh('line');
SELECT status, rows_read, rejected, watermark, (SELECT count(*) FROM cdp_data.contribution AS c WHERE c.source = s.source) AS stored FROM cdp.sources AS s WHERE s.source = 'line';
SELECT record_key, reason FROM cdp.rejected_records ORDER BY record_key, reason;
-- past the watermark
UPDATE depot.line SET amount = '7', version = 3010 WHERE id = 'k7';
CALL cdp.refresh('line');
SELECT status, rejected, watermark, (SELECT count(*) FROM cdp_data.contribution AS c WHERE c.source = s.source) AS stored FROM cdp.sources AS s WHERE s.source = 'line';
SELECT cdp.drop_source('line');

-- ---------- tables that inherit ----------
-- One that is emptied shows as a table that is truncated does.
CREATE TABLE depot.stock (id integer, mail text, version bigint);
CREATE TABLE depot.stock_old (note text) INHERITS (depot.stock);
INSERT INTO depot.stock SELECT n, 'stock' || n || '@x.org', n FROM generate_series(1, 10) AS n;
INSERT INTO depot.stock_old SELECT n, 'stock' || n || '@x.org', n FROM generate_series(11, 12) AS n;
SELECT cdp.create_source('stock', 'depot.stock', record_key => 'id', identifiers => 'mail AS email', watermark => 'version');
CALL cdp.refresh('stock');
TRUNCATE depot.stock_old;
CALL cdp.refresh('stock');
SELECT l.mode, l.status, l.rows_read, l.retracted FROM cdp.refresh_log AS l WHERE l.source = 'stock' ORDER BY l.log_id;
SELECT cdp.drop_source('stock');

-- ---------- foreign partitions ----------
-- Triggers on the table would fail those who write to it.
CREATE FOREIGN DATA WRAPPER regress_cdp_wrapper;
CREATE SERVER regress_cdp_server FOREIGN DATA WRAPPER regress_cdp_wrapper;
CREATE TABLE depot.far (id integer, mail text) PARTITION BY RANGE (id);
CREATE TABLE depot.far_1 PARTITION OF depot.far FOR VALUES FROM (0) TO (100);
CREATE FOREIGN TABLE depot.far_2 PARTITION OF depot.far FOR VALUES FROM (100) TO (200) SERVER regress_cdp_server;
SELECT cdp.create_source('far', 'depot.far', record_key => 'id', identifiers => 'mail AS email', capture => 'immediate');
SELECT cdp.create_source('far', 'depot.far', record_key => 'id', identifiers => 'mail AS email');
SELECT cdp.alter_source('far', capture => 'queue');
SELECT source, capture FROM cdp.sources WHERE source = 'far';
SELECT cdp.drop_source('far');
DROP SERVER regress_cdp_server CASCADE;
DROP FOREIGN DATA WRAPPER regress_cdp_wrapper;

-- ---------- what stands in the context of errors ----------
SELECT cdp.create_source('box', 'depot.box', record_key => 'id', identifiers => 'mail AS email');
SELECT cdp.create_source('other', 'depot.box', record_key => 'id', identifiers => 'mail AS email', traits => 'label AS weight');
SELECT cdp.alter_source('box', watermark_overlap => '1 hour');
DO $$BEGIN PERFORM cdp.create_source('box', 'depot.box', record_key => 'id', identifiers => 'mail AS email'); END$$;
BEGIN READ ONLY;
CALL cdp.refresh();
ROLLBACK;
ALTER TABLE depot.box DROP COLUMN packed;
CALL cdp.refresh();

SELECT cdp.drop_segment('heavy');
DROP SCHEMA depot CASCADE;
SELECT cdp.teardown(false);
