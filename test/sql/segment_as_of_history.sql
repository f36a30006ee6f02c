-- As of every moment at which somebody looked, traits are what they were seen to be then: random changes of records with and without
-- times of their own, direct calls, records that go and come back, under each policy.  A failure prints person, time and trait.
--
-- Environment: CDP_PROPERTY_HISTORY, how many rounds (default 25), CDP_PROPERTY_SEED, the seed (default 1).
\set ECHO none
SET client_min_messages = error;
SET timezone = 'UTC';
SET jit = off;
\set rounds 25
\getenv rounds CDP_PROPERTY_HISTORY
\set seed 1
\getenv seed CDP_PROPERTY_SEED
SELECT cdp.setup() \g /dev/null
SELECT setseed(:seed / 1000.0) \g /dev/null

CREATE SCHEMA past;
SET search_path = past, public;
CREATE TABLE contact (id integer PRIMARY KEY, mail text, value text, number bigint, changed_at timestamptz);
CREATE TABLE form (id integer PRIMARY KEY, mail text, value text, number bigint);
SELECT cdp.create_trait('v_' || policy, 'text', survivorship => policy, sources => CASE policy WHEN 'priority' THEN ARRAY['form', 'contact'] END, history => true),
       cdp.create_trait('n_' || policy, 'bigint', survivorship => policy, sources => CASE policy WHEN 'priority' THEN ARRAY['desk', 'form'] END, ignore_empty => true, history => true)
FROM unnest('{last, first, priority, most_frequent, min, max, longest}'::text[]) AS policy \g /dev/null
SELECT string_agg(format('value AS v_%1$s, number AS n_%1$s', policy), ', ') AS traits FROM unnest('{last, first, priority, most_frequent, min, max, longest}'::text[]) AS policy \gset
SELECT cdp.create_source('contact', 'past.contact', record_key => 'id', observed_at => 'changed_at', identifiers => 'mail AS email', traits => :'traits') \g /dev/null
SELECT cdp.create_source('form', 'past.form', record_key => 'id', identifiers => 'mail AS email', traits => :'traits') \g /dev/null

CREATE TABLE seen (at timestamptz, profile_id bigint, traits jsonb);
CREATE FUNCTION some_value() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT (ARRAY['a', 'bb', 'ccc', 'b', '', NULL])[1 + floor(random() * 6)::int] $$;
CREATE FUNCTION some_number() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT (ARRAY[1, 2, 3, 4, NULL])[1 + floor(random() * 5)::int] $$;
CREATE PROCEDURE live(rounds integer) LANGUAGE plpgsql AS $$
DECLARE
    which integer;
    record integer;
    said jsonb;
    looked_at timestamptz;
    policies text[] := '{last, first, priority, most_frequent, min, max, longest}';
BEGIN
    FOR round IN 1 .. rounds LOOP
        FOR change IN 1 .. 8 LOOP
            which := floor(random() * 7);
            record := floor(random() * 24);
            CASE
                WHEN which <= 1 THEN
                    INSERT INTO past.contact VALUES (record, 'p' || record % 8 || '@example.com', past.some_value(), past.some_number(), clock_timestamp())
                    ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, number = EXCLUDED.number, changed_at = EXCLUDED.changed_at;
                WHEN which = 2 THEN
                    -- a correction under the old time
                    UPDATE past.contact SET value = past.some_value() WHERE id = record;
                WHEN which <= 4 THEN
                    INSERT INTO past.form VALUES (record, 'p' || record % 8 || '@example.com', past.some_value(), past.some_number())
                    ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, number = EXCLUDED.number;
                WHEN which = 5 THEN
                    DELETE FROM past.form WHERE id = record;
                    DELETE FROM past.contact WHERE id = record + 1;
                ELSE
                    SELECT jsonb_object_agg(k, v) INTO said
                    FROM (SELECT 'v_' || p AS k, to_jsonb(w.value) AS v FROM unnest(policies) AS p, (SELECT past.some_value() AS value) AS w
                          UNION ALL SELECT 'n_' || p, to_jsonb(w.number) FROM unnest(policies) AS p, (SELECT past.some_number() AS number) AS w WHERE random() < 0.9) AS t;
                    PERFORM cdp.identify(jsonb_build_object('email', 'p' || record % 8 || '@example.com'), source => 'desk', record_key => (record % 5)::text || '/' || record % 8,
                                         observed_at => CASE WHEN record % 2 = 0 THEN clock_timestamp() END, traits => said);
            END CASE;
        END LOOP;
        COMMIT;
        CALL cdp.refresh(allow_deletes => true);
        COMMIT;
        looked_at := clock_timestamp();
        INSERT INTO past.seen
        SELECT looked_at, p.profile_id, to_jsonb(p) - ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = 'cdp.profiles'::regclass AND a.attname !~ '^[vn]_')
        FROM cdp.profiles AS p;
        COMMIT;
        PERFORM pg_sleep(0.002);
    END LOOP;
END $$;
CALL live(:rounds);

\echo what was seen then
SELECT cdp.training_sql((SELECT array_agg(prefix || policy) FROM unnest('{v_, n_}'::text[]) AS prefix, unnest('{last, first, priority, most_frequent, min, max, longest}'::text[]) AS policy),
                        'SELECT profile_id, at AS as_of, traits AS label FROM past.seen') AS statement \gset
CREATE TABLE told AS :statement;
SELECT t.profile_id, t.as_of, l.key, l.value AS seen, c.value AS told
FROM told AS t CROSS JOIN LATERAL jsonb_each(t.label) AS l CROSS JOIN LATERAL jsonb_each(to_jsonb(t) - 'label') AS c
WHERE l.key = c.key AND l.value IS DISTINCT FROM c.value
ORDER BY 2, 1, 3 LIMIT 5;
SELECT count(*) > 5 * :rounds AS many_were_compared, count(DISTINCT label) > :rounds AS and_differ FROM told;
SELECT count(*) > 3 * :rounds AS versions FROM cdp_data.contribution_history;

\echo segments of everybody at once
SELECT cdp.create_segment('chosen', $$ profile.v_last = 'a' OR profile.n_max = 3 AND profile.v_priority <> 'b' OR profile.n_most_frequent = 1 $$) \g /dev/null
SELECT s.at, s.expected, f.found
FROM (SELECT at, array_agg(profile_id ORDER BY profile_id) FILTER (WHERE traits ->> 'v_last' = 'a' OR traits ->> 'n_max' = '3' AND traits ->> 'v_priority' <> 'b' OR traits ->> 'n_most_frequent' = '1') AS expected
      FROM seen GROUP BY at) AS s
CROSS JOIN LATERAL (SELECT array_agg(id ORDER BY id) AS found FROM cdp.segment_at('chosen', s.at) AS id) AS f
WHERE s.expected IS DISTINCT FROM f.found LIMIT 5;

RESET search_path;
DROP SCHEMA past CASCADE;
SELECT cdp.teardown(false);
