# ALTER EXTENSION cdp UPDATE, then cdp.setup(): what comes out is what a fresh
# installation of the newer version is, in the catalogs and in a dump.
#
# Versions that were released have their install script in test/versions, and each
# of them is brought to the present one by the scripts sql/cdp--<old>--<new>.sql.
# As long as nothing was released, a next version is made here: the present one
# with something added, changed and dropped, and the script that leads to it.  A
# second script forgets one of these, so that the comparison is seen to find it.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub write_file
{
	my ($path, $text) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $text;
	close $file;
	return;
}

# An installation of our own, to which versions can be added: a copy of the one that
# the settings of the tests name.
my $settings = slurp_file($ENV{CDP_TEMP_CONFIG} // $ENV{TEMP_CONFIG});
my ($installed) = $settings =~ m{^(?:extension_destdir = '([^':]+)|extension_control_path = '([^':]+?)/usr/share)}m ? $1 // $2 : ();
plan skip_all => 'the extension is tested where it is installed' unless defined $installed && -d $installed;
my $copy = PostgreSQL::Test::Utils::tempdir;
system('cp', '-r', "$installed/.", $copy) == 0 or die 'cp failed';
my ($control) = glob "$copy/*/*/postgresql/*/extension/cdp.control $copy/*/*/*/extension/cdp.control";
my $folder = $control =~ s{/cdp\.control\z}{}r;
my ($present) = slurp_file($control) =~ /^default_version = '(.+)'/m;
my $script = slurp_file("$folder/cdp--$present.sql");
my $guard = qq(\\echo Use "ALTER EXTENSION cdp UPDATE" to load this file. \\quit\n);

# The next version, and one whose update script leaves something out.
my $add = <<'SQL';
CREATE FUNCTION cdp.added(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN pg_catalog.upper(value);
COMMENT ON FUNCTION cdp.added(text) IS 'added by the next version';
CREATE AGGREGATE cdp.added_agg(bigint) (SFUNC = pg_catalog.int8larger, STYPE = bigint, PARALLEL = SAFE);
COMMENT ON AGGREGATE cdp.added_agg(bigint) IS 'added by the next version';
SQL
my $change = <<'SQL';
CREATE OR REPLACE FUNCTION cdp.elapsed(since timestamptz) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) since)::text;
COMMENT ON FUNCTION cdp.elapsed(timestamptz) IS 'Internal: changed by the next version';
SQL
my $drop = "DROP FUNCTION cdp.help(text);\n";
write_file("$folder/cdp--98.0.sql", "$script\n$add$change$drop");
write_file("$folder/cdp--$present--98.0.sql", "$guard$add$change$drop");
write_file("$folder/cdp--98.1.sql", "$script\n$add$change$drop");
write_file("$folder/cdp--$present--98.1.sql", "$guard$add$change");

# Released versions.
my @released;
for my $path (sort glob "$top/test/versions/cdp--*.sql")
{
	my ($version) = $path =~ /cdp--(.+)\.sql\z/;
	write_file("$folder/cdp--$version.sql", slurp_file($path));
	push @released, $version;
}

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', $settings =~ s/\Q$installed\E/$copy/gr);
$node->start;

# Everything that belongs to the extension, and the shape of the storage.
my $catalog = <<'SQL';
WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid WHERE e.extname = 'cdp' AND d.deptype = 'e')
SELECT line FROM (
	SELECT format('%s | %s', pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name)) AS line FROM member
	UNION ALL
	SELECT format('%s | %s', p.oid::regprocedure, CASE WHEN p.prokind = 'a'
		THEN (SELECT to_jsonb(a)::text FROM (SELECT aggkind, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggtranstype::regtype, agginitval FROM pg_aggregate WHERE aggfnoid = p.oid) AS a)
		ELSE pg_get_functiondef(p.oid) END)
	FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
	UNION ALL
	SELECT format('acl %s %s', p.oid::regprocedure, p.proacl) FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
	UNION ALL
	SELECT format('type %s %s %s %s %s %s', t.typname, t.typlen, t.typinput, t.typstorage, t.typcategory, t.typsubscript) FROM pg_type t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid
	UNION ALL
	SELECT format('operator %s %s %s %s', o.oid::regoperator, o.oprcode, o.oprrest, o.oprcom) FROM pg_operator o JOIN member ON classid = 'pg_operator'::regclass AND objid = o.oid AND o.oprcom = 0
	UNION ALL
	SELECT format('column %s.%s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum))
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace IN ('cdp'::regnamespace, 'cdp_data'::regnamespace) AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT format('relation %s %s %s', c.oid::regclass, c.relkind, c.relacl) FROM pg_class c WHERE c.relnamespace IN ('cdp'::regnamespace, 'cdp_data'::regnamespace)
	UNION ALL
	SELECT format('index %s', pg_get_indexdef(indexrelid)) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'cdp_data'::regnamespace
	UNION ALL
	SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'cdp_data'::regnamespace
	UNION ALL
	SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'cdp_data'::regnamespace AND NOT t.tgisinternal
) AS lines ORDER BY line COLLATE "C"
SQL

