-- unified.sql
--
-- Raw tables as a company has them, random changes to them, and what the unified
-- views must show: a slow and obvious reference, read from the raw tables alone
-- except for who is one person, which the identity engine says (its own property
-- test compares that).

CREATE SCHEMA unified;
SET search_path = unified, pg_catalog;

-- modified and synced grow with every change; a sync tool would set synced.
CREATE SEQUENCE synced;
CREATE TABLE contact (id integer PRIMARY KEY, modified timestamptz NOT NULL, synced bigint NOT NULL DEFAULT nextval('unified.synced'),
    email text, second_email text, phone text, customer text, name text, country text, score integer, vip boolean, balance numeric, archived boolean NOT NULL DEFAULT false);
CREATE TABLE login (id integer PRIMARY KEY, modified timestamptz NOT NULL, synced bigint NOT NULL DEFAULT nextval('unified.synced'),
    device text NOT NULL, email text, customer text, name text, score integer, prefers jsonb, since timestamptz);
CREATE TABLE receipt (id integer PRIMARY KEY, modified timestamptz NOT NULL, synced bigint NOT NULL DEFAULT nextval('unified.synced'),
    sold timestamptz NOT NULL, card text NOT NULL, email text, amount numeric);
CREATE TABLE visit (id integer PRIMARY KEY, modified timestamptz NOT NULL, synced bigint NOT NULL DEFAULT nextval('unified.synced'),
    seen timestamptz NOT NULL, page text NOT NULL, browser text NOT NULL, customer text, amount numeric);
-- What an application says by cdp.identify, written down.
CREATE TABLE called (id integer PRIMARY KEY, modified timestamptz NOT NULL, email text, card text NOT NULL, name text, score integer);
-- When a record was first seen is more than the tables say: the smallest time of all versions that a refresh read.
CREATE TABLE read_version (source text, record_key text, first_seen timestamptz, PRIMARY KEY (source, record_key));

CREATE VIEW source_record AS
SELECT 'contact' AS source, id::text AS record_key, modified AS observed_at, NULL::timestamptz AS occurred_at FROM contact WHERE NOT archived
UNION ALL SELECT 'login', id::text, modified, NULL FROM login
UNION ALL SELECT 'app', id::text, modified, NULL FROM called
UNION ALL SELECT 'receipt', id::text, modified, sold FROM receipt
UNION ALL SELECT 'visit', id::text, modified, seen FROM visit;

-- The identifiers in each row, as they are stored.
CREATE VIEW held AS
SELECT DISTINCT r.source, r.record_key, r.observed_at, r.occurred_at, i.identifier_id, i.namespace, i.value, i.profile_id, i.state, n.priority
FROM source_record r
JOIN (
    SELECT 'contact' AS source, id::text AS record_key, v.namespace, v.value
    FROM contact CROSS JOIN LATERAL (VALUES ('email', email), ('email', second_email), ('phone', phone), ('user_id', customer), ('crm_id', 'c' || id)) v(namespace, value)
    UNION ALL SELECT 'login', id::text, v.namespace, v.value
    FROM login CROSS JOIN LATERAL (VALUES ('device_id', device), ('email', email), ('user_id', customer)) v(namespace, value)
    UNION ALL SELECT 'app', id::text, v.namespace, v.value
    FROM called CROSS JOIN LATERAL (VALUES ('loyalty_id', card), ('email', email)) v(namespace, value)
    UNION ALL SELECT 'receipt', id::text, v.namespace, v.value
    FROM receipt CROSS JOIN LATERAL (VALUES ('loyalty_id', card), ('email', email)) v(namespace, value)
    UNION ALL SELECT 'visit', id::text, v.namespace, v.value
    FROM visit CROSS JOIN LATERAL (VALUES ('anonymous_id', browser), ('user_id', customer)) v(namespace, value)
) v ON v.source = r.source AND v.record_key = r.record_key
JOIN cdp.identifiers i ON i.namespace = v.namespace AND i.value = cdp.normalize_identifier(v.namespace, v.value)
JOIN cdp.namespaces n ON n.namespace = i.namespace;

-- Whose a row is: who holds its strongest usable identifier.
CREATE VIEW owned AS
SELECT DISTINCT ON (source, record_key) source, record_key, observed_at, occurred_at, profile_id
FROM held WHERE state = 'usable'
ORDER BY source, record_key, priority, namespace COLLATE "C", value COLLATE "C";

