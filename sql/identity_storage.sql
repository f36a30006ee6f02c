-- identity: the storage of the identity graph and the views over it, as cdp.setup() makes them.

CREATE FUNCTION cdp.setup_identity_storage() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $storage$
BEGIN
    CREATE TABLE cdp_data.option (
        name text PRIMARY KEY,
        value text NOT NULL
    );
    COMMENT ON TABLE cdp_data.option IS 'options that differ from their default; cdp.options shows all of them';
    COMMENT ON COLUMN cdp_data.option.name IS 'name of the option';
    COMMENT ON COLUMN cdp_data.option.value IS 'value in force';

    CREATE TABLE cdp_data.namespace (
        namespace_id smallint PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE CHECK (name <> '' AND pg_catalog.octet_length(name) < 64),
        normalizer text NOT NULL,
        normalizer_version text NOT NULL,
        default_region text,
        provider_rules boolean NOT NULL,
        pattern text,
        priority integer NOT NULL CHECK (priority > 0),
        kind text NOT NULL CHECK (kind IN ('person', 'device')),
        max_per_profile integer CHECK (max_per_profile > 0),
        max_links integer CHECK (max_links > 0),
        entity text NOT NULL CHECK (entity = 'person')
    );
    COMMENT ON TABLE cdp_data.namespace IS 'kinds of identifier and their rules; see cdp.create_namespace';
    COMMENT ON COLUMN cdp_data.namespace.namespace_id IS 'number by which identifiers refer to the namespace';
    COMMENT ON COLUMN cdp_data.namespace.name IS 'name of the namespace';
    COMMENT ON COLUMN cdp_data.namespace.normalizer IS 'how values are brought to one spelling';
    COMMENT ON COLUMN cdp_data.namespace.normalizer_version IS 'version of the normaliser that the stored values went through';
    COMMENT ON COLUMN cdp_data.namespace.default_region IS 'region of phone numbers in national spelling';
    COMMENT ON COLUMN cdp_data.namespace.provider_rules IS 'whether e-mail provider rules apply (dots and +tags)';
    COMMENT ON COLUMN cdp_data.namespace.pattern IS 'regular expression that a normalised value must match';
    COMMENT ON COLUMN cdp_data.namespace.priority IS 'strength of the identifiers, 1 is the strongest';
    COMMENT ON COLUMN cdp_data.namespace.kind IS 'person or device: a profile with a person identifier is known';
    COMMENT ON COLUMN cdp_data.namespace.max_per_profile IS 'how many different values one profile may hold; NULL: any number';
    COMMENT ON COLUMN cdp_data.namespace.max_links IS 'beyond this many different stronger identifiers the value counts as shared; NULL: never';
    COMMENT ON COLUMN cdp_data.namespace.entity IS 'what the identifier names; only person for now';

    CREATE TABLE cdp_data.blocked_identifier (
        blocked_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace text COLLATE "C",
        value text COLLATE "C",
        pattern text COLLATE "C",
        reason text,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        CHECK (pg_catalog.num_nonnulls(value, pattern) = 1),
        UNIQUE NULLS NOT DISTINCT (namespace, value, pattern)
    );
    COMMENT ON TABLE cdp_data.blocked_identifier IS 'values that never link anybody; see cdp.block_identifier';
    COMMENT ON COLUMN cdp_data.blocked_identifier.blocked_id IS 'key';
    COMMENT ON COLUMN cdp_data.blocked_identifier.namespace IS 'namespace, NULL: every one';
    COMMENT ON COLUMN cdp_data.blocked_identifier.value IS 'normalised value that is blocked';
    COMMENT ON COLUMN cdp_data.blocked_identifier.pattern IS 'regular expression: values that match are blocked';
    COMMENT ON COLUMN cdp_data.blocked_identifier.reason IS 'why';
    COMMENT ON COLUMN cdp_data.blocked_identifier.created_at IS 'since when';

    CREATE SEQUENCE cdp_data.identifier_id CACHE 1;
    CREATE SEQUENCE cdp_data.profile_id CACHE 1;

    -- Widest columns first and the text last, so that no row carries padding.
    CREATE TABLE cdp_data.identifier (
        id bigint NOT NULL,
        profile_id bigint NOT NULL,
        created_at timestamptz NOT NULL,
        namespace_id smallint NOT NULL,
        state "char" NOT NULL,
        value text COLLATE "C" NOT NULL,
        CONSTRAINT identifier_pkey PRIMARY KEY (id),
        -- The value first: its leading bytes tell most values apart, which is what makes building the index fast.
        CONSTRAINT identifier_value_key UNIQUE (value, namespace_id)
    );
    CREATE INDEX identifier_profile_id ON cdp_data.identifier (profile_id);
    COMMENT ON TABLE cdp_data.identifier IS 'every identifier ever seen and the profile it belongs to';
    COMMENT ON COLUMN cdp_data.identifier.id IS 'key';
    COMMENT ON COLUMN cdp_data.identifier.profile_id IS 'profile that holds the identifier now';
    COMMENT ON COLUMN cdp_data.identifier.created_at IS 'system time at which it was first seen';
    COMMENT ON COLUMN cdp_data.identifier.namespace_id IS 'namespace';
    COMMENT ON COLUMN cdp_data.identifier.state IS 'u usable, s shared, b blocked';
    COMMENT ON COLUMN cdp_data.identifier.value IS 'normalised value';

    CREATE TABLE cdp_data.record (
        observed_at timestamptz NOT NULL,
        first_seen timestamptz NOT NULL,
        hub bigint NOT NULL,
        source text COLLATE "C" NOT NULL,
        record_key text COLLATE "C" NOT NULL,
        ids bigint[],
        CONSTRAINT record_key UNIQUE (source, record_key)
    ) WITH (fillfactor = 97);       -- room for new versions, which touch no index then (HOT)
    CREATE INDEX record_hub ON cdp_data.record (hub);
    COMMENT ON TABLE cdp_data.record IS 'the evidence: which identifiers each source row holds';
    COMMENT ON COLUMN cdp_data.record.observed_at IS 'time of the newest version of the record';
    COMMENT ON COLUMN cdp_data.record.first_seen IS 'smallest time of all its versions';
    COMMENT ON COLUMN cdp_data.record.hub IS 'strongest usable identifier (where none is usable: the strongest unblocked one, else the strongest)';
    COMMENT ON COLUMN cdp_data.record.source IS 'source';
    COMMENT ON COLUMN cdp_data.record.record_key IS 'key of the row within its source';
    COMMENT ON COLUMN cdp_data.record.ids IS 'all identifiers in ascending order of id; NULL where there is only the hub';

    CREATE TABLE cdp_data.link (
        a bigint NOT NULL,
        b bigint NOT NULL,
        first_seen timestamptz NOT NULL,
        last_seen timestamptz NOT NULL,
        records integer NOT NULL,
        head_records integer NOT NULL,
        state "char" NOT NULL,
        CONSTRAINT link_pkey PRIMARY KEY (a, b)
    ) WITH (fillfactor = 97);
    CREATE INDEX link_b ON cdp_data.link (b);
    COMMENT ON TABLE cdp_data.link IS 'pairs of identifiers that records hold together, derived from cdp_data.record';
    COMMENT ON COLUMN cdp_data.link.a IS 'hub (or head) of the records';
    COMMENT ON COLUMN cdp_data.link.b IS 'another identifier of them';
    COMMENT ON COLUMN cdp_data.link.first_seen IS 'smallest first_seen of the records that have hub a and hold b';
    COMMENT ON COLUMN cdp_data.link.last_seen IS 'greatest observed_at of those records';
    COMMENT ON COLUMN cdp_data.link.records IS 'how many records have hub a and hold b';
    COMMENT ON COLUMN cdp_data.link.head_records IS 'how many records have a as their strongest unblocked identifier and hold b';
    COMMENT ON COLUMN cdp_data.link.state IS 'j joined in one profile, r refused, u not usable because an end is shared or blocked';

    CREATE TABLE cdp_data.label (
        label_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('must_link', 'cannot_link')),
        a bigint NOT NULL,
        b bigint NOT NULL,
        reason text,
        created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        created_by name NOT NULL DEFAULT CURRENT_USER,
        CHECK (a <> b),
        CONSTRAINT label_pair UNIQUE (a, b)
    );
    CREATE INDEX label_b ON cdp_data.label (b);
    COMMENT ON TABLE cdp_data.label IS 'what people said about pairs of identifiers; survives every rebuild';
    COMMENT ON COLUMN cdp_data.label.label_id IS 'key';
    COMMENT ON COLUMN cdp_data.label.kind IS 'must_link or cannot_link';
    COMMENT ON COLUMN cdp_data.label.a IS 'the older identifier of the pair';
    COMMENT ON COLUMN cdp_data.label.b IS 'the other one';
    COMMENT ON COLUMN cdp_data.label.reason IS 'why';
    COMMENT ON COLUMN cdp_data.label.created_at IS 'when';
    COMMENT ON COLUMN cdp_data.label.created_by IS 'by which role';

    CREATE TABLE cdp_data.profile (
        profile_id bigint NOT NULL,
        anchor bigint NOT NULL,
        changed_at timestamptz NOT NULL,
        state "char" NOT NULL,
        CONSTRAINT profile_pkey PRIMARY KEY (profile_id)
    );
    CREATE INDEX profile_retired_anchor ON cdp_data.profile (anchor) WHERE state = 'r';
    CREATE INDEX profile_queued ON cdp_data.profile (profile_id) WHERE state = 'p';
    COMMENT ON TABLE cdp_data.profile IS 'every profile id ever given';
    COMMENT ON COLUMN cdp_data.profile.profile_id IS 'key, never reused for other people';
    COMMENT ON COLUMN cdp_data.profile.anchor IS 'identifier that the id follows; cdp.canonical_id leads to its profile';
    COMMENT ON COLUMN cdp_data.profile.changed_at IS 'system time of the last change to its identifiers or links';
    COMMENT ON COLUMN cdp_data.profile.state IS 'l live, p live with a queued replay, r retired';

    CREATE TABLE cdp_data.identifier_history (
        identifier_id bigint NOT NULL,
        until timestamptz NOT NULL,
        old_profile_id bigint NOT NULL,
        CONSTRAINT identifier_history_pkey PRIMARY KEY (identifier_id, until)
    );
    COMMENT ON TABLE cdp_data.identifier_history IS 'which profile an identifier belonged to before each relabel';
    COMMENT ON COLUMN cdp_data.identifier_history.identifier_id IS 'identifier';
    COMMENT ON COLUMN cdp_data.identifier_history.until IS 'system time at which it left the profile';
    COMMENT ON COLUMN cdp_data.identifier_history.old_profile_id IS 'profile that it left';

    CREATE TABLE cdp_data.identity_change (
        change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        changed_at timestamptz NOT NULL,
        kind text NOT NULL CHECK (kind IN ('merge', 'split')),
        profile_id bigint NOT NULL,
        other_profile_id bigint NOT NULL,
        identifiers bigint NOT NULL,
        cause text NOT NULL
    );
    CREATE INDEX identity_change_profile_id ON cdp_data.identity_change (profile_id);
    CREATE INDEX identity_change_other_profile_id ON cdp_data.identity_change (other_profile_id);
    COMMENT ON TABLE cdp_data.identity_change IS 'merges and splits of profiles';
    COMMENT ON COLUMN cdp_data.identity_change.change_id IS 'key';
    COMMENT ON COLUMN cdp_data.identity_change.changed_at IS 'system time';
    COMMENT ON COLUMN cdp_data.identity_change.kind IS 'merge: identifiers of other_profile_id came into profile_id and that id retired; split: identifiers of profile_id went to other_profile_id';
    COMMENT ON COLUMN cdp_data.identity_change.profile_id IS 'the profile that merged or split';
    COMMENT ON COLUMN cdp_data.identity_change.other_profile_id IS 'the profile that came in or went off';
    COMMENT ON COLUMN cdp_data.identity_change.identifiers IS 'how many identifiers moved';
    COMMENT ON COLUMN cdp_data.identity_change.cause IS 'the call that brought it about';

    CREATE TABLE cdp_data.rejected_record (
        rejected_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source text COLLATE "C" NOT NULL,
        record_key text COLLATE "C",
        observed_at timestamptz,
        reason text NOT NULL,
        detail text,
        identifiers jsonb NOT NULL,
        profile_id bigint,
        rejected_at timestamptz NOT NULL
    );
    CREATE INDEX rejected_record_key ON cdp_data.rejected_record (source, record_key);
    CREATE INDEX rejected_record_profile_id ON cdp_data.rejected_record (profile_id);
    COMMENT ON TABLE cdp_data.rejected_record IS 'source rows that could not be taken in; the row goes away when its record is accepted later';
    COMMENT ON COLUMN cdp_data.rejected_record.rejected_id IS 'key';
    COMMENT ON COLUMN cdp_data.rejected_record.source IS 'source';
    COMMENT ON COLUMN cdp_data.rejected_record.record_key IS 'key of the row, NULL where it had none';
    COMMENT ON COLUMN cdp_data.rejected_record.observed_at IS 'time of the row';
    COMMENT ON COLUMN cdp_data.rejected_record.reason IS 'short name of the reason';
    COMMENT ON COLUMN cdp_data.rejected_record.detail IS 'what exactly was wrong';
    COMMENT ON COLUMN cdp_data.rejected_record.identifiers IS 'the identifiers as the source gave them';
    COMMENT ON COLUMN cdp_data.rejected_record.profile_id IS 'profile of the strongest of them that was known, so that erasure finds the row';
    COMMENT ON COLUMN cdp_data.rejected_record.rejected_at IS 'system time';


    -- The usual namespaces and the usual junk; both are the administrator's to change.
    INSERT INTO cdp_data.namespace
        (namespace_id, name, normalizer, normalizer_version, default_region, provider_rules, pattern, priority, kind, max_per_profile, max_links, entity)
    SELECT v.namespace_id, v.name, v.normalizer, cdp.normalizer_version(v.normalizer), NULL, false, NULL, v.priority, v.kind, v.max_per_profile, v.max_links, 'person'
    FROM (VALUES
        (1::smallint, 'user_id',      'exact', 1, 'person', 1,    NULL::integer),
        (2::smallint, 'crm_id',       'exact', 2, 'person', 1,    NULL),
        (3::smallint, 'loyalty_id',   'exact', 3, 'person', NULL, NULL),
        (4::smallint, 'email',        'email', 4, 'person', NULL, 10),
        (5::smallint, 'phone',        'phone', 5, 'person', NULL, 10),
        (6::smallint, 'device_id',    'exact', 6, 'device', NULL, 10),
        (7::smallint, 'anonymous_id', 'exact', 7, 'device', NULL, 10)
    ) AS v(namespace_id, name, normalizer, priority, kind, max_per_profile, max_links);

    INSERT INTO cdp_data.blocked_identifier (namespace, value, reason)
    SELECT NULL, v.value, 'junk value, blocked by cdp.setup()'
    FROM pg_catalog.unnest(ARRAY[
        '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
        '00000000000000000000000000000000',
        'null', 'NULL', 'Null', '(null)', 'nil', 'none', 'None', 'NONE', 'nan', 'NaN', 'undefined', 'Undefined', 'n/a', 'N/A', 'na', 'NA',
        'unknown', 'Unknown', 'UNKNOWN', 'anonymous', 'Anonymous', 'guest', 'Guest', 'id', 'distinct_id', 'distinctid', 'email', 'not_authenticated',
        'true', 'True', 'false', 'False', '[object Object]', '[object object]', 'test', 'Test', 'TEST', '-', '--', '.', '?', '-1',
        '0', '00', '000', '0000', '00000', '000000', '0000000', '00000000', '000000000', '0000000000', '00000000000', '000000000000'
    ]) AS v(value)
    UNION ALL
    SELECT 'email', v.value, 'junk value, blocked by cdp.setup()'
    FROM pg_catalog.unnest(ARRAY[
        'test@test.com', 'test@test.test', 'a@a.com', 'a@b.com', 'test@example.com', 'user@example.com', 'email@example.com', 'example@example.com',
        'none@none.com', 'no@no.com', 'na@na.com', 'noemail@noemail.com', 'null@null.com', 'guest@guest.com', 'anonymous@anonymous.com'
    ]) AS v(value);
