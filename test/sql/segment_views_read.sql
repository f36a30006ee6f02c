-- Reading membership: the views, changes each once, days, audiences, health.
-- Membership is written by hand here, so that each time and cause is known.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT cdp.setup();
CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.org' AS email FROM generate_series(1, 8) AS i;
SELECT cdp.create_source('people', 'people', record_key => 'id', identifiers => 'id AS crm_id, email');
CALL cdp.refresh();
CREATE TEMPORARY TABLE person AS SELECT crm_id::integer AS n, profile_id FROM cdp.profiles;
SELECT cdp.create_segment('a', $$ profile.crm_id = '1' $$);
SELECT cdp.create_segment('b', $$ profile.crm_id = '2' $$, refresh => 'realtime');
SELECT cdp.create_segment('c', $$ profile.crm_id = '3' $$);
SELECT cdp.create_segment('empty', 'false');

-- What evaluation does, at a time of the test's choosing.
CREATE FUNCTION pg_temp.change(segment text, n integer, entry boolean, at timestamptz, cause text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id integer := (SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.kind = 'segment' AND e.name = $1);
    person bigint := (SELECT p.profile_id FROM pg_temp.person AS p WHERE p.n = $2);
BEGIN
    IF $3 THEN
        INSERT INTO cdp_data.segment_member VALUES (id, person, $4);
    ELSE
        DELETE FROM cdp_data.segment_member AS m WHERE m.segment_id = id AND m.profile_id = person;
    END IF;
    INSERT INTO cdp_data.segment_change (segment_id, profile_id, is_entry, changed_at, cause) VALUES (id, person, $3, $4, $5);
END $$;
-- Changes are given once no older transaction is running, and one of autovacuum's may be.
CREATE PROCEDURE pg_temp.settle() LANGUAGE plpgsql AS $$
BEGIN
    FOR attempt IN 1 .. 600 LOOP
        EXIT WHEN pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot());
        PERFORM pg_sleep(0.1);
        COMMIT;
    END LOOP;
END $$;
UPDATE cdp_data.expression SET created_at = '2026-01-01 12:00';
SELECT count(pg_temp.change('a', i, true, '2026-01-01 12:30', 'definition')) FROM generate_series(1, 4) AS i;
SELECT count(pg_temp.change('b', i, true, '2026-01-01 12:30', 'definition')) FROM generate_series(3, 6) AS i;
SELECT pg_temp.change('b', 3, false, '2026-01-02 23:30', 'window');
SELECT pg_temp.change('c', 4, true, '2026-01-04 00:30', 'event');
SELECT pg_temp.change('c', 5, true, '2026-01-04 00:30', 'trait');
SELECT pg_temp.change('b', 3, true, '2026-01-05 08:00', 'identity');
UPDATE cdp_data.expression_state AS s SET status = 'ok', evaluated_at = '2026-01-05', members = (SELECT count(*) FROM cdp_data.segment_member AS m WHERE m.segment_id = s.expression_id);

-- ---------- members ----------
SELECT m.segment, p.n, m.entered_at FROM cdp.segment_members AS m JOIN pg_temp.person AS p USING (profile_id) ORDER BY 1, 2;
SELECT name, members, status, evaluated_at FROM cdp.segments ORDER BY name;
-- of a real-time segment they are counted, since others than refresh write them
SELECT pg_temp.change('b', 8, true, '2026-01-05 09:00', 'event');
SELECT pg_temp.change('b', 8, false, '2026-01-05 09:01', 'event');
SELECT pg_temp.change('b', 7, true, '2026-01-05 09:02', 'event');
SELECT name, members FROM cdp.segments ORDER BY name;
SELECT c.segment, p.n, c.change, c.changed_at, c.cause FROM cdp.segment_changes AS c JOIN pg_temp.person AS p USING (profile_id) WHERE c.segment <> 'a' ORDER BY c.changed_at, c.segment, p.n, c.change;

