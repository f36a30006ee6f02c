-- segment.sql
--
-- Random expressions over random raw tables, and what computed traits and
-- segments must come to: each expression is made twice from one random choice,
-- as the text for the extension and as plain SQL over the raw tables, slow and
-- obvious.  Only who is one person is asked of the identity engine (its own
-- property test compares that).

CREATE SCHEMA predicate;
SET search_path = predicate, pg_catalog;

-- ---------- raw tables ----------

CREATE TABLE contact (id integer PRIMARY KEY, modified timestamptz NOT NULL, email text, second_email text, card text,
    country text, score bigint, vip boolean, joined timestamptz);
CREATE TABLE activity (id integer PRIMARY KEY, modified timestamptz NOT NULL, browser text, email text, name text NOT NULL, happened timestamptz NOT NULL,
    amount numeric, product text, quantity bigint, is_gift boolean);
-- What an application said by cdp.track, written down.
CREATE TABLE called (id integer PRIMARY KEY, modified timestamptz NOT NULL, browser text, email text, name text NOT NULL, happened timestamptz NOT NULL,
    amount numeric, product text, quantity bigint, mood text);
-- By cdp.identify.
CREATE TABLE identified (LIKE contact INCLUDING ALL);
-- Read by refreshes alone.
CREATE TABLE imported (LIKE activity INCLUDING ALL);
-- What of it the latest refresh has read.
CREATE TABLE imported_then (LIKE activity INCLUDING ALL);
CREATE SEQUENCE version;

