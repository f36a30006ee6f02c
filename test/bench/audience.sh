#!/bin/bash
#
# The algebra of audiences against the same in SQL on indexed tables (by "make
# bench"; needs the variables that test/lib/server sets, or PGHOST, PGPORT and
# PGDATABASE of another server, in whose database the schema audience_bench is
# made and dropped).
#
# Five segments of 100,000 to 1 million members among 2 million people: s1 to s4
# are random, s5 is a range of ids. Each is a table of bigint with a primary key,
# vacuumed, and an audience in a row of a table. Measured are the number of ids in
# the intersection and in the union of two and of all five, and the number of
# members of one. What is compared is the time of the best plan for SQL, serial or
# with two workers, against one process for audiences, as the server takes it. The
# latter is done a hundred times in one statement, and divided, since a single one
# takes less than what else happens on a machine. The counts are compared, too.
#
#   CDP_BENCH_MEMBERS  members of the largest segment (default 1000000)
#   CDP_BENCH_ROUNDS   runs of which the median counts (default 3)

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

members=${CDP_BENCH_MEMBERS:-1000000}
rounds=${CDP_BENCH_ROUNDS:-3}

sql()
{
	PGOPTIONS="-c client_min_messages=warning -c search_path=audience_bench,cdp -c jit=off" psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 "$@"
}

# run workers query: the answer, and the milliseconds as the server takes them, of
# the second of two runs in one session.
run()
{
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p; /^[0-9]*$/p' | tail -n 2 | paste -sd ' '
		SET max_parallel_workers_per_gather = $1;
		$2;
		\timing on
		$2;
	SQL
}

psql -X -q -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION IF NOT EXISTS cdp'
sql <<-SQL
	DROP SCHEMA IF EXISTS audience_bench CASCADE;
	CREATE SCHEMA audience_bench;
	SELECT setseed(0.5) \g /dev/null
	CREATE TABLE audience_bench.stored (name text PRIMARY KEY, ids cdp.audience);
SQL
number=0
for part in 1 2 4 10 2; do
	number=$((number + 1))
	size=$((members / part))
	if [ "$number" = 5 ]; then
		ids="SELECT i AS profile_id FROM generate_series($members, $members + $size - 1) AS i"
	else
		ids="SELECT i AS profile_id FROM generate_series(1, 2 * $members) AS i ORDER BY random() LIMIT $size"
	fi
	sql <<-SQL
		CREATE TABLE s$number AS SELECT profile_id::bigint FROM ($ids) AS i ORDER BY profile_id;
		ALTER TABLE s$number ADD PRIMARY KEY (profile_id);
		INSERT INTO stored SELECT 's$number', audience_agg(profile_id) FROM s$number;
	SQL
	sql -c "VACUUM (FREEZE, ANALYZE) s$number"
done
sql -c 'VACUUM (FREEZE, ANALYZE) stored' -c "SELECT name, cardinality(ids), pg_column_size(ids) || ' bytes, table and index', pg_total_relation_size(name::regclass) || ' bytes' FROM stored ORDER BY name"

# compare what sql audience: the latter answers as often as generate_series says
repeated=100
compare()
{
	local round answer expected best workers milliseconds plain=() ours=()
	for ((round = 0; round < rounds; round++)); do
		best=
		for workers in 0 2; do
			read -r expected milliseconds <<<"$(run "$workers" "$2")"
			best=$(awk -v a="$best" -v b="$milliseconds" 'BEGIN { print a == "" || b < a ? b : a }')
		done
		plain+=("$best")
		read -r answer milliseconds <<<"$(run 0 "$3")"
		ours+=("$milliseconds")
		[ "$answer" = "$expected" ] || { echo "$1: $answer, and $expected by plain SQL"; exit 1; }
	done
	local a b
	a=$(printf '%s\n' "${plain[@]}" | median)
	b=$(printf '%s\n' "${ours[@]}" | median | awk -v n="$repeated" '{ printf "%.4f", $1 / n }')
	printf '%-44s %10s ids: SQL %9.2f ms, audiences %7.3f ms\n' "$1" "$answer" "$a" "$b"
	printf 'RATIO\t%s\t%s\tat least\t100\n' "plain SQL / audiences: $1" "$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.2f", a / b }')"
}

times="generate_series(1, $repeated) AS n"
operators()
{
	echo "SELECT max(cardinality(a.ids $1 b.ids)) FROM stored AS a, stored AS b, $times WHERE a.name = 's1' AND b.name = 's2'"
}
aggregates()
{
	echo "SELECT max(size) FROM $times, LATERAL (SELECT cardinality($1(ids)) AS size FROM stored WHERE n > 0) AS each"
}
compare 'intersection of two' 'SELECT count(*) FROM (TABLE s1 INTERSECT TABLE s2) AS i' "$(operators '&')"
compare 'union of two' 'SELECT count(*) FROM (TABLE s1 UNION TABLE s2) AS i' "$(operators '|')"
compare 'intersection of five' 'SELECT count(*) FROM (TABLE s1 INTERSECT TABLE s2 INTERSECT TABLE s3 INTERSECT TABLE s4 INTERSECT TABLE s5) AS i' \
	"$(aggregates audience_intersection_agg)"
compare 'union of five' 'SELECT count(*) FROM (TABLE s1 UNION TABLE s2 UNION TABLE s3 UNION TABLE s4 UNION TABLE s5) AS i' \
	"$(aggregates audience_union_agg)"
compare 'members of one' 'SELECT count(*) FROM s1' "SELECT max(cardinality(ids)) FROM stored, $times WHERE name = 's1'"

# Not the contract, but what one would ask next: joins instead of INTERSECT, and
# building the audience.
echo
printf 'intersection of two as a join of indexed tables: %s ms\n' "$(run 0 'SELECT count(*) FROM s1 JOIN s2 USING (profile_id)' | cut -d' ' -f2)"
printf 'audience_agg of %s ids: %s ms, count of them: %s ms\n' "$members" "$(run 0 'SELECT cardinality(audience_agg(profile_id)) FROM s1' | cut -d' ' -f2)" \
	"$(run 0 'SELECT count(profile_id) FROM s1' | cut -d' ' -f2)"

sql -c 'DROP SCHEMA audience_bench CASCADE'
