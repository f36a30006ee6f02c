-- Computed traits: declaring, changing, renaming and dropping them; what is refused, and why.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT cdp.setup();
CREATE SCHEMA shop;
CREATE TABLE shop.person (id bigint PRIMARY KEY, email text, country text, changed timestamptz);
CREATE TABLE shop.sale (id bigint PRIMARY KEY, email text, amount numeric, at timestamptz);
INSERT INTO shop.person VALUES (1, 'ann@example.org', 'US', '2026-01-01'), (2, 'bob@example.org', 'DE', '2026-01-02');
INSERT INTO shop.sale VALUES (1, 'ann@example.org', 10, '2026-02-01'), (2, 'ann@example.org', 20, '2026-02-02'), (3, 'bob@example.org', 5, '2026-02-03');
SELECT cdp.create_source('people', 'shop.person', record_key => 'id', observed_at => 'changed', identifiers => 'email', traits => 'country');
SELECT cdp.create_source('sales', 'shop.sale', record_key => 'id', occurred_at => 'at', event_name => $$'sale'$$, identifiers => 'email', properties => 'amount');
CALL cdp.refresh();

-- Declared: a column, a definition, facts, and work for the next refresh.
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'sale') $$, description => 'what they spent');
SELECT name, definition, type, refresh, status, evaluated_at, owner = current_user AS own, time_zone, description, created_at = changed_at AS unchanged
FROM cdp.computed_traits;
SELECT name, kind, depends_on_kind, depends_on, detail FROM cdp.segment_dependencies ORDER BY 1, 3, 4;
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid IN ('cdp.profiles'::regclass, 'cdp_data.profile_row'::regclass) AND attname = 'spent';
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" LIKE 'computed%';

SELECT * FROM cdp.explain_trait(cdp.resolve('email', 'ann@example.org'), 'spent');

-- The same again does nothing, another needs replace.
UPDATE cdp_data.expression_state SET status = 'ok';
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'sale') $$, description => 'what they spent');
SELECT status FROM cdp.computed_traits;
SELECT cdp.create_computed_trait('spent', 'count(*)');
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'sale') $$);
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'sale') $$, description => 'all that they spent', replace => true);
SELECT status, description FROM cdp.computed_traits;
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'sale')::bigint $$, replace => true);
SELECT status, type, description, changed_at > created_at AS changed FROM cdp.computed_traits;

-- Values are evaluation's: deriving a person leaves them alone.
UPDATE cdp_data.profile_row SET spent = 30, country = 'XX' WHERE email = 'ann@example.org';
SELECT cdp.materialize_profiles(ARRAY(SELECT profile_id FROM cdp.profiles));
SELECT email, country, spent FROM cdp.profiles ORDER BY email;
UPDATE cdp_data.profile_row SET country = 'XX';
INSERT INTO cdp_data.changed_profile VALUES (0);
SELECT cdp.materialize_profiles();
SELECT email, country, spent FROM cdp.profiles ORDER BY email;

-- Traits that need traits, and segments between them.
SELECT cdp.create_computed_trait('is_buyer', 'profile.spent > 0');
SELECT cdp.create_segment('buyers', 'profile.is_buyer');
SELECT cdp.create_computed_trait('kind', $$ CASE WHEN segment.buyers THEN 'buyer' ELSE profile.country END $$);
SELECT name, kind, depends_on_kind, depends_on, detail FROM cdp.segment_dependencies WHERE depends_on_kind IN ('trait', 'segment') ORDER BY 1, 2, 3, 4;
-- a change reaches all that need it
UPDATE cdp_data.expression_state SET status = 'ok';
SELECT cdp.alter_computed_trait('spent', $$ sum(event.amount) $$);
SELECT name, type, status FROM cdp.computed_traits ORDER BY name;
SELECT name, status FROM cdp.segments;
-- and is undone where one of them could not go on
SELECT cdp.alter_computed_trait('spent', $$ max(event.event_name) $$);
SELECT name, type, status FROM cdp.computed_traits ORDER BY name;
-- a type that changes along the way
SELECT cdp.create_computed_trait('twice', 'profile.spent * 2');
SELECT cdp.create_computed_trait('more', 'profile.twice + 1');
SELECT name, type FROM cdp.computed_traits WHERE name IN ('spent', 'twice', 'more') ORDER BY name;
SELECT cdp.alter_computed_trait('spent', $$ sum(event.amount)::float8 $$);
SELECT name, type FROM cdp.computed_traits WHERE name IN ('spent', 'twice', 'more') ORDER BY name;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'cdp.profiles'::regclass AND attname IN ('spent', 'twice', 'more') ORDER BY attnum;
CREATE VIEW shop.rich AS SELECT profile_id, spent FROM cdp.profiles WHERE spent > 100;
SELECT cdp.alter_computed_trait('spent', $$ sum(event.amount) $$);
DROP VIEW shop.rich;

