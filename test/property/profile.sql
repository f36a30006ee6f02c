-- profile.sql
--
-- The slow reference of the type cdp.profile: random candidates, kept in a
-- table, and what the type should make of them in plain SQL.
--
-- Candidates are functions of (seed, case_number, place), drawn by md5 and not by
-- random(), so that they depend on no plan and a failing case can be made again
-- by its two numbers alone.

CREATE SCHEMA profile_reference;
SET search_path = profile_reference, pg_catalog, cdp;

CREATE FUNCTION draw(seed integer, case_number integer, place text, choices integer) RETURNS integer
IMMUTABLE PARALLEL SAFE
RETURN (('x' || left(md5(seed || ' ' || case_number || ' ' || place), 7))::bit(28)::integer % choices);

-- What a value may be written as; values that are the same in other words (1.0
-- and 1.00, 0 and -0, one time in two zones) stand beside each other.
CREATE FUNCTION literals(kind text) RETURNS text[]
IMMUTABLE PARALLEL SAFE
RETURN CASE kind
    WHEN 'null' THEN ARRAY[NULL::text]
    WHEN 'boolean' THEN '{true,false}'
    WHEN 'bigint' THEN '{0,1,-1,2,10,127,128,-128,-129,255,256,32767,32768,2147483647,-2147483648,4294967296,9007199254740993,
                         9223372036854775807,-9223372036854775808}'
    WHEN 'float8' THEN '{0,-0,1,-1,1.5,0.1,-0.1,NaN,Infinity,-Infinity,1e308,-1e308,1.7976931348623157e308,5e-324,-5e-324,
                         2.2250738585072014e-308,9007199254740993,1e15,1e16,123456.789}'
    WHEN 'numeric' THEN ARRAY['0', '0.00', '-0.0', '1', '1.0', '1.000', '-1', '1.5', '1.50', '0.1', '100', '1e2', '1e10', '1e-10',
                              'NaN', 'Infinity', '-Infinity', '9223372036854775807', '9223372036854775808', '-9223372036854775809',
                              '123456789012345678901234567890.123456789000', '1e1000', '-1e1000', '1e-1000', '1e130000',
                              repeat('9', 500), '9999', '10000', '10000.0001', '0.00010000']
    WHEN 'text' THEN ARRAY['', 'a', 'A', 'b', 'ab', 'aa', 'é', E'e\u0301', '東京', '🙂', ' ', '  ', E'\t\n', E'\u0001', E'\u007f',
                           '"', '\', '\u0000', '{}', '[]', 'null', 'true', '0', '1', '10', '9', '1.0', 'NaN', '2026-01-02T03:04:05Z',
                           'a long text ' || repeat('x', 100), repeat('é', 128), repeat('abc ', 2500), repeat('z', 255), repeat('z', 256)]
    WHEN 'timestamptz' THEN ARRAY['-infinity', 'infinity', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00',
                                  '1970-01-01 00:00:00+00', '2000-01-01 00:00:00+00', '1999-12-31 23:59:59.999999+00',
                                  '2026-01-02 03:04:05.678901+00', '2026-01-02 03:04:05+00', '2026-01-02 05:04:05+02',
                                  '0044-03-15 12:00:00+00 BC', '12026-01-01 00:00:00+00']
    WHEN 'jsonb' THEN ARRAY['{}', '[]', '[1]', '[1.0]', '[1.00]', '{"a": 1}', '{"a": 1.0}', '{"a": {"b": [1, 2.50, null, true, "x"]}}',
                            '{"a": {"b": [1, 2.5, null, true, "x"]}}', '[[[[[[]]]]]]', '{"": ""}', '{"é": "東京"}', '[null]', '["\u0001"]',
                            '{"b": 1, "a": 2}', '{"aa": 1, "b": 2}', '[1e1000, -1e-1000]', '[0.0, -0]', '{"value": 1, "source": "x"}',
                            '[' || repeat('"abc", ', 300) || '1]']
    END;

