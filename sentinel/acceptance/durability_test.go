package acceptance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// registered waits until both replicas count as answers: until then a failover may wait for them.
func registered(t *testing.T, c *lab.Cluster, n int) {
	t.Helper()
	if err := lab.Await(patience, "the replicas are registered", func(ctx context.Context) error {
		p, err := c.Agents[0].Status(ctx)
		if err != nil {
			return err
		}
		known := 0
		for _, process := range p.Masters[0].Processes {
			if process.RunID != "" {
				known++
			}
		}
		if known != n {
			return fmt.Errorf("processes %+v", p.Masters[0].Processes)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestDurability_AFailoverWaitsForReplicasThatMayHoldMore: with WAIT 1 and two replicas, both must answer.
func TestDurability_AFailoverWaitsForReplicasThatMayHoldMore(t *testing.T) {
	t.Parallel()
	_, c := start(t, func(o *lab.ClusterOptions) { o.Settings = append(o.Settings, "durability: {wait: 1}") })
	registered(t, c, 3)
	old, missing := c.Redis[0], c.Redis[2]
	missing.Kill()
	agent := string(c.Agents[1].HTTP)
	forget := func() (string, error) {
		return picketRun(t, "forget", lab.MasterName, string(missing.Addr), "--agent", agent)
	}
	old.Kill()
	if err := lab.Await(patience, "the failover says whom it waits for", func(ctx context.Context) error {
		p, err := c.Agents[1].Status(ctx)
		if err != nil {
			return err
		}
		if b := p.Masters[0].Blocker; b == nil || !strings.Contains(b.Text, string(missing.Addr)) {
			return fmt.Errorf("blocker %+v", b)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stays(t, c, old.Addr, 500*time.Millisecond)
	if out, err := forget(); err == nil {
		t.Errorf("a replica was forgotten without a master: %s", out)
	}
	if err := missing.Start(); err != nil {
		t.Fatal(err)
	}
	// It has forgotten what it held: only an operator can say that this does not matter.
	stays(t, c, old.Addr, 500*time.Millisecond)
	if err := lab.Await(patience, "the operator's word counts", func(context.Context) error {
		out, err := picketRun(t, "failover", lab.MasterName, "--allow-data-loss", "--agent", agent)
		if err != nil && !strings.Contains(out, "is the master") {
			return errors.New(out)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	next := newMaster(t, c, old.Addr)
	if next == missing {
		t.Errorf("the replica that was restarted is the master")
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
}

// TestDurability_AReplicaThatIsGoneForGoodIsForgotten: then the others are enough.
func TestDurability_AReplicaThatIsGoneForGoodIsForgotten(t *testing.T) {
	t.Parallel()
	_, c := start(t, func(o *lab.ClusterOptions) { o.Settings = append(o.Settings, "durability: {wait: 1}") })
	registered(t, c, 3)
	gone, agent := c.Redis[2], string(c.Agents[1].HTTP)
	out, err := picketRun(t, "forget", lab.MasterName, string(gone.Addr), "--agent", agent)
	if err == nil || !strings.Contains(out, "it follows the master: stop it first") {
		t.Errorf("a replica that follows: %v %s", err, out)
	}
	gone.Kill()
	if err := lab.Await(patience, "it is forgotten", func(context.Context) error {
		out, err := picketRun(t, "forget", lab.MasterName, string(gone.Addr), "--agent", agent)
		if err != nil {
			return errors.New(out)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.Redis[0].Kill()
	if next := newMaster(t, c, c.Redis[0].Addr); next != c.Redis[1] {
		t.Errorf("%s is the master", next.Addr)
	}
}
