# cdp.refresh_segments on a server that is killed again and again, and cancelled:
# what was written is whole passes, the next refresh does the rest, nothing is
# doubled.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_node('segments', settings => "restart_after_crash = on\n");

sub create_database
{
	my ($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	setup_identity($node, $database);
	# Three time zones are three passes.
	$node->safe_psql($database, <<'SQL');
CREATE TABLE visit AS
    SELECT i AS id, 'p' || (i * 7) % 2000 || '@example.org' AS email, 'page ' || i % 13 AS name, '2026-01-01'::timestamptz + i * interval '1 minute' AS at, i % 50 AS seconds
    FROM generate_series(1, 12000) AS i;
SELECT cdp.create_source('web', 'visit', record_key => 'id', identifiers => 'email', occurred_at => 'at', event_name => 'name', properties => 'seconds');
CALL cdp.refresh();
SELECT cdp.create_segment(format('s%s_%s', n, z), format('count(*) FILTER (WHERE event.event_name = ''page %s'') > %s OR sum(event.seconds) > %s', n, n % 3, 100 + n * 5), time_zone => z)
FROM generate_series(1, 12) AS n, unnest(ARRAY['UTC', 'Europe/Berlin', 'Asia/Tokyo']) AS z;
SELECT cdp.create_computed_trait('seconds_' || n, format('sum(event.seconds) FILTER (WHERE event.event_name = ''page %s'')', n)) FROM generate_series(1, 3) AS n;
SQL
	return;
}

# Members, values of traits, and changes that are more or fewer than members.
sub stored
{
	my ($database) = @_;
	return $node->safe_psql($database, <<'SQL');
SELECT m.segment || ' ' || count(*) || ' ' || md5(string_agg(p.email, ' ' ORDER BY p.email COLLATE "C")) FROM cdp.segment_members AS m JOIN cdp.profiles AS p USING (profile_id) GROUP BY m.segment
UNION ALL
SELECT 'traits ' || md5(string_agg(concat_ws(' ', email, seconds_1, seconds_2, seconds_3), E'\n' ORDER BY email COLLATE "C")) FROM cdp.profiles
UNION ALL
SELECT 'not one change for a member: ' || count(*) FROM (
    SELECT FROM cdp_data.segment_member AS m FULL JOIN cdp_data.segment_change AS c USING (segment_id, profile_id)
    GROUP BY segment_id, profile_id HAVING count(m.segment_id) <> 1 OR count(c.segment_id) <> 1) AS d
ORDER BY 1
SQL
}

create_database('undisturbed');
$node->safe_psql('undisturbed', 'CALL cdp.refresh_segments()');
my $expected = stored('undisturbed');
like($expected, qr/^not one change for a member: 0$/m, 'undisturbed: a change for each member');
is(scalar(() = $expected =~ /^s\d+_/mg), 36, 'undisturbed: all segments have members');

create_database('killed');
for my $round (1 .. 6)
{
	my ($in, $out, $err) = ('', '', '');
	my $session = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('killed'), '-c', 'CALL cdp.refresh_segments()' ], '<', \$in, '>', \$out, '2>', \$err);
	my $pid;
	for (1 .. 400)
	{
		$pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL cdp.refresh_segments%' AND state = 'active'");
		last if $pid ne '';
		sleep 0.005;
	}
	sleep 0.04 * $round;
	if ($pid ne '')
	{
		if ($round % 3 == 0) { kill 'KILL', $pid; }
		elsif ($round % 3 == 1) { $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)"); }
		else { $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"); }
	}
	$session->finish;
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server is gone';
	# Of each pass all is there or nothing.
	my $torn = $node->safe_psql('killed', <<'SQL');
SELECT count(*) FROM (SELECT e.time_zone FROM cdp_data.expression AS e JOIN cdp_data.expression_state AS s USING (expression_id)
    WHERE e.kind = 'segment' GROUP BY 1 HAVING count(DISTINCT s.status) > 1
    UNION ALL
    SELECT e.time_zone FROM cdp_data.expression AS e JOIN cdp_data.expression_state AS s USING (expression_id) WHERE e.kind = 'segment' AND s.status = 'new'
      AND EXISTS (SELECT FROM cdp_data.segment_member AS m WHERE m.segment_id = e.expression_id)) AS t
SQL
	is($torn, 0, "round $round: whole passes");
}
$node->safe_psql('killed', 'CALL cdp.refresh_segments()');
is(stored('killed'), $expected, 'killed: the same in the end');
is($node->safe_psql('killed', "SELECT count(*) FROM cdp_data.expression_state WHERE status <> 'ok'"), 0, 'killed: all evaluated');

$node->stop;
done_testing();
