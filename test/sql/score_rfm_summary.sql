-- From transactions to customers: what is one purchase, what refunds do, where
-- time ends; states that are stored and merged.
\set SHOW_CONTEXT never
SET timezone = 'America/New_York';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';

CREATE TABLE purchase (customer text, at timestamptz, amount numeric);
INSERT INTO purchase VALUES
	('plain', '2026-01-01 10:00Z', 100), ('plain', '2026-01-15 12:00Z', 20), ('plain', '2026-01-15 18:00Z', 10), ('plain', '2026-02-26 12:00Z', 40),
	('once', '2026-02-01 10:00Z', 7.5),
	('free', '2026-01-01 10:00Z', 0), ('free', '2026-01-08 10:00Z', 0),
	('partly refunded', '2026-01-01 10:00Z', 50), ('partly refunded', '2026-01-11 10:00Z', 50), ('partly refunded', '2026-01-12 10:00Z', -20),
	('refunded', '2026-01-01 10:00Z', 50), ('refunded', '2026-01-11 10:00Z', 50), ('refunded', '2026-01-13 10:00Z', -50),
	('refunded beyond', '2026-01-01 10:00Z', 50), ('refunded beyond', '2026-01-11 10:00Z', 50), ('refunded beyond', '2026-01-13 10:00Z', -70),
	('only a refund', '2026-01-11 10:00Z', -70),
	('late', '2026-03-15 10:00Z', 10),
	('midnight', '2026-01-01 23:30Z', 10), ('midnight', '2026-01-02 00:30Z', 10),
	('unknown', NULL, 10), ('unknown', '2026-01-01 10:00Z', NULL);

