-- cdp.audience: text and binary form, operators, functions, aggregates, errors and golden bytes.
CREATE SCHEMA audience_test;
SET search_path = audience_test, cdp;

-- Text: any order, repetitions and white space in; sorted ids and ranges out.
SELECT '{}'::audience, '{ }'::audience, '{5}'::audience, '{2,1}'::audience, '{ 5 - 9 ,1, 7,2 }'::audience,
       '{1-3,3,2-4}'::audience, '{0,9223372036854775807}'::audience, '{-0}'::audience;
SELECT '{65530-65540,131071-131072,4294967295-4294967296}'::audience;
SELECT '{300000,0-200000,5,100000-400000}'::audience, cdp.cardinality('{300000,0-200000,5,100000-400000}');

-- What is no text of an audience.
SELECT ''::audience;
SELECT '{1,,2}'::audience;
\set VERBOSITY sqlstate
SELECT '{1,2'::audience;
SELECT '{-1}'::audience;
\set VERBOSITY default
SELECT '{1'::audience;
SELECT '1,2'::audience;
SELECT '{1}x'::audience;
SELECT '{1 2}'::audience;
SELECT '{1-}'::audience;
SELECT '{1.5}'::audience;
SELECT '{-}'::audience;
SELECT '{5-1}'::audience;
SELECT '{-1}'::audience;
SELECT '{9223372036854775808}'::audience;
SELECT '{1,NULL}'::audience;
-- a message quotes whole characters
DO $$
BEGIN
	PERFORM ('{' || repeat(chr(228), 60))::audience;
EXCEPTION WHEN invalid_text_representation THEN
	RAISE INFO '%', length(convert_from(textsend(SQLERRM), 'UTF8'));
END
$$;

-- Operators.
SELECT a & b AS both, a | b AS either, a - b AS first_only, a # b AS just_one,
       a @> b AS contains, a <@ b AS contained, a && b AS overlaps, a = b AS equal, a <> b AS differ
FROM (VALUES ('{1-5}'::audience, '{4-8}'::audience), ('{1-5}', '{2,4}'), ('{2,4}', '{1-5}'), ('{1}', '{2}'), ('{}', '{1}'), ('{1}', '{}'), ('{}', '{}'),
	('{3,65536,100000000000}', '{100000000000,3,65536}'), ('{0-200000}', '{100000-300000}'), ('{1,4294967296}', '{1,8589934592}')) AS v (a, b);
SELECT a @> i AS has, i <@ a AS is_member
FROM (VALUES ('{1,3-9}'::audience, 1::bigint), ('{1,3-9}', 2), ('{1,3-9}', 9), ('{1,3-9}', 10), ('{}', 0), ('{1}', -1), ('{9223372036854775807}', 9223372036854775807)) AS v (a, i);
SELECT a, count(*) FROM (VALUES ('{1,2}'::audience), ('{2,1}'), ('{1-2}'), ('{}')) AS v (a) GROUP BY a ORDER BY a;
SELECT count(DISTINCT a) FROM (VALUES ('{1,2}'::audience), ('{2,1}'), ('{1-2}'), ('{}')) AS v (a);
SELECT audience_cmp('{1}', '{1}'), audience_hash('{1,2}') = audience_hash('{2,1}') AS same_hash,
       audience_hash_extended('{1,2}', 7) = audience_hash_extended('{1-2}', 7) AS same_extended_hash,
       '{1}'::audience < '{1}' AS less, '{1}'::audience <= '{1}' AS less_or_equal, '{1}'::audience > '{1}' AS greater, '{1}'::audience >= '{1}' AS greater_or_equal;

-- Arrays and rows.
SELECT ARRAY[3, NULL, 1, 2, 1]::bigint[]::audience, '{{1,2},{3,9}}'::bigint[]::audience, '{}'::bigint[]::audience;
SELECT '{1-3,70000}'::audience::bigint[], '{}'::audience::bigint[];
SELECT ARRAY[1, -5]::bigint[]::audience;
SELECT '{0-9999999999}'::audience::bigint[];
SELECT members('{1-3,65535-65537,10000000000}');
SELECT count(*) FROM members('{}');
-- only as many rows as are asked for
SELECT members('{0-9999999999}') LIMIT 3;
SELECT cardinality('{0-9999999999}'::audience), pg_column_size('{0-9999999999}'::audience) < 3000000 AS compressed;

-- Aggregates.
SELECT audience_agg(i), audience_agg(i) FILTER (WHERE i > 5), audience_agg(NULL) FROM generate_series(5::bigint, 1, -1) AS i;
SELECT audience_agg(-1);
SELECT audience_union_agg(a), audience_intersection_agg(a) FROM (VALUES ('{1-3}'::audience), (NULL), ('{2-5}')) AS v (a);
SELECT audience_union_agg(a), audience_intersection_agg(a) FROM (VALUES ('{}'::audience)) AS v (a) WHERE false;
SELECT i, audience_agg(i) OVER (ORDER BY i), audience_agg(i) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM generate_series(1::bigint, 4) AS i;
SELECT audience_agg_transition('{}', 1);
SELECT audience_union_transition('{}', '{1}');

-- Golden bytes of version 1; each is read from the binary form below.
CREATE TABLE golden (name text, value audience, bytes bytea);
INSERT INTO golden VALUES
	('empty', '{}', '\x010000000000000000'),
	('one', '{7}', '\x010100000000000000 00000000 3a300000 01000000 00000000 10000000 0700'),
	('array', '{1,5,9}', '\x010100000000000000 00000000 3a300000 01000000 00000200 10000000 010005000900'),
	('run', '{10-499}', '\x010100000000000000 00000000 3b300000 01 0000e901 0100 0a00e901'),
	('two bitmaps', '{3,4294967298}', '\x010200000000000000 00000000 3a300000 01000000 00000000 10000000 0300 01000000 3a300000 01000000 00000000 10000000 0200');
