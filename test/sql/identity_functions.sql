-- Each function of the identity graph, what it answers and what it leaves behind.
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT cdp.setup();

-- profile ids depend on the sequence; people are shown by their identifiers
CREATE VIEW people AS
    SELECT string_agg(namespace || ':' || value || CASE state WHEN 'usable' THEN '' ELSE ' (' || state || ')' END, ', '
                      ORDER BY namespace, value) AS person
    FROM cdp.identifiers GROUP BY profile_id;
CREATE VIEW refused AS
    SELECT x.namespace AS namespace_1, x.value AS value_1, y.namespace AS namespace_2, y.value AS value_2
    FROM cdp_data.link l JOIN cdp.identifiers x ON x.identifier_id = l.a JOIN cdp.identifiers y ON y.identifier_id = l.b
    WHERE l.state = 'r';

-- namespaces -----------------------------------------------------------------------
SELECT namespace, priority, normalizer, kind, max_per_profile, max_links FROM cdp.namespaces ORDER BY priority;
SELECT cdp.create_namespace('wallet', 'lower', priority => 3, pattern => '^w', max_per_profile => 2, max_links => 4, kind => 'person');
SELECT * FROM cdp.namespaces WHERE namespace = 'wallet';
-- the same definition again is no error with replace
SELECT cdp.create_namespace('wallet', 'lower', priority => 3, pattern => '^w', max_per_profile => 2, max_links => 4, kind => 'person', replace => true);
SELECT cdp.alter_namespace('wallet', max_links => 5, priority => 4);
SELECT namespace, priority, pattern, max_per_profile, max_links FROM cdp.namespaces WHERE namespace = 'wallet';
SELECT cdp.drop_namespace('wallet');
SELECT count(*) FROM cdp.namespaces WHERE namespace = 'wallet';

-- stitch ---------------------------------------------------------------------------
CREATE TABLE contacts (id integer, modified timestamptz, email text, work_email text, phones text[], crm_id text);
INSERT INTO contacts VALUES
    (1, '2024-01-01', 'Ann@Example.org', NULL, NULL, '17'),
    (2, '2024-01-02', 'bob@example.org', 'bob@work.example', NULL, '18'),
    (3, '2024-01-03', 'not an address', NULL, NULL, '19'),
    (4, '2024-01-04', NULL, NULL, NULL, NULL),
    (5, '2024-01-05', 'test@test.com', NULL, NULL, NULL),
    (6, '2024-01-06', 'ann@example.org ', 'bob@work.example', NULL, NULL);
SELECT * FROM cdp.stitch('crm', 'SELECT id AS record_key, modified AS observed_at, email, work_email AS email, crm_id FROM contacts');
SELECT person FROM people ORDER BY person;
-- the same rows again
SELECT * FROM cdp.stitch('crm', 'SELECT id AS record_key, modified AS observed_at, email, work_email AS email, crm_id FROM contacts');
-- one record changes and takes its evidence along
UPDATE contacts SET work_email = NULL, modified = '2024-02-01' WHERE id = 6;
SELECT * FROM cdp.stitch('crm', 'SELECT id AS record_key, modified AS observed_at, email, work_email AS email, crm_id FROM contacts WHERE id = 6');
SELECT person FROM people ORDER BY person;
-- an older version changes nothing but the first time
SELECT * FROM cdp.stitch('crm', $$SELECT 6 AS record_key, '2023-01-01'::timestamptz AS observed_at, 'bob@example.org' AS email$$);
SELECT observed_at, first_seen FROM cdp_data.record WHERE source = 'crm' AND record_key = '6';
SELECT person FROM people ORDER BY person;
-- no rows at all
SELECT * FROM cdp.stitch('crm', 'SELECT id AS record_key, modified AS observed_at, email FROM contacts WHERE false');
-- columns may come in any order, and only some of them
SELECT * FROM cdp.stitch('loyalty', $$VALUES ('L1', 'k1')$$);
SELECT * FROM cdp.stitch('loyalty', $$SELECT 'L1' AS loyalty_id, 'k1' AS record_key, '17' AS crm_id$$);
-- arrays, NULLs in them, two dimensions, domains and varchar
CREATE DOMAIN address AS text;
SELECT rows_read, records_new, identifiers_new, identifiers_dropped FROM cdp.stitch('arrays', $$
    SELECT 1 AS record_key, '2024-01-01'::timestamptz AS observed_at,
           ARRAY['c@example.org', NULL, 'C@Example.Org', 'nonsense'] AS email,
           ARRAY[['d1', 'd2'], ['d3', NULL]] AS device_id,
           'x'::varchar(3) AS loyalty_id, 'dora@example.org'::address AS email$$);
