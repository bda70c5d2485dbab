"""Writes one key after the other through redis-py's Sentinel support, and prints each acknowledged one with its time."""
import sys
import time

from redis.exceptions import RedisError
from redis.sentinel import Sentinel

name, *addresses = sys.argv[1:]
sentinel = Sentinel([a.rsplit(":", 1) for a in addresses], socket_timeout=1)
master = sentinel.master_for(name, socket_timeout=1)
n = 0
while True:
    key = f"redis-py:{n}"
    try:
        master.set(key, "")
        print(f"acked {time.time():.6f} {key}", flush=True)
    except RedisError as e:
        print(e, flush=True)
    n += 1
    time.sleep(0.01)
