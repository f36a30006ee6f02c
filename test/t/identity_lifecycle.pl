# The extension's life around a stitch: cancelled calls leave nothing, DROP
# EXTENSION is blocked by the storage and the views, teardown precedes it, and
# kept storage is taken up again.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('lifecycle');
setup_identity($node);
create_rows($node, 'postgres', 20000);
$node->safe_psql('postgres', stitch_rows('id <= 1000'));
my $people = fingerprint($node, 'postgres');
my $ids = ids($node, 'postgres');

# Cancelled at ever later moments, until it goes through.
my ($cancelled, $finished) = (0, 0);
for (my $limit = 5; $limit < 120000; $limit = int($limit * 2.2))
{
	my ($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = $limit; " . stitch_rows('true'));
	if ($status == 0)
	{
		$finished = 1;
		last;
	}
	like($err, qr/canceling statement due to statement timeout/, "cancelled after $limit ms");
	$cancelled++;
	is(fingerprint($node, 'postgres'), $people, 'nothing of it is left');
	is(ids($node, 'postgres'), $ids, 'ids as before');
	is(problems($node, 'postgres'), '', 'sound');
}
cmp_ok($cancelled, '>', 0, 'at least one stitch was cancelled');
ok($finished, 'and at last one went through');
is(problems($node, 'postgres'), '', 'sound');

# The same session goes on after a cancelled stitch and after a failed one.
my $session = $node->safe_psql('postgres', <<'SQL');
\set ON_ERROR_STOP 0
SET client_min_messages = fatal;
SET statement_timeout = 50;
SELECT count(*) FROM cdp.stitch('slow', 'SELECT ''1'' AS record_key, NULL::timestamptz AS observed_at, ''c1'' AS crm_id FROM pg_sleep(60)');
RESET statement_timeout;
SELECT count(*) FROM cdp.stitch('fails', 'SELECT id::text AS record_key, modified AS observed_at, (1 / (id - 10000))::text AS crm_id FROM source_row ORDER BY id');
BEGIN;
SAVEPOINT s;
SELECT cdp.identify('{"crm_id": "gone", "email": "gone@example.org"}', 'web', '1', '2024-01-01') IS NOT NULL;
ROLLBACK TO s;
SELECT cdp.resolve('crm_id', 'gone') IS NULL;
SELECT cdp.identify('{"crm_id": "stays", "email": "gone@example.org"}', 'web', '1', '2024-01-01') AS profile \gset
SELECT :profile = cdp.resolve('email', 'gone@example.org');
COMMIT;
SELECT count(*) FROM cdp.check_identities();
SQL
is($session, "t\nt\nt\n0", 'a session goes on after errors and savepoints');
$people = fingerprint($node, 'postgres');
$ids = ids($node, 'postgres');

# DROP EXTENSION
my ($status, $out, $err) = $node->psql('postgres', 'DROP EXTENSION cdp');
isnt($status, 0, 'a plain DROP EXTENSION is refused');
like($err, qr/cannot drop extension cdp because other objects depend on it/, 'with the reason');
like($node->safe_psql('postgres', 'SELECT cdp.teardown()'), qr/kept/, 'teardown keeps the data');
($status, $out, $err) = $node->psql('postgres', q{SELECT cdp.setup(); SELECT cdp.teardown(true); SELECT cdp.identify('{"crm_id": "x"}', 'a', '1', NULL)});
is($node->safe_psql('postgres', 'DROP EXTENSION cdp; SELECT count(*) > 1000 FROM cdp_data.record'), 't', 'the extension goes, the data stays');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'cdp'}), '0', 'nothing of it is left');
$node->safe_psql('postgres', 'CREATE EXTENSION cdp');
like($node->safe_psql('postgres', 'SELECT cdp.setup()'), qr/storage/, 'created again: setup takes the storage up');
is(problems($node, 'postgres'), '', 'created again: sound');
is($node->safe_psql('postgres', q{SELECT cdp.resolve('crm_id', 'stays') IS NOT NULL}), 't', 'created again: people are found');
$node->safe_psql('postgres', 'SELECT cdp.rebuild_identities()');
is(problems($node, 'postgres'), '', 'created again: sound after a rebuild');

# All of it
$node->safe_psql('postgres', 'SELECT cdp.teardown(false)');
($status, $out, $err) = $node->psql('postgres', q{SELECT cdp.resolve('crm_id', 'c1')});
like($err, qr/HINT:.*cdp\.setup\(\)/, 'without storage: the hint names setup');
$node->safe_psql('postgres', 'DROP EXTENSION cdp');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname IN ('cdp', 'cdp_data')}), '0', 'nothing is left');
setup_identity($node);
$node->safe_psql('postgres', stitch_rows('id <= 100'));
is(problems($node, 'postgres'), '', 'afresh: sound');

$node->stop;
done_testing();
