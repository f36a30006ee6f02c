# docs/sql-reference.md is what the catalogs say ("make sql-reference" writes it),
# and what the pages of the capabilities call internal is no part of it.
#
# The page is the same on PostgreSQL 15 to 18.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IdentityTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub slurp
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	local $/;
	return <$file>;
}

my $node = new_node('reference');
setup_identity($node);
my $written = "${PostgreSQL::Test::Utils::tmp_check}/sql-reference.md";
is(system("$^X $top/test/lib/sql_reference.pl '" . $node->connstr('postgres') . "' >$written"), 0, 'the reference is written');
my $new = slurp($written);
my $page = slurp("$top/docs/sql-reference.md");

sub headings { return join "\n", $_[0] =~ /^(#+ .*)$/mg }

is(headings($new), headings($page), 'docs/sql-reference.md has each object (otherwise: make sql-reference)');
is($new, $page, 'and says what its comment says (otherwise: make sql-reference)');

# "Functions that these are made of, not meant to be called: ..." on each page
my %internal;
for my $path (glob "$top/docs/*.md")
{
	for my $paragraph (split /\n\s*\n/, slurp($path))
	{
		next unless $paragraph =~ /not meant to be called|for reading rather than calling/;
		$internal{$1} = 1 while $paragraph =~ /cdp\.(\w+)\(/g;
	}
}
cmp_ok(scalar keys %internal, '>', 50, 'internal functions are listed');
is(join(' ', grep { $internal{$_} } $page =~ /^### cdp\.(\w+)$/mg), '',
	'what a page calls internal, its comment does as well (it begins with "Part of" or "Internal")');

$node->stop;
done_testing();
