# The tour in the README is the output of the regress test readme_tour, word for
# word.

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

done_testing();
