-- The time at which a result can next change by the clock alone: until then it
-- must not, whatever the zone, the month and the form of the comparison.
\set VERBOSITY default
SET client_min_messages = warning;
SELECT cdp.setup() \g /dev/null
SET search_path = public, cdp;
SET TimeZone = 'UTC';
SET DateStyle = ISO;
SET jit = off;
SET plan_cache_mode = force_generic_plan;

-- Three people, whose windows close around the ends of months and the changes of clocks; also very old events.
CREATE TABLE happened (id serial, person text, name text, at timestamptz, quantity bigint, due text, expires date);
INSERT INTO happened (person, name, at, quantity, due, expires)
SELECT p, (ARRAY['buy', 'view'])[1 + n % 2], t + n * interval '7 hours 13 minutes', n,
       CASE WHEN n % 2 = 0 THEN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE 'unknown' END, CASE WHEN p = 'b' AND n = 1 THEN '5000000-01-01' ELSE t::date END
FROM (VALUES ('a', timestamptz '2026-01-28 20:00'), ('a', '2025-12-29 12:00'), ('b', '2026-01-30 01:30'), ('b', '2024-02-29'), ('c', '2026-01-04 13:30'), ('c', '0001-01-01'), ('c', '2026-01-29 00:30')) AS v(p, t),
     generate_series(0, 3) AS n;
SELECT create_source('shop', 'happened', record_key => 'id', occurred_at => 'at', event_name => 'name', identifiers => 'person AS anonymous_id', properties => 'quantity, due, expires') \g /dev/null
CALL refresh();

