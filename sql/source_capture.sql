-- source: capture, triggers on the tables of sources that notice changed rows.
--
-- The trigger function cdp_data.capture() is made by cdp.setup(), belongs to the
-- owner of the storage and is SECURITY DEFINER, because who writes to a
-- source's table has no rights in the storage.  It finds the keys of the rows
-- that a statement changed, under the role of the source's owner
-- (cdp.changed_keys), and either notes them (capture => 'queue') or has the rows
-- taken in at once (capture => 'immediate').  What goes wrong is noted in
-- cdp.rejected_records and does not reach the writer.

-- ---------- the trigger function ----------

CREATE FUNCTION cdp.changed_query(source text, OUT query text, OUT owner name, OUT time_zone text, OUT search_path text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $query$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT pg_catalog.format('SELECT DISTINCT k.record_key FROM (SELECT %s AS record_key FROM changed AS %I) AS k WHERE k.record_key IS NOT NULL',
                             cdp.source_key(s.name), n.parts[pg_catalog.cardinality(n.parts)]),
           s.owner, COALESCE(s.time_zone, (SELECT o.value FROM cdp.options AS o WHERE o.name = 'time_zone')), s.search_path
    FROM cdp_data.source AS s CROSS JOIN LATERAL pg_catalog.parse_ident(s.relation) AS n(parts)
    WHERE s.name = $1 AND s.relation IS NOT NULL;
END
$query$;
COMMENT ON FUNCTION cdp.changed_query(text) IS
'What cdp.changed_keys runs over the relation "changed", and under which role and settings; no row when there is no such source.';

CREATE FUNCTION cdp.changed_keys(source text, changed refcursor) RETURNS SETOF text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_changed_keys';
COMMENT ON FUNCTION cdp.changed_keys(text, refcursor) IS
'Part of capture: the keys of the rows that an open cursor yields, by the expression of the source and under the role of its owner.';

CREATE FUNCTION cdp.is_applying() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cdp_is_applying';
COMMENT ON FUNCTION cdp.is_applying() IS
'Part of capture: whether this session applies changes of another server row by row, so that only triggers for rows fire.';

CREATE FUNCTION cdp.wait_to_write(keys bigint, patience integer) RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_wait_to_write';
COMMENT ON FUNCTION cdp.wait_to_write(bigint, integer) IS
'Part of capture: waits, for so many milliseconds, until that many keys can be taken in; false when a refresh does not let it.';

CREATE FUNCTION cdp.is_about_rows(state text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Data exceptions, constraints, exceptions of functions, limits, RAISE; not a missing column or right.
    SELECT "left"(state, 2) = ANY (ARRAY['21', '22', '23', '2F', '38', '39', '54', 'P0']);
END;
COMMENT ON FUNCTION cdp.is_about_rows(text) IS
'Whether an error with this SQLSTATE is likely due to a value of one row, so that other rows may do better.';

CREATE FUNCTION cdp.note_failed_capture(source text, record_key text, state text, message text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
BEGIN
    IF record_key IS NOT NULL THEN
        DELETE FROM cdp_data.rejected_record AS r WHERE r.source = $1 AND r.record_key = $2;
    ELSIF EXISTS (SELECT FROM cdp_data.rejected_record AS r
                  WHERE r.source = $1 AND r.record_key IS NULL AND r.reason = 'capture_failed' AND r.detail = $4) THEN
        RETURN;
    END IF;
    INSERT INTO cdp_data.rejected_record (source, record_key, reason, detail, identifiers, rejected_at)
    VALUES ($1, $2, 'capture_failed', $4, pg_catalog.jsonb_build_object('sqlstate', $3), pg_catalog.clock_timestamp());
END
$note$;
COMMENT ON FUNCTION cdp.note_failed_capture(text, text, text, text) IS
'Part of capture: notes in cdp.rejected_records what went wrong; without a record_key, once for each message.';

CREATE FUNCTION cdp.take_in_keys(source text, keys text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $take$
DECLARE
    -- Parts of the keys that are still to be taken in: where each begins and ends.
    starts integer[] := ARRAY[1];
    ends integer[] := ARRAY[COALESCE(pg_catalog.cardinality(keys), 0)];
    first integer;
    last integer;
    attempts integer := 0;
    remaining text[] := '{}';
    state text;
    message text;
BEGIN
    WHILE pg_catalog.cardinality(starts) > 0 LOOP
        first := starts[pg_catalog.cardinality(starts)];
        last := ends[pg_catalog.cardinality(ends)];
        starts := starts[:pg_catalog.cardinality(starts) - 1];
        ends := ends[:pg_catalog.cardinality(ends) - 1];
        IF last < first THEN
            CONTINUE;
        END IF;
        -- When very many fail, it is not the rows.
        attempts := attempts + 1;
        IF attempts > 200 THEN
            remaining := remaining || keys[first:last];
            CONTINUE;
        END IF;
        BEGIN
            PERFORM cdp.take_in(source, 'keys', keys[first:last]);
        EXCEPTION
            WHEN transaction_rollback OR operator_intervention OR lock_not_available THEN
                RAISE;
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
                IF NOT cdp.is_about_rows(state) THEN
                    PERFORM cdp.note_failed_capture(source, NULL, state, message);
                    RETURN remaining || keys[first:last] || COALESCE((
                        SELECT pg_catalog.array_agg(k.key ORDER BY p.part, k.number)
                        FROM ROWS FROM (pg_catalog.unnest(starts), pg_catalog.unnest(ends)) WITH ORDINALITY AS p(first, last, part)
                        CROSS JOIN LATERAL pg_catalog.unnest(keys[p.first:p.last]) WITH ORDINALITY AS k(key, number)), '{}');
                ELSIF first = last THEN
                    PERFORM cdp.note_failed_capture(source, keys[first], state, message);
                ELSE
                    starts := starts || (first + last) / 2 + 1 || first;
                    ends := ends || last || (first + last) / 2;
                END IF;
        END;
    END LOOP;
    RETURN remaining;
END
$take$;
COMMENT ON FUNCTION cdp.take_in_keys(text, text[]) IS
'Part of capture: takes in the rows with these keys; a row that fails is found by halving, noted in cdp.rejected_records and left out.  Returns the keys that are left for a refresh, because it is not the rows that fail.';

CREATE FUNCTION cdp.capture_now(source text, keys text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $capture$
DECLARE
    -- For as long as a writer may wait for a refresh, in milliseconds.
    patience CONSTANT integer := 1000;
    changed bigint[];
    last_change bigint;
BEGIN
    IF NOT cdp.wait_to_write(pg_catalog.cardinality(keys), patience) THEN
        INSERT INTO cdp_data.captured_key (source, record_key) SELECT $1, k FROM pg_catalog.unnest(keys) AS k;
        RETURN;
    END IF;
    -- What had to be left earlier, some of it at a time.
    WITH some AS (
        DELETE FROM cdp_data.captured_key AS c
        WHERE c.captured_id IN (SELECT q.captured_id FROM cdp_data.captured_key AS q
                                WHERE q.source = $1 ORDER BY q.captured_id LIMIT 50 FOR UPDATE SKIP LOCKED)
        RETURNING c.record_key)
    SELECT keys || pg_catalog.array_agg(DISTINCT s.record_key) INTO keys FROM some AS s WHERE s.record_key <> ALL (keys) HAVING pg_catalog.count(*) > 0;
END
$capture$;
