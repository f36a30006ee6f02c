-- Malformed values of cdp.profile, in all of the three ways in which bytes come to it:
-- text, the binary form, and what stands on disk.  Each is an error, or a value that is
-- as good as any other; never a crash.  test/fuzz looks deeper, without a server.
--
-- Environment: CDP_PROPERTY_MUTATIONS, how many mutations of each example and way (default 150), CDP_PROPERTY_SEED.
\set ECHO none
SET client_min_messages = error;
SET jit = off;
\set VERBOSITY terse
\set mutations 150
\getenv mutations CDP_PROPERTY_MUTATIONS
\set seed 1
\getenv seed CDP_PROPERTY_SEED
CREATE SCHEMA profile_malformed;
SET search_path = profile_malformed, pg_catalog, cdp;

CREATE TABLE example AS
SELECT row_number() OVER () AS number, value::cdp.profile
FROM (VALUES ('{}'),
             ('{"email": "a@b.c"}'),
             ('{"a": 1, "b": 1.50, "c": true, "d": null, "e": {"value": [1, 2.0, {"f": "g"}]}}'),
             ('{"email": [{"value": "a@b.c", "source": "crm", "record": 17, "observed_at": "2026-01-02T03:04:05Z"},
                          {"value": "x@y.z", "source": "crm", "record": 18, "observed_at": "2025-01-02T03:04:05.678901Z"},
                          {"value": null, "source": "shop", "record": -1, "observed_at": "2025-01-02T03:04:05Z"}],
                "spent": {"value": "NaN", "type": "float8", "source": "shop", "observed_at": "infinity"},
                "born": {"value": "1970-01-01T00:00:00Z", "type": "timestamptz", "source": "é"}}')) AS text (value)
UNION ALL
SELECT 5, (SELECT cdp.profile_agg(cdp.profile_build('source_' || n % 3, '2026-01-01Z'::timestamptz + n * interval '1 hour',
                                    jsonb_build_object('trait_' || n % 20, n, 'text_' || n % 7, repeat('x', n), 'number', n / 7.0), n % 5)) FROM generate_series(1, 60) AS n);

CREATE FUNCTION draw(place text, choices integer) RETURNS integer
IMMUTABLE RETURN ('x' || left(md5(place), 7))::bit(28)::integer % choices;

-- A mutation of bytes: cut, one byte changed, bytes doubled, left out or swapped; small numbers count up all cuts first.
CREATE FUNCTION mutate(bytes bytea, number integer, seed text) RETURNS bytea
IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
    size integer := length(bytes);
    place integer;
    other integer;
    amount integer;
BEGIN
    FOR i IN 1 .. 1 + draw(seed || number || 'steps', 3) LOOP
        size := length(bytes);
        EXIT WHEN size = 0;
        place := draw(seed || number || i || 'place', size);
        other := draw(seed || number || i || 'other', size);
        amount := 1 + draw(seed || number || i || 'amount', 9);
        bytes := CASE draw(seed || number || i || 'way', 8)
            WHEN 0 THEN substr(bytes, 1, place)
            WHEN 1 THEN substr(bytes, 1, place) || substr(bytes, place + amount + 1)
            WHEN 2 THEN substr(bytes, 1, place + amount) || substr(bytes, place + 1)
            WHEN 3 THEN set_byte(set_byte(bytes, place, get_byte(bytes, other)), other, get_byte(bytes, place))
            WHEN 4 THEN set_byte(bytes, place, (ARRAY[0, 1, 127, 128, 254, 255])[1 + draw(seed || number || i || 'edge', 6)])
            WHEN 5 THEN set_bit(bytes, place::bigint * 8 + amount % 8, 1 - get_bit(bytes, place::bigint * 8 + amount % 8))
            WHEN 6 THEN set_byte(bytes, place, (get_byte(bytes, place) + CASE amount % 2 WHEN 0 THEN 1 ELSE 255 END) % 256)
            ELSE set_byte(bytes, place, draw(seed || number || i || 'byte', 256)) END;
    END LOOP;
    RETURN bytes;
