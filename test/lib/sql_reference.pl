#!/usr/bin/perl
#
# Prints docs/sql-reference.md: every public object of the extension with its
# comment, as the catalogs of a server have them.  "make sql-reference" runs it on
# a throwaway server; test/t/sql_reference.pl compares what it prints with the page.
#
#   perl test/lib/sql_reference.pl [connection string]
#
# The database needs CREATE EXTENSION cdp and cdp.setup().  Which capability an
# object belongs to, the scripts in sql/ tell.
#
# Not public are functions whose comment begins with "Part of" or "Internal", and
# what only types, operators, casts, aggregates and triggers call.

use strict;
use warnings;
use utf8;
use FindBin;

my $top = "$FindBin::RealBin/../..";
my $database = shift // '';
my @capabilities = qw(setup source identity profile trait segment score match privacy activation);
my %title = (
	setup => 'Setup', source => 'Sources and events', identity => 'Identity', profile => 'Profiles', trait => 'Traits', segment => 'Segments and audiences',
	score => 'Scores', match => 'Matching', privacy => 'Privacy', activation => 'Activation');

binmode(STDOUT, ':encoding(UTF-8)');

# The rows of a query, each a reference to an array of fields.
sub rows
{
	my ($query) = @_;
	my @command = ('psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-F', "\x1f", '-R', "\x1e", '-c', $query);
	push @command, '-d', $database if $database ne '';
	open my $pipe, '-|:encoding(UTF-8)', @command or die "psql: $!";
	local $/;
	my $output = <$pipe> // '';
	close $pipe or die "psql failed\n";
	$output =~ s/\n\z//;
	return map { [ split /\x1f/, $_, -1 ] } split /\x1e/, $output;
}

# Which capability's scripts create an object.
my (%capability_of, %internal);
for my $capability (@capabilities)
{
	for my $path (glob("$top/sql/$capability.sql"), glob("$top/sql/${capability}_*.sql"))
	{
		next unless -e $path;
		open my $file, '<:encoding(UTF-8)', $path or die "$path: $!";
		local $/;
		my $text = <$file>;
		$capability_of{routine}{$1} //= $capability while $text =~ /^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|AGGREGATE) cdp\.(\w+)/mg;
		$capability_of{type}{$1} //= $capability while $text =~ /^CREATE (?:TYPE|DOMAIN) cdp\.(\w+)/mg;
		while ($text =~ /\bVIEW cdp\.(\w+)|shape_view\('(\w+)'/g)
		{
			$capability_of{view}{ $1 // $2 } //= $capability;
		}
	}
}

sub capability
{
	my ($kind, $name) = @_;
	return $capability_of{$kind}{$name} // die "which capability does the $kind cdp.$name belong to?\n";
}

# Names of types as people write them.
sub short
{
	my ($text) = @_;
	$text =~ s/timestamp with time zone/timestamptz/g;
	$text =~ s/timestamp without time zone/timestamp/g;
	$text =~ s/character varying/varchar/g;
	return $text;
}

# What Markdown would take for its own.
sub escape
{
	my ($text) = @_;
	$text =~ s/\s+/ /g;
	$text =~ s/([<*])/\\$1/g;
	$text =~ s/(?<!\w)_/\\_/g;
	return $text;
}

sub cell
{
	my ($text) = @_;
	return escape($text) =~ s/\|/\\|/gr;
}

# A list in parentheses, on several lines where it is long.  Commas that stand
# within a default or a type are no ends.
sub list
{
	my ($before, $list) = @_;
	return "$before($list)" if length("$before($list)") <= 110;
	my @lines = ("$before(");
	for my $element ($list =~ /((?:[^,'(]|'(?:[^']|'')*'|\([^)]*\))+)(?:, )?/g)
	{
		if (@lines == 1 || length("$lines[-1] $element,") > 110) { push @lines, "    $element" }
		else { $lines[-1] .= " $element" }
		$lines[-1] .= ',';
	}
	$lines[-1] =~ s/,\z//;
	return join("\n", @lines) . ')';
}

sub call
{
	my ($name, $arguments, $result, $columns) = @_;
	$arguments =~ s/(^|, )IN /$1/g;
	$arguments =~ s/('(?:[^']|'')*'|NULL)::\w[\w. ]*(?:\[\])?/$1/g;
	my $call = list($name, $arguments);
	return $call if $result eq '';
	return "$call → $result" if $columns eq '';
	return list("$call → $result of ", $columns) if length("$call → $result of ($columns)") <= 110;
	return "$call →\n" . list("  $result of ", $columns);
}

# A comment as a paragraph.
sub sentence
{
	my ($text) = @_;
	$text = escape($text);
	$text =~ s/\A([a-z])/\u$1/;
	$text .= '.' unless $text =~ /[.?!]\z/;
	return $text;
}

my $is_member = <<'SQL';
EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'cdp' AND d.deptype = 'e' AND d.classid = '%s'::regclass AND d.objid = %s)
SQL

sub member { return sprintf $is_member, @_ }

my (%views, %routines, %types, %operators, %casts, %classes);

for (rows(<<'SQL'))
SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'cdp'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname COLLATE "C", a.attnum
SQL
{
	my ($view, $comment, $column, $type, $about) = @$_;
	my $entry = $views{ capability('view', $view) }{$view} //= { comment => $comment };
	push @{ $entry->{columns} }, [ $column, short($type), $about ];
}

for (rows("SELECT p.proname, p.prokind, pg_get_function_arguments(p.oid), coalesce(pg_get_function_result(p.oid), ''),
	coalesce((SELECT string_agg(p.proargnames[i] || ' ' || format_type(p.proallargtypes[i], NULL), ', ' ORDER BY i)
		FROM generate_subscripts(p.proargmodes, 1) i WHERE p.proargmodes[i] IN ('o', 't')), ''), p.provolatile, p.proparallel, obj_description(p.oid, 'pg_proc'),
	coalesce(obj_description(p.oid, 'pg_proc') ~ '^(Part of|Internal)', false)
FROM pg_proc p
WHERE p.pronamespace = 'cdp'::regnamespace AND p.prorettype <> 'trigger'::regtype AND " . member('pg_proc', 'p.oid') . <<'SQL'))
	AND p.oid NOT IN (
		SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript]::oid[]) FROM pg_type
		UNION ALL SELECT oprcode FROM pg_operator
		UNION ALL SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn]::oid[]) FROM pg_aggregate
		UNION ALL SELECT amproc FROM pg_amproc
		UNION ALL SELECT castfunc FROM pg_cast)
