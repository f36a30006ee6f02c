# pg_dump and restore of a database with declared traits, sources and unified
# views, custom and plain: columns, comments, rights and rows are as they were,
# what others built on the views goes on, and so does the work.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('profile_dump');
my $folder = PostgreSQL::Test::Utils::tempdir;
my $as_keeper = "SET SESSION AUTHORIZATION keeper; SET client_min_messages = warning; ";

$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE analyst LOGIN; CREATE DATABASE shop OWNER keeper');
$node->safe_psql('shop', 'GRANT CREATE ON SCHEMA public TO keeper');
$node->safe_psql('shop', $as_keeper . <<'SQL');
CREATE EXTENSION cdp;
SELECT cdp.setup();
CREATE TABLE contact (id integer PRIMARY KEY, modified timestamptz, email text, name text, country text, score integer, prefers jsonb, since timestamptz, balance numeric);
INSERT INTO contact
SELECT i, '2024-01-01'::timestamptz + i * interval '1 minute', 'e' || i % 300 || '@example.org', 'Grüße ' || i || E'\\ \n"''', CASE i % 5 WHEN 0 THEN 'NO' WHEN 1 THEN '' ELSE 'SE' END,
       i % 7, jsonb_build_object('a', i, 'b', 'ü' || i), '2020-02-02'::timestamptz + i * interval '1 day', i / 3.0
FROM generate_series(1, 500) AS i;
CREATE TABLE visit (id integer PRIMARY KEY, at timestamptz, browser text, email text, amount numeric, path text);
INSERT INTO visit SELECT i, '2024-01-01'::timestamptz + i * interval '1 hour', 'b' || i % 400, CASE WHEN i % 3 = 0 THEN 'e' || i % 350 || '@example.org' END, i, '/' || i FROM generate_series(1, 1500) AS i;
SELECT cdp.create_trait('name', 'text', survivorship => 'longest');
SELECT cdp.create_trait('country', 'text', survivorship => 'priority', sources => ARRAY['crm', 'app'], ignore_empty => true, history => true);
SELECT cdp.create_trait('dropped', 'text');
SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified', identifiers => 'email AS email',
    traits => 'name AS name, country AS country, score AS score, prefers AS prefers, since AS since, balance AS balance');
SELECT cdp.create_source('web', 'visit', record_key => 'id', occurred_at => 'at', observed_at => 'at', event_name => $$ 'visit' $$, identifiers => 'browser AS anonymous_id, email AS email',
    properties => 'amount AS amount, path AS "the path"');
SELECT cdp.drop_trait('dropped');
CALL cdp.refresh();
SELECT cdp.rename_trait('score', 'Points');
SELECT cdp.identify('{"email": "e1@example.org", "crm_id": "c1"}', 'app', '1', '2024-05-05', traits => '{"country": "FI", "free": [1, null]}');
SELECT cdp.grant_access('analyst', 'reader');
CREATE VIEW nordic AS SELECT profile_id, name, "Points" FROM cdp.profiles WHERE country = 'NO';
SQL

# What the views are and show.
sub shape
{
	my ($database) = @_;
	return $node->safe_psql($database, <<'SQL');
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid IN ('cdp.profiles'::regclass, 'cdp.events'::regclass, 'cdp.profile_values'::regclass, 'cdp.traits'::regclass) AND a.attnum > 0 ORDER BY c.relname, a.attnum
SQL
}

sub rows
{
	my ($database) = @_;
	return $node->safe_psql($database, <<'SQL');
SELECT 'profiles', count(*), md5(string_agg(p::text, E'\n' ORDER BY profile_id)) FROM cdp.profiles p
UNION ALL SELECT 'values', count(*), md5(string_agg(p::text, E'\n' ORDER BY profile_id)) FROM cdp.profile_values p
UNION ALL SELECT 'events', count(*), md5(string_agg(p::text, E'\n' ORDER BY source, record_key)) FROM cdp.events p
UNION ALL SELECT 'traits', count(*), md5(string_agg(p::text, E'\n' ORDER BY trait)) FROM cdp.traits p
UNION ALL SELECT 'waiting', count(*), NULL FROM cdp_data.changed_profile
UNION ALL SELECT 'nordic', count(*), NULL FROM nordic ORDER BY 1
SQL
}

my ($shape, $rows) = (shape('shop'), rows('shop'));
my $person = "SELECT cdp.get_profile('email', 'e1\@example.org')";
my $profile = $node->safe_psql('shop', $person);
like($profile, qr/"FI"|"SE"/, 'there is a profile');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/shop.dump", $node->connstr('shop') ], 'pg_dump, custom');
$node->command_ok([ 'pg_dump', '-Fp', '-f', "$folder/shop.sql", $node->connstr('shop') ], 'pg_dump, plain');

for my $format ('custom', 'plain', 'owner')
{
	my $database = "restored_$format";
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER keeper");
	$node->safe_psql($database, 'GRANT CREATE ON SCHEMA public TO keeper');
	$node->command_ok($format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr($database), '-f', "$folder/shop.sql" ]
		: [ 'pg_restore', '--exit-on-error', $format eq 'owner' ? '--no-owner' : (), '-d', $node->connstr($database) . ($format eq 'owner' ? ' user=keeper' : ''), "$folder/shop.dump" ],
		"$format: restore");
	is(shape($database), $shape, "$format: the same columns, types and comments");
	is(rows($database), $rows, "$format: the same rows");
	is($node->safe_psql($database, $person), $profile, "$format: the same person");
	is($node->safe_psql($database, 'SET SESSION AUTHORIZATION analyst; SELECT count(*) > 100 FROM cdp.profiles'), 't', "$format: readers still read");

	# A superuser's restore loses the grant that CREATE EXTENSION gave.
	$node->safe_psql($database, 'GRANT CREATE ON SCHEMA cdp TO keeper');
	$node->safe_psql($database, $as_keeper . 'SELECT cdp.setup()');
	is(shape($database), $shape, "$format: setup leaves them as they are");
	$node->safe_psql($database, $as_keeper . 'CALL cdp.refresh(full_compare => true)');
	is($node->safe_psql($database, $as_keeper . 'INSERT INTO cdp_data.changed_profile VALUES (0); SELECT cdp.materialize_profiles()'), '0', "$format: deriving everybody changes nothing");
	$node->safe_psql($database, $as_keeper . <<'SQL');
UPDATE contact SET country = 'NO', modified = '2025-01-01' WHERE id = 2;
CALL cdp.refresh();
SELECT cdp.create_trait('later', 'text');
SELECT cdp.identify('{"email": "e2@example.org"}', 'app', '2', '2024-05-06', traits => '{"later": "yes"}');
CALL cdp.refresh();
SQL
	is($node->safe_psql($database, q{SELECT country, later FROM cdp.profiles WHERE profile_id = cdp.resolve('email', 'e2@example.org')}), 'NO|yes', "$format: and the work goes on");
	is($node->safe_psql($database, 'SELECT count(*) FROM nordic'), $node->safe_psql($database, q{SELECT count(*) FROM cdp.profiles WHERE country = 'NO'}), "$format: also what others built");
}

$node->stop;
done_testing();
