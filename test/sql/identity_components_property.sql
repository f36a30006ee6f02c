-- cdp.connected_components on random graphs (seeded) against recursive SQL, and on large graphs whose components are known.

CREATE SCHEMA components_property;
SET search_path = components_property;
-- the planner expects far more rows than there are: no large hash tables and no compilation for them
SET jit = off;
SET work_mem = '1MB';
CREATE TEMPORARY TABLE edge (a bigint, b bigint);

-- The obvious way: all nodes that each node reaches, the smallest of them.
CREATE TEMPORARY VIEW slow_components AS
WITH RECURSIVE node AS (
	SELECT a AS node FROM edge WHERE a IS NOT NULL
	UNION
	SELECT b FROM edge WHERE b IS NOT NULL
), neighbour AS (
	SELECT a AS node, b AS other FROM edge WHERE a IS NOT NULL AND b IS NOT NULL
	UNION
	SELECT b, a FROM edge WHERE a IS NOT NULL AND b IS NOT NULL
), reached AS (
	SELECT node, node AS other FROM node
	UNION
	SELECT reached.node, neighbour.other FROM reached JOIN neighbour ON neighbour.node = reached.other
)
SELECT node, min(other) AS component FROM reached GROUP BY node;

CREATE TEMPORARY TABLE reference (node bigint, component bigint);

-- Nodes as text and as uuid, so that the order is another one than that of the numbers.
CREATE FUNCTION text_of(node bigint) RETURNS text IMMUTABLE RETURN
	CASE abs(node) % 5 WHEN 0 THEN '' WHEN 1 THEN 'é' WHEN 2 THEN '東' WHEN 3 THEN repeat('long', 40) ELSE 'Z' END || node;
CREATE FUNCTION uuid_of(node bigint) RETURNS uuid IMMUTABLE RETURN md5(node::text)::uuid;

CREATE FUNCTION compare(graphs integer, nodes integer, edges integer) RETURNS TABLE (graph_count bigint, node_count bigint, component_count bigint, wrong bigint)
LANGUAGE plpgsql AS $$
BEGIN
	graph_count := graphs;
	node_count := 0;
	component_count := 0;
	wrong := 0;
	FOR graph IN 1 .. graphs LOOP
		-- of each random size up to the given one; numbers near 0, large ones of both signs, NULLs
		TRUNCATE edge;
		INSERT INTO edge
			SELECT CASE WHEN random() < 0.05 THEN NULL ELSE (floor(random() * limits.nodes) - limits.nodes / 2)::bigint * limits.factor END,
				CASE WHEN random() < 0.05 THEN NULL ELSE (floor(random() * limits.nodes) - limits.nodes / 2)::bigint * limits.factor END
			FROM (SELECT 1 + floor(random() * compare.nodes) AS nodes, floor(random() * compare.edges)::integer AS edges,
					(ARRAY[1, 4294967296, 1000003])[1 + floor(random() * 3)::integer] AS factor) AS limits,
				generate_series(1, limits.edges);

		TRUNCATE reference;
		INSERT INTO reference SELECT * FROM slow_components;
		SELECT node_count + count(*), component_count + count(DISTINCT component) INTO node_count, component_count FROM reference;

		wrong := wrong + (
			SELECT count(*) FROM (
				(TABLE reference EXCEPT ALL SELECT * FROM cdp.connected_components('SELECT a, b FROM edge'))
				UNION ALL
				(SELECT * FROM cdp.connected_components('SELECT b, a FROM edge ORDER BY random()') EXCEPT ALL TABLE reference)
			) AS difference);
		wrong := wrong + (
			SELECT count(*) FROM (
				SELECT text_of(node) AS node, min(text_of(node) COLLATE "C") OVER (PARTITION BY component) AS component FROM reference
			) AS expected
			FULL JOIN cdp.connected_components('SELECT text_of(a), text_of(b) FROM edge', NULL::text) AS found USING (node)
			WHERE expected.component COLLATE "C" IS DISTINCT FROM found.component COLLATE "C");
		wrong := wrong + (
			SELECT count(*) FROM (
				SELECT uuid_of(node) AS node, (min(uuid_of(node)::text COLLATE "C") OVER (PARTITION BY component))::uuid AS component FROM reference
			) AS expected
			FULL JOIN cdp.connected_components('SELECT uuid_of(a), uuid_of(b) FROM edge', NULL::uuid) AS found USING (node)
			WHERE expected.component IS DISTINCT FROM found.component);
	END LOOP;
	RETURN NEXT;
END
$$;

