-- What the demo prints about the people that came out. All of it is plain SQL over the functions and views of schema cdp.

\pset null ''

\echo
\echo 'FROM RECORDS TO PEOPLE'
\echo 'Three tables know the same customers by different names; cdp.stitch read each of them once.'
\echo
SELECT source, rows_read, records_new AS records, rejected, identifiers_new AS identifiers, identifiers_dropped AS dropped, merges, refusals
FROM demo.stitched;

SELECT (SELECT sum(records_new) FROM demo.stitched) AS records,
	count(*) AS identifiers,
	count(DISTINCT profile_id) FILTER (WHERE profile.is_known) AS people,
	count(DISTINCT profile_id) FILTER (WHERE NOT profile.is_known AND profile.is_usable) AS "anonymous browsers",
	count(*) FILTER (WHERE NOT profile.is_usable) AS "shared or junk"
FROM cdp.identifiers
JOIN (
	SELECT profile_id, bool_or(kind = 'person' AND state = 'usable') AS is_known, bool_or(state = 'usable') AS is_usable
	FROM cdp.identifiers GROUP BY profile_id
) AS profile USING (profile_id);

\echo 'WHAT WAS NOT TAKEN AT FACE VALUE'
\echo 'Rejected rows: no usable identifier in them, or a contradiction within the row.'
\echo
SELECT source, reason, count(*) AS rows, min(detail) AS "for example" FROM cdp.rejected_records GROUP BY source, reason ORDER BY rows DESC;
\echo 'Identifiers that join nobody: junk, and what too many people share.'
\echo
SELECT identifiers.namespace, identifiers.value, identifiers.state, records
FROM cdp.identifiers, cdp.profile_identifiers(profile_id)
WHERE identifiers.state <> 'usable' ORDER BY records DESC;
\echo 'Joins that were refused, because one person has one customer number and one CRM contact.'
\echo
SELECT identifier.namespace || ' to ' || refusal.other_namespace AS "join", count(*) AS refused,
	min(identifier.value || ' to ' || refusal.other_value) AS "for example", min(refusal.detail) AS because
FROM cdp_data.link JOIN cdp.identifiers AS identifier ON identifier.identifier_id = link.a,
	cdp.explain_refusals(identifier.profile_id) AS refusal
WHERE link.state = 'r' AND refusal.value = identifier.value
GROUP BY 1 ORDER BY 2 DESC;

\echo 'ONE PERSON: MARGARET ELLIS'
\echo
SELECT namespace, value, records FROM cdp.profile_identifiers(cdp.resolve('crm_id', 'C-13089'));
\echo 'The CRM does not know her customer number. How do we know that contact C-13089 is customer 13089?'
\echo
SELECT step, from_namespace || ' ' || from_value AS "from", to_namespace || ' ' || to_value AS "to", source || ' ' || record_key AS "record that says so", first_seen::date AS since
FROM cdp.explain_link('crm_id', 'C-13089', 'user_id', '13089');

\echo 'TWO PEOPLE: THOMAS AND PRIYA HARPER'
\echo 'They share a land line and a tablet. Why are they not one?'
\echo
SELECT namespace || ' ' || value AS "of Priya", other_namespace || ' ' || other_value AS "of Thomas", reason, detail
FROM cdp.explain_refusals(cdp.resolve('user_id', '16029'));

\echo 'A WRONG JOIN, TAKEN BACK'
\echo 'George had a present sent to Nina and left her address, so she became a part of him. What would a split do?'
\echo
SELECT part, namespace, value
FROM cdp.split_profile(cdp.resolve('user_id', '14096'), '{"email": "nina.patel@example.net", "anonymous_id": "browser-nina"}', 'present sent to a friend', dry_run => true);
CREATE TEMPORARY TABLE history (step integer, what text, george bigint, nina bigint);
INSERT INTO history SELECT 1, 'before', cdp.resolve('user_id', '14096'), cdp.resolve('email', 'nina.patel@example.net');
SELECT count(*) FROM cdp.split_profile(cdp.resolve('user_id', '14096'), '{"email": "nina.patel@example.net", "anonymous_id": "browser-nina"}', 'present sent to a friend', dry_run => false) \g /dev/null
INSERT INTO history SELECT 2, 'split_profile', cdp.resolve('user_id', '14096'), cdp.resolve('email', 'nina.patel@example.net');
SELECT cdp.remove_label(namespace_1, value_1, namespace_2, value_2) FROM cdp.labels WHERE reason = 'present sent to a friend' \g /dev/null
INSERT INTO history SELECT 3, 'its undo, remove_label', cdp.resolve('user_id', '14096'), cdp.resolve('email', 'nina.patel@example.net');
SELECT cdp.cannot_link('user_id', '14096', 'email', 'nina.patel@example.net', 'present sent to a friend') \g /dev/null
INSERT INTO history SELECT 4, 'cannot_link', cdp.resolve('user_id', '14096'), cdp.resolve('email', 'nina.patel@example.net');
\echo 'The ids of both, step by step; a split is durable, and its undo brings the old id back.'
\echo
SELECT what, george, nina FROM history ORDER BY step;

