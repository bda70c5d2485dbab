package sentinelconf

import (
	"slices"
	"strings"
)

// rule is what becomes of a directive.
type rule struct {
	name        string
	least, most int // arguments; most -1: any number
	secret      bool
	apply       func(*builder, directive) // nil: it has no effect
	note        string                    // why it has no effect, or is refused
	fate        fate
}

type fate int

const (
	applied fate = iota
	ignored      // as Sentinel does, or because nothing is lost by it
	warned       // ignored, and that is told, because Sentinel does not
	refused
)

// rules are those of the directives that mean something to Sentinel.
var rules = []rule{
	{name: "port", least: 1, most: 1, apply: (*builder).port},
	{name: "bind", least: 1, most: -1, apply: (*builder).bind},
	{name: "protected-mode", least: 1, most: 1, apply: (*builder).protectedMode},
	{name: "maxclients", least: 1, most: 1, apply: number("listen.max-clients")},
	{name: "requirepass", least: 1, most: 1, secret: true, apply: (*builder).requirepass},
	{name: "user", least: 1, most: -1, secret: true, apply: (*builder).user},
	{name: "aclfile", least: 1, most: 1, apply: (*builder).aclfile},
	{name: "acl-pubsub-default", least: 1, most: 1, apply: (*builder).pubsubDefault},
	{name: "dir", least: 1, most: 1, apply: (*builder).workingDir},
	{name: "logfile", least: 1, most: 1, apply: (*builder).logfile},
	{name: "loglevel", least: 1, most: 1, apply: (*builder).loglevel},
	{name: "pidfile", least: 1, most: 1, apply: (*builder).pidfile},
	{name: "supervised", least: 1, most: 1, apply: (*builder).supervised},
	{name: "daemonize", least: 1, most: 1, apply: (*builder).daemonize},
	{name: "syslog-enabled", least: 1, most: 1, apply: (*builder).syslogEnabled},
	{name: "syslog-ident", least: 1, most: 1, apply: (*builder).syslogIdent},
	{name: "syslog-facility", least: 1, most: 1, apply: (*builder).syslogFacility},
	{name: "timeout", least: 1, most: 1, apply: warnUnless("0", "idle clients are not disconnected")},
	{name: "include", least: 1, most: 1}, // is done while reading

	{name: "tls-port", least: 1, most: 1, apply: (*builder).tlsPort},
	{name: "tls-cert-file", least: 1, most: 1, apply: (*builder).tlsFile},
	{name: "tls-key-file", least: 1, most: 1, apply: (*builder).tlsFile},
	{name: "tls-ca-cert-file", least: 1, most: 1, apply: (*builder).tlsFile},
	{name: "tls-client-cert-file", least: 1, most: 1, apply: (*builder).tlsFile},
	{name: "tls-client-key-file", least: 1, most: 1, apply: (*builder).tlsFile},
	{name: "tls-auth-clients", least: 1, most: 1, apply: (*builder).tlsAuthClients},
	{name: "tls-replication", least: 1, most: 1, apply: (*builder).tlsReplication},

	{name: "sentinel monitor", least: 4, most: 4, apply: (*builder).monitor},
	{name: "sentinel down-after-milliseconds", least: 2, most: 2, apply: milliseconds("down-after", 1)},
	{name: "sentinel failover-timeout", least: 2, most: 2, apply: milliseconds("failover-timeout", 1)},
	{name: "sentinel master-reboot-down-after-period", least: 2, most: 2, apply: milliseconds("reboot-down-after", 0)},
	{name: "sentinel primary-reboot-down-after-period", least: 2, most: 2, apply: milliseconds("reboot-down-after", 0)},
	{name: "sentinel parallel-syncs", least: 2, most: 2, apply: (*builder).parallelSyncs},
	{name: "sentinel auth-pass", least: 2, most: 2, secret: true, apply: text("password")},
	{name: "sentinel auth-user", least: 2, most: 2, apply: text("username")},
	{name: "sentinel notification-script", least: 2, most: 2, apply: script("notification-script")},
	{name: "sentinel client-reconfig-script", least: 2, most: 2, apply: script("client-reconfig-script")},
	{name: "sentinel rename-command", least: 3, most: 3, secret: true, apply: (*builder).renameCommand},
	{name: "sentinel announce-ip", least: 1, most: 1, apply: (*builder).announceIP},
	{name: "sentinel announce-port", least: 1, most: 1, apply: (*builder).announcePort},
	{name: "sentinel deny-scripts-reconfig", least: 1, most: 1, apply: yesOrNo("scripts.deny-reconfig")},
	{name: "sentinel resolve-hostnames", least: 1, most: 1, apply: yesOrNo("resolve-hostnames")},
	{name: "sentinel announce-hostnames", least: 1, most: 1, apply: yesOrNo("announce.hostnames")},
	{name: "sentinel known-replica", least: 3, most: 3, apply: (*builder).knownReplica},
	{name: "sentinel known-slave", least: 3, most: 3, apply: (*builder).knownReplica},
	{name: "sentinel known-sentinel", least: 3, most: 4, apply: (*builder).knownSentinel},

	{name: "sentinel", most: 0, fate: ignored, note: "it is what --sentinel becomes"},
	{name: "sentinel config-epoch", least: 2, most: 2, fate: ignored, apply: (*builder).configEpoch, note: "epochs are those of the agents' elections"},
	{name: "sentinel leader-epoch", least: 2, most: 2, fate: ignored, note: "as config-epoch"},
	{name: "sentinel current-epoch", least: 1, most: 1, fate: ignored, note: "as config-epoch"},
	{name: "sentinel myid", least: 1, most: 1, fate: ignored, apply: (*builder).ownID, note: "an agent's id is the same for all masters, and follows from its name"},
	{name: "tcp-backlog", least: 1, most: 1, fate: ignored, note: "the longest that the system allows"},
	{name: "tcp-keepalive", least: 1, most: 1, fate: ignored, note: "connections are kept alive, by probes every 15 s"},
	{name: "unixsocketperm", least: 1, most: 1, fate: ignored, note: "as unixsocket"},
	{name: "unixsocketgroup", least: 1, most: 1, fate: ignored, note: "as unixsocket"},
	{name: "tls-session-caching", least: 1, most: 1, fate: ignored, note: "sessions are resumed by tickets"},
	{name: "tls-session-cache-size", least: 1, most: 1, fate: ignored, note: "as tls-session-caching"},
	{name: "tls-session-cache-timeout", least: 1, most: 1, fate: ignored, note: "as tls-session-caching"},
	{name: "tls-prefer-server-ciphers", least: 1, most: 1, fate: ignored, note: "as tls-ciphers"},
	{name: "tls-dh-params-file", least: 1, most: 1, fate: ignored, note: "only elliptic curves are used"},
	{name: "tls-cluster", least: 1, most: 1, fate: ignored, note: "a Sentinel belongs to no Redis Cluster"},

	{name: "unixsocket", least: 1, most: 1, fate: warned, note: "clients use the port"},
	{name: "bind-source-addr", least: 1, most: 1, fate: warned, note: "the system chooses the address of outgoing connections"},
	{name: "tls-protocols", least: 1, most: 1, fate: warned, note: "TLS 1.2 and 1.3 are spoken"},
	{name: "tls-ciphers", least: 1, most: 1, fate: warned, note: "only ciphers that are known to be strong are used"},
	{name: "tls-ciphersuites", least: 1, most: 1, fate: warned, note: "as tls-ciphers"},
	{name: "sentinel sentinel-user", least: 1, most: 1, fate: warned, note: "agents don't log in to each other: peer-tls has them prove who they are"},
	{name: "sentinel sentinel-pass", least: 1, most: 1, secret: true, fate: warned, note: "as sentinel-user"},

	{name: "rename-command", least: 2, most: 2, fate: refused, note: "commands of the Sentinel port keep their names; `user` says who may use which"},
	{name: "tls-key-file-pass", least: 1, most: 1, secret: true, fate: refused, note: "keys are read without a pass phrase; openssl pkey -in KEY -out PLAIN decrypts one"},
	{name: "tls-client-key-file-pass", least: 1, most: 1, secret: true, fate: refused, note: "as tls-key-file-pass"},
	{name: "tls-ca-cert-dir", least: 1, most: 1, fate: refused, note: "certificates are read from one file; cat DIR/*.pem > FILE makes it, for tls-ca-cert-file"},
}

