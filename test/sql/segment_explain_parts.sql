-- Why somebody is in a segment, or why not; previews.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS is_set_up;

CREATE SCHEMA shop;
CREATE TABLE shop.customer (id integer PRIMARY KEY, mail text, country text, tier text, changed_at timestamptz);
CREATE TABLE shop.activity (id integer PRIMARY KEY, mail text, device text, name text, at timestamptz, amount numeric);
SELECT cdp.create_trait('country', 'text', history => true);
SELECT cdp.create_source('crm', 'shop.customer', record_key => 'id', observed_at => 'changed_at', identifiers => 'mail AS email', traits => 'country, tier');
SELECT cdp.create_source('web', 'shop.activity', record_key => 'id', identifiers => 'mail AS email, device AS device_id', occurred_at => 'at', event_name => 'name', properties => 'amount');
INSERT INTO shop.customer VALUES (1, 'ann@example.com', 'DE', 'gold', '2021-01-01'), (2, 'bob@example.com', NULL, 'silver', '2021-02-01');
INSERT INTO shop.activity VALUES
    (1, 'ann@example.com', NULL, 'purchase', '2021-01-10', 600), (2, 'ann@example.com', NULL, 'login', '2021-02-10', NULL),
    (3, 'bob@example.com', NULL, 'purchase', '2021-02-15', 50), (4, NULL, 'd1', 'view', '2021-03-10', 20.5);
CALL cdp.refresh();
CREATE FUNCTION id_of(mail text) RETURNS bigint LANGUAGE sql STABLE RETURN cdp.resolve('email', mail || '@example.com');

-- ---------- the parts ----------
SELECT cdp.create_computed_trait('lifetime_value', $$ sum(event.amount) FILTER (WHERE event.event_name = 'purchase') $$);
SELECT cdp.create_segment('employee', $$ profile.email LIKE '%@shop.example' $$);
SELECT cdp.create_segment('lapsed_vip', $$
    profile.country IN ('DE', 'FR')                 -- where we deliver
    AND profile.lifetime_value > 500
    AND count(*) FILTER (WHERE event.event_name = 'login' AND event.occurred_at > now() - interval '60 days') = 0
    AND NOT segment.employee
$$, include_anonymous => false);
SELECT * FROM cdp.explain_segment('lapsed_vip', id_of('ann'), '2021-05-01');
SELECT place, depth, kind, part, result, is_decisive, note FROM cdp.explain_segment('lapsed_vip', id_of('ann'), '2021-03-01');
SELECT place, depth, kind, part, result, is_decisive, note FROM cdp.explain_segment('lapsed_vip', id_of('bob'), '2021-05-01');
SELECT place, depth, kind, part, result, is_decisive, note FROM cdp.explain_segment('lapsed_vip', id_of('ann'), '2020-12-31') WHERE depth < 2;
SELECT place, depth, kind, part, result, is_decisive, note FROM cdp.explain_segment('lapsed_vip', cdp.resolve('device_id', 'd1')) WHERE depth < 2;

-- NULL, OR and NOT; which parts decide
SELECT cdp.create_segment('mixed', $$ (profile.tier = 'gold' OR profile.tier = 'platinum' OR segment.employee) AND NOT (profile.country = 'FR' OR sum(event.amount) < 100) $$);
SELECT place, depth, kind, part, result, inputs, is_decisive, note FROM cdp.explain_segment('mixed', id_of('ann'));
SELECT place, depth, kind, part, result, inputs, is_decisive, note FROM cdp.explain_segment('mixed', id_of('bob'));
SELECT place, depth, kind, part, result, inputs, is_decisive, note FROM cdp.explain_segment('mixed', cdp.resolve('device_id', 'd1'));

