-- Real time: who is not where the compiled statements say, for the tests that compare it with a whole
-- evaluation.

-- Who is a member and should not be, and the other way round; values of computed traits likewise.  What is
-- marked as failed is left to a refresh, and may be left out.
CREATE FUNCTION wrong(without_failed boolean DEFAULT true) RETURNS TABLE (name text, profile_id bigint, problem text) LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    PERFORM cdp.materialize_profiles();
    FOR e IN SELECT x.* FROM cdp_data.expression AS x LEFT JOIN cdp_data.expression_state AS s USING (expression_id)
             WHERE x.is_realtime AND NOT (without_failed AND s.status IS NOT DISTINCT FROM 'failed') ORDER BY x.name LOOP
        IF e.kind = 'segment' THEN
            RETURN QUERY EXECUTE format('SELECT %L::text, COALESCE(m.profile_id, t.profile_id), CASE WHEN t.profile_id IS NULL THEN ''should be out'' ELSE ''should be in'' END
                FROM (SELECT k.profile_id FROM cdp_data.segment_member AS k WHERE k.segment_id = %s) AS m
                FULL JOIN (%s) AS t(profile_id) ON t.profile_id = m.profile_id WHERE m.profile_id IS NULL OR t.profile_id IS NULL',
                e.name, e.expression_id, cdp.segment_sql(e.name));
        ELSE
            RETURN QUERY EXECUTE format('SELECT %L::text, t.profile_id, format(''is %%s, should be %%s'', p.%I, t.value)
                FROM cdp.profiles AS p JOIN (%s) AS t(profile_id, value) USING (profile_id) WHERE p.%I IS DISTINCT FROM t.value', e.name, e.name, cdp.trait_sql(e.name), e.name);
        END IF;
    END LOOP;
END $$;
