-- The CRM's contacts, the web site's events and the support desk's tickets about the shop's customers: generated, and the same in every run, since each value is a
-- function of the customer's number. What such tables look like in real life is in here on purpose: one address in many spellings, phone
-- numbers in national and international form, contacts that do not know their customer number, duplicates, junk, a kiosk, a household.

CREATE FUNCTION pg_temp.draw(n bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(n, salt) & 1073741823) / 1073741824.0::double precision;

CREATE FUNCTION pg_temp.pick(choices text, n bigint, salt bigint) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN (string_to_array(choices, ' '))[1 + floor(pg_temp.draw(n, salt) * cardinality(string_to_array(choices, ' ')))::integer];

-- One address, the spellings of a sales team and of a login form.
CREATE FUNCTION pg_temp.spelling(email text, n bigint, salt bigint) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE floor(pg_temp.draw(n, salt) * 8)
	WHEN 0 THEN upper(email) WHEN 1 THEN initcap(email) WHEN 2 THEN ' ' || email WHEN 3 THEN email || '  '
	ELSE email END;

CREATE TEMPORARY TABLE customer AS
SELECT customer_id, min(country) AS country, min(invoice_date) AS first_order, max(invoice_date) AS last_order,
	pg_temp.pick('Alice Amir Beth Carlos Chloe David Elena Farah George Hannah Ivan Jack Kemi Laura Liam Maya Nora Oscar Paula Ravi Rosa Sam Tara Victor Wendy Yusuf Zoe', customer_id, 1) AS first_name,
	pg_temp.pick('Adams Baker Clarke Davies Evans Foster Green Hughes Iqbal Jones Khan Lewis Morgan Novak Owen Patel Quinn Roberts Shaw Taylor Underwood Vaughan Wright Young', customer_id, 2) AS last_name
FROM shop.order_line WHERE customer_id IS NOT NULL GROUP BY customer_id;

ALTER TABLE customer ADD email text, ADD phone text;
UPDATE customer SET
	email = lower(first_name || '.' || last_name) || customer_id || '@' || pg_temp.pick('example.com example.org mail.example', customer_id, 3),
	phone = CASE WHEN country IN ('United Kingdom', 'Channel Islands') THEN
		CASE floor(pg_temp.draw(customer_id, 4) * 5)
			WHEN 0 THEN '07123 4' || customer_id WHEN 1 THEN '(07123) 4' || customer_id WHEN 2 THEN '+44 7123 4' || customer_id
			WHEN 3 THEN '0044 (0)7123-4' || customer_id ELSE '+4471234' || customer_id END
		WHEN country = 'Germany' THEN '+49 151 234' || customer_id
		WHEN country = 'France' THEN '0033 6 123' || customer_id
		END;

-- People whom the demo follows by name.
UPDATE customer SET (first_name, last_name, email, phone) = (named.first_name, named.last_name, named.email, named.phone)
FROM (VALUES
	(13089, 'Margaret', 'Ellis', 'margaret.ellis@example.com', '020 7946 0189'),
	(14096, 'George', 'Bishop', 'george.bishop@example.com', '+44 20 7946 0196'),
	(15311, 'Thomas', 'Harper', 'tom@harper.example', '020 7946 0815'),
	(16029, 'Priya', 'Harper', 'priya@harper.example', '+44 (0)20 7946 0815')
) AS named (customer_id, first_name, last_name, email, phone)
WHERE customer.customer_id = named.customer_id;

-- CRM: most customers; half of the contacts do not know the customer number of the shop.
INSERT INTO crm.contact
SELECT 'C-' || customer_id, (last_order + interval '3 days' * pg_temp.draw(customer_id, 11)) AT TIME ZONE 'Europe/London', first_name, last_name,
	CASE WHEN is_named OR pg_temp.draw(customer_id, 12) > 0.06 THEN pg_temp.spelling(email, customer_id, 13)
		ELSE pg_temp.pick('test@test.com none n/a', customer_id, 14) END,
	CASE WHEN is_named OR pg_temp.draw(customer_id, 15) > 0.10 THEN phone
		ELSE pg_temp.pick('0000000000 unknown 12345 -', customer_id, 16) END,
	CASE WHEN NOT is_named AND pg_temp.draw(customer_id, 17) < 0.5 THEN ARRAY[customer_id] END,
	country, pg_temp.draw(customer_id, 18) < 0.7
