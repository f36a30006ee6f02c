# Eight clients identify, stitch, retract, resolve and label overlapping
# identifiers at once, at each isolation level.  Serialization failures and
# deadlocks are retried by pgbench; every other error fails the test.  In the
# end the storage is sound and its partition is that of a rebuild.
#
# CDP_STRESS_SECONDS sets how long each isolation level runs (default 8), and
# CDP_STRESS_PEOPLE how many crm_ids there are (default 60; the fewer, the hotter).

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{CDP_STRESS_SECONDS} // 8;
my $people = $ENV{CDP_STRESS_PEOPLE} // 60;
my ($addresses, $devices, $keys) = (int($people * 4 / 3), int($people * 5 / 6) + 1, $people * 5);
my $half = int($people / 2) - 1;
my $node = new_node('stress', settings => "deadlock_timeout = '20ms'\nmax_connections = 30\n");
setup_identity($node);
$node->safe_psql('postgres', <<'SQL');
SELECT cdp.alter_namespace('device_id', max_links => 3);
SELECT cdp.alter_namespace('email', max_links => 2);
SQL

my $folder = PostgreSQL::Test::Utils::tempdir;
my %scripts = (
	# one record of few identifiers
	identify => [ 10, <<"SQL" ],
\\set c random(1, $people)
\\set e random(1, $addresses)
\\set d random(1, $devices)
\\set k random(1, $keys)
\\set t random(0, 9)
SELECT cdp.identify(jsonb_build_object('crm_id', 'c' || :c, 'email', 'e' || :e || '\@example.org'), 'crm', 'k' || :k, '2024-01-01'::timestamptz + :t * interval '1 day');
SQL
	device => [ 10, <<"SQL" ],
\\set e random(1, $addresses)
\\set d random(1, $devices)
\\set k random(1, $keys)
SELECT cdp.identify(jsonb_build_object('email', 'e' || :e || '\@example.org', 'device_id', 'd' || :d), 'web', 'k' || :k, NULL);
SQL
	# two in one transaction, which is where deadlocks come from
	two => [ 4, <<"SQL" ],
\\set c random(1, $people)
\\set d random(1, $devices)
\\set e random(1, $addresses)
\\set k random(1, $keys)
\\set l random(1, $keys)
BEGIN;
SELECT cdp.identify(jsonb_build_object('crm_id', 'c' || :c, 'device_id', 'd' || :d), 'app', 'k' || :k, '2024-01-02');
SELECT cdp.identify(jsonb_build_object('email', 'e' || :e || '\@example.org', 'loyalty_id', 'l' || :c), 'app', 'k' || :l, '2024-01-03');
COMMIT;
SQL
	# new identifiers all the time
	fresh => [ 4, <<"SQL" ],
\\set n random(1, 3000)
\\set m random(1, 3000)
\\set e random(1, $addresses)
SELECT cdp.identify(jsonb_build_object('crm_id', 'n' || :n, 'anonymous_id', jsonb_build_array('a' || :m, 'a' || :n)), 'fresh', 'k' || :n, '2024-01-01');
SQL
	stitch => [ 3, <<"SQL" ],
\\set s random(1, 1000000)
SELECT * FROM cdp.stitch('pos', format('SELECT ''k'' || (%1\$s + i * 7) %% $keys AS record_key, ''2024-01-01''::timestamptz + i * interval ''1 hour'' AS observed_at, CASE WHEN i %% 2 = 0 THEN ''c'' || (%1\$s + i * 13) %% $people END AS crm_id, ''e'' || (%1\$s * i) %% $addresses || ''\@example.org'' AS email, CASE WHEN i %% 3 = 0 THEN ''d'' || (%1\$s + i) %% $devices END AS device_id FROM generate_series(1, 8) i', :s));
SQL
	retract => [ 5, <<"SQL" ],
\\set k random(1, $keys)
\\set s random(0, 3)
SELECT cdp.retract(('{crm,web,app,pos}'::text[])[:s + 1], 'k' || :k);
SQL
	resolve => [ 6, <<"SQL" ],
\\set e random(1, $addresses)
SELECT cdp.canonical_id(cdp.resolve('email', 'e' || :e || '\@example.org'));
SQL
	# the rules change, and all is derived again
	rule => [ 1, <<"SQL" ],
\\set d random(1, $devices)
\\set w random(0, 3)
SELECT CASE :w WHEN 0 THEN cdp.block_identifier('device_id', 'd' || :d, 'stress') IS NOT NULL
               WHEN 3 THEN cdp.rebuild_identities() IS NOT NULL
               ELSE cdp.unblock_identifier('device_id', 'd' || :d) IS NOT NULL END;
SQL
	# labels that cannot contradict each other
	label => [ 1, <<"SQL" ],
\\set a random(0, $half)
\\set b random(0, $half)
\\set w random(0, 3)
SELECT CASE :w WHEN 0 THEN cdp.cannot_link('crm_id', 'c' || 2 * :a, 'crm_id', 'c' || 2 * :b + 1, 'stress') IS NOT NULL
               WHEN 1 THEN cdp.must_link('crm_id', 'c' || 2 * :a, 'email', 'e' || 2 * :a || '\@example.org', 'stress') IS NOT NULL
               WHEN 2 THEN cdp.remove_label('crm_id', 'c' || 2 * :a, 'crm_id', 'c' || 2 * :b + 1) IS NOT NULL
               ELSE cdp.remove_label('crm_id', 'c' || 2 * :a, 'email', 'e' || 2 * :a || '\@example.org') IS NOT NULL END;
SQL
);
my @files;
for my $name (sort keys %scripts)
{
	append_to_file("$folder/$name.sql", $scripts{$name}[1]);
	push @files, '-f', "$folder/$name.sql\@$scripts{$name}[0]";
}

for my $level ('read committed', 'repeatable read', 'serializable')
{
	local $ENV{PGOPTIONS} = "-c default_transaction_isolation=" . $level =~ s/ /\\ /r;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[
			'pgbench', '-n', '-c', 8, '-j', 2, '-T', $seconds, '--max-tries', 1000, '--verbose-errors', '--failures-detailed',
			'-h', $node->host, '-p', $node->port, @files, 'postgres'
		],
		'>', \$out, '2>', \$err);
	my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
	my ($failed) = $out =~ /number of failed transactions: (\d+)/;
	my ($retried) = $out =~ /number of transactions retried: (\d+)/;
	cmp_ok($transactions // 0, '>', 100, "$level: transactions went through");
	is($failed // 'unknown', 0, "$level: no transaction failed for good");
	# what is no serialization failure aborts a client
	unlike($err, qr/aborted|ERROR:  (?!could not serialize|deadlock)/, "$level: no other error")
	  or diag(substr($err, -3000));
	note("$level: $transactions transactions, " . ($retried // 0) . ' of them retried');
	is(problems($node, 'postgres'), '', "$level: sound");
	my $people = fingerprint($node, 'postgres');
	my $ids = ids($node, 'postgres');
	$node->safe_psql('postgres', 'SELECT cdp.refresh_identities(); SELECT cdp.rebuild_identities()');
	is(fingerprint($node, 'postgres'), $people, "$level: the partition of a rebuild");
	is(ids($node, 'postgres'), $ids, "$level: rebuild changes no id");
}

unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'no crash');
$node->stop;
done_testing();
