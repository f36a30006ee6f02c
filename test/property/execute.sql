-- execute.sql
--
-- Runs a workload against the extension and against the reference, and compares
-- after every step: evidence, links, partition, refusals, the rules of ids.

SET search_path = reference, pg_catalog;

-- What the extension stores, by identifier number of the evidence.
CREATE TYPE stored AS (
    id bigint[],                    -- by identifier; NULL where it is not known
    profile bigint[],
    state "char"[],
    profile_id bigint[],            -- the rows of cdp_data.profile
    anchor integer[],
    profile_state "char"[],
    history bigint,                 -- rows of identifier_history
    changes bigint                  -- rows of identity_change
);

CREATE FUNCTION read_stored(e evidence) RETURNS stored
LANGUAGE plpgsql AS $$
DECLARE
    s stored;
BEGIN
    SELECT array_agg(i.id ORDER BY u.n), array_agg(i.profile_id ORDER BY u.n), array_agg(i.state ORDER BY u.n)
    INTO s.id, s.profile, s.state
    FROM unnest(e.namespace, e.value) WITH ORDINALITY u(namespace, value, n)
    JOIN cdp_data.namespace n ON n.name = e.namespace_name[u.namespace]
    LEFT JOIN cdp_data.identifier i ON i.namespace_id = n.namespace_id AND i.value = u.value;

    SELECT array_agg(p.profile_id ORDER BY p.profile_id), array_agg(array_position(s.id, p.anchor) ORDER BY p.profile_id),
           array_agg(p.state ORDER BY p.profile_id)
    INTO s.profile_id, s.anchor, s.profile_state
    FROM cdp_data.profile p;

    SELECT count(*) INTO s.history FROM cdp_data.identifier_history;
    SELECT count(*) INTO s.changes FROM cdp_data.identity_change;
    RETURN s;
END $$;

