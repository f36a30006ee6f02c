#!/bin/bash
#
# cdp.track with segments that are evaluated in the same transaction, against
# cdp.track without any (by "make bench"; needs the variables that
# test/lib/server sets).  People have ten events each; of 10, 100 or 1,000
# segments in real time five depend on the name of the event that is tracked.
#
#   CDP_BENCH_TRACKED   known people to whom the events belong (default 200000)

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

seconds=${CDP_BENCH_SECONDS:-15}
rounds=${CDP_BENCH_ROUNDS:-3}
people=${CDP_BENCH_TRACKED:-200000}
work=$(mktemp -d "${CDP_SERVER_FOLDER:-/tmp}/realtime.XXXXXX")

set_up_tracked "$people"
# The events go to the table itself, since it is not their way in that is measured.
quietly <<-'SQL'
	INSERT INTO cdp_data.event (hub, occurred_at, observed_at, source, event_name, record_key, path, seconds)
	SELECT i.id, now() - n * interval '6 days' - i.id * interval '1 second', now(), 'past', CASE WHEN n % 2 = 0 THEN 'page_view' ELSE 'event_' || 6 + n END, i.id || '/' || n, '/page' || n % 4, n
	FROM generate_series(1, 10) AS n, cdp_data.identifier AS i;
	VACUUM (ANALYZE);
	SELECT cdp.materialize_profiles();
	SELECT cdp.create_segment('s1', $$ count(*) FILTER (WHERE event.event_name = 'page_view' AND event.occurred_at > now() - interval '30 days') >= 5 $$, refresh => 'realtime');
	SELECT cdp.create_segment('s2', $$ sum(event.seconds) FILTER (WHERE event.event_name = 'page_view' AND event.occurred_at > now() - interval '7 days') > 60 $$, refresh => 'realtime');
	SELECT cdp.create_segment('s3', $$ count(*) FILTER (WHERE event.event_name = 'page_view') >= 20 $$, refresh => 'realtime');
	SELECT cdp.create_segment('s4', $$ max(event.occurred_at) FILTER (WHERE event.event_name = 'page_view') > now() - interval '14 days' $$, refresh => 'realtime');
	SELECT cdp.create_segment('s5', $$ count(*) FILTER (WHERE event.event_name = 'page_view' AND event.path = '/page3') >= 3 AND profile.is_known $$, refresh => 'realtime');
	SELECT cdp.create_segment('s' || n, format($$ count(*) FILTER (WHERE event.event_name = 'event_%s' AND event.occurred_at > now() - interval '%s days') >= 2 $$, n, 10 + n % 50), refresh => 'realtime')
	FROM generate_series(6, 1000) AS n;
	CALL cdp.refresh_segments(ARRAY['s1', 's2', 's3', 's4', 's5']);
	VACUUM (ANALYZE);
	CHECKPOINT;
SQL

cat >"$work/track.pgbench" <<-'SQL'
	\set person random(1, :people)
	SELECT cdp.track(('{"email": "person' || :person || '@example.org"}')::jsonb, 'page_view', now(), '{"path": "/page1", "seconds": 12, "referrer": "newsletter"}', 'bench');
SQL

# in_realtime count: so many of the segments are.
in_realtime()
{
	psql -X -q -v ON_ERROR_STOP=1 -c "UPDATE cdp_data.expression SET is_realtime = (substr(name, 2)::int <= $1) WHERE is_realtime <> (substr(name, 2)::int <= $1)"
}

# Waiting for the disk at each commit would hide what is compared.
run()
{
	PGOPTIONS='-c synchronous_commit=off' pgbench -n -M prepared -D people="$people" -f "$work/track.pgbench" "$@" 2>"$work/log"
	if grep -i 'error\|aborted' "$work/log" >&2; then
		return 1
	fi
}

for count in 0 10 100 1000; do
	: >"$work/tps.$count"
done
for _ in $(seq "$rounds"); do
	for count in 0 10 100 1000; do
		in_realtime "$count"
		# Planning is once in a session.
		run -c 1 -T "$seconds" | sed -n 's/^tps = \([0-9.]*\).*/\1/p' >>"$work/tps.$count"
	done
done
for count in 0 10 100 1000; do
	in_realtime "$count"
	rm -f "$work"/latency.*
	run -c 1 -t 20000 -l --log-prefix="$work/latency" >/dev/null
	cut -d' ' -f3 "$work"/latency.* | sort -n | awk -v count="$count" -v tps="$(median <"$work/tps.$count")" -v all="$(tr '\n' ' ' <"$work/tps.$count")" '{ value[NR] = $1 / 1000 } END {
		printf "%4d segments in real time: %8.0f transactions/s (%s)  p50 %.3f ms   p99 %.3f ms\n", count, tps, all, value[int((NR + 1) * 0.5)], value[int((NR + 1) * 0.99)] }'
done
ratio()
{
	awk -v a="$(median <"$work/tps.$1")" -v b="$(median <"$work/tps.$2")" 'BEGIN { printf "%.4f", a / b }'
}
printf 'RATIO\tcdp.track with 100 segments in real time (5 of that event) / without, transactions per second\t%s\tat least\t0.3\n' "$(ratio 100 0)"
printf 'RATIO\tcdp.track, time with 100 segments in real time / with 10 (5 of that event)\t%s\tat most\t1.2\n' "$(ratio 10 100)"
printf 'RATIO\tcdp.track, time with 1,000 segments in real time / with 10 (5 of that event)\t%s\tat most\t1.2\n' "$(ratio 10 1000)"
psql -X -A -t -c "SELECT 'changes of membership: ' || count(*) || ', tracked: ' || (SELECT count(*) FROM cdp_data.event WHERE source = 'bench') FROM cdp_data.segment_change WHERE cause = 'event'"
rm -r "$work"
