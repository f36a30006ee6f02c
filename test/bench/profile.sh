#!/bin/bash
#
# The cdp.profile type against jsonb: reading one trait, sizes, and merging the
# records of each person (by "make bench"; needs the variables that
# test/lib/server sets, or PGHOST, PGPORT and PGDATABASE of another server, in
# whose database the schema profile_bench is made and dropped).
#
# Reading: tables of profiles of 10, 50 and 500 traits; one third are short
# texts, the others numbers, booleans, times and addresses. Beside each stand the
# winners as plain jsonb, which is what ->> is compared with, and a jsonb that
# carries what the profile carries (source, record and time of each value), with
# which sizes are compared; "external" is the profile not compressed. "one" has one candidate for each trait; "two" is a
# person known from two sources of three.
#
# Merging: records of 4 traits each, 5 for each person, in the order of their
# time, or ("together") of people. The baseline is how last-wins is written in plain SQL: DISTINCT ON over
# jsonb_each, then jsonb_object_agg. The results are compared, too.
#
#   CDP_BENCH_RECORDS  records to merge (default 1000000)
#   CDP_BENCH_VALUES   traits, over all profiles of a table, to read (default 2000000)
#   CDP_BENCH_ROUNDS   runs of which the median counts (default 3)

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

records=${CDP_BENCH_RECORDS:-1000000}
traits_read=${CDP_BENCH_VALUES:-2000000}
rounds=${CDP_BENCH_ROUNDS:-3}

sql()
{
	PGOPTIONS="-c client_min_messages=warning -c search_path=profile_bench,cdp -c jit=off" psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 "$@"
}

# settings workers: with workers, so that they are used, whatever the planner thinks
# that handing over their results costs.
settings()
{
	if [ "${1#partitionwise }" != "$1" ]; then
		# as the planner likes it: each process has whole partitions
		echo "SET max_parallel_workers_per_gather = ${1#partitionwise }; SET enable_partitionwise_aggregate = on;"
	elif [ "$1" = 0 ]; then
		echo 'SET max_parallel_workers_per_gather = 0;'
	else
		echo "SET max_parallel_workers_per_gather = $1; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
	fi
}

# milliseconds workers query [times]: as the server takes it, the least of so many
# runs in one session, so that what a new session has to load does not count.
milliseconds()
{
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | sort -n | head -n 1
		$(settings "$1")
		\timing on
		$(for _ in $(seq "${3:-1}"); do echo "$2;"; done)
	SQL
}

quotient()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'
}

difference()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", (a - b > 0.001 ? a - b : 0.001) }'
}

# report what a b direction target: the ratio of a and b for the table
report()
{
	printf 'RATIO\t%s\t%s\t%s\t%s\n' "$1" "$(quotient "$2" "$3")" "$4" "$5"
}

