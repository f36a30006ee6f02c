# cdp.refresh when something else happens at the same time: another refresh, a
# server that is killed, a transaction block around it, writers whose tables are
# captured at once.  Nothing is lost or doubled.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('refresh', settings => "restart_after_crash = on\nmax_connections = 40\n");
my $people = 2000;

# Tables of a shop, and the sources on them.  The traits of a person come from
# several records, and their identifiers link the records.
sub create_shop
{
	my ($database, $capture) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database") if $database ne 'postgres';
	setup_identity($node, $database);
	$node->safe_psql($database, <<"SQL");
CREATE SCHEMA shop;
CREATE TABLE shop.contact AS
    SELECT i AS id, 'p' || i % $people || '\@example.org' AS email, CASE WHEN i % 3 = 0 THEN 'c' || i % $people END AS crm,
           (ARRAY['FR', 'DE', 'IT'])[i % 3 + 1] AS country, '2024-01-01'::timestamptz + i * interval '1 minute' AS changed
    FROM generate_series(1, $people * 3 / 2) AS i;
ALTER TABLE shop.contact ADD PRIMARY KEY (id);
CREATE TABLE shop.visit AS
    SELECT i AS id, CASE WHEN i % 5 = 0 THEN 'p' || i % $people || '\@example.org' END AS email, 'k' || i % ($people * 2) AS cookie,
           '2024-01-01'::timestamptz + i * interval '1 second' AS at, i % 100 AS seconds
    FROM generate_series(1, $people * 5) AS i;
ALTER TABLE shop.visit ADD PRIMARY KEY (id);
SELECT cdp.create_source('crm', 'shop.contact', record_key => 'id', observed_at => 'changed', identifiers => 'email, crm AS crm_id', traits => 'country', capture => '$capture');
SELECT cdp.create_source('web', 'shop.visit', record_key => 'id', occurred_at => 'at', event_name => \$\$'visit'\$\$,
    identifiers => 'email, cookie AS anonymous_id', properties => 'seconds', capture => '$capture');
SQL
	return;
}

# All that is stored, whatever the ids and the times of arrival.
sub stored
{
	my ($database) = @_;
	return $node->safe_psql($database, <<'SQL');
WITH hub AS (SELECT i.id, i.value FROM cdp_data.identifier AS i)
SELECT 'contributions ' || count(*) || ' ' || md5(COALESCE(string_agg(concat_ws(' ', c.source, c.record_key, c.observed_at, h.value, c.traits::text), E'\n' ORDER BY c.source, c.record_key), ''))
FROM cdp_data.contribution AS c JOIN hub AS h ON h.id = c.hub
UNION ALL
SELECT 'events ' || count(*) || ' ' || md5(COALESCE(string_agg(concat_ws(' ', e.source, e.record_key, e.event_name, e.occurred_at, h.value, e.seconds), E'\n' ORDER BY e.source, e.record_key), ''))
FROM cdp_data.event AS e JOIN hub AS h ON h.id = e.hub
UNION ALL
SELECT 'records ' || count(*) || ' ' || md5(COALESCE(string_agg(concat_ws(' ', r.source, r.record_key, h.value), E'\n' ORDER BY r.source, r.record_key), ''))
FROM cdp_data.record AS r JOIN hub AS h ON h.id = r.hub
UNION ALL
SELECT 'people ' || count(*) || ' ' || md5(COALESCE(string_agg(p, E'\n' ORDER BY p), ''))
FROM (SELECT string_agg(i.value, ' ' ORDER BY i.value COLLATE "C") || ' ' || concat_ws(' ', p.country, p.email, p.crm_id, p.is_known, p.event_count, p.record_count) AS p
      FROM cdp.profiles AS p JOIN cdp.identifiers AS i USING (profile_id) GROUP BY p.profile_id, p.country, p.email, p.crm_id, p.is_known, p.event_count, p.record_count) AS p
ORDER BY 1
SQL
}

