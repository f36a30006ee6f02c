# The lifetime models against the literature: the fits of CDNOW, of the donations
# and of the contract cohorts, and every value published in the tests of other
# packages.  Without CDP_DATA_DIR only what needs no data: crafted binary values.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{CDP_DATA_DIR} // "$FindBin::RealBin/../../../shared/data";
my $node = new_node('score_lifetime', settings => "max_worker_processes = 8\nmax_parallel_workers = 8\nmaintenance_work_mem = 128MB\njit = off\n");
$node->safe_psql('postgres', 'CREATE EXTENSION cdp');

sub value
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# Loads a file of the data into a table by psql, since the server may not read it.
sub load
{
	my ($table, $path, $options) = @_;
	my ($output, $errors) = ('', '');
	IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
			'-c', "\\copy $table from '$path' $options" ], '>', \$output, '2>', \$errors)
	  or BAIL_OUT("$path: $errors");
	return;
}

# Whether each figure is within its relative tolerance of what it should be.
sub near
{
	my ($name, $expected, $query) = @_;
	my @figures = split /\|/, value($query);
	my @wrong;
	for my $i (0 .. $#$expected)
	{
		my ($wanted, $tolerance) = @{ $expected->[$i] };
		push @wrong, "figure $i: $figures[$i] instead of $wanted"
		  unless abs($figures[$i] - $wanted) <= $tolerance * abs($wanted);
	}
	is(join('; ', @wrong), '', $name);
	return;
}

# The parameters of a model, its log-likelihood and whether it converged.
sub parameters
{
	my ($model, @keys) = @_;
	return join(', ', map { "(($model)::jsonb->>'$_')::float8" } @keys, 'log_likelihood');
}

SKIP:
{
	skip "no example data in $data", 22 unless -r "$data/cdnow/cdnow_sample.txt" && -r "$data/ltv/published_value_checks.csv";

	# CDNOW: from transactions to customers, as BTYD does it.
	value('CREATE TABLE line (content text); CREATE TABLE customer (id integer, x float8, t_x float8, t float8, x_star float8, m_x float8)');
	load('line', "$data/cdnow/cdnow_sample.txt", '');
	load('customer', "$data/cdnow/cdnow_sample_summary.csv", 'CSV HEADER');
	value(<<'SQL');
CREATE TABLE cdnow AS
SELECT field[2]::integer AS id, to_date(field[3], 'YYYYMMDD') AS day, field[5]::float8 AS amount
FROM (SELECT regexp_split_to_array(btrim(content), '\s+') AS field FROM line) AS line;
CREATE TABLE summary AS
SELECT id, cdp.rfm(day, amount, cdp.rfm_options(observation_end => '1997-09-30')) AS rfm, cdp.rfm_state_agg(day, amount) AS state
FROM cdnow GROUP BY id;
SQL
	is(value(<<'SQL'), '2357|t|t', 'CDNOW: frequency, recency, age and monetary value are those of BTYD');
SELECT count(*), bool_and((rfm).frequency = x AND abs((rfm).recency - t_x) < 1e-9 AND abs((rfm).age - t) < 1e-9
	AND abs(coalesce((rfm).monetary, 0) - m_x) < 1e-9), bool_and(cdp.rfm_summarize(state, '1997-09-30') = rfm)
FROM summary JOIN customer USING (id)
SQL
	is(value(q{SELECT bool_and(cdp.rfm_purchases(state, '1997-09-30', '1998-06-30') = x_star) FROM summary JOIN customer USING (id)}),
		't', 'CDNOW: the holdout, too');

	value(<<'SQL');
CREATE TABLE model AS
SELECT cdp.bgnbd_fit(rfm) AS bg, cdp.mbgnbd_fit(rfm) AS mbg, cdp.pareto_nbd_fit(rfm) AS pareto, cdp.gamma_gamma_fit(rfm) AS spend FROM summary;
SQL
	my $close = 1e-5;
	near('CDNOW: BG/NBD',
		[ [ .2425945, $close ], [ 4.4136023, $close ], [ .7929220, $close ], [ 2.4259066, $close ], [ -9582.42921, 1e-6 / 9582 * 10 ] ],
		'SELECT ' . parameters('bg', 'r', 'alpha', 'a', 'b') . ' FROM model');
	near('CDNOW: MBG/NBD',
		[ [ .5248431, $close ], [ 6.1830848, $close ], [ .8913595, $close ], [ 1.6140026, $close ], [ -9582.13572, 1e-9 ] ],
		'SELECT ' . parameters('mbg', 'r', 'alpha', 'a', 'b') . ' FROM model');
	near('CDNOW: Pareto/NBD',
		[ [ .5532770, $close ], [ 10.5776832, $close ], [ .6062401, $close ], [ 11.6687397, 1e-4 ], [ -9594.97617894, 1e-10 ] ],
		'SELECT ' . parameters('pareto', 'r', 'alpha', 's', 'beta') . ' FROM model');
	near('CDNOW: Gamma-Gamma',
		[ [ 6.24957161, $close ], [ 3.74422481, $close ], [ 15.44352343, $close ], [ -4055.917694802, 1e-10 ] ],
		'SELECT ' . parameters('spend', 'p', 'q', 'v') . ' FROM model');
	near('CDNOW: standard errors',
		[ [ .012557, 1e-4 ], [ .378224, 1e-4 ], [ .185733, 1e-4 ], [ .705409, 1e-4 ], [ .047628, 1e-4 ], [ .84272, 1e-4 ], [ .187279, 1e-4 ], [ 6.211027, 1e-4 ], [ 1.19006, 1e-4 ], [ .290133, 1e-4 ], [ 4.15942, 1e-4 ], [ .1139, 1e-3 ] ],
		q{SELECT } . join(', ', (map { "bg::jsonb->'standard_errors'->>'$_'" } qw(r alpha a b)), (map { "pareto::jsonb->'standard_errors'->>'$_'" } qw(r alpha s beta)),
			(map { "spend::jsonb->'standard_errors'->>'$_'" } qw(p q v)), "spend::jsonb->>'correlation'") . ' FROM model');
	is(value(q{SELECT bool_and((m::jsonb->>'converged')::boolean AND (m::jsonb->>'gradient_norm')::float8 < 1e-8) FROM model, unnest(ARRAY[bg, mbg, pareto, spend]) AS m}),
		't', 'CDNOW: all of them converged');
	near('CDNOW: purchases expected in the holdout',
		[ [ 1653.4, 1e-4 ], [ 1576.7, 1e-4 ], [ 1665.5, 1e-4 ] ],
		q{SELECT } . join(', ', map { "sum(cdp.expected_purchases($_, '39 weeks', rfm))" } qw(bg mbg pareto)) . ' FROM model, summary');
	near('CDNOW: discounted purchases and value, Pareto/NBD',
		[ [ 3.05708, 2e-5 ], [ 261531.6, 2e-6 ] ],
		# the figures take a year as 52 weeks
		q{SELECT avg(v), sum(v * cdp.expected_spend(spend, rfm)) FROM (SELECT spend, rfm, cdp.discounted_purchases(pareto, rfm, 1.15 ^ (365.25 / 364) - 1) AS v FROM model, summary) AS valued});
	near('CDNOW: value of 12 months, as lifetimes counts it',
		[ [ 71507.95, 1e-6 ] ],
		q{SELECT sum(cdp.lifetime_value(bg, spend, x, t_x, t, m_x, 12 * 4.345, 1.01 ^ 12 - 1)) FROM customer, (SELECT spend FROM model) AS model, (SELECT cdp.bgnbd_fit(x, t_x, t, cdp.lifetime_options(period => interval '30.4375 days' / 4.345)) AS bg FROM customer) AS fit});
	my $auc = sub {
		my ($score) = @_;
		return value(<<"SQL");
SELECT round(((sum(middle) FILTER (WHERE bought) - n * (n + 1) / 2.0) / (n * (count(*) - n)))::numeric, 3)
FROM (SELECT bought, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS middle, count(*) FILTER (WHERE bought) OVER () AS n
	FROM (SELECT $score AS score, x_star > 0 AS bought FROM summary JOIN customer USING (id), model) AS scored) AS ranked
GROUP BY n
SQL
	};
	is($auc->('cdp.p_alive(bg, rfm)'), '0.316', 'CDNOW: P(alive) of BG/NBD is no churn score');
	is($auc->('cdp.p_alive(mbg, rfm)'), '0.687', 'CDNOW: that of MBG/NBD is one');
	is($auc->('cdp.p_alive(pareto, rfm)'), '0.726', 'CDNOW: and that of Pareto/NBD');
	is($auc->("cdp.expected_purchases(bg, '39 weeks', rfm)"), '0.773', 'CDNOW: expected purchases rank well');
	cmp_ok($auc->("1 - cdp.p_no_purchase(bg, '39 weeks', rfm)"), '>', 0.75, 'CDNOW: and so does the chance of no purchase');

	# the same model, whatever the order of the rows and the number of workers
	value('CREATE TABLE many AS SELECT x, t_x, t, m_x FROM customer, generate_series(1, 20); ALTER TABLE many SET (parallel_workers = 4); ANALYZE many');
	my %models;
	for my $workers (0, 2, 4)
	{
		for my $order ('many', '(SELECT * FROM many ORDER BY random() LIMIT 1e9) AS many')
		{
			my $settings = "SET max_parallel_workers_per_gather = $workers; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;";
			my $query = "SELECT cdp.bgnbd_fit(x, t_x, t), cdp.mbgnbd_fit(x, t_x, t), cdp.pareto_nbd_fit(x, t_x, t), cdp.gamma_gamma_fit(x, m_x) FROM $order";
			like(value("$settings EXPLAIN $query"), qr/Workers Planned: $workers/, "$workers workers are planned") if $workers > 0 && $order eq 'many';
			$models{ value("$settings $query") } = 1;
		}
	}
	is(scalar keys %models, 1, 'the models are the same to the last digit in any order and with 0, 2 and 4 workers');

	# BG/BB and sBG
	value('CREATE TABLE donor (x integer, t_x integer, n integer, weight integer); CREATE TABLE contract (id integer, recency integer, t integer, cohort text)');
	load('donor', "$data/ltv/donations_bgbb.csv", 'CSV HEADER');
	load('contract', "$data/ltv/sbg_cohorts.csv", 'CSV HEADER');
	value('CREATE TABLE donor_model AS SELECT cdp.bgbb_fit(x, t_x, n, cdp.lifetime_options(weight => weight)) AS bgbb FROM donor');
	near('donations: BG/BB',
		[ [ 1.20352251, $close ], [ .74971644, $close ], [ .65671815, $close ], [ 2.78344163, $close ], [ -33225.581274, 1e-10 ] ],
		'SELECT ' . parameters('bgbb', 'alpha', 'beta', 'gamma', 'delta') . ' FROM donor_model');
	is(value(q{SELECT cdp.bgbb_fit(x, t_x, n)::text = (SELECT bgbb::text FROM donor_model) FROM donor, generate_series(1, weight)}), 't', 'donations: weights count like rows');
	near('contracts: sBG',
		[ [ .66808839, $close ], [ 3.8060955, $close ], [ -1611.15815, 1e-8 ], [ .70407732, $close ], [ 1.18204307, $close ], [ -1680.26519, 1e-8 ] ],
		q{SELECT } . join(', ', map { my $cohort = $_; map { "max((model::jsonb->>'$_')::float8) FILTER (WHERE cohort = '$cohort')" } qw(alpha beta log_likelihood) } qw(highend regular)) .
			' FROM (SELECT cohort, cdp.sbg_fit(recency, recency < t) AS model FROM contract GROUP BY cohort) AS fits');

	# every published value
	value('CREATE TABLE published (model text, function text, inputs jsonb, value float8, recomputed float8, difference float8, tolerance text, source text)');
	load('published', "$data/ltv/published_value_checks.csv", 'CSV HEADER');
	value(<<'SQL');
CREATE TABLE computed AS
WITH given AS (
	SELECT published.*, coalesce(inputs->'params', CASE
			WHEN model = 'BG/NBD' AND function = 'BTYD walkthrough' THEN '{"r": 0.2425982, "alpha": 4.4136842, "a": 0.7929899, "b": 2.4261667}'
			WHEN model = 'BG/NBD' AND function = 'E[X(t)]' THEN '{"r": 0.2425945, "alpha": 4.4136019, "a": 0.7929199, "b": 2.4258881}'
			WHEN model = 'BG/NBD' THEN '{"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}'
			WHEN model = 'Pareto/NBD' THEN '{"r": 0.5534, "alpha": 10.5802, "s": 0.6061, "beta": 11.6562}'
			WHEN model = 'BG/BB' AND function LIKE 'BTYD%' THEN '{"alpha": 1.203507, "beta": 0.7497667, "gamma": 0.6567568, "delta": 2.783887}'
			WHEN model = 'BG/BB' AND function LIKE 'sum%' THEN '{"alpha": 1.20352251, "beta": 0.74971644, "gamma": 0.65671815, "delta": 2.78344163}'
			WHEN model = 'BG/BB' THEN '{"alpha": 1.2035, "beta": 0.7497, "gamma": 0.6567, "delta": 2.7834}'
			WHEN function LIKE '%gamma=3.80%' THEN '{"alpha": 3.80, "beta": 15.20}'
			WHEN function LIKE '%gamma=0.067%' THEN '{"alpha": 0.067, "beta": 0.267}'
			ELSE '{"alpha": 1, "beta": 1}' END::jsonb)
		|| jsonb_build_object('family', CASE model WHEN 'BG/NBD' THEN 'bgnbd' WHEN 'MBG/NBD' THEN 'mbgnbd' WHEN 'Pareto/NBD' THEN 'pareto_nbd'
			WHEN 'BG/BB' THEN 'bgbb' WHEN 'Gamma-Gamma' THEN 'gamma_gamma' ELSE 'sbg' END) AS json,
		(inputs->>'x')::float8 AS x, (inputs->>'t_x')::float8 AS t_x, coalesce(inputs->>'T', CASE WHEN model = 'BG/BB' THEN inputs->>'n' END)::float8 AS age,
		coalesce(inputs->>'t', inputs->>'m')::float8 AS horizon, (inputs->>'n')::integer AS n
	FROM published
)
SELECT given.*, CASE
		WHEN function = 'expected_purchases' THEN cdp.expected_purchases(m, horizon, x, t_x, age)
		WHEN function IN ('expected_purchases_new_customer', 'E[X(t)]') THEN cdp.expected_purchases(m, horizon, 0, 0, 0)
		WHEN function = 'P(alive)' THEN cdp.p_alive(m, x, t_x, age, coalesce(horizon, 0))
		WHEN function = 'logp' THEN cdp.customer_log_likelihood(m, x, t_x, age)
		WHEN function = 'pmf' THEN cdp.p_purchases(m, n, horizon)
		WHEN function = 'conditional_expected_average_profit' THEN cdp.expected_spend(m, x, (inputs->>'m')::float8)
		WHEN function LIKE 'E[X(t,t+39)%' THEN cdp.expected_purchases(m, 39, 2, 30.43, 38.86)
		WHEN function LIKE 'sum%' THEN (SELECT sum(weight * cdp.expected_purchases(m, 5, donor.x, donor.t_x, donor.n)) FROM donor)
		WHEN function LIKE 'P(T=t)%' THEN cdp.survival(m, (inputs->>'t')::integer - 1) - cdp.survival(m, (inputs->>'t')::integer)
		WHEN function LIKE 'DERL%' THEN cdp.residual_life(m, n, 0.1)
		WHEN inputs->>'f' = 'Expectation t=52' THEN cdp.expected_purchases(m, 52, 0, 0, 0)
		WHEN inputs->>'f' = 'PAlive cust1516' THEN cdp.p_alive(m, 26, 30.857142857142857, 31)
		WHEN inputs->>'f' = 'CET T*=52 tx=20 T=39' THEN cdp.expected_purchases(m, 52, x, 20, 39)
		WHEN inputs->>'f' = 'Expectation n=10' THEN cdp.expected_purchases(m, 10, 0, 0, 0)
		WHEN inputs->>'f' = 'CET n*=10 x=0 tx=0 n=6' THEN cdp.expected_purchases(m, 10, 0, 0, 6)
	END AS computed
FROM given, LATERAL (SELECT json::cdp.lifetime_model AS m) AS model;
SQL
	my $allowed = <<'SQL';
CASE tolerance WHEN '1e-5 abs' THEN 1e-5 WHEN '3 decimals' THEN 5e-4 WHEN '1e-3 abs' THEN 1e-3 WHEN '0 decimals' THEN 0.5
	WHEN 'atol 0.1' THEN 0.1 WHEN '1e-2' THEN 0.01 WHEN 'rtol 1e-3' THEN 0.001 * abs(value) WHEN 'rtol 1e-2?' THEN 0.01 * abs(value)
	WHEN 'print' THEN 5e-4 * abs(value) ELSE tolerance::float8 * abs(value) END
SQL
	is(value('SELECT count(*) FROM computed'), '374', 'published values: all of them are tried');
	is(value("SELECT model, function, inputs, value, computed FROM computed WHERE NOT coalesce(abs(computed - value) <= $allowed, false)"), '', 'published values: all of them come out');
	is(value(q{SELECT count(*) FROM computed WHERE inputs ? 'params' AND NOT abs(computed - recomputed) <= 1e-8 * abs(recomputed)}), '0', 'published values: those with parameters agree with the recomputed ones to 1e-8');
}

# Crafted values, as they arrive by binary COPY: an error or a sound value, never a crash.
value(<<'SQL');
CREATE TABLE stored (model cdp.lifetime_model, state cdp.rfm_state);
INSERT INTO stored
SELECT '{"family": "bgnbd", "r": 0.25, "alpha": 4.5, "a": 0.75, "b": 2.5, "period_days": 7, "log_likelihood": -10.5, "n": 3, "iterations": 7, "converged": true, "gradient_norm": 0}',
	cdp.rfm_state_agg(day, amount) FROM (VALUES (date '2026-01-01', 10.5), ('2026-02-01', 20), ('2026-02-03', -5)) AS transaction (day, amount);
SQL
sub psql_status
{
	my ($command) = @_;
	my ($output, $errors) = ('', '');
	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $command ], '>', \$output, '2>', \$errors);
	return $errors;
}
my $path = $node->basedir . '/stored.bin';
psql_status("\\copy stored TO '$path' (FORMAT binary)");
my $sound = PostgreSQL::Test::Utils::slurp_file($path);
is(psql_status("\\copy stored FROM '$path' (FORMAT binary)"), '', 'binary values are read back');
is(value('SELECT count(DISTINCT (model::text, state::text)) FROM stored'), '1', 'and are the same');
my ($errors, $lost) = (0, 0);
srand(1);
for my $round (1 .. 150)
{
	# behind the header of the file, the number of columns and a length
	my $bytes = $sound;
	for (0 .. int(rand(3)))
	{
		my $at = 25 + int(rand(length($bytes) - 27));
		substr($bytes, $at, 1) = chr(int(rand(256)));
	}
	open my $file, '>:raw', $path or die $!;
	print $file $bytes;
	close $file;
	my $said = psql_status("\\copy stored FROM '$path' (FORMAT binary)");
	$errors++ if $said ne '';
	$lost++ if $said =~ /server closed|terminated|could not connect/;
}
is($lost, 0, 'damaged binary values never crash the server');
cmp_ok($errors, '>', 50, 'and many are refused');
is(psql_status('SELECT count(model::jsonb), count(state::text), count(cdp.rfm_summarize(state, \'2026-03-01\')) FROM stored'), '', 'what was taken in can be used');

done_testing();
