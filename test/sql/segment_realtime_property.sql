-- Real time against a whole evaluation: random events, records, corrections, retractions, merges, splits,
-- captured rows and windows that close, of few people, under random segments and computed traits of two
-- owners.  After every few steps each membership and value must be what the compiled statement gives.
SET client_min_messages = warning;
SELECT cdp.setup() IS NOT NULL AS set_up;
CREATE ROLE regress_cdp_marketing;
GRANT regress_cdp_marketing TO CURRENT_USER;
SELECT cdp.grant_access('regress_cdp_marketing', 'reader');
RESET client_min_messages;
SELECT setseed(0.20261122);
SET jit = off;

SELECT cdp.create_trait('country', 'text');
SELECT cdp.create_computed_trait('purchases', $$ count(*) FILTER (WHERE event.event_name = 'purchase') $$, refresh => 'realtime');
SELECT cdp.create_computed_trait('spent', $$ sum((event.properties->>'amount')::numeric) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '2 days') $$, refresh => 'realtime');
SELECT cdp.create_computed_trait('latest', $$ max(event.occurred_at) $$, refresh => 'realtime');
SELECT cdp.create_segment('buyers', $$ profile.purchases >= 2 $$, refresh => 'realtime');
-- Of another owner: reads the stored values, and the first owner reads it in turn.
SELECT cdp.create_segment('big', $$ profile.spent > 20 OR segment.buyers $$, refresh => 'realtime', owner => 'regress_cdp_marketing');
SELECT cdp.create_segment('big_french', $$ segment.big AND profile.country = 'FR' $$, refresh => 'realtime');
SELECT cdp.create_segment('known_silent', $$ count(*) FILTER (WHERE event.event_name = 'visit' AND event.occurred_at > now() - interval '1 day') = 0 $$, refresh => 'realtime', include_anonymous => false);
SELECT cdp.create_segment('frequent', $$ profile.event_count BETWEEN 3 AND 7 $$, refresh => 'realtime');
SELECT cdp.create_segment('newly_seen', $$ profile.last_seen > now() - interval '3 days' $$, refresh => 'realtime');
SELECT cdp.create_segment('first_address', $$ profile.email = 'p1@example.org' OR profile.anonymous_id > 'a3' $$, refresh => 'realtime');
SELECT cdp.create_segment('converted', $$ bool_or(event.event_name = 'purchase') AND bool_or(event.event_name = 'visit') $$, refresh => 'realtime');
SELECT cdp.create_segment('lately', $$ min(event.occurred_at) FILTER (WHERE event.event_name LIKE 'v%') < profile.latest - interval '1 hour' $$, refresh => 'realtime');

CREATE TABLE shop_order (id int PRIMARY KEY, email text, cookie text, at timestamptz, what text, amount int);
SELECT cdp.create_source('orders', 'shop_order', record_key => 'id', occurred_at => 'at', event_name => 'what', identifiers => 'email, cookie AS anonymous_id', properties => 'amount', capture => 'immediate');
CREATE TABLE contact (id int PRIMARY KEY, email text, other text, country text);
SELECT cdp.create_source('contacts', 'contact', record_key => 'id', identifiers => 'email, other AS email', traits => 'country', capture => 'immediate');

\getenv directory PG_ABS_SRCDIR
\set file :directory '/property/realtime.sql'
\set ECHO none
\i :file
\set ECHO all

CREATE FUNCTION dice(sides int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * sides)::int $$;
CREATE FUNCTION whom() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT CASE dice(8) WHEN 0 THEN jsonb_build_object('anonymous_id', 'a' || dice(5), 'email', 'p' || dice(6) || '@example.org')
                        WHEN 1 THEN jsonb_build_object('anonymous_id', 'a' || dice(5)) WHEN 2 THEN jsonb_build_object('anonymous_id', 'a' || dice(5))
                        ELSE jsonb_build_object('email', 'p' || dice(6) || '@example.org') END
$$;
-- Now and then just inside of a window.
CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT CASE dice(3) WHEN 0 THEN clock_timestamp() - (1 + dice(3)) * interval '1 day' + dice(200) * interval '1 millisecond'
                        ELSE clock_timestamp() - random() * interval '4 days' END