-- ---------- a column for each segment ----------
SELECT p.n, s.a, s.b, s.c, s.empty FROM cdp.profile_segments AS s JOIN pg_temp.person AS p USING (profile_id) ORDER BY p.n;
SELECT count(*) FROM cdp.profile_segments WHERE b AND NOT a AND NOT empty;
SELECT s.a, s.b FROM cdp.profile_segments AS s WHERE s.profile_id = (SELECT p.profile_id FROM pg_temp.person AS p WHERE p.n = 4);
SELECT count(*) FROM cdp.profile_segments WHERE profile_id = -1;
-- the same however it is planned, and in parallel
CREATE TEMPORARY TABLE expected AS
SELECT p.profile_id, p.profile_id IN (SELECT profile_id FROM cdp.segment_members WHERE segment = 'a') AS a,
       p.profile_id IN (SELECT profile_id FROM cdp.segment_members WHERE segment = 'b') AS b,
       p.profile_id IN (SELECT profile_id FROM cdp.segment_members WHERE segment = 'c') AS c, false AS empty
FROM cdp.profiles AS p;
SELECT count(*) FROM (TABLE expected EXCEPT TABLE cdp.profile_segments) AS d;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET enable_indexscan = off;
SELECT count(*) FROM (TABLE expected EXCEPT TABLE cdp.profile_segments) AS d;
RESET ALL;
SET client_min_messages = warning;
SET timezone = 'UTC';

-- and all of one person's
SELECT cdp.create_computed_trait('shoe_size', '42');
SELECT cdp.create_computed_trait('unknown', 'NULL::date');
UPDATE cdp_data.profile_row SET shoe_size = 42;
SELECT v -> 'segments' AS segments, v -> 'computed_traits' AS computed_traits FROM cdp.get_profile('crm_id', '4') AS v;
SELECT v -> 'segments' AS segments, v -> 'computed_traits' AS computed_traits FROM cdp.get_profile('crm_id', '8') AS v;
SELECT cdp.drop_computed_trait('shoe_size'), cdp.drop_computed_trait('unknown');

-- ---------- days ----------
SELECT * FROM cdp.segment_daily WHERE day < '2026-01-07' ORDER BY segment, day;
SELECT segment, max(day) = (now() AT TIME ZONE 'UTC')::date AS until_today, count(*) = max(day) - min(day) + 1 AS every_day FROM cdp.segment_daily GROUP BY segment ORDER BY segment;
CREATE TEMPORARY TABLE before AS TABLE cdp.segment_daily;
CALL pg_temp.settle();
SELECT cdp.close_segment_days();
SELECT s.name, d.day, d.entered, d.exited FROM cdp_data.segment_day AS d JOIN cdp_data.expression AS s ON s.expression_id = d.segment_id ORDER BY 1, 2;
SELECT count(*) FROM (TABLE before EXCEPT TABLE cdp.segment_daily UNION ALL (TABLE cdp.segment_daily EXCEPT TABLE before)) AS d;
CALL pg_temp.settle();
SELECT cdp.close_segment_days();
-- what is committed late is counted on its day all the same, at once and after the next close
SELECT pg_temp.change('a', 5, true, '2026-01-02 23:59', 'batch');
SELECT * FROM cdp.segment_daily WHERE segment = 'a' AND day < '2026-01-04' ORDER BY day;
CALL pg_temp.settle();
SELECT cdp.close_segment_days();
SELECT * FROM cdp.segment_daily WHERE segment = 'a' AND day < '2026-01-04' ORDER BY day;
-- days of another time zone are others
SELECT cdp.configure('time_zone', 'America/New_York');
SELECT * FROM cdp.segment_daily WHERE segment = 'c' AND day < '2026-01-05' ORDER BY day;
CALL pg_temp.settle();
SELECT cdp.close_segment_days();
SELECT * FROM cdp.segment_daily WHERE segment = 'c' AND day < '2026-01-05' ORDER BY day;
SELECT cdp.configure('time_zone', NULL);
SELECT * FROM cdp.segment_daily WHERE segment = 'c' AND day < '2026-01-05' ORDER BY day;
CALL pg_temp.settle();
SELECT cdp.close_segment_days();
SELECT * FROM cdp.segment_daily WHERE segment = 'c' AND day < '2026-01-05' ORDER BY day;

