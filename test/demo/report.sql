-- What the demo prints about the people that came out. All of it is plain SQL over the functions and views of schema cdp.

\pset null ''

\echo
\echo 'FROM RECORDS TO PEOPLE'
\echo 'Five tables know the same customers by different names; each was declared once, and cdp.refresh read them.'
\echo
SELECT source, kind, relation AS "table", capture, log.rows_read AS rows, log.rows_read - log.rejected AS taken, log.rejected
FROM cdp.sources JOIN cdp.refresh_log AS log USING (source)
ORDER BY log.log_id;

SELECT sum(record_count) AS records, sum(event_count) AS events,
	(SELECT count(*) FROM cdp.identifiers) AS identifiers,
	count(*) FILTER (WHERE is_known) AS people,
	count(*) FILTER (WHERE NOT is_known) AS "anonymous browsers",
	(SELECT count(*) FROM cdp.identifiers WHERE state <> 'usable') AS "shared or junk"
FROM cdp.profiles;

\echo 'ONE ROW PER PERSON'
\echo 'cdp.profiles has a typed column for each trait and for each kind of identifier. The people with most orders:'
\echo
SELECT name, email, phone, country, newsletter AS news, satisfaction AS "worst mark", event_count AS events, last_seen::date AS "last seen"
FROM cdp.profiles
ORDER BY profile_id IN (cdp.resolve('user_id', '13089'), cdp.resolve('user_id', '15311'), cdp.resolve('user_id', '16029')) DESC, event_count DESC
LIMIT 8;

\echo 'ONE PERSON: MARGARET ELLIS'
\echo 'Everything that belongs to her, strongest first:'
\echo
SELECT namespace, value, records FROM cdp.profile_identifiers(cdp.resolve('crm_id', 'C-13089'));
\echo 'The CRM does not know her customer number. How do we know that contact C-13089 is customer 13089?'
\echo
SELECT step, from_namespace || ' ' || from_value AS "from", to_namespace || ' ' || to_value AS "to", source || ' ' || record_key AS "record that says so", first_seen::date AS since
FROM cdp.explain_link('crm_id', 'C-13089', 'user_id', '13089');
\echo 'And each browser of hers?'
\echo
SELECT identifiers.value AS browser, step, from_value || ' to ' || to_value AS link, source || ' ' || record_key AS "record that says so"
FROM cdp.identifiers, cdp.explain_link('anonymous_id', identifiers.value, 'email', 'margaret.ellis@example.com')
WHERE profile_id = cdp.resolve('crm_id', 'C-13089') AND namespace = 'anonymous_id'
ORDER BY 1, 2;
\echo 'Why does each trait have the value that it has? The winner of each is marked.'
\echo
SELECT trait, CASE WHEN is_winner THEN '*' END AS wins, x.value #>> '{}' AS value, x.source || ' ' || x.record_key AS record, x.observed_at::date AS "as of", x.reason
FROM cdp.traits, cdp.explain_trait(cdp.resolve('crm_id', 'C-13089'), trait) AS x
ORDER BY trait, place;
\echo 'What she did last:'
\echo
SELECT occurred_at::timestamp(0), source, event_name, amount, product
FROM cdp.events WHERE profile_id = cdp.resolve('crm_id', 'C-13089')
ORDER BY occurred_at DESC, record_key DESC LIMIT 5;
\echo 'cdp.get_profile gives an application all of that in one call:'
\echo
SELECT key, left(value::text, 120) AS value FROM jsonb_each(cdp.get_profile('email', 'margaret.ellis@example.com', events => 3));

\echo 'LIVE'
\echo 'The table of the CRM is captured: whoever changes it changes the profile, in the same transaction. She marries and cancels the newsletter:'
\echo
BEGIN;
SELECT 'before' AS "when", name, newsletter, last_seen::date AS "last seen" FROM cdp.profiles WHERE profile_id = cdp.resolve('crm_id', 'C-13089');
UPDATE crm.contact SET last_name = 'Ellis-Ward', newsletter = false, updated_at = '2011-12-12 09:00:00+00' WHERE contact_id = 'C-13089';
SELECT 'after' AS "when", name, newsletter, last_seen::date AS "last seen" FROM cdp.profiles WHERE profile_id = cdp.resolve('crm_id', 'C-13089');
COMMIT;

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
\echo 'The next refresh derives both profiles again; the event of the present stays with George, who sent it:'
\echo
SET client_min_messages = warning;
CALL cdp.refresh();
SELECT profiles.name, profiles.email, profiles.event_count AS events, count(*) FILTER (WHERE events.event_name = 'present') AS presents
FROM cdp.profiles JOIN cdp.events USING (profile_id)
WHERE profile_id IN (cdp.resolve('user_id', '14096'), cdp.resolve('email', 'nina.patel@example.net'))
GROUP BY profile_id, 1, 2, 3 ORDER BY profile_id;

\echo 'AN AUDIENCE'
\echo 'Good customers who went quiet and whom we may write to: 1,000 pounds or more, nothing for 90 days, newsletter yes, an address at hand.'
\echo
CREATE SCHEMA demo;
-- Recency, frequency and monetary value per person, refunds taken off.
CREATE VIEW demo.value AS
SELECT profile_id, date '2011-12-10' - (max(occurred_at) AT TIME ZONE 'Europe/London')::date AS recency,
	count(DISTINCT record_key) FILTER (WHERE event_name = 'purchase') AS lines, round(sum(amount), 2) AS monetary
FROM cdp.events WHERE source = 'shop' GROUP BY profile_id;
CREATE VIEW demo.win_back AS
SELECT profile_id, name, email, recency, lines, monetary
FROM cdp.profiles JOIN demo.value USING (profile_id)
WHERE monetary >= 1000 AND recency > 90 AND newsletter AND email IS NOT NULL;
SELECT count(*) AS people, round(sum(monetary)) AS "their orders so far" FROM demo.win_back;
SELECT name, email, recency, lines, monetary FROM demo.win_back ORDER BY monetary DESC LIMIT 5;

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

\echo 'HEALTH'
\echo
SELECT severity, "check", detail, hint FROM cdp.health;
SELECT count(*) AS "inconsistencies of the identity graph" FROM cdp.check_identities();
