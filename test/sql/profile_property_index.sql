-- Operator classes of cdp.profile on seeded random profiles (test/property/profile.sql):
-- equality, order and hashes agree with the bytes and with each other, whichever way a
-- query is run, and an index finds what a sequential scan finds.
--
-- Environment: CDP_PROPERTY_CASES, how many profiles (default 1500), CDP_PROPERTY_SEED.
\set ECHO none
SET client_min_messages = error;
SET jit = off;
\set VERBOSITY terse
\getenv directory PG_ABS_SRCDIR
\set file :directory '/property/profile.sql'
\i :file
\set cases 1500
\getenv cases CDP_PROPERTY_CASES
\set seed 1
\getenv seed CDP_PROPERTY_SEED

-- Profiles, many of which are equal: cases in threes are the same candidates in another order, and small ones meet by chance.
CREATE TABLE item AS
SELECT number, coalesce((SELECT cdp.profile_agg(profile_of_one(trait, source, record, observed_at, kind, value) ORDER BY md5(place || ' ' || number))
        FROM random_candidates(:seed, number / 3, draw(:seed, number / 3, 'amount', CASE number % 5 WHEN 0 THEN 2 ELSE 10 END), 3)), '{}') AS value
FROM generate_series(1, :cases) AS number;
-- a btree holds no larger ones
DELETE FROM item WHERE pg_column_size(value) > 2500;
CREATE TABLE other AS SELECT number, value FROM item WHERE number % 2 = 0 UNION ALL SELECT -number, value || '{"zz": 1}'::cdp.profile FROM item WHERE number % 7 = 0;
ALTER TABLE item ADD bytes bytea;
UPDATE item SET bytes = cdp.profile_send(value);
CREATE INDEX item_btree ON item (value);
CREATE INDEX item_hash ON item USING hash (value);
CREATE INDEX item_gin ON item USING gin (value cdp.profile_gin_ops);
VACUUM ANALYZE item;
VACUUM ANALYZE other;

\echo equal exactly when the bytes are, and then with equal hashes
SELECT count(*) > 1000 AS enough, count(*) FILTER (WHERE a.value = b.value) > 100 AS equal_ones,
    count(*) FILTER (WHERE (a.value = b.value) <> (a.bytes = b.bytes)) AS wrong, count(*) FILTER (WHERE (a.value <> b.value) = (a.value = b.value)) AS wrong_negator,
    count(*) FILTER (WHERE a.value = b.value AND (cdp.profile_hash(a.value) <> cdp.profile_hash(b.value) OR cdp.profile_hash_extended(a.value, 42) <> cdp.profile_hash_extended(b.value, 42))) AS wrong_hash,
    count(*) FILTER (WHERE a.value <> b.value AND cdp.profile_hash(a.value) = cdp.profile_hash(b.value)) < 5 AS few_collisions,
    count(*) FILTER (WHERE (cdp.profile_hash_extended(a.value, 0) & 4294967295)::bit(32) <> cdp.profile_hash(a.value)::bit(32)) AS wrong_seed_zero
FROM item a, item b WHERE a.number < 300 AND b.number < 300;
\echo a total order
SELECT count(*) FILTER (WHERE (a.value < b.value)::integer + (a.value = b.value)::integer + (a.value > b.value)::integer <> 1) AS wrong_one_of_three,
    count(*) FILTER (WHERE (a.value < b.value) <> (b.value > a.value) OR (a.value <= b.value) <> (b.value >= a.value)) AS wrong_commutator,
    count(*) FILTER (WHERE (a.value <= b.value) <> (a.value < b.value OR a.value = b.value) OR (a.value < b.value) <> NOT (a.value >= b.value)) AS wrong_negator,
    count(*) FILTER (WHERE sign(cdp.profile_cmp(a.value, b.value)) <> (a.value > b.value)::integer - (a.value < b.value)::integer) AS wrong_compare
FROM item a, item b WHERE a.number < 300 AND b.number < 300;
SELECT count(*) FILTER (WHERE a.value <= b.value AND b.value <= c.value AND NOT a.value <= c.value) AS not_transitive
FROM item a, item b, item c WHERE a.number % 31 = 0 AND b.number % 37 = 0 AND c.number % 41 = 0;

-- Every query by every plan: a query gives an ordered list of what it found.
CREATE TABLE plan (name text, settings text[]);
INSERT INTO plan VALUES
    ('hash join', '{enable_mergejoin=off,enable_nestloop=off}'), ('merge join', '{enable_hashjoin=off,enable_nestloop=off}'),
    ('nested loop', '{enable_hashjoin=off,enable_mergejoin=off,enable_indexscan=off,enable_bitmapscan=off,enable_indexonlyscan=off}'),
    ('nested loop by index', '{enable_hashjoin=off,enable_mergejoin=off,enable_seqscan=off}'),
    ('hash aggregate', '{enable_sort=off}'), ('sorted', '{enable_hashagg=off,enable_indexscan=off,enable_indexonlyscan=off}'), ('small memory', '{work_mem=64kB,hash_mem_multiplier=1}'),
    ('sequential', '{enable_indexscan=off,enable_bitmapscan=off,enable_indexonlyscan=off}'), ('index', '{enable_seqscan=off}'), ('bitmap', '{enable_seqscan=off,enable_indexscan=off,enable_indexonlyscan=off}'),
    ('parallel', '{parallel_setup_cost=0,parallel_tuple_cost=0,min_parallel_table_scan_size=0,max_parallel_workers_per_gather=2}');
