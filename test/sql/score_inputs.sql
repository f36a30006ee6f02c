-- How features are distributed, at training and among those who are scored:
-- against plain SQL.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET extra_float_digits = 1;

-- ---------- at training ----------

-- age: some NULLs; spend: more values than buckets; height: negative ones as well; fixed: a constant; huge: all scales
CREATE TABLE example AS
SELECT i, i * 7919 % 5 < 2 AS label, CASE WHEN i % 10 <> 0 THEN 18 + i * 37 % 60 END AS age, exp(i * 7919 % 4001 / 400.0)::double precision AS spend,
	sin(i) AS height, 7 AS fixed, CASE i % 3 WHEN 0 THEN -1e300 WHEN 1 THEN 1e-300 ELSE 1e300 END AS huge, i % 4 = 0 AS member,
	CASE WHEN i % 20 <> 0 THEN (ARRAY['email', 'phone', 'shop', 'shop'])[1 + i % 4] END AS channel, ARRAY[i % 3, (i % 5)::double precision] AS counts
FROM generate_series(1, 4001) AS i;
CREATE TABLE trained AS
SELECT cdp.train_logit('SELECT label, age, spend, height, fixed, member, channel, counts FROM example', 'label', options => cdp.logit_options(l2 => 1)) AS model,
	cdp.train_logit('SELECT label, age, spend, height, fixed, member, channel, counts FROM (SELECT * FROM example ORDER BY i DESC) AS reversed', 'label', options => cdp.logit_options(l2 => 1)) AS reversed,
	cdp.train_gbt('SELECT label, age, spend, height, fixed, member, channel, counts, NULL::integer AS nothing FROM example ORDER BY i', 'label', options => cdp.gbt_options(trees => 3)) AS boosted;
