-- The examples of docs/source.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT cdp.setup();
-- @tables
CREATE SCHEMA hubspot;
CREATE TABLE hubspot.contacts (
    id bigint PRIMARY KEY, properties jsonb, work_email text, "updatedAt" timestamptz, archived boolean, _airbyte_extracted_at timestamptz);
INSERT INTO hubspot.contacts VALUES
    (1, '{"email": "zoe@example.org", "country": "DE", "lifecycle": "customer"}', 'z.mueller@work.example', '2026-03-01 09:00+00', false, '2026-03-20 01:00+00'),
    (2, '{"email": "adam@example.org", "country": "DE", "lifecycle": "lead"}', NULL, '2026-03-02 10:30+00', false, '2026-03-20 01:00+00'),
    (3, '{"email": "carla@example.org", "country": "ES", "lifecycle": "lead"}', NULL, '2026-03-03 08:15+00', true, '2026-03-20 01:00+00');
CREATE SCHEMA shop;
CREATE TABLE shop.orders (
    number integer PRIMARY KEY, email text, card text, total numeric(10,2), currency text, status text, ordered_at timestamp, changed_at timestamp);
INSERT INTO shop.orders VALUES
    (101, 'ZOE@example.org', 'L-700', 59.90, 'EUR', 'paid', '2026-03-10 12:00', '2026-03-10 12:00'),
    (102, 'z.mueller@work.example', 'L-700', 12.00, 'EUR', 'paid', '2026-03-12 21:05', '2026-03-12 21:05'),
    (103, 'adam@example.org', NULL, 200.00, 'EUR', 'paid', '2026-03-13 07:30', '2026-03-13 07:30');
-- @first
SELECT cdp.create_source('crm', 'hubspot.contacts',
    record_key => 'id',
    observed_at => '"updatedAt"',
    identifiers => $$ properties->>'email' AS email, work_email AS email, id AS crm_id $$,
    traits => $$ properties->>'country' AS country, properties->>'lifecycle' AS stage $$,
    deleted => 'archived',
    watermark => '_airbyte_extracted_at');
CALL cdp.refresh();
-- @profiles
SELECT profile_id, crm_id, country, stage, record_count FROM cdp.profiles ORDER BY profile_id;
-- @mistake
SELECT cdp.create_source('mistake', 'hubspot.contacts', record_key => 'id',
    identifiers => $$ properties->>'email' AS email,
                      phone_number AS phone $$);
-- @events
SELECT cdp.create_source('orders', 'shop.orders',
    record_key => 'number',
    occurred_at => 'ordered_at',
    event_name => $$'purchase'$$,
    identifiers => $$ email, card AS loyalty_id $$,
    properties => $$ total AS amount, currency, status = 'refunded' AS is_refunded,
                     to_jsonb(orders) - 'email' - 'card' AS properties $$,
    watermark => 'changed_at',
    time_zone => 'Europe/Berlin');
CALL cdp.refresh();
-- @eventsread
SELECT p.crm_id, e.event_name, e.occurred_at, e.amount, e.is_refunded
FROM cdp.events AS e JOIN cdp.profiles AS p USING (profile_id) ORDER BY e.occurred_at;
-- @change
UPDATE shop.orders SET status = 'refunded', changed_at = '2026-03-20 10:00' WHERE number = 102;
CALL cdp.refresh();
SELECT record_key, amount, is_refunded FROM cdp.events WHERE is_refunded;
-- @log
SELECT source, mode, rows_read, records_new, records_changed, records_unchanged, retracted
FROM cdp.refresh_log WHERE step = 'source' ORDER BY log_id DESC LIMIT 2;
-- @alter
SELECT cdp.alter_source('crm', traits => $$ properties->>'country' AS country, upper(properties->>'lifecycle') AS stage $$);
SELECT cdp.alter_source('orders', filter => $$ status <> 'cancelled' $$);
SELECT cdp.alter_source('orders', reset => ARRAY['filter']);
-- @sources
CALL cdp.refresh();
SELECT source, kind, status, rows_read, rejected, watermark, queued FROM cdp.sources ORDER BY source;
-- @full
CALL cdp.refresh(full_compare => true);
-- @guard
DELETE FROM shop.orders;
CALL cdp.refresh(full_compare => true, on_error => 'report');
SELECT source, status, last_hint FROM cdp.sources WHERE status = 'stopped';
-- @health
SELECT "check", severity, detail FROM cdp.health;
-- @allow
CALL cdp.refresh(ARRAY['orders'], allow_deletes => true);
-- @bad
ALTER TABLE hubspot.contacts ADD COLUMN score text;
UPDATE hubspot.contacts SET score = 'n/a', _airbyte_extracted_at = now() WHERE id = 2;
UPDATE hubspot.contacts SET score = '17', _airbyte_extracted_at = now() WHERE id = 1;
SELECT cdp.alter_source('crm', traits => $$ properties->>'country' AS country, score::integer AS score $$);
CALL cdp.refresh();
SELECT source, record_key, reason, detail FROM cdp.rejected_records;
-- @replay
UPDATE hubspot.contacts SET score = '0' WHERE id = 2;
SELECT * FROM cdp.replay_rejected('crm');
-- @dbt
CREATE TABLE churn AS SELECT cdp.resolve('crm_id', '1') AS person, 0.35 AS churn_risk, timestamptz '2026-03-21' AS computed_at;
SELECT cdp.create_source('churn_model', 'churn', record_key => 'person', profile_id => 'person',
    observed_at => 'computed_at', traits => 'churn_risk');
CALL cdp.refresh(ARRAY['churn_model']);
SELECT crm_id, score, churn_risk FROM cdp.profiles WHERE churn_risk IS NOT NULL;
-- @captured
SELECT cdp.alter_source('crm', capture => 'immediate');
CALL cdp.refresh();
UPDATE hubspot.contacts SET properties = properties || '{"country": "FR"}', "updatedAt" = now() WHERE id = 2;
SELECT crm_id, country FROM cdp.profiles WHERE crm_id = '2';
-- @direct
SELECT cdp.identify('{"anonymous_id": "f3a9", "email": "adam@example.org"}', 'website', 'login-1', traits => '{"newsletter": true}') > 0 AS is_known;
SELECT cdp.track('{"anonymous_id": "f3a9"}', 'page viewed', '2026-03-22 10:00+00', '{"path": "/shoes", "amount": 5}', 'website', 'view-1') > 0 AS is_known;
SELECT event_name, amount, properties FROM cdp.events WHERE source = 'website';
-- @atomic
BEGIN;
UPDATE hubspot.contacts SET properties = properties || '{"country": "IT"}', "updatedAt" = now() WHERE id = 1;
CALL cdp.refresh();
COMMIT;
-- @drop
SELECT cdp.drop_source('churn_model');
SELECT cdp.drop_source('orders', keep_data => true);
-- @end
DROP TABLE churn;
DROP SCHEMA hubspot, shop CASCADE;
SELECT cdp.teardown(false);
