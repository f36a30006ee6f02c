#!/bin/bash
#
# Reading membership in segments (by "make bench"; needs the variables that
# test/lib/server sets, or PGHOST, PGPORT and PGDATABASE of another server, whose
# database must be empty): cdp.profile_segments against joins written by hand,
# days, changes and overlaps, with 100 segments of 0.5 to 10 % of the people.
#
#   CDP_BENCH_MEMBERS  people (default 1000000)
#   CDP_BENCH_ROUNDS   runs of which the median counts (default 3)

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. test/bench/functions

people=${CDP_BENCH_MEMBERS:-1000000}
rounds=${CDP_BENCH_ROUNDS:-3}

sql()
{
	PGOPTIONS='-c client_min_messages=warning -c jit=off -c max_parallel_workers_per_gather=0' psql -X -q -v ON_ERROR_STOP=1 -A -t -F ' ' "$@"
}

sql -v people="$people" >/dev/null <<-'SQL'
	CREATE EXTENSION cdp;
	SELECT cdp.setup();
	DO $$ BEGIN FOR i IN 1 .. 100 LOOP PERFORM cdp.create_segment('s' || i, 'false'); END LOOP; END $$;
	INSERT INTO cdp_data.profile_row (profile_id, event_count, record_count, is_known) SELECT i, 1, 1, true FROM generate_series(1, :people) AS i;
	INSERT INTO cdp_data.segment_member
	SELECT s, i, now() FROM generate_series(1, 100) AS s, generate_series(1, :people) AS i WHERE hashint8(i * 131 + s * 7919) & 65535 < 65536 * (s % 20 + 1) / 200;
	INSERT INTO cdp_data.segment_change (segment_id, profile_id, is_entry, changed_at, cause)
	SELECT segment_id, profile_id, true, now() - profile_id % 200 * interval '1 day', 'batch' FROM cdp_data.segment_member;
	VACUUM (ANALYZE, FREEZE);
	CREATE SCHEMA bench;
	CHECKPOINT;
SQL
sql -c "SELECT count(*) || ' people, ' || (SELECT count(*) FROM cdp_data.segment_member) || ' memberships in 100 segments' FROM cdp_data.profile_row"
sql >/dev/null <<-'SQL'
	SELECT 'CREATE VIEW bench.by_hand AS SELECT p.profile_id, '
	       || string_agg(format('m%1$s.profile_id IS NOT NULL AS s%1$s', i), ', ' ORDER BY i) || ' FROM cdp_data.profile_row AS p '
	       || string_agg(format('LEFT JOIN cdp_data.segment_member AS m%1$s ON m%1$s.segment_id = %1$s AND m%1$s.profile_id = p.profile_id', i), ' ' ORDER BY i)
	FROM generate_series(1, 100) AS i \gexec
SQL

# milliseconds statement: the median, after one run that does not count
milliseconds()
{
	local times
	times=$(for _ in $(seq 0 "$rounds"); do printf '\\timing on\n%s;\n' "$1"; done | sql -o /dev/null | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n "$rounds")
	median <<<"$times"
}

# compare what ours theirs [target]
compare()
{
	local ours theirs
	ours=$(milliseconds "$2")
	theirs=$(milliseconds "$3")
	printf '%-60s %10.1f ms   by hand %10.1f ms\n' "$1" "$ours" "$theirs"
	[ -z "${4:-}" ] || awk -v what="$1" -v a="$ours" -v b="$theirs" -v target="$4" 'BEGIN { printf "RATIO\t%s / by hand\t%.4f\tat most\t%s\n", what, a / b, target }'
}

compare 'cdp.profile_segments: a segment counted for everybody' \
	'SELECT count(*) FILTER (WHERE s19) FROM cdp.profile_segments' \
	'SELECT count(m.profile_id) FROM cdp_data.profile_row AS p LEFT JOIN cdp_data.segment_member AS m ON m.segment_id = 19 AND m.profile_id = p.profile_id' 2
compare 'cdp.profile_segments: in two and not in a third' \
	'SELECT count(*) FROM cdp.profile_segments WHERE s19 AND s18 AND NOT s17' \
	'SELECT count(*) FROM bench.by_hand WHERE s19 AND s18 AND NOT s17'
compare 'cdp.profile_segments: all columns of a person' \
	"SELECT * FROM cdp.profile_segments WHERE profile_id = $((people / 3))" \
	"SELECT * FROM bench.by_hand WHERE profile_id = $((people / 3))" 1
compare 'cdp.profile_segments: all columns of everybody' \
	"SELECT count(*) FROM (SELECT * FROM cdp.profile_segments OFFSET 0) AS s WHERE $(seq -f 's%g' -s ' OR ' 1 100)" \
	"SELECT count(*) FROM (SELECT * FROM bench.by_hand OFFSET 0) AS s WHERE $(seq -f 's%g' -s ' OR ' 1 100)" 1
compare 'cdp.audience_overlap of five segments' \
	"SELECT * FROM cdp.audience_overlap('{s19,s18,s17,s16,s15}')" \
	'SELECT segments, count(*) FROM (SELECT profile_id, array_agg(segment_id ORDER BY segment_id) AS segments FROM cdp_data.segment_member WHERE segment_id = ANY (ARRAY[15, 16, 17, 18, 19]) GROUP BY 1) AS m GROUP BY 1' 0.2
printf '%-60s %10.1f ms\n' 'cdp.segment_audience of one segment' "$(milliseconds "SELECT cdp.cardinality(cdp.segment_audience('s19'))")"
printf '%-60s %10.1f ms\n' 'cdp.segment_daily, nothing closed' "$(milliseconds 'SELECT count(*), sum(entered) FROM cdp.segment_daily')"
sql -c '\timing on' -c 'SELECT cdp.close_segment_days()' | awk '/Time/ { printf "%-60s %10.1f ms\n", "cdp.close_segment_days(), all changes", $2 }'
printf '%-60s %10.1f ms\n' 'cdp.segment_daily, closed' "$(milliseconds 'SELECT count(*), sum(entered) FROM cdp.segment_daily')"
printf '%-60s %10.1f ms\n' 'cdp.read_changes, the next 1,000' "$(milliseconds "SELECT count(*) FROM cdp.read_changes('bench', 1000)")"
printf '%-60s %10.1f ms\n' 'cdp.read_changes, the next 100,000' "$(milliseconds "SELECT count(*) FROM cdp.read_changes('bench', 100000)")"