SELECT person FROM people WHERE person LIKE '%c@example.org%';
-- numbers as identifiers
SELECT rows_read, records_new FROM cdp.stitch('numbers', 'SELECT i AS record_key, i::bigint + 4294967296 AS crm_id FROM generate_series(1, 2) i');
SELECT value FROM cdp.identifiers WHERE namespace = 'crm_id' ORDER BY value;
-- the query may be a VALUES list with column names, a WITH, a TABLE
SELECT rows_read FROM cdp.stitch('with', $$WITH w AS (SELECT 'w1' AS record_key, 'w1' AS user_id) TABLE w$$);
-- duplicates within a call: the newer wins; at equal time the order of rows does not matter
CREATE TABLE duplicates (n integer, record_key text, observed_at timestamptz, crm_id text, email text[]);
INSERT INTO duplicates VALUES
    (1, 'a', '2024-01-02', '100', '{a100@example.org}'), (2, 'a', '2024-01-03', '101', NULL), (3, 'a', '2024-01-01', '102', NULL),
    (4, 'b', '2024-01-01', '103', NULL), (5, 'b', '2024-01-01', '104', '{b104@example.org}'), (6, 'b', '2024-01-01', '105', '{b104@example.org,b105@example.org}');
BEGIN;
SELECT rows_read, records_new FROM cdp.stitch('duplicates', 'SELECT record_key, observed_at, crm_id, email FROM duplicates ORDER BY n');
CREATE TEMPORARY TABLE forwards AS SELECT * FROM people;
SELECT r.record_key, r.observed_at, r.first_seen, array_agg(i.value ORDER BY i.value) AS identifiers
FROM cdp_data.record r JOIN cdp.identifiers i ON i.identifier_id = ANY (coalesce(r.ids, ARRAY[r.hub]))
WHERE r.source = 'duplicates' AND r.record_key = 'a' GROUP BY 1, 2, 3 ORDER BY 1;
CREATE TEMPORARY TABLE winner ON COMMIT PRESERVE ROWS AS
    SELECT array_agg(i.value ORDER BY i.value) AS identifiers FROM cdp_data.record r
    JOIN cdp.identifiers i ON i.identifier_id = ANY (coalesce(r.ids, ARRAY[r.hub])) WHERE r.source = 'duplicates' AND r.record_key = 'b';
SELECT cdp.retract('duplicates', 'a'), cdp.retract('duplicates', 'b');
SELECT rows_read, records_new FROM cdp.stitch('duplicates', 'SELECT record_key, observed_at, crm_id, email FROM duplicates ORDER BY n DESC');
SELECT count(*) AS other_winners FROM (SELECT array_agg(i.value ORDER BY i.value) AS identifiers FROM cdp_data.record r
    JOIN cdp.identifiers i ON i.identifier_id = ANY (coalesce(r.ids, ARRAY[r.hub])) WHERE r.source = 'duplicates' AND r.record_key = 'b') w
WHERE w.identifiers <> (SELECT identifiers FROM winner);
ROLLBACK;
SELECT * FROM cdp.check_identities();

