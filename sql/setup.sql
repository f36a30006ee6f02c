-- setup: the schemas, the storage of the platform, its options and grants.
--
-- Extension members are code only.  The tables are made by cdp.setup(), belong
-- to the role that calls it, and so are dumped and restored as ordinary tables.

CREATE SCHEMA cdp;
COMMENT ON SCHEMA cdp IS 'customer data platform: the public interface';

GRANT USAGE ON SCHEMA cdp TO PUBLIC;
-- Whoever created the extension may create the views that cdp.setup() puts here.
GRANT CREATE ON SCHEMA cdp TO @extowner@;

CREATE FUNCTION cdp.version() RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_version';
COMMENT ON FUNCTION cdp.version() IS
'The version of the loaded library.  It differs from the version of the extension between a package upgrade and ALTER EXTENSION cdp UPDATE.';

CREATE FUNCTION cdp.invalidate_settings() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_invalidate_settings';
COMMENT ON FUNCTION cdp.invalidate_settings() IS
'Trigger on the tables of namespaces, options and blocked identifiers: tells every session to read them again.';

CREATE FUNCTION cdp.option_defaults(OUT name text, OUT value text, OUT description text)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.* FROM (VALUES
        ('conflict_policy', 'reject', 'What happens to a link that breaks a constraint: reject drops the weakest (the oldest links of strong identifiers win), drop_older lets the newest link win.'),
        ('max_profile_size', '10000', 'The largest number of identifiers in one profile; links that would exceed it are refused.'),
        ('max_replay', '100000', 'The largest number of identifiers that a real-time call evaluates again at once; larger work is queued for the next stitch or cdp.refresh_identities().'),
        ('time_zone', 'UTC', 'The time zone of day boundaries and of timestamps without one.'),
        ('realtime_max_events', '10000', 'People with more events than this are left to the next refresh by real-time evaluation.'),
        ('max_model_age', '180', 'Days after which cdp.health calls the model of a score old.')
    ) AS v(name, value, description);
END;
COMMENT ON FUNCTION cdp.option_defaults() IS
'Every option with its default and meaning; the values in force are in the view cdp.options.';

CREATE FUNCTION cdp.help(topic text DEFAULT NULL, OUT name text, OUT kind text, OUT arguments text, OUT result text, OUT description text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $help$
    WITH called_by_others AS (
        -- What types, operators, indexes, casts and aggregates are made of.
        SELECT pg_catalog.unnest(ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend, t.typsubscript]::oid[]) AS oid FROM pg_catalog.pg_type AS t
        UNION ALL SELECT o.oprcode FROM pg_catalog.pg_operator AS o
        UNION ALL SELECT a.amproc FROM pg_catalog.pg_amproc AS a
        UNION ALL SELECT c.castfunc FROM pg_catalog.pg_cast AS c
        UNION ALL SELECT pg_catalog.unnest(ARRAY[g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn]::oid[]) FROM pg_catalog.pg_aggregate AS g
    ), entry AS (
        SELECT c.relname::text AS name, 'view' AS kind, NULL AS arguments, NULL AS result, pg_catalog.obj_description(c.oid, 'pg_class') AS description
        FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'cdp'::regnamespace AND c.relkind = 'v'
        UNION ALL
        SELECT p.proname, CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
               pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid), pg_catalog.obj_description(p.oid, 'pg_proc')
        FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'cdp'::regnamespace AND p.prorettype <> 'trigger'::regtype
          AND p.oid NOT IN (SELECT c.oid FROM called_by_others AS c WHERE c.oid IS NOT NULL)
          AND pg_catalog.obj_description(p.oid, 'pg_proc') !~ '^(Part of|Internal)'
    )
    SELECT e.name, e.kind, e.arguments, e.result, e.description FROM entry AS e
    WHERE $1 IS NULL OR pg_catalog.strpos(pg_catalog.lower(e.name || ' ' || e.description), pg_catalog.lower($1)) > 0
    ORDER BY pg_catalog.strpos(e.name, pg_catalog.lower($1)) > 0 DESC, e.kind = 'view' DESC, e.name COLLATE "C", e.arguments COLLATE "C"
