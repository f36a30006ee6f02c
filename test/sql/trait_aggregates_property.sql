-- The aggregates over events against plain SQL (seeded): results, any order, parallel workers, stored states that are merged.
CREATE SCHEMA aggregates_property;
SET search_path = aggregates_property, cdp;
SET timezone = 'UTC';
SET jit = off;
SET extra_float_digits = 1;
SELECT setseed(0.31);

-- Few names, times and values, so that there are many ties.
CREATE TABLE event AS
SELECT row_number() OVER () AS row_number, person,
       CASE WHEN random() < 0.03 THEN NULL ELSE (ARRAY['a', 'b', 'c', 'd'])[1 + floor(random() * 4)::integer] END AS name,
       CASE WHEN random() < 0.03 THEN NULL ELSE timestamptz '2026-01-01' + floor(random() * span) * interval '10 minutes' END AS at,
       CASE WHEN random() < 0.03 THEN NULL ELSE round((random() * 20 - 5)::numeric, 1) END AS amount
FROM generate_series(1, 400) AS person, LATERAL (SELECT CASE person % 3 WHEN 0 THEN 6 WHEN 1 THEN 40 ELSE 2000 END AS span) AS s, generate_series(1, 1 + person % 14);
CREATE INDEX ON event (person);
ALTER TABLE event SET (parallel_workers = 2);
ANALYZE event;

-- How far three steps were gone through, by joins.
CREATE FUNCTION slow_furthest(wanted bigint, steps text[], within interval, strictly_later boolean) RETURNS integer
LANGUAGE sql STABLE AS $$
	SELECT coalesce(max(CASE WHEN z.row_number IS NOT NULL THEN 3 WHEN y.row_number IS NOT NULL THEN 2 ELSE 1 END), 0)
	FROM event AS x
	LEFT JOIN event AS y ON y.person = x.person AND y.name = steps[2] AND y.row_number <> x.row_number
	     AND (y.at > x.at OR y.at = x.at AND NOT strictly_later) AND (within IS NULL OR y.at - x.at <= within)
	LEFT JOIN event AS z ON z.person = x.person AND z.name = steps[3] AND z.row_number NOT IN (x.row_number, y.row_number)
	     AND (z.at > y.at OR z.at = y.at AND NOT strictly_later) AND (within IS NULL OR z.at - x.at <= within)
	WHERE x.person = wanted AND x.name = steps[1] AND x.at IS NOT NULL
$$;
WITH choice AS (
	SELECT row_number() OVER () AS number, steps, within, strictly_later
	FROM (VALUES ('{a,b,c}'::text[]), ('{a,a,b}'), ('{a,b,a}'), ('{c,c,c}'), ('{a,x,b}')) AS s (steps),
	     (VALUES (NULL::interval), ('0'), ('20 minutes'), ('5 hours'), ('1 day')) AS w (within), (VALUES (false), (true)) AS l (strictly_later)
), answer AS (
	SELECT number, person, did_sequence(name, at, sequence_options(steps, within, strictly_later)) AS did,
	       sequence_step(name, at, sequence_options(steps, within, strictly_later)) AS step,
	       slow_furthest(person, steps, within, strictly_later) AS expected
	FROM event, choice GROUP BY number, person, steps, within, strictly_later
)
SELECT count(*) AS answers, count(*) FILTER (WHERE step = expected AND did = (expected = 3)) AS correct,
       count(*) FILTER (WHERE step = 0) > 100 AS none, count(*) FILTER (WHERE step = 1) > 100 AS one, count(*) FILTER (WHERE step = 2) > 100 AS two, count(*) FILTER (WHERE step = 3) > 100 AS all_steps
FROM answer;

-- Sessions, by gaps.
WITH choice AS (SELECT unnest('{0,10 minutes,30 minutes,7 hours}'::interval[]) AS gap),
answer AS (SELECT gap, person, session_count(at, gap) AS sessions FROM event, choice GROUP BY gap, person),
expected AS (
	SELECT gap, person, count(*) FILTER (WHERE at IS NOT NULL AND (at - before > gap OR before IS NULL)) AS sessions
	FROM (SELECT gap, person, at, lag(at) OVER (PARTITION BY gap, person ORDER BY at NULLS LAST) AS before FROM event, choice) AS e GROUP BY gap, person
)
SELECT count(*) AS answers, count(*) FILTER (WHERE a.sessions = e.sessions) AS correct FROM answer AS a JOIN expected AS e USING (gap, person);

