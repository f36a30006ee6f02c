-- Generates the workload of the identity benches: what a web site, a CRM, the tills and an app know about N people.
--
--   psql -v people=500000 -f workload.sql
--
-- Everything is a function of the person's number and a salt, so the same N gives the same rows on every machine and version. At
-- N = 500,000 there are about 2.9 million records with about 3.7 million distinct identifiers:
--
--   workload.crm   60 % of people: crm_id, often email and phone, sometimes the web site's user_id; 1 % are there twice
--   workload.pos   50 % carry a loyalty card: 1 to 3 receipts each, some with an email or a phone number for the receipt
--   workload.app   40 % have the app: device_id (some have two devices), mostly logged in with user_id, some with an email
--   workload.web   1 to 6 browsers each: anonymous_id, half of the visits log in (user_id, email or both)
--
-- What makes it more than a clean join: emails in several spellings, phones in several spellings, second addresses, households that
-- share a phone or a browser, kiosks that dozens of people log in at, junk values, and duplicates in the CRM. Rows are stored in the
-- order of their time, not of their person.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronize_seqscans = off;

DROP SCHEMA IF EXISTS workload CASCADE;
CREATE SCHEMA workload;

-- A number in [0, 1) that depends on the person and the salt alone.
CREATE FUNCTION workload.draw(person bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(person, salt) & 1073741823) / 1073741824.0::double precision;