-- The kinds of value, and how many of ten are of each; NULL and text are the
-- commonest, since they are what ignore_empty is about.
CREATE FUNCTION kind_of(choice integer) RETURNS text
IMMUTABLE PARALLEL SAFE
RETURN (ARRAY['null', 'null', 'boolean', 'bigint', 'bigint', 'float8', 'numeric', 'numeric', 'text', 'text', 'text', 'text',
              'timestamptz', 'jsonb', 'jsonb'])[choice + 1];

CREATE FUNCTION trait_of(choice integer) RETURNS text
IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN choice < 16
    THEN (ARRAY['email', 'a', 'A', 'aa', 'ab', 'b', 'é', E'e\u0301', '東京', 'a b', '"', '\', 'value', '{}', repeat('n', 63), 'é' || repeat('n', 61)])[choice + 1]
    ELSE 'trait_' || choice END;

CREATE FUNCTION source_of(choice integer) RETURNS text
IMMUTABLE PARALLEL SAFE
RETURN (ARRAY['crm', 'shop', '', 'é', 'Shop', 's', repeat('s', 63)])[choice + 1];

CREATE FUNCTION record_of(choice integer) RETURNS bigint
IMMUTABLE PARALLEL SAFE
RETURN (ARRAY[0, 1, -1, 2, 4294967296, 9223372036854775807, -9223372036854775808])[choice + 1];

-- Few times, so that many are equal.
CREATE FUNCTION time_of(choice integer) RETURNS timestamptz
IMMUTABLE PARALLEL SAFE
RETURN (ARRAY['2026-01-02 03:04:05+00', '2026-01-02 03:04:05.000001+00', '2025-01-01 00:00:00+00', '1999-12-31 23:59:59.999999+00',
              '-infinity', 'infinity', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00']::timestamptz[])[choice + 1];

-- The candidates of a case: "amount" of them, over up to so many traits; place
-- numbers them.  Small cases have few traits, sources, records and times, so that
-- most meet another of the same key.
CREATE FUNCTION random_candidates(seed integer, case_number integer, amount integer, traits integer)
RETURNS TABLE (place integer, trait text, source text, record bigint, observed_at timestamptz, kind text, value text)
IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p, trait_of((draw(seed, case_number, 'first trait', 16) + draw(seed, case_number, p || ' trait', traits)) % greatest(16, traits)),
           source_of(draw(seed, case_number, p || ' source', 1 + draw(seed, case_number, 'sources', 7))),
           record_of(draw(seed, case_number, p || ' record', 1 + draw(seed, case_number, 'records', 7))),
           time_of(draw(seed, case_number, p || ' time', 1 + draw(seed, case_number, 'times', 8))),
           k, (literals(k))[1 + draw(seed, case_number, p || ' value', cardinality(literals(k)))]
    FROM generate_series(1, amount) AS p,
         -- a case has values of any kinds or, as most traits have, of one
         LATERAL (SELECT kind_of(CASE WHEN draw(seed, case_number, 'one kind', 3) = 0 AND draw(seed, case_number, p || ' other kind', 6) > 0
                                 THEN draw(seed, case_number, 'kind', 15) ELSE draw(seed, case_number, p || ' kind', 15) END) AS k) AS chosen;
END;

-- The profile of one candidate.
CREATE FUNCTION profile_of_one(trait text, source text, record bigint, observed_at timestamptz, kind text, value text) RETURNS cdp.profile
STABLE PARALLEL SAFE
RETURN CASE kind
    WHEN 'null' THEN cdp.profile_of(source, observed_at, record, trait, NULL::text)
    WHEN 'boolean' THEN cdp.profile_of(source, observed_at, record, trait, value::boolean)
    WHEN 'bigint' THEN cdp.profile_of(source, observed_at, record, trait, value::bigint)
    WHEN 'float8' THEN cdp.profile_of(source, observed_at, record, trait, value::float8)
    WHEN 'numeric' THEN cdp.profile_of(source, observed_at, record, trait, value::numeric)
    WHEN 'text' THEN cdp.profile_of(source, observed_at, record, trait, value)
    WHEN 'timestamptz' THEN cdp.profile_of(source, observed_at, record, trait, value::timestamptz)
    WHEN 'jsonb' THEN cdp.profile_of(source, observed_at, record, trait, value::jsonb) END;

-- One form for all ways of writing a value of a kind: equal exactly when the type
-- must take two values for one.
CREATE FUNCTION canonical_json(value jsonb) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'number' THEN trim_scale((value #>> '{}')::numeric)::text
        WHEN 'array' THEN '[' || coalesce((SELECT string_agg(canonical_json(e), ',' ORDER BY n) FROM jsonb_array_elements(value) WITH ORDINALITY AS x(e, n)), '') || ']'
        WHEN 'object' THEN '{' || coalesce((SELECT string_agg(to_json(k) || ':' || canonical_json(v), ',' ORDER BY k COLLATE "C") FROM jsonb_each(value) AS x(k, v)), '') || '}'
        ELSE value::text END;
END $$;

CREATE FUNCTION canonical(kind text, value text) RETURNS text
IMMUTABLE PARALLEL SAFE
RETURN CASE kind
    WHEN 'null' THEN ''
    WHEN 'boolean' THEN value::boolean::text
    WHEN 'bigint' THEN value::bigint::text
    WHEN 'float8' THEN CASE WHEN value::float8 = 0 THEN '0' ELSE value::float8::text END
    WHEN 'numeric' THEN trim_scale(value::numeric)::text
    WHEN 'text' THEN value
    WHEN 'timestamptz' THEN (value::timestamptz AT TIME ZONE 'UTC')::text
    WHEN 'jsonb' THEN canonical_json(value::jsonb)::jsonb::text END;

-- Values in their order, from 1: by type, then numbers and times by size, texts and
-- JSON by bytes.  Equal numbers are equal values.  Needs all values in a table.
CREATE TABLE value_order (kind text, value text, place bigint);
CREATE PROCEDURE order_values() LANGUAGE sql AS $$
    DELETE FROM value_order;
    INSERT INTO value_order
    SELECT kind, value, dense_rank() OVER (ORDER BY array_position('{"null",boolean,bigint,float8,numeric,text,timestamptz,jsonb}', kind),
        CASE kind WHEN 'boolean' THEN value::boolean END, CASE kind WHEN 'bigint' THEN value::bigint END,
        CASE kind WHEN 'float8' THEN value::float8 END, CASE kind WHEN 'numeric' THEN value::numeric END,
        CASE kind WHEN 'timestamptz' THEN value::timestamptz END,
        CASE kind WHEN 'text' THEN value WHEN 'jsonb' THEN canonical(kind, value) END COLLATE "C")
    FROM unnest('{"null",boolean,bigint,float8,numeric,text,timestamptz,jsonb}'::text[]) AS kind, LATERAL unnest(literals(kind)) AS value;
$$;

-- The candidates of a profile, read from its text form by nothing but jsonb.
CREATE FUNCTION candidates_of(profile cdp.profile)
RETURNS TABLE (trait text, source text, record bigint, observed_at timestamptz, kind text, canonical_value text)
IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT t.key, coalesce(c->>'source', ''), coalesce((c->>'record')::bigint, 0),
           coalesce((c->>'observed_at')::timestamptz, '-infinity'), k, canonical(k, c->>'value')
    FROM jsonb_each(profile::text::jsonb) AS t, LATERAL jsonb_array_elements(t.value) AS c,
         LATERAL (SELECT coalesce(c->>'type', CASE jsonb_typeof(c->'value')
             WHEN 'null' THEN 'null' WHEN 'boolean' THEN 'boolean' WHEN 'string' THEN 'text'
             WHEN 'number' THEN CASE WHEN scale((c->>'value')::numeric) = 0 AND (c->>'value')::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
                                THEN 'bigint' ELSE 'numeric' END
             ELSE 'jsonb' END) AS k) AS typed;
END;
