#!/bin/bash
#
# Lifetime models of a million simulated customers, against the package
# lifetimes: fits and scores, in processor time of the server's process and of
# Python (by "make bench"; needs the variables that test/lib/server sets, and
# PyPI for lifetimes, kept in build/lifetimes, so once).
#
#   CDP_BENCH_CUSTOMERS   customers (default 1000000)
#   CDP_BENCH_PARETO      of them for Pareto/NBD, which takes lifetimes long
#                         (default 10000)

set -eu -o pipefail

customers=${CDP_BENCH_CUSTOMERS:-1000000}
pareto=${CDP_BENCH_PARETO:-10000}
venv=build/lifetimes
work=$(mktemp -d "${CDP_SERVER_FOLDER:-/tmp}/lifetime.XXXXXX")

[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import lifetimes' 2>/dev/null ||
	{ python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check lifetimes; }
# one thread, as the server's process has
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

"$venv/bin/python" test/bench/lifetime_peer.py simulate "$customers" "$work/customers.csv"
psql -X -q -v ON_ERROR_STOP=1 <<-SQL
	SET client_min_messages = warning;
	CREATE EXTENSION IF NOT EXISTS cdp;
	CREATE TABLE lifetime_customer (frequency integer, recency_days integer, age_days integer, monetary float8);
	\copy lifetime_customer from '$work/customers.csv' CSV
	-- as lifetimes gets them: weeks, as floats
	CREATE TABLE lifetime_bench AS
	SELECT frequency::float8, recency_days / 7.0::float8 AS recency, age_days / 7.0::float8 AS age, monetary FROM lifetime_customer;
	VACUUM (FREEZE, ANALYZE) lifetime_bench;
SQL

# processor query: seconds of processor time (user and system) of the server's
# process.
processor()
{
	psql -X -q -v ON_ERROR_STOP=1 -c 'SELECT count(frequency + recency + age + monetary) FROM lifetime_bench' \
		-c 'SET client_min_messages = log' -c 'SET max_parallel_workers_per_gather = 0' -c 'SET jit = off' \
		-c 'SET log_statement_stats = on' -c "$1" 2>&1 |
		sed -n 's/^!\t\([0-9.]*\) s user, \([0-9.]*\) s system, .*/\1 \2/p' | awk '{ print $1 + $2 }'
}

value()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

bg=$(value 'SELECT cdp.bgnbd_fit(frequency, recency, age, cdp.lifetime_options(period => $$7 days$$)) FROM lifetime_bench')
spend=$(value 'SELECT cdp.gamma_gamma_fit(frequency, monetary) FROM lifetime_bench')
some="(SELECT * FROM lifetime_bench LIMIT $pareto) AS part"

"$venv/bin/python" test/bench/lifetime_peer.py measure "$work/customers.csv" "$pareto" 2>/dev/null >"$work/peer"
peer()
{
	awk -v name="$1" '$1 == name { print $2 }' "$work/peer"
}

declare -A own
own[bgnbd_fit]=$(processor 'SELECT cdp.bgnbd_fit(frequency, recency, age) FROM lifetime_bench')
own[gamma_gamma_fit]=$(processor 'SELECT cdp.gamma_gamma_fit(frequency, monetary) FROM lifetime_bench WHERE frequency > 0')
own[pareto_nbd_fit]=$(processor "SELECT cdp.pareto_nbd_fit(frequency, recency, age) FROM $some")
own[p_alive]=$(processor "SELECT sum(cdp.p_alive('$bg', frequency, recency, age)) FROM lifetime_bench")
own[expected_purchases]=$(processor "SELECT sum(cdp.expected_purchases('$bg', 52, frequency, recency, age)) FROM lifetime_bench")
own[lifetime_value]=$(processor "SELECT sum(cdp.lifetime_value('$bg', '$spend', frequency, recency, age, monetary, 12 * 4.348214285714286, 0.1268)) FROM lifetime_bench")
own[pareto_all]=$(processor 'SELECT cdp.pareto_nbd_fit(frequency, recency, age) FROM lifetime_bench')
own[read]=$(processor 'SELECT count(frequency + recency + age + monetary) FROM lifetime_bench')

# both must come to the same model, or the comparison means nothing
for key in r alpha a b; do
	value "SELECT abs(('$bg'::jsonb->>'$key')::float8 / $(peer "bgnbd_$key") - 1) < 0.001" | grep -qx t ||
		{ echo "lifetimes comes to another model: $key is $(peer "bgnbd_$key")" >&2; exit 1; }
done

echo "$customers customers, $(value 'SELECT count(*) FROM (SELECT DISTINCT frequency, recency, age FROM lifetime_bench) AS row') distinct; reading the table: ${own[read]} s"
printf '  %-40s %10s %12s\n' 'processor seconds' cdp lifetimes
for name in bgnbd_fit gamma_gamma_fit p_alive expected_purchases lifetime_value; do
	printf '  %-40s %10.3f %12.3f\n' "$name" "${own[$name]}" "$(peer $name)"
done
printf '  %-40s %10.3f %12.3f\n' "pareto_nbd_fit of $pareto" "${own[pareto_nbd_fit]}" "$(peer pareto_nbd_fit)"
printf '  %-40s %10.3f\n' 'pareto_nbd_fit of all' "${own[pareto_all]}"

report()
{
	printf 'RATIO\t%s\t%s\t%s\t%s\n' "$1" "$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f", a / b }')" "$4" "$5"
}
report 'lifetimes / cdp.bgnbd_fit' "$(peer bgnbd_fit)" "${own[bgnbd_fit]}" 'at least' 50
report 'lifetimes / cdp.gamma_gamma_fit (reported)' "$(peer gamma_gamma_fit)" "${own[gamma_gamma_fit]}" 'at least' 1
report "lifetimes / cdp.pareto_nbd_fit, $pareto customers (reported)" "$(peer pareto_nbd_fit)" "${own[pareto_nbd_fit]}" 'at least' 1
sum_peer=$(awk -v a="$(peer p_alive)" -v b="$(peer expected_purchases)" -v c="$(peer lifetime_value)" 'BEGIN { print a + b + c }')
sum_own=$(awk -v a="${own[p_alive]}" -v b="${own[expected_purchases]}" -v c="${own[lifetime_value]}" 'BEGIN { print a + b + c }')
report 'lifetimes / cdp, P(alive), expected purchases and lifetime value' "$sum_peer" "$sum_own" 'at least' 5
# with a budget of 48 bytes for each distinct row the fit succeeds
distinct=$(value 'SELECT count(*) FROM (SELECT DISTINCT frequency, recency, age FROM lifetime_bench) AS row')
budget=$(awk -v n="$distinct" 'BEGIN { print int(48 * n / 1024) }')
if PGOPTIONS="-c maintenance_work_mem=${budget}kB" psql -X -q -A -t -c 'SELECT cdp.bgnbd_fit(frequency, recency, age) FROM lifetime_bench' >/dev/null 2>&1; then
	report 'memory of cdp.bgnbd_fit, bytes per distinct row' "$((budget * 1024))" "$distinct" 'at most' 48
else
	report 'memory of cdp.bgnbd_fit, bytes per distinct row' 49 1 'at most' 48
fi
psql -X -q -c 'DROP TABLE lifetime_bench, lifetime_customer'
