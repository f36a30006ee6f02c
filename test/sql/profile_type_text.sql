-- The text and the binary form of cdp.profile: what is read, what is written, and
-- what is an error.
SET timezone = 'America/St_Johns';
SET datestyle = 'German, DMY';
SET extra_float_digits = -5;
SET search_path = public, cdp;
\set SHOW_CONTEXT never

-- Each type, as shorthand; nothing depends on the settings above.
SELECT '{}'::cdp.profile;
SELECT ' { "n" : null , "b" : true, "i" : -17 , "d" : 1.50, "t" : "x" } '::cdp.profile;
SELECT '{"f": {"value": 0.1, "type": "float8"}, "ts": {"value": "2026-01-02 03:04:05.60+01:30", "type": "timestamptz"}, "j": {"value": {"b": [1.0, {}], "a": null}}}'::cdp.profile;

-- Numbers: an integer in range is a bigint, whatever else a numeric, of one scale.
SELECT trait, left(value::text, 40) AS value, type FROM cdp.profile_traits($$ {
    "01": 0, "02": -0, "03": 9223372036854775807, "04": 9223372036854775808, "05": -9223372036854775808, "06": 5e2, "07": 5.0, "08": 50e-1, "09": 0.000100,
    "10": 100000000000000000000.0, "11": 1.5e3, "12": 12345678901234567890.123456789, "13": 1e-3, "14": 0.0, "15": -1e5,
    "20": {"value": 5, "type": "numeric"}, "21": {"value": "5", "type": "bigint"}, "22": {"value": "NaN", "type": "numeric"}, "23": {"value": "-Infinity", "type": "numeric"},
    "30": {"value": -0.0, "type": "float8"}, "31": {"value": 1e22, "type": "float8"}, "32": {"value": "NaN", "type": "float8"}, "33": {"value": 5e-324, "type": "float8"}, "34": {"value": 3, "type": "float8"},
    "40": {"value": 7, "type": "jsonb"}, "41": {"value": "x", "type": "jsonb"}, "42": {"value": [7.10], "type": "jsonb"}, "43": {"value": null, "type": "text"} } $$);

-- The longest numbers that numeric takes, and those that are too long.
SELECT length('{"a": 1e131071}'::cdp.profile ->> 'a'), length('{"a": 1e-16383}'::cdp.profile ->> 'a');
SELECT ('{"a": 1e131071}'::cdp.profile ->> 'a')::numeric = cdp.get_numeric('{"a": 1e131071}', 'a') AS same;
SELECT '{"a": 1e131072}'::cdp.profile;
SELECT '{"a": 1e-16384}'::cdp.profile;

-- Times.
SELECT trait, value FROM cdp.profile_traits($$ {
    "1": {"value": "infinity", "type": "timestamptz"}, "2": {"value": "-infinity", "type": "timestamptz"},
    "3": {"value": "4714-11-24T00:00:00Z BC", "type": "timestamptz"}, "4": {"value": "294276-12-31T23:59:59.999999Z", "type": "timestamptz"},
    "5": {"value": "0044-03-15T12:00Z BC", "type": "timestamptz"}, "6": {"value": "2000-02-29T24:00:00-05", "type": "timestamptz"},
    "7": {"value": "1999-12-31T23:59:60Z", "type": "timestamptz"} } $$);
SELECT '{"a": {"value": "2026-01-02", "type": "timestamptz"}}'::cdp.profile;
SELECT '{"a": {"value": "2026-01-02T03:04:05", "type": "timestamptz"}}'::cdp.profile;
SELECT '{"a": {"value": "2025-02-29T03:04:05Z", "type": "timestamptz"}}'::cdp.profile;
SELECT '{"a": {"value": 1, "observed_at": "294277-01-01T00:00:00Z"}}'::cdp.profile;
SELECT '{"a": {"value": 1, "observed_at": "2026-01-02T03:04:05.1234567Z"}}'::cdp.profile;

-- Texts: escapes, characters of several bytes, names of all kinds.
SELECT $${"": "\u00e9\"\\\/\b\f\n\r\t\u0001\ud83d\ude00", "é": {"value": "", "source": "größe"}}$$::cdp.profile;
SELECT '{"a": "\u0000"}'::cdp.profile;
SELECT '{"a": "\ud83d"}'::cdp.profile;
SELECT '{"a": "\x"}'::cdp.profile;
SELECT '{"é€": tru}'::cdp.profile;

