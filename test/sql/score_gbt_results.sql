-- Boosted trees on data that are made here: what XGBoost says and what the trees
-- taken over say agree, missing values and categories included.
CREATE FUNCTION pg_temp.uniform(text) RETURNS double precision LANGUAGE sql IMMUTABLE
	RETURN (('x' || substr(md5($1), 1, 8))::bit(32)::bigint + 0.5) / 4294967296;
CREATE TABLE boosted AS
SELECT i AS id, CASE WHEN i % 11 <> 0 THEN x1 END AS x1, x2, CASE WHEN i % 13 <> 0 THEN kind END AS kind,
	pg_temp.uniform(i || 'y') < CASE WHEN abs(x1) < 1 THEN 0.8 WHEN kind = 'b' THEN 0.5 ELSE 0.1 END AS y
FROM (SELECT i, 4 * pg_temp.uniform(i || 'a') - 2 AS x1, pg_temp.uniform(i || 'b') AS x2, (ARRAY['a', 'b', 'c'])[1 + i % 3] AS kind FROM generate_series(1, 4000) i) s;

CREATE TABLE trees AS
SELECT cdp.train_gbt('SELECT y, x1, x2, kind FROM boosted WHERE id <= 3000 ORDER BY id', 'y', options => cdp.gbt_options(trees => 60, depth => 4)) AS model;
-- The first 200 rows were predicted and explained by XGBoost as well.
SELECT (model::jsonb->>'largest_difference')::float8 < 1e-6 AS agrees, jsonb_array_length(model::jsonb->'trees') AS trees, model::jsonb->'n' AS n FROM trees;
-- What no straight line can tell.
SELECT cdp.auc(cdp.predict_row(model, b), y) > 0.75 AS trees,
	cdp.auc(cdp.predict_row((SELECT cdp.train_logit('SELECT y, x1, x2, kind FROM boosted WHERE id <= 3000', 'y')), b), y) < 0.65 AS line
FROM boosted b, trees WHERE id > 3000;
-- The three ways to predict, and contributions that add up to the log odds.
SELECT bool_and(p = cdp.predict(model, ARRAY[x1, x2], ARRAY[kind])) AS arrays, max(abs(total - ln(p / (1 - p)))) < 1e-9 AS complete
FROM (SELECT b.*, model, cdp.predict_row(model, b) AS p, (SELECT sum(contribution) FROM cdp.explain_prediction(model, b)) AS total FROM boosted b, trees WHERE id <= 300) s;
SELECT e.feature, abs(e.contribution - a.contribution) < 1e-12 AS same
FROM trees, boosted b, cdp.explain_prediction(model, b) WITH ORDINALITY e JOIN cdp.explain_prediction((SELECT model FROM trees), ARRAY[(SELECT x1 FROM boosted WHERE id = 1), (SELECT x2 FROM boosted WHERE id = 1)], ARRAY[(SELECT kind FROM boosted WHERE id = 1)]) a USING (feature)
WHERE b.id = 1 ORDER BY e.ordinality;
-- The same rows and seed, the same model; another seed, another one.
SELECT a::text = b::text AS same, a::jsonb->'trees' <> c::jsonb->'trees' AS other_seed
FROM (SELECT cdp.train_gbt(q, 'y', options => cdp.gbt_options(trees => 20, row_share => 0.5, seed => 1)) AS a, cdp.train_gbt(q, 'y', options => cdp.gbt_options(trees => 20, row_share => 0.5, seed => 1)) AS b,
	cdp.train_gbt(q, 'y', options => cdp.gbt_options(trees => 20, row_share => 0.5, seed => 2)) AS c
	FROM (VALUES ('SELECT y, ARRAY[x1, x2] AS x FROM boosted ORDER BY id')) v (q)) s;
-- Weights count.
SELECT abs(avg(cdp.predict_row(model, b)) - 0.5) < 0.1 AS balanced
FROM boosted b, (SELECT cdp.train_gbt('SELECT *, CASE WHEN y THEN n - positive ELSE positive END AS w FROM boosted, (SELECT count(*) AS n, count(*) FILTER (WHERE y) AS positive FROM boosted) c ORDER BY id', 'y', '{x1,x2,kind}', 'w') AS model) m;
-- The document is the text, and it is read again.
SELECT model::text::cdp.gbt_model::text = model::text AS text_form FROM trees;

