-- Models and scores in the platform: registry, declaring, refresh, percentiles,
-- drift, health, and what is dropped.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE TABLE bought (id integer PRIMARY KEY, email text, at timestamptz, amount double precision);
INSERT INTO bought
SELECT i, 'p' || person || '@example.com', timestamptz '2026-01-01' + person % 30 * interval '1 day' + n * (5 + person % 17) * interval '1 day', 10 + i % 50
FROM (SELECT row_number() OVER (ORDER BY person, n)::integer AS i, person, n
      FROM generate_series(1, 400) AS person, generate_series(0, 12) AS n WHERE n <= person * 7919 % 13) AS s;
SELECT cdp.create_source('shop', 'bought', record_key => 'id', identifiers => 'email', occurred_at => 'at', event_name => $$'purchase'$$, properties => 'amount');
CALL cdp.refresh();
CREATE FUNCTION pg_temp.customer(profile bigint) RETURNS cdp.rfm_summary LANGUAGE sql STABLE
RETURN (SELECT cdp.rfm(occurred_at, amount, cdp.rfm_options(observation_end => '2026-07-01')) FROM cdp.events WHERE profile_id = profile);
SELECT cdp.mbgnbd_fit(pg_temp.customer(profile_id)) AS first, cdp.bgnbd_fit(pg_temp.customer(profile_id)) AS second FROM cdp.profiles \gset

-- The registry: versions, and the same again is none.
SELECT cdp.register_model('repeat', :'first'::cdp.lifetime_model, '{"mae": 0.8}', '{"until": "2026-07-01"}');
SELECT cdp.register_model('repeat', :'first'::cdp.lifetime_model, '{"mae": 0.8}', '{"until": "2026-07-01"}');
SELECT cdp.register_model('other', :'second'::cdp.lifetime_model, description => 'to compare');
SELECT name, version, is_current, type, quality->'n' AS n, quality->'converged' AS converged, quality->'mae' AS mae, training, description, registered_by = current_user AS by_me,
	value::cdp.lifetime_model::text = :'first' AS same
FROM cdp.models ORDER BY 1;
SELECT cdp.register_model(NULL, :'first'::cdp.lifetime_model);
SELECT cdp.register_model('nothing', NULL::cdp.lifetime_model);
SELECT cdp.register_model('', :'first'::cdp.lifetime_model);
SELECT cdp.register_model('number', 5);
SELECT cdp.register_model('repeat', :'first'::cdp.lifetime_model, '[1]');

-- Declaring.
SELECT cdp.create_score('churn', 'repeat', $$cdp.p_no_purchase(model, '90 days', cdp.rfm(event.occurred_at, event.amount, cdp.rfm_options(observation_end => '2026-07-01')))$$);
SELECT cdp.create_score('churn', 'repeat', $$cdp.p_no_purchase(model, '90 days', cdp.rfm(event.occurred_at, event.amount, cdp.rfm_options(observation_end => '2026-07-01')))$$);
SELECT name, model, expression, status, model_version FROM cdp.scores;
SELECT name, definition, type FROM cdp.computed_traits ORDER BY 1;
SELECT cdp.create_score('churn', 'other', 'cdp.p_alive(model, 0, 0, 0)');
SELECT cdp.create_score('churn', 'missing', 'cdp.p_alive(model, 0, 0, 0)');
SELECT cdp.create_score('constant', 'repeat', '0.5');
SELECT cdp.create_score('constant', 'repeat', $$length('model') /* model */ + count(event.model)$$);
SELECT cdp.create_score('constant', 'repeat', '(model');
SELECT cdp.create_score('constant', 'repeat', 'model) + (1');
SELECT cdp.create_score('constant', 'repeat', 'model');
SELECT cdp.create_score('constant', 'repeat', 'cdp.p_alive(model, 0, 0, nothing)');
SELECT cdp.create_score(repeat('a', 53), 'repeat', 'cdp.p_alive(model, 0, 0, 0)');
SELECT cdp.create_score(NULL, 'repeat', 'cdp.p_alive(model, 0, 0, 0)');
SELECT cdp.create_score('constant', NULL, 'cdp.p_alive(model, 0, 0, 0)');
SELECT cdp.create_computed_trait('orders', 'count(*)');
SELECT cdp.create_score('orders', 'repeat', 'cdp.p_alive(model, 0, 0, 0)', replace => true);
-- The word in quotes, twice, in any case, with a comment at the end.
SELECT cdp.create_score('sum', 'other', E'cdp.p_alive("model", count(*), 0, 30) + cdp.p_alive(MODEL, 0, 0, 0) -- model');
SELECT cdp.put_model('"model" + model.x + f(model) || ''model'' || (SELECT model FROM t)', '$');
SELECT cdp.put_model('U&"model" + 1', '$');

