-- The examples of docs/recipes.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
-- @hubspot
CREATE SCHEMA hubspot;
CREATE TABLE hubspot.contacts (
    id text, properties jsonb, "createdAt" timestamptz, "updatedAt" timestamptz, archived boolean,
    _airbyte_raw_id text, _airbyte_extracted_at timestamptz, _airbyte_meta jsonb);
INSERT INTO hubspot.contacts VALUES
    ('501', '{"email": "nora@example.com", "firstname": "Nora", "lastname": "Diaz", "phone": "+34 915 550 101", "country": "ES", "lifecyclestage": "lead", "hs_additional_emails": "nora.diaz@work.example;n.diaz@old.example", "hs_merged_object_ids": "377;412"}',
     '2025-11-02 08:00+00', '2026-03-01 09:00+00', false, 'r1', '2026-03-02 01:00+00', '{}'),
    ('501', '{"email": "nora@example.com", "firstname": "Nora", "lastname": "Diaz", "phone": "+34 915 550 101", "country": "ES", "lifecyclestage": "customer", "hs_additional_emails": "nora.diaz@work.example;n.diaz@old.example", "hs_merged_object_ids": "377;412"}',
     '2025-11-02 08:00+00', '2026-03-14 16:20+00', false, 'r2', '2026-03-15 01:00+00', '{}'),
    ('502', '{"email": "omar@example.com", "firstname": "Omar", "lastname": "Haddad", "country": "FR", "lifecyclestage": "lead"}',
     '2026-01-20 10:00+00', '2026-02-11 10:00+00', false, 'r3', '2026-03-02 01:00+00', '{}'),
    ('503', '{"email": "paul@example.com", "lifecyclestage": "lead"}',
     '2026-01-21 10:00+00', '2026-03-03 10:00+00', true, 'r4', '2026-03-04 01:00+00', '{}');
-- @hubspot_source
SELECT cdp.create_namespace('hubspot_id', priority => 15);
SELECT cdp.create_trait('country', 'text', survivorship => 'priority', sources => ARRAY['shopify_customers', 'hubspot'], ignore_empty => true);
SELECT cdp.create_source('hubspot', 'hubspot.contacts',
    record_key => 'id',
    observed_at => '"updatedAt"',
    identifiers => $$ properties->>'email' AS email,
                      string_to_array(properties->>'hs_additional_emails', ';') AS email,
                      properties->>'phone' AS phone,
                      id AS hubspot_id,
                      string_to_array(properties->>'hs_merged_object_ids', ';') AS hubspot_id $$,
    traits => $$ concat_ws(' ', properties->>'firstname', properties->>'lastname') AS name, properties->>'email' AS email,
                 properties->>'country' AS country, properties->>'lifecyclestage' AS stage $$,
    deleted => 'archived',
    watermark => '_airbyte_extracted_at');
CALL cdp.refresh();
-- @hubspot_people
SELECT name, country, stage, email, hubspot_id FROM cdp.profiles ORDER BY profile_id;
-- @hubspot_merged
SELECT cdp.resolve('hubspot_id', '377') = cdp.resolve('email', 'n.diaz@old.example') AS same_person;
-- @shopify
CREATE SCHEMA shopify;
CREATE TABLE shopify.customers (
    id bigint PRIMARY KEY, email text, phone text, first_name text, last_name text, tags text, accepts_marketing boolean, default_address jsonb,
    created_at timestamptz, updated_at timestamptz, _airbyte_extracted_at timestamptz);
INSERT INTO shopify.customers VALUES
    (9001, 'Nora.Diaz@work.example', NULL, 'Nora', 'Díaz', 'vip', true, '{"country_code": "PT", "city": "Lisboa"}', '2025-12-01 10:00+00', '2026-03-10 12:00+00', '2026-03-11 01:00+00'),
    (9002, 'quinn@example.com', '+33612345678', 'Quinn', 'Roy', '', false, '{"country_code": "FR", "city": "Lille"}', '2026-02-01 10:00+00', '2026-02-01 10:00+00', '2026-03-11 01:00+00');