-- What cannot be trained.
SELECT cdp.train_gbt('SELECT true AS y, x1 FROM boosted', 'y');
SELECT cdp.train_gbt('SELECT y, x1 FROM boosted WHERE false', 'y');
SELECT cdp.train_gbt('SELECT y, x1 FROM boosted', 'z');
SELECT cdp.train_gbt('SELECT y, x1 FROM boosted', 'y', options => cdp.gbt_options(depth => 40));
SELECT cdp.train_gbt('SELECT y, 1e300 AS x FROM boosted', 'y');
SELECT cdp.train_gbt('SELECT id AS y, x1 FROM boosted', 'y');
SET maintenance_work_mem = '1MB';
SELECT cdp.train_gbt('SELECT y, array_fill(x1, ARRAY[100]) AS x FROM boosted', 'y');
RESET maintenance_work_mem;
SELECT cdp.predict(model, '{1}', '{a}') FROM trees;
SELECT cdp.predict(model, '{1,2}') FROM trees;
SELECT cdp.predict_row(model, ROW(1)) FROM trees;

-- Predictions need no XGBoost; a model written by hand.
SELECT x, round(cdp.predict('{"model": "gbt", "version": 1, "base": 0, "features": [{"name": "x", "type": "number"}], "trees": [{"feature": [0, 0, 0], "threshold": [0.5, 0, 0], "left": [1, -1, -1], "right": [2, -1, -1], "missing_left": [1, 0, 0], "value": [0, -1, 1], "cover": [4, 1, 3]}]}'::cdp.gbt_model, ARRAY[x])::numeric, 6) AS probability
FROM unnest(ARRAY[0.4, 0.5, NULL]::float8[]) x;
SELECT feature, contribution FROM cdp.explain_prediction('{"model": "gbt", "version": 1, "base": 0, "features": [{"name": "x", "type": "number"}], "trees": [{"feature": [0, 0, 0], "threshold": [0.5, 0, 0], "left": [1, -1, -1], "right": [2, -1, -1], "missing_left": [1, 0, 0], "value": [0, -1, 1], "cover": [4, 1, 3]}]}'::cdp.gbt_model, '{0.7}'::float8[]);

-- Trees that nobody grew.
CREATE FUNCTION pg_temp.tree(text) RETURNS text LANGUAGE sql IMMUTABLE
	RETURN '{"model": "gbt", "version": 1, "base": 0, "features": [{"name": "x", "type": "number"}], "trees": [' || $1 || ']}';
SELECT pg_temp.tree('7')::cdp.gbt_model;
SELECT pg_temp.tree('{}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [], "threshold": [], "left": [], "right": [], "missing_left": [], "value": [], "cover": []}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0], "threshold": [0], "left": [0], "right": [0], "missing_left": [0], "value": [0], "cover": [1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0], "threshold": [0], "left": [1], "right": [2], "missing_left": [0], "value": [0], "cover": [1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0], "threshold": [0], "left": [-1], "right": [-1], "missing_left": [0], "value": [0], "cover": [1, 2]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [1, 0, 0], "threshold": [0, 0, 0], "left": [1, -1, -1], "right": [2, -1, -1], "missing_left": [0, 0, 0], "value": [0, 0, 0], "cover": [1, 1, 1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0, 0, 0], "threshold": [0, 0, 0], "left": [1, -1, -1], "right": [1, -1, -1], "missing_left": [0, 0, 0], "value": [0, 0, 0], "cover": [1, 1, 1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0, 0, 0], "threshold": [0, 0, 0], "left": [1, -1, -1], "right": [2, -1, -1], "missing_left": [0, 0, 0], "value": [0, 0, 0], "cover": [1, 0, 1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0, 0], "threshold": [0, 0], "left": [-1, -1], "right": [-1, -1], "missing_left": [0, 0], "value": [0, 0], "cover": [1, 1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0], "threshold": [0], "left": [-1.5], "right": [-1], "missing_left": [0], "value": [0], "cover": [1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0], "threshold": ["a"], "left": [-1], "right": [-1], "missing_left": [0], "value": [0], "cover": [1]}')::cdp.gbt_model;
SELECT pg_temp.tree('{"feature": [0], "threshold": [1e300], "left": [-1], "right": [-1], "missing_left": [0], "value": [0], "cover": [1]}')::cdp.gbt_model;
-- deeper than a tree may be
SELECT pg_temp.tree(format('{"feature": [%1$s], "threshold": [%1$s], "left": [%2$s], "right": [%3$s], "missing_left": [%1$s], "value": [%1$s], "cover": [%4$s]}',
	string_agg('0', ', '), string_agg(CASE WHEN i % 2 = 0 AND i < 40 THEN i + 1 ELSE -1 END::text, ', ' ORDER BY i),
	string_agg(CASE WHEN i % 2 = 0 AND i < 40 THEN i + 2 ELSE -1 END::text, ', ' ORDER BY i), string_agg('1', ', ')))::cdp.gbt_model
FROM generate_series(0, 40) i;
SELECT '{"model": "gbt", "version": 1, "features": [], "trees": []}'::cdp.gbt_model;
SELECT cdp.predict('{"model": "gbt", "version": 1, "base": 0, "features": [], "trees": []}'::cdp.gbt_model, '{}'::float8[]) AS no_trees;
DROP TABLE boosted, trees;