-- Refresh: values, percentiles by the very scores, and what reads both, in one.
SELECT cdp.create_segment('most_at_risk', 'profile.churn_percentile > 90');
CALL cdp.refresh();
SELECT count(*), bool_and(abs(churn - cdp.p_no_purchase(:'first', '90 days', pg_temp.customer(profile_id))) < 1e-12) AS by_the_model,
	bool_and(churn_percentile = ceil((SELECT count(*) FROM cdp.profiles o WHERE o.churn <= p.churn) * 100.0 / 400)) AS percentile
FROM cdp.profiles p;
SELECT s.name, model, model_version, m.version, people, drift, status, scored_at IS NOT NULL AS scored, (SELECT round(sum(s)::numeric, 9) FROM unnest(shares) s) AS shares
FROM cdp.scores s JOIN cdp.models m USING (model_id) ORDER BY 1;
SELECT s.members = count(*) FILTER (WHERE p.churn_percentile > 90) AS members FROM cdp.segments s, cdp.profiles p GROUP BY s.members;
SELECT "check", detail FROM cdp.health;

-- Who brings evidence may refresh, and not touch models; who reads sees both.
CREATE ROLE regress_cdp_score_writer;
SELECT cdp.grant_access('regress_cdp_score_writer', 'writer');
SET ROLE regress_cdp_score_writer;
CALL cdp.refresh_segments();
SELECT count(*) FROM cdp.scores, cdp.models WHERE models.is_current;
SELECT cdp.register_model('repeat', :'second'::cdp.lifetime_model);
SELECT cdp.create_score('mine', 'repeat', 'cdp.p_alive(model, 0, 0, 0)');
SELECT cdp.drop_model('other');
RESET ROLE;
DROP OWNED BY regress_cdp_score_writer;
DROP ROLE regress_cdp_score_writer;

-- A new version: with the next refresh.
SELECT cdp.register_model('repeat', :'second'::cdp.lifetime_model);
SELECT name, status, model_version FROM cdp.scores ORDER BY 1;
CALL cdp.refresh();
SELECT name, status, model_version, drift FROM cdp.scores ORDER BY 1;
SELECT bool_and(abs(churn - cdp.p_no_purchase(:'second', '90 days', pg_temp.customer(profile_id))) < 1e-12) AS by_the_new_one FROM cdp.profiles p;
SELECT name, version, is_current FROM cdp.models ORDER BY 1, 2;

-- Another expression.
SELECT cdp.create_score('sum', 'other', 'cdp.expected_purchases(model, 52, 0, 0, 0)', replace => true);
CALL cdp.refresh();
SELECT count(DISTINCT sum) AS values, min(sum_percentile), max(sum_percentile) FROM cdp.profiles;
-- Who has no score has no percentile, be it some or everybody.
SELECT cdp.create_score('sum', 'other', 'CASE WHEN profile.orders > 6 THEN cdp.p_alive(model, profile.orders, 30, 60) END', replace => true);
SELECT cdp.create_score('none', 'other', 'NULLIF(cdp.p_alive(model, 0, 0, 0), 1)');
CALL cdp.refresh();
SELECT count(*) FILTER (WHERE sum IS NULL) > 100 AS not_scored, bool_and((sum IS NULL) = (sum_percentile IS NULL)) AS no_percentile,
	min(sum_percentile) BETWEEN 1 AND 50 AND max(sum_percentile) = 100 AS percentiles, count("none") AS scored, count(none_percentile) AS percentiles_of_nobody FROM cdp.profiles;
SELECT name, people FROM cdp.scores WHERE name IN ('none', 'sum') ORDER BY 1;
SELECT bool_and(sum_percentile = ceil((SELECT count(*) FROM cdp.profiles o WHERE o.sum <= p.sum) * 100.0 / people)) AS percentile, count(DISTINCT sum) < min(people) AS ties FROM cdp.profiles p, cdp.scores s WHERE s.name = 'sum' AND p.sum IS NOT NULL;
SELECT cdp.drop_score('none');

