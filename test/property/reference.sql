-- reference.sql
--
-- The slow, obvious reference of the identity graph: given all evidence as the
-- test itself keeps it (records, blocks, labels, namespaces), it computes from
-- nothing the heads, the shared identifiers, the hubs, the links with their
-- times, the canonical order, the partition and the refusals.  It reads nothing
-- of cdp_data.
--
-- Identifiers and namespaces are numbers in order of strength, 1 the strongest:
-- (priority, name) for namespaces, (priority, name, value) for identifiers, all
-- text compared as bytes.  So the strongest of a set is simply its minimum.

CREATE SCHEMA reference;
SET search_path = reference, pg_catalog;

CREATE TYPE evidence_record AS (
    source text,
    record_key text,
    observed_at timestamptz,        -- of the surviving version
    first_seen timestamptz,         -- the minimum over the versions
    ids integer[]                   -- of the surviving version, sorted
);

CREATE TYPE evidence AS (
    -- by namespace number
    namespace_name text[],
    priority integer[],
    max_per_profile integer[],
    max_links integer[],
    -- by identifier number
    namespace integer[],
    value text[],
    blocked boolean[],              -- follows from the blocks
    -- blocks: of a value or a pattern, in one namespace or (NULL) in all
    block_namespace integer[],
    block_value text[],
    block_pattern text[],
    -- what was observed and what was decreed
    records evidence_record[],
    must_a integer[],
    must_b integer[],
    cannot_a integer[],
    cannot_b integer[],
    -- options
    conflict_policy text,
    max_profile_size integer
);

CREATE TYPE evidence_link AS (
    a integer,
    b integer,
    first_seen timestamptz,
    last_seen timestamptz,
    records integer,
    head_records integer,
    state "char"
);

CREATE TYPE answer AS (
    component integer[],            -- by identifier: the smallest identifier of its profile
    state "char"[],                 -- by identifier: u(sable), s(hared), b(locked)
    links evidence_link[],
    hubs integer[]                  -- by record
);

