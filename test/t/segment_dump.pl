# pg_dump and restore of a database with computed traits and segments into
# another cluster, whose transactions have smaller numbers, and back again: the
# declarations, the members, and each change once for every consumer.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_node('old', settings => "autovacuum = off\n");
my $new = new_node('new', settings => "autovacuum = off\n");
my $folder = PostgreSQL::Test::Utils::tempdir;
my $as_keeper = 'SET SESSION AUTHORIZATION keeper; ';

# Transactions that write nothing but have a number.
sub burn
{
	my ($node, $count) = @_;
	$node->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1 .. $count LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
	return;
}

sub change
{
	my ($node, $database, $segment, @people) = @_;
	$node->safe_psql($database, $as_keeper . "INSERT INTO cdp_data.segment_change (segment_id, profile_id, is_entry, changed_at, cause)
		SELECT e.expression_id, $_, true, now(), 'event' FROM cdp_data.expression AS e WHERE e.kind = 'segment' AND e.name = '$segment'")
	  foreach @people;
	return;
}

sub reads
{
	my ($node, $database, $consumer, $count) = @_;
	$count //= 'NULL';
	return $node->safe_psql($database, $as_keeper . "SELECT string_agg(profile_id::text, ' ') FROM cdp.read_changes('$consumer', $count)");
}

sub copy
{
	my ($from, $to, $from_database, $to_database, $format) = @_;
	my $file = "$folder/$to_database.$format";
	$from->command_ok([ 'pg_dump', "-F$format", '-f', $file, $from->connstr($from_database) ], "dump of $from_database");
	$to->safe_psql('postgres', "CREATE DATABASE $to_database OWNER keeper");
	if ($format eq 'c')
	{
		$to->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $to->connstr($to_database), $file ], "restore of $to_database");
	}
	else
	{
		$to->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $to->connstr($to_database), '-f', $file ], "restore of $to_database");
	}
	$to->safe_psql($to_database, 'GRANT CREATE ON SCHEMA cdp TO keeper');
	return;
}

for my $node ($old, $new)
{
	$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE analyst');
}
burn($old, 5000);
$old->safe_psql('postgres', 'CREATE DATABASE shop OWNER keeper');
$old->safe_psql('shop', $as_keeper . <<'SQL');
CREATE EXTENSION cdp;
SELECT cdp.setup();
CREATE TABLE sale (id bigint PRIMARY KEY, email text, amount numeric, at timestamptz);
INSERT INTO sale SELECT i, 'p' || i % 4 || '@example.org', i, '2026-01-01' FROM generate_series(1, 12) AS i;
SELECT cdp.create_source('sales', 'sale', record_key => 'id', occurred_at => 'at', event_name => $$'sale'$$, identifiers => 'email', properties => 'amount');
CALL cdp.refresh();
SELECT cdp.create_computed_trait('spent', 'sum(event.amount)', description => 'all of it');
SELECT cdp.create_segment('rich', 'profile.spent > 20');
SELECT cdp.create_segment('Not so "rich"', 'NOT segment.rich', refresh => 'realtime', include_anonymous => false);
SELECT cdp.create_segment('chosen', query => 'SELECT profile_id FROM cdp.profiles');
SELECT cdp.grant_access('analyst', 'reader');
UPDATE cdp_data.profile_row AS p SET spent = (SELECT sum(e.amount) FROM cdp.events AS e WHERE e.profile_id = p.profile_id);
INSERT INTO cdp_data.segment_member SELECT e.expression_id, p.profile_id, '2026-02-01' FROM cdp.profiles AS p, cdp_data.expression AS e WHERE e.name = 'rich' AND p.spent > 20;
UPDATE cdp_data.expression_state SET status = 'ok', members = 1;
SQL

my $what = q{SELECT e.* FROM (SELECT string_agg(concat_ws('|', name, definition, type, is_query, is_realtime, include_anonymous, owner, time_zone, search_path, description), E'\n' ORDER BY kind, name)
	FROM cdp_data.expression) AS e
	UNION ALL SELECT string_agg(concat_ws('|', d.*), E'\n' ORDER BY d.*) FROM cdp.segment_dependencies AS d
	UNION ALL SELECT string_agg(concat_ws('|', p.email, p.spent), E'\n' ORDER BY p.email) FROM cdp.profiles AS p
	UNION ALL SELECT string_agg(concat_ws('|', s.*), E'\n' ORDER BY s.profile_id) FROM cdp.profile_segments AS s
	UNION ALL SELECT string_agg(concat_ws('|', m.*), E'\n' ORDER BY m.*) FROM cdp.segment_members AS m
	UNION ALL SELECT string_agg(concat_ws('|', s.name, s.members, s.status), E'\n' ORDER BY s.name) FROM cdp.segments AS s};
change($old, 'shop', 'rich', 1 .. 6);
is(reads($old, 'shop', 'mails', 2), '1 2', 'a consumer reads');
is($old->safe_psql('shop', $as_keeper . 'SELECT cdp.close_segment_days()'), '6', 'days are counted');
change($old, 'shop', 'rich', 7, 8);
my $declared = $old->safe_psql('shop', $what);
like($declared, qr/^spent\|sum\(event.amount\)\|numeric\|f\|f\|t\|keeper\|UTC\|public, pg_temp\|all of it$/m, 'declarations are there');