-- texts that are hard to cut
SELECT cdp.create_segment('odd', $$ profile.event_count BETWEEN 1 AND 2 AND (profile.tier, profile.country) = ('gold', 'DE') AND ((true))
    /* AND nothing ( */ AND profile.email NOT IN (SELECT 'x AND y') AND profile.tier NOT LIKE '%AND%' AND (CASE WHEN profile.tier = 'gold' AND true THEN true END)
    AND (profile.event_count > 0 AND profile.event_count > 1) AND NOT EXISTS (SELECT WHERE profile.tier = 'a' OR true = false) AND "profile"."country" = E'D\x45'
    AND country = $x$DE$x$ AND percentile_cont(0.5) WITHIN GROUP (ORDER BY event.amount) FILTER (WHERE (event.amount) > 0) > 0 AND (NOT (NOT (segment.employee OR true)))
    AND profile.tier || '(' <> ')' AND 't' $$);
SELECT place, depth, kind, part, result, inputs FROM cdp.explain_segment('odd', id_of('ann'));

-- a person whose id retired; unknown ones
SELECT id_of('bob') AS bob \gset
SELECT cdp.must_link('email', 'ann@example.com', 'email', 'bob@example.com', 'married');
CALL cdp.refresh();
SELECT note FROM cdp.explain_segment('mixed', :bob) WHERE place = 1;
SELECT * FROM cdp.explain_segment('mixed', 4711);
SELECT * FROM cdp.explain_segment('no_such', 1);
SELECT * FROM cdp.explain_segment(NULL, 1);
SELECT * FROM cdp.explain_segment('mixed', NULL);

