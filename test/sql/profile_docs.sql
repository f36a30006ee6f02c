-- The examples of docs/profile.md; test/t/docs.pl compares the two.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE TABLE contact (id text, modified timestamptz, email text, first_name text, last_name text, country text);
INSERT INTO contact VALUES
    ('17', '2026-01-05 09:00+00', 'ann@example.com', 'Ann', 'Smith', 'GB'),
    ('18', '2026-01-06 09:00+00', 'bob@example.com', 'Bob', 'Jones', 'IE');
CREATE TABLE ticket (id integer, opened timestamptz, sender text, signed text, mark integer);
INSERT INTO ticket VALUES
    (1, '2026-01-07 10:00+00', 'Ann@Example.com', 'annie', 2),
    (2, '2026-02-08 10:00+00', 'ann@example.com', '',      5);
CREATE TABLE visit (id integer, seen timestamptz, browser text, login text, path text);
INSERT INTO visit VALUES
    (1, '2026-01-10 12:00+00', 'laptop', 'ann@example.com', '/pricing'),
    (2, '2026-01-11 12:00+00', 'laptop', NULL,              '/docs'),
    (3, '2026-01-12 12:00+00', 'kiosk',  NULL,              '/');

-- unified profiles
SELECT cdp.create_trait('name', 'text', survivorship => 'priority',
                        sources => ARRAY['crm', 'support'], ignore_empty => true);
SELECT cdp.create_trait('worst_mark', 'integer', survivorship => 'min');

SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified',
    identifiers => 'id AS crm_id, email AS email',
    traits => $$ first_name || ' ' || last_name AS name, country AS country $$);
SELECT cdp.create_source('support', 'ticket', record_key => 'id', observed_at => 'opened',
    identifiers => 'sender AS email', traits => 'signed AS name, mark AS worst_mark');
SELECT cdp.create_source('web', 'visit', record_key => 'id', occurred_at => 'seen', observed_at => 'seen',
    event_name => $$ 'visit' $$, identifiers => 'browser AS anonymous_id, login AS email',
    properties => 'path AS path');

CALL cdp.refresh();

SELECT profile_id, is_known, email, anonymous_id, name, worst_mark, country FROM cdp.profiles ORDER BY profile_id;

SELECT count(*) FILTER (WHERE is_known) AS people, count(*) FILTER (WHERE NOT is_known) AS browsers FROM cdp.profiles;

SELECT name, occurred_at, path FROM cdp.events JOIN cdp.profiles USING (profile_id) WHERE is_known ORDER BY occurred_at;

SELECT trait, t.value, source, observed_at, is_winner
FROM cdp.profile_values AS v, cdp.profile_traits(v.value, cdp.current_survivorship()) AS t
WHERE v.profile_id = cdp.resolve('email', 'ann@example.com') ORDER BY trait, observed_at;

SELECT value, source, record_key, observed_at, is_winner, reason
FROM cdp.explain_trait(cdp.resolve('email', 'ann@example.com'), 'name');

SELECT jsonb_pretty(cdp.get_profile('email', 'ann@example.com', events => 1) -> 'traits' -> 'worst_mark');

-- traits
CREATE VIEW british AS SELECT profile_id, name FROM cdp.profiles WHERE country = 'GB';

SELECT cdp.alter_trait('worst_mark', survivorship => 'last', ignore_empty => true);

SELECT cdp.rename_trait('country', 'home_country');

SELECT trait, key, type, survivorship, given_by FROM cdp.traits ORDER BY trait;

SELECT cdp.alter_source('crm', traits => $$ first_name || ' ' || last_name AS name $$);
SELECT cdp.drop_trait('home_country');

DROP VIEW british;
SELECT cdp.drop_trait('home_country');

-- the end
SELECT cdp.materialize_profiles(ARRAY[cdp.resolve('email', 'ann@example.com')]);
DROP TABLE contact, ticket, visit;
SELECT cdp.teardown(false);

-- the type
SET search_path = public, cdp;
CREATE TABLE person_says (person integer, says cdp.profile);
INSERT INTO person_says VALUES
    (1, cdp.profile_build('crm',  '2026-01-05 09:00Z', '{"email": "ann@example.com", "city": "Leeds"}', record => 17)),
    (1, cdp.profile_build('shop', '2026-02-01 12:30Z', '{"email": "ann@work.example", "points": 120}', record => 4711)),
    (1, cdp.profile_of('shop', timestamptz '2026-02-03 08:00Z', 4712, 'points', 95, 'last_order', timestamptz '2026-02-03 07:58Z')),
    (2, cdp.profile_build('crm',  '2026-01-06 10:00Z', '{"email": "bob@example.com", "city": null}', record => 18));
CREATE TABLE person AS
SELECT person, cdp.profile_agg(says) AS profile FROM person_says GROUP BY person;
SELECT person, profile ->> 'email' AS email, profile['points'] AS points, profile::jsonb FROM person ORDER BY person;
SELECT jsonb_pretty((profile - '{email,last_order}'::text[])::text::jsonb) AS profile FROM person WHERE person = 1;
SELECT '{"city": "Leeds", "size": {"value": "Infinity", "type": "numeric"}, "tags": {"value": ["a", "b"], "source": "crm"}}'::cdp.profile;
SELECT value, source, record, is_winner, reason
FROM person, cdp.explain_trait(profile, 'email', '{"default": "last", "traits": {"email": {"policy": "priority", "sources": ["crm", "shop"], "ignore_empty": true}}}')
WHERE person = 1;
SELECT person, cdp.get_bigint(profile, 'points', '"max"') AS most_points,
       cdp.profile_winners(profile, '{"traits": {"email": "first"}}') AS winners
FROM person ORDER BY person;
CREATE INDEX ON person USING gin (profile cdp.profile_gin_ops);
SELECT person FROM person WHERE profile @> '{"city": "Leeds"}';
DROP TABLE person, person_says;
RESET search_path;
