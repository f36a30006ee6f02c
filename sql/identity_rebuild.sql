-- identity: checking what is derived from the evidence, deriving it anew, and normalising stored values again.
--
-- Everything runs with the caller's rights, as in identity.sql.

CREATE FUNCTION cdp.rebuild_identities(
    OUT identifiers_changed bigint, OUT links_changed bigint, OUT records_changed bigint, OUT merges bigint, OUT splits bigint)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_rebuild_identities';
COMMENT ON FUNCTION cdp.rebuild_identities() IS
'Derives links, partition and ids anew from all evidence and writes what differs; on a sound database nothing.';

CREATE FUNCTION cdp.identity_differences(OUT problem text, OUT detail text) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_identity_differences';
COMMENT ON FUNCTION cdp.identity_differences() IS
'Internal: what cdp.rebuild_identities() would change; reads only.';

CREATE FUNCTION cdp.check_identities(OUT problem text, OUT detail text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
#variable_conflict use_column
DECLARE
    queued bigint;
BEGIN
    PERFORM cdp.require_storage();
    -- What refers to nothing comes first: the comparison with the evidence needs sound references.
    RETURN QUERY
    SELECT 'identifier without profile', pg_catalog.format('identifier %s is in profile %s, which does not exist or is retired', i.id, i.profile_id)
    FROM cdp_data.identifier AS i
    WHERE NOT EXISTS (SELECT FROM cdp_data.profile AS p WHERE p.profile_id = i.profile_id AND p.state <> 'r')
    UNION ALL
    SELECT 'live profile without identifiers', pg_catalog.format('profile %s', p.profile_id)
    FROM cdp_data.profile AS p
    WHERE p.state <> 'r' AND NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.profile_id = p.profile_id)
    UNION ALL
    SELECT 'anchor is missing', pg_catalog.format('profile %s has anchor %s', p.profile_id, p.anchor)
    FROM cdp_data.profile AS p
    WHERE NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id = p.anchor)
    UNION ALL
    SELECT 'live profile does not hold its anchor', pg_catalog.format('profile %s has anchor %s', p.profile_id, p.anchor)
    FROM cdp_data.profile AS p JOIN cdp_data.identifier AS i ON i.id = p.anchor
    WHERE p.state = 'l' AND i.profile_id <> p.profile_id
    UNION ALL
    SELECT 'identifier without namespace', pg_catalog.format('identifier %s has namespace %s', i.id, i.namespace_id)
    FROM cdp_data.identifier AS i WHERE NOT EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.namespace_id = i.namespace_id)
    UNION ALL
    SELECT 'record refers to a missing identifier', pg_catalog.format('a record of source "%s" refers to identifier %s', r.source, u.id)
    FROM cdp_data.record AS r CROSS JOIN LATERAL pg_catalog.unnest(COALESCE(r.ids, ARRAY[r.hub])) AS u(id)
    WHERE NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id = u.id)
    UNION ALL
    SELECT 'record does not hold its hub', pg_catalog.format('a record of source "%s" has hub %s', r.source, r.hub)
    FROM cdp_data.record AS r WHERE r.ids IS NOT NULL AND r.hub <> ALL (r.ids)
    UNION ALL
    SELECT 'link refers to a missing identifier', pg_catalog.format('link from %s to %s', l.a, l.b)
    FROM cdp_data.link AS l
    WHERE NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id = l.a) OR NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id = l.b)
    UNION ALL
    SELECT 'label refers to a missing identifier', pg_catalog.format('label %s', l.label_id)
    FROM cdp_data.label AS l
    WHERE NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id = l.a) OR NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id = l.b);
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT pg_catalog.count(*) INTO queued FROM cdp_data.profile AS p WHERE p.state = 'p';
    IF queued > 0 THEN
        RETURN QUERY SELECT 'replay is queued', pg_catalog.format('%s profiles wait for cdp.refresh_identities(); the rest was not compared', queued);
    ELSE
        RETURN QUERY SELECT d.problem, d.detail FROM cdp.identity_differences() AS d;
    END IF;
    RETURN QUERY
    SELECT 'normalizer version differs',
           pg_catalog.format('values of namespace "%s" went through %s, this is %s; SELECT cdp.renormalize() mends it',
                             n.name, n.normalizer_version, cdp.normalizer_version(n.normalizer))
    FROM cdp_data.namespace AS n
    WHERE n.normalizer_version <> cdp.normalizer_version(n.normalizer)
      AND EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.namespace_id = n.namespace_id);