-- ---------- each change once ----------
CALL pg_temp.settle();
SELECT r.segment, p.n, r.change, r.changed_at, r.cause FROM cdp.read_changes('mails', 5) AS r JOIN pg_temp.person AS p USING (profile_id) ORDER BY r.change_id;
CALL pg_temp.settle();
SELECT count(*) FROM cdp.read_changes('other', 3);
CALL pg_temp.settle();
SELECT count(*), count(DISTINCT change_id) FROM cdp.read_changes('mails', NULL);
CALL pg_temp.settle();
SELECT * FROM cdp.read_changes('mails');
SELECT consumer, changes_read FROM cdp_data.segment_reader WHERE consumer !~ '^cdp' ORDER BY 1;
-- what is rolled back is read again, and changes of the own transaction wait for its end
CALL pg_temp.settle();
BEGIN;
SELECT pg_temp.change('c', 1, true, '2026-01-06', 'event');
SELECT * FROM cdp.read_changes('mails');
COMMIT;
CALL pg_temp.settle();
BEGIN;
SELECT segment, change FROM cdp.read_changes('mails');
SELECT segment, change FROM cdp.read_changes('mails');
ROLLBACK;
CALL pg_temp.settle();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT segment, change FROM cdp.read_changes('mails');
COMMIT;
CALL pg_temp.settle();
SELECT * FROM cdp.read_changes('mails');
SELECT * FROM cdp.read_changes('mails', 0);
-- of a dropped segment there is nothing to read
SELECT pg_temp.change('empty', 1, true, '2026-01-07', 'event');
SELECT pg_temp.change('c', 2, true, '2026-01-07', 'event');
SELECT cdp.drop_segment('empty');
CALL pg_temp.settle();
SELECT segment, change FROM cdp.read_changes('mails', 1);
-- whoever is forgotten begins anew
SELECT cdp.forget_reader('mails');
SELECT cdp.forget_reader('mails');
SELECT cdp.forget_reader(NULL);
CALL pg_temp.settle();
SELECT count(*) = (SELECT count(*) FROM cdp_data.segment_change) AS "all" FROM cdp.read_changes('mails');
SELECT * FROM cdp.read_changes(NULL);
SELECT * FROM cdp.read_changes('');
SELECT * FROM cdp.read_changes('cdp.segment_day UTC');
SELECT cdp.forget_reader('cdp.segment_day UTC');
SELECT * FROM cdp.read_changes('mails', -1);