-- Candidates: several of a trait, in any order, repeated ones merged.
SELECT '{"a": [{"value": 2, "source": "b", "record": -1}, {"value": 1, "source": "b", "record": "-2", "observed_at": "2026-01-01T00:00:00Z"}, {"value": 3, "source": "b", "record": -1}], "a": {"value": 0}}'::cdp.profile;

-- What is an error.
SELECT ''::cdp.profile;
SELECT '[]'::cdp.profile;
SELECT '{"a": 1'::cdp.profile;
SELECT '{"a": 1,}'::cdp.profile;
SELECT '{"a": 1} x'::cdp.profile;
SELECT '{a: 1}'::cdp.profile;
SELECT '{"a": 01}'::cdp.profile;
SELECT '{"a": []}'::cdp.profile;
SELECT '{"a": [1]}'::cdp.profile;
SELECT '{"a": {"source": "crm"}}'::cdp.profile;
SELECT '{"a": {"value": 1, "vlaue": 1}}'::cdp.profile;
SELECT '{"a": {"value": 1, "value": 1}}'::cdp.profile;
SELECT '{"a": {"value": "x", "type": "bigint"}}'::cdp.profile;
SELECT '{"a": {"value": 1.5, "type": "bigint"}}'::cdp.profile;
SELECT '{"a": {"value": 1e400, "type": "float8"}}'::cdp.profile;
SELECT '{"a": {"value": 1, "type": "boolean"}}'::cdp.profile;
SELECT '{"a": {"value": 1, "type": "int"}}'::cdp.profile;
SELECT '{"a": {"value": 1, "record": 1.5}}'::cdp.profile;
SELECT '{"a": {"value": 1, "source": 5}}'::cdp.profile;
SELECT '{"a": {"value": {"b": [1, }}}'::cdp.profile;