-- Decayed sums, by powers.
WITH choice AS (SELECT unnest('{1 ms,1 hour,3 days,3650 days}'::interval[]) AS half_life),
answer AS (
	SELECT half_life, person, max(at) FILTER (WHERE amount IS NOT NULL) AS newest, decayed_sum(amount, at, half_life) AS at_newest, decayed_sum(amount, at, half_life, '2026-01-02') AS at_time
	FROM event, choice GROUP BY half_life, person
), expected AS (
	SELECT half_life, e.person, sum(amount * power(2::float8, - greatest(least(extract(epoch FROM newest - at) / extract(epoch FROM half_life), 1e3), 0))) AS at_newest,
	       sum(amount * power(2::float8, - greatest(least(extract(epoch FROM timestamptz '2026-01-02' - at) / extract(epoch FROM half_life), 1e3), 0))) FILTER (WHERE at <= '2026-01-02') AS at_time,
	       sum(abs(amount)) AS size
	FROM event AS e JOIN answer AS a USING (person) GROUP BY half_life, e.person
)
SELECT count(*) AS answers,
       count(*) FILTER (WHERE a.at_newest IS NULL AND e.at_newest IS NULL OR abs(a.at_newest - e.at_newest) < 1e-12 * e.size) AS at_newest,
       count(*) FILTER (WHERE a.at_time IS NULL AND e.at_time IS NULL OR abs(a.at_time - e.at_time) < 1e-12 * e.size) AS at_time
FROM answer AS a JOIN expected AS e USING (half_life, person);

-- Most frequent, first and last values, for several types.
WITH answer AS (
	SELECT person, most_frequent(name) AS name, most_frequent(amount) AS amount, most_frequent(amount::integer) AS number, most_frequent(amount::float8) AS float, most_frequent(at) AS at,
	       first_value_at(name, at) AS first_name, last_value_at(name, at) AS last_name, first_value_at(amount, at) AS first_amount, last_value_at(amount, at) AS last_amount,
	       last_value_at(amount::float8 < 3, at) AS last_boolean, first_value_at(at::date, at) AS first_date
	FROM event GROUP BY person
), expected AS (
	SELECT person,
	       (SELECT name FROM event AS e WHERE e.person = p.person AND name IS NOT NULL GROUP BY name ORDER BY count(*) DESC, name COLLATE "C" LIMIT 1) AS name,
	       (SELECT amount FROM event AS e WHERE e.person = p.person AND amount IS NOT NULL GROUP BY amount ORDER BY count(*) DESC, amount LIMIT 1) AS amount,
	       (SELECT amount::integer FROM event AS e WHERE e.person = p.person AND amount IS NOT NULL GROUP BY amount::integer ORDER BY count(*) DESC, amount::integer LIMIT 1) AS number,
	       (SELECT amount::float8 FROM event AS e WHERE e.person = p.person AND amount IS NOT NULL GROUP BY amount::float8 ORDER BY count(*) DESC, amount::float8 LIMIT 1) AS float,
	       (SELECT at FROM event AS e WHERE e.person = p.person AND at IS NOT NULL GROUP BY at ORDER BY count(*) DESC, at LIMIT 1) AS at,
	       (SELECT name FROM event AS e WHERE e.person = p.person AND at IS NOT NULL AND name IS NOT NULL ORDER BY at, name COLLATE "C" LIMIT 1) AS first_name,
	       (SELECT name FROM event AS e WHERE e.person = p.person AND at IS NOT NULL AND name IS NOT NULL ORDER BY at DESC, name COLLATE "C" DESC LIMIT 1) AS last_name,
	       (SELECT amount FROM event AS e WHERE e.person = p.person AND at IS NOT NULL AND amount IS NOT NULL ORDER BY at, amount LIMIT 1) AS first_amount,
	       (SELECT amount FROM event AS e WHERE e.person = p.person AND at IS NOT NULL AND amount IS NOT NULL ORDER BY at DESC, amount DESC LIMIT 1) AS last_amount,
	       (SELECT amount < 3 FROM event AS e WHERE e.person = p.person AND at IS NOT NULL AND amount IS NOT NULL ORDER BY at DESC, amount < 3 DESC LIMIT 1) AS last_boolean,
	       (SELECT min(at)::date FROM event AS e WHERE e.person = p.person) AS first_date
	FROM (SELECT DISTINCT person FROM event) AS p
)
SELECT count(*) AS answers, count(*) FILTER (WHERE a IS NOT DISTINCT FROM e) AS correct FROM answer AS a JOIN expected AS e USING (person);