-- As after a restore: what was there has numbers of transactions of another cluster, here far ahead
-- and far behind, and the materialized view was filled anew.
-- (Filled anew without that, it says nothing.)
REFRESH MATERIALIZED VIEW cdp_data.segment_restored;
SELECT count(*) FROM cdp.segment_eras();
SELECT cdp.forget_reader('mails');
CALL pg_temp.settle();
SELECT count(*) FROM cdp.read_changes('mails', 4);
UPDATE cdp_data.segment_change SET transaction_id = (transaction_id::text::bigint + 1000000000000)::text::xid8;
UPDATE cdp_data.segment_reader SET transaction_id = (transaction_id::text::bigint + 1000000000000)::text::xid8;
CREATE TEMPORARY TABLE daily AS TABLE cdp.segment_daily;
CREATE TEMPORARY TABLE rest AS SELECT change_id FROM cdp_data.segment_change EXCEPT SELECT change_id FROM (SELECT change_id FROM cdp_data.segment_change ORDER BY transaction_id, change_id LIMIT 4) AS r;
UPDATE cdp_data.segment_era SET origin = 'elsewhere';
REFRESH MATERIALIZED VIEW cdp_data.segment_restored;
SELECT pg_temp.change('a', 6, true, '2026-01-08', 'event');
INSERT INTO rest SELECT max(change_id) FROM cdp_data.segment_change;
SELECT segment, members, entered FROM cdp.segment_daily WHERE day = '2026-01-08' ORDER BY segment;
SELECT count(*) FROM (SELECT * FROM daily WHERE day < '2026-01-08' EXCEPT TABLE cdp.segment_daily) AS d;
CALL pg_temp.settle();
SELECT cdp.close_segment_days();
SELECT count(*) FROM (SELECT * FROM daily WHERE day < '2026-01-08' EXCEPT TABLE cdp.segment_daily) AS d;
SELECT segment, members, entered FROM cdp.segment_daily WHERE day = '2026-01-08' ORDER BY segment;
-- in two calls, across the border
CALL pg_temp.settle();
CREATE TEMPORARY TABLE got AS SELECT change_id FROM cdp.read_changes('mails', (SELECT count(*) - 2 FROM rest));
CALL pg_temp.settle();
INSERT INTO got SELECT change_id FROM cdp.read_changes('mails');
SELECT (SELECT count(*) FROM got) = (SELECT count(*) FROM rest) AS as_many, count(*) AS differing FROM (TABLE got EXCEPT TABLE rest) AS d;
CALL pg_temp.settle();
SELECT * FROM cdp.read_changes('mails');
CALL pg_temp.settle();
SELECT count(*) = (SELECT count(*) FROM cdp_data.segment_change) AS "all" FROM cdp.read_changes('newcomer');
-- and restored again, where numbers are smaller than those read so far
SELECT pg_temp.change('a', 7, true, '2026-01-09', 'event');
SELECT pg_temp.change('a', 8, true, '2026-01-09', 'event');
UPDATE cdp_data.segment_change SET transaction_id = '5' WHERE change_id > (SELECT max(change_id) FROM cdp_data.segment_era);
UPDATE cdp_data.segment_era SET origin = 'elsewhere';
REFRESH MATERIALIZED VIEW cdp_data.segment_restored;
SELECT pg_temp.change('a', 8, false, '2026-01-10', 'event');
CALL pg_temp.settle();
SELECT p.n, r.change FROM cdp.read_changes('other', NULL) AS r JOIN pg_temp.person AS p USING (profile_id) WHERE r.changed_at >= '2026-01-09' ORDER BY r.changed_at, p.n;
CALL pg_temp.settle();
SELECT count(*) = (SELECT count(*) FROM cdp_data.segment_change) AS "all", count(DISTINCT change_id) = count(*) AS once FROM cdp.read_changes('last', NULL);
-- and once more, with nothing new in between
UPDATE cdp_data.segment_era SET origin = 'elsewhere';
REFRESH MATERIALIZED VIEW cdp_data.segment_restored;
SELECT * FROM cdp.read_changes('last', NULL);
UPDATE cdp_data.segment_reader SET transaction_id = (transaction_id::text::bigint + 1000000000000)::text::xid8;
UPDATE cdp_data.segment_era SET origin = 'elsewhere';
SELECT pg_temp.change('a', 8, true, '2026-01-11', 'event');
CALL pg_temp.settle();
SELECT change, changed_at FROM cdp.read_changes('last', NULL);
SELECT entered FROM cdp.segment_daily WHERE segment = 'a' AND day = '2026-01-11';
CALL pg_temp.settle();
SELECT cdp.close_segment_days() > 0 AS counted;
SELECT entered FROM cdp.segment_daily WHERE segment = 'a' AND day = '2026-01-11';
SELECT (SELECT count(*) FROM cdp_data.segment_era) AS eras, (SELECT max(era) FROM cdp.segment_eras()) AS latest;

