-- Declaring again, altering and dropping sources.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id integer PRIMARY KEY, mail text, country text, city text, points integer);
CREATE TABLE shop.orders (id integer PRIMARY KEY, mail text, total numeric, placed timestamptz);
INSERT INTO shop.customers VALUES (1, 'ann@x.org', 'DE', 'Bonn', 10), (2, 'bob@x.org', 'JP', 'Kobe', 20), (3, 'cem@x.org', 'TR', 'Izmir', 30);
INSERT INTO shop.orders VALUES (1, 'ann@x.org', 10.5, '2026-03-01 10:00+00'), (2, 'bob@x.org', 7, '2026-03-02 10:00+00');
SELECT cdp.create_source('shop', 'shop.customers', record_key => 'id', identifiers => 'mail AS email, id AS crm_id', traits => 'country, city');
SELECT cdp.create_source('orders', 'shop.orders', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'placed', event_name => $$'order'$$, properties => 'total AS amount');
CALL cdp.refresh();
SELECT email, crm_id, country, city, event_count FROM cdp.profiles ORDER BY email;

-- The same again does nothing: the source stays as it was.
SELECT source, status, last_full_at IS NOT NULL AS read FROM cdp.sources ORDER BY source;
SELECT cdp.create_source('shop', 'shop.customers', record_key => 'id', identifiers => 'mail AS email, id AS crm_id', traits => 'country, city');
SELECT cdp.create_source('shop', 'shop.customers', record_key => 'id', identifiers => 'mail AS email, id AS crm_id', traits => 'country, city', replace => true);
SELECT name, needs_full FROM cdp_data.source_state ORDER BY name;
-- Another declaration needs replace.
SELECT cdp.create_source('shop', 'shop.customers', record_key => 'id', identifiers => 'mail AS email, id AS crm_id', traits => 'country, points');
SELECT cdp.create_source('shop', 'shop.customers', record_key => 'id', identifiers => 'mail AS email, id AS crm_id', traits => 'country, points', replace => true);
SELECT name, needs_full FROM cdp_data.source_state ORDER BY name;
-- The columns of both declarations are there; what is not declared any more is empty after the next refresh.
CALL cdp.refresh();
SELECT email, country, city, points FROM cdp.profiles ORDER BY email;

-- NULL keeps, reset takes away.
SELECT cdp.alter_source('shop', traits => 'upper(country) AS country, city, points', filter => 'id < 3');
SELECT record_key, identifiers, traits, filter FROM cdp_data.source WHERE name = 'shop';
CALL cdp.refresh(ARRAY['shop'], allow_deletes => true);
SELECT email, country, city, points FROM cdp.profiles ORDER BY email;
SELECT cdp.alter_source('shop', reset => ARRAY['filter']);
CALL cdp.refresh(ARRAY['shop']);
SELECT email, country, city, points FROM cdp.profiles ORDER BY email;
SELECT cdp.alter_source('shop', reset => ARRAY['record_key']);
SELECT cdp.alter_source('shop', reset => ARRAY['name']);
SELECT cdp.alter_source('shop', traits => 'no_such_column');
SELECT cdp.alter_source('nothing', traits => 'country');
SELECT cdp.alter_source(NULL, traits => 'country');
SELECT cdp.alter_source('shop', occurred_at => 'now()', event_name => $$'x'$$, reset => ARRAY['traits']);

-- A source of identifiers alone.
SELECT cdp.create_source('links', 'shop.customers', record_key => 'id', identifiers => $$ mail AS email, 'L' || id AS loyalty_id $$, watermark => 'id');
CALL cdp.refresh(ARRAY['links']);
DELETE FROM shop.customers WHERE id = 3;
CALL cdp.refresh(ARRAY['links'], full_compare => true, allow_deletes => true);
SELECT source, mode, rows_read, records_new, records_changed, records_unchanged, retracted FROM cdp.refresh_log WHERE source = 'links' ORDER BY log_id;
SELECT cdp.drop_source('links');
-- The last trait goes.
SELECT cdp.alter_source('shop', reset => ARRAY['traits']);
SELECT count(*) FROM cdp_data.contribution;
CALL cdp.refresh(ARRAY['shop'], allow_deletes => true);
SELECT count(*) FROM cdp_data.contribution;
SELECT email, loyalty_id, country, city, points FROM cdp.profiles WHERE crm_id IS NOT NULL ORDER BY email;
SELECT cdp.alter_source('shop', traits => 'country, city, points');
CALL cdp.refresh();