-- Cycles.
SELECT cdp.create_computed_trait('spent', 'profile.spent + 1', replace => true);
SELECT cdp.create_computed_trait('spent', 'profile.more + 1', replace => true);
SELECT cdp.create_segment('buyers', $$ profile.kind = 'buyer' $$, replace => true);
SELECT cdp.check_expression_cycle('trait', 'spent', '{trait}', '{more}');
SELECT cdp.check_expression_cycle('segment', 'buyers', '{event_name,trait}', '{sale,kind}');
SELECT cdp.check_expression_cycle('trait', 'more', '{trait,segment}', '{spent,buyers}');

-- Renamed: the column, and what was built on it.
CREATE VIEW shop.seen AS SELECT email, more FROM cdp.profiles;
SELECT cdp.rename_computed_trait('more', 'even_more');
SELECT name FROM cdp.computed_traits ORDER BY name;
SELECT replace(pg_get_viewdef('shop.seen'), 'profiles.', '') AS definition;
SELECT cdp.rename_computed_trait('even_more', 'even_more');
SELECT cdp.rename_computed_trait('twice', 'double');
SELECT cdp.rename_computed_trait('even_more', 'spent');
SELECT cdp.rename_computed_trait('even_more', 'country');
SELECT cdp.rename_computed_trait('even_more', 'email');
SELECT cdp.rename_computed_trait('even_more', NULL);
SELECT cdp.rename_computed_trait('country', 'land');

-- Dropped: refused while something needs it, of ours or of others.
SELECT cdp.drop_computed_trait('even_more');
DROP VIEW shop.seen;
SELECT cdp.drop_computed_trait('even_more');
SELECT cdp.drop_computed_trait('spent');
SET client_min_messages = notice;
SELECT cdp.drop_computed_trait('twice', cascade => true);
SELECT cdp.drop_computed_trait('spent', cascade => true);
SET client_min_messages = warning;
SELECT name FROM cdp.computed_traits;
SELECT count(*) FROM cdp_data.expression_fact;
SELECT count(*) FROM cdp_data.expression_state;
SELECT attname FROM pg_attribute WHERE attrelid = 'cdp_data.profile_row'::regclass AND attname IN ('spent', 'twice', 'more', 'kind', 'is_buyer');

-- Names.
SELECT cdp.create_computed_trait(NULL, '1');
SELECT cdp.create_computed_trait('', '1');
SELECT cdp.create_computed_trait(repeat('x', 64), '1');
SELECT cdp.create_computed_trait('profile_id', '1');
SELECT cdp.create_computed_trait('country', '1');
SELECT cdp.create_computed_trait('email', '1');
SELECT cdp.create_computed_trait('ctid', '1');
SELECT cdp.create_computed_trait('What "is" it', 'count(*)');
SELECT cdp.create_computed_trait('again', 'profile."What ""is"" it" + 1');
SELECT name, type FROM cdp.computed_traits ORDER BY name;
SELECT "What ""is"" it", again FROM cdp.profiles LIMIT 0;
SELECT cdp.drop_computed_trait('What "is" it', true);
-- and the other way round
SELECT cdp.create_computed_trait('visits', 'count(*)');
SELECT cdp.create_trait('visits', 'bigint');
SELECT cdp.rename_trait('country', 'visits');
SELECT cdp.alter_source('people', traits => 'country, 1 AS visits');
SELECT cdp.create_namespace('visits');
SELECT name, type FROM cdp.profile_columns() WHERE name = 'visits';
SELECT cdp.drop_computed_trait('visits');
SELECT name, type FROM cdp.profile_columns() WHERE name = 'visits';
SELECT cdp.drop_namespace('visits');

