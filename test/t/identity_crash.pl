# A server that is killed in the middle of a stitch, several times: after the
# restart nothing is lost or doubled, and the same stitch again brings the
# partition that an undisturbed one brings.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('crash', settings => "restart_after_crash = on\n");
my $rows = 30000;
my $first = "id <= 3000";
my $all = "true";

# What it comes to undisturbed, in a database of its own.
$node->safe_psql('postgres', 'CREATE DATABASE undisturbed');
for my $database ('undisturbed', 'postgres')
{
	setup_identity($node, $database);
	create_rows($node, $database, $rows);
	$node->safe_psql($database, stitch_rows($first));
}
my $before = fingerprint($node, 'postgres');
my $start = $node->safe_psql('undisturbed', 'SELECT pg_current_wal_insert_lsn()');
$node->safe_psql('undisturbed', stitch_rows($all));
my $volume = $node->safe_psql('undisturbed', "SELECT pg_current_wal_insert_lsn() - '$start'::pg_lsn");
my $expected = fingerprint($node, 'undisturbed');
is(problems($node, 'undisturbed'), '', 'undisturbed: sound');

my $killed = 0;
for my $share (0.03, 0.1, 0.2)
{
	$start = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	my ($in, $out, $err) = ('', '', '');
	my $client = IPC::Run::start(
		[ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', stitch_rows($all) ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	wait_until_writing($node, 'undisturbed', $start, $share * $volume);
	my $pid = $node->safe_psql('undisturbed',
		"SELECT pid FROM pg_stat_activity WHERE query LIKE '%cdp.stitch(%' AND state = 'active' AND pid <> pg_backend_pid()");
	if ($share == 0.1)
	{
		# The postmaster and the session; the other children see it go.
		my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
		my @children = grep { /^\d+$/ } split /\s+/, `ps -o pid= --ppid $postmaster`;
		$node->kill9;
		kill 'KILL', $pid if $pid ne '';
		# The next postmaster does not start while the old one is there, be it as a
		# zombie, nor while one of its children still runs.
		for (1 .. 600)
		{
			last unless kill(0, $postmaster) or grep { `ps -o stat= -p $_` =~ /^[^Z\s]/ } @children;
			select(undef, undef, undef, 0.1);
		}
		# A server takes the zombie for a running one until it is reaped, which is
		# up to process 1; some never do.
		for (1 .. 100)
		{
			last unless kill 0, $postmaster;
			select(undef, undef, undef, 0.1);
		}
		unlink $node->data_dir . '/postmaster.pid' if `ps -o stat= -p $postmaster` =~ /^Z/;
		eval { $client->finish; };
		$node->start;
	}
	else
	{
		# The session; the postmaster restarts all others.
		kill 'KILL', $pid if $pid ne '';
		eval { $client->finish; };
		$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	}
	next if $pid eq '';
	$killed++;
	is(fingerprint($node, 'postgres'), $before, "killed at $share: as before the stitch");
	is(problems($node, 'postgres'), '', "killed at $share: sound");
}
cmp_ok($killed, '>=', 1, 'at least one stitch was killed half-way');

$node->safe_psql('postgres', stitch_rows($all));
is(fingerprint($node, 'postgres'), $expected, 'run again: the undisturbed partition');
is(problems($node, 'postgres'), '', 'run again: sound');
my $ids = ids($node, 'postgres');
is($node->safe_psql('postgres', 'SELECT records_new + records_changed + merges + splits FROM (' . stitch_rows($all) . ') s'),
	'0', 'and once more: nothing changes');
$node->safe_psql('postgres', 'SELECT cdp.rebuild_identities()');
is(ids($node, 'postgres'), $ids, 'rebuild: nothing changes');

# A kill right after the commit loses nothing.
$node->safe_psql('postgres', q{SELECT cdp.identify('{"crm_id": "late"}', 'late', '1', '2024-01-01')});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', q{SELECT cdp.resolve('crm_id', 'late') IS NOT NULL}), 't', 'committed is committed');
is(problems($node, 'postgres'), '', 'sound');

$node->stop;
done_testing();
