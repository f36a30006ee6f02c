# Real time under concurrency: writers of the same few people, by every way in,
# beside evaluations for everybody and windows that close.  When all is quiet,
# membership must be what the compiled statements give, without a further refresh.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('realtime', settings => "max_locks_per_transaction = 128\ndeadlock_timeout = 100ms\nlog_min_error_statement = panic\n");
setup_identity($node);
$node->safe_psql('postgres', <<'SQL');
SELECT cdp.create_trait('country', 'text');
SELECT cdp.create_computed_trait('purchases', $$ count(*) FILTER (WHERE event.event_name = 'purchase') $$, refresh => 'realtime');
SELECT cdp.create_segment('buyers', $$ profile.purchases >= 4 $$, refresh => 'realtime');
SELECT cdp.create_segment('even', $$ count(*) FILTER (WHERE event.event_name = 'visit') % 2 = 0 $$, refresh => 'realtime');
SELECT cdp.create_segment('recent', $$ count(*) FILTER (WHERE event.event_name = 'visit' AND event.occurred_at > now() - interval '1 day') > 2 $$, refresh => 'realtime');
SELECT cdp.create_segment('french', $$ profile.country = 'FR' AND NOT segment.buyers $$, refresh => 'realtime', include_anonymous => false);
SELECT cdp.create_segment('frequent', $$ profile.event_count > 6 $$, refresh => 'realtime');
SELECT cdp.create_segment('batch', $$ profile.purchases >= 2 $$);
CREATE TABLE shop_order (id int PRIMARY KEY, email text, at timestamptz, what text);
SELECT cdp.create_source('orders', 'shop_order', record_key => 'id', occurred_at => 'at', event_name => 'what', identifiers => 'email', capture => 'immediate');
SQL
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/../property/realtime.sql"));

my $script = $node->basedir . '/writers.pgbench';
append_to_file($script, <<'SQL');
\set what random(1, 12)
\set person random(1, 15)
\set other random(1, 15)
\set key random(1, 300)
\set ago random(0, 2000)
BEGIN;
\if :what <= 5
SELECT cdp.track(jsonb_build_object('email', 'p' || :person || '@example.org'), (ARRAY['purchase', 'visit', 'visit', 'view', 'other'])[:what], clock_timestamp() - interval '1 day' + (:ago - 500) * interval '1 millisecond', source => 'web', record_key => 'e' || :key, observed_at => clock_timestamp());
\elif :what = 6
SELECT cdp.track(jsonb_build_object('email', 'p' || :person || '@example.org', 'anonymous_id', 'a' || :other), 'visit', clock_timestamp(), source => 'web', record_key => 'e' || :key, observed_at => clock_timestamp());
\elif :what = 7
SELECT cdp.track(jsonb_build_object('anonymous_id', 'a' || :other), 'purchase', clock_timestamp(), source => 'web', record_key => 'e' || :key, observed_at => clock_timestamp());
\elif :what = 8
SELECT cdp.identify(jsonb_build_object('email', 'p' || :person || '@example.org'), 'crm', 'r' || :person, clock_timestamp(), jsonb_build_object('country', (ARRAY['FR', 'DE'])[1 + :other % 2]));
\elif :what = 9
SELECT cdp.retract('web', 'e' || :key);
\elif :what = 10
INSERT INTO shop_order VALUES (:key, 'p' || :person || '@example.org', now(), 'purchase') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email;
\elif :what = 11
DELETE FROM shop_order WHERE id = :key;
\else
-- of two people, in any order
SELECT cdp.track(jsonb_build_object('email', 'p' || :person || '@example.org'), 'visit', clock_timestamp(), source => 'web', record_key => 'e' || :key, observed_at => clock_timestamp());
SELECT cdp.track(jsonb_build_object('email', 'p' || :other || '@example.org'), 'purchase', clock_timestamp(), source => 'web', record_key => 'f' || :key, observed_at => clock_timestamp());
\endif
COMMIT;
SQL
my $beside = $node->basedir . '/beside.pgbench';
append_to_file($beside, "\\set what random(1, 3)\n\\if :what = 1\nCALL cdp.refresh_segments();\n\\elif :what = 2\nCALL cdp.refresh();\n\\else\nCALL cdp.expire_segments();\n\\endif\n\\sleep 100 ms\n");

for my $round ('writers', 'writers beside refreshes')
{
	my @handles;
	if ($round ne 'writers')
	{
		push @handles, IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-T', 6, '--max-tries=100', '-f', $beside, $node->connstr('postgres') ], '>', $node->basedir . '/beside.log', '2>', $node->basedir . '/beside.err');
	}
	ok($node->run_log([ 'pgbench', '-n', '-c', 5, '-j', 2, '-T', 6, '--max-tries=1000', '-f', $script, $node->connstr('postgres') ]), "$round: none fails");
	$_->finish for @handles;
	if (@handles)
	{
		unlike(slurp_file($node->basedir . '/beside.err'), qr/ERROR|aborted/, "$round: nor does a refresh");
	}
	# Whoever was being written when windows closed, and the last windows.
	sleep 2;
	$node->safe_psql('postgres', 'CALL cdp.expire_segments()');
	is($node->safe_psql('postgres', 'SELECT * FROM wrong(without_failed => false)'), '', "$round: everybody is where they belong");
	is($node->safe_psql('postgres', "SELECT count(*) FROM cdp_data.segment_member AS m JOIN cdp_data.profile AS p USING (profile_id) JOIN cdp_data.expression AS e ON e.expression_id = m.segment_id WHERE p.state = 'r' AND e.is_realtime"), '0', "$round: nobody who retired is a member");
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT c.is_entry, lag(c.is_entry) OVER (PARTITION BY c.segment_id, c.profile_id ORDER BY c.change_id) AS before FROM cdp_data.segment_change AS c) AS s WHERE s.is_entry = COALESCE(s.before, false)"), '0', "$round: each change takes a person in or out, in turn");
	is($node->safe_psql('postgres', "SELECT count(*) FROM cdp_data.expression_state WHERE status = 'failed'"), '0', "$round: no expression failed");
	is($node->safe_psql('postgres', "SELECT count(*) FROM cdp.rejected_records WHERE reason = 'capture_failed'"), '0', "$round: no capture failed");
	cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM cdp_data.segment_change'), '>', 100, "$round: enough happened");
}
is(problems($node, 'postgres'), '', 'the identities are sound');
$node->stop;
done_testing();
