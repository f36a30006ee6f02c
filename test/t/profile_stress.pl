# Six clients change captured tables, identify, track, label, refresh and derive
# overlapping people at once, at each isolation level.  Serialization failures
# and deadlocks are retried by pgbench; every other error fails the test.  In the
# end, after a refresh, what is stored of everybody is what follows from the
# records; and right after a transaction that changed a captured table, its
# person is up to date.
#
# CDP_STRESS_SECONDS sets how long each isolation level runs (default 6), and
# CDP_STRESS_PEOPLE how many people there are (default 40; the fewer, the hotter).

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{CDP_STRESS_SECONDS} // 6;
my $people = $ENV{CDP_STRESS_PEOPLE} // 40;
my $node = new_node('profile_stress', settings => "deadlock_timeout = '20ms'\nmax_connections = 30\n");
setup_identity($node);
$node->safe_psql('postgres', <<"SQL");
SET client_min_messages = warning;
SELECT cdp.alter_namespace('device_id', max_links => 3);
CREATE TABLE contact (id integer PRIMARY KEY, modified timestamptz NOT NULL, email text, name text, score integer);
CREATE TABLE login (id integer PRIMARY KEY, modified timestamptz NOT NULL, email text, device text, name text);
INSERT INTO contact SELECT i, '2024-01-01', 'e' || i || '\@example.org', 'name ' || i, i FROM generate_series(1, $people) AS i;
INSERT INTO login SELECT i, '2024-01-01', 'e' || i % $people || '\@example.org', 'd' || i % 20, 'login ' || i FROM generate_series(1, $people) AS i;
SELECT cdp.create_trait('name', 'text', survivorship => 'longest');
SELECT cdp.create_source('contact', 'contact', record_key => 'id', observed_at => 'modified', capture => 'immediate',
    identifiers => 'id AS crm_id, email AS email', traits => 'name AS name, score AS score');
SELECT cdp.create_source('login', 'login', record_key => 'id', observed_at => 'modified', capture => 'queue',
    identifiers => 'email AS email, device AS device_id', traits => 'name AS name');
CALL cdp.refresh();
SQL

