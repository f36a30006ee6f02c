-- cdp.count_bits and cdp.name_number, and the statement that counts with it when many expressions are evaluated together.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT cdp.count_bits(b) FROM (VALUES (5::bigint), (1), (NULL), (0), (256)) AS v(b);
SELECT cdp.count_bits(b) FROM (VALUES (0::bigint), (NULL)) AS v(b);
SELECT cdp.count_bits(b) FROM (VALUES (1::bigint)) AS v(b) WHERE false;
SELECT cardinality(c) AS length, c[64] AS sign, c[63] AS highest, c[1] AS lowest FROM (SELECT cdp.count_bits(b) AS c FROM (VALUES (-1::bigint), (1), (-9223372036854775808)) AS v(b)) AS x;
-- each bit, in groups, as a window, and from several workers
SELECT g, cdp.count_bits(n % 16) = ARRAY[count(*) FILTER (WHERE n & 1 > 0), count(*) FILTER (WHERE n & 2 > 0), count(*) FILTER (WHERE n & 4 > 0), count(*) FILTER (WHERE n & 8 > 0), 0, 0, 0, 0] AS same
FROM (SELECT n::bigint AS n, n % 3 AS g FROM generate_series(1, 1000) AS n) AS x GROUP BY g ORDER BY g;
SELECT n, cdp.count_bits(n) OVER (ORDER BY n ROWS 1 PRECEDING) FROM generate_series(1::bigint, 4) AS n;
CREATE TABLE many AS SELECT n::bigint AS n FROM generate_series(1, 20000) AS n;
ALTER TABLE many SET (parallel_workers = 2);
ANALYZE many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT cdp.count_bits(n) FROM many;
SELECT cdp.count_bits(n) = ARRAY(SELECT (SELECT count(*) FROM many WHERE n >> b & 1 = 1) FROM generate_series(0, 15) AS b) AS same FROM many;
SELECT cdp.count_bits(n) FROM many WHERE n = 3;
RESET ALL;
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP TABLE many;
-- not for direct use
SELECT cdp.count_bits_transition('{1}', 1);
SELECT cdp.count_bits_combine('{1}', '{1}');
CREATE AGGREGATE public.combine_any(bigint[]) (SFUNC = cdp.count_bits_combine, STYPE = bigint[]);
SELECT public.combine_any(a) FROM (VALUES ('{1,2}'::bigint[]), ('{3}'), (NULL), ('{0,0,0,0,0,0,0,0,7}')) AS v(a);
SELECT public.combine_any(a) FROM (VALUES ('{{1,2},{3,4}}'::bigint[])) AS v(a);
SELECT public.combine_any(a) FROM (VALUES ('{1,NULL}'::bigint[])) AS v(a);
SELECT public.combine_any(a) FROM (SELECT array_fill(1::bigint, ARRAY[65]) AS a) AS v;
DROP AGGREGATE public.combine_any(bigint[]);

-- which of several names
SELECT n, cdp.name_number(n, ARRAY['b', 'a', NULL, 'b', '', 'long enough to be no short one']) AS number FROM (VALUES ('a'), ('b'), (''), ('c'), (NULL), ('A'), ('a '), ('long enough to be no short one')) AS v(n);
SELECT n, cdp.name_number('x' || n, ARRAY['x' || n % 2, 'x2', 'x3']) AS number FROM generate_series(1, 4) AS n;
SELECT cdp.name_number('a', '{}'), cdp.name_number('a', NULL), cdp.name_number('d', '{{a,b},{c,d}}'), cdp.name_number('b', '[5:6]={a,b}');
SELECT bool_and(cdp.name_number(n, names) = array_position(names, n)) AS same FROM (SELECT array_agg('name ' || n) AS names FROM generate_series(1, 1000) AS n) AS a, unnest(names) AS n;