END
$storage$;
COMMENT ON FUNCTION cdp.setup_identity_storage() IS 'Part of cdp.setup(): the tables of the identity graph, the usual namespaces and the usual junk values.';

CREATE FUNCTION cdp.setup_identity_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.namespaces AS
        SELECT n.name AS namespace, n.priority, n.kind, n.normalizer, n.normalizer_version, n.default_region, n.provider_rules, n.pattern,
               n.max_per_profile, n.max_links, n.entity
        FROM cdp_data.namespace AS n;
    COMMENT ON VIEW cdp.namespaces IS 'kinds of identifier and their rules';
    COMMENT ON COLUMN cdp.namespaces.namespace IS 'name of the namespace';
    COMMENT ON COLUMN cdp.namespaces.priority IS 'strength, 1 is the strongest';
    COMMENT ON COLUMN cdp.namespaces.kind IS 'person or device';
    COMMENT ON COLUMN cdp.namespaces.normalizer IS 'how values are brought to one spelling';
    COMMENT ON COLUMN cdp.namespaces.normalizer_version IS 'version of the normaliser that the stored values went through';
    COMMENT ON COLUMN cdp.namespaces.default_region IS 'region of phone numbers in national spelling';
    COMMENT ON COLUMN cdp.namespaces.provider_rules IS 'whether e-mail provider rules apply';
    COMMENT ON COLUMN cdp.namespaces.pattern IS 'regular expression that a normalised value must match';
    COMMENT ON COLUMN cdp.namespaces.max_per_profile IS 'how many different values one profile may hold';
    COMMENT ON COLUMN cdp.namespaces.max_links IS 'beyond this many stronger identifiers a value counts as shared';
    COMMENT ON COLUMN cdp.namespaces.entity IS 'what the identifier names';

    CREATE OR REPLACE VIEW cdp.identifiers AS
        SELECT i.id AS identifier_id, n.name AS namespace, i.value, i.profile_id,
               CASE i.state WHEN 'u' THEN 'usable' WHEN 's' THEN 'shared' ELSE 'blocked' END AS state,
               n.kind, i.created_at
        FROM cdp_data.identifier AS i JOIN cdp_data.namespace AS n ON n.namespace_id = i.namespace_id;
    COMMENT ON VIEW cdp.identifiers IS 'every identifier and the profile that holds it; shared and blocked ones stand alone and are not people';
    COMMENT ON COLUMN cdp.identifiers.identifier_id IS 'key of the identifier';
    COMMENT ON COLUMN cdp.identifiers.namespace IS 'kind of identifier';
    COMMENT ON COLUMN cdp.identifiers.value IS 'normalised value';
    COMMENT ON COLUMN cdp.identifiers.profile_id IS 'profile that holds it now';
    COMMENT ON COLUMN cdp.identifiers.state IS 'usable, shared or blocked';
    COMMENT ON COLUMN cdp.identifiers.kind IS 'person or device';
    COMMENT ON COLUMN cdp.identifiers.created_at IS 'system time at which it was first seen';

    CREATE OR REPLACE VIEW cdp.identity_changes AS
        SELECT c.change_id, c.changed_at, c.kind, c.profile_id, c.other_profile_id, c.identifiers, c.cause
        FROM cdp_data.identity_change AS c;
    COMMENT ON VIEW cdp.identity_changes IS 'merges and splits of profiles, with time and cause';
    COMMENT ON COLUMN cdp.identity_changes.change_id IS 'key';
    COMMENT ON COLUMN cdp.identity_changes.changed_at IS 'system time';
    COMMENT ON COLUMN cdp.identity_changes.kind IS 'merge: other_profile_id came into profile_id; split: other_profile_id went off from profile_id';
    COMMENT ON COLUMN cdp.identity_changes.profile_id IS 'the profile that merged or split';
    COMMENT ON COLUMN cdp.identity_changes.other_profile_id IS 'the profile that came in or went off';
    COMMENT ON COLUMN cdp.identity_changes.identifiers IS 'how many identifiers moved';
    COMMENT ON COLUMN cdp.identity_changes.cause IS 'the call that brought it about';

    CREATE OR REPLACE VIEW cdp.rejected_records AS
        SELECT r.rejected_id, r.source, r.record_key, r.observed_at, r.reason, r.detail, r.identifiers, r.profile_id, r.rejected_at
        FROM cdp_data.rejected_record AS r;
    COMMENT ON VIEW cdp.rejected_records IS 'source rows that could not be taken in, and why';
    COMMENT ON COLUMN cdp.rejected_records.rejected_id IS 'key';
    COMMENT ON COLUMN cdp.rejected_records.source IS 'source';
    COMMENT ON COLUMN cdp.rejected_records.record_key IS 'key of the row, NULL where it had none';
    COMMENT ON COLUMN cdp.rejected_records.observed_at IS 'time of the row';
    COMMENT ON COLUMN cdp.rejected_records.reason IS 'short name of the reason';
    COMMENT ON COLUMN cdp.rejected_records.detail IS 'what exactly was wrong';
    COMMENT ON COLUMN cdp.rejected_records.identifiers IS 'the identifiers as the source gave them';
    COMMENT ON COLUMN cdp.rejected_records.profile_id IS 'profile of the strongest of them that was known';
    COMMENT ON COLUMN cdp.rejected_records.rejected_at IS 'system time';

    CREATE OR REPLACE VIEW cdp.blocked_identifiers AS
        SELECT b.blocked_id, b.namespace, b.value, b.pattern, b.reason, b.created_at
        FROM cdp_data.blocked_identifier AS b;
    COMMENT ON VIEW cdp.blocked_identifiers IS 'values and patterns that link nobody; see cdp.block_identifier';
    COMMENT ON COLUMN cdp.blocked_identifiers.blocked_id IS 'key';
    COMMENT ON COLUMN cdp.blocked_identifiers.namespace IS 'namespace, NULL: every one';
    COMMENT ON COLUMN cdp.blocked_identifiers.value IS 'normalised value that is blocked';
    COMMENT ON COLUMN cdp.blocked_identifiers.pattern IS 'regular expression: values that match are blocked';
    COMMENT ON COLUMN cdp.blocked_identifiers.reason IS 'why';
    COMMENT ON COLUMN cdp.blocked_identifiers.created_at IS 'since when';

    CREATE OR REPLACE VIEW cdp.labels AS
        SELECT l.label_id, l.kind, na.name AS namespace_1, a.value AS value_1, nb.name AS namespace_2, b.value AS value_2,
               l.reason, l.created_at, l.created_by,
               l.kind = 'must_link' AND (a.state <> 'u' OR b.state <> 'u') AS is_resting
        FROM cdp_data.label AS l
        JOIN cdp_data.identifier AS a ON a.id = l.a JOIN cdp_data.namespace AS na ON na.namespace_id = a.namespace_id
        JOIN cdp_data.identifier AS b ON b.id = l.b JOIN cdp_data.namespace AS nb ON nb.namespace_id = b.namespace_id;
    COMMENT ON VIEW cdp.labels IS 'must-links and cannot-links in force';
    COMMENT ON COLUMN cdp.labels.label_id IS 'key';
    COMMENT ON COLUMN cdp.labels.kind IS 'must_link or cannot_link';
    COMMENT ON COLUMN cdp.labels.namespace_1 IS 'namespace of the one identifier';
    COMMENT ON COLUMN cdp.labels.value_1 IS 'value of the one identifier';
    COMMENT ON COLUMN cdp.labels.namespace_2 IS 'namespace of the other identifier';
    COMMENT ON COLUMN cdp.labels.value_2 IS 'value of the other identifier';
    COMMENT ON COLUMN cdp.labels.reason IS 'why';
    COMMENT ON COLUMN cdp.labels.created_at IS 'when';
    COMMENT ON COLUMN cdp.labels.created_by IS 'by which role';
    COMMENT ON COLUMN cdp.labels.is_resting IS 'a must-link that rests because an end is shared or blocked';
END
$views$;
COMMENT ON FUNCTION cdp.setup_identity_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability identity.';