SELECT name, value, audience_send(value) = bytes AS same_bytes FROM golden;
-- longer ones by their digest: a bitset, four containers with runs and offsets
SELECT name, cardinality(value), length(audience_send(value)), md5(audience_send(value))
FROM (SELECT 'bitset', audience_agg(i * 2) FROM generate_series(0::bigint, 29999) AS i
	UNION ALL SELECT 'mixed', audience_agg(CASE i % 4 WHEN 0 THEN i * 1000 WHEN 1 THEN i % 50000 WHEN 2 THEN 131072 + i ELSE 17179869184 + i * 3 END)
		FROM generate_series(0::bigint, 19999) AS i) AS v (name, value) ORDER BY name;

-- Binary values from outside, by COPY: what is sound is accepted, also in a form
-- that is not canonical; what is not is an error.
CREATE TABLE target (value audience);
CREATE PROCEDURE read_bytes(bytes bytea) LANGUAGE plpgsql AS $$
DECLARE
	id oid;
	message text;
	path text := current_setting('data_directory') || '/audience_test_bytes';
BEGIN
	-- a file in COPY's binary format
	id := lo_from_bytea(0, '\x5047434f50590aff0d0a00' || int4send(0) || int4send(0) || int2send(1::smallint) || int4send(length(bytes)) || bytes || '\xffff');
	PERFORM lo_export(id, path);
	PERFORM lo_unlink(id);
	TRUNCATE target;
	BEGIN
		EXECUTE format('COPY target FROM %L WITH (FORMAT binary)', path);
		SELECT value::text || CASE WHEN audience_send(value) = bytes THEN '' ELSE ' (was not canonical)' END INTO message FROM target;
	EXCEPTION WHEN OTHERS THEN
		message := SQLSTATE || ' ' || SQLERRM;
	END;
	RAISE INFO '%', left(message, 100);
END
$$;
CALL read_bytes(''); -- nothing
CALL read_bytes('\x02 0000000000000000'); -- another version
CALL read_bytes('\x01 0000000000000080'); -- a great number of bitmaps
CALL read_bytes('\x010000000000000000 00'); -- more behind the end
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 00000200 10000000 010005000900'); -- 1, 5, 9
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 00000200 10000000 05000100ffff'); -- not in order
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 00000200 10000000 050005000900'); -- repeated
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 00000200 10000000 05000900'); -- cut off
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 00000200 11000000 010005000900'); -- offset
CALL read_bytes('\x010100000000000000 00000080 3a300000 01000000 00000200 10000000 010005000900'); -- negative
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000100 00000200 10000000 010005000900'); -- 65,537 containers
CALL read_bytes('\x010100000000000000 00000000 39300000 01000000 00000200 10000000 010005000900'); -- cookie
CALL read_bytes('\x010100000000000000 00000000 3b300000 01 0000e901 0100 0a00e901'); -- run 10 to 499
CALL read_bytes('\x010100000000000000 00000000 3b300000 01 0000e901 0100 0a00e801'); -- wrong cardinality
CALL read_bytes('\x010100000000000000 00000000 3b300000 01 0000e901 0100 ffffe901'); -- leaves the container
CALL read_bytes('\x010100000000000000 00000000 3b300000 01 00000000 0000'); -- no run
CALL read_bytes('\x010100000000000000 00000000 3b300000 01 00000300 0200 00000100 01000100'); -- runs overlap
CALL read_bytes('\x010100000000000000 00000000 3b300000 01 00000300 0200 00000100 02000100'); -- runs touch
CALL read_bytes('\x010100000000000000 00000000 3b300000 00 00000200 010005000900'); -- an array among runs
CALL read_bytes('\x010100000000000000 00000000 3a300000 00000000'); -- an empty bitmap
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 00000010 10000000' || decode(repeat('ff', 8192), 'hex')); -- bitset with another number
CALL read_bytes('\x010100000000000000 00000000 3a300000 01000000 0000ffff 10000000' || decode(repeat('ff', 8192), 'hex')); -- full bitset
CALL read_bytes('\x010200000000000000 01000000 3a300000 01000000 00000000 10000000 0300 01000000 3a300000 01000000 00000000 10000000 0200'); -- order of bitmaps

-- Storage: compressed already, so kept out of line as it is.
SELECT typstorage, typalign FROM pg_type WHERE oid = 'cdp.audience'::regtype;
CREATE TABLE stored AS SELECT n, (SELECT audience_agg((n * 7919 + i * i) % 1000003) FROM generate_series(1::bigint, 50000) AS i) AS a FROM generate_series(1, 3) AS n;
SELECT n, cardinality(a), pg_column_size(a) > 8000 AS out_of_line, a @> 7920::bigint AS has FROM stored ORDER BY n;
SELECT cardinality(x.a & y.a), cardinality(x.a | y.a) FROM stored AS x, stored AS y WHERE x.n = 1 AND y.n = 2;
-- What a sort fetches to compare is given back.
CREATE TABLE many AS SELECT s.n, s.a FROM stored AS s, generate_series(1, 60);
SELECT count(*), max(used) < 32 * 1024 * 1024 AS is_little
FROM (SELECT (SELECT sum(c.total_bytes) FROM pg_backend_memory_contexts AS c WHERE s.n > 0) AS used FROM (SELECT n FROM many ORDER BY a OFFSET 0) AS s) AS m;
CREATE INDEX ON many USING hash (a);
SELECT count(DISTINCT a) FROM many;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA audience_test CASCADE;