-- Types.
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE DOMAIN shop.percent AS numeric(5, 2) NOT NULL CHECK (VALUE <= 100);
CREATE TYPE shop.pair AS (a integer, b text);
SELECT cdp.create_computed_trait('a', $$ 'good'::shop.mood $$);
SELECT cdp.create_computed_trait('b', $$ 12.5::shop.percent $$);
SELECT cdp.create_computed_trait('c', $$ array_agg(DISTINCT event.source ORDER BY event.source) $$);
SELECT cdp.create_computed_trait('d', $$ max(event.occurred_at)::date $$);
SELECT cdp.create_computed_trait('e', $$ 'abc' $$);
SELECT cdp.create_computed_trait('f', $$ 'abc'::varchar(10) $$);
SELECT cdp.create_computed_trait('g', $$ jsonb_object_agg(event.record_key, event.amount) $$);
SELECT cdp.create_computed_trait('h', $$ NULL $$);
SELECT name, type FROM cdp.computed_traits ORDER BY name;
SELECT cdp.create_computed_trait('no', $$ json_agg(event.amount) $$);
SELECT cdp.create_computed_trait('no', $$ '(1,2)'::point $$);
SELECT cdp.create_computed_trait('no', $$ ROW(1, 2) $$);
SELECT cdp.create_computed_trait('no', $$ ROW(1, 'x')::shop.pair $$);
SELECT cdp.create_computed_trait('no', $$ ARRAY[ROW(1, 'x')::shop.pair] $$);
SELECT cdp.create_computed_trait('no', $$ cdp.audience_agg(event.amount::bigint) $$);
SELECT cdp.create_computed_trait('no', $$ ARRAY['(1,2)'::point] $$);
SELECT cdp.create_computed_trait('no', $$ array_agg('{}'::json) $$);

-- Other arguments.
SELECT cdp.create_computed_trait('no', NULL);
SELECT cdp.create_computed_trait('no', '');
SELECT cdp.create_computed_trait('no', '1; SELECT 2');
SELECT cdp.create_computed_trait('no', 'profile.countri');
SELECT cdp.create_computed_trait('no', '1', refresh => 'daily');
SELECT cdp.create_computed_trait('no', '1', time_zone => 'Europe/Nowhere');
SELECT cdp.create_computed_trait('no', '1', owner => 'regress_cdp_nobody');
SELECT cdp.create_computed_trait('no', '1', owner => '-');
SELECT cdp.alter_computed_trait('no', '1');
SELECT cdp.alter_computed_trait(NULL);
SELECT cdp.drop_computed_trait('no');
SELECT cdp.drop_computed_trait('country');
SELECT cdp.drop_computed_trait(NULL);
SELECT cdp.rename_computed_trait(NULL, 'x');
SELECT name FROM cdp.computed_traits WHERE name = 'no';

