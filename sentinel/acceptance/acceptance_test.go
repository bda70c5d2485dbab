package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/lab"
)

// binary is picket, built with the race detector.
var binary string

func TestMain(m *testing.M) {
	os.Exit(lab.WithProgram(func(program string) int {
		binary = program
		return m.Run()
	}, "-race"))
}

// patience bounds every wait: generous, because the machine may be busy.
const patience = 30 * time.Second

// start runs a cluster that may fail over again at once. When the test has failed, the agents' logs are shown; a data
// race in an agent fails it.
func start(t *testing.T, adjust func(*lab.ClusterOptions)) (*lab.Lab, *lab.Cluster) {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	cooldown := time.Duration(0)
	opts := lab.ClusterOptions{Program: binary, DownAfter: time.Second, FailoverTimeout: 5 * time.Second, Cooldown: &cooldown, LeastPrivilege: true}
	if adjust != nil {
		adjust(&opts)
	}
	c, err := l.StartCluster(opts)
	t.Cleanup(func() { checkLogs(t, l, c) })
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func checkLogs(t *testing.T, l *lab.Lab, c *lab.Cluster) {
	logs, err := filepath.Glob(filepath.Join(l.Dir, "agent-*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, sign := range []string{"DATA RACE", "panic:"} {
			if at := bytes.Index(text, []byte(sign)); at >= 0 {
				t.Errorf("%s:\n%s", filepath.Base(file), text[at:min(len(text), at+4000)])
			}
		}
		if t.Failed() {
			t.Logf("%s (the end):\n%s", filepath.Base(file), text[max(0, len(text)-6000):])
		}
	}
}

// newMaster waits until every running agent names the same other master.
func newMaster(t *testing.T, c *lab.Cluster, old config.Addr) *lab.Redis {
	t.Helper()
	var found *lab.Redis
	err := lab.Await(patience, "all agents name a new master", func(ctx context.Context) error {
		found = nil
		for _, a := range c.Agents {
			if !a.Running() {
				continue
			}
			addr, err := masterOf(ctx, a)
			if err != nil {
				return err
			}
			if addr == old {
				return fmt.Errorf("%s names %s", a.ID, addr)
			}
			if found != nil && found.Addr != addr {
				return fmt.Errorf("%s names %s, another agent %s", a.ID, addr, found.Addr)
			}
			found = c.At(addr)
		}
		if found == nil {
			return errors.New("no agent runs")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func masterOf(ctx context.Context, a *lab.Agent) (config.Addr, error) {
	p, err := a.Status(ctx)
	if err != nil {
		return "", err
	}
	if len(p.Masters) != 1 {
		return "", fmt.Errorf("%s knows %d masters", a.ID, len(p.Masters))
	}
	return p.Masters[0].Server.Addr, nil
}

// settle waits for one consistent topology under master and checks that nobody else is a master.
func settle(t *testing.T, c *lab.Cluster, master config.Addr) {
	t.Helper()
	if err := c.AwaitSettled(patience, master); err != nil {
		t.Fatal(err)
	}
}

// epoch gives the master's epoch as the first running agent says.
func epoch(t *testing.T, c *lab.Cluster) uint64 {
	t.Helper()
	for _, a := range c.Agents {
		if a.Running() {
			p, err := a.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return p.Masters[0].Epoch
		}
	}
	t.Fatal("no agent runs")
	return 0
}

// stays fails the test when, at any look within the time, an agent names another master.
func stays(t *testing.T, c *lab.Cluster, master config.Addr, d time.Duration) {
	t.Helper()
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-deadline.C:
			return
		case <-poll.C:
			for _, a := range c.Agents {
				if !a.Running() {
					continue
				}
				if got, err := masterOf(t.Context(), a); err == nil && got != master {
					t.Fatalf("%s names %s as the master, want %s to stay", a.ID, got, master)
				}
			}
		}
	}
}

func leader(t *testing.T, c *lab.Cluster) *lab.Agent {
	t.Helper()
	var found *lab.Agent
	if err := lab.Await(patience, "there is a leader", func(ctx context.Context) (err error) {
		found, err = c.Leader(ctx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}
