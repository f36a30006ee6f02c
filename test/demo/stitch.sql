-- From three tables to people: the extension, its storage, and one call per table.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdp;
SELECT cdp.setup() \g /dev/null

-- British numbers may be written without their +44.
SELECT cdp.alter_namespace('phone', default_region => 'GB') \g /dev/null

CREATE SCHEMA demo;
CREATE TABLE demo.stitched AS
SELECT 'shop' AS source, * FROM cdp.stitch('shop', $$
	SELECT line_id AS record_key, invoice_date AT TIME ZONE 'Europe/London' AS observed_at, customer_id AS user_id
	FROM shop.order_line
$$);

INSERT INTO demo.stitched
SELECT 'crm', * FROM cdp.stitch('crm', $$
	SELECT contact_id AS record_key, updated_at AS observed_at, contact_id AS crm_id, email, phone, shop_customers AS user_id
	FROM crm.contact
$$);

INSERT INTO demo.stitched
SELECT 'web', * FROM cdp.stitch('web', $$
	SELECT event_id AS record_key, occurred_at AS observed_at, anonymous_id, customer_id AS user_id, email
	FROM web.event
$$);
