#!/bin/bash
#
# CALL cdp.refresh() from empty on the workload of the identity benches plus
# events, against INSERT ... SELECT of the rows that it leaves into tables with
# the same indexes; and a second refresh after 0.1 % of the rows changed (by
# "make bench"; needs the variables that test/lib/server sets).
#
# The second refresh comes after what the first one leaves to autovacuum is done,
# and right after a checkpoint, so that each page it touches is logged whole.
# Nothing else ran since the first, so that it finds in memory what a server of
# this size keeps there. A third one, of as many other rows, comes after the
# copies of the baseline, which push pages out of memory; its time is printed
# beside. The tables have an index on the watermark: without one, a refresh reads
# the tables through, and the least it can take is that.
#
#   CDP_BENCH_PEOPLE   people (default 500000)
#   CDP_BENCH_EVENTS   events (default 10 for each person)

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

people=${CDP_BENCH_PEOPLE:-500000}
events=${CDP_BENCH_EVENTS:-$((people * 10))}

sql()
{
	psql -X -q -v ON_ERROR_STOP=1 -A -t "$@"
}

# seconds_of command ...: runs it and prints how long it took.
seconds_of()
{
	local start
	start=$(date +%s.%N)
	"$@" >&2 || exit 1
	awk -v start="$start" -v end="$(date +%s.%N)" 'BEGIN { printf "%.2f", end - start }'
}

sql -v people="$people" -f test/bench/workload.sql >/dev/null
# Nine of ten events know the browser alone; rows stand in the order of their time.
sql -v people="$people" -v events="$events" <<-'SQL'
	SET client_min_messages = warning;
	CREATE TABLE workload.event AS
	SELECT i AS id, timestamptz '2023-01-01' + i * (interval '2 years' / :events) AS at,
	       (ARRAY['page_view', 'search', 'cart', 'purchase'])[1 + i % 4] AS name,
	       workload.browser(person, 1 + i % 2) AS anonymous_id,
	       CASE WHEN i % 10 = 0 THEN workload.user_id(person) END AS user_id,
	       '/page/' || i % 1000 AS path, CASE WHEN i % 4 = 3 THEN (i % 10000)::numeric / 100 END AS amount
	FROM (SELECT i, 1 + ((hashint8extended(i, 7) & 9223372036854775807) % :people) AS person
	      FROM generate_series(1, :events::bigint) AS i) AS e
	ORDER BY i;
	-- What a sync tool leaves: a key, and when it wrote the row.
	ALTER TABLE workload.event ADD PRIMARY KEY (id);
	ALTER TABLE workload.event ADD COLUMN loaded_at timestamptz;
	ALTER TABLE workload.crm ADD PRIMARY KEY (id), ADD COLUMN loaded_at timestamptz;
	ALTER TABLE workload.pos ADD PRIMARY KEY (id), ADD COLUMN loaded_at timestamptz;
	ALTER TABLE workload.app ADD PRIMARY KEY (id), ADD COLUMN loaded_at timestamptz;
	ALTER TABLE workload.web ADD PRIMARY KEY (id), ADD COLUMN loaded_at timestamptz;
	UPDATE workload.event SET loaded_at = at;
	UPDATE workload.crm SET loaded_at = modified;
	UPDATE workload.pos SET loaded_at = sold_at;
	UPDATE workload.app SET loaded_at = seen_at;
	UPDATE workload.web SET loaded_at = seen_at;
	CREATE INDEX ON workload.event (loaded_at);
	CREATE INDEX ON workload.crm (loaded_at);
	CREATE INDEX ON workload.pos (loaded_at);
	CREATE INDEX ON workload.app (loaded_at);
	CREATE INDEX ON workload.web (loaded_at);
	VACUUM (ANALYZE, FREEZE);

	CREATE EXTENSION cdp;
	SELECT cdp.setup() \g /dev/null
	SELECT cdp.create_source('crm', 'workload.crm', record_key => 'id', observed_at => 'modified', watermark => 'loaded_at',
	    identifiers => 'crm_id, email, work_email AS email, phone, user_id', traits => $$ 'r' || left(crm_id, 5) AS region, work_email IS NOT NULL AS at_work $$) \g /dev/null
	SELECT cdp.create_source('pos', 'workload.pos', record_key => 'id', observed_at => 'sold_at', watermark => 'loaded_at',
	    identifiers => 'loyalty_id, email, phone', traits => 'sold_at AS last_receipt') \g /dev/null
	SELECT cdp.create_source('app', 'workload.app', record_key => 'id', observed_at => 'seen_at', watermark => 'loaded_at',
	    identifiers => 'device_id, user_id, email') \g /dev/null
	SELECT cdp.create_source('web', 'workload.web', record_key => 'id', observed_at => 'seen_at', watermark => 'loaded_at',
	    identifiers => 'anonymous_id, user_id, email') \g /dev/null
	SELECT cdp.create_source('event', 'workload.event', record_key => 'id', occurred_at => 'at', observed_at => 'at', event_name => 'name', watermark => 'loaded_at',
	    identifiers => 'anonymous_id, user_id', properties => 'path, amount') \g /dev/null
	CHECKPOINT;
