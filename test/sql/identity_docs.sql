-- The examples of docs/identity.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SELECT cdp.setup();
CREATE TABLE contacts (id integer, modified timestamp, email text, work_email text, phones text[]);
INSERT INTO contacts VALUES
    (1, '2026-03-01 09:00', 'Zoë.Müller@Example.org ', 'zoe@bücher.example', '{030 901820}'),
    (2, '2026-03-02 10:30', 'adam@example.org', NULL, '{"+49 30 901820", NULL}'),
    (3, '2026-03-03 08:15', 'carla@example.org', 'n/a', '{ask reception}'),
    (4, '2026-03-03 08:20', NULL, NULL, NULL);
CREATE TABLE orders (shop text, number integer, ordered_at timestamptz, email text, card text);
INSERT INTO orders VALUES
    ('berlin', 1, '2026-03-10 12:00+01', 'zoe@bücher.example', 'L-700'),
    ('online', 1, '2026-03-11 19:40+01', 'ADAM@example.org', 'L-701'),
    ('online', 2, '2026-03-12 21:05+01', 'test@test.com', 'L-700'),
    ('online', 3, '2026-03-12 22:10+01', 'n/a', NULL);
CREATE TABLE visits (id bigint, seen_at timestamptz, browser text, login text);
INSERT INTO visits VALUES
    (1, '2026-03-12 21:00+01', 'firefox-1', NULL),
    (2, '2026-03-12 21:04+01', 'firefox-1', 'zoe@bücher.example'),
    (3, '2026-03-13 07:30+01', 'chrome-9', 'adam@example.org');
SELECT cdp.alter_namespace('phone', default_region => 'DE');
SELECT * FROM cdp.stitch('crm', $$
    SELECT id AS record_key, modified AT TIME ZONE 'Europe/Berlin' AS observed_at,
           id AS crm_id, email, work_email AS email, phones AS phone
    FROM contacts
$$) \gx
SELECT rows_read, records_new, identifiers_new, profiles_new, rejected FROM cdp.stitch('shop', $$
    SELECT shop || '/' || number AS record_key, ordered_at AS observed_at, email, card AS loyalty_id
    FROM orders
$$);
SELECT rows_read, records_new, identifiers_new, profiles_new, rejected FROM cdp.stitch('web', $$
    SELECT id AS record_key, seen_at AS observed_at, browser AS anonymous_id, login AS email
    FROM visits
$$);
SELECT profile_id, namespace, value
FROM cdp.identifiers JOIN cdp.namespaces USING (namespace)
WHERE state = 'usable' ORDER BY profile_id, priority, value;
SELECT source, record_key, reason, detail FROM cdp.rejected_records;
SELECT rows_read, records_new, records_changed, records_unchanged FROM cdp.stitch('web', $$
    SELECT id AS record_key, seen_at AS observed_at, browser AS anonymous_id, login AS email
    FROM visits WHERE seen_at > '2026-03-12'
$$);
DELETE FROM visits WHERE id = 3;
SELECT count(cdp.retract(r.source, r.record_key))
FROM cdp_data.record AS r
WHERE r.source = 'web' AND NOT EXISTS (SELECT FROM visits AS v WHERE v.id::text = r.record_key);
SELECT cdp.identify('{"anonymous_id": "safari-3", "email": "Carla@Example.org"}', 'app', 'login-17', '2026-03-14 10:00+01')
     = cdp.resolve('crm_id', '3') AS it_is_carla;
SELECT cdp.identify('{"email": ["carla@example.org", "carla@home.example"]}', 'app', 'settings-3', '2026-03-14 10:05+01')
     = cdp.resolve('crm_id', '3') AS it_is_carla;
SELECT cdp.retract('app', 'settings-3') AS was_known, cdp.retract('app', 'settings-3') AS is_known;
SELECT cdp.resolve('email', ' ZOE@bücher.example') = cdp.resolve('anonymous_id', 'firefox-1') AS same_person,
       cdp.resolve('email', 'nobody@example.org') AS nobody;
SELECT namespace, value, state, kind, records FROM cdp.profile_identifiers(cdp.resolve('crm_id', '1'));
SELECT i.profile_id, count(*) AS orders, max(o.ordered_at) AS latest
FROM orders AS o JOIN cdp.identifiers AS i ON i.namespace = 'loyalty_id' AND i.value = o.card
GROUP BY i.profile_id ORDER BY i.profile_id;
SELECT cdp.resolve('anonymous_id', 'chrome-9') AS before_the_login \gset
SELECT cdp.identify('{"anonymous_id": "chrome-9", "email": "adam@example.org"}', 'app', 'login-18', '2026-03-15 09:00+01')
     = cdp.resolve('crm_id', '2') AS it_is_adam;
SELECT cdp.canonical_id(:before_the_login) = cdp.resolve('crm_id', '2') AS leads_to_adam;
SELECT cdp.resolve_at('anonymous_id', 'chrome-9', now() - interval '1 day') AS yesterday,
       cdp.resolve_at('anonymous_id', 'chrome-9', now()) = cdp.resolve('crm_id', '2') AS now;
