-- run.sql
--
-- Runs many seeds, and makes a failure readable: the workload is shrunk and
-- printed as a script.
--
-- Every workload runs in a subtransaction that is rolled back, so that it starts
-- from an empty storage without the cost of making one; history_of() below is
-- the one that commits after each step.

SET search_path = reference, pg_catalog;

-- Runs the operations from the empty evidence; problem is NULL when all went well.
-- options: exact (the rule of ids for one change), check_every, rebuild_every
-- (steps), max_replay, again (compare the final evidence in another order).
CREATE FUNCTION execute(e evidence, operations jsonb[], options jsonb,
                        OUT problem text, OUT step integer, OUT script text[], OUT final evidence, OUT outcome stored)
LANGUAGE plpgsql AS $$
DECLARE
    exact boolean := coalesce((options->>'exact')::boolean, true);
    check_every integer := coalesce((options->>'check_every')::integer, 1);
    rebuild_every integer := coalesce((options->>'rebuild_every')::integer, 5);
    max_replay integer := options->>'max_replay';
    operation jsonb;
    previous jsonb;
    text_of text;
    applied record;
    counts record;
    result text;
    error_state text;
    error_text text;
    before stored;
    after stored;
    rebuilt stored;
    settled record;
    checking boolean;
    single boolean;
    ever bigint[] := '{}';
    known integer[] := '{}';
    r answer;
    line text;
BEGIN
    step := 0;
    script := '{}';
    FOREACH line IN ARRAY configuration_text(e, max_replay) LOOP
        script := script || line;
        EXECUTE line;
    END LOOP;
    before := read_stored(e);

    FOREACH operation IN ARRAY operations LOOP
        step := step + 1;
        IF operation->>'do' = 'again' THEN
            CONTINUE WHEN previous IS NULL OR NOT previous->>'do' IN ('identify', 'stitch');
            operation := previous || '{"again": true}';
        END IF;
        text_of := statement(e, operation);
        CONTINUE WHEN text_of IS NULL;
        script := script || text_of;
        applied := apply(e, operation);

        -- the call
        error_state := NULL;
        result := NULL;
        BEGIN
            IF operation->>'do' = 'stitch' THEN
                EXECUTE text_of INTO counts;
            ELSE
                EXECUTE text_of INTO result;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS error_state = RETURNED_SQLSTATE, error_text = MESSAGE_TEXT;
        END;
        IF error_state IS NOT NULL AND (NOT applied.must_fail OR error_state LIKE 'XX%') THEN
            problem := format('error %s: %s', error_state, error_text);
            RETURN;
        END IF;
        IF applied.must_fail AND error_state IS NULL AND result IS NOT NULL AND result <> '' THEN
            problem := format('the call must fail and returned %s', result);
            RETURN;
        END IF;
        IF operation->>'do' IN ('max_links', 'max_per_profile') THEN
            script := script || 'SELECT cdp.rebuild_identities()'::text;
            PERFORM cdp.rebuild_identities();
        END IF;
        e := applied.e;
        previous := operation;

        -- what the call said
        IF operation->>'do' = 'stitch' THEN
            IF counts.rows_read <> jsonb_array_length(operation->'rows')
               OR counts.rejected <> jsonb_array_length(operation->'rows') - applied.accepted
               OR counts.records_new <> applied.records_new
               OR (operation ? 'again' AND (counts.records_changed, counts.identifiers_new, counts.links_new,
                                            counts.profiles_new, counts.merges, counts.splits) <> (0, 0, 0, 0, 0, 0)) THEN
                problem := format('counts of stitch are %s, but %s rows of %s are acceptable and %s records new',
                                  counts, applied.accepted, jsonb_array_length(operation->'rows'), applied.records_new);
                RETURN;
            END IF;
        ELSIF operation->>'do' = 'retract' AND result::boolean <> (applied.accepted = 1) THEN
            problem := format('retract says %s', result);
            RETURN;
        END IF;

        SELECT array_agg(DISTINCT x) INTO known
        FROM (SELECT unnest(known) UNION ALL SELECT unnest(e.must_a || e.must_b || e.cannot_a || e.cannot_b)
              UNION ALL SELECT i::integer FROM jsonb_array_elements(coalesce(operation->'rows', jsonb_build_array(operation))) w,
                                               jsonb_array_elements_text(w->'ids') i
              UNION ALL SELECT (operation->>'a')::integer WHERE operation->>'do' = 'block') u(x);
        settled := settle(e, applied.opened);
        e := settled.e;
        problem := settled.problem;
        EXIT WHEN problem IS NOT NULL;

        -- identifiers that a label makes are a change of their own
        after := read_stored(e);
        single := NOT (operation->>'do' = 'label' AND (before.id[(operation->>'a')::integer] IS NULL
                                                       OR before.id[(operation->>'b')::integer] IS NULL));
        IF max_replay IS NOT NULL THEN
            -- a queued replay is a change of its own
            problem := id_problem(e, before, after, ever, exact AND single);
            EXIT WHEN problem IS NOT NULL;
            ever := array(SELECT DISTINCT unnest(ever || after.profile_id));
            before := after;
            single := true;
            script := script || 'SELECT cdp.refresh_identities()'::text;
            PERFORM cdp.refresh_identities();
            after := read_stored(e);
        END IF;
        checking := step % check_every = 0 OR step = cardinality(operations);
        IF checking THEN
            r := compute(e);
            problem := difference(e, r, after, coalesce(known, '{}'));
            EXIT WHEN problem IS NOT NULL;
        END IF;
        -- where no id, anchor or state changed there is nothing to look at
        IF (after.profile, after.profile_id, after.anchor, after.profile_state)
           IS DISTINCT FROM (before.profile, before.profile_id, before.anchor, before.profile_state) THEN
            problem := id_problem(e, before, after, ever, exact AND single);
            EXIT WHEN problem IS NOT NULL;
            ever := array(SELECT DISTINCT unnest(ever || after.profile_id));
        END IF;
        before := after;
        CONTINUE WHEN NOT checking;
        IF operation->>'do' = 'identify' AND NOT applied.must_fail AND max_replay IS NULL
           AND result::bigint IS DISTINCT FROM
               after.profile[(SELECT r.hubs[find_record(e, operation->>'source', operation->>'key')])] THEN
            problem := format('identify returned %s, the profile of the record''s hub is %s', result,
                              after.profile[r.hubs[find_record(e, operation->>'source', operation->>'key')]]);
            RETURN;
        END IF;
        SELECT format('resolve(%s) is %s, not %s', name_of(e, n::integer),
                      cdp.resolve(e.namespace_name[e.namespace[n]], e.value[n]), p)
        INTO problem
        FROM unnest(after.profile) WITH ORDINALITY u(p, n)
        WHERE cdp.resolve(e.namespace_name[e.namespace[n]], e.value[n]) IS DISTINCT FROM p
        LIMIT 1;
        EXIT WHEN problem IS NOT NULL;
        SELECT string_agg(c::text, ', ') INTO problem FROM cdp.check_identities() c;
        EXIT WHEN problem IS NOT NULL;

        IF step % rebuild_every = 0 OR step = cardinality(operations) THEN
            script := script || 'SELECT cdp.rebuild_identities()'::text;
            PERFORM cdp.rebuild_identities();
            rebuilt := read_stored(e);
            IF rebuilt IS DISTINCT FROM after THEN
                problem := format('rebuild changed the storage from %s to %s', after, rebuilt);
                RETURN;
            END IF;
            problem := difference(e, r, rebuilt, coalesce(known, '{}'));
            IF problem IS NOT NULL THEN
                problem := 'after rebuild: ' || problem;
                RETURN;
            END IF;
        END IF;
    END LOOP;
    final := e;
    outcome := after;