CREATE TABLE shopify.orders (
    id bigint PRIMARY KEY, name text, email text, phone text, customer jsonb, total_price numeric, currency text, financial_status text, test boolean,
    line_items jsonb, created_at timestamptz, updated_at timestamptz, cancelled_at timestamptz, _airbyte_extracted_at timestamptz);
INSERT INTO shopify.orders VALUES
    (7001, '#1001', 'nora.diaz@work.example', NULL, '{"id": 9001}', 84.00, 'EUR', 'paid', false, '[{"id": 1, "sku": "MUG", "quantity": 4, "price": "9.50"}, {"id": 2, "sku": "POT", "quantity": 1, "price": "46.00"}]', '2026-03-10 12:00+00', '2026-03-10 12:00+00', NULL, '2026-03-11 01:00+00'),
    (7002, '#1002', 'quinn@example.com', NULL, '{"id": 9002}', 19.00, 'EUR', 'paid', false, '[{"id": 3, "sku": "MUG", "quantity": 2, "price": "9.50"}]', '2026-03-11 09:00+00', '2026-03-11 09:00+00', NULL, '2026-03-12 01:00+00'),
    (7003, '#1003', 'omar@example.com', NULL, NULL, 46.00, 'EUR', 'paid', false, '[{"id": 4, "sku": "POT", "quantity": 1, "price": "46.00"}]', '2026-03-12 20:00+00', '2026-03-13 08:00+00', '2026-03-13 08:00+00', '2026-03-14 01:00+00'),
    (7004, '#1004', 'dev@shop.example', NULL, NULL, 1.00, 'EUR', 'paid', true, '[]', '2026-03-12 21:00+00', '2026-03-12 21:00+00', NULL, '2026-03-13 01:00+00');
CREATE TABLE shopify.order_refunds (id bigint PRIMARY KEY, order_id bigint, created_at timestamptz, transactions jsonb, _airbyte_extracted_at timestamptz);
INSERT INTO shopify.order_refunds VALUES (801, 7001, '2026-03-20 09:00+00', '[{"amount": "46.00", "kind": "refund"}]', '2026-03-21 01:00+00');
-- @shopify_views
CREATE VIEW shopify.order_line AS
SELECT o.id AS order_id, line->>'id' AS line_id, line->>'sku' AS sku, (line->>'quantity')::integer AS quantity, (line->>'price')::numeric AS price,
       o.customer, o.email, o.created_at, o.updated_at, o._airbyte_extracted_at
FROM shopify.orders AS o, jsonb_array_elements(o.line_items) AS line
WHERE NOT o.test AND o.cancelled_at IS NULL;
CREATE VIEW shopify.refund AS
SELECT r.id, r.created_at, r._airbyte_extracted_at, o.customer, o.email,
       (SELECT - sum((t->>'amount')::numeric) FROM jsonb_array_elements(r.transactions) AS t WHERE t->>'kind' = 'refund') AS amount
FROM shopify.order_refunds AS r JOIN shopify.orders AS o ON o.id = r.order_id;
-- @shopify_sources
SELECT cdp.create_namespace('shopify_id', priority => 16);
SELECT cdp.create_source('shopify_customers', 'shopify.customers',
    record_key => 'id', observed_at => 'updated_at', watermark => '_airbyte_extracted_at',
    identifiers => 'id AS shopify_id, email, phone',
    traits => $$ concat_ws(' ', first_name, last_name) AS name, default_address->>'country_code' AS country,
                 accepts_marketing AS newsletter, 'vip' = ANY (string_to_array(tags, ', ')) AS is_vip $$);
SELECT cdp.create_source('shopify_orders', 'shopify.orders',
    record_key => 'id', occurred_at => 'created_at', observed_at => 'updated_at', watermark => '_airbyte_extracted_at',
    event_name => $$'purchase'$$, filter => 'NOT test', deleted => 'cancelled_at IS NOT NULL',
    identifiers => $$ customer->>'id' AS shopify_id, email, phone $$,
    properties => 'total_price AS amount, currency, name AS order_number');
SELECT cdp.create_source('shopify_refunds', 'shopify.refund',
    record_key => 'id', occurred_at => 'created_at', watermark => '_airbyte_extracted_at', event_name => $$'refund'$$,
    identifiers => $$ customer->>'id' AS shopify_id, email $$, properties => 'amount');
