# A physical standby answers what reads, and refuses what writes with
# PostgreSQL's own error.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', allows_streaming => 1);
setup_identity($primary);
create_rows($primary, 'postgres', 2000);
$primary->safe_psql('postgres', stitch_rows('id <= 1000'));

$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', stitch_rows('true'));
my $moment = $primary->safe_psql('postgres', 'SELECT clock_timestamp()');
$primary->safe_psql('postgres', <<'SQL');
SELECT cdp.identify('{"crm_id": "ann", "email": "ann@example.org"}', 'web', '1', '2024-01-01');
SELECT cdp.identify('{"email": "ann@example.org", "device_id": "dann"}', 'web', '2', '2024-01-01');
SELECT cdp.identify('{"crm_id": "bob", "email": "ann@example.org"}', 'web', '3', '2024-01-02');
SELECT cdp.cannot_link('crm_id', 'ann', 'crm_id', 'bob', 'twins');
SQL
$primary->wait_for_catchup($standby);

is(fingerprint($standby, 'postgres'), fingerprint($primary, 'postgres'), 'the same people');
for my $query (
	"SELECT cdp.resolve('crm_id', 'ann')",
	"SELECT cdp.resolve('crm_id', 'nobody') IS NULL",
	"SELECT cdp.resolve_at('crm_id', 'ann', '$moment') IS NULL",
	"SELECT cdp.resolve_at('crm_id', 'c3', '$moment')",
	"SELECT cdp.canonical_id(cdp.resolve('crm_id', 'ann'))",
	"SELECT * FROM cdp.profile_identifiers(cdp.resolve('crm_id', 'ann')) ORDER BY 1, 2",
	"SELECT * FROM cdp.explain_link('crm_id', 'ann', 'device_id', 'dann')",
	"SELECT * FROM cdp.explain_refusals(cdp.resolve('crm_id', 'bob'))",
	'SELECT count(*) FROM cdp.identifiers',
	'SELECT count(*) FROM cdp.identity_changes',
	'SELECT count(*) FROM cdp.rejected_records',
	'SELECT count(*) FROM cdp.namespaces',
	'SELECT * FROM cdp.options ORDER BY 1',
	'SELECT kind, namespace_1, value_1, namespace_2, value_2 FROM cdp.labels',
	'SELECT * FROM cdp.check_identities()',
	'SELECT count(*) FROM cdp.profiles',
	'SELECT count(*) FROM cdp.events',
	q{SELECT cdp.get_profile('crm_id', 'ann')},
	'SELECT "check", severity, detail FROM cdp.health')
{
	is($standby->safe_psql('postgres', $query), $primary->safe_psql('postgres', $query), $query);
}
isnt($standby->safe_psql('postgres', "SELECT cdp.resolve('crm_id', 'ann')"), '', 'resolve finds a person');

for my $query (
	q{SELECT cdp.identify('{"crm_id": "new"}', 'web', '9', '2024-01-01')},
	# of a known, unchanged record too
	q{SELECT cdp.identify('{"crm_id": "ann", "email": "ann@example.org"}', 'web', '1', '2024-01-01')},
	stitch_rows('true'),
	q{SELECT cdp.retract('web', '1')},
	q{SELECT cdp.must_link('crm_id', 'ann', 'device_id', 'x', 'why')},
	q{SELECT cdp.block_identifier('crm_id', 'ann')},
	q{SELECT cdp.create_namespace('more')},
	'SELECT cdp.rebuild_identities()',
	'CALL cdp.refresh()',
	q{SELECT cdp.track('{"crm_id": "ann"}', 'visit', '2024-01-01', '{}', 'web', '10')})
{
	my ($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$query");
	like($err, qr/ERROR:  25006: cannot execute .* in a read-only transaction|ERROR:  25006: cannot .* during recovery|ERROR:  55000: .*recovery/,
		'refused: ' . substr($query, 0, 60));
}

# Identifications go on after a promotion.
$standby->promote;
is($standby->safe_psql('postgres', q{SELECT cdp.identify('{"crm_id": "new"}', 'web', '9', '2024-01-01') IS NOT NULL}), 't', 'after promotion: identify');
is(problems($standby, 'postgres'), '', 'after promotion: sound');

$standby->stop;
$primary->stop;
done_testing();
