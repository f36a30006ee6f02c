-- cdp.connected_components: each error, with its SQLSTATE, and the limit on memory.

CREATE SCHEMA components_errors;
SET search_path = components_errors;
CREATE TABLE edge (a bigint, b bigint, label text);
INSERT INTO edge VALUES (1, 2, 'x');

CREATE FUNCTION components_error(query text, node_type text DEFAULT 'bigint') RETURNS TABLE (part text, value text) LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	IF node_type = 'bigint' THEN
		PERFORM * FROM cdp.connected_components(query);
	ELSE
		EXECUTE format('SELECT count(*) FROM cdp.connected_components($1, NULL::%s)', node_type) USING query;
	END IF;
	RETURN QUERY SELECT 'no error', ''::text;
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN QUERY SELECT * FROM (VALUES ('sqlstate', state), ('message', message), ('detail', detail), ('hint', hint)) AS line (name, content) WHERE content <> '';
END
$$;
\pset format unaligned
\pset tuples_only on

-- not a query
SELECT * FROM components_error(NULL);
SELECT * FROM components_error('');
SELECT * FROM components_error(' -- nothing');
SELECT * FROM components_error('SELECT 1, 2; SELECT 3, 4');
SELECT * FROM components_error('edge');
SELECT * FROM components_error('INSERT INTO edge VALUES (1, 2) RETURNING a, b');
SELECT * FROM components_error('DROP TABLE edge');
SELECT * FROM components_error('EXPLAIN SELECT 1, 2');
SELECT * FROM components_error('SELECT a, b INTO other FROM edge');
SELECT * FROM components_error('SELECT a, b INTO other FROM edge UNION ALL SELECT 1, 2');
SELECT * FROM components_error('WITH gone AS (DELETE FROM edge RETURNING a, b) SELECT * FROM gone');
SELECT * FROM components_error('SELECT a, b FROM edge FOR UPDATE');
SELECT * FROM components_error('SELECT * FROM (SELECT a, b FROM edge FOR SHARE) AS locked');
SELECT * FROM components_error('SELECT $1, $2');
SELECT * FROM components_error('SELECT a, b FROM nowhere');
SELECT count(*) FROM edge;

-- not two columns of the type of the nodes
SELECT * FROM components_error('SELECT a FROM edge');
SELECT * FROM components_error('SELECT a, b, label FROM edge');
SELECT * FROM components_error('SELECT FROM edge');
SELECT * FROM components_error('SELECT a, label FROM edge');
SELECT * FROM components_error('SELECT 1.5, 2');
SELECT * FROM components_error('SELECT a, b FROM edge', 'text');
SELECT * FROM components_error('SELECT a, b FROM edge', 'uuid');
SELECT * FROM components_error('SELECT label, label FROM edge', 'uuid');
SELECT * FROM components_error('SELECT array[a], b FROM edge');

-- errors of the query while it runs
SELECT * FROM components_error('SELECT a / 0, b FROM edge');

-- where it is wrong is shown in the query itself
\pset format aligned
\pset tuples_only off
\set VERBOSITY default
SELECT * FROM cdp.connected_components('SELECT a, c FROM edge');
SELECT * FROM cdp.connected_components('SELECT a,, b FROM edge');
SELECT * FROM cdp.connected_components('SELECT ''ä'', 2;   SELECT 3, 4');
SELECT * FROM cdp.connected_components('SELECT a / 0, b FROM edge');

-- a graph that is too large says how much memory it takes, and that is enough: for each type, from just too large to much too large
CREATE FUNCTION components_limit(query text, node_type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	call text := format('SELECT count(*) FROM cdp.connected_components($1, NULL::%s)', node_type);
	state text;
	message text;
	hint text;
	size text;
	nodes bigint;
BEGIN
	IF node_type = 'bigint' THEN
		call := 'SELECT count(*) FROM cdp.connected_components($1)';
	END IF;
	PERFORM set_config('maintenance_work_mem', '1MB', true);
	BEGIN
		EXECUTE call USING query INTO nodes;
		RETURN 'fits';
	EXCEPTION WHEN configuration_limit_exceeded THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	END;
	size := substring(hint FROM 'maintenance_work_mem to at least ''(\d+MB)''');
	PERFORM set_config('maintenance_work_mem', size, true);
	EXECUTE call USING query INTO nodes;
	RETURN format('%s: %s; enough for %s nodes', state, message, nodes);
END
$$;
SELECT n, components_limit(format('SELECT i, NULL::bigint FROM generate_series(1, %s) AS i', n), 'bigint') FROM unnest(ARRAY[30000, 50000, 100000, 300000]) AS n;
SELECT n, components_limit(format('SELECT md5(i::text)::uuid, NULL::uuid FROM generate_series(1, %s) AS i', n), 'uuid') FROM unnest(ARRAY[20000, 50000, 100000, 200000]) AS n;
SELECT n, components_limit(format('SELECT i || repeat(''x'', i %% 200), NULL::text FROM generate_series(1, %s) AS i', n), 'text') FROM unnest(ARRAY[5000, 10000, 30000, 100000]) AS n;
SELECT n, components_limit(format('SELECT i::text, NULL::text FROM generate_series(1, %s) AS i', n), 'text') FROM unnest(ARRAY[20000, 50000, 100000]) AS n;
-- strings larger than all of the memory
SELECT n, components_limit(format('SELECT repeat(''x'', i * 1000000), repeat(''x'', i) FROM generate_series(1, %s) AS i', n), 'text') FROM unnest(ARRAY[1, 2, 5]) AS n;
SHOW maintenance_work_mem;

RESET search_path;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA components_errors CASCADE;