SELECT setseed(0.20260101);
SELECT graph_count, node_count > 1000 AS has_nodes, component_count > 300 AS has_components, wrong FROM compare(300, 12, 15);
SELECT graph_count, node_count > 2000 AS has_nodes, component_count > 500 AS has_components, wrong FROM compare(80, 200, 180);
SELECT graph_count, node_count > 1000 AS has_nodes, component_count > 100 AS has_components, wrong FROM compare(5, 1500, 1000);

-- Large: the components are known by construction, the edges come in any order. Each result is grouped by component and compared.
CREATE FUNCTION shape(name text, nodes bigint, query text, component_of text) RETURNS TABLE (shape text, type text, node_count bigint, wrong bigint)
LANGUAGE plpgsql AS $$
BEGIN
	shape := name;
	type := 'bigint';
	EXECUTE format($query$
		SELECT count(found.node), count(*) FILTER (WHERE found.component IS DISTINCT FROM expected.component)
		FROM (SELECT i AS node, %s AS component FROM generate_series(1::bigint, %s) AS i) AS expected
		FULL JOIN cdp.connected_components(%L) AS found USING (node)
	$query$, component_of, nodes, query) INTO node_count, wrong;
	RETURN NEXT;

	type := 'text';
	EXECUTE format($query$
		SELECT count(found.node), count(*) FILTER (WHERE found.component IS DISTINCT FROM expected.component)
		FROM (SELECT text_of(i) AS node, min(text_of(i) COLLATE "C") OVER (PARTITION BY %s) AS component FROM generate_series(1::bigint, %s) AS i) AS expected
		FULL JOIN cdp.connected_components(%L, NULL::text) AS found USING (node)
	$query$, component_of, nodes, format('SELECT text_of(a), text_of(b) FROM (%s) AS edge (a, b)', query)) INTO node_count, wrong;
	RETURN NEXT;

	type := 'uuid';
	EXECUTE format($query$
		SELECT count(found.node), count(*) FILTER (WHERE found.component IS DISTINCT FROM expected.component)
		FROM (SELECT uuid_of(i) AS node, (min(uuid_of(i)::text COLLATE "C") OVER (PARTITION BY %s))::uuid AS component FROM generate_series(1::bigint, %s) AS i) AS expected
		FULL JOIN cdp.connected_components(%L, NULL::uuid) AS found USING (node)
	$query$, component_of, nodes, format('SELECT uuid_of(a), uuid_of(b) FROM (%s) AS edge (a, b)', query)) INTO node_count, wrong;
	RETURN NEXT;
END
$$;

SELECT * FROM shape('chain, upwards', 20000, 'SELECT i, i + 1 FROM generate_series(1, 19999) AS i', '1::bigint');
SELECT * FROM shape('chain, downwards', 20000, 'SELECT i, i + 1 FROM generate_series(19999, 1, -1) AS i', '1::bigint');
SELECT * FROM shape('chain, shuffled', 20000, 'SELECT i, i + 1 FROM generate_series(1, 19999) AS i ORDER BY random()', '1::bigint');
SELECT * FROM shape('star', 20000, 'SELECT i, 20000 FROM generate_series(1, 20000) AS i', '1::bigint');
SELECT * FROM shape('matching', 20000, 'SELECT i * 2, i * 2 - 1 FROM generate_series(1, 10000) AS i ORDER BY random()', 'i - 1 + i % 2');
SELECT * FROM shape('rings by remainder', 20000, 'SELECT i, (i + 96) % 20000 + 1 FROM generate_series(1, 20000) AS i ORDER BY random()', '1::bigint');
SELECT * FROM shape('lanes by remainder', 19982, 'SELECT i, i + 97 FROM generate_series(1, 19885) AS i ORDER BY random()', '(i - 1) % 97 + 1');
SELECT * FROM shape('binary tree', 16383, 'SELECT i, i / 2 FROM generate_series(2, 16383) AS i ORDER BY random()', '1::bigint');
SELECT * FROM shape('all isolated', 20000, 'SELECT i, NULL::integer FROM generate_series(1, 20000) AS i ORDER BY random()', 'i');
-- pairs joined to fours, to eights ...: trees of equal size are merged, which makes the deepest trees
SELECT * FROM shape('tournament', 16384, 'SELECT i * (1 << round) + 1, i * (1 << round) + (1 << (round - 1)) + 1 FROM generate_series(1, 14) AS round, generate_series(0, (16384 >> round) - 1) AS i ORDER BY round', '1::bigint');

RESET search_path;
SET client_min_messages = warning;
\set VERBOSITY terse
DROP SCHEMA components_property CASCADE;