$$;
CREATE FUNCTION what() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT (ARRAY['purchase', 'visit', 'view', 'other'])[1 + dice(4)] $$;

CREATE PROCEDURE run(steps int, checks int) LANGUAGE plpgsql AS $$
DECLARE
    p record;
    problems int := 0;
    k int;
BEGIN
    FOR step IN 1 .. steps LOOP
        k := dice(12);
        CASE dice(14)
            WHEN 0, 1, 2, 3, 4 THEN PERFORM cdp.track(whom(), what(), moment(), jsonb_build_object('amount', dice(20)), 'web', 'e' || dice(25), clock_timestamp());
            WHEN 5 THEN PERFORM cdp.identify(whom(), 'crm', 'r' || k, clock_timestamp(), jsonb_build_object('country', (ARRAY['FR', 'DE'])[1 + dice(2)]));
            WHEN 6 THEN PERFORM cdp.identify(whom(), 'crm', 'r' || k);
            WHEN 7 THEN PERFORM cdp.retract('web', 'e' || dice(25));
            WHEN 8 THEN PERFORM cdp.retract('crm', 'r' || k);
            WHEN 9 THEN INSERT INTO shop_order VALUES (k, 'p' || dice(6) || '@example.org', CASE dice(3) WHEN 0 THEN 'a' || dice(5) END, moment(), what(), dice(20)) ON CONFLICT DO NOTHING;
            WHEN 10 THEN UPDATE shop_order SET email = 'p' || dice(6) || '@example.org', what = what() WHERE id = k;
            WHEN 11 THEN DELETE FROM shop_order WHERE id = k;
            WHEN 12 THEN INSERT INTO contact VALUES (k, 'p' || dice(6) || '@example.org', CASE dice(4) WHEN 0 THEN 'p' || dice(6) || '@example.org' END, (ARRAY['FR', 'DE'])[1 + dice(2)])
                         ON CONFLICT (id) DO UPDATE SET country = EXCLUDED.country, other = EXCLUDED.other;
            ELSE DELETE FROM contact WHERE id = k;
        END CASE;
        COMMIT;
        IF step % checks = 0 THEN
            -- What is left is what the clock did.
            CALL cdp.expire_segments();
            COMMIT;
            -- Between the look and the comparison a window may close.
            FOR p IN SELECT * FROM wrong(without_failed => false) WHERE NOT EXISTS (SELECT FROM cdp_data.expression_due AS d WHERE d.profile_id = wrong.profile_id AND d.due_at <= clock_timestamp()) LOOP
                RAISE WARNING 'step %: %, person %: %', step, p.name, p.profile_id, p.problem;
                problems := problems + 1;
            END LOOP;
            COMMIT;
            EXIT WHEN problems > 0;
        END IF;
    END LOOP;
END $$;

SET client_min_messages = warning;
CALL run(300, 5);
RESET client_min_messages;
-- Enough happened for that to mean something.
SELECT e.name, count(*) FILTER (WHERE c.is_entry) > 3 AS entered, count(*) FILTER (WHERE NOT c.is_entry) > 3 AS left
FROM cdp_data.expression AS e JOIN cdp_data.segment_change AS c ON c.segment_id = e.expression_id GROUP BY e.name ORDER BY 1;
SELECT cause, count(*) > 0 AS some FROM cdp_data.segment_change GROUP BY cause ORDER BY 1;
SELECT kind, count(*) > 3 AS some FROM cdp_data.identity_change GROUP BY kind ORDER BY 1;
SELECT count(*) AS failed FROM cdp_data.expression_state WHERE status = 'failed';
-- Each change takes a person in or out, in turn.
SELECT count(*) AS twice
FROM (SELECT c.is_entry, lag(c.is_entry) OVER (PARTITION BY c.segment_id, c.profile_id ORDER BY c.change_id) AS before FROM cdp_data.segment_change AS c) AS s
WHERE s.is_entry = COALESCE(s.before, false);

SET client_min_messages = warning;
DROP PROCEDURE run;
DROP FUNCTION wrong, whom, moment, what, dice;
DROP TABLE shop_order, contact;
SELECT cdp.teardown(false);
DROP OWNED BY regress_cdp_marketing;
DROP ROLE regress_cdp_marketing;
RESET client_min_messages;