-- ---------- audiences ----------
SELECT ARRAY(SELECT p.n FROM cdp.members(cdp.segment_audience('b')) AS m JOIN pg_temp.person AS p ON p.profile_id = m ORDER BY 1) AS b;
SELECT cdp.segment_audience('nobody');
SELECT cdp.segment_audience(NULL);
DELETE FROM cdp_data.segment_member;
INSERT INTO cdp_data.segment_member
SELECT e.expression_id, i, now() FROM cdp_data.expression AS e CROSS JOIN generate_series(1, 1000) AS i
WHERE CASE e.name WHEN 'a' THEN i % 2 = 0 WHEN 'b' THEN i % 3 = 0 WHEN 'c' THEN i > 990 END;
SELECT * FROM cdp.audience_overlap('{a,b,c}');
SELECT sum(only_these), (SELECT count(DISTINCT profile_id) FROM cdp.segment_members) FROM cdp.audience_overlap('{c,a,b}');
-- the same by counting people
SELECT segments, count(*) FROM (SELECT profile_id, array_agg(segment ORDER BY segment) AS segments FROM cdp.segment_members GROUP BY 1) AS m
GROUP BY 1 ORDER BY cardinality(segments), segments;
SELECT * FROM cdp.audience_overlap('{b}');
SELECT * FROM cdp.audience_overlap('{}');
SELECT * FROM cdp.audience_overlap(NULL);
SELECT * FROM cdp.audience_overlap('{a,NULL}');
SELECT * FROM cdp.audience_overlap('{a,a}');
SELECT * FROM cdp.audience_overlap('{{a,b},{c,NULL}}');
SELECT * FROM cdp.audience_overlap('{{a,b},{c,d}}');
SELECT * FROM cdp.audience_overlap('{a,nobody}');
SELECT * FROM cdp.audience_overlap(ARRAY(SELECT i::text FROM generate_series(1, 13) AS i));
SELECT cdp.create_segment('s' || i, 'false') FROM generate_series(1, 9) AS i;
INSERT INTO cdp_data.segment_member SELECT e.expression_id, i, now() FROM cdp_data.expression AS e CROSS JOIN generate_series(1, 3) AS i WHERE e.name ~ '^s[0-9]';
SELECT count(*), sum(only_these), max(cardinality(segments)) FROM cdp.audience_overlap('{a,b,c,s1,s2,s3,s4,s5,s6,s7,s8,s9}');

-- ---------- looking members up ----------
-- One or a few by index, more in a bitmap that is read when the query goes on asking, also of segments that are larger
-- than it has asked so far; ids of any size.
INSERT INTO cdp_data.segment_member
SELECT e.expression_id, x.id, now() FROM cdp_data.expression AS e
CROSS JOIN (SELECT i * 2 FROM generate_series(2000, 60000) AS i UNION ALL SELECT i * 10000000019 FROM generate_series(1, 1000) AS i
            UNION ALL VALUES (0), (-5), (9223372036854775807)) AS x(id)
