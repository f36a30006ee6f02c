#!/bin/bash
#
# CALL cdp.expire_segments() when windows of nobody, of 0.1 % and of 1 % of the
# people close (by "make bench"; needs the variables that test/lib/server sets).
#
#   CDP_BENCH_EXPIRE   people, all of whom have a window open (default 1000000)

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

people=${CDP_BENCH_EXPIRE:-1000000}
rounds=${CDP_BENCH_ROUNDS:-3}

psql -X -q -v ON_ERROR_STOP=1 -v people="$people" >/dev/null <<-'SQL'
	SET client_min_messages = warning;
	CREATE EXTENSION cdp;
	SELECT cdp.setup();
	SELECT cdp.stitch('crm', format('SELECT i AS record_key, timestamptz ''2024-01-01'' AS observed_at, ''person'' || i || ''@example.org'' AS email FROM generate_series(1, %s) AS i', :people));
	INSERT INTO cdp_data.event (hub, occurred_at, observed_at, source, event_name, record_key)
	SELECT i.id, now() - n * interval '1 day', now(), 'past', CASE WHEN n % 2 = 0 THEN 'page_view' ELSE 'order' END, i.id || '/' || n
	FROM generate_series(1, 5) AS n, cdp_data.identifier AS i;
	VACUUM (ANALYZE);
	SELECT cdp.materialize_profiles();
	SELECT cdp.create_segment('s' || n, format($$ count(*) FILTER (WHERE event.event_name = 'page_view' AND event.occurred_at > now() - interval '%s days') >= 1 $$, 20 + n), refresh => 'realtime')
	FROM generate_series(1, 10) AS n;
	CALL cdp.refresh_segments();
	VACUUM (ANALYZE);
	CHECKPOINT;
SQL

# closed share: what so many of a thousand people did becomes old, and the time to look has come; prints how many
# those are, and how long it takes.
closed()
{
	local start end due
	psql -X -q -v ON_ERROR_STOP=1 <<-SQL
		CREATE TEMPORARY TABLE chosen AS
		SELECT d.profile_id, i.id AS hub FROM cdp_data.expression_due AS d JOIN cdp_data.identifier AS i USING (profile_id)
		WHERE d.due_at > now() ORDER BY hashint8(d.profile_id) LIMIT $people * $1 / 1000;
		ANALYZE chosen;
		UPDATE cdp_data.event AS e SET occurred_at = e.occurred_at - interval '60 days' FROM chosen AS c WHERE e.hub = c.hub;
		UPDATE cdp_data.expression_due AS d SET due_at = now() - interval '1 minute' FROM chosen AS c WHERE d.profile_id = c.profile_id;
	SQL
	psql -X -q -c 'CHECKPOINT'
	due=$(psql -X -A -t -c 'SELECT count(*) FROM cdp_data.expression_due WHERE due_at < now()')
	start=$(date +%s.%N)
	psql -X -q -v ON_ERROR_STOP=1 -c 'CALL cdp.expire_segments()'
	end=$(date +%s.%N)
	awk -v s="$start" -v e="$end" -v due="$due" 'BEGIN { printf "%d %.4f\n", due, e - s }'
}

# report permille ...: the median time, in seconds, of several goes.
nobody=()
few=()
many=()
for _ in $(seq "$rounds"); do
	nobody+=("$(closed 0)")
	few+=("$(closed 1)")
	many+=("$(closed 10)")
done
# A session's plans are made anew in each call, whoever is due: that is taken off.
base=$(printf '%s\n' "${nobody[@]}" | awk '{ print $2 }' | median)
few_time=$(printf '%s\n' "${few[@]}" | awk '{ print $2 }' | median)
many_time=$(printf '%s\n' "${many[@]}" | awk '{ print $2 }' | median)
printf 'people, seconds: nobody due %s\n' "$(printf '(%s) ' "${nobody[@]}")"
printf 'people, seconds: 0.1 %% due %s\n' "$(printf '(%s) ' "${few[@]}")"
printf 'people, seconds: 1 %% due   %s\n' "$(printf '(%s) ' "${many[@]}")"
awk -v t="$many_time" -v n="$((people / 100))" 'BEGIN { printf "1 %% due: %.0f people a second\n", n / t }'
printf 'RATIO\tcdp.expire_segments, time with 1 %% of the people due / with 0.1 %%\t%s\tat most\t12\n' \
	"$(awk -v a="$many_time" -v b="$few_time" 'BEGIN { printf "%.4f", a / b }')"
psql -X -A -t -c "SELECT 'still due: ' || count(*) FROM cdp_data.expression_due WHERE due_at < now()"
psql -X -A -t -c "SELECT 'members that are wrong: ' || count(*) FROM cdp_data.segment_member AS m JOIN cdp_data.expression AS e ON e.expression_id = m.segment_id
	WHERE NOT EXISTS (SELECT FROM cdp.events AS v WHERE v.profile_id = m.profile_id AND v.event_name = 'page_view' AND v.occurred_at > now() - (20 + substr(e.name, 2)::int) * interval '1 day')"
