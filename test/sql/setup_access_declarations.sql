-- What an admin of cdp cannot write: declarations, whose texts and types run as other roles, up to the
-- owner of the storage; not even through the storage's tables.

SET client_min_messages = warning;
CREATE ROLE regress_cdp_steward;
SELECT cdp.setup();
SELECT cdp.grant_access('regress_cdp_steward', 'admin');
CREATE SCHEMA desk AUTHORIZATION regress_cdp_steward;
CREATE TABLE public.lead (id integer PRIMARY KEY, mail text, city text);
SELECT cdp.create_source('lead', 'public.lead', record_key => 'id', identifiers => 'mail AS email', traits => 'city');

SET ROLE regress_cdp_steward;
CREATE FUNCTION desk.checks(value text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'runs as %', current_user; END $$;
CREATE DOMAIN desk.planted AS text CHECK (desk.checks(VALUE));
-- all tables whose rows hold texts, types or names that are part of statements of others
SELECT c.relname, pg_catalog.string_agg(p.privilege, ', ' ORDER BY p.privilege) AS may
FROM pg_catalog.pg_class AS c CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('TRIGGER')) AS p(privilege)
WHERE c.relnamespace = 'cdp_data'::regnamespace AND c.relkind IN ('r', 'p') AND pg_catalog.has_table_privilege(c.oid, p.privilege)
  AND c.relname IN ('storage', 'source', 'source_column', 'property', 'trait', 'expression', 'expression_fact', 'segment_key', 'score')
GROUP BY c.relname;
UPDATE cdp_data.source_column SET type = 'desk.planted' WHERE source = 'lead' AND kind = 'trait';
INSERT INTO cdp_data.expression (kind, name, definition, is_query, type, is_realtime, include_anonymous, owner, time_zone, search_path)
VALUES ('trait', 'planted', 'count(*)', false, 'bigint; ALTER ROLE regress_cdp_steward SUPERUSER; --', false, true, 'regress_cdp_steward', 'UTC', 'pg_catalog');
INSERT INTO cdp_data.trait (name, key, type, survivorship, ignore_empty, history, is_declared)
VALUES ('planted', '$body$; ALTER ROLE regress_cdp_steward SUPERUSER; --', 'text', 'last', false, false, true);
-- nor can it hang the trigger function of captures, which runs as the owner of the storage, on tables of its own
CREATE TABLE desk.bait (id integer);
CREATE TRIGGER bait AFTER INSERT ON desk.bait FOR EACH STATEMENT EXECUTE FUNCTION cdp_data.capture('lead');
-- what it is there for
SELECT cdp.configure('time_zone', 'Europe/Berlin');
SELECT cdp.create_namespace('desk_id');
SELECT cdp.register_model('odds', cdp.logit_fit(y, ARRAY[x])) FROM (VALUES (true, 1.0), (false, 2.0), (true, 3.0), (false, 1.5)) AS v(y, x);
\set VERBOSITY terse
UPDATE cdp_data.model SET type = 'desk.planted';
\set VERBOSITY default
SELECT cdp.drop_model('odds');
-- which has a column when the owner next sets up, and does no harm until then
RESET ROLE;
INSERT INTO public.lead VALUES (1, 'a@example.org', 'Bonn');
CALL cdp.refresh();
SELECT cdp.identify('{"email": "a@example.org", "desk_id": "d1"}', 'desk', '1') IS NOT NULL AS written;
CALL cdp.refresh(full_compare => true);
SELECT email, city FROM cdp.profiles;
SELECT cdp.setup();
CALL cdp.refresh();
SELECT email, desk_id, city FROM cdp.profiles;

-- A name is a name, whatever is in it.
SELECT cdp.create_trait('a$body$b', 'text');
SELECT cdp.create_trait('it''s "%s" $function$', 'text');
SELECT cdp.identify('{"email": "a@example.org"}', 'desk', '1', traits => '{"a$body$b": "x", "it''s \"%s\" $function$": "y"}') IS NOT NULL AS written;
SELECT "a$body$b", "it's ""%s"" $function$" FROM cdp.profiles;

-- A time zone that the server does not know, as after a restore elsewhere.
SELECT cdp.profile_of_json('s', now(), '{"a": "2020-01-01"}', 1, '{a}', '{timestamptz}', 'Nowhere/Bogus');
SELECT cdp.profile_of_json('s', now(), '{"a": 1}', 1, '{a}', '{-}', 'UTC');
UPDATE cdp_data.option SET value = 'Nowhere/Bogus' WHERE name = 'time_zone';
SELECT cdp.identify('{"email": "a@example.org"}', 'desk', '2', traits => '{"a$body$b": "x"}');
SELECT cdp.track('{"email": "a@example.org"}', 'login', now(), properties => '{"a": "2020-01-01"}');

SELECT cdp.teardown(false);
DROP TABLE public.lead;
DROP SCHEMA desk CASCADE;
DROP OWNED BY regress_cdp_steward;
DROP ROLE regress_cdp_steward;
