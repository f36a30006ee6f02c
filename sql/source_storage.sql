-- source: the storage of sources, events and contributions, as cdp.setup() makes it.

CREATE FUNCTION cdp.setup_source_storage() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $storage$
BEGIN
    CREATE TABLE cdp_data.source (
        name text COLLATE "C" NOT NULL,
        kind text NOT NULL CHECK (kind IN ('record', 'event')),
        relation text,
        record_key text,
        observed_at text,
        occurred_at text,
        event_name text,
        identifiers text,
        traits text,
        properties text,
        profile_id text,
        filter text,
        deleted text,
        watermark text,
        watermark_overlap text,
        time_zone text,
        capture text NOT NULL CHECK (capture IN ('pull', 'queue', 'immediate')),
        owner name NOT NULL,
        search_path text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        altered_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        CONSTRAINT source_pkey PRIMARY KEY (name)
    );
    COMMENT ON TABLE cdp_data.source IS 'the declared sources; see cdp.create_source.  Their texts run under the role in owner';
    COMMENT ON COLUMN cdp_data.source.name IS 'name of the source';
    COMMENT ON COLUMN cdp_data.source.kind IS 'record: rows contribute traits; event: rows contribute events';
    COMMENT ON COLUMN cdp_data.source.relation IS 'qualified and quoted name of the table, view or foreign table';
    COMMENT ON COLUMN cdp_data.source.record_key IS 'expressions that make up the key of a row';
    COMMENT ON COLUMN cdp_data.source.observed_at IS 'expression: time of this version of the row; NULL: time of arrival';
    COMMENT ON COLUMN cdp_data.source.occurred_at IS 'expression: time of the event';
    COMMENT ON COLUMN cdp_data.source.event_name IS 'expression: name of the event';
    COMMENT ON COLUMN cdp_data.source.identifiers IS 'select list: the identifiers of a row, named after their namespaces';
    COMMENT ON COLUMN cdp_data.source.traits IS 'select list: the traits that a row contributes';
    COMMENT ON COLUMN cdp_data.source.properties IS 'select list: the properties of the event';
    COMMENT ON COLUMN cdp_data.source.profile_id IS 'expression: the profile itself, in place of identifiers';
    COMMENT ON COLUMN cdp_data.source.filter IS 'condition: rows for which it does not hold are no part of the source';
    COMMENT ON COLUMN cdp_data.source.deleted IS 'condition: rows for which it holds are gone';
    COMMENT ON COLUMN cdp_data.source.watermark IS 'expression that grows with every change of a row, by which a refresh finds what is new';
    COMMENT ON COLUMN cdp_data.source.watermark_overlap IS 'how far behind the greatest watermark a refresh starts to read; NULL: 1 hour, or 1000 for numbers';
    COMMENT ON COLUMN cdp_data.source.time_zone IS 'zone of its timestamps without one';
    COMMENT ON COLUMN cdp_data.source.capture IS 'pull: by refresh alone; queue: triggers note the keys; immediate: triggers do the work';
    COMMENT ON COLUMN cdp_data.source.owner IS 'role under which the texts run';
    COMMENT ON COLUMN cdp_data.source.search_path IS 'search_path under which they were declared and run';
    COMMENT ON COLUMN cdp_data.source.created_at IS 'when it was declared';
    COMMENT ON COLUMN cdp_data.source.altered_at IS 'when its declaration last changed';

    CREATE TABLE cdp_data.source_column (
        source text COLLATE "C" NOT NULL,
        kind text NOT NULL CHECK (kind IN ('key', 'identifier', 'trait', 'property', 'watermark')),
        number integer NOT NULL,
        name text COLLATE "C" NOT NULL,
        type text NOT NULL,
        is_declared boolean NOT NULL,
        CONSTRAINT source_column_pkey PRIMARY KEY (source, kind, number)
    );
    CREATE INDEX source_column_name ON cdp_data.source_column (kind, name);
    COMMENT ON TABLE cdp_data.source_column IS 'the columns that the select lists of each source yield, as analysed when it was declared';
    COMMENT ON COLUMN cdp_data.source_column.source IS 'name of the source';
    COMMENT ON COLUMN cdp_data.source_column.kind IS 'key, identifier, trait, property or watermark';
    COMMENT ON COLUMN cdp_data.source_column.number IS 'place in the select list, from 1';
    COMMENT ON COLUMN cdp_data.source_column.name IS 'namespace, trait or property';
    COMMENT ON COLUMN cdp_data.source_column.type IS 'type of the column that holds it; of keys and identifiers, of the expression';
    COMMENT ON COLUMN cdp_data.source_column.is_declared IS 'false for a property that has no column of its own';

    CREATE TABLE cdp_data.source_state (
        name text COLLATE "C" NOT NULL,
        status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'ok', 'stopped')),
        rows_read bigint NOT NULL DEFAULT 0,
        rejected bigint NOT NULL DEFAULT 0,
        last_refresh_at timestamptz,
        last_full_at timestamptz,
        last_success_at timestamptz,
        needs_full boolean NOT NULL DEFAULT true,
        files text[],
        last_error text,
        last_sqlstate text,
        last_hint text,
        failed_since timestamptz,
        CONSTRAINT source_state_pkey PRIMARY KEY (name)
    );
    COMMENT ON TABLE cdp_data.source_state IS 'how far each source was read, and how that went';
    COMMENT ON COLUMN cdp_data.source_state.name IS 'name of the source';
    COMMENT ON COLUMN cdp_data.source_state.status IS 'new: never read; ok; stopped: the last refresh of it failed';
    COMMENT ON COLUMN cdp_data.source_state.rows_read IS 'rows read by all refreshes';
    COMMENT ON COLUMN cdp_data.source_state.rejected IS 'rows rejected by the latest refresh';
    COMMENT ON COLUMN cdp_data.source_state.last_refresh_at IS 'start of the latest refresh';
    COMMENT ON COLUMN cdp_data.source_state.last_full_at IS 'start of the latest full compare that went through';
    COMMENT ON COLUMN cdp_data.source_state.last_success_at IS 'start of the latest refresh that went through';
    COMMENT ON COLUMN cdp_data.source_state.needs_full IS 'the next refresh is a full compare: the source is new or was altered, or would have withdrawn too much';
    COMMENT ON COLUMN cdp_data.source_state.files IS 'the tables that were read last and their files, to notice a replacement or TRUNCATE';
    COMMENT ON COLUMN cdp_data.source_state.last_error IS 'message of the error that stopped the source';
    COMMENT ON COLUMN cdp_data.source_state.last_sqlstate IS 'its SQLSTATE';
    COMMENT ON COLUMN cdp_data.source_state.last_hint IS 'what to do';
    COMMENT ON COLUMN cdp_data.source_state.failed_since IS 'when it first stopped';

    -- Insert-only while a refresh runs, so that nobody waits for it here.
    CREATE TABLE cdp_data.source_batch (
        source text COLLATE "C" NOT NULL,
        watermark text,
        added bigint NOT NULL,
        changed bigint NOT NULL,
        removed bigint NOT NULL
    );
    CREATE INDEX source_batch_source ON cdp_data.source_batch (source);
    COMMENT ON TABLE cdp_data.source_batch IS 'what each batch of a running refresh came to; afterwards one row of a source holds its watermark';
    COMMENT ON COLUMN cdp_data.source_batch.source IS 'source';
    COMMENT ON COLUMN cdp_data.source_batch.watermark IS 'greatest watermark that was read, as text';
    COMMENT ON COLUMN cdp_data.source_batch.added IS 'records or events that were new';
    COMMENT ON COLUMN cdp_data.source_batch.changed IS 'records or events that changed';
    COMMENT ON COLUMN cdp_data.source_batch.removed IS 'records or events that were gone';

    CREATE SEQUENCE cdp_data.refresh_id;
    CREATE TABLE cdp_data.refresh_log (
        log_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        refresh_id bigint NOT NULL,
        step text NOT NULL,
        source text COLLATE "C",
        mode text,
        started_at timestamptz NOT NULL,
        finished_at timestamptz,
        status text NOT NULL CHECK (status IN ('ok', 'skipped', 'failed')),
        rows_read bigint,
        records_new bigint,
        records_changed bigint,
        records_unchanged bigint,
        retracted bigint,
        rejected bigint,
        sqlstate text,
        message text
    );
    CREATE INDEX refresh_log_source ON cdp_data.refresh_log (source, log_id);
    COMMENT ON TABLE cdp_data.refresh_log IS 'what each step of each refresh did; holds no values of people';
    COMMENT ON COLUMN cdp_data.refresh_log.log_id IS 'key';
    COMMENT ON COLUMN cdp_data.refresh_log.refresh_id IS 'number of the call of cdp.refresh';
    COMMENT ON COLUMN cdp_data.refresh_log.step IS 'source, identities or profiles';
    COMMENT ON COLUMN cdp_data.refresh_log.source IS 'source that the step read';
    COMMENT ON COLUMN cdp_data.refresh_log.mode IS 'full, since (rows past the watermark) or captured';
    COMMENT ON COLUMN cdp_data.refresh_log.started_at IS 'start of the step';
    COMMENT ON COLUMN cdp_data.refresh_log.finished_at IS 'end of the step';
    COMMENT ON COLUMN cdp_data.refresh_log.status IS 'ok, skipped or failed';
    COMMENT ON COLUMN cdp_data.refresh_log.rows_read IS 'rows read, or what the step worked on';
    COMMENT ON COLUMN cdp_data.refresh_log.records_new IS 'records that were new';
    COMMENT ON COLUMN cdp_data.refresh_log.records_changed IS 'records that changed';
    COMMENT ON COLUMN cdp_data.refresh_log.records_unchanged IS 'records that had not changed';
    COMMENT ON COLUMN cdp_data.refresh_log.retracted IS 'records that were gone';
    COMMENT ON COLUMN cdp_data.refresh_log.rejected IS 'rows that were rejected';
    COMMENT ON COLUMN cdp_data.refresh_log.sqlstate IS 'SQLSTATE of the error';
    COMMENT ON COLUMN cdp_data.refresh_log.message IS 'why the step was skipped or failed';

    CREATE TABLE cdp_data.property (
        name text COLLATE "C" NOT NULL,
        type text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        CONSTRAINT property_pkey PRIMARY KEY (name)
    );
    COMMENT ON TABLE cdp_data.property IS 'properties of events that have a column in cdp_data.event';
    COMMENT ON COLUMN cdp_data.property.name IS 'name of the property and of its column';
    COMMENT ON COLUMN cdp_data.property.type IS 'type of the column';
    COMMENT ON COLUMN cdp_data.property.created_at IS 'since when';

    -- Fixed-width columns first; the columns of declared properties follow.
    CREATE TABLE cdp_data.event (
        hub bigint NOT NULL,
        occurred_at timestamptz NOT NULL,
        observed_at timestamptz NOT NULL,
        source text COLLATE "C" NOT NULL,
        event_name text COLLATE "C" NOT NULL,
        record_key text COLLATE "C" NOT NULL,
        properties jsonb,
        CONSTRAINT event_key UNIQUE (source, record_key)
    );
    -- With all that is derived from a person's events, which lie far apart in the table.
    CREATE INDEX event_hub ON cdp_data.event (hub, occurred_at) INCLUDE (observed_at);
    COMMENT ON TABLE cdp_data.event IS 'what people did; the person is the profile of the hub';
    COMMENT ON COLUMN cdp_data.event.hub IS 'strongest usable identifier of the row: cdp_data.identifier.id';
    COMMENT ON COLUMN cdp_data.event.occurred_at IS 'when it happened';
    COMMENT ON COLUMN cdp_data.event.observed_at IS 'time of this version of the row';
    COMMENT ON COLUMN cdp_data.event.source IS 'source';
    COMMENT ON COLUMN cdp_data.event.event_name IS 'what happened';
    COMMENT ON COLUMN cdp_data.event.record_key IS 'key of the row within its source';
    COMMENT ON COLUMN cdp_data.event.properties IS 'properties without a column of their own';

    CREATE TABLE cdp_data.contribution (
        hub bigint NOT NULL,
        observed_at timestamptz NOT NULL,
        source text COLLATE "C" NOT NULL,
        record_key text COLLATE "C" NOT NULL,
        traits cdp.profile NOT NULL,
        CONSTRAINT contribution_key UNIQUE (source, record_key)
    ) WITH (fillfactor = 95);       -- room for new versions, which touch no index then (HOT)
    CREATE INDEX contribution_hub ON cdp_data.contribution (hub);
    -- Nothing is ever looked up by these values.
    ALTER TABLE cdp_data.contribution ALTER COLUMN traits SET STATISTICS 0;
    COMMENT ON TABLE cdp_data.contribution IS 'the traits that each record gives to its person; the person is the profile of the hub';
    COMMENT ON COLUMN cdp_data.contribution.hub IS 'strongest usable identifier of the record: cdp_data.identifier.id';
    COMMENT ON COLUMN cdp_data.contribution.observed_at IS 'time of this version of the record';
    COMMENT ON COLUMN cdp_data.contribution.source IS 'source';
    COMMENT ON COLUMN cdp_data.contribution.record_key IS 'key of the record within its source';
    COMMENT ON COLUMN cdp_data.contribution.traits IS 'the traits';

    CREATE TABLE cdp_data.contribution_history (
        hub bigint NOT NULL,
        source text COLLATE "C" NOT NULL,
        record_key text COLLATE "C" NOT NULL,
        observed_at timestamptz NOT NULL,
        traits cdp.profile NOT NULL,
        CONSTRAINT contribution_history_key UNIQUE (source, record_key, observed_at)
    );
    CREATE INDEX contribution_history_hub ON cdp_data.contribution_history (hub);
    ALTER TABLE cdp_data.contribution_history ALTER COLUMN traits SET STATISTICS 0;
    COMMENT ON TABLE cdp_data.contribution_history IS 'versions of the traits that are declared with history, for reading as of a time';
    COMMENT ON COLUMN cdp_data.contribution_history.hub IS 'hub of the record at that version';
    COMMENT ON COLUMN cdp_data.contribution_history.source IS 'source';
    COMMENT ON COLUMN cdp_data.contribution_history.record_key IS 'key of the record within its source';
    COMMENT ON COLUMN cdp_data.contribution_history.observed_at IS 'time of the version';
    COMMENT ON COLUMN cdp_data.contribution_history.traits IS 'the traits with history at that version';

    -- Insert-only; a key may stand here several times.
    CREATE TABLE cdp_data.captured_key (
        captured_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source text COLLATE "C" NOT NULL,
        record_key text COLLATE "C",
        captured_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
    );
    CREATE INDEX captured_key_source ON cdp_data.captured_key (source, captured_id);
    COMMENT ON TABLE cdp_data.captured_key IS 'keys of rows that changed since the last refresh, noted by triggers; see capture => ''queue''';
    COMMENT ON COLUMN cdp_data.captured_key.captured_id IS 'key';
    COMMENT ON COLUMN cdp_data.captured_key.source IS 'source';
    COMMENT ON COLUMN cdp_data.captured_key.record_key IS 'key of the row; NULL: all of the source is to be compared, because its table was truncated or the keys could not be found out';
    COMMENT ON COLUMN cdp_data.captured_key.captured_at IS 'when it changed';
END
$storage$;
COMMENT ON FUNCTION cdp.setup_source_storage() IS 'Part of cdp.setup(): the tables of sources, events and contributions.';