SQL
records=$(sql -c 'SELECT (SELECT count(*) FROM workload.crm) + (SELECT count(*) FROM workload.pos) + (SELECT count(*) FROM workload.app) + (SELECT count(*) FROM workload.web)')
echo "$people people, $records records, $events events"

echo "first refresh:"
first=$(seconds_of sql -c 'CALL cdp.refresh()') || exit 1
sql -c 'CHECKPOINT'
sql -F ' ' -c "SELECT step, COALESCE(source, ''), mode, rows_read, round(EXTRACT(epoch FROM finished_at - started_at), 1) || ' s' FROM cdp.refresh_log ORDER BY log_id"

# One refresh, with the processor time of its process and the bytes of log that it wrote.
refresh_again()
{
	local before
	before=$(sql -c "SELECT pg_current_wal_insert_lsn()") || return 1
	sql <<-'SQL' >"$CDP_SERVER_FOLDER/processor_time" || return 1
		SELECT pg_backend_pid() AS pid \gset
		\setenv PID :pid
		\! awk '{ print ($14 + $15) / 100 }' "/proc/$PID/stat"
		CALL cdp.refresh();
		\! awk '{ print ($14 + $15) / 100 }' "/proc/$PID/stat"
	SQL
	awk '{ time[NR] = $1 } END { printf "processor time %.2f s\n", time[2] - time[1] }' "$CDP_SERVER_FOLDER/processor_time" >&2
	sql -c "SELECT 'log ' || pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$before'))" >&2
}

# change residue time: changes 0.1 % of the rows of each table.
change()
{
	sql -v residue="$1" -v time="$2" <<-'SQL'
		UPDATE workload.crm SET phone = NULL, modified = modified + interval '1 day', loaded_at = :'time' WHERE hashtext(id) % 1000 IN (:residue, -:residue);
		UPDATE workload.pos SET email = NULL, sold_at = sold_at + interval '1 day', loaded_at = :'time' WHERE hashtext(id) % 1000 IN (:residue, -:residue);
		UPDATE workload.app SET email = NULL, seen_at = seen_at + interval '1 day', loaded_at = :'time' WHERE hashtext(id) % 1000 IN (:residue, -:residue);
		UPDATE workload.web SET email = 'changed' || id || '@example.net', seen_at = seen_at + interval '1 day', loaded_at = :'time' WHERE hashtext(id) % 1000 IN (:residue, -:residue);
		UPDATE workload.event SET path = '/changed', at = at + interval '1 second', loaded_at = :'time' WHERE hashint8(id) % 1000 IN (:residue, -:residue);
		VACUUM (ANALYZE) workload.crm, workload.pos, workload.app, workload.web, workload.event;
		CHECKPOINT;
	SQL
}

# The same rows as the refreshes left, once more, by plain statements.
bare()
{
	sql <<-'SQL'
		SET client_min_messages = warning;
		DROP SCHEMA IF EXISTS bare CASCADE;
		CREATE SCHEMA bare;
		SELECT format('CREATE TABLE bare.%1$I (LIKE cdp_data.%1$I INCLUDING ALL)', t), format('INSERT INTO bare.%1$I SELECT * FROM cdp_data.%1$I', t)
		FROM unnest(ARRAY['identifier', 'record', 'link', 'profile', 'contribution', 'event', 'profile_value', 'profile_row']) AS t
		\gexec
	SQL
}

sql -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
change 0 2025-01-02
echo "second refresh, 0.1 % of the rows changed:"
second=$(seconds_of refresh_again) || exit 1
sql -F ' ' -c "SELECT step, COALESCE(source, ''), mode, rows_read, round(EXTRACT(epoch FROM finished_at - started_at), 1) || ' s' FROM cdp.refresh_log WHERE refresh_id = (SELECT max(refresh_id) FROM cdp.refresh_log) ORDER BY log_id"

sql -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
base=$(seconds_of bare)
sql -c 'DROP SCHEMA bare CASCADE' 2>/dev/null
sql -c 'CHECKPOINT'

change 1 2025-01-03
echo "third refresh, 0.1 % of the rows changed, after the copies:"
third=$(seconds_of refresh_again) || exit 1

awk -v first="$first" -v base="$base" -v second="$second" -v third="$third" -v rows="$((records + events))" 'BEGIN {
	printf "first refresh %.1f s: %.0f rows a second; bare INSERT ... SELECT %.1f s; second refresh %.2f s, third %.2f s (%.4f of the first)\n", first, rows / first, base, second, third, third / first
	printf "RATIO\tfirst cdp.refresh / bare INSERT ... SELECT of the same rows\t%.4f\tat most\t4\n", first / base
	printf "RATIO\tsecond cdp.refresh, 0.1 %% changed / first\t%.4f\tat most\t0.02\n", second / first }'
problems=$(PGOPTIONS='-c maintenance_work_mem=8GB' sql -c 'SELECT count(*) FROM cdp.check_identities()')
echo "check_identities: $problems problems"
sql -F ' ' -c "SELECT relname, pg_size_pretty(pg_total_relation_size(oid)), reltuples::bigint FROM pg_class WHERE relnamespace = 'cdp_data'::regnamespace AND relkind = 'r' AND reltuples > 1000 ORDER BY pg_total_relation_size(oid) DESC"