-- Same properties, other types.
SELECT cdp.alter_source('orders', properties => 'total::text AS amount');
SELECT cdp.alter_source('orders', properties => $$ total AS amount, 'EUR' AS currency $$);
CALL cdp.refresh(ARRAY['orders']);
SELECT event_name, amount, currency FROM cdp.events ORDER BY record_key;

-- Near the limit of columns.
SELECT cdp.create_source('wide', 'shop.orders', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'placed', event_name => $$'order'$$,
    properties => (SELECT string_agg('total AS p' || n, ', ') FROM generate_series(1, 1501) AS n));
SELECT cdp.create_source('wide', 'shop.orders', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'placed', event_name => $$'order'$$,
    properties => (SELECT string_agg('total AS p' || n, ', ') FROM generate_series(1, 1000) AS n));
SELECT cdp.create_source('wider', 'shop.orders', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'placed', event_name => $$'order'$$,
    properties => (SELECT string_agg('total AS q' || n, ', ') FROM generate_series(1, 600) AS n));
SELECT cdp.drop_source('wide');

-- Dropping: with its data, or without.
SELECT cdp.drop_source('nothing');
SELECT cdp.drop_source(NULL);
SELECT cdp.drop_source('shop', NULL);
SELECT cdp.drop_source('orders', keep_data => true);
SELECT source FROM cdp.sources ORDER BY source;
SELECT count(*) FROM cdp.events;
-- A source of the same name takes up what was kept.
SELECT cdp.create_source('orders', 'shop.orders', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'placed', event_name => $$'order'$$, properties => 'total AS amount');
DELETE FROM shop.orders WHERE id = 1;
CALL cdp.refresh(ARRAY['orders'], allow_deletes => true);
SELECT record_key, amount FROM cdp.events ORDER BY record_key;
SELECT cdp.drop_source('orders');
SELECT count(*) FROM cdp.events;
SELECT cdp.drop_source('shop');
SELECT count(*) FROM cdp_data.contribution;
SELECT count(*) FROM cdp_data.record;
CALL cdp.refresh();
SELECT email, country, record_count FROM cdp.profiles ORDER BY email;
SELECT count(*) FROM cdp_data.source_column;
SELECT cdp.grant_access('pg_monitor', 'writer');

-- Texts that stay go on to mean what they meant, wherever another part is changed.
CREATE SCHEMA one;
CREATE SCHEMA two;
CREATE FUNCTION one.label(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'one ' || $1;
CREATE FUNCTION two.label(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'two ' || $1;
CREATE TABLE shop.labelled (id text, mail text);
INSERT INTO shop.labelled VALUES ('1', 'label@example.org');
SET search_path = one, public;
SELECT cdp.create_source('labelled', 'shop.labelled', record_key => 'id', identifiers => 'mail AS email', traits => 'label(id) AS label');
SET search_path = two, public;
SELECT cdp.alter_source('labelled', time_zone => 'UTC');
SELECT search_path FROM cdp_data.source WHERE name = 'labelled';
CALL cdp.refresh();
SELECT cdp.get_text(traits, 'label') AS label FROM cdp_data.contribution WHERE source = 'labelled';
SELECT cdp.alter_source('labelled', traits => 'label(id) AS label');
SELECT search_path FROM cdp_data.source WHERE name = 'labelled';
CALL cdp.refresh();
SELECT cdp.get_text(traits, 'label') AS label FROM cdp_data.contribution WHERE source = 'labelled';
RESET search_path;
DROP SCHEMA one, two CASCADE;
DROP SCHEMA shop CASCADE;
SELECT cdp.teardown(false);