# Into the other cluster.
copy($old, $new, 'shop', 'shop1', 'c');
is($new->safe_psql('shop1', $what), $declared, 'the same declarations, values and members');
is($new->safe_psql('shop1', 'SET ROLE analyst; SELECT count(*) FROM cdp.profile_segments WHERE rich'), $old->safe_psql('shop', 'SELECT count(*) FROM cdp.profile_segments WHERE rich'), 'readers read');
cmp_ok($new->safe_psql('shop1', 'SELECT pg_snapshot_xmin(pg_current_snapshot())'), '<', $old->safe_psql('shop', 'SELECT min(transaction_id::text::bigint) FROM cdp_data.segment_change'),
	'numbers of transactions are smaller here');
change($new, 'shop1', 'rich', 9, 10);
is($new->safe_psql('shop1', q{SELECT sum(entered), max(members) FROM cdp.segment_daily WHERE segment = 'rich'}), '10|10', 'days count what came and what is new');
is(reads($new, 'shop1', 'mails', 3), '3 4 5', 'the consumer goes on where it was');
is(reads($new, 'shop1', 'mails'), '6 7 8 9 10', 'into the changes that were made here');
is(reads($new, 'shop1', 'mails'), '', 'each of them once');
is(reads($new, 'shop1', 'later'), '1 2 3 4 5 6 7 8 9 10', 'a new consumer reads all');
is($new->safe_psql('shop1', $as_keeper . 'SELECT cdp.close_segment_days()'), '4', 'days are counted on');
is($new->safe_psql('shop1', q{SELECT sum(entered), max(members) FROM cdp.segment_daily WHERE segment = 'rich'}), '10|10', 'to the same days');

# Everything goes on there.
$new->safe_psql('shop1', $as_keeper . <<'SQL');
SELECT cdp.create_segment('more', 'segment.rich AND profile.spent > 22');
SELECT cdp.alter_computed_trait('spent', 'sum(event.amount)::bigint');
SELECT cdp.drop_segment('chosen');
SELECT cdp.rename_segment('Not so "rich"', 'others');
SELECT cdp.setup();
SQL
is($new->safe_psql('shop1', q{SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'cdp.profile_segments'::regclass AND attnum > 0}),
	'profile_id,rich,others,more', 'columns follow declarations');
my ($status, $out, $err) = $new->psql('shop1', $as_keeper . q{SELECT cdp.drop_computed_trait('spent')});
like($err, qr/segment "more", segment "others", segment "rich"/, 'what depends on what was restored');
($status, $out, $err) = $new->psql('shop1', q{SET ROLE analyst; UPDATE cdp_data.expression SET definition = 'false'});
like($err, qr/permission denied/, 'a reader only reads');

# Within one cluster, and back into the first, where the numbers are greater again.
change($new, 'shop1', 'rich', 11);
copy($new, $new, 'shop1', 'shop2', 'p');
change($new, 'shop2', 'rich', 12);
is(reads($new, 'shop2', 'mails'), '11 12', 'restored in the same cluster');
is(reads($new, 'shop2', 'later', 1), '11', 'in parts');
burn($new, 20);
copy($new, $old, 'shop2', 'shop3', 'c');
change($old, 'shop3', 'rich', 13);
is(reads($old, 'shop3', 'later'), '12 13', 'restored in the first cluster');
is(reads($old, 'shop3', 'mails'), '13', 'for each consumer');
is(reads($old, 'shop3', 'fresh'), join(' ', 1 .. 13), 'in the order of clusters');
is($old->safe_psql('shop3', 'SELECT count(*) FROM cdp.segment_eras()'), '4', 'each restore began another era');

# Twice without a change in between, to where numbers are smaller.
copy($old, $new, 'shop3', 'shop5', 'c');
is(reads($new, 'shop5', 'mails'), '', 'nothing new');
copy($new, $new, 'shop5', 'shop6', 'c');
change($new, 'shop6', 'rich', 14);
is(reads($new, 'shop6', 'mails'), '14', 'a change after two restores without any');
is(reads($new, 'shop6', 'fresh'), '14', 'for each consumer');
$new->safe_psql('shop6', $as_keeper . 'REFRESH MATERIALIZED VIEW cdp_data.segment_restored');
change($new, 'shop6', 'rich', 15);
is(reads($new, 'shop6', 'mails'), '15', 'a refresh of the materialized view by hand changes nothing');
is($new->safe_psql('shop6', 'SELECT count(*) FROM cdp.segment_eras()'), '6', 'nor is it another era');

# A dump of the storage alone: the extension first, then the dump, then setup.
$old->command_ok([ 'pg_dump', '-Fc', '-n', 'cdp_data', '-f', "$folder/data.dump", $old->connstr('shop') ], 'dump of the storage alone');
$new->safe_psql('postgres', 'CREATE DATABASE shop4 OWNER keeper');
$new->safe_psql('shop4', $as_keeper . 'CREATE EXTENSION cdp');
$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('shop4'), "$folder/data.dump" ], 'restore of the storage alone');
$new->safe_psql('shop4', $as_keeper . 'SELECT cdp.setup()');
is($new->safe_psql('shop4', $what), $declared, 'the same declarations, values and members');
is(reads($new, 'shop4', 'mails'), '3 4 5 6 7 8', 'and positions');

# Views go with a teardown, and the extension can be dropped and created anew.
$new->safe_psql('shop4', $as_keeper . 'SELECT cdp.teardown(); DROP EXTENSION cdp; CREATE EXTENSION cdp; SELECT cdp.setup();');
is($new->safe_psql('shop4', $what), $declared, 'the same after DROP and CREATE EXTENSION');

done_testing();
