-- The aggregates over events: edges, errors, golden bytes, stored states and crafted ones.
CREATE SCHEMA aggregates_test;
SET search_path = aggregates_test, cdp;
SET timezone = 'UTC';
SET extra_float_digits = 1;

-- No rows, and rows of NULL.
SELECT did_sequence(n, t, sequence_options('{a}')), sequence_step(n, t, sequence_options('{a}')), session_count(t, '1 hour'), decayed_sum(v, t, '1 day'), decayed_sum(v, t, '1 day', '2026-01-01'),
       most_frequent(n), first_value_at(n, t), last_value_at(v, t), session_count_state_agg(t, '1 hour'), most_frequent_state_agg(n)
FROM (SELECT NULL::text, NULL::timestamptz, NULL::float8 WHERE false) AS e (n, t, v);
SELECT did_sequence(n, t, sequence_options('{a}')), sequence_step(n, t, sequence_options('{a}')), session_count(t, '1 hour'), decayed_sum(v, t, '1 day'), decayed_sum(v, t, '1 day', '2026-01-01'),
       most_frequent(n), first_value_at(n, t), last_value_at(v, t), most_frequent_state_agg(n)
FROM (VALUES (NULL::text, NULL::timestamptz, NULL::float8), (NULL, NULL, 1), ('a', NULL, NULL)) AS e (n, t, v);
SELECT did_sequence_value(NULL), sequence_step_value(NULL), session_count_value(NULL), decayed_sum_value(NULL), decayed_sum_value(NULL, '2026-01-01'), most_frequent_value(NULL, NULL::text),
       most_frequent_count(NULL), value_at_value(NULL, NULL::text), value_at_time(NULL);

-- Sequences: times that are equal, repeated steps, the window, and starting anew.
SELECT comment, did_sequence(n, t::timestamptz, sequence_options('{view,cart,buy}', '1 hour')) AS did, sequence_step(n, t::timestamptz, sequence_options('{view,cart,buy}', '1 hour')) AS step,
       sequence_step(n, t::timestamptz, sequence_options('{view,cart,buy}', '1 hour', true)) AS strictly, sequence_step(n, t::timestamptz, sequence_options('{view,cart,buy}')) AS any_time
FROM (VALUES ('in order', 'view', '2026-01-01 10:00'), ('in order', 'cart', '2026-01-01 10:10'), ('in order', 'buy', '2026-01-01 11:00'),
	('too late', 'view', '2026-01-01 10:00'), ('too late', 'cart', '2026-01-01 10:10'), ('too late', 'buy', '2026-01-01 11:00:00.000001'),
	('starts again', 'view', '2026-01-01 10:00'), ('starts again', 'cart', '2026-01-01 10:10'), ('starts again', 'view', '2026-01-01 10:30'), ('starts again', 'cart', '2026-01-01 10:40'), ('starts again', 'buy', '2026-01-01 11:20'),
	('cart of the first', 'view', '2026-01-01 10:00'), ('cart of the first', 'cart', '2026-01-01 10:10'), ('cart of the first', 'view', '2026-01-01 10:30'), ('cart of the first', 'buy', '2026-01-01 11:20'),
	('one time', 'view', '2026-01-01 10:00'), ('one time', 'buy', '2026-01-01 10:00'), ('one time', 'cart', '2026-01-01 10:00'),
	('wrong order', 'buy', '2026-01-01 10:00'), ('wrong order', 'cart', '2026-01-01 10:10'), ('wrong order', 'view', '2026-01-01 10:20')) AS e (comment, n, t)
GROUP BY comment ORDER BY comment;
SELECT n AS views, sequence_step('view', t, sequence_options('{view,view,view}')) AS at_one_time, sequence_step('view', t, sequence_options('{view,view,view}', strictly_later => true)) AS strictly
FROM generate_series(1, 4) AS n, LATERAL (SELECT timestamptz '2026-01-01' FROM generate_series(1, n)) AS e (t) GROUP BY n ORDER BY n;
-- names are compared byte by byte, an empty one is a name
SELECT sequence_step(n, '2026-01-01', sequence_options('{View,"",é}')) FROM (VALUES ('View'), (''), ('é')) AS e (n);
SELECT sequence_step(n, '2026-01-01', sequence_options('{View}')) FROM (VALUES ('view'), ('View ')) AS e (n);

