#!/usr/bin/env bash
# Writes one key after the other with redis-cli to whom the first Sentinel that answers names as the master, and prints each
# acknowledged one with its time.
name=$1
shift
for ((n = 0; ; n++)); do
	for sentinel in "$@"; do
		master=($(timeout 1 redis-cli -h "${sentinel%:*}" -p "${sentinel##*:}" --raw sentinel get-master-addr-by-name "$name")) && break
	done
	key="redis-cli:$n"
	reply=$(timeout 1 redis-cli -h "${master[0]}" -p "${master[1]}" set "$key" "" 2>&1)
	if [ "$reply" = OK ]; then
		echo "acked $EPOCHREALTIME $key"
	else
		echo "$reply"
	fi
	sleep 0.01
done
