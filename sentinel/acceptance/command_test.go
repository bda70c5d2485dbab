package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// picketRun runs the binary and gives all that it says.
func picketRun(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	return string(out), err
}

// picket runs a command of the binary to its end, checks its exit code, and returns what it printed.
func picket(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, err := picketRun(t, args...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Fatalf("picket %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

func TestConfig_ExampleIsValidAndBadFilesExitWith2(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "picket.yaml")
	if err := os.WriteFile(file, []byte(picket(t, 0, "config", "example")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := picket(t, 0, "config", "check", file); !strings.Contains(out, "valid") {
		t.Errorf("check of the example: %s", out)
	}
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("clustr: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"config", "check", bad}, {"run", "--config", bad}} {
		if out := picket(t, 2, args...); !strings.Contains(out, "clustr") {
			t.Errorf("%v does not name the unknown key: %s", args, out)
		}
	}
	if out := picket(t, 0, "version"); !strings.HasPrefix(out, "picket ") {
		t.Errorf("version: %q", out)
	}
}

func TestStatus_ShowsTheTopology(t *testing.T) {
	t.Parallel()
	l, c := start(t, nil)
	for _, args := range [][]string{
		{"status", "--agent", string(c.Agents[0].HTTP)},
		{"status", "--config", filepath.Join(l.Dir, "agent-1.yaml")},
	} {
		out := picket(t, 0, args...)
		for _, r := range c.Redis {
			if !strings.Contains(out, string(r.Addr)) {
				t.Errorf("%v does not show %s:\n%s", args, r.Addr, out)
			}
		}
		if !strings.Contains(out, "leads") {
			t.Errorf("%v does not show a leader:\n%s", args, out)
		}
	}
	if out := picket(t, 6, "failover", "nobody", "--agent", string(c.Agents[0].HTTP)); !strings.Contains(out, "no such master") {
		t.Errorf("failover of an unknown master: %s", out)
	}
}

func TestDemo_CtrlCLeavesNothing(t *testing.T) {
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	var out syncBuffer
	cmd := exec.Command(binary, "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // already gone when the test passes
	if err := lab.Await(time.Minute, "the demonstration is over", func(context.Context) error {
		if !strings.Contains(out.String(), "Ctrl-C") {
			return errors.New("it still runs")
		}
		return nil
	}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"killed", "seen", "agreed", "elected", "cut", "promoted", "told", "writing", "back", "writes lost: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	pids := children(t, cmd.Process.Pid)
	if len(pids) < 6 {
		t.Errorf("%d child processes, want three servers and three agents", len(pids))
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v\n%s", err, out.String())
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is left behind", pid)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "picket-demo-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left behind: %v, %v", left, err)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// syncBuffer is a buffer that one goroutine writes while another reads.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// children lists the direct child processes.
func children(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("no /proc on this system")
	}
	var pids []int
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state ppid …; the name may hold spaces.
		_, rest, _ := strings.Cut(string(text), ") ")
		var state string
		var ppid int
		if _, err := fmt.Sscan(rest, &state, &ppid); err == nil && ppid == parent {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
