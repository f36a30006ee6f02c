-- Explanations cut predicates at the right places: each condition of a list, put together with others in several ways, comes
-- out as it was written, with the result that it has alone; and the whole has the result by which the preview counts.
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SELECT cdp.setup() IS NOT NULL AS is_set_up;
SELECT cdp.create_trait('name', 'text'), cdp.create_trait('props', 'jsonb');
SELECT cdp.identify('{"email": "a@b.co"}', source => 'crm', record_key => '1', traits => '{"name": "Zoë", "props": {"a": [1, 2]}}') AS person \gset
SELECT cdp.track('{"email": "a@b.co"}', 'buy', '2021-01-01') = :person AS known;
CALL cdp.refresh();

CREATE TABLE atom (number integer PRIMARY KEY, text text, result boolean);
INSERT INTO atom (number, text) VALUES
    (1, $$profile.props ? 'a'$$),
    (2, $$profile.props->'a'->>0 = '1'$$),
    (3, $$profile.name = ANY (ARRAY['Zoë','x AND y'])$$),
    (4, $$profile.name IS DISTINCT FROM 'é AND'$$),
    (5, $$profile.first_seen AT TIME ZONE 'UTC' > timestamp '2020-01-01'$$),
    (6, $$(profile.first_seen, interval '1 day') OVERLAPS (profile.last_seen, interval '1 day')$$),
    (7, $$profile.name SIMILAR TO 'Z%' ESCAPE '\'$$),
    (8, $$profile.event_count BETWEEN SYMMETRIC 5 AND - 1$$),
    (9, $$-5 < profile.event_count$$),
    (10, $$- profile.event_count < 3$$),
    (11, $$profile.name = U&'Zo\00EB'$$),
    (12, $$profile.name = U&'Zo!00EB' UESCAPE '!'$$),
    (13, $$profile.name COLLATE "C" > 'A'$$),
    (14, $$NOT profile.name IS NULL$$),
    (15, $$profile.name IS NOT NULL$$),
    (16, $$profile.event_count NOT BETWEEN 5 AND 6$$),
    (17, $$profile.event_count OPERATOR(pg_catalog.>=) 1$$),
    (18, $$profile.name !~ 'x'$$),
    (19, $$extract(year FROM profile.first_seen) > 2000$$),
    (20, $$profile.event_count < ALL (ARRAY[10,20])$$),
    (21, $$ROW(profile.event_count, 1) < ROW(5, 2)$$),
    (22, $$DATE '2020-01-01' < current_date$$),
    (23, $$TRUE IS NOT FALSE$$),
    (24, $$make_interval(days => 3) > interval '1 day'$$),
    (25, $$(SELECT true)$$),
    (26, $$EXISTS (SELECT 1 AS a WHERE true AND (true OR false))$$),
    (27, $$count(*) FILTER (WHERE (event.event_name = 'buy' AND (event.occurred_at < now() OR false))) > 0$$),
    (28, $$coalesce(max(event.event_name), 'none)') <> 'none)('$$),
    (29, $$CASE profile.name WHEN 'a' THEN false ELSE true AND NOT false END$$),
    (30, $$(profile.props #>> '{a,0}')::int + 1 = 2$$),
    (31, $$CAST(profile.event_count AS text) LIKE '%1%'$$),
    (32, $$profile.name LIKE ANY ('{Z%,Y%}')$$),
    (33, $$substring(profile.name FROM 1 FOR 1) = 'Z'$$),
    (34, $$position('o' IN profile.name) > 0$$),
    (35, $$(ARRAY[true, false])[1]$$),
    (36, $$profile."name" = E'Zo\u00eb'$$),
    (37, $$string_agg(event.event_name, ' AND ' ORDER BY event.occurred_at DESC, event.event_name) = 'buy'$$),
    (38, $$profile.is_known$$),
    (39, $$is_known$$),
    (40, $$profile.event_count IN (1, 2, 3)$$),
    (41, $$(profile.event_count) IN (SELECT 1::bigint)$$),
    (42, $$profile.event_count NOT IN (5)$$),
    (43, $$trim(both 'x' from profile.name) is not null$$),
    (44, $$profile.name IS NFC NORMALIZED$$),
    (45, $$profile.name IS NOT NFD NORMALIZED$$),
    (46, $$overlay(profile.name placing 'x' from 1) <> 'b'$$),
    (47, $$percentile_disc(0.5) WITHIN GROUP (ORDER BY event.event_name) = 'buy'$$),
    (48, $$'x' || profile.name || ' OR ( ' <> ''$$),
    (49, $$profile.event_count > 100$$),
    (50, $$profile.name IS NULL$$),
    (51, $$profile.name LIKE '%)'$$),
    (52, $$false$$),
    (53, $$count(*) > 7 + (2)$$),
    (54, $$profile.name = 'a OR b'$$);
-- alone
UPDATE atom AS a SET result = (SELECT p.members = 1 FROM cdp.preview_segment(a.text) AS p);
SELECT count(*) FILTER (WHERE result) > 25 AS many_hold, count(*) FILTER (WHERE NOT result) > 5 AS some_do_not FROM atom;
-- a NOT of its own is a part
UPDATE atom SET text = regexp_replace(text, '^NOT ', ''), result = NOT result WHERE text ~ '^NOT ';

CREATE TABLE form (number integer, text text, conditions text);
INSERT INTO form VALUES
    (1, '%1$s AND %2$s', '12'), (2, '%1$s OR %2$s OR %1$s', '121'), (3, 'NOT (%1$s AND %2$s)', '12'), (4, '((%1$s) OR %2$s) AND %1$s', '121'),
    (5, E'%1$s /* a AND ( */ AND -- x OR \n (%2$s)', '12'), (6, '(%1$s AND (%2$s)) AND NOT (NOT %1$s)', '121'), (7, '(((%1$s)))', '1');
CREATE TABLE outcome (form integer, predicate text, parts text[], results boolean[], expected_parts text[], expected_results boolean[], whole boolean, counted boolean, errors bigint);
CREATE PROCEDURE explain_all(person bigint) LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT f.number, format(f.text, a.text, b.text) AS predicate, f.conditions, ARRAY[a.text, b.text] AS texts, ARRAY[a.result, b.result] AS results
        FROM atom AS a JOIN atom AS b ON b.number = 1 + (a.number * 7 + 11) % (SELECT count(*) FROM atom) CROSS JOIN form AS f
    LOOP
        PERFORM cdp.create_segment('cut', one.predicate, replace => true);
        INSERT INTO outcome
        SELECT one.number, one.predicate, x.parts, x.results,
               ARRAY(SELECT one.texts[c::integer] FROM regexp_split_to_table(one.conditions, '') WITH ORDINALITY AS c(c, place) ORDER BY place),
               ARRAY(SELECT one.results[c::integer] FROM regexp_split_to_table(one.conditions, '') WITH ORDINALITY AS c(c, place) ORDER BY place),
               x.whole, p.members = 1, x.errors
        FROM (SELECT array_agg(e.part ORDER BY e.place) FILTER (WHERE e.kind = 'condition') AS parts, array_agg(COALESCE(e.result, false) ORDER BY e.place) FILTER (WHERE e.kind = 'condition') AS results,
                     bool_and(e.result) FILTER (WHERE e.place = 1) AS whole, count(*) FILTER (WHERE e.note ~ '^error') AS errors
              FROM cdp.explain_segment('cut', person) AS e) AS x, cdp.preview_segment(one.predicate) AS p;
    END LOOP;
END $$;
CALL explain_all(:person);
SELECT count(*) = 7 * (SELECT count(*) FROM atom) AS all_were_cut FROM outcome;
SELECT form, predicate, parts, expected_parts FROM outcome WHERE parts IS DISTINCT FROM expected_parts ORDER BY 1, 2 LIMIT 5;
SELECT form, predicate, results, expected_results FROM outcome WHERE results IS DISTINCT FROM expected_results OR errors > 0 ORDER BY 1, 2 LIMIT 5;
SELECT form, predicate, whole, counted FROM outcome WHERE whole IS DISTINCT FROM counted ORDER BY 1, 2 LIMIT 5;

DROP PROCEDURE explain_all;
DROP TABLE atom, form, outcome;
SELECT cdp.teardown(false);
