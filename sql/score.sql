-- score: models and scores in the platform.
--
-- A score is a computed trait whose expression calls a model: the word model in
-- it becomes a look-up in the registry, which a statement does once.  Beside it
-- stands a computed trait with its percentile, which reads the borders that the
-- evaluation of the score left.

-- ---------- distributions ----------

CREATE FUNCTION cdp.stability_index(expected double precision[], actual double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.sum((GREATEST(s.actual, 0.0001) OPERATOR(pg_catalog.-) GREATEST(s.expected, 0.0001))
                          OPERATOR(pg_catalog.*) pg_catalog.ln(GREATEST(s.actual, 0.0001) OPERATOR(pg_catalog./) GREATEST(s.expected, 0.0001)))
    FROM ROWS FROM (pg_catalog.unnest(expected), pg_catalog.unnest(actual)) AS s(expected, actual)
    WHERE pg_catalog.cardinality(stability_index.expected) OPERATOR(pg_catalog.=) pg_catalog.cardinality(stability_index.actual);
END;
COMMENT ON FUNCTION cdp.stability_index(double precision[], double precision[]) IS
'Population stability index of two distributions over the same bins, given as shares: the sum of (actual - expected) ln(actual / expected), no share counting less than 0.0001.  Below 0.1 little has changed, above 0.25 much.  NULL where they have different numbers of bins.';

CREATE FUNCTION cdp.bin_shares(scores double precision[], bounds double precision[]) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $shares$
    SELECT pg_catalog.array_agg(COALESCE(c.count, 0) / NULLIF(t.count, 0)::double precision ORDER BY b)
    FROM pg_catalog.generate_series(0, pg_catalog.cardinality(bounds)) AS b
    LEFT JOIN (SELECT pg_catalog.width_bucket(s, bounds) AS bin, pg_catalog.count(*) AS count FROM pg_catalog.unnest(scores) AS s WHERE s IS NOT NULL GROUP BY 1) AS c ON c.bin = b
    CROSS JOIN (SELECT pg_catalog.count(s) AS count FROM pg_catalog.unnest(scores) AS s) AS t
$shares$;
COMMENT ON FUNCTION cdp.bin_shares(double precision[], double precision[]) IS
'The share of scores below the first of ascending borders, from each to the next, and from the last one on; NULLs do not count.';

CREATE FUNCTION cdp.quality(metrics cdp.metrics) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $quality$
    SELECT pg_catalog.jsonb_build_object('rows', s.n, 'positive', s.positive, 'auc', cdp.auc(metrics), 'ks', cdp.ks_statistic(metrics), 'lift_at_tenth', cdp.lift(metrics, 0.1))
    FROM cdp.metrics_summary(metrics) AS s
$quality$;
COMMENT ON FUNCTION cdp.quality(cdp.metrics) IS
'Figures of quality for cdp.register_model: rows, positive ones, AUC, KS and the lift of the tenth with the highest scores.';

-- ---------- models ----------

CREATE FUNCTION cdp.require_model(name text) RETURNS integer
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
DECLARE
    found_id integer;
BEGIN
    IF $1 IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'name of the model must not be null';
    END IF;
    SELECT m.model_id INTO found_id FROM cdp_data.model AS m WHERE m.name = $1 ORDER BY m.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('model "%s" does not exist', $1),
            HINT = 'The view cdp.models lists the models; cdp.register_model registers one.';
    END IF;
    RETURN found_id;
END
$require$;
COMMENT ON FUNCTION cdp.require_model(text) IS 'Internal: the key of the current version of a model; an error when there is none of that name.';

CREATE FUNCTION cdp.register_model(
    name text, model anyelement, quality jsonb DEFAULT NULL, training jsonb DEFAULT NULL, scores double precision[] DEFAULT NULL,
    description text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $register$
DECLARE
    given_type CONSTANT text := pg_catalog.pg_typeof(model)::text;
    known record;
    is_known boolean;
    new_version integer;
    document jsonb;
    figures jsonb;
    borders double precision[];
    user_score record;
    is_broken boolean;
BEGIN
    PERFORM cdp.require_storage();
    PERFORM cdp.require_admin();
    IF name IS NULL OR model IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = CASE WHEN name IS NULL THEN 'name of the model must not be null' ELSE 'model must not be null' END;
    END IF;
    IF name = '' OR pg_catalog.octet_length(name) > 63 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid name for a model: "%s"', name),
            HINT = 'A name has 1 to 63 bytes.';
    END IF;
    IF given_type NOT IN ('cdp.lifetime_model', 'cdp.logit_model', 'cdp.gbt_model', 'cdp.calibration') THEN
        RAISE datatype_mismatch USING
            MESSAGE = pg_catalog.format('a value of type %s is not a model', given_type),
            HINT = 'Models are values of type cdp.lifetime_model, cdp.logit_model, cdp.gbt_model and cdp.calibration.';
    END IF;
    IF pg_catalog.jsonb_typeof(quality) <> 'object' OR pg_catalog.jsonb_typeof(training) <> 'object' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'quality and training must be JSON objects',
            HINT = 'For example jsonb_build_object(''auc'', 0.81), or cdp.quality(metrics).';
    END IF;

    -- One registration of a name at a time.
    LOCK TABLE cdp_data.model IN SHARE ROW EXCLUSIVE MODE;
    document := model::text::jsonb;
    SELECT pg_catalog.jsonb_object_agg(d.key, d.value) INTO figures
    FROM pg_catalog.jsonb_each(document) AS d WHERE d.key IN ('n', 'converged', 'log_likelihood');
    figures := COALESCE(figures, '{}') || COALESCE(quality, '{}');
    IF pg_catalog.cardinality(scores) > 0 THEN
        SELECT pg_catalog.array_agg(DISTINCT b ORDER BY b) INTO borders
        FROM (SELECT pg_catalog.unnest(pg_catalog.percentile_disc(ARRAY[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) WITHIN GROUP (ORDER BY s)) AS b
              FROM pg_catalog.unnest(scores) AS s) AS decile
        WHERE b IS NOT NULL;
    END IF;

    SELECT m.* INTO known FROM cdp_data.model AS m WHERE m.name = register_model.name ORDER BY m.version DESC LIMIT 1;
    is_known := FOUND;
    -- The same again is none.
    IF is_known AND (known.type, known.value, known.quality, known.training, known.description, known.bounds)
            IS NOT DISTINCT FROM (given_type, model::text, figures, training, description, borders) THEN
        RETURN known.version;
    END IF;
    new_version := CASE WHEN is_known THEN known.version + 1 ELSE 1 END;
    INSERT INTO cdp_data.model (name, version, type, value, quality, training, bounds, shares, description)
    VALUES (name, new_version, given_type, model::text, figures, training, borders, cdp.bin_shares(scores, borders), description);

    -- Scores of a model of another type call other functions, and say so if they cannot.
    IF is_known AND known.type <> given_type THEN
        FOR user_score IN
            SELECT s.name, s.model, s.expression, s.search_path, e.definition, e.owner, e.time_zone, e.description,
                   (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = e.owner) AS owner_id
            FROM cdp_data.score AS s JOIN cdp_data.expression AS e ON e.kind = 'trait' AND e.name = s.name
            WHERE s.model = register_model.name ORDER BY s.name
        LOOP
            BEGIN
                -- Without its owner nobody else comes to be that.
                IF user_score.owner_id IS NULL THEN
                    RAISE undefined_object USING MESSAGE = pg_catalog.format('role "%s" does not exist', user_score.owner);
                END IF;
                PERFORM cdp.declare_score(user_score.name, user_score.model, user_score.expression, user_score.owner_id::regrole,
                    user_score.time_zone, user_score.description, user_score.search_path, true);
            EXCEPTION WHEN OTHERS THEN
                -- One that could not be evaluated before either holds nobody up: with the new type it waits for what it needs.
                BEGIN
                    PERFORM FROM cdp.analyse_expression('trait', user_score.name, user_score.definition, false, user_score.owner, user_score.time_zone, user_score.search_path);
                    is_broken := false;
                EXCEPTION WHEN OTHERS THEN
                    is_broken := true;
                END;
                IF NOT is_broken OR NOT pg_catalog.pg_has_role(user_score.owner_id, 'USAGE') THEN
                    RAISE;
                END IF;
                UPDATE cdp_data.expression AS e
                SET definition = cdp.score_definition(user_score.expression, given_type, user_score.model), changed_at = pg_catalog.now()
                WHERE e.kind = 'trait' AND e.name = user_score.name;
            END;
        END LOOP;
    END IF;
    PERFORM cdp.renew_expressions(ARRAY(
        SELECT e.expression_id FROM cdp_data.score AS s
        JOIN cdp_data.expression AS e ON e.kind = 'trait' AND e.name = s.name
        WHERE s.model = register_model.name));
    RETURN new_version;
END
$register$;
COMMENT ON FUNCTION cdp.register_model(text, anyelement, jsonb, jsonb, double precision[], text) IS
'Keeps a model under a name and returns its version, the first of that name or the next one; the same again is no new version.  quality: figures, such as cdp.quality(metrics) of rows that it was not trained on; training: what it was trained on; scores: those of the training rows, by which drift is measured (NULL: those of the first refresh).  Scores of the model are evaluated with the new version by the next refresh.';

CREATE FUNCTION cdp.drop_model(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $drop$
DECLARE
    users text;
BEGIN
    PERFORM cdp.require_storage();
    PERFORM cdp.require_admin();
    LOCK TABLE cdp_data.model IN SHARE ROW EXCLUSIVE MODE;
    PERFORM cdp.require_model($1);
    SELECT pg_catalog.string_agg(pg_catalog.format('"%s"', s.name), ', ' ORDER BY s.name) INTO users
    FROM cdp_data.score AS s JOIN cdp_data.expression AS e ON e.kind = 'trait' AND e.name = s.name
    WHERE s.model = $1;
    IF users IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = pg_catalog.format('cannot drop model "%s" because scores need it', $1),
            DETAIL = pg_catalog.format('These do: %s.', users),
            HINT = 'Drop them with cdp.drop_score first, or give them another model.';
    END IF;
    DELETE FROM cdp_data.model AS m WHERE m.name = $1;
END
$drop$;
COMMENT ON FUNCTION cdp.drop_model(text) IS 'Forgets all versions of a model; an error while scores need it.';

-- ---------- scores ----------

CREATE FUNCTION cdp.put_model(expression text, replacement text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_put_model';
COMMENT ON FUNCTION cdp.put_model(text, text) IS
'Internal: an expression with another one in place of the word model; an error where it does not stand there.';

CREATE FUNCTION cdp.score_definition(expression text, model_type text, model text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $definition$
BEGIN
    RETURN pg_catalog.format(E'(%s\n)::pg_catalog.float8', cdp.put_model(expression, cdp.model_look_up(model_type, model)));
END
$definition$;
COMMENT ON FUNCTION cdp.score_definition(text, text, text) IS
'Internal: the expression of the computed trait that is a score, by its expression and the type and name of its model.';

CREATE FUNCTION cdp.declare_score(
    name text, model text, expression text, owner regrole, time_zone text, description text, search_path text, replace boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $declare$
#variable_conflict use_column
DECLARE
    model_type text;
    known record;
BEGIN
    PERFORM cdp.require_declarer();
    IF $1 IS NULL OR $3 IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = CASE WHEN $1 IS NULL THEN 'name must not be null' ELSE 'expression must not be null' END;
    END IF;
    IF pg_catalog.octet_length($1) > 63 - pg_catalog.octet_length('_percentile') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid name for a score: "%s"', $1),
            HINT = 'Its percentile is a column called <name>_percentile, so a name has at most 52 bytes.';
    END IF;
    SELECT m.type INTO STRICT model_type FROM cdp_data.model AS m WHERE m.model_id = cdp.require_model($2);
    SELECT s.* INTO known FROM cdp_data.score AS s WHERE s.name = $1;
    IF NOT FOUND AND EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name IN ($1, $1 || '_percentile')) THEN
        RAISE duplicate_object USING
            MESSAGE = pg_catalog.format('computed trait "%s" exists and is no score',
                (SELECT pg_catalog.min(e.name) FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name IN ($1, $1 || '_percentile'))),
            HINT = 'Choose another name, or drop that trait with cdp.drop_computed_trait first.';
    END IF;

    -- The texts of its two traits are this function's: altering one of them would leave the score behind.
    IF (known.model, known.expression, known.search_path) <> ($2, $3, $7) AND NOT COALESCE($8, false)
       AND EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name = $1) THEN
        RAISE duplicate_object USING
            MESSAGE = pg_catalog.format('score "%s" already exists with another declaration', $1),
            HINT = 'Use replace => true.';
    END IF;

    PERFORM cdp.declare_expression('trait', $1,
        cdp.score_definition($3, model_type, $2),
        false, 'batch', true, $4, $5, $6, $7, true, $8);
    -- With a search_path of its own it is evaluated after the score, from the stored value; what reads it comes after it.
    PERFORM cdp.declare_expression('trait', $1 || '_percentile',
        pg_catalog.format('pg_catalog.width_bucket(profile.%I, (SELECT s.percentile_bounds FROM cdp.scores AS s WHERE s.name OPERATOR(pg_catalog.=) %L)) OPERATOR(pg_catalog.+) 1', $1, $1),
        false, 'batch', true, $4, $5, pg_catalog.format('percentage of people whose %s is not higher', $1), 'cdp, pg_catalog, pg_temp', true, true);
    -- What it was tells nothing of what it will be.
    IF (known.model, known.expression, known.search_path) IS DISTINCT FROM ($2, $3, $7) THEN
        DELETE FROM cdp_data.score_state AS s WHERE s.name = $1;
        DELETE FROM cdp_data.score_input AS s WHERE s.name = $1;
    END IF;
    INSERT INTO cdp_data.score AS s (name, model, expression, search_path) VALUES ($1, $2, $3, $7)
    ON CONFLICT ON CONSTRAINT score_pkey DO UPDATE SET model = EXCLUDED.model, expression = EXCLUDED.expression, search_path = EXCLUDED.search_path
    WHERE (s.model, s.expression, s.search_path) IS DISTINCT FROM (EXCLUDED.model, EXCLUDED.expression, EXCLUDED.search_path);
END
$declare$;
COMMENT ON FUNCTION cdp.declare_score(text, text, text, regrole, text, text, text, boolean) IS
'Internal: what cdp.create_score does: declares the two computed traits of a score.';

-- No pinned search_path, since the caller's is stored with the text; parsed here.
CREATE FUNCTION cdp.create_score(
    name text, model text, expression text, owner regrole DEFAULT NULL, time_zone text DEFAULT NULL,
    description text DEFAULT NULL, replace boolean DEFAULT false)
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.declare_score(name, model, expression, owner, time_zone, description, cdp.current_search_path(), replace);
END;
COMMENT ON FUNCTION cdp.create_score(text, text, text, regrole, text, text, boolean) IS
'Declares a score: a trait of everybody by a model of cdp.models.  The expression is one of cdp.create_computed_trait in which the word model stands for the current version of the model, such as cdp.predict(model, ARRAY[profile.orders, profile.visits]); its value is a double precision.  It becomes a column of cdp.profiles, with <name>_percentile beside it, both filled by the next refresh.  The same declaration again does nothing; another one needs replace => true.';

CREATE FUNCTION cdp.drop_score(name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $drop$
#variable_conflict use_column
BEGIN
    PERFORM cdp.require_declarer();
    IF NOT EXISTS (SELECT FROM cdp_data.score AS s WHERE s.name = $1) THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('score "%s" does not exist', $1),
            HINT = 'The view cdp.scores lists the scores.';
    END IF;
    IF EXISTS (SELECT FROM cdp_data.expression AS e WHERE e.kind = 'trait' AND e.name = $1 || '_percentile') THEN
        PERFORM cdp.remove_expression('trait', $1 || '_percentile', $2);
    END IF;
    PERFORM cdp.remove_expression('trait', $1, $2);
END
$drop$;
COMMENT ON FUNCTION cdp.drop_score(text, boolean) IS
'Drops a score, its percentile and their columns; an error while other expressions need one of them, unless cascade, which drops them as well.';

CREATE FUNCTION cdp.note_scores(expression_ids integer[], scored_at timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
#variable_conflict use_column
DECLARE
    -- Among fewer, cdp.health does not look at the index.
    enough CONSTANT bigint := 200;
    scored record;
    previous record;
    people bigint;
    everybody bigint;
    percentiles double precision[];
    tenths double precision[];
    borders double precision[];
    expected double precision[];
    now_shares double precision[];
BEGIN
    FOR scored IN
        SELECT s.name, m.model_id, m.bounds, m.shares
        FROM cdp_data.expression AS e
        JOIN cdp_data.score AS s ON s.name = e.name
        CROSS JOIN LATERAL (SELECT m.* FROM cdp_data.model AS m WHERE m.name = s.model ORDER BY m.version DESC LIMIT 1) AS m
        WHERE e.kind = 'trait' AND e.expression_id = ANY ($1)
    LOOP
        EXECUTE pg_catalog.format('SELECT pg_catalog.count(r.%1$I), pg_catalog.count(*) FROM cdp_data.profile_row AS r', scored.name)
        INTO people, everybody;
        -- The least score that more than i percent of them do not exceed: of n in order, that in place n i / 100 + 1, rounded down.
        EXECUTE pg_catalog.format('SELECT pg_catalog.percentile_disc($1) WITHIN GROUP (ORDER BY r.%1$I), pg_catalog.percentile_disc($2) WITHIN GROUP (ORDER BY r.%1$I) FROM cdp_data.profile_row AS r', scored.name)
        INTO percentiles, tenths
        USING ARRAY(SELECT (people * i / 100 + 0.5) / NULLIF(people, 0) FROM pg_catalog.generate_series(1, 99) AS i ORDER BY i)::double precision[],
              ARRAY[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]::double precision[];
        borders := scored.bounds;
        expected := scored.shares;
        IF borders IS NULL THEN
            -- The first refresh with a version, and with people enough, is what later ones are compared with.
            SELECT s.bounds, s.expected_shares INTO borders, expected FROM cdp_data.score_state AS s WHERE s.name = scored.name AND s.model_id = scored.model_id AND s.people >= enough;
            IF borders IS NULL THEN
                SELECT pg_catalog.array_agg(DISTINCT t ORDER BY t) INTO borders FROM pg_catalog.unnest(tenths) AS t;
                expected := NULL;
            END IF;
        END IF;
        EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(COALESCE(c.count, 0) / NULLIF($2, 0)::double precision ORDER BY b)
                                   FROM pg_catalog.generate_series(0, pg_catalog.cardinality($1)) AS b
                                   LEFT JOIN (SELECT pg_catalog.width_bucket(r.%1$I, $1) AS bin, pg_catalog.count(*) AS count
                                              FROM cdp_data.profile_row AS r WHERE r.%1$I IS NOT NULL GROUP BY 1) AS c ON c.bin = b', scored.name)
        INTO now_shares USING borders, people;
        INSERT INTO cdp_data.score_state AS s (name, model_id, scored_at, people, percentile_bounds, bounds, expected_shares, shares, drift, input_note)
        VALUES (scored.name, scored.model_id, $2, people, percentiles, borders, COALESCE(expected, now_shares), now_shares,
                cdp.stability_index(COALESCE(expected, now_shares), now_shares), cdp.note_inputs(scored.name, scored.model_id, everybody, $2))
        ON CONFLICT ON CONSTRAINT score_state_pkey DO UPDATE
        SET model_id = EXCLUDED.model_id, scored_at = EXCLUDED.scored_at, people = EXCLUDED.people, percentile_bounds = EXCLUDED.percentile_bounds,
            bounds = EXCLUDED.bounds, expected_shares = EXCLUDED.expected_shares, shares = EXCLUDED.shares, drift = EXCLUDED.drift,
            input_note = EXCLUDED.input_note;
    END LOOP;
END
$note$;
COMMENT ON FUNCTION cdp.note_scores(integer[], timestamptz) IS
'Part of cdp.refresh: notes of the scores among evaluated expressions by which model they are, how they and the features are distributed, and how far that is from training.';

-- ---------- health ----------

CREATE FUNCTION cdp.score_health(OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $health$
#variable_conflict use_column
DECLARE
    days CONSTANT integer := (SELECT o.value::integer FROM cdp.options AS o WHERE o.name = 'max_model_age');
    moderate CONSTANT double precision := 0.1;
    large CONSTANT double precision := 0.25;
BEGIN
    RETURN QUERY
    SELECT 'model is old', 'warning', pg_catalog.format('model "%s" was registered %s days ago', m.name, pg_catalog.date_part('day', pg_catalog.now() - m.registered_at)),
           'Train it again and register it with cdp.register_model; the option max_model_age says from when on it is old.', m.registered_at + pg_catalog.make_interval(days => days)
    FROM cdp_data.model AS m
    WHERE m.version = (SELECT pg_catalog.max(v.version) FROM cdp_data.model AS v WHERE v.name = m.name)
      AND m.registered_at < pg_catalog.now() - pg_catalog.make_interval(days => days)
      AND EXISTS (SELECT FROM cdp.scores AS s WHERE s.model = m.name)
    UNION ALL
    SELECT 'scores have drifted', 'warning', pg_catalog.format('score "%s" is distributed otherwise than when its model was trained: stability index %s', s.name, pg_catalog.round(s.drift::numeric, 2)),
           'Look at what changed in its input (cdp.scores has the shares), and train the model again.', s.scored_at
    -- Among few people the index is above that by chance.
    FROM cdp.scores AS s WHERE s.drift > 0.25 AND s.people >= 200
    UNION ALL
    SELECT 'features have drifted', CASE WHEN d.most > large THEN 'warning' ELSE 'info' END,
           pg_catalog.format('model "%s" of score "%s" gets features that are distributed otherwise than when it was trained: %s%s', d.model, d.score,
               pg_catalog.array_to_string(d.features[1:5], ', '), CASE WHEN pg_catalog.cardinality(d.features) > 5 THEN pg_catalog.format(' and %s more', pg_catalog.cardinality(d.features) - 5) END),
           'See cdp.score_inputs for their shares: mend what is wrong where they come from, or train the model again on recent rows and register it with cdp.register_model.', d.since
    FROM (SELECT i.score, i.model, pg_catalog.max(i.drift) AS most, pg_catalog.min(i.drifted_since) AS since,
                 pg_catalog.array_agg(pg_catalog.format('%s %s', i.feature, pg_catalog.round(i.drift::numeric, 2)) ORDER BY i.drift DESC, i.place) AS features
          -- What is moderate happens by chance among hundreds of people.
          FROM cdp.score_inputs AS i WHERE i.drift > large AND i.people >= 200 OR i.drift > moderate AND i.people >= 1000
          GROUP BY i.score, i.model) AS d;
END
$health$;
COMMENT ON FUNCTION cdp.score_health() IS
'Part of cdp.health: models of scores that are older than the option max_model_age, and scores and features whose distribution has drifted.';

-- ---------- views ----------

CREATE FUNCTION cdp.setup_score_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.models AS
        SELECT m.name, m.version, m.version OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(v.version) FROM cdp_data.model AS v WHERE v.name OPERATOR(pg_catalog.=) m.name) AS is_current,
               m.type, m.quality, m.training, m.description, m.registered_at, m.registered_by, m.model_id, m.value
        FROM cdp_data.model AS m;
    COMMENT ON VIEW cdp.models IS 'models with their versions; see cdp.register_model';
    COMMENT ON COLUMN cdp.models.name IS 'name';
    COMMENT ON COLUMN cdp.models.version IS 'version, counted from 1';
    COMMENT ON COLUMN cdp.models.is_current IS 'whether it is the one that scores are by';
    COMMENT ON COLUMN cdp.models.type IS 'type of the model';
    COMMENT ON COLUMN cdp.models.quality IS 'figures of its quality';
    COMMENT ON COLUMN cdp.models.training IS 'what it was trained on';
    COMMENT ON COLUMN cdp.models.description IS 'what it is for';
    COMMENT ON COLUMN cdp.models.registered_at IS 'when it was registered';
    COMMENT ON COLUMN cdp.models.registered_by IS 'by whom';
    COMMENT ON COLUMN cdp.models.model_id IS 'key of this version';
    COMMENT ON COLUMN cdp.models.value IS 'the model as text: value::cdp.logit_model, or whatever its type is';

    CREATE OR REPLACE VIEW cdp.scores AS
        SELECT s.name, s.model, s.expression, m.version AS model_version, t.model_id, t.scored_at, t.people, t.drift,
               t.bounds, t.expected_shares, t.shares, t.percentile_bounds, x.status, x.error, x.hint, e.owner, e.description, s.created_at, t.input_note
        FROM cdp_data.score AS s
        JOIN cdp_data.expression AS e ON e.kind OPERATOR(pg_catalog.=) 'trait' AND e.name OPERATOR(pg_catalog.=) s.name
        LEFT JOIN cdp_data.expression_state AS x ON x.expression_id OPERATOR(pg_catalog.=) e.expression_id
        LEFT JOIN cdp_data.score_state AS t ON t.name OPERATOR(pg_catalog.=) s.name
        LEFT JOIN cdp_data.model AS m ON m.model_id OPERATOR(pg_catalog.=) t.model_id;
    COMMENT ON VIEW cdp.scores IS 'scores; see cdp.create_score.  Their values, and <name>_percentile, are columns of cdp.profiles';
    COMMENT ON COLUMN cdp.scores.name IS 'name of the score and of its column';
    COMMENT ON COLUMN cdp.scores.model IS 'name of its model';
    COMMENT ON COLUMN cdp.scores.expression IS 'its expression, in which the word model is the model';
    COMMENT ON COLUMN cdp.scores.model_version IS 'version of the model that gave the stored values';
    COMMENT ON COLUMN cdp.scores.model_id IS 'key of that version';
    COMMENT ON COLUMN cdp.scores.scored_at IS 'when everybody was scored';
    COMMENT ON COLUMN cdp.scores.people IS 'how many people have a score';
    COMMENT ON COLUMN cdp.scores.drift IS 'population stability index of the scores against those at training, or at the first refresh with this version; above 0.25 cdp.health warns';
    COMMENT ON COLUMN cdp.scores.bounds IS 'borders of the bins by which that is measured';
    COMMENT ON COLUMN cdp.scores.expected_shares IS 'share of scores in each bin then';
    COMMENT ON COLUMN cdp.scores.shares IS 'the same now';
    COMMENT ON COLUMN cdp.scores.percentile_bounds IS 'the least scores that more than 1, 2 ... 99 percent of people do not exceed';
    COMMENT ON COLUMN cdp.scores.status IS 'new: not evaluated since it, or its model, was declared or changed; ok; failed';
    COMMENT ON COLUMN cdp.scores.error IS 'message of the error';
    COMMENT ON COLUMN cdp.scores.hint IS 'what to do';
    COMMENT ON COLUMN cdp.scores.owner IS 'role under which it runs';
    COMMENT ON COLUMN cdp.scores.description IS 'what it is for';
    COMMENT ON COLUMN cdp.scores.created_at IS 'when it was declared';
    COMMENT ON COLUMN cdp.scores.input_note IS 'why its features are not compared with those at training, and the scores alone are; NULL: cdp.score_inputs compares them';

    CREATE OR REPLACE VIEW cdp.score_inputs AS
        SELECT i.name AS score, i.feature, i.drift, i.drifted_since, i.people, i.bounds, i.levels, i.expected_shares, i.shares, i.measured_at,
               m.name AS model, m.version AS model_version, i.model_id, i.place
        FROM cdp_data.score_input AS i
        JOIN cdp_data.score AS s ON s.name OPERATOR(pg_catalog.=) i.name
        JOIN cdp_data.expression AS e ON e.kind OPERATOR(pg_catalog.=) 'trait' AND e.name OPERATOR(pg_catalog.=) s.name
        JOIN cdp_data.model AS m ON m.model_id OPERATOR(pg_catalog.=) i.model_id;
    COMMENT ON VIEW cdp.score_inputs IS 'features of scores: how they are distributed among those who are scored, and how they were when the model was trained';
    COMMENT ON COLUMN cdp.score_inputs.score IS 'name of the score';
    COMMENT ON COLUMN cdp.score_inputs.feature IS 'name of the feature, name[i] of an element of an array';
    COMMENT ON COLUMN cdp.score_inputs.drift IS 'population stability index of the two distributions: up to 0.1 little has changed, above 0.25 much';
    COMMENT ON COLUMN cdp.score_inputs.drifted_since IS 'since which refresh it has been above 0.1; NULL: it is not';
    COMMENT ON COLUMN cdp.score_inputs.people IS 'how many people were looked at: those who are scored, or a sample of about 10,000 of them, the same at each refresh';
    COMMENT ON COLUMN cdp.score_inputs.bounds IS 'of a number: ascending borders of the bins';
    COMMENT ON COLUMN cdp.score_inputs.levels IS 'of a category: levels that at least one of a hundred training rows had';
    COMMENT ON COLUMN cdp.score_inputs.expected_shares IS 'share of training rows below the first border, from each to the next, from the last one on, and without a value; or of each level, of others, and without one';
    COMMENT ON COLUMN cdp.score_inputs.shares IS 'the same of people now';
    COMMENT ON COLUMN cdp.score_inputs.measured_at IS 'when they were looked at';
    COMMENT ON COLUMN cdp.score_inputs.model IS 'name of the model';
    COMMENT ON COLUMN cdp.score_inputs.model_version IS 'version of the model';
    COMMENT ON COLUMN cdp.score_inputs.model_id IS 'key of that version';
    COMMENT ON COLUMN cdp.score_inputs.place IS 'place of the feature in the model, counted from 1';
END
$views$;
COMMENT ON FUNCTION cdp.setup_score_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability score.';
