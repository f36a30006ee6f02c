-- The statements that expressions become: for everybody, for given people and for
-- members alone they come to what PostgreSQL says of the expression as it stands,
-- for each person by itself; also for people without events.
\set VERBOSITY default
SET client_min_messages = warning;
SELECT cdp.setup() \g /dev/null
SET search_path = public, cdp;
SET TimeZone = 'UTC';
SET jit = off;

-- ---------- people and events ----------
SELECT create_trait('country', 'text'), create_trait('score', 'bigint'), create_trait('vip', 'boolean'), create_trait('select', 'text'), create_trait('Mixed Case', 'text') \g /dev/null
CREATE TABLE happened (id text, person text, name text, at timestamptz, amount numeric, product text, quantity bigint, "Od d" text);
INSERT INTO happened
SELECT p || '-' || e, 'a' || p, (ARRAY['purchase', 'login', 'view', 'open'])[1 + (p * 7 + e * 3) % 4], timestamptz '2026-01-01' + ((p * 13 + e * 29) % 90) * interval '25 hours',
       (p * e) % 7 + 0.5, (ARRAY['shoes', 'hat', 'bag', NULL])[1 + (p + e) % 4], e % 5, 'x' || e
FROM generate_series(3, 12) AS p, generate_series(1, p) AS e;
SELECT create_source('shop', 'happened', record_key => 'id', occurred_at => 'at', event_name => 'name', identifiers => 'person AS anonymous_id', properties => 'amount, product, quantity, "Od d"') \g /dev/null
CALL refresh();
-- 11 and 12 have no events, 7 to 10 are anonymous
SELECT identify(jsonb_build_object('user_id', 'u' || p, 'anonymous_id', 'a' || p), 'crm', 'c' || p, '2025-12-01',
    jsonb_build_object('country', (ARRAY['FR', 'DE', NULL, 'US'])[1 + p % 4], 'score', p % 5, 'vip', p % 2 = 0, 'select', 's' || p, 'Mixed Case', 'm'))
FROM generate_series(1, 8) AS p \g /dev/null
SELECT profile_id, is_known, event_count, country, score, vip FROM profiles ORDER BY profile_id;

