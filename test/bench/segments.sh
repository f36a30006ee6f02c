#!/bin/bash
#
# 100 segments over what people did, evaluated by cdp.refresh_segments, against
# the same questions as plain statements, CREATE TABLE AS SELECT ... GROUP BY ...
# HAVING, over tables that hold events and people as somebody without cdp would
# have them (by "make bench"; needs the variables that test/lib/server sets, or
# PGHOST, PGPORT and PGDATABASE of another server, whose database must be empty).
#
#   CDP_BENCH_SEGMENT_PEOPLE   people (default 1000000)
#   CDP_BENCH_SEGMENT_EVENTS   events (default 10000000)
#   CDP_BENCH_SEGMENT_SAMPLE   plain statements that are run, of which the median counts for all 100 (default 10)
#   CDP_BENCH_SEGMENT_KEEP     any value: the data are there already, as an earlier run left them

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. test/bench/functions

people=${CDP_BENCH_SEGMENT_PEOPLE:-1000000}
events=${CDP_BENCH_SEGMENT_EVENTS:-10000000}
sample=${CDP_BENCH_SEGMENT_SAMPLE:-10}
rounds=${CDP_BENCH_ROUNDS:-3}

sql()
{
	PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" psql -X -q -v ON_ERROR_STOP=1 -A -t "$@"
}

seconds_of()
{
	local start
	start=$(date +%s.%N)
	"$@" >&2 || exit 1
	awk -v start="$start" -v end="$(date +%s.%N)" 'BEGIN { printf "%.3f", end - start }'
}

# plain number [clock]: the question as a statement over the plain tables.  Who
# did nothing is asked about by none of them, so that no outer join is needed.
plain()
{
	sql -v number="$1" -v clock="${2:-now()}" <<-'SQL'
		SELECT format('CREATE TABLE bench.plain AS SELECT event.person_id FROM bench.event AS event%s GROUP BY event.person_id%s HAVING %s',
		    CASE WHEN predicate LIKE '%profile.%' THEN ' JOIN bench.person AS profile ON profile.person_id = event.person_id' END,
		    CASE WHEN predicate LIKE '%profile.%' THEN ', profile.person_id' END, replace(predicate, 'now()', :'clock'))
		FROM bench.segment WHERE number = :number \gexec
	SQL
}

# own number: the same as a segment, from nothing.
own()
{
	sql -c "CALL cdp.refresh_segments(ARRAY['s$1'])"
}

declare_segment()
{
	sql -v number="$1" <<-'SQL' >/dev/null
		SELECT cdp.create_segment('s' || number, predicate) FROM bench.segment WHERE number = :number;
	SQL
}

# same number: people in one of the two answers and not in the other.
same()
{
	sql -v number="$1" <<-'SQL'
		SELECT count(*)
		FROM (SELECT p.person FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) WHERE m.segment = 's' || :number) AS o
		FULL JOIN bench.plain AS n ON n.person_id = o.person WHERE n.person_id IS NULL OR o.person IS NULL;
	SQL
}

if [ -z "${CDP_BENCH_SEGMENT_KEEP:-}" ]; then
	sql -v people="$people" -v events="$events" -f test/bench/segments_load.sql >/dev/null
	sql -f test/bench/segments_predicates.sql
fi
sql -c "SELECT cdp.drop_segment(name, cascade => true) FROM cdp.segments WHERE name LIKE 's%'" >/dev/null
sql -c 'VACUUM (ANALYZE) cdp_data.segment_member, cdp_data.segment_change' -c 'CHECKPOINT'
sql -c "SELECT count(*) || ' people, ' || sum(event_count) || ' events' FROM cdp.profiles"

# The tables are read once by each side, so that none of them pays for the disk.
sql -c 'SELECT count(*) FROM bench.event' -c 'SELECT count(*) FROM cdp.events' >/dev/null

# Some questions, each alone, in turn with the plain statement.
ratios=()
for number in 1 27 38; do
	base=()
	own=()
	for _ in $(seq "$rounds"); do
		base+=("$(seconds_of plain "$number")")
		declare_segment "$number"
		own+=("$(seconds_of own "$number")")
		sql -c 'DROP TABLE bench.plain' -c "SELECT cdp.drop_segment('s$number')" >/dev/null
	done
	base_median=$(printf '%s\n' "${base[@]}" | median)
	own_median=$(printf '%s\n' "${own[@]}" | median)
	echo "segment $number alone: plain $base_median s (${base[*]}), cdp.refresh_segments $own_median s (${own[*]})"
	ratios+=("$(awk -v a="$own_median" -v b="$base_median" 'BEGIN { printf "%.4f", a / b }')")
	[ "$number" != 27 ] || single=$own_median
done
printf 'RATIO\tone segment alone, first evaluation / its plain statement (median of three)\t%s\tat most\t1.1\n' "$(printf '%s\n' "${ratios[@]}" | median)"

# A sample of all, spread over them.
base=()
for i in $(seq "$sample"); do
	number=$((1 + (i * 2 - 1) * 50 / sample))
	base+=("$(seconds_of plain "$number")")
	sql -c 'DROP TABLE bench.plain'
done
base_median=$(printf '%s\n' "${base[@]}" | median)
hundred=$(awk -v a="$base_median" 'BEGIN { printf "%.1f", a * 100 }')
echo "plain statements: median $base_median s (${base[*]}), so 100 take $hundred s"

sql -c "SELECT cdp.create_segment('s' || number, predicate) FROM bench.segment ORDER BY number" >/dev/null
sql -c 'CHECKPOINT'
first=$(seconds_of sql -c 'CALL cdp.refresh_segments()')
sql -c "SELECT count(*) || ' members of ' || count(DISTINCT segment_id) || ' segments' FROM cdp_data.segment_member"
sql -c 'VACUUM (ANALYZE) cdp_data.segment_member, cdp_data.segment_change' -c 'CHECKPOINT'
again=()
for _ in $(seq "$rounds"); do
	again+=("$(seconds_of sql -c 'CALL cdp.refresh_segments()')")
done
again_median=$(printf '%s\n' "${again[@]}" | median)
echo "100 segments: first evaluation $first s, later ones $again_median s (${again[*]})"
# By the same clock, the answers are the same.
problems=0
clock=$(sql -c "SELECT format('timestamptz %L', evaluated_at) FROM cdp.segments LIMIT 1")
for number in 3 30 57 66 88 92 100; do
	plain "$number" "$clock"
	problems=$((problems + $(same "$number")))
	sql -c 'DROP TABLE bench.plain'
done
[ "$problems" = 0 ] || { echo "$problems people differ from the plain statements"; exit 1; }

awk -v hundred="$hundred" -v first="$first" -v again="$again_median" -v single="$single" 'BEGIN {
	printf "RATIO\t100 plain statements / first evaluation of 100 segments, which writes all members\t%.4f\tat least\t20\n", hundred / first
	printf "RATIO\t100 plain statements / refresh of 100 segments\t%.4f\tat least\t20\n", hundred / again
	printf "refresh of 100 segments / first evaluation of one alone: %.1f\n", again / single }'
