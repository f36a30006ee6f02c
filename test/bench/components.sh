#!/bin/bash
#
# cdp.connected_components on ten million edges, against CREATE TABLE AS of those
# edges and against label propagation in plain SQL (by "make bench"; needs the
# variables that test/lib/server sets, or PGHOST, PGPORT and PGDATABASE of another
# server, in whose database the schema components_bench is made and dropped).
#
# Two graphs, edges in random order:
#   small   5 million nodes, ids spread over a wide range, in groups of up to 8;
#           what a customer base looks like
#   mixed   groups of sizes from 1 to tens of thousands, and among them a random
#           graph of 2 million nodes, nearly all in one component
#
# Label propagation runs to its end on the first, and its result is compared. On
# the second, whose components have long paths, it is stopped after as many times
# what connected_components took as the ratio shown.
#
#   CDP_BENCH_EDGES    edges of each graph (default 10000000)
#   CDP_BENCH_ROUNDS   runs of which the median counts (default 3)

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

edges=${CDP_BENCH_EDGES:-10000000}
rounds=${CDP_BENCH_ROUNDS:-3}
memory=1GB
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

sql()
{
	PGOPTIONS="-c maintenance_work_mem=$memory -c client_min_messages=warning" psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# seconds statement: how long it takes, as psql sees it.
seconds()
{
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | awk '{ total += $1 } END { printf "%.3f\n", total / 1000 }'
		SET search_path = components_bench;
		\timing on
		$1;
	SQL
}

# report what ratio direction target
report()
{
	printf 'RATIO\t%s\t%s\t%s\t%s\n' "$1" "$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f", a / b }')" "$4" "$5"
}

sql <<-SQL
	CREATE EXTENSION IF NOT EXISTS cdp;
	DROP SCHEMA IF EXISTS components_bench CASCADE;
	CREATE SCHEMA components_bench;
	SET search_path = components_bench;
	SELECT setseed(0.42) \g /dev/null

	-- an edge joins two members of one group of 8; a factor spreads the ids over a range of 10 to the 15
	CREATE TABLE small AS
	SELECT ((number * 8 + floor(random() * 8)) * 1000003)::bigint % 1000000000000039 AS a,
		((number * 8 + floor(random() * 8)) * 1000003)::bigint % 1000000000000039 AS b
	FROM (SELECT floor(random() * $edges / 16)::bigint AS number FROM generate_series(1, $edges)) AS groups;

	-- one edge of three is of the random graph; the size of a group is skewed: few are large
	CREATE TABLE mixed AS
	SELECT CASE WHEN in_random_graph THEN floor(random() * $edges / 5) ELSE $edges + first + floor(random() * size) END::bigint AS a,
		CASE WHEN in_random_graph THEN floor(random() * $edges / 5) ELSE $edges + first + floor(random() * size) END::bigint AS b
	FROM (SELECT number, number % 3 = 0 AS in_random_graph, floor(random() * $edges / 2) AS first, 1 + floor(1 / (random() + 0.00002)) AS size
		FROM generate_series(1, $edges) AS number) AS rows;

	-- the same as text and as uuid, one tenth of them
	CREATE TABLE small_text AS SELECT 'customer-' || a AS a, 'customer-' || b AS b FROM small LIMIT $edges / 10;
	CREATE TABLE small_uuid AS SELECT md5(a::text)::uuid AS a, md5(b::text)::uuid AS b FROM small LIMIT $edges / 10;
	VACUUM (FREEZE, ANALYZE) small;
	VACUUM (FREEZE, ANALYZE) mixed;
	VACUUM (FREEZE, ANALYZE) small_text;
	VACUUM (FREEZE, ANALYZE) small_uuid;
	CHECKPOINT;

	-- The baseline: each round gives every node the smallest label among itself and its neighbours, as a new table,
	-- until a round changes nothing. Both directions of an edge are stored beforehand, outside of the time that counts.
	CREATE PROCEDURE propagate_labels(OUT rounds integer) LANGUAGE plpgsql AS \$\$
	DECLARE
		changed bigint;
	BEGIN
		CREATE TABLE label AS SELECT node, min(neighbour) AS label FROM neighbour GROUP BY node;
		ANALYZE label;
		rounds := 1;
		LOOP
			CREATE TABLE next_label AS
				SELECT neighbour.node, min(label.label) AS label
				FROM neighbour JOIN label ON label.node = neighbour.neighbour GROUP BY neighbour.node;
			ANALYZE next_label;
			SELECT count(*) INTO changed FROM label JOIN next_label USING (node) WHERE label.label <> next_label.label;
			DROP TABLE label;
			ALTER TABLE next_label RENAME TO label;
			rounds := rounds + 1;
			EXIT WHEN changed = 0;
		END LOOP;
	END
	\$\$;
