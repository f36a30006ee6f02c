-- What an expression must not hold: each error with its place in the text and its hint.
\set VERBOSITY default
SET client_min_messages = warning;
SELECT cdp.setup();
SET search_path = public, cdp;
SET max_parallel_workers_per_gather = 0;
SET TimeZone = 'UTC';

SELECT create_trait('country', 'text'), create_trait('score', 'bigint'), create_trait('cåuntry', 'text');
CREATE TABLE shop_event (id integer, person text, name text, happened timestamptz, amount numeric, product text);
SELECT create_source('shop', 'shop_event', record_key => 'id', occurred_at => 'happened', event_name => 'name',
    identifiers => 'person AS anonymous_id', properties => 'amount, product');
SELECT create_segment('buyers', $$ count(*) FILTER (WHERE event.event_name = 'purchase') > 0 $$);

-- ---------- one expression, and nothing after it ----------
SELECT compile_segment(NULL);
SELECT compile_segment('');
SELECT compile_segment('  -- nothing');
SELECT compile_segment('true, false');
SELECT compile_segment('true AS wanted');
SELECT compile_segment('true; DROP TABLE shop_event');
SELECT compile_segment('true;');
SELECT compile_segment('true FROM shop_event');
SELECT compile_segment('true WHERE true');
SELECT compile_segment('true GROUP BY 1');
SELECT compile_segment('true HAVING true');
SELECT compile_segment('true ORDER BY 1');
SELECT compile_segment('true LIMIT 1');
SELECT compile_segment('true FOR UPDATE');
SELECT compile_segment('true WINDOW w AS ()');
SELECT compile_segment('DISTINCT true');
SELECT compile_segment('true UNION SELECT false');
SELECT compile_segment('SELECT true');
SELECT compile_segment(E'\n with buyer AS (SELECT 1) SELECT true FROM buyer');
SELECT compile_segment('true)) UNION SELECT profile_id FROM cdp.profiles --');
SELECT compile_segment('profile.country := ''FR''');
SELECT compile_segment('*');
SELECT compile_segment('event.*');
SELECT compile_segment('count(event.*) > 1');
SELECT compile_segment('$1 = 3');