SELECT cdp.create_source('shopify_lines', 'shopify.order_line',
    record_key => 'order_id, line_id', occurred_at => 'created_at', observed_at => 'updated_at', watermark => '_airbyte_extracted_at',
    event_name => $$'product bought'$$,
    identifiers => $$ customer->>'id' AS shopify_id, email $$, properties => 'sku, quantity, price');
CALL cdp.refresh();
-- @shopify_people
SELECT p.name, p.country, sum(e.amount) AS net, count(*) FILTER (WHERE e.event_name = 'purchase') AS orders, string_agg(e.sku, ' ' ORDER BY e.sku) AS bought
FROM cdp.events AS e JOIN cdp.profiles AS p USING (profile_id) GROUP BY profile_id, p.name, p.country ORDER BY profile_id;
-- @segment
CREATE SCHEMA web;
CREATE TABLE web.identifies (id text PRIMARY KEY, user_id text, anonymous_id text, email text, plan text, "timestamp" timestamptz, received_at timestamptz, uuid_ts timestamptz);
CREATE TABLE web.pages (id text PRIMARY KEY, user_id text, anonymous_id text, name text, path text, context_user_agent text, "timestamp" timestamptz, received_at timestamptz, uuid_ts timestamptz);
CREATE TABLE web.tracks (id text PRIMARY KEY, user_id text, anonymous_id text, event text, event_text text, "timestamp" timestamptz, received_at timestamptz, uuid_ts timestamptz);
CREATE TABLE web.product_added (LIKE web.tracks INCLUDING ALL);
ALTER TABLE web.product_added ADD sku text, ADD price numeric, ADD quantity bigint;
CREATE TABLE web.newsletter_signup (LIKE web.tracks INCLUDING ALL);
ALTER TABLE web.newsletter_signup ADD list text;
INSERT INTO web.identifies VALUES ('i1', 'u77', 'a-1', 'nora@example.com', 'free', '2026-03-09 18:00+00', '2026-03-09 18:00+00', '2026-03-09 19:00+00');
INSERT INTO web.pages VALUES
    ('p1', NULL, 'a-1', 'Home', '/', 'Firefox', '2026-03-09 17:55+00', '2026-03-09 17:55+00', '2026-03-09 19:00+00'),
    ('p2', NULL, 'a-2', 'Home', '/', 'Safari', '2026-03-09 20:10+00', '2026-03-12 07:00+00', '2026-03-12 08:00+00');
INSERT INTO web.product_added VALUES
    ('t1', 'u77', 'a-1', 'product_added', 'Product Added', '2026-03-09 18:05+00', '2026-03-09 18:05+00', '2026-03-09 19:00+00', 'POT', 46.00, 1);
INSERT INTO web.newsletter_signup VALUES
    ('t2', NULL, 'a-2', 'newsletter_signup', 'Newsletter Signup', '2026-03-09 20:12+00', '2026-03-12 07:00+00', '2026-03-12 08:00+00', 'spring');
INSERT INTO web.tracks SELECT id, user_id, anonymous_id, event, event_text, "timestamp", received_at, uuid_ts FROM web.product_added;
INSERT INTO web.tracks SELECT id, user_id, anonymous_id, event, event_text, "timestamp", received_at, uuid_ts FROM web.newsletter_signup;
-- @segment_sources
SELECT cdp.create_source('web_identifies', 'web.identifies',
    record_key => 'id', observed_at => '"timestamp"', watermark => 'uuid_ts',
    identifiers => 'user_id, anonymous_id, email', traits => 'plan');
SELECT cdp.create_source('web_pages', 'web.pages',
    record_key => 'id', occurred_at => '"timestamp"', watermark => 'uuid_ts', event_name => $$'page viewed'$$,
    identifiers => 'user_id, anonymous_id', properties => 'name AS page, path');
-- @segment_tables
SELECT t.table_name AS event, cdp.create_source('web_' || t.table_name, format('web.%I', t.table_name),
    record_key => 'id', occurred_at => '"timestamp"', watermark => 'uuid_ts', event_name => 'event_text',
    identifiers => 'user_id, anonymous_id', properties => own.columns, replace => true)