$help$;
COMMENT ON FUNCTION cdp.help(text) IS
'What there is to use: views, functions, procedures and aggregates with a topic, such as ''segment'', in their name or description (NULL: all of them), without what is internal.  SELECT name, description FROM cdp.help(''merge'').';

CREATE FUNCTION cdp.storage_version() RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 3;
COMMENT ON FUNCTION cdp.storage_version() IS
'The version of the storage that this version of the extension works with; cdp.setup() brings the storage to it.';

-- Raises the error that every platform call gives when the storage is missing or old.
CREATE FUNCTION cdp.require_storage() RETURNS void
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_require_storage';
COMMENT ON FUNCTION cdp.require_storage() IS
'Internal: raises an error with a hint when the storage of the platform is missing or of another version; otherwise does nothing.';

-- Asked before a setting or a label is touched, so that the error says what to do.
CREATE FUNCTION cdp.require_admin() RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
BEGIN
    PERFORM cdp.require_storage();
    IF NOT pg_catalog.has_table_privilege('cdp_data.namespace', 'UPDATE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'permission denied to change the settings and labels of cdp',
            HINT = pg_catalog.format('The owner of the storage runs SELECT cdp.grant_access(%L, ''admin'').', pg_catalog.quote_ident(current_user));
    END IF;
END
$require$;
COMMENT ON FUNCTION cdp.require_admin() IS
'Internal: raises an error with a hint when the caller may not change namespaces, options, blocks and labels; otherwise does nothing.';

CREATE FUNCTION cdp.require_owner() RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $require$
DECLARE
    storage_owner regrole;
BEGIN
    SELECT n.nspowner::regrole INTO storage_owner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data';
    IF NOT pg_catalog.pg_has_role(storage_owner::oid, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'must be owner of the storage of cdp',
            DETAIL = pg_catalog.format('It belongs to %s.', storage_owner);
    END IF;
END
$require$;
COMMENT ON FUNCTION cdp.require_owner() IS
'Internal: raises an error when the storage exists and belongs to a role of which the caller is no member; otherwise does nothing.';

CREATE FUNCTION cdp.table_names() RETURNS SETOF name
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.name::name FROM (VALUES ('blocked_identifier'), ('captured_key'), ('changed_profile'), ('contribution'), ('contribution_history'), ('event'),
        ('expression'), ('expression_due'), ('expression_fact'), ('expression_state'), ('identifier'), ('identifier_history'), ('identity_change'), ('label'), ('link'),
        ('model'), ('namespace'), ('option'), ('profile'), ('profile_row'), ('profile_value'), ('property'), ('record'), ('refresh_log'), ('rejected_record'),
        ('score'), ('score_input'), ('score_state'), ('segment_change'), ('segment_day'), ('segment_era'), ('segment_key'), ('segment_member'), ('segment_reader'),
        ('source'), ('source_batch'), ('source_column'), ('source_state'), ('storage'), ('trait')) AS v(name);
END;
COMMENT ON FUNCTION cdp.table_names() IS 'Internal: the tables that cdp.setup() creates in schema cdp_data.';

CREATE FUNCTION cdp.setup() RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $setup$
DECLARE
    stored integer;
    storage_owner regrole;
    missing text;
    current_storage CONSTANT integer := cdp.storage_version();
    had_views CONSTANT boolean := pg_catalog.to_regclass('cdp.identifiers') IS NOT NULL;
BEGIN
    IF NOT pg_catalog.has_schema_privilege('cdp', 'CREATE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'permission denied to create the views of cdp',
            HINT = pg_catalog.format('The owner of the extension, or a superuser, runs: GRANT CREATE ON SCHEMA cdp TO %I; (a restore by a superuser loses that grant).', current_user);
    END IF;
    -- Two sessions that set up at once: the second waits and finds the work done.
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('cdp.setup', 0));

    -- Whoever may create schemas could have planted this one, with views and
    -- triggers that would run with the rights of the caller.
    SELECT n.nspowner::regrole INTO storage_owner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data';
    IF storage_owner <> current_user::regrole THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'schema "cdp_data" belongs to another role',
            DETAIL = pg_catalog.format('It belongs to %s.', storage_owner),
            HINT = pg_catalog.format('If that is who set up the storage: SET ROLE %s, then call cdp.setup() again.  Otherwise drop that schema first.', storage_owner);
    END IF;

    IF pg_catalog.to_regclass('cdp_data.storage') IS NULL THEN
        IF pg_catalog.to_regnamespace('cdp_data') IS NOT NULL THEN
            RAISE duplicate_schema USING
                MESSAGE = 'schema "cdp_data" exists and is not the storage of cdp',
                HINT = 'Rename or drop that schema, then call cdp.setup() again.';
        END IF;
        CREATE SCHEMA cdp_data;
        COMMENT ON SCHEMA cdp_data IS 'customer data platform: storage; read it through the views in schema cdp';
        CREATE TABLE cdp_data.storage (
            version integer NOT NULL,
            only_row boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (only_row)
        );
        COMMENT ON TABLE cdp_data.storage IS 'the version of this storage, one row';
        COMMENT ON COLUMN cdp_data.storage.version IS 'version of the tables in this schema';
        COMMENT ON COLUMN cdp_data.storage.only_row IS 'keeps the table at one row';
        INSERT INTO cdp_data.storage (version) VALUES (0);
        stored := 0;
    ELSE
        SELECT s.version INTO STRICT stored FROM cdp_data.storage AS s FOR UPDATE;
        IF stored > current_storage THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = pg_catalog.format('the storage of cdp has version %s, newer than version %s of this library', stored, current_storage),
                HINT = 'Install the newer package of cdp and run ALTER EXTENSION cdp UPDATE.';
        END IF;
    END IF;

    -- DROP EXTENSION ... CASCADE takes along the columns that have a type of the extension.
    IF stored >= 2 AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a
                        WHERE NOT a.attisdropped AND (a.attrelid = pg_catalog.to_regclass('cdp_data.profile_value') AND a.attname = 'value'
                                                      OR a.attrelid = pg_catalog.to_regclass('cdp_data.contribution') AND a.attname = 'traits')) < 2 THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the storage of cdp has lost the columns that hold traits',
            DETAIL = 'DROP EXTENSION cdp CASCADE drops them; cdp.teardown() keeps them.',
            HINT = 'Restore the database from a backup; or begin anew: SELECT cdp.teardown(keep_data => false), then SELECT cdp.setup().';
    END IF;

    -- Before 0.1.0 the storage changed without another number; the latest change brought a table.
    IF stored = current_storage THEN
        SELECT pg_catalog.string_agg(pg_catalog.format('cdp_data.%I', t), ', ' ORDER BY t) INTO missing
        FROM cdp.table_names() AS t WHERE pg_catalog.to_regclass(pg_catalog.format('cdp_data.%I', t)) IS NULL;
        IF missing IS NOT NULL THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = 'the storage of cdp is not complete',
                DETAIL = pg_catalog.format('There is no %s.', missing),
                HINT = 'A version before 0.1.0 set it up, or tables were dropped.  Restore the database from a backup; or begin anew: SELECT cdp.teardown(keep_data => false), then SELECT cdp.setup().';
        END IF;
    END IF;

    -- One block for each version, so that an old storage walks through all of them.
    IF stored < 1 THEN
        PERFORM cdp.setup_identity_storage();
    END IF;
    IF stored < 2 THEN
        PERFORM cdp.setup_profile_storage();
        PERFORM cdp.setup_source_storage();
    END IF;
    IF stored < 3 THEN
        PERFORM cdp.setup_trait_storage();
        PERFORM cdp.setup_segment_storage();
        PERFORM cdp.setup_score_storage();
    END IF;

    PERFORM cdp.setup_storage_triggers();
    PERFORM cdp.setup_capture_functions();
    PERFORM cdp.convert_profile_columns('text', 'cdp.profile');
    PERFORM cdp.setup_option_views();
    PERFORM cdp.setup_identity_views();
    PERFORM cdp.setup_source_views();
    PERFORM cdp.setup_profile_views();
    PERFORM cdp.setup_trait_views();
    PERFORM cdp.setup_segment_views();
    PERFORM cdp.setup_score_views();
    UPDATE cdp_data.storage SET version = current_storage WHERE version OPERATOR(pg_catalog.<>) current_storage;
    IF stored BETWEEN 1 AND current_storage - 1 OR stored > 0 AND NOT had_views THEN
        PERFORM cdp.repeat_grants();
    END IF;
    IF stored = 0 THEN
        RETURN pg_catalog.format('storage version %s created in schema cdp_data', current_storage);
    ELSIF stored < current_storage THEN
        RETURN pg_catalog.format('storage migrated from version %s to version %s', stored, current_storage);
    END IF;
    RETURN pg_catalog.format('storage version %s is up to date', current_storage);
END
$setup$;
COMMENT ON FUNCTION cdp.setup() IS
'Creates the storage of the platform in schema cdp_data, owned by the caller, and the views in schema cdp; on existing storage, migrates it to this version.  Can be repeated.';

CREATE FUNCTION cdp.setup_storage_triggers() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $triggers$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT v.* FROM (VALUES
            ('option', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('namespace', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('blocked_identifier', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('source', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('source_column', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('trait', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('expression', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            ('expression_fact', 'invalidate_settings', 'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'),
            -- Sessions leave alone what has failed.
            ('expression_state', 'invalidate_settings', 'AFTER UPDATE', 'ROW WHEN ((OLD.status = ''failed'') <> (NEW.status = ''failed''))')
        ) AS v(relation, name, events, level)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
                          WHERE t.tgname = v.name AND t.tgrelid = pg_catalog.to_regclass(pg_catalog.format('cdp_data.%I', v.relation)))
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER %1$I %2$s ON cdp_data.%3$I FOR EACH %4$s EXECUTE FUNCTION cdp.%1$I()',
                                  wanted.name, wanted.events, wanted.relation, wanted.level);
    END LOOP;
END
$triggers$;
COMMENT ON FUNCTION cdp.setup_storage_triggers() IS
'Part of cdp.setup(): the triggers of the storage whose functions are members of the extension, which cdp.teardown() takes away.';

-- They would keep the extension from being dropped.
CREATE FUNCTION cdp.teardown_storage_triggers() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $triggers$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT g.tgname, g.tgrelid::regclass AS relation
        FROM pg_catalog.pg_trigger AS g
        JOIN pg_catalog.pg_class AS r ON r.oid = g.tgrelid AND r.relnamespace = 'cdp_data'::regnamespace
        JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid AND f.pronamespace = 'cdp'::regnamespace
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
    END LOOP;
END
$triggers$;
COMMENT ON FUNCTION cdp.teardown_storage_triggers() IS 'Part of cdp.teardown(): drops what cdp.setup_storage_triggers() made.';

CREATE FUNCTION cdp.setup_option_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.options AS
        SELECT d.name, COALESCE(o.value, d.value) AS value, d.value AS default_value, d.description
        FROM cdp.option_defaults() AS d LEFT JOIN cdp_data.option AS o ON o.name OPERATOR(pg_catalog.=) d.name;
    COMMENT ON VIEW cdp.options IS 'every option with the value in force; change one with cdp.configure(option, value)';
    COMMENT ON COLUMN cdp.options.name IS 'name of the option';
    COMMENT ON COLUMN cdp.options.value IS 'value in force';
    COMMENT ON COLUMN cdp.options.default_value IS 'value when nothing was configured';
    COMMENT ON COLUMN cdp.options.description IS 'what the option does';
END
$views$;
COMMENT ON FUNCTION cdp.setup_option_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability setup.';

CREATE FUNCTION cdp.view_names() RETURNS SETOF name
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.name::name FROM (VALUES ('options'), ('blocked_identifiers'), ('labels'), ('namespaces'), ('identifiers'), ('identity_changes'), ('rejected_records'),
        ('sources'), ('refresh_log'), ('health'),
        ('profiles'), ('profile_values'), ('events'), ('traits'), ('computed_traits'),
        ('segments'), ('segment_dependencies'), ('segment_members'), ('segment_changes'), ('segment_daily'), ('profile_segments'),
        ('models'), ('scores'), ('score_inputs')) AS v(name);
END;
COMMENT ON FUNCTION cdp.view_names() IS 'Internal: the views that cdp.setup() creates in schema cdp.';

CREATE FUNCTION cdp.teardown(keep_data boolean DEFAULT true) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $teardown$
DECLARE
    view_name text;
BEGIN
    IF keep_data IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'keep_data must not be null';
    END IF;
    PERFORM cdp.require_owner();
    -- Views of the platform only: what others built on them stops this with PostgreSQL's own error.
    FOR view_name IN SELECT v FROM cdp.view_names() AS v LOOP
        EXECUTE pg_catalog.format('DROP VIEW IF EXISTS cdp.%I', view_name);
    END LOOP;
    IF NOT keep_data THEN
        DROP SCHEMA IF EXISTS cdp_data CASCADE;
        RETURN 'views and storage dropped';
    END IF;
    IF pg_catalog.to_regclass('cdp_data.storage') IS NOT NULL THEN
        PERFORM cdp.convert_profile_columns('cdp.profile', 'text');
        PERFORM cdp.teardown_storage_triggers();
    END IF;
    RETURN 'views dropped, storage kept in schema cdp_data';
END
$teardown$;
COMMENT ON FUNCTION cdp.teardown(boolean) IS
'Precedes DROP EXTENSION cdp: drops the views in schema cdp and, with keep_data => false, the storage with all its data.  Kept storage is taken up again by CREATE EXTENSION cdp and cdp.setup().';

CREATE FUNCTION cdp.configure(option text, value text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $configure$
DECLARE
    previous text;
BEGIN
    PERFORM cdp.require_admin();
    -- Writers hold a weaker lock on this table until they end, so a setting never changes under one of them.
    IF configure.option IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'option must not be null';
    END IF;
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    SELECT o.value INTO previous FROM cdp.options AS o WHERE o.name = configure.option;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('option "%s" does not exist', configure.option),
            HINT = 'The view cdp.options lists the options.';
    END IF;
    IF configure.value IS NULL THEN
        SELECT d.value INTO configure.value FROM cdp.option_defaults() AS d WHERE d.name = configure.option;
    END IF;
    CASE
        WHEN configure.option = 'conflict_policy' THEN
            IF configure.value NOT IN ('reject', 'drop_older') THEN
                RAISE invalid_parameter_value USING
                    MESSAGE = pg_catalog.format('invalid value for option "conflict_policy": "%s"', configure.value),
                    HINT = 'The values are reject and drop_older.';
            END IF;
        WHEN configure.option = 'time_zone' THEN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_timezone_names AS z WHERE z.name = configure.value) THEN
                RAISE invalid_parameter_value USING
                    MESSAGE = pg_catalog.format('time zone "%s" does not exist', configure.value),
                    HINT = 'The view pg_timezone_names lists the time zones.';
            END IF;
        ELSE
            IF configure.value !~ '^[0-9]{1,9}$' OR configure.value::integer < 1 THEN
                RAISE invalid_parameter_value USING
                    MESSAGE = pg_catalog.format('invalid value for option "%s": "%s"', configure.option, configure.value),
                    HINT = 'The value is a whole number from 1 to 999999999.';
            END IF;
    END CASE;
    IF previous = configure.value THEN
        RETURN;
    END IF;
    INSERT INTO cdp_data.option AS o (name, value) VALUES (configure.option, configure.value)
        ON CONFLICT ON CONSTRAINT option_pkey DO UPDATE SET value = EXCLUDED.value;
    IF configure.option IN ('conflict_policy', 'max_profile_size') THEN
        PERFORM cdp.rebuild_identities();
    END IF;
END
$configure$;
COMMENT ON FUNCTION cdp.configure(text, text) IS
'Sets an option (NULL: back to its default).  A change of conflict_policy or max_profile_size rebuilds the partition in the same transaction.';

CREATE FUNCTION cdp.grant_access(role regrole, access text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE
    view_name text;
    settings CONSTANT text := 'cdp_data.namespace, cdp_data.option, cdp_data.blocked_identifier, cdp_data.label, cdp_data.model';
    -- Texts of these run as other roles, up to the owner of the storage: whoever could write them could do all that it can.
    declarations CONSTANT text := 'cdp_data.storage, cdp_data.source, cdp_data.source_column, cdp_data.property, cdp_data.trait, '
        'cdp_data.expression, cdp_data.expression_fact, cdp_data.segment_key, cdp_data.score';
BEGIN
    IF role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role must not be null';
    END IF;
    IF access IS NULL OR access NOT IN ('reader', 'writer', 'admin') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid access "%s"', access),
            HINT = 'The kinds of access are reader, writer and admin.';
    END IF;
    PERFORM cdp.require_owner();
    PERFORM cdp.require_storage();
    -- Who owns the tables may do everything; granting less would take rights away from the owner.
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'cdp_data' AND n.nspowner = role) THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('%s owns the storage of cdp and has every access already', role);
        RETURN;
    END IF;
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA cdp_data TO %s', role);
    EXECUTE pg_catalog.format('GRANT SELECT ON ALL TABLES IN SCHEMA cdp_data TO %s', role);
    FOR view_name IN SELECT v FROM cdp.view_names() AS v LOOP
        EXECUTE pg_catalog.format('GRANT SELECT ON cdp.%I TO %s', view_name, role);
    END LOOP;
    IF access IN ('writer', 'admin') THEN
        EXECUTE pg_catalog.format('GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cdp_data TO %s', role);
        EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %s', declarations, role);
        EXECUTE pg_catalog.format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA cdp_data TO %s', role);
    END IF;
    -- The latest call counts, so that access can be lowered too.
    IF access = 'reader' THEN
        EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cdp_data FROM %s', role);
        EXECUTE pg_catalog.format('REVOKE USAGE ON ALL SEQUENCES IN SCHEMA cdp_data FROM %s', role);
    ELSIF access = 'writer' THEN
        -- Writers bring evidence; the rules by which it is read are the administrators'.
        EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %s', settings, role);
    END IF;
END
$grant$;
COMMENT ON FUNCTION cdp.grant_access(regrole, text) IS
'Lets a role read the views (reader), also bring in evidence (writer: stitch, identify, retract), or also change namespaces, blocks, labels, options and models (admin); the latest call counts.  Called by the owner of the storage.';

CREATE FUNCTION cdp.repeat_grants() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $repeat$
DECLARE
    given record;
BEGIN
    -- By what cdp.grant_access gives: to read the storage, to write evidence, to write settings.
    FOR given IN
        SELECT a.grantee, pg_catalog.bool_or(a.privilege = 'cdp_data.namespace INSERT') AS is_admin, pg_catalog.bool_or(a.privilege = 'cdp_data.record INSERT') AS is_writer
        FROM (SELECT x.grantee, pg_catalog.format('%I.%I %s', c.relnamespace::regnamespace, c.relname, x.privilege_type) AS privilege
              FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS x
              WHERE c.oid IN ('cdp_data.storage'::regclass, 'cdp_data.namespace'::regclass, 'cdp_data.record'::regclass)
                AND x.grantee NOT IN (0, c.relowner)) AS a
        GROUP BY a.grantee
        HAVING pg_catalog.bool_or(a.privilege = 'cdp_data.storage SELECT') AND pg_catalog.bool_or(a.privilege = 'cdp_data.record SELECT')
    LOOP
        PERFORM cdp.grant_access(given.grantee::regrole, CASE WHEN given.is_admin THEN 'admin' WHEN given.is_writer THEN 'writer' ELSE 'reader' END);
    END LOOP;
END
$repeat$;
COMMENT ON FUNCTION cdp.repeat_grants() IS
'Part of cdp.setup(): gives the roles that had access the same access to what a migration made, and to views that were away.';
