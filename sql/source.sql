-- source: declared sources, refresh, health.
--
-- A source's texts run under the role that owns it (cdp.take_in); everything
-- else here runs with the caller's rights.

-- ---------- health ----------

CREATE FUNCTION cdp.source_health(OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $health$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH s AS (
        SELECT d.name, d.watermark, d.capture, d.owner, t.*, d.created_at,
               (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = d.owner) AS owner_id,
               (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data') AS storage_owner
        FROM cdp_data.source AS d
        LEFT JOIN (SELECT t.name AS state_name, t.status, t.rejected, t.last_success_at, t.last_full_at, t.needs_full, t.last_error, t.last_hint, t.failed_since
                   FROM cdp_data.source_state AS t) AS t ON t.state_name = d.name
        WHERE d.relation IS NOT NULL
    )
    SELECT 'source stopped', 'error', pg_catalog.format('source "%s": %s', s.name, s.last_error), s.last_hint, s.failed_since
    FROM s WHERE s.status = 'stopped'
    UNION ALL
    SELECT 'source never read', 'warning', pg_catalog.format('source "%s" was declared and not read yet', s.name),
           pg_catalog.format('CALL cdp.refresh(ARRAY[%L]);', s.name), s.created_at
    FROM s WHERE s.status = 'new'
    UNION ALL
    SELECT 'source is old', 'warning', pg_catalog.format('source "%s" was last read %s ago', s.name, pg_catalog.date_trunc('minute', pg_catalog.now() - s.last_success_at)),
           'Let a scheduler call cdp.refresh(), and see whether it still does.', s.last_success_at
    FROM s WHERE s.status <> 'stopped' AND s.last_success_at < pg_catalog.now() - '26 hours'::interval
    UNION ALL
    SELECT 'full compare is due', 'warning', pg_catalog.format('source "%s" is read by its watermark alone since %s: rows that were deleted, or committed later than the overlap, are not seen', s.name, s.last_full_at::date),
           pg_catalog.format('CALL cdp.refresh(ARRAY[%L], full_compare => true), once a week for example.', s.name), s.last_full_at
    FROM s WHERE s.watermark IS NOT NULL AND s.capture = 'pull' AND s.last_full_at < pg_catalog.now() - '8 days'::interval
    UNION ALL
    SELECT 'source owner', 'error', pg_catalog.format('source "%s" belongs to role "%s", which %s', s.name, s.owner,
               CASE WHEN s.owner_id IS NULL THEN 'does not exist' ELSE 'the owner of the storage is no member of' END),
           CASE WHEN s.owner_id IS NULL THEN pg_catalog.format('SELECT cdp.alter_source(%L, owner => current_user);', s.name)
                ELSE pg_catalog.format('GRANT %I TO %I;', s.owner, pg_catalog.pg_get_userbyid(s.storage_owner)) END, NULL::timestamptz
    FROM s WHERE s.owner_id IS NULL OR NOT pg_catalog.pg_has_role(s.storage_owner, s.owner_id, 'USAGE')
    UNION ALL
    SELECT 'changes are waiting', 'warning', pg_catalog.format('source "%s" has %s changed rows that no refresh has read', q.source, q.keys),
           'Let a scheduler call cdp.refresh() more often, and see whether it still does.', q.oldest
    FROM (SELECT c.source, pg_catalog.count(*) AS keys, pg_catalog.min(c.captured_at) AS oldest FROM cdp_data.captured_key AS c GROUP BY c.source) AS q
    WHERE q.oldest < pg_catalog.now() - '26 hours'::interval
    UNION ALL
    SELECT 'rejected rows', 'warning', pg_catalog.format('source "%s": %s rows rejected (%s)', r.source, r.rows, r.reason),
           'See cdp.rejected_records; when the cause is mended, SELECT * FROM cdp.replay_rejected().', r.oldest
    FROM (SELECT r.source, r.reason, pg_catalog.count(*) AS rows, pg_catalog.min(r.rejected_at) AS oldest FROM cdp_data.rejected_record AS r GROUP BY r.source, r.reason) AS r;
END
$health$;
COMMENT ON FUNCTION cdp.source_health() IS
'Part of cdp.health: what needs attention in sources, captured changes and rejected rows.';

CREATE FUNCTION cdp.health_checks(OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $checks$
#variable_conflict use_column
DECLARE
    queries text;
BEGIN
    PERFORM cdp.require_storage();
    -- Each capability brings its own function cdp.<capability>_health().
    SELECT pg_catalog.string_agg(pg_catalog.format('SELECT * FROM cdp.%I()', p.proname), ' UNION ALL ' ORDER BY p.proname)
    INTO queries
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
    JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'cdp'
    WHERE p.pronamespace = 'cdp'::regnamespace AND pg_catalog.right(p.proname, 7) = '_health' AND p.pronargs = 0;
    RETURN QUERY EXECUTE pg_catalog.format(
        'SELECT h."check", h.severity, h.detail, h.hint, h.since FROM (%s) AS h ORDER BY pg_catalog.array_position(ARRAY[''error'', ''warning'', ''info''], h.severity), h."check", h.detail', queries);
END
$checks$;
COMMENT ON FUNCTION cdp.health_checks() IS
'Internal: what the view cdp.health shows: the rows of each function of the extension that is named cdp.<capability>_health().';

-- ---------- views ----------

CREATE FUNCTION cdp.setup_source_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.sources AS
        SELECT s.name AS source, s.kind, s.relation, s.capture, s.owner, t.status, t.rows_read, t.rejected,
               (SELECT pg_catalog.max(b.watermark) FROM cdp_data.source_batch AS b WHERE b.source OPERATOR(pg_catalog.=) s.name) AS watermark,
               pg_catalog.now() OPERATOR(pg_catalog.-) t.last_success_at AS lag,
               (SELECT pg_catalog.count(*) FROM cdp_data.captured_key AS c WHERE c.source OPERATOR(pg_catalog.=) s.name) AS queued,
               t.last_refresh_at, t.last_success_at, t.last_full_at, t.last_error, t.last_sqlstate, t.last_hint, t.failed_since
        FROM cdp_data.source AS s LEFT JOIN cdp_data.source_state AS t ON t.name OPERATOR(pg_catalog.=) s.name
        WHERE s.relation IS NOT NULL;
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
    COMMENT ON COLUMN cdp.sources.lag IS 'time since the start of the latest refresh that went through: what changed since then may be missing';
    COMMENT ON COLUMN cdp.sources.queued IS 'what triggers noted and no refresh has read yet: keys of changed rows, and that all of the table is to be compared';
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
    COMMENT ON COLUMN cdp.refresh_log.refresh_id IS 'number of the call of cdp.refresh';
    COMMENT ON COLUMN cdp.refresh_log.step IS 'source, identities or profiles';
    COMMENT ON COLUMN cdp.refresh_log.source IS 'source that the step read';
    COMMENT ON COLUMN cdp.refresh_log.mode IS 'full, since (rows past the watermark) or captured';
    COMMENT ON COLUMN cdp.refresh_log.started_at IS 'start of the step';
    COMMENT ON COLUMN cdp.refresh_log.finished_at IS 'end of the step';
    COMMENT ON COLUMN cdp.refresh_log.status IS 'ok, skipped or failed';
    COMMENT ON COLUMN cdp.refresh_log.rows_read IS 'rows read, or what the step worked on';
    COMMENT ON COLUMN cdp.refresh_log.records_new IS 'records that were new';
    COMMENT ON COLUMN cdp.refresh_log.records_changed IS 'records that changed';
    COMMENT ON COLUMN cdp.refresh_log.records_unchanged IS 'records that had not changed';
    COMMENT ON COLUMN cdp.refresh_log.retracted IS 'records that were gone';
    COMMENT ON COLUMN cdp.refresh_log.rejected IS 'rows that were rejected';
    COMMENT ON COLUMN cdp.refresh_log.sqlstate IS 'SQLSTATE of the error';
    COMMENT ON COLUMN cdp.refresh_log.message IS 'why the step was skipped or failed';

    CREATE OR REPLACE VIEW cdp.health AS
        SELECT h."check", h.severity, h.detail, h.hint, h.since FROM cdp.health_checks() AS h;
    COMMENT ON VIEW cdp.health IS 'what needs attention, the worst first; no rows: all is well';
    COMMENT ON COLUMN cdp.health."check" IS 'what was looked at';
    COMMENT ON COLUMN cdp.health.severity IS 'error: data is missing or old; warning: it may be; info: good to know';
    COMMENT ON COLUMN cdp.health.detail IS 'what was found';
    COMMENT ON COLUMN cdp.health.hint IS 'what to do';
    COMMENT ON COLUMN cdp.health.since IS 'since when, where that is known';
END
$views$;
COMMENT ON FUNCTION cdp.setup_source_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability source.';
