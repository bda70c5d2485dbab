package resp

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
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

func infoLine(b *strings.Builder, name string, value any) { fmt.Fprintf(b, "%s:%v\r\n", name, value) }

func (s *Server) infoServer(b *strings.Builder) {
	up := time.Since(s.started)
	executable, _ := os.Executable() // empty where the system doesn't tell
	infoLine(b, "redis_version", compatible)
	infoLine(b, "picket_version", s.cfg.Version)
	infoLine(b, "redis_mode", "sentinel")
	infoLine(b, "os", runtime.GOOS+" "+runtime.GOARCH)
	infoLine(b, "arch_bits", strconv.IntSize)
	infoLine(b, "process_id", os.Getpid())
	infoLine(b, "run_id", s.runID)
	infoLine(b, "tcp_port", s.port())
	infoLine(b, "server_time_usec", time.Now().UnixMicro())
	infoLine(b, "uptime_in_seconds", int(up.Seconds()))
	infoLine(b, "uptime_in_days", int(up.Hours()/24))
	infoLine(b, "executable", executable)
	infoLine(b, "config_file", "")
}

func (s *Server) infoClients(b *strings.Builder) {
	infoLine(b, "connected_clients", s.connected())
	infoLine(b, "maxclients", s.cfg.MaxClients)
	infoLine(b, "blocked_clients", 0)
}

func (s *Server) infoStats(b *strings.Builder) {
	channels, patterns := s.hub.counts()
	infoLine(b, "total_connections_received", s.accepted.Load())
	infoLine(b, "total_commands_processed", s.commands.Load())
	infoLine(b, "rejected_connections", s.rejected.Load())
	infoLine(b, "pubsub_channels", channels)
	infoLine(b, "pubsub_patterns", patterns)
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
