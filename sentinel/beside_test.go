package sentinel

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
)

// TestBeside has agents whose files name the Redis beside them as their own host does, and one that has none: its master is a finding until
// another one, whose agent was found out, is the master.
func TestBeside(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(a *Agent) {
		a.cfg.Local = config.NewAddr("localhost", a.cfg.Local.Port())
		if a.cfg.Agent.ID == "agent-1" {
			a.cfg.Local = ""
		}
	})
	findings := func() []monitor.Finding { return g.pictures()[2].Masters[0].Findings }
	unguarded := func(f monitor.Finding) bool { return f.Code == monitor.UnguardedMaster }
	g.await("nobody is beside the master", func(context.Context) error {
		if list := findings(); !slices.ContainsFunc(list, unguarded) {
			return fmt.Errorf("found %v", list)
		}
		return nil
	})
	to := g.servers[1].Addr
	g.await("it is handed over", func(ctx context.Context) error {
		return g.members[2].running().Switchover(ctx, api.SwitchoverOrder{Master: master, To: to, Who: "a test"})
	})
	g.settle(to)
	g.await("its agent holds the lease", func(context.Context) error {
		lease := g.pictures()[1].Lease
		if lease == nil || lease.Server != to || lease.Until.IsZero() {
			return fmt.Errorf("the lease is %+v", lease)
		}
		if list := findings(); slices.ContainsFunc(list, unguarded) {
			return fmt.Errorf("found %v", list)
		}
		return nil
	})
}

// TestBeside_AnAgentThatIsStartedAloneTrustsNobody: it can't know whether its Redis was replaced. (Under `replicas` it goes on while all of
// them prove that they follow: they would not, then.)
func TestBeside_AnAgentThatIsStartedAloneTrustsNobody(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(a *Agent) { a.rules.file[master].LeaseLoss = config.LeaseStrict })
	for _, m := range g.members {
		m.stop()
	}
	client := g.servers[0].Client()
	defer client.Close()
	fenced := func(want bool) func(context.Context) error {
		return func(ctx context.Context) error {
			value, err := client.ConfigGet(ctx, "min-replicas-to-write").Result()
			if err != nil {
				return err
			}
			var n int64
			if _, err := fmt.Sscan(value["min-replicas-to-write"], &n); err != nil {
				return err
			}
			if _, _, got := failover.Fenced(n); got != want {
				return fmt.Errorf("min-replicas-to-write is %d", n)
			}
			return nil
		}
	}
	// An agent that is late while it stops may have fenced it.
	if err := client.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err(); err != nil {
		t.Fatal(err)
	}
	g.members[0].start()
	g.await("the master is fenced", fenced(true))
	g.members[1].start()
	g.await("it takes writes again, when it is known that it is the master", fenced(false))
}
