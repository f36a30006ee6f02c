#!/bin/bash
#
# cdp.track under pgbench, against a bare INSERT of the same rows into a table
# with the same columns and indexes, with 1, 2 and 4 clients (by "make bench";
# needs the variables that test/lib/server sets).
#
#   CDP_BENCH_TRACKED   known people to whom the events belong (default 200000)

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

seconds=${CDP_BENCH_SECONDS:-15}
rounds=${CDP_BENCH_ROUNDS:-3}
people=${CDP_BENCH_TRACKED:-200000}
work=$(mktemp -d "${CDP_SERVER_FOLDER:-/tmp}/track.XXXXXX")

set_up_tracked "$people"
quietly <<-'SQL'
	CREATE TABLE bare (LIKE cdp_data.event INCLUDING ALL);
	VACUUM (ANALYZE);
SQL

cat >"$work/insert.pgbench" <<-'SQL'
	\set person random(1, :people)
	INSERT INTO bare (hub, occurred_at, observed_at, source, event_name, record_key, path, seconds, properties) VALUES (:person, now(), now(), 'bench', 'page_view', gen_random_uuid()::text, '/pricing', 12, '{"referrer": "newsletter"}');
SQL
cat >"$work/track.pgbench" <<-'SQL'
	\set person random(1, :people)
	SELECT cdp.track(('{"email": "person' || :person || '@example.org"}')::jsonb, 'page_view', now(), '{"path": "/pricing", "seconds": 12, "referrer": "newsletter"}', 'bench');
SQL

# Waiting for the disk at each commit would hide what is compared.
tps()
{
	PGOPTIONS='-c synchronous_commit=off' pgbench -n -M prepared -c "$2" -j "$2" -T "$seconds" -D people="$people" -f "$work/$1.pgbench" 2>"$work/log" |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	if grep -i 'error\|aborted' "$work/log" >&2; then
		return 1
	fi
}

for clients in 1 2 4; do
	base=()
	own=()
	for _ in $(seq "$rounds"); do
		base+=("$(tps insert "$clients")")
		own+=("$(tps track "$clients")")
	done
	base_median=$(printf '%s\n' "${base[@]}" | median)
	own_median=$(printf '%s\n' "${own[@]}" | median)
	printf '%s clients: bare INSERT %10.0f transactions/s (%s)\n' "$clients" "$base_median" "${base[*]}"
	printf '%s clients: cdp.track   %10.0f transactions/s (%s)\n' "$clients" "$own_median" "${own[*]}"
	printf 'RATIO\tcdp.track / bare INSERT, transactions per second, %s clients\t%s\tat least\t0.3\n' "$clients" \
		"$(awk -v a="$own_median" -v b="$base_median" 'BEGIN { printf "%.4f", a / b }')"
done
psql -X -A -t -c "SELECT 'problems: ' || count(*) FROM cdp.check_identities()"
psql -X -A -t -c "SELECT 'size of a tracked event with its indexes: ' || pg_total_relation_size('cdp_data.event') / count(*) || ' bytes, bare: ' || pg_total_relation_size('bare') / (SELECT count(*) FROM bare) || ' bytes' FROM cdp_data.event"
rm -r "$work"
