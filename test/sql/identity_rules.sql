-- What was stored or said before the rules changed: identifiers that a new pattern would not let in, kinds, must-links that rest,
-- and sequences that somebody set up otherwise.
SET timezone = 'UTC';
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cdp.setup();

-- a new pattern concerns what comes in from then on; what is stored can be looked up, labelled, blocked and split as before
SELECT cdp.create_namespace('tag', 'lower', priority => 9);
SELECT cdp.identify('{"tag": ["abc", "old"], "crm_id": "1"}', 'crm', '1', '2024-01-01') IS NOT NULL AS taken;
SELECT cdp.cannot_link('tag', 'abc', 'crm_id', '2', 'two');
SELECT cdp.alter_namespace('tag', pattern => '^[0-9]+$');
SELECT cdp.normalize_identifier('tag', 'ABC') AS as_new, cdp.identify('{"tag": "ABC"}', 'crm', '2', '2024-01-01') AS of_a_new_record;
SELECT cdp.resolve('tag', ' ABC') = cdp.resolve('crm_id', '1') AS resolve,
       cdp.resolve_at('tag', ' ABC', now() + interval '1 hour') = cdp.resolve('crm_id', '1') AS resolve_at;
SELECT from_value, to_value, record_key FROM cdp.explain_link('tag', 'ABC', 'crm_id', '1');
SELECT cdp.remove_label('tag', 'ABC', 'crm_id', '2');
SELECT cdp.must_link('tag', 'ABC', 'crm_id', '1', 'one');
SELECT cdp.must_link('tag', 'never seen', 'crm_id', '1');
SELECT kind, namespace_1, value_1, namespace_2, value_2 FROM cdp.labels;
SELECT cdp.remove_label('tag', 'abc', 'crm_id', '1');
SELECT cdp.block_identifier('tag', 'Old', 'outdated') AS known;
SELECT state FROM cdp.identifiers WHERE value = 'old';
SELECT cdp.unblock_identifier('tag', 'OLD');
SELECT part, namespace, value FROM cdp.split_profile(cdp.resolve('crm_id', '1'), '{"tag": "ABC"}', dry_run => false);
SELECT cdp.resolve('tag', 'abc') = cdp.resolve('crm_id', '1') AS one;
SELECT * FROM cdp.check_identities();

-- the same label again keeps its reason, unless there is another one
SELECT cdp.must_link('crm_id', '1', 'loyalty_id', 'L1', 'she called');
SELECT cdp.must_link('loyalty_id', 'L1', 'crm_id', '1');
SELECT reason FROM cdp.labels WHERE kind = 'must_link';
SELECT cdp.must_link('loyalty_id', 'L1', 'crm_id', '1', 'she wrote');
SELECT reason FROM cdp.labels WHERE kind = 'must_link';

-- two that only a resting must-link would join count as two, and the explanation says so
SELECT cdp.must_link('crm_id', '21', 'device_id', 'kiosk'), cdp.must_link('crm_id', '22', 'device_id', 'kiosk');
SELECT cdp.identify('{"crm_id": "21", "email": "two@x.example"}', 'crm', '21', '2024-01-01') = cdp.identify('{"crm_id": "22", "email": "two@x.example"}', 'crm', '22', '2024-01-02') AS one;
SELECT cdp.block_identifier('device_id', 'kiosk') AS known;
SELECT cdp.resolve('crm_id', '21') = cdp.resolve('crm_id', '22') AS one;
SELECT namespace, value, other_value, reason, detail FROM cdp.explain_refusals(cdp.resolve('crm_id', '22'));
SELECT cdp.cannot_link('crm_id', '21', 'crm_id', '22');
SELECT cdp.unblock_identifier('device_id', 'kiosk');
SELECT cdp.resolve('crm_id', '21') = cdp.resolve('crm_id', '22') AS one;

-- whose kind of identifier becomes that of a person is known from then on
SELECT cdp.identify('{"device_id": "phone-1"}', 'app', '1', '2024-01-01') AS visitor \gset
SELECT count(*) > 0 AS derived FROM cdp.materialize_profiles();
SELECT is_known FROM cdp.profiles WHERE profile_id = :visitor;
SELECT cdp.alter_namespace('device_id', kind => 'person');
SELECT count(*) > 0 AS derived FROM cdp.materialize_profiles();
SELECT is_known FROM cdp.profiles WHERE profile_id = :visitor;
SELECT cdp.alter_namespace('device_id', kind => 'device');
SELECT count(*) > 0 AS derived FROM cdp.materialize_profiles();
SELECT is_known FROM cdp.profiles WHERE profile_id = :visitor;

-- ids of very many are taken as a range only where the sequence counts one by one
ALTER SEQUENCE cdp_data.identifier_id INCREMENT 5;
ALTER SEQUENCE cdp_data.profile_id CACHE 100000;
SELECT records_new, profiles_new FROM cdp.stitch('many', $$SELECT g AS record_key, 'm' || g AS crm_id FROM generate_series(1, 1500) AS g$$);
SELECT max(i.id) - min(i.id) AS id_range, max(i.profile_id) - min(i.profile_id) AS profile_range
FROM cdp_data.identifier AS i WHERE i.value LIKE 'm%';
SELECT cdp.identify('{"crm_id": "one more"}', 'many', '0', '2024-01-01') > max(i.profile_id) AS another
FROM cdp_data.identifier AS i WHERE i.value LIKE 'm%';
SELECT * FROM cdp.check_identities();

-- an array may have a type of its own
CREATE DOMAIN addresses AS text[] CHECK (cardinality(VALUE) < 10);
SELECT records_new, identifiers_new FROM cdp.stitch('domains', $$SELECT 1 AS record_key, ARRAY['a@x.example', NULL, 'b@x.example']::addresses AS email$$);
DROP DOMAIN addresses;

-- very many refusals, each with its reason
SELECT records_new, refusals FROM cdp.stitch('collector', $$
    SELECT g AS record_key, '2024-01-01'::timestamptz + g * interval '1 second' AS observed_at, CASE WHEN g <= 2000 THEN 'collector' ELSE 'c' || g END AS crm_id,
           'd' || g % 2000 || '@x.example' AS email
    FROM generate_series(1, 4000) AS g$$);
SELECT cdp.cannot_link('crm_id', 'collector', 'crm_id', 'c2001', 'told so');
SELECT reason, regexp_replace(detail, '^label \d+', 'label N') AS detail, count(*), count(DISTINCT other_profile_id)
FROM cdp.explain_refusals(cdp.resolve('crm_id', 'collector')) GROUP BY 1, 2 ORDER BY 3;

-- numbers that a table holds as floating point are written out
SELECT records_new FROM cdp.stitch('floats', $$SELECT 1e6::real AS record_key, 1234567890123456::float8 AS crm_id, '2024-01-01'::timestamptz AS observed_at,
                                                      ARRAY[12345678, 0.5, '-0', NULL, 1e300, 'NaN']::float8[] AS loyalty_id$$);
SELECT n.namespace, n.value, r.record_key FROM cdp.identifiers AS n JOIN cdp_data.record AS r ON n.identifier_id = ANY (r.ids)
WHERE r.source = 'floats' ORDER BY n.namespace, n.value;
SELECT cdp.resolve('crm_id', '1234567890123456') = cdp.resolve('loyalty_id', '12345678') AS one;

SELECT cdp.teardown(false);
