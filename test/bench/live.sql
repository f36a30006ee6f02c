-- A source "live" of :records people with a user_id, an email and a browser each, whose keys and identifiers are simple functions of a
-- number, so that the pgbench scripts can name them without reading a table; and a source "pair" of :pairs people whose two halves have
-- not met yet, for the merges. Both are stitched on top of the graph that is there.

\set ON_ERROR_STOP on
SELECT format($query$
	SELECT 'live-' || i AS record_key, timestamptz '2025-01-01 00:00:00+00' AS observed_at, 'live-user-' || i AS user_id,
		'live.' || i || '@example.com' AS email, 'live-browser-' || i AS anonymous_id
	FROM generate_series(1, %s) AS i
$query$, :records) AS live_query, format($query$
	SELECT 'pair-user-' || i AS record_key, timestamptz '2025-01-01 00:00:00+00' AS observed_at, 'pair-user-' || i AS user_id,
		NULL AS email, NULL AS anonymous_id
	FROM generate_series(1, %1$s) AS i
	UNION ALL
	SELECT 'pair-email-' || i, timestamptz '2025-01-01 00:00:00+00', NULL, 'pair.' || i || '@example.com', 'pair-browser-' || i
	FROM generate_series(1, %1$s) AS i
$query$, :pairs) AS pair_query \gset
SELECT * FROM cdp.stitch('live', :'live_query');
SELECT * FROM cdp.stitch('pair', :'pair_query');