-- Which identifiers the blocks name.
CREATE FUNCTION blocked_by(e evidence) RETURNS boolean[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(EXISTS (SELECT FROM unnest(e.block_namespace, e.block_value, e.block_pattern) b(namespace, value, pattern)
                             WHERE (b.namespace IS NULL OR b.namespace = i.namespace)
                               AND (b.value = i.value OR i.value COLLATE "C" ~ b.pattern)) ORDER BY n)
    FROM unnest(e.namespace, e.value) WITH ORDINALITY i(namespace, value, n)
$$;

-- The classes of identifiers that must-links join, as the smallest member of
-- each.  With resting => false, must-links with an end that is not usable rest.
CREATE FUNCTION must_classes(size integer, must_a integer[], must_b integer[],
                             usable boolean[] DEFAULT NULL) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    class integer[] := array(SELECT generate_series(1, size));
    low integer;
    high integer;
BEGIN
    FOR m IN 1 .. coalesce(cardinality(must_a), 0) LOOP
        CONTINUE WHEN usable IS NOT NULL AND NOT (usable[must_a[m]] AND usable[must_b[m]]);
        low := least(class[must_a[m]], class[must_b[m]]);
        high := greatest(class[must_a[m]], class[must_b[m]]);
        CONTINUE WHEN low = high;
        FOR i IN 1 .. size LOOP
            IF class[i] = high THEN
                class[i] := low;
            END IF;
        END LOOP;
    END LOOP;
    RETURN class;
END $$;

-- Would the profile that holds the components one and two satisfy the constraints?
CREATE FUNCTION union_is_valid(e evidence, component integer[], class integer[],
                               one integer, two integer) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    namespace integer[] := e.namespace;
    max_per_profile integer[] := e.max_per_profile;
    size integer := 0;
    current_namespace integer := 0;
    classes integer[];
BEGIN
    FOR i IN 1 .. cardinality(component) LOOP
        CONTINUE WHEN component[i] <> one AND component[i] <> two;
        size := size + 1;
        IF size > e.max_profile_size THEN
            RETURN false;
        END IF;
        -- identifiers of one namespace are neighbours
        IF namespace[i] <> current_namespace THEN
            current_namespace := namespace[i];
            classes := '{}';
        END IF;
        CONTINUE WHEN max_per_profile[current_namespace] IS NULL;
        IF class[i] <> ALL (classes) THEN
            classes := classes || class[i];
            IF cardinality(classes) > max_per_profile[current_namespace] THEN
                RETURN false;
            END IF;
        END IF;
    END LOOP;
    FOR c IN 1 .. coalesce(cardinality(e.cannot_a), 0) LOOP
        IF component[e.cannot_a[c]] IN (one, two) AND component[e.cannot_b[c]] IN (one, two) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;

CREATE FUNCTION compute(e evidence) RETURNS answer
LANGUAGE plpgsql AS $$
DECLARE
    size integer := cardinality(e.value);
    namespace integer[] := e.namespace;
    priority integer[] := e.priority;
    max_links integer[] := e.max_links;
    blocked boolean[] := e.blocked;
    usable boolean[];
    class integer[];
    component integer[] := array(SELECT generate_series(1, size));
    found_shared integer[];
    found_state "char"[];
    found_links evidence_link[];
    found_hubs integer[];
    l record;
    low integer;
    high integer;
BEGIN
    -- Shared: the distinct heads of strictly stronger namespaces, in the records
    -- of an identifier, exceed its namespace's max_links.
    SELECT coalesce(array_agg(x), '{}') INTO found_shared
    FROM (SELECT x
          FROM (SELECT r.ids, (SELECT min(i) FROM unnest(r.ids) i WHERE NOT blocked[i]) AS head
                FROM unnest(e.records) r) headed,
               unnest(ids) x
          WHERE NOT blocked[x] AND namespace[head] < namespace[x]
          GROUP BY x
          HAVING count(DISTINCT head) > max_links[namespace[x]]) s;

    SELECT array_agg(CASE WHEN blocked[i] THEN 'b'::"char"
                          WHEN i = ANY (found_shared) THEN 's'::"char"
                          ELSE 'u'::"char" END ORDER BY i)
    INTO found_state FROM generate_series(1, size) i;
    SELECT array_agg(s = 'u'::"char" ORDER BY i) INTO usable
    FROM unnest(found_state) WITH ORDINALITY u(s, i);

    -- Hubs: the strongest usable identifier, else the head, else the strongest.
    SELECT array_agg(coalesce((SELECT min(i) FROM unnest(r.ids) i WHERE usable[i]),
                              (SELECT min(i) FROM unnest(r.ids) i WHERE NOT blocked[i]),
                              (SELECT min(i) FROM unnest(r.ids) i)) ORDER BY r.n)
    INTO found_hubs
    FROM unnest(e.records) WITH ORDINALITY r(source, record_key, observed_at, first_seen, ids, n);

    -- Links: from the hub to each other identifier; and from the head, which
    -- only count for max_links.
    SELECT coalesce(array_agg(ROW(a, b,
                         min_first, max_last, by_hub, by_head,
                         CASE WHEN usable[a] AND usable[b] THEN 'j' ELSE 'u' END)::evidence_link), '{}')
    INTO found_links
    FROM (SELECT a, b,
                 min(first_seen) FILTER (WHERE hub) AS min_first,
                 max(observed_at) FILTER (WHERE hub) AS max_last,
                 (count(*) FILTER (WHERE hub))::integer AS by_hub,
                 (count(*) FILTER (WHERE NOT hub))::integer AS by_head
          FROM (SELECT found_hubs[n] AS a, x AS b, true AS hub, first_seen, observed_at
                FROM unnest(e.records) WITH ORDINALITY r(source, record_key, observed_at, first_seen, ids, n),
                     unnest(ids) x
                WHERE x <> found_hubs[n]
                UNION ALL
                SELECT (SELECT min(i) FROM unnest(r.ids) i WHERE NOT blocked[i]), x, false, first_seen, observed_at
                FROM unnest(e.records) r, unnest(ids) x
                WHERE x <> (SELECT min(i) FROM unnest(r.ids) i WHERE NOT blocked[i])) each
          GROUP BY a, b) grouped;

    -- Partition: links between usable identifiers in canonical order; a union
    -- that would break a constraint is refused.
    class := must_classes(size, e.must_a, e.must_b, usable);
    FOR l IN
        SELECT a, b
        FROM (SELECT 0 AS rank, least(a, b) AS a, greatest(a, b) AS b, 0 AS at
              FROM unnest(e.must_a, e.must_b) m(a, b)
              UNION ALL
              SELECT 1, a, b, CASE WHEN e.conflict_policy = 'drop_older'
                                   THEN - extract(epoch FROM last_seen)
                                   ELSE extract(epoch FROM first_seen) END
              FROM unnest(found_links)
              WHERE records > 0) o
        WHERE usable[a] AND usable[b]
        ORDER BY rank, priority[namespace[a]], priority[namespace[b]], at, a, b
    LOOP
        low := least(component[l.a], component[l.b]);
        high := greatest(component[l.a], component[l.b]);
        CONTINUE WHEN low = high;
        IF union_is_valid(e, component, class, low, high) THEN
            FOR i IN 1 .. size LOOP
                IF component[i] = high THEN
                    component[i] := low;
                END IF;
            END LOOP;
        END IF;
    END LOOP;

    FOR i IN 1 .. cardinality(found_links) LOOP
        IF found_links[i].state = 'j' AND component[found_links[i].a] <> component[found_links[i].b] THEN
            found_links[i].state := 'r';
        END IF;
    END LOOP;

    RETURN ROW(component, found_state, found_links, found_hubs)::answer;
END $$;

RESET search_path;
