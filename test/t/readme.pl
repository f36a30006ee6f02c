# The tour in the README is the output of the regress test readme_tour, word for
# word; its other SQL stands in the test of docs/setup.md.  And its first two
# commands are make demo and make test.

use strict;
use warnings;
use FindBin;
use Test::More;

sub slurp
{
	my ($path) = @_;
	open my $file, '<:encoding(UTF-8)', $path or die "$path: $!";
	local $/;
	return <$file>;
}

my $top = "$FindBin::RealBin/../..";
my $readme = slurp("$top/README.md");
my $expected = slurp("$top/expected/readme_tour.out");

$expected =~ s/\A.*?^(?=SELECT cdp\.setup)//ms or die 'the test has no beginning';
$expected =~ s/^-- \(the tour ends here\).*//ms or die 'the test has no end';
$expected =~ s/\s+\z/\n/;

my ($tour) = $readme =~ /^```sql\n(SELECT cdp\.setup.*?)^```/ms;
ok(defined $tour, 'the README has a tour');
is($tour // '', $expected, 'and it is what the server says');

my $setup = slurp("$top/test/sql/setup_docs.sql");
my @others = grep { $_ ne ($tour // '') } $readme =~ /^```sql\n(.*?)^```/msg;
cmp_ok(scalar @others, '>', 0, 'the README has other SQL');
is(join('', grep { index($setup, $_) < 0 } @others), '', 'and a test runs it');
is(join(' ', ($readme =~ /^(make \S+)/mg)[0, 1]), 'make demo make test', 'the first two commands');
my ($missing) = map { join ' ', @$_ } [ grep { !-e "$top/$_" } $readme =~ /\]\(([^)#:]+?)(?:#[^)]*)?\)/g ];
is($missing, '', 'what it links to is there');

done_testing();
