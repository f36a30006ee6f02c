-- The whole workload as one source, stitched in one call.

\set ON_ERROR_STOP on
SELECT * FROM cdp.stitch('all', $query$
	SELECT id AS record_key, modified AS observed_at, crm_id, email, work_email AS email, phone, user_id, NULL::text AS loyalty_id, NULL::text AS device_id, NULL::text AS anonymous_id
	FROM workload.crm
	UNION ALL
	SELECT id, sold_at, NULL, email, NULL, phone, NULL, loyalty_id, NULL, NULL FROM workload.pos
	UNION ALL
	SELECT id, seen_at, NULL, email, NULL, NULL, user_id, NULL, device_id, NULL FROM workload.app
	UNION ALL
	SELECT id, seen_at, NULL, email, NULL, NULL, user_id, NULL, NULL, anonymous_id FROM workload.web
$query$);
