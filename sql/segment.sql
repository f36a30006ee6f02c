-- segment: declaring segments, and reading membership and its changes.

-- ---------- declaring ----------

CREATE FUNCTION cdp.declare_segment(
    name text, predicate text, query text, refresh text, include_anonymous boolean,
    owner regrole, time_zone text, description text, search_path text, is_new boolean, replace boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $declare$
BEGIN
    IF predicate IS NOT NULL AND query IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'a segment has a predicate or a query, not both';
    END IF;
    PERFORM cdp.declare_expression('segment', name, COALESCE(predicate, query), query IS NOT NULL, refresh, include_anonymous,
                                   owner, time_zone, description, search_path, is_new, replace);
END
$declare$;
COMMENT ON FUNCTION cdp.declare_segment(text, text, text, text, boolean, regrole, text, text, text, boolean, boolean) IS
'Internal: what cdp.create_segment and cdp.alter_segment do.';

-- As with computed traits: no pinned search_path, since the caller's is stored with the text.
CREATE FUNCTION cdp.create_segment(
    name text, predicate text DEFAULT NULL, query text DEFAULT NULL, refresh text DEFAULT 'batch', include_anonymous boolean DEFAULT true,
    owner regrole DEFAULT NULL, time_zone text DEFAULT NULL, description text DEFAULT NULL, replace boolean DEFAULT false)
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.declare_segment(name, predicate, query, refresh, include_anonymous, owner, time_zone, description, cdp.current_search_path(), true, replace);
END;
COMMENT ON FUNCTION cdp.create_segment(text, text, text, text, boolean, regrole, text, text, boolean) IS
'Declares a segment: the people for whom a predicate holds (an SQL expression over profile, event and segment, as for cdp.create_computed_trait; NULL counts as false), or those whose profile_id a query yields.  refresh is batch (cdp.refresh() evaluates it) or realtime (also the transaction that brings an event or trait); include_anonymous => false leaves out people without an identifier of a person.  The same declaration again does nothing; another one needs replace => true.';

CREATE FUNCTION cdp.alter_segment(
    name text, predicate text DEFAULT NULL, query text DEFAULT NULL, refresh text DEFAULT NULL, include_anonymous boolean DEFAULT NULL,
    owner regrole DEFAULT NULL, time_zone text DEFAULT NULL, description text DEFAULT NULL)
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.declare_segment(name, predicate, query, refresh, include_anonymous, owner, time_zone, description, cdp.current_search_path(), false, true);
END;
COMMENT ON FUNCTION cdp.alter_segment(text, text, text, text, boolean, regrole, text, text) IS
'Changes the declaration of a segment; NULL keeps a part, an empty description takes it away.  Members stay until the next refresh.  What depends on the segment is analysed again, and an error there undoes the change.';

CREATE FUNCTION cdp.rename_segment(name text, new_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.retitle_expression('segment', name, new_name);
END;
COMMENT ON FUNCTION cdp.rename_segment(text, text) IS
'Renames a segment and its column in cdp.profile_segments; views that were built on that go on.  An error while other expressions call the segment by its name.';

CREATE FUNCTION cdp.drop_segment(name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT cdp.remove_expression('segment', name, cascade);
END;
COMMENT ON FUNCTION cdp.drop_segment(text, boolean) IS
'Drops a segment with its members and its history; an error while other expressions need it, unless cascade, which drops them as well, or while something was built on its column in cdp.profile_segments.';

-- ---------- a column for each segment ----------

CREATE FUNCTION cdp.is_segment_member(segment_id integer, profile_id bigint, key uuid) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'cdp_is_segment_member';
COMMENT ON FUNCTION cdp.is_segment_member(integer, bigint, uuid) IS
'Internal: whether a person is in a segment, for the columns of cdp.profile_segments; looked up by index at first, and in a bitmap of the whole segment when a query goes on asking.  key is that of cdp_data.segment_key, which only those know who may read the storage.';

CREATE FUNCTION cdp.shape_profile_segments() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $shape$
DECLARE
    wanted record;
BEGIN
    SELECT pg_catalog.array_agg(w.name ORDER BY w.place) AS names, pg_catalog.array_agg(w.type ORDER BY w.place) AS types,
           pg_catalog.array_agg(w.expression ORDER BY w.place) AS expressions, pg_catalog.array_agg(w.comment ORDER BY w.place) AS comments
    INTO wanted
    FROM (
        SELECT 'profile_id' AS name, 'bigint' AS type, 'p.profile_id' AS expression, 'key of the person' AS comment, 0 AS place
        UNION ALL
        SELECT e.name, 'boolean', pg_catalog.format(
                   -- Read with the rights of the view's owner, once in a query.
                   'cdp.is_segment_member(%s, p.profile_id, (SELECT k.key FROM cdp_data.segment_key AS k))', e.expression_id),
               pg_catalog.concat('member of this segment', ': ' || e.description), e.expression_id
        FROM cdp_data.expression AS e WHERE e.kind = 'segment'
    ) AS w;
    IF pg_catalog.cardinality(wanted.names) > 1600 THEN
        RAISE too_many_columns USING
            MESSAGE = pg_catalog.format('cdp.profile_segments would have %s columns; a view has at most 1600', pg_catalog.cardinality(wanted.names)),
            HINT = 'Drop segments that nobody uses with cdp.drop_segment.';
    END IF;
    IF pg_catalog.to_regclass('cdp.profile_segments') IS NOT NULL THEN
        -- Whoever reads people is not in the way.
        PERFORM cdp.lock_view('cdp.profile_segments', false);
    END IF;
    PERFORM cdp.shape_view('profile_segments', 'cdp_data.profile_row AS p', wanted.names, wanted.types, wanted.expressions, wanted.comments,
        'one row per person: whether they are in each segment');
END
$shape$;
COMMENT ON FUNCTION cdp.shape_profile_segments() IS
'Internal: brings the columns of cdp.profile_segments to the segments.';

-- ---------- changes, each once ----------
--
-- A transaction gets its number when it first writes, and a change its number before the
-- transaction commits: so neither says in which order changes can be seen.  But once no
-- transaction up to some number is running any more, all that these wrote is there, for good.
-- A consumer reads up to that number, in the order (transaction_id, change_id), and its position
-- is the last change that it read.
--
-- In another cluster, where a dump was restored, transactions begin at other numbers.  The restore
-- leaves behind the greatest change_id that came with it (see cdp_data.segment_restored), which
-- ends an era: within each, the order is as above, all of an era comes before the next, and only
-- the current one has transactions that may still be running.

CREATE FUNCTION cdp.segment_eras(OUT era bigint, OUT since_change bigint, OUT until_change bigint, OUT origin text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $eras$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH known AS (
        SELECT e.era, e.change_id, e.origin FROM cdp_data.segment_era AS e
    ), latest AS (
        SELECT k.era, k.origin FROM known AS k ORDER BY k.era DESC LIMIT 1
    ), every AS (
        SELECT k.era, k.change_id, k.origin FROM known AS k
        UNION ALL
        -- Restored, and nobody has been here since.
        SELECT l.era + 1, r.change_id, r.origin FROM latest AS l JOIN cdp_data.segment_restored AS r ON r.origin <> l.origin
    )
    SELECT v.era, v.change_id, pg_catalog.lead(v.change_id) OVER (ORDER BY v.era), v.origin FROM every AS v ORDER BY v.era;
END
$eras$;
COMMENT ON FUNCTION cdp.segment_eras() IS
'Internal: the ranges of change_id (past the first, up to the second; NULL: the current one) that were written in one cluster.';

CREATE FUNCTION cdp.changes_left(from_era bigint, from_transaction xid8, from_change bigint, before_transaction xid8,
    OUT era bigint, OUT after_transaction xid8, OUT after_change bigint, OUT since_change bigint, OUT until_transaction xid8, OUT until_change bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $left$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.era, CASE WHEN e.era > from_era THEN '0' ELSE from_transaction END, CASE WHEN e.era > from_era THEN 0 ELSE from_change END,
           e.since_change,
           -- Of what came with a restore, all is there.
           COALESCE(CASE WHEN e.until_change IS NULL THEN before_transaction END, '18446744073709551615'),
           COALESCE(e.until_change, 9223372036854775807)
    FROM cdp.segment_eras() AS e WHERE e.era >= from_era ORDER BY e.era;
END
$left$;
COMMENT ON FUNCTION cdp.changes_left(bigint, xid8, bigint, xid8) IS
'Internal: where the changes past a position and before a transaction (NULL: whatever can be seen) are, era by era: (transaction_id, change_id) is past (after_transaction, after_change), transaction_id below until_transaction, and change_id past since_change up to until_change.';

CREATE FUNCTION cdp.note_restore() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $note$
BEGIN
    -- Another restore would otherwise make this one forgotten.
    INSERT INTO cdp_data.segment_era (era, change_id, origin)
    SELECT e.era, e.since_change, e.origin FROM cdp.segment_eras() AS e
    WHERE NOT EXISTS (SELECT FROM cdp_data.segment_era AS k WHERE k.era = e.era)
    ON CONFLICT ON CONSTRAINT segment_era_pkey DO NOTHING;
END
$note$;
COMMENT ON FUNCTION cdp.note_restore() IS
'Internal: notes where the changes end that came with the restore of a dump.';

CREATE FUNCTION cdp.lock_reader(consumer text, OUT era bigint, OUT transaction_id xid8, OUT change_id bigint)
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $lock$
BEGIN
    PERFORM cdp.note_restore();
    INSERT INTO cdp_data.segment_reader AS r (consumer) VALUES ($1) ON CONFLICT ON CONSTRAINT segment_reader_pkey DO NOTHING;
    SELECT r.era, r.transaction_id, r.change_id INTO STRICT era, transaction_id, change_id
    FROM cdp_data.segment_reader AS r WHERE r.consumer = $1 FOR UPDATE;
END
$lock$;
COMMENT ON FUNCTION cdp.lock_reader(text) IS
'Internal: the position of a consumer, which nobody else moves until the transaction ends; a new consumer stands at the beginning.';

CREATE FUNCTION cdp.read_changes(
    consumer text, max_changes bigint DEFAULT 1000,
    OUT change_id bigint, OUT segment text, OUT profile_id bigint, OUT change text, OUT changed_at timestamptz, OUT cause text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    -- The changes past a position, in order: always by the index, whatever the table held when the plan was made.
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET jit = off
AS $read$
#variable_conflict use_column
DECLARE
    reader record;
    range record;
    wanted bigint := $2;
    given bigint;
BEGIN
    PERFORM cdp.require_storage();
    IF $1 IS NULL OR $1 = '' OR pg_catalog.starts_with($1, 'cdp.') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = pg_catalog.format('invalid name for a consumer: "%s"', $1),
            HINT = 'Any name will do that is not empty and does not begin with "cdp.".';
    END IF;
    IF $2 < 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'max_changes must not be negative';
    END IF;
    IF NOT pg_catalog.has_table_privilege('cdp_data.segment_reader', 'UPDATE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'permission denied to keep the position of a consumer',
            HINT = pg_catalog.format('The owner of the storage runs SELECT cdp.grant_access(%L, ''writer'').', pg_catalog.quote_ident(current_user));
    END IF;
    -- A second call by the same consumer waits here, and goes on where this one ends.
    reader := cdp.lock_reader($1);
    FOR range IN
        SELECT l.* FROM cdp.changes_left(reader.era, reader.transaction_id, reader.change_id, pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())) AS l
    LOOP
        IF range.era > reader.era THEN
            UPDATE cdp_data.segment_reader AS r
            SET (era, transaction_id, change_id) = ROW(range.era, range.after_transaction, range.after_change) WHERE r.consumer = $1;
        END IF;
        RETURN QUERY
        WITH batch AS MATERIALIZED (
            SELECT c.transaction_id, c.change_id, e.name, c.profile_id, c.is_entry, c.changed_at, c.cause
            FROM cdp_data.segment_change AS c JOIN cdp_data.expression AS e ON e.expression_id = c.segment_id
            WHERE (c.transaction_id, c.change_id) > (range.after_transaction, range.after_change)
              AND c.change_id > range.since_change AND c.transaction_id < range.until_transaction AND c.change_id <= range.until_change
            ORDER BY c.transaction_id, c.change_id LIMIT wanted
        ), moved AS (
            UPDATE cdp_data.segment_reader AS r
            SET (transaction_id, change_id) = ROW(b.transaction_id, b.change_id), changes_read = r.changes_read + b.changes, read_at = pg_catalog.now()
            FROM (SELECT l.transaction_id, l.change_id, (SELECT pg_catalog.count(*) FROM batch) AS changes
                  FROM batch AS l ORDER BY l.transaction_id DESC, l.change_id DESC LIMIT 1) AS b
            WHERE r.consumer = $1
        )
        SELECT b.change_id, b.name::text, b.profile_id, CASE WHEN b.is_entry THEN 'entered' ELSE 'exited' END, b.changed_at, b.cause::text
        FROM batch AS b ORDER BY b.transaction_id, b.change_id;
        GET DIAGNOSTICS given = ROW_COUNT;
        wanted := wanted - given;
        EXIT WHEN wanted <= 0;
    END LOOP;
END
$read$;
COMMENT ON FUNCTION cdp.read_changes(text, bigint) IS
'The next entries and exits for a consumer, at most max_changes (NULL: all there are), each change once in all: the position is kept under the consumer''s name and moves when the transaction commits.  A new consumer begins with the oldest change.  A change is given when no transaction that was running when it was written is running any more.';

CREATE FUNCTION cdp.forget_reader(consumer text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $forget$
BEGIN
    PERFORM cdp.require_storage();
    IF pg_catalog.starts_with($1, 'cdp.') THEN
        RAISE invalid_parameter_value USING MESSAGE = pg_catalog.format('consumer "%s" belongs to cdp itself', $1);
    END IF;
    DELETE FROM cdp_data.segment_reader AS r WHERE r.consumer = $1;
    RETURN FOUND;
END
$forget$;
COMMENT ON FUNCTION cdp.forget_reader(text) IS
'Forgets how far a consumer of cdp.read_changes is, so that it would begin anew; false: there was none of that name.';

-- ---------- days ----------
--
-- The days have a reader of their own, which says how far the changes are counted.  What it has not
-- reached, in whatever order it was committed, is counted when somebody looks.

CREATE FUNCTION cdp.day_zone(OUT zone text, OUT reader text)
    RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $zone$
BEGIN
    -- In another zone the days are others, and are counted anew.
    SELECT o.value, 'cdp.segment_day ' || o.value INTO zone, reader FROM cdp.options AS o WHERE o.name = 'time_zone';
END
$zone$;
COMMENT ON FUNCTION cdp.day_zone() IS
'Internal: the time zone of the days of cdp.segment_daily, and the consumer that counts them.';

CREATE FUNCTION cdp.count_segment_days(
    zone text, from_era bigint, from_transaction xid8, from_change bigint, before_transaction xid8,
    OUT segment_id integer, OUT day date, OUT entered bigint, OUT exited bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $count$
#variable_conflict use_column
DECLARE
    range record;
BEGIN
    FOR range IN SELECT l.* FROM cdp.changes_left($2, $3, $4, $5) AS l LOOP
        RETURN QUERY
        SELECT c.segment_id, (c.changed_at AT TIME ZONE zone)::date,
               pg_catalog.count(*) FILTER (WHERE c.is_entry), pg_catalog.count(*) FILTER (WHERE NOT c.is_entry)
        FROM cdp_data.segment_change AS c
        WHERE (c.transaction_id, c.change_id) > (range.after_transaction, range.after_change)
          AND c.change_id > range.since_change AND c.transaction_id < range.until_transaction AND c.change_id <= range.until_change
        GROUP BY 1, 2;
    END LOOP;
END
$count$;
COMMENT ON FUNCTION cdp.count_segment_days(text, bigint, xid8, bigint, xid8) IS
'Internal: entries and exits past a position, of each segment and day; NULL for the last argument: whatever can be seen.';

CREATE FUNCTION cdp.close_segment_days() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $close$
DECLARE
    own CONSTANT record := cdp.day_zone();
    position record;
    running xid8;
    counted bigint;
BEGIN
    PERFORM cdp.require_storage();
    position := cdp.lock_reader(own.reader);
    IF position.era = 0 AND position.transaction_id = '0'::xid8 THEN
        -- The first time, or the first in this time zone.
        DELETE FROM cdp_data.segment_reader AS r WHERE pg_catalog.starts_with(r.consumer, 'cdp.segment_day ') AND r.consumer <> own.reader;
        DELETE FROM cdp_data.segment_day AS d;
    END IF;
    running := pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot());
    WITH added AS MATERIALIZED (
        SELECT c.segment_id, c.day, pg_catalog.sum(c.entered)::bigint AS entered, pg_catalog.sum(c.exited)::bigint AS exited
        FROM cdp.count_segment_days(own.zone, position.era, position.transaction_id, position.change_id, running) AS c
        GROUP BY c.segment_id, c.day
    ), written AS (
        INSERT INTO cdp_data.segment_day AS d (segment_id, day, entered, exited)
        SELECT a.segment_id, a.day, a.entered, a.exited FROM added AS a
        ON CONFLICT ON CONSTRAINT segment_day_pkey DO UPDATE SET entered = d.entered + EXCLUDED.entered, exited = d.exited + EXCLUDED.exited
    )
    SELECT COALESCE(pg_catalog.sum(a.entered + a.exited), 0) INTO counted FROM added AS a;
    -- Everything below that number is counted.
    UPDATE cdp_data.segment_reader AS r
    SET (era, transaction_id, change_id) = ROW((SELECT pg_catalog.max(e.era) FROM cdp.segment_eras() AS e), running, 0::bigint),
        changes_read = r.changes_read + counted, read_at = pg_catalog.now()
    WHERE r.consumer = own.reader;
    RETURN counted;
END
$close$;
COMMENT ON FUNCTION cdp.close_segment_days() IS
'Part of cdp.refresh: counts the entries and exits since its last call into the days of cdp.segment_daily, and returns how many these were.';

CREATE FUNCTION cdp.segment_days(OUT segment_id integer, OUT day date, OUT entered bigint, OUT exited bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $days$
#variable_conflict use_column
DECLARE
    own CONSTANT record := cdp.day_zone();
    position record;
BEGIN
    SELECT r.era, r.transaction_id, r.change_id INTO position FROM cdp_data.segment_reader AS r WHERE r.consumer = own.reader;
    RETURN QUERY
    SELECT d.segment_id, d.day, pg_catalog.sum(d.entered)::bigint, pg_catalog.sum(d.exited)::bigint
    FROM (SELECT s.segment_id, s.day, s.entered, s.exited FROM cdp_data.segment_day AS s WHERE position.era IS NOT NULL
          UNION ALL
          SELECT c.segment_id, c.day, c.entered, c.exited
          FROM cdp.count_segment_days(own.zone, COALESCE(position.era, 0), COALESCE(position.transaction_id, '0'), COALESCE(position.change_id, 0), NULL) AS c) AS d
    GROUP BY d.segment_id, d.day;
END
$days$;
COMMENT ON FUNCTION cdp.segment_days() IS
'Internal: entries and exits of each segment on each day on which there were any: those counted by cdp.close_segment_days, and those since then.';

CREATE FUNCTION cdp.segment_history(OUT segment text, OUT day date, OUT members bigint, OUT entered bigint, OUT exited bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10000
    SET search_path = pg_catalog, pg_temp
AS $history$
#variable_conflict use_column
DECLARE
    zone CONSTANT text := (cdp.day_zone()).zone;
BEGIN
    RETURN QUERY
    WITH counted AS MATERIALIZED (SELECT d.segment_id, d.day, d.entered, d.exited FROM cdp.segment_days() AS d),
    first_day AS (
        SELECT e.expression_id, e.name, LEAST((e.created_at AT TIME ZONE zone)::date, pg_catalog.min(c.day)) AS day,
               GREATEST((pg_catalog.now() AT TIME ZONE zone)::date, pg_catalog.max(c.day)) AS last_day
        FROM cdp_data.expression AS e LEFT JOIN counted AS c ON c.segment_id = e.expression_id
        WHERE e.kind = 'segment' GROUP BY e.expression_id
    )
    SELECT f.name::text, f.day + g.n, pg_catalog.sum(COALESCE(c.entered - c.exited, 0)) OVER (PARTITION BY f.expression_id ORDER BY g.n)::bigint,
           COALESCE(c.entered, 0), COALESCE(c.exited, 0)
    FROM first_day AS f CROSS JOIN LATERAL pg_catalog.generate_series(0, f.last_day - f.day) AS g(n)
    LEFT JOIN counted AS c ON c.segment_id = f.expression_id AND c.day = f.day + g.n;
END
$history$;
COMMENT ON FUNCTION cdp.segment_history() IS
'Internal: what the view cdp.segment_daily shows: each day of each segment, since it was declared.';

-- ---------- audiences ----------

CREATE FUNCTION cdp.segment_audience(name text) RETURNS cdp.audience
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $audience$
BEGIN
    RETURN (
        SELECT COALESCE(cdp.audience_agg(m.profile_id), '{}')
        FROM cdp_data.segment_member AS m WHERE m.segment_id = cdp.require_expression('segment', segment_audience.name));
END
$audience$;
COMMENT ON FUNCTION cdp.segment_audience(text) IS
'The members of a segment as an audience, empty when there are none.';

CREATE FUNCTION cdp.audience_overlap(names text[], OUT segments text[], OUT size bigint, OUT only_these bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $overlap$
#variable_conflict use_column
BEGIN
    IF $1 IS NULL OR EXISTS (SELECT FROM pg_catalog.unnest($1) AS n WHERE n IS NULL) THEN
        RAISE null_value_not_allowed USING MESSAGE = 'names must not be null';
    END IF;
    IF pg_catalog.cardinality($1) > 12 OR pg_catalog.array_ndims($1) > 1
       OR pg_catalog.cardinality($1) <> (SELECT pg_catalog.count(DISTINCT n) FROM pg_catalog.unnest($1) AS n) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'names must be a list of up to 12 different segments',
            HINT = 'The number of combinations doubles with each of them.';
    END IF;
    RETURN QUERY
    WITH RECURSIVE given AS MATERIALIZED (
        SELECT n.place::integer, n.name, cdp.segment_audience(n.name) AS members FROM pg_catalog.unnest($1) WITH ORDINALITY AS n(name, place)
    ), combination(bits, last, names, members, size) AS (
        SELECT 1 << g.place, g.place, ARRAY[g.name], g.members, cdp.cardinality(g.members) FROM given AS g WHERE cdp.cardinality(g.members) > 0
        UNION ALL
        SELECT b.bits, b.last, b.names, b.members, b.size
        FROM (SELECT c.bits | (1 << g.place) AS bits, g.place AS last, c.names || g.name AS names, i.members, cdp.cardinality(i.members) AS size
              FROM combination AS c JOIN given AS g ON g.place > c.last
              CROSS JOIN LATERAL (SELECT c.members OPERATOR(cdp.&) g.members OFFSET 0) AS i(members)) AS b
        WHERE b.size > 0
    ), counted AS MATERIALIZED (SELECT c.bits, c.names, c.size FROM combination AS c)
    -- Inclusion and exclusion over the combinations that contain this one.
    SELECT c.names, c.size,
           (SELECT pg_catalog.sum(CASE WHEN (pg_catalog.cardinality(w.names) - pg_catalog.cardinality(c.names)) % 2 = 0 THEN w.size ELSE -w.size END)::bigint
            FROM counted AS w WHERE w.bits & c.bits = c.bits)
    FROM counted AS c ORDER BY pg_catalog.cardinality(c.names), c.bits;
END
$overlap$;
COMMENT ON FUNCTION cdp.audience_overlap(text[]) IS
'How segments overlap: a row for each combination that somebody is in, with how many are in all of its segments (size), and how many of these are in none of the other given ones (only_these, which add up to everybody in any).  Up to 12 segments.';

-- ---------- health ----------

CREATE FUNCTION cdp.segment_health(OUT "check" text, OUT severity text, OUT detail text, OUT hint text, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $health$
BEGIN
    RETURN QUERY
    SELECT h.* FROM cdp.expression_health('segment') AS h
    UNION ALL
    SELECT 'windows are not closed', 'warning', pg_catalog.format('people should have been looked at since %s, because a window of a real-time expression closed', d.due_at),
           'Let a scheduler, or the background worker, call cdp.expire_segments() every minute, and see whether it still does.', d.due_at
    FROM (SELECT u.due_at FROM cdp_data.expression_due AS u WHERE u.due_at > '-infinity' AND u.due_at < 'infinity' ORDER BY u.due_at LIMIT 1) AS d
    WHERE d.due_at < pg_catalog.now() - '2 hours'::interval
    UNION ALL
    SELECT 'people were put off', 'info', 'some people have more events than the option realtime_max_events, or were busy, and wait for the next evaluation',
           'CALL cdp.refresh(); evaluates them.', NULL::timestamptz
    WHERE EXISTS (SELECT FROM cdp_data.expression_due AS u WHERE u.due_at = '-infinity');
END
$health$;
COMMENT ON FUNCTION cdp.segment_health() IS
'Part of cdp.health: segments that failed, were not evaluated, or need what is gone, and windows that nobody closes.';

-- ---------- views ----------

CREATE FUNCTION cdp.setup_segment_views() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $views$
BEGIN
    CREATE OR REPLACE VIEW cdp.segments AS
        SELECT e.name, e.definition, e.is_query, CASE WHEN e.is_realtime THEN 'realtime' ELSE 'batch' END AS refresh,
               -- What is not written by evaluations for everybody alone is counted.
               CASE WHEN e.is_realtime AND s.members IS NOT NULL
                    THEN (SELECT pg_catalog.count(*) FROM cdp_data.segment_member AS m WHERE m.segment_id OPERATOR(pg_catalog.=) e.expression_id)
                    ELSE s.members END AS members,
               s.status, s.evaluated_at, s.error, s.sqlstate, s.hint, s.failed_since,
               e.owner, e.time_zone, e.include_anonymous, e.description, e.created_at, e.changed_at
        FROM cdp_data.expression AS e LEFT JOIN cdp_data.expression_state AS s ON s.expression_id OPERATOR(pg_catalog.=) e.expression_id
        WHERE e.kind OPERATOR(pg_catalog.=) 'segment';
    COMMENT ON VIEW cdp.segments IS 'every segment, its size and how its evaluation went; see cdp.create_segment';
    COMMENT ON COLUMN cdp.segments.name IS 'name of the segment';
    COMMENT ON COLUMN cdp.segments.definition IS 'the predicate or query';
    COMMENT ON COLUMN cdp.segments.is_query IS 'whether it is a query that yields profile_id';
    COMMENT ON COLUMN cdp.segments.refresh IS 'batch: evaluated by cdp.refresh(); realtime: also in the transaction that brings an event or trait';
    COMMENT ON COLUMN cdp.segments.members IS 'number of members; NULL: never evaluated';
    COMMENT ON COLUMN cdp.segments.status IS 'new: not evaluated since it, or what it needs, was declared or changed; ok; failed';
    COMMENT ON COLUMN cdp.segments.evaluated_at IS 'start of the latest evaluation for everybody that went through';
    COMMENT ON COLUMN cdp.segments.error IS 'message of the error';
    COMMENT ON COLUMN cdp.segments.sqlstate IS 'its SQLSTATE';
    COMMENT ON COLUMN cdp.segments.hint IS 'what to do';
    COMMENT ON COLUMN cdp.segments.failed_since IS 'when it first failed';
    COMMENT ON COLUMN cdp.segments.owner IS 'role under which it runs';
    COMMENT ON COLUMN cdp.segments.time_zone IS 'time zone under which it runs';
    COMMENT ON COLUMN cdp.segments.include_anonymous IS 'whether people without an identifier of a person can be members';
    COMMENT ON COLUMN cdp.segments.description IS 'what it is for';
    COMMENT ON COLUMN cdp.segments.created_at IS 'when it was declared';
    COMMENT ON COLUMN cdp.segments.changed_at IS 'when its declaration, or that of a trait or segment that it needs, last changed';

    CREATE OR REPLACE VIEW cdp.segment_dependencies AS
        SELECT e.name, e.kind, f.kind AS depends_on_kind, f.name AS depends_on,
               CASE WHEN cdp.is_missing_fact(f.kind, f.name) THEN 'does not exist'
                    ELSE CASE f.kind
                        WHEN 'trait' THEN CASE
                            WHEN EXISTS (SELECT FROM cdp_data.expression AS o WHERE o.kind OPERATOR(pg_catalog.=) 'trait' AND o.name OPERATOR(pg_catalog.=) f.name) THEN 'computed trait'
                            WHEN EXISTS (SELECT FROM cdp_data.trait AS t WHERE t.name OPERATOR(pg_catalog.=) f.name) THEN 'record trait'
                            WHEN EXISTS (SELECT FROM cdp_data.namespace AS n WHERE n.name OPERATOR(pg_catalog.=) f.name) THEN 'identifier'
                            ELSE 'column of every profile' END
                        WHEN 'event_name' THEN CASE WHEN f.name OPERATOR(pg_catalog.=) '*' THEN 'any event' END
                        WHEN 'window' THEN CASE WHEN f.name OPERATOR(pg_catalog.=) '*' THEN 'cannot be foreseen: looked at again from time to time' END
                        END
                    END AS detail
        FROM cdp_data.expression AS e JOIN cdp_data.expression_fact AS f ON f.expression_id OPERATOR(pg_catalog.=) e.expression_id;
    COMMENT ON VIEW cdp.segment_dependencies IS 'what each segment and computed trait reads';
    COMMENT ON COLUMN cdp.segment_dependencies.name IS 'name of the segment or computed trait';
    COMMENT ON COLUMN cdp.segment_dependencies.kind IS 'segment or trait';
    COMMENT ON COLUMN cdp.segment_dependencies.depends_on_kind IS 'trait (any column of cdp.profiles), segment, event_name, property, window (a comparison with the clock), function (outside of pg_catalog) or relation';
    COMMENT ON COLUMN cdp.segment_dependencies.depends_on IS 'what it reads; * for any event, and for a comparison with the clock that cannot be foreseen';
    COMMENT ON COLUMN cdp.segment_dependencies.detail IS 'what kind of trait it is, or that it does not exist any more';

    CREATE OR REPLACE VIEW cdp.segment_members AS
        SELECT e.name AS segment, m.profile_id, m.entered_at
        FROM cdp_data.expression AS e JOIN cdp_data.segment_member AS m ON m.segment_id OPERATOR(pg_catalog.=) e.expression_id
        WHERE e.kind OPERATOR(pg_catalog.=) 'segment';
    COMMENT ON VIEW cdp.segment_members IS 'who is in which segment';
    COMMENT ON COLUMN cdp.segment_members.segment IS 'name of the segment';
    COMMENT ON COLUMN cdp.segment_members.profile_id IS 'key of the person';
    COMMENT ON COLUMN cdp.segment_members.entered_at IS 'since when';

    CREATE OR REPLACE VIEW cdp.segment_changes AS
        SELECT e.name AS segment, c.profile_id, CASE WHEN c.is_entry THEN 'entered' ELSE 'exited' END AS change, c.changed_at, c.cause
        FROM cdp_data.expression AS e JOIN cdp_data.segment_change AS c ON c.segment_id OPERATOR(pg_catalog.=) e.expression_id
        WHERE e.kind OPERATOR(pg_catalog.=) 'segment';
    COMMENT ON VIEW cdp.segment_changes IS 'who entered or left which segment; to read each change once, see cdp.read_changes';
    COMMENT ON COLUMN cdp.segment_changes.segment IS 'name of the segment';
    COMMENT ON COLUMN cdp.segment_changes.profile_id IS 'key of the person, at that time';
    COMMENT ON COLUMN cdp.segment_changes.change IS 'entered or exited';
    COMMENT ON COLUMN cdp.segment_changes.changed_at IS 'when';
    COMMENT ON COLUMN cdp.segment_changes.cause IS 'event, trait, identity (a merge or split), window (one closed), batch (found by a refresh) or definition (the first evaluation, or a changed definition)';

    CREATE OR REPLACE VIEW cdp.segment_daily AS
        SELECT h.segment, h.day, h.members, h.entered, h.exited FROM cdp.segment_history() AS h;
    COMMENT ON VIEW cdp.segment_daily IS 'each day of each segment, in the time zone of the option time_zone, up to today';
    COMMENT ON COLUMN cdp.segment_daily.segment IS 'name of the segment';
    COMMENT ON COLUMN cdp.segment_daily.day IS 'day';
    COMMENT ON COLUMN cdp.segment_daily.members IS 'members at its end; today: now';
    COMMENT ON COLUMN cdp.segment_daily.entered IS 'how many entered on that day';
    COMMENT ON COLUMN cdp.segment_daily.exited IS 'how many left on that day';

    PERFORM cdp.shape_profile_segments();
    PERFORM cdp.note_restore();
END
$views$;
COMMENT ON FUNCTION cdp.setup_segment_views() IS 'Part of cdp.setup(): creates or replaces the views of the capability segment.';
