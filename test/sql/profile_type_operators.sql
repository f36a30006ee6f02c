-- Operators, getters, subscripting, indexes and the aggregate of cdp.profile, and
-- the policies of cdp.survivorship.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET search_path = public, cdp;
\set profile '''{"email": [{"value": "a@b.c", "source": "crm", "record": 17, "observed_at": "2026-01-02T00:00:00Z"}, {"value": "aa@b.c", "source": "crm", "record": 18, "observed_at": "2026-01-01T00:00:00Z"}, {"value": " ", "source": "shop", "record": 17, "observed_at": "2026-01-03T00:00:00Z"}], "n": [{"value": 5, "source": "a"}, {"value": 5.5, "source": "b", "observed_at": "2026-01-02T00:00:00Z"}, {"value": 7.25, "type": "float8", "source": "c"}], "j": {"value": {"a": [1, 2, {"b": 3}]}}, "t": {"value": "2026-01-02T03:04:05.678+01", "type": "timestamptz"}, "z": null, "yes": true, "digits": "42"}''::cdp.profile'

-- Reading.
SELECT trait, :profile ->> trait AS text, :profile -> trait AS jsonb, (:profile)[trait] AS subscript
FROM unnest(ARRAY['email', 'n', 'j', 't', 'z', 'yes', 'digits', 'missing', NULL]) AS trait;
SELECT (:profile)::jsonb;
SELECT (:profile)['j']['a'][2]['b'], (:profile)['j']['a'][7], (:profile)['n']['x'], (:profile)[NULL], (NULL::cdp.profile)['a'];
SELECT (:profile)['a':'b'];
SELECT (:profile)[now()];
CREATE TABLE profile_table (p cdp.profile);
UPDATE profile_table SET p['a'] = '1';

SELECT get_bigint(:profile, 'digits'), get_double(:profile, 'digits'), get_numeric(:profile, 'digits'), get_bigint(:profile, 'n', '"min"'), get_bigint(:profile, 'z'), get_bigint(:profile, 'missing');
SELECT get_double(:profile, 'n'), get_numeric(:profile, 'n', '"max"'), get_boolean(:profile, 'yes'), get_timestamptz(:profile, 't'), get_text(:profile, 't'), get_jsonb(:profile, 'j');
SELECT get_timestamptz('{"a": "2026-01-02 03:04Z"}', 'a');
SELECT get_bigint('{"a": {"value": 3, "type": "float8"}, "b": 1e3, "c": 1.0}', trait) FROM unnest(ARRAY['a', 'b', 'c']) AS trait;
SELECT get_bigint(:profile, 'n');
SELECT get_bigint('{"a": {"value": 1e300, "type": "float8"}}', 'a');
SELECT get_bigint(:profile, 'email');
SELECT get_bigint(:profile, 'yes');
SELECT get_boolean(:profile, 'n');
SELECT get_timestamptz(:profile, 'email');
SELECT get_timestamptz('{"a": "2026-01-02 03:04"}', 'a');
SELECT get_double('{"a": 1e400}', 'a');
SELECT get_numeric(:profile, 'j');

-- Existence and containment.
SELECT :profile ? 'z' AS z, :profile ? 'missing' AS missing, :profile ?| '{missing,n}' AS any, :profile ?| '{}' AS any_of_none, :profile ?& '{z,n,NULL}' AS all, :profile ?& '{z,missing}' AS not_all;
SELECT wanted, :profile @> wanted::jsonb AS contains
FROM unnest(ARRAY['{}', '{"n": 5.50}', '{"n": 5}', '{"z": null, "yes": true}', '{"j": {"a": [2]}}', '{"j": {"a": 2}}', '{"j": {}}', '{"j": []}', '{"digits": 42}', '{"missing": null}', '[]', '"n"', '{"t": "2026-01-02T02:04:05.678Z"}']) AS wanted;

-- Taking out.
SELECT :profile - 'email' - 'j' - 'missing' AS without_two;
SELECT :profile - '{email,j,t,z,NULL}'::text[] AS without_four;
SELECT remove_source(:profile - 'n', 'crm') ->> 'email' AS email, remove_source(:profile, 'nobody') = :profile AS same, remove_source('{"a": {"value": 1, "source": "x"}}', 'x') = '{}' AS empty;

-- Merging: the newest of each trait, source and record; then the type; then the value.
SELECT '{"a": {"value": 1, "source": "s", "observed_at": "2026-01-01T00:00:00Z"}}'::cdp.profile || '{"a": {"value": null, "source": "s", "observed_at": "2026-01-02T00:00:00Z"}}' AS null_supersedes;
SELECT a, b, (format('{"a": %s}', a)::cdp.profile || format('{"a": %s}', b)::cdp.profile)::jsonb AS merged
FROM (VALUES ('1', '"1"'), ('false', 'true'), ('2', '10'), ('-1', '-10'), ('1', '1.0'), ('"B"', '"a"'), ('"a"', '"ab"'), ('null', 'false'), ('2.5', '10.25'), ('-2.5', '-10.25'), ('{"value": [1]}', '"x"'), ('{"value": "NaN", "type": "float8"}', '{"value": 5, "type": "float8"}'), ('{"value": "NaN", "type": "numeric"}', '{"value": "Infinity", "type": "numeric"}')) AS pair (a, b);
SELECT profile_agg(v), count(*) FROM (VALUES ('{"a": 1}'::cdp.profile), (NULL), ('{"b": 1}'), ('{"a": 2}')) AS x (v);
SELECT profile_agg(v) IS NULL AS null_of_nothing FROM (VALUES (NULL::cdp.profile)) AS x (v);
SELECT i, profile_agg(profile_build('s', '2026-01-01Z', jsonb_build_object('k' || i, i))) OVER (ORDER BY i) ->> 'k1' AS running FROM generate_series(1, 3) AS i;

-- Many traits, in any order; read one by one, and all.
SELECT count(*) FILTER (WHERE p ->> ('trait_' || i) = i::text) AS found, count(*) FILTER (WHERE p ? ('trait_' || i || 'x')) AS not_there
FROM (SELECT profile_agg(profile_build('s' || i % 3, '2026-01-01Z', jsonb_build_object('trait_' || i, i), i % 7)) AS p FROM generate_series(1, 5000) AS i) AS x, generate_series(1, 5000) AS i;
SELECT n, count(*) AS candidates, count(*) FILTER (WHERE t.value = to_jsonb(number)) AS right
FROM unnest(ARRAY[1, 15, 16, 17, 32, 33, 100, 5000]) AS n,
    LATERAL (SELECT profile_build('s', '2026-01-01Z', jsonb_object_agg(md5(i::text), i)) AS p FROM generate_series(1, n) AS i) AS x,
    LATERAL profile_traits(p) AS t LEFT JOIN generate_series(1, 5000) AS number ON t.trait = md5(number::text)
GROUP BY n ORDER BY n;

-- Stored values of all sizes, compressed or not: one trait is as read from the whole.
CREATE TABLE profile_stored (number integer, extended cdp.profile, external cdp.profile, main cdp.profile);
ALTER TABLE profile_stored ALTER external SET STORAGE external, ALTER main SET STORAGE main;
INSERT INTO profile_stored
SELECT n, p, p, p FROM unnest(ARRAY[1, 60, 300, 3000]) AS n,
    LATERAL (SELECT profile_agg(profile_build('s' || i % 3, '2026-01-01Z'::timestamptz + i % 5 * interval '1 day', jsonb_build_object('trait_' || i % (n / 2 + 1), CASE i % 4 WHEN 0 THEN md5(i::text) ELSE (i % 4)::text END), i % 3)) AS p
             FROM generate_series(1, n) AS i) AS x;
INSERT INTO profile_stored SELECT 5000, p, p, p FROM (SELECT profile_build('s', '2026-01-01Z', jsonb_build_object('a', repeat('x', 100000), 'b', 1, 'c', repeat('y', 100000), 'd', 2)) AS p) AS x;
SELECT number, count(*) AS traits,
       count(*) FILTER (WHERE extended ->> trait IS NOT DISTINCT FROM winners ->> trait) AS extended,
       count(*) FILTER (WHERE external ->> trait IS NOT DISTINCT FROM winners ->> trait) AS external,
       count(*) FILTER (WHERE main ->> trait IS NOT DISTINCT FROM winners ->> trait) AS main,
       count(*) FILTER (WHERE extended ? trait <> (winners ? trait) OR external ? trait <> (winners ? trait)) AS wrong
FROM profile_stored, LATERAL (SELECT extended::jsonb AS winners OFFSET 0) AS w, LATERAL (SELECT 'trait_' || i AS trait FROM generate_series(0, 1502) AS i UNION ALL VALUES ('a'), ('aa'), ('b'), ('c'), ('d'), ('e'), ('')) AS t
GROUP BY number ORDER BY number;
SELECT number, extended = external AND external = main AS same FROM profile_stored ORDER BY number;
DROP TABLE profile_stored;

-- In parallel, the same.
CREATE TABLE profile_parallel AS SELECT i % 100 AS person, profile_build('s' || i % 4, '2026-01-01Z'::timestamptz + i % 9 * interval '1 day', jsonb_build_object('k' || i % 10, i), i % 5) AS p FROM generate_series(1, 20000) AS i;
ALTER TABLE profile_parallel SET (parallel_workers = 2);
ANALYZE profile_parallel;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE profile_serial AS SELECT person, profile_agg(p) AS p FROM profile_parallel GROUP BY person;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT profile_agg(p) FROM profile_parallel;
SELECT count(*) AS same FROM (SELECT person, profile_agg(p) AS p FROM profile_parallel GROUP BY person) AS a JOIN profile_serial AS b USING (person) WHERE a.p = b.p;
SELECT (SELECT profile_agg(p) FROM profile_parallel) = (SELECT profile_agg(p) FROM profile_serial) AS same;
SELECT profile_agg(p) FROM profile_parallel WHERE person < 0;
RESET max_parallel_workers_per_gather;
DROP TABLE profile_serial;

-- Comparing, sorting, hashing.
SELECT '{"a": 1}'::cdp.profile = '{"a": [{"value": 1}]}'::cdp.profile AS same, '{"a": 1}'::cdp.profile = '{"a": 1.0}'::cdp.profile AS other_type, '{"a": 1}'::cdp.profile <> '{"a": 2}'::cdp.profile AS different,
       profile_hash('{"a": 1.50}') = profile_hash('{"a": 1.5}') AS same_hash, profile_hash_extended('{"a": 1.50}', 7) = profile_hash_extended('{"a": 1.5}', 7) AS same_extended_hash;
SELECT count(DISTINCT p) AS distinct_by_sort, (SELECT count(*) FROM (SELECT p FROM profile_parallel GROUP BY p) AS x) AS grouped FROM profile_parallel;
SELECT count(*) AS out_of_order FROM (SELECT p, lag(p) OVER (ORDER BY p) AS before FROM profile_parallel) AS x WHERE before > p OR NOT before <= p OR p < before;
CREATE INDEX profile_btree ON profile_parallel (p);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SELECT count(*) AS found FROM profile_parallel AS a WHERE p = (SELECT p FROM profile_parallel ORDER BY person, p LIMIT 1);
SET enable_bitmapscan = on;
DROP INDEX profile_btree;

-- GIN.
CREATE INDEX profile_gin ON profile_parallel USING gin (p profile_gin_ops);
EXPLAIN (COSTS OFF) SELECT count(*) FROM profile_parallel WHERE p @> '{"k1": 11}';
SELECT count(*) FROM profile_parallel WHERE p @> '{"k1": 11.0}';
SELECT count(*) FROM profile_parallel WHERE p ? 'k3';
SELECT count(*) FROM profile_parallel WHERE p ?| '{k3,k4,missing}';
SELECT count(*) FROM profile_parallel WHERE p ?& '{k3,k4}';
SELECT count(*) FROM profile_parallel WHERE p ?& '{}';
SELECT count(*) FROM profile_parallel WHERE p @> '{}';
SELECT count(*) FROM profile_parallel WHERE p @> '[]';
SELECT count(*) FROM profile_parallel WHERE p ?| '{}';
RESET enable_seqscan;
RESET enable_hashjoin;
DROP TABLE profile_parallel, profile_table;

-- Policies.
SELECT policy, profile_winner(:profile, 'email', to_jsonb(policy)::survivorship) AS email, profile_winner(:profile, 'n', to_jsonb(policy)::survivorship) AS n,
       get_text(:profile, 'email', jsonb_build_object('default', jsonb_build_object('policy', policy, 'ignore_empty', true))::survivorship) AS not_empty
FROM unnest(ARRAY['last', 'first', 'most_frequent', 'min', 'max', 'longest']) AS policy;
SELECT profile_winners(:profile, '{"default": "first", "traits": {"email": {"policy": "priority", "sources": ["nobody", "shop", "crm"]}, "n": {"policy": "priority", "sources": ["c"]}}}');
SELECT policy, place, value, source, is_winner, reason
FROM unnest(ARRAY['"last"', '"first"', '"min"', '"longest"', '{"default": {"policy": "priority", "sources": ["shop", "crm"], "ignore_empty": true}}', '"most_frequent"']) AS policy,
    explain_trait(:profile, 'email', policy::survivorship);
SELECT * FROM explain_trait('{"a": [{"value": 1, "source": "x"}, {"value": 1, "source": "y"}, {"value": 2, "source": "z"}, {"value": null, "source": "n", "observed_at": "2026-01-01T00:00:00Z"}]}', 'a', '"most_frequent"');
SELECT value, reason FROM explain_trait('{"a": [{"value": 1, "source": "x"}, {"value": "1", "source": "y"}, {"value": 1, "source": "z"}, {"value": 0, "source": "n"}]}'::cdp.profile, 'a');
SELECT value, is_winner, reason FROM explain_trait('{"a": [{"value": "", "source": "x"}, {"value": null, "source": "y"}]}', 'a', '{"default": {"policy": "last", "ignore_empty": true}}');
SELECT get_text('{"a": ""}', 'a', '{"default": {"policy": "last", "ignore_empty": true}}') IS NULL AS is_null, get_jsonb('{"a": ""}', 'a', '{"default": {"policy": "last", "ignore_empty": true}}');
SELECT count(*) FROM explain_trait('{"a": 1}'::cdp.profile, 'b');
SELECT * FROM profile_traits('{"b": [{"value": 1, "source": "x"}, {"value": 2, "source": "y"}], "a": "x"}', '{"traits": {"b": "min"}}');
-- numbers of different types by size; a float8 by its shortest decimal
SELECT get_text(p, 'a', '"min"') AS min, get_text(p, 'a', '"max"') AS max
FROM (VALUES ('{"a": [{"value": 2, "source": "x"}, {"value": 10.5, "source": "y"}, {"value": 3e0, "type": "float8", "source": "z"}, {"value": null, "source": "n"}]}'::cdp.profile),
             ('{"a": [{"value": 0.1, "source": "x"}, {"value": 0.1, "type": "float8", "source": "y", "observed_at": "2026-01-01T00:00:00Z"}]}'),
             ('{"a": [{"value": 9007199254740993, "source": "x"}, {"value": 9007199254740992, "type": "float8", "source": "y"}, {"value": "-Infinity", "type": "float8", "source": "z"}]}'),
             ('{"a": [{"value": "NaN", "type": "float8", "source": "x"}, {"value": "Infinity", "type": "numeric", "source": "y"}, {"value": "b", "source": "z"}, {"value": "B", "source": "w"}]}')) AS x (p);
