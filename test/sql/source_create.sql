-- Declarations: what is accepted, what each mistake is answered with, and where
-- in the user's text it is shown to be.
SET client_min_messages = warning;
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE SCHEMA hubspot;
CREATE DOMAIN hubspot.mail AS text;
CREATE TYPE hubspot.stage AS ENUM ('lead', 'customer');
CREATE TABLE hubspot.contacts (
    id integer PRIMARY KEY, work_email text, other_mails text[], properties jsonb, "updatedAt" timestamptz, archived boolean, archived_on text,
    created timestamp, birthday date, score real, stage hubspot.stage, picture bytea, owner_mail hubspot.mail, _airbyte_extracted_at timestamptz, tags text[]);
CREATE TABLE hubspot.deals (
    deal_id bigint, line integer, contact integer, amount numeric(10,2), closed timestamptz, quantity smallint, note varchar(10), extra json, owner text,
    PRIMARY KEY (deal_id, line));
CREATE FUNCTION hubspot.guess(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE VIEW hubspot.view_of_contacts AS SELECT * FROM hubspot.contacts;
CREATE SEQUENCE hubspot.numbers;

-- what is accepted
SELECT cdp.create_source('crm', 'hubspot.contacts', record_key => 'id', observed_at => '"updatedAt"',
    identifiers => $$ properties->>'email' AS email, work_email AS email, other_mails AS email, id AS crm_id $$,
    traits => $$ properties->>'country' AS country, birthday, score, stage, created AS created_on, tags, properties -> 'company' AS company, archived $$,
    watermark => '_airbyte_extracted_at', watermark_overlap => '3 hours', deleted => 'archived', filter => 'id > 0 -- no test contacts', time_zone => 'Europe/Berlin');
SELECT cdp.create_source('deals', 'hubspot.deals', record_key => 'deal_id, line', occurred_at => 'closed', event_name => $$'deal closed'$$,
    identifiers => 'contact AS crm_id', properties => 'amount, quantity, note, extra, to_jsonb(owner) AS properties');
SELECT cdp.create_source('people', 'hubspot.view_of_contacts', record_key => 'id', identifiers => 'work_email AS email');
SELECT name, kind, relation, record_key, capture, owner = current_user AS is_mine, search_path FROM cdp_data.source ORDER BY name;
SELECT source, kind, number, name, type, is_declared FROM cdp_data.source_column ORDER BY source, kind, number;
SELECT name, type FROM cdp_data.property ORDER BY name;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'cdp_data.event'::regclass AND attnum > 7 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'cdp.profiles'::regclass AND attname IN ('country', 'birthday', 'score', 'stage', 'created_on', 'tags', 'company', 'archived') ORDER BY attname;

-- names and arguments
SELECT cdp.create_source(NULL, 'hubspot.contacts');
SELECT cdp.create_source('x', NULL);
SELECT cdp.create_source('', 'hubspot.contacts');
SELECT cdp.create_source('x', 'hubspot.contacts', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', profile_id => 'id');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', event_name => $$'x'$$);
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', properties => 'score');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"', event_name => $$'x'$$, traits => 'score');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', capture => 'live');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', time_zone => 'Berlin');
\set SHOW_CONTEXT never
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', watermark_overlap => '1 hour');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', watermark => 'id', watermark_overlap => '-1');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', watermark => 'id', watermark_overlap => '1 hour');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', watermark => 'id', watermark_overlap => 'an hour');

\set SHOW_CONTEXT errors

-- the relation
SELECT cdp.create_source('x', 'hubspot.nothing', record_key => 'id', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.numbers', record_key => 'last_value', identifiers => 'last_value AS crm_id');
SELECT cdp.create_source('x', 'hub spot', record_key => 'id', identifiers => 'work_email AS email');
CREATE TEMPORARY TABLE passing (id integer, mail text);
SELECT cdp.create_source('x', 'passing', record_key => 'id', identifiers => 'mail AS email');
SELECT cdp.create_source('x', 'hubspot.view_of_contacts', record_key => 'id', identifiers => 'work_email AS email', capture => 'queue');

-- select lists and nothing after them
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email FROM other');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email WHERE true');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email ORDER BY 1 LIMIT 1');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'DISTINCT work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email; DROP TABLE hubspot.contacts');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email UNION SELECT 1');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email) FROM (SELECT 1');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => ' ');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email, ''x');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email /* open');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => '*');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'contacts.*');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', observed_at => '"updatedAt", created', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', observed_at => '"updatedAt" AS observed', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', filter => 'id > 1 ORDER BY id');

-- columns and names
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => $$ work_email AS email,
    phone_number AS phone $$);
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS mail');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => $$ 'Ä' || work_email AS email, lower(work_email) $$);
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'lower(work_email)');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'score, id AS score');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'score AS profile_id');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"', event_name => $$'x'$$, properties => 'score AS event_name');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"', event_name => $$'x'$$, properties => 'score AS properties');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"', event_name => 'purchase');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => '$1', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'other.id', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'no_such_function(work_email) AS email');

-- types
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'properties AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'archived AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'tags', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', observed_at => 'created', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', observed_at => 'archived_on', identifiers => 'work_email AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'score, created AS born');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'picture');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', deleted => 'archived_on');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', filter => 'id');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', watermark => 'properties');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', profile_id => 'work_email', traits => 'score');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"', event_name => 'id');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', occurred_at => '"updatedAt"', event_name => $$'x'$$, properties => 'contacts AS all_of_it');

-- the same row must always give the same values
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'hubspot.guess(work_email) AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'score, random() AS luck');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => '(SELECT max(random()) FROM hubspot.deals) AS luck');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'score, max(id) AS most');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'rank() OVER (ORDER BY id) AS place');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'unnest(other_mails) AS email');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => '(WITH gone AS (DELETE FROM hubspot.deals RETURNING 1) SELECT count(*) FROM gone) AS luck');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => '(SELECT d.owner FROM hubspot.deals AS d WHERE d.contact = contacts.id LIMIT 1 FOR UPDATE) AS seller');
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'ctid', identifiers => 'work_email AS email');
-- a subquery that reads is fine
SELECT cdp.create_source('x', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => '(SELECT d.owner FROM hubspot.deals AS d WHERE d.contact = contacts.id ORDER BY d.closed LIMIT 1) AS seller');

-- other sources
\set SHOW_CONTEXT never
SELECT cdp.create_source('y', 'hubspot.contacts', record_key => 'id', identifiers => 'work_email AS email', traits => 'id AS country');
SELECT cdp.create_source('y', 'hubspot.deals', record_key => 'deal_id', occurred_at => 'closed', event_name => $$'x'$$, identifiers => 'contact AS crm_id', properties => 'note AS amount');

-- Nothing of the refused ones is there.
SELECT name FROM cdp_data.source ORDER BY name;

DROP SCHEMA hubspot CASCADE;
SELECT cdp.teardown(false);
