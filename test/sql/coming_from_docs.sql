-- The examples of docs/coming-from.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS set_up;
-- @calls
SELECT cdp.identify('{"user_id": "u77", "email": "nora@example.com"}', 'app', 'nora-1', '2026-03-01 10:00+00', '{"plan": "free"}') > 0 AS identified;
SELECT cdp.track('{"anonymous_id": "a-1"}', 'Product Viewed', '2026-03-01 09:58+00', '{"sku": "POT", "price": 46}', 'app', 'view-1') > 0 AS tracked;
SELECT cdp.identify('{"anonymous_id": "a-1", "user_id": "u77"}', 'app', 'alias-1', '2026-03-01 10:00+00') > 0 AS aliased;
SELECT cdp.track('{"user_id": "u77"}', 'Order Completed', '2026-03-01 10:05+00', '{"total": 46}', 'app', 'order-1') > 0 AS tracked;
CALL cdp.refresh();
-- @person
SELECT user_id, email, anonymous_id, event_count FROM cdp.profiles;
-- @rules
SELECT namespace, priority, kind, max_per_profile, max_links FROM cdp.namespaces ORDER BY priority LIMIT 4;
SELECT cdp.alter_namespace('anonymous_id', max_links => 5);
SELECT cdp.block_identifier('email', pattern => '^(info|office)@', reason => 'no person');
-- @traits
SELECT cdp.create_trait('plan', 'text', survivorship => 'last');
SELECT cdp.create_computed_trait('spent', $$ sum((event.properties->>'total')::numeric) FILTER (WHERE event.event_name = 'Order Completed') $$);
SELECT cdp.create_segment('good_free_customers', $$ profile.plan = 'free' AND profile.spent >= 100 $$, refresh => 'realtime');
CALL cdp.refresh();
-- @moves
SELECT cdp.track('{"user_id": "u77"}', 'Order Completed', '2026-03-02 20:00+00', '{"total": 60}', 'app', 'order-2') > 0 AS tracked;
SELECT segment, email FROM cdp.segment_members JOIN cdp.profiles USING (profile_id);
-- (waits for transactions of other sessions that are still running)
DO $$ BEGIN WHILE pg_snapshot_xmin(pg_current_snapshot()) <= (SELECT max(transaction_id) FROM cdp_data.segment_change) LOOP PERFORM pg_sleep(0.1); END LOOP; END $$;
-- @changes
SELECT segment, profile_id, change, cause FROM cdp.read_changes('mailer');
SELECT segment, profile_id, change, cause FROM cdp.read_changes('mailer');
-- @consent
SELECT cdp.create_trait('may_mail', 'boolean', survivorship => 'min');
SELECT cdp.identify('{"email": "nora@example.com"}', 'shop', 'checkout-1', '2026-03-02', '{"may_mail": true}') > 0 AS asked;
SELECT cdp.identify('{"user_id": "u77"}', 'app', 'settings-1', '2026-03-03', '{"may_mail": false}') > 0 AS asked;
SELECT cdp.identify('{"email": "nora@example.com"}', 'shop', 'checkout-2', '2026-03-04', '{"may_mail": true}') > 0 AS asked;
SELECT user_id, may_mail FROM cdp.profiles;
-- (the page ends here)
SELECT * FROM cdp.check_identities();
SELECT cdp.teardown(false);