-- ---------- names that do not exist, errors of types: PostgreSQL's own ----------
SELECT compile_segment('profile.contry = ''FR''');
SELECT compile_segment('profile.country = ''FR'' AND count(event.amout) > 3');
SELECT compile_segment('count(events.amount) > 3');
SELECT compile_segment('segment.byers');
SELECT compile_segment('NOT segment.byers AND segment.buyers');
SELECT compile_segment('segment IS NULL');
SELECT compile_segment('sume(event.amount) > 3');
SELECT compile_segment('sum(event.product) > 3');
SELECT compile_segment('profile.score > ''high''');
SELECT compile_segment('profile.country = ''Åland''
    AND profile.cåuntry = ''Åland'' AND profile.scåre = 3');

-- ---------- columns of event stand in aggregates ----------
SELECT compile_segment('event.amount > 3');
SELECT compile_segment('count(*) > 1 AND event.amount > 3');
SELECT compile_segment('event_name = ''purchase''');
SELECT compile_segment('EXISTS (SELECT FROM shop_event AS s WHERE s.amount = event.amount)');
SELECT compile_segment('EXISTS (SELECT max(s.amount + event.amount) FROM shop_event AS s)');
SELECT compile_segment('sum(count(*)) > 3');
SELECT compile_segment('max(profile.score) > 3');
SELECT compile_segment('count(*) FILTER (WHERE profile.country = ''FR'') > 3');

-- ---------- whole rows ----------
SELECT compile_segment('profile IS NOT NULL');
SELECT compile_segment('to_jsonb(profile) ? ''country''');
SELECT compile_segment('count(event) > 1');

-- ---------- one value for each person, the same each time ----------
SELECT compile_segment('random() < 0.1');
SELECT compile_segment('count(*) FILTER (WHERE event.amount > random()) > 1');
SELECT compile_segment('EXISTS (SELECT FROM shop_event AS s WHERE s.amount > random())');
SELECT compile_segment('clock_timestamp() > now()');
SELECT compile_segment('nextval(''shop_sequence'') > 1');
SELECT compile_segment('pg_sleep(1) IS NULL');
SELECT compile_segment('generate_series(1, 2) > 1');
SELECT compile_segment('count(*) > 1 AND unnest(ARRAY[true, false])');
SELECT compile_segment('count(*) OVER () > 1');
SELECT compile_segment('profile.country = ''Åland'' AND rank() OVER (ORDER BY profile.score) < 10');
SELECT compile_segment('(WITH gone AS (DELETE FROM shop_event RETURNING 1) SELECT count(*) FROM gone) > 1');
SELECT compile_segment('EXISTS (SELECT FROM shop_event FOR UPDATE)');
SELECT compile_segment('EXISTS (SELECT FROM shop_event TABLESAMPLE BERNOULLI (10))');
SELECT compile_segment('EXISTS (SELECT FROM shop_event TABLESAMPLE BERNOULLI (10) REPEATABLE (1))') IS NOT NULL AS compiled;

-- ---------- literals that would stay at the moment of the declaration ----------
SELECT compile_segment('max(event.occurred_at) > ''yesterday''');
SELECT compile_segment('max(event.occurred_at) > timestamptz ''now''');
SELECT compile_segment('max(event.occurred_at) > date ''TODAY ''');
SELECT compile_segment('max(event.occurred_at) > ''now''::text::timestamptz');
SELECT compile_segment('max(event.occurred_at) > CAST(''tomorrow 12:00'' AS timestamp)');
SELECT compile_segment('max(event.occurred_at) = ANY (''{now}'')');
SELECT compile_segment('max(event.occurred_at) <@ tstzrange(''now'', NULL)');
SELECT compile_segment('count(*) FILTER (WHERE event.occurred_at > ''today'') > 3');
SELECT compile_segment('max(event.occurred_at) > U&''\006eow''');
-- words elsewhere are words
SELECT compile_segment('profile.country = ''now'' AND max(event.product) <> ''today''') IS NOT NULL AS compiled;
SELECT compile_segment('max(event.occurred_at) < ''infinity'' AND max(event.occurred_at) > ''epoch''') IS NOT NULL AS compiled;

-- ---------- types ----------
\set SHOW_CONTEXT never
SELECT compile_segment('count(*)');
SELECT compile_segment('''yes''');
SELECT compile_segment('NULL');
SELECT compile_segment('NULL::boolean') IS NOT NULL AS compiled;
SELECT create_computed_trait('whole', 'ROW(count(*), 2)');
SELECT create_computed_trait('point', 'CASE WHEN count(*) > 1 THEN point(1, 2) END');
SELECT create_computed_trait('array_of_point', 'array_agg(point(1, event.amount))');
SELECT create_computed_trait('volatile', 'random()');
SELECT create_computed_trait('people', 'max(profile.score)');
SELECT create_computed_trait('itself', 'count(*) + profile.itself');

-- ---------- the stack and memory have an end ----------
SELECT compile_segment('0' || repeat(' + 1', 100000) || ' > 0');
\set VERBOSITY terse
SELECT compile_segment(repeat('(', 100000) || 'true' || repeat(')', 100000));
SELECT length(compile_segment((SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s) >= 0', i), ' AND ') FROM generate_series(1, 1000) AS i))) > 1000 AS compiled;
SELECT compile_segment((SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s) >= 0', i), ' AND ') FROM generate_series(1, 2000) AS i));
\set VERBOSITY default
SELECT create_segment('too_many', (SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s) >= 0', i), ' AND ') FROM generate_series(1, 1601) AS i));
SELECT create_computed_trait('too_many', (SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s * profile.event_count)', i), ' + ') FROM generate_series(1, 1601) AS i));
-- in real time, those count as well that say when windows close
SELECT create_segment('windows', (SELECT string_agg(format('count(*) FILTER (WHERE event.occurred_at > now() - interval ''%s days'') >= 0', i), ' AND ') FROM generate_series(1, 801) AS i), refresh => 'realtime');
SELECT create_segment('windows', (SELECT string_agg(format('count(*) FILTER (WHERE event.occurred_at > now() - interval ''%s days'') >= 0', i), ' AND ') FROM generate_series(1, 801) AS i), refresh => 'batch') IS NOT NULL AS is_there;
SELECT alter_segment('windows', refresh => 'realtime');
SELECT drop_segment('windows');
-- as many as there may be
SELECT create_segment('many', (SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s) >= 0', i), ' AND ') FROM generate_series(1, 1600) AS i), refresh => 'batch') IS NOT NULL AS is_there;
SELECT create_computed_trait('many_of_each', (SELECT string_agg(format('count(*) FILTER (WHERE event.amount > %s * profile.event_count)', i), ' + ') FROM generate_series(1, 1600) AS i), refresh => 'batch') IS NULL AS is_null;
CALL refresh_segments();
SELECT name, status, error FROM segments WHERE name = 'many';

DROP TABLE shop_event CASCADE;
SELECT teardown(false);
RESET search_path;