-- ---------- errors of parts ----------
SELECT cdp.create_segment('dividing', $$ profile.record_count = 2 AND 10 / (profile.record_count - 2) > 1 AND profile.tier IS NOT NULL $$);
SELECT place, depth, part, result, inputs, is_decisive, note FROM cdp.explain_segment('dividing', id_of('ann'));
SELECT place, depth, part, result, inputs, is_decisive, note FROM cdp.explain_segment('lapsed_vip', id_of('ann'), '2021-03-01') WHERE part ~ 'country';
SELECT place, depth, part, result, inputs, is_decisive, note FROM cdp.explain_segment('mixed', id_of('ann'), '2021-03-01');
-- something that it needs is gone
CREATE FUNCTION shop.is_nice(text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 LIKE 'a%';
SELECT cdp.create_segment('nice', $$ profile.event_count > 1 AND (shop.is_nice(profile.email) OR segment.employee) $$);
DROP FUNCTION shop.is_nice;
SELECT place, depth, part, result, inputs, is_decisive, note FROM cdp.explain_segment('nice', id_of('ann'));

-- ---------- queries, and what belongs to others ----------
SELECT cdp.create_segment('chosen', query => 'SELECT profile_id FROM cdp.profiles WHERE tier = ''gold'' -- all of it');
SELECT * FROM cdp.explain_segment('chosen', id_of('ann'));
SELECT * FROM cdp.explain_segment('chosen', id_of('ann'), now());
SELECT cdp.create_segment('on_chosen', $$ segment.chosen OR profile.event_count > 100 $$);
SELECT place, depth, kind, part, result, note FROM cdp.explain_segment('on_chosen', id_of('ann'));

-- a trait that two conditions read is taken apart once
SELECT cdp.create_segment('twice', $$ profile.lifetime_value > 1 AND profile.lifetime_value < 1000 $$);
SELECT place, depth, kind, part, result, inputs, note FROM cdp.explain_segment('twice', id_of('ann'));

-- ---------- rights ----------
-- The text runs with the rights of the segment's owner; the caller needs those of a reader.
CREATE ROLE explain_owner;
CREATE ROLE explain_reader;
CREATE ROLE explain_other;
SELECT cdp.grant_access('explain_owner', 'reader');
SELECT cdp.grant_access('explain_reader', 'reader');
GRANT USAGE ON SCHEMA shop TO explain_owner;
CREATE TABLE shop.favourite (mail text);
INSERT INTO shop.favourite VALUES ('ann@example.com');
GRANT SELECT ON shop.favourite TO explain_owner;
CREATE FUNCTION shop.whoami() RETURNS text LANGUAGE sql STABLE RETURN current_user;
SELECT cdp.create_segment('favourite', $$ profile.email IN (SELECT f.mail FROM shop.favourite AS f) AND shop.whoami() = 'explain_owner' $$, owner => 'explain_owner');
SET ROLE explain_reader;
SELECT part, result, inputs, note FROM cdp.explain_segment('favourite', 1);
SELECT * FROM cdp.preview_segment($$ profile.email IN (SELECT f.mail FROM shop.favourite AS f) $$);
SELECT members, people FROM cdp.preview_segment($$ profile.event_count > 1 $$);
SET ROLE explain_other;
SELECT part, result, inputs, note FROM cdp.explain_segment('favourite', 1);
SELECT * FROM cdp.preview_segment($$ profile.event_count > 1 $$);
RESET ROLE;
REVOKE SELECT ON cdp.profiles FROM explain_reader;
SET ROLE explain_reader;
SELECT part, result, inputs, note FROM cdp.explain_segment('favourite', 1);
SELECT members, people FROM cdp.preview_segment($$ profile.event_count > 1 $$);
RESET ROLE;

-- ---------- previews ----------
SELECT * FROM cdp.preview_segment($$ profile.event_count > 0 $$);
SELECT * FROM cdp.preview_segment($$ NOT segment.employee AND profile.lifetime_value > 600 $$);
SELECT * FROM cdp.preview_segment($$ profile.lifetime_value < 0 $$);
SELECT members, people, share, cardinality(sample) AS sampled, sample <@ ARRAY(SELECT profile_id FROM cdp.profiles) AS of_members
FROM cdp.preview_segment($$ count(*) > 0 $$, 1);
SELECT members, sample FROM cdp.preview_segment($$ true $$, sample => 0);
SELECT members, people, share, sample FROM cdp.preview_segment(query => 'SELECT profile_id FROM cdp.profiles UNION ALL SELECT 4711 UNION ALL SELECT NULL UNION ALL SELECT profile_id FROM cdp.profiles -- twice');
SELECT members FROM cdp.preview_segment(query => 'SELECT 1');
SET search_path = shop, public;
SELECT members FROM cdp.preview_segment($$ profile.email IN (SELECT mail FROM favourite) $$);
RESET search_path;
-- in the zone of the option
SET timezone = 'Asia/Tokyo';
SELECT cdp.configure('time_zone', 'America/New_York');
SELECT members FROM cdp.preview_segment($$ current_setting('TimeZone') = 'America/New_York' $$);
SELECT cdp.configure('time_zone', NULL);
RESET timezone;
SELECT cdp.preview_segment($$ profile.country = $$);
SELECT cdp.preview_segment($$ profile.contry = 'DE' $$);
SELECT cdp.preview_segment($$ profile.country $$);
SELECT cdp.preview_segment();
SELECT cdp.preview_segment('true', query => 'SELECT 1');
SELECT cdp.preview_segment('true', -1);
SELECT cdp.preview_segment('true', NULL);
SELECT cdp.preview_segment(query => 'SELECT email FROM cdp.profiles');
SELECT cdp.preview_segment(query => 'SELECT profile_id, email FROM cdp.profiles');
SELECT cdp.preview_segment(query => 'SELECT profile_ID FROM cdp.profile');
SELECT cdp.preview_segment(query => 'DELETE FROM shop.favourite');

-- many people: the sample is one of all members, and differs
INSERT INTO shop.activity SELECT 1000 + n, 'm' || n || '@example.com', NULL, 'view', '2021-04-01', n FROM generate_series(1, 500) AS n;
SET client_min_messages = error;
CALL cdp.refresh(on_error => 'report');
SET client_min_messages = warning;
SELECT count(DISTINCT p.sample) > 1 AS they_differ, bool_and(p.members = 250) AS are_counted, bool_and(cardinality(p.sample) = 20) AS are_complete, count(DISTINCT u.id) > 100 AS from_all
FROM (SELECT (cdp.preview_segment($$ max(event.amount) > 250 AND profile.event_count = 1 $$, 20)).* FROM generate_series(1, 30)) AS p, unnest(p.sample) AS u(id);

-- what is stored, and a segment of which the evaluation failed because of somebody else
SELECT note ~ '^in, since 20' AS since FROM cdp.explain_segment('twice', id_of('ann')) WHERE place = 1;
SELECT place, result, note FROM cdp.explain_segment('dividing', id_of('m1')) WHERE depth < 2;

DROP FUNCTION id_of;
DROP SCHEMA shop CASCADE;
-- people without an identifier of a person are left out of a query, too
SELECT cdp.create_segment('everybody', query => 'SELECT profile_id FROM cdp.profiles', include_anonymous => false);
SELECT cdp.track('{"anonymous_id": "nobody"}', 'visit', now(), record_key => 'anonymous') \g /dev/null
CALL cdp.refresh(on_error => 'report');
SELECT depth, part, result, is_decisive, note FROM cdp.explain_segment('everybody', cdp.resolve('anonymous_id', 'nobody'));
SELECT cdp.alter_segment('everybody', include_anonymous => true);
SELECT depth, part, result, is_decisive, note FROM cdp.explain_segment('everybody', cdp.resolve('anonymous_id', 'nobody'));

-- an id that retired stands for its successor in a query, too
CREATE TABLE public.invited (profile_id bigint);
SELECT cdp.track(jsonb_build_object('email', name || '@example.com'), 'visit', now(), record_key => name) FROM unnest('{eva,eve}'::text[]) AS name \g /dev/null
SELECT cdp.materialize_profiles() IS NOT NULL AS derived;
INSERT INTO invited VALUES (cdp.resolve('email', 'eva@example.com')), (cdp.resolve('email', 'eve@example.com'));
SELECT cdp.must_link('email', 'eva@example.com', 'email', 'eve@example.com', 'the same');
SELECT cdp.resolve('email', 'eva@example.com') AS eva \gset
DELETE FROM invited WHERE profile_id = :eva;
SELECT count(*) AS retired FROM invited;
SELECT cdp.create_segment('invited', query => 'SELECT profile_id FROM invited UNION ALL SELECT NULL UNION ALL SELECT 4711');
SELECT cdp.segment_sql('invited') AS statement \gset
SELECT kind, result, note FROM cdp.explain_segment('invited', :eva);
SELECT kind, result, is_decisive FROM cdp.explain_segment('invited', (SELECT profile_id FROM invited));
SELECT members, sample = ARRAY[:eva]::bigint[] AS is_successor FROM cdp.preview_segment(query => 'SELECT profile_id FROM invited');
SELECT array_agg(profile_id) = ARRAY[:eva]::bigint[] AS is_successor FROM (:statement) AS s;
CALL cdp.refresh_segments('invited');
SELECT array_agg(profile_id) = ARRAY[:eva]::bigint[] AS is_successor FROM cdp.segment_members WHERE segment = 'invited';
SELECT kind, result, note ~ '^in, since' AS is_in FROM cdp.explain_segment('invited', :eva);
-- one that has two ids in it is one person; whoever is anonymous can be left out; a column may be of another type
INSERT INTO invited VALUES (:eva), (cdp.resolve('anonymous_id', 'nobody'));
SELECT cdp.alter_segment('invited', include_anonymous => false);
SELECT cdp.segment_sql('invited') AS statement \gset
SELECT array_agg(profile_id) = ARRAY[:eva]::bigint[] AS is_successor FROM (:statement) AS s;
SELECT members FROM cdp.preview_segment(query => 'SELECT profile_id FROM invited');
SELECT cdp.create_segment('nobody', query => 'SELECT NULL'), cdp.create_segment('small', query => 'SELECT profile_id::integer FROM invited');
SELECT kind, result FROM cdp.explain_segment('nobody', :eva);
SELECT kind, result FROM cdp.explain_segment('small', :eva);
SELECT cdp.segment_sql('nobody') AS statement \gset
SELECT count(*) FROM (:statement) AS s;
-- a reader may ask, and needs the rights for the query alone to preview it
SELECT cdp.grant_access('explain_reader', 'reader');
GRANT SELECT ON invited TO explain_reader;
SET ROLE explain_reader;
SELECT kind, result FROM cdp.explain_segment('invited', :eva);
SELECT members FROM cdp.preview_segment(query => 'SELECT profile_id FROM invited');
RESET ROLE;
DROP TABLE public.invited;
SELECT cdp.teardown(false);
DROP OWNED BY explain_owner, explain_reader, explain_other;
DROP ROLE explain_owner, explain_reader, explain_other;