END $$;

-- Everything that reads a value; what it gives is of no interest, only that it comes back.
CREATE TABLE operation AS SELECT * FROM (VALUES
    ('text', 'length($1::text)'),
    ('send', 'length(cdp.profile_send($1))'),
    ('winners', 'length($1::jsonb::text)'),
    ('get', $q$length($1 ->> 'email') + length(($1 -> 'c')::text) + length($1['e']::text)$q$),
    ('getters', $q$cdp.get_text($1, 'email'), cdp.get_bigint($1, 'a'), cdp.get_numeric($1, 'b'), cdp.get_boolean($1, 'c'), cdp.get_jsonb($1, 'e'), cdp.get_timestamptz($1, 'born'), cdp.get_double($1, 'spent')$q$),
    ('exists', $q$$1 ? 'email', $1 ?| ARRAY['a', 'b'], $1 ?& ARRAY['a', 'trait_1'], $1 @> '{"a": 1}'::jsonb$q$),
    ('merge', $q$length(cdp.profile_send($1 || '{"a": 2, "zz": 1}'::cdp.profile))$q$),
    ('merge other way', $q$length(cdp.profile_send('{"a": 2, "zz": 1}'::cdp.profile || $1))$q$),
    ('merge with itself', 'length(cdp.profile_send($1 || $1))'),
    ('aggregate', $q$(SELECT length(cdp.profile_send(cdp.profile_agg(v))) FROM (VALUES ($1), ('{"a": 2}'::cdp.profile), ($1)) AS x (v))$q$),
    ('compare', $q$$1 = '{"a": 1}'::cdp.profile, $1 < '{"a": 1}'::cdp.profile, $1 = $1$q$),
    ('remove', $q$length(cdp.profile_send($1 - 'email'))$q$),
    ('candidates', '(SELECT count(t::text) FROM cdp.profile_traits($1) AS t)'),
    ('explain', $q$(SELECT count(t::text) FROM cdp.explain_trait($1, 'email') AS t)$q$)) AS x (name, expression);

CREATE TABLE outcome (way text, example bigint, number integer, operation text, state text);

-- On disk: a superuser can make any bytes pass for a value.
CREATE CAST (bytea AS cdp.profile) WITHOUT FUNCTION;
CREATE CAST (cdp.profile AS bytea) WITHOUT FUNCTION;
CREATE PROCEDURE try(way text, example bigint, number integer, value cdp.profile) LANGUAGE plpgsql AS $$
DECLARE
    o operation;
    state text;
BEGIN
    FOR o IN SELECT * FROM operation LOOP
        BEGIN
            EXECUTE 'SELECT ' || o.expression USING value;
            state := 'fine';
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        INSERT INTO outcome VALUES (way, example, number, o.name, state);
    END LOOP;
END $$;
CREATE PROCEDURE on_disk(mutations integer, seed integer) LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    FOR e IN SELECT example.number AS example, n AS number, mutate(value::bytea, n, seed || ' ' || example.number) AS bytes FROM example, generate_series(1, mutations) AS n
             UNION ALL SELECT number, -n, substr(value::bytea, 1, n - 1) FROM example, generate_series(1, least(100, length(value::bytea))) AS n LOOP
        CALL try('disk', e.example, e.number, e.bytes::cdp.profile);
    END LOOP;
END $$;
CALL on_disk(:mutations, :seed);

-- The binary form: by COPY, from a file of one row that a shell writes.
CREATE TABLE received (value cdp.profile);
CREATE PROCEDURE receive(way text, example bigint, number integer, bytes bytea) LANGUAGE plpgsql AS $$
DECLARE
    file bytea := '\x5047434f50590aff0d0a00'::bytea || int4send(0) || int4send(0) || int2send(1::int2) || int4send(length(bytes)) || bytes || int2send((-1)::int2);
    state text := 'fine';
    result cdp.profile;