-- The expressions and names of its traits are the score's.
SELECT cdp.alter_computed_trait('churn', 'count(*)::float8');
SELECT cdp.create_computed_trait('churn', 'count(*)::float8', replace => true);
SELECT cdp.alter_computed_trait('churn_percentile', '50');
SELECT cdp.create_computed_trait('churn_percentile', '50', replace => true);
SELECT cdp.drop_computed_trait('churn_percentile', cascade => true);
SELECT cdp.rename_computed_trait('churn_percentile', 'leaving_percentile');
SELECT cdp.rename_computed_trait('orders', 'churn_percentile');
SELECT cdp.alter_computed_trait('churn', description => 'who will not buy again');
SELECT description FROM cdp.scores WHERE name = 'churn';

-- A training set as of its own time; the distribution of its scores is what drift is measured by.
SELECT cdp.create_computed_trait('idle', $$extract(epoch FROM now() - max(event.occurred_at))::float8 / 86400$$);
SELECT cdp.training_sql(ARRAY['orders', 'idle'], $$
	SELECT profile_id, timestamptz '2026-04-01' AS as_of, bool_or(occurred_at >= '2026-04-01') AS label
	FROM cdp.events GROUP BY profile_id HAVING min(occurred_at) < '2026-04-01'$$) AS query \gset
CREATE TABLE example AS :query;
CREATE TABLE trained AS SELECT cdp.train_logit(:'query', 'label', ARRAY['orders', 'idle'], options => cdp.logit_options(l2 => 1)) AS model;
SELECT bool_and(e.orders = v.orders AND e.idle = v.idle) AS as_of_its_time
FROM example e JOIN (SELECT profile_id, count(*) AS orders, extract(epoch FROM timestamptz '2026-04-01' - max(occurred_at)) / 86400 AS idle FROM cdp.events WHERE occurred_at <= '2026-04-01' GROUP BY 1) v USING (profile_id);
SELECT cdp.register_model('buys', model, cdp.quality((SELECT cdp.metrics_agg(cdp.predict(model, ARRAY[orders, idle]), label) FROM example)),
	scores => (SELECT array_agg(cdp.predict(model, ARRAY[orders, idle])) FROM example)) FROM trained;
SELECT quality ?& ARRAY['n', 'auc', 'ks', 'lift_at_tenth', 'positive', 'rows', 'converged'] AS figures FROM cdp.models WHERE name = 'buys';
SELECT cdp.create_score('buys', 'buys', 'cdp.predict(model, ARRAY[profile.orders, profile.idle])');
CALL cdp.refresh();
SELECT s.name, cardinality(bounds) = cardinality(shares) - 1 AS bins, s.drift > 0.25 AS drifted, abs(s.drift - cdp.stability_index(s.expected_shares, s.shares)) < 1e-12 AS index,
	(SELECT bool_and(abs(a - b) < 1e-12) FROM unnest(cdp.bin_shares((SELECT array_agg(p.buys) FROM cdp.profiles p), s.bounds), s.shares) t (a, b)) AS shares
