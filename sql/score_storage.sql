-- score: the storage of models and scores.
--
-- A model is kept as text, not as a value of its type, since a column of such a
-- type would keep the extension from being dropped and created anew.

CREATE FUNCTION cdp.setup_score_storage() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $storage$
BEGIN
    CREATE TABLE cdp_data.model (
        model_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        -- It is part of the texts of scores, which run as their owners.
        type text NOT NULL CHECK (type IN ('cdp.lifetime_model', 'cdp.logit_model', 'cdp.gbt_model', 'cdp.calibration')),
        value text NOT NULL,
        quality jsonb NOT NULL,
        training jsonb,
        bounds double precision[],
        shares double precision[],
        description text,
        registered_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        registered_by name NOT NULL DEFAULT current_user,
        CONSTRAINT model_version UNIQUE (name, version)
    );
    COMMENT ON TABLE cdp_data.model IS 'versions of models; see cdp.register_model.  The one with the greatest version of a name is current';
    COMMENT ON COLUMN cdp_data.model.model_id IS 'key';
    COMMENT ON COLUMN cdp_data.model.name IS 'name';
    COMMENT ON COLUMN cdp_data.model.version IS 'version, counted from 1 for each name';
    COMMENT ON COLUMN cdp_data.model.type IS 'its type in schema cdp';
    COMMENT ON COLUMN cdp_data.model.value IS 'the model, as its type writes it';
    COMMENT ON COLUMN cdp_data.model.quality IS 'figures of its quality: what the model says of its fit, and what was given';
    COMMENT ON COLUMN cdp_data.model.training IS 'what it was trained on, as given';
    COMMENT ON COLUMN cdp_data.model.bounds IS 'borders of the bins of scores at training; NULL: those of the first refresh with it count';
    COMMENT ON COLUMN cdp_data.model.shares IS 'share of the training scores in each bin, one more than borders';
    COMMENT ON COLUMN cdp_data.model.description IS 'what it is for';
    COMMENT ON COLUMN cdp_data.model.registered_at IS 'when it was registered';
    COMMENT ON COLUMN cdp_data.model.registered_by IS 'by whom';

    CREATE TABLE cdp_data.score (
        name text COLLATE "C" PRIMARY KEY,
        model text COLLATE "C" NOT NULL,
        expression text NOT NULL,
        search_path text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
    );
    COMMENT ON TABLE cdp_data.score IS 'scores: computed traits that a model gives; see cdp.create_score';
    COMMENT ON COLUMN cdp_data.score.name IS 'name, also that of the computed trait';
    COMMENT ON COLUMN cdp_data.score.model IS 'name of the model';
    COMMENT ON COLUMN cdp_data.score.expression IS 'the expression as it was written, with the word model';
    COMMENT ON COLUMN cdp_data.score.search_path IS 'search_path under which it was declared';
    COMMENT ON COLUMN cdp_data.score.created_at IS 'when it was declared';

    CREATE TABLE cdp_data.score_state (
        name text COLLATE "C" PRIMARY KEY,
        model_id integer NOT NULL,
        scored_at timestamptz NOT NULL,
        people bigint NOT NULL,
        percentile_bounds double precision[],
        bounds double precision[],
        expected_shares double precision[],
        shares double precision[],
        drift double precision,
        input_note text
    );
    COMMENT ON TABLE cdp_data.score_state IS 'the latest evaluation of each score for everybody';
    COMMENT ON COLUMN cdp_data.score_state.name IS 'score';
    COMMENT ON COLUMN cdp_data.score_state.model_id IS 'version of the model that gave it';
    COMMENT ON COLUMN cdp_data.score_state.scored_at IS 'when';
    COMMENT ON COLUMN cdp_data.score_state.people IS 'how many people have a score';
    COMMENT ON COLUMN cdp_data.score_state.percentile_bounds IS 'the least scores that more than 1, 2 ... 99 percent of them do not exceed';
    COMMENT ON COLUMN cdp_data.score_state.bounds IS 'borders of the bins by which drift is measured';
    COMMENT ON COLUMN cdp_data.score_state.expected_shares IS 'share of scores in each bin at training, or at the first refresh with this version of the model';
    COMMENT ON COLUMN cdp_data.score_state.shares IS 'the same now';
    COMMENT ON COLUMN cdp_data.score_state.drift IS 'population stability index of the two';
    COMMENT ON COLUMN cdp_data.score_state.input_note IS 'why its features are not compared with those at training; NULL: score_input compares them';

    CREATE TABLE cdp_data.score_input (
        name text COLLATE "C" NOT NULL,
        place integer NOT NULL,
        model_id integer NOT NULL,
        feature text NOT NULL,
        bounds double precision[],
        levels text[],
        expected_shares double precision[] NOT NULL,
        shares double precision[] NOT NULL,
        people bigint NOT NULL,
        drift double precision,
        drifted_since timestamptz,
        measured_at timestamptz NOT NULL,
        CONSTRAINT score_input_pkey PRIMARY KEY (name, place)
    );
    COMMENT ON TABLE cdp_data.score_input IS 'the features of each score, as of its latest evaluation for everybody; see cdp.score_inputs';
    COMMENT ON COLUMN cdp_data.score_input.name IS 'score';
    COMMENT ON COLUMN cdp_data.score_input.place IS 'place of the feature in the model, counted from 1';
    COMMENT ON COLUMN cdp_data.score_input.model_id IS 'version of the model';
    COMMENT ON COLUMN cdp_data.score_input.feature IS 'name of the feature';
    COMMENT ON COLUMN cdp_data.score_input.bounds IS 'of a number: borders of the bins';
    COMMENT ON COLUMN cdp_data.score_input.levels IS 'of a category: levels that are not rare';
    COMMENT ON COLUMN cdp_data.score_input.expected_shares IS 'share of training rows in each bin, or of each level, of others, and without a value';
    COMMENT ON COLUMN cdp_data.score_input.shares IS 'the same of people now';
    COMMENT ON COLUMN cdp_data.score_input.people IS 'how many people were looked at';
    COMMENT ON COLUMN cdp_data.score_input.drift IS 'population stability index of the two';
    COMMENT ON COLUMN cdp_data.score_input.drifted_since IS 'since which evaluation it has been above 0.1';
    COMMENT ON COLUMN cdp_data.score_input.measured_at IS 'when';
END
$storage$;
COMMENT ON FUNCTION cdp.setup_score_storage() IS 'Part of cdp.setup(): the tables of models and scores.';
