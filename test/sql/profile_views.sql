-- Traits and the unified views: columns that come, change, go and are renamed,
-- under views of others; values that do not fit; what is stored against what
-- follows from the records; one person in one call.
SET client_min_messages = warning;
\pset null NULL
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA shop;
CREATE TABLE shop.contact (id integer PRIMARY KEY, modified timestamptz, email text, crm text, name text, country text, score integer, prefers jsonb, balance numeric(8, 2), vip boolean, since timestamptz);
INSERT INTO shop.contact VALUES
    (1, '2026-01-01 00:00+00', 'ann@x.example', 'c1', 'Ann', 'DE', 3, '{"a": 1}', 10.50, true, '2020-02-02 00:00+00'),
    (2, '2026-01-05 00:00+00', 'ann@x.example', NULL, NULL, 'FR', 5, 'null', 10.5, NULL, NULL),
    (3, '2026-01-02 00:00+00', 'cy@x.example', 'c3', 'Cy', 'DE', 1, NULL, NULL, false, NULL);
CREATE TABLE shop.visit (id integer PRIMARY KEY, at timestamptz, browser text, email text, page text, amount numeric);
INSERT INTO shop.visit VALUES (1, '2026-01-03 00:00+00', 'b1', 'ann@x.example', 'home', 20), (2, '2026-01-04 00:00+00', 'b1', NULL, 'cart', NULL), (3, '2026-01-04 00:00+00', 'b2', NULL, 'home', 5);

-- Before there is anything.
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'cdp' AND table_name = 'profiles' ORDER BY ordinal_position;
SELECT cdp.materialize_profiles(), cdp.materialize_profiles('{}'), cdp.materialize_profiles('{1,2,NULL,-5}');
SELECT cdp.get_profile('email', 'nobody@x.example'), cdp.get_profile(NULL), cdp.get_profile(12345), cdp.get_profile(NULL, NULL);

-- Declared traits and those that come with a source.
SELECT cdp.create_trait('name', 'text', survivorship => 'priority', sources => ARRAY['crm'], ignore_empty => true);
SELECT cdp.create_trait('name', 'varchar', survivorship => 'priority', sources => ARRAY['crm'], ignore_empty => true);
SELECT cdp.create_source('crm', 'shop.contact', record_key => 'id', observed_at => 'modified', identifiers => 'email AS email, crm AS crm_id',
    traits => 'name AS name, country AS country, score AS score, prefers AS prefers, balance AS balance, vip AS vip, since AS since');
SELECT cdp.create_source('web', 'shop.visit', record_key => 'id', occurred_at => 'at', observed_at => 'at', event_name => 'page',
    identifiers => 'browser AS anonymous_id, email AS email', properties => 'amount AS amount');
