# The background worker: windows close without anybody asking, listeners hear of
# changes, and it starts, stops, refuses and recovers as it should.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Polls the log from a place on, for at most a minute.
sub log_says
{
	my ($node, $pattern, $offset) = @_;
	for (1 .. 600)
	{
		return 1 if substr(slurp_file($node->logfile), $offset // 0) =~ $pattern;
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

sub log_size
{
	my ($node) = @_;
	return -s $node->logfile;
}

# What members there are, without asking for anything to be evaluated.
sub members
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, "SELECT string_agg(i.value, ' ' ORDER BY i.value) FROM cdp.segment_members AS m JOIN cdp.identifiers AS i USING (profile_id) WHERE m.segment = 'recent'");
}

sub visit
{
	my ($node, $database, $email, $left) = @_;
	return $node->safe_psql($database, "SELECT cdp.track('{\"email\": \"$email\"}', 'visit', now() - interval '1 day' + interval '$left', source => 'web', record_key => '$email') IS NOT NULL");
}

# ---------- without the library preloaded ----------

my $node = new_node('primary', allows_streaming => 1, settings => "max_worker_processes = 16\nlog_min_messages = info\n");
$node->safe_psql('postgres', "CREATE ROLE owner LOGIN; CREATE ROLE other LOGIN; CREATE ROLE nologin; CREATE ROLE boss SUPERUSER LOGIN");
for my $database ('shop', 'crm')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER owner");
	$node->safe_psql($database, 'CREATE EXTENSION cdp', extra_params => [ '-U', 'owner' ]);
}
# A worker goes by none of these: under it, an evaluation is put off.
$node->safe_psql('postgres', "ALTER ROLE owner IN DATABASE crm SET default_transaction_isolation = 'repeatable read'");
$node->safe_psql('shop', <<'SQL', extra_params => [ '-U', 'owner' ]);
SELECT cdp.setup();
SELECT cdp.create_segment('recent', $$ count(*) FILTER (WHERE event.event_name = 'visit' AND event.occurred_at > now() - interval '1 day') > 0 $$, refresh => 'realtime');
SQL
my ($status, $out, $err) = $node->psql('shop', 'SHOW cdp.worker_interval');
like($err, qr/unrecognized configuration parameter/, 'without preload there are no settings');
$node->append_conf('postgresql.conf', "cdp.worker_databases = 'shop:owner'");
$node->reload;
is($node->safe_psql('shop', 'SELECT cdp.version() IS NOT NULL'), 't', 'nor do such settings keep the library from being loaded');
is(visit($node, 'shop', 'ann@example.org', '0 seconds'), 't', 'and it works');
is($node->safe_psql('shop', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cdp worker%'"), '0', 'without preload there are no workers');

# ---------- with it ----------

# What is installed is found as 'cdp'.  A server under test finds it elsewhere: until 17 by a patch of Debian that is
# about $libdir, from 18 on by the path of libraries, which a name with $libdir does not go through here.
my $library = $node->pg_version < 18 ? '$libdir/cdp' : 'cdp';
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$library'\ncdp.worker_interval = 1\ncdp.worker_databases = ''");
$node->restart;
is($node->safe_psql('shop', 'SHOW cdp.worker_interval'), '1s', 'preloaded, there are settings');
is($node->safe_psql('shop', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdp worker'"), '0', 'and no worker, as nothing is configured');

for my $wrong ('shop', 'shop:', ':owner', 'shop:owner,,', 'shop:owner crm:owner', '"shop:owner', 'shop:' . 'x' x 64)
{
	($status, $out, $err) = $node->psql('postgres', "ALTER SYSTEM SET cdp.worker_databases = '$wrong'");
	like($err, qr/invalid value for parameter "cdp.worker_databases"/, "refused: $wrong");
}

# Nobody is there yet to let the window close.
visit($node, 'shop', 'bob@example.org', '1 second');
is(members($node, 'shop'), 'bob@example.org', 'a window is open');
my $listener = $node->background_psql('shop');
$listener->query_safe('LISTEN cdp_segment_changes');

my $offset = log_size($node);
$node->safe_psql('postgres', q{ALTER SYSTEM SET cdp.worker_databases = 'shop:owner , "crm" : owner'});
$node->reload;
ok($node->poll_query_until('shop', "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'cdp worker' AND usename = 'owner'"), 'after a reload there is a worker for each database, with its role');
ok($node->poll_query_until('shop', "SELECT count(*) = 0 FROM cdp.segment_members"), 'the window closes by itself');
is($node->safe_psql('shop', "SELECT string_agg(change || ' ' || cause, ', ' ORDER BY changed_at) FROM cdp.segment_changes"), 'entered event, exited window', 'as a change of cause window');
ok(log_says($node, qr/cdp worker for database "crm" waits for the storage of role "owner"/, $offset), 'one waits for the storage, and says so');
$node->safe_psql('crm', <<'SQL', extra_params => [ '-U', 'owner' ]);
SELECT cdp.setup();
SELECT cdp.create_segment('recent', $$ count(*) FILTER (WHERE event.event_name = 'visit' AND event.occurred_at > now() - interval '1 day') > 0 $$, refresh => 'realtime');
SQL
visit($node, 'crm', 'cleo@example.org', '1 second');
ok($node->poll_query_until('crm', "SELECT count(*) = 0 FROM cdp.segment_members"), 'and finds it when it is there');
is($node->safe_psql('crm', 'SELECT count(*) FROM cdp.segment_changes'), '2', 'the window was open before');

# A notification for each segment that changed, whoever changed it, and no value of a person.
my $heard = '';
for (1 .. 100)
{
	$heard .= $listener->query('SELECT 1');
	last if $heard =~ /"recent"/;
	select(undef, undef, undef, 0.1);
}
like($heard, qr/Asynchronous notification "cdp_segment_changes" with payload "recent" received/, 'listeners hear of the segment');
unlike($heard, qr/bob/, 'and of nobody in it');
visit($node, 'shop', 'dan@example.org', '1 hour');
$heard = '';
for (1 .. 100)
{
	$heard .= $listener->query('SELECT 1');
	last if $heard =~ /"recent"/;
	select(undef, undef, undef, 0.1);
}
like($heard, qr/with payload "recent"/, 'also of what a writer changed');
$listener->quit;

# ---------- errors ----------

# A worker that is killed, or runs into an error, goes on.
$offset = log_size($node);
my $pid = $node->safe_psql('shop', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdp worker' AND datname = 'shop'");
$node->safe_psql('shop', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('shop', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'cdp worker' AND datname = 'shop' AND pid <> $pid"), 'one that was stopped is started again');
$node->safe_psql('shop', 'ALTER TABLE cdp_data.expression_due RENAME TO hidden', extra_params => [ '-U', 'owner' ]);
$node->safe_psql('shop', 'CREATE TABLE cdp_data.expression_due (profile_id bigint)', extra_params => [ '-U', 'owner' ]);
ok(log_says($node, qr/ERROR:  (?:column .*due_at does not exist|relation "cdp_data.expression_due)/, $offset), 'an error is logged');
$pid = $node->safe_psql('shop', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdp worker' AND datname = 'shop'");
$node->safe_psql('shop', 'DROP TABLE cdp_data.expression_due', extra_params => [ '-U', 'owner' ]);
$node->safe_psql('shop', 'ALTER TABLE cdp_data.hidden RENAME TO expression_due', extra_params => [ '-U', 'owner' ]);
visit($node, 'shop', 'eve@example.org', '1 second');
ok($node->poll_query_until('shop', "SELECT string_agg(i.value, ' ') = 'dan\@example.org' FROM cdp.segment_members AS m JOIN cdp.identifiers AS i USING (profile_id)"), 'and the next look is as usual');
is($node->safe_psql('shop', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cdp worker' AND datname = 'shop'"), $pid, 'by the same process');

# ---------- whom it refuses ----------

# Whoever made the cluster is called like the user who runs the tests.
my $first = $node->safe_psql('postgres', 'SELECT rolname FROM pg_roles WHERE oid = 10');
$offset = log_size($node);
$node->safe_psql('postgres', "ALTER SYSTEM SET cdp.worker_databases = 'shop:boss, crm:$first, shop:other, shop:nologin, shop:missing, nowhere:owner'");
$node->reload;
ok(log_says($node, qr/cdp worker for database "shop" does not run as superuser "boss"/, $offset), 'no superuser');
ok(log_says($node, qr/cdp worker for database "crm" does not run as superuser "\Q$first\E"/, $offset), 'nor the bootstrap superuser');
ok(log_says($node, qr/cdp worker for database "shop": role "other" does not own the storage/, $offset), 'nobody who does not own the storage');
ok(log_says($node, qr/role "nologin" is not permitted to log in/, $offset), 'nobody who may not log in');
ok(log_says($node, qr/role "missing" does not exist/, $offset), 'nobody who does not exist');
ok(log_says($node, qr/database "nowhere" does not exist/, $offset), 'no database that does not exist');
ok($node->poll_query_until('shop', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'cdp worker' AND usename = 'owner'"), 'those that are no longer configured have ended');
$node->safe_psql('postgres', "ALTER SYSTEM SET cdp.worker_databases = ''");
$node->reload;
ok($node->poll_query_until('shop', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'cdp worker'"), 'and all have, when none is');

# ---------- a standby ----------

$node->safe_psql('postgres', "ALTER SYSTEM SET cdp.worker_databases = 'shop:owner'");
$node->reload;
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('shop', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cdp worker%'"), '0', 'a standby has no workers');
$offset = log_size($node);
$node->stop('fast');
my $log = substr(slurp_file($node->logfile), $offset);
unlike($log, qr/PANIC|terminated by signal|exited with exit code [2-9]/, 'a server with workers stops as it should');
$standby->promote;
ok($standby->poll_query_until('shop', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'cdp worker'"), 'when it is promoted, there is one');
visit($standby, 'shop', 'fay@example.org', '1 second');
ok($standby->poll_query_until('shop', "SELECT string_agg(i.value, ' ') = 'dan\@example.org' FROM cdp.segment_members AS m JOIN cdp.identifiers AS i USING (profile_id)"), 'and windows close');
$standby->stop;
done_testing();
