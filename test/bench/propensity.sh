#!/bin/bash
#
# Logistic regression and AUC over tables, against scikit-learn with and without
# the export of the table, and against plain SQL (by "make bench"; needs the
# variables that test/lib/server sets, and PyPI for scikit-learn, once).
#
#   CDP_BENCH_PROPENSITY_ROWS   rows of the fits (default 1000000)
#   CDP_BENCH_AUC_ROWS          rows of the AUC (default 10000000)
#   CDP_BENCH_ROUNDS            fits, and exports, of which the median counts (default 3)
#
# What is compared is processor time: that of the server's process, and for
# scikit-learn that of its process, with one thread, and of the export.  A table is
# vacuumed and read once before anything is measured: the first read of a new one
# sets hint bits and fetches it, and it would be the first fit that pays for that.

set -eu -o pipefail
. "$(dirname "${BASH_SOURCE[0]}")/functions"

rows=${CDP_BENCH_PROPENSITY_ROWS:-1000000}
auc_rows=${CDP_BENCH_AUC_ROWS:-10000000}
rounds=${CDP_BENCH_ROUNDS:-3}
peers=${CDP_BENCH_PEERS:-build/peers}
here=$(dirname "${BASH_SOURCE[0]}")

# The peers' tools, installed once.
if ! "$peers/bin/python" -c 'import sklearn, psycopg, pandas' 2>/dev/null; then
	python3 -m venv "$peers"
	"$peers/bin/pip" install --quiet --disable-pip-version-check scikit-learn 'psycopg[binary]' pandas 2>/dev/null
fi

# cpu workers statement: processor seconds of the server's process for it (with
# workers: the time on the clock, since theirs is not the process's), and what it
# prints.
cpu()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 -v workers="$1" -v statement="$2" <<-'SQL'
		SET max_parallel_workers_per_gather = :workers;
		SET parallel_setup_cost = 0;
		SET maintenance_work_mem = '2GB';
		SET work_mem = '1GB';
		SELECT pg_backend_pid() AS pid \gset
		\setenv PID :pid
		\! awk '{ print "before", ($14 + $15) / 100 }' "/proc/$PID/stat"
		SELECT 'start', extract(epoch FROM clock_timestamp());
		:statement \g /dev/null
		SELECT 'end', extract(epoch FROM clock_timestamp());
		\! awk '{ print "after", ($14 + $15) / 100 }' "/proc/$PID/stat"
	SQL
}

# seconds workers statement
seconds()
{
	cpu "$1" "$2" | awk -F '[ |]' -v workers="$1" '{ value[$1] = $2 }
		END { printf "%.3f", (workers > 0 ? value["end"] - value["start"] : value["after"] - value["before"]) }'
}

# fit workers: processor seconds of a fit, and seconds on the clock
fit()
{
	cpu "$1" "SELECT cdp.train_logit('SELECT * FROM wide', 'y')" |
		awk -F '[ |]' '{ value[$1] = $2 } END { printf "%.3f %.3f\n", value["after"] - value["before"], value["end"] - value["start"] }'
}

# column number file: the median of a column
column()
{
	awk -v column="$1" '{ print $column }' "$2" | median
}

report()
{
	printf '%-70s %9.2f s\n' "$1" "$2"
}

against()
{
	printf 'RATIO\t%s\t%s\t%s\t%s\n' "$1" "$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f", a / b }')" "$4" "$5"
}

