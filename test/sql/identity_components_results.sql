-- cdp.connected_components: results, node types, NULLs, whose rights and names the query has.

\pset null '(null)'

-- The example of docs/identity.md: which identifiers hang together, as a dbt model would ask it.
CREATE SCHEMA components;
SET search_path = components;
CREATE TABLE customer (customer_id bigint, email text, phone text);
INSERT INTO customer VALUES
	(1, 'ada@example.com', '+442071838750'),
	(2, 'ada@example.com', NULL),
	(3, 'ada.lovelace@example.org', '+442071838750'),
	(4, 'charles@example.com', NULL),
	(5, NULL, NULL);
CREATE VIEW edges AS
	SELECT customer_id AS a, min(customer_id) OVER (PARTITION BY email) AS b FROM customer WHERE email IS NOT NULL
	UNION ALL
	SELECT customer_id, min(customer_id) OVER (PARTITION BY phone) FROM customer WHERE phone IS NOT NULL
	UNION ALL
	SELECT customer_id, NULL FROM customer;
SELECT node AS customer_id, component AS person_id FROM cdp.connected_components('SELECT a, b FROM edges') ORDER BY node;
SELECT node, component FROM cdp.connected_components($$
	SELECT 'customer ' || customer_id, 'email ' || email FROM customer
	UNION ALL
	SELECT 'customer ' || customer_id, 'phone ' || phone FROM customer
$$, NULL::text) ORDER BY node COLLATE "C";

-- NULLs, self-loops, duplicates, both directions
SELECT * FROM cdp.connected_components('VALUES (5::bigint, 4::bigint), (4, 5), (5, 4), (4, 4), (7, 7), (8, NULL), (NULL, 9), (NULL, NULL), (9, 10)') ORDER BY node;
-- no row, one row, only NULLs
SELECT * FROM cdp.connected_components('SELECT a, b FROM edges WHERE false');
SELECT * FROM cdp.connected_components('SELECT 2, 1') ORDER BY node;
SELECT * FROM cdp.connected_components('SELECT 1, 1');
SELECT * FROM cdp.connected_components('SELECT NULL::bigint, NULL::bigint');
-- the bare word NULL fits any type
SELECT * FROM cdp.connected_components('SELECT customer_id, NULL FROM customer ORDER BY 1 LIMIT 2') ORDER BY node;
SELECT * FROM cdp.connected_components('SELECT NULL, NULL');
SELECT * FROM cdp.connected_components('SELECT NULL, ''00000000-0000-0000-0000-000000000001''::uuid', NULL::uuid);

-- the whole range of bigint, and the smaller integers, mixed
SELECT * FROM cdp.connected_components('VALUES (9223372036854775807, -9223372036854775808), (0, -1), (-1, 4294967296)') ORDER BY node;
SELECT * FROM cdp.connected_components('VALUES ((-32768)::smallint, 2147483647), (32767::smallint, -2147483648), (1::smallint, NULL)') ORDER BY node;
CREATE DOMAIN person_number AS integer CHECK (VALUE > 0);
SELECT * FROM cdp.connected_components('SELECT 3::person_number, 2::bigint') ORDER BY node;