CREATE TABLE query (name text, text text);
INSERT INTO query VALUES
    ('join', 'SELECT item.number || '' '' || other.number FROM item JOIN other ON item.value = other.value'),
    ('anti join', 'SELECT item.number FROM item WHERE NOT EXISTS (SELECT FROM other WHERE other.value = item.value)'),
    ('group', 'SELECT min(number) || '' '' || count(*) FROM item GROUP BY value'),
    ('distinct', 'SELECT md5(cdp.profile_send(value)) FROM (SELECT DISTINCT value FROM item) AS x'),
    ('union', 'SELECT md5(cdp.profile_send(value)) FROM (SELECT value FROM item UNION SELECT value FROM other) AS x'),
    ('except', 'SELECT md5(cdp.profile_send(value)) FROM (SELECT value FROM item EXCEPT SELECT value FROM other) AS x'),
    ('order', 'SELECT md5(string_agg(md5(cdp.profile_send(value)), '''' ORDER BY value)) FROM item');
INSERT INTO query
SELECT 'equal ' || number, format('SELECT number FROM item WHERE value = %L', value) FROM item WHERE number % 97 = 0;
INSERT INTO query
SELECT 'range ' || a.number, format('SELECT number FROM item WHERE value >= %L AND value < %L', a.value, b.value) FROM item a JOIN item b ON b.number = a.number + 50 WHERE a.number % 201 = 0;
INSERT INTO query
SELECT 'has ' || t, format('SELECT number FROM item WHERE value ? %L', t) FROM unnest(ARRAY['a', 'A', 'é', 'email', 'zz', 'nothing', '']) AS t;
INSERT INTO query
SELECT 'any ' || t, format('SELECT number FROM item WHERE value ?| %L', t) FROM unnest(ARRAY['{a,A}', '{é,nothing}', '{nothing}', '{}', '{email,email}', '{NULL}', '{a,NULL}']) AS t;
INSERT INTO query
SELECT 'all ' || t, format('SELECT number FROM item WHERE value ?& %L', t) FROM unnest(ARRAY['{a,A}', '{é}', '{nothing}', '{}', '{email,email}', '{NULL}', '{a,NULL}', '{a,aa,ab}']) AS t;
INSERT INTO query
SELECT DISTINCT ON (key, x.value) 'contains ' || number || key, format('SELECT number FROM item WHERE value @> %L::jsonb', jsonb_build_object(key, x.value))
FROM item, LATERAL jsonb_each(item.value::jsonb) AS x WHERE number % 29 = 0;
INSERT INTO query
SELECT 'contains ' || t, format('SELECT number FROM item WHERE value @> %L::jsonb', t)
FROM unnest(ARRAY['{}', '{"a": 1}', '{"a": 1.0}', '{"a": null}', '{"a": ""}', '{"a": "a"}', '{"a": {}}', '{"a": []}', '{"a": {"a": 1}}', '{"a": "NaN"}', '{"nothing": 1}', '{"a": 1, "A": 1}', '{"email": "a", "a": null}']) AS t;

CREATE FUNCTION run(query text, settings text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    setting text;
    result text;
BEGIN
    FOREACH setting IN ARRAY settings LOOP
        PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), true);
    END LOOP;
    BEGIN
        EXECUTE format('SELECT string_agg(r::text, '','' ORDER BY r::text COLLATE "C") FROM (%s) AS found (r)', query) INTO result;
    EXCEPTION WHEN OTHERS THEN
        result := SQLERRM;
    END;
    FOREACH setting IN ARRAY settings LOOP
        EXECUTE 'SET LOCAL ' || split_part(setting, '=', 1) || ' TO DEFAULT';
    END LOOP;
    RETURN result;
END $$;
CREATE TABLE answer AS SELECT query.name AS query, plan.name AS plan, run(text, settings) AS result FROM query, plan;
\echo the same answer by every plan
SELECT count(DISTINCT query) > 60 AS enough, count(DISTINCT query) FILTER (WHERE result <> '') > 40 AS found_something FROM answer;
SELECT query, string_agg(plan, ', ' ORDER BY plan) AS plans, left(result, 60) AS result
FROM answer WHERE query IN (SELECT query FROM answer GROUP BY query HAVING count(DISTINCT coalesce(result, '')) > 1) GROUP BY query, result ORDER BY query LIMIT 20;

\echo hash partitions find what they hold
CREATE TABLE part (number integer, value cdp.profile) PARTITION BY HASH (value);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO part SELECT number, value FROM item;
CREATE FUNCTION in_part(wanted cdp.profile) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM part WHERE value = %L', wanted) INTO result;
    RETURN result;
END $$;
SELECT count(*) FILTER (WHERE in_part(value) <> (SELECT count(*) FROM item x WHERE x.bytes = item.bytes)) AS wrong FROM item WHERE number % 11 = 0;
SELECT bool_and(c > 0) AS spread FROM (SELECT tableoid, count(*) AS c FROM part GROUP BY tableoid) AS x HAVING count(*) = 3;

RESET search_path;
DROP SCHEMA profile_reference CASCADE;
