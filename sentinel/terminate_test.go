package sentinel

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/state"
)

func TestTerminate_KillsTheServerAndNothingElse(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip(err)
	}
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	r, err := l.StartRedis(lab.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill() // it may be gone
		_ = other.Wait()
	}()
	pid := r.Pid()
	kill := config.Fence{Kill: true}
	for name, c := range map[string]struct {
		fence  config.Fence
		victim victim
		want   string
	}{
		"nothing is configured":  {config.Fence{}, victim{server: r.Addr, pid: pid}, "no last resort"},
		"its number is unknown":  {kill, victim{server: r.Addr}, "is not known"},
		"of another program":     {kill, victim{server: r.Addr, pid: other.Process.Pid}, "it is no server"},
		"of a server elsewhere":  {kill, victim{server: config.NewAddr(r.Addr.Host(), r.Addr.Port()/10), pid: pid}, "it is no server"},
		"of nobody on this host": {kill, victim{server: r.Addr, pid: 1 << 30}, "not on this host"},
	} {
		if err := terminate(t.Context(), c.fence, c.victim); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil || !r.Running() {
		t.Fatalf("what was not meant was killed: %v, the server runs: %v", err, r.Running())
	}
	if err := terminate(t.Context(), kill, victim{server: r.Addr, pid: pid}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Exited():
	case <-time.After(patience):
		t.Error("it lives")
	}
}

func TestIsServer(t *testing.T) {
	for title, want := range map[string]bool{
		"redis-server 127.0.0.1:6379":             true,
		"/usr/bin/valkey-server *:6379 [cluster]": true,
		"redis-server 127.0.0.1:63790":            false,
		"redis-server 127.0.0.1:16379":            false,
		"redis-cli -u redis://127.0.0.1:6379":     false,
		"":                                        false,
	} {
		if got := isServer([]byte(strings.ReplaceAll(title, " ", "\x00")), 6379); got != want {
			t.Errorf("%q: %v", title, got)
		}
	}
}

// TestSidecar_EndsAServerOnlyWhenNothingElseHelps: one try to fence it may fail for a passing reason.
func TestSidecar_EndsAServerOnlyWhenNothingElseHelps(t *testing.T) {
	for name, c := range map[string]struct {
		state   monitor.State
		command string
		tries   int
		ended   bool // it was tried
		gone    bool // that is not tried again
	}{
		"once":             {monitor.Up, "true", 1, false, false},
		"twice":            {monitor.Up, "true", 2, true, true},
		"it hangs":         {monitor.Down, "true", 1, true, true},
		"it can't be done": {monitor.Down, "false", 1, true, false},
	} {
		program, err := exec.LookPath(c.command)
		if err != nil {
			t.Skip(err)
		}
		a := &Agent{
			cfg: &config.Config{Local: "h:1", Fence: config.Fence{Command: program, Timeout: time.Second}}, host: Host{}.withDefaults(),
			settled: make(chan struct{}), herald: &herald{log: zerolog.Nop(), machine: state.NewMachine(), queue: make(chan saying, heraldQueue)},
		}
		s := newSidecar(a)
		p := failover.Post{Server: monitor.Server{State: c.state, Last: &monitor.Observation{RunID: "x"}}}
		for range c.tries {
			s.failed(t.Context(), p, "a test")
		}
		ended := s.busy["end"]
		a.workers.Wait()
		for range len(s.inbox) {
			(<-s.inbox)(s)
		}
		if ended != c.ended || (s.gone == "x") != c.gone {
			t.Errorf("%s: ended %v, gone %q", name, ended, s.gone)
		}
	}
}