CREATE FUNCTION name_of(e evidence, n integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(e.namespace_name[e.namespace[n]] || ':' || e.value[n], 'an unknown identifier')
$$;

CREATE FUNCTION names_of(e evidence, n integer[]) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{' || string_agg(name_of(e, x), ' ' ORDER BY x) || '}' FROM unnest(n) x
$$;

-- Evidence -----------------------------------------------------------------------

-- Is the row, judged by itself, rejected?
CREATE FUNCTION is_rejected(e evidence, ids integer[]) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT ids = '{}' OR EXISTS (SELECT FROM unnest(ids) x
                                 WHERE (e.max_per_profile)[(e.namespace)[x]] = 1
                                 GROUP BY (e.namespace)[x] HAVING count(*) > 1)
$$;

CREATE FUNCTION hour_time(hour integer) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT '2024-01-01 00:00:00+00'::timestamptz + hour * interval '1 hour'
$$;

CREATE FUNCTION find_record(e evidence, wanted_source text, wanted_key text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT n::integer FROM unnest(e.records) WITH ORDINALITY r(source, record_key, observed_at, first_seen, ids, n)
    WHERE source = wanted_source AND record_key = wanted_key
$$;

-- Applies the rows of one call.  What only the extension can know is left open,
-- as (record, permitted sets): the set that wins among versions of equal time in
-- one call, and the time of a version that came without.
CREATE FUNCTION apply_rows(INOUT e evidence, call_source text, rows jsonb, OUT opened jsonb,
                           OUT accepted integer, OUT records_new integer)
LANGUAGE plpgsql AS $$
DECLARE
    g record;
    n integer;
    set integer[];
BEGIN
    opened := '[]';
    accepted := 0;
    records_new := 0;
    FOR g IN
        SELECT key, count(*) AS row_count, min(hour) AS first, max(hour) AS last,
               jsonb_agg(DISTINCT to_jsonb(ids)) FILTER (WHERE hour IS NULL OR hour = last_hour) AS sets
        FROM (SELECT key, hour, ids, max(hour) OVER (PARTITION BY key) AS last_hour
              FROM (SELECT r->>'key' AS key, (r->>'hour')::integer AS hour,
                           array(SELECT DISTINCT x::integer FROM jsonb_array_elements_text(r->'ids') x ORDER BY 1) AS ids
                    FROM jsonb_array_elements(rows) r) v
              WHERE NOT is_rejected(e, ids)) a
        GROUP BY key ORDER BY key COLLATE "C"
    LOOP
        accepted := accepted + g.row_count;
        set := array(SELECT x::integer FROM jsonb_array_elements_text(g.sets->0) x);
        n := find_record(e, call_source, g.key);
        IF n IS NULL THEN
            records_new := records_new + 1;
            e.records := e.records || ROW(call_source, g.key, hour_time(g.last), hour_time(g.first), set)::evidence_record;
            n := cardinality(e.records);
            IF g.last IS NULL OR jsonb_array_length(g.sets) > 1 THEN
                opened := opened || jsonb_build_object('n', n, 'sets', g.sets, 'time', g.last IS NULL);
            END IF;
        ELSE
            IF g.last IS NULL OR hour_time(g.last) >= e.records[n].observed_at THEN
                e.records[n].ids := set;
                e.records[n].observed_at := coalesce(hour_time(g.last), e.records[n].observed_at);
                IF jsonb_array_length(g.sets) > 1 THEN
                    opened := opened || jsonb_build_object('n', n, 'sets', g.sets, 'time', false);
                END IF;
            END IF;
            e.records[n].first_seen := least(e.records[n].first_seen, hour_time(g.first));
        END IF;
    END LOOP;
END $$;

-- Takes from the extension what apply_rows left open, if it is permitted.
CREATE FUNCTION settle(INOUT e evidence, opened jsonb, OUT problem text)
LANGUAGE plpgsql AS $$
DECLARE
    o jsonb;
    n integer;
    kept record;
    s stored;
    set integer[];
BEGIN
    FOR o IN SELECT jsonb_array_elements(opened) LOOP
        s := coalesce(s, read_stored(e));
        n := o->>'n';
        SELECT r.observed_at, r.first_seen, r.hub, r.ids INTO kept FROM cdp_data.record r
        WHERE r.source = e.records[n].source AND r.record_key = e.records[n].record_key;
        IF NOT FOUND THEN
            problem := format('record %s of %s is not stored', e.records[n].record_key, e.records[n].source);
            RETURN;
        END IF;
        set := array(SELECT array_position(s.id, x) FROM unnest(coalesce(kept.ids, ARRAY[kept.hub])) x ORDER BY 1);
        IF NOT o->'sets' @> jsonb_build_array(to_jsonb(set)) THEN
            problem := format('record %s has identifiers %s, which no version of it had', e.records[n].record_key, names_of(e, set));
            RETURN;
        END IF;
        e.records[n].ids := set;
        IF (o->>'time')::boolean THEN
            IF kept.observed_at < statement_timestamp() OR kept.observed_at > clock_timestamp() OR kept.first_seen <> kept.observed_at THEN
                problem := format('record %s came without a time and got %s and %s', e.records[n].record_key,
                                  kept.observed_at, kept.first_seen);
                RETURN;
            END IF;
            e.records[n].observed_at := kept.observed_at;
            e.records[n].first_seen := kept.first_seen;
        END IF;
    END LOOP;
END $$;

-- The evidence after an operation, and whether the call must fail.
CREATE FUNCTION apply(INOUT e evidence, operation jsonb, OUT must_fail boolean, OUT opened jsonb,
                      OUT accepted integer, OUT records_new integer)
LANGUAGE plpgsql AS $$
DECLARE
    a integer := operation->>'a';
    b integer := operation->>'b';
    n integer;
    applied record;
    class integer[];
    labelled boolean;
BEGIN
    must_fail := false;
    opened := '[]';
    CASE operation->>'do'
    WHEN 'identify' THEN
        applied := apply_rows(e, operation->>'source', jsonb_build_array(operation));
        e := applied.e;
        opened := applied.opened;
        accepted := applied.accepted;
        must_fail := accepted = 0;
    WHEN 'stitch' THEN
        applied := apply_rows(e, operation->>'source', operation->'rows');
        e := applied.e;
        opened := applied.opened;
        accepted := applied.accepted;
        records_new := applied.records_new;
    WHEN 'retract' THEN
        n := find_record(e, operation->>'source', operation->>'key');
        IF n IS NOT NULL THEN
            e.records := e.records[: n - 1] || e.records[n + 1 :];
        END IF;
        accepted := (n IS NOT NULL)::integer;
    WHEN 'block' THEN
        IF has_block(e, operation) THEN
            SELECT coalesce(array_agg(x.n), '{}'), coalesce(array_agg(x.v), '{}'), coalesce(array_agg(x.p), '{}')
            INTO e.block_namespace, e.block_value, e.block_pattern
            FROM unnest(e.block_namespace, e.block_value, e.block_pattern) x(n, v, p), block_of(e, operation) k
            WHERE (x.n, x.v, x.p) IS DISTINCT FROM (k.namespace, k.value, k.pattern);
        ELSE
            SELECT e.block_namespace || k.namespace, e.block_value || k.value, e.block_pattern || k.pattern
            INTO e.block_namespace, e.block_value, e.block_pattern
            FROM block_of(e, operation) k;
        END IF;
        e.blocked := blocked_by(e);
    WHEN 'policy' THEN
        e.conflict_policy := CASE e.conflict_policy WHEN 'reject' THEN 'drop_older' ELSE 'reject' END;
    WHEN 'label' THEN
        labelled := EXISTS (SELECT FROM unnest(e.must_a || e.cannot_a, e.must_b || e.cannot_b) l(x, y)
                            WHERE (x, y) IN ((a, b), (b, a)));
        IF labelled THEN
            SELECT coalesce(array_agg(x), '{}'), coalesce(array_agg(y), '{}') INTO e.must_a, e.must_b
            FROM unnest(e.must_a, e.must_b) l(x, y) WHERE (x, y) NOT IN ((a, b), (b, a));
            SELECT coalesce(array_agg(x), '{}'), coalesce(array_agg(y), '{}') INTO e.cannot_a, e.cannot_b
            FROM unnest(e.cannot_a, e.cannot_b) l(x, y) WHERE (x, y) NOT IN ((a, b), (b, a));
        ELSIF operation->>'kind' = 'must_link' THEN
            -- resting must-links count in a contradiction
            class := must_classes(cardinality(e.value), e.must_a || a, e.must_b || b);
            must_fail := EXISTS (SELECT FROM unnest(e.cannot_a, e.cannot_b) l(x, y) WHERE class[x] = class[y]);
            IF NOT must_fail THEN
                e.must_a := e.must_a || a;
                e.must_b := e.must_b || b;
            END IF;
        ELSE
            class := must_classes(cardinality(e.value), e.must_a, e.must_b);
            must_fail := class[a] = class[b];
            IF NOT must_fail THEN
                e.cannot_a := e.cannot_a || a;
                e.cannot_b := e.cannot_b || b;
            END IF;
        END IF;
    WHEN 'max_links' THEN
        e.max_links[(operation->>'namespace')::integer] := operation->>'value';
    WHEN 'max_per_profile' THEN
        e.max_per_profile[(operation->>'namespace')::integer] := operation->>'value';
    ELSE
        NULL;
    END CASE;
END $$;

-- Comparison ---------------------------------------------------------------------

-- The first difference between what is stored and what the reference says.
CREATE FUNCTION difference(e evidence, r answer, s stored, known integer[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    problem text;
BEGIN
    -- evidence
    SELECT format('record %s of %s: stored %s, expected %s', coalesce(a.record_key, b.record_key), coalesce(a.source, b.source), a, b)
    INTO problem
    FROM (SELECT source, record_key, observed_at, first_seen,
                 (SELECT array_agg(array_position(s.id, x) ORDER BY array_position(s.id, x))
                  FROM unnest(coalesce(ids, ARRAY[hub])) x) AS ids,
                 array_position(s.id, hub) AS hub
          FROM cdp_data.record) a
    FULL JOIN (SELECT source, record_key, observed_at, first_seen, ids, r.hubs[n] AS hub
               FROM unnest(e.records) WITH ORDINALITY u(source, record_key, observed_at, first_seen, ids, n)) b
         ON a.source = b.source AND a.record_key = b.record_key
    WHERE (a.observed_at, a.first_seen, a.ids, a.hub) IS DISTINCT FROM (b.observed_at, b.first_seen, b.ids, b.hub)
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- identifiers: all of the evidence are known, no others but those once seen
    SELECT format('identifier %s is not stored', name_of(e, x)) INTO problem
    FROM (SELECT x FROM unnest(e.records) w, unnest(w.ids) x
          UNION SELECT unnest(e.must_a || e.must_b || e.cannot_a || e.cannot_b)) u
    WHERE s.id[x] IS NULL LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    SELECT format('identifier %s:%s was never accepted', n.name, i.value) INTO problem
    FROM cdp_data.identifier i LEFT JOIN cdp_data.namespace n USING (namespace_id)
    WHERE array_position(s.id, i.id) IS NULL
       OR NOT array_position(s.id, i.id) = ANY (known)
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    SELECT format('identifier %s has state %s, expected %s', name_of(e, n::integer), stored, expected) INTO problem
    FROM unnest(s.state, r.state) WITH ORDINALITY u(stored, expected, n)
    WHERE stored <> expected LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- partition
    SELECT format('partition: profile %s is %s, expected are %s', profile, names_of(e, array_agg(n::integer)),
                  (SELECT string_agg(DISTINCT names, ' ') FROM (
                      SELECT names_of(e, array_agg(m::integer)) AS names
                      FROM unnest(r.component, s.profile) WITH ORDINALITY v(c, p, m)
                      WHERE p IS NOT NULL AND c = ANY (array_agg(component))
                      GROUP BY c) q))
    INTO problem
    FROM unnest(r.component, s.profile) WITH ORDINALITY u(component, profile, n)
    WHERE profile IS NOT NULL
    GROUP BY profile HAVING count(DISTINCT component) > 1
    ORDER BY profile LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    SELECT format('partition: expected %s as one, stored are %s', names_of(e, array_agg(n::integer)),
                  array_agg(profile))
    INTO problem
    FROM unnest(r.component, s.profile) WITH ORDINALITY u(component, profile, n)
    WHERE profile IS NOT NULL
    GROUP BY component HAVING count(DISTINCT profile) > 1
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- links and refusals
    SELECT format('link %s - %s: stored %s, expected %s', name_of(e, coalesce(x.a, y.a)), name_of(e, coalesce(x.b, y.b)), x, y)
    INTO problem
    FROM (SELECT array_position(s.id, a) AS a, array_position(s.id, b) AS b, first_seen, last_seen, records, head_records, state
          FROM cdp_data.link) x
    FULL JOIN (SELECT a, b, first_seen, last_seen, records, head_records, state FROM unnest(r.links)) y
         ON x.a = y.a AND x.b = y.b
    WHERE (x.records, x.head_records, x.state) IS DISTINCT FROM (y.records, y.head_records, y.state)
       OR (y.records > 0 AND (x.first_seen, x.last_seen) IS DISTINCT FROM (y.first_seen, y.last_seen))
    ORDER BY coalesce(x.state, y.state) = 'u', 1
    LIMIT 1;
    RETURN problem;
END $$;

-- The rules of ids, between two states of the storage.
--
-- exact => true also applies the rule as it is written for one change: an old id
-- is at home in the part with most of its evidence; a part keeps the smallest id
-- at home in it, or takes back the smallest retired id anchored in it, or gets a
-- new one.
CREATE FUNCTION id_problem(e evidence, before stored, after stored, ever bigint[], exact boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    component integer[] := (SELECT array_agg(CASE WHEN p IS NULL THEN n ELSE first END ORDER BY n)
                            FROM (SELECT n, p, min(n) OVER (PARTITION BY p) AS first
                                  FROM unnest(after.profile) WITH ORDINALITY u(p, n)) part);
    problem text;
    incidences integer[];
BEGIN
    -- rows of cdp_data.profile: one for every id ever given, live where in use
    SELECT format('profile %s is %s', p, CASE WHEN state IS NULL THEN 'without a row' WHEN used THEN 'in use and retired'
                                         ELSE 'live and in no use' END)
    INTO problem
    FROM (SELECT p, x.state, p = ANY (after.profile) AS used
          FROM (SELECT unnest(ever || after.profile || after.profile_id) AS p) i
          LEFT JOIN unnest(after.profile_id, after.profile_state) x(id, state) ON x.id = i.p
          WHERE p IS NOT NULL) y
    WHERE state IS NULL OR coalesce(used, false) <> (state <> 'r')
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- canonical_id of every id points to the profile of its anchor; a live id is its own
    SELECT format('canonical_id(%s) is %s; its anchor %s is in %s', id, cdp.canonical_id(id), name_of(e, anchor), after.profile[anchor])
    INTO problem
    FROM unnest(after.profile_id, after.anchor, after.profile_state) x(id, anchor, state)
    WHERE cdp.canonical_id(id) IS DISTINCT FROM after.profile[anchor]
       OR (state <> 'r' AND after.profile[anchor] IS DISTINCT FROM id)
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- anchors stay, but where the id stays alive without its anchor
    SELECT format('anchor of profile %s was %s, is %s', x.id, name_of(e, x.anchor), name_of(e, y.anchor)) INTO problem
    FROM unnest(before.profile_id, before.anchor, before.profile_state) x(id, anchor, state)
    JOIN unnest(after.profile_id, after.anchor, after.profile_state) y(id, anchor, state) ON x.id = y.id
    WHERE x.anchor <> y.anchor
      AND NOT (x.state <> 'r' AND y.state <> 'r' AND after.profile[x.anchor] <> y.id
               AND y.anchor = (SELECT min(n) FROM unnest(after.profile) WITH ORDINALITY u(p, n) WHERE p = y.id))
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- a set that did not change keeps its id
    SELECT format('the profile of %s was %s, is %s', names_of(e, x.members), x.p, y.p) INTO problem
    FROM (SELECT p, array_agg(n::integer ORDER BY n) AS members FROM unnest(before.profile) WITH ORDINALITY u(p, n)
          WHERE p IS NOT NULL GROUP BY p) x
    JOIN (SELECT p, array_agg(n::integer ORDER BY n) AS members FROM unnest(after.profile) WITH ORDINALITY u(p, n)
          WHERE p IS NOT NULL GROUP BY p) y ON x.members = y.members AND x.p <> y.p
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- an id in use was of these people before, or is anchored in them, or is new
    SELECT format('profile %s is now %s, which has nothing of what it was', y.p, names_of(e, y.members)) INTO problem
    FROM (SELECT p, array_agg(n::integer ORDER BY n) AS members FROM unnest(after.profile) WITH ORDINALITY u(p, n)
          WHERE p IS NOT NULL GROUP BY p) y
    WHERE y.p = ANY (ever || before.profile_id)
      AND NOT EXISTS (SELECT FROM unnest(before.profile) WITH ORDINALITY u(p, n) WHERE p = y.p AND n = ANY (members))
      AND NOT EXISTS (SELECT FROM unnest(before.profile_id, before.anchor, before.profile_state) x(id, anchor, state)
                      WHERE x.id = y.p AND x.anchor = ANY (members) AND x.state = 'r')
    LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;

    -- a merge keeps the smallest id of those that came in whole
    SELECT format('profile %s is now %s, and holds all of the smaller %s', after.profile[x.one], names_of(e, x.members), x.p) INTO problem
    FROM (SELECT p, min(n) AS one, array_agg(n::integer) AS members, count(DISTINCT after.profile[n]) AS parts
          FROM unnest(before.profile) WITH ORDINALITY u(p, n) WHERE p IS NOT NULL GROUP BY p) x
    WHERE x.parts = 1 AND after.profile[x.one] > x.p
    LIMIT 1;
    IF problem IS NOT NULL OR NOT exact THEN
        RETURN problem;
    END IF;

    SELECT array_agg((SELECT count(*) FROM unnest(e.records) r WHERE n = ANY (r.ids))::integer ORDER BY n) INTO incidences
    FROM generate_series(1, cardinality(e.value)) n;
    WITH home AS (
        SELECT DISTINCT ON (p) p, c
        FROM (SELECT u.p, component[u.n] AS c, sum(incidences[u.n]) AS weight, count(*) AS identifiers,
                     bool_or(u.n = x.anchor) AS anchored
              FROM unnest(before.profile) WITH ORDINALITY u(p, n)
              JOIN unnest(before.profile_id, before.anchor) x(id, anchor) ON x.id = u.p
              GROUP BY 1, 2) parts
        ORDER BY p, weight DESC, identifiers DESC, anchored DESC, c),
    kept AS (SELECT c, min(p) AS p FROM home GROUP BY c),
    expected AS (
        SELECT part.c, part.members,
               coalesce(kept.p,
                        (SELECT min(x.id) FROM unnest(before.profile_id, before.anchor, before.profile_state) x(id, anchor, state)
                         WHERE component[x.anchor] = part.c AND x.id NOT IN (SELECT p FROM kept))) AS p,
               part.p AS actual
        FROM (SELECT component[n] AS c, min(p) AS p, array_agg(n::integer) AS members
              FROM unnest(after.profile) WITH ORDINALITY u(p, n) WHERE p IS NOT NULL GROUP BY 1) part
        LEFT JOIN kept ON kept.c = part.c)
    SELECT format('exact rule: profile of %s is %s, expected %s', names_of(e, members), actual, coalesce(p::text, 'a new id'))
    INTO problem
    FROM expected
    WHERE CASE WHEN p IS NULL THEN actual = ANY (ever || before.profile_id) ELSE actual <> p END
    LIMIT 1;
    RETURN problem;
END $$;

RESET search_path;