FROM customer, LATERAL (SELECT customer_id IN (13089, 14096, 15311, 16029)) AS cast_list (is_named)
WHERE is_named OR pg_temp.draw(customer_id, 19) < 0.85;

-- Prospects who have not bought yet, duplicates of contacts (same address, other number), contacts on which two accounts were typed in.
INSERT INTO crm.contact
SELECT 'C-9' || lpad(n::text, 4, '0'), timestamptz '2011-06-01 09:00:00+00' + n * interval '3 hours', pg_temp.pick('Ana Ben Cleo Dan Eva Finn', n, 21),
	pg_temp.pick('Abbott Burke Cole Dunn Ellery Frost', n, 22), 'prospect' || n || '@example.net', '07124 ' || 500000 + n, NULL::integer[], 'United Kingdom', true
FROM generate_series(1, 600) AS n
UNION ALL
SELECT 'C-8' || customer_id, (last_order + interval '4 days') AT TIME ZONE 'Europe/London', left(first_name, 1) || '.', last_name, upper(email), NULL, NULL::integer[], country, false
FROM customer WHERE pg_temp.draw(customer_id, 23) < 0.01 AND customer_id NOT IN (13089, 14096, 15311, 16029)
UNION ALL
SELECT 'C-7' || customer_id, last_order AT TIME ZONE 'Europe/London', 'Accounts', last_name, NULL, NULL, ARRAY[customer_id, customer_id + 1], country, false
FROM customer WHERE pg_temp.draw(customer_id, 24) < 0.001;

-- Web: customers on one to three browsers of their own; logged in with their number, with their address, with both, or not at all.
INSERT INTO web.event (occurred_at, event_name, anonymous_id, customer_id, email)
SELECT (first_order + (last_order - first_order) * pg_temp.draw(visit, 31)) AT TIME ZONE 'Europe/London' - interval '20 minutes',
	pg_temp.pick('page page page search basket', visit, 32),
	CASE WHEN pg_temp.draw(visit, 33) < 0.003 THEN '00000000-0000-0000-0000-000000000000'
		ELSE md5(customer_id || '/' || browser)::uuid::text END,
	CASE WHEN pg_temp.draw(visit, 34) < 0.30 THEN customer_id END,
	CASE WHEN pg_temp.draw(visit, 34) BETWEEN 0.20 AND 0.45 THEN pg_temp.spelling(email, visit, 35) END
FROM customer, generate_series(1, 1 + floor(pg_temp.draw(customer_id, 36) * 3)::integer) AS browser, generate_series(1, 4) AS number,
	LATERAL (SELECT customer_id * 100::bigint + browser * 10 + number) AS key (visit)
WHERE customer_id NOT IN (13089, 14096, 15311, 16029) AND pg_temp.draw(customer_id, 37) < 0.8
ORDER BY 1, visit;

-- Visitors who never said who they are, and prospects who signed up for the newsletter.
INSERT INTO web.event (occurred_at, event_name, anonymous_id, email)
SELECT timestamptz '2010-12-01 09:00:00+00' + pg_temp.draw(n * 10 + number, 41) * interval '370 days', 'page', md5('visitor' || n)::uuid::text, NULL
FROM generate_series(1, 2500) AS n, generate_series(1, 2) AS number
UNION ALL
SELECT timestamptz '2011-06-01 09:00:00+00' + n * interval '3 hours', 'sign-up', md5('prospect' || n)::uuid::text, 'Prospect' || n || '@Example.net'
FROM generate_series(1, 600, 2) AS n
ORDER BY 1, 3;

