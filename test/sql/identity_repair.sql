-- A storage that was changed by hand: what cdp.check_identities() says, what cdp.rebuild_identities() makes of it, and what is left.
SET timezone = 'UTC';
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cdp.setup();
SELECT records_new FROM cdp.stitch('crm', $$SELECT g AS record_key, g % 10 AS loyalty_id, 'e' || (g % 17) || '@x.example' AS email,
                                                   '2024-01-01'::timestamptz + g * interval '1 hour' AS observed_at FROM generate_series(1, 40) AS g$$);
SELECT cdp.identify('{"crm_id": "1", "loyalty_id": "1"}', 'crm', 'a', '2024-02-01') = cdp.identify('{"crm_id": "1", "email": "alone@x.example"}', 'crm', 'b', '2024-02-01') AS one;
SELECT cdp.identify('{"crm_id": "2", "email": "second@x.example"}', 'crm', 'c', '2024-02-01') <> cdp.resolve('crm_id', '1') AS another;
CREATE TABLE before AS SELECT identifier_id, profile_id FROM cdp.identifiers;

-- Damages, checks, rebuilds, checks and looks whether everybody is who they were; then takes all of it back.
CREATE FUNCTION after_damage(what text) RETURNS TABLE (problems text, left_over text, moved bigint) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE what;
        SELECT string_agg(DISTINCT problem, ', ' ORDER BY problem) INTO problems FROM cdp.check_identities();
        PERFORM cdp.rebuild_identities();
        SELECT coalesce(string_agg(DISTINCT problem, ', ' ORDER BY problem), 'nothing') INTO left_over FROM cdp.check_identities();
        SELECT count(*) INTO moved FROM cdp.identifiers AS i JOIN before AS b USING (identifier_id) WHERE i.profile_id <> b.profile_id;
        RAISE EXCEPTION 'to take it back';
    EXCEPTION
        WHEN raise_exception THEN NULL;
        WHEN OTHERS THEN left_over := SQLERRM;
    END;
    RETURN NEXT;
END $$;
\set VERBOSITY terse

-- profiles
SELECT * FROM after_damage($$DELETE FROM cdp_data.profile$$);
SELECT * FROM after_damage($$DELETE FROM cdp_data.profile WHERE profile_id = (SELECT cdp.resolve('crm_id', '2'))$$);
SELECT * FROM after_damage($$UPDATE cdp_data.profile SET state = 'r'$$);
SELECT * FROM after_damage($$UPDATE cdp_data.profile SET state = 'p'$$);
SELECT * FROM after_damage($$UPDATE cdp_data.profile SET anchor = -1$$);
SELECT * FROM after_damage($$UPDATE cdp_data.profile SET anchor = (SELECT max(id) FROM cdp_data.identifier)$$);
SELECT * FROM after_damage($$INSERT INTO cdp_data.profile SELECT 777777, min(id), now(), 'l' FROM cdp_data.identifier$$);
-- identifiers
SELECT * FROM after_damage($$UPDATE cdp_data.identifier SET profile_id = cdp.resolve('crm_id', '1')$$);
SELECT * FROM after_damage($$UPDATE cdp_data.identifier SET profile_id = 424242 WHERE value = '1'$$);
SELECT * FROM after_damage($$UPDATE cdp_data.identifier SET state = 'b'$$);
SELECT * FROM after_damage($$DELETE FROM cdp_data.identifier WHERE value = '2'$$);
-- links and records
SELECT * FROM after_damage($$DELETE FROM cdp_data.link$$);
SELECT * FROM after_damage($$UPDATE cdp_data.link SET records = 7, state = 'r', first_seen = '2000-01-01'$$);
SELECT * FROM after_damage($$INSERT INTO cdp_data.link SELECT max(id), min(id), now(), now(), 1, 1, 'j' FROM cdp_data.identifier$$);
SELECT * FROM after_damage($$UPDATE cdp_data.record SET hub = ids[2]$$);
SELECT * FROM after_damage($$UPDATE cdp_data.record SET ids = '{}'$$);
SELECT * FROM after_damage($$UPDATE cdp_data.record SET ids = ids || NULL::bigint$$);

-- a row that was made up for stays so for good
DELETE FROM cdp_data.profile;
SELECT merges, splits FROM cdp.rebuild_identities();
SELECT * FROM cdp.check_identities();
SELECT count(*) FROM cdp.identifiers AS i JOIN before AS b USING (identifier_id) WHERE i.profile_id <> b.profile_id;
SELECT * FROM cdp.rebuild_identities();

DROP FUNCTION after_damage(text);
DROP TABLE before;
SELECT cdp.teardown(false);
