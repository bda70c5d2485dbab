package script

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program writes a shell script and gives its path.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStart_RunsTheProgramWithItsArgumentsAndThisEnvironment(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("SCRIPT_TEST_OUT", out)
	for _, c := range []struct {
		name, text string
		want       Exit
	}{
		{"success", "exit 0", Exit{}}, {"failure", "exit 1", Exit{Code: 1}}, {"signal", "kill -TERM $$", Exit{Signal: 15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := start([]string{program(t, `printf '%s|' "$@" > "$SCRIPT_TEST_OUT"`+"\n"+c.text), "+sdown", "two words", ""})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Wait(); got != c.want {
				t.Errorf("it ended with %+v, want %+v", got, c.want)
			}
			if got, err := os.ReadFile(out); string(got) != "+sdown|two words||" {
				t.Errorf("its arguments were %q (%v)", got, err)
			}
		})
	}
}

func TestStart_RefusesWhatIsNoProgram(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, t.TempDir(), "no-such-program", "sh"} { // sh is searched for nowhere
		_, err := start([]string{path})
		if err == nil {
			t.Fatalf("%s was started", path)
		}
		if got := unstarted(err); got != (Exit{Code: 2}) {
			t.Errorf("%s: %v ends with %+v, want no other try", path, err, got)
		}
	}
}

// TestRunner_KillsAllThatAProgramStarted stops a runner whose program has a child, and waits for it.
func TestRunner_KillsAllThatAProgramStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "child")
	r := NewRunner(Config{Report: func(Report) {}})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { // ended, and waited for, below
		defer close(stopped)
		r.Run(ctx)
	}()
	r.Add(program(t, `sleep 1000 & echo $! > "$1.new"; mv "$1.new" "$1"; wait`), file)
	var child int
	for end := time.Now().Add(10 * time.Second); child == 0; time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(file)
		child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		if time.Now().After(end) {
			t.Fatal("the program did not start")
		}
	}
	if p := r.Pending(); len(p) != 1 || !p[0].Running || p[0].PID == 0 {
		t.Errorf("pending: %+v", p)
	}
	r.killAll()
	cancel()
	<-stopped
	for end := time.Now().Add(10 * time.Second); !gone(child); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the program's child still runs")
		}
	}
}

// gone says whether a process has ended; whoever inherited it may not have asked for its end yet.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	return syscall.Kill(pid, 0) != nil || err == nil && strings.HasPrefix(rest, "Z")
}
