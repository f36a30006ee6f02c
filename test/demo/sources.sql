-- From tables to people: the extension, its storage, one declaration per table, and one refresh.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdp;
SELECT cdp.setup() \g /dev/null

-- British numbers may be written without their +44.
SELECT cdp.alter_namespace('phone', default_region => 'GB') \g /dev/null

-- Who is believed: about names the CRM, then the support desk; of countries the one that most records say; the worst mark that
-- somebody gave. The rest goes by the newest record.
SELECT cdp.create_trait('name', 'text', survivorship => 'priority', sources => ARRAY['crm', 'support'], ignore_empty => true) \g /dev/null
SELECT cdp.create_trait('country', 'text', survivorship => 'most_frequent', ignore_empty => true) \g /dev/null
SELECT cdp.create_trait('satisfaction', 'integer', survivorship => 'min') \g /dev/null

-- The shop: each order line is an event. Its times have no zone of their own.
SELECT cdp.create_source('shop', 'shop.order_line', record_key => 'line_id',
	occurred_at => 'invoice_date', observed_at => 'invoice_date', time_zone => 'Europe/London',
	event_name => $$ CASE WHEN quantity > 0 THEN 'purchase' ELSE 'refund' END $$,
	identifiers => 'customer_id AS user_id',
	properties => 'quantity * unit_price AS amount, invoice_no AS invoice, stock_code AS product') \g /dev/null

-- What the shop knows of its customers beside their orders: a view will do.
CREATE VIEW shop.customer AS
SELECT DISTINCT ON (customer_id) customer_id, country, invoice_date AS known_at
FROM shop.order_line WHERE customer_id IS NOT NULL ORDER BY customer_id, invoice_date DESC;
SELECT cdp.create_source('customer', 'shop.customer', record_key => 'customer_id', observed_at => 'known_at', time_zone => 'Europe/London',
	identifiers => 'customer_id AS user_id',
	traits => 'country AS country') \g /dev/null

-- The CRM: changes of its table are taken in at once, by a trigger, in the transaction that makes them.
SELECT cdp.create_source('crm', 'crm.contact', record_key => 'contact_id', observed_at => 'updated_at', capture => 'immediate',
	identifiers => 'contact_id AS crm_id, email AS email, phone AS phone, shop_customers AS user_id',
	traits => $$ first_name || ' ' || last_name AS name, country AS country, newsletter AS newsletter $$) \g /dev/null

SELECT cdp.create_source('web', 'web.event', record_key => 'event_id', occurred_at => 'occurred_at', observed_at => 'occurred_at', event_name => 'event_name',
	identifiers => 'anonymous_id AS anonymous_id, customer_id AS user_id, email AS email') \g /dev/null

-- Support: the address stands in what a mail program writes before it.
SELECT cdp.create_source('support', 'support.ticket', record_key => 'ticket_id', observed_at => 'opened_at',
	identifiers => $$ regexp_replace(from_address, '^.*<|>.*$', '', 'g') AS email, phone AS phone $$,
	traits => 'from_name AS name, language AS language, satisfaction AS satisfaction') \g /dev/null

CALL cdp.refresh();
