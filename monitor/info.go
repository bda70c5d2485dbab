package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/config"
)

// maxAttached bounds how many replicas of one server are taken in.
const maxAttached = 1024

// ParseInfo reads the reply to INFO. Fields that are missing or not understood keep their zero values; only a reply without a role
// is refused.
func ParseInfo(server config.Addr, at time.Time, text string) (Observation, error) {
	o := Observation{Server: server, At: at, Text: text, LastIO: -1, Fence: -1}
	fields := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok {
			continue
		}
		if strings.HasPrefix(key, "slave") && strings.HasPrefix(value, "ip=") {
			if a, ok := parseAttached(value); ok && len(o.Replicas) < maxAttached {
				o.Replicas = append(o.Replicas, a)
			}
			continue
		}
		if strings.HasPrefix(key, "db") && strings.HasPrefix(value, "keys=") {
			keys, _, _ := strings.Cut(value[len("keys="):], ",")
			o.Keys += max(0, number(keys))
			continue
		}
		fields[key] = value
	}
	o.Role = fields["role"]
	if o.Role != "master" && o.Role != "slave" {
		return Observation{}, fmt.Errorf("INFO of %s names no role", server)
	}
	o.RunID, o.Version = fields["run_id"], fields["redis_version"]
	o.PID = int(number(fields["process_id"]))
	o.Uptime = seconds(fields["uptime_in_seconds"])
	o.Loading = fields["loading"] == "1" || fields["async_loading"] == "1"
	o.Backlog, o.Room, o.Disk = number(fields["repl_backlog_histlen"]), number(fields["repl_backlog_size"]), disk(fields)
	o.ReplID, o.ReplID2 = fields["master_replid"], fields["master_replid2"]
	o.Second = number(fields["second_repl_offset"])
	o.Offset = number(fields["master_repl_offset"])
	if o.Role == "slave" {
		o.readReplica(fields)
	}
	return o, nil
}

// disk says what a server can't write.
func disk(fields map[string]string) string {
	switch {
	case fields["aof_enabled"] == "1" && (fields["aof_last_write_status"] == "err" || fields["aof_last_bgrewrite_status"] == "err"):
		return "the append-only file"
	case fields["rdb_last_bgsave_status"] == "err":
		return "the last snapshot failed"
	}
	return ""
}

func (o *Observation) readReplica(fields map[string]string) {
	o.Offset = number(fields["slave_repl_offset"])
	o.Received = o.Offset
	if v, ok := fields["slave_read_repl_offset"]; ok { // since Redis 7
		o.Received = number(v)
	}
	if host := fields["master_host"]; host != "" {
		o.Master = config.NewAddr(host, int(number(fields["master_port"])))
	}
	o.LinkUp = fields["master_link_status"] == "up"
	if v, ok := fields["master_link_down_since_seconds"]; ok && number(v) >= 0 {
		o.LinkDown = seconds(v)
	}
	if v, ok := fields["master_last_io_seconds_ago"]; ok && number(v) >= 0 {
		o.LastIO = seconds(v)
	}
	o.Syncing = fields["master_sync_in_progress"] == "1"
	o.Priority = int(number(fields["slave_priority"]))
	o.Unlisted = fields["replica_announced"] == "0"
}

// parseAttached reads "ip=…,port=…,state=…,offset=…,lag=…".
func parseAttached(value string) (Attached, bool) {
	fields := map[string]string{}
	for part := range strings.SplitSeq(value, ",") {
		key, v, _ := strings.Cut(part, "=")
		fields[key] = v
	}
	port := number(fields["port"])
	if fields["ip"] == "" || port < 1 || port > 65535 {
		return Attached{}, false
	}
	return Attached{
		Server: config.NewAddr(fields["ip"], int(port)), State: fields["state"],
		Offset: number(fields["offset"]), Lag: seconds(fields["lag"]),
	}, true
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0 // missing or strange: as if it were not there
	}
	return n
}

// seconds is bounded, so that a strange server can't overflow a duration.
func seconds(s string) time.Duration {
	const most = 100 * 365 * 24 * 3600
	return time.Duration(min(max(number(s), 0), most)) * time.Second
}
