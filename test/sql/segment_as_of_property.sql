-- Segments as of random times, and training sets over them, against a slow reference over the raw tables: random
-- predicates, histories, late arrivals and merges.  Also: as of now they are what they are.  A failure prints the
-- predicate and the time.
--
-- Environment: CDP_PROPERTY_AS_OF, how many predicates (default 30), CDP_PROPERTY_SEED, the seed (default 1).
\set ECHO none
SET client_min_messages = error;
SET timezone = 'UTC';
SET jit = off;
\set predicates 30
\getenv predicates CDP_PROPERTY_AS_OF
\set seed 1
\getenv seed CDP_PROPERTY_SEED
SELECT cdp.setup() \g /dev/null
SELECT setseed(:seed / 1000.0) \g /dev/null

CREATE SCHEMA past;
SET search_path = past, public;
CREATE TABLE moment AS SELECT timestamptz '2021-01-01' AS first, timestamptz '2021-07-01' AS last;
CREATE FUNCTION some_time() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT date_trunc('minute', first + random() * (last - first)) FROM moment $$;
CREATE FUNCTION choose(VARIADIC texts text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT texts[1 + floor(random() * cardinality(texts))::int] $$;

-- Each record of a person has versions, of which the sources show the newest.
CREATE TABLE version AS
    SELECT record, mail, at, choose('DE', 'FR', 'AT', NULL) AS country, choose('1', '2', '3', '4')::bigint AS level
    FROM (SELECT record, 'p' || record % 40 || '@example.com' AS mail, some_time() AS at
          FROM generate_series(1, 60) AS record, generate_series(1, 3) AS number WHERE number = 1 OR random() < 0.6) AS v;
CREATE TABLE customer (record integer PRIMARY KEY, mail text, at timestamptz, country text, level bigint);
CREATE TABLE activity AS
    SELECT id, 'p' || floor(random() ^ 2 * 50) || '@example.com' AS mail, some_time() AS at, choose('login', 'purchase', 'view') AS name,
           floor(random() * 100)::numeric AS amount
    FROM generate_series(1, 600) AS id;
ALTER TABLE activity ADD PRIMARY KEY (id);

SELECT cdp.create_trait('country', 'text', survivorship => 'last', history => true) \g /dev/null
SELECT cdp.create_trait('level', 'bigint', survivorship => 'max', history => true) \g /dev/null
SELECT cdp.create_source('crm', 'past.customer', record_key => 'record', observed_at => 'at', identifiers => 'mail AS email', traits => 'country, level') \g /dev/null
CREATE TABLE late_activity AS SELECT * FROM activity WHERE random() < 0.3;
DELETE FROM activity WHERE id IN (SELECT id FROM late_activity);
SELECT cdp.create_source('web', 'past.activity', record_key => 'id', identifiers => 'mail AS email', occurred_at => 'at', event_name => 'name', properties => 'amount') \g /dev/null

-- Versions arrive in order, with a refresh now and then; no version is skipped.
CREATE PROCEDURE arrive() LANGUAGE plpgsql AS $$
DECLARE
    round integer;
BEGIN
    FOR round IN 1 .. (SELECT max(n) FROM (SELECT count(*) AS n FROM version GROUP BY record) AS c) LOOP
        INSERT INTO customer
        SELECT record, mail, at, country, level FROM (SELECT v.*, row_number() OVER (PARTITION BY record ORDER BY at) AS n FROM version AS v) AS v WHERE n = round
        ON CONFLICT (record) DO UPDATE SET at = EXCLUDED.at, country = EXCLUDED.country, level = EXCLUDED.level;
        CALL cdp.refresh();
    END LOOP;
    INSERT INTO activity SELECT * FROM late_activity;
    CALL cdp.refresh();
END $$;
DELETE FROM version AS a USING version AS b WHERE a.record = b.record AND a.at = b.at AND a.ctid > b.ctid;
CALL arrive();

-- Some are the same person, as is known today.
CREATE TABLE person AS SELECT DISTINCT mail, mail AS same_as FROM (SELECT mail FROM customer UNION SELECT mail FROM activity) AS m;
UPDATE person SET same_as = 'p0@example.com' WHERE mail IN ('p7@example.com', 'p30@example.com', 'p45@example.com');
SELECT cdp.must_link('email', mail, 'email', same_as, 'the same') FROM person WHERE mail <> same_as \g /dev/null
CALL cdp.refresh();

-- A predicate, and what it says of person p as of the time at, over the raw tables.
CREATE FUNCTION said(one text, at timestamptz) RETURNS TABLE (told timestamptz, country text, level bigint)
    LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (v.record) v.at, v.country, v.level FROM past.version AS v JOIN past.person AS p USING (mail)
    WHERE p.same_as = one AND v.at <= said.at ORDER BY v.record, v.at DESC $$;
CREATE FUNCTION done(one text, at timestamptz) RETURNS TABLE (occurred_at timestamptz, event_name text, amount numeric)
    LANGUAGE sql STABLE AS $$
    SELECT a.at, a.name, a.amount FROM past.activity AS a JOIN past.person AS p USING (mail) WHERE p.same_as = one AND a.at <= done.at $$;
CREATE TABLE predicate (number integer, predicate text, reference text);

CREATE FUNCTION atom(OUT predicate text, OUT reference text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    days text := choose('3', '10', '30', '60');
    name text := choose('login', 'purchase', 'view');
    n text := choose('0', '1', '2', '3');
BEGIN
    CASE choose('count', 'sum', 'country', 'level', 'age', 'date', 'counted', 'first', 'inner', 'unknown', 'trait', 'level_of_trait')
        WHEN 'count' THEN
            predicate := format('count(*) FILTER (WHERE event.event_name = %L AND event.occurred_at > now() - interval ''%s days'') > %s', name, days, n);
            reference := format('(SELECT count(*) FROM past.done(one, at) WHERE event_name = %L AND occurred_at > at - interval ''%s days'') > %s', name, days, n);
        WHEN 'sum' THEN
            predicate := format('sum(event.amount) FILTER (WHERE event.event_name = %L) > 100 * %s', name, n);
            reference := format('(SELECT sum(amount) FROM past.done(one, at) WHERE event_name = %L) > 100 * %s', name, n);
        WHEN 'country' THEN
            predicate := 'profile.country = ''DE''';
            reference := '(SELECT country FROM past.said(one, at) ORDER BY told DESC LIMIT 1) = ''DE''';
        WHEN 'unknown' THEN
            predicate := 'profile.country IS NULL';
            reference := '(SELECT country FROM past.said(one, at) ORDER BY told DESC LIMIT 1) IS NULL';
        WHEN 'level' THEN
            predicate := format('profile.level > %s', n);
            reference := format('(SELECT max(level) FROM past.said(one, at)) > %s', n);
        WHEN 'age' THEN
            predicate := format('age(max(event.occurred_at)) > interval ''%s days''', days);
            reference := format('(SELECT age(at::date::timestamptz, max(occurred_at)) FROM past.done(one, at)) > interval ''%s days''', days);
        WHEN 'date' THEN
            predicate := format('min(event.occurred_at)::date < current_date - %s', days);
            reference := format('(SELECT min(occurred_at)::date FROM past.done(one, at)) < at::date - %s', days);
        WHEN 'counted' THEN
            predicate := format('profile.event_count > 2 + %s * profile.record_count', n);
            reference := format('(SELECT count(*) FROM past.done(one, at)) > 2 + %s * (SELECT count(*) FROM past.said(one, at))', n);
        WHEN 'first' THEN
            predicate := format('profile.first_seen < now() - interval ''%s days''', days);
            reference := format('(SELECT LEAST((SELECT min(v.at) FROM past.version AS v JOIN past.person USING (mail) WHERE same_as = one AND v.at <= at),'
                                ' (SELECT min(occurred_at) FROM past.done(one, at)))) < at - interval ''%s days''', days);
        WHEN 'trait' THEN
            predicate := format('profile.average > 10 * %s', n);
            reference := format('(SELECT avg(amount) FILTER (WHERE occurred_at > at - interval ''40 days'') FROM past.done(one, at)) > 10 * %s', n);
        WHEN 'level_of_trait' THEN
            predicate := format('count(*) FILTER (WHERE event.amount > profile.average) > %s', n);
            reference := format('(SELECT count(*) FROM past.done(one, at) WHERE amount >'
                                ' (SELECT avg(amount) FILTER (WHERE occurred_at > at - interval ''40 days'') FROM past.done(one, at))) > %s', n);
        WHEN 'inner' THEN
            predicate := format('max(event.amount) FILTER (WHERE event.occurred_at > now() - profile.level * interval ''%s days'') > 50', days);
            reference := format('(SELECT max(amount) FILTER (WHERE occurred_at > at - (SELECT max(level) FROM past.said(one, at)) * interval ''%s days'') FROM past.done(one, at)) > 50', days);
    END CASE;
END $$;

-- The same, written otherwise.
CREATE FUNCTION dress() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT choose('%s', '(%s)', '((%s))', '/* OR ( */ %s', E'%s -- AND NOT (\n', E'\n  ( %s\n)', '((%s) AND true)', '(%s OR NOT true)') $$;

CREATE PROCEDURE declare(count integer) LANGUAGE plpgsql AS $$
DECLARE
    a record;
    b record;
    other record;
    known record;
BEGIN
    FOR number IN 1 .. count LOOP
        a := atom();
        b := atom();
        a.predicate := format(dress(), format('(%s)', a.predicate));
        b.predicate := format(dress(), format('(%s)', b.predicate));
        other := NULL;
        SELECT * INTO known FROM predicate AS p ORDER BY random() LIMIT 1;
        CASE choose('one', 'and', 'or', 'not', 'nested')
            WHEN 'one' THEN other := a;
            WHEN 'and' THEN SELECT format('%s AND %s', a.predicate, b.predicate) AS predicate, format('%s AND %s', a.reference, b.reference) AS reference INTO other;
            WHEN 'or' THEN SELECT format('%s OR NOT (%s)', a.predicate, b.predicate) AS predicate, format('%s OR NOT (%s)', a.reference, b.reference) AS reference INTO other;
            WHEN 'not' THEN SELECT format('NOT (%s)', a.predicate) AS predicate, format('NOT (%s)', a.reference) AS reference INTO other;
            WHEN 'nested' THEN
                SELECT format('(%s) IS NOT TRUE AND NOT segment.s%s', a.predicate, known.number) AS predicate,
                       format('(%s) IS NOT TRUE AND (%s) IS NOT TRUE', a.reference, known.reference) AS reference INTO other WHERE known.number IS NOT NULL;
                IF other IS NULL THEN other := a; END IF;
        END CASE;
        INSERT INTO predicate VALUES (number, other.predicate, other.reference);
        PERFORM cdp.create_segment('s' || number, other.predicate);
    END LOOP;
END $$;
SELECT cdp.create_computed_trait('average', $$ avg(event.amount) FILTER (WHERE event.occurred_at > now() - interval '40 days') $$) \g /dev/null
CALL declare(:predicates);

-- Who was there at a time, by the raw tables.
CREATE FUNCTION expected(reference text, at timestamptz) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    result bigint[];
BEGIN
    EXECUTE format('SELECT array_agg(id ORDER BY id) FROM (SELECT cdp.resolve(''email'', one) AS id FROM (SELECT DISTINCT same_as AS one FROM past.person) AS p, (SELECT $1) AS t(at)'
                   ' WHERE (EXISTS (SELECT FROM past.done(one, at)) OR EXISTS (SELECT FROM past.said(one, at))) AND (%s)) AS m', reference) INTO result USING at;
    RETURN result;
END $$;
CREATE TABLE outcome AS
    SELECT p.number, p.predicate, t.at, expected(p.reference, t.at) AS expected,
           (SELECT array_agg(id ORDER BY id) FROM cdp.segment_at('s' || p.number, t.at) AS id) AS found
    FROM predicate AS p CROSS JOIN LATERAL (SELECT some_time() AS at FROM generate_series(1, 3 + 0 * p.number)) AS t;
\echo as of random times
SELECT number, predicate, at, expected, found FROM outcome WHERE expected IS DISTINCT FROM found ORDER BY 1, 3 LIMIT 5;
SELECT count(*) = 3 * :predicates AS all_compared, count(found) > :predicates AS with_members, count(DISTINCT found) > :predicates AS differing FROM outcome;

\echo as of now
CREATE FUNCTION members(statement text) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    result bigint[];
BEGIN
    EXECUTE format('SELECT array_agg(id ORDER BY id) FROM (%s) AS m(id)', statement) INTO result;
    RETURN result;
END $$;
SELECT number, predicate FROM predicate
WHERE members(cdp.segment_sql('s' || number)) IS DISTINCT FROM (SELECT array_agg(id ORDER BY id) FROM cdp.segment_at('s' || number, now()) AS id);

CALL cdp.refresh();
SELECT number, predicate FROM predicate
WHERE (SELECT array_agg(profile_id ORDER BY profile_id) FROM cdp.segment_members WHERE segment = 's' || number)
      IS DISTINCT FROM (SELECT array_agg(id ORDER BY id) FROM cdp.segment_at('s' || number, now()) AS id);

\echo training sets: each row as of its own time
CREATE TABLE population AS
    SELECT cdp.resolve('email', one) AS profile_id, some_time() AS as_of, number AS label
    FROM (SELECT DISTINCT same_as AS one FROM person) AS p CROSS JOIN generate_series(1, 4) AS number;
SELECT cdp.training_sql((SELECT array_agg('s' || number ORDER BY number) FROM predicate), 'SELECT profile_id, as_of, label FROM past.population') AS statement \gset
CREATE TABLE trained AS :statement;
SELECT count(*) = (SELECT count(*) FROM population) AS one_row_each FROM trained;
SELECT t.profile_id, t.as_of, c.key, c.value
FROM trained AS t CROSS JOIN LATERAL jsonb_each(to_jsonb(t) - ARRAY['profile_id', 'as_of', 'label']) AS c
CROSS JOIN LATERAL (SELECT (SELECT same_as FROM person WHERE cdp.resolve('email', same_as) = t.profile_id LIMIT 1) AS one) AS o
JOIN predicate AS p ON 's' || p.number = c.key
-- of those who had been seen; a sample of the rows, since the reference is slow
WHERE t.label = 1 AND p.number % 4 = 0 AND (EXISTS (SELECT FROM done(o.one, t.as_of)) OR EXISTS (SELECT FROM said(o.one, t.as_of)))
  AND (t.profile_id = ANY (COALESCE(expected(p.reference, t.as_of), '{}'))) IS DISTINCT FROM c.value::boolean
LIMIT 5;

\echo explanations agree
SELECT o.number, o.predicate, o.at, e.id FROM outcome AS o CROSS JOIN LATERAL (SELECT id FROM unnest(o.found) AS id LIMIT 2) AS e
WHERE o.number % 3 = 0 AND (SELECT x.result FROM cdp.explain_segment('s' || o.number, e.id, o.at) AS x WHERE x.place = 1) IS NOT TRUE
UNION ALL
SELECT o.number, o.predicate, o.at, p.profile_id FROM outcome AS o CROSS JOIN LATERAL (SELECT p.profile_id FROM cdp.profiles AS p WHERE p.profile_id <> ALL (COALESCE(o.found, '{}')) LIMIT 2) AS p
WHERE o.number % 3 = 0 AND (SELECT x.result FROM cdp.explain_segment('s' || o.number, p.profile_id, o.at) AS x WHERE x.place = 1) IS NOT FALSE;

\echo what the parts come to is what the whole comes to
CREATE TABLE explained AS
    SELECT o.number, p.profile_id, o.at, x.* FROM outcome AS o
    CROSS JOIN LATERAL (SELECT p.profile_id FROM cdp.profiles AS p WHERE (p.profile_id + o.number) % 9 = 0) AS p
    CROSS JOIN LATERAL cdp.explain_segment('s' || o.number, p.profile_id, o.at) AS x
    WHERE o.number % 2 = 0;
SELECT e.number, e.profile_id, e.at, e.place, e.kind, e.part, e.result, c.*
FROM explained AS e
CROSS JOIN LATERAL (
    SELECT count(*) AS parts, bool_and(c.result) AS all_known, bool_or(c.result) AS any_known, count(*) > count(c.result) AS has_unknown, bool_or(c.is_decisive) AS decides
    FROM explained AS c
    WHERE (c.number, c.profile_id, c.at) = (e.number, e.profile_id, e.at) AND c.depth = e.depth + 1 AND c.place > e.place
      AND NOT EXISTS (SELECT FROM explained AS n WHERE (n.number, n.profile_id, n.at) = (e.number, e.profile_id, e.at)
                      AND n.depth <= e.depth AND n.place > e.place AND n.place < c.place)) AS c
WHERE e.kind IN ('and', 'or', 'not')
  AND (e.result IS DISTINCT FROM CASE e.kind
           WHEN 'and' THEN CASE WHEN NOT c.all_known THEN false WHEN c.has_unknown THEN NULL ELSE true END
           WHEN 'or' THEN CASE WHEN c.any_known THEN true WHEN c.has_unknown THEN NULL ELSE false END
           ELSE NOT c.all_known END
       OR e.is_decisive AND NOT c.decides OR c.parts < CASE e.kind WHEN 'not' THEN 1 ELSE 2 END)
LIMIT 5;
SELECT count(*) > 100 AS were_compared FROM explained WHERE kind IN ('and', 'or', 'not');

RESET search_path;
DROP SCHEMA past CASCADE;
SELECT cdp.teardown(false);
