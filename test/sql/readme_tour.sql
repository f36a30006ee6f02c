-- The tour of the README.  What the README shows is what this test expects; test/t/readme.pl compares the two.
SET client_min_messages = warning;      -- a refresh says how long it took
SELECT cdp.setup();

CREATE TABLE contact (id text, modified timestamptz, name text, email text, phone text, country text);
INSERT INTO contact VALUES
    ('17', '2026-01-05', 'Ann Smith', 'Ann.Smith@Example.com ', '+44 20 7946 0018', 'GB'),
    ('18', '2026-01-06', 'Bob Jones', 'bob@example.com',        '+442079460018',    'IE'),
    ('19', '2026-01-07', 'Reception', 'test@test.com',          'ask reception',    NULL);
CREATE TABLE purchase (id integer PRIMARY KEY, at timestamptz, browser text, login text, total numeric);
INSERT INTO purchase VALUES
    (1, '2026-01-10', 'laptop', 'ann.smith@example.com', 20),
    (2, '2026-01-11', 'phone',  'ANN.SMITH@example.com', 5),
    (3, '2026-01-12', 'phone',  NULL,                    12.50);
-- One declaration per table: which columns identify somebody, what else they say.
SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified',
    identifiers => 'id AS crm_id, email AS email, phone AS phone', traits => 'name AS name, country AS country');
SELECT cdp.create_source('shop', 'purchase', record_key => 'id', occurred_at => 'at', observed_at => 'at',
    event_name => $$ 'purchase' $$, properties => 'total AS amount', identifiers => 'browser AS anonymous_id, login AS email');
CALL cdp.refresh();
-- One row per person, one typed column per trait and per kind of identifier.
SELECT name, country, email, phone, anonymous_id AS browser, event_count AS events FROM cdp.profiles ORDER BY profile_id;

SELECT profiles.name, sum(amount) FROM cdp.events JOIN cdp.profiles USING (profile_id) GROUP BY profile_id, name;

-- Nobody logged in on that phone in the third purchase. How do we know that it was Ann?
SELECT step, from_value, to_value, source, record_key FROM cdp.explain_link('anonymous_id', 'phone', 'crm_id', '17');

-- Bob has the same phone number. Why is he somebody else?
SELECT value, other_value, reason, detail FROM cdp.explain_refusals(cdp.resolve('crm_id', '18'));

-- A source that is believed more about countries.
CREATE TABLE account (email text PRIMARY KEY, seen timestamptz, country text);
INSERT INTO account VALUES ('ann.smith@example.com', '2026-01-01', 'NO');
SELECT cdp.create_trait('country', 'text', survivorship => 'priority', sources => ARRAY['account', 'crm']);
SELECT cdp.create_source('account', 'account', record_key => 'email', observed_at => 'seen',
    identifiers => 'email AS email', traits => 'country AS country', capture => 'immediate');
CALL cdp.refresh();
SELECT value, source, record_key, observed_at::date, is_winner, reason FROM cdp.explain_trait(cdp.resolve('crm_id', '17'), 'country');

-- That table is captured: whoever changes it changes the profile in the same transaction.
UPDATE account SET country = 'SE', seen = '2026-02-01';
SELECT name, country FROM cdp.profiles WHERE email = 'ann.smith@example.com';

-- A computed trait and a segment are SQL over a person and their events.
SELECT cdp.create_computed_trait('spent', $$ sum(event.amount) FILTER (WHERE event.event_name = 'purchase') $$);
SELECT cdp.create_segment('good_swedes', $$ profile.country = 'SE' AND profile.spent > 30 $$, refresh => 'realtime');
CALL cdp.refresh();
SELECT segment, name, spent FROM cdp.segment_members JOIN cdp.profiles USING (profile_id);

-- The transaction that takes a purchase back takes her out. Why is she not in it any more?
SELECT cdp.alter_source('shop', capture => 'immediate');
CALL cdp.refresh();
DELETE FROM purchase WHERE id = 1;
SELECT segment, profile_id, change FROM cdp.segment_changes ORDER BY changed_at;
SELECT part, result, inputs FROM cdp.explain_segment('good_swedes', cdp.resolve('crm_id', '17')) WHERE kind = 'condition';

-- Everything about one person in one call, for an application; here one trait of it.
SELECT jsonb_pretty(cdp.get_profile('phone', '+44 20 7946 0018', events => 1) -> 'traits' -> 'country');

-- (the tour ends here)
SELECT * FROM cdp.health;
SELECT count(*) FROM cdp.check_identities();
SELECT cdp.teardown(false);
DROP TABLE contact, purchase, account;
