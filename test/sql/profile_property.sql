-- cdp.profile against plain SQL over all of its candidates (test/property/profile.sql),
-- in seeded random cases: what is kept, the algebra of ||, profile_agg in any order and
-- grouping, round trips, removal.  A failure prints its seed and case.
--
-- Environment: CDP_PROPERTY_CASES, how many cases (default 1500), CDP_PROPERTY_SEED
-- (default 1).
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

-- Small cases, and a few of many candidates and many traits.
CALL order_values();
CREATE TABLE candidate (case_number integer, place integer, trait text COLLATE "C", source text COLLATE "C", record bigint, observed_at timestamptz,
    kind text, value text, canonical_value text, value_place bigint, part integer, one cdp.profile);
INSERT INTO candidate
SELECT case_number, c.place, trait, source, record, observed_at, c.kind, c.value, canonical(c.kind, c.value), o.place, draw(:seed, case_number, c.place || ' part', 3),
       profile_of_one(trait, source, record, observed_at, c.kind, c.value)
FROM generate_series(1, :cases) AS case_number,
     LATERAL random_candidates(:seed, case_number,
         CASE case_number WHEN 1 THEN 5000 WHEN 2 THEN 3000 WHEN 3 THEN 1000 ELSE 1 + draw(:seed, case_number, 'amount', CASE WHEN case_number % 50 = 0 THEN 300 ELSE 16 END) END,
         CASE case_number WHEN 1 THEN 20000 WHEN 2 THEN 2 WHEN 3 THEN 500 ELSE 1 + draw(:seed, case_number, 'traits', CASE WHEN case_number % 20 = 0 THEN 60 ELSE 4 END) END) AS c
     JOIN value_order AS o ON o.kind = c.kind AND o.value IS NOT DISTINCT FROM c.value;
ANALYZE candidate;

CREATE TABLE whole AS
SELECT case_number, cdp.profile_agg(one ORDER BY place) AS value, coalesce(cdp.profile_agg(one ORDER BY place) FILTER (WHERE part = 0), '{}') AS a,
       coalesce(cdp.profile_agg(one ORDER BY place) FILTER (WHERE part = 1), '{}') AS b, coalesce(cdp.profile_agg(one ORDER BY place) FILTER (WHERE part = 2), '{}') AS c
FROM candidate GROUP BY case_number;
ANALYZE whole;
CREATE TABLE problem (rule text, case_number integer);
-- The same profile, which is one of the same bytes, in the binary form and as it is stored.
CREATE CAST (cdp.profile AS bytea) WITHOUT FUNCTION;
CREATE FUNCTION same(a cdp.profile, b cdp.profile) RETURNS boolean IMMUTABLE PARALLEL SAFE
RETURN cdp.profile_send(a) = cdp.profile_send(b) AND a::bytea = b::bytea;

-- What a profile keeps: for each trait, source and record the greatest by time, type, value.
CREATE TABLE kept AS
SELECT DISTINCT ON (case_number, trait, source, record) case_number, trait, source, record, observed_at, kind, canonical_value
FROM candidate
ORDER BY case_number, trait, source, record, observed_at DESC, value_place DESC;
INSERT INTO problem
SELECT 'what is kept', case_number FROM (
    (TABLE kept EXCEPT ALL SELECT case_number, x.* FROM whole, LATERAL candidates_of(value) AS x)
    UNION ALL
    (SELECT case_number, x.* FROM whole, LATERAL candidates_of(value) AS x EXCEPT ALL TABLE kept)) AS difference;
INSERT INTO problem
SELECT 'what is kept, one by one', case_number FROM candidate, LATERAL candidates_of(one) AS x
WHERE (x.trait, x.source, x.record, x.observed_at, x.kind, x.canonical_value) IS DISTINCT FROM (candidate.trait, candidate.source, candidate.record, candidate.observed_at, candidate.kind, candidate.canonical_value);

