package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
)

// stub is an agent that notes what it is told.
type stub struct {
	mu    sync.Mutex
	heard []string
	dead  atomic.Bool
}

func (s *stub) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, what)
}

func (s *stub) Reload(c *config.Config) { s.note(c.Log.Level) }
func (s *stub) Refused(err error)       { s.note(err.Error()) }
func (s *stub) Alive() bool             { return !s.dead.Load() }

func (s *stub) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, ", ")
}

// systemd is the end of the socket at which systemd listens.
type systemd struct{ *net.UnixConn }

func newSystemd(t *testing.T) systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return systemd{conn}
}

// next is the next thing that it is told; empty: nothing within a time.
func (s systemd) next(t *testing.T, within time.Duration) string {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 200)
	n, err := s.Read(buf)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// mind starts a minder of a configuration file, which is the log level.
func mind(t *testing.T, path string, agent *stub, ready chan struct{}) *minder {
	t.Helper()
	load := func() (*config.Config, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		c := config.Default()
		c.Log.Level = string(text)
		return &c, nil
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	lines := &formatter{out: &bytes.Buffer{}}
	lines.set(cfg.Log)
	m := newMinder(cfg, process{load: load, files: []string{path}}, nil, lines, zerolog.Nop())
	m.agent = agent
	t.Cleanup(m.start(ready))
	return m
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMinder_ReadsTheConfigurationAgain(t *testing.T) {
	manager, path, agent := newSystemd(t), filepath.Join(t.TempDir(), "picket.yaml"), &stub{}
	write(t, path, "info")
	ready := make(chan struct{})
	mind(t, path, agent, ready)
	if said := manager.next(t, 50*time.Millisecond); said != "" {
		t.Errorf("told %q before the agent is ready", said)
	}
	close(ready)
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			said := manager.next(t, 20*time.Second)
			if first, rest, _ := strings.Cut(said, "\n"); first != w || (w == "RELOADING=1") != strings.HasPrefix(rest, "MONOTONIC_USEC=") {
				t.Fatalf("told %q, want %q", said, w)
			}
		}
	}
	expect("READY=1")
	write(t, path, "debug")
	expect("RELOADING=1", "READY=1")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING=1", "READY=1")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING=1", "READY=1")
	if got := agent.told(); !strings.HasPrefix(got, "debug, debug, open ") {
		t.Errorf("the agent was told %s", got)
	}
}

// TestMinder_ReadsARefusedConfigurationAgain: a file that it names, and that nobody watches yet, comes after it.
func TestMinder_ReadsARefusedConfigurationAgain(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "15000") // the watchdog is fed meanwhile, more often
	dir, agent := t.TempDir(), &stub{}
	path, named := filepath.Join(dir, "picket.yaml"), filepath.Join(t.TempDir(), "secret")
	write(t, path, "none")
	load := func() (*config.Config, error) {
		c := config.Default()
		if text, err := os.ReadFile(path); err != nil || string(text) == "none" {
			return &c, err
		}
		text, err := os.ReadFile(named)
		c.Log.Level = string(text)
		return &c, err
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	m := newMinder(cfg, process{load: load, files: []string{path}}, nil, &formatter{out: &bytes.Buffer{}}, zerolog.Nop())
	m.agent, m.again = agent, 10*time.Millisecond
	ready := make(chan struct{})
	close(ready)
	t.Cleanup(m.start(ready))
	await := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); agent.told() != what; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("told %q, want %q", agent.told(), what)
			}
		}
	}
	write(t, path, "the secret's")
	missing := "open " + named + ": no such file or directory"
	await(missing)
	time.Sleep(10 * m.again) // what has been said is not said again
	await(missing)
	if err := os.WriteFile(named+".new", []byte("debug"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(named+".new", named); err != nil {
		t.Fatal(err)
	}
	await(missing + ", debug")
}

// TestMinder_FeedsTheWatchdogWhileTheLoopsRun: one that hangs is ended by systemd.
func TestMinder_FeedsTheWatchdogWhileTheLoopsRun(t *testing.T) {
	manager, path, agent := newSystemd(t), filepath.Join(t.TempDir(), "picket.yaml"), &stub{}
	write(t, path, "info")
	t.Setenv("WATCHDOG_USEC", "300000")
	ready := make(chan struct{})
	close(ready)
	mind(t, path, agent, ready)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if said := manager.next(t, 20*time.Second); said != want {
			t.Fatalf("told %q, want %q", said, want)
		}
	}
	agent.dead.Store(true)
	for manager.next(t, 500*time.Millisecond) != "" { // what was under way
	}
	agent.dead.Store(false)
	if said := manager.next(t, 20*time.Second); said != "WATCHDOG=1" {
		t.Errorf("told %q when it goes on", said)
	}
}

// TestMinder_SaysWhatItCanNotDo: systemd that can't be told, and a configuration that can't be read again.
func TestMinder_SaysWhatItCanNotDo(t *testing.T) {
	var log bytes.Buffer
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	t.Setenv("WATCHDOG_USEC", "soon")
	cfg := config.Default()
	m := newMinder(&cfg, process{}, nil, nil, zerolog.New(&log))
	m.tell("READY=1")
	m.reload()
	for _, want := range []string{"systemd was not told", "watchdog is not served", "can't be read again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not logged: %s\n%s", want, &log)
		}
	}
}

// TestFormatter: the format may change while lines are written.
func TestFormatter(t *testing.T) {
	var out bytes.Buffer
	f := &formatter{out: &out}
	log := newLogger(config.Log{Level: "info"}, f)
	for _, format := range []string{"json", "console", "json"} {
		f.set(config.Log{Format: format})
		out.Reset()
		log.Info().Msg("hello")
		if json := strings.HasPrefix(out.String(), "{"); json != (format == "json") || !strings.Contains(out.String(), "hello") {
			t.Errorf("%s: %q", format, &out)
		}
	}
}

// TestNewLogger_HasItsLevel also before there is an agent, when warnings about the configuration are told.
func TestNewLogger_HasItsLevel(t *testing.T) {
	for level, want := range map[string]bool{"debug": true, "warn": true, "error": false} {
		var out bytes.Buffer
		log := newLogger(config.Log{Level: level}, &out)
		log.Warn().Msg("one agent decides alone")
		if told := out.Len() > 0; told != want {
			t.Errorf("%s: %q", level, &out)
		}
	}
}