-- A time in the two years from 2023-01-01 on, in whole seconds.
CREATE FUNCTION workload.moment(person bigint, salt bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_timestamp(1672531200 + floor(workload.draw(person, salt) * 63072000));

CREATE FUNCTION workload.user_id(person bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN workload.draw(person, 1) < 0.80 THEN 'u' || (1000000 + person) END;

CREATE FUNCTION workload.crm_id(person bigint, contact integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '003' || upper(substr(md5('crm' || person || '/' || contact), 1, 15));

CREATE FUNCTION workload.loyalty_id(person bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (2900000000000 + person * 97)::text;

-- Address 0 is the main one; some people also use address 1. The spelling varies with the salt of the row.
CREATE FUNCTION workload.email(person bigint, address integer, salt bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
CASE WHEN workload.draw(person, salt + 11) < 0.003 THEN 'test@test.com'
     WHEN workload.draw(person, salt + 11) < 0.005 THEN 'n/a'
     ELSE (
     CASE WHEN workload.draw(person, salt + 12) < 0.97 THEN '' ELSE ' ' END ||
     CASE WHEN workload.draw(person, salt + 12) BETWEEN 0.75 AND 0.90 THEN upper(split_part('anna bruno chloe daniel emma farid grace hugo ines jonas', ' ', 1 + (person % 10)::integer))
          ELSE split_part('anna bruno chloe daniel emma farid grace hugo ines jonas', ' ', 1 + (person % 10)::integer) END ||
     '.' || substr(md5(person::text), 1, 4) || person ||
     CASE WHEN address = 0 THEN split_part('@example.com @mail.example @example.org', ' ', 1 + (person % 3)::integer) ELSE '@work.example' END)
END;

-- Valid British mobile numbers, one per person (person < 99,999,989), in three spellings.
CREATE FUNCTION workload.phone(person bigint, salt bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
CASE WHEN workload.draw(person, salt + 21) < 0.7 THEN '+447' || (1 + person % 3) || lpad((person * 48271 % 99999989)::text, 8, '0')
     WHEN workload.draw(person, salt + 21) < 0.9 THEN '+44 7' || (1 + person % 3) || regexp_replace(lpad((person * 48271 % 99999989)::text, 8, '0'), '^(..)(...)(...)$', '\1 \2 \3')
     ELSE '+44 (0)7' || (1 + person % 3) || lpad((person * 48271 % 99999989)::text, 8, '0') END;

CREATE FUNCTION workload.browser(person bigint, browser bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN md5('browser' || person || '/' || browser)::uuid::text;

CREATE FUNCTION workload.device(person bigint, device bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN workload.draw(person, 31) < 0.005 THEN '00000000-0000-0000-0000-000000000000'
     ELSE upper(md5('device' || person || '/' || device)::uuid::text) END;

-- Every 25th person lives with the one before and is reached by the same phone; half of these also share a browser.
CREATE FUNCTION workload.phone_owner(person bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN person % 25 = 0 THEN person - 1 ELSE person END;

CREATE FUNCTION workload.browser_owner(person bigint, browser bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN person % 50 = 0 AND browser = 1 THEN person - 1 ELSE person END;

CREATE TABLE workload.crm AS
SELECT 'contact-' || person || '-' || contact AS id,
	workload.moment(person, 40 + contact) AS modified,
	workload.crm_id(person, contact) AS crm_id,
	CASE WHEN workload.draw(person, 42) < 0.90 THEN workload.email(person, 0, 50 + contact) END AS email,
	CASE WHEN workload.draw(person, 43) < 0.30 THEN workload.email(person, 1, 60 + contact) END AS work_email,
	CASE WHEN workload.draw(person, 44) < 0.70 THEN workload.phone(workload.phone_owner(person), 70 + contact) END AS phone,
	CASE WHEN workload.draw(person, 45) < 0.35 THEN workload.user_id(person) END AS user_id
FROM generate_series(1, :people::bigint) AS person,
	generate_series(1, CASE WHEN workload.draw(person, 46) < 0.01 THEN 2 ELSE 1 END) AS contact
WHERE workload.draw(person, 41) < 0.60
ORDER BY modified, id;

CREATE TABLE workload.pos AS
SELECT 'receipt-' || person || '-' || receipt AS id,
	workload.moment(person, 80 + receipt) AS sold_at,
	workload.loyalty_id(person) AS loyalty_id,
	CASE WHEN workload.draw(person, 90 + receipt) < 0.25 THEN workload.email(person, 0, 100 + receipt) END AS email,
	CASE WHEN workload.draw(person, 110 + receipt) < 0.15 THEN workload.phone(workload.phone_owner(person), 120 + receipt) END AS phone
FROM generate_series(1, :people::bigint) AS person,
	generate_series(1, 1 + floor(workload.draw(person, 130) * 3)::integer) AS receipt
WHERE workload.draw(person, 131) < 0.50
ORDER BY sold_at, id;

CREATE TABLE workload.app AS
SELECT 'session-' || person || '-' || session AS id,
	workload.moment(person, 140 + session) AS seen_at,
	workload.device(person, CASE WHEN workload.draw(person, 151) < 0.6 THEN session % 2 ELSE 0 END) AS device_id,
	CASE WHEN workload.draw(person, 160 + session) < 0.70 THEN workload.user_id(person) END AS user_id,
	CASE WHEN workload.draw(person, 170 + session) < 0.20 THEN workload.email(person, 0, 180 + session) END AS email
FROM generate_series(1, :people::bigint) AS person,
	generate_series(1, 1 + floor(workload.draw(person, 152) * 3)::integer) AS session
WHERE workload.draw(person, 153) < 0.40
ORDER BY seen_at, id;

CREATE TABLE workload.web AS
SELECT id, seen_at, anonymous_id, user_id, email
FROM (
	SELECT 'visit-' || person || '-' || browser AS id,
		workload.moment(person, 190 + browser) AS seen_at,
		workload.browser(workload.browser_owner(person, browser), browser) AS anonymous_id,
		CASE WHEN workload.draw(person, 200 + browser) < 0.35 THEN workload.user_id(person) END AS user_id,
		CASE WHEN workload.draw(person, 210 + browser) BETWEEN 0.25 AND 0.50 THEN workload.email(person, CASE WHEN workload.draw(person, 42) < 0.1 THEN 1 ELSE 0 END, 220 + browser) END AS email
	FROM generate_series(1, :people::bigint) AS person,
		generate_series(1, 1 + floor(workload.draw(person, 230) * 6)::integer) AS browser
	UNION ALL
	SELECT 'kiosk-visit-' || person, workload.moment(person, 240),
		workload.browser(-1 - person % greatest(:people::bigint / 2000, 1), 0), 'u' || (1000000 + person), NULL
	FROM generate_series(1, :people::bigint) AS person
	WHERE workload.draw(person, 241) < 0.0125 AND workload.user_id(person) IS NOT NULL
) AS visit
ORDER BY seen_at, id;

-- What is stitched: one query per source.
CREATE TABLE workload.source (position integer PRIMARY KEY, name text NOT NULL, query text NOT NULL);
INSERT INTO workload.source VALUES
	(1, 'crm', 'SELECT id AS record_key, modified AS observed_at, crm_id, email, work_email AS email, phone, user_id FROM workload.crm'),
	(2, 'pos', 'SELECT id AS record_key, sold_at AS observed_at, loyalty_id, email, phone FROM workload.pos'),
	(3, 'app', 'SELECT id AS record_key, seen_at AS observed_at, device_id, user_id, email FROM workload.app'),
	(4, 'web', 'SELECT id AS record_key, seen_at AS observed_at, anonymous_id, user_id, email FROM workload.web');

-- Batch number n of new records for a graph that is already there: half are known users on a new browser, half are new people.
CREATE FUNCTION workload.batch(batch integer, records integer, people bigint)
RETURNS TABLE (record_key text, observed_at timestamptz, anonymous_id text, user_id text, email text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT 'batch-' || batch || '-' || n,
		timestamptz '2025-01-01 00:00:00+00' + n * interval '1 second',
		md5('batch-browser' || batch || '/' || n)::uuid::text,
		CASE WHEN n % 2 = 0 THEN 'u' || (1000001 + floor(workload.draw(n, 1000 + batch) * people)::bigint)
			ELSE 'batch-user-' || batch || '-' || n END,
		CASE WHEN n % 4 = 1 THEN 'batch.' || batch || '.' || n || '@example.com' END
	FROM generate_series(1, records) AS n;
END;

VACUUM (ANALYZE) workload.crm, workload.pos, workload.app, workload.web;