-- Evaluates as of moments before, at and after each event and each end of a window, in order; the value must not change before the time that was told.
CREATE FUNCTION surprises(predicate text, zone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id integer;
    moments timestamptz[];
    t timestamptz;
    values_before jsonb := '{}';
    r record;
    bad bigint := 0;
    told bigint := 0;
    first_bad text;
BEGIN
    PERFORM cdp.create_segment('tried', predicate, refresh => 'realtime', time_zone => zone, replace => true);
    SELECT expression_id INTO id FROM cdp_data.expression WHERE kind = 'segment' AND name = 'tried';
    PERFORM set_config('TimeZone', zone, true);
    EXECUTE format('PREPARE looked(timestamptz) AS %s', cdp.expression_sql(ARRAY[id], 'everybody', 3));
    -- no events after these: what comes is by the clock alone
    SELECT array_agg(DISTINCT m ORDER BY m) INTO moments
    FROM (SELECT generate_series(timestamptz '2026-02-01 00:00+00', '2026-05-10 00:00+00', '2 days 5 hours 11 minutes') AS m
          UNION SELECT h.at + w + s FROM happened AS h, unnest('{30 days,1 month,1 month 3 days,2 months,90 days}'::interval[]) AS w, unnest('{-1 microsecond,0,1 microsecond}'::interval[]) AS s WHERE h.at > '2025-01-01' AND h.quantity IN (0, 3)) AS v
    WHERE m > timestamptz '2026-02-01 00:00+00';
    FOREACH t IN ARRAY moments LOOP
        FOR r IN EXECUTE format('EXECUTE looked(%L)', t) LOOP
            -- what was said before: a value and a time
            IF values_before ? r.profile_id::text AND (values_before->r.profile_id::text->>0)::boolean <> r.tried AND t < coalesce((values_before->r.profile_id::text->>1)::timestamptz, 'infinity') THEN
                bad := bad + 1;
                first_bad := coalesce(first_bad, format('profile %s at %s, told was %s', r.profile_id, t, values_before->r.profile_id::text->>1));
            END IF;
            -- a new time is asked for only when the old one has come
            IF NOT values_before ? r.profile_id::text OR t >= coalesce((values_before->r.profile_id::text->>1)::timestamptz, 'infinity') OR (values_before->r.profile_id::text->>0)::boolean <> r.tried THEN
                told := told + 1;
                values_before := values_before || jsonb_build_object(r.profile_id::text, jsonb_build_array(r.tried, r.due_at));
            END IF;
        END LOOP;
    END LOOP;
    DEALLOCATE looked;
    PERFORM set_config('TimeZone', 'UTC', true);
    RETURN CASE WHEN bad = 0 THEN CASE WHEN told > 3 THEN 'as told' ELSE 'as told, once and for all' END ELSE format('%s changes before their time: %s', bad, first_bad) END;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT predicate, zone, surprises(predicate, zone)
FROM (VALUES
    ('count(*) > 3'),
    ('max(event.occurred_at) > now() - interval ''30 days'''),
    ('now() - interval ''30 days'' <= max(event.occurred_at)'),
    ('max(event.occurred_at) > now() - 30 * interval ''1 day'''),
    ('count(*) FILTER (WHERE event.occurred_at > now() - make_interval(months => 1, days => 3)) > 1'),
    ('max(event.occurred_at) > now() - interval ''1 month'''),
    ('max(event.occurred_at) + interval ''1 month'' > now()'),
    ('count(*) FILTER (WHERE event.event_name = ''buy'' AND event.occurred_at > now() - interval ''1 month 3 days'') > 1'),
    ('count(*) FILTER (WHERE event.occurred_at BETWEEN now() - interval ''2 months'' AND now() - interval ''1 month'') = 2'),
    ('count(*) FILTER (WHERE NOT event.occurred_at > now() - interval ''720 hours'') > 5'),
    ('count(*) FILTER (WHERE now() - event.occurred_at < interval ''1 month'') > 2'),
    ('now() - max(event.occurred_at) > interval ''90 days'''),
    ('count(*) FILTER (WHERE event.occurred_at > current_date - 30) > 1'),
    ('count(*) FILTER (WHERE event.occurred_at::date = current_date - 30) > 0'),
    ('max(event.occurred_at) > date_trunc(''month'', now()) - interval ''1 month'''),
    ('max(event.occurred_at) >= date_trunc(''month'', now() - interval ''1 month'') AND max(event.occurred_at) < date_trunc(''month'', now())'),
    ('max(event.occurred_at)::date >= (now() - interval ''30 days'')::date'),
    ('extract(month FROM min(event.occurred_at)) = extract(month FROM now() - interval ''2 months'')'),
    ('age(max(event.occurred_at)) < interval ''1 month 3 days'''),
    ('max(event.occurred_at) > localtimestamp - interval ''30 days'''),
    ('extract(day FROM now()) > 15'),
    ('max(event.occurred_at) FILTER (WHERE event.occurred_at < now() - interval ''1 month'') > now() - interval ''2 months'''),
    ('bool_or(event.quantity > 2) FILTER (WHERE event.occurred_at > now() - interval ''1 month'' OR event.quantity = 0)'),
    ('EXISTS (SELECT WHERE count(*) FILTER (WHERE event.occurred_at > now() - interval ''1 month'') > 1)'),
    ('min(event.occurred_at) < now() - interval ''2000 years'''),
    ('now() - min(event.occurred_at) < interval ''200000 years'''),
    ('count(*) FILTER (WHERE event.occurred_at > now() + interval ''290000 years'') = 0'),
    -- casts that fail for other values than those they stand for
    ('count(*) FILTER (WHERE event.due ~ ''^2'' AND event.due::date > now() - interval ''30 days'') > 0'),
    ('count(*) FILTER (WHERE CASE WHEN event.due !~ ''^2'' THEN event.quantity > 2 ELSE event.due::date > now() - interval ''30 days'' END) > 1'),
    ('count(*) FILTER (WHERE CASE event.due WHEN ''unknown'' THEN false ELSE event.due::date > now() - interval ''30 days'' END) > 1'),
    ('count(*) FILTER (WHERE coalesce(event.due = ''unknown'' OR event.due::timestamptz > now() - interval ''1 month'', false)) > 5'),
    ('max(event.due) ~ ''^2'' OR NULLIF(max(event.due), ''unknown'')::date > now() - interval ''30 days'''),
    ('max(event.due) <> ''unknown'' AND max(event.due)::date > now() - interval ''30 days'' OR coalesce(min(event.quantity) > 0, max(event.due)::date > now())'),
    ('min(event.expires) > now() - interval ''2 months'' AND max(event.expires) > now() - interval ''30 days''')) AS p(predicate),
    (VALUES ('Europe/Berlin'), ('Pacific/Auckland')) AS z(zone)
ORDER BY predicate COLLATE "C", zone COLLATE "C";

-- ---------- what is known of windows ----------
SELECT s.predicate, (SELECT string_agg(a.fact_names[i], ', ' ORDER BY a.fact_names[i]) FROM generate_subscripts(a.fact_names, 1) AS i WHERE a.fact_kinds[i] = 'window')
FROM (VALUES ('count(*) > 3'), ('max(event.occurred_at) > now() - interval ''30 days'''), ('max(event.occurred_at) > now() - 30 * interval ''1 day'''), ('current_timestamp - make_interval(weeks => 2) > min(event.occurred_at)'),
    ('current_date - max(event.occurred_at)::date > 30'), ('date_trunc(''week'', now() - interval ''1 week'') < max(event.occurred_at)'), ('(now() - interval ''1 hour'')::date > ''2026-01-01'''), ('extract(dow FROM now()) = 3'), ('extract(hour FROM now()) = 3'), ('max(event.occurred_at) = now()'), ('extract(epoch FROM now() - max(event.occurred_at)) > 86400'),
    ('max(event.occurred_at) > now() - (count(*) * interval ''1 day'')')) AS s(predicate), cdp.analyse_expression('segment', '', s.predicate, false, current_user, 'UTC', 'public') AS a;

-- ---------- window_closes itself ----------
SELECT window_closes('2026-01-31', '1 month', '4 days', '2026-01-01'), window_closes('2026-01-31', '1 month', '4 days', '2026-03-04'), window_closes('2026-01-31', '1 month', '4 days', '2026-03-05');
SELECT window_closes('infinity', '1 month', '0', now()) IS NULL, window_closes('-infinity', '1 month', '0', now()) IS NULL, window_closes('200000-01-01', '1 month', '0', now()) IS NULL,
       window_closes('2026-01-01', '178000000 years', '0', now()) IS NULL, window_closes('2026-01-01', '-178000000 years', '0', now()) IS NULL, window_closes('4713-01-01 BC', '-1 year', '0', now()) IS NULL;

-- ---------- where clocks change at midnight ----------
-- A day begins with its first moment, also where it has no midnight or two of them.
CREATE FUNCTION is_told_first(zone text, clock timestamp) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    id integer;
    told timestamptz;
    result boolean;
BEGIN
    PERFORM cdp.create_segment('tried', 'max(event.occurred_at) > current_date - 30', refresh => 'realtime', time_zone => zone, replace => true);
    SELECT expression_id INTO id FROM cdp_data.expression WHERE kind = 'segment' AND name = 'tried';
    PERFORM set_config('TimeZone', zone, true);
    EXECUTE format('SELECT min(due_at) FROM (%s) AS q', cdp.expression_sql(ARRAY[id], 'everybody', 3)) INTO told USING clock::timestamptz;
    result := told::date = clock::date + 1 AND (told - interval '1 microsecond')::date = clock::date;
    PERFORM set_config('TimeZone', 'UTC', true);
    RETURN result;
END $$;
SELECT zone, d::date, is_told_first(zone, d + time '12:00')
FROM (VALUES ('Atlantic/Azores', date '2026-03-28'), ('Atlantic/Azores', '2026-03-29'), ('Atlantic/Azores', '2026-10-24'), ('Atlantic/Azores', '2026-10-25'),
    ('Africa/Cairo', '2025-04-24'), ('Africa/Cairo', '2025-04-25'), ('Africa/Cairo', '2025-10-30'), ('Europe/Berlin', '2026-03-29'), ('Europe/Berlin', '2026-10-25')) AS v(zone, d);

DROP FUNCTION surprises, is_told_first;
DROP TABLE happened;
SELECT teardown(false);
