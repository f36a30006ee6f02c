# pg_dump and restore of a database with models and scores: versions, scores and
# percentiles, how scores and features are distributed, and that all of it goes on.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', settings => "autovacuum = off\n");
my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION cdp;
SELECT cdp.setup();
CREATE TABLE person (id integer PRIMARY KEY, age integer, channel text, bought boolean);
INSERT INTO person SELECT i, 20 + i * 37 % 50, (ARRAY['email', 'Geschäft', 'a "b"'])[1 + i % 3], i * 7919 % 100 < i * 37 % 50 + 20 FROM generate_series(1, 500) AS i;
SELECT cdp.create_source('people', 'person', record_key => 'id', identifiers => 'id AS crm_id', traits => 'age, channel');
CALL cdp.refresh();
SELECT cdp.register_model('first "one"', cdp.train_logit('SELECT bought, age, channel FROM person WHERE age < 60', 'bought'));
SELECT cdp.register_model('first "one"', cdp.train_logit('SELECT bought, age, channel FROM person WHERE age < 50', 'bought'),
	quality => '{"auc": 0.7}', training => '{"until": "today"}', scores => '{0.1,0.2,0.3,0.4,0.5,0.6,0.7}');
SELECT cdp.create_score('Käufer', 'first "one"', 'CASE WHEN profile.age > 25 THEN cdp.predict(model, ARRAY[profile.age], ARRAY[profile.channel]) END');
CALL cdp.refresh();
SQL

my $what = q{SELECT * FROM (SELECT string_agg(to_jsonb(m)::text, E'\n' ORDER BY m.name, m.version) FROM cdp.models AS m) AS e
	UNION ALL SELECT string_agg(to_jsonb(s)::text, E'\n' ORDER BY s.name) FROM cdp.scores AS s
	UNION ALL SELECT string_agg(to_jsonb(i)::text, E'\n' ORDER BY i.score, i.place) FROM cdp.score_inputs AS i
	UNION ALL SELECT string_agg(concat_ws('|', p.crm_id, p."Käufer", p."Käufer_percentile"), E'\n' ORDER BY p.crm_id) FROM cdp.profiles AS p
	UNION ALL SELECT string_agg(to_jsonb(h)::text, E'\n' ORDER BY to_jsonb(h)::text) FROM cdp.health AS h};
my $before = $node->safe_psql('shop', $what);
is($node->safe_psql('shop', 'SELECT count(*), count(*) FILTER (WHERE drift > 0), min(people) FROM cdp.score_inputs'), '2|2|440', 'features are compared');

$node->command_ok([ 'pg_dump', '-Fc', '-f', $file, $node->connstr('shop') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), $file ], 'restore');
is($node->safe_psql('copy', $what), $before, 'the same models, scores and distributions');

# Everything goes on there.
$node->safe_psql('copy', 'SET client_min_messages = warning; SELECT cdp.setup(); CALL cdp.refresh()');
my $values = q{SELECT string_agg(concat_ws('|', crm_id, "Käufer", "Käufer_percentile"), ',' ORDER BY crm_id) FROM cdp.profiles};
is($node->safe_psql('copy', $values), $node->safe_psql('shop', $values), 'a refresh gives the same scores');
is($node->safe_psql('copy', q{SET client_min_messages = warning;
	SELECT cdp.register_model('first "one"', cdp.train_logit('SELECT bought, age, channel FROM person', 'bought'))}), '3', 'versions are counted on');
$node->safe_psql('copy', 'SET client_min_messages = warning; CALL cdp.refresh()');
is($node->safe_psql('copy', 'SELECT s.model_version, i.model_version, i.drift < 0.1 FROM cdp.scores AS s JOIN cdp.score_inputs AS i ON i.score = s.name AND i.place = 2'),
	'3|3|t', 'people are scored by the next one');
is($node->safe_psql('copy', q{SELECT cdp.drop_score('Käufer'); SELECT cdp.drop_model('first "one"'); SELECT count(*) FROM cdp_data.model, cdp_data.score_input}), "\n\n0", 'all of it is dropped');

$node->stop;
done_testing();
