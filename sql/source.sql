-- source: declared sources, refresh, health.
--
-- A source's texts run under the role that owns it (cdp.take_in); everything
-- else here runs with the caller's rights.

-- ---------- views ----------

CREATE FUNCTION cdp.create_source_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.sources AS
        SELECT s.name AS source, s.kind, s.relation, s.capture, s.owner, st.status,
               st.rows_read, st.rejected, st.last_refresh_at, st.last_success_at, st.last_full_at,
               (SELECT pg_catalog.max(w.value) FROM cdp_data.source_watermark AS w WHERE w.source OPERATOR(pg_catalog.=) s.name) AS watermark, st.last_error, st.last_sqlstate, st.last_hint, st.failed_since
        FROM cdp_data.source AS s LEFT JOIN cdp_data.source_state AS st ON st.name OPERATOR(pg_catalog.=) s.name;
    COMMENT ON VIEW cdp.sources IS 'every source, how far it was read and how that went';
    COMMENT ON COLUMN cdp.sources.source IS 'name of the source';
    COMMENT ON COLUMN cdp.sources.kind IS 'record or event';
    COMMENT ON COLUMN cdp.sources.relation IS 'table, view or foreign table that it reads';
    COMMENT ON COLUMN cdp.sources.capture IS 'pull, queue or immediate';
    COMMENT ON COLUMN cdp.sources.owner IS 'role under which its texts run';
    COMMENT ON COLUMN cdp.sources.status IS 'new, ok or stopped';
    COMMENT ON COLUMN cdp.sources.rows_read IS 'rows read by all refreshes';
    COMMENT ON COLUMN cdp.sources.rejected IS 'rows rejected by the latest refresh';
    COMMENT ON COLUMN cdp.sources.last_refresh_at IS 'start of the latest refresh';
    COMMENT ON COLUMN cdp.sources.last_success_at IS 'start of the latest refresh that went through';
    COMMENT ON COLUMN cdp.sources.last_full_at IS 'start of the latest full compare that went through';
    COMMENT ON COLUMN cdp.sources.watermark IS 'greatest watermark read';
    COMMENT ON COLUMN cdp.sources.last_error IS 'message of the error that stopped the source';
    COMMENT ON COLUMN cdp.sources.last_sqlstate IS 'its SQLSTATE';
    COMMENT ON COLUMN cdp.sources.last_hint IS 'what to do';
    COMMENT ON COLUMN cdp.sources.failed_since IS 'when it first stopped';

    CREATE OR REPLACE VIEW cdp.refresh_log AS
        SELECT l.log_id, l.refresh_id, l.step, l.source, l.mode, l.started_at, l.finished_at, l.status, l.rows_read,
               l.records_new, l.records_changed, l.records_unchanged, l.retracted, l.rejected, l.sqlstate, l.message
        FROM cdp_data.refresh_log AS l;
    COMMENT ON VIEW cdp.refresh_log IS 'what each step of each refresh did';
    COMMENT ON COLUMN cdp.refresh_log.log_id IS 'key';
    COMMENT ON COLUMN cdp.refresh_log.refresh_id IS 'log_id of the first step of the same call of cdp.refresh';
    COMMENT ON COLUMN cdp.refresh_log.step IS 'source, captured, identities or profiles';
    COMMENT ON COLUMN cdp.refresh_log.source IS 'source that the step read';
    COMMENT ON COLUMN cdp.refresh_log.mode IS 'full or since (rows past the watermark)';
    COMMENT ON COLUMN cdp.refresh_log.started_at IS 'start of the step';
    COMMENT ON COLUMN cdp.refresh_log.finished_at IS 'end of the step';
    COMMENT ON COLUMN cdp.refresh_log.status IS 'ok, skipped or failed';
    COMMENT ON COLUMN cdp.refresh_log.rows_read IS 'rows read';
    COMMENT ON COLUMN cdp.refresh_log.records_new IS 'records that were new';
    COMMENT ON COLUMN cdp.refresh_log.records_changed IS 'records that changed';
    COMMENT ON COLUMN cdp.refresh_log.records_unchanged IS 'records that had not changed';
    COMMENT ON COLUMN cdp.refresh_log.retracted IS 'records that were gone';
    COMMENT ON COLUMN cdp.refresh_log.rejected IS 'rows that were rejected';
    COMMENT ON COLUMN cdp.refresh_log.sqlstate IS 'SQLSTATE of the error';
    COMMENT ON COLUMN cdp.refresh_log.message IS 'why the step was skipped or failed';
END
$views$;
COMMENT ON FUNCTION cdp.create_source_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability source.';
