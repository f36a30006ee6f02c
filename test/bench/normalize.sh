#!/bin/bash
#
# What the normalisers cost over a column of a million addresses, against
# lower() in the locales that the machine has (by "make bench"; needs the
# variables that test/lib/server sets).

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

rounds=${CDP_BENCH_ROUNDS:-5}
home_database=$PGDATABASE

# milliseconds expression source: the time of one aggregate over the column, as
# the server takes it.
milliseconds()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
		SET max_parallel_workers_per_gather = 0;
		\timing on
		SELECT count($1) FROM ${2:-contact};
	SQL
}

ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

bench_locale()
{
	local locale=$1 round expression name
	local -A times=() medians=()
	local expressions=(email 'lower(email)' 'cdp.normalize_email(email)' 'cdp.normalize_email(email, true)'
		'cdp.normalize_lower(email)' 'cdp.normalize_exact(email)' 'cdp.normalize_digits(email)' 'cdp.normalize_uuid(device)')

	export PGDATABASE=normalize_locale
	psql -X -q -d postgres -c 'DROP DATABASE IF EXISTS normalize_locale' \
		-c "CREATE DATABASE normalize_locale TEMPLATE template0 ENCODING 'UTF8' LOCALE '$locale'" 2>/dev/null
	psql -X -q -v ON_ERROR_STOP=1 <<-'SQL'
		CREATE EXTENSION cdp;
		CREATE TABLE contact AS
		SELECT CASE number % 8
				WHEN 0 THEN initcap(md5(number::text)) || '@Example.COM'
				WHEN 1 THEN 'john.doe' || number || '@gmail.com'
				WHEN 2 THEN 'Jane_' || number || '@mail.company' || number % 1000 || '.co.uk'
				WHEN 3 THEN 'm' || number || '@web.de'
				WHEN 4 THEN 'jane.doe+' || number || '@example.org'
				WHEN 5 THEN ' ' || number || '@EXAMPLE.NET '
				WHEN 6 THEN 'first.last' || number || '@subsidiary.some-long-company-name.com'
				ELSE 'info' || number END AS email,
			upper(md5(number::text)) AS device,
			'(650) 253-' || lpad((number % 10000)::text, 4, '0') AS phone
		FROM generate_series(1, 1000000) AS number;
		VACUUM (FREEZE, ANALYZE) contact;
		SELECT count(email), count(device), count(phone) FROM contact \g /dev/null
	SQL
	for round in $(seq "$rounds"); do
		for expression in "${expressions[@]}"; do
			times[$expression]+="$(milliseconds "$expression")"$'\n'
		done
	done
	printf '%s, one million values, median of %s runs\n' "$locale" "$rounds"
	for expression in "${expressions[@]}"; do
		medians[$expression]=$(printf '%s' "${times[$expression]}" | median)
		name=$expression
		[ "$expression" != email ] || name='the column itself'
		printf '  %-40s %8.0f ms\n' "$name" "${medians[$expression]}"
	done
	printf '  %-40s %8.0f ms (50,000 values)\n' "cdp.normalize_phone(phone, 'US')" \
		"$(milliseconds "cdp.normalize_phone(phone, 'US')" '(SELECT phone FROM contact LIMIT 50000) AS part')"
	printf 'RATIO\t%s\t%s\tat most\t3\n' "cdp.normalize_email / lower over a column, $locale" \
		"$(ratio "${medians['cdp.normalize_email(email)']}" "${medians['lower(email)']}")"
	# the harder comparison: with the scan of the table taken off both
	printf 'RATIO\t%s\t%s\tat most\t3\n' "the same without the scan, $locale" \
		"$(ratio "$(awk -v a="${medians['cdp.normalize_email(email)']}" -v b="${medians[email]}" 'BEGIN { print a - b }')" \
			"$(awk -v a="${medians['lower(email)']}" -v b="${medians[email]}" 'BEGIN { print a - b }')")"
	export PGDATABASE=$home_database
	psql -X -q -d postgres -c 'DROP DATABASE normalize_locale'
}

# the server knows the same locales under the names that this machine has
bench_locale C
for locale in C.UTF-8 en_US.UTF-8; do
	if locale -a | grep -qix "$(printf '%s' "$locale" | sed 's/UTF-8/utf-*8/')"; then
		bench_locale "$locale"
	fi
done
