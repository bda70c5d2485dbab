package sentinel

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"picket/config"
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