-- Thirty segments and traits together, and each by a statement of its own.
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA shop;
CREATE TABLE shop.person (id bigint PRIMARY KEY, email text);
CREATE TABLE shop.event (id bigint PRIMARY KEY, email text, name text, channel text, amount numeric, at timestamptz);
INSERT INTO shop.person SELECT n, 'p' || n || '@example.org' FROM generate_series(1, 60) AS n;
INSERT INTO shop.event SELECT n, 'p' || 1 + (hashint8(n) & 31) || '@example.org', 'name ' || (hashint8(n * 7) & 7), CASE hashint8(n * 11) & 3 WHEN 0 THEN 'web' WHEN 1 THEN 'app' WHEN 2 THEN 'store' END,
    (hashint8(n * 13) & 127)::numeric / 4, now() - (hashint8(n * 17) & 63) * interval '1 day' FROM generate_series(1, 400) AS n;
SELECT cdp.create_source('people', 'shop.person', record_key => 'id', observed_at => $$ timestamptz '2026-01-01' $$, identifiers => 'email');
SELECT cdp.create_source('events', 'shop.event', record_key => 'id', identifiers => 'email', occurred_at => 'at', event_name => 'name', properties => 'channel, amount');
SELECT count(cdp.create_segment('s' || n, CASE n % 7
    WHEN 0 THEN format($$ count(*) FILTER (WHERE event.event_name = 'name %s') >= %s $$, n % 5, n % 3)
    WHEN 1 THEN format($$ count(*) FILTER (WHERE event.event_name = 'name %s' AND event.occurred_at > now() - interval '%s days') = 0 $$, n % 4, n)
    WHEN 2 THEN format($$ count(*) FILTER (WHERE event.channel = 'web' AND event.event_name = 'name %s' AND event.occurred_at > now() - interval '30 days') > 0 $$, n % 8)
    WHEN 3 THEN format($$ sum(event.amount) FILTER (WHERE event.event_name = 'name %s' AND event.occurred_at > now() - interval '%s days') > 20 $$, n % 3, 2 * n)
    WHEN 4 THEN format($$ count(*) FILTER (WHERE event.event_name = 'name %s' OR event.channel IS NULL) > 5 $$, n % 3)
    WHEN 5 THEN format($$ count(DISTINCT event.channel) FILTER (WHERE event.event_name = 'name %s') > 1 AND count(*) > 3 $$, n % 4)
    ELSE format($$ count(event.channel) FILTER (WHERE event.event_name = 'name %1$s') <> count(*) FILTER (WHERE event.event_name = 'name %1$s') $$, n % 8) END))
FROM generate_series(1, 84) AS n;
SELECT cdp.create_computed_trait('t' || n, format($$ count(*) FILTER (WHERE event.event_name = 'name %s' AND event.amount > %s) $$, n % 8, n)) IS NULL AS is_null FROM generate_series(1, 3) AS n;
CALL cdp.refresh();
CREATE FUNCTION public.differing(OUT name text, OUT problem text) RETURNS SETOF record LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    e record;
    one record;
BEGIN
    FOR e IN SELECT x.* FROM cdp_data.expression AS x WHERE x.kind = 'segment' LOOP
        EXECUTE format('SELECT count(*) FROM (%s) AS s FULL JOIN (SELECT m.profile_id FROM cdp_data.segment_member AS m WHERE m.segment_id = %s) AS m USING (profile_id) WHERE s.profile_id IS NULL OR m.profile_id IS NULL',
            cdp.segment_sql(e.name), e.expression_id) INTO one;
        IF one.count <> 0 THEN
            name := e.name; problem := one.count; RETURN NEXT;
        END IF;
    END LOOP;
END $$;
SELECT * FROM public.differing();
SELECT count(*) > 500 AS many, count(DISTINCT segment_id) > 50 AS of_many, max(members) = 60 AS and_everybody FROM cdp_data.segment_member, (SELECT members FROM cdp.segments) AS m;
SELECT bool_and(p.t1 = (SELECT count(*) FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'name 1' AND e.amount > 1)
                AND p.t3 = (SELECT count(*) FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'name 3' AND e.amount > 3)) AS same, sum(t1) > 0 AS some, min(t1) = 0 AS and_none FROM cdp.profiles AS p;