-- From PostgreSQL 16 on, such errors can be asked for instead of being raised.
CREATE FUNCTION pg_temp.count_valid(inputs text[], type text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint := 1;     -- as it comes out there
BEGIN
    IF current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE 'SELECT count(*) FROM unnest($1) AS input WHERE pg_input_is_valid(input, $2)' INTO result USING inputs, type;
    END IF;
    RETURN result;
END
$$;
SELECT pg_temp.count_valid(ARRAY['', '{"a": 1', '{"a": [1]}', '{"a": {"value": [1, }}', '{"a": {"value": {"b": "\u0000"}}}', '{"a": {"value": 1, "type": "int"}}', '{"a": 1e999999}', '{"a": 1}'], 'cdp.profile');
SELECT pg_temp.count_valid(ARRAY['', '{"default": "frist"}', '{"traits": []}', '{"x": 1}', '"last"'], 'cdp.survivorship');

-- The text form and the binary form are read back as what they were.
CREATE TABLE profile_example (value cdp.profile);
INSERT INTO profile_example VALUES
    ('{}'), (NULL),
    ('{"n": null, "b": false, "i": -128, "d": -12345.678, "f": {"value": "-Infinity", "type": "float8"}, "ts": {"value": "1999-12-31T23:59:59.999999Z", "type": "timestamptz"}, "t": "äöü", "j": {"value": [[], {"x": "y"}]}, "huge": 1e5000}'),
    (cdp.profile_of('crm', '2026-01-01Z'::timestamptz, cdp.record_hash('x'), 'a', 1, 'b', NULL::text) || cdp.profile_of('shop', '2025-01-01Z'::timestamptz, 5, 'a', 1, 'b', repeat('long ', 1000)));
SELECT count(*) AS same FROM profile_example WHERE value::text::cdp.profile = value AND value::text::jsonb::cdp.profile = value;
\copy (SELECT value FROM profile_example) TO 'profile_example.bin' (FORMAT binary)
CREATE TABLE profile_copy (value cdp.profile);
\copy profile_copy FROM 'profile_example.bin' (FORMAT binary)
\! rm -f profile_example.bin
SELECT count(*) AS same FROM profile_example AS a JOIN profile_copy AS b ON a.value = b.value;
SELECT cdp.profile_send('{"a": {"value": 1.5, "source": "s", "record": 2, "observed_at": "2000-01-01T00:00:01Z"}, "b": "x"}');
DROP TABLE profile_example, profile_copy;

-- What is made of columns of SQL.
CREATE TYPE profile_mood AS ENUM ('sad', 'happy');
CREATE DOMAIN profile_score AS integer;
SELECT trait, value, type FROM cdp.profile_traits(cdp.profile_of('s', '2026-01-01Z', 0,
    'bool', true, 'int2', 1::smallint, 'int4', 2, 'int8', 3::bigint, 'float4', 0.1::real, 'float8', 1e20::float8, 'numeric', 1.500, 'text', 'x'::text, 'varchar', 'y'::varchar, 'char', 'z'::char(5), 'name', 'n'::name, 'literal', 'l',
    'timestamptz', '2026-01-01 00:00Z'::timestamptz, 'timestamp', '2026-01-01 01:02:03'::timestamp, 'date', '2026-01-31'::date, 'jsonb', '{"a": 1.0}'::jsonb, 'jsonb text', '"s"'::jsonb, 'json', '[1 , 2]'::json, 'array', ARRAY[1, NULL],
    'row', ROW(1, 'x'), 'enum', 'happy'::profile_mood, 'domain', 7::profile_score, 'uuid', '00000000-0000-0000-0000-000000000001'::uuid, 'null', NULL::date, 'nan', 'NaN'::numeric));
DROP TYPE profile_mood;
DROP DOMAIN profile_score;
SELECT cdp.profile_of('s', '2026-01-01Z', 1, VARIADIC ARRAY['a', 'b', 'c', NULL]);
SELECT cdp.profile_of('s', '2026-01-01Z', 1, 'a');
SELECT cdp.profile_of('s', '2026-01-01Z', 1, 5, 'a');
SELECT cdp.profile_of('s', '2026-01-01Z', 1, NULL::text, 'a');
SELECT cdp.profile_of(NULL, '2026-01-01Z', 1, 'a', 'b');
SELECT cdp.profile_of('s', NULL, 1, 'a', 'b');
SELECT cdp.profile_of('s', '2026-01-01Z', NULL, 'a', 'b');
SELECT cdp.profile_build('s', '2026-01-01Z', '{"a": 1, "b": {"value": 1}, "c": [], "d": null}');
SELECT cdp.profile_build('s', '2026-01-01Z', NULL) IS NULL AS is_null;
SELECT cdp.profile_build('s', '2026-01-01Z', '[1]');
SELECT cdp.profile_build('s', NULL, '{}');

-- Hashes of record keys, which are stored, are those of XXH64.
SELECT key, to_hex(cdp.record_hash(key)) FROM unnest(ARRAY['', 'a', 'abc', '12345678', 'crm/4711', repeat('0123456789', 10)]) AS key;

-- The forms of cdp.survivorship.
SELECT '{}'::cdp.survivorship;
SELECT '"first"'::cdp.survivorship;
SELECT '{"traits": {"z": "min", "e": {"ignore_empty": true, "policy": "priority", "sources": ["shop", "crm"]}}, "default": {"policy": "longest", "ignore_empty": false}}'::cdp.survivorship;
SELECT '{"traits": {"b": "last", "a": "last"}}'::cdp.survivorship = '{"default": "last", "traits": {"a": {"policy": "last"}, "b": "last"}}'::cdp.survivorship AS same,
       '"min"'::cdp.survivorship <> '"max"'::cdp.survivorship AS different, ('"min"'::jsonb)::cdp.survivorship::jsonb;
SELECT cdp.survivorship_send('"max"');
SELECT '{"default": "frist"}'::cdp.survivorship;
SELECT '{"traits": {"a": {"policy": "priority"}}}'::cdp.survivorship;
SELECT '{"traits": {"a": {"policy": "priority", "sources": ["x", "y", "x"]}}}'::cdp.survivorship;
SELECT '{"traits": {"a": {"policy": "last", "sources": ["x"]}}}'::cdp.survivorship;
SELECT '{"traits": {"a": {"ignore_empty": true}}}'::cdp.survivorship;
SELECT '{"traits": {"a": {"policy": "last", "ignore_empty": 1}}}'::cdp.survivorship;
SELECT '{"traits": ["a"]}'::cdp.survivorship;
SELECT '{"trait": {}}'::cdp.survivorship;
SELECT '5'::cdp.survivorship;
SELECT '[]'::cdp.survivorship;