-- The algebra.
INSERT INTO problem SELECT 'associative, left', case_number FROM whole WHERE NOT same((a || b) || c, value);
INSERT INTO problem SELECT 'associative, right', case_number FROM whole WHERE NOT same(a || (b || c), value);
INSERT INTO problem SELECT 'commutative', case_number FROM whole WHERE NOT same(a || b, b || a) OR NOT same((c || b) || a, value);
INSERT INTO problem SELECT 'idempotent', case_number FROM whole WHERE NOT same(value || value, value) OR NOT same(value || b, value) OR NOT same(c || value, value);
INSERT INTO problem SELECT 'neutral element', case_number FROM whole WHERE NOT same(value || '{}', value) OR NOT same('{}' || value, value);
INSERT INTO problem
SELECT 'profile_agg in another order', case_number FROM whole JOIN (SELECT case_number, cdp.profile_agg(one ORDER BY md5(place || 'x')) AS shuffled,
    cdp.profile_agg(one ORDER BY place DESC) AS backwards, cdp.profile_agg(one ORDER BY trait, observed_at) AS sorted FROM candidate GROUP BY case_number) AS x USING (case_number)
WHERE NOT same(shuffled, value) OR NOT same(backwards, value) OR NOT same(sorted, value);
INSERT INTO problem
SELECT 'profile_agg in groups', case_number FROM whole JOIN (
    SELECT case_number, cdp.profile_agg(part) AS value FROM (SELECT case_number, cdp.profile_agg(one) AS part FROM candidate GROUP BY case_number, place % 4) AS x GROUP BY case_number) AS grouped USING (case_number)
WHERE NOT same(grouped.value, whole.value);
INSERT INTO problem
SELECT 'profile_agg with duplicates and NULLs', case_number FROM whole JOIN (
    SELECT case_number, cdp.profile_agg(x ORDER BY place) AS value FROM candidate, LATERAL (VALUES (one), (NULL), (one)) AS twice (x) GROUP BY case_number) AS doubled USING (case_number)
WHERE NOT same(doubled.value, whole.value);
-- the fold, one by one, of all but the largest
CREATE FUNCTION fold(number integer) RETURNS cdp.profile STABLE LANGUAGE plpgsql AS $$
DECLARE
    result cdp.profile := '{}';
    piece cdp.profile;
BEGIN
    FOR piece IN SELECT one FROM candidate WHERE case_number = number ORDER BY place LOOP
        result := result || piece;
    END LOOP;
    RETURN result;
END $$;
CREATE INDEX ON candidate (case_number);
INSERT INTO problem SELECT 'fold by ||', case_number FROM whole WHERE case_number > 3 AND NOT same(fold(case_number), value);

-- Parallel, with and without hashing, spilling, and as a window.
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query;
END $$;
CREATE FUNCTION all_plans() RETURNS TABLE (plan text, case_number integer, value cdp.profile) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true), set_config('min_parallel_table_scan_size', '0', true),
        set_config('max_parallel_workers_per_gather', '2', true), set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
    IF NOT EXISTS (SELECT FROM plan_of('SELECT case_number, cdp.profile_agg(one) FROM candidate GROUP BY case_number') AS line WHERE line LIKE '%Partial%Aggregate%')
        OR NOT EXISTS (SELECT FROM plan_of('SELECT case_number, cdp.profile_agg(one) FROM candidate GROUP BY case_number') AS line WHERE line LIKE '%Gather%') THEN
        RAISE EXCEPTION 'this is no parallel plan';
    END IF;
    CREATE TABLE parallel AS SELECT candidate.case_number, cdp.profile_agg(one) AS value FROM candidate GROUP BY candidate.case_number;
    PERFORM set_config('enable_hashagg', 'off', true);
    CREATE TABLE parallel_sorted AS SELECT candidate.case_number, cdp.profile_agg(one) AS value FROM candidate GROUP BY candidate.case_number;
    PERFORM set_config('enable_hashagg', 'on', true), set_config('max_parallel_workers_per_gather', '0', true), set_config('work_mem', '64kB', true), set_config('hash_mem_multiplier', '1', true);
    CREATE TABLE spilling AS SELECT candidate.case_number, cdp.profile_agg(one) AS value FROM candidate GROUP BY candidate.case_number;
    RETURN QUERY SELECT 'parallel', parallel.* FROM parallel UNION ALL SELECT 'parallel, sorted', parallel_sorted.* FROM parallel_sorted UNION ALL SELECT 'spilling', spilling.* FROM spilling;
    RETURN QUERY SELECT DISTINCT ON (x.number) 'window', x.number, x.value
        FROM (SELECT candidate.case_number AS number, place, cdp.profile_agg(one) OVER (PARTITION BY candidate.case_number ORDER BY place) AS value FROM candidate WHERE candidate.case_number > 3) AS x
        ORDER BY x.number, place DESC;
