-- profile: the storage of traits and unified profiles, as cdp.setup() makes it.

CREATE FUNCTION cdp.setup_profile_storage() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $storage$
BEGIN
    CREATE TABLE cdp_data.trait (
        trait_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        key text COLLATE "C" NOT NULL UNIQUE,
        type text NOT NULL CHECK (type IN ('boolean', 'bigint', 'double precision', 'numeric', 'text', 'timestamp with time zone', 'jsonb')),
        survivorship text NOT NULL CHECK (survivorship IN ('last', 'first', 'priority', 'most_frequent', 'min', 'max', 'longest')),
        sources text[],
        ignore_empty boolean NOT NULL,
        history boolean NOT NULL,
        is_declared boolean NOT NULL,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        -- A ranking of sources and the policy that goes by it come together.
        CHECK ((survivorship = 'priority') = (sources IS NOT NULL))
    );
    COMMENT ON TABLE cdp_data.trait IS 'the traits that have a column in cdp.profiles; see cdp.create_trait';
    COMMENT ON COLUMN cdp_data.trait.trait_id IS 'key, in order of declaration, which is the order of the columns';
    COMMENT ON COLUMN cdp_data.trait.name IS 'name of the trait and of its column';
    COMMENT ON COLUMN cdp_data.trait.key IS 'name by which sources give it and under which cdp.profile holds it: the name before any cdp.rename_trait';
    COMMENT ON COLUMN cdp_data.trait.type IS 'type of the column';
    COMMENT ON COLUMN cdp_data.trait.survivorship IS 'policy by which one of several values wins';
    COMMENT ON COLUMN cdp_data.trait.sources IS 'ranked sources of the policy priority, best first';
    COMMENT ON COLUMN cdp_data.trait.ignore_empty IS 'whether NULL and empty values lose against any other';
    COMMENT ON COLUMN cdp_data.trait.history IS 'whether superseded versions are kept, for reading as of an earlier time';
    COMMENT ON COLUMN cdp_data.trait.is_declared IS 'true: by cdp.create_trait; false: by the expression of a source, with the default policy';
    COMMENT ON COLUMN cdp_data.trait.created_at IS 'since when';

    CREATE TABLE cdp_data.profile_value (
        profile_id bigint NOT NULL,
        value cdp.profile NOT NULL,
        CONSTRAINT profile_value_pkey PRIMARY KEY (profile_id)
    ) WITH (fillfactor = 95);       -- as cdp_data.profile_row
    COMMENT ON TABLE cdp_data.profile_value IS 'every candidate of every trait of a person, with provenance; derived from cdp_data.contribution';
    COMMENT ON COLUMN cdp_data.profile_value.profile_id IS 'person';
    COMMENT ON COLUMN cdp_data.profile_value.value IS 'all candidates';

    -- A column is added for each namespace and each trait (cdp.shape_profiles).  No index but the
    -- key, and some room in each page, so that nearly every update stays in its page (HOT).
    CREATE TABLE cdp_data.profile_row (
        profile_id bigint NOT NULL,
        first_seen timestamptz,
        last_seen timestamptz,
        event_count bigint NOT NULL,
        record_count bigint NOT NULL,
        is_known boolean NOT NULL,
        CONSTRAINT profile_row_pkey PRIMARY KEY (profile_id)
    ) WITH (fillfactor = 95);
    COMMENT ON TABLE cdp_data.profile_row IS 'one row per person: what cdp.profiles shows; derived from cdp_data.profile_value, the identity graph and the events';
    COMMENT ON COLUMN cdp_data.profile_row.profile_id IS 'person';
    COMMENT ON COLUMN cdp_data.profile_row.first_seen IS 'time of the oldest record or event';
    COMMENT ON COLUMN cdp_data.profile_row.last_seen IS 'time of the newest record or event';
    COMMENT ON COLUMN cdp_data.profile_row.event_count IS 'number of events';
    COMMENT ON COLUMN cdp_data.profile_row.record_count IS 'number of records that are not events';
    COMMENT ON COLUMN cdp_data.profile_row.is_known IS 'whether an identifier of a person, not only of devices, belongs to the profile';

    -- A queue: rows are inserted by whoever changes something and deleted by cdp.materialize_profiles().
    -- Duplicates do no harm, and no writer waits for another here.
    CREATE TABLE cdp_data.changed_profile (
        profile_id bigint NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX changed_profile_profile_id ON cdp_data.changed_profile (profile_id);
    COMMENT ON TABLE cdp_data.changed_profile IS 'profiles whose row has to be derived again, see cdp.materialize_profiles';
    COMMENT ON COLUMN cdp_data.changed_profile.profile_id IS 'profile; negative: whichever holds the identifier of that number; 0: every one';

    -- Whatever the identity graph holds already has no rows yet.
    INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
END
$storage$;
COMMENT ON FUNCTION cdp.setup_profile_storage() IS 'Part of cdp.setup(): the tables of traits and unified profiles.';
