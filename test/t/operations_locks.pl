# Who waits for whom: the table of docs/operations.md, tried pair by pair.  One
# session does something in a transaction that stays open, another one does
# something else, about other people, and either gets through or is still waiting
# after two seconds.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Open2;
use POSIX ();
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('locks', settings => "deadlock_timeout = 10s\n");
$node->safe_psql('postgres', 'CREATE DATABASE locked');
setup_identity($node, 'locked');
$node->safe_psql('locked', <<'SQL');
CREATE TABLE contact (id text PRIMARY KEY, email text, city text, modified timestamptz);
INSERT INTO contact SELECT i, 'p' || i || '@example.org', 'Rome', '2026-01-01' FROM generate_series(1, 40) AS i;
CREATE TABLE ticket (id text PRIMARY KEY, email text, mark integer, modified timestamptz);
INSERT INTO ticket SELECT i, 'p' || i || '@example.org', 3, '2026-01-01' FROM generate_series(1, 40) AS i;
SET client_min_messages = warning;
SELECT cdp.create_source('crm', 'contact', record_key => 'id', observed_at => 'modified', identifiers => 'id AS crm_id, email AS email', traits => 'city AS city');
SELECT cdp.create_source('desk', 'ticket', record_key => 'id', observed_at => 'modified', identifiers => 'email AS email', traits => 'mark AS mark', capture => 'immediate');
SELECT cdp.create_computed_trait('visits', $$ count(*) FILTER (WHERE event.event_name = 'visit') $$);
SELECT cdp.create_segment('visitors', $$ profile.visits > 0 $$, refresh => 'realtime');
CALL cdp.refresh();
SQL

# What each does, about the person with this number.
my %call = (
	'read' => q{SELECT (SELECT count(*) FROM cdp.profiles), (SELECT count(*) FROM cdp.events), cdp.resolve('crm_id', '%d')},
	'identify' => q{SELECT cdp.identify('{"crm_id": "%1$d", "anonymous_id": "b%1$d-%2$d"}', 'login', '%1$d-%2$d', '2026-02-01')},
	'track' => q{SELECT cdp.track('{"crm_id": "%1$d", "anonymous_id": "a%1$d-%2$d"}', 'visit', '2026-02-01', '{}', 'web', '%1$d-%2$d')},
	'captured' => q{UPDATE ticket SET mark = mark + 1, modified = now() WHERE id = '%d'},
	'stitch' => q{SELECT * FROM cdp.stitch('list', 'SELECT ''%1$d-%2$d'' AS record_key, now() AS observed_at, ''%1$d'' AS crm_id, ''c%1$d-%2$d'' AS anonymous_id')},
	'refresh' => q{UPDATE contact SET city = 'Bonn' || %2$d, modified = now() WHERE id = '%1$d'; CALL cdp.refresh(ARRAY['crm'])},
	'label' => q{SELECT cdp.cannot_link('crm_id', '%d', 'crm_id', 'nobody%2$d')},
	'rules' => q{SELECT cdp.alter_namespace('crm_id', priority => 1 + %2$d %% 2)},
	'declare' => q{SELECT cdp.create_source('new%2$d', 'contact', record_key => 'id', identifiers => 'email', traits => 'city || %2$d AS new%2$d')},
	'evaluate' => q{CALL cdp.refresh_segments() /* %d */},
	'check' => q{SELECT count(*) FROM cdp.check_identities() /* %d */},
	'setup' => q{SELECT cdp.setup() /* %d */},
);
my $number = 0;

sub statement
{
	my ($what, $person) = @_;
	return sprintf $call{$what}, $person, ++$number;
}

# Whether the second waits for the first, both in a database.
sub waits
{
	my ($database, $first, $second) = @_;
	my $pid = open2(my $out, my $in, 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr($database));
	print $in "SET client_min_messages = warning;\nBEGIN;\n" . statement($first, 1) . ";\n\\echo =state= :ERROR\n";
	$in->flush;
	while (my $line = <$out>)
	{
		next unless $line =~ /^=state= (\w+)/;
		die "$first failed" if $1 eq 'true';
		last;
	}
	my ($status, $stdout, $stderr) = $node->psql($database,
		"SET client_min_messages = warning;\nSET statement_timeout = '2s';\nBEGIN;\n" . statement($second, 2) . ";\nROLLBACK;");
	print $in "ROLLBACK;\n\\q\n";
	close $in;
	while (my $rest = <$out>) { }
	waitpid $pid, 0;
	return 1 if $stderr =~ /canceling statement due to statement timeout/;
	die "$second beside $first: $stderr" if $stderr =~ /ERROR/;
	return 0;
}

# The table of the page: what it waits for, by what it is.
my %documented;
open my $page, '<:raw', "$FindBin::RealBin/../../docs/operations.md" or die "operations.md: $!";
while (my $line = <$page>)
{
	next unless $line =~ /^\| .*\(\*(\w+)\*\) \| (.*?) \|/;
	my ($what, $others) = ($1, $2);
	$documented{$what} = join ' ', sort split /, /, $others =~ s/ *\(.*?\)//gr;
}
close $page;
is(join(' ', sort keys %documented), join(' ', sort keys %call), 'docs/operations.md has each of them');

# One database for each that holds the locks, all at the same time.
my @kinds = sort keys %call;
$node->safe_psql('postgres', join '', map { "CREATE DATABASE $_ TEMPLATE locked;\n" } map { "holds_$_" } @kinds);
my %reader;
for my $first (@kinds)
{
	pipe my $read, my $write or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		close $read;
		my $waiting = eval { join ' ', grep { waits("holds_$first", $first, $_) } @kinds } // "error: $@";
		print $write $waiting;
		close $write;
		# without the end blocks, which would stop the server
		POSIX::_exit(0);
	}
	close $write;
	$reader{$first} = [ $pid, $read ];
}
my %found;
for my $first (@kinds)
{
	my ($pid, $read) = @{ $reader{$first} };
	my $waiting = do { local $/; <$read> };
	waitpid $pid, 0;
	if ($waiting =~ /^error/) { fail("$first: $waiting") }
	else { push @{ $found{$_} }, $first for split / /, $waiting }
}
is(join(' ', @{ $found{$_} // [] }), $documented{$_} // '', "what $_ waits for") for @kinds;

$node->stop;
done_testing();
