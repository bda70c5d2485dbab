package resp

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"picket/sentinel/picture"
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

func line(b *strings.Builder, name string, value any) { fmt.Fprintf(b, "%s:%v\r\n", name, value) }

func (s *Server) infoServer(b *strings.Builder) {
	up := time.Since(s.started)
	executable, _ := os.Executable() // empty where the system doesn't tell
	line(b, "redis_version", compatible)
	line(b, "picket_version", s.cfg.Version)
	line(b, "redis_mode", "sentinel")
	line(b, "os", runtime.GOOS+" "+runtime.GOARCH)
	line(b, "arch_bits", 32<<(^uint(0)>>63))
	line(b, "process_id", os.Getpid())
	line(b, "run_id", s.runID)
	line(b, "tcp_port", s.port())
	line(b, "server_time_usec", time.Now().UnixMicro())
	line(b, "uptime_in_seconds", int(up.Seconds()))
	line(b, "uptime_in_days", int(up.Hours()/24))
	line(b, "executable", executable)
	line(b, "config_file", "")
}

func (s *Server) infoClients(b *strings.Builder) {
	line(b, "connected_clients", s.connected())
	line(b, "maxclients", s.cfg.MaxClients)
	line(b, "blocked_clients", 0)
}

func (s *Server) infoStats(b *strings.Builder) {
	channels, patterns := s.hub.counts()
	line(b, "total_connections_received", s.accepted.Load())
	line(b, "total_commands_processed", s.commands.Load())
	line(b, "rejected_connections", s.rejected.Load())
	line(b, "pubsub_channels", channels)
	line(b, "pubsub_patterns", patterns)
}

func (s *Server) infoCPU(b *strings.Builder) {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self) // cannot fail for oneself
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	seconds := func(t syscall.Timeval) string { return fmt.Sprintf("%.6f", time.Duration(t.Nano()).Seconds()) }
	line(b, "used_cpu_sys", seconds(self.Stime))
	line(b, "used_cpu_user", seconds(self.Utime))
	line(b, "used_cpu_sys_children", seconds(children.Stime))
	line(b, "used_cpu_user_children", seconds(children.Utime))
}

func (s *Server) infoSentinel(b *strings.Builder) {
	p := s.cfg.Backend.Picture()
	tilt, since := 0, -1
	if p.Stalled {
		tilt, since = 1, 0 // it is over once everything was looked at again: soon
	}
	line(b, "sentinel_masters", len(p.Masters))
	line(b, "sentinel_tilt", tilt)
	line(b, "sentinel_tilt_since_seconds", since)
	line(b, "sentinel_running_scripts", 0)
	line(b, "sentinel_scripts_queue_length", 0)
	line(b, "sentinel_simulate_failure_flags", 0)
	for i := range p.Masters {
		m := &p.Masters[i]
		line(b, fmt.Sprintf("master%d", i), fmt.Sprintf("name=%s,status=%s,address=%s:%d,slaves=%d,sentinels=%d",
			m.Name, status(m), m.Server.Addr.Host(), m.Server.Addr.Port(), len(m.Replicas), len(p.Agents)))
	}
}

func status(m *picture.Master) string {
	switch {
	case m.ODown:
		return "odown"
	case m.Server.Down:
		return "sdown"
	}
	return "ok"
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