ORDER BY p.proname COLLATE "C", p.pronargs, pg_get_function_arguments(p.oid) COLLATE "C"
SQL
{
	my ($name, $kind, $arguments, $result, $columns, $volatile, $parallel, $comment, $is_internal) = @$_;
	my $capability = capability('routine', $name);
	if ($is_internal eq 't')
	{
		$internal{$capability}{$name} = 1;
		next;
	}
	if ($kind eq 'p') { $result = $columns = '' }
	elsif ($columns ne '')
	{
		$arguments =~ s/(?:\A|, )OUT [^,]*//g;
		$result = $result =~ /\A(?:SETOF|TABLE)/ ? 'rows' : 'row';
	}
	my $call = call($kind eq 'p' ? "CALL cdp.$name" : "cdp.$name", short($arguments), short($result), short($columns));
	my $marks = { i => 'immutable', s => 'stable', v => 'volatile' }->{$volatile};
	$marks = $kind eq 'a' ? 'aggregate' : $kind eq 'p' ? 'procedure' : $marks;
	$marks .= { s => ', parallel safe', r => ', parallel restricted', u => '' }->{$parallel} if $kind ne 'p';
	push @{ $routines{$capability}{$name} }, { call => $call, comment => $comment, marks => $marks };
}

for (rows("SELECT t.typname, t.typtype, obj_description(t.oid, 'pg_type'),
	coalesce((SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '')
FROM pg_type t WHERE t.typnamespace = 'cdp'::regnamespace AND t.typcategory <> 'A' AND " . member('pg_type', 't.oid') . ' ORDER BY t.typname COLLATE "C"'))
{
	my ($name, $kind, $comment, $columns) = @$_;
	$types{ capability('type', $name) }{$name} = { comment => $comment, columns => short($columns) };
}

# Operators, casts and operator classes go with the type that they are about.
sub capability_of_types
{
	my (@types) = @_;
	for (@types) { return $capability_of{type}{$1} if /^cdp\.(\w+)/ && $capability_of{type}{$1} }
	die "to which capability do @types belong?\n";
}

for (rows("SELECT o.oprname, CASE WHEN o.oprleft = 0 THEN '' ELSE format_type(o.oprleft, NULL) END, format_type(o.oprright, NULL), format_type(o.oprresult, NULL), obj_description(o.oid, 'pg_operator')
FROM pg_operator o WHERE " . member('pg_operator', 'o.oid') . ' ORDER BY 2, o.oprname::text COLLATE "C", 3'))
{
	my ($name, $left, $right, $result, $comment) = @$_;
	push @{ $operators{ capability_of_types($left, $right) } }, [ short("$left $name $right"), short($result), $comment ];
}

for (rows("SELECT format_type(c.castsource, NULL), format_type(c.casttarget, NULL), CASE c.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'on assignment' ELSE 'explicit' END, obj_description(c.oid, 'pg_cast')
FROM pg_cast c WHERE " . member('pg_cast', 'c.oid') . ' ORDER BY 1, 2'))
{
	my ($from, $to, $context, $comment) = @$_;
	push @{ $casts{ capability_of_types($from, $to) } }, [ short($from), short($to), $context, $comment ];
}

for (rows("SELECT o.opcname, a.amname, format_type(o.opcintype, NULL), o.opcdefault, obj_description(o.oid, 'pg_opclass')
FROM pg_opclass o JOIN pg_am a ON a.oid = o.opcmethod WHERE " . member('pg_opclass', 'o.oid') . ' ORDER BY 3, 2, 1'))
{
	my ($name, $method, $type, $is_default, $comment) = @$_;
	push @{ $classes{ capability_of_types($type) } }, [ "cdp.$name", $method, short($type), $is_default eq 't' ? 'default' : '', $comment ];
}

print <<'EOT';
# SQL reference

Every view, function, procedure, aggregate, type and operator of `cdp` that is meant to be used,
with its comment. It is generated from the catalogs by `make sql-reference`, and a test
compares it with them. The same texts are at hand in psql: `\dv+ cdp.*`, `\d+ cdp.profiles`, `\df+ cdp.create_source`.
The pages of the capabilities tell how to work with them; they are linked from each section.

Arguments that have a default can be left out, and all but those of aggregates can be given by name:
`cdp.get_profile('email', 'ann@example.com', events => 5)`.

EOT

my @present = grep { $views{$_} || $routines{$_} || $types{$_} } @capabilities;
for my $capability (@present)
{
	my @names = (sort(keys %{ $views{$capability} // {} }), sort(keys %{ $routines{$capability} // {} }));
	print "**[$title{$capability}](#", (lc($title{$capability}) =~ s/ /-/gr), ")**: ", join(', ', map { "[$_](#cdp$_)" } @names), "\n\n";
}

for my $capability (@present)
{
	print "## $title{$capability}\n\nGuide: [$capability.md]($capability.md).\n\n";
	for my $view (sort keys %{ $views{$capability} // {} })
	{
		my $entry = $views{$capability}{$view};
		print "### cdp.$view\n\nView. ", sentence($entry->{comment}), "\n\n| column | type | |\n|---|---|---|\n";
		print "| `$_->[0]` | `$_->[1]` | ", cell($_->[2]), " |\n" for @{ $entry->{columns} };
		print "\n";
	}
	for my $name (sort keys %{ $routines{$capability} // {} })
	{
		print "### cdp.$name\n\n";
		my @overloads = @{ $routines{$capability}{$name} };
		while (@overloads)
		{
			# overloads with the same comment stand together
			my @same = (shift @overloads);
			push @same, shift @overloads while @overloads && $overloads[0]{comment} eq $same[0]{comment} && $overloads[0]{marks} eq $same[0]{marks};
			print "```\n", join("\n", map { $_->{call} } @same), "\n```\n\n", sentence($same[0]{comment}), " *($same[0]{marks})*\n\n";
		}
	}
	if ($types{$capability})
	{
		print "### Types of $capability\n\n| type | | columns |\n|---|---|---|\n";
		print "| `cdp.$_` | ", cell($types{$capability}{$_}{comment}), ' | ', ($types{$capability}{$_}{columns} ? "`$types{$capability}{$_}{columns}`" : ''), " |\n"
			for sort keys %{ $types{$capability} };
		print "\n";
	}
	if ($operators{$capability})
	{
		print "### Operators of $capability\n\n| operator | result | |\n|---|---|---|\n";
		print '| `', ($_->[0] =~ s/\|/\\|/gr), "` | `$_->[1]` | ", cell($_->[2]), " |\n" for @{ $operators{$capability} };
		print "\n";
	}
	if ($casts{$capability})
	{
		print "### Casts of $capability\n\n| from | to | | |\n|---|---|---|---|\n";
		print "| `$_->[0]` | `$_->[1]` | $_->[2] | ", cell($_->[3]), " |\n" for @{ $casts{$capability} };
		print "\n";
	}
	if ($classes{$capability})
	{
		print "### Operator classes of $capability\n\n| class | index | of type | | |\n|---|---|---|---|---|\n";
		print "| `$_->[0]` | $_->[1] | `$_->[2]` | $_->[3] | ", cell($_->[4]), " |\n" for @{ $classes{$capability} };
		print "\n";
	}
}

print <<'EOT';
## Internal functions

What the functions above are made of. They stay callable, since they run with their caller's rights, but they are not meant to be
called, and may change with any version. What types, operators, casts, aggregates and triggers are made of is left out.

EOT
print "**$title{$_}**: ", join(', ', map { "`$_`" } sort keys %{ $internal{$_} }), "\n\n" for grep { $internal{$_} } @capabilities;