-- One row per person: the latest value of each trait, wherever it came from.
CREATE TABLE demo.person AS
SELECT profile_id,
	(array_agg(name ORDER BY known_at DESC) FILTER (WHERE name IS NOT NULL))[1] AS name,
	(array_agg(email ORDER BY known_at DESC) FILTER (WHERE cdp.resolve('email', email) = profile_id))[1] AS email,
	(array_agg(phone ORDER BY known_at DESC) FILTER (WHERE phone IS NOT NULL))[1] AS phone,
	(array_agg(country ORDER BY known_at DESC) FILTER (WHERE country IS NOT NULL))[1] AS country,
	(array_agg(newsletter ORDER BY known_at DESC) FILTER (WHERE newsletter IS NOT NULL))[1] AS newsletter,
	max(known_at)::date AS last_seen,
	string_agg(DISTINCT source, ', ') AS sources
FROM (
	SELECT cdp.resolve('crm_id', contact_id) AS profile_id, updated_at AS known_at, 'crm' AS source, first_name || ' ' || last_name AS name,
		cdp.normalize_email(email) AS email, cdp.normalize_phone(phone, 'GB') AS phone, country, newsletter
	FROM crm.contact
	UNION ALL
	SELECT cdp.resolve('user_id', customer_id::text), max(invoice_date) AT TIME ZONE 'Europe/London', 'shop', NULL, NULL, NULL, country, NULL
	FROM shop.order_line WHERE customer_id IS NOT NULL GROUP BY customer_id, country
	UNION ALL
	SELECT coalesce(cdp.resolve('user_id', customer_id::text), cdp.resolve('email', email), cdp.resolve('anonymous_id', anonymous_id)), occurred_at, 'web', NULL,
		cdp.normalize_email(email), NULL, NULL, NULL
	FROM web.event
) AS known
WHERE profile_id IS NOT NULL
GROUP BY profile_id;

-- Recency, frequency and monetary value per person, refunds taken off.
CREATE TABLE demo.value AS
SELECT cdp.resolve('user_id', customer_id::text) AS profile_id,
	date '2011-12-10' - max(invoice_date)::date AS recency_days,
	count(DISTINCT invoice_no) FILTER (WHERE quantity > 0) AS frequency,
	round(sum(quantity * unit_price), 2) AS monetary
FROM shop.order_line WHERE customer_id IS NOT NULL
GROUP BY customer_id;

\echo 'ONE ROW PER PERSON'
\echo 'The latest value of each trait, wherever it came from, and what the orders say: recency, frequency, monetary value.'
\echo
SELECT name, email, phone, country, sources, recency_days AS recency, frequency, monetary
FROM demo.person JOIN demo.value USING (profile_id)
ORDER BY profile_id IN (cdp.resolve('user_id', '13089'), cdp.resolve('user_id', '15311'), cdp.resolve('user_id', '16029')) DESC, monetary DESC
LIMIT 8;

\echo 'AN AUDIENCE'
\echo 'Good customers who went quiet and whom we may write to: 1,000 pounds or more, nothing for 90 days, newsletter yes, an address at hand.'
\echo
CREATE VIEW demo.win_back AS
SELECT profile_id, name, email, recency_days, frequency, monetary
FROM demo.person JOIN demo.value USING (profile_id)
WHERE monetary >= 1000 AND recency_days > 90 AND newsletter AND email IS NOT NULL;
SELECT count(*) AS people, round(sum(monetary)) AS "their orders so far" FROM demo.win_back;
SELECT name, email, recency_days AS recency, frequency, monetary FROM demo.win_back ORDER BY monetary DESC LIMIT 5;
