-- Two spellings that become one when a namespace gets another normaliser: the
-- evidence, labels and anchors of the old spelling go on with the new one.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT cdp.setup();
SELECT cdp.identify('{"loyalty_id": "AB-1", "crm_id": "5", "anonymous_id": "a"}', 'till', '1', '2026-01-01') AS ann \gset
SELECT cdp.identify('{"loyalty_id": "ab-1", "email": "ann@example.org"}', 'till', '2', '2026-01-02') AS other \gset
SELECT cdp.identify('{"loyalty_id": ["XY", "xy"]}', 'till', '3', '2026-01-03') AS pair \gset
SELECT cdp.identify('{"loyalty_id": "Xy"}', 'till', '4', '2026-01-04') AS alone \gset
SELECT cdp.cannot_link('loyalty_id', 'Xy', 'email', 'ann@example.org', 'seen both');
SELECT :ann <> :other AS apart;
SELECT cdp.alter_namespace('loyalty_id', normalizer => 'lower');
SELECT namespace, value, state FROM cdp.identifiers ORDER BY namespace COLLATE "C", value COLLATE "C";
SELECT cdp.resolve('crm_id', '5') = cdp.resolve('email', 'ann@example.org') AS one_person,
       cdp.canonical_id(:ann) = cdp.canonical_id(:other) AS both_ids_lead_there,
       cdp.canonical_id(:alone) = cdp.resolve('loyalty_id', 'XY') AS the_lone_id_too;
SELECT kind, namespace_1, value_1, namespace_2, value_2, reason FROM cdp.labels;
SELECT source, record_key, ids IS NULL AS only_hub FROM cdp_data.record ORDER BY record_key;
SELECT kind, cause FROM cdp.identity_changes ORDER BY kind, cause;
SELECT * FROM cdp.check_identities();
-- Nothing is left to do.
SELECT * FROM cdp.renormalize('loyalty_id');
SELECT cdp.teardown(false);
