# Tables that logical replication fills: capture sees the first copy as one
# batch and what is applied later row by row, each change once, and what fails
# does not stop the subscription.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_node('publisher', allows_streaming => 'logical');
my $subscriber = new_node('subscriber');

my $tables = <<'SQL';
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id bigint PRIMARY KEY, email text, crm text, country text, changed timestamptz);
CREATE TABLE shop.visit (id bigint PRIMARY KEY, cookie text, at timestamptz, seconds integer);
CREATE TABLE shop.click (id bigint NOT NULL, cookie text, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE shop.click_2024 PARTITION OF shop.click FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.click_2025 PARTITION OF shop.click FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SQL
$_->safe_psql('postgres', $tables) for ($publisher, $subscriber);

$publisher->safe_psql('postgres', <<'SQL');
ALTER TABLE shop.customer REPLICA IDENTITY FULL;
INSERT INTO shop.customer VALUES (1, 'ann@example.org', 'c1', 'FR', '2024-01-01'), (2, 'bob@example.org', 'c2', 'IT', '2024-01-01');
INSERT INTO shop.visit SELECT i, 'k' || i, '2024-01-01', i % 7 FROM generate_series(1, 1000) AS i;
INSERT INTO shop.click VALUES (1, 'k1', '2024-02-01'), (2, 'k2', '2025-02-01');
CREATE PUBLICATION shop FOR TABLE shop.customer, shop.visit, shop.click;
SQL

setup_identity($subscriber);
$subscriber->safe_psql('postgres', <<'SQL');
SELECT cdp.create_source('crm', 'shop.customer', record_key => 'id', observed_at => 'changed', identifiers => 'email, crm AS crm_id', traits => 'country', capture => 'immediate');
SELECT cdp.create_source('web', 'shop.visit', record_key => 'id', occurred_at => 'at', event_name => $$'visit'$$, identifiers => 'cookie AS anonymous_id', properties => '60 / seconds AS rate', capture => 'queue');
SELECT cdp.create_source('click', 'shop.click', record_key => 'id', occurred_at => 'at', event_name => $$'click'$$, identifiers => 'cookie AS anonymous_id', capture => 'queue');
UPDATE cdp_data.source_state SET needs_full = false;
SQL
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION shop CONNECTION '$connection' PUBLICATION shop");

# All that was published so far is applied.
sub catch_up
{
	$publisher->wait_for_catchup('shop');
	$subscriber->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')")
	  or die 'the first copy did not end';
	$publisher->wait_for_catchup('shop');
	return;
}

sub people
{
	return $subscriber->safe_psql('postgres',
		"SELECT concat_ws(' ', crm_id, email, country, record_count) FROM cdp.profiles WHERE crm_id IS NOT NULL ORDER BY crm_id");
}

# What is noted for a source: keys, and notes of them.
sub noted
{
	my ($source) = @_;
	my $noted = $subscriber->safe_psql('postgres',
		"SELECT count(DISTINCT record_key) || ' ' || count(*) FROM cdp_data.captured_key WHERE source = '$source'");
	$subscriber->safe_psql('postgres', "DELETE FROM cdp_data.captured_key WHERE source = '$source'");
	return $noted;
}

sub identities_are_sound
{
	my ($what) = @_;
	is(problems($subscriber), '', "$what: sound");
	return;
}

# The first copy.
catch_up();
is(people(), "c1 ann\@example.org FR 1\nc2 bob\@example.org IT 1", 'first copy: taken in at once');
is(noted('web'), '1000 1000', 'first copy: each row is noted once');
is(noted('click'), '2 2', 'first copy: rows of partitions are noted once');
is($subscriber->safe_psql('postgres', "SELECT count(DISTINCT xmin::text) FROM cdp_data.record WHERE source = 'crm'"), '1',
	'first copy: one batch');

# Changes, one by one.
$publisher->safe_psql('postgres', <<'SQL');
INSERT INTO shop.customer VALUES (3, 'ann@example.org', NULL, 'ES', '2024-01-02'), (4, 'cat@example.org', 'c4', 'PT', '2024-01-02');
UPDATE shop.customer SET country = 'DE', changed = '2024-01-03' WHERE id = 2;
UPDATE shop.customer SET id = 30, changed = '2024-01-03' WHERE id = 3;
DELETE FROM shop.customer WHERE id = 4;
INSERT INTO shop.visit VALUES (2000, 'k2000', '2024-01-01', 0);
UPDATE shop.visit SET seconds = 1 WHERE id = 1;
DELETE FROM shop.visit WHERE id = 2;
INSERT INTO shop.click VALUES (3, 'k3', '2024-02-01');
UPDATE shop.click SET at = '2025-03-01' WHERE id = 1;
SQL
catch_up();
is(people(), "c1 ann\@example.org ES 2\nc2 bob\@example.org DE 1\nc4 0", 'changes: insert, update, change of key, delete');
is($subscriber->safe_psql('postgres', "SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM cdp_data.contribution WHERE source = 'crm'"),
	'1 2 30', 'changes: no record is lost or doubled');
is(noted('web'), '3 3', 'changes: each is noted once');
is(noted('click'), '2 3', 'changes: a row that goes to another partition is noted there and here');
identities_are_sound('changes');

# A transaction of many rows.
$publisher->safe_psql('postgres', "INSERT INTO shop.customer SELECT i, 'p' || i || '\@example.org', 'x' || i, 'FR', '2024-02-01' FROM generate_series(100, 299) AS i");
catch_up();
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM cdp.profiles WHERE crm_id LIKE 'x%' AND country = 'FR'"), '200', 'many rows: taken in');

# An expression that fails does not stop the apply worker.
$subscriber->safe_psql('postgres', <<'SQL');
CREATE FUNCTION shop.checked(email text) RETURNS text LANGUAGE plpgsql STABLE AS
$$BEGIN IF email LIKE 'bad%' THEN RAISE EXCEPTION 'bad address'; END IF; RETURN email; END$$;
SELECT cdp.alter_source('crm', identifiers => 'shop.checked(email) AS email, crm AS crm_id');
UPDATE cdp_data.source_state SET needs_full = false;
SQL
$publisher->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO shop.customer VALUES (400, 'bad@example.org', 'c400', 'FR', '2024-03-01');
INSERT INTO shop.customer VALUES (401, 'gil@example.org', 'c401', 'FR', '2024-03-01');
COMMIT;
SQL
catch_up();
is($subscriber->safe_psql('postgres', 'SELECT source, record_key, reason, detail FROM cdp.rejected_records'),
	'crm|400|capture_failed|bad address', 'a failing row: noted');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM cdp.profiles WHERE crm_id IN ('c400', 'c401')"), '1', 'a failing row: the next one is taken in');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM shop.customer WHERE id IN (400, 401)'), '2', 'a failing row: the table has both');

# TRUNCATE withdraws nothing.
$publisher->safe_psql('postgres', 'TRUNCATE shop.visit');
catch_up();
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM shop.visit'), '0', 'TRUNCATE is applied');
is($subscriber->safe_psql('postgres', 'DELETE FROM cdp_data.captured_key WHERE record_key IS NULL RETURNING source'), 'web',
	'TRUNCATE: a full compare follows');

# The subscription is still at work, and what is written here by ordinary sessions is seen as well.
$publisher->safe_psql('postgres', "INSERT INTO shop.visit VALUES (3000, 'k3000', '2024-04-01', 1)");
catch_up();
is(noted('web'), '1 1', 'after all that: changes are noted');
$subscriber->safe_psql('postgres', "INSERT INTO shop.visit VALUES (3001, 'k3001', '2024-04-01', 1), (3002, 'k3001', '2024-04-01', 1)");
is(noted('web'), '2 2', 'ordinary sessions: each row is noted once');
identities_are_sound('at the end');
unlike(slurp_file($subscriber->logfile), qr/example\.org/, 'no value of a person in the log');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION shop');
$subscriber->stop;
$publisher->stop;
done_testing();