END
$check$;
COMMENT ON FUNCTION cdp.check_identities() IS
'Every inconsistency between evidence, links, partition, ids and normaliser versions; no rows on a sound database.  Reads everything, writes nothing.';

CREATE FUNCTION cdp.replace_identifiers(old_ids bigint[], new_ids bigint[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $replace$
#variable_conflict use_column
BEGIN
    -- Nobody else writes meanwhile, so that places of rows can stand for their keys.
    WITH moved AS MATERIALIZED (
        SELECT m.old_id, m.new_id FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS m(old_id, new_id)
    )
    UPDATE cdp_data.record AS r SET hub = n.hub, ids = n.ids
    FROM (SELECT k.place, pg_catalog.min(COALESCE(h.new_id, k.hub)) AS hub,
                 CASE WHEN pg_catalog.count(DISTINCT COALESCE(m.new_id, k.id)) > 1
                      THEN pg_catalog.array_agg(DISTINCT COALESCE(m.new_id, k.id) ORDER BY COALESCE(m.new_id, k.id)) END AS ids
          FROM (SELECT t.ctid AS place, t.hub, COALESCE(u.id, t.hub) AS id
                FROM cdp_data.record AS t LEFT JOIN LATERAL pg_catalog.unnest(t.ids) AS u(id) ON true) AS k
          LEFT JOIN moved AS m ON m.old_id = k.id
          LEFT JOIN moved AS h ON h.old_id = k.hub
          GROUP BY k.place
          HAVING pg_catalog.bool_or(m.old_id IS NOT NULL OR h.old_id IS NOT NULL)) AS n
    WHERE r.ctid = n.place;

    -- What hangs on records finds its person through the hub too.
    UPDATE cdp_data.contribution AS c SET hub = m.new_id
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS m(old_id, new_id) WHERE m.old_id = c.hub;
    UPDATE cdp_data.contribution_history AS c SET hub = m.new_id
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS m(old_id, new_id) WHERE m.old_id = c.hub;
    UPDATE cdp_data.event AS e SET hub = m.new_id
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS m(old_id, new_id) WHERE m.old_id = e.hub;

    -- Labels and the anchors of profiles go on with the new identifier.
    INSERT INTO cdp_data.label (kind, a, b, reason, created_at, created_by)
    SELECT k.kind, LEAST(k.a, k.b), GREATEST(k.a, k.b), k.reason, k.created_at, k.created_by
    FROM (SELECT l.label_id, l.kind, COALESCE(x.new_id, l.a) AS a, COALESCE(y.new_id, l.b) AS b, l.reason, l.created_at, l.created_by
          FROM cdp_data.label AS l
          LEFT JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS x(old_id, new_id) ON x.old_id = l.a
          LEFT JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS y(old_id, new_id) ON y.old_id = l.b
          WHERE l.a = ANY ($1) OR l.b = ANY ($1)) AS k
    WHERE k.a <> k.b
    ORDER BY k.label_id
    ON CONFLICT ON CONSTRAINT label_pair DO NOTHING;
    DELETE FROM cdp_data.label AS l WHERE l.a = ANY ($1) OR l.b = ANY ($1);
    UPDATE cdp_data.profile AS p SET anchor = m.new_id
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS m(old_id, new_id) WHERE m.old_id = p.anchor;

    DELETE FROM cdp_data.link AS l WHERE l.a = ANY ($1) OR l.b = ANY ($1);
    DELETE FROM cdp_data.identifier_history AS h WHERE h.identifier_id = ANY ($1);
    INSERT INTO cdp_data.identity_change (changed_at, kind, profile_id, other_profile_id, identifiers, cause)
    SELECT pg_catalog.clock_timestamp(), 'merge', n.profile_id, o.profile_id, 1, 'renormalize'
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS m(old_id, new_id)
    JOIN cdp_data.identifier AS o ON o.id = m.old_id
    JOIN cdp_data.identifier AS n ON n.id = m.new_id
    WHERE o.profile_id <> n.profile_id
      AND NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.profile_id = o.profile_id AND i.id <> ALL ($1));
    DELETE FROM cdp_data.identifier AS i WHERE i.id = ANY ($1);
    UPDATE cdp_data.profile AS p SET state = 'r', changed_at = pg_catalog.clock_timestamp()
    WHERE p.state <> 'r' AND NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.profile_id = p.profile_id);
