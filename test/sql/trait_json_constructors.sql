-- JSON_ARRAYAGG and JSON_OBJECTAGG in computed traits and segments give what the aggregates behind them give.
-- PostgreSQL 15 has no such constructors, so there the aggregates stand on both sides.
SET client_min_messages = warning;
SELECT cdp.setup();
SET search_path = public, cdp;
SET TimeZone = 'UTC';

SELECT current_setting('server_version_num')::integer >= 160000 AS has_constructors \gset
\if :has_constructors
\set amounts 'JSON_ARRAYAGG(event.amount ORDER BY event.amount RETURNING jsonb)'
\set as_text 'JSON_ARRAYAGG(event.amount ORDER BY event.amount DESC NULL ON NULL RETURNING text)'
\set products 'JSON_OBJECTAGG(event.product : event.amount ABSENT ON NULL RETURNING jsonb)'
\else
\set amounts '(jsonb_agg(event.amount ORDER BY event.amount) FILTER (WHERE event.amount IS NOT NULL))'
\set as_text '(json_agg(event.amount ORDER BY event.amount DESC)::text)'
\set products '(jsonb_object_agg(event.product, event.amount) FILTER (WHERE event.amount IS NOT NULL))'
\endif

CREATE TABLE shop_event (id integer, person text, happened timestamptz, amount numeric, product text);
INSERT INTO shop_event
SELECT i, 'person ' || i % 3, '2026-01-01'::timestamptz + i * interval '1 hour', nullif(i * 7 % 11, 5), 'product ' || i FROM generate_series(1, 11) AS i;
SELECT create_source('shop', 'shop_event', record_key => 'id', occurred_at => 'happened', event_name => $$'purchase'$$,
    identifiers => 'person AS anonymous_id', properties => 'amount, product');
SELECT create_computed_trait('amounts', :'amounts'), create_computed_trait('amounts_as_text', :'as_text', refresh => 'realtime'),
    create_computed_trait('products', :'products');
SELECT create_segment('spenders', format('EXISTS (SELECT FROM jsonb_array_elements(%s) AS x WHERE x::numeric > 8)', :'amounts'), include_anonymous => true);
CALL refresh();
SELECT anonymous_id, amounts, amounts_as_text, products,
       amounts IS NOT DISTINCT FROM plain_amounts AND amounts_as_text::jsonb = plain_text::jsonb AND products IS NOT DISTINCT FROM plain_products AS same,
       segment IS NOT NULL = (plain_amounts @? '$[*] ? (@ > 8)') AS same_member
FROM cdp.profiles
JOIN (SELECT person AS anonymous_id, jsonb_agg(amount ORDER BY amount) FILTER (WHERE amount IS NOT NULL) AS plain_amounts,
             json_agg(amount ORDER BY amount DESC)::text AS plain_text, jsonb_object_agg(product, amount) FILTER (WHERE amount IS NOT NULL) AS plain_products
      FROM shop_event GROUP BY person) AS plain USING (anonymous_id)
LEFT JOIN cdp.segment_members USING (profile_id)
ORDER BY anonymous_id;
-- in real time
SELECT track('{"anonymous_id": "person 1"}', 'purchase', '2026-02-01', '{"amount": 99, "product": "late"}', 'app', 'late') IS NOT NULL AS tracked;
SELECT anonymous_id, amounts_as_text FROM cdp.profiles WHERE anonymous_id = 'person 1';

DROP TABLE shop_event CASCADE;
SELECT cdp.teardown(false);