-- Any order gives the same state, to the byte.
CREATE VIEW states AS
SELECT person, did_sequence_state_agg(name, at, sequence_options('{a,b,a}', '1 day'))::text AS sequence, session_count_state_agg(at, '20 minutes')::text AS sessions,
       decayed_sum_state_agg(amount, at, '5 hours')::text AS decayed, most_frequent_state_agg(amount)::text AS frequencies,
       first_value_at_state_agg(amount, at)::text AS first_value, last_value_at_state_agg(name, at)::text AS last_value
FROM (SELECT * FROM event ORDER BY random()) AS e GROUP BY person;
SELECT count(*) AS people, count(*) FILTER (WHERE x IS NOT DISTINCT FROM y) AS same FROM states AS x JOIN states AS y USING (person);

-- So do parts that were stored and are merged.
CREATE TABLE part AS
SELECT person, row_number % 5 AS part, did_sequence_state_agg(name, at, sequence_options('{a,b,a}', '1 day')) AS sequence, session_count_state_agg(at, '20 minutes') AS sessions,
       decayed_sum_state_agg(amount, at, '5 hours') AS decayed, most_frequent_state_agg(amount) AS frequencies,
       first_value_at_state_agg(amount, at) AS first_value, last_value_at_state_agg(name, at) AS last_value
FROM event GROUP BY person, row_number % 5;
ALTER TABLE part SET (parallel_workers = 2);
CREATE VIEW merged AS
SELECT person, did_sequence_merge_agg(sequence)::text AS sequence, session_count_merge_agg(sessions)::text AS sessions, decayed_sum_merge_agg(decayed)::text AS decayed,
       most_frequent_merge_agg(frequencies)::text AS frequencies, value_at_merge_agg(first_value)::text AS first_value, value_at_merge_agg(last_value)::text AS last_value
FROM part GROUP BY person;
SELECT count(*) AS people, count(*) FILTER (WHERE x IS NOT DISTINCT FROM y) AS same FROM states AS x JOIN merged AS y USING (person);
-- and their text and binary forms
SELECT count(*) AS parts, count(*) FILTER (WHERE sequence::text::did_sequence_state::text = sequence::text AND sessions::text::session_count_state::text = sessions::text
	AND decayed::text::decayed_sum_state::text = decayed::text AND frequencies::text::most_frequent_state::text IS NOT DISTINCT FROM frequencies::text
	AND first_value::text::value_at_state::text IS NOT DISTINCT FROM first_value::text) AS same
FROM part;

-- And parallel workers.
CREATE TABLE serial AS
SELECT did_sequence(name, at, sequence_options('{a,b,d}', '1 hour')), sequence_step(name, at, sequence_options('{a,b,a,c,d,a,a,a,b}', '2 hours', true)), session_count(at, '10 minutes'),
       decayed_sum(amount, at, '1 day'), decayed_sum(amount, at, '1 day', '2026-01-08') AS at_time, most_frequent(name) AS name, most_frequent(amount) AS amount,
       first_value_at(amount, at) AS first_value, last_value_at(name, at) AS last_value,
       md5(did_sequence_state_agg(name, at, sequence_options('{a,b,d}', '1 hour'))::text), md5(session_count_state_agg(at, '10 minutes')::text) AS sessions, md5(most_frequent_state_agg(amount)::text) AS frequencies
FROM event;
TABLE serial;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT did_sequence(name, at, sequence_options('{a,b,d}', '1 hour')), session_count(at, '10 minutes'), decayed_sum(amount, at, '1 day'), most_frequent(name), first_value_at(amount, at) FROM event;
SELECT serial IS NOT DISTINCT FROM parallel AS same FROM serial, (
	SELECT did_sequence(name, at, sequence_options('{a,b,d}', '1 hour')), sequence_step(name, at, sequence_options('{a,b,a,c,d,a,a,a,b}', '2 hours', true)), session_count(at, '10 minutes'),
	       decayed_sum(amount, at, '1 day'), decayed_sum(amount, at, '1 day', '2026-01-08') AS at_time, most_frequent(name) AS name, most_frequent(amount) AS amount,
	       first_value_at(amount, at) AS first_value, last_value_at(name, at) AS last_value,
	       md5(did_sequence_state_agg(name, at, sequence_options('{a,b,d}', '1 hour'))::text), md5(session_count_state_agg(at, '10 minutes')::text) AS sessions, md5(most_frequent_state_agg(amount)::text) AS frequencies
	FROM event) AS parallel;
SELECT count(*) AS people, count(*) FILTER (WHERE x IS NOT DISTINCT FROM y) AS same FROM states AS x JOIN merged AS y USING (person);

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA aggregates_property CASCADE;
