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
$node->safe_psql('undisturbed', stitch_rows($all));
my $expected = fingerprint($node, 'undisturbed');
is(problems($node, 'undisturbed'), '', 'undisturbed: sound');

# A session that runs a statement and is not waited for.
sub start_session
{
	my ($statement) = @_;
	my ($in, $out, $err) = ('', '', '');
	return IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', $statement ],
		'<', \$in, '>', \$out, '2>', \$err);
}

# The stitch comes to a stop where it writes a table that another session has
# locked: what it wrote before is in the shared buffers and in the log.
for my $table ('rejected_record', 'identifier_history', 'identity_change')
{
	my $locker = start_session("BEGIN; LOCK TABLE cdp_data.$table; SELECT pg_sleep(600)");
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_locks WHERE relation = 'cdp_data.$table'::regclass AND mode = 'AccessExclusiveLock' AND granted")
	  or die "could not lock $table";
	my $stitch = start_session(stitch_rows($all));
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'cdp_data.$table'::regclass AND NOT granted")
	  or die "the stitch did not come to $table";
	$node->safe_psql('postgres', 'CHECKPOINT') if $table eq 'identifier_history';
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_locks WHERE relation = 'cdp_data.$table'::regclass AND NOT granted");
	if ($table eq 'identity_change')
	{
		# the whole server
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		# the session; the postmaster takes all others down and recovers
		kill 'KILL', $pid;
	}
	$_->finish for ($stitch, $locker);
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	is(fingerprint($node, 'postgres'), $before, "killed at $table: as before the stitch");
	is(problems($node, 'postgres'), '', "killed at $table: sound");
}

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