-- What expressions may read beside people and events.
CREATE TABLE taste (country text PRIMARY KEY, product text, enough bigint);
INSERT INTO taste VALUES ('FR', 'wine', 2), ('DE', 'tea', 1), ('Norway', NULL, 3);
CREATE FUNCTION is_dear(amount numeric) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN amount > 20;
CREATE FUNCTION glue(state text, item text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN state || coalesce(item, '-');
CREATE AGGREGATE glued(text) (SFUNC = glue, STYPE = text, INITCOND = '>');
-- Found first by a session whose search_path is not that of the declaration.
CREATE SCHEMA decoy;
CREATE FUNCTION decoy.is_dear(amount numeric) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN amount < 20;
CREATE TABLE decoy.taste (country text, product text, enough bigint);

-- ---------- the reference ----------

CREATE VIEW source_record AS
SELECT 'contact' AS source, id::text AS record_key FROM contact
UNION ALL SELECT 'form', id::text FROM identified
UNION ALL SELECT 'activity', id::text FROM activity
UNION ALL SELECT 'import', id::text FROM imported_then
UNION ALL SELECT 'app', id::text FROM called;

-- Whose a row is: who holds its strongest usable identifier.
CREATE VIEW owned AS
SELECT DISTINCT ON (v.source, v.record_key) v.source, v.record_key, i.profile_id
FROM (
    SELECT 'contact' AS source, id::text AS record_key, n.namespace, n.value
    FROM contact CROSS JOIN LATERAL (VALUES ('email', email), ('email', second_email), ('loyalty_id', card), ('crm_id', 'c' || id)) AS n(namespace, value)
    UNION ALL SELECT 'form', id::text, n.namespace, n.value
    FROM identified CROSS JOIN LATERAL (VALUES ('email', email), ('loyalty_id', card), ('user_id', 'u' || id)) AS n(namespace, value)
    UNION ALL SELECT 'import', id::text, n.namespace, n.value
    FROM imported_then CROSS JOIN LATERAL (VALUES ('anonymous_id', browser), ('email', email)) AS n(namespace, value)
    UNION ALL SELECT 'activity', id::text, n.namespace, n.value
    FROM activity CROSS JOIN LATERAL (VALUES ('anonymous_id', browser), ('email', email)) AS n(namespace, value)
    UNION ALL SELECT 'app', id::text, n.namespace, n.value
    FROM called CROSS JOIN LATERAL (VALUES ('anonymous_id', browser), ('email', email)) AS n(namespace, value)
) AS v
JOIN cdp.identifiers AS i ON i.namespace = v.namespace AND i.value = cdp.normalize_identifier(v.namespace, v.value) AND i.state = 'usable'
JOIN cdp.namespaces AS s ON s.namespace = i.namespace
ORDER BY v.source, v.record_key, s.priority, i.namespace COLLATE "C", i.value COLLATE "C";

CREATE TABLE event (profile_id bigint, source text COLLATE "C", record_key text COLLATE "C", event_name text COLLATE "C", occurred_at timestamptz,
    amount numeric, product text, quantity bigint, is_gift boolean, mood text);
CREATE TABLE person (profile_id bigint, is_known boolean, event_count bigint, country text, score bigint, vip boolean, joined timestamptz);

CREATE PROCEDURE look() LANGUAGE sql AS $$
    DELETE FROM event;
    INSERT INTO event
    SELECT o.profile_id, v.source, v.id::text, v.name, v.happened, v.amount, v.product, v.quantity, v.is_gift, v.mood
    FROM (SELECT 'activity' AS source, id, name, happened, amount, product, quantity, is_gift, NULL AS mood FROM activity
          UNION ALL SELECT 'import', id, name, happened, amount, product, quantity, is_gift, NULL FROM imported_then
          UNION ALL SELECT 'app', id, name, happened, amount, product, quantity, NULL, mood FROM called) AS v
    JOIN owned AS o ON o.source = v.source AND o.record_key = v.id::text;
    DELETE FROM person;
    -- the newest record of a person says what its traits are
    INSERT INTO person
    SELECT i.profile_id, i.is_known, (SELECT count(*) FROM event AS e WHERE e.profile_id = i.profile_id), c.country, c.score, c.vip, c.joined
    FROM (SELECT profile_id, bool_or(kind = 'person') AS is_known FROM cdp.identifiers WHERE state = 'usable' GROUP BY profile_id) AS i
    LEFT JOIN LATERAL (SELECT c.* FROM (SELECT 'contact' AS source, * FROM contact UNION ALL SELECT 'form', * FROM identified) AS c JOIN owned AS o ON o.source = c.source AND o.record_key = c.id::text
                       WHERE o.profile_id = i.profile_id ORDER BY c.modified DESC LIMIT 1) AS c ON true;
$$;

-- ---------- random expressions ----------

-- One expression: as the extension reads it, and over person p and event e.
CREATE TYPE written AS (said text, plain text);

-- What was declared, in order.
CREATE TABLE made (number integer PRIMARY KEY, kind text, name text, type text, refresh text, zone text, include_anonymous boolean, expression written);
-- How a workload is made: whether windows are of milliseconds, whether days go by, and whether most of it counts events of a name.
CREATE TABLE setting (is_quick boolean, is_waiting boolean, is_counting boolean);

CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE
RETURN choices[1 + floor(random() * cardinality(choices))::integer];

CREATE FUNCTION among(choices integer) RETURNS integer LANGUAGE sql VOLATILE
RETURN floor(random() * choices)::integer;

-- Columns of event and profile are those of e and p.
CREATE FUNCTION plain(said text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN replace(replace(replace(replace(replace(replace(said, 'event.properties->>''mood''', 'e.mood'), 'event.', 'e.'), 'profile.', 'p.'),
    'is_dear', 'predicate.is_dear'), 'glued', 'predicate.glued'), 'FROM taste', 'FROM predicate.taste');

-- Written the same on both sides; the parts take the places of %s.
CREATE FUNCTION write(format text, VARIADIC parts written[] DEFAULT '{}') RETURNS written LANGUAGE sql IMMUTABLE
RETURN ROW(format(format, VARIADIC ARRAY(SELECT u.said FROM unnest(parts) WITH ORDINALITY AS u(said, plain, n) ORDER BY n)),
           format(plain(format), VARIADIC ARRAY(SELECT u.plain FROM unnest(parts) WITH ORDINALITY AS u(said, plain, n) ORDER BY n)))::written;

-- now() less a random interval.  Days and months are those of the zone.
CREATE FUNCTION ago(zone text) RETURNS written LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    span text;
BEGIN
    IF (SELECT is_quick FROM setting) THEN
        span := pick('50 milliseconds', '100 milliseconds', '200 milliseconds', '1 second', '-100 milliseconds');
    ELSIF random() < 0.85 THEN
        span := pick('1 day', '3 days', '10 days', '10 days', '30 days', '30 days', '90 days', '36 hours', '0.5 hours', '-2 days');
    ELSE
        span := pick('1 month', '2 months', '1 year', '1 month 3 days', '2 weeks');
    END IF;
    IF span ~ 'hour|second' THEN
        RETURN write(format('(now() - interval %L)', span));
    END IF;
    RETURN ROW(format('(now() - interval %L)', span), format('((now() AT TIME ZONE %L - interval %L) AT TIME ZONE %L)', zone, span, zone))::written;
END $$;

CREATE FUNCTION comparison() RETURNS text LANGUAGE sql VOLATILE RETURN pick('<', '<=', '=', '>=', '>', '>', '>=', '<>');
-- With the clock.  When it equals a time cannot be foreseen, so that is looked at from second to second only.
CREATE FUNCTION time_comparison() RETURNS text LANGUAGE sql VOLATILE RETURN CASE WHEN (SELECT is_quick FROM setting) THEN pick('<', '>', '<=', '>=') ELSE comparison() END;

-- A declared trait of this type, or segment; NULL: there is none.
CREATE FUNCTION declared(wanted_kind text, wanted_type text, refresh_of text, zone_of text) RETURNS written LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chosen made;
BEGIN
    SELECT m.* INTO chosen FROM made AS m
    WHERE m.kind = wanted_kind AND m.type = wanted_type
      -- What refreshes alone keep is as of the latest one, unless it is put in: where the settings are the same.
      AND (m.refresh = 'realtime' OR refresh_of = 'batch' OR m.zone = zone_of)
    ORDER BY random() LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF wanted_kind = 'trait' THEN
        RETURN ROW('profile.' || chosen.name, '(' || (chosen.expression).plain || ')')::written;
    END IF;
    RETURN ROW('segment.' || chosen.name, format('((%s) IS TRUE%s)', (chosen.expression).plain, CASE WHEN chosen.include_anonymous THEN '' ELSE ' AND p.is_known' END))::written;
END $$;

-- A condition on an event.
CREATE FUNCTION random_condition(depth integer, refresh text, zone text) RETURNS written LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_quick CONSTANT boolean := (SELECT s.is_quick FROM setting AS s);
    year CONSTANT text := extract(year FROM now());
    n CONSTANT integer := among(8);
    other written;
BEGIN
    IF depth > 0 AND random() < 0.4 THEN
        CASE among(4)
            WHEN 0, 1 THEN RETURN write('(%s AND %s)', random_condition(depth - 1, refresh, zone), random_condition(depth - 1, refresh, zone));
            WHEN 2 THEN RETURN write('(%s OR %s)', random_condition(depth - 1, refresh, zone), random_condition(depth - 1, refresh, zone));
            ELSE RETURN write('NOT (%s)', random_condition(depth - 1, refresh, zone));
        END CASE;
    END IF;
    CASE among(16)
        WHEN 0, 1, 2 THEN RETURN write(format('event.event_name = %L', pick('view', 'buy', 'open', 'quit')));
        WHEN 3 THEN RETURN write(format('%L = event.event_name', pick('view', 'buy', 'open', 'quit')));
        WHEN 4 THEN RETURN write(format(pick('event.event_name IN (%L, %L)', 'event.event_name = ANY (ARRAY[%L, %L])', 'event.event_name <> %L', 'event.event_name >= %L'),
                                       pick('view', 'buy'), pick('open', 'quit')));
        WHEN 5 THEN RETURN write(format('event.amount %s %s', comparison(), n * 5));
        WHEN 6 THEN RETURN write(pick('event.product IS NULL', 'event.product = ''wine''', 'event.product IN (''tea'', ''wine'')', 'event.product ~ ''^[t-w]''', 'event.product > ''tea'' COLLATE "C"'));
        WHEN 7, 8 THEN RETURN write('event.occurred_at ' || time_comparison() || ' %s', ago(zone));
        WHEN 9 THEN RETURN write('event.occurred_at BETWEEN %s AND %s', ago(zone), ago(zone));
        WHEN 10 THEN RETURN write(format('now() - event.occurred_at %s interval %L', pick('<', '>', '<='), CASE WHEN is_quick THEN '150 milliseconds' ELSE pick('5 days', '30 days', '1 month', '20:00') END));
        WHEN 11 THEN
            IF is_quick THEN
                RETURN write('event.is_gift');
            END IF;
            -- days that go by move events, and a fixed date would have to move with them
            CASE among(CASE WHEN (SELECT is_waiting FROM setting) THEN 3 ELSE 6 END)
                WHEN 0 THEN RETURN ROW(format('event.occurred_at >= current_date - %s', n), format('e.occurred_at >= ((now() AT TIME ZONE %L)::date - %s)::timestamp AT TIME ZONE %L', zone, n, zone))::written;
                WHEN 1 THEN RETURN ROW(format('event.occurred_at::date = current_date - %s', n), format('(e.occurred_at AT TIME ZONE %L)::date = (now() AT TIME ZONE %L)::date - %s', zone, zone, n))::written;
                WHEN 2 THEN RETURN ROW('event.occurred_at > date_trunc(''month'', now())', format('e.occurred_at > date_trunc(''month'', now() AT TIME ZONE %L) AT TIME ZONE %L', zone, zone))::written;
                WHEN 3 THEN RETURN ROW(format('extract(dow FROM event.occurred_at) = %s', n), format('extract(dow FROM e.occurred_at AT TIME ZONE %L) = %s', zone, n))::written;
                WHEN 4 THEN RETURN ROW('event.occurred_at::text LIKE ''____-1_-%''', format('to_char(e.occurred_at AT TIME ZONE %L, ''MM'') LIKE ''1_''', zone))::written;
                ELSE RETURN ROW(format('event.occurred_at > ''%s/03/%s''', lpad((9 + n % 4)::text, 2, '0'), year), format('e.occurred_at > timestamp ''%s-%s-03'' AT TIME ZONE %L', year, lpad((9 + n % 4)::text, 2, '0'), zone))::written;
            END CASE;
        WHEN 12 THEN RETURN write(pick('event.is_gift', 'NOT event.is_gift', 'event.quantity > profile.score', 'profile.vip AND event.quantity > 1', 'event.is_gift IS NOT TRUE'));
        WHEN 13 THEN RETURN write(pick('event.properties->>''mood'' = ''good''', 'is_dear(event.amount)', 'event.properties->>''mood'' IS NULL'));
        WHEN 14 THEN RETURN write(pick('event.product = (SELECT t.product FROM taste AS t WHERE t.country = profile.country)', 'EXISTS (SELECT FROM taste AS t WHERE t.product = event.product AND t.enough < event.quantity)'));
        ELSE
            other := declared('trait', 'numeric', refresh, zone);
            IF other IS NOT NULL AND random() < 0.5 THEN
                RETURN write('event.amount > %s', other);
            END IF;
            other := declared('segment', 'boolean', refresh, zone);
            IF other IS NOT NULL THEN
                RETURN write('(%s AND event.quantity > 0)', other);
            END IF;
            RETURN write('event.quantity > 1');
    END CASE;
END $$;

-- A call of an aggregate, with ? where the FILTER goes.
CREATE FUNCTION random_aggregate(call text, refresh text, zone text) RETURNS written LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    condition written;
BEGIN
    IF random() < 0.25 THEN
        RETURN ROW(replace(call, '?', ''), format('(SELECT %s FROM event AS e WHERE e.profile_id = p.profile_id)', plain(replace(call, '?', ''))))::written;
    END IF;
    condition := random_condition(2, refresh, zone);
    -- it must read something of events
    IF condition.said !~ 'event\.' THEN
        condition := write('(%s AND event.event_name <> ''none'')', condition);
    END IF;
    RETURN ROW(replace(call, '?', format(' FILTER (WHERE %s)', condition.said)),
               format('(SELECT %s FROM event AS e WHERE e.profile_id = p.profile_id AND (%s))', plain(replace(call, '?', '')), condition.plain))::written;
END $$;

-- An expression of a type: bigint, numeric, text or timestamptz.
CREATE FUNCTION random_value(type text, refresh text, zone text) RETURNS written LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    other written;
BEGIN
    IF random() < 0.15 THEN
        other := declared('trait', type, refresh, zone);
        IF other IS NOT NULL THEN
            RETURN other;
        END IF;
    END IF;
    CASE type
        WHEN 'bigint' THEN
            IF random() < 0.2 THEN
                RETURN write(pick('profile.score', 'profile.event_count', '(SELECT t.enough FROM taste AS t WHERE t.country = profile.country)'));
            END IF;
            RETURN random_aggregate(pick('count(*)?', 'count(*)?', 'count(event.product)?', 'count(DISTINCT event.product)?', 'max(event.quantity)?', 'min(event.quantity)?',
                                         'rank(2) WITHIN GROUP (ORDER BY event.quantity)?', 'rank(profile.score) WITHIN GROUP (ORDER BY event.quantity)?',
                                         'percentile_disc(0.5) WITHIN GROUP (ORDER BY event.quantity)?', 'length(glued(event.product)?)::bigint',
                                         'cdp.session_count(event.occurred_at, interval ''1 day'')?', 'regr_count(event.amount, event.quantity)?'), refresh, zone);
        WHEN 'numeric' THEN
            RETURN random_aggregate(pick('sum(event.amount)?', 'sum(event.amount)?', 'avg(event.quantity)?', 'max(event.amount)?', 'sum(event.amount * event.quantity)?', 'sum(event.quantity)?',
                                         'sum(DISTINCT event.amount)?', 'min(event.amount + profile.score)?'), refresh, zone);
        WHEN 'text' THEN
            IF random() < 0.2 THEN
                RETURN write('profile.country');
            END IF;
            RETURN random_aggregate(pick('mode() WITHIN GROUP (ORDER BY event.product)?', 'string_agg(event.product, '''' ORDER BY event.occurred_at, event.source, event.record_key)?',
                                         'max(event.event_name)?', 'min(event.product)?', 'string_agg(DISTINCT event.product, '','' ORDER BY event.product)?',
                                         'glued(event.product ORDER BY event.occurred_at DESC, event.source, event.record_key)?'), refresh, zone);
        ELSE
            RETURN random_aggregate(pick('max(event.occurred_at)?', 'min(event.occurred_at)?', 'cdp.last_value_at(event.occurred_at, event.occurred_at)?'), refresh, zone);
    END CASE;
END $$;

CREATE FUNCTION random_predicate(depth integer, refresh text, zone text) RETURNS written LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    a written;
    b written;
BEGIN
    IF random() < 0.8 AND (SELECT is_counting FROM setting) THEN
        a := random_condition(1, refresh, zone);
        a := write(pick('event.event_name = %s', '%s = event.event_name', 'event.event_name = %s AND (%s)', 'event.event_name = %s AND (%s)', '(%2$s) AND event.event_name = %1$s',
                        'event.event_name IN (%s, ''view'') AND (%s)', 'event.event_name = %s AND event.event_name = ''buy'''), write(quote_literal(pick('view', 'buy', 'open', 'quit'))), a);
        b := write(pick('count(*)', 'count(*)', 'count(*)', 'count(*)', 'count(*)', 'count(event.product)', 'count(DISTINCT event.quantity)'));
        RETURN ROW(format('%s FILTER (WHERE %s) %s', b.said, a.said, said), format('(SELECT %s FROM event AS e WHERE e.profile_id = p.profile_id AND (%s)) %s', b.plain, a.plain, said))::written
        FROM concat(comparison(), ' ', among(4)) AS said;
    END IF;
    IF depth > 0 AND random() < 0.7 THEN
        a := random_predicate(depth - 1, refresh, zone);
        b := random_predicate(depth - 1, refresh, zone);
        CASE among(10)
            WHEN 0, 1, 2 THEN RETURN write('(%s) AND (%s)', a, b);
            WHEN 3, 4 THEN RETURN write('(%s) OR (%s)', a, b);
            WHEN 5 THEN RETURN write('NOT (%s)', a);
            WHEN 6 THEN RETURN write('(%s) IS NOT TRUE', a);
            WHEN 7 THEN RETURN write('CASE WHEN %s THEN %s ELSE profile.vip END', a, b);
            WHEN 8 THEN RETURN write('coalesce(%s, %s)', a, b);
            ELSE RETURN write('(%s) = (%s)', a, b);
        END CASE;
    END IF;
    CASE among(12)
        WHEN 0, 1, 2 THEN RETURN write('%s ' || comparison() || ' ' || pick('0', '0', '1', '2', '3'), random_value('bigint', refresh, zone));
        WHEN 3, 4 THEN RETURN write('%s ' || comparison() || ' ' || pick('5', '10', '20', '40'), random_value('numeric', refresh, zone));
        WHEN 5 THEN RETURN write(pick('%s = %s', '%s IS NOT NULL AND %s <> ''tea''', '%s > %s', '%s IS DISTINCT FROM %s'), random_value('text', refresh, zone), random_value('text', refresh, zone));
        WHEN 6, 7 THEN RETURN write('%s ' || pick('<', '>', '>', '<=') || ' %s', random_value('timestamptz', refresh, zone), ago(zone));
        WHEN 8 THEN
            IF (SELECT is_quick FROM setting) AND random() < 0.5 THEN
                RETURN write('profile.joined ' || time_comparison() || ' %s', ago(zone));
            END IF;
            RETURN write(pick('profile.country IN (''FR'', ''Norway'')', 'profile.country IS NULL', 'profile.vip', 'profile.score > 2', 'profile.is_known', 'profile.country ~ ''R$''',
                             'EXISTS (SELECT FROM taste AS t WHERE t.country = profile.country AND t.enough <= profile.score)'));
        WHEN 9 THEN RETURN random_aggregate(pick('bool_or(event.is_gift)?', 'bool_and(event.quantity > 1)?', 'every(event.amount > 5)?'), refresh, zone);
        WHEN 10 THEN
            a := random_value('bigint', refresh, zone);
            -- count(*) would be that of the subquery
            RETURN write('EXISTS (SELECT FROM taste AS t WHERE t.enough < %s AND t.country IS DISTINCT FROM profile.country)',
                         ROW(replace(a.said, 'count(*)', 'count(event.source)'), a.plain)::written);
        ELSE RETURN coalesce(declared('segment', 'boolean', refresh, zone), write('true'));
    END CASE;
END $$;

-- ---------- random changes ----------

-- Versions of a row only grow.
CREATE FUNCTION next_version() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN timestamptz '2020-01-01 00:00+00' + nextval('predicate.version') * interval '1 minute';

-- Few values, so that people meet.
CREATE FUNCTION draw(kind text) RETURNS text LANGUAGE sql VOLATILE
RETURN CASE kind
    WHEN 'email' THEN pick('a', 'B', 'c', 'D', 'e', NULL, NULL, NULL, NULL, NULL, NULL) || pick('@x.example', '@X.example ')
    WHEN 'card' THEN pick('l1', 'l2', 'l3', NULL, NULL, NULL)
    WHEN 'browser' THEN pick('b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'b8', 'b9') END;

CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN CASE WHEN (SELECT is_quick FROM setting) THEN clock_timestamp() - (random() * 0.6 - 0.2) * interval '1 second'
       ELSE now() - floor(random() * 45 - 3) * interval '1 day' + (random() * 4 - 2) * interval '1 hour' END;

CREATE FUNCTION change_contact() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chosen integer := 1 + among(7);
BEGIN
    IF random() < 0.15 THEN
        DELETE FROM contact WHERE id = chosen;
        RETURN 'contact gone';
    END IF;
    INSERT INTO contact VALUES (chosen, next_version(), draw('email'), CASE WHEN random() < 0.2 THEN draw('email') END, draw('card'),
        pick('FR', 'DE', 'Norway', NULL), among(5), pick('t', 'f', NULL)::boolean, moment())
    ON CONFLICT (id) DO UPDATE SET (modified, email, second_email, card, country, score, vip, joined)
        = (EXCLUDED.modified, EXCLUDED.email, EXCLUDED.second_email, EXCLUDED.card, EXCLUDED.country, EXCLUDED.score, EXCLUDED.vip, EXCLUDED.joined);
    RETURN 'contact';
END $$;

CREATE FUNCTION call_identify() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chosen integer := 1 + among(5);
    said identified;
BEGIN
    DELETE FROM identified WHERE id = chosen;
    IF random() < 0.2 THEN
        PERFORM cdp.retract('form', chosen::text);
        RETURN 'form withdrawn';
    END IF;
    INSERT INTO identified VALUES (chosen, next_version(), draw('email'), NULL, draw('card'), pick('FR', 'DE', 'Norway', NULL), among(5), pick('t', 'f', NULL)::boolean, moment())
    RETURNING * INTO said;
    PERFORM cdp.identify(jsonb_strip_nulls(jsonb_build_object('email', said.email, 'loyalty_id', said.card, 'user_id', 'u' || chosen)), 'form', chosen::text, said.modified,
        jsonb_build_object('country', said.country, 'score', said.score, 'vip', said.vip, 'joined', said.joined));
    RETURN 'identify';
END $$;

-- A table without capture.
CREATE FUNCTION change_import() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chosen integer := 1 + among(8);
BEGIN
    DELETE FROM imported WHERE id = chosen;
    IF random() < 0.8 THEN
        INSERT INTO imported VALUES (chosen, next_version(), draw('browser'), draw('email'), pick('view', 'buy', 'buy', 'open', 'quit'), moment(), among(90) / 2.0, pick('wine', 'tea', 'salt', NULL), among(5), pick('t', 'f', NULL)::boolean);
    END IF;
    RETURN 'import';
END $$;

-- Everything is read, and evaluated for everybody.
CREATE PROCEDURE pass() LANGUAGE plpgsql AS $$
BEGIN
    CALL cdp.refresh(full_compare => true, allow_deletes => true);
    DELETE FROM imported_then;
    INSERT INTO imported_then SELECT * FROM imported;
END $$;

-- New events, late ones, corrections (of what happened, when and to whom), deletions; one or several at once.
CREATE FUNCTION change_activity() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chosen integer := 1 + among(20);
    last integer := chosen + CASE WHEN random() < 0.15 THEN 4 ELSE 0 END;
BEGIN
    IF random() < 0.15 THEN
        DELETE FROM activity WHERE id BETWEEN chosen AND last;
        RETURN 'events gone';
    END IF;
    INSERT INTO activity
    SELECT id, next_version(), draw('browser'), draw('email'), pick('view', 'buy', 'buy', 'open', 'quit'), moment(), among(90) / 2.0, pick('wine', 'tea', 'salt', NULL), among(5), pick('t', 'f', NULL)::boolean
    FROM generate_series(chosen, last) AS id
    ON CONFLICT (id) DO UPDATE SET (modified, browser, email, name, happened, amount, product, quantity, is_gift)
        = (EXCLUDED.modified, CASE WHEN random() < 0.3 THEN EXCLUDED.browser ELSE activity.browser END, CASE WHEN random() < 0.3 THEN EXCLUDED.email ELSE activity.email END,
           EXCLUDED.name, CASE WHEN random() < 0.5 THEN EXCLUDED.happened ELSE activity.happened END, EXCLUDED.amount, EXCLUDED.product, EXCLUDED.quantity, EXCLUDED.is_gift);
    RETURN 'events';
END $$;

CREATE FUNCTION call_track() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chosen integer := 1 + among(10);
    said called;
BEGIN
    IF random() < 0.2 THEN
        DELETE FROM called WHERE id = chosen;
        PERFORM cdp.retract('app', chosen::text);
        RETURN 'retract';
    END IF;
    said := ROW(chosen, next_version(), draw('browser'), draw('email'), pick('view', 'buy', 'buy', 'open', 'quit'), moment(), among(90) / 2.0, pick('wine', 'tea', 'salt', NULL), among(5), pick('good', 'bad', NULL));
    -- an older version that comes late changes nothing
    IF random() < 0.15 AND EXISTS (SELECT FROM called WHERE id = chosen) THEN
        said.modified := timestamptz '2019-01-01 00:00+00';
    ELSE
        DELETE FROM called WHERE id = chosen;
        INSERT INTO called SELECT said.*;
    END IF;
    PERFORM cdp.track(jsonb_strip_nulls(jsonb_build_object('anonymous_id', said.browser, 'email', said.email)), said.name, said.happened,
        jsonb_strip_nulls(jsonb_build_object('amount', said.amount, 'product', said.product, 'quantity', said.quantity, 'mood', said.mood)), 'app', chosen::text, said.modified);
    RETURN 'track';
END $$;

-- What people decide.  What contradicts itself is an error, which changes nothing.
CREATE FUNCTION change_label() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    a record;
    b record;
BEGIN
    SELECT * INTO a FROM cdp.identifiers ORDER BY random() LIMIT 1;
    SELECT * INTO b FROM cdp.identifiers ORDER BY random() LIMIT 1;
    IF a IS NULL THEN
        RETURN 'nothing';
    END IF;
    CASE among(6)
        WHEN 0, 1 THEN
            PERFORM cdp.cannot_link(a.namespace, a.value, b.namespace, b.value);
            RETURN 'cannot_link';
        WHEN 2, 3 THEN
            PERFORM cdp.must_link(a.namespace, a.value, b.namespace, b.value);
            RETURN 'must_link';
        WHEN 4 THEN
            PERFORM cdp.remove_label(namespace_1, value_1, namespace_2, value_2) FROM (SELECT * FROM cdp.labels ORDER BY namespace_1, value_1, namespace_2, value_2 LIMIT 1) AS l;
            RETURN 'remove_label';
        ELSE
            PERFORM cdp.block_identifier(a.namespace, a.value);
            RETURN 'block';
    END CASE;
EXCEPTION WHEN integrity_constraint_violation OR invalid_parameter_value THEN
    RETURN 'refused';
END $$;

-- A whole number of days goes by: everything is so much longer ago.
CREATE FUNCTION wait_days(days integer) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    trait text;
BEGIN
    UPDATE imported SET happened = happened - days * interval '24 hours';
    UPDATE imported_then SET happened = happened - days * interval '24 hours';
    ALTER TABLE activity DISABLE TRIGGER ALL;
    UPDATE activity SET happened = happened - days * interval '24 hours';
    ALTER TABLE activity ENABLE TRIGGER ALL;
    UPDATE called SET happened = happened - days * interval '24 hours';
    UPDATE cdp_data.event SET occurred_at = occurred_at - days * interval '24 hours';
    UPDATE cdp_data.profile_row SET first_seen = first_seen - days * interval '24 hours', last_seen = last_seen - days * interval '24 hours';
    FOR trait IN SELECT name FROM made WHERE kind = 'trait' AND type = 'timestamptz' LOOP
        EXECUTE format('UPDATE cdp_data.profile_row SET %I = %1$I - %s * interval ''24 hours''', trait, days);
    END LOOP;
    UPDATE cdp_data.expression_due SET due_at = due_at - days * interval '24 hours';
    RETURN format('%s days later', days);
END $$;

-- Whoever is at work has settings of its own.
CREATE FUNCTION change_session() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('TimeZone', pick('UTC', 'Asia/Tokyo', 'America/New_York', 'Pacific/Auckland', 'Europe/Paris'), true),
            set_config('DateStyle', pick('ISO, MDY', 'ISO, DMY', 'German, DMY', 'SQL, DMY', 'Postgres, YMD'), true),
            set_config('IntervalStyle', pick('postgres', 'iso_8601', 'sql_standard', 'postgres_verbose'), true),
            set_config('search_path', pick('predicate, pg_catalog', 'decoy, predicate, pg_catalog', 'decoy, predicate'), true);
    RETURN 'session';
END $$;

-- ---------- comparison ----------

-- The first difference; NULL: there is none.  Those that refreshes keep are looked at after one.
CREATE FUNCTION difference(is_refreshed boolean) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    m made;
    problem text;
BEGIN
    CALL look();
    FOR m IN SELECT * FROM made WHERE is_refreshed OR refresh = 'realtime' ORDER BY number LOOP
        IF m.kind = 'segment' THEN
            EXECUTE format($sql$
                SELECT string_agg(CASE WHEN w.profile_id IS NULL THEN 'not ' ELSE '' END || coalesce(w.profile_id, s.profile_id), ', ' ORDER BY coalesce(w.profile_id, s.profile_id))
                FROM (SELECT p.profile_id FROM person AS p WHERE (%s) %s) AS w
                FULL JOIN (SELECT profile_id FROM cdp.segment_members WHERE segment = %L) AS s USING (profile_id)
                WHERE w.profile_id IS NULL OR s.profile_id IS NULL $sql$, (m.expression).plain, CASE WHEN NOT m.include_anonymous THEN 'AND p.is_known' END, m.name) INTO problem;
        ELSE
            EXECUTE format($sql$
                SELECT string_agg(format('%%s has %%s instead of %%s', profile_id, coalesce(c::text, 'none'), coalesce(wanted::text, 'none')), ', ' ORDER BY profile_id)
                FROM (SELECT s.profile_id, s.%I AS c, (%s) AS wanted FROM cdp.profiles AS s JOIN person AS p USING (profile_id)) AS v
                WHERE c IS DISTINCT FROM wanted $sql$, m.name, (m.expression).plain) INTO problem;
        END IF;
        IF problem IS NOT NULL THEN
            RETURN format(E'%s %s (%s, %s): %s\nsaid:  %s\nplain: %s', m.kind, m.name, m.refresh, m.zone, problem, (m.expression).said, (m.expression).plain);
        END IF;
    END LOOP;
    SELECT format('%s %s: %s %s', name, kind, sqlstate, error) INTO problem
    FROM (SELECT name, 'segment' AS kind, sqlstate, error, status FROM cdp.segments UNION ALL SELECT name, 'trait', sqlstate, error, status FROM cdp.computed_traits) AS s WHERE status = 'failed' LIMIT 1;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    -- What is explained of one of them, and how many people a preview finds, agrees with what is stored.
    SELECT * INTO m FROM made WHERE kind = 'segment' AND is_refreshed ORDER BY random() LIMIT 1;
    IF FOUND THEN
        SELECT format('explanation of %s, profile %s: %s', m.name, p.profile_id, e.result) INTO problem
        FROM person AS p, LATERAL (SELECT x.result FROM cdp.explain_segment(m.name, p.profile_id) AS x ORDER BY x.place LIMIT 1) AS e
        WHERE e.result IS DISTINCT FROM EXISTS (SELECT FROM cdp.segment_members AS s WHERE s.segment = m.name AND s.profile_id = p.profile_id) LIMIT 1;
        IF problem IS NULL THEN
            SELECT format('preview of %s: %s', m.name, members) INTO problem
            FROM cdp.preview_segment('segment.' || m.name) WHERE members <> (SELECT count(*) FROM cdp.segment_members AS s WHERE s.segment = m.name);
        END IF;
        IF problem IS NOT NULL THEN
            RETURN problem || E'\n' || (m.expression).said;
        END IF;
    END IF;
    -- Changes are entries and exits by turns, and lead to what is stored.
    SELECT format('changes of %s, profile %s: %s', segment_id, profile_id, string_agg(is_entry::text, ' ' ORDER BY change_id)) INTO problem
    FROM (SELECT c.*, lag(c.is_entry) OVER w AS before, lead(c.is_entry) OVER w AS after,
                 EXISTS (SELECT FROM cdp_data.segment_member AS s WHERE s.segment_id = c.segment_id AND s.profile_id = c.profile_id) AS is_member
          FROM cdp_data.segment_change AS c WINDOW w AS (PARTITION BY c.segment_id, c.profile_id ORDER BY c.change_id)) AS c
    GROUP BY segment_id, profile_id
    HAVING bool_or(is_entry = coalesce(before, false)) OR bool_or(after IS NULL AND is_entry <> is_member) LIMIT 1;
    RETURN problem;
END $$;

-- ---------- workloads ----------

-- Expressions in random number, each as random as the others, with references to those before.
CREATE PROCEDURE make_expressions(amount integer) LANGUAGE plpgsql AS $$
DECLARE
    m made;
BEGIN
    FOR i IN 1 .. amount LOOP
        m := ROW(i, CASE WHEN random() < 0.35 THEN 'trait' ELSE 'segment' END, NULL, 'boolean', CASE WHEN random() < 0.75 THEN 'realtime' ELSE 'batch' END,
                 pick('UTC', 'UTC', 'UTC', 'Europe/Paris', 'Pacific/Auckland'), random() < 0.8, NULL);
        m.name := left(m.kind, 1) || i;
        IF m.kind = 'trait' THEN
            m.type := pick('bigint', 'numeric', 'numeric', 'text', 'timestamptz');
            m.expression := random_value(m.type, m.refresh, m.zone);
            PERFORM cdp.create_computed_trait(m.name, (m.expression).said, refresh => m.refresh, time_zone => m.zone);
        ELSE
            m.expression := random_predicate(1 + among(3), m.refresh, m.zone);
            PERFORM cdp.create_segment(m.name, (m.expression).said, refresh => m.refresh, time_zone => m.zone, include_anonymous => m.include_anonymous);
        END IF;
        -- windows that cannot be foreseen are looked at from second to second only
        IF (SELECT is_quick FROM setting) AND m.refresh = 'realtime' AND EXISTS (SELECT FROM cdp.segment_dependencies AS d WHERE d.name = m.name AND d.depends_on_kind = 'window' AND d.depends_on = '*') THEN
            PERFORM CASE m.kind WHEN 'trait' THEN cdp.drop_computed_trait(m.name) ELSE cdp.drop_segment(m.name) END;
            CONTINUE;
        END IF;
        INSERT INTO made SELECT m.*;
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION '% (%): %', SQLERRM, SQLSTATE, m.expression;
END $$;

CREATE FUNCTION change(what integer) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    CASE
        WHEN what < 4 THEN RETURN change_contact();
        WHEN what < 9 THEN RETURN change_activity();
        WHEN what < 12 THEN RETURN call_track();
        WHEN what < 14 THEN RETURN call_identify();
        WHEN what < 15 THEN RETURN change_import();
        WHEN what < 16 THEN RETURN change_label();
        ELSE RETURN change_session();
    END CASE;
END $$;

-- One workload in one transaction, whose clock stands still; days go by all the same.
CREATE PROCEDURE run(seed integer, steps integer, expressions integer) LANGUAGE plpgsql AS $$
DECLARE
    script text[] := '{}';
    done text;
    problem text;
    is_refreshed boolean;
BEGIN
    PERFORM setseed(seed / 100000.0);
    DELETE FROM setting;
    INSERT INTO setting VALUES (false, seed % 2 = 0, expressions > 20);
    PERFORM cdp.configure('realtime_max_events', CASE WHEN seed % 5 = 0 THEN '3' ELSE '1000' END);
    FOR i IN 1 .. 12 LOOP
        script := script || change(among(15));
    END LOOP;
    CALL make_expressions(expressions);
    CALL pass();
    script := script || 'refresh'::text;
    problem := difference(true);
    FOR step IN 1 .. steps LOOP
        EXIT WHEN problem IS NOT NULL;
        is_refreshed := false;
        IF random() < 0.15 AND (SELECT is_waiting FROM setting) THEN
            done := wait_days(pick('1', '1', '2', '9', '20', '30')::integer);
            CALL cdp.expire_segments();
        ELSIF random() < 0.08 THEN
            done := 'refresh';
            CALL pass();
            is_refreshed := true;
        ELSE
            done := change(among(18));
        END IF;
        script := script || done;
        -- what was decided by hand, and people with very many events, wait for this
        IF done IN ('cannot_link', 'must_link', 'remove_label', 'block') OR seed % 5 = 0 THEN
            CALL cdp.expire_segments();
        END IF;
        IF is_refreshed OR step = steps OR random() < 0.5 THEN
            problem := difference(is_refreshed);
        END IF;
    END LOOP;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION E'seed %: %\n%\nexpressions:\n%', seed, array_to_string(script, ', '), problem,
            (SELECT string_agg(format('%s %s (%s, %s): %s', m.kind, m.name, m.refresh, m.zone, (m.expression).said), E'\n' ORDER BY m.number) FROM made AS m);
    END IF;
    RAISE EXCEPTION SQLSTATE 'CD000';
END $$;

-- Workloads from empty tables; each is rolled back.
CREATE PROCEDURE run_many(first_seed integer, workloads integer, steps integer, expressions integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR seed IN first_seed .. first_seed + workloads - 1 LOOP
        BEGIN
            CALL run(seed, steps, expressions);
        EXCEPTION WHEN SQLSTATE 'CD000' THEN
            NULL;
        END;
    END LOOP;
END $$;

-- What time alone has changed since, and then the first difference, by one clock.
CREATE FUNCTION difference_now() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    CALL cdp.expire_segments();
    RETURN difference(false);
END $$;

-- One workload whose steps are committed, with windows of milliseconds that close while it runs.
CREATE PROCEDURE run_quick(seed integer, steps integer, expressions integer) LANGUAGE plpgsql AS $$
DECLARE
    script text[] := '{}';
    done text;
    problem text;
BEGIN
    PERFORM setseed(seed / 100000.0);
    DELETE FROM setting;
    INSERT INTO setting VALUES (true, false, false);
    CALL make_expressions(expressions);
    CALL cdp.refresh();
    COMMIT;
    FOR step IN 1 .. steps LOOP
        -- whose snapshot hides what others have just written: the work is put off
        IF random() < 0.2 THEN
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
        END IF;
        IF random() < 0.1 THEN
            CALL pass();
            done := 'refresh';
        ELSE
            done := change(among(18));
        END IF;
        COMMIT;
        IF random() < 0.4 THEN
            PERFORM pg_sleep(random() * 0.08);
            done := done || ', sleep';
        END IF;
        COMMIT;
        script := script || done;
        problem := difference_now();
        COMMIT;
        IF problem IS NOT NULL THEN
            RAISE EXCEPTION E'seed %: %\n%\nexpressions:\n%', seed, array_to_string(script, ', '), problem,
                (SELECT string_agg(format('%s %s (%s, %s): %s', m.kind, m.name, m.refresh, m.zone, (m.expression).said), E'\n' ORDER BY m.number) FROM made AS m);
        END IF;
    END LOOP;
    DELETE FROM activity;
    DELETE FROM contact;
    DELETE FROM imported;
    PERFORM cdp.retract('app', id::text) FROM called;
    PERFORM cdp.retract('form', id::text) FROM identified;
    DELETE FROM identified;
    CALL pass();
    DELETE FROM called;
    PERFORM CASE kind WHEN 'segment' THEN cdp.drop_segment(name, cascade => true) ELSE cdp.drop_computed_trait(name, cascade => true) END
    FROM (SELECT DISTINCT ON (number) * FROM made ORDER BY number DESC) AS m;
    DELETE FROM made;
    COMMIT;
END $$;

CREATE PROCEDURE declare() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cdp.create_trait('country', 'text'), cdp.create_trait('score', 'bigint'), cdp.create_trait('vip', 'boolean'), cdp.create_trait('joined', 'timestamptz');
    PERFORM cdp.create_source('contact', 'predicate.contact', record_key => 'id', observed_at => 'modified',
        identifiers => 'email, second_email AS email, card AS loyalty_id, ''c'' || id AS crm_id', traits => 'country, score, vip, joined', capture => 'immediate');
    PERFORM cdp.create_source('activity', 'predicate.activity', record_key => 'id', observed_at => 'modified', occurred_at => 'happened', event_name => 'name',
        identifiers => 'browser AS anonymous_id, email', properties => 'amount, product, quantity, is_gift', capture => 'immediate');
    PERFORM cdp.create_source('import', 'predicate.imported', record_key => 'id', observed_at => 'modified', occurred_at => 'happened', event_name => 'name',
        identifiers => 'browser AS anonymous_id, email', properties => 'amount, product, quantity, is_gift');
    CALL cdp.refresh();
END $$;
