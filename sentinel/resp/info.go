package resp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sections of INFO, in their order.
var sections = []struct {
	name  string
	title string
	write func(*Server, *strings.Builder)
}{
	{"server", "Server", (*Server).infoServer},
	{"clients", "Clients", (*Server).infoClients},
	{"stats", "Stats", (*Server).infoStats},
	{"cpu", "CPU", (*Server).infoCPU},
	{"sentinel", "Sentinel", (*Server).infoSentinel},
}

func info(_ context.Context, c *client, args []string) {
	wanted := func(section string) bool {
		return len(args) == 1 || slices.ContainsFunc(args[1:], func(arg string) bool {
			arg = strings.ToLower(arg)
			return arg == section || arg == "default" || arg == "all" || arg == "everything"
		})
	}
	var b strings.Builder
	for _, section := range sections {
		if !wanted(section.name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + section.title + "\r\n")
		section.write(c.server, &b)
	}
	c.reply.bulk(b.String())
}

func infoLine(b *strings.Builder, name string, value any) { fmt.Fprintf(b, "%s:%v\r\n", name, value) }

// zeros writes lines of numbers that only Redis has.
func zeros(b *strings.Builder, names ...string) {
	for _, name := range names {
		infoLine(b, name, 0)
	}
}

func (s *Server) infoServer(b *strings.Builder) {
	up := time.Since(s.started)
	executable, _ := os.Executable() // empty where the system doesn't tell
	build := sha256.Sum256([]byte(s.cfg.Version))
	infoLine(b, "redis_version", compatible)
	infoLine(b, "picket_version", s.cfg.Version)
	infoLine(b, "redis_git_sha1", "00000000")
	infoLine(b, "redis_git_dirty", 0)
	infoLine(b, "redis_build_id", hex.EncodeToString(build[:8]))
	infoLine(b, "redis_mode", "sentinel")
	infoLine(b, "os", system())
	infoLine(b, "arch_bits", strconv.IntSize)
	infoLine(b, "monotonic_clock", "POSIX clock_gettime")
	infoLine(b, "multiplexing_api", "epoll")
	infoLine(b, "atomicvar_api", "sync/atomic")
	infoLine(b, "gcc_version", "0.0.0")
	infoLine(b, "process_id", os.Getpid())
	infoLine(b, "process_supervised", "no")
	infoLine(b, "run_id", s.runID)
	infoLine(b, "tcp_port", s.port())
	infoLine(b, "server_time_usec", time.Now().UnixMicro())
	infoLine(b, "uptime_in_seconds", int(up.Seconds()))
	infoLine(b, "uptime_in_days", int(up.Hours()/24))
	infoLine(b, "hz", 10)
	infoLine(b, "configured_hz", 10)
	infoLine(b, "lru_clock", time.Now().Unix()&(1<<24-1))
	infoLine(b, "executable", executable)
	infoLine(b, "config_file", s.cfg.ConfigFile)
	infoLine(b, "io_threads_active", 0)
}

// system is the host's name for itself, as uname prints it.
func system() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	return fmt.Sprintf("%s %s %s", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]))
}

func (s *Server) infoClients(b *strings.Builder) {
	clients := s.everybody()
	input, output, tracked := 0, 0, 0
	for _, c := range clients {
		p := c.profile()
		input, output = max(input, p.arguments), max(output, c.out.size())
		if p.tracking {
			tracked++
		}
	}
	infoLine(b, "connected_clients", len(clients))
	infoLine(b, "cluster_connections", 0)
	infoLine(b, "maxclients", s.maxClients())
	infoLine(b, "client_recent_max_input_buffer", input)
	infoLine(b, "client_recent_max_output_buffer", output)
	infoLine(b, "blocked_clients", s.pause.waiting.Load())
	infoLine(b, "tracking_clients", tracked)
	infoLine(b, "clients_in_timeout_table", 0)
}