END
$replace$;
COMMENT ON FUNCTION cdp.replace_identifiers(bigint[], bigint[]) IS
'Part of cdp.renormalize: puts identifiers in the place of others that turned out to be the same, in records, labels and anchors, and forgets the others.  A rebuild must follow.';

CREATE FUNCTION cdp.renormalize(namespace text DEFAULT NULL, OUT identifiers_changed bigint, OUT identifiers_invalid bigint) RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $renormalize$
#variable_conflict use_column
DECLARE
    n record;
    i record;
    survivor bigint;
    old_ids bigint[] := '{}';
    new_ids bigint[] := '{}';
BEGIN
    identifiers_changed := 0;
    identifiers_invalid := 0;
    PERFORM cdp.require_admin();
    IF $1 IS NOT NULL AND NOT EXISTS (SELECT FROM cdp_data.namespace AS t WHERE t.name = $1) THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('namespace "%s" does not exist', $1),
            HINT = 'The view cdp.namespaces lists the namespaces.';
    END IF;
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    PERFORM cdp.lock_identities();
    FOR n IN SELECT t.* FROM cdp_data.namespace AS t WHERE $1 IS NULL OR t.name = $1 ORDER BY t.namespace_id LOOP
        FOR i IN
            SELECT t.id, t.value, cdp.normalize_identifier(n.name, t.value) AS normalized
            FROM cdp_data.identifier AS t WHERE t.namespace_id = n.namespace_id
        LOOP
            IF i.normalized IS NULL THEN
                -- The raw value is the source's; what it gives is for the next stitch to say.
                identifiers_invalid := identifiers_invalid + 1;
            ELSIF i.normalized <> i.value THEN
                identifiers_changed := identifiers_changed + 1;
                SELECT t.id INTO survivor FROM cdp_data.identifier AS t
                WHERE t.namespace_id = n.namespace_id AND t.value = i.normalized;
                IF NOT FOUND THEN
                    UPDATE cdp_data.identifier AS t SET value = i.normalized WHERE t.id = i.id;
                ELSE
                    old_ids := old_ids OPERATOR(pg_catalog.||) i.id::bigint;
                    new_ids := new_ids OPERATOR(pg_catalog.||) survivor;
                END IF;
            END IF;
        END LOOP;
        -- A blocked value is compared with normalised ones.
        UPDATE cdp_data.blocked_identifier AS b SET value = k.normalized
        FROM (SELECT pg_catalog.min(c.blocked_id) AS blocked_id, c.normalized
              FROM (SELECT t.blocked_id, cdp.normalize_identifier(n.name, t.value) AS normalized
                    FROM cdp_data.blocked_identifier AS t WHERE t.namespace = n.name AND t.value IS NOT NULL) AS c
              GROUP BY c.normalized) AS k
        WHERE b.blocked_id = k.blocked_id AND b.value <> k.normalized
          AND NOT EXISTS (SELECT FROM cdp_data.blocked_identifier AS t WHERE t.namespace = n.name AND t.value = k.normalized);
        UPDATE cdp_data.namespace AS t SET normalizer_version = cdp.normalizer_version(t.normalizer) WHERE t.namespace_id = n.namespace_id;
    END LOOP;
    IF pg_catalog.cardinality(old_ids) > 0 THEN
        PERFORM cdp.replace_identifiers(old_ids, new_ids);
    END IF;
    IF identifiers_changed > 0 THEN
        INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0);
    END IF;
    PERFORM cdp.rebuild_identities();
END
$renormalize$;
COMMENT ON FUNCTION cdp.renormalize(text) IS
'Brings the stored values of a namespace (NULL: of all) to what its normaliser gives now, joins spellings that became one, and rebuilds the partition.  Returns how many identifiers changed, and how many the normaliser no longer takes (they stay as they are).';
