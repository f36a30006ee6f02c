# IdentityTest.pm
#
# What the TAP tests of the identity graph share: servers, test data, and a
# fingerprint of the partition.

package IdentityTest;

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Exporter 'import';

our @EXPORT = qw(new_node setup_identity create_rows stitch_rows fingerprint ids problems);

# A started server.  PostgreSQL::Test::Cluster appends TEMP_CONFIG, by which the
# server finds the extension.
sub new_node
{
	my ($name, %parameters) = @_;
	my $settings = delete $parameters{settings} // '';
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%parameters, extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', "shared_buffers = 64MB\nmax_wal_size = 2GB\n$settings");
	$node->start;
	return $node;
}

sub setup_identity
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', 'CREATE EXTENSION cdp; SELECT cdp.setup();');
	return;
}

# Source rows of some 0.4 people each: two or three of a person's identifiers,
# now and then a kiosk, somebody else's e-mail address, or junk.
sub create_rows
{
	my ($node, $database, $count) = @_;
	$node->safe_psql($database, <<"SQL");
CREATE TABLE source_row AS
SELECT i AS id, '2024-01-01'::timestamptz + (h % 100000) * interval '1 minute' AS modified,
       CASE WHEN h % 3 = 0 THEN 'c' || person END AS customer,
       CASE WHEN h % 5 = 0 THEN ARRAY['e' || person || '\@example.org', 'E' || person || '\@example.org']
            WHEN h % 101 = 0 THEN ARRAY['e' || (person + 1) || '\@example.org']
            WHEN h % 2 = 0 THEN ARRAY['e' || person || '\@example.org']
            WHEN h % 97 = 0 THEN ARRAY['test\@test.com'] END AS mail,
       CASE WHEN h % 103 = 0 THEN 'kiosk' || h % 3 ELSE 'd' || person || '-' || h % 4 END AS device
FROM (SELECT i, h, (h / 7) % (2 * $count / 5) AS person
      FROM (SELECT i, hashint4(i) & 2147483647 AS h FROM generate_series(1, $count) i) x) y;
SQL
	return;
}

sub stitch_rows
{
	my ($condition) = @_;
	return "SELECT * FROM cdp.stitch('shop', 'SELECT id::text AS record_key, modified AS observed_at, customer AS crm_id, mail AS email, device AS device_id FROM source_row WHERE $condition')";
}

# The partition and the refusals, whatever the ids.
sub fingerprint
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, <<'SQL');
SELECT 'people ' || count(*) || ' ' || md5(coalesce(string_agg(people, E'\n' ORDER BY people COLLATE "C"), ''))
FROM (SELECT string_agg(namespace || ':' || value || ':' || state, ' ' ORDER BY namespace COLLATE "C", value COLLATE "C") AS people
      FROM cdp.identifiers GROUP BY profile_id) p
UNION ALL
SELECT 'links ' || count(*) || ' ' || md5(coalesce(string_agg(pair, E'\n' ORDER BY pair COLLATE "C"), ''))
FROM (SELECT concat_ws(' ', x.namespace, x.value, y.namespace, y.value, l.first_seen, l.last_seen, l.records, l.head_records, l.state) AS pair
      FROM cdp_data.link l JOIN cdp.identifiers x ON x.identifier_id = l.a JOIN cdp.identifiers y ON y.identifier_id = l.b) l
UNION ALL
SELECT 'records ' || count(*) || ' ' || md5(coalesce(string_agg(r, E'\n' ORDER BY r COLLATE "C"), ''))
FROM (SELECT concat_ws(' ', source, record_key, observed_at, first_seen) AS r FROM cdp_data.record) r
ORDER BY 1
SQL
}

# The partition with its ids.
sub ids
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, <<'SQL');
SELECT 'identifiers ' || count(*) || ' ' || md5(coalesce(string_agg(identifier_id || ' ' || profile_id, E'\n' ORDER BY identifier_id), ''))
FROM cdp.identifiers
UNION ALL
SELECT 'profiles ' || count(*) || ' ' || md5(coalesce(string_agg(p::text, E'\n' ORDER BY profile_id), '')) FROM cdp_data.profile p
UNION ALL
SELECT 'history ' || count(*) || ' ' || md5(coalesce(string_agg(h::text, E'\n' ORDER BY identifier_id, until), '')) FROM cdp_data.identifier_history h
ORDER BY 1
SQL
}

# What is unsound in the storage; nothing when all is well.
sub problems
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, 'SELECT * FROM cdp.check_identities() LIMIT 10');
}

1;
