<?php
// Writes one key after the other through phpredis's RedisSentinel, and prints each acknowledged one with its time. phpredis does
// not follow by itself: who uses it asks for the master when there is no connection, or a write has failed.

/** master connects to the master that the first Sentinel that answers names. */
function master(string $name, array $addresses): Redis
{
    foreach ($addresses as $address) {
        [$host, $port] = explode(':', $address);
        try {
            $sentinel = new RedisSentinel($host, (int) $port, 1.0, null, 0, 1.0);
            $found = $sentinel->getMasterAddrByName($name);
        } catch (RedisException $e) {
            continue;
        }
        if ($found) {
            $redis = new Redis();
            $redis->connect($found[0], (int) $found[1], 1.0, null, 0, 1.0);
            return $redis;
        }
    }
    throw new RedisException('no Sentinel names the master');
}

$addresses = array_slice($argv, 2);
$redis = null;
for ($n = 0; ; $n++) {
    try {
        $redis ??= master($argv[1], $addresses);
        if (!$redis->set("phpredis:$n", '')) {
            throw new RedisException($redis->getLastError());
        }
        printf("acked %.6f phpredis:%d\n", microtime(true), $n);
    } catch (RedisException $e) {
        echo $e->getMessage(), "\n";
        $redis = null;
    }
    usleep(10000);
}
