-- The rules that every object of the extension and of its storage keeps.  Each
-- query lists the violations, so each of them must print zero rows; only the last
-- one prints what was decided.
SELECT cdp.setup() IS NOT NULL AS set_up;

-- What the extension created: its members.
CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'cdp' AND d.deptype = 'e';

-- A member without a comment.  (The array types are members on newer servers, and say nothing new.)
SELECT pg_describe_object(classid, objid, 0) AS object_without_comment
FROM member
WHERE obj_description(objid, classid::regclass::name) IS NULL
  AND NOT EXISTS (SELECT FROM pg_type t WHERE classid = 'pg_type'::regclass AND t.oid = objid AND t.typcategory = 'A')
ORDER BY 1;

-- A table, view or sequence, or a function, made by cdp.setup() without one.
SELECT pg_describe_object('pg_class'::regclass, c.oid, 0) AS relation_without_comment
FROM pg_class c
WHERE c.relnamespace IN ('cdp'::regnamespace, 'cdp_data'::regnamespace)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND obj_description(c.oid, 'pg_class') IS NULL
ORDER BY 1;

SELECT pg_describe_object('pg_class'::regclass, c.oid, a.attnum) AS view_column_without_comment
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'cdp'::regnamespace AND c.relkind IN ('v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
  AND col_description(c.oid, a.attnum) IS NULL
ORDER BY 1;

SELECT p.oid::regprocedure AS function_without_comment
FROM pg_proc p
WHERE p.pronamespace = 'cdp_data'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
ORDER BY 1;

-- A function, not in C, that has neither a pinned search_path nor a body parsed
-- at its creation.
SELECT p.oid::regprocedure AS function_without_search_path
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace IN ('cdp'::regnamespace, 'cdp_data'::regnamespace)
  AND p.prokind <> 'a'
  AND l.lanname NOT IN ('c', 'internal')
  AND NOT (l.lanname = 'sql' AND p.prosqlbody IS NOT NULL)
  AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
ORDER BY p.oid::regprocedure::text;

-- A function of the extension that runs with its owner's rights: its owner may
-- be the superuser.
SELECT p.oid::regprocedure AS security_definer_member
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
WHERE p.prosecdef
ORDER BY p.oid::regprocedure::text;

-- One that cdp.setup() made may, where its callers are few.
SELECT p.oid::regprocedure AS security_definer_for_everybody
FROM pg_proc p
WHERE p.pronamespace = 'cdp_data'::regnamespace AND p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text;

-- A function in another language than C, SQL and PL/pgSQL, or a C function
-- whose symbol is not called like it.
SELECT p.oid::regprocedure AS function_with_odd_language_or_symbol, l.lanname, p.prosrc
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid JOIN pg_language l ON l.oid = p.prolang
WHERE p.prokind <> 'a'
  AND (l.lanname NOT IN ('c', 'sql', 'plpgsql') OR l.lanname = 'c' AND NOT starts_with(p.prosrc, 'cdp_' || p.proname))
ORDER BY p.oid::regprocedure::text;

-- A member that is no code: what holds data belongs to who calls cdp.setup().
SELECT pg_describe_object(classid, objid, 0) AS member_that_holds_data
FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
WHERE c.relkind NOT IN ('c', 'v')
ORDER BY 1;

-- A member outside the schema cdp.
SELECT pg_describe_object(classid, objid, 0) AS member_of_another_schema
FROM member m CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, 0) i
WHERE i.schema IS DISTINCT FROM 'cdp' AND m.classid NOT IN ('pg_namespace'::regclass, 'pg_cast'::regclass)
ORDER BY 1;

-- A function or aggregate named like one of PostgreSQL's own: some planners go by
-- names.
SELECT p.oid::regprocedure AS aggregate_like_a_builtin
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
WHERE p.prokind = 'a' AND EXISTS (SELECT FROM pg_proc b WHERE b.pronamespace = 'pg_catalog'::regnamespace AND b.proname = p.proname)
ORDER BY p.oid::regprocedure::text;

-- A table or view of the storage that somebody else than its owner or the roles
-- named in cdp.grant_access() may read.
SELECT c.oid::regclass AS relation_open_to_everybody
FROM pg_class c
WHERE c.relnamespace IN ('cdp'::regnamespace, 'cdp_data'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
  AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)
ORDER BY c.oid::regclass::text;

-- A foreign key, check or unique constraint that was left unvalidated.
SELECT conrelid::regclass, conname AS constraint_not_valid
FROM pg_constraint WHERE connamespace = 'cdp_data'::regnamespace AND NOT convalidated
ORDER BY 1, 2;

-- A plan without the sequential scans that are switched off looks costly, and would be compiled at each call.
SELECT p.proname AS function_compiled_for_nothing
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
WHERE 'enable_seqscan=off' = ANY (p.proconfig) AND NOT 'jit=off' = ANY (p.proconfig)
ORDER BY p.proname COLLATE "C";

-- Not PARALLEL SAFE, each for a reason: it writes, or it runs a caller's query.
-- (Whether each function states its marking, make lint reads from the script.)
SELECT p.proname AS function_not_parallel_safe, p.proparallel, l.lanname, count(*)
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid JOIN pg_language l ON l.oid = p.prolang
WHERE p.proparallel <> 's'
GROUP BY p.proname, p.proparallel, l.lanname
ORDER BY p.proname COLLATE "C", 2, 3;

DROP VIEW member;
SET client_min_messages = warning;
SELECT cdp.teardown(false);
RESET client_min_messages;
