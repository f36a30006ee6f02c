# The scripts of docs/operations.md, as the page has them: the nightly refresh with
# its alert, backup and restore, and the background worker's settings.  mail is one
# that writes to a file.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file("$FindBin::RealBin/../../docs/operations.md");
my ($nightly, $backup) = $page =~ /^```sh\n(.*?)^```$/msg;
like($nightly, qr/CALL cdp\.refresh/, 'the page has a nightly script');
like($backup, qr/pg_restore/, 'and one that restores');

my $node = new_node('operations');
my $folder = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', 'CREATE ROLE shop_owner LOGIN; CREATE DATABASE shop OWNER shop_owner');
$node->safe_psql('shop', <<'SQL');
SET SESSION AUTHORIZATION shop_owner;
CREATE EXTENSION cdp;
SELECT cdp.setup();
CREATE TABLE contact (id text PRIMARY KEY, email text, country text);
INSERT INTO contact VALUES ('17', 'ann@example.com', 'GB');
CREATE TABLE ticket (id text PRIMARY KEY, email text);
INSERT INTO ticket VALUES ('1', 'bob@example.com');
SELECT cdp.create_source('crm', 'contact', record_key => 'id', identifiers => 'id AS crm_id, email', traits => 'country');
SELECT cdp.create_source('desk', 'ticket', record_key => 'id', identifiers => 'email');
SQL

append_to_file("$folder/nightly", $nightly);
append_to_file("$folder/backup", "set -e\ncd $folder\n$backup");
append_to_file("$folder/mail", "#!/bin/sh\n{ echo \"\$@\"; cat; } >$folder/mailed\n");
chmod 0755, "$folder/nightly", "$folder/mail";
local $ENV{PATH} = "$folder:$ENV{PATH}";
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;

# Runs a script of the page; its exit status.
sub run_script
{
	my ($name) = @_;
	IPC::Run::run([ 'sh', "$folder/$name" ], '>', "$folder/$name.out", '2>', "$folder/$name.err");
	return $? >> 8;
}

is(run_script('nightly'), 0, 'nothing is wrong: exit status 0');
ok(!-e "$folder/mailed", 'and no mail');
is(slurp_file("$folder/nightly.out") . slurp_file("$folder/nightly.err"), '', 'and nothing is said');

$node->safe_psql('shop', q{ALTER TABLE ticket RENAME email TO sender; INSERT INTO contact VALUES ('18', 'cat@example.com', 'FR')});
isnt(run_script('nightly'), 0, 'a source fails: another exit status');
like(slurp_file("$folder/mailed"), qr/the refresh failed data\@example\.com.*error \| source stopped \| .*column "email" does not exist \| .*cdp\.alter_source/s, 'the mail says what, and what to do');
is($node->safe_psql('shop', q{SELECT country FROM cdp.profiles WHERE crm_id = '18'}), 'FR', 'the other source was refreshed');

$node->safe_psql('shop', q{SELECT cdp.alter_source('desk', identifiers => 'sender AS email')});
unlink "$folder/mailed";
is(run_script('nightly'), 0, 'mended: exit status 0');
ok(!-e "$folder/mailed", 'and no mail');

is(run_script('backup'), 0, 'backup and restore') or diag(slurp_file("$folder/backup.err"));
for my $query ('SELECT * FROM cdp.profiles ORDER BY 1', 'SELECT * FROM cdp.identifiers ORDER BY 1', 'SELECT * FROM cdp.health', 'SELECT count(*) FROM cdp.check_identities()')
{
	is($node->safe_psql('shop_copy', $query), $node->safe_psql('shop', $query), "restored: $query");
}
like($node->safe_psql('shop_copy', 'SET SESSION AUTHORIZATION shop_owner; SELECT cdp.setup()'), qr/up to date/, 'restored: its owner calls setup');

# The background worker: a window of three seconds closes while nobody calls anything.
my ($worker) = $page =~ /^```ini\n(.*?)^```$/ms;
my ($library) = slurp_file($ENV{CDP_TEMP_CONFIG} // $ENV{TEMP_CONFIG}) =~ /^extension_destdir = '(.*)'/m;
my ($path) = defined $library ? glob("$library/usr/lib/postgresql/*/lib") : ();
$node->append_conf('postgresql.conf', $worker . "cdp.worker_interval = 1\n" . (defined $path ? "dynamic_library_path = '$path:\$libdir'\n" : ''));
$node->restart;
$node->safe_psql('shop', <<'SQL');
SET SESSION AUTHORIZATION shop_owner;
SELECT cdp.create_segment('here', $$ count(*) FILTER (WHERE event.occurred_at > now() - interval '3 seconds') > 0 $$, refresh => 'realtime');
CALL cdp.refresh();
SELECT cdp.track('{"crm_id": "17"}', 'visit', now(), '{}', 'web', 'v1');
SQL
like($node->safe_psql('shop', q{SELECT string_agg(change, ' ' ORDER BY changed_at) FROM cdp.segment_changes WHERE segment = 'here'}), qr/^entered/, 'a realtime segment: entered');
ok($node->poll_query_until('shop', q{SELECT count(*) = 1 FROM cdp.segment_changes WHERE segment = 'here' AND change = 'exited'}), 'the worker lets the window close');

$node->stop;
done_testing();
