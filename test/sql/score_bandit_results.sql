-- Which action to take next: cdp.beta_bandit, its forms, merging, draws and the
-- probability of being best, against known values.
\set SHOW_CONTEXT never
CREATE TABLE shown AS
SELECT i AS id, i % 7 AS day, arm, i * 7919 % 1000 < rate AS clicked, (i * 7919 % 1000)::float8 / 1000 AS share
FROM generate_series(1, 3000) i, (VALUES ('mail', 50), ('app', 60), ('post', 20)) v (arm, rate);
ALTER TABLE shown SET (parallel_workers = 2);
ANALYZE shown;
SELECT arm, trials, rewards, round(mean::numeric, 6) AS mean, round(p_best::numeric, 6) AS p_best
FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg(arm, clicked) FROM shown));
SELECT arm, trials, round(rewards::numeric, 3) AS rewards FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg(arm, share) FROM shown));

-- Of no rows there is none; rows with a NULL are left out.
SELECT cdp.beta_bandit_agg(arm, clicked) IS NULL AS none FROM shown WHERE id < 0;
SELECT cdp.beta_bandit_agg(a, r) IS NULL AS none FROM (VALUES ('a', NULL::boolean), (NULL, true)) v (a, r);
SELECT * FROM cdp.beta_bandit_arms(NULL);

-- The same value in any order, from parts, and in parallel.
CREATE TABLE daily AS SELECT day, cdp.beta_bandit_agg(arm, share) AS bandit FROM shown GROUP BY day;
SELECT a.bandit::text = b.bandit::text AS any_order, a.bandit::text = c.bandit::text AS from_parts, a.bandit::text = a.bandit::text::cdp.beta_bandit::text AS text_form,
	cdp.beta_bandit_merge(a.bandit, NULL)::text = a.bandit::text AND cdp.beta_bandit_merge(NULL, a.bandit)::text = a.bandit::text AS with_none, cdp.beta_bandit_merge(NULL, NULL) IS NULL AS none
FROM (SELECT cdp.beta_bandit_agg(arm, share) AS bandit FROM shown) a, (SELECT cdp.beta_bandit_agg(arm, share ORDER BY id DESC, arm) AS bandit FROM shown) b,
	(SELECT cdp.beta_bandit_merge_agg(bandit) AS bandit FROM daily) c;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT cdp.beta_bandit_agg(arm, share) FROM shown;
CREATE TABLE parallel_result AS SELECT cdp.beta_bandit_agg(arm, share) AS bandit FROM shown;
SET max_parallel_workers_per_gather = 0;
SELECT r.bandit::text = s.bandit::text AS parallel FROM parallel_result r, (SELECT cdp.beta_bandit_agg(arm, share) AS bandit FROM shown) s;
RESET ALL;
\set SHOW_CONTEXT never

-- A mean of Beta(2, 1) is greater than one of Beta(1, 2) with probability 5/6; of equal arms each is best alike.
SELECT arm, abs(p_best - expected) < 1e-9 AS exact
FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg(a, r) FROM (VALUES ('bad', false), ('good', true)) v (a, r))), (VALUES ('good', 5.0 / 6), ('bad', 1.0 / 6)) e (name, expected)
WHERE name = arm;
SELECT count(*), abs(min(p_best) - 0.01) < 1e-9 AND abs(max(p_best) - 0.01) < 1e-9 AS alike
FROM cdp.beta_bandit_arms(NULL, ARRAY(SELECT i::text FROM generate_series(1, 100) i));
-- Beta(5, 95), Beta(7, 93), Beta(2, 18): as integrated by scipy.
SELECT arm, round(p_best::numeric, 9) AS p_best
FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg(arm, i <= rewards) FROM (VALUES ('a', 98, 4), ('b', 98, 6), ('c', 18, 1)) v (arm, n, rewards), generate_series(1, n) i));
-- A sharp arm beside a vague one: the integral is over steps as small as the sharp one needs.
SELECT arm, round(p_best::numeric, 4) AS p_best
FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg('known', i % 2 = 0) FROM generate_series(1, 200000) i), ARRAY['known', 'new']);
-- The prior, and arms that are named.
SELECT arm, trials, round(mean::numeric, 4) AS mean, round(p_best::numeric, 4) AS p_best
FROM cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg(arm, clicked) FROM shown), ARRAY['new', 'app', 'new'], 1, 19);

