-- identity: namespaces, stitching, look-ups, labels, explanations.
--
-- Everything runs with the caller's rights: the storage's grants decide who
-- may do what (cdp.grant_access).

-- ---------- namespaces ----------

CREATE FUNCTION cdp.normalizer_version(normalizer text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_normalizer_version_text';
COMMENT ON FUNCTION cdp.normalizer_version(text) IS
'The version of a normaliser, which namespaces record with the values that went through it; NULL for an unknown one.';

CREATE FUNCTION cdp.normalize_identifier(namespace text, value text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_normalize_identifier';
COMMENT ON FUNCTION cdp.normalize_identifier(text, text) IS
'A value as the namespace stores it; NULL when it is not valid there.';

CREATE FUNCTION cdp.check_namespace(
    name text, normalizer text, priority integer, pattern text, kind text,
    max_per_profile integer, max_links integer, default_region text, entity text)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
BEGIN
    IF name IS NULL OR name !~ '^[a-z_][a-z0-9_]*$' OR pg_catalog.length(name) > 62 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid name for a namespace: "%s"', name),
            HINT = 'Use lower-case letters, digits and underscores, at most 62, since the name serves as a column name.';
    END IF;
    IF name IN ('record_key', 'observed_at') OR name IN (SELECT c.name FROM cdp.profile_fixed_columns() AS c) THEN
        RAISE reserved_name USING
            MESSAGE = pg_catalog.format('"%s" is reserved and cannot be a namespace', name),
            HINT = 'Choose another name.';
    END IF;
    IF normalizer IS NULL OR cdp.normalizer_version(normalizer) IS NULL THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('normalizer "%s" does not exist', normalizer),
            HINT = 'The normalizers are exact, lower, digits, uuid, email and phone.';
    END IF;
    IF priority IS NULL OR priority < 1 OR kind IS NULL OR kind NOT IN ('person', 'device')
       OR max_per_profile < 1 OR max_links < 1 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid rules for namespace "%s"', name),
            HINT = 'priority, max_per_profile and max_links are positive (1 is the strongest; NULL limits nothing), kind is person or device.';
    END IF;
    IF entity IS DISTINCT FROM 'person' THEN
        RAISE feature_not_supported USING
            MESSAGE = pg_catalog.format('entity "%s" is not supported', entity),
            HINT = 'Identifiers name persons; household and account are reserved.';
    END IF;
    IF pattern IS NOT NULL THEN
        PERFORM '' ~ pattern;   -- an invalid pattern fails here, with PostgreSQL's message
    END IF;
    IF default_region IS NOT NULL AND normalizer = 'phone' THEN
        PERFORM cdp.normalize_phone('0', default_region);
    END IF;
END
$check$;
COMMENT ON FUNCTION cdp.check_namespace(text, text, integer, text, text, integer, integer, text, text) IS
'Internal: raises an error that says which rule of a namespace is not valid.';

CREATE FUNCTION cdp.create_namespace(
    name text, normalizer text DEFAULT 'exact', priority integer DEFAULT 100, pattern text DEFAULT NULL,
    kind text DEFAULT 'person', max_per_profile integer DEFAULT NULL, max_links integer DEFAULT NULL,
    default_region text DEFAULT NULL, provider_rules boolean DEFAULT false, entity text DEFAULT 'person',
    replace boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $create$
#variable_conflict use_column
DECLARE
    existing record;         -- a row type would be looked up before the error about missing storage
BEGIN
    PERFORM cdp.require_admin();
    PERFORM cdp.check_namespace($1, $2, $3, $4, $5, $6, $7, $8, $10);
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    SELECT n.* INTO existing FROM cdp.namespaces AS n WHERE n.namespace = $1;
    IF FOUND THEN
        IF (existing.normalizer, existing.priority, existing.pattern, existing.kind, existing.max_per_profile, existing.max_links,
            existing.default_region, existing.provider_rules)
           IS NOT DISTINCT FROM ($2, $3, $4, $5, $6, $7, $8, COALESCE($9, false)) THEN
            RETURN;
        END IF;
        IF NOT COALESCE($11, false) THEN
            RAISE duplicate_object USING
                MESSAGE = pg_catalog.format('namespace "%s" already exists with other rules', $1),
                HINT = 'Use replace => true, or cdp.alter_namespace.';
        END IF;
        PERFORM cdp.set_namespace($1, $2, $3, $4, $5, $6, $7, $8, COALESCE($9, false));
        RETURN;
    END IF;
    INSERT INTO cdp_data.namespace (namespace_id, name, normalizer, normalizer_version, default_region, provider_rules, pattern,
                                    priority, kind, max_per_profile, max_links, entity)
    SELECT COALESCE(pg_catalog.max(n.namespace_id), 0) + 1, $1, $2, cdp.normalizer_version($2), $8, COALESCE($9, false), $4, $3, $5, $6, $7, $10
    FROM cdp_data.namespace AS n;
    PERFORM cdp.declare_namespace_column($1);
END
$create$;
COMMENT ON FUNCTION cdp.create_namespace(text, text, integer, text, text, integer, integer, text, boolean, text, boolean) IS
'Declares a kind of identifier: normaliser, strength (priority, 1 is the strongest), validity pattern, kind (person or device), limits (max_per_profile, max_links).  The same declaration again does nothing; another one needs replace => true.';

CREATE FUNCTION cdp.set_namespace(
    name text, normalizer text, priority integer, pattern text, kind text,
    max_per_profile integer, max_links integer, default_region text, provider_rules boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $set$
#variable_conflict use_column
DECLARE
    before record;
BEGIN
    SELECT n.* INTO STRICT before FROM cdp_data.namespace AS n WHERE n.name = $1;
    IF before.kind <> $5 THEN
        -- Who is known is part of their rows in cdp.profiles.
        INSERT INTO cdp_data.changed_profile (profile_id)
        SELECT DISTINCT i.profile_id FROM cdp_data.identifier AS i WHERE i.namespace_id = before.namespace_id;
    END IF;
    UPDATE cdp_data.namespace AS n
    SET normalizer = $2, priority = $3, pattern = $4, kind = $5, max_per_profile = $6, max_links = $7, default_region = $8, provider_rules = $9
    WHERE n.name = $1;
    IF NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.namespace_id = before.namespace_id) THEN
        UPDATE cdp_data.namespace AS n SET normalizer_version = cdp.normalizer_version($2) WHERE n.name = $1;
        RETURN;
    END IF;
    IF (before.normalizer, before.default_region, before.provider_rules) IS DISTINCT FROM ($2, $8, $9) THEN
        -- Includes a rebuild.
        PERFORM cdp.renormalize($1);
    ELSIF (before.priority, before.max_per_profile, before.max_links) IS DISTINCT FROM ($3, $6, $7) THEN
        PERFORM cdp.rebuild_identities();
    END IF;
END
$set$;
COMMENT ON FUNCTION cdp.set_namespace(text, text, integer, text, text, integer, integer, text, boolean) IS
'Part of cdp.alter_namespace and cdp.create_namespace: writes the rules and brings the graph to them.';

CREATE FUNCTION cdp.alter_namespace(
    name text, normalizer text DEFAULT NULL, priority integer DEFAULT NULL, pattern text DEFAULT NULL,
    kind text DEFAULT NULL, max_per_profile integer DEFAULT NULL, max_links integer DEFAULT NULL,
    default_region text DEFAULT NULL, provider_rules boolean DEFAULT NULL, unlimited text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $alter$
#variable_conflict use_column
DECLARE
    n record;
    unknown text;
BEGIN
    PERFORM cdp.require_admin();
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    SELECT t.* INTO n FROM cdp_data.namespace AS t WHERE t.name = $1;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('namespace "%s" does not exist', $1),
            HINT = 'The view cdp.namespaces lists the namespaces.';
    END IF;
    SELECT u INTO unknown FROM pg_catalog.unnest($10) AS u WHERE u NOT IN ('max_per_profile', 'max_links', 'pattern', 'default_region') LIMIT 1;
    IF FOUND THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('"%s" cannot be unlimited', unknown),
            HINT = 'unlimited takes max_per_profile, max_links, pattern and default_region.';
    END IF;
    n.normalizer := COALESCE($2, n.normalizer);
    n.priority := COALESCE($3, n.priority);
    n.pattern := CASE WHEN 'pattern' = ANY ($10) THEN NULL ELSE COALESCE($4, n.pattern) END;
    n.kind := COALESCE($5, n.kind);
    n.max_per_profile := CASE WHEN 'max_per_profile' = ANY ($10) THEN NULL ELSE COALESCE($6, n.max_per_profile) END;
    n.max_links := CASE WHEN 'max_links' = ANY ($10) THEN NULL ELSE COALESCE($7, n.max_links) END;
    n.default_region := CASE WHEN 'default_region' = ANY ($10) THEN NULL ELSE COALESCE($8, n.default_region) END;
    n.provider_rules := COALESCE($9, n.provider_rules);
    PERFORM cdp.check_namespace(n.name, n.normalizer, n.priority, n.pattern, n.kind, n.max_per_profile, n.max_links, n.default_region, n.entity);
    PERFORM cdp.set_namespace(n.name, n.normalizer, n.priority, n.pattern, n.kind, n.max_per_profile, n.max_links, n.default_region, n.provider_rules);
END
$alter$;
COMMENT ON FUNCTION cdp.alter_namespace(text, text, integer, text, text, integer, integer, text, boolean, text[]) IS
'Changes rules of a namespace; NULL keeps a rule, and unlimited => ARRAY[''max_links''] takes one away.  A change of priority or limits rebuilds the partition, a change of the normaliser normalises the stored values again, all in this transaction.';

CREATE FUNCTION cdp.drop_namespace(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $drop$
DECLARE
    held bigint;
BEGIN
    PERFORM cdp.require_admin();
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    SELECT pg_catalog.count(*) INTO held
    FROM cdp_data.identifier AS i JOIN cdp_data.namespace AS n ON n.namespace_id = i.namespace_id WHERE n.name = drop_namespace.name;
    IF held > 0 THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = pg_catalog.format('cannot drop namespace "%s" because %s identifiers belong to it', drop_namespace.name, held),
                HINT = 'Identifiers are never deleted, so that ids keep their meaning.  A namespace that nothing writes to any more does no harm.';
    END IF;
    DELETE FROM cdp_data.namespace AS n WHERE n.name = drop_namespace.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = pg_catalog.format('namespace "%s" does not exist', drop_namespace.name),
            HINT = 'The view cdp.namespaces lists the namespaces.';
    END IF;
    DELETE FROM cdp_data.blocked_identifier AS b WHERE b.namespace = drop_namespace.name;
    PERFORM cdp.declare_namespace_column(drop_namespace.name);
END
$drop$;
COMMENT ON FUNCTION cdp.drop_namespace(text) IS 'Drops a namespace that holds no identifiers.';

-- ---------- evidence ----------

CREATE FUNCTION cdp.stitch(
    source text, query text,
    OUT rows_read bigint, OUT records_new bigint, OUT records_changed bigint, OUT records_unchanged bigint,
    OUT identifiers_new bigint, OUT links_new bigint, OUT profiles_new bigint, OUT merges bigint, OUT splits bigint,
    OUT refusals bigint, OUT rejected bigint, OUT identifiers_dropped bigint)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_stitch';
COMMENT ON FUNCTION cdp.stitch(text, text) IS
'Takes in the records that a query yields: record_key, optionally observed_at (timestamptz), and columns named after the namespaces of their identifiers (a name may repeat, an array gives several values).  The same rows again change nothing, a newer version of a record replaces it.  The query runs with the rights of the caller.';

CREATE FUNCTION cdp.identify(identifiers jsonb, source text, record_key text, observed_at timestamptz DEFAULT NULL, traits jsonb DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_identify';
COMMENT ON FUNCTION cdp.identify(jsonb, text, text, timestamptz, jsonb) IS
'Takes in one record, such as {"email": ["a@b.c"], "crm_id": 17}, with what it says about traits, such as {"country": "FR"}, and returns the profile it belongs to; NULL when the record is rejected (see cdp.rejected_records).';

CREATE FUNCTION cdp.retract(source text, record_key text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_retract';
COMMENT ON FUNCTION cdp.retract(text, text) IS
'The record is gone: forgets it and takes apart what nothing else holds together.  False when there is no such record.';

-- ---------- look-ups ----------

CREATE FUNCTION cdp.resolve(namespace text, value text) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_resolve';
COMMENT ON FUNCTION cdp.resolve(text, text) IS
'The profile that holds the identifier now; NULL when it is unknown.';

CREATE FUNCTION cdp.find_identifier(namespace text, value text) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_find_identifier';
COMMENT ON FUNCTION cdp.find_identifier(text, text) IS
'Internal: the key of a stored identifier, also of one that the present pattern of its namespace would not let in; NULL when it is unknown.';

CREATE FUNCTION cdp.resolve_at(namespace text, value text, at timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $resolve_at$
DECLARE
    found_identifier record;
    wanted bigint := cdp.find_identifier(namespace, value);
    old bigint;
BEGIN
    PERFORM cdp.require_storage();
    SELECT i.* INTO found_identifier FROM cdp_data.identifier AS i WHERE i.id = wanted;
    IF NOT FOUND OR found_identifier.created_at > resolve_at.at THEN
        RETURN NULL;
    END IF;
    SELECT h.old_profile_id INTO old
    FROM cdp_data.identifier_history AS h
    WHERE h.identifier_id = found_identifier.id AND h.until > resolve_at.at
    ORDER BY h.until LIMIT 1;
    RETURN COALESCE(old, found_identifier.profile_id);
END
$resolve_at$;
COMMENT ON FUNCTION cdp.resolve_at(text, text, timestamptz) IS
'What cdp.resolve would have answered at that system time.';

CREATE FUNCTION cdp.canonical_id(profile_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $canonical$
DECLARE
    canonical bigint;
BEGIN
    PERFORM cdp.require_storage();
    SELECT i.profile_id INTO canonical
    FROM cdp_data.profile AS p JOIN cdp_data.identifier AS i ON i.id = p.anchor
    WHERE p.profile_id = canonical_id.profile_id;
    RETURN canonical;
END
$canonical$;
COMMENT ON FUNCTION cdp.canonical_id(bigint) IS
'The profile that an id, perhaps retired, leads to now: the one that holds its anchor.  NULL for an id that was never given.';

CREATE FUNCTION cdp.profile_identifiers(
    profile_id bigint, OUT namespace text, OUT value text, OUT state text, OUT kind text, OUT created_at timestamptz, OUT records bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $identifiers$
#variable_conflict use_column
BEGIN
    PERFORM cdp.require_storage();
    RETURN QUERY
    SELECT v.namespace, v.value, v.state, v.kind, v.created_at,
           (SELECT pg_catalog.count(*) FROM cdp_data.record AS r WHERE r.hub = v.identifier_id)
           + COALESCE((SELECT pg_catalog.sum(l.records)::bigint FROM cdp_data.link AS l WHERE l.b = v.identifier_id), 0)
    FROM cdp.identifiers AS v JOIN cdp_data.namespace AS n ON n.name = v.namespace
    WHERE v.profile_id = cdp.canonical_id($1)
    ORDER BY n.priority, n.name, v.value;
END
$identifiers$;
COMMENT ON FUNCTION cdp.profile_identifiers(bigint) IS
'The identifiers of a profile (a retired id leads to its successor), strongest first, each with the number of records that hold it.';

-- ---------- labels and blocks ----------

CREATE FUNCTION cdp.lock_identities() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_lock_identities';
COMMENT ON FUNCTION cdp.lock_identities() IS
'Internal: makes the transaction the only writer of the identity graph until it ends; readers go on.';

CREATE FUNCTION cdp.ensure_identifier(namespace text, value text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_ensure_identifier';
COMMENT ON FUNCTION cdp.ensure_identifier(text, text) IS
'Internal: the key of an identifier, which becomes a profile of its own when nobody has seen it yet.';

CREATE FUNCTION cdp.reevaluate_identifiers(identifier_ids bigint[], cause text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_reevaluate_identifiers';
COMMENT ON FUNCTION cdp.reevaluate_identifiers(bigint[], text) IS
'Internal: evaluates the profiles of these identifiers, and the queued ones, again.';

CREATE FUNCTION cdp.refresh_identities() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $refresh$
DECLARE
    queued bigint;
BEGIN
    PERFORM cdp.lock_identities();
    SELECT pg_catalog.count(*) INTO queued FROM cdp_data.profile AS p WHERE p.state = 'p';
    IF queued > 0 THEN
        PERFORM cdp.reevaluate_identifiers('{}', 'refresh');
    END IF;
    RETURN queued;
END
$refresh$;
COMMENT ON FUNCTION cdp.refresh_identities() IS
'Evaluates the profiles that real-time calls queued because of the option max_replay; returns how many there were.';

CREATE FUNCTION cdp.must_linked(identifier_id bigint, with_resting boolean DEFAULT true) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $linked$
BEGIN
    RETURN QUERY
    WITH RECURSIVE reached(id) AS (
        SELECT $1
        UNION
        SELECT CASE WHEN l.a = r.id THEN l.b ELSE l.a END
        FROM reached AS r JOIN cdp_data.label AS l ON l.kind = 'must_link' AND (l.a = r.id OR l.b = r.id)
        WHERE $2 OR NOT EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.id IN (l.a, l.b) AND i.state <> 'u')
    )
    SELECT r.id FROM reached AS r;
END
$linked$;
COMMENT ON FUNCTION cdp.must_linked(bigint, boolean) IS
'Internal: the keys of all identifiers that must-links join to this one, itself included; with or without must-links that rest.';

CREATE FUNCTION cdp.store_label(kind text, namespace1 text, value1 text, namespace2 text, value2 text, reason text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $label$
#variable_conflict use_column
DECLARE
    one bigint;
    other bigint;
    clash record;
BEGIN
    PERFORM cdp.require_admin();
    PERFORM cdp.lock_identities();
    one := cdp.ensure_identifier(namespace1, value1);
    other := cdp.ensure_identifier(namespace2, value2);
    IF one = other THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'both identifiers are the same',
            HINT = 'Two spellings of one value are one identifier already.';
    END IF;
    IF $1 = 'must_link' THEN
        SELECT l.label_id, l.reason INTO clash
        FROM cdp_data.label AS l
        WHERE l.kind = 'cannot_link'
          AND (l.a IN (SELECT m FROM cdp.must_linked(one) AS m) AND l.b IN (SELECT m FROM cdp.must_linked(other) AS m)
               OR l.b IN (SELECT m FROM cdp.must_linked(one) AS m) AND l.a IN (SELECT m FROM cdp.must_linked(other) AS m))
        LIMIT 1;
        IF FOUND THEN
            RAISE integrity_constraint_violation USING
                MESSAGE = 'the must-link contradicts a cannot-link',
                DETAIL = pg_catalog.format('Label %s says that they are not one: %s.', clash.label_id, COALESCE(clash.reason, 'no reason given')),
                HINT = 'The view cdp.labels shows the labels; cdp.remove_label removes one.';
        END IF;
    ELSIF other IN (SELECT m FROM cdp.must_linked(one) AS m) THEN
        RAISE integrity_constraint_violation USING
            MESSAGE = 'the cannot-link contradicts must-links',
            DETAIL = 'Must-links join both identifiers, resting ones included.',
            HINT = 'The view cdp.labels shows the labels; cdp.remove_label removes one.';
    END IF;
    -- One row for a pair, whichever way round it was given; a repetition only gives another reason.
    UPDATE cdp_data.label AS l SET reason = COALESCE($6, l.reason) WHERE l.a = LEAST(one, other) AND l.b = GREATEST(one, other);
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO cdp_data.label (kind, a, b, reason) VALUES ($1, LEAST(one, other), GREATEST(one, other), $6);
    PERFORM cdp.reevaluate_identifiers(ARRAY[one, other], $1);
END
$label$;
COMMENT ON FUNCTION cdp.store_label(text, text, text, text, text, text) IS
'Part of cdp.must_link and cdp.cannot_link.';

CREATE FUNCTION cdp.must_link(namespace1 text, value1 text, namespace2 text, value2 text, reason text DEFAULT NULL) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.store_label('must_link', namespace1, value1, namespace2, value2, reason);
END;
COMMENT ON FUNCTION cdp.must_link(text, text, text, text, text) IS
'Says that two identifiers are one person, whatever the records say; for max_per_profile they count as one value.  Survives rebuilds.  An error when it contradicts a cannot-link.';

CREATE FUNCTION cdp.cannot_link(namespace1 text, value1 text, namespace2 text, value2 text, reason text DEFAULT NULL) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.store_label('cannot_link', namespace1, value1, namespace2, value2, reason);
END;
COMMENT ON FUNCTION cdp.cannot_link(text, text, text, text, text) IS
'Says that two identifiers are not one person, whatever the records say.  Survives rebuilds.  An error when it contradicts must-links.';

CREATE FUNCTION cdp.remove_label(namespace1 text, value1 text, namespace2 text, value2 text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $remove$
DECLARE
    one bigint;
    other bigint;
BEGIN
    PERFORM cdp.require_admin();
    PERFORM cdp.lock_identities();
    one := cdp.find_identifier(namespace1, value1);
    other := cdp.find_identifier(namespace2, value2);
    DELETE FROM cdp_data.label AS l WHERE l.a = LEAST(one, other) AND l.b = GREATEST(one, other);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM cdp.reevaluate_identifiers(ARRAY[one, other], 'remove_label');
    RETURN true;
END
$remove$;
COMMENT ON FUNCTION cdp.remove_label(text, text, text, text) IS
'Removes the must-link or cannot-link between two identifiers; false when there is none.';

CREATE FUNCTION cdp.reevaluate_blocked(value text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_reevaluate_blocked';
COMMENT ON FUNCTION cdp.reevaluate_blocked(text) IS
'Internal: brings the stored identifiers with this value (NULL: all of them) to what is blocked now; returns how many became blocked or ceased to be so.';

CREATE FUNCTION cdp.block_identifier(namespace text, value text DEFAULT NULL, reason text DEFAULT NULL, pattern text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $block$
#variable_conflict use_column
DECLARE
    blocked_value text := $2;
BEGIN
    PERFORM cdp.require_admin();
    IF pg_catalog.num_nonnulls($2, $4) <> 1 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'either a value or a pattern must be given',
            HINT = 'cdp.block_identifier(''email'', ''team@example.org'', ''shared mailbox''), or pattern => ''^noreply@''.';
    END IF;
    IF $4 IS NOT NULL THEN
        PERFORM '' ~ $4;        -- an invalid pattern fails here
    END IF;
    IF $1 IS NOT NULL THEN
        blocked_value := COALESCE(cdp.normalize_identifier($1, COALESCE($2, '')),
                                  (SELECT i.value FROM cdp.identifiers AS i WHERE i.identifier_id = cdp.find_identifier($1, $2)));
        IF $2 IS NOT NULL AND blocked_value IS NULL THEN
            RAISE invalid_parameter_value USING
                MESSAGE = pg_catalog.format('the value is not valid in namespace "%s"', $1),
                HINT = 'What is not valid never becomes an identifier and needs no block.';
        END IF;
    END IF;
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    PERFORM cdp.lock_identities();
    INSERT INTO cdp_data.blocked_identifier AS b (namespace, value, pattern, reason)
    VALUES ($1, blocked_value, $4, $3)
    ON CONFLICT (namespace, value, pattern) DO UPDATE SET reason = COALESCE(EXCLUDED.reason, b.reason);
    RETURN cdp.reevaluate_blocked(blocked_value);
END
$block$;
COMMENT ON FUNCTION cdp.block_identifier(text, text, text, text) IS
'From now on a value, or all values that match a pattern (regular expression), of a namespace (NULL: every one) link nobody.  Whoever they joined is taken apart.  Returns how many stored identifiers became blocked.';

CREATE FUNCTION cdp.unblock_identifier(namespace text, value text DEFAULT NULL, pattern text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $unblock$
#variable_conflict use_column
DECLARE
    blocked_value text := $2;
BEGIN
    PERFORM cdp.require_admin();
    IF pg_catalog.num_nonnulls($2, $3) <> 1 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'either a value or a pattern must be given',
            HINT = 'Repeat what was given to cdp.block_identifier; the view cdp.blocked_identifiers lists it.';
    END IF;
    IF $1 IS NOT NULL AND $2 IS NOT NULL THEN
        blocked_value := COALESCE(cdp.normalize_identifier($1, $2),
                                  (SELECT i.value FROM cdp.identifiers AS i WHERE i.identifier_id = cdp.find_identifier($1, $2)), $2);
    END IF;
    LOCK TABLE cdp_data.namespace IN SHARE ROW EXCLUSIVE MODE;
    PERFORM cdp.lock_identities();
    DELETE FROM cdp_data.blocked_identifier AS b
    WHERE b.namespace IS NOT DISTINCT FROM $1 AND b.value IS NOT DISTINCT FROM blocked_value AND b.pattern IS NOT DISTINCT FROM $3;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM cdp.reevaluate_blocked(blocked_value);
    RETURN true;
END
$unblock$;
COMMENT ON FUNCTION cdp.unblock_identifier(text, text, text) IS
'Takes a block back, and joins again whom the evidence joins; false when there is no such block.';

CREATE FUNCTION cdp.split_profile(
    profile_id bigint, identifiers jsonb, reason text DEFAULT NULL, dry_run boolean DEFAULT true,
    OUT part integer, OUT new_profile_id bigint, OUT namespace text, OUT value text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $split$
#variable_conflict use_column
DECLARE
    wanted bigint := cdp.canonical_id($1);
    listed bigint[];
    members bigint[];
    missing text;
    outcome jsonb;
BEGIN
    PERFORM cdp.require_admin();
    IF wanted IS NULL THEN
        RAISE no_data_found USING
            MESSAGE = pg_catalog.format('profile %s does not exist', COALESCE($1::text, 'NULL')),
            HINT = 'cdp.resolve(namespace, value) gives the profile of an identifier.';
    END IF;
    IF $2 IS NULL OR pg_catalog.jsonb_typeof($2) <> 'object' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'identifiers must be a JSON object',
            HINT = 'Name each value after its namespace: ''{"email": ["bob@example.org"]}''.';
    END IF;
    PERFORM cdp.lock_identities();
    members := ARRAY(SELECT i.id FROM cdp_data.identifier AS i WHERE i.profile_id = wanted);
    SELECT pg_catalog.array_agg(i.identifier_id), pg_catalog.min(e.key) FILTER (WHERE i.identifier_id IS NULL)
    INTO listed, missing
    FROM pg_catalog.jsonb_each($2) AS e
    CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(
        CASE pg_catalog.jsonb_typeof(e.value) WHEN 'array' THEN e.value ELSE pg_catalog.jsonb_build_array(e.value) END) AS v(raw)
    LEFT JOIN cdp.identifiers AS i ON i.identifier_id = cdp.find_identifier(e.key, v.raw) AND i.profile_id = wanted;
    IF missing IS NOT NULL OR listed IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('not every listed identifier belongs to profile %s', wanted),
            DETAIL = CASE WHEN missing IS NULL THEN 'None is listed.' ELSE pg_catalog.format('A value of namespace "%s" does not.', missing) END,
            HINT = pg_catalog.format('SELECT * FROM cdp.profile_identifiers(%s) lists what belongs to it.', wanted);
    END IF;
    IF members <@ listed THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('all identifiers of profile %s are listed', wanted),
            HINT = 'List those that should leave the profile.';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.unnest(listed) AS l(id) CROSS JOIN LATERAL cdp.must_linked(l.id) AS m(id)
               WHERE m.id = ANY (members) AND m.id <> ALL (listed)) THEN
        RAISE integrity_constraint_violation USING
            MESSAGE = 'the split contradicts must-links',
            HINT = 'The view cdp.labels shows the labels; cdp.remove_label removes one.';
    END IF;

    -- A dry run does the very same and is rolled back; only its outcome survives, in a variable.
    BEGIN
        INSERT INTO cdp_data.label (kind, a, b, reason)
        SELECT 'cannot_link', LEAST(l.id, m.id), GREATEST(l.id, m.id), $3
        FROM pg_catalog.unnest(listed) AS l(id) CROSS JOIN pg_catalog.unnest(members) AS m(id)
        WHERE m.id <> ALL (listed)
        ON CONFLICT ON CONSTRAINT label_pair DO NOTHING;
        PERFORM cdp.reevaluate_identifiers(members, 'split_profile');
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(i.profile_id, i.namespace, i.value)) INTO outcome
        FROM cdp.identifiers AS i WHERE i.identifier_id = ANY (members);
        IF COALESCE(dry_run, true) THEN
            RAISE EXCEPTION USING ERRCODE = 'CD000', MESSAGE = 'dry run';
        END IF;
    EXCEPTION WHEN SQLSTATE 'CD000' THEN
        NULL;
    END;
    RETURN QUERY
    SELECT pg_catalog.dense_rank() OVER (ORDER BY ((o.entry OPERATOR(pg_catalog.->>) 0)::bigint <> wanted), o.entry OPERATOR(pg_catalog.->>) 0)::integer,
           CASE WHEN COALESCE($4, true) AND (o.entry OPERATOR(pg_catalog.->>) 0)::bigint <> wanted THEN NULL
                ELSE (o.entry OPERATOR(pg_catalog.->>) 0)::bigint END,
           o.entry OPERATOR(pg_catalog.->>) 1, o.entry OPERATOR(pg_catalog.->>) 2
    FROM pg_catalog.jsonb_array_elements(outcome) AS o(entry)
    ORDER BY 1, 3, 4;
END
$split$;
COMMENT ON FUNCTION cdp.split_profile(bigint, jsonb, text, boolean) IS
'Takes the listed identifiers out of a profile for good: shows the parts that come of it and, with dry_run => false, writes a cannot-link for every listed and remaining pair.  cdp.remove_label undoes it pair by pair.';

-- ---------- explanations ----------

CREATE FUNCTION cdp.explain_link(
    namespace1 text, value1 text, namespace2 text, value2 text,
    OUT step integer, OUT from_namespace text, OUT from_value text, OUT to_namespace text, OUT to_value text,
    OUT evidence text, OUT source text, OUT record_key text, OUT first_seen timestamptz, OUT records bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $explain$
#variable_conflict use_column
DECLARE
    start_id bigint;
    end_id bigint;
    start_profile bigint;
    end_profile bigint;
    start_state text;
    end_state text;
    frontier bigint[];
    seen bigint[];
    parents jsonb := '{}';
    found_now jsonb;
    path bigint[];
BEGIN
    PERFORM cdp.require_storage();
    start_id := cdp.find_identifier($1, $2);
    end_id := cdp.find_identifier($3, $4);
    IF start_id IS NULL OR end_id IS NULL THEN
        RAISE no_data_found USING
            MESSAGE = pg_catalog.format('the %s identifier is unknown', CASE WHEN start_id IS NULL THEN 'first' ELSE 'second' END),
            HINT = 'The view cdp.identifiers lists the identifiers as they are stored, normalised.';
    END IF;
    SELECT i.profile_id, i.state INTO start_profile, start_state FROM cdp.identifiers AS i WHERE i.identifier_id = start_id;
    SELECT i.profile_id, i.state INTO end_profile, end_state FROM cdp.identifiers AS i WHERE i.identifier_id = end_id;
    IF start_profile <> end_profile THEN
        RAISE NOTICE USING
            MESSAGE = pg_catalog.format('the identifiers belong to profiles %s and %s', start_profile, end_profile),
            HINT = CASE
                WHEN start_state <> 'usable' THEN pg_catalog.format('The first identifier is %s and so links nobody.', start_state)
                WHEN end_state <> 'usable' THEN pg_catalog.format('The second identifier is %s and so links nobody.', end_state)
                ELSE pg_catalog.format('SELECT * FROM cdp.explain_refusals(%s) says what keeps profiles apart.', start_profile) END;
        RETURN;
    END IF;

    -- Breadth first, so that the first path found is a shortest one.
    frontier := ARRAY[start_id];
    seen := frontier;
    WHILE end_id <> ALL (seen) AND pg_catalog.cardinality(frontier) > 0 LOOP
        SELECT COALESCE(pg_catalog.jsonb_object_agg(s.child, s.parent), '{}'), COALESCE(pg_catalog.array_agg(s.child), '{}')
        INTO found_now, frontier
        FROM (
            SELECT e.child, pg_catalog.min(e.parent) AS parent
            FROM (
                SELECT l.b AS child, l.a AS parent FROM cdp_data.link AS l WHERE l.a = ANY (frontier) AND l.state = 'j' AND l.records > 0
                UNION ALL
                SELECT l.a, l.b FROM cdp_data.link AS l WHERE l.b = ANY (frontier) AND l.state = 'j' AND l.records > 0
                UNION ALL
                SELECT l.b, l.a FROM cdp_data.label AS l WHERE l.a = ANY (frontier) AND l.kind = 'must_link'
                UNION ALL
                SELECT l.a, l.b FROM cdp_data.label AS l WHERE l.b = ANY (frontier) AND l.kind = 'must_link'
            ) AS e
            JOIN cdp_data.identifier AS c ON c.id = e.child AND c.profile_id = start_profile
            WHERE e.child <> ALL (seen)
            GROUP BY e.child
        ) AS s;
        parents := parents OPERATOR(pg_catalog.||) found_now;
        seen := seen OPERATOR(pg_catalog.||) frontier;
    END LOOP;
    IF end_id <> ALL (seen) THEN
        RAISE NOTICE USING MESSAGE = 'no evidence joins the identifiers any more',
            HINT = 'Call cdp.refresh_identities() when a replay is queued.';
        RETURN;
    END IF;
    path := ARRAY[end_id];
    WHILE path[1] <> start_id LOOP
        path := (parents OPERATOR(pg_catalog.->>) path[1]::text)::bigint OPERATOR(pg_catalog.||) path;
    END LOOP;

    RETURN QUERY
    SELECT p.position::integer, nf.name, f.value, nt.name, t.value,
           CASE WHEN r.source IS NOT NULL THEN 'record' ELSE 'must_link' END,
           r.source, r.record_key, COALESCE(r.first_seen, b.created_at), COALESCE(k.records, 0)::bigint
    FROM pg_catalog.generate_subscripts(path, 1) AS p(position)
    JOIN cdp_data.identifier AS f ON f.id = path[p.position] JOIN cdp_data.namespace AS nf ON nf.namespace_id = f.namespace_id
    JOIN cdp_data.identifier AS t ON t.id = path[p.position + 1] JOIN cdp_data.namespace AS nt ON nt.namespace_id = t.namespace_id
    LEFT JOIN cdp_data.link AS k ON k.records > 0 AND (k.a = f.id AND k.b = t.id OR k.a = t.id AND k.b = f.id)
    LEFT JOIN LATERAL (
        -- the oldest record that gives the link
        SELECT x.source, x.record_key, x.first_seen FROM cdp_data.record AS x
        WHERE x.hub = k.a AND k.b = ANY (x.ids) ORDER BY x.first_seen, x.source, x.record_key LIMIT 1
    ) AS r ON true
    LEFT JOIN cdp_data.label AS b ON b.kind = 'must_link' AND b.a = LEAST(f.id, t.id) AND b.b = GREATEST(f.id, t.id)
    ORDER BY p.position;
END
$explain$;
COMMENT ON FUNCTION cdp.explain_link(text, text, text, text) IS
'Why two identifiers are one person: the shortest path of evidence between them, each step with the oldest record that gives it and the number of records that do.  No rows and a notice when they are not one person.';

CREATE FUNCTION cdp.explain_refusals(
    profile_id bigint,
    OUT namespace text, OUT value text, OUT other_profile_id bigint, OUT other_namespace text, OUT other_value text,
    OUT reason text, OUT detail text, OUT first_seen timestamptz, OUT records bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $refusals$
#variable_conflict use_column
DECLARE
    wanted bigint := cdp.canonical_id($1);
    largest bigint := (SELECT o.value::bigint FROM cdp.options AS o WHERE o.name = 'max_profile_size');
BEGIN
    IF wanted IS NULL THEN
        RAISE no_data_found USING
            MESSAGE = pg_catalog.format('profile %s does not exist', COALESCE($1::text, 'NULL')),
            HINT = 'cdp.resolve(namespace, value) gives the profile of an identifier.';
    END IF;
    -- A refused union of parts is a refused union of the wholes, so today's profiles give the reason: once for each of the others.
    RETURN QUERY
    WITH must AS (
        SELECT l.a AS inside, l.b AS outside, l.created_at FROM cdp_data.label AS l WHERE l.kind = 'must_link'
        UNION ALL
        SELECT l.b, l.a, l.created_at FROM cdp_data.label AS l WHERE l.kind = 'must_link'
    ), refused AS MATERIALIZED (
        SELECT e.inside, e.outside, o.profile_id AS other, o.namespace_id, o.value, e.first_seen, e.records
        FROM (SELECT m.id AS inside, l.b AS outside, l.first_seen, l.records
              FROM cdp_data.identifier AS m JOIN cdp_data.link AS l ON l.a = m.id AND l.state = 'r' WHERE m.profile_id = wanted
              UNION ALL
              SELECT m.id, l.a, l.first_seen, l.records
              FROM cdp_data.identifier AS m JOIN cdp_data.link AS l ON l.b = m.id AND l.state = 'r' WHERE m.profile_id = wanted
              UNION ALL
              SELECT m.id, l.outside, l.created_at, 0
              FROM cdp_data.identifier AS m JOIN must AS l ON l.inside = m.id JOIN cdp_data.identifier AS o ON o.id = l.outside
              WHERE m.profile_id = wanted AND m.state = 'u' AND o.state = 'u' AND o.profile_id <> wanted) AS e
        JOIN cdp_data.identifier AS o ON o.id = e.outside
    ), others AS MATERIALIZED (
        SELECT DISTINCT r.other FROM refused AS r
    ), members AS MATERIALIZED (
        SELECT x.profile_id, x.namespace_id, x.id
        FROM (SELECT wanted AS profile_id UNION SELECT e.other FROM others AS e) AS p JOIN cdp_data.identifier AS x ON x.profile_id = p.profile_id
    ), sizes AS (
        SELECT x.profile_id, pg_catalog.count(*) AS size FROM members AS x GROUP BY x.profile_id
    ), apart AS (
        SELECT DISTINCT ON (i.profile_id) i.profile_id AS other, pg_catalog.format('label %s: %s', l.label_id, COALESCE(l.reason, 'no reason given')) AS detail
        FROM cdp_data.label AS l
        JOIN cdp_data.identifier AS m ON m.id IN (l.a, l.b) AND m.profile_id = wanted
        JOIN cdp_data.identifier AS i ON i.id = CASE WHEN l.a = m.id THEN l.b ELSE l.a END
        WHERE l.kind = 'cannot_link' ORDER BY i.profile_id, l.label_id
    ), classes AS MATERIALIZED (
        -- Identifiers that must-links join count as one value.
        SELECT DISTINCT x.profile_id, x.namespace_id,
               CASE WHEN EXISTS (SELECT FROM must AS k WHERE k.inside = x.id)
                    THEN (SELECT pg_catalog.min(m) FROM cdp.must_linked(x.id, false) AS m) ELSE x.id END AS class
        FROM members AS x JOIN cdp_data.namespace AS n ON n.namespace_id = x.namespace_id AND n.max_per_profile IS NOT NULL
    ), together AS (
        SELECT c.profile_id AS other, c.namespace_id, c.class FROM classes AS c WHERE c.profile_id <> wanted
        UNION ALL
        SELECT e.other, c.namespace_id, c.class FROM others AS e CROSS JOIN classes AS c WHERE c.profile_id = wanted
    ), too_many AS (
        SELECT DISTINCT ON (k.other) k.other,
               pg_catalog.format('together they hold %s values of %s, and %s allows %s', k.different, n.name, n.name, n.max_per_profile) AS detail
        FROM (SELECT t.other, t.namespace_id, pg_catalog.count(DISTINCT t.class) AS different FROM together AS t GROUP BY t.other, t.namespace_id) AS k
        JOIN cdp_data.namespace AS n ON n.namespace_id = k.namespace_id AND k.different > n.max_per_profile
        ORDER BY k.other, n.priority, n.name
    ), reasons AS MATERIALIZED (
        SELECT e.other,
               CASE WHEN a.detail IS NOT NULL THEN 'cannot_link' WHEN t.detail IS NOT NULL THEN 'max_per_profile'
                    WHEN i.size + o.size > largest THEN 'max_profile_size' END AS reason,
               COALESCE(a.detail, t.detail, CASE WHEN i.size + o.size > largest THEN
                   pg_catalog.format('together they hold %s identifiers, and max_profile_size is %s', i.size + o.size, largest) END) AS detail
        FROM others AS e JOIN sizes AS i ON i.profile_id = wanted JOIN sizes AS o ON o.profile_id = e.other
        LEFT JOIN apart AS a ON a.other = e.other LEFT JOIN too_many AS t ON t.other = e.other
    )
    SELECT ni.name, i.value, r.other, no.name, r.value, w.reason, w.detail, r.first_seen, r.records::bigint
    FROM refused AS r JOIN reasons AS w ON w.other = r.other
    JOIN cdp_data.identifier AS i ON i.id = r.inside JOIN cdp_data.namespace AS ni ON ni.namespace_id = i.namespace_id
    JOIN cdp_data.namespace AS no ON no.namespace_id = r.namespace_id
    ORDER BY r.other, ni.priority, no.priority, i.value, r.value;
END
$refusals$;
COMMENT ON FUNCTION cdp.explain_refusals(bigint) IS
'Why a profile is not one with others that records join it to: each refused link with the constraint that it would break.';