// inert are the directives of redis.conf and valkey.conf that mean nothing to Sentinel.
var inert = strings.Fields(`
	acllog-max-len active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes active-defrag-max-scan-fields
	active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activedefrag activerehashing always-show-logo
	aof-disable-auto-gc aof-load-truncated aof-rewrite-cpulist aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble
	aof_rewrite_cpulist appenddirname appendfilename appendfsync appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage
	availability-zone bgsave-cpulist bgsave_cpulist bio-cpulist bio_cpulist busy-reply-threshold client-default-resp
	client-output-buffer-limit client-query-buffer-limit cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down
	cluster-allow-replica-migration cluster-announce-bus-port cluster-announce-client-ipv4 cluster-announce-client-ipv6
	cluster-announce-hostname cluster-announce-human-nodename cluster-announce-ip cluster-announce-port cluster-announce-tls-port
	cluster-blacklist-ttl cluster-compatibility-sample-ratio cluster-config-file cluster-databases cluster-enabled
	cluster-link-sendbuf-limit cluster-manual-failover-timeout cluster-migration-barrier cluster-node-timeout cluster-ping-interval
	cluster-port cluster-preferred-endpoint-type cluster-replica-no-failover cluster-replica-validity-factor
	cluster-require-full-coverage cluster-slave-no-failover cluster-slave-validity-factor cluster-slot-stats-enabled
	commandlog-execution-slower-than commandlog-large-reply-max-len commandlog-large-request-max-len commandlog-reply-larger-than
	commandlog-request-larger-than commandlog-slow-execution-max-len crash-log-enabled crash-memcheck-enabled databases dbfilename
	debug-assert-enabled disable-thp dual-channel-replication-enabled dynamic-hz enable-debug-assert enable-debug-command
	enable-module-command enable-protected-configs events-per-io-thread extended-redis-compatibility hash-max-listpack-entries
	hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value hash-seed hide-user-data-from-log hll-sparse-max-bytes hz
	ignore-warnings import-mode io-threads io-threads-do-reads jemalloc-bg-thread key-load-delay key-memory-histograms latency-monitor-threshold
	latency-tracking latency-tracking-info-percentiles lazyexpire-nested-arbitrary-keys lazyfree-lazy-eviction lazyfree-lazy-expire
	lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth
	list-max-listpack-size list-max-ziplist-entries list-max-ziplist-size list-max-ziplist-value loading-process-events-interval-bytes
	loadmodule loadmodule-ex locale-collate log-format log-timestamp-format lookahead lua-enable-deprecated-api lua-enable-insecure-api
	lua-replicate-commands lua-time-limit masterauth masteruser max-new-connections-per-cycle max-new-tls-connections-per-cycle
	maxmemory maxmemory-clients maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples min-io-threads-avoid-copy-reply
	min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write min-string-size-avoid-copy-reply mptcp
	no-appendfsync-on-rewrite notify-keyspace-events oom-score-adj oom-score-adj-values prefetch-batch-max-size primaryauth
	primaryuser proc-title-template propagation-error-behavior proto-max-bulk-len rdb-del-sync-files rdb-key-save-delay
	rdb-save-incremental-fsync rdb-version-check rdbchecksum rdbcompression rdma-bind rdma-completion-vector rdma-port rdma-rx-size
	repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay
	repl-diskless-sync-max-replicas repl-diskless-sync-period repl-mptcp repl-ping-replica-period repl-ping-slave-period
	repl-rdb-channel repl-timeout replica-announce-ip replica-announce-port replica-announced replica-full-sync-buffer-limit
	replica-ignore-disk-write-errors replica-ignore-maxmemory replica-lazy-flush replica-priority replica-read-only
	replica-serve-stale-data replicaof req-res-logfile sanitize-dump-payload save server-cpulist server_cpulist
	set-max-intset-entries set-max-listpack-entries set-max-listpack-value set-proc-title shutdown-on-sigint shutdown-on-sigterm
	shutdown-timeout slave-announce-ip slave-announce-port slave-ignore-maxmemory slave-lazy-flush slave-priority slave-read-only
	slave-serve-stale-data slaveof slot-migration-max-failover-repl-bytes slowlog-log-slower-than slowlog-max-len socket-mark-id
	stop-writes-on-bgsave-error stream-idmp-duration stream-idmp-maxsize stream-node-max-bytes stream-node-max-entries
	tracking-table-max-keys use-exit-on-panic watchdog-period zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries zset-max-ziplist-value`)

// ruleOf finds what becomes of a directive; ok is false where Sentinel would not know it.
func ruleOf(name string) (r rule, ok bool) {
	if at := slices.IndexFunc(rules, func(r rule) bool { return r.name == name }); at >= 0 {
		return rules[at], true
	}
	if slices.Contains(inert, name) || strings.Contains(name, ".") { // a module's, and Sentinel loads none
		return rule{name: name, most: -1, fate: ignored, note: "it means nothing to Sentinel, either"}, true
	}
	return rule{}, false
}

// nameList lists all directives that mean something to Sentinel.
func nameList() []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}