WHERE e.name = 'a';
CREATE FUNCTION pg_temp.is_member(name text, id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT cdp.is_segment_member(e.expression_id, id, k.key) FROM cdp_data.expression AS e, cdp_data.segment_key AS k WHERE e.kind = 'segment' AND e.name = $1 $$;
SELECT n.name, n.id, pg_temp.is_member(n.name, n.id) FROM (VALUES ('a', 2), ('a', 3), ('a', -5), ('a', -4), ('a', 20000000038), ('a', 9223372036854775807), ('never', 1)) AS n(name, id);
SELECT e.name, count(*) AS asked, count(*) FILTER (WHERE cdp.is_segment_member(e.expression_id, i.id, k.key)) AS found,
       count(*) FILTER (WHERE cdp.is_segment_member(e.expression_id, i.id, k.key) <> EXISTS (
           SELECT FROM cdp_data.segment_member AS m WHERE m.segment_id = e.expression_id AND m.profile_id = i.id)) AS differing
FROM cdp_data.segment_key AS k CROSS JOIN cdp_data.expression AS e
CROSS JOIN (SELECT i FROM generate_series(-10, 30000) AS i UNION ALL SELECT i * 10000000019 FROM generate_series(1, 1010) AS i UNION ALL VALUES (9223372036854775807)) AS i(id)
WHERE e.kind = 'segment' AND e.name IN ('a', 'b', 's1') GROUP BY e.name ORDER BY e.name;
-- two segments in turn through one call
SELECT count(*) FROM cdp_data.segment_key AS k CROSS JOIN LATERAL generate_series(1, 2000) AS i
CROSS JOIN LATERAL (SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.name IN ('a', 'b') AND e.kind = 'segment') AS e
WHERE cdp.is_segment_member(e.expression_id, i, k.key) <> EXISTS (SELECT FROM cdp_data.segment_member AS m WHERE m.segment_id = e.expression_id AND m.profile_id = i);
-- what is read is not kept when the data change under one call
DO $$
DECLARE
    a integer := (SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.name = 'a');
    k uuid := (SELECT s.key FROM cdp_data.segment_key AS s);
    wrong integer := 0;
BEGIN
    FOR i IN 1 .. 3000 LOOP
        IF cdp.is_segment_member(a, 3000001, k) <> (i % 500 = 0) THEN
            wrong := wrong + 1;
        END IF;
        IF i % 500 = 499 THEN
            INSERT INTO cdp_data.segment_member VALUES (a, 3000001, now());
        ELSIF i % 500 = 0 THEN
            DELETE FROM cdp_data.segment_member WHERE segment_id = a AND profile_id = 3000001;
        END IF;
    END LOOP;
    RAISE WARNING '% wrong', wrong;
END $$;
-- the rights are those of the view's owner: whoever may read the view, or a view of that, and nobody else
CREATE ROLE regress_cdp_reporter;
CREATE VIEW report AS SELECT profile_id, a FROM cdp.profile_segments;
GRANT SELECT ON report TO regress_cdp_reporter;
SET ROLE regress_cdp_reporter;
SELECT count(*) > 0 AS readable FROM report WHERE NOT a;
SELECT count(*) FROM cdp.profile_segments;
SELECT cdp.is_segment_member(1, 1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
SELECT cdp.is_segment_member(1, 1, NULL);
SELECT count(*) FROM cdp_data.segment_key;
RESET ROLE;
DROP VIEW report;
DROP ROLE regress_cdp_reporter;

-- ---------- health ----------
UPDATE cdp_data.expression_state SET status = 'ok';
SELECT "check", severity, detail, hint FROM cdp.health WHERE "check" ~ 'segment|window|put off';
UPDATE cdp_data.expression_state SET status = 'failed', error = 'division by zero', sqlstate = '22012', failed_since = '2026-01-01'
WHERE expression_id = (SELECT expression_id FROM cdp_data.expression WHERE name = 'a');
UPDATE cdp_data.expression_state SET status = 'failed', error = 'permission denied for table x', sqlstate = '42501', hint = 'Grant it.', failed_since = '2026-01-02'
WHERE expression_id = (SELECT expression_id FROM cdp_data.expression WHERE name = 'b');
UPDATE cdp_data.expression_state SET status = 'new' WHERE expression_id = (SELECT expression_id FROM cdp_data.expression WHERE name = 'c');
INSERT INTO cdp_data.expression_due VALUES (1, '2026-01-01'), (2, '-infinity'), (3, now() + '1 day');
SELECT "check", severity, detail, hint, since FROM cdp.health WHERE "check" ~ 'segment|window|put off' AND detail !~ '"c"';
SELECT "check", severity, detail FROM cdp.health WHERE detail ~ '"c"';
SELECT name, status, error, sqlstate, hint, failed_since FROM cdp.segments WHERE name IN ('a', 'b') ORDER BY name;
UPDATE cdp_data.expression_due SET due_at = now() WHERE profile_id < 3;
SELECT "check" FROM cdp.health WHERE "check" ~ 'window|put off';

-- ---------- migration ----------
SELECT cdp.teardown();
SELECT cdp.setup();
SELECT name, members FROM cdp.segments WHERE name < 'd' ORDER BY name;
SELECT count(*) FROM cdp.profile_segments;

DROP TABLE people;
SELECT cdp.teardown(false);