SELECT kind, profile_id = cdp.resolve('crm_id', '2') AS adam, identifiers, cause FROM cdp.identity_changes ORDER BY change_id;
SELECT step, from_value, to_value, source, record_key, records
FROM cdp.explain_link('anonymous_id', 'firefox-1', 'crm_id', '1');
SELECT value, other_value, reason, detail FROM cdp.explain_refusals(cdp.resolve('crm_id', '2'));
SELECT cdp.identify('{"email": "info@firm.example", "crm_id": "50"}', 'crm', '50', '2026-03-16') IS NOT NULL AS taken_in,
       cdp.identify('{"email": "info@firm.example", "loyalty_id": "L-750"}', 'shop', 'firm/1', '2026-03-16') IS NOT NULL AS taken_in;
SELECT cdp.resolve('crm_id', '50') = cdp.resolve('loyalty_id', 'L-750') AS one;
SELECT cdp.block_identifier('email', 'info@firm.example', 'mailbox of a firm') AS known_identifiers;
SELECT cdp.resolve('crm_id', '50') = cdp.resolve('loyalty_id', 'L-750') AS one;
SELECT cdp.block_identifier('email', pattern => '^(no-?reply|info|office)@', reason => 'no person');
SELECT cdp.block_identifier(NULL, '1234567890', 'typed by people in a hurry');
SELECT cdp.unblock_identifier(NULL, '1234567890') AS was_blocked;
SELECT namespace, value, pattern, reason FROM cdp.blocked_identifiers
WHERE reason <> 'junk value, blocked by cdp.setup()' ORDER BY blocked_id;
SELECT part, namespace, value FROM cdp.split_profile(cdp.resolve('crm_id', '3'), '{"anonymous_id": "safari-3"}');
SELECT part, namespace, value
FROM cdp.split_profile(cdp.resolve('crm_id', '3'), '{"anonymous_id": "safari-3"}', 'her brother''s phone', dry_run => false);
SELECT cdp.cannot_link('email', 'carla@example.org', 'email', 'carla@other.example', 'two Carlas, ticket 4711');
SELECT cdp.must_link('crm_id', '3', 'email', 'carla.new@example.org', 'she called');
SELECT kind, value_1, value_2, reason FROM cdp.labels ORDER BY label_id;
SELECT cdp.remove_label('email', 'carla@example.org', 'email', 'carla@other.example') AS was_there;
SELECT cdp.alter_namespace('device_id', max_links => 2);
SELECT count(cdp.identify(jsonb_build_object('device_id', 'terminal', 'crm_id', n), 'terminal', n::text, '2026-03-17'))
FROM generate_series(60, 62) AS n;
SELECT namespace, value, state FROM cdp.profile_identifiers(cdp.resolve('device_id', 'terminal'));
SELECT cdp.retract('terminal', '62');
SELECT value, state FROM cdp.identifiers WHERE namespace = 'device_id';
SELECT cdp.alter_namespace('device_id', max_links => 10);
SELECT namespace, priority, kind, normalizer, max_per_profile, max_links FROM cdp.namespaces ORDER BY priority;
SELECT cdp.create_namespace('tax_id', 'digits', priority => 2, pattern => '^[0-9]{11}$', max_per_profile => 1);
SELECT cdp.alter_namespace('tax_id', priority => 3);
SELECT cdp.alter_namespace('tax_id', unlimited => ARRAY['max_per_profile', 'pattern']);
SELECT priority, pattern, max_per_profile FROM cdp.namespaces WHERE namespace = 'tax_id';
SELECT cdp.drop_namespace('tax_id');
SELECT * FROM cdp.check_identities();
SELECT * FROM cdp.rebuild_identities();
SELECT cdp.refresh_identities() AS queued;
SELECT * FROM cdp.renormalize();
CREATE INDEX ON contacts (cdp.normalize_email(email));
SELECT cdp.normalize_email('J.Doe+shop@GoogleMail.com', true);    -- jdoe@gmail.com
SELECT cdp.normalize_phone('(650) 253-0000', 'US'),               -- +16502530000
       cdp.normalize_phone('1-800-FLOWERS', 'US'),                -- +18003569377
       cdp.normalize_phone('+49 (0)30 901820', 'US');             -- +4930901820
CREATE TABLE customer (customer_id integer, email text, phone text);
INSERT INTO customer VALUES (1, 'ann@example.org', NULL), (2, 'ann@example.org', '+4930901820'), (3, NULL, '+4930901820'),
    (4, 'bob@example.org', NULL), (5, NULL, NULL);
CREATE VIEW edges AS
    SELECT customer_id AS a, min(customer_id) OVER (PARTITION BY email) AS b FROM customer WHERE email IS NOT NULL
    UNION ALL
    SELECT customer_id, min(customer_id) OVER (PARTITION BY phone) FROM customer WHERE phone IS NOT NULL
    UNION ALL
    SELECT customer_id, NULL FROM customer;

SELECT node AS customer_id, component AS person_id
FROM cdp.connected_components('SELECT a, b FROM edges') ORDER BY node;
SELECT node, component FROM cdp.connected_components($$
    SELECT 'customer ' || customer_id, 'email ' || email FROM customer
    UNION ALL
    SELECT 'customer ' || customer_id, 'phone ' || phone FROM customer
$$, NULL::text) ORDER BY node COLLATE "C";
-- (the page ends here)
SELECT * FROM cdp.check_identities();
DROP VIEW edges;
DROP TABLE contacts, orders, visits, customer;
SET client_min_messages = warning;
SELECT cdp.teardown(false);