-- NULL where there is no purchase until the end of observation.
SELECT customer, (cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-03-01'))).*
FROM purchase GROUP BY customer ORDER BY customer;

-- Refunds left out; other units; days of another zone; purchases of an hour.
SELECT customer, cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-03-01', refunds => 'ignore')) FROM purchase WHERE customer LIKE '%refund%' GROUP BY customer ORDER BY customer;
SELECT cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-03-01', period => '1 day')) FROM purchase WHERE customer = 'plain';
SELECT cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-03-01', time_zone => 'Europe/Berlin')) FROM purchase WHERE customer = 'midnight';
SELECT cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-03-01', merge => '1 hour', period => '1 day')) FROM purchase WHERE customer IN ('midnight', 'plain');
SELECT cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-03-01', merge => '7 days')) FROM purchase WHERE customer = 'plain';

-- timestamp and date are wall clock; no session setting takes part.
SELECT cdp.rfm(at::date, amount, cdp.rfm_options(observation_end => '2026-03-01')) = cdp.rfm(at::date::timestamp, amount, cdp.rfm_options(observation_end => '2026-03-01')) AS equal
FROM purchase WHERE customer = 'plain';

-- Without an end it is now.
SELECT (cdp.rfm(now() - interval '21 days', 5)).age, (cdp.rfm(now() - interval '21 days', 5)).frequency;

-- Nothing at all.
SELECT cdp.rfm(at, amount), cdp.rfm_state_agg(at, amount), cdp.rfm_merge_agg(NULL::cdp.rfm_state) FROM purchase WHERE false;

-- States: by day, merged, and summarised as of any time.
CREATE TABLE daily AS SELECT customer, at::date AS day, cdp.rfm_state_agg(at, amount) AS state FROM purchase WHERE at IS NOT NULL GROUP BY customer, at::date;
SELECT customer, cdp.rfm_merge_agg(state)::text = (SELECT cdp.rfm_state_agg(at, amount)::text FROM purchase WHERE purchase.customer = daily.customer) AS equal
FROM daily GROUP BY customer ORDER BY customer;
SELECT day, (cdp.rfm_summarize(state, day)).*
FROM (SELECT cdp.rfm_merge_agg(state) AS state FROM daily WHERE customer = 'plain') AS merged, unnest(ARRAY['2025-12-31', '2026-01-01', '2026-01-20', '2026-03-01']::timestamp[]) AS day;
SELECT cdp.rfm_purchases(state, '2026-01-01', '2026-03-01') AS holdout, cdp.rfm_purchases(state, '2026-01-15', '2026-02-25') AS none
FROM (SELECT cdp.rfm_merge_agg(state) AS state FROM daily WHERE customer = 'plain') AS merged;

-- The formats of version 1.
SELECT state, encode(cdp.rfm_state_send(state), 'hex') FROM daily WHERE customer = 'partly refunded' ORDER BY day;
SELECT state::text::cdp.rfm_state::text = state::text AS lossless, count(*) FROM daily GROUP BY 1;
SELECT '{"version": 1, "period_days": 7, "merge_microseconds": 86400000000, "refunds": "subtract", "time_zone": "UTC", "transactions": [[10, 5], [8, 5]]}'::cdp.rfm_state;
SELECT '{"version": 1, "period_days": 7, "merge_microseconds": 86400000000, "refunds": "subtract", "time_zone": "UTC", "transactions": [[11, 5]]}'::cdp.rfm_state;
SELECT '{"version": 2}'::cdp.rfm_state;
SELECT '[1]'::cdp.rfm_state;

-- Any order and any number of workers: the same bytes.
CREATE TABLE many AS
SELECT i % 500 AS customer, timestamp '2025-01-01' + (abs(hashint4(i)) % 500) * interval '1 day' AS at, (abs(hashint4(i + 1)) % 100000 - 5000) / 100.0 AS amount
FROM generate_series(1, 20000) AS i;
CREATE TEMPORARY TABLE serial AS SELECT customer, cdp.rfm_state_agg(at, amount)::text AS state, cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-06-01')) AS rfm FROM many GROUP BY customer;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT customer, cdp.rfm_state_agg(at, amount) FROM many GROUP BY customer;
SELECT count(*), bool_and(p.state = s.state AND p.rfm = s.rfm) AS equal
FROM (SELECT customer, cdp.rfm_state_agg(at, amount)::text AS state, cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-06-01')) AS rfm FROM many GROUP BY customer) AS p JOIN serial AS s USING (customer);
SELECT bool_and(p.state = s.state) AS equal
FROM (SELECT customer, cdp.rfm_state_agg(at, amount ORDER BY amount, at DESC)::text AS state FROM many GROUP BY customer) AS p JOIN serial AS s USING (customer);

-- Against plain SQL, without refunds.
SELECT bool_and(frequency = days - 1 AND abs(recency - (last - first) / 7.0) < 1e-9 AND abs(age - (date '2026-06-01' - first) / 7.0) < 1e-9 AND abs(total - amount) < 1e-6) AS equal
FROM (SELECT customer, (cdp.rfm(at, amount, cdp.rfm_options(observation_end => '2026-06-01'))).*, count(DISTINCT at::date) AS days, max(at::date) AS last, min(at::date) AS first, sum(amount) AS amount
	FROM many WHERE amount >= 0 GROUP BY customer) AS both_ways;

-- Errors.
SELECT cdp.rfm(at, amount, cdp.rfm_options(merge => '1 month')) FROM purchase;
SELECT cdp.rfm(at, amount, cdp.rfm_options(period => '-1 day')) FROM purchase;
SELECT cdp.rfm(at, amount, cdp.rfm_options(refunds => 'keep')) FROM purchase;
SELECT cdp.rfm(at, amount, cdp.rfm_options(time_zone => 'Mars/Olympus')) FROM purchase;
SELECT cdp.rfm('infinity'::timestamptz, 1);
SELECT cdp.rfm(now(), 'NaN'::float8);
SELECT cdp.rfm(at, amount, cdp.rfm_options(period => CASE WHEN amount > 10 THEN interval '1 day' ELSE '1 week' END)) FROM purchase;
SELECT cdp.rfm_merge_agg(state) FROM (SELECT cdp.rfm_state_agg(at, amount) AS state FROM purchase UNION ALL SELECT cdp.rfm_state_agg(at, amount, cdp.rfm_options(period => '1 day')) FROM purchase) AS states;
SELECT cdp.rfm_state_agg(at, amount, cdp.rfm_options(observation_end => '2026-03-01')) FROM purchase;
SELECT cdp.rfm_summarize(state, 'infinity') FROM daily LIMIT 1;

-- Scores by quartiles: equal values have equal scores.
CREATE TABLE customer AS
SELECT i AS id, ROW(i - 1, CASE WHEN i > 1 THEN i ELSE 0 END, 30, CASE WHEN i > 1 THEN 10 * i END, '2026-01-01', '2026-01-01', i, 10.0 * i * i, '7 days')::cdp.rfm_summary AS rfm
FROM generate_series(1, 8) AS i;
SELECT cdp.rfm_breakpoints(rfm), cdp.rfm_breakpoints(rfm, 2) FROM customer;
SELECT id, (cdp.rfm_score(rfm, breakpoints)).* FROM customer, (SELECT cdp.rfm_breakpoints(rfm) AS breakpoints FROM customer) AS quartiles ORDER BY id;
SELECT id, cdp.rfm_score(rfm, breakpoints) FROM customer, (SELECT cdp.rfm_breakpoints(rfm, 5) AS breakpoints FROM customer) AS quintiles WHERE id IN (1, 8) ORDER BY id;
-- a mass of equal values
SELECT DISTINCT (cdp.rfm_score(c.rfm, breakpoints)).* FROM customer AS c, (SELECT cdp.rfm_breakpoints(rfm) AS breakpoints FROM customer WHERE id = 1) AS one WHERE c.id <= 2 ORDER BY 2;
SELECT cdp.rfm_breakpoints(rfm, 10) FROM customer;
SELECT cdp.rfm_score(rfm, ROW(ARRAY[1], ARRAY[1, 2], ARRAY[1])::cdp.rfm_breakpoints) FROM customer;

DROP TABLE purchase, daily, many, customer;