-- ---------- the comparison ----------
CREATE AGGREGATE with_initial(text) (SFUNC = textcat, STYPE = text, INITCOND = '>');
CREATE FUNCTION keep(state text, item text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN coalesce(state, '') || coalesce(item, '-');
CREATE FUNCTION finish(state text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN coalesce(state, 'nothing');
CREATE AGGREGATE with_finish(text) (SFUNC = keep, STYPE = text, FINALFUNC = finish);
CREATE FUNCTION count_all(state integer, VARIADIC items bigint[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN state + cardinality(items);
CREATE AGGREGATE counted(VARIADIC bigint[]) (SFUNC = count_all, STYPE = integer, INITCOND = '0');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE TYPE kind AS ENUM ('shoes', 'hat', 'bag');
CREATE COLLATION any_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 'mine';
CREATE FUNCTION defaults(a integer, b integer DEFAULT 3, c integer DEFAULT 5) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN a * 100 + b * 10 + c;

-- Whom each way finds, where they agree.
CREATE FUNCTION found(predicate text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id integer;
    plain bigint[];
    compiled bigint[];
    members bigint[];
    everybody bigint[];
    everybody_due bigint[];
    given bigint[];
BEGIN
    IF predicate !~ 'segment|mean' THEN
        EXECUTE format('SELECT array_agg(profile_id ORDER BY profile_id) FROM cdp.profiles AS profile WHERE (SELECT (%s) FROM cdp.events AS event WHERE event.profile_id = profile.profile_id HAVING true)', predicate) INTO plain;
    END IF;
    EXECUTE format('SELECT array_agg(profile_id ORDER BY profile_id) FROM (%s) AS q', cdp.compile_segment(predicate)) INTO compiled;
    PERFORM cdp.create_segment('tried', predicate, refresh => 'realtime', replace => true);
    SELECT expression_id INTO id FROM cdp_data.expression WHERE kind = 'segment' AND name = 'tried';
    EXECUTE format('SELECT array_agg(profile_id ORDER BY profile_id) FROM (%s) AS q', cdp.segment_sql('tried')) INTO members;
    EXECUTE format('SELECT array_agg(profile_id ORDER BY profile_id) FILTER (WHERE value) FROM (%s) AS q(profile_id, value)', cdp.expression_sql(ARRAY[id], 'everybody')) INTO everybody;
    EXECUTE format('SELECT array_agg(profile_id ORDER BY profile_id) FILTER (WHERE value AND due_at IS DISTINCT FROM ''infinity'') FROM (%s) AS q(profile_id, value, due_at)', cdp.expression_sql(ARRAY[id], 'everybody', 2)) INTO everybody_due;
    EXECUTE format('SELECT array_agg(profile_id ORDER BY profile_id) FILTER (WHERE value AND due_at IS DISTINCT FROM ''infinity'') FROM (%s) AS q(profile_id, value, due_at)', cdp.expression_sql(ARRAY[id], 'given', 2))
    INTO given USING ARRAY(SELECT p.profile_id FROM cdp.profiles AS p);
    IF predicate ~ 'segment|mean' THEN
        plain := compiled;
    END IF;
    IF plain IS DISTINCT FROM compiled OR plain IS DISTINCT FROM members OR plain IS DISTINCT FROM everybody OR plain IS DISTINCT FROM everybody_due OR plain IS DISTINCT FROM given THEN
        RETURN format('DIFFERENT: plain %s, compiled %s, members %s, everybody %s, %s, given %s', plain, compiled, members, everybody, everybody_due, given);
    END IF;
    RETURN coalesce(array_to_string(plain, ' '), 'nobody');
END $$;
\pset format unaligned
\pset tuples_only on

-- ---------- no events ----------
SELECT predicate, found(predicate) FROM (VALUES
    ('count(*) = 0'), ('count(event.product) = 0'), ('NOT count(*) > 3'), ('count(*) FILTER (WHERE event.event_name = ''login'') = 0'), ('sum(event.amount) IS NULL'), ('coalesce(sum(event.amount), 0) < 5'),
    ('array_agg(event.product) IS NULL'), ('regr_count(event.amount, event.quantity) = 0'), ('rank(3) WITHIN GROUP (ORDER BY event.quantity) = 1'), ('percent_rank(3) WITHIN GROUP (ORDER BY event.quantity) = 0'),
    ('cume_dist(3) WITHIN GROUP (ORDER BY event.quantity) = 1'), ('with_initial(event.product) = ''>'''), ('with_initial(event.product) FILTER (WHERE event.quantity > 3) = ''>'''), ('with_finish(event.product) = ''nothing'''),
    ('with_finish(event.product) FILTER (WHERE event.quantity > 100) = ''nothing'''), ('counted(event.quantity, 2) = 0'), ('counted(VARIADIC ARRAY[event.quantity]) = 0'), ('session_count(event.occurred_at, interval ''30 minutes'') = 0'),
    ('decayed_sum(event.amount::float8, event.occurred_at, interval ''7 days'') IS NULL'), ('jsonb_agg(event.properties) IS NULL'), ('true'), ('NULL::boolean'), ('(count(*) > 3) IS UNKNOWN')) AS v(predicate);

-- ---------- aggregates ----------
SELECT predicate, found(predicate) FROM (VALUES
    ('count(DISTINCT event.product) FILTER (WHERE event.event_name = ''purchase'') >= 2'), ('string_agg(DISTINCT event.product, '','' ORDER BY event.product) LIKE ''%hat%'''), ('sum(DISTINCT event.quantity ORDER BY event.quantity) > 9'),
    ('(array_agg(event.product ORDER BY event.occurred_at DESC, event.record_key))[1] = ''hat'''), ('array_agg(DISTINCT event.product ORDER BY event.product DESC NULLS LAST) = ''{shoes,hat,bag,NULL}'''),
    ('array_length(array_agg(event.quantity ORDER BY (SELECT - event.quantity)), 1) > 8'), ('percentile_cont(0.5) WITHIN GROUP (ORDER BY event.amount) > 3'), ('percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY event.quantity DESC) FILTER (WHERE event.amount > 1) = ''{4,1}'''),
    ('mode() WITHIN GROUP (ORDER BY event.product COLLATE "C") = ''shoes'''), ('bool_and(event.amount > 1)'), ('max(event."Od d") = ''x9'''), ('num_nonnulls(VARIADIC array_agg(event.product)) > 7'), ('sum(event.amount::positive) > 30'),
    ('max(event.product::kind) = ''bag'' AND min(event.product::kind) = ''shoes'''), ('count(*) FILTER (WHERE event.event_name = ''VIEW'' COLLATE any_case) > 2'), ('lower(profile.country) = ''fr'''), ('public.lower(profile.country) = ''mine'''),
    ('defaults(3, c => 2) = 332 AND defaults(count(*)::integer) > 900'), ('most_frequent(event.product) = ''shoes'''), ('first_value_at(event.product, event.occurred_at) = ''shoes'''),
    ('did_sequence(event.event_name, event.occurred_at, sequence_options(ARRAY[''view'', ''purchase''], ''30 days''))')) AS v(predicate);

-- ---------- columns of profile beside them ----------
SELECT predicate, found(predicate) FROM (VALUES
    ('max(event.amount) FILTER (WHERE event.quantity = profile.score) > 2'), ('percentile_cont(profile.score / 10.0) WITHIN GROUP (ORDER BY event.amount) > 1'), ('rank(profile.score) WITHIN GROUP (ORDER BY event.quantity) > 2'), ('every(event.amount > profile.score)'),
    ('profile.select = ''s3'' OR profile."Mixed Case" = ''m'' AND profile.vip'), ('coalesce(profile.country, min(event.product)) = ''bag'''), ('CASE profile.country WHEN ''FR'' THEN count(*) > 5 ELSE sum(event.quantity) > 15 END'),
    ('CASE WHEN count(*) > 9 THEN true WHEN profile.vip THEN false END'), ('ROW(count(*), max(event.quantity)) = ROW(5, 4)'), ('ARRAY[count(*), profile.score] @> ARRAY[5::bigint]'), ('least(count(*), profile.score) > 2'), ('count(*) BETWEEN SYMMETRIC 7 AND profile.score'),
    ('NULLIF(count(*), 3) IS NULL'), ('profile.country COLLATE "C" < min(event.product)'), ('(profile.country, count(*)) IN ((''FR'', 8), (''DE'', 5))')) AS v(predicate);

-- ---------- subqueries ----------
SELECT predicate, found(predicate) FROM (VALUES
    ('EXISTS (SELECT FROM happened AS h WHERE h.person = profile.anonymous_id AND h.quantity > max(event.quantity) - 1)'), ('(SELECT count(*) FROM happened AS h WHERE h.person = profile.anonymous_id) > 7'), ('EXISTS (SELECT * FROM happened AS h WHERE h.quantity > 3 + max(event.quantity) - (SELECT max(event.quantity)))'),
    ('count(*) FILTER (WHERE event.product IN (SELECT h.product FROM happened AS h WHERE h.quantity = 4 AND h.person = ''a5'')) > 2'), ('count(*) FILTER (WHERE EXISTS (SELECT FROM happened AS h WHERE h.product = event.product AND h.quantity = profile.score)) > 1'),
    ('(SELECT min(event.quantity) > 0)'), ('(SELECT count(*)) = 1'), ('EXISTS (WITH w AS (SELECT count(event.quantity) AS c) SELECT FROM w WHERE c > 8)'), ('EXISTS (SELECT FROM generate_series(1, max(event.quantity)) AS g WHERE g = profile.score)'), ('EXISTS (SELECT FROM happened AS h HAVING max(h.quantity) > max(event.quantity))'),
    ('count(*) FILTER (WHERE event.quantity > (SELECT max(h.quantity) FILTER (WHERE h.quantity < event.quantity + profile.score) FROM happened AS h WHERE h.person = profile.anonymous_id)) > 0'), ('profile.score > ALL (SELECT h.quantity FROM happened AS h WHERE h.person = profile.anonymous_id)'),
    ('EXISTS (SELECT FROM cdp.profiles AS profile WHERE profile.country = ''FR'' AND profile.score < count(event.quantity) - 8)'), ('EXISTS (SELECT FROM cdp.events AS e WHERE e.profile_id = profile.profile_id GROUP BY e.event_name HAVING count(*) > 2)')) AS v(predicate);

-- ---------- other expressions ----------
SELECT create_segment('big', 'sum(event.amount) > 20'), create_segment('known_big', 'segment.big', include_anonymous => false), create_segment('Sel ect', 'profile.country = ''FR'''),
       create_segment('window', 'count(*) > 5 AND segment.big'), create_computed_trait('mean', 'avg(event.amount)'), create_computed_trait('mean_positive', 'sum(event.amount)::positive'), create_computed_trait('above_mean', 'count(*) FILTER (WHERE event.amount > profile.mean)') \g /dev/null
SELECT predicate, found(predicate) FROM (VALUES
    ('segment.big'), ('NOT segment.known_big'), ('segment."Sel ect" IS NOT NULL AND segment."Sel ect"'), ('segment.window'), ('segment.big = segment.known_big'), ('count(*) FILTER (WHERE segment."Sel ect" AND event.amount > 2) > 1'),
    ('profile.mean > 3.5'), ('profile.mean_positive > 33'), ('profile.above_mean > 5'), ('count(*) FILTER (WHERE event.amount > profile.mean) > 5'), ('count(*) FILTER (WHERE event.amount > profile.mean AND event.quantity < profile.above_mean) > 3'), ('max(event.amount) FILTER (WHERE segment.known_big AND event.quantity < profile.above_mean) > 3'),
    ('count(*) FILTER (WHERE segment.big AND event.amount > 2) > 3'), ('EXISTS (SELECT FROM happened AS h WHERE segment.known_big AND h.person = profile.anonymous_id)'), ('EXISTS (SELECT FROM happened AS h WHERE h.quantity > profile.above_mean AND segment.big)')) AS v(predicate);

-- ---------- what is written ----------
SELECT compile_segment('profile.country = ''FR''');
SELECT compile_segment('count(*) FILTER (WHERE event.event_name = ''purchase'') > 3 AND sum(event.amount) FILTER (WHERE event.event_name = ''purchase'') > profile.score');
SELECT compile_segment('count(*) FILTER (WHERE event.amount > profile.mean) > 3');
SELECT compile_segment('with_initial(event.product) = ''>'' AND segment.known_big');
-- for given people, with the time to look again
SELECT expression_sql(ARRAY[(SELECT expression_id FROM cdp_data.expression WHERE name = 'tried')], 'given', 2) IS NOT NULL;
SELECT create_segment('recent', 'max(event.occurred_at) > now() - interval ''3 days'' AND count(*) FILTER (WHERE event.event_name = ''login'' AND event.occurred_at > now() - interval ''1 month'') = 0', refresh => 'realtime') \g /dev/null
SELECT expression_sql(ARRAY[(SELECT expression_id FROM cdp_data.expression WHERE name = 'recent')], 'given', 2);
SELECT expression_sql(ARRAY[1], 'sideways');
SELECT expression_sql('{}', 'given');

DROP TABLE happened;
SELECT teardown(false);
DROP AGGREGATE with_initial(text), with_finish(text), counted(VARIADIC bigint[]);
DROP FUNCTION keep, finish, count_all, public.lower(text), defaults, found;
DROP DOMAIN positive;
DROP TYPE kind;
DROP COLLATION any_case;
