-- What a stitch left behind: rows and bytes per table, and bytes per record.

SELECT name AS "table", rows, pg_size_pretty(heap) AS heap, pg_size_pretty(indexes) AS indexes, round((heap + indexes)::numeric / records, 1) AS "bytes per record"
FROM (
	SELECT name, rows, pg_table_size(format('cdp_data.%I', name)) AS heap, pg_indexes_size(format('cdp_data.%I', name)) AS indexes,
		(SELECT count(*) FROM cdp_data.record) AS records
	FROM (
		SELECT 'identifier' AS name, (SELECT count(*) FROM cdp_data.identifier) AS rows
		UNION ALL SELECT 'record', (SELECT count(*) FROM cdp_data.record)
		UNION ALL SELECT 'link', (SELECT count(*) FROM cdp_data.link)
		UNION ALL SELECT 'profile', (SELECT count(*) FROM cdp_data.profile)
	) AS counted
) AS measured
ORDER BY heap + indexes DESC;