-- Settings are kept with the text: the time zone of the option when it was declared, the caller's search_path.
SELECT cdp.configure('time_zone', 'Europe/Berlin');
CREATE FUNCTION shop.doubled(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE TEMPORARY TABLE scratch (i integer);
SET search_path = shop, pg_temp, public, nowhere;
SELECT cdp.create_computed_trait('doubled', 'doubled(sum(event.amount))');
RESET search_path;
SELECT e.name, e.time_zone, e.search_path FROM cdp_data.expression AS e WHERE e.name IN ('a', 'doubled') ORDER BY name;
SELECT depends_on_kind, depends_on FROM cdp.segment_dependencies WHERE name = 'doubled' ORDER BY 1, 2;
-- what is not given stays; a new text comes with the path of who gives it
SELECT cdp.alter_computed_trait('doubled', description => 'twice the sum', time_zone => 'UTC', refresh => 'realtime');
SELECT e.definition, e.time_zone, e.search_path, e.description, e.is_realtime FROM cdp_data.expression AS e WHERE e.name = 'doubled';
SELECT cdp.alter_computed_trait('doubled', 'doubled(sum(event.amount)) + 1');
SELECT cdp.alter_computed_trait('doubled', 'shop.doubled(sum(event.amount)) + 1', description => '');
SELECT e.definition, e.time_zone, e.search_path, e.description, e.is_realtime FROM cdp_data.expression AS e WHERE e.name = 'doubled';
-- functions of any name and type of arguments are found
CREATE FUNCTION shop."half (of) ""it"""(text, numeric, shop.mood DEFAULT 'good') RETURNS numeric LANGUAGE sql IMMUTABLE RETURN $2 / 2;
SELECT cdp.create_computed_trait('halved', $$ shop."half (of) ""it""" ('x', sum(event.amount)) $$);
SELECT depends_on, detail FROM cdp.segment_dependencies WHERE name = 'halved' AND depends_on_kind = 'function';
SELECT "check", detail FROM cdp.health WHERE "check" LIKE '%gone';
DROP FUNCTION shop."half (of) ""it"""(text, numeric, shop.mood);
SELECT "check", detail FROM cdp.health WHERE "check" LIKE '%gone';
SELECT cdp.drop_computed_trait('halved');
-- what it needs and is gone
DROP FUNCTION shop.doubled(numeric);
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" LIKE '%gone';
SELECT depends_on, detail FROM cdp.segment_dependencies WHERE name = 'doubled' AND depends_on_kind = 'function';
SELECT cdp.drop_computed_trait('doubled');
-- a trait of records gets another type: what reads it is analysed again, or keeps it as it is
SELECT cdp.create_trait('level', 'text');
SELECT cdp.create_computed_trait('same_level', 'profile.level');
SELECT cdp.create_segment('high', $$ profile.same_level > 'b' $$);
SELECT cdp.alter_trait('level', 'bigint');
SELECT cdp.alter_segment('high', 'profile.same_level IS NOT NULL');
UPDATE cdp_data.expression_state SET status = 'ok';
SELECT cdp.alter_trait('level', survivorship => 'first');
SELECT name, status FROM cdp.segments;
SELECT cdp.alter_trait('level', 'bigint');
SELECT name, type, status FROM cdp.computed_traits WHERE name = 'same_level';
SELECT name, status FROM cdp.segments;
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'cdp.profiles'::regclass AND attname = 'same_level';
SELECT cdp.drop_computed_trait('same_level', cascade => true);
SELECT cdp.drop_trait('level');
SELECT cdp.alter_source('people', traits => 'country, id AS number');
SELECT cdp.create_computed_trait('twice', 'profile.number * 2');
SELECT cdp.alter_source('people', traits => 'country, id::text AS number');
SELECT cdp.alter_source('people', traits => 'country, id::numeric AS number');
SELECT name, type FROM cdp.computed_traits WHERE name = 'twice';
SELECT cdp.drop_computed_trait('twice');
SELECT cdp.alter_source('people', traits => 'country');
SELECT cdp.drop_trait('number');
SELECT cdp.create_computed_trait('abroad', $$ profile.country <> 'US' $$);
SELECT cdp.rename_trait('country', 'land');
SELECT cdp.rename_trait('land', 'country');
SELECT cdp.alter_source('people', reset => '{traits}');
SELECT cdp.drop_trait('country');
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" LIKE '%gone';
SELECT depends_on, detail FROM cdp.segment_dependencies WHERE name = 'abroad';

DROP SCHEMA shop CASCADE;
SELECT cdp.teardown(false);
