# A server without libphonenumber, or with a module that does not load: phone
# numbers fail with a hint, and everything else works.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The folder that the extension under test is installed in, from the settings by
# which a server finds it.
my $settings = slurp_file($ENV{TEMP_CONFIG});
my ($folder) = $settings =~ m{^extension_(?:destdir|control_path) = '(.*?/install)}m;
plan skip_all => 'tests the installed extension' unless defined $folder;

my ($library_folder) = run_command([ 'pg_config', '--pkglibdir' ]);
plan skip_all => 'cdp_phone is installed on this machine' if -e "$library_folder/cdp_phone.so";

# The same without the module
my $copy = PostgreSQL::Test::Utils::tempdir_short() . '/install';
system_or_bail('cp', '-r', $folder, $copy);
my $module = "$copy$library_folder/cdp_phone.so";
ok(-e $module, 'there is a module to take away');
rename $module, "$copy/cdp_phone.so" or die "cannot rename $module: $!";
$settings =~ s/\Q$folder\E/$copy/g;

my $node = PostgreSQL::Test::Cluster->new('phone_missing');
$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', $settings);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION cdp');

sub phone_error
{
	my ($number) = @_;
	my ($status, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT cdp.normalize_phone('$number', 'US')");
	isnt($status, 0, 'phone numbers fail');
	return $error;
}

my $error = phone_error('650-253-0000');
like($error, qr/ERROR:  58P01:/, 'SQLSTATE of a missing module');
like($error, qr/HINT:  .*libphonenumber8/, 'hint that names the package');
is($node->safe_psql('postgres', "SELECT cdp.normalize_email('Jane\@Example.com'), cdp.normalize_digits('+1')"),
	'jane@example.com|1', 'the other normalisers work');

$node->safe_psql('postgres', 'SELECT cdp.setup()');
is($node->safe_psql('postgres', "SELECT normalizer_version FROM cdp_data.namespace WHERE name = 'phone'"),
	'phone 1', 'setup works, and the version names no library');

append_to_file($module, "no module\n");
$error = phone_error('650-253-0000');
like($error, qr/HINT:  .*libphonenumber8/, 'hint where the module does not load');

unlink $module;
rename "$copy/cdp_phone.so", $module or die "cannot rename $module: $!";
is($node->safe_psql('postgres', "SELECT cdp.normalize_phone('650-253-0000', 'US')"), '+16502530000', 'with the module they work');

$node->stop;
done_testing();
