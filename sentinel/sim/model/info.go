package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// version is that of the server that the model is compared with.
const version = "7.0.15"

// sections of INFO in their order.
var sections = []struct {
	name  string
	write func(p *process, b *strings.Builder)
}{
	{"Server", (*process).infoServer},
	{"Clients", (*process).infoClients},
	{"Memory", (*process).infoMemory},
	{"Persistence", (*process).infoPersistence},
	{"Stats", (*process).infoStats},
	{"Replication", (*process).infoReplication},
	{"Keyspace", (*process).infoKeyspace},
}

func (p *process) infoCommand(c *client, args []string) {
	all := len(args) == 1 || slices.ContainsFunc(args[1:], func(s string) bool { return oneOf(s, "all", "default", "everything") })
	var b strings.Builder
	b.Grow(4 << 10)
	for _, s := range sections {
		if !all && !oneOf(s.name, args[1:]...) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.name + "\r\n")
		s.write(p, &b)
	}
	c.bulk(b.String())
}

// line writes "name:value" lines. Agents ask for them all the time: it does not go through fmt.
func line(b *strings.Builder, pairs ...any) {
	var digits [20]byte
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(pairs[i].(string))
		b.WriteByte(':')
		switch v := pairs[i+1].(type) {
		case string:
			b.WriteString(v)
		case int:
			b.Write(strconv.AppendInt(digits[:0], int64(v), 10))
		case int64:
			b.Write(strconv.AppendInt(digits[:0], v, 10))
		default:
			fmt.Fprint(b, v)
		}
		b.WriteString("\r\n")
	}
}

func bit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (p *process) infoServer(b *strings.Builder) {
	uptime := int64(time.Since(p.started) / time.Second)
	line(b, "redis_version", version, "redis_mode", "standalone", "os", "model", "arch_bits", 64, "process_id", 1,
		"run_id", p.runID, "tcp_port", p.port(), "server_time_usec", time.Now().UnixMicro(),
		"uptime_in_seconds", uptime, "uptime_in_days", uptime/(24*3600), "hz", 10, "configured_hz", 10, "config_file", "redis.conf")
}

func (p *process) infoClients(b *strings.Builder) {
	blocked := 0
	connected := 0
	for _, c := range p.clients {
		blocked += bit(c.blocked != nil || c.postponed)
		connected += bit(c.class() == "normal" || c.class() == "pubsub")
	}
	line(b, "connected_clients", connected, "maxclients", p.value("maxclients"), "blocked_clients", blocked)
}

func (p *process) infoMemory(b *strings.Builder) {
	line(b, "used_memory", 1<<20, "maxmemory", p.value("maxmemory"), "maxmemory_policy", p.value("maxmemory-policy"))
}

func (p *process) infoPersistence(b *strings.Builder) {
	line(b, "loading", bit(p.loading), "async_loading", 0, "rdb_changes_since_last_save", p.stats.changes,
		"rdb_bgsave_in_progress", bit(p.saving), "rdb_last_save_time", p.stats.lastSave.Unix(), "rdb_last_bgsave_status", "ok",
		"rdb_saves", p.stats.saves, "aof_enabled", bit(p.set.appendOnly), "aof_rewrite_in_progress", 0,
		"aof_last_bgrewrite_status", "ok", "aof_last_write_status", "ok")
}

func (p *process) infoStats(b *strings.Builder) {
	s := &p.stats
	line(b, "total_connections_received", s.connections, "total_commands_processed", s.commands,
		"sync_full", s.syncFull, "sync_partial_ok", s.syncPartialOK, "sync_partial_err", s.syncNotTaken,
		"expired_keys", s.expired, "evicted_keys", 0, "keyspace_hits", s.hits, "keyspace_misses", s.misses,
		"pubsub_channels", len(p.subscribed), "pubsub_patterns", len(p.matched), "total_error_replies", s.errors)
}

func (p *process) infoReplication(b *strings.Builder) {
	line(b, "role", p.role())
	if p.masterHost != "" {
		p.infoLink(b)
	}
	line(b, "connected_slaves", len(p.replicas))
	if p.set.minReplicas > 0 && p.set.maxLag > 0 {
		line(b, "min_slaves_good_slaves", p.good)
	}
	for i, c := range p.replicas {
		lag := int64(0)
		if c.replica.state == online {
			lag = time.Now().Unix() - c.replica.ackTime.Unix()
		}
		line(b, fmt.Sprintf("slave%d", i), fmt.Sprintf("ip=%s,port=%s,state=%s,offset=%d,lag=%d",
			c.announced(), c.replica.port, c.replica.state, c.replica.acked, lag))
	}
	line(b, "master_failover_state", p.failover.state, "master_replid", p.replID, "master_replid2", p.replID2,
		"master_repl_offset", p.offset, "second_repl_offset", p.second, "repl_backlog_active", bit(p.backlog != nil),
		"repl_backlog_size", p.set.backlogSize)
	first, length := int64(0), 0
	if p.backlog != nil {
		first, length = p.backlog.first, p.backlog.valid()
	}
	line(b, "repl_backlog_first_byte_offset", first, "repl_backlog_histlen", length)
}

// infoLink is what a replica says of its master.
func (p *process) infoLink(b *strings.Builder) {
	status, ago := "down", int64(-1)
	received, applied := int64(1), int64(1) // nothing is known
	switch {
	case p.master != nil:
		ago = time.Now().Unix() - p.master.seen.Unix()
		received, applied = p.master.received, p.master.applied
	case p.cached != nil:
		received, applied = p.cached.offset, p.cached.offset
	}
	if p.linkState == linkConnected {
		status = "up"
	}
	line(b, "master_host", p.masterHost, "master_port", p.masterPort, "master_link_status", status,
		"master_last_io_seconds_ago", ago, "master_sync_in_progress", bit(p.linkState == linkTransfer),
		"slave_read_repl_offset", received, "slave_repl_offset", applied)
	if p.linkState == linkTransfer {
		line(b, "master_sync_total_bytes", 0, "master_sync_read_bytes", 0, "master_sync_left_bytes", 0, "master_sync_perc", "-0.00",
			"master_sync_last_io_seconds_ago", time.Now().Unix()-p.lastIO.Unix())
	}
	if p.linkState != linkConnected {
		down := int64(-1)
		if !p.downSince.IsZero() {
			down = time.Now().Unix() - p.downSince.Unix()
		}
		line(b, "master_link_down_since_seconds", down)
	}
	line(b, "slave_priority", p.value("replica-priority"), "slave_read_only", bit(p.set.readOnly),
		"replica_announced", bit(p.value("replica-announced") == "yes"))
}

func (p *process) infoKeyspace(b *strings.Builder) {
	for i := range p.data {
		if n := len(p.data[i].keys); n > 0 {
			line(b, fmt.Sprintf("db%d", i), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", n, len(p.data[i].expires)))
		}
	}
}