SELECT "check", severity, detail FROM cdp.profile_health();
CALL cdp.refresh();
SELECT "check", severity, detail FROM cdp.profile_health();
SET timezone = 'UTC';
\x on
SELECT * FROM cdp.profiles ORDER BY profile_id;
\x off
SELECT trait, key, type, survivorship, sources, ignore_empty, history, is_declared, given_by FROM cdp.traits ORDER BY trait;
SELECT profile_id, event_name, occurred_at, source, record_key, properties, amount FROM cdp.events ORDER BY record_key;
SELECT profile_id, trait, t.value, source, is_winner FROM cdp.profile_values AS v, cdp.profile_traits(v.value, cdp.current_survivorship()) AS t WHERE trait IN ('name', 'country') ORDER BY profile_id, trait, observed_at;
SELECT cdp.current_survivorship();
SELECT jsonb_pretty(cdp.get_profile('email', ' ANN@x.example', events => 1) #- '{identifiers,0,created_at}' #- '{identifiers,1,created_at}' #- '{identifiers,2,created_at}');
SELECT cdp.get_profile(cdp.resolve('email', 'ann@x.example'), 0) -> 'events' AS none, jsonb_array_length(cdp.get_profile(cdp.resolve('email', 'ann@x.example'), NULL) -> 'events') AS all_of_them;
SELECT cdp.get_profile(1, -1);
SELECT * FROM cdp.explain_trait(cdp.resolve('email', 'ann@x.example'), 'country');
SELECT * FROM cdp.explain_trait(cdp.resolve('email', 'ann@x.example'), 'name');
SELECT * FROM cdp.explain_trait(cdp.resolve('email', 'ann@x.example'), 'nothing');
SELECT * FROM cdp.explain_trait(987654, 'name');
SELECT obj_description('cdp.profiles'::regclass) AS view, col_description('cdp.profiles'::regclass, 14) AS trait, col_description('cdp.profiles'::regclass, 15) AS undeclared, col_description('cdp.profiles'::regclass, 10) AS namespace;

-- Only what differs is written.
CREATE TABLE shop.before AS SELECT profile_id, xmin::text::bigint AS written FROM cdp_data.profile_row;
SELECT cdp.materialize_profiles(ARRAY(SELECT profile_id FROM cdp.profiles)) AS again;
UPDATE shop.contact SET country = 'NO', modified = '2026-02-01 00:00+00' WHERE id = 3;
CALL cdp.refresh();
SELECT p.country, p.xmin::text::bigint <> b.written AS is_written FROM cdp_data.profile_row AS p JOIN shop.before AS b USING (profile_id) ORDER BY profile_id;
INSERT INTO cdp_data.changed_profile VALUES (0);
SELECT cdp.materialize_profiles() AS everybody_again;
SELECT count(*) FROM cdp_data.changed_profile;

-- Errors of declarations.
SELECT cdp.create_trait('name', 'text');
SELECT cdp.create_trait('x', 'text', survivorship => 'best');
SELECT cdp.create_trait('x', 'text', survivorship => 'priority');
SELECT cdp.create_trait('x', 'text', survivorship => 'last', sources => ARRAY['crm']);
SELECT cdp.create_trait('x', 'text', survivorship => 'priority', sources => ARRAY['crm', NULL]);
SELECT cdp.create_trait('x', 'text', survivorship => 'priority', sources => ARRAY['crm', 'shop', 'crm']);
SELECT cdp.create_trait('x', 'text', survivorship => 'priority', sources => ARRAY[['crm', 'shop']]);
SELECT cdp.alter_trait('name', sources => ARRAY['crm', 'crm']);
SELECT cdp.create_trait('x', NULL);
SELECT cdp.create_trait('x', 'anyelement');
SELECT cdp.create_trait('', 'text'), cdp.create_trait(NULL, 'text');
SELECT cdp.create_trait(repeat('x', 64), 'text');
SELECT cdp.create_trait('event_count', 'text');
SELECT cdp.create_trait('xmin', 'text');
SELECT cdp.create_trait('score', 'boolean');
SELECT cdp.alter_trait('nobody', 'text');
SELECT cdp.drop_trait('score');
SELECT cdp.create_source('erp', 'shop.contact', record_key => 'id', identifiers => 'email AS email', traits => 'country AS score');
SELECT cdp.create_source('erp', 'shop.contact', record_key => 'id', identifiers => 'email AS email', traits => 'country AS name, score AS name');
SELECT cdp.create_source('erp', 'shop.contact', record_key => 'id', identifiers => 'email AS email', traits => 'country AS first_seen');
SELECT cdp.create_namespace('last_seen');

-- Types in which traits are kept.
SELECT t, cdp.trait_type(t::regtype)::text FROM unnest(ARRAY['integer', 'real', 'date', 'uuid', 'json', 'text[]', 'timestamp', 'name', 'inet', 'information_schema.cardinal_number', 'bool', 'shop.contact']) AS t;

-- Columns under somebody's view.
CREATE VIEW shop.germans AS SELECT profile_id, name, score FROM cdp.profiles WHERE country = 'DE';
SELECT cdp.create_trait('colour', 'text');
SELECT cdp.alter_trait('score', 'numeric');
SELECT cdp.alter_trait('colour', 'bigint');
SELECT cdp.rename_trait('score', 'points');
SELECT cdp.rename_trait('points', 'name');
SELECT cdp.rename_trait('points', 'email');
SELECT cdp.rename_trait('points', 'profile_id');
SELECT cdp.create_trait('score', 'text');
SELECT pg_get_viewdef('shop.germans') ~ 'points AS score' AS follows;
SELECT trait, key FROM cdp.traits WHERE key = 'score';
SELECT value, reason FROM cdp.explain_trait(cdp.resolve('email', 'ann@x.example'), 'points');
SELECT cdp.get_profile('email', 'ann@x.example') #> '{traits,points,value}' AS points;
UPDATE shop.contact SET score = 9, modified = '2026-03-01 00:00+00' WHERE id = 1;
CALL cdp.refresh();
SELECT points FROM cdp.profiles WHERE email = 'ann@x.example';
SELECT cdp.create_source('erp', 'shop.contact', record_key => 'id', identifiers => 'email AS email', traits => 'score AS points');
SELECT cdp.rename_trait('points', 'score');
-- What nothing reads goes though the view is read, and leaves an empty column; the same trait takes it again.
SELECT cdp.drop_trait('colour');
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'cdp.profiles'::regclass AND attname = 'colour';
SELECT count(colour) FROM cdp.profiles;
SELECT cdp.create_trait('colour', 'bigint');
SELECT cdp.create_trait('colour', 'text');
SELECT cdp.alter_source('crm', traits => 'name AS name, score AS score');
SELECT cdp.drop_trait('country');
DROP VIEW shop.germans;
-- With nothing in the way it is made anew, for the same readers.
CREATE ROLE cdp_test_reader;
GRANT SELECT ON cdp.profiles TO cdp_test_reader;
SELECT cdp.drop_trait('country'), cdp.drop_trait('colour');
SELECT cdp.alter_trait('score', 'numeric');
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'cdp.profiles'::regclass AND attnum > 0;
SELECT has_table_privilege('cdp_test_reader', 'cdp.profiles', 'SELECT') AS may_read, relowner::regrole::text = current_user AS is_ours FROM pg_class WHERE oid = 'cdp.profiles'::regclass;
CALL cdp.refresh();
SELECT name, score, pg_typeof(score) FROM cdp.profiles ORDER BY profile_id;
DROP OWNED BY cdp_test_reader;
DROP ROLE cdp_test_reader;

-- A trait named like a namespace: its value, or else the identifier.
SELECT cdp.create_trait('email', 'text');
SELECT cdp.identify('{"email": "cy@x.example"}', 'app', '1', '2026-04-01 00:00+00', traits => '{"email": "Cy <cy@x.example>", "score": "many", "undeclared": 1}');
CALL cdp.refresh();
SELECT name, email FROM cdp.profiles WHERE crm_id IS NOT NULL ORDER BY profile_id;
SELECT cdp.create_trait('crm_id', 'bigint');
CALL cdp.refresh();
SELECT name, crm_id FROM cdp.profiles ORDER BY profile_id;
SELECT cdp.drop_trait('crm_id');
CALL cdp.refresh();
SELECT name, crm_id FROM cdp.profiles ORDER BY profile_id;
-- A value that does not fit the type that is declared later.
SELECT cdp.identify('{"email": "cy@x.example"}', 'app', '2', '2026-04-02 00:00+00', traits => '{"shoe": "large"}');
SELECT cdp.identify('{"email": "ann@x.example"}', 'app', '3', '2026-04-02 00:00+00', traits => '{"shoe": 38}');
SELECT cdp.create_trait('shoe', 'integer');
CALL cdp.refresh();
SELECT name, shoe FROM cdp.profiles WHERE crm_id IS NOT NULL ORDER BY profile_id;

-- Namespaces of one's own.
SELECT cdp.create_namespace('wallet', 'lower', priority => 3);
SELECT cdp.identify('{"email": "cy@x.example", "wallet": "W1"}', 'app', '4', '2026-04-03 00:00+00');
CALL cdp.refresh();
SELECT wallet, count(*) FROM cdp.profiles GROUP BY wallet ORDER BY wallet;
SELECT cdp.create_namespace('unused', 'lower', priority => 3);
SELECT cdp.drop_namespace('unused');
SELECT count(*) FROM pg_attribute WHERE attrelid = 'cdp.profiles'::regclass AND attname = 'unused';

-- What people decide: the rows follow, also of the one who stays.
SELECT cdp.cannot_link('email', 'ann@x.example', 'anonymous_id', 'b1');
SELECT cdp.get_profile('email', 'ann@x.example') -> 'event_count' AS before_refresh, (SELECT event_count FROM cdp.profiles WHERE profile_id = cdp.resolve('email', 'ann@x.example')) AS stored;
CALL cdp.refresh();
SELECT email, anonymous_id, is_known, event_count, record_count, first_seen, last_seen FROM cdp.profiles ORDER BY email, anonymous_id;
SELECT cdp.block_identifier('anonymous_id', 'b2');
CALL cdp.refresh();
SELECT count(*) FROM cdp.profiles WHERE anonymous_id = 'b2';
SELECT jsonb_pretty(cdp.get_profile('anonymous_id', 'b2') #- '{identifiers,0,created_at}');
SELECT cdp.retract('app', '1'), cdp.retract('app', '4');
DELETE FROM shop.contact WHERE id = 3;
CALL cdp.refresh(full_compare => true, allow_deletes => true);
SELECT email, wallet, name, record_count, first_seen FROM cdp.profiles WHERE is_known ORDER BY profile_id;

-- Kept data outlives the extension: values of the type are text meanwhile.
CREATE TABLE shop.kept AS SELECT * FROM cdp.profiles;
CREATE TABLE shop.kept_values AS SELECT profile_id, value::text AS value FROM cdp.profile_values;
SELECT cdp.teardown(true);
DROP EXTENSION cdp;
SELECT relname, atttypid::regtype FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'cdp_data'::regnamespace AND attname IN ('traits', 'value') AND relname IN ('contribution', 'contribution_history', 'profile_value') AND relkind = 'r' ORDER BY 1;
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT count(*) FROM cdp.profiles AS p JOIN shop.kept AS k ON p::text = k::text;
SELECT count(*) FROM cdp.profile_values AS p JOIN shop.kept_values AS k ON p.profile_id = k.profile_id AND p.value::text = k.value;
INSERT INTO cdp_data.changed_profile VALUES (0);
SELECT cdp.materialize_profiles() AS changed;

DROP SCHEMA shop CASCADE;
SELECT cdp.teardown(false);