-- Sessions: what lies in the middle joins what is on both sides.
SELECT session_count(t::timestamptz, '30 minutes'), session_count(t::timestamptz, '30 minutes') FILTER (WHERE t <> '2026-01-01 10:25') AS without
FROM (VALUES ('2026-01-01 10:00'), ('2026-01-01 10:50'), ('2026-01-01 10:25'), ('2026-01-01 11:20'), ('2026-01-01 11:50:00.000001')) AS e (t);
SELECT session_count(t, interval '0') AS by_instant, session_count(t, '100000000 days') AS endless FROM (VALUES (timestamptz '4713-01-01 BC'), ('294276-12-31'), ('2026-01-01'), ('2026-01-01')) AS e (t);

-- Decayed sums: exact halves, far ends, cancellation, what is infinite.
SELECT decayed_sum(8, t, '1 day') AS newest, decayed_sum(8, t, '1 day', '2026-01-04') AS later FROM (VALUES (timestamptz '2026-01-01'), ('2026-01-02'), ('2026-01-03')) AS e (t);
SELECT decayed_sum(1, t, '1 ms') AS all_gone, decayed_sum(1, t, '36500000 days') > 1.1 AS all_there FROM (VALUES (timestamptz '4713-01-01 BC'), ('294276-12-31')) AS e (t);
SELECT decayed_sum(v, '2026-01-01', '1 day') AS zero FROM (VALUES (1e300), (1), (-1e300), (-1)) AS e (v);
SELECT decayed_sum(v, '2026-01-01', '1 day') AS tiny FROM (VALUES (5e-324), (5e-324), (-0.0::float8)) AS e (v);
SELECT decayed_sum(v, '2026-01-01', '1 day') AS tenths FROM (SELECT 0.1 FROM generate_series(1, 1000)) AS e (v);
SELECT decayed_sum('infinity', t, '1 day'), decayed_sum('-infinity', t, '1 day', '2027-01-01'), decayed_sum('nan', t, '1 day') FROM (VALUES (timestamptz '2026-01-01')) AS e (t);
SELECT decayed_sum(v, '2026-01-01', '1 day') AS both FROM (VALUES ('infinity'::float8), ('-infinity'), (1)) AS e (v);
SELECT decayed_sum(1, t, '1 day', '2026-01-02') AS not_after, decayed_sum(1, t, '1 day', '2025-01-02') AS none FROM (VALUES (timestamptz '2026-01-01'), ('2026-01-02'), ('2026-01-03')) AS e (t);
SELECT decayed_sum(1.7e308, '2026-01-01', '1 day') FROM generate_series(1, 2);

-- Most frequent: ties, equal numbers, types.
SELECT most_frequent(v) FROM (VALUES ('b'), ('a'), ('b'), ('a'), ('c')) AS e (v);
SELECT most_frequent(v) AS number, most_frequent(v::float8) AS float FROM (VALUES (1.0), (1), (1.00), (2), (2), (10), (10)) AS e (v);
SELECT most_frequent(v) FROM (VALUES (10), (9), (-3), (-3), (10)) AS e (v);
SELECT most_frequent(v) FROM (VALUES ('nan'::float8), ('nan'), ('-infinity'), (0), ('-0'), (0)) AS e (v);
SELECT most_frequent(v) FROM (VALUES ('x '::char(5)), ('x'), ('y')) AS e (v);
SELECT most_frequent(v::boolean), most_frequent(v::smallint), most_frequent(v::bigint), most_frequent(v::real), most_frequent(v::text::varchar), most_frequent(date '2026-01-01' + v), most_frequent(timestamp '2026-01-01' + v * interval '1 day'),
       most_frequent(lpad(v::text, 32, '0')::uuid) FROM (VALUES (1), (1), (0)) AS e (v);
