-- score: how the inputs of models are distributed, at training and now.
--
-- cdp.train_logit and cdp.train_gbt keep in the model how each feature was
-- distributed: "bins" of its features.  A refresh compares a sample of those who
-- are scored with that.

CREATE FUNCTION cdp.input_bins(model cdp.logit_model, features double precision[]) RETURNS smallint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_input_bins';
COMMENT ON FUNCTION cdp.input_bins(cdp.logit_model, double precision[]) IS
'The bin of each input of a model, from 0, in the order of cdp.feature_shares; arguments as of cdp.predict.  NULL where the model does not say how its features were distributed, or the array has another length.';

CREATE FUNCTION cdp.input_bins(model cdp.logit_model, features double precision[], categories text[]) RETURNS smallint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_input_bins';
COMMENT ON FUNCTION cdp.input_bins(cdp.logit_model, double precision[], text[]) IS
'The bin of each input of a model with categories, from 0, in the order of cdp.feature_shares; arguments as of cdp.predict.';

CREATE FUNCTION cdp.input_bins(model cdp.logit_model, "row" record) RETURNS smallint[]
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_input_bins_row';
COMMENT ON FUNCTION cdp.input_bins(cdp.logit_model, record) IS
'The bin of each input of a model, from 0, in the order of cdp.feature_shares; arguments as of cdp.predict_row.';

CREATE FUNCTION cdp.input_bins(model cdp.gbt_model, features double precision[]) RETURNS smallint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_input_bins';
COMMENT ON FUNCTION cdp.input_bins(cdp.gbt_model, double precision[]) IS
'The bin of each input of boosted trees, from 0, in the order of cdp.feature_shares; arguments as of cdp.predict.  NULL where the model does not say how its features were distributed, or the array has another length.';

CREATE FUNCTION cdp.input_bins(model cdp.gbt_model, features double precision[], categories text[]) RETURNS smallint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_input_bins';
COMMENT ON FUNCTION cdp.input_bins(cdp.gbt_model, double precision[], text[]) IS
'The bin of each input of boosted trees with categories, from 0, in the order of cdp.feature_shares; arguments as of cdp.predict.';

CREATE FUNCTION cdp.input_bins(model cdp.gbt_model, "row" record) RETURNS smallint[]
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_input_bins_row';
COMMENT ON FUNCTION cdp.input_bins(cdp.gbt_model, record) IS
'The bin of each input of boosted trees, from 0, in the order of cdp.feature_shares; arguments as of cdp.predict_row.';

CREATE FUNCTION cdp.feature_shares(
    model jsonb, OUT place integer, OUT feature text, OUT bounds double precision[], OUT levels text[], OUT shares double precision[])
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $shares$
    SELECT pg_catalog.row_number() OVER (ORDER BY f.place, b.place)::integer,
           CASE WHEN f.value->>'type' = 'vector' THEN pg_catalog.format('%s[%s]', f.value->>'name', b.place) ELSE f.value->>'name' END,
           CASE WHEN b.value ? 'bounds' THEN ARRAY(SELECT n.value::double precision FROM pg_catalog.jsonb_array_elements_text(b.value->'bounds') WITH ORDINALITY AS n(value, place) ORDER BY n.place) END,
           CASE WHEN f.value ? 'levels' THEN ARRAY(SELECT n.value FROM pg_catalog.jsonb_array_elements_text(f.value->'levels') WITH ORDINALITY AS n(value, place) ORDER BY n.place) END,
           ARRAY(SELECT n.value::double precision FROM pg_catalog.jsonb_array_elements_text(b.value->'shares') WITH ORDINALITY AS n(value, place) ORDER BY n.place)
    FROM pg_catalog.jsonb_array_elements(model->'features') WITH ORDINALITY AS f(value, place)
    CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(f.value->'bins') WITH ORDINALITY AS b(value, place)
    ORDER BY f.place, b.place
$shares$;
COMMENT ON FUNCTION cdp.feature_shares(jsonb) IS
'How the features of a model (cast to jsonb) were distributed when cdp.train_logit or cdp.train_gbt trained it, a row for each number and category.  Of a number: borders of the bins, and the share of rows below the first of them, from each to the next, from the last one on, and without a value.  Of a category: its levels, and the share of each, of others, and without one.  No rows for a model that does not say.';

