-- cdp.audience against plain SQL on sets of rows (seeded): operators, aggregates in any order and in parallel, and forms.
CREATE SCHEMA audience_property;
SET search_path = audience_property, cdp;
SET jit = off;
SELECT setseed(0.42);

-- Sets of many shapes: sparse, dense, in runs, at the edges of containers and bitmaps, empty.
CREATE TABLE entry (shape integer, id bigint);
INSERT INTO entry SELECT 1, (random() * 100)::bigint FROM generate_series(1, 60);
INSERT INTO entry SELECT 2, (random() * 100000)::bigint FROM generate_series(1, 10000);
INSERT INTO entry SELECT 3, (random() * 100000)::bigint FROM generate_series(1, 1500);
INSERT INTO entry SELECT 4, start + i FROM (SELECT (random() * 300000)::bigint AS start FROM generate_series(1, 100)) AS s, generate_series(0, 70) AS i;
INSERT INTO entry SELECT 5, i FROM generate_series(64000, 68000) AS i;
INSERT INTO entry SELECT 6, edge + i FROM unnest('{0,65536,131072,4294967296,8589934592,9223372036854775000}'::bigint[]) AS edge, generate_series(0, 3) AS i;
INSERT INTO entry SELECT 6, edge - i FROM unnest('{65536,131072,4294967296,8589934592}'::bigint[]) AS edge, generate_series(1, 3) AS i;
INSERT INTO entry SELECT 7, (random() * 1e12)::bigint FROM generate_series(1, 1000);
INSERT INTO entry SELECT 8, i * 2 FROM generate_series(0, 10000) AS i;
INSERT INTO entry SELECT 9, i FROM generate_series(0, 9999) AS i WHERE i <> 777;
INSERT INTO entry SELECT 10, NULL;
INSERT INTO entry SELECT 11, i FROM generate_series(0, 65535) AS i;
INSERT INTO entry SELECT 12, 4294967296 + id FROM entry WHERE shape = 3;
CREATE TABLE member_of AS SELECT DISTINCT shape, id FROM entry WHERE id IS NOT NULL;
CREATE INDEX ON member_of (shape, id);
CREATE TABLE sample AS SELECT shape, id FROM (SELECT shape, id, row_number() OVER (PARTITION BY shape ORDER BY id % 97, id) AS number FROM member_of) AS m WHERE number <= 100;
CREATE TABLE made AS SELECT shape, audience_agg(id) AS a FROM entry GROUP BY shape;
ANALYZE;

-- Each has its rows, in order, through each way out and back.
SELECT shape, cardinality(a) = (SELECT count(*) FROM member_of AS m WHERE m.shape = made.shape) AS cardinality,
       (SELECT array_agg(id ORDER BY id) FROM member_of AS m WHERE m.shape = made.shape) IS NOT DISTINCT FROM nullif(a::bigint[], '{}') AS array,
       (SELECT array_agg(id) FROM members(a) AS id) IS NOT DISTINCT FROM nullif(a::bigint[], '{}') AS members,
       a::text::audience = a AS text, a::bigint[]::audience = a AS from_array,
       (SELECT bool_and(a @> id AND id <@ a) FROM sample AS m WHERE m.shape = made.shape) AS has_its_own,
       (SELECT bool_or(a @> m.id) FROM sample AS m WHERE NOT EXISTS (SELECT FROM member_of AS o WHERE o.shape = made.shape AND o.id = m.id)) AS has_others
FROM made ORDER BY shape;

-- The operators on all pairs.
WITH answer AS MATERIALIZED (
	SELECT x.shape AS left_shape, y.shape AS right_shape, x.a & y.a AS both, x.a | y.a AS either, x.a - y.a AS less, x.a # y.a AS one,
	       x.a @> y.a AS contains, x.a <@ y.a AS contained, x.a && y.a AS overlaps, x.a = y.a AS equal
	FROM made AS x JOIN made AS y ON x.shape <= y.shape
), expected AS MATERIALIZED (
	SELECT x.shape AS left_shape, y.shape AS right_shape,
	       (SELECT audience_agg(id) FROM (SELECT id FROM member_of WHERE shape = x.shape INTERSECT SELECT id FROM member_of WHERE shape = y.shape) AS s) AS both,
	       (SELECT audience_agg(id) FROM (SELECT id FROM member_of WHERE shape = x.shape UNION SELECT id FROM member_of WHERE shape = y.shape) AS s) AS either,
	       (SELECT audience_agg(id) FROM (SELECT id FROM member_of WHERE shape = x.shape EXCEPT SELECT id FROM member_of WHERE shape = y.shape) AS s) AS less,
	       (SELECT audience_agg(id) FROM (SELECT id FROM member_of WHERE shape = y.shape EXCEPT SELECT id FROM member_of WHERE shape = x.shape) AS s) AS more
	FROM made AS x JOIN made AS y ON x.shape <= y.shape
)
SELECT count(*) AS pairs,
       count(*) FILTER (WHERE a.both = e.both) AS both, count(*) FILTER (WHERE a.either = e.either) AS either,
       count(*) FILTER (WHERE a.less = e.less) AS less, count(*) FILTER (WHERE a.one = e.less | e.more AND cardinality(a.one) = cardinality(e.less) + cardinality(e.more)) AS one,
       count(*) FILTER (WHERE a.contains = (cardinality(e.more) = 0)) AS contains, count(*) FILTER (WHERE a.contained = (cardinality(e.less) = 0)) AS contained,
       count(*) FILTER (WHERE a.overlaps = (cardinality(e.both) > 0)) AS overlaps, count(*) FILTER (WHERE a.equal = (a.contains AND a.contained)) AS equal
FROM answer AS a JOIN expected AS e USING (left_shape, right_shape);

-- Any order of ids gives the same bytes; so do parts that are united, and parallel workers.
SELECT bool_and(made.a = other.a AND audience_send(made.a) = audience_send(other.a)) AS any_order
FROM made JOIN (SELECT shape, audience_agg(id ORDER BY random()) AS a FROM entry GROUP BY shape) AS other USING (shape);
SELECT bool_and(made.a = other.a) AS united
FROM made JOIN (SELECT shape, audience_union_agg(a ORDER BY random()) AS a
	FROM (SELECT shape, audience_agg(id) AS a FROM entry GROUP BY shape, coalesce(id, 0) % 300) AS part GROUP BY shape) AS other USING (shape);

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE entry SET (parallel_workers = 2);
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT audience_agg(id) FROM entry;
SELECT (SELECT audience_agg(id) FROM entry) = (SELECT audience_union_agg(a) FROM made) AS parallel;
SELECT bool_and(made.a = other.a) AS parallel_groups FROM made JOIN (SELECT shape, audience_agg(id) AS a FROM entry GROUP BY shape) AS other USING (shape);
CREATE TABLE part WITH (parallel_workers = 2) AS SELECT audience_agg(id) | '{5}' AS a FROM entry GROUP BY shape, id % 50;
EXPLAIN (COSTS OFF) SELECT audience_union_agg(a), audience_intersection_agg(a) FROM part;
SELECT audience_union_agg(a) = (SELECT audience_union_agg(a) FROM made) | '{5}' AS parallel_union, audience_intersection_agg(a) AS parallel_intersection FROM part;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA audience_property CASCADE;