CREATE DOMAIN amount AS numeric(8, 2) CHECK (VALUE > 0);
SELECT most_frequent(v::amount), pg_typeof(most_frequent(v::amount)), last_value_at(v::amount, '2026-01-01') FROM (VALUES (1.5), (2.5)) AS e (v);
SELECT most_frequent(v) FROM (VALUES ('{"a": 1}'::jsonb)) AS e (v);
SELECT last_value_at(ARRAY[1], now());

-- First and last: ties, infinite times, NULL values left out, digits kept.
SELECT first_value_at(v, t::timestamptz), last_value_at(v, t::timestamptz) FROM (VALUES ('a', '2026-01-01'), ('b', '2026-01-01'), ('c', '2026-01-02'), ('d', '2026-01-02'), (NULL, '2026-01-09'), ('z', NULL)) AS e (v, t);
SELECT first_value_at(v, t::timestamptz), last_value_at(v, t::timestamptz) FROM (VALUES (1, 'infinity'), (2, '-infinity'), (3, '2026-01-02')) AS e (v, t);
SELECT first_value_at(v, '2026-01-01'), last_value_at(v, '2026-01-01') FROM (VALUES (1.50), (1.5), (0.500), (2), (2.000)) AS e (v);

-- Stored states: results, types, what does not fit.
CREATE TABLE state AS
SELECT did_sequence_state_agg(n, t, sequence_options('{a,b}', '1 day')) AS sequence, session_count_state_agg(t, '1 hour') AS sessions, decayed_sum_state_agg(v, t, '1 day') AS decayed,
       most_frequent_state_agg(n) AS names, most_frequent_state_agg(v) AS numbers, first_value_at_state_agg(n, t) AS first_name, last_value_at_state_agg(v, t) AS last_number
FROM (VALUES ('a', timestamptz '2026-01-01', 70000), ('b', '2026-01-01 12:00', 3), ('b', '2026-01-01 12:30', 70000)) AS e (n, t, v);
SELECT did_sequence_value(sequence), sequence_step_value(sequence), session_count_value(sessions), decayed_sum_value(decayed), decayed_sum_value(decayed, '2026-01-02 12:30'), decayed_sum_value(decayed, NULL),
       most_frequent_value(names, NULL::text), most_frequent_count(names), most_frequent_value(numbers, NULL::bigint), value_at_value(first_name, NULL::varchar), value_at_time(first_name), value_at_value(last_number, NULL::integer)
FROM state;
SELECT most_frequent_value(numbers, NULL::smallint) FROM state;
SELECT most_frequent_value(numbers, NULL::text) FROM state;
SELECT value_at_value(last_number, NULL::numeric) FROM state;
SELECT decayed_sum_value(decayed, '2026-01-01') FROM state;
SELECT value_at_merge_agg(s) FROM (SELECT first_name FROM state UNION ALL SELECT last_number FROM state) AS u (s);
SELECT most_frequent_merge_agg(s) FROM (SELECT names FROM state UNION ALL SELECT numbers FROM state) AS u (s);
SELECT session_count_merge_agg(s) FROM (SELECT sessions FROM state UNION ALL SELECT session_count_state_agg('2026-01-01', '2 hours')) AS u (s);
SELECT did_sequence_merge_agg(s) FROM (SELECT sequence FROM state UNION ALL SELECT did_sequence_state_agg('a', '2026-01-01', sequence_options('{a,b}'))) AS u (s);
SELECT decayed_sum_merge_agg(s) FROM (SELECT decayed FROM state UNION ALL SELECT decayed_sum_state_agg(1, '2026-01-01', '2 days')) AS u (s);

-- Golden bytes of version 1.
SELECT sequence, sessions FROM state;
SELECT decayed FROM state;
SELECT names, numbers FROM state;
SELECT first_name, last_number, sequence_options('{a,b}', NULL, true) FROM state;

