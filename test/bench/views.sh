#!/bin/bash
#
# Reading unified profiles (by "make bench"; needs the variables that
# test/lib/server sets, or PGHOST, PGPORT and PGDATABASE of another server, whose
# database must be empty): cdp.get_profile with many people, and five columns of
# cdp.profiles for everybody against the same columns of a plain table.
#
# The people are those of test/bench/workload.sql, with some traits and one event
# in two of their visits. Rows were derived by a first refresh and a tenth of them
# once more, since that is what a table in use looks like.
#
#   CDP_BENCH_VIEWS    people (default 1000000)
#   CDP_BENCH_ROUNDS   runs of which the median counts (default 3)

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. test/bench/functions

people=${CDP_BENCH_VIEWS:-1000000}
rounds=${CDP_BENCH_ROUNDS:-3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

sql()
{
	PGOPTIONS='-c client_min_messages=warning -c jit=off' psql -X -q -v ON_ERROR_STOP=1 -A -t -F ' ' "$@"
}

sql -v people="$people" -f test/bench/workload.sql >/dev/null
sql >/dev/null <<-'SQL'
	CREATE EXTENSION cdp;
	SELECT cdp.setup();
	SELECT cdp.create_trait('region', 'text', survivorship => 'most_frequent');
	SELECT cdp.create_source('crm', 'workload.crm', record_key => 'id', observed_at => 'modified', watermark => 'modified',
	    identifiers => 'crm_id, email, work_email AS email, phone, user_id',
	    traits => $$ 'r' || left(crm_id, 5) AS region, work_email IS NOT NULL AS at_work, 'Person ' || md5(id::text) AS name, hashtext(id::text) % 100 AS score $$);
	SELECT cdp.create_source('pos', 'workload.pos', record_key => 'id', observed_at => 'sold_at', watermark => 'sold_at',
	    identifiers => 'loyalty_id, email, phone', traits => $$ sold_at AS last_receipt, 'r' || right(loyalty_id, 2) AS region $$);
	SELECT cdp.create_source('app', 'workload.app', record_key => 'id', observed_at => 'seen_at', watermark => 'seen_at',
	    identifiers => 'device_id, user_id, email', traits => $$ CASE WHEN email IS NULL THEN 'guest' ELSE 'member' END AS plan $$);
	SELECT cdp.create_source('web', 'workload.web', record_key => 'id', occurred_at => 'seen_at', observed_at => 'seen_at', watermark => 'seen_at',
	    event_name => $$ 'visit' $$, identifiers => 'anonymous_id, user_id, email', properties => 'id AS visit');
	CALL cdp.refresh();
	UPDATE workload.crm SET modified = modified + interval '2 years', user_id = NULL WHERE hashtext(id::text) % 5 = 0;
	CALL cdp.refresh();
	VACUUM (ANALYZE);
	CREATE SCHEMA bench;
	CREATE TABLE bench.plain AS SELECT * FROM cdp.profiles;
	CREATE TABLE bench.known AS SELECT row_number() OVER (ORDER BY hashint8(identifier_id)) AS n, namespace, value FROM cdp.identifiers WHERE namespace IN ('email', 'phone', 'crm_id') AND state = 'usable';
	ALTER TABLE bench.known ADD PRIMARY KEY (n);
	VACUUM (ANALYZE, FREEZE) bench.plain, bench.known;
	CHECKPOINT;
SQL
known=$(sql -c 'SELECT count(*) FROM bench.known')
sql -c "SELECT count(*) || ' profiles, ' || count(*) FILTER (WHERE is_known) || ' of them known, ' || sum(event_count) || ' events' FROM cdp.profiles"
sql -c "SELECT pg_size_pretty(pg_relation_size('cdp_data.profile_row')) || ' against ' || pg_size_pretty(pg_relation_size('bench.plain'))"

# milliseconds relation columns: as the server takes it, without sending the rows.
milliseconds()
{
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
		SET max_parallel_workers_per_gather = 0;
		\timing on
		SELECT $2 FROM $1;
	SQL
}

columns='count(profile_id), count(email), count(name), count(score), count(last_seen)'
view=()
plain=()
milliseconds cdp.profiles "$columns" >/dev/null
milliseconds bench.plain "$columns" >/dev/null
for _ in $(seq "$rounds") 1 2; do
	plain+=("$(milliseconds bench.plain "$columns")")
	view+=("$(milliseconds cdp.profiles "$columns")")
done
plain_median=$(printf '%s\n' "${plain[@]}" | median)
view_median=$(printf '%s\n' "${view[@]}" | median)
printf '5 columns for everybody: cdp.profiles %.0f ms (%s), plain table %.0f ms (%s)\n' "$view_median" "${view[*]}" "$plain_median" "${plain[*]}"
awk -v a="$view_median" -v b="$plain_median" 'BEGIN { printf "RATIO\t5 columns of cdp.profiles for everybody / the same of a plain table\t%.4f\tat most\t1.2\n", a / b }'

# One client, so that it is not waiting for processor time that is measured.
latency()
{
	cat >"$folder/script.pgbench"
	rm -f "$folder"/log.*
	pgbench -n -M prepared -c 1 -t "$2" -D known="$known" -l --log-prefix="$folder/log" -f "$folder/script.pgbench" >/dev/null 2>"$folder/errors" || { cat "$folder/errors" >&2; return 1; }
	cut -d' ' -f3 "$folder"/log.* | sort -n | awk -v what="$1" '{ value[NR] = $1 / 1000; sum += $1 / 1000 } END {
		printf "%-50s p50 %8.3f ms   p99 %8.3f ms   mean %8.3f ms   (%d calls)\n", what, value[int((NR + 1) * 0.5)], value[int((NR + 1) * 0.99)], sum / NR, NR }'
}

latency 'look-up of the identifier alone' 5000 <<-'EOF2'
	\set n random(1, :known)
	SELECT value FROM bench.known WHERE n = :n;
EOF2
latency 'cdp.get_profile(namespace, value)' 20000 <<-'EOF2'
	\set n random(1, :known)
	SELECT cdp.get_profile(namespace, value) FROM bench.known WHERE n = :n;
EOF2
latency 'cdp.explain_trait(profile_id, trait)' 5000 <<-'EOF2'
	\set n random(1, :known)
	SELECT x.* FROM bench.known, cdp.explain_trait(cdp.resolve(namespace, value), 'region') AS x WHERE n = :n;
EOF2
latency 'cdp.materialize_profiles(ARRAY[profile_id])' 5000 <<-'EOF2'
	\set n random(1, :known)
	SELECT cdp.materialize_profiles(ARRAY[cdp.resolve(namespace, value)]) FROM bench.known WHERE n = :n;
EOF2
sql -c 'INSERT INTO cdp_data.changed_profile VALUES (0)'
sql -c '\timing on' -c 'SELECT cdp.materialize_profiles() AS everybody_again' | awk '/Time/ { print "deriving everybody again: " $2 / 1000 " s" }'
