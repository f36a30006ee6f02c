# pg_dump and restore of a database with identities, custom and plain, by a
# superuser; the extension and the storage belong to the owner of the database,
# who is none.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dump');
my $folder = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE keeper LOGIN;
CREATE DATABASE shop OWNER keeper;
SQL
$node->safe_psql('shop', 'SET SESSION AUTHORIZATION keeper; CREATE EXTENSION cdp; SELECT cdp.setup();');
create_rows($node, 'shop', 2000);
$node->safe_psql('shop', 'ALTER TABLE source_row OWNER TO keeper');
$node->safe_psql('shop', 'SET SESSION AUTHORIZATION keeper; ' . stitch_rows('true'));
$node->safe_psql('shop', <<'SQL');
SET SESSION AUTHORIZATION keeper;
SELECT cdp.create_namespace('wallet', 'lower', priority => 3, max_links => 5);
SELECT cdp.identify('{"wallet": ["Grüße", "x\\ny\ttab"], "crm_id": "c1"}', 'wallets', E'key with \\ and \n', '2024-05-05');
SELECT cdp.cannot_link('crm_id', 'c1', 'crm_id', 'c2', 'not the same');
SELECT cdp.must_link('email', 'e3@example.org', 'crm_id', 'c4', 'the same');
SELECT cdp.retract('shop', '5');
SELECT cdp.block_identifier('device_id', 'd1-1', 'junk');
SELECT cdp.configure('max_profile_size', '5000');
SQL
is(problems($node, 'shop'), '', 'the original is sound');
my $people = fingerprint($node, 'shop');
my $ids = ids($node, 'shop');

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/shop.dump", $node->connstr('shop') ], 'pg_dump, custom');
$node->command_ok([ 'pg_dump', '-Fp', '-f', "$folder/shop.sql", $node->connstr('shop') ], 'pg_dump, plain');

for my $format ('custom', 'plain')
{
	my $database = "restored_$format";
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER keeper");
	if ($format eq 'custom')
	{
		$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr($database), "$folder/shop.dump" ], "$format: restore");
	}
	else
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr($database), '-f', "$folder/shop.sql" ],
			"$format: restore");
	}
	is(fingerprint($node, $database), $people, "$format: the same people");
	is(ids($node, $database), $ids, "$format: the same ids");
	is(problems($node, $database), '', "$format: sound");
	my $as_keeper = 'SET SESSION AUTHORIZATION keeper; ';
	$node->safe_psql($database, $as_keeper . 'SELECT cdp.rebuild_identities()');
	is(ids($node, $database), $ids, "$format: rebuild changes nothing");
	is($node->safe_psql($database, q{SELECT value FROM cdp.options WHERE name = 'max_profile_size'}), '5000', "$format: options");

	my $profile = $node->safe_psql($database, q{SELECT cdp.resolve('crm_id', 'c1')});
	is($node->safe_psql($database, $as_keeper
			. q{SELECT cdp.identify('{"crm_id": "c1", "email": "new@example.org"}', 'new', '1', '2024-06-01')}),
		$profile, "$format: a new record joins its person");
	isnt($node->safe_psql($database, $as_keeper . q{SELECT cdp.identify('{"crm_id": "fresh"}', 'new', '2', '2024-06-01')}),
		$profile, "$format: a new person gets a new id");
	is($node->safe_psql($database, $as_keeper . 'SELECT records_new FROM (' . stitch_rows("id <> 5") . ') s'),
		'0', "$format: stitching the same rows changes nothing");
	is(problems($node, $database), '', "$format: still sound");

	# A superuser's restore loses the grant that CREATE EXTENSION gave.
	my ($status, $out, $err) = $node->psql($database, $as_keeper . 'SELECT cdp.setup()');
	isnt($status, 0, "$format: setup by the owner fails");
	like($err, qr/HINT:.*GRANT CREATE ON SCHEMA cdp TO keeper/, "$format: the hint names the grant to repeat");
	$node->safe_psql($database, 'GRANT CREATE ON SCHEMA cdp TO keeper');
	like($node->safe_psql($database, $as_keeper . 'SELECT cdp.setup()'), qr/up to date/, "$format: and then it works");
}

# The owner's own restore needs no superuser.
$node->safe_psql('postgres', 'CREATE DATABASE restored_owner OWNER keeper');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--no-owner', '-d', $node->connstr('restored_owner') . ' user=keeper', "$folder/shop.dump" ],
	'restore by the owner');
is(ids($node, 'restored_owner'), $ids, 'restore by the owner: the same ids');
is(problems($node, 'restored_owner'), '', 'restore by the owner: sound');
like($node->safe_psql('restored_owner', 'SET SESSION AUTHORIZATION keeper; SELECT cdp.setup()'), qr/up to date/,
	'restore by the owner: setup works');

$node->stop;
done_testing();
