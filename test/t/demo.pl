# The main job from end to end: what "make demo" shows, asserted.  With the real
# orders of the Online Retail data set where CDP_DATA_DIR has them, and always
# with the generated ones of the same shape.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $demo = "$FindBin::RealBin/../demo";
my $orders = ($ENV{CDP_DATA_DIR} // "$FindBin::RealBin/../../../shared/data") . '/online_retail/online_retail.csv.gz';
my $node = new_node('demo', settings => "maintenance_work_mem = 512MB\n");

# Runs a file or a command of the demo in a database.
sub run_demo
{
	my ($database, @arguments) = @_;
	my @command = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), @arguments);
	my ($output, $errors) = ('', '');
	IPC::Run::run(\@command, '>', \$output, '2>', \$errors) or BAIL_OUT("psql @arguments: $errors");
	return $output;
}

sub value
{
	my ($database, $query) = @_;
	return $node->safe_psql($database, $query);
}

# What holds for every set of orders.
sub check_people
{
	my ($database, $what) = @_;

	is(value($database, 'SELECT count(*) FROM cdp.check_identities()'), '0', "$what: no inconsistency");

	is(value($database, "SELECT state FROM cdp.identifiers WHERE value = 'kiosk-oxford-street'"), 'shared', "$what: the kiosk is shared");
	is(value($database, <<'SQL'), 't|t', "$what: the people who logged in at the kiosk stay apart");
SELECT count(*) > 10, count(*) = count(DISTINCT cdp.resolve('user_id', customer_id::text))
FROM (SELECT DISTINCT customer_id FROM web.event WHERE anonymous_id = 'kiosk-oxford-street') AS visitor
SQL

	is(value($database, "SELECT cdp.resolve('crm_id', 'C-13089') = cdp.resolve('user_id', '13089')"), 't', "$what: Margaret's contact and account are one person");
	is(value($database, "SELECT cdp.resolve('anonymous_id', 'browser-margaret-phone') = cdp.resolve('user_id', '13089')"), 't', "$what: and so is her phone's browser");
	isnt(value($database, "SELECT count(*) FROM cdp.explain_link('crm_id', 'C-13089', 'user_id', '13089')"), '0', "$what: with evidence");

	is(value($database, "SELECT cdp.resolve('user_id', '15311') <> cdp.resolve('user_id', '16029')"), 't', "$what: the household stays two people");
	is(value($database, "SELECT cdp.resolve('phone', '020 7946 0815') IN (cdp.resolve('user_id', '15311'), cdp.resolve('user_id', '16029'))"), 't', "$what: their phone belongs to one of them");
	isnt(value($database, "SELECT count(*) FROM cdp.explain_refusals(cdp.resolve('user_id', '16029'))"), '0', "$what: and the other one's refusal is explained");

	is(value($database, "SELECT count(*) FROM (SELECT profile_id FROM cdp.identifiers WHERE namespace IN ('user_id', 'crm_id') GROUP BY profile_id, namespace HAVING count(*) > 1) AS too_many"), '0', "$what: nobody has two accounts or two contacts");
	is(value($database, "SELECT count(DISTINCT cdp.resolve('user_id', customer_id::text)) = count(DISTINCT customer_id) FROM shop.order_line"), 't', "$what: each customer number is a person");
	is(value($database, "SELECT (SELECT count(*) FROM shop.order_line WHERE customer_id IS NULL) = (SELECT count(*) FROM cdp.rejected_records WHERE source = 'shop')"), 't', "$what: lines without a customer are rejected, and each is on record");
	is(value($database, "SELECT (SELECT count(*) FROM crm.contact WHERE cardinality(shop_customers) > 1) = (SELECT count(*) FROM cdp.rejected_records WHERE source = 'crm')"), 't', "$what: contacts with two accounts are rejected, and each is on record");
	is(value($database, "SELECT sum(records_new + rejected) = sum(rows_read) FROM demo.stitched"), 't', "$what: every row is a record or a rejection");
}

sub run_all
{
	my ($database, $what, $people, @load) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	run_demo($database, '-f', "$demo/tables.sql");
	run_demo($database, @load);
	run_demo($database, '-f', "$demo/contacts.sql");
	run_demo($database, '-f', "$demo/stitch.sql");
	check_people($database, $what);
	is(value($database, <<'SQL'), $people, "$what: so many people, anonymous browsers, shared and blocked identifiers");
SELECT count(*) FILTER (WHERE is_known), count(*) FILTER (WHERE NOT is_known AND is_usable), count(*) FILTER (WHERE NOT is_usable)
FROM (
	SELECT profile_id, bool_or(kind = 'person' AND state = 'usable') AS is_known, bool_or(state = 'usable') AS is_usable
	FROM cdp.identifiers GROUP BY profile_id
) AS profile
SQL

	# once more: nothing changes
	my $before = fingerprint($node, $database) . ids($node, $database);
	value($database, 'CREATE TABLE first_stitched AS SELECT * FROM demo.stitched; DROP SCHEMA demo CASCADE');
	run_demo($database, '-f', "$demo/stitch.sql");
	is(fingerprint($node, $database) . ids($node, $database), $before, "$what: stitching again changes nothing");
	is(value($database, 'SELECT sum(records_new + records_changed + identifiers_new + links_new + profiles_new + merges + splits) FROM demo.stitched'), '0', "$what: and says so");
	is(value($database, 'SELECT sum(s.records_unchanged) = sum(f.records_new) AND sum(s.rejected) = sum(f.rejected) FROM demo.stitched s JOIN first_stitched f USING (source)'), 't', "$what: all records were found unchanged");
	is(value($database, 'SELECT count(*) FROM cdp.check_identities()'), '0', "$what: still no inconsistency");

	my $report = run_demo($database, '-f', "$demo/report.sql");
	like($report, qr/AN AUDIENCE/, "$what: the report runs to its end");
	is(value($database, "SELECT count(*) FROM cdp.check_identities()"), '0', "$what: sound after the split and its undo");
	is(value($database, "SELECT cdp.resolve('email', 'nina.patel\@example.net') <> cdp.resolve('user_id', '14096')"), 't', "$what: George and Nina are two people");
	is(value($database, "SELECT cdp.resolve('anonymous_id', 'browser-nina') = cdp.resolve('email', 'nina.patel\@example.net')"), 't', "$what: Nina keeps her browser");
	is(value($database, 'SELECT round(sum(monetary), 2) = (SELECT round(sum(quantity * unit_price), 2) FROM shop.order_line WHERE customer_id IS NOT NULL) FROM demo.value'), 't', "$what: no order is lost or counted twice");
	is(value($database, 'SELECT count(*) = count(DISTINCT profile_id) FROM demo.person'), 't', "$what: one row per person");
}

# The numbers are those of the slow reference that the semantics were designed with.
run_all('generated', 'generated orders', '5891|3155|3', '-f', "$demo/orders.sql");

SKIP:
{
	skip "no real orders: $orders is not there (see CDP_DATA_DIR)", 1 unless -r $orders;

	run_all('online_retail', 'real orders', '5886|3139|3', '-c',
		"\\copy shop.order_line (invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country) FROM PROGRAM 'gzip -dc ''$orders''' (FORMAT csv, HEADER, NULL 'NA')");
	is(value('online_retail', 'SELECT count(*), count(customer_id), count(DISTINCT customer_id) FROM shop.order_line'), '541909|406829|4372', 'real orders: all of them');
}

done_testing();