END $$;

-- The surviving evidence as other operations: another order, other batches.
CREATE FUNCTION reordered(e evidence, seed integer) RETURNS jsonb[]
LANGUAGE plpgsql AS $$
DECLARE
    operations jsonb[] := '{}';
    piece jsonb;
    waiting jsonb := '[]';
    waiting_source text;
    flush boolean;
BEGIN
    PERFORM setseed((seed % 1000) / 1000.0);
    FOR piece IN
        SELECT p FROM (
            SELECT jsonb_build_object('do', 'identify', 'source', source, 'key', record_key, 'ids', ids,
                                      'hour', round(extract(epoch FROM observed_at - hour_time(0)) / 3600)) AS p
            FROM unnest(e.records) r
            UNION ALL
            -- an older version, of which only the time survives
            SELECT jsonb_build_object('do', 'identify', 'source', source, 'key', record_key, 'ids', ids[1:1],
                                      'hour', round(extract(epoch FROM first_seen - hour_time(0)) / 3600))
            FROM unnest(e.records) r WHERE first_seen < observed_at
            UNION ALL
            SELECT jsonb_build_object('do', 'block', 'a', n, 'everywhere', false, 'pattern', false)
            FROM unnest(e.blocked) WITH ORDINALITY b(is_blocked, n) WHERE is_blocked
            UNION ALL
            SELECT jsonb_build_object('do', 'label', 'kind', 'must_link', 'a', a, 'b', b) FROM unnest(e.must_a, e.must_b) m(a, b)
            UNION ALL
            SELECT jsonb_build_object('do', 'label', 'kind', 'cannot_link', 'a', a, 'b', b) FROM unnest(e.cannot_a, e.cannot_b) c(a, b)) all_of
        WHERE p->>'key' IS NULL OR p->>'key' NOT LIKE 'timeless%'
        ORDER BY random()
    LOOP
        flush := random() < 0.3;
        IF piece->>'do' = 'identify' AND (waiting = '[]' OR waiting_source = piece->>'source') AND random() < 0.7 THEN
            waiting := waiting || piece;
            waiting_source := piece->>'source';
        ELSE
            operations := operations || piece;
        END IF;
        IF flush AND waiting <> '[]' THEN
            operations := operations || jsonb_build_object('do', 'stitch', 'source', waiting_source, 'columns', false, 'rows', waiting);
            waiting := '[]';
        END IF;
    END LOOP;
    IF waiting <> '[]' THEN
        operations := operations || jsonb_build_object('do', 'stitch', 'source', waiting_source, 'columns', true, 'rows', waiting);
    END IF;
    RETURN operations;
