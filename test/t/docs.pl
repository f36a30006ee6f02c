# Pages: their examples, their functions and their links.
#
# The SQL of the pages docs/<capability>.md is run by the regress test
# <capability>_docs: each of their sql blocks stands in the test, word for word,
# or in its expected output.  And each function of a capability stands on its page.

use strict;
use warnings;
use FindBin;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub slurp
{
	my ($path) = @_;
	open my $file, '<:encoding(UTF-8)', $path or die "$path: $!";
	local $/;
	return <$file>;
}

binmode(Test::More->builder->$_, ':encoding(UTF-8)') for qw(output failure_output);

# The pages that have no capability, and how many examples they have at least.
my %guide = ("coming-from" => 5, jobs => 20, operations => 8, recipes => 12);

for my $capability ('setup', 'identity', 'profile', 'source', 'trait', 'segment', 'score', sort keys %guide)
{
	my $page = slurp("$top/docs/$capability.md");
	my $name = ($capability =~ tr/-/_/r) . '_docs';
	my $test = slurp("$top/test/sql/$name.sql");
	my $expected = slurp("$top/expected/$name.out");
	my @missing;
	my $blocks = 0;

	# psql leaves out the blank lines between statements.
	$test =~ s/^\s*\n//mg;
	while ($page =~ /^```sql\n(.*?)^```$/msg)
	{
		my $block = $1;
		(my $statements = $block) =~ s/^\s*\n//mg;
		$blocks++;
		push @missing, $block if index($expected, $block) < 0 && index($test, $statements) < 0;
	}
	cmp_ok($blocks, '>=', $guide{$capability} // 6, "docs/$capability.md has examples");
	is(join("\n", @missing), '', "each example of docs/$capability.md is run by the test $name");
	next if $guide{$capability};

	my %functions;
	for my $script (grep { -e } glob "$top/sql/${capability}.sql $top/sql/${capability}_*.sql")
	{
		my $text = slurp($script);
		$functions{$1} = 1 while $text =~ /^CREATE (?:FUNCTION|PROCEDURE|AGGREGATE) cdp\.(\w+)\(/mg;
		# what only types, casts and aggregates call
		delete @functions{ grep { /_(?:in|out|recv|send|to_jsonb|from_jsonb)\z|_(?:transition|combine|final|serialize|deserialize)(?:_|\z)/ } keys %functions };
	}
	cmp_ok(scalar keys %functions, '>', 3, "sql/$capability.sql has functions");
	is(join(' ', grep { index($page, "cdp.$_(") < 0 } sort keys %functions), '', "each function is on docs/$capability.md");
}

# Links between pages lead to files and headings that are there.
my %anchors;
for my $page ('README.md', map { s{.*/docs/}{docs/}r } glob "$top/docs/*.md")
{
	my $text = slurp("$top/$page") =~ s/^```.*?^```$//msgr;
	my %seen;
	while ($text =~ /^#+ +(.*?) *$/mg)
	{
		# as GitHub makes them
		my $anchor = lc($1 =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr) =~ s/[^\w\- ]//gr =~ s/ /-/gr;
		my $again = $seen{$anchor}++;
		$anchors{$page}{ $again ? "$anchor-$again" : $anchor } = 1;
	}
}
my @broken;
for my $page (sort keys %anchors)
{
	my $text = slurp("$top/$page") =~ s/^```.*?^```$//msgr =~ s/`[^`\n]*`//gr;
	my ($folder) = $page =~ m{\A(.*/)?};
	while ($text =~ /\]\(([^)\s]+)\)/g)
	{
		my $link = $1;
		next if $link =~ /^\w+:/;
		my ($file, $anchor) = $link =~ /\A([^#]*)(?:#(.*))?\z/;
		my $target = $file eq '' ? $page : ($folder // '') . $file;
		1 while $target =~ s{[^/]+/\.\./}{};
		if (!-e "$top/$target") { push @broken, "$page: $link" }
		elsif (defined $anchor && $anchors{$target} && !$anchors{$target}{$anchor}) { push @broken, "$page: $link" }
	}
}
is(join("\n", @broken), '', 'links lead somewhere');

done_testing();
