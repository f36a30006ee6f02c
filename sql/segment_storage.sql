-- segment: the storage of membership and of its changes.

CREATE FUNCTION cdp.setup_segment_storage() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $storage$
BEGIN
    -- The only index: a person is looked up with segment_id = ANY (all that matter).
    CREATE TABLE cdp_data.segment_member (
        segment_id integer NOT NULL,
        profile_id bigint NOT NULL,
        entered_at timestamptz NOT NULL,
        CONSTRAINT segment_member_pkey PRIMARY KEY (segment_id, profile_id)
    );
    COMMENT ON TABLE cdp_data.segment_member IS 'who is in which segment';
    COMMENT ON COLUMN cdp_data.segment_member.segment_id IS 'segment: cdp_data.expression.expression_id';
    COMMENT ON COLUMN cdp_data.segment_member.profile_id IS 'person';
    COMMENT ON COLUMN cdp_data.segment_member.entered_at IS 'since when';

    -- The view cdp.profile_segments shows it to the function that looks members up, in its readers' name.
    CREATE TABLE cdp_data.segment_key (
        key uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
        only_row boolean NOT NULL DEFAULT true CHECK (only_row),
        CONSTRAINT segment_key_pkey PRIMARY KEY (only_row)
    );
    INSERT INTO cdp_data.segment_key DEFAULT VALUES;
    COMMENT ON TABLE cdp_data.segment_key IS 'by what cdp.is_segment_member knows a caller who may read the storage, one row';
    COMMENT ON COLUMN cdp_data.segment_key.key IS 'a random number that those know who may read this table';
    COMMENT ON COLUMN cdp_data.segment_key.only_row IS 'keeps the table at one row';

    -- Rows are inserted by evaluations and never changed.
    CREATE TABLE cdp_data.segment_change (
        change_id bigint GENERATED ALWAYS AS IDENTITY,
        profile_id bigint NOT NULL,
        changed_at timestamptz NOT NULL,
        transaction_id xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
        segment_id integer NOT NULL,
        is_entry boolean NOT NULL,
        cause text COLLATE "C" NOT NULL CHECK (cause IN ('event', 'trait', 'identity', 'window', 'batch', 'definition'))
    );
    CREATE INDEX segment_change_transaction_id ON cdp_data.segment_change (transaction_id, change_id);
    CREATE INDEX segment_change_segment_id ON cdp_data.segment_change (segment_id, changed_at);
    COMMENT ON TABLE cdp_data.segment_change IS 'who entered or left which segment, when and why';
    COMMENT ON COLUMN cdp_data.segment_change.change_id IS 'number of the change; numbers are given before the commit, so a smaller one can be seen later';
    COMMENT ON COLUMN cdp_data.segment_change.profile_id IS 'person';
    COMMENT ON COLUMN cdp_data.segment_change.changed_at IS 'when';
    COMMENT ON COLUMN cdp_data.segment_change.transaction_id IS 'transaction that wrote it, by which cdp.read_changes knows what is complete';
    COMMENT ON COLUMN cdp_data.segment_change.segment_id IS 'segment: cdp_data.expression.expression_id';
    COMMENT ON COLUMN cdp_data.segment_change.is_entry IS 'true: entered; false: left';
    COMMENT ON COLUMN cdp_data.segment_change.cause IS 'event, trait, identity (a merge or split), window (one closed), batch (found by a refresh) or definition (the first evaluation, or a changed definition)';

    CREATE TABLE cdp_data.segment_day (
        segment_id integer NOT NULL,
        day date NOT NULL,
        entered bigint NOT NULL,
        exited bigint NOT NULL,
        CONSTRAINT segment_day_pkey PRIMARY KEY (segment_id, day)
    );
    COMMENT ON TABLE cdp_data.segment_day IS 'entries and exits of each day, as far as cdp.close_segment_days has counted; the rest is counted from cdp_data.segment_change';
    COMMENT ON COLUMN cdp_data.segment_day.segment_id IS 'segment: cdp_data.expression.expression_id';
    COMMENT ON COLUMN cdp_data.segment_day.day IS 'day, in the time zone of the option time_zone';
    COMMENT ON COLUMN cdp_data.segment_day.entered IS 'entries on that day';
    COMMENT ON COLUMN cdp_data.segment_day.exited IS 'exits on that day';

    -- Numbers of transactions mean something in one cluster only.  A dump holds no rows of a
    -- materialized view: it is filled anew by the restore, after the tables, and so tells the
    -- changes that came with the restore from those that are made here.  origin says whether that
    -- was a restore, or somebody who refreshes whatever can be refreshed.
    CREATE MATERIALIZED VIEW cdp_data.segment_restored AS
        SELECT COALESCE((SELECT pg_catalog.max(c.change_id) FROM cdp_data.segment_change AS c), 0) AS change_id,
               pg_catalog.format('%s/%s/%s', (SELECT s.system_identifier FROM pg_catalog.pg_control_system() AS s),
                                 (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()),
                                 'cdp_data.segment_change'::regclass::oid) AS origin;
    COMMENT ON MATERIALIZED VIEW cdp_data.segment_restored IS 'where the changes are stored, and the greatest change_id when a dump was restored there; see cdp.read_changes';
    COMMENT ON COLUMN cdp_data.segment_restored.change_id IS 'greatest change_id when the dump was restored';
    COMMENT ON COLUMN cdp_data.segment_restored.origin IS 'cluster, database and table, as numbers that no other has';

    -- All restores, also those before the latest one.
    CREATE TABLE cdp_data.segment_era (
        era bigint NOT NULL,
        change_id bigint NOT NULL,
        origin text COLLATE "C" NOT NULL,
        noted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        CONSTRAINT segment_era_pkey PRIMARY KEY (era)
    );
    INSERT INTO cdp_data.segment_era (era, change_id, origin) SELECT 0, r.change_id, r.origin FROM cdp_data.segment_restored AS r;
    COMMENT ON TABLE cdp_data.segment_era IS 'where the changes of one cluster end and those of the next begin; see cdp.read_changes';
    COMMENT ON COLUMN cdp_data.segment_era.era IS 'number, from 0; each restore of a dump begins another one';
    COMMENT ON COLUMN cdp_data.segment_era.change_id IS 'its changes are those past this one';
    COMMENT ON COLUMN cdp_data.segment_era.origin IS 'cluster, database and table in which they were made';
    COMMENT ON COLUMN cdp_data.segment_era.noted_at IS 'when it was noted';

    CREATE TABLE cdp_data.segment_reader (
        consumer text COLLATE "C" NOT NULL,
        era bigint NOT NULL DEFAULT 0,
        transaction_id xid8 NOT NULL DEFAULT '0',
        change_id bigint NOT NULL DEFAULT 0,
        changes_read bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        read_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        CONSTRAINT segment_reader_pkey PRIMARY KEY (consumer)
    );
    COMMENT ON TABLE cdp_data.segment_reader IS 'how far each consumer of cdp.read_changes is';
    COMMENT ON COLUMN cdp_data.segment_reader.consumer IS 'name of the consumer';
    COMMENT ON COLUMN cdp_data.segment_reader.era IS 'era of the latest change that it read';
    COMMENT ON COLUMN cdp_data.segment_reader.transaction_id IS 'transaction of the latest change that it read';
    COMMENT ON COLUMN cdp_data.segment_reader.change_id IS 'the latest change that it read';
    COMMENT ON COLUMN cdp_data.segment_reader.changes_read IS 'changes that it read in all';
    COMMENT ON COLUMN cdp_data.segment_reader.created_at IS 'when it first read';
    COMMENT ON COLUMN cdp_data.segment_reader.read_at IS 'when it last read';
END
$storage$;
COMMENT ON FUNCTION cdp.setup_segment_storage() IS 'Part of cdp.setup(): the tables of membership in segments.';