my $folder = PostgreSQL::Test::Utils::tempdir;
my %scripts = (
	# the person of a captured row is up to date within the transaction, and so are its other rows;
	# an UPDATE that waited for one who deletes the row and inserts it again changes nothing
	contact => [ 8, <<"SQL" ],
\\set c random(1, $people)
\\set n random(1, 100000)
\\set e random(1, $people)
BEGIN;
UPDATE contact SET score = :n, modified = clock_timestamp(), email = CASE WHEN :n % 10 = 0 THEN 'e' || :e || '\@example.org' ELSE email END WHERE id = :c;
SELECT 1 / (score = :n)::integer FROM cdp.profiles WHERE crm_id = :c::text AND record_count = 1
AND EXISTS (SELECT FROM contact WHERE id = :c AND contact.score = :n);
COMMIT;
SQL
	contact_gone => [ 1, <<"SQL" ],
\\set c random(1, $people)
BEGIN;
DELETE FROM contact WHERE id = :c;
INSERT INTO contact VALUES (:c, clock_timestamp(), 'e' || :c || '\@example.org', repeat('x', :c), :c) ON CONFLICT DO NOTHING;
COMMIT;
SQL
	login => [ 6, <<"SQL" ],
\\set c random(1, $people)
\\set e random(1, $people)
\\set d random(1, 20)
UPDATE login SET email = 'e' || :e || '\@example.org', device = 'd' || :d, modified = clock_timestamp() WHERE id = :c;
SQL
	identify => [ 4, <<"SQL" ],
\\set e random(1, $people)
\\set k random(1, 60)
SELECT cdp.identify(jsonb_build_object('email', 'e' || :e || '\@example.org', 'loyalty_id', 'l' || :k), 'app', 'k' || :k, NULL, traits => jsonb_build_object('name', repeat('y', :k), 'shoe', :k));
SQL
	track => [ 8, <<"SQL" ],
\\set e random(1, $people)
\\set d random(1, 20)
\\set k random(1, 500)
SELECT cdp.track(CASE WHEN :k % 3 = 0 THEN jsonb_build_object('device_id', 'd' || :d, 'email', 'e' || :e || '\@example.org') ELSE jsonb_build_object('device_id', 'd' || :d) END, 'page', now(), '{"n": 1}', 'web', 'k' || :k);
SQL
	materialize => [ 4, <<"SQL" ],
\\set e random(1, $people)
SELECT cdp.materialize_profiles(ARRAY(SELECT DISTINCT cdp.resolve('email', 'e' || i || '\@example.org') FROM generate_series(:e, :e + 5) AS i));
SQL
	waiting => [ 2, 'SELECT cdp.materialize_profiles();' ],
	everybody => [ 1, 'INSERT INTO cdp_data.changed_profile VALUES (0); SELECT cdp.materialize_profiles();' ],
	refresh => [ 1, "SET client_min_messages = error;\nCALL cdp.refresh(on_error => 'report');" ],
	label => [ 1, <<"SQL" ],
\\set a random(1, $people)
\\set d random(1, 20)
\\set w random(0, 3)
SELECT CASE :w WHEN 0 THEN cdp.cannot_link('crm_id', :a::text, 'device_id', 'd' || :d) IS NOT NULL
               WHEN 1 THEN cdp.remove_label('crm_id', :a::text, 'device_id', 'd' || :d)
               WHEN 2 THEN cdp.block_identifier('device_id', 'd' || :d) IS NOT NULL
               ELSE cdp.unblock_identifier('device_id', 'd' || :d) END;
SQL
	get => [ 4, <<"SQL" ],
\\set e random(1, $people)
SELECT cdp.get_profile('email', 'e' || :e || '\@example.org');
SQL
);
my @files;
for my $name (sort keys %scripts)
{
	append_to_file("$folder/$name.sql", $scripts{$name}[1]);
	push @files, '-f', "$folder/$name.sql\@$scripts{$name}[0]";
}

for my $level ('read committed', 'repeatable read', 'serializable')
{
	my ($out, $err) = ('', '');
	{
		local $ENV{PGOPTIONS} = "-c default_transaction_isolation=" . $level =~ s/ /\\ /r;
		IPC::Run::run(
			[
				'pgbench', '-n', '-c', 6, '-j', 2, '-T', $seconds, '--max-tries', 1000, '--verbose-errors', '--failures-detailed',
				'-h', $node->host, '-p', $node->port, @files, 'postgres'
			],
			'>', \$out, '2>', \$err);
	}
	my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
	my ($failed) = $out =~ /number of failed transactions: (\d+)/;
	my ($retried) = $out =~ /number of transactions retried: (\d+)/;
	cmp_ok($transactions // 0, '>', 50, "$level: transactions went through");
	is($failed // 'unknown', 0, "$level: no transaction failed for good");
	unlike($err, qr/aborted|ERROR:  (?!could not serialize|deadlock)/, "$level: no other error") or diag(substr($err, -3000));
	note("$level: $transactions transactions, " . ($retried // 0) . ' of them retried');

	$node->safe_psql('postgres', 'SET client_min_messages = warning; CALL cdp.refresh()');
	is(problems($node, 'postgres'), '', "$level: sound");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM cdp_data.changed_profile'), '0', "$level: nothing waits");
	is($node->safe_psql('postgres', 'INSERT INTO cdp_data.changed_profile VALUES (0); SELECT cdp.materialize_profiles()'), '0', "$level: what is stored is what follows from the records");
	is($node->safe_psql('postgres', <<'SQL'), '0', "$level: captured rows are what was taken in");
SELECT count(*) FROM (
	SELECT id::text, 'contact' AS source, score::text AS value FROM contact EXCEPT
	SELECT record_key, source, traits OPERATOR(cdp.->>) 'score' FROM cdp_data.contribution) AS missing
SQL
}

unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP/, 'no crash');
$node->stop;
done_testing();