SQL

for graph in small mixed; do
	copied=()
	read=()
	stored=()
	for round in $(seq "$rounds"); do
		sql -c CHECKPOINT
		copied+=("$(seconds "CREATE TABLE copy AS SELECT a, b FROM $graph")")
		sql -c 'DROP TABLE components_bench.copy' -c CHECKPOINT
		read+=("$(seconds "SELECT count(*) FROM cdp.connected_components('SELECT a, b FROM $graph') \\g /dev/null")")
		sql -c CHECKPOINT
		stored+=("$(seconds "CREATE TABLE component AS SELECT node, component FROM cdp.connected_components('SELECT a, b FROM $graph')")")
		[ "$round" = "$rounds" ] || sql -c 'DROP TABLE components_bench.component'
	done
	copied_median=$(printf '%s\n' "${copied[@]}" | median)
	read_median=$(printf '%s\n' "${read[@]}" | median)
	stored_median=$(printf '%s\n' "${stored[@]}" | median)

	# a node is its own neighbour, so that it keeps its label
	sql -c "CREATE TABLE components_bench.neighbour AS
			SELECT a AS node, b AS neighbour FROM components_bench.$graph UNION ALL SELECT b, a FROM components_bench.$graph
			UNION ALL SELECT node, node FROM components_bench.component" \
		-c 'VACUUM (FREEZE, ANALYZE) components_bench.neighbour' -c CHECKPOINT
	limit=0
	[ "$graph" = small ] || limit=$(awk -v s="$stored_median" 'BEGIN { printf "%d", s * 30 * 1000 }')
	propagated=$(seconds "SET statement_timeout = $limit; CALL propagate_labels(NULL)" 2>"$errors") || grep -q 'statement timeout' "$errors" || { cat "$errors" >&2; exit 1; }
	stopped=
	different=0
	if [ -s "$errors" ]; then
		propagated=$(awk -v ms="$limit" 'BEGIN { printf "%.3f", ms / 1000 }')
		stopped=', stopped'
	else
		# the baseline must come to the same result, or the comparison means nothing
		different=$(sql -c 'SELECT count(*) FROM components_bench.component FULL JOIN components_bench.label USING (node) WHERE component IS DISTINCT FROM label')
	fi

	echo "$graph: $edges edges, $(sql -c "SELECT count(*) || ' nodes, ' || count(DISTINCT component) || ' components, the largest of ' ||
		(SELECT count(*) FROM components_bench.component GROUP BY component ORDER BY 1 DESC LIMIT 1) FROM components_bench.component")"
	printf '  %-60s %8.2f s   (%s)\n' \
		'CREATE TABLE AS of the edges' "$copied_median" "${copied[*]}" \
		'cdp.connected_components, counted' "$read_median" "${read[*]}" \
		'cdp.connected_components, CREATE TABLE AS of the result' "$stored_median" "${stored[*]}"
	printf '  %-60s %8.2f s\n' "label propagation$stopped" "$propagated"
	[ "$different" = 0 ] || { echo "label propagation comes to another result for $different nodes" >&2; exit 1; }
	report "connected_components / CREATE TABLE AS of the edges, $graph" "$read_median" "$copied_median" 'at most' 2
	report "connected_components with the result stored / the same, $graph" "$stored_median" "$copied_median" 'at most' 2
	report "label propagation$stopped / connected_components with the result stored, $graph" "$propagated" "$stored_median" 'at least' 20
	sql -c 'DROP TABLE IF EXISTS components_bench.label' -c 'DROP TABLE components_bench.neighbour, components_bench.component'
done

for type in text uuid; do
	copied=()
	read=()
	for round in $(seq "$rounds"); do
		copied+=("$(seconds "CREATE TABLE copy AS SELECT a, b FROM small_$type")")
		sql -c 'DROP TABLE components_bench.copy'
		read+=("$(seconds "SELECT count(*) FROM cdp.connected_components('SELECT a, b FROM small_$type', NULL::$type) \\g /dev/null")")
	done
	copied_median=$(printf '%s\n' "${copied[@]}" | median)
	read_median=$(printf '%s\n' "${read[@]}" | median)
	echo "$type: $((edges / 10)) edges"
	printf '  %-60s %8.2f s   (%s)\n' \
		'CREATE TABLE AS of the edges' "$copied_median" "${copied[*]}" \
		'cdp.connected_components, counted' "$read_median" "${read[*]}"
	report "connected_components / CREATE TABLE AS of the edges, $type" "$read_median" "$copied_median" 'at most' 2
done

sql -c 'DROP SCHEMA components_bench CASCADE'
