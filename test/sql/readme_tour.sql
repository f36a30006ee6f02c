-- The tour of the README.  What the README shows is what this test expects; test/t/readme.pl compares the two.
SELECT cdp.setup();

CREATE TABLE contact (id text, modified timestamptz, email text, phone text);
INSERT INTO contact VALUES
    ('17', '2026-01-05', 'Ann.Smith@Example.com ', '+44 20 7946 0018'),
    ('18', '2026-01-06', 'bob@example.com',        '+442079460018'),
    ('19', '2026-01-07', 'test@test.com',          'ask reception');
CREATE TABLE visit (id integer, seen_at timestamptz, browser text, login text);
INSERT INTO visit VALUES
    (1, '2026-01-10', 'laptop', 'ann.smith@example.com'),
    (2, '2026-01-11', 'phone',  'ANN.SMITH@example.com'),
    (3, '2026-01-12', 'phone',  NULL);

-- One call per table; a column is named after the kind of identifier in it.
SELECT rows_read, identifiers_new, identifiers_dropped, profiles_new, refusals
FROM cdp.stitch('crm', 'SELECT id AS record_key, modified AS observed_at, id AS crm_id, email, phone FROM contact');
SELECT rows_read, identifiers_new, identifiers_dropped, profiles_new, refusals
FROM cdp.stitch('web', 'SELECT id AS record_key, seen_at AS observed_at, browser AS anonymous_id, login AS email FROM visit');

-- Who was on that phone?
SELECT namespace, value FROM cdp.profile_identifiers(cdp.resolve('anonymous_id', 'phone'));

-- How do we know?
SELECT step, from_value, to_value, source, record_key FROM cdp.explain_link('anonymous_id', 'phone', 'crm_id', '17');

-- Bob has the same phone number. Why is he somebody else?
SELECT value, other_value, reason, detail FROM cdp.explain_refusals(cdp.resolve('crm_id', '18'));

-- One record in real time; the answer is the person's id.
SELECT cdp.identify('{"email": "ann.smith@example.com", "anonymous_id": "tablet"}', 'app', 'login-1', '2026-02-01')
     = cdp.resolve('crm_id', '17') AS it_is_ann;

-- (the tour ends here)
SELECT count(*) FROM cdp.check_identities();
DROP TABLE contact, visit;
SET client_min_messages = warning;
SELECT cdp.teardown(false);