psql -X -q -c 'CREATE EXTENSION cdp'
scratch=${CDP_SERVER_FOLDER:-/tmp}
printf 'Medians of %s. Each table is vacuumed, which sets its hint bits, and read once before.\n' "$rounds"
for columns in 20 100; do
	# a table of columns, as people have them
	psql -X -q -v ON_ERROR_STOP=1 <<-SQL
		SELECT setseed(0.5) \g /dev/null
		CREATE TABLE wide AS
		SELECT random() < 1 / (1 + exp(1.5 - x1 + x2 / 2)) AS y, s.*
		FROM (SELECT $(for i in $(seq "$columns"); do printf '%srandom() * 2 + random() AS x%d' "$([ "$i" = 1 ] || printf ', ')" "$i"; done)
			FROM generate_series(1, $rows)) s;
		VACUUM (FREEZE, ANALYZE) wide;
		ALTER TABLE wide SET (parallel_workers = 2);
		SELECT count(y) FROM wide \g /dev/null
	SQL
	: >"$scratch/alone"
	: >"$scratch/two"
	: >"$scratch/copied"
	# in turn, so that what else the machine does meets both
	for _ in $(seq "$rounds"); do
		fit 0 >>"$scratch/alone"
		fit 2 >>"$scratch/two"
		printf '%s\n' "$(seconds 0 "COPY wide TO '/dev/null'")" >>"$scratch/copied"
	done
	alone=$(column 1 "$scratch/alone")
	clock_alone=$(column 2 "$scratch/alone")
	clock_two=$(column 2 "$scratch/two")
	export_server=$(column 1 "$scratch/copied")
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$peers/bin/python" "$here/propensity_peer.py" fit "$rounds" >"$scratch/peer"
	read -r export_client lbfgs newton version <"$scratch/peer"
	report "cdp.train_logit, $rows rows of $columns columns, no workers" "$alone"
	report "  the same, time on the clock" "$clock_alone"
	report "  the same with two workers, time on the clock" "$clock_two"
	report "scikit-learn $version, lbfgs, table in memory" "$lbfgs"
	report "scikit-learn $version, newton-cholesky, table in memory" "$newton"
	report "export of the table: server and client" "$(awk -v a="$export_server" -v b="$export_client" 'BEGIN { print a + b }')"
	with_export=$(awk -v a="$export_server" -v b="$export_client" -v c="$lbfgs" -v d="$newton" 'BEGIN { print a + b + (c < d ? c : d) }')
	against "scikit-learn, the faster solver, with export / train_logit, $columns columns" "$with_export" "$alone" 'at least' 2
	against "train_logit alone / with two workers (clock), $columns columns" "$clock_alone" "$clock_two" 'at least' 1.6
	psql -X -q -c 'DROP TABLE wide'
done

psql -X -q -v ON_ERROR_STOP=1 <<-SQL
	SELECT setseed(0.5) \g /dev/null
	CREATE TABLE scored AS SELECT p AS score, random() < p AS label FROM (SELECT random() AS p FROM generate_series(1, $auc_rows)) s;
	VACUUM (FREEZE, ANALYZE) scored;
	SELECT count(label) FROM scored \g /dev/null
SQL
own=$(seconds 0 'SELECT cdp.auc(score, label) FROM scored')
binned=$(seconds 0 'SELECT cdp.binned_auc(score, label) FROM scored')
plain=$(seconds 0 'SELECT sum(pos * (below + neg / 2.0)) / (sum(pos) * sum(neg)) FROM (
	SELECT pos, neg, sum(neg) OVER (ORDER BY score ROWS UNBOUNDED PRECEDING) - neg AS below FROM (
		SELECT score, count(*) FILTER (WHERE label) AS pos, count(*) FILTER (WHERE NOT label) AS neg FROM scored GROUP BY score) g) w')
export_server=$(seconds 0 "COPY scored TO '/dev/null'")
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$peers/bin/python" "$here/propensity_peer.py" auc 1 >"$scratch/peer"
read -r export_client peer version <"$scratch/peer"
report "cdp.auc of $auc_rows rows" "$own"
report "cdp.binned_auc" "$binned"
report "plain SQL with window functions" "$plain"
report "scikit-learn $version, roc_auc_score, scores in memory" "$peer"
report "export of the scores: server and client" "$(awk -v a="$export_server" -v b="$export_client" 'BEGIN { print a + b }')"
against 'plain SQL / cdp.auc' "$plain" "$own" 'at least' 3
against 'scikit-learn with export / cdp.auc' "$(awk -v a="$export_server" -v b="$export_client" -v c="$peer" 'BEGIN { print a + b + c }')" "$own" 'at least' 3