CREATE VIEW said AS
SELECT o.profile_id, o.source, o.record_key, o.observed_at, v.trait, v.value
FROM owned o
JOIN (
    SELECT 'contact' AS source, id::text AS record_key, v.trait, v.value
    FROM contact CROSS JOIN LATERAL (VALUES ('name', to_jsonb(name)), ('country', to_jsonb(country)), ('score', to_jsonb(score)), ('vip', to_jsonb(vip)), ('balance', to_jsonb(balance)), ('phone', to_jsonb(phone))) v(trait, value)
    UNION ALL SELECT 'login', id::text, v.trait, v.value
    FROM login CROSS JOIN LATERAL (VALUES ('name', to_jsonb(name)), ('score', to_jsonb(score)), ('prefers', prefers), ('since', to_jsonb(since))) v(trait, value)
    UNION ALL SELECT 'app', id::text, v.trait, v.value
    FROM called CROSS JOIN LATERAL (VALUES ('name', to_jsonb(name)), ('score', to_jsonb(score))) v(trait, value)
) v ON v.source = o.source AND v.record_key = o.record_key;

-- What a policy goes by, greater is better.
CREATE FUNCTION greater_than(a jsonb, b jsonb) RETURNS boolean LANGUAGE sql STABLE
RETURN CASE WHEN a IS NULL THEN false WHEN b IS NULL THEN true
    WHEN jsonb_typeof(a) = 'number' THEN (a #>> '{}')::numeric > (b #>> '{}')::numeric
    ELSE (a #>> '{}') COLLATE "C" > (b #>> '{}') COLLATE "C" END;

-- The winner of each trait; what a policy finds equal goes by time, then by value.
CREATE VIEW winner AS
SELECT DISTINCT ON (s.profile_id, s.trait) s.profile_id, s.trait, s.value
FROM said s JOIN cdp.traits t ON t.key = s.trait
WHERE NOT (t.ignore_empty AND (s.value IS NULL OR s.value #>> '{}' ~ '^\s*$' OR s.value IN ('{}', '[]')))
ORDER BY s.profile_id, s.trait,
    CASE
        WHEN t.survivorship = 'first' THEN - extract(epoch FROM s.observed_at)
        WHEN t.survivorship = 'priority' THEN - coalesce(array_position(t.sources, s.source), 1000)
        WHEN t.survivorship = 'last' THEN 0
        WHEN s.value IS NULL THEN -1
        WHEN t.survivorship = 'most_frequent' THEN (SELECT count(*) FROM said o WHERE o.profile_id = s.profile_id AND o.trait = s.trait AND o.value = s.value)
        WHEN t.survivorship = 'longest' THEN length(s.value #>> '{}')
        WHEN t.survivorship = 'min' THEN (SELECT count(*) FROM said o WHERE o.profile_id = s.profile_id AND o.trait = s.trait AND greater_than(o.value, s.value))
        WHEN t.survivorship = 'max' THEN (SELECT count(*) FROM said o WHERE o.profile_id = s.profile_id AND o.trait = s.trait AND greater_than(s.value, o.value))
    END DESC,
    s.observed_at DESC,
    s.value IS NULL,
    CASE WHEN jsonb_typeof(s.value) = 'number' THEN (s.value #>> '{}')::numeric END DESC NULLS LAST,
    (s.value #>> '{}') COLLATE "C" DESC NULLS LAST;

-- The identifier of each namespace in the newest record of the person that holds it.
CREATE VIEW preferred AS
SELECT DISTINCT ON (i.profile_id, i.namespace) i.profile_id, i.namespace, i.value
FROM cdp.identifiers i
LEFT JOIN held h ON h.identifier_id = i.identifier_id
    AND EXISTS (SELECT FROM owned o WHERE o.source = h.source AND o.record_key = h.record_key AND o.profile_id = i.profile_id)
WHERE i.state = 'usable'
ORDER BY i.profile_id, i.namespace, h.observed_at DESC NULLS LAST, i.value COLLATE "C";

-- What cdp.profiles must show.
CREATE VIEW expected AS
SELECT i.profile_id, jsonb_strip_nulls(
    jsonb_build_object('profile_id', i.profile_id, 'is_known', i.is_known, 'first_seen', o.first_seen, 'last_seen', o.last_seen,
        'event_count', coalesce(o.events, 0), 'record_count', coalesce(o.records, 0))
    || (SELECT coalesce(jsonb_object_agg(p.namespace, p.value), '{}') FROM preferred p WHERE p.profile_id = i.profile_id)
    || (SELECT jsonb_strip_nulls(coalesce(jsonb_object_agg(w.trait, w.value), '{}')) FROM winner w WHERE w.profile_id = i.profile_id)) AS profile
FROM (SELECT profile_id, bool_or(kind = 'person') AS is_known FROM cdp.identifiers WHERE state = 'usable' GROUP BY profile_id) i
LEFT JOIN (
    SELECT o.profile_id, count(*) FILTER (WHERE o.occurred_at IS NOT NULL) AS events, count(*) FILTER (WHERE o.occurred_at IS NULL) AS records,
           min(coalesce(o.occurred_at, v.first_seen)) AS first_seen, max(coalesce(o.occurred_at, o.observed_at)) AS last_seen
    FROM owned o LEFT JOIN read_version v USING (source, record_key)
    GROUP BY o.profile_id
) o USING (profile_id);

-- Which versions of a captured row were taken in before it went and came back is not in the tables, so neither is first_seen.
CREATE VIEW difference AS
SELECT coalesce(e.profile_id, p.profile_id) AS profile_id, e.profile AS expected, p.profile AS stored
FROM expected e FULL JOIN (SELECT profile_id, jsonb_strip_nulls(to_jsonb(p)) AS profile FROM cdp.profiles p) p USING (profile_id)
CROSS JOIN (SELECT CASE WHEN bool_or(capture <> 'pull') THEN 'first_seen' ELSE '' END AS ignored FROM cdp_data.source) c
WHERE e.profile - c.ignored IS DISTINCT FROM p.profile - c.ignored;

-- Events, with the person as known now.
CREATE VIEW event_difference AS
(SELECT profile_id, source, record_key, occurred_at FROM owned WHERE occurred_at IS NOT NULL
 EXCEPT SELECT profile_id, source, record_key, occurred_at FROM cdp.events)
UNION ALL
(SELECT e.profile_id, e.source, e.record_key, e.occurred_at FROM cdp.events e JOIN cdp.identifiers i ON i.profile_id = e.profile_id AND i.state = 'usable'
 EXCEPT SELECT profile_id, source, record_key, occurred_at FROM owned);

CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE
RETURN choices[1 + floor(random() * cardinality(choices))::integer];

-- A random identifier; few values, so that people meet.
CREATE FUNCTION draw(kind text) RETURNS text LANGUAGE sql VOLATILE
RETURN CASE kind
    WHEN 'email' THEN pick('a', 'B', 'c', 'D', 'e', 'f', NULL, NULL) || pick('@x.example', '@X.example ')
    WHEN 'phone' THEN pick('+442079460018', '+44 20 7946 0019', '+442079460017', 'ask', NULL, NULL)
    WHEN 'user' THEN pick('u1', 'u2', 'u3', 'u4', 'u5', NULL, NULL)
    WHEN 'device' THEN pick('d1', 'd2', 'd3', 'd4', 'd5')
    WHEN 'card' THEN pick('l1', 'l2', 'l3', 'l4')
END;

CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN timestamptz '2026-01-01' + floor(random() * 40) * interval '1 day';

-- Times of a row only grow, also when it went and comes back: an older version counts nowhere.
CREATE TABLE last_version (source text, id integer, modified timestamptz, PRIMARY KEY (source, id));
CREATE FUNCTION next_time(source_name text, chosen integer) RETURNS timestamptz LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO last_version AS v VALUES (source_name, chosen, moment())
    ON CONFLICT (source, id) DO UPDATE SET modified = greatest(EXCLUDED.modified, v.modified + floor(random() * 2) * interval '1 hour')
    RETURNING modified;
END;

CREATE FUNCTION change_contact() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen integer := 1 + floor(random() * 12);
BEGIN
    IF random() < 0.15 THEN
        DELETE FROM contact WHERE id = chosen;
        RETURN;
    END IF;
    INSERT INTO contact (id, modified, email, second_email, phone, customer, name, country, score, vip, balance, archived)
    VALUES (chosen, next_time('contact', chosen), draw('email'), CASE WHEN random() < 0.2 THEN draw('email') END, draw('phone'), CASE WHEN random() < 0.5 THEN draw('user') END,
        pick('Ann', 'Bob', 'Cy', '', ' ', NULL), pick('DE', 'FR', 'Norway', NULL), floor(random() * 5), pick('t', 'f', NULL)::boolean, (floor(random() * 40) / 4)::numeric(6, 2),
        random() < 0.1)
    ON CONFLICT (id) DO UPDATE SET (modified, synced, email, second_email, phone, customer, name, country, score, vip, balance, archived)
        = (EXCLUDED.modified, EXCLUDED.synced, EXCLUDED.email, EXCLUDED.second_email, EXCLUDED.phone, EXCLUDED.customer,
           EXCLUDED.name, EXCLUDED.country, EXCLUDED.score, EXCLUDED.vip, EXCLUDED.balance, EXCLUDED.archived);
END $$;

CREATE FUNCTION change_login() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen integer := 1 + floor(random() * 10);
BEGIN
    IF random() < 0.15 THEN
        DELETE FROM login WHERE id = chosen;
        RETURN;
    END IF;
    INSERT INTO login (id, modified, device, email, customer, name, score, prefers, since)
    VALUES (chosen, next_time('login', chosen) + chosen * interval '1 second', draw('device'), draw('email'), draw('user'), pick('Ann', 'Bob', 'Dora', '', NULL),
        floor(random() * 9), pick('{"a": 1}', '{"a": 2}', '{}', NULL)::jsonb, moment())
    ON CONFLICT (id) DO UPDATE SET (modified, synced, device, email, customer, name, score, prefers, since)
        = (EXCLUDED.modified, EXCLUDED.synced, EXCLUDED.device, EXCLUDED.email, EXCLUDED.customer, EXCLUDED.name, EXCLUDED.score, EXCLUDED.prefers, EXCLUDED.since);
END $$;

CREATE FUNCTION call_identify() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen integer := 1 + floor(random() * 8);
    said called;
BEGIN
    IF random() < 0.2 THEN
        DELETE FROM called WHERE id = chosen;
        DELETE FROM read_version WHERE source = 'app' AND record_key = chosen::text;
        PERFORM cdp.retract('app', chosen::text);
        RETURN;
    END IF;
    INSERT INTO called VALUES (chosen, next_time('app', chosen), draw('email'), draw('card'), pick('Ann', 'Eve', '', NULL), floor(random() * 9))
    ON CONFLICT (id) DO UPDATE SET (modified, email, card, name, score) = (EXCLUDED.modified, EXCLUDED.email, EXCLUDED.card, EXCLUDED.name, EXCLUDED.score)
    RETURNING * INTO said;
    PERFORM cdp.identify(jsonb_build_object('email', said.email, 'loyalty_id', said.card), 'app', chosen::text, said.modified, jsonb_build_object('name', said.name, 'score', said.score));
    INSERT INTO read_version VALUES ('app', chosen::text, said.modified)
    ON CONFLICT (source, record_key) DO UPDATE SET first_seen = least(read_version.first_seen, EXCLUDED.first_seen);
END $$;

CREATE FUNCTION change_event() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen integer := 1 + floor(random() * 12);
BEGIN
    IF random() < 0.1 THEN
        DELETE FROM receipt WHERE id = chosen;
    ELSIF random() < 0.5 THEN
        INSERT INTO receipt (id, modified, sold, card, email, amount) VALUES (chosen, next_time('receipt', chosen), moment(), draw('card'), draw('email'), floor(random() * 90))
        ON CONFLICT (id) DO UPDATE SET (modified, synced, sold, card, email, amount)
            = (EXCLUDED.modified, EXCLUDED.synced, EXCLUDED.sold, EXCLUDED.card, EXCLUDED.email, EXCLUDED.amount);
    ELSE
        INSERT INTO visit (id, modified, seen, page, browser, customer, amount) VALUES (chosen, next_time('visit', chosen), moment(), pick('home', 'basket'), 'browser-' || draw('device'), draw('user'), NULL)
        ON CONFLICT (id) DO UPDATE SET (modified, synced, seen, page, browser, customer)
            = (EXCLUDED.modified, EXCLUDED.synced, EXCLUDED.seen, EXCLUDED.page, EXCLUDED.browser, EXCLUDED.customer);
    END IF;
END $$;

-- What people say and decide.  What contradicts itself is an error, which changes nothing.
CREATE FUNCTION change_label() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    a record;
    b record;
BEGIN
    SELECT * INTO a FROM cdp.identifiers ORDER BY namespace, value OFFSET floor(random() * (SELECT count(*) FROM cdp.identifiers)) LIMIT 1;
    SELECT * INTO b FROM cdp.identifiers ORDER BY namespace, value OFFSET floor(random() * (SELECT count(*) FROM cdp.identifiers)) LIMIT 1;
    IF a IS NULL THEN
        RETURN NULL;
    END IF;
    CASE floor(random() * 6)::integer
        WHEN 0, 1 THEN
            PERFORM cdp.cannot_link(a.namespace, a.value, b.namespace, b.value);
            RETURN format('cannot_link %s %s', a.value, b.value);
        WHEN 2 THEN
            PERFORM cdp.must_link(a.namespace, a.value, b.namespace, b.value);
            RETURN format('must_link %s %s', a.value, b.value);
        WHEN 3 THEN
            PERFORM cdp.remove_label(namespace_1, value_1, namespace_2, value_2) FROM (SELECT * FROM cdp.labels ORDER BY namespace_1, value_1, namespace_2, value_2 LIMIT 1) l;
            RETURN 'remove_label';
        WHEN 4 THEN
            PERFORM cdp.block_identifier(a.namespace, a.value);
            RETURN format('block %s', a.value);
        ELSE
            PERFORM cdp.unblock_identifier(namespace, value) FROM (SELECT * FROM cdp.blocked_identifiers WHERE reason IS NULL ORDER BY namespace, value LIMIT 1) l;
            RETURN 'unblock';
    END CASE;
EXCEPTION WHEN integrity_constraint_violation OR invalid_parameter_value THEN
    RETURN 'refused: ' || SQLERRM;
END $$;

CREATE FUNCTION change_policy() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    chosen text := pick('name', 'country', 'score', 'vip', 'balance', 'since', 'prefers', 'phone');
    policy text := pick('last', 'first', 'priority', 'most_frequent', 'min', 'max', 'longest');
BEGIN
    IF chosen NOT IN ('name', 'country', 'phone') AND policy = 'longest' OR chosen = 'prefers' AND policy IN ('most_frequent', 'min', 'max') THEN
        policy := 'last';
    END IF;
    PERFORM cdp.alter_trait(chosen, survivorship => policy,
        sources => CASE WHEN policy = 'priority' THEN CASE WHEN random() < 0.5 THEN ARRAY['login', 'app', 'contact'] ELSE ARRAY['contact'] END END, ignore_empty => random() < 0.5);
    RETURN format('%s by %s', chosen, policy);
END $$;

-- Only a full refresh sees what was deleted.
CREATE PROCEDURE refresh(source_name text, is_full boolean) LANGUAGE plpgsql AS $$
BEGIN
    CALL cdp.refresh(ARRAY[source_name], full_compare => is_full, allow_deletes => true);
    IF is_full THEN
        DELETE FROM read_version v WHERE v.source = source_name AND NOT EXISTS (SELECT FROM source_record r WHERE r.source = v.source AND r.record_key = v.record_key);
    ELSE
        -- an archived row says by itself that it is gone
        DELETE FROM read_version v USING contact c WHERE source_name = 'contact' AND v.source = source_name AND v.record_key = c.id::text AND c.archived;
    END IF;
    INSERT INTO read_version SELECT source, record_key, observed_at FROM source_record WHERE source = source_name
    ON CONFLICT (source, record_key) DO UPDATE SET first_seen = least(read_version.first_seen, EXCLUDED.first_seen);
END $$;

-- One workload; an error when something differs, with the seed and the steps.
CREATE PROCEDURE run(seed integer, steps integer, is_committed boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    script text[] := '{}';
    done text;
    bad record;
    bad_event record;
    changed bigint;
BEGIN
    PERFORM setseed(seed / 100000.0);
    FOR step IN 1 .. steps LOOP
        CASE floor(random() * 23)::integer
            WHEN 0, 1, 2, 3, 4 THEN PERFORM change_contact(); done := 'contact';
            WHEN 5, 6, 7, 8 THEN PERFORM change_login(); done := 'login';
            WHEN 9, 10, 11, 12 THEN PERFORM change_event(); done := 'event';
            WHEN 13 THEN done := change_label();
            WHEN 14 THEN done := change_policy();
            WHEN 20, 21 THEN PERFORM call_identify(); done := 'identify';
            WHEN 22 THEN
                done := pick('queue', 'immediate');
                PERFORM cdp.alter_source('login', capture => done);
                done := 'login by ' || done;
            WHEN 15 THEN
                done := format('materialize %s', cdp.materialize_profiles(ARRAY(SELECT profile_id FROM cdp.identifiers WHERE random() < 0.3)));
            ELSE
                done := pick('contact', 'login', 'receipt', 'visit');
                CALL refresh(done, random() < 0.3);
                done := 'refresh ' || done;
        END CASE;
        script := script || done;
        IF is_committed THEN
            COMMIT;
        END IF;
        CONTINUE WHEN step % 15 <> 0 AND step <> steps;

        CALL refresh('visit', true);
        CALL refresh('login', true);
        CALL refresh('contact', true);
        CALL refresh('receipt', true);
        SELECT * INTO bad FROM difference ORDER BY profile_id LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION E'seed %, step %: profile %\nexpected %\nstored   %\n%', seed, step, bad.profile_id, bad.expected, bad.stored, array_to_string(script, E'\n');
        END IF;
        SELECT * INTO bad_event FROM event_difference LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION E'seed %, step %: event % of %\n%', seed, step, bad_event.record_key, bad_event.source, array_to_string(script, E'\n');
        END IF;
        -- Everybody derived at once: the same rows, and values with them.
        INSERT INTO cdp_data.changed_profile VALUES (0);
        changed := cdp.materialize_profiles();
        IF changed <> 0 OR EXISTS (SELECT FROM cdp_data.changed_profile) THEN
            RAISE EXCEPTION E'seed %, step %: deriving everybody changes something\n%', seed, step, array_to_string(script, E'\n');
        END IF;
    END LOOP;
    IF NOT is_committed THEN
        RAISE EXCEPTION SQLSTATE 'CD000';
    END IF;
END $$;

-- Workloads from empty tables; each is rolled back.
CREATE PROCEDURE run_many(first_seed integer, workloads integer, steps integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR seed IN first_seed .. first_seed + workloads - 1 LOOP
        BEGIN
            CALL run(seed, steps);
        EXCEPTION WHEN SQLSTATE 'CD000' THEN
            NULL;
        END;
    END LOOP;
END $$;

CREATE PROCEDURE declare() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cdp.alter_namespace('phone', max_links => 2), cdp.alter_namespace('device_id', max_links => 3);
    PERFORM cdp.create_trait('vip', 'boolean', 'max');
    PERFORM cdp.create_trait('name', 'text', 'priority', ARRAY['login', 'contact'], ignore_empty => true);
    PERFORM cdp.create_source('contact', 'unified.contact', record_key => 'id', observed_at => 'modified', watermark => 'synced', deleted => 'archived',
        identifiers => $i$ email AS email, second_email AS email, phone AS phone, customer AS user_id, 'c' || id AS crm_id $i$,
        traits => 'name AS name, country AS country, score AS score, vip AS vip, balance AS balance, phone AS phone');
    PERFORM cdp.create_source('login', 'unified.login', record_key => 'id', observed_at => 'modified', watermark => 'synced',
        identifiers => 'device AS device_id, email AS email, customer AS user_id',
        traits => 'name AS name, score AS score, prefers AS prefers, since AS since');
    PERFORM cdp.create_source('receipt', 'unified.receipt', record_key => 'id', observed_at => 'modified', occurred_at => 'sold', event_name => $e$ 'purchase' $e$, watermark => 'synced',
        identifiers => 'card AS loyalty_id, email AS email', properties => 'amount AS amount');
    PERFORM cdp.create_source('visit', 'unified.visit', record_key => 'id', observed_at => 'modified', occurred_at => 'seen', event_name => 'page', watermark => 'synced',
        identifiers => 'browser AS anonymous_id, customer AS user_id', properties => 'amount AS amount');
END $$;