-- The terminal in the shop in Oxford Street: one anonymous id, dozens of customers who log in at it.
INSERT INTO web.event (occurred_at, event_name, anonymous_id, customer_id)
SELECT last_order AT TIME ZONE 'Europe/London', 'login', 'kiosk-oxford-street', customer_id
FROM customer WHERE pg_temp.draw(customer_id, 51) < 0.01
ORDER BY 1, 4;

-- The people followed by name. Margaret: the web login ties her account to the address by which the CRM knows her; her phone's browser is
-- tied by a link in a newsletter. The Harpers share a land line and a tablet. George had a present sent and left a friend's address.
INSERT INTO web.event (occurred_at, event_name, anonymous_id, customer_id, email) VALUES
	('2011-02-03 19:12:00+00', 'page',   'browser-margaret-laptop', NULL, NULL),
	('2011-02-03 19:20:00+00', 'login',  'browser-margaret-laptop', 13089, 'margaret.ellis@example.com'),
	('2011-05-20 08:02:00+00', 'page',   'browser-margaret-phone', NULL, 'Margaret.Ellis@Example.COM '),
	('2011-04-11 18:00:00+00', 'login',  'tablet-harper', 15311, 'tom@harper.example'),
	('2011-04-12 20:30:00+00', 'login',  'tablet-harper', 16029, 'Priya@Harper.example'),
	('2011-06-05 10:00:00+00', 'login',  'browser-george', 14096, 'george.bishop@example.com'),
	('2011-07-01 07:45:00+00', 'sign-up', 'browser-nina', NULL, 'nina.patel@example.net'),
	('2011-11-29 12:10:00+00', 'present', 'browser-george', 14096, 'Nina.Patel@example.net');

-- Support: tickets by e-mail, sometimes with a phone number; what people call themselves there is not what the CRM calls them, and a
-- country is not known, but a language and how content they were.
INSERT INTO support.ticket
SELECT customer_id * 10 + number, (last_order + interval '1 day' * (number + pg_temp.draw(customer_id, 61))) AT TIME ZONE 'Europe/London',
	CASE WHEN pg_temp.draw(customer_id, 62) < 0.3 THEN first_name WHEN pg_temp.draw(customer_id, 62) < 0.8 THEN first_name || ' ' || last_name END,
	pg_temp.spelling(email, customer_id, 63), CASE WHEN pg_temp.draw(customer_id, 64) < 0.2 THEN phone END,
	CASE country WHEN 'Germany' THEN 'de' WHEN 'France' THEN 'fr' WHEN 'Spain' THEN 'es' ELSE 'en' END,
	pg_temp.pick('delivery delivery refund question', customer_id * 10 + number, 65),
	CASE WHEN pg_temp.draw(customer_id * 10 + number, 66) < 0.7 THEN 1 + floor(pg_temp.draw(customer_id * 10 + number, 67) * 5)::integer END
FROM customer, generate_series(1, 2) AS number
WHERE pg_temp.draw(customer_id * 10 + number, 68) < 0.12 AND customer_id NOT IN (13089, 14096, 15311, 16029)
	AND (EXISTS (SELECT FROM crm.contact WHERE lower(btrim(contact.email)) = customer.email)
		OR EXISTS (SELECT FROM web.event WHERE lower(btrim(event.email)) = customer.email));
INSERT INTO support.ticket VALUES
	(1, '2011-06-14 10:20:00+00', 'Maggie Ellis', 'Margaret Ellis <MARGARET.ELLIS@example.com>', NULL, 'en', 'delivery', 2),
	(2, '2011-10-02 16:45:00+00', 'Maggie',       'margaret.ellis@example.com', '0207 946 0189', 'en', 'question', 5),
	(3, '2011-10-03 08:00:00+00', NULL,           'no-reply', 'withheld', NULL, 'delivery', NULL);

DROP TABLE customer;
ANALYZE crm.contact, web.event, support.ticket;