CREATE FUNCTION cdp.model_look_up(type text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.format('(SELECT m.value::%s FROM cdp.models AS m WHERE m.name OPERATOR(pg_catalog.=) %L AND m.is_current)', type, name);
END;
COMMENT ON FUNCTION cdp.model_look_up(text, text) IS
'Internal: what stands in the expression of a score for its model.  The sub-select stands alone, so a statement looks the model up once.';

CREATE FUNCTION cdp.count_inputs(
    score text, look_up text, every integer, OUT place integer, OUT counts bigint[], OUT people bigint, OUT problem text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_count_inputs';
COMMENT ON FUNCTION cdp.count_inputs(text, text, integer) IS
'Part of cdp.refresh: in how many of those who are scored each input of the score''s model falls into each bin, in the order of cdp.feature_shares; of every so many people, chosen by their ids.  look_up: what stands for the model in the definition.  One row with the problem where the inputs cannot be told.';

CREATE FUNCTION cdp.note_inputs(score text, model_id integer, everybody bigint, scored_at timestamptz) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
#variable_conflict use_column
DECLARE
    -- So many people tell the index to 0.01 or so.
    enough CONSTANT integer := 10000;
    -- From here on much has changed: what is moderate is noted since when.
    moderate CONSTANT double precision := 0.1;
    -- Rarer levels count as others: each bin adds to what the index is by chance.
    rare CONSTANT double precision := 0.01;
    model record;
    input record;
    expected double precision[];
    actual double precision[];
    kept text[];
    last_place integer := 0;
    how_many double precision;
    problem text;
    index double precision;
BEGIN
    SELECT m.type, m.name, m.value INTO STRICT model FROM cdp_data.model AS m WHERE m.model_id = $2;
    IF model.type NOT IN ('cdp.logit_model', 'cdp.gbt_model') THEN
        problem := 'a model of this kind has no features';
    ELSIF NOT EXISTS (SELECT FROM cdp.feature_shares(model.value::jsonb)) THEN
        problem := 'the model does not say how its features were distributed; cdp.train_logit and cdp.train_gbt note it';
    ELSE
        FOR input IN
            SELECT f.place, f.feature, f.bounds, f.levels, f.shares, c.counts, c.people, c.problem
            FROM cdp.count_inputs($1, cdp.model_look_up(model.type, model.name), GREATEST($3 / enough, 1)::integer) AS c
            LEFT JOIN cdp.feature_shares(model.value::jsonb) AS f ON f.place = c.place
            ORDER BY f.place
        LOOP
            IF input.place IS NULL THEN
                problem := COALESCE(input.problem, 'its expression has other features than the model');
                EXIT;
            END IF;
            last_place := input.place;
            how_many := NULLIF(input.people, 0);
            IF input.levels IS NULL THEN
                kept := NULL;
                expected := input.shares;
                actual := ARRAY(SELECT COALESCE(input.counts[i], 0) / how_many FROM pg_catalog.generate_series(1, pg_catalog.cardinality(expected)) AS i ORDER BY i);
            ELSE
                SELECT COALESCE(pg_catalog.array_agg(l.level ORDER BY l.i) FILTER (WHERE NOT l.is_rare), '{}'),
                       pg_catalog.array_cat(pg_catalog.array_agg(l.expected ORDER BY l.i) FILTER (WHERE NOT l.is_rare AND l.level IS NOT NULL),
                           ARRAY[pg_catalog.sum(l.expected) FILTER (WHERE l.is_rare), pg_catalog.max(l.expected) FILTER (WHERE l.is_none)]),
                       pg_catalog.array_cat(pg_catalog.array_agg(l.actual ORDER BY l.i) FILTER (WHERE NOT l.is_rare AND l.level IS NOT NULL),
                           ARRAY[pg_catalog.sum(l.actual) FILTER (WHERE l.is_rare), pg_catalog.max(l.actual) FILTER (WHERE l.is_none)])
                INTO kept, expected, actual
                FROM (SELECT i, input.levels[i] AS level, input.shares[i] AS expected, COALESCE(input.counts[i], 0) / how_many AS actual,
                             i > pg_catalog.cardinality(input.levels) + 1 AS is_none,
                             i = pg_catalog.cardinality(input.levels) + 1 OR i <= pg_catalog.cardinality(input.levels) AND input.shares[i] < rare AS is_rare
                      FROM pg_catalog.generate_series(1, pg_catalog.cardinality(input.levels) + 2) AS i) AS l;
                kept := pg_catalog.array_remove(kept, NULL);
            END IF;
            index := cdp.stability_index(expected, actual);
            INSERT INTO cdp_data.score_input AS s (name, place, model_id, feature, bounds, levels, expected_shares, shares, people, drift, drifted_since, measured_at)
            VALUES ($1, input.place, $2, input.feature, input.bounds, kept, expected, actual, input.people, index, CASE WHEN index > moderate THEN $4 END, $4)
            ON CONFLICT ON CONSTRAINT score_input_pkey DO UPDATE
            SET model_id = EXCLUDED.model_id, feature = EXCLUDED.feature, bounds = EXCLUDED.bounds, levels = EXCLUDED.levels,
                expected_shares = EXCLUDED.expected_shares, shares = EXCLUDED.shares, people = EXCLUDED.people, drift = EXCLUDED.drift,
                drifted_since = CASE WHEN EXCLUDED.drifted_since IS NOT NULL AND (s.model_id, s.feature) = (EXCLUDED.model_id, EXCLUDED.feature)
                                     THEN COALESCE(s.drifted_since, EXCLUDED.drifted_since) ELSE EXCLUDED.drifted_since END,
                measured_at = EXCLUDED.measured_at;
        END LOOP;
    END IF;
    DELETE FROM cdp_data.score_input AS s WHERE s.name = $1 AND s.place > last_place;
    RETURN problem;
END
$note$;
COMMENT ON FUNCTION cdp.note_inputs(text, integer, bigint, timestamptz) IS
'Part of cdp.refresh: notes how far the features of those who are scored are from those at training.  Returns why they are not compared, NULL if they are.';