# Whether the rows of people are what a derivation from scratch gives.
sub derived_is_right
{
	my ($database, $what) = @_;
	my $before = stored($database);
	$node->safe_psql($database, 'INSERT INTO cdp_data.changed_profile (profile_id) VALUES (0); SELECT cdp.materialize_profiles();');
	is(stored($database), $before, "$what: derived again, people are the same");
	is(problems($node, $database), '', "$what: sound");
	return;
}

sub start_session
{
	my ($database, $statement) = @_;
	my ($in, $out, $err) = ('', '', '');
	return IPC::Run::start([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-c', $statement ],
		'<', \$in, '>', \$out, '2>', \$err);
}

# ---------- undisturbed ----------

create_shop('undisturbed', 'pull');
$node->safe_psql('undisturbed', 'CALL cdp.refresh()');
my $expected = stored('undisturbed');
like($expected, qr/^contributions 3000 .*\nevents 10000 .*/, 'undisturbed: everything is taken in');
derived_is_right('undisturbed', 'undisturbed');
$node->safe_psql('undisturbed', 'CALL cdp.refresh()');
is(stored('undisturbed'), $expected, 'undisturbed: once more changes nothing');

# ---------- two at once ----------

create_shop('two', 'pull');
my @sessions = map { start_session('two', 'CALL cdp.refresh()') } 1 .. 3;
my $finished = grep { $_->finish } @sessions;
is($finished, 3, 'three at once: none fails');
is(stored('two'), $expected, 'three at once: as undisturbed');
@sessions = (start_session('two', 'BEGIN; CALL cdp.refresh(); COMMIT'), start_session('two', 'CALL cdp.refresh(full_compare => true)'));
$finished = grep { $_->finish } @sessions;
is($finished, 2, 'two at once, one in a transaction block: none fails');
is(stored('two'), $expected, 'two at once: as undisturbed');

# ---------- in a transaction block ----------

create_shop('block', 'pull');
$node->safe_psql('block', 'BEGIN; CALL cdp.refresh(); ROLLBACK');
is($node->safe_psql('block', 'SELECT count(*) FROM cdp_data.record'), '0', 'transaction block, rolled back: nothing is left');
my ($status, $out, $err) = $node->psql('block', 'BEGIN; CALL cdp.refresh(); COMMIT');
is($status, 0, 'transaction block: works');
like($err, qr/NOTICE:  cdp.refresh runs inside a transaction block/, 'transaction block: with a notice');
is(stored('block'), $expected, 'transaction block: as undisturbed');
$node->safe_psql('block', "DO \$\$ BEGIN CALL cdp.refresh(); END \$\$");
is(stored('block'), $expected, 'in DO: works as well');

# ---------- killed ----------

create_shop('killed', 'pull');
for my $table ('rejected_record', 'contribution', 'event', 'profile_row')
{
	# The refresh comes to a stop at a table that another session has locked.
	my $locker = start_session('killed', "BEGIN; LOCK TABLE cdp_data.$table; SELECT pg_sleep(600)");
	$node->poll_query_until('killed',
		"SELECT count(*) = 1 FROM pg_locks WHERE relation = 'cdp_data.$table'::regclass AND mode = 'AccessExclusiveLock' AND granted")
	  or die "could not lock $table";
	my $refresh = start_session('killed', 'CALL cdp.refresh()');
	$node->poll_query_until('killed', "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'cdp_data.$table'::regclass AND NOT granted")
	  or die "the refresh did not come to $table";
	if ($table eq 'event')
	{
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		my $pid = $node->safe_psql('killed', "SELECT min(pid) FROM pg_locks WHERE relation = 'cdp_data.$table'::regclass AND NOT granted");
		kill 'KILL', $pid;
	}
	$_->finish for ($refresh, $locker);
	$node->poll_query_until('killed', 'SELECT true') or die 'the server did not come back';
	is(problems($node, 'killed'), '', "killed at $table: sound");
}
$node->safe_psql('killed', 'CALL cdp.refresh()');
is(stored('killed'), $expected, 'killed four times, then run: as undisturbed');
derived_is_right('killed', 'killed');

# ---------- writers beside it ----------

# Each writer changes rows of the same people; in the end the storage must say
# what the tables say.
sub writers
{
	my ($database, $clients, $seconds, @options) = @_;
	my $script = $node->basedir . "/writers_$database.pgbench";
	append_to_file($script, <<"SQL");
\\set id random(1, $people * 3 / 2)
\\set other random(1, $people)
\\set what random(1, 10)
\\set page random(1, $people * 5)
BEGIN;
\\if :what <= 5
UPDATE shop.contact SET country = (ARRAY['FR', 'DE', 'IT', 'ES'])[:what], changed = changed + interval '1 second' WHERE id = :id;
\\elif :what = 6
UPDATE shop.contact SET email = 'p' || :other || '\@example.org', changed = changed + interval '1 second' WHERE id = :id;
\\elif :what = 7
DELETE FROM shop.contact WHERE id = :id;
\\elif :what = 8
INSERT INTO shop.contact VALUES (:id, 'p' || :other || '\@example.org', 'c' || :id, 'PT', now()) ON CONFLICT (id) DO NOTHING;
\\else
UPDATE shop.visit SET seconds = :what, email = 'p' || :other || '\@example.org' WHERE id = :page;
\\endif
COMMIT;
SQL
	return $node->run_log([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', $seconds, '--max-tries=100', '-f', $script, @options, $node->connstr($database) ]);
}

# What a full compare finds to be different.
sub differences
{
	my ($database) = @_;
	$node->safe_psql($database, 'CALL cdp.refresh(full_compare => true)');
	return $node->safe_psql($database, <<'SQL');
SELECT COALESCE(string_agg(concat_ws(' ', source, records_new, records_changed, retracted), ', ' ORDER BY source), 'nothing was read')
FROM cdp_data.refresh_log
WHERE refresh_id = (SELECT max(refresh_id) FROM cdp_data.refresh_log) AND source IS NOT NULL AND (records_new > 0 OR records_changed > 0 OR retracted > 0)
SQL
}

for my $capture ('immediate', 'queue')
{
	create_shop($capture, $capture);
	$node->safe_psql($capture, 'CALL cdp.refresh()');
	ok(writers($capture, 6, 5), "$capture capture: six writers for five seconds");
	if ($capture eq 'immediate')
	{
		# In the same transaction, so nothing is left to do.
		is($node->safe_psql($capture, 'SELECT count(*) FROM cdp_data.captured_key'), '0', "$capture capture: nothing is queued");
		derived_is_right($capture, "$capture capture");
	}
	# Refreshes beside the writers.
	my $refreshes = start_session($capture, "DO \$\$ BEGIN FOR i IN 1 .. 8 LOOP PERFORM pg_sleep(0.4); END LOOP; END \$\$");
	my @refreshers = map { start_session($capture, join('; ', ("SELECT pg_sleep(0.$_)", 'CALL cdp.refresh()') x 4)) } 1 .. 2;
	ok(writers($capture, 4, 5), "$capture capture: four writers beside refreshes");
	$_->finish for ($refreshes, @refreshers);
	$node->safe_psql($capture, 'CALL cdp.refresh()');
	is($node->safe_psql($capture, 'SELECT count(*) FROM cdp_data.captured_key'), '0', "$capture capture: a refresh reads what was noted");
	my $before = stored($capture);
	is(differences($capture), 'nothing was read', "$capture capture: a full compare finds nothing new");
	is(stored($capture), $before, "$capture capture: nor does it change anything");
	derived_is_right($capture, "$capture capture, at the end");
	is($node->safe_psql($capture, "SELECT count(*) FROM cdp.rejected_records WHERE reason = 'capture_failed'"), '0', "$capture capture: nothing failed");
}

$node->stop;
done_testing();