SELECT place, feature, cardinality(bounds) AS bounds, levels, cardinality(shares) AS shares, abs((SELECT sum(s) FROM unnest(shares) AS s) - 1) < 1e-12 AS whole
FROM trained, cdp.feature_shares(model::jsonb) ORDER BY place;
SELECT feature, bounds, shares FROM trained, cdp.feature_shares(model::jsonb) WHERE feature IN ('fixed', 'member', 'channel', 'counts[1]') ORDER BY place;
-- Few values: the borders are those of percentile_disc, and what is known of age is known where it is missing.
SELECT bounds = (SELECT array_agg(DISTINCT b::double precision) FROM unnest((SELECT percentile_disc(ARRAY[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) WITHIN GROUP (ORDER BY age) FROM example)) AS b) AS borders,
	shares[cardinality(shares)] = (SELECT avg((age IS NULL)::integer)::double precision FROM example) AS missing
FROM trained, cdp.feature_shares(model::jsonb) WHERE feature = 'age';
-- Many: each bin is about a tenth, and holds exactly the share it says.
SELECT feature, bool_and(abs(share - actual) < 1e-12) AS shares, bool_and(abs(share - 0.1) < 0.03) AS tenths
FROM (SELECT f.feature, b AS bin, f.shares[b + 1] AS share,
		(SELECT avg((width_bucket(CASE f.feature WHEN 'spend' THEN e.spend ELSE e.height END, f.bounds) = b)::integer)::double precision FROM example AS e) AS actual
	FROM trained, cdp.feature_shares(model::jsonb) AS f, generate_series(0, cardinality(f.bounds)) AS b WHERE f.feature IN ('spend', 'height')) AS bins
GROUP BY 1 ORDER BY 1;
-- Not by the order of rows, the number of workers, or the kind of model.
SELECT (SELECT array_agg(f) FROM cdp.feature_shares(model::jsonb) AS f) = (SELECT array_agg(f) FROM cdp.feature_shares(reversed::jsonb) AS f) AS same_reversed,
	(SELECT array_agg(f) FROM cdp.feature_shares(model::jsonb) AS f) = (SELECT array_agg(f) FROM cdp.feature_shares(boosted::jsonb) AS f WHERE f.feature <> 'nothing') AS same_boosted
FROM trained;
SELECT feature, bounds, shares FROM trained, cdp.feature_shares(boosted::jsonb) WHERE feature = 'nothing';
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT (SELECT array_agg(f) FROM cdp.feature_shares(model::jsonb) AS f) = (SELECT array_agg(f)
	FROM cdp.feature_shares(cdp.train_logit('SELECT label, age, spend, height, fixed, member, channel, counts FROM example', 'label', options => cdp.logit_options(l2 => 1))::jsonb) AS f) AS same_parallel
FROM trained;
RESET min_parallel_table_scan_size;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
-- Scales that no float holds the difference of.
SELECT f.* FROM cdp.feature_shares(cdp.train_gbt('SELECT label, greatest(-1e30, least(1e30, huge)) AS huge FROM example ORDER BY i', 'label', options => cdp.gbt_options(trees => 2))::jsonb) AS f;
-- Rows that stand for many; one row of each label.
SELECT f.bounds, f.shares FROM cdp.feature_shares(cdp.train_logit('SELECT * FROM (VALUES (true, 1, 3), (false, 2, 1), (true, 2, 0)) AS t (label, x, weight)', 'label', ARRAY['x'], 'weight', cdp.logit_options(l2 => 1))::jsonb) AS f;
-- An array that is NULL: the row is left out, wherever it comes, and counts as one without values.
SELECT m::jsonb->'n' AS n, m::jsonb->'skipped' AS skipped, f.feature, f.shares[cardinality(f.shares)] AS missing
FROM (SELECT cdp.train_logit('SELECT i % 3 = 0 AS label, CASE WHEN i > 5 THEN ARRAY[i % 5, i % 7]::double precision[] END AS counts, i AS x FROM generate_series(1, 50) AS i', 'label') AS m) AS t, cdp.feature_shares(m::jsonb) AS f;
SELECT m::jsonb->'n' AS n, m::jsonb->'skipped' AS skipped FROM (SELECT cdp.train_gbt('SELECT i % 3 = 0 AS label, CASE WHEN i > 5 THEN ARRAY[i % 5, i % 7]::double precision[] END AS counts, i AS x FROM generate_series(1, 50) AS i', 'label', options => cdp.gbt_options(trees => 1)) AS m) AS t;
-- What is no number is an error in rows that are left out, too.
SELECT cdp.train_logit('SELECT i % 3 = 0 AS label, nullif(i, 1) AS x, CASE WHEN i = 1 THEN double precision ''-Infinity'' ELSE i % 7 END AS z FROM generate_series(1, 50) AS i', 'label');
-- Many rows, most of them alike; more values than buckets. By any number of workers and in any order the same, and exactly the shares.
CREATE TABLE many AS SELECT i, i % 7 < 3 AS label, CASE WHEN i % 10 < 6 THEN 0 ELSE i % 3 END AS visits, CASE WHEN i % 10 < 6 THEN 0 ELSE exp(i * 7919 % 60013 / 6000.0) END AS spend FROM generate_series(1, 60000) AS i;
CREATE TABLE many_trained AS SELECT cdp.train_logit('SELECT label, visits, spend FROM many', 'label') AS model;
SELECT bounds, shares FROM many_trained, cdp.feature_shares(model::jsonb) WHERE feature = 'visits';
SELECT bool_and(abs(f.shares[b + 1] - (SELECT avg((width_bucket(spend, f.bounds) = b)::integer)::double precision FROM many)) < 1e-12) AS shares, count(*) AS bins
FROM many_trained, cdp.feature_shares(model::jsonb) AS f, generate_series(0, cardinality(f.bounds)) AS b WHERE f.feature = 'spend';
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
ALTER TABLE many SET (parallel_workers = 4);
SET max_parallel_workers_per_gather = 4;
SELECT (SELECT array_agg(f) FROM cdp.feature_shares(model::jsonb) AS f) = (SELECT array_agg(f) FROM cdp.feature_shares(cdp.train_logit('SELECT label, visits, spend FROM many', 'label')::jsonb) AS f) AS same_parallel,
	(SELECT array_agg(f) FROM cdp.feature_shares(model::jsonb) AS f) = (SELECT array_agg(f) FROM cdp.feature_shares(cdp.train_logit('SELECT label, visits, spend FROM many ORDER BY i DESC', 'label')::jsonb) AS f) AS same_reversed
FROM many_trained;
RESET max_parallel_workers_per_gather;
RESET min_parallel_table_scan_size;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
DROP TABLE many, many_trained;
-- Models that do not say.
SELECT count(*) FROM cdp.feature_shares((SELECT cdp.logit_fit(label, ARRAY[age, spend], cdp.logit_options(l2 => 1)) FROM example)::jsonb);
SELECT count(*) FROM cdp.feature_shares('{"model": "other"}') AS a, cdp.feature_shares('{"features": []}') AS b;

-- Bins of a row.
SELECT cdp.input_bins(m, ARRAY[-1, 4, 5, 1e308]), cdp.input_bins(m, ARRAY['-Infinity', 'Infinity', 'NaN', NULL]::double precision[]), cdp.input_bins(m, ARRAY[1, 2]), cdp.input_bins(NULL::cdp.logit_model, ARRAY[1.0]),
	cdp.input_bins(m, NULL::double precision[])
FROM (SELECT cdp.train_logit('SELECT label, age, spend, height, i % 7 AS week FROM example', 'label', options => cdp.logit_options(l2 => 1)) AS m) AS s;
SELECT cdp.input_bins(m, ARRAY[3], ARRAY['shop']), cdp.input_bins(m, ARRAY[NULL]::double precision[], ARRAY['new']), cdp.input_bins(m, ARRAY[3], NULL), cdp.input_bins(m, r)
FROM (SELECT cdp.train_gbt('SELECT label, i % 7 AS week, channel FROM example ORDER BY i', 'label', options => cdp.gbt_options(trees => 2)) AS m) AS s,
	(SELECT 6 AS week, NULL::text AS channel) AS r;

-- Documents are checked.
SELECT jsonb_set(model::jsonb, '{features,0,bins,0,shares,0}', '2')::text::cdp.logit_model FROM trained;
SELECT jsonb_set(model::jsonb, '{features,0,bins,0,shares}', '[1]')::text::cdp.logit_model FROM trained;
SELECT jsonb_set(model::jsonb, '{features,0,bins,0,bounds}', '[2, 1, 3, 4, 5, 6, 7, 8, 9]')::text::cdp.logit_model FROM trained;
SELECT jsonb_set(model::jsonb, '{features,0,bins}', '[]')::text::cdp.logit_model FROM trained;
SELECT jsonb_set(boosted::jsonb, '{features,0,bins}', '7')::text::cdp.gbt_model FROM trained;

-- ---------- among those who are scored ----------

SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE TABLE person (id integer, email text, age integer, channel text, visits bigint, changed_at timestamptz);
SELECT cdp.create_source('crm', 'person', record_key => 'id', identifiers => 'email', observed_at => 'changed_at', traits => 'age, channel, visits');
CREATE VIEW everyone AS SELECT i AS id, 'p' || i || '@example.com' AS email, age, channel, (i % 8)::bigint AS visits, timestamptz '2026-01-01' AS changed_at FROM example WHERE i <= 1000;
CREATE TABLE fitted AS
SELECT cdp.train_gbt('SELECT id % 3 = 0 AS label, age, visits, channel FROM everyone ORDER BY id', 'label', options => cdp.gbt_options(trees => 5)) AS trees,
	cdp.train_logit('SELECT id % 3 = 0 AS label, visits, 7 AS fixed FROM everyone', 'label', options => cdp.logit_options(l2 => 1)) AS line;
SELECT cdp.register_model('trees', trees), cdp.register_model('line', line), cdp.register_model('silent', (line::jsonb #- '{features,0,bins}' #- '{features,1,bins}')::text::cdp.logit_model) FROM fitted;
SELECT cdp.create_score('by_trees', 'trees', 'cdp.predict(model, ARRAY[profile.age, profile.visits], ARRAY[profile.channel])');
-- Of nobody, of one, of many.
CALL cdp.refresh();
SELECT name, people, drift, input_note, (SELECT count(*) FROM cdp.score_inputs) AS inputs FROM cdp.scores;
INSERT INTO person SELECT * FROM everyone WHERE id = 3;
CALL cdp.refresh();
SELECT feature, people, shares, abs(drift - cdp.stability_index(expected_shares, shares)) < 1e-12 AS index FROM cdp.score_inputs ORDER BY place;
SELECT "check", detail FROM cdp.health;
INSERT INTO person SELECT * FROM everyone WHERE id <> 3;
-- The same by names of arguments, by a row, and as more than a prediction.
SELECT cdp.create_score('named', 'trees', 'cdp.predict(categories => ARRAY[profile.channel], model => model, features => ARRAY[profile.age, profile.visits])');
SELECT cdp.create_score('by_row', 'trees', '(SELECT cdp.predict_row(model, r) FROM (SELECT profile.age AS age, profile.visits AS visits, profile.channel AS channel) AS r)');
SELECT cdp.create_score('percent', 'trees', $$100 * cdp.predict /* ( */ (model, ARRAY[profile.age, profile.visits], ARRAY[coalesce(profile.channel, NULL)]) -- of ')'$$);
-- Of some, and with two calls.
SELECT cdp.create_score('of_some', 'trees', 'CASE WHEN profile.visits < 4 THEN cdp.predict(model, ARRAY[profile.age, profile.visits], ARRAY[profile.channel]) END');
SELECT cdp.create_score('of_some_percent', 'trees', '100 * CASE WHEN profile.visits < 4 THEN cdp.predict(model, ARRAY[profile.age, profile.visits], ARRAY[profile.channel]) END');
SELECT cdp.create_score('either', 'trees', $$CASE WHEN profile.visits < 4 THEN cdp.predict(model, ARRAY[profile.age, profile.visits], ARRAY[profile.channel])
	ELSE cdp.predict(model, ARRAY[NULL, profile.visits], ARRAY['email']) END$$);
SELECT cdp.create_score('constant', 'line', 'cdp.predict(model, ARRAY[profile.visits, 7])');
SELECT cdp.create_score('greatest', 'line', 'greatest(cdp.predict(model, ARRAY[profile.visits, 7]), cdp.predict(model, ARRAY[profile.visits + 100, 7]))');
-- Of those whose features cannot be told.
SELECT cdp.create_score('of_events', 'line', $$avg(cdp.predict(model, ARRAY[extract(day FROM event.occurred_at)::double precision, 7]))$$);
SELECT cdp.create_score('silent', 'silent', 'cdp.predict(model, ARRAY[profile.visits, 7])');
CREATE FUNCTION by_line(model cdp.logit_model, visits bigint) RETURNS double precision LANGUAGE sql IMMUTABLE RETURN cdp.predict(model, ARRAY[visits, 7]);
SELECT cdp.create_score('wrapped', 'line', 'public.by_line(model, profile.visits)');
CALL cdp.refresh();
-- Of the same people as at training: nothing has drifted.
SELECT score, feature, people, round(drift::numeric, 3) AS drift, drifted_since IS NULL AS steady FROM cdp.score_inputs ORDER BY score, place;
SELECT name, input_note FROM cdp.scores ORDER BY 1;
SELECT "check", detail FROM cdp.health;
SELECT feature, bounds, levels, expected_shares = shares AS same FROM cdp.score_inputs WHERE score = 'by_trees' ORDER BY place;

-- Others: older people, a new channel, more without an age.
UPDATE person SET age = CASE WHEN id % 3 > 0 THEN least(age + 30, 77) END, channel = CASE WHEN id % 4 = 0 THEN 'app' WHEN id % 20 <> 1 THEN channel END, changed_at = '2026-01-02';
CALL cdp.refresh();
-- By plain SQL: shares of both, at least 0.0001 each.
CREATE FUNCTION pg_temp.psi(expected double precision[], actual double precision[]) RETURNS double precision LANGUAGE sql
RETURN (SELECT sum((greatest(a, 0.0001) - greatest(e, 0.0001)) * ln(greatest(a, 0.0001) / greatest(e, 0.0001))) FROM unnest(expected, actual) AS s (e, a));
WITH border AS (SELECT array_agg(DISTINCT b::double precision ORDER BY b::double precision) AS bounds
		FROM unnest((SELECT percentile_disc(ARRAY[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) WITHIN GROUP (ORDER BY age) FROM example WHERE i <= 1000)) AS b),
	expected AS (SELECT coalesce(width_bucket(age, bounds), 99) AS bin, count(*) / 1000.0::double precision AS share FROM example, border WHERE i <= 1000 GROUP BY 1),
	actual AS (SELECT coalesce(width_bucket(age, bounds), 99) AS bin, count(*) / 1000.0::double precision AS share FROM person, border GROUP BY 1),
	by_age AS (SELECT pg_temp.psi(array_agg(coalesce(e.share, 0)), array_agg(coalesce(a.share, 0))) AS drift FROM expected AS e FULL JOIN actual AS a USING (bin)),
	by_channel AS (SELECT pg_temp.psi(array_agg(e), array_agg(a)) AS drift FROM (SELECT
			(SELECT avg((channel IS NOT DISTINCT FROM l)::integer)::double precision FROM example WHERE i <= 1000) AS e,
			(SELECT avg((channel IS NOT DISTINCT FROM l)::integer)::double precision FROM person) AS a
		FROM unnest(ARRAY['email', 'phone', 'shop', 'app', NULL]) AS l) AS levels)
SELECT s.score, s.feature, round(s.drift::numeric, 4) AS drift, abs(s.drift - CASE s.feature WHEN 'age' THEN by_age.drift WHEN 'channel' THEN by_channel.drift ELSE 0 END) < 1e-9 AS as_plain_sql, s.drifted_since = s.measured_at AS since_now
FROM cdp.score_inputs AS s, by_age, by_channel WHERE s.score IN ('by_trees', 'named', 'by_row', 'percent') ORDER BY s.score, s.place;
SELECT levels, expected_shares, shares FROM cdp.score_inputs WHERE score = 'by_trees' AND feature = 'channel';
-- Only those who are scored.
SELECT score, feature, people, shares = (SELECT array_agg((SELECT avg((p.channel IS NOT DISTINCT FROM l)::integer)::double precision FROM person AS p WHERE p.visits < 4)) FROM unnest(ARRAY['email', 'phone', 'shop', 'app', NULL]) AS l) AS shares
FROM cdp.score_inputs WHERE score IN ('of_some', 'of_some_percent') AND feature = 'channel' ORDER BY 1;
SELECT feature, people, shares[cardinality(shares)] AS missing FROM cdp.score_inputs WHERE score = 'either' ORDER BY place;
SELECT severity, regexp_replace(detail, '([a-z]+) [0-9.]+', '\1 ...', 'g') AS detail, hint FROM cdp.health WHERE "check" = 'features have drifted' ORDER BY 2;
-- Since when is kept, and forgotten with another version, which is compared with its own rows.
SELECT drifted_since AS before FROM cdp.score_inputs WHERE score = 'by_trees' AND feature = 'age' \gset
CALL cdp.refresh_segments();
SELECT drifted_since = :'before' AS since, measured_at > drifted_since AS measured FROM cdp.score_inputs WHERE score = 'by_trees' AND feature = 'age';
SELECT cdp.register_model('trees', cdp.train_gbt('SELECT id % 3 = 0 AS label, age, visits, channel FROM person ORDER BY id', 'label', options => cdp.gbt_options(trees => 5)));
CALL cdp.refresh();
SELECT feature, model_version, round(drift::numeric, 3) AS drift, drifted_since FROM cdp.score_inputs WHERE score = 'by_trees' ORDER BY place;

-- What is moderate is said among many people, what is large among some, and nothing of few.
UPDATE cdp_data.score_input SET drift = CASE place WHEN 1 THEN 0.11 WHEN 2 THEN 0.2 ELSE 0.1 END, drifted_since = '2026-01-01' WHERE name = 'by_trees';
SELECT severity, detail, CASE severity WHEN 'info' THEN since END AS since FROM cdp.health WHERE "check" = 'features have drifted';
UPDATE cdp_data.score_input SET people = 999 WHERE name = 'by_trees';
SELECT severity, detail FROM cdp.health WHERE "check" = 'features have drifted';
UPDATE cdp_data.score_input SET people = 200, drift = 0.26 WHERE name = 'by_trees';
SELECT severity, detail FROM cdp.health WHERE "check" = 'features have drifted';
UPDATE cdp_data.score_input SET people = 199 WHERE name = 'by_trees';
SELECT severity, detail FROM cdp.health WHERE "check" = 'features have drifted';

-- Rights: the text runs with those of its owner, and is counted for who refreshes alone.
CREATE ROLE regress_cdp_inputs;
SELECT cdp.grant_access('regress_cdp_inputs', 'reader');
SET ROLE regress_cdp_inputs;
SELECT count(*) > 0 AS reads FROM cdp.score_inputs;
SELECT count(*) FROM cdp.count_inputs('by_trees', cdp.model_look_up('cdp.gbt_model', 'trees'), 1);
RESET ROLE;
SELECT cdp.grant_access('regress_cdp_inputs', 'writer');
CREATE TABLE secret AS SELECT 3 AS weight;
CREATE FUNCTION weight() RETURNS integer LANGUAGE sql STABLE RETURN (SELECT weight FROM secret);
SELECT cdp.create_score('secretly', 'line', 'cdp.predict(model, ARRAY[profile.visits + public.weight(), 7])');
SET ROLE regress_cdp_inputs;
CALL cdp.refresh_segments(ARRAY['secretly']);
SELECT public.weight();
RESET ROLE;
SELECT feature, people, round(drift::numeric, 2) AS drift FROM cdp.score_inputs WHERE score = 'secretly' ORDER BY place;
DROP OWNED BY regress_cdp_inputs;
DROP ROLE regress_cdp_inputs;
-- Features over events.
CREATE TABLE visit AS SELECT i AS id, 'p' || 1 + i % 500 || '@example.com' AS email, timestamptz '2026-01-01' + i * interval '1 minute' AS at FROM generate_series(1, 2000) AS i;
SELECT cdp.create_source('site', 'visit', record_key => 'id', identifiers => 'email', occurred_at => 'at', event_name => $$'visit'$$);
SELECT cdp.create_score('over_events', 'line', $$cdp.predict(model, ARRAY[count(*) FILTER (WHERE event.event_name = 'visit'), 7])$$);
CALL cdp.refresh();
SELECT feature, people, abs(drift - cdp.stability_index(expected_shares, (SELECT array_agg(share ORDER BY bin) FROM (SELECT bin, coalesce(count, 0) / 1000.0::double precision AS share FROM generate_series(0, cardinality(bounds) + 1) AS bin
	LEFT JOIN (SELECT width_bucket(CASE WHEN i <= 500 THEN 4.0 ELSE 0 END::double precision, bounds) AS bin, count(*) FROM generate_series(1, 1000) AS i GROUP BY 1) AS c USING (bin)) AS b))) < 1e-9 AS as_plain_sql
FROM cdp.score_inputs WHERE score = 'over_events' AND feature = 'visits';

-- Another expression, a score that is dropped, and what remains of neither.
SELECT cdp.create_score('constant', 'line', 'cdp.predict(model, ARRAY[profile.visits + 100, 7])', replace => true);
SELECT count(*) FROM cdp.score_inputs WHERE score = 'constant';
CALL cdp.refresh();
SELECT feature, drift > 1 AS large FROM cdp.score_inputs WHERE score = 'constant' ORDER BY place;
SELECT cdp.create_score('constant', 'silent', 'cdp.predict(model, ARRAY[profile.visits, 7])', replace => true);
CALL cdp.refresh();
SELECT cdp.drop_score('by_row');
SELECT name, count(*) FROM cdp_data.score_input WHERE name IN ('constant', 'by_row', 'over_events') GROUP BY 1;

-- All that is known of everybody is gone.
UPDATE person SET age = NULL, channel = NULL, visits = NULL, changed_at = '2026-01-03';
CALL cdp.refresh();
SELECT score, feature, people, shares[cardinality(shares)] AS missing FROM cdp.score_inputs WHERE score IN ('by_trees', 'of_some') ORDER BY score, place;

SELECT cdp.teardown(false);
DROP FUNCTION by_line, weight;
DROP VIEW everyone;
DROP TABLE example, trained, person, fitted, secret, visit;
