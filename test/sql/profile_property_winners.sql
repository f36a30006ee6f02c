-- The winners of cdp.profile under every policy of survivorship, with and without
-- ignore_empty, against plain SQL over all candidates (test/property/profile.sql), in seeded
-- random cases.  A failure prints its seed and case.
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
CALL order_values();

-- A value as ->> shows it; its place among values by size, in which numbers of all types are one; whether it is empty.
CREATE TABLE judged AS
SELECT kind, value, place, shown, kind = 'null' OR (kind = 'text' AND btrim(value, E' \t\n\r\f\v') = '') OR (kind = 'jsonb' AND value IN ('{}', '[]')) AS is_empty,
       dense_rank() OVER (ORDER BY array_position('{"null",boolean,number,text,timestamptz,jsonb}', class), CASE class WHEN 'number' THEN value::numeric END, CASE WHEN class <> 'number' THEN place END) AS size_place,
       CASE kind WHEN 'null' THEN -1 ELSE char_length(shown) END AS length,
       CASE WHEN kind = 'null' THEN 'null' WHEN kind IN ('text', 'timestamptz') OR shown IN ('NaN', 'Infinity', '-Infinity') THEN to_jsonb(shown) ELSE shown::jsonb END AS json
FROM value_order, LATERAL (SELECT CASE WHEN kind IN ('bigint', 'float8', 'numeric') THEN 'number' ELSE kind END AS class,
    CASE kind WHEN 'timestamptz' THEN CASE WHEN NOT isfinite(value::timestamptz) THEN value
        ELSE to_char(value::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
            || CASE extract(microseconds FROM value::timestamptz)::bigint % 1000000 WHEN 0 THEN '' ELSE rtrim(to_char(value::timestamptz AT TIME ZONE 'UTC', '.US'), '0') END
            || 'Z' || CASE WHEN extract(year FROM value::timestamptz AT TIME ZONE 'UTC') < 0 THEN ' BC' ELSE '' END END
        WHEN 'null' THEN NULL ELSE canonical(kind, value) END AS shown) AS x;

CREATE TABLE candidate (case_number integer, place integer, trait text COLLATE "C", source text COLLATE "C", record bigint, observed_at timestamptz,
    value_place bigint, size_place bigint, is_empty boolean, length integer, json jsonb, shown text, kind text, one cdp.profile);
INSERT INTO candidate
SELECT case_number, c.place, trait, source, record, observed_at, j.place, size_place, is_empty, length, json, shown, c.kind, profile_of_one(trait, source, record, observed_at, c.kind, c.value)
FROM generate_series(1, :cases) AS case_number,
     LATERAL random_candidates(:seed, case_number,
         CASE case_number WHEN 1 THEN 3000 WHEN 2 THEN 1000 ELSE 1 + draw(:seed, case_number, 'amount', CASE WHEN case_number % 50 = 0 THEN 300 ELSE 16 END) END,
         CASE case_number WHEN 1 THEN 2000 WHEN 2 THEN 2 ELSE 1 + draw(:seed, case_number, 'traits', CASE WHEN case_number % 20 = 0 THEN 60 ELSE 3 END) END) AS c
     JOIN judged AS j ON j.kind = c.kind AND j.value IS NOT DISTINCT FROM c.value;
CREATE TABLE whole AS SELECT case_number, cdp.profile_agg(one) AS value FROM candidate GROUP BY case_number;
CREATE TABLE kept AS
SELECT DISTINCT ON (case_number, trait, source, record) *, dense_rank() OVER (ORDER BY observed_at) AS time_place
FROM candidate ORDER BY case_number, trait, source, record, observed_at DESC, value_place DESC;
CREATE INDEX ON kept (case_number);
ANALYZE kept;

-- Each policy is an order; what it leaves equal is ordered by time, value, source and record.
CREATE TABLE policy (policy text, sources text[], ignore_empty boolean, rule cdp.survivorship);
INSERT INTO policy
SELECT policy, CASE policy WHEN 'priority' THEN s END, ignore_empty,
    jsonb_build_object('default', jsonb_build_object('policy', policy, 'ignore_empty', ignore_empty) || CASE policy WHEN 'priority' THEN jsonb_build_object('sources', s) ELSE '{}' END)::cdp.survivorship
FROM unnest('{last,first,priority,most_frequent,min,max,longest}'::text[]) AS policy, unnest('{f,t}'::boolean[]) AS ignore_empty,
    LATERAL (SELECT '{shop,crm}'::text[] UNION ALL SELECT ARRAY['é', '', 'nothing'] WHERE policy = 'priority') AS x (s);
CREATE TABLE ranked AS
SELECT policy.policy, policy.sources, policy.ignore_empty, kept.*,
    row_number() OVER (PARTITION BY policy.policy, policy.sources, policy.ignore_empty, case_number, trait
        ORDER BY (policy.ignore_empty AND is_empty), CASE policy.policy
            WHEN 'last' THEN 0
            WHEN 'first' THEN -time_place
            WHEN 'priority' THEN -coalesce(array_position(policy.sources, source::text), 99)
            WHEN 'most_frequent' THEN CASE kind WHEN 'null' THEN 0 ELSE frequency END
            WHEN 'min' THEN CASE kind WHEN 'null' THEN -1000000 ELSE -size_place END
            WHEN 'max' THEN CASE kind WHEN 'null' THEN -1000000 ELSE size_place END
            WHEN 'longest' THEN length END DESC,
        observed_at DESC, value_place DESC, source DESC, record DESC) AS rank
FROM policy, (SELECT *, count(*) OVER (PARTITION BY case_number, trait, value_place) AS frequency FROM kept) AS kept;
-- no winner where all are ignored
CREATE TABLE winner AS SELECT * FROM ranked WHERE rank = 1 AND NOT (ignore_empty AND is_empty);
CREATE INDEX ON winner (case_number);
ANALYZE winner;

CREATE TABLE problem (rule text, case_number integer, trait text);
SELECT count(*) > 30 * :cases AS enough, count(DISTINCT case_number) = :cases AS cases, count(DISTINCT trait) > 100 AS many_traits, count(DISTINCT json) > 80 AS many_values FROM winner;

-- last, by every function and operator that has no policy
INSERT INTO problem
SELECT 'operators', case_number, trait FROM winner JOIN whole USING (case_number)
WHERE policy = 'last' AND NOT ignore_empty
  AND ((value -> trait) IS DISTINCT FROM json OR (value ->> trait) IS DISTINCT FROM shown OR cdp.get_jsonb(value, trait) IS DISTINCT FROM json OR cdp.get_text(value, trait) IS DISTINCT FROM shown
       OR value[trait] IS DISTINCT FROM json OR NOT value ? trait OR NOT value @> jsonb_build_object(trait, json));
INSERT INTO problem
SELECT 'cast to jsonb', case_number, NULL FROM whole JOIN (SELECT case_number, jsonb_object_agg(trait, json) AS json FROM winner WHERE policy = 'last' AND NOT ignore_empty GROUP BY case_number) AS x USING (case_number)
WHERE value::jsonb IS DISTINCT FROM json OR NOT value @> json OR value @> (json || '{"nothing": 1}');
INSERT INTO problem
SELECT 'absent traits', case_number, NULL FROM whole
WHERE (value -> 'nothing') IS NOT NULL OR (value ->> 'nothing') IS NOT NULL OR value['nothing'] IS NOT NULL OR value ? 'nothing' OR (value -> '') IS NOT NULL OR cdp.profile_winner(value, 'nothing', '{}') IS NOT NULL;
INSERT INTO problem
SELECT 'typed getters', case_number, trait FROM winner JOIN whole USING (case_number)
WHERE policy = 'last' AND NOT ignore_empty AND CASE kind
    WHEN 'boolean' THEN cdp.get_boolean(value, trait) IS DISTINCT FROM shown::boolean
    WHEN 'bigint' THEN cdp.get_bigint(value, trait) IS DISTINCT FROM shown::bigint OR cdp.get_double(value, trait) IS DISTINCT FROM shown::float8 OR cdp.get_numeric(value, trait) IS DISTINCT FROM shown::numeric
    WHEN 'float8' THEN cdp.get_double(value, trait) IS DISTINCT FROM shown::float8 OR cdp.get_numeric(value, trait) IS DISTINCT FROM shown::numeric
    WHEN 'numeric' THEN cdp.get_numeric(value, trait) IS DISTINCT FROM shown::numeric
    WHEN 'timestamptz' THEN cdp.get_timestamptz(value, trait) IS DISTINCT FROM shown::timestamptz
    WHEN 'null' THEN num_nonnulls(cdp.get_boolean(value, trait), cdp.get_bigint(value, trait), cdp.get_double(value, trait), cdp.get_numeric(value, trait), cdp.get_timestamptz(value, trait), cdp.get_text(value, trait)) > 0 END;

-- every policy, as the default and as the rule of a trait; who the winner is, and that there is one at most
CREATE TABLE expected AS
SELECT policy.rule, ranked.case_number, ranked.trait, source, record, observed_at, kind, CASE WHEN ranked.ignore_empty AND is_empty THEN 'null' ELSE json END AS json,
    CASE WHEN ranked.ignore_empty AND is_empty THEN NULL ELSE shown END AS shown, ranked.ignore_empty AND is_empty AS no_winner
FROM ranked JOIN policy ON policy.policy = ranked.policy AND policy.sources IS NOT DISTINCT FROM ranked.sources AND policy.ignore_empty = ranked.ignore_empty
WHERE rank = 1;
ANALYZE expected;
-- of the largest case every twentieth trait, since each look-up of a trait by name is one call
INSERT INTO problem
SELECT 'profile_winner, ' || rule::text, case_number, trait FROM expected JOIN whole USING (case_number)
WHERE (case_number > 1 OR hashtext(trait) % 20 = 0)
  AND (cdp.profile_winner(value, trait, rule) IS DISTINCT FROM json OR cdp.get_text(value, trait, rule) IS DISTINCT FROM shown OR cdp.get_jsonb(value, trait, rule) IS DISTINCT FROM json);
INSERT INTO problem
SELECT 'winners as jsonb, ' || rule::text, case_number, NULL
FROM (SELECT rule::text::cdp.survivorship AS rule, case_number, jsonb_object_agg(trait, json) AS json FROM expected GROUP BY rule::text, case_number) AS x JOIN whole USING (case_number)
WHERE cdp.profile_winners(value, rule) IS DISTINCT FROM json;
INSERT INTO problem
SELECT 'rule of a trait, ' || rule::text, case_number, trait FROM expected JOIN whole USING (case_number)
WHERE case_number BETWEEN 3 AND 400
  AND cdp.profile_winner(value, trait, jsonb_build_object('default', '{"policy": "min"}'::jsonb, 'traits', jsonb_build_object(trait, rule::jsonb -> 'default', trait || 'x', '{"policy": "longest"}'::jsonb))::cdp.survivorship) IS DISTINCT FROM json;
-- as columns of a type: what does not fit is NULL
INSERT INTO problem
SELECT 'trait_value, ' || rule::text, case_number, trait
FROM expected JOIN whole USING (case_number), LATERAL (SELECT CASE WHEN kind IN ('bigint', 'float8', 'numeric') AND NOT no_winner THEN shown::numeric END AS number) AS x
WHERE case_number > 1
  AND (cdp.trait_value(value, trait, rule, NULL::text) IS DISTINCT FROM shown
       OR cdp.trait_value(value, trait, rule, NULL::boolean) IS DISTINCT FROM CASE WHEN kind = 'boolean' AND NOT no_winner THEN shown::boolean END
       OR cdp.trait_value(value, trait, rule, NULL::numeric) IS DISTINCT FROM number
       OR cdp.trait_value(value, trait, rule, NULL::bigint) IS DISTINCT FROM CASE WHEN number BETWEEN -9223372036854775808 AND 9223372036854775807 AND number = trunc(number) THEN number::bigint END
       OR cdp.trait_value(value, trait, rule, NULL::float8) IS DISTINCT FROM
          CASE WHEN number IN ('NaN', 'Infinity', '-Infinity') OR (abs(number) < 1e309 AND (number = 0 OR abs(number) > 1e-330)) THEN number::float8 END
       OR cdp.trait_value(value, trait, rule, NULL::timestamptz) IS DISTINCT FROM
          CASE WHEN NOT no_winner AND (kind = 'timestamptz' OR (kind = 'text' AND shown = '2026-01-02T03:04:05Z')) THEN shown::timestamptz END
       OR cdp.trait_value(value, trait, rule, NULL::jsonb) IS DISTINCT FROM NULLIF(json, 'null'));
CREATE TABLE marked AS
SELECT rule, case_number, t.* FROM policy, whole, LATERAL cdp.profile_traits(value, rule) AS t;
ANALYZE marked;
INSERT INTO problem
SELECT 'profile_traits, ' || rule, case_number, trait
FROM (SELECT rule::text, case_number, trait, source, record, observed_at, type FROM marked WHERE is_winner) AS a
FULL JOIN (SELECT rule::text, case_number, trait, source, record, observed_at, kind AS type FROM expected WHERE NOT no_winner) AS b USING (rule, case_number, trait, source, record, observed_at, type)
WHERE a.case_number IS NULL OR b.case_number IS NULL;
INSERT INTO problem
SELECT 'profile_traits, all candidates', case_number, trait
FROM (SELECT case_number, trait, source, record, observed_at, type, value AS json, true AS a FROM marked WHERE rule::text = '{"default": {"policy": "max"}}') AS a
FULL JOIN (SELECT case_number, trait, source, record, observed_at, kind AS type, json, true AS b FROM kept) AS b USING (case_number, trait, source, record, observed_at, type, json)
WHERE a IS NULL OR b IS NULL;
INSERT INTO problem
SELECT 'profile_traits, last', case_number, trait FROM (
    (SELECT case_number, t.* FROM whole, LATERAL cdp.profile_traits(value) AS t EXCEPT SELECT case_number, trait, value, type, source, record, observed_at, is_winner FROM marked WHERE rule::text = '{"default": {"policy": "last"}}')) AS x;

-- explain_trait gives all candidates in their order
INSERT INTO problem
SELECT DISTINCT 'explain_trait, ' || x.rule, case_number, trait
FROM (SELECT rule::text, case_number, trait, t.place, t.source, t.record, t.observed_at, t.type, t.value AS json, t.is_winner, reason IS NOT NULL AS has_reason, true AS a
      FROM (SELECT rule, case_number, trait FROM expected WHERE case_number BETWEEN 3 AND 500) AS x JOIN whole USING (case_number), LATERAL cdp.explain_trait(value, trait, rule) AS t) AS x
FULL JOIN (SELECT policy.rule::text, case_number, trait, rank AS place, source, record, observed_at, kind AS type, json, rank = 1 AND NOT (ranked.ignore_empty AND is_empty) AS is_winner, true AS has_reason, true AS b
      FROM ranked JOIN policy ON policy.policy = ranked.policy AND policy.sources IS NOT DISTINCT FROM ranked.sources AND policy.ignore_empty = ranked.ignore_empty
      WHERE case_number BETWEEN 3 AND 500) AS y USING (rule, case_number, trait, place, source, record, observed_at, type, json, is_winner, has_reason)
WHERE a IS NULL OR b IS NULL;

-- taking out a trait, several, a source
INSERT INTO problem
SELECT 'removal of a trait', case_number, trait FROM (SELECT DISTINCT case_number, trait FROM kept WHERE case_number > 2) AS x JOIN whole USING (case_number)
WHERE cdp.profile_send(value - trait) IS DISTINCT FROM cdp.profile_send(coalesce((SELECT cdp.profile_agg(one) FROM kept WHERE kept.case_number = x.case_number AND kept.trait <> x.trait), '{}'));
INSERT INTO problem
SELECT 'removal of traits', case_number, NULL FROM whole
WHERE case_number > 2 AND cdp.profile_send(value - ARRAY['email', 'nothing', NULL, 'a', 'é', 'a']) IS DISTINCT FROM
    cdp.profile_send(coalesce((SELECT cdp.profile_agg(one) FROM kept WHERE kept.case_number = whole.case_number AND kept.trait <> ALL ('{email,a,é}'::text[])), '{}'));
INSERT INTO problem
SELECT 'removal of a source', case_number, source FROM (SELECT DISTINCT case_number, source FROM kept WHERE case_number > 2) AS x JOIN whole USING (case_number)
WHERE cdp.profile_send(cdp.remove_source(value, source)) IS DISTINCT FROM
    cdp.profile_send(coalesce((SELECT cdp.profile_agg(one) FROM kept WHERE kept.case_number = x.case_number AND kept.source <> x.source), '{}'));

SELECT rule, count(*), min(case_number) AS first_case, (array_agg(trait ORDER BY case_number))[1] AS its_trait, :seed AS seed FROM problem GROUP BY rule ORDER BY rule;
RESET search_path;
DROP SCHEMA profile_reference CASCADE;