-- Draws: the same seed the same arm, as often as it is best, whatever else is there.
CREATE TABLE chosen AS
SELECT seed, cdp.beta_bandit_sample(bandit, seed) AS arm, cdp.beta_bandit_sample(bandit, seed, ARRAY['post', 'mail']) AS among
FROM (SELECT cdp.beta_bandit_agg(arm, clicked) AS bandit FROM shown WHERE id <= 200) b, generate_series(1, 20000) seed;
SELECT c.arm, abs(c.share - a.p_best) < 4 * sqrt(a.p_best * (1 - a.p_best) / 20000) AS as_often_as_best
FROM (SELECT arm, count(*) / 20000.0::float8 AS share FROM chosen GROUP BY arm) c
JOIN cdp.beta_bandit_arms((SELECT cdp.beta_bandit_agg(arm, clicked) FROM shown WHERE id <= 200)) a USING (arm) ORDER BY 1;
SELECT count(*) AS changed FROM chosen WHERE arm <> 'app' AND among <> arm;
SELECT cdp.beta_bandit_sample(NULL, 1) IS NULL AS none, cdp.beta_bandit_sample(NULL, 1, '{}') IS NULL AS empty, cdp.beta_bandit_sample(NULL, 7, ARRAY['a', 'b']) IN ('a', 'b') AS new;
SELECT count(DISTINCT cdp.beta_bandit_sample(bandit, seed, NULL, 0.01, 0.01)) AS arms
FROM (SELECT cdp.beta_bandit_agg(arm, clicked) AS bandit FROM shown WHERE id <= 5) b, generate_series(1, 200) seed;

-- Golden bytes of version 1.
SELECT cdp.beta_bandit_agg(a, r) FROM (VALUES ('x', 1.0::float8), ('y', 0.25), ('x', 0)) v (a, r);
SELECT arm, trials, rewards FROM cdp.beta_bandit_arms('\x0100000002000178000000000000000200000000000f42400001790000000000000001000000000003d090');
SELECT cdp.beta_bandit_send('\x0100000000');

-- What is not sound is refused.
SELECT 'x'::cdp.beta_bandit;
SELECT '\x'::cdp.beta_bandit;
SELECT '\x0200000000'::cdp.beta_bandit;
SELECT '\x01ffffffff'::cdp.beta_bandit;
SELECT '\x010000000000'::cdp.beta_bandit;
SELECT '\x01000000010001'::cdp.beta_bandit;
SELECT '\x01000000010000000000000000000000000000000000000000'::cdp.beta_bandit;
SELECT '\x010000000100017800000000000000010000000000ffffff'::cdp.beta_bandit;
SELECT '\x0100000001000178ffffffffffffffff0000000000000000'::cdp.beta_bandit;
SELECT '\x01000000020001790000000000000001000000000000000000017800000000000000010000000000000000'::cdp.beta_bandit;
SELECT '\x0100000001000100000000000000000100000000000f4240'::cdp.beta_bandit;
SELECT cdp.beta_bandit_agg('a', 1.5);
SELECT cdp.beta_bandit_agg('a', 'NaN'::float8);
SELECT cdp.beta_bandit_agg('', true);
SELECT cdp.beta_bandit_agg(repeat('a', 256), true);
SELECT cdp.beta_bandit_agg(i::text, true) FROM generate_series(1, 1001) i;
SELECT cdp.beta_bandit_merge(a, b) FROM (SELECT cdp.beta_bandit_agg(i::text, true) AS a FROM generate_series(1, 600) i) a, (SELECT cdp.beta_bandit_agg(i::text, true) AS b FROM generate_series(500, 1100) i) b;
SELECT cdp.beta_bandit_merge(b, b) FROM (SELECT '\x0100000001000178000000e8d4a510000000000000000000'::cdp.beta_bandit AS b) s;
SELECT cdp.beta_bandit_sample(NULL, NULL, ARRAY['a']);
SELECT cdp.beta_bandit_sample(NULL, 1, ARRAY[NULL, 'a']);
SELECT cdp.beta_bandit_sample(NULL, 1, ARRAY['a'], 0);
SELECT count(*), bool_and(p_best BETWEEN 0 AND 1) AS finite
FROM cdp.beta_bandit_arms('\x0100000002000178000000e8d4a510000000000000000000000179000000e8d4a510000de0b6b3a7640000');
DROP TABLE shown, daily, parallel_result, chosen;