-- Arguments that are refused.
SELECT sequence_options(NULL);
SELECT sequence_options('{}');
SELECT sequence_options('{a,NULL}');
SELECT sequence_options(array_fill('a'::text, ARRAY[65]));
SELECT sequence_options(ARRAY[repeat('x', 65536)]);
SELECT sequence_options('{a}', '1 month');
SELECT sequence_options('{a}', '-1 day');
SELECT did_sequence('a', now(), NULL);
SELECT did_sequence('a', now(), sequence_options(ARRAY['a', i::text])) FROM generate_series(1, 2) AS i;
SELECT did_sequence('a', 'infinity', sequence_options('{a}'));
SELECT session_count(now(), NULL);
SELECT session_count(now(), '1 year');
SELECT session_count(now(), '-1 second');
SELECT session_count(now(), i * interval '1 hour') FROM generate_series(1, 2) AS i;
SELECT session_count('-infinity', '1 hour');
SELECT decayed_sum(1, now(), NULL);
SELECT decayed_sum(1, now(), '0');
SELECT decayed_sum(1, now(), '1 mon');
SELECT decayed_sum(1, 'infinity', '1 day');
SELECT decayed_sum(1, now(), '1 day', NULL);
SELECT decayed_sum(1, now(), '1 day', 'infinity');
SELECT decayed_sum(1, now(), i * interval '1 day') FROM generate_series(1, 2) AS i;
SELECT session_count_transition(NULL, now(), '1 hour');

-- Crafted states.
SELECT 'abc'::session_count_state;
SELECT '\x01730'::session_count_state;
SELECT '\x0173zz'::session_count_state;
CREATE FUNCTION verdict(type_name text, bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT %L::cdp.%s', bytes, type_name) INTO result;
	RETURN 'sound';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
CREATE TABLE crafted (type_name text, bytes bytea);
INSERT INTO crafted SELECT 'did_sequence_state', sequence::text::bytea FROM state UNION ALL SELECT 'session_count_state', sessions::text::bytea FROM state
	UNION ALL SELECT 'decayed_sum_state', decayed::text::bytea FROM state UNION ALL SELECT 'most_frequent_state', names::text::bytea FROM state
	UNION ALL SELECT 'value_at_state', first_name::text::bytea FROM state UNION ALL SELECT 'did_sequence_options', sequence_options('{a,b}')::text::bytea;
SELECT type_name, verdict(type_name, bytes) AS itself, verdict(type_name, '') AS empty, verdict(type_name, set_byte(bytes, 0, 2)) AS version, verdict(type_name, set_byte(bytes, 1, 120)) AS kind,
       verdict(type_name, set_byte(bytes, 2, 1)) AS working FROM crafted ORDER BY type_name;
-- no cut and no changed byte does more than raise an error
SELECT type_name, count(*) AS cuts, count(*) FILTER (WHERE verdict(type_name, substr(bytes, 1, n)) = 'sound') AS sound
FROM crafted, LATERAL generate_series(0, length(bytes) - 1) AS n GROUP BY type_name ORDER BY type_name;
SELECT type_name, count(*) > 100 AS changes, count(*) FILTER (WHERE verdict(type_name, set_byte(bytes, n, value)) = 'sound') > 0 AS some_are_sound
FROM crafted, LATERAL generate_series(0, length(bytes) - 1) AS n, (VALUES (0), (1), (127), (128), (255)) AS v (value) GROUP BY type_name ORDER BY type_name;
SELECT verdict('most_frequent_state', '\x0166000062000000 1000000010000000 00000000 0200000000000000 01000000 05000000'::bytea) AS no_boolean,
       verdict('most_frequent_state', '\x0166000074000000 1000000010000000 00000000 0200000000000000 01000000 ff000000'::bytea) AS no_text,
       verdict('value_at_state', '\x01760000 0000000000000000 6e000000 02000000 0102'::bytea) AS no_numeric;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA aggregates_test CASCADE;
