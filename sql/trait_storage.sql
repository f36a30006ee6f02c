-- trait: the storage of expressions (computed traits and segments) and of what their evaluation came to.

CREATE FUNCTION cdp.setup_trait_storage() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $storage$
BEGIN
    CREATE TABLE cdp_data.expression (
        expression_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('trait', 'segment')),
        name text COLLATE "C" NOT NULL,
        definition text NOT NULL,
        is_query boolean NOT NULL,
        type text NOT NULL,
        is_realtime boolean NOT NULL,
        include_anonymous boolean NOT NULL,
        owner name NOT NULL,
        time_zone text NOT NULL,
        search_path text NOT NULL,
        description text,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        changed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        CONSTRAINT expression_name UNIQUE (kind, name),
        CHECK (kind = 'segment' OR NOT is_query AND include_anonymous),
        CHECK (kind = 'trait' OR type = 'boolean'),
        -- Whoever is a member by a query is found by running all of it.
        CHECK (NOT (is_query AND is_realtime))
    );
    COMMENT ON TABLE cdp_data.expression IS 'computed traits and segments; see cdp.create_computed_trait and cdp.create_segment.  Their texts run under the role in owner';
    COMMENT ON COLUMN cdp_data.expression.expression_id IS 'key; of a segment also the segment_id of its members';
    COMMENT ON COLUMN cdp_data.expression.kind IS 'trait or segment';
    COMMENT ON COLUMN cdp_data.expression.name IS 'name: of a trait also that of its column';
    COMMENT ON COLUMN cdp_data.expression.definition IS 'the expression, predicate or query as it was written';
    COMMENT ON COLUMN cdp_data.expression.is_query IS 'whether the definition is a query that yields profile_id';
    COMMENT ON COLUMN cdp_data.expression.type IS 'type of the value; boolean for segments';
    COMMENT ON COLUMN cdp_data.expression.is_realtime IS 'whether it is evaluated in the transaction that brings an event or trait; otherwise by cdp.refresh()';
    COMMENT ON COLUMN cdp_data.expression.include_anonymous IS 'whether people without an identifier of kind person can be members';
    COMMENT ON COLUMN cdp_data.expression.owner IS 'role under which the text runs';
    COMMENT ON COLUMN cdp_data.expression.time_zone IS 'time zone under which it runs';
    COMMENT ON COLUMN cdp_data.expression.search_path IS 'search_path under which it was declared and runs';
    COMMENT ON COLUMN cdp_data.expression.description IS 'what it is for, in the words of who declared it';
    COMMENT ON COLUMN cdp_data.expression.created_at IS 'when it was declared';
    COMMENT ON COLUMN cdp_data.expression.changed_at IS 'when its definition, or that of an expression that it needs, last changed';

    CREATE TABLE cdp_data.expression_fact (
        expression_id integer NOT NULL,
        kind text NOT NULL CHECK (kind IN ('trait', 'segment', 'event_name', 'property', 'window', 'function', 'relation')),
        name text COLLATE "C" NOT NULL,
        CONSTRAINT expression_fact_pkey PRIMARY KEY (expression_id, kind, name)
    );
    CREATE INDEX expression_fact_name ON cdp_data.expression_fact (kind, name);
    COMMENT ON TABLE cdp_data.expression_fact IS 'what each expression reads, as the analysis of its text found';
    COMMENT ON COLUMN cdp_data.expression_fact.expression_id IS 'expression';
    COMMENT ON COLUMN cdp_data.expression_fact.kind IS 'trait (record or computed trait, or other column of cdp.profiles), segment, event_name, property, window (comparison with the clock), function (outside of pg_catalog) or relation (of a sub-select)';
    COMMENT ON COLUMN cdp_data.expression_fact.name IS 'its name; * where it may be any event, or a comparison with the clock that cannot be inverted';

    CREATE TABLE cdp_data.expression_state (
        expression_id integer NOT NULL,
        status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'ok', 'failed')),
        evaluated_at timestamptz,
        error text,
        sqlstate text,
        hint text,
        failed_since timestamptz,
        members bigint,
        CONSTRAINT expression_state_pkey PRIMARY KEY (expression_id)
    );
    COMMENT ON TABLE cdp_data.expression_state IS 'how the latest evaluation of each expression went';
    COMMENT ON COLUMN cdp_data.expression_state.expression_id IS 'expression';
    COMMENT ON COLUMN cdp_data.expression_state.status IS 'new: not evaluated since it, or what it needs, was declared or changed; ok; failed';
    COMMENT ON COLUMN cdp_data.expression_state.evaluated_at IS 'start of the latest evaluation for everybody that went through';
    COMMENT ON COLUMN cdp_data.expression_state.error IS 'message of the error';
    COMMENT ON COLUMN cdp_data.expression_state.sqlstate IS 'its SQLSTATE';
    COMMENT ON COLUMN cdp_data.expression_state.hint IS 'what to do';
    COMMENT ON COLUMN cdp_data.expression_state.failed_since IS 'when it first failed';
    COMMENT ON COLUMN cdp_data.expression_state.members IS 'members of a segment after the latest evaluation for everybody';

    -- One row per person, a lower bound: looking too early does no harm.
    CREATE TABLE cdp_data.expression_due (
        profile_id bigint NOT NULL,
        due_at timestamptz NOT NULL,
        CONSTRAINT expression_due_pkey PRIMARY KEY (profile_id)
    );
    CREATE INDEX expression_due_due_at ON cdp_data.expression_due (due_at);
    COMMENT ON TABLE cdp_data.expression_due IS 'when the real-time expressions of a person must be looked at again though nothing was heard of them; see cdp.expire_segments';
    COMMENT ON COLUMN cdp_data.expression_due.profile_id IS 'person';
    COMMENT ON COLUMN cdp_data.expression_due.due_at IS 'the earliest time at which a window can close; -infinity: work that was put off';
END
$storage$;
COMMENT ON FUNCTION cdp.setup_trait_storage() IS 'Part of cdp.setup(): the tables of expressions, which are computed traits and segments.';
