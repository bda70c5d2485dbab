# Writes one key after the other through Perl's Redis and its Sentinel support, and prints each acknowledged one with its time.
use strict;
use warnings;
use Redis;
use Time::HiRes qw(sleep time);

my ($name, @addresses) = @ARGV;
$| = 1;
my %options = (
    sentinels => \@addresses, service => $name, cnx_timeout => 1, read_timeout => 1, write_timeout => 1,
    sentinels_cnx_timeout => 1, sentinels_read_timeout => 1, sentinels_write_timeout => 1,
    reconnect => 30, every => 10_000, # seconds, and microseconds between two tries
);
my $redis;
for (my $n = 0; ; $n++) {
    my $key = "perl-redis:$n";
    if (eval { $redis //= Redis->new(%options); $redis->set($key, ""); 1 }) {
        printf "acked %.6f %s\n", time, $key;
    } else {
        print $@;
    }
    sleep 0.01;
}
