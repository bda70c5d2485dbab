package sentinel

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// listening counts what is done to servers.
type listening struct {
	failover.Redis
	hear func(failover.Action)
}

func (r listening) Do(ctx context.Context, master string, a failover.Action) (*monitor.Observation, string, error) {
	r.hear(a)
	return r.Redis.Do(ctx, master, a)
}

// TestSidecar_LeavesAFenceForAMasterThatHangs also where its lease runs out first, and it is tried to fence it as one that answers.
func TestSidecar_LeavesAFenceForAMasterThatHangs(t *testing.T) {
	t.Parallel()
	var left atomic.Int32
	g := newGroup(t, func(a *Agent) {
		a.rules.file[master].LeaseLoss = config.LeaseStrict
		if a.cfg.Agent.ID == "agent-1" {
			a.redis = listening{a.redis, func(one failover.Action) {
				if one.Kind == failover.BlindFence {
					left.Add(1)
				}
			}}
		}
	})
	old := g.servers[0]
	if err := old.Freeze(); err != nil {
		t.Fatal(err)
	}
	g.await("it is left a fence", func(context.Context) error {
		if left.Load() == 0 {
			return errors.New("none was written")
		}
		return nil
	})
	next := g.newMaster(old.Addr)
	if err := old.Thaw(); err != nil {
		t.Fatal(err)
	}
	g.settle(next)
}