func (s *Server) infoStats(b *strings.Builder) {
	t := &s.traffic
	channels, patterns := s.hub.counts()
	infoLine(b, "total_connections_received", t.accepted.Load())
	infoLine(b, "total_commands_processed", t.commands.total())
	infoLine(b, "instantaneous_ops_per_sec", int(t.commands.rate()))
	infoLine(b, "total_net_input_bytes", t.input.total())
	infoLine(b, "total_net_output_bytes", t.output.total())
	zeros(b, "total_net_repl_input_bytes", "total_net_repl_output_bytes")
	infoLine(b, "instantaneous_input_kbps", fmt.Sprintf("%.2f", t.input.rate()/1024))
	infoLine(b, "instantaneous_output_kbps", fmt.Sprintf("%.2f", t.output.rate()/1024))
	infoLine(b, "instantaneous_input_repl_kbps", "0.00")
	infoLine(b, "instantaneous_output_repl_kbps", "0.00")
	infoLine(b, "rejected_connections", t.rejected.Load())
	zeros(b, "sync_full", "sync_partial_ok", "sync_partial_err", "expired_keys")
	infoLine(b, "expired_stale_perc", "0.00")
	zeros(b, "expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds", "evicted_keys", "evicted_clients",
		"total_eviction_exceeded_time", "current_eviction_exceeded_time", "keyspace_hits", "keyspace_misses")
	infoLine(b, "pubsub_channels", channels)
	infoLine(b, "pubsub_patterns", patterns)
	zeros(b, "pubsubshard_channels", "latest_fork_usec", "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
		"active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time",
		"current_active_defrag_time", "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes", "unexpected_error_replies")
	infoLine(b, "total_error_replies", t.errors.Load())
	zeros(b, "dump_payload_sanitizations")
	infoLine(b, "total_reads_processed", t.reads.Load())
	infoLine(b, "total_writes_processed", t.writes.Load())
	zeros(b, "io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks", "reply_buffer_expands")
}

func (s *Server) infoCPU(b *strings.Builder) {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self) // cannot fail for oneself
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	seconds := func(t syscall.Timeval) string { return fmt.Sprintf("%.6f", time.Duration(t.Nano()).Seconds()) }
	infoLine(b, "used_cpu_sys", seconds(self.Stime))
	infoLine(b, "used_cpu_user", seconds(self.Utime))
	infoLine(b, "used_cpu_sys_children", seconds(children.Stime))
	infoLine(b, "used_cpu_user_children", seconds(children.Utime))
	infoLine(b, "used_cpu_sys_main_thread", seconds(self.Stime)) // of all threads: none of them is the main one
	infoLine(b, "used_cpu_user_main_thread", seconds(self.Utime))
}

func (s *Server) infoSentinel(b *strings.Builder) {
	p := s.cfg.Backend.Picture()
	running, scripts := s.countScripts()
	tilt, since := 0, -1
	if p.Stalled {
		tilt, since = 1, 0 // it is over once everything was looked at again: soon
	}
	infoLine(b, "sentinel_masters", len(p.Masters))
	infoLine(b, "sentinel_tilt", tilt)
	infoLine(b, "sentinel_tilt_since_seconds", since)
	infoLine(b, "sentinel_running_scripts", running)
	infoLine(b, "sentinel_scripts_queue_length", scripts)
	infoLine(b, "sentinel_simulate_failure_flags", p.Simulated)
	for i := range p.Masters {
		m := &p.Masters[i]
		infoLine(b, fmt.Sprintf("master%d", i), fmt.Sprintf("name=%s,status=%s,address=%s:%d,slaves=%d,sentinels=%d",
			m.Name, m.Status(), m.Server.Shown().Host(), m.Server.Shown().Port(), len(m.Replicas), len(p.Agents)))
	}
}

func role(_ context.Context, c *client, _ []string) {
	var names []string
	for _, m := range c.server.cfg.Backend.Picture().Masters {
		names = append(names, m.Name)
	}
	c.reply.array(2)
	c.reply.bulk("sentinel")
	c.reply.bulks(names)
}