FROM cdp.scores s WHERE s.name = 'buys';
SELECT "check", severity, regexp_replace(detail, '[0-9]+[.][0-9]+', '...', 'g') AS detail FROM cdp.health;
-- A model of another type under the same name: the expression means its functions.
CREATE TABLE boosted AS SELECT cdp.train_gbt(format('SELECT label, orders, idle FROM (%s) AS example ORDER BY profile_id', :'query'), 'label', options => cdp.gbt_options(trees => 5)) AS model;
SELECT cdp.register_model('buys', model) FROM boosted;
CALL cdp.refresh();
SELECT bool_and(abs(p.buys - cdp.predict(model, ARRAY[p.orders, p.idle])) < 1e-12) AS by_trees FROM cdp.profiles p, boosted;
SELECT model_version, drift FROM cdp.scores WHERE name = 'buys';
-- A score that could not be evaluated anyway does not stand in the way, and goes on with the new one.
CREATE FUNCTION twice(double precision) RETURNS double precision LANGUAGE sql IMMUTABLE RETURN 2 * $1;
SELECT cdp.create_score('doubled', 'buys', 'twice(cdp.predict(model, ARRAY[profile.orders, profile.idle]))');
DROP FUNCTION twice(double precision);
-- One of a role that is gone stays that role's.
CREATE ROLE regress_cdp_score_owner;
SELECT cdp.grant_access('regress_cdp_score_owner', 'reader');
SELECT cdp.create_score('orphan', 'buys', 'cdp.predict(model, ARRAY[profile.orders, profile.idle])', owner => 'regress_cdp_score_owner');
DROP OWNED BY regress_cdp_score_owner;
DROP ROLE regress_cdp_score_owner;
CREATE TABLE linear AS SELECT cdp.train_logit(:'query', 'label', ARRAY['orders', 'idle'], options => cdp.logit_options(l2 => 2)) AS model;
SELECT cdp.register_model('buys', model) FROM linear;
SELECT owner FROM cdp.scores WHERE name = 'orphan';
SELECT cdp.drop_score('orphan');
CALL cdp.refresh();
SELECT bool_and(abs(p.buys - cdp.predict(model, ARRAY[p.orders, p.idle])) < 1e-6) AS by_the_new_one FROM cdp.profiles p, linear;
SELECT name, status, error FROM cdp.scores WHERE model = 'buys' ORDER BY 1;
CREATE FUNCTION twice(double precision) RETURNS double precision LANGUAGE sql IMMUTABLE RETURN 2 * $1;
CALL cdp.refresh();
SELECT bool_and(abs(p.doubled - 2 * p.buys) < 1e-6) AS twice_of_the_new_one FROM cdp.profiles p;
SELECT name, status, error FROM cdp.scores WHERE model = 'buys' ORDER BY 1;
SELECT cdp.drop_score('doubled');
DROP FUNCTION twice(double precision);
DROP TABLE linear;
-- One that the expression cannot be used with is refused.
\set VERBOSITY terse
SELECT cdp.register_model('buys', :'first'::cdp.lifetime_model);
\set VERBOSITY default
SELECT max(version) FROM cdp.models WHERE name = 'buys';

-- An old model.
UPDATE cdp_data.model SET registered_at = now() - interval '200 days' WHERE name = 'repeat';
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" LIKE 'model%';
SELECT cdp.configure('max_model_age', '300');
SELECT "check" FROM cdp.health;
SELECT cdp.configure('max_model_age', NULL);

-- Distributions.
SELECT cdp.bin_shares('{1,2,3,NULL,4}', '{2,4}'), cdp.bin_shares('{}', '{1}'), cdp.stability_index('{0.5,0.5}', '{0.5,0.5}') AS same, round(cdp.stability_index('{0.5,0.5}', '{0.9,0.1}')::numeric, 6) AS moved,
	round(cdp.stability_index('{1,0}', '{0,1}')::numeric, 6) AS all_moved;
SELECT cdp.stability_index('{1}', '{0.5,0.5}') AS other_bins, cdp.stability_index('{}', '{}') AS no_bins, cdp.stability_index(NULL, '{1}') AS nothing;

-- Dropping.
SELECT cdp.drop_model('repeat');
SELECT cdp.drop_model('missing');
SELECT cdp.drop_score('missing');
SELECT cdp.drop_score('churn');
SELECT cdp.drop_computed_trait('buys');
SELECT cdp.drop_score('churn', cascade => true);
SELECT cdp.drop_model('repeat');
SELECT cdp.rename_computed_trait('buys', 'purchase');
SELECT name FROM cdp.scores ORDER BY 1;
-- A score whose trait is dropped is none.
SELECT cdp.create_score('short', 'other', 'cdp.expected_purchases(model, 1, 0, 0, 0)');
SELECT cdp.drop_computed_trait('short', cascade => true);
SELECT name FROM cdp.scores ORDER BY 1;
SELECT cdp.create_computed_trait('short', 'count(*)::float8');
SELECT name FROM cdp.scores ORDER BY 1;
SELECT cdp.drop_score('short');
SELECT cdp.drop_computed_trait('short');
SELECT cdp.create_score('short', 'other', 'cdp.expected_purchases(model, 2, 0, 0, 0)');
SELECT cdp.drop_score('short');

-- What is stored outlives the extension.
DROP TABLE trained, boosted;
DROP FUNCTION pg_temp.customer;
SELECT cdp.teardown(true);
DROP EXTENSION cdp;
CREATE EXTENSION cdp;
SELECT cdp.setup() IS NOT NULL AS set_up;
SELECT name, model, model_version FROM cdp.scores ORDER BY 1;
CALL cdp.refresh();
SELECT name, status FROM cdp.scores ORDER BY 1;

SELECT cdp.teardown(false);
DROP TABLE bought, example;