my $work = <<'SQL';
SET client_min_messages = warning;
CREATE TABLE contact (id text PRIMARY KEY, email text, country text, modified timestamptz);
INSERT INTO contact VALUES ('17', 'ann@example.com', 'GB', '2026-01-05'), ('18', 'bob@example.com', 'FR', '2026-01-05');
SELECT cdp.create_trait('country', 'text', survivorship => 'priority', sources => ARRAY['crm']);
SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified', identifiers => 'id AS crm_id, email', traits => 'country', capture => 'queue');
CALL cdp.refresh();
SELECT cdp.track('{"email": "ann@example.com"}', 'visit', '2026-01-06', '{"page": "/"}', 'web', '1');
SQL

sub dump_of
{
	my ($database) = @_;
	my ($output, $errors) = ('', '');
	IPC::Run::run([ 'pg_dump', '--schema-only', '-d', $node->connstr($database) ], '>', \$output, '2>', \$errors) or die $errors;
	# newer versions of pg_dump write a random key
	$output =~ s/^\\(?:un)?restrict .*\n//mg;
	return $output;
}

sub lines_of_one_only
{
	my ($left, $right) = @_;
	my %count;
	$count{$_}++ for split /\n/, $left;
	$count{$_}-- for split /\n/, $right;
	return join "\n", map { ($count{$_} > 0 ? '< ' : '> ') . $_ } sort grep { $count{$_} } keys %count;
}

# From one version to another; in a database that was at work before.
sub upgrade
{
	my ($from, $to) = @_;
	(my $name = "from_${from}_to_$to") =~ s/\W/_/g;
	$node->safe_psql('postgres', "CREATE DATABASE old_$name; CREATE DATABASE new_$name");
	$node->safe_psql("old_$name", "CREATE EXTENSION cdp VERSION '$from'; SELECT cdp.setup();\n$work");
	my $people = $node->safe_psql("old_$name", 'SELECT * FROM cdp.profiles ORDER BY profile_id');
	$node->safe_psql("old_$name", "ALTER EXTENSION cdp UPDATE TO '$to'; SELECT cdp.setup()");
	$node->safe_psql("new_$name", "CREATE EXTENSION cdp VERSION '$to'; SELECT cdp.setup();\n$work");
	is($node->safe_psql("old_$name", 'SELECT extversion FROM pg_extension WHERE extname = $$cdp$$'), $to, "from $from to $to: updated");
	is($node->safe_psql("old_$name", 'SELECT * FROM cdp.profiles ORDER BY profile_id'), $people, "from $from to $to: the same people");
	is(problems($node, "old_$name"), '', "from $from to $to: sound");
	$node->safe_psql("old_$name", q{INSERT INTO contact VALUES ('19', 'ann@example.com', 'IT', '2026-02-01'); CALL cdp.refresh(); SELECT cdp.rebuild_identities()});
	is(problems($node, "old_$name"), '', "from $from to $to: goes on");
	return (lines_of_one_only($node->safe_psql("old_$name", $catalog), $node->safe_psql("new_$name", $catalog)),
		lines_of_one_only(dump_of("old_$name"), dump_of("new_$name")));
}

for my $version (@released, 'next')
{
	my ($from, $to) = $version eq 'next' ? ($present, '98.0') : ($version, $present);
	my ($in_catalog, $in_dump) = upgrade($from, $to);
	is($in_catalog, '', "from $from to $to: the catalogs of a fresh installation");
	is($in_dump, '', "from $from to $to: the dump of a fresh installation");
}

my ($in_catalog) = upgrade($present, '98.1');
like($in_catalog, qr/^< function cdp\.help\(text\)/m, 'a script that forgets to drop a function is found');

$node->stop;
done_testing();
