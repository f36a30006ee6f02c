-- workload.sql
--
-- Random workloads for the identity graph: a configuration and a list of
-- operations, both functions of a seed.  Operations are kept as data and do not
-- depend on the state they meet, so that a failing workload can be shrunk by
-- leaving operations out and printed as a script of SQL statements.

SET search_path = reference, pg_catalog;

CREATE FUNCTION pick(choices anyarray) RETURNS anyelement
LANGUAGE sql VOLATILE AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;

-- The empty evidence of a configuration.  size => 'small' has some 20 possible
-- identifiers, 'large' some hundreds.
CREATE FUNCTION configuration(seed integer, size text) RETURNS evidence
LANGUAGE plpgsql AS $$
DECLARE
    e evidence;
    names text[] := ARRAY['test_b', 'test_a', 'test_d', 'test_c'];
    alphabet text[] := ARRAY['B', 'a', 'é', '~', '1', 'Z z', 'aa', '''"', '\', '{,}'];
    priorities integer[];
    max_per_profile integer[];
    max_links integer[];
    per_namespace integer;
BEGIN
    PERFORM setseed((seed % 100000) / 100000.0);
    priorities := CASE floor(random() * 4)::integer
                      WHEN 0 THEN '{1,2,2,3}'::integer[]
                      WHEN 1 THEN '{1,1,5,5}'::integer[]
                      ELSE '{1,2,3,4}'::integer[] END;
    max_per_profile := ARRAY[1, pick('{1,2}'::integer[]), pick('{2,NULL}'::integer[]), NULL];
    max_links := ARRAY[NULL, pick('{2,NULL}'::integer[]), pick('{1,2,NULL}'::integer[]),
                       pick('{1,2,3}'::integer[])];
    IF size = 'large' THEN
        max_links := ARRAY[NULL, NULL, pick('{3,10,NULL}'::integer[]), pick('{3,6,10}'::integer[])];
    END IF;

    SELECT array_agg(name ORDER BY priority, name COLLATE "C"), array_agg(priority ORDER BY priority, name COLLATE "C"),
           array_agg(most ORDER BY priority, name COLLATE "C"), array_agg(links ORDER BY priority, name COLLATE "C")
    INTO e.namespace_name, e.priority, e.max_per_profile, e.max_links
    FROM unnest(names, priorities, max_per_profile, max_links) n(name, priority, most, links);

    per_namespace := CASE WHEN size = 'large' THEN pick('{50,100}'::integer[]) ELSE pick('{3,4,5}'::integer[]) END;
    SELECT array_agg(n ORDER BY n, value COLLATE "C"), array_agg(value ORDER BY n, value COLLATE "C")
    INTO e.namespace, e.value
    FROM generate_series(1, 4) n,
         generate_series(1, per_namespace) v,
         LATERAL (SELECT CASE WHEN size = 'large' THEN (v * 7919 % 1000)::text ELSE alphabet[v + n] END AS value) x;

    e.blocked := array_fill(false, ARRAY[cardinality(e.value)]);
    e.block_namespace := '{}';
    e.block_value := '{}';
    e.block_pattern := '{}';
    e.records := '{}';
    e.must_a := '{}';
    e.must_b := '{}';
    e.cannot_a := '{}';
    e.cannot_b := '{}';
    e.conflict_policy := CASE WHEN random() < 0.3 THEN 'drop_older' ELSE 'reject' END;
    IF random() < 0.25 THEN
        e.max_profile_size := CASE WHEN size = 'large' THEN 10 ELSE pick('{2,3,4,6}'::integer[]) END;
    END IF;
    RETURN e;
END $$;

-- A random record: its key, its hour (NULL: no time given), its identifiers, and
-- in which namespaces an invalid value (junk) or a NULL comes along.
CREATE FUNCTION random_row(e evidence, keys integer) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    ids integer[] := '{}';
    per_namespace integer := cardinality(e.value) / 4;
    key integer := floor(random() * keys)::integer;
    timeless boolean := key % 7 = 6;
    n integer;
BEGIN
    FOR n IN SELECT g FROM generate_series(0, 3) g ORDER BY random()
             LIMIT pick('{1,2,2,2,3,4}'::integer[])
    LOOP
        ids := ids || n * per_namespace + 1 + floor(random() * per_namespace)::integer;
        -- in every large workload the last namespace has a few hubs
        IF per_namespace > 20 AND n = 3 AND random() < 0.3 THEN
            ids[cardinality(ids)] := n * per_namespace + 1 + floor(random() * 3)::integer;
        END IF;
        WHILE random() < 0.15 LOOP
            ids := ids || n * per_namespace + 1 + floor(random() * per_namespace)::integer;
        END LOOP;
    END LOOP;
    RETURN jsonb_build_object(
        'key', CASE WHEN timeless THEN 'timeless ' ELSE 'record ' END || key,
        'hour', CASE WHEN timeless THEN NULL ELSE floor(random() * 6)::integer END,
        'ids', CASE WHEN random() < 0.03 THEN '{}' ELSE ids END,
        'junk', CASE WHEN random() < 0.1 THEN 1 + floor(random() * 4)::integer END,
        'null', CASE WHEN random() < 0.1 THEN 1 + floor(random() * 4)::integer END);
END $$;

CREATE FUNCTION workload(seed integer, e evidence, steps integer, size text) RETURNS jsonb[]
LANGUAGE plpgsql AS $$
DECLARE
    operations jsonb[] := '{}';
    keys integer := CASE WHEN size = 'large' THEN 300 ELSE 12 END;
    universe integer := cardinality(e.value);
    draw double precision;
    row_count integer;
    a integer;
    b integer;
    source text;
BEGIN
    PERFORM setseed(- (seed % 100000) / 100000.0);
    FOR step IN 1 .. steps LOOP
        draw := random();
        source := pick('{crm,crm,web}'::text[]);
        a := 1 + floor(random() * universe)::integer;
        b := 1 + floor(random() * (universe - 1))::integer;
        IF b >= a THEN
            b := b + 1;
        END IF;
        operations := operations || CASE
            WHEN draw < 0.40 THEN
                random_row(e, keys) || jsonb_build_object('do', 'identify', 'source', source)
            WHEN draw < 0.62 THEN
                jsonb_build_object('do', 'stitch', 'source', source, 'columns', random() < 0.5, 'rows',
                    (SELECT jsonb_agg(random_row(e, keys))
                     FROM generate_series(1, CASE WHEN size = 'large' THEN pick('{1,10,50,200}'::integer[])
                                                  ELSE pick('{1,2,3,4,8}'::integer[]) END)))
            WHEN draw < 0.78 THEN
                (SELECT jsonb_build_object('do', 'retract', 'source', source, 'key',
                            CASE WHEN k % 7 = 6 THEN 'timeless ' ELSE 'record ' END || k)
                 FROM (SELECT floor(random() * keys)::integer AS k) r)
            WHEN draw < 0.82 THEN
                jsonb_build_object('do', 'block', 'a', a, 'everywhere', random() < 0.2, 'pattern', random() < 0.2)
            WHEN draw < 0.90 THEN
                jsonb_build_object('do', 'label', 'kind', 'cannot_link', 'a', a, 'b', b)
            WHEN draw < 0.97 THEN
                jsonb_build_object('do', 'label', 'kind', 'must_link', 'a', a, 'b', b)
            WHEN draw < 0.98 THEN
                jsonb_build_object('do', 'max_links', 'namespace', 2 + floor(random() * 3)::integer,
                                   'value', 1 + floor(random() * 3)::integer)
            WHEN draw < 0.985 THEN
                jsonb_build_object('do', 'policy')
            WHEN draw < 0.99 THEN
                jsonb_build_object('do', 'max_per_profile', 'namespace', 2 + floor(random() * 3)::integer,
                                   'value', 2 + floor(random() * 2)::integer)
            ELSE jsonb_build_object('do', 'again')
        END;
    END LOOP;
    RETURN operations;
END $$;

-- SQL text -----------------------------------------------------------------------

CREATE FUNCTION hour_text(hour integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT format('%L::timestamptz', '2024-01-01 0' || hour || ':00:00+00')
$$;

-- The values of a row in one namespace, as SQL: ids that are of it, junk, NULLs.
CREATE FUNCTION row_values(e evidence, r jsonb, wanted integer) RETURNS text[]
LANGUAGE sql AS $$
    SELECT array(SELECT e.value[i] FROM (SELECT value::integer AS i FROM jsonb_array_elements_text(r->'ids') WITH ORDINALITY u(value, n) ORDER BY n) x
                 WHERE e.namespace[i] = wanted)
           || CASE WHEN (r->>'junk')::integer = wanted THEN ARRAY['!junk'] END
           || CASE WHEN (r->>'null')::integer = wanted THEN ARRAY[NULL::text] END
$$;

CREATE FUNCTION array_text(v text[]) RETURNS text
LANGUAGE sql AS $$
    SELECT CASE WHEN v = '{}' THEN 'NULL::text[]' ELSE
        'ARRAY[' || (SELECT string_agg(quote_nullable(x), ', ' ORDER BY n) FROM unnest(v) WITH ORDINALITY u(x, n))
        || ']::text[]' END
$$;

CREATE FUNCTION stitch_text(e evidence, operation jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    rows_text text;
    columns_text text;
    most integer;
BEGIN
    SELECT string_agg('(' || quote_literal(r->>'key') || ', '
                      || coalesce(hour_text((r->>'hour')::integer), 'NULL::timestamptz') || ', '
                      || (SELECT string_agg(array_text(row_values(e, r, n)), ', ' ORDER BY n) FROM generate_series(1, 4) n)
                      || ')', E',\n    ' ORDER BY ordinal)
    INTO rows_text
    FROM jsonb_array_elements(operation->'rows') WITH ORDINALITY u(r, ordinal);
    IF (operation->>'columns')::boolean THEN
        SELECT max(cardinality(row_values(e, r, n))) INTO most
        FROM jsonb_array_elements(operation->'rows') r, generate_series(1, 4) n;
        SELECT string_agg(format('n%s[%s] AS %I', n, i, e.namespace_name[n]), ', ' ORDER BY i, n) INTO columns_text
        FROM generate_series(1, 4) n, generate_series(1, greatest(most, 1)) i;
    ELSE
        SELECT string_agg(format('n%s AS %I', n, e.namespace_name[n]), ', ' ORDER BY n) INTO columns_text
        FROM generate_series(1, 4) n;
    END IF;
    RETURN format('SELECT * FROM cdp.stitch(%L, %L)', operation->>'source',
                  format(E'SELECT record_key, observed_at, %s FROM (VALUES\n    %s) v(record_key, observed_at, n1, n2, n3, n4)',
                         columns_text, rows_text));
END $$;

CREATE FUNCTION identify_text(e evidence, operation jsonb) RETURNS text
LANGUAGE sql AS $$
    SELECT format('SELECT cdp.identify(%L::jsonb, %L, %L, %s)',
                  (SELECT coalesce(jsonb_object_agg(e.namespace_name[n],
                              CASE WHEN cardinality(v) = 1 THEN to_jsonb(v[1]) ELSE to_jsonb(v) END)
                              FILTER (WHERE v <> '{}'), '{}')
                   FROM generate_series(1, 4) n, LATERAL (SELECT row_values(e, operation, n) AS v) x),
                  operation->>'source', operation->>'key',
                  coalesce(hour_text((operation->>'hour')::integer), 'NULL::timestamptz'))
$$;

CREATE FUNCTION pair_text(e evidence, a integer, b integer) RETURNS text
LANGUAGE sql AS $$
    SELECT format('%L, %L, %L, %L', e.namespace_name[e.namespace[a]], e.value[a],
                  e.namespace_name[e.namespace[b]], e.value[b])
$$;

-- The block that an operation is about.
CREATE FUNCTION block_of(e evidence, operation jsonb, OUT namespace integer, OUT value text, OUT pattern text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN NOT (operation->>'everywhere')::boolean THEN (e.namespace)[a] END,
           CASE WHEN NOT (operation->>'pattern')::boolean THEN (e.value)[a] END,
           CASE WHEN (operation->>'pattern')::boolean THEN '^' || regexp_replace(left((e.value)[a], 1), '[^a-zA-Z0-9é]', '\W') END
    FROM (SELECT (operation->>'a')::integer AS a) o
$$;

CREATE FUNCTION has_block(e evidence, operation jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT EXISTS (SELECT FROM unnest(e.block_namespace, e.block_value, e.block_pattern) x(n, v, p)
                   WHERE (n, v, p) IS NOT DISTINCT FROM (b.namespace, b.value, b.pattern))
    FROM block_of(e, operation) b
$$;

-- The statement that an operation is, given the evidence before it; NULL where
-- the operation has no meaning there.
CREATE FUNCTION statement(e evidence, operation jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    a integer := operation->>'a';
    b integer := operation->>'b';
    class integer[];
    text_of text;
BEGIN
    CASE operation->>'do'
    WHEN 'identify' THEN
        RETURN identify_text(e, operation);
    WHEN 'stitch' THEN
        RETURN stitch_text(e, operation);
    WHEN 'retract' THEN
        RETURN format('SELECT cdp.retract(%L, %L)', operation->>'source', operation->>'key');
    WHEN 'block' THEN
        SELECT format('SELECT cdp.%s(%L, %s%L)',
                      CASE WHEN has_block(e, operation) THEN 'unblock_identifier' ELSE 'block_identifier' END,
                      e.namespace_name[b.namespace], CASE WHEN b.pattern IS NOT NULL THEN 'pattern => ' END, coalesce(b.value, b.pattern))
        INTO text_of FROM block_of(e, operation) b;
        RETURN text_of;
    WHEN 'label' THEN
        IF EXISTS (SELECT FROM unnest(e.must_a || e.cannot_a, e.must_b || e.cannot_b) l(x, y)
                   WHERE (x, y) IN ((a, b), (b, a))) THEN
            RETURN format('SELECT cdp.remove_label(%s)', pair_text(e, a, b));
        END IF;
        IF operation->>'kind' = 'must_link' AND e.max_profile_size IS NOT NULL THEN
            -- which of several must-links a small limit refuses is nobody's promise
            class := must_classes(cardinality(e.value), e.must_a || a, e.must_b || b);
            IF (SELECT count(*) FROM unnest(class) c WHERE c = class[a]) > e.max_profile_size THEN
                RETURN NULL;
            END IF;
        END IF;
        RETURN format('SELECT cdp.%s(%s, %L)', operation->>'kind', pair_text(e, a, b), 'random');
    WHEN 'max_links', 'max_per_profile' THEN
        RETURN format('SELECT cdp.alter_namespace(%L, %s => %s)', e.namespace_name[(operation->>'namespace')::integer],
                      operation->>'do', operation->>'value');
    WHEN 'policy' THEN
        RETURN format('SELECT cdp.configure(%L, %L)', 'conflict_policy',
                      CASE e.conflict_policy WHEN 'reject' THEN 'drop_older' ELSE 'reject' END);
    ELSE
        RETURN NULL;
    END CASE;
END $$;

-- The statements that make the configuration.
CREATE FUNCTION configuration_text(e evidence, max_replay integer DEFAULT NULL) RETURNS text[]
LANGUAGE sql AS $$
    SELECT array(SELECT format('SELECT cdp.create_namespace(%L, ''exact'', priority => %s, pattern => ''^[^!]'', kind => %L, max_per_profile => %s, max_links => %s, replace => true)',
                               name, priority, CASE WHEN n <= 2 THEN 'person' ELSE 'device' END,
                               coalesce(most::text, 'NULL'), coalesce(links::text, 'NULL'))
                 FROM unnest(e.namespace_name, e.priority, e.max_per_profile, e.max_links) WITH ORDINALITY u(name, priority, most, links, n)
                 ORDER BY n)
           || format('SELECT cdp.configure(%L, %L)', 'conflict_policy', e.conflict_policy)
           || CASE WHEN e.max_profile_size IS NOT NULL
                   THEN ARRAY[format('SELECT cdp.configure(%L, %L)', 'max_profile_size', e.max_profile_size)] END
           || CASE WHEN max_replay IS NOT NULL
                   THEN ARRAY[format('SELECT cdp.configure(%L, %L)', 'max_replay', max_replay)] END
$$;

RESET search_path;
