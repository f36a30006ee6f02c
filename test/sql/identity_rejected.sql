-- Which rows stand in cdp.rejected_records: those whose record has not come in since in a version that is as new.
SET timezone = 'UTC';
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cdp.setup();
CREATE TABLE given (record_key text, observed_at timestamptz, email text);
CREATE VIEW rejected AS SELECT record_key, observed_at, reason FROM cdp.rejected_records ORDER BY record_key, observed_at;

-- of one call: a later version that is bad stays noted, however often the rows come; an earlier one does not
INSERT INTO given VALUES
    ('later is bad', '2024-01-01', 'a@x.example'), ('later is bad', '2024-01-02', 'no address'),
    ('earlier is bad', '2024-01-01', 'no address'), ('earlier is bad', '2024-01-02', 'b@x.example'),
    ('as old', '2024-01-01', 'no address'), ('as old', '2024-01-01', 'c@x.example'),
    ('no times', NULL, 'd@x.example'), ('no times', NULL, 'no address');
SELECT rows_read, records_new, rejected FROM cdp.stitch('crm', 'SELECT * FROM given');
TABLE rejected;
SELECT records_unchanged, rejected FROM cdp.stitch('crm', 'SELECT * FROM given');
TABLE rejected;

-- an older version that comes again says nothing about the newer one
SELECT records_unchanged FROM cdp.stitch('crm', $$SELECT * FROM given WHERE observed_at = '2024-01-01' AND email LIKE '%@%'$$);
TABLE rejected;
SELECT cdp.identify('{"email": "a@x.example"}', 'crm', 'later is bad', '2024-01-01') IS NOT NULL AS taken;
TABLE rejected;

-- one that is as new does, and one without a time
SELECT cdp.identify('{"email": "a@x.example"}', 'crm', 'later is bad', '2024-01-02') IS NOT NULL AS taken;
SELECT records_unchanged FROM cdp.stitch('crm', $$SELECT 'no times' AS record_key, 'd@x.example' AS email$$);
TABLE rejected;
INSERT INTO given VALUES ('for ever', 'infinity', 'e@x.example'), ('next year', '2034-01-01', 'no address');
SELECT rejected FROM cdp.stitch('crm', $$SELECT * FROM given WHERE record_key IN ('for ever', 'next year')$$);
TABLE rejected;
SELECT records_new FROM cdp.stitch('crm', $$SELECT record_key, 'e@x.example' AS email FROM given WHERE record_key IN ('for ever', 'next year')$$);
TABLE rejected;

-- within one transaction as well
BEGIN;
SELECT cdp.identify('{"email": "no address"}', 'web', '1');
SELECT rejected FROM cdp.stitch('web', $$SELECT 2 AS record_key, 'no address' AS email$$);
SELECT cdp.identify('{"email": "f@x.example"}', 'web', '1') IS NOT NULL AS taken;
SELECT records_new FROM cdp.stitch('web', $$SELECT 2 AS record_key, 'f@x.example' AS email$$);
TABLE rejected;
COMMIT;

-- a record that is gone leaves no note
SELECT cdp.identify('{"email": "no address"}', 'web', '3');
SELECT cdp.retract('web', '3') AS was_known;
TABLE rejected;

DROP VIEW rejected;
DROP TABLE given;
SELECT * FROM cdp.check_identities();
SELECT cdp.teardown(false);
