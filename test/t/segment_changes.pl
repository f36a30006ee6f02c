# cdp.read_changes and the days of cdp.segment_daily beside many sessions that
# write changes and end in any order, some of them with savepoints, some of them
# rolled back: each consumer gets each change once.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('changes', settings => "max_connections = 40\n");
my $folder = PostgreSQL::Test::Utils::tempdir;
my $seconds = $ENV{CDP_STRESS_SECONDS} // 6;

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT cdp.create_segment('a', 'false');
SELECT cdp.create_segment('b', 'false');
CREATE SEQUENCE person;
CREATE TABLE given (consumer text, change_id bigint, nth bigserial);
CREATE FUNCTION write_changes(many integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO cdp_data.segment_change (segment_id, profile_id, is_entry, changed_at, cause)
    SELECT e.expression_id, nextval('person'), true, now() - random() * interval '3 days', 'event'
    FROM cdp_data.expression AS e, generate_series(1, many) WHERE e.kind = 'segment' $$;
SQL

my %scripts = (
	# A number is given with the first write, so that those who wait in between commit out of order.
	writer => [ 6, <<'SQL' ],
\set many random(1, 3)
\set wait random(0, 30)
BEGIN;
SELECT write_changes(:many);
\sleep :wait ms
SELECT write_changes(1);
COMMIT;
SQL
	quitter => [ 1, <<'SQL' ],
\set wait random(0, 30)
BEGIN;
SELECT write_changes(2);
\sleep :wait ms
ROLLBACK;
SQL
	careful => [ 2, <<'SQL' ],
\set wait random(0, 10)
BEGIN;
SELECT pg_current_xact_id();
SAVEPOINT one;
SELECT write_changes(1);
ROLLBACK TO one;
SAVEPOINT two;
SELECT write_changes(1);
\sleep :wait ms
RELEASE two;
COMMIT;
SQL
	reader => [ 4, <<'SQL' ],
\set many random(0, 40)
\set who random(1, 2)
\set wait random(0, 5)
BEGIN;
INSERT INTO given (consumer, change_id) SELECT 'c' || :who, r.change_id FROM cdp.read_changes('c' || :who, :many) AS r;
\sleep :wait ms
COMMIT;
SQL
	giver_back => [ 1, <<'SQL' ],
\set who random(1, 2)
BEGIN;
INSERT INTO given (consumer, change_id) SELECT 'c' || :who, r.change_id FROM cdp.read_changes('c' || :who, 10) AS r;
ROLLBACK;
SQL
	days => [ 1, 'SELECT cdp.close_segment_days();' ],
	daily => [ 1, 'SELECT count(*) FROM cdp.segment_daily;' ],
);
my @files;
for my $name (sort keys %scripts)
{
	append_to_file("$folder/$name.sql", $scripts{$name}[1]);
	push @files, '-f', "$folder/$name.sql\@$scripts{$name}[0]";
}

for my $level ('read committed', 'repeatable read')
{
	my ($out, $err) = ('', '');
	{
		local $ENV{PGOPTIONS} = "-c default_transaction_isolation=" . $level =~ s/ /\\ /r;
		IPC::Run::run(
			[
				'pgbench', '-n', '-c', 12, '-j', 2, '-T', $seconds, '--max-tries', 1000,
				'-h', $node->host, '-p', $node->port, @files, 'postgres'
			],
			'>', \$out, '2>', \$err);
	}
	my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
	cmp_ok($transactions // 0, '>', 50, "$level: transactions went through");
	unlike($err, qr/aborted|ERROR:  (?!could not serialize|deadlock)/, "$level: no error but those that a retry cures") or diag(substr($err, -3000));

	# The rest.
	for my $consumer ('c1', 'c2')
	{
		$node->poll_query_until('postgres', <<"SQL") or die 'a consumer does not come to the end';
WITH r AS (INSERT INTO given (consumer, change_id) SELECT '$consumer', r.change_id FROM cdp.read_changes('$consumer', NULL) AS r RETURNING 1)
SELECT count(*) = 0 AND pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot()) FROM r;
SQL
	}
	is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT consumer, change_id FROM given GROUP BY 1, 2 HAVING count(*) > 1) AS twice'), '0', "$level: no change twice");
	is($node->safe_psql('postgres', <<'SQL'), '0', "$level: no change missing");
SELECT count(*) FROM (SELECT w.consumer, c.change_id FROM cdp_data.segment_change AS c, (VALUES ('c1'), ('c2')) AS w(consumer) EXCEPT SELECT consumer, change_id FROM given) AS missing
SQL
	my $counted = q{SELECT count(*) FROM (
		SELECT e.name::text, (c.changed_at AT TIME ZONE 'UTC')::date AS day, count(*) AS entered FROM cdp_data.segment_change AS c JOIN cdp_data.expression AS e ON e.expression_id = c.segment_id GROUP BY 1, 2
		EXCEPT SELECT segment, day, entered FROM cdp.segment_daily) AS d};
	is($node->safe_psql('postgres', $counted), '0', "$level: days hold every change");
	is($node->safe_psql('postgres', "SELECT cdp.close_segment_days() >= 0; $counted"), "t\n0", "$level: also when they are closed");
	is($node->safe_psql('postgres', q{SELECT sum(entered) = (SELECT count(*) FROM cdp_data.segment_change) FROM cdp.segment_daily}), 't', "$level: and no change twice");
}

cmp_ok($node->safe_psql('postgres', <<'SQL'), '>', 0, 'transactions did end in another order than they began');
SELECT count(*) FROM (SELECT c.change_id < max(c.change_id) OVER (ORDER BY g.nth) AS out_of_order FROM given AS g JOIN cdp_data.segment_change AS c USING (change_id) WHERE g.consumer = 'c1') AS o WHERE out_of_order
SQL

done_testing();
