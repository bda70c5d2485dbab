package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// TestSwitchover_LosesNothingUnderFullLoad hands the master round under eight writers: no acknowledged write is lost, no replica needs a
// full resync, and no server keeps a fence.
func TestSwitchover_LosesNothingUnderFullLoad(t *testing.T) {
	_, c := start(t, nil)
	var writers []*lab.Writer
	for i := range 8 {
		w := lab.StartWriter(c.FailoverClient(), fmt.Sprint("w", i), lab.WriterOptions{})
		t.Cleanup(w.Stop)
		writers = append(writers, w)
	}
	full := syncs(t, c)
	master := c.Redis[0]
	for i := range 4 {
		to := c.Redis[(i+1)%len(c.Redis)]
		out, err := picketRun(t, "switchover", lab.MasterName, "--agent", string(c.Agents[i%3].HTTP), "--to", string(to.Addr))
		if err != nil || !strings.Contains(out, string(to.Addr)+" is the master") {
			t.Fatalf("switchover to %s: %v\n%s", to.Addr, err, out)
		}
		settle(t, c, to.Addr)
		master = to
	}
	for _, w := range writers {
		w.Stop()
		lost, err := lab.Lost(t.Context(), master.Client(), w.Acked())
		if err != nil || lost > 0 {
			t.Errorf("%d of %d acknowledged writes are lost (%v)", lost, len(w.Acked()), err)
		}
		if len(w.Acked()) < 100 {
			t.Errorf("a writer got %d writes through: the test shows nothing", len(w.Acked()))
		}
	}
	if now := syncs(t, c); now != full {
		t.Errorf("%d full resyncs", now-full)
	}
	for _, r := range c.Redis {
		if got := r.Client().ConfigGet(t.Context(), "min-replicas-to-write").Val()["min-replicas-to-write"]; got != "0" {
			t.Errorf("%s keeps a fence: %s", r.Addr, got)
		}
	}
}

func syncs(t *testing.T, c *lab.Cluster) (n int) {
	t.Helper()
	for _, r := range c.Redis {
		info, err := r.Info(t.Context(), "stats")
		if err != nil {
			t.Fatal(err)
		}
		one := 0
		if _, err := fmt.Sscan(info["sync_full"], &one); err != nil {
			t.Fatal(err)
		}
		n += one
	}
	return n
}

func TestSwitchover_RefusesWithAReason(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	agent := string(c.Agents[0].HTTP)
	refused := func(want string, args ...string) {
		t.Helper()
		out, err := picketRun(t, append([]string{"switchover", lab.MasterName, "--agent", agent}, args...)...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s\nwant %q", args, err, out, want)
		}
	}
	refused("is no replica of mymaster", "--to", "127.0.0.1:1")
	refused("is the master already", "--to", string(c.Redis[0].Addr))
	refused("has passed", "--at", "2020-01-01T00:00:00Z")
	if err := c.Redis[1].Client().ConfigSet(t.Context(), "replica-priority", "0").Err(); err != nil {
		t.Fatal(err)
	}
	c.Redis[2].Kill()
	err := lab.Await(patience, "the replicas are known not to be fit", func(ctx context.Context) error {
		out, err := picketRun(t, "switchover", lab.MasterName, "--agent", agent, "--timeout", "5s")
		if err == nil || !strings.Contains(out, "its replica-priority is 0") || !strings.Contains(out, "it is not up") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	stays(t, c, c.Redis[0].Addr, 300*time.Millisecond)
	if err := c.Redis[0].Freeze(); err != nil {
		t.Fatal(err)
	}
	refused("use picket failover")
	if err := c.Redis[0].Thaw(); err != nil {
		t.Fatal(err)
	}
}

// TestSwitchover_Native has the master hand over by its own command.
func TestSwitchover_Native(t *testing.T) {
	t.Parallel()
	_, c := start(t, func(o *lab.ClusterOptions) { o.Settings = []string{"switchover: native"} })
	full, to := syncs(t, c), c.Redis[2].Addr
	w := lab.StartWriter(c.FailoverClient(), "native", lab.WriterOptions{})
	t.Cleanup(w.Stop)
	out, err := picketRun(t, "switchover", lab.MasterName, "--agent", string(c.Agents[1].HTTP), "--to", string(to))
	if err != nil || !strings.Contains(out, string(to)+" is the master") {
		t.Fatalf("%v\n%s", err, out)
	}
	settle(t, c, to)
	if err := lab.Await(patience, "the client has written a hundred times", func(context.Context) error {
		if n := len(w.Acked()); n < 100 {
			return fmt.Errorf("it has %d times", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if lost, err := lab.Lost(t.Context(), c.Redis[2].Client(), w.Acked()); err != nil || lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost (%v)", lost, len(w.Acked()), err)
	}
	if now := syncs(t, c); now != full {
		t.Errorf("%d full resyncs", now-full)
	}
}

func TestSwitchover_IsScheduledAndCancelled(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old, agent := c.Redis[0].Addr, string(c.Agents[1].HTTP)
	run := func(args ...string) string {
		t.Helper()
		out, err := picketRun(t, append([]string{"switchover", lab.MasterName, "--agent", agent}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	if out := run("--at", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)); !strings.Contains(out, "is due at") {
		t.Errorf("ordered: %s", out)
	}
	run("--cancel")
	run("--at", time.Now().Add(2*time.Second).UTC().Format(time.RFC3339))
	next := newMaster(t, c, old)
	settle(t, c, next.Addr)
	stays(t, c, next.Addr, time.Second)
}