SELECT sql LIKE '%count_bits%' AS is_packed, sql LIKE '%( SELECT (now() -%' AS reads_clock_once FROM (SELECT cdp.expression_sql(array_agg(expression_id), 'everybody') AS sql FROM cdp_data.expression) AS s;
-- a statement for two processes, of which nothing but the plan depends on how many there are
SELECT sql LIKE '%UNION ALL%' AS is_shared, sql LIKE '%event.name_number = 1%' AS compares_numbers, sql LIKE '%now()%' AS reads_clock
FROM (SELECT cdp.expression_sql(array_agg(expression_id), 'shared', 4) AS sql FROM cdp_data.expression) AS s;
SELECT cdp.create_segment('of_no_events', $$ profile.email LIKE '%1@%' $$) IS NULL AS is_null;
SELECT cdp.expression_sql(array_agg(expression_id), 'shared') IS NULL AS is_null FROM cdp_data.expression WHERE name = 'of_no_events';
CREATE FUNCTION public.plan(flags integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || (SELECT cdp.expression_sql(array_agg(expression_id), 'shared', flags) FROM cdp_data.expression) LOOP
        CONTINUE WHEN line !~ '^(Gather|Append)|Workers Planned|Parallel Append|Parallel Seq|GroupAggregate|HashAggregate';
        RETURN NEXT regexp_replace(line, 'Hash|Group', '');
    END LOOP;
END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 3;
SET min_parallel_table_scan_size = '5TB';
SELECT * FROM public.plan(4);
-- what was evaluated by one process, by several, from anew, and after changes
SET min_parallel_table_scan_size = 0;
CALL cdp.refresh_segments();
SELECT * FROM public.differing();
TRUNCATE cdp_data.segment_member;
CALL cdp.refresh_segments();
SELECT * FROM public.differing();
DELETE FROM shop.event WHERE id % 6 = 0;
INSERT INTO shop.event SELECT n, 'p' || 1 + (hashint8(n) & 63) || '@example.org', 'name ' || (hashint8(n * 7) & 7), NULL, 3, now() - (hashint8(n * 17) & 63) * interval '1 day' FROM generate_series(1001, 1100) AS n;
CALL cdp.refresh();
SELECT * FROM public.differing();
SELECT bool_and(p.t1 = (SELECT count(*) FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'name 1' AND e.amount > 1)
                AND p.t3 = (SELECT count(*) FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'name 3' AND e.amount > 3)) AS same, sum(t1) > 0 AS some FROM cdp.profiles AS p;
-- what cannot run in other processes is evaluated by one
CREATE FUNCTION public.at_home(bigint) RETURNS bigint LANGUAGE sql STABLE PARALLEL UNSAFE AS 'SELECT $1';
SELECT cdp.create_segment('at_home', $$ public.at_home(count(*) FILTER (WHERE event.event_name = 'name 1')) > 1 $$) IS NULL AS is_null;
CALL cdp.refresh_segments();
SELECT * FROM public.differing();
SELECT count(*) > 10 AS some FROM cdp.segment_members WHERE segment = 'at_home';
-- a clock beyond the calendar does no harm to the others
SELECT cdp.create_segment('beyond', $$ count(*) FILTER (WHERE event.event_name = 'never' AND event.occurred_at > now() - interval '200000 years') > 0 $$) IS NULL AS is_null;
SET client_min_messages = error;
CALL cdp.refresh_segments(on_error => 'report');
SELECT count(*) FILTER (WHERE status = 'ok') = count(*) AS all_evaluated FROM cdp.segments WHERE name <> 'beyond';
SELECT cdp.drop_segment('beyond') IS NULL AS is_null;
SELECT * FROM public.differing();
RESET ALL;
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP FUNCTION public.plan;
DROP FUNCTION public.differing;
SELECT cdp.teardown(false);
DROP SCHEMA shop CASCADE;
DROP FUNCTION public.at_home;

-- Names in a variable may be others at the next call.
DO $$
DECLARE
    names text[];
    found integer[] := '{}';
BEGIN
    FOREACH names SLICE 1 IN ARRAY ARRAY[ARRAY['x', 'y'], ARRAY['y', 'x'], ARRAY['y', 'z']] LOOP
        found := found || cdp.name_number('x', names);
    END LOOP;
    RAISE INFO '%', found;
END $$;