END $$;

-- execute(), leaving nothing behind.
CREATE FUNCTION attempt(e evidence, operations jsonb[], options jsonb,
                        OUT problem text, OUT step integer, OUT script text[], OUT final evidence)
LANGUAGE plpgsql AS $$
DECLARE
    done record;
BEGIN
    BEGIN
        done := execute(e, operations, options);
        problem := done.problem;
        step := done.step;
        script := done.script;
        final := done.final;
        RAISE EXCEPTION 'leave nothing' USING ERRCODE = 'ZZ001';
    EXCEPTION
        WHEN SQLSTATE 'ZZ001' THEN
            NULL;
        WHEN OTHERS THEN
            problem := format('error %s outside an operation: %s', SQLSTATE, SQLERRM);
            step := coalesce(step, cardinality(operations));
    END;
END $$;

-- Leaves out operations, and rows of stitches, as long as it still fails.
CREATE FUNCTION shrink(e evidence, operations jsonb[], options jsonb) RETURNS jsonb[]
LANGUAGE plpgsql AS $$
DECLARE
    candidate jsonb[];
    tried record;
    progress boolean := true;
    width integer;
    attempts integer := 0;
    i integer;
BEGIN
    options := options || '{"rebuild_every": 1000000, "check_every": 1}';
    tried := attempt(e, operations, options);
    IF tried.problem IS NULL THEN
        RETURN operations;          -- needs the rebuilds
    END IF;
    operations := operations[: tried.step];
    WHILE progress AND attempts < 600 LOOP
        progress := false;
        width := greatest(cardinality(operations) / 2, 1);
        WHILE width >= 1 LOOP
            i := 1;
            WHILE i <= cardinality(operations) - 1 AND attempts < 600 LOOP
                candidate := operations[: i - 1] || operations[i + width :];
                attempts := attempts + 1;
                tried := attempt(e, candidate, options);
                IF tried.problem IS NOT NULL THEN
                    operations := candidate[: tried.step];
                    progress := true;
                ELSE
                    i := i + width;
                END IF;
            END LOOP;
            width := width / 2;
        END LOOP;
        FOR i IN 1 .. cardinality(operations) LOOP
            CONTINUE WHEN operations[i]->>'do' <> 'stitch';
            FOR j IN REVERSE jsonb_array_length(operations[i]->'rows') - 1 .. 0 LOOP
                CONTINUE WHEN jsonb_array_length(operations[i]->'rows') = 1 OR attempts >= 600;
                candidate := operations;
                candidate[i] := jsonb_set(operations[i], '{rows}', (operations[i]->'rows') - j);
                attempts := attempts + 1;
                tried := attempt(e, candidate, options);
                IF tried.problem IS NOT NULL THEN
                    operations := candidate;
                    progress := true;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN operations;
END $$;