FROM information_schema.tables AS t
CROSS JOIN LATERAL (SELECT string_agg(quote_ident(c.column_name), ', ' ORDER BY c.ordinal_position) AS columns
                    FROM information_schema.columns AS c
                    WHERE (c.table_schema, c.table_name) = (t.table_schema, t.table_name)
                      AND c.column_name NOT IN ('id', 'user_id', 'anonymous_id', 'event', 'event_text', 'timestamp', 'original_timestamp',
                                                'sent_at', 'received_at', 'uuid_ts', 'event_id', 'channel')
                      AND NOT starts_with(c.column_name, 'context_')) AS own
WHERE t.table_schema = 'web' AND t.table_name NOT IN ('tracks', 'pages', 'screens', 'identifies', 'users', 'groups', 'aliases') ORDER BY 1;
CALL cdp.refresh();
-- @segment_events
SELECT coalesce(p.name, p.anonymous_id) AS who, e.event_name, e.sku, e.price, e.quantity, e.list, e.page
FROM cdp.events AS e JOIN cdp.profiles AS p USING (profile_id) WHERE e.source LIKE 'web%' ORDER BY e.occurred_at;
-- @pos
CREATE SCHEMA pos;
CREATE TABLE pos.receipt (till integer, number integer, sold_at timestamp, card text, mail text, total numeric(10,2), PRIMARY KEY (till, number));
INSERT INTO pos.receipt VALUES
    (1, 5001, '2026-03-13 11:02', 'L-7', 'nora@example.com', 12.40),
    (1, 5002, '2026-03-13 11:30', NULL, NULL, 3.10),
    (2, 911, '2026-03-14 16:45', 'L-7', NULL, 30.00);
-- @pos_source
SELECT cdp.create_source('pos', 'pos.receipt',
    record_key => 'till, number', occurred_at => 'sold_at', time_zone => 'Europe/Madrid', event_name => $$'purchase'$$,
    filter => 'card IS NOT NULL OR mail IS NOT NULL',
    identifiers => 'card AS loyalty_id, mail AS email', properties => 'total AS amount, till');
CALL cdp.refresh();
-- @pos_events
SELECT p.name, e.source, e.record_key, e.occurred_at, e.amount
FROM cdp.events AS e JOIN cdp.profiles AS p USING (profile_id) WHERE e.event_name = 'purchase' ORDER BY e.occurred_at;
-- @pos_next
TRUNCATE pos.receipt;
INSERT INTO pos.receipt VALUES
    (1, 5001, '2026-03-13 11:02', 'L-7', 'nora@example.com', 12.40),
    (1, 5002, '2026-03-13 11:30', NULL, NULL, 3.10),
    (2, 911, '2026-03-14 16:45', 'L-7', NULL, 28.00),
    (2, 912, '2026-03-15 09:20', 'L-7', NULL, 5.00);
CALL cdp.refresh();
-- @pos_log
SELECT mode, rows_read, records_new, records_changed, records_unchanged, retracted FROM cdp.refresh_log WHERE source = 'pos' ORDER BY log_id DESC LIMIT 1;
-- @pos_half
TRUNCATE pos.receipt;
INSERT INTO pos.receipt VALUES (1, 5001, '2026-03-13 11:02', 'L-7', 'nora@example.com', 12.40);
CALL cdp.refresh(ARRAY['pos']);
SELECT count(*) FROM cdp.events WHERE source = 'pos';
-- @pos_meant
CALL cdp.refresh(ARRAY['pos'], allow_deletes => true);
SELECT count(*) FROM cdp.events WHERE source = 'pos';
-- @everybody
SELECT name, email, shopify_id, loyalty_id, plan, stage, is_vip, record_count, event_count FROM cdp.profiles WHERE is_known ORDER BY profile_id;
SELECT * FROM cdp.health;
-- (the page ends here)
SELECT * FROM cdp.check_identities();
SELECT count(*) FROM cdp.rejected_records;
SELECT cdp.teardown(false);
DROP SCHEMA hubspot, shopify, web, pos CASCADE;