-- identify ---------------------------------------------------------------------------
SELECT cdp.identify('{"email": ["A@x.example", "b@x.example"], "crm_id": "200"}', 'api', '1', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('crm_id', '200') AS same;
-- a number, a list with one value, an empty list, a null
SELECT cdp.identify('{"crm_id": 200, "email": ["a@x.example"], "phone": [], "device_id": null}', 'api', '2', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('crm_id', '200') AS same;
-- the spelling does not matter
SELECT cdp.resolve('email', ' A@X.Example ') = cdp.resolve('email', 'b@x.example') AS same;
-- the same again
SELECT cdp.identify('{"email": ["A@x.example", "b@x.example"], "crm_id": "200"}', 'api', '1', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('crm_id', '200') AS same;
-- without a time: the time of arrival, which stays
BEGIN;
SELECT cdp.identify('{"crm_id": "201"}', 'api', '3', NULL) IS NOT NULL AS identified;
SELECT observed_at BETWEEN now() AND clock_timestamp() AS is_now, first_seen = observed_at AS same FROM cdp_data.record WHERE source = 'api' AND record_key = '3';
COMMIT;
CREATE TEMPORARY TABLE arrival AS SELECT observed_at FROM cdp_data.record WHERE source = 'api' AND record_key = '3';
SELECT cdp.identify('{"crm_id": "201", "email": "x201@x.example"}', 'api', '3') AS profile \gset
SELECT :profile = cdp.resolve('email', 'x201@x.example') AS same;
SELECT r.observed_at = a.observed_at AS stays FROM cdp_data.record r, arrival a WHERE r.source = 'api' AND r.record_key = '3';
-- the newer replaces, the older does not, at equal time the later call wins
SELECT cdp.identify('{"crm_id": "202", "device_id": "t1"}', 'api', '4', '2024-01-02') IS NOT NULL AS identified;
SELECT cdp.identify('{"crm_id": "202", "device_id": "t2"}', 'api', '4', '2024-01-01') IS NOT NULL AS identified;
SELECT person FROM people WHERE person ~ ':(t1|t2|202)';
SELECT cdp.identify('{"crm_id": "202", "device_id": "t3"}', 'api', '4', '2024-01-02') IS NOT NULL AS identified;
SELECT person FROM people WHERE person ~ ':(t1|t2|t3|202)' ORDER BY 1;

-- resolve and friends ----------------------------------------------------------------
SELECT cdp.resolve('email', 'nobody@x.example'), cdp.resolve('email', 'no address'), cdp.resolve(NULL, 'x'), cdp.resolve('email', NULL);
SELECT cdp.canonical_id(cdp.resolve('crm_id', '200')) = cdp.resolve('crm_id', '200') AS same, cdp.canonical_id(-1), cdp.canonical_id(NULL);
SELECT namespace, value, state FROM cdp.profile_identifiers(cdp.resolve('crm_id', '200')) ORDER BY namespace, value;
SELECT count(*) FROM cdp.profile_identifiers(-1);
SELECT clock_timestamp() AS before_merge \gset
SELECT cdp.identify('{"crm_id": "210"}', 'api', '10', '2024-01-01') AS first \gset
SELECT cdp.identify('{"email": "x210@x.example"}', 'api', '11', '2024-01-01') AS second \gset
SELECT clock_timestamp() AS apart \gset
SELECT cdp.identify('{"crm_id": "210", "email": "x210@x.example"}', 'api', '12', '2024-01-01') = :first AS keeps_the_smaller;
SELECT cdp.canonical_id(:second) = :first AS leads_on;
SELECT cdp.resolve_at('email', 'x210@x.example', :'before_merge') IS NULL AS unknown,
       cdp.resolve_at('email', 'x210@x.example', :'apart') = :second AS apart,
       cdp.resolve_at('email', 'x210@x.example', clock_timestamp()) = :first AS merged,
       cdp.resolve_at('email', 'x210@x.example', 'infinity') = :first AS ever_after,
       cdp.resolve_at('email', 'x210@x.example', '-infinity') IS NULL AS ever_before,
       cdp.resolve_at('email', 'x210@x.example', NULL) IS NULL AS never;
SELECT kind, profile_id = :first AS into_first, other_profile_id = :second AS from_second, identifiers, cause
FROM cdp.identity_changes ORDER BY change_id DESC LIMIT 1;

-- retract: undoing the merge gives the old id back
SELECT cdp.retract('api', '12'), cdp.retract('api', '12'), cdp.retract('nowhere', '12');
SELECT cdp.resolve('email', 'x210@x.example') = :second AS old_id_back, cdp.resolve('crm_id', '210') = :first AS stays;
SELECT kind, profile_id = :first AS from_first, other_profile_id = :second AS to_second, identifiers, cause
FROM cdp.identity_changes ORDER BY change_id DESC LIMIT 1;
-- an identifier that lost all evidence stays
SELECT cdp.retract('api', '11'), cdp.resolve('email', 'x210@x.example') = :second AS stays;
SELECT * FROM cdp.check_identities();

-- constraints: two people share an address, but a profile has one crm_id
SELECT cdp.identify('{"crm_id": "220", "email": "family@x.example"}', 'api', '20', '2024-01-01') IS NOT NULL AS identified;
SELECT cdp.identify('{"crm_id": "221", "email": "family@x.example"}', 'api', '21', '2024-01-02') IS NOT NULL AS identified;
SELECT person FROM people WHERE person LIKE '%crm_id:22%' ORDER BY 1;
SELECT * FROM refused;
SELECT namespace, value, other_profile_id = cdp.resolve('crm_id', '220') AS other_is_220, other_namespace, other_value, reason, detail, first_seen, records
FROM cdp.explain_refusals(cdp.resolve('crm_id', '221')) \gx
SELECT * FROM cdp.explain_refusals(cdp.resolve('crm_id', '210'));
-- the policy drop_older lets the newest win, for the whole graph
SELECT cdp.configure('conflict_policy', 'drop_older');
SELECT person FROM people WHERE person LIKE '%crm_id:22%' ORDER BY 1;
SELECT * FROM cdp.check_identities();
SELECT cdp.configure('conflict_policy', NULL);
SELECT person FROM people WHERE person LIKE '%crm_id:22%' ORDER BY 1;
SELECT cdp.configure('max_profile_size', '1');
SELECT count(*) AS people_of_many FROM people WHERE person LIKE '%, %';
SELECT * FROM cdp.check_identities();
SELECT cdp.configure('max_profile_size', NULL);
SELECT count(*) > 5 AS people_of_many FROM people WHERE person LIKE '%, %';

-- explain_link: the shortest path, with its sources
SELECT cdp.identify('{"email": "family@x.example", "device_id": "tv"}', 'web', '20', '2024-01-03') IS NOT NULL AS identified;
SELECT * FROM cdp.explain_link('crm_id', '220', 'device_id', 'tv');
SELECT * FROM cdp.explain_link('crm_id', '221', 'device_id', 'tv');
SELECT * FROM cdp.explain_link('crm_id', '220', 'crm_id', '220');
SELECT * FROM cdp.explain_link('crm_id', '220', 'crm_id', 'unknown');

-- shared identifiers
SELECT cdp.alter_namespace('device_id', max_links => 2);
SELECT count(cdp.identify(jsonb_build_object('crm_id', 'k' || i, 'device_id', 'kiosk'), 'kiosk', i::text, '2024-01-01')) FROM generate_series(1, 2) i;
SELECT state FROM cdp.identifiers WHERE namespace = 'device_id' AND value = 'kiosk';
SELECT cdp.identify('{"crm_id": "k3", "device_id": "kiosk"}', 'kiosk', '3', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('crm_id', 'k3') AS identified;
SELECT person FROM people WHERE person ~ 'kiosk|:k\d' ORDER BY 1;
SELECT cdp.retract('kiosk', '3');
SELECT person FROM people WHERE person ~ 'kiosk|:k\d' ORDER BY 1;
SELECT cdp.alter_namespace('device_id', max_links => 10);
SELECT * FROM cdp.check_identities();

-- blocked identifiers
SELECT cdp.block_identifier('email', ' Family@X.example', 'a family');
SELECT person FROM people WHERE person ~ 'family|crm_id:22' ORDER BY 1;
SELECT namespace, value, pattern, reason FROM cdp_data.blocked_identifier WHERE reason = 'a family';
SELECT cdp.block_identifier('email', 'family@x.example', 'a family');
SELECT cdp.unblock_identifier('email', 'family@x.example');
SELECT cdp.unblock_identifier('email', 'family@x.example');
SELECT person FROM people WHERE person ~ 'family|crm_id:22' ORDER BY 1;
SELECT cdp.block_identifier('email', pattern => '@x\.example$', reason => 'a whole domain');
SELECT count(*) AS blocked FROM cdp.identifiers WHERE state = 'blocked' AND value LIKE '%@x.example';
SELECT * FROM cdp.check_identities();
SELECT cdp.unblock_identifier('email', pattern => '@x\.example$');
SELECT count(*) AS blocked FROM cdp.identifiers WHERE state = 'blocked' AND value LIKE '%@x.example';
-- in every namespace
SELECT cdp.block_identifier(NULL, 'tv', 'nobody''s');
SELECT person FROM people WHERE person ~ ':tv';
SELECT cdp.unblock_identifier(NULL, 'tv');
-- a record of nothing but junk is kept, and links nobody
SELECT cdp.identify('{"email": "test@test.com", "device_id": "00000000-0000-0000-0000-000000000000"}', 'junk', '1', '2024-01-01') IS NOT NULL AS identified;
SELECT cdp.identify('{"email": "test@test.com", "crm_id": "230"}', 'junk', '2', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('crm_id', '230') AS identified;
SELECT person FROM people WHERE person ~ 'test@test|0000|230' ORDER BY 1;

-- labels -----------------------------------------------------------------------------
SELECT cdp.identify('{"crm_id": "240"}', 'labels', '1', '2024-01-01') AS one \gset
SELECT cdp.identify('{"crm_id": "241"}', 'labels', '2', '2024-01-01') AS other \gset
SELECT cdp.must_link('crm_id', '240', 'crm_id', '241', 'married, and one account') IS NOT NULL AS labelled;
-- joined by a must-link they count as one value
SELECT cdp.resolve('crm_id', '241') = :one AS one;
SELECT kind, namespace_1, value_1, namespace_2, value_2, reason, created_by = current_user AS by_me, is_resting FROM cdp.labels;
SELECT step, from_value, to_value, evidence, source, record_key, records FROM cdp.explain_link('crm_id', '241', 'crm_id', '240');
-- survives a rebuild
SELECT cdp.rebuild_identities() IS NOT NULL AS rebuilt;
SELECT cdp.resolve('crm_id', '241') = :one AS one;
-- with an identifier nobody has seen
SELECT cdp.must_link('crm_id', '240', 'email', 'later@x.example', 'will come') IS NOT NULL AS labelled;
SELECT person FROM people WHERE person ~ 'crm_id:24';
SELECT cdp.remove_label('crm_id', '241', 'crm_id', '240') IS NOT NULL AS removed;
SELECT cdp.resolve('crm_id', '241') = :other AS old_id_back;
SELECT cdp.cannot_link('email', 'later@x.example', 'crm_id', '241', 'certain') IS NOT NULL AS labelled;
SELECT cdp.identify('{"crm_id": "241", "email": "later@x.example"}', 'labels', '3', '2024-01-01') = :other AS other;
SELECT person FROM people WHERE person ~ 'crm_id:24' ORDER BY 1;
SELECT namespace, value, other_profile_id = cdp.resolve('crm_id', '240') AS other_is_240, other_namespace, other_value, reason, regexp_replace(detail, '\d+', 'N') AS detail, records
FROM cdp.explain_refusals(:other) \gx
SELECT cdp.remove_label('email', 'later@x.example', 'crm_id', '240') IS NOT NULL AS removed;
SELECT cdp.remove_label('email', 'later@x.example', 'crm_id', '241') IS NOT NULL AS removed;
SELECT person FROM people WHERE person ~ 'crm_id:24' ORDER BY 1;
SELECT count(*) FROM cdp.labels;
-- a must-link rests while an end is blocked
SELECT cdp.must_link('crm_id', '240', 'crm_id', '241', 'again') IS NOT NULL AS labelled;
SELECT cdp.block_identifier('crm_id', '240', 'for a while');
SELECT person FROM people WHERE person ~ 'crm_id:24' ORDER BY 1;
SELECT is_resting FROM cdp.labels;
SELECT cdp.unblock_identifier('crm_id', '240');
SELECT person FROM people WHERE person ~ 'crm_id:24' ORDER BY 1;
SELECT cdp.remove_label('crm_id', '240', 'crm_id', '241') IS NOT NULL AS removed;
SELECT * FROM cdp.check_identities();

-- split_profile ----------------------------------------------------------------------
SELECT cdp.identify('{"crm_id": "250", "email": ["p250@x.example", "q250@x.example"], "device_id": "d250"}', 'split', '1', '2024-01-01') AS whole \gset
SELECT part, new_profile_id = :whole AS stays, new_profile_id IS NULL AS new, namespace, value FROM cdp.split_profile(:whole, '{"email": "q250@x.example", "device_id": ["d250"]}', 'two people');
SELECT person FROM people WHERE person ~ '250' ORDER BY 1;
SELECT part, new_profile_id = :whole AS stays, new_profile_id IS NULL AS new, namespace, value FROM cdp.split_profile(:whole, '{"email": "q250@x.example", "device_id": ["d250"]}', 'two people', dry_run => false);
SELECT person FROM people WHERE person ~ '250' ORDER BY 1;
SELECT kind, value_1, value_2, reason FROM cdp.labels ORDER BY value_1, value_2;
SELECT cdp.resolve('crm_id', '250') = :whole AS stays;
SELECT cdp.rebuild_identities() IS NOT NULL AS rebuilt;
SELECT person FROM people WHERE person ~ '250' ORDER BY 1;
SELECT * FROM cdp.check_identities();

-- rebuild, refresh, renormalize on a sound storage ----------------------------------
CREATE TEMPORARY TABLE ids AS SELECT identifier_id, profile_id FROM cdp.identifiers;
SELECT count(*) AS changes FROM cdp.identity_changes \gset
SELECT cdp.rebuild_identities() IS NOT NULL AS rebuilt, cdp.refresh_identities() IS NOT NULL AS refreshed, cdp.renormalize() IS NOT NULL AS renormalized;
SELECT count(*) AS moved FROM ids FULL JOIN cdp.identifiers USING (identifier_id, profile_id) WHERE ids IS NULL OR identifiers IS NULL;
SELECT count(*) - :changes AS changes FROM cdp.identity_changes;

-- a namespace changes its strength: a rebuild, and the ids stay where people stay
SELECT cdp.alter_namespace('device_id', priority => 1);
SELECT * FROM cdp.check_identities();
SELECT cdp.rebuild_identities() IS NOT NULL AS rebuilt;
SELECT * FROM cdp.check_identities();
SELECT cdp.alter_namespace('device_id', priority => 6);
SELECT * FROM cdp.check_identities();

-- large work is queued, and said so
SELECT cdp.configure('max_replay', '2');
SELECT cdp.identify('{"crm_id": "260", "device_id": ["q1", "q2", "q3"]}', 'queue', '1', '2024-01-02') IS NOT NULL AS identified;
SELECT cdp.identify('{"crm_id": "261", "device_id": ["q4", "q5", "q6"]}', 'queue', '2', '2024-01-02') IS NOT NULL AS identified;
RESET client_min_messages;
SELECT cdp.identify('{"crm_id": "262", "device_id": ["q1", "q4"]}', 'queue', '3', '2024-01-01') IS NOT NULL AS identified;
SET client_min_messages = warning;
SELECT cdp.refresh_identities() IS NOT NULL AS refreshed;
SELECT person FROM people WHERE person ~ ':26' ORDER BY 1;
SELECT * FROM cdp.check_identities();
SELECT cdp.configure('max_replay', NULL);

-- isolation levels of the caller
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cdp.identify('{"crm_id": "270", "email": "x270@x.example"}', 'levels', '1', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('email', 'x270@x.example') AS same;
SELECT rows_read FROM cdp.stitch('levels', $$SELECT '2' AS record_key, '270' AS crm_id, 'd270' AS device_id$$);
SELECT cdp.retract('levels', '1');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT cdp.identify('{"crm_id": "270", "email": "x270@x.example"}', 'levels', '1', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('email', 'x270@x.example') AS same;
SELECT rows_read FROM cdp.stitch('levels', $$SELECT '3' AS record_key, '270' AS crm_id, 'e270' AS device_id$$);
SELECT cdp.must_link('crm_id', '270', 'crm_id', '271', 'one') IS NOT NULL AS labelled;
COMMIT;
BEGIN READ ONLY;
SELECT cdp.resolve('crm_id', '270') = cdp.resolve('device_id', 'e270') AS same;
SELECT cdp.identify('{"crm_id": "270"}', 'levels', '9', '2024-01-01');
ROLLBACK;
SELECT person FROM people WHERE person ~ '270';
SELECT * FROM cdp.check_identities();

-- savepoints
BEGIN;
SELECT cdp.identify('{"crm_id": "280"}', 'savepoints', '1', '2024-01-01') IS NOT NULL AS identified;
SAVEPOINT s;
SELECT cdp.identify('{"crm_id": "280", "email": "x280@x.example"}', 'savepoints', '2', '2024-01-01') IS NOT NULL AS identified;
SELECT cdp.create_namespace('short_lived', 'exact', priority => 9);
SELECT cdp.identify('{"crm_id": "280", "short_lived": "x"}', 'savepoints', '3', '2024-01-01') IS NOT NULL AS identified;
ROLLBACK TO s;
SELECT cdp.identify('{"crm_id": "280", "short_lived": "x"}', 'savepoints', '3', '2024-01-01') IS NOT NULL AS identified;
ROLLBACK TO s;
SELECT cdp.identify('{"crm_id": "280", "device_id": "d280"}', 'savepoints', '4', '2024-01-01') IS NOT NULL AS identified;
COMMIT;
SELECT person FROM people WHERE person ~ '280';
SELECT * FROM cdp.check_identities();

-- values of any kind ------------------------------------------------------------------
-- not ASCII; combining and precomposed are different bytes to the exact normaliser
SELECT cdp.identify('{"loyalty_id": ["Grüße", "Größe", "日本", "😀"], "crm_id": "290"}', 'values', 'schlüssel', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('loyalty_id', '日本') AS same;
SELECT cdp.identify('{"email": "straße@münchen.example", "crm_id": "290"}', 'values', '2', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('crm_id', '290') AS same;
-- a value of one megabyte, a key of ten kilobytes: the one is too long for an index, the other may be
SELECT cdp.identify(jsonb_build_object('crm_id', '291', 'loyalty_id', repeat('x', 1000000)), 'values', '3', '2024-01-01') IS NOT NULL AS identified;
SELECT cdp.identify(jsonb_build_object('crm_id', '291'), 'values', repeat('k', 10000), '2024-01-01') IS NOT NULL AS identified;
SELECT rows_read, records_new, rejected, identifiers_dropped FROM cdp.stitch('values', $$SELECT 'long' AS record_key, '291' AS crm_id, repeat('x', 1000000) AS loyalty_id$$);
SELECT rows_read, records_new, rejected, identifiers_dropped FROM cdp.stitch('values', $$SELECT (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i) AS record_key, '291' AS crm_id$$);
SELECT rows_read, records_new, rejected, identifiers_dropped FROM cdp.stitch('values', $$SELECT 'random' AS record_key, '291' AS crm_id, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 40000) i) AS loyalty_id$$);
-- a record of many identifiers
SELECT rows_read, records_new, identifiers_new FROM cdp.stitch('values', $$SELECT 'many' AS record_key, '292' AS crm_id, array_agg('m' || i) AS loyalty_id FROM generate_series(1, 3000) i$$);
SELECT count(*) FROM cdp.profile_identifiers(cdp.resolve('loyalty_id', 'm3000'));
SELECT reason, count(*) FROM cdp.rejected_records GROUP BY reason ORDER BY reason;
SELECT * FROM cdp.check_identities();

DROP VIEW refused, people;
DROP TABLE contacts, duplicates;
DROP DOMAIN address;
SELECT cdp.teardown(false);