CREATE FUNCTION report(seed integer, size text, e evidence, operations jsonb[], options jsonb, what text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    tried record;
BEGIN
    operations := shrink(e, operations, options);
    tried := attempt(e, operations, options || '{"rebuild_every": 1000000, "check_every": 1}');
    RETURN format(E'%s workload of seed %s, %s\n%s\n%s;\n', size, seed, what,
                  tried.problem, array_to_string(tried.script, E';\n'));
END $$;

-- One seed; NULL when all is well, otherwise a report.
CREATE FUNCTION check_seed(seed integer, size text, options jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    e evidence := configuration(seed, size);
    operations jsonb[] := workload(seed, e, coalesce((options->>'steps')::integer, 12), size);
    tried record;
    other jsonb[];
    start evidence;
BEGIN
    IF seed % 10 = 9 THEN
        options := options || '{"max_replay": 3}';
    END IF;
    tried := attempt(e, operations, options);
    IF tried.problem IS NOT NULL THEN
        RETURN format(E'step %s: %s\n', tried.step, tried.problem)
               || CASE WHEN coalesce((options->>'shrink')::boolean, true)
                       THEN report(seed, size, e, operations, options, 'shrunk:') ELSE '' END;
    END IF;
    IF seed % 3 = 0 THEN
        -- namespaces as they were at the end
        start := e;
        start.max_per_profile := (tried.final).max_per_profile;
        start.max_links := (tried.final).max_links;
        start.conflict_policy := (tried.final).conflict_policy;
        other := reordered(tried.final, seed);
        tried := attempt(start, other, options);
        IF tried.problem IS NOT NULL THEN
            RETURN format(E'in another order, step %s: %s\n', tried.step, tried.problem)
                   || CASE WHEN coalesce((options->>'shrink')::boolean, true)
                           THEN report(seed, size, start, other, options, 'in another order, shrunk:') ELSE '' END;
        END IF;
    END IF;
    RETURN NULL;
END $$;

-- Many seeds, each in a transaction of its own; stops at the first that fails
-- unless options say otherwise.
CREATE PROCEDURE run(first_seed integer, seeds integer, size text, options jsonb DEFAULT '{}')
LANGUAGE plpgsql AS $$
DECLARE
    problem text;
    failures integer := 0;
BEGIN
    FOR seed IN first_seed .. first_seed + seeds - 1 LOOP
        problem := check_seed(seed, size, options);
        COMMIT;
        IF problem IS NOT NULL THEN
            failures := failures + 1;
            RAISE INFO E'seed %\n%', seed, problem;
            EXIT WHEN failures >= coalesce((options->>'failures')::integer, 1);
        END IF;
    END LOOP;
END $$;

-- From an empty storage, and leaves one.  The transaction after each step is a real one, and resolve_at() must say at
-- the end what resolve() said then.
CREATE PROCEDURE history_of(seed integer, steps integer)
LANGUAGE plpgsql AS $$
DECLARE
    e evidence := configuration(seed, 'small');
    operations jsonb[] := workload(seed, e, steps, 'small');
    operation jsonb;
    text_of text;
    line text;
    applied record;
    settled record;
    problem text;
    moments timestamptz[] := '{}';
    answers jsonb[] := '{}';
BEGIN
    FOREACH line IN ARRAY configuration_text(e) LOOP
        EXECUTE line;
    END LOOP;
    COMMIT;
    FOREACH operation IN ARRAY operations LOOP
        text_of := statement(e, operation);
        CONTINUE WHEN text_of IS NULL;
        applied := apply(e, operation);
        BEGIN
            EXECUTE text_of;
            IF operation->>'do' IN ('max_links', 'max_per_profile') THEN
                PERFORM cdp.rebuild_identities();
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF NOT applied.must_fail THEN
                problem := format('error %s: %s', SQLSTATE, SQLERRM);
            END IF;
        END;
        EXIT WHEN problem IS NOT NULL;
        COMMIT;
        -- transactions are short here: whether a missing time is right was seen elsewhere
        settled := settle(applied.e, applied.opened);
        e := settled.e;
        moments := moments || clock_timestamp();
        answers := answers || (SELECT jsonb_agg(cdp.resolve(e.namespace_name[ns], value) ORDER BY n)
                               FROM unnest(e.namespace, e.value) WITH ORDINALITY u(ns, value, n));
        COMMIT;
    END LOOP;
    IF problem IS NULL THEN
        SELECT format('resolve_at(%s, %s) is %s, but resolve said %s then', name_of(e, n::integer), moments[m],
                      cdp.resolve_at(e.namespace_name[ns], value, moments[m]), answers[m]->(n::integer - 1))
        INTO problem
        FROM unnest(e.namespace, e.value) WITH ORDINALITY u(ns, value, n), generate_subscripts(moments, 1) m
        WHERE to_jsonb(cdp.resolve_at(e.namespace_name[ns], value, moments[m])) IS DISTINCT FROM
              nullif(answers[m]->(n::integer - 1), 'null')
        LIMIT 1;
    END IF;
    IF problem IS NULL THEN
        SELECT string_agg(c::text, ', ') INTO problem FROM cdp.check_identities() c;
    END IF;
    PERFORM cdp.teardown(false);
    PERFORM cdp.setup();
    COMMIT;
    IF problem IS NOT NULL THEN
        RAISE INFO 'history, seed %: %', seed, problem;
    END IF;
END $$;

RESET search_path;