END $$;
CREATE TABLE by_plan AS SELECT * FROM all_plans();
INSERT INTO problem SELECT 'profile_agg, ' || plan, case_number FROM by_plan JOIN whole USING (case_number) WHERE NOT same(by_plan.value, whole.value);
INSERT INTO problem SELECT 'profile_agg, cases of ' || plan, count(*) FROM by_plan GROUP BY plan HAVING count(*) <> :cases - CASE plan WHEN 'window' THEN 3 ELSE 0 END;

-- Round trips: text under any settings, jsonb of the text, binary, and out of line, short and long headers in a table.
INSERT INTO problem SELECT 'text', case_number FROM whole WHERE NOT same(value::text::cdp.profile, value);
INSERT INTO problem SELECT 'jsonb of the text form', case_number FROM whole WHERE NOT same(value::text::jsonb::cdp.profile, value);
CREATE TABLE as_text AS SELECT case_number, value::text AS text FROM whole;
SET datestyle = 'Postgres, DMY';
SET timezone = 'Asia/Kolkata';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -5;
SET bytea_output = 'escape';
INSERT INTO problem SELECT 'text under other settings', case_number FROM whole JOIN as_text USING (case_number) WHERE value::text <> text OR NOT same(text::cdp.profile, value);
RESET datestyle;
RESET timezone;
RESET intervalstyle;
RESET extra_float_digits;
RESET bytea_output;
CREATE TABLE copied (LIKE whole);
CREATE FUNCTION by_copy(format text) RETURNS SETOF whole LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/cdp_profile_property.' || format;
BEGIN
    DELETE FROM copied;
    EXECUTE format('COPY whole TO %L (FORMAT %s)', file, format);
    EXECUTE format('COPY copied FROM %L (FORMAT %s)', file, format);
    EXECUTE format('COPY copied FROM PROGRAM %L', 'rm -f ' || quote_literal(file));
    RETURN QUERY SELECT * FROM copied;
END $$;
INSERT INTO problem SELECT 'COPY, ' || format, case_number FROM unnest('{binary,text,csv}'::text[]) AS format, LATERAL by_copy(format) AS c FULL JOIN whole USING (case_number)
WHERE same(c.value, whole.value) IS NOT TRUE OR same(c.a, whole.a) IS NOT TRUE OR same(c.b, whole.b) IS NOT TRUE;
ALTER TABLE copied ALTER value SET STORAGE main, ALTER a SET STORAGE plain, ALTER b SET STORAGE extended, ALTER c SET STORAGE external;
TRUNCATE copied;
INSERT INTO copied SELECT case_number, value, value, value, value FROM whole WHERE length(value::bytea) < 3000;
INSERT INTO problem SELECT 'stored in every way', case_number FROM copied JOIN whole USING (case_number)
WHERE NOT (same(copied.value, whole.value) AND same(copied.a, whole.value) AND same(copied.b, whole.value) AND same(copied.c, whole.value) AND same(copied.b || copied.c, whole.value));

SELECT rule, count(*) AS cases, min(case_number) AS first_case, :seed AS seed FROM problem GROUP BY rule ORDER BY rule;
RESET search_path;
DROP CAST (cdp.profile AS bytea);
DROP SCHEMA profile_reference CASCADE;