# measure name workers query ... : medians of alternating runs, in median_of[name]
declare -A median_of
repeats=1
measure()
{
	local names=() workers=() queries=() round i
	local -A times=()
	while [ $# -gt 0 ]; do
		names+=("$1")
		workers+=("$2")
		queries+=("$3")
		shift 3
	done
	# the first run only warms up
	for round in $(seq 0 "$rounds"); do
		for i in "${!names[@]}"; do
			if [ "$round" = 0 ]; then
				milliseconds "${workers[$i]}" "${queries[$i]}" >/dev/null
			else
				times[${names[$i]}]+="$(milliseconds "${workers[$i]}" "${queries[$i]}" "$repeats")"$'\n'
			fi
		done
	done
	for i in "${!names[@]}"; do
		median_of[${names[$i]}]=$(printf '%s' "${times[${names[$i]}]}" | median)
	done
}

sql <<-'SQL'
	SET search_path = public;
	CREATE EXTENSION IF NOT EXISTS cdp;
	DROP SCHEMA IF EXISTS profile_bench CASCADE;
	CREATE SCHEMA profile_bench;
	SET search_path = profile_bench, cdp;

	-- names as people give them, at most 500: customer_email, billing_city, last_order_value ...
	CREATE FUNCTION trait_name(number integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
		SELECT (ARRAY['customer', 'billing', 'last_order', 'preferred', 'support', 'account', 'first_visit', 'loyalty', 'web', 'app', 'store', 'campaign', 'newsletter',
				'partner', 'shipping', 'trial', 'survey', 'household', 'employer', 'device', 'referral', 'contract', 'payment', 'return', 'social'])[(number / 20 + number * 7) % 25 + 1]
			|| '_' || (ARRAY['email', 'country', 'value', 'first_name', 'changed_at', 'active', 'plan', 'note', 'count', 'city', 'phone', 'language', 'amount', 'owner', 'date',
				'verified', 'segment', 'reference', 'score', 'region'])[number % 20 + 1]
	$$;
	-- the value of a trait of a person, as jsonb: what such columns hold, most of it different from person to person
	CREATE FUNCTION trait_value(person bigint, number integer) RETURNS jsonb IMMUTABLE LANGUAGE sql AS $$
		SELECT CASE number % 10
			WHEN 0 THEN to_jsonb(translate(left(code, 7), '0123456789', 'aeioulmnrs') || '.' || translate(substr(code, 8, 6), '0123456789', 'aeioulmnrs') || '@' || (ARRAY['gmail.com', 'example.com', 'web.de', 'outlook.com'])[draw % 4 + 1])
			WHEN 1 THEN to_jsonb((ARRAY['US', 'CA', 'DE', 'FR', 'BR', 'JP', 'IN', 'GB', 'AU', 'ES'])[draw % 10 + 1])
			WHEN 2 THEN to_jsonb((draw % 1000000)::numeric / 100)
			WHEN 3 THEN to_jsonb(initcap(translate(left(code, 4 + draw % 5), '0123456789', 'aeioulmnrs')))
			WHEN 4 THEN to_jsonb(to_char('2024-01-01'::timestamp + draw % 63072000 * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
			WHEN 5 THEN to_jsonb(draw % 3 = 0)
			WHEN 6 THEN to_jsonb((ARRAY['free', 'basic', 'team', 'enterprise'])[draw % 4 + 1])
			WHEN 7 THEN to_jsonb(upper(left(code, 8)) || '-' || draw % 1000)
			WHEN 8 THEN to_jsonb(draw % 100000)
			ELSE to_jsonb((ARRAY['Toronto', 'New York', 'Berlin', 'São Paulo', 'Kyoto', 'Lyon', 'Sydney', 'Madrid', 'Chennai', 'Leeds'])[draw % 10 + 1]) END
		FROM (SELECT code, ('x' || right(code, 7))::bit(28)::integer AS draw FROM (SELECT md5(person || ' ' || number) AS code) AS x) AS y
	$$;
	CREATE FUNCTION source_name(number bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
		SELECT (ARRAY['crm', 'shop', 'support'])[number % 3 + 1]
	$$;
SQL

printf '%-44s %10s %10s %10s %10s %10s %12s %12s\n' 'reading one trait, microseconds' 'scan' 'jsonb' 'profile' 'external' 'provenance' 'net jsonb' 'net profile'
sizes=
repeats=5
for traits in 10 50 500; do
	people=$((traits_read / traits))
	for candidates in one two; do
		sql <<-SQL
			CREATE TABLE plain (value jsonb);
			CREATE TABLE provenance (value jsonb);
			CREATE TABLE profile (value cdp.profile);
			CREATE TABLE apart (value cdp.profile);
			ALTER TABLE apart ALTER COLUMN value SET STORAGE external;
			-- one: every trait from one record. two: from the records of two of three sources, the later one wins
			INSERT INTO profile
			SELECT (SELECT cdp.profile_agg(cdp.profile_build(source_name(person + number), '2026-01-01 12:00Z'::timestamptz + (person * 61 + number) % 10000000 * interval '1 second',
						(SELECT jsonb_object_agg(trait_name(trait), trait_value(person + number, trait)) FROM generate_series(0, $traits - 1) AS trait), person * 10 + number))
					FROM generate_series(1, CASE '$candidates' WHEN 'one' THEN 1 ELSE 2 END) AS number)
			FROM generate_series(1::bigint, $people) AS person;
			INSERT INTO plain SELECT value::jsonb FROM profile;
			INSERT INTO provenance SELECT value::text::jsonb FROM profile;
			INSERT INTO apart SELECT value || '{}' FROM profile;
			VACUUM (FREEZE, ANALYZE) plain;
			VACUUM (FREEZE, ANALYZE) provenance;
			VACUUM (FREEZE, ANALYZE) profile;
			VACUUM (FREEZE, ANALYZE) apart;
		SQL
		# several traits, since their place in the format may matter
		for trait in 1 $((traits / 2)) $((traits - 1)); do
			name=$(sql -c "SELECT trait_name($trait)")
			measure "scan_jsonb $trait" 0 "SELECT count(value) FROM plain" \
				"scan_profile $trait" 0 "SELECT count(value) FROM profile" \
				"jsonb $trait" 0 "SELECT count(value ->> '$name') FROM plain" \
				"profile $trait" 0 "SELECT count(value ->> '$name') FROM profile" \
				"apart $trait" 0 "SELECT count(value ->> '$name') FROM apart" \
				"provenance $trait" 0 "SELECT count(value -> '$name' -> 0 ->> 'value') FROM provenance"
		done
		declare -A mean=()
		for what in scan_jsonb scan_profile jsonb profile apart provenance; do
			mean[$what]=$(for trait in 1 $((traits / 2)) $((traits - 1)); do echo "${median_of["$what $trait"]}"; done |
				awk -v people="$people" '{ sum += $1 } END { printf "%.3f", sum / NR * 1000 / people }')
		done
		net_jsonb=$(difference "${mean[jsonb]}" "${mean[scan_jsonb]}")
		net_profile=$(difference "${mean[profile]}" "${mean[scan_profile]}")
		printf '%-44s %10.2f %10.2f %10.2f %10.2f %10.2f %12.2f %12.2f\n' "$traits traits, $candidates candidate(s) each" "${mean[scan_profile]}" "${mean[jsonb]}" \
			"${mean[profile]}" "${mean[apart]}" "${mean[provenance]}" "$net_jsonb" "$net_profile"
		if [ "$candidates" = one ]; then
			case $traits in
				500) report "jsonb ->> / cdp.profile ->>, one of $traits traits" "${mean[jsonb]}" "${mean[profile]}" 'at least' 3 ;;
				*) report "jsonb ->> / cdp.profile ->>, one of $traits traits" "${mean[jsonb]}" "${mean[profile]}" 'at least' 1 ;;
			esac
			if [ "$traits" = 500 ]; then
				report "the same, not compressed (storage external)" "${mean[jsonb]}" "${mean[apart]}" 'at least' 3
			fi
			report "the same without the scan" "$net_jsonb" "$net_profile" 'at least' "$([ "$traits" = 500 ] && echo 3 || echo 1)"
		fi
		read -r size_plain size_provenance size_profile size_raw_provenance size_raw_profile table_provenance table_profile table_apart <<<"$(sql -c "
			SELECT (SELECT round(avg(pg_column_size(value))) FROM plain), (SELECT round(avg(pg_column_size(value))) FROM provenance),
				(SELECT round(avg(pg_column_size(value))) FROM profile),
				(SELECT round(avg(pg_column_size(value || '{}'::jsonb))) FROM provenance), (SELECT round(avg(pg_column_size(value || '{}'::cdp.profile))) FROM profile),
				pg_total_relation_size('provenance'), pg_total_relation_size('profile'), pg_total_relation_size('apart')")"
		sizes+=$(printf '%-44s %10d %10d %10d %10d %10d %12d %12d %12d' "$traits traits, $candidates candidate(s) each" "$size_plain" "$size_provenance" "$size_profile" \
			"$size_raw_provenance" "$size_raw_profile" $((table_provenance / people)) $((table_profile / people)) $((table_apart / people)))$'\n'
		report "stored bytes, cdp.profile / jsonb with provenance, $traits traits, $candidates" "$size_profile" "$size_provenance" 'at most' 1
		report "bytes on disk, cdp.profile / jsonb with provenance, $traits traits, $candidates" "$table_profile" "$table_provenance" 'at most' 1
		[ "$traits" != 500 ] || report "bytes on disk, not compressed / jsonb with provenance, $traits traits, $candidates" "$table_apart" "$table_provenance" 'at most' 1
		sql -c 'DROP TABLE plain, provenance, profile, apart'
	done
done
printf '\n%-44s %10s %10s %10s %10s %10s %12s %12s %12s\n%s\n' 'bytes of one value' 'jsonb' 'provenance' 'profile' 'raw prov.' 'raw prof.' 'disk prov.' 'disk prof.' 'external' "$sizes"

sql <<-SQL
	-- the records of a person come at any time, so they do not lie together
	CREATE TABLE record AS
	SELECT (number * 7919) % ($records / 5) AS person, source_name(number / 3) AS source, number AS record_key, '2026-01-01Z'::timestamptz + number * interval '1 second' AS observed_at,
		(SELECT jsonb_object_agg(trait_name(trait), trait_value(number, trait)) FROM generate_series((number % 7)::integer, (number % 7)::integer + 3) AS trait) AS traits
	FROM generate_series(1::bigint, $records) AS number;
	CREATE TABLE contribution AS
	SELECT person, cdp.profile_build(source, observed_at, traits, record_key) AS value FROM record;
	VACUUM (FREEZE, ANALYZE) record;
	VACUUM (FREEZE, ANALYZE) contribution;
	-- the same where the records of a person lie together
	CREATE TABLE together AS SELECT * FROM contribution ORDER BY person;
	VACUUM (FREEZE, ANALYZE) together;
	-- and where they lie scattered, but all of a person in one partition
	CREATE TABLE partitioned (LIKE contribution) PARTITION BY HASH (person);
	$(for part in 0 1 2 3 4 5 6 7; do echo "CREATE TABLE partitioned_$part PARTITION OF partitioned FOR VALUES WITH (MODULUS 8, REMAINDER $part);"; done)
	INSERT INTO partitioned SELECT * FROM contribution;
	VACUUM (FREEZE, ANALYZE) partitioned;
SQL
baseline="SELECT person, jsonb_object_agg(key, value) AS value FROM (
		SELECT DISTINCT ON (person, key) person, key, value FROM record, jsonb_each(traits) ORDER BY person, key, observed_at DESC) AS winner GROUP BY person"
together='SELECT person, cdp.profile_agg(value) AS value FROM together GROUP BY person'
partitioned='SELECT person, cdp.profile_agg(value) AS value FROM partitioned GROUP BY person'
merged='SELECT person, cdp.profile_agg(value) AS value FROM contribution GROUP BY person'
winners='SELECT person, cdp.profile_agg(value)::jsonb AS value FROM contribution GROUP BY person'
built='SELECT person, cdp.profile_agg(cdp.profile_build(source, observed_at, traits, record_key)) AS value FROM record GROUP BY person'
different=$(sql -c "SELECT count(*) FROM ($baseline) AS a FULL JOIN ($winners) AS b USING (person) WHERE a.value IS DISTINCT FROM b.value")
[ "$different" = 0 ] || { echo "profile_agg and plain SQL differ for $different people" >&2; exit 1; }
repeats=1
measure baseline 0 "SELECT count(value) FROM ($baseline) AS result" \
	baseline_parallel 2 "SELECT count(value) FROM ($baseline) AS result" \
	merged 0 "SELECT count(value) FROM ($merged) AS result" \
	merged_parallel 2 "SELECT count(value) FROM ($merged) AS result" \
	together 0 "SELECT count(value) FROM ($together) AS result" \
	together_parallel 2 "SELECT count(value) FROM ($together) AS result" \
	partitioned 'partitionwise 0' "SELECT count(value) FROM ($partitioned) AS result" \
	partitioned_parallel 'partitionwise 2' "SELECT count(value) FROM ($partitioned) AS result" \
	winners 0 "SELECT count(value) FROM ($winners) AS result" \
	winners_parallel 2 "SELECT count(value) FROM ($winners) AS result" \
	built 0 "SELECT count(value) FROM ($built) AS result" \
	built_parallel 2 "SELECT count(value) FROM ($built) AS result"
printf '%-60s %12s %12s %12s\n' "merging $records records, 5 of 4 traits for each person" 'ms' 'us/record' 'ms, 2 workers'
for line in 'baseline DISTINCT ON over jsonb_each, jsonb_object_agg' 'merged cdp.profile_agg' 'together cdp.profile_agg, records of a person together' 'partitioned cdp.profile_agg, table partitioned by person' 'winners cdp.profile_agg, winners as jsonb' 'built cdp.profile_agg(cdp.profile_build), from the jsonb'; do
	name=${line%% *}
	printf '%-60s %12.0f %12.2f %12.0f\n' "${line#* }" "${median_of[$name]}" "$(awk -v ms="${median_of[$name]}" -v n="$records" 'BEGIN { print ms * 1000 / n }')" "${median_of[${name}_parallel]}"
done
report 'DISTINCT ON and jsonb_object_agg / cdp.profile_agg' "${median_of[baseline]}" "${median_of[merged]}" 'at least' 3
report 'the same with the winners as jsonb' "${median_of[baseline]}" "${median_of[winners]}" 'at least' 3
sql -c "$(settings 2)" -c "EXPLAIN (COSTS off) $together" -c "EXPLAIN (COSTS off) $merged"
report 'cdp.profile_agg, 2 workers / none, records of a person together' "${median_of[together_parallel]}" "${median_of[together]}" 'at most' 1
report 'the same with the records of a person scattered' "${median_of[merged_parallel]}" "${median_of[merged]}" 'at most' 1
report 'the same with the table partitioned by person (partitionwise)' "${median_of[partitioned_parallel]}" "${median_of[partitioned]}" 'at most' 1
sql -c 'DROP SCHEMA profile_bench CASCADE'