-- uuid, compared as uuid
SELECT * FROM cdp.connected_components($$
	VALUES ('ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid, '80000000-0000-0000-0000-000000000000'::uuid),
		('7fffffff-ffff-ffff-ffff-ffffffffffff', NULL),
		('80000000-0000-0000-0000-000000000000', '80000000-0000-0000-0000-000000000001')
$$, NULL::uuid) ORDER BY node;

-- text, compared as bytes whatever the collation; the empty string is a node; case, accents and spaces count
SELECT node, component, octet_length(node) FROM cdp.connected_components($$
	VALUES ('ä', 'z'), ('Z', 'a'), ('', 'ß'), ('a ', NULL), ('東京', '大阪'), ('a' || chr(769), 'á'), ('😀', NULL)
$$, NULL::text) ORDER BY node COLLATE "C";
-- a prefix is smaller; strings of all lengths around the limits of short and long datums, and beyond a page
SELECT length(node), length(component) FROM cdp.connected_components($$
	SELECT repeat('x', n), repeat('x', n + 1) FROM unnest(ARRAY[0, 1, 125, 126, 127, 128, 8190, 40000, 100000]) AS n
$$, NULL::text) ORDER BY 1;
SELECT length(node), length(component), md5(node) = md5(repeat('0123456789', length(node) / 10)) AS intact FROM cdp.connected_components($$
	SELECT repeat('0123456789', n), repeat('0123456789', n * 2) FROM unnest(ARRAY[1, 10, 12, 13, 100, 3000, 4000, 100000]) AS n
$$, NULL::text) ORDER BY 1;
-- types that cast to text implicitly
CREATE DOMAIN label AS varchar(10);
SELECT * FROM cdp.connected_components($$ SELECT 'b'::varchar, 'a'::char(5) UNION ALL SELECT 'c'::label, 'b'::char(5) $$, NULL::text) ORDER BY node COLLATE "C";
SELECT * FROM cdp.connected_components($$ SELECT 'b'::name, 'a'::label $$, NULL::text) ORDER BY node COLLATE "C";
-- values that are compressed and stored out of line
CREATE TABLE document (a text, b text);
ALTER TABLE document ALTER b SET STORAGE EXTERNAL;
INSERT INTO document SELECT repeat('long ', 4000 + n), repeat('large', 4000 + n / 2) FROM generate_series(1, 6) AS n;
SELECT length(node) AS length, left(node, 5) AS node, length(component), left(component, 5) AS component
FROM cdp.connected_components('TABLE document', NULL::text) ORDER BY left(node, 5), 1;

-- what is a query
SELECT * FROM cdp.connected_components('TABLE edges') ORDER BY node LIMIT 1;
SELECT * FROM cdp.connected_components('WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT i, i + 1 FROM n;') ORDER BY node;
SELECT * FROM cdp.connected_components('SELECT 1, 2 UNION SELECT 3, 4 EXCEPT SELECT 1, 2 ORDER BY 1 LIMIT 1 -- a comment') ORDER BY node;
SELECT * FROM cdp.connected_components('/* first */ ; SELECT 1, 2; ;') ORDER BY node;
SELECT * FROM cdp.connected_components('SELECT node, component / 2 FROM cdp.connected_components(''TABLE edges'')') ORDER BY node;

-- in all places where a function may stand
SELECT count(*) FROM customer, LATERAL cdp.connected_components(format('SELECT %s, %s', customer_id, customer_id + 1));
SELECT (cdp.connected_components('SELECT 1, 2')).*;
SELECT e.a, c.node FROM (VALUES (1), (2)) AS e (a) LEFT JOIN cdp.connected_components('SELECT 2, 1') AS c ON c.node = e.a ORDER BY 1;
BEGIN;
DECLARE both_ways SCROLL CURSOR FOR SELECT * FROM cdp.connected_components('SELECT 2, 1') AS c;
FETCH ALL FROM both_ways;
FETCH BACKWARD ALL FROM both_ways;
ROLLBACK;
PREPARE components (text) AS SELECT * FROM cdp.connected_components($1) ORDER BY node;
EXECUTE components('SELECT 1, 2');
EXECUTE components('SELECT 1, 3');
DEALLOCATE components;
DO $$
DECLARE
	result record;
BEGIN
	CREATE TEMPORARY TABLE made_here (a integer, b integer);
	INSERT INTO made_here VALUES (1, 2);
	SELECT count(*) AS nodes, min(component) AS component INTO result FROM cdp.connected_components('SELECT a, b FROM made_here');
	RAISE NOTICE 'nodes %, component %', result.nodes, result.component;
	INSERT INTO made_here VALUES (2, 0);
	SELECT count(*) AS nodes, min(component) AS component INTO result FROM cdp.connected_components('SELECT a, b FROM made_here');
	RAISE NOTICE 'nodes %, component %', result.nodes, result.component;
END
$$;

-- the caller's search_path, temporary tables first
CREATE SCHEMA components_other;
CREATE TABLE components_other.pair (a bigint, b bigint);
CREATE TABLE pair (a bigint, b bigint);
INSERT INTO components_other.pair VALUES (1, 2);
INSERT INTO pair VALUES (3, 4);
SELECT * FROM cdp.connected_components('TABLE pair') ORDER BY node;
SET search_path = components_other;
SELECT * FROM cdp.connected_components('TABLE pair') ORDER BY node;
CREATE TEMPORARY TABLE pair (a bigint, b bigint);
INSERT INTO pair VALUES (5, 6);
SELECT * FROM cdp.connected_components('TABLE pair') ORDER BY node;
DROP TABLE pg_temp.pair;
SET search_path = components;

-- the caller's rights: privileges and row security
CREATE ROLE regress_components_reader;
GRANT USAGE ON SCHEMA components TO regress_components_reader;
CREATE TABLE owned (owner text, a bigint, b bigint);
INSERT INTO owned VALUES ('regress_components_reader', 1, 2), ('somebody else', 2, 3);
SET ROLE regress_components_reader;
SELECT * FROM cdp.connected_components('SELECT a, b FROM owned');
RESET ROLE;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON owned USING (owner = current_user);
GRANT SELECT ON owned TO regress_components_reader;
SET ROLE regress_components_reader;
SELECT * FROM cdp.connected_components('SELECT a, b FROM owned') ORDER BY node;
RESET ROLE;
SELECT * FROM cdp.connected_components('SELECT a, b FROM owned') ORDER BY node;

-- a plan may be parallel: with no leader, all rows come from workers
CREATE FUNCTION process_id() RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN RETURN pg_backend_pid(); END';
CREATE TABLE many (a bigint, b bigint);
INSERT INTO many SELECT n, n / 2 FROM generate_series(1, 20000) AS n;
ANALYZE many;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_leader_participation = off;
SELECT count(*) > 0 AS rows, bool_and(node <> pg_backend_pid()) AS from_workers
FROM cdp.connected_components('SELECT DISTINCT process_id(), NULL::bigint FROM many WHERE a > 0');
SELECT count(*), count(DISTINCT component) FROM cdp.connected_components('SELECT a, b FROM many');
ROLLBACK;

-- cancelled in the middle
SET statement_timeout = '200ms';
\set VERBOSITY terse
SELECT count(*) FROM cdp.connected_components('SELECT n, n + 1 FROM generate_series(1, 1000000000000) AS n');
\set VERBOSITY default
RESET statement_timeout;
SELECT count(*) FROM cdp.connected_components('SELECT 1, 2');

RESET search_path;
DROP OWNED BY regress_components_reader;
DROP ROLE regress_components_reader;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA components, components_other CASCADE;
