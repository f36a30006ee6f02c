-- What the text of a source names is looked up anew by whoever makes it run.  When
-- that is gone, a temporary object of theirs does not take its place: it would run
-- with the rights of the source's owner.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_cdp_shop;
CREATE ROLE regress_cdp_till;
CREATE SCHEMA bench;
GRANT USAGE, CREATE ON SCHEMA bench TO regress_cdp_shop;
GRANT USAGE ON SCHEMA bench TO regress_cdp_till;
SELECT cdp.setup() IS NOT NULL AS set_up;
SET ROLE regress_cdp_shop;
CREATE TABLE bench.log (who name);
GRANT INSERT ON bench.log TO PUBLIC;
CREATE TABLE bench.codes (code text, country text);
INSERT INTO bench.codes VALUES ('F', 'France');
CREATE TABLE bench.orders (id integer PRIMARY KEY, email text, placed_at timestamptz, code text);
GRANT SELECT, INSERT ON bench.orders TO regress_cdp_till;
RESET ROLE;
SET search_path = bench, public;
SELECT cdp.create_source('orders', 'bench.orders', record_key => 'id', occurred_at => 'placed_at', event_name => '''order''', identifiers => 'email',
                         properties => '(SELECT c.country FROM codes AS c WHERE c.code = orders.code) AS country', capture => 'immediate', owner => 'regress_cdp_shop');
SET SESSION AUTHORIZATION regress_cdp_till;
INSERT INTO bench.orders VALUES (1, 'ann@x.org', '2026-01-01 00:00+00', 'F');
RESET SESSION AUTHORIZATION;
DROP TABLE bench.codes;
\c -
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_cdp_till;
CREATE FUNCTION pg_temp.write_down() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.log VALUES (current_user);
    RETURN 'F';
END $$;
CREATE VIEW pg_temp.codes AS SELECT pg_temp.write_down() AS code, 'Utopia'::text AS country;
GRANT SELECT ON pg_temp.codes TO PUBLIC;
INSERT INTO bench.orders VALUES (2, 'bob@x.org', '2026-01-02 00:00+00', 'F');
RESET SESSION AUTHORIZATION;
CALL cdp.refresh(on_error => 'report', full_compare => true);
SELECT record_key, country FROM cdp.events ORDER BY record_key;
SELECT record_key, reason, detail FROM cdp.rejected_records ORDER BY record_key;
SELECT * FROM bench.log;
-- Nor is a source declared on them.
SET search_path = bench, public;
SELECT cdp.create_source('others', 'bench.orders', record_key => 'id', occurred_at => 'placed_at', event_name => '''order''', identifiers => 'email',
                         properties => '(SELECT c.country FROM codes AS c WHERE c.code = orders.code) AS country');

DROP SCHEMA bench CASCADE;
SELECT cdp.teardown(false);
DISCARD TEMP;
DROP ROLE regress_cdp_shop, regress_cdp_till;