BEGIN
    BEGIN
        EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', 'printf %s ' || translate(encode(file, 'base64'), E'\n', '') || ' | base64 -d');
    EXCEPTION WHEN OTHERS THEN
        state := SQLSTATE;
    END;
    INSERT INTO outcome VALUES (way, example, number, 'receive', state);
    -- what was taken must be a good value by every way of reading, and give back what it came from
    IF state = 'fine' THEN
        SELECT value INTO result FROM received;
        CALL try(way, example, number, result);
        INSERT INTO outcome
        SELECT way, example, number, 'same bytes again', CASE WHEN cdp.profile_send(result::text::cdp.profile) = cdp.profile_send(result) THEN 'fine' ELSE 'different' END;
    END IF;
    DELETE FROM received;
END $$;
CREATE PROCEDURE by_receive(mutations integer, seed integer) LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    FOR e IN SELECT number AS example, 0 AS number, cdp.profile_send(value) AS bytes FROM example
             UNION ALL SELECT example.number, n, mutate(cdp.profile_send(value), n, seed || ' ' || example.number) FROM example, generate_series(1, mutations) AS n
             UNION ALL SELECT number, -n, substr(cdp.profile_send(value), 1, n - 1) FROM example, generate_series(1, least(60, length(cdp.profile_send(value)))) AS n LOOP
        CALL receive('receive', e.example, e.number, e.bytes);
    END LOOP;
END $$;
CALL by_receive(:mutations, :seed);

-- Text.
CREATE PROCEDURE by_text(mutations integer, seed integer) LANGUAGE plpgsql AS $$
DECLARE
    e record;
    value cdp.profile;
    state text;
BEGIN
    FOR e IN SELECT example.number AS example, n AS number, mutate(convert_to(example.value::text, 'UTF8'), n, seed || ' ' || example.number) AS bytes FROM example, generate_series(1, mutations) AS n
             UNION ALL SELECT number, -n, convert_to(left(example.value::text, n - 1), 'UTF8') FROM example, generate_series(1, least(400, length(example.value::text)))  AS n LOOP
        BEGIN
            -- bytes that are no text fail before they come here
            value := convert_from(e.bytes, 'UTF8')::cdp.profile;
            state := 'fine';
        EXCEPTION WHEN character_not_in_repertoire THEN
            CONTINUE;
        WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        INSERT INTO outcome VALUES ('text', e.example, e.number, 'input', state);
        IF state = 'fine' THEN
            CALL try('text', e.example, e.number, value);
            INSERT INTO outcome
            SELECT 'text', e.example, e.number, 'same bytes again', CASE WHEN cdp.profile_send(value::text::cdp.profile) = cdp.profile_send(value) THEN 'fine' ELSE 'different' END;
        END IF;
    END LOOP;
END $$;
CALL by_text(:mutations * 5, :seed);

\echo each way gives some errors, all of the expected kinds, and some values that are as good as any
SELECT way, bool_or(state = 'fine') AS some_values, bool_or(state <> 'fine') AS some_errors,
    -- out of range, not in the encoding, invalid text, invalid binary form; on disk also of another type, and corrupt
    count(*) FILTER (WHERE state NOT IN ('fine', '22003', '22021', '22P02', '22P03') AND NOT (way = 'disk' AND state IN ('42804', 'XX001'))) AS other_errors
FROM outcome WHERE operation IN ('receive', 'input') OR way = 'disk' GROUP BY way ORDER BY way;
\echo untouched examples are taken
SELECT count(*) FROM outcome WHERE number = 0 AND state <> 'fine';
\echo what is taken by input or receive is a good value in every way of reading
SELECT way, example, number, operation, state FROM outcome WHERE way <> 'disk' AND operation NOT IN ('receive', 'input') AND state NOT IN ('fine', '42804') ORDER BY 1, 2, 3, 4 LIMIT 10;
DROP CAST (bytea AS cdp.profile);
DROP CAST (cdp.profile AS bytea);
RESET search_path;
DROP SCHEMA profile_malformed CASCADE;
