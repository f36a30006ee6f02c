-- Storage of version 2, which had no segments, is brought to this version; who had access before has it to what is new.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_cdp_analyst, regress_cdp_loader, regress_cdp_steward, regress_cdp_other;
SELECT cdp.setup();
CREATE ROLE regress_cdp_analyst;
CREATE ROLE regress_cdp_loader;
CREATE ROLE regress_cdp_steward;
CREATE ROLE regress_cdp_other;
SELECT cdp.grant_access('regress_cdp_analyst', 'reader'), cdp.grant_access('regress_cdp_loader', 'writer'), cdp.grant_access('regress_cdp_steward', 'admin');
-- a right that was given by hand to one view is no access
GRANT SELECT ON cdp.identifiers TO regress_cdp_other;
SELECT cdp.identify('{"crm_id": 1}', 'crm', '1', '2026-01-01') IS NOT NULL AS identified;
SELECT cdp.materialize_profiles();

-- As version 2 left it.
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP VIEW cdp.%I', v) FROM cdp.view_names() AS v
        WHERE v <> ALL ('{options,blocked_identifiers,labels,namespaces,identifiers,identity_changes,rejected_records,sources,refresh_log,health}')
        UNION ALL
        SELECT format('DROP %s cdp_data.%I CASCADE', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, c.relname)
        FROM pg_class AS c WHERE c.relnamespace = 'cdp_data'::regnamespace AND c.relkind IN ('r', 'm') AND c.relname <> 'segment_change'
          AND c.relname <> ALL ('{blocked_identifier,captured_key,changed_profile,contribution,contribution_history,event,identifier,identifier_history,identity_change,label,link,namespace,option,profile,profile_row,profile_value,property,record,refresh_log,rejected_record,source,source_batch,source_column,source_state,storage,trait}')
    LOOP
        EXECUTE statement;
    END LOOP;
    DROP TABLE cdp_data.segment_change;
END $$;
UPDATE cdp_data.storage SET version = 2;
\connect -
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cdp.create_segment('all', 'true');
SELECT cdp.setup();
SELECT cdp.setup();
SELECT cdp.create_segment('all', 'true');
SELECT cdp.create_computed_trait('one', '1');

SELECT r AS role, t AS relation, string_agg(p, ', ' ORDER BY p) FILTER (WHERE has_table_privilege(r, t, p)) AS privileges
FROM unnest('{regress_cdp_analyst,regress_cdp_loader,regress_cdp_steward,regress_cdp_other}'::name[]) AS r,
     unnest('{cdp_data.expression,cdp_data.segment_member,cdp_data.segment_key,cdp.segments,cdp.profile_segments}'::text[]) AS t, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p
GROUP BY r, t ORDER BY t, r;
SET ROLE regress_cdp_analyst;
SELECT name, status FROM cdp.segments;
SELECT one FROM cdp.profiles;
SELECT "all" FROM cdp.profile_segments;
RESET ROLE;

SELECT cdp.teardown(false);
DROP OWNED BY regress_cdp_analyst, regress_cdp_loader, regress_cdp_steward, regress_cdp_other;
DROP ROLE regress_cdp_analyst, regress_cdp_loader, regress_cdp_steward, regress_cdp_other;
