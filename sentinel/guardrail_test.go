package sentinel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// event waits until every agent tells of an event.
func (g *group) event(want state.EventType) state.Event {
	g.t.Helper()
	var found state.Event
	g.await("all agents tell "+string(want), func(context.Context) error {
		for _, p := range g.pictures() {
			found = state.Event{}
			for _, e := range p.Events {
				if e.Type == want {
					found = e
				}
			}
			if found.ID == 0 {
				return fmt.Errorf("%s does not", p.Agent)
			}
		}
		return nil
	})
	return found
}

func (g *group) blocked(reason string) {
	g.t.Helper()
	g.await("a failover is blocked: "+reason, func(context.Context) error {
		for _, p := range g.pictures() {
			if b := p.Masters[0].Blocker; b == nil || b.Reason != reason {
				return fmt.Errorf("%s: blocker %+v", p.Agent, b)
			}
		}
		return nil
	})
}

func TestAgents_PausedMasterIsLeftAloneUntilThePauseEndsByItself(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	agent := g.members[2].running() // whichever leads
	const length = 3 * time.Second
	if err := agent.Pause(t.Context(), api.PauseOrder{For: api.Length(length), Who: "ann", Why: "maintenance"}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if p := agent.Picture(); len(p.Pauses) != 1 || p.Masters[0].Paused == nil || p.Masters[0].Paused.Who != "ann" {
		t.Errorf("the picture shows the pauses %+v, %+v", p.Pauses, p.Masters[0].Paused)
	}
	old.Kill()
	g.blocked("paused")
	g.stays(old.Addr, length-time.Since(begun)-time.Second)
	g.settle(g.newMaster(old.Addr))
	if took := time.Since(begun); took < length {
		t.Errorf("failed over %s after a pause of %s began", took, length)
	}
	g.event(state.PauseBegun)
	if e := g.event(state.PauseEnded); e.Data.Who != "" || e.Master != "" {
		t.Errorf("the pause was ended by %q, of %q", e.Data.Who, e.Master)
	}
}

func TestAgents_OrderByHandPassesThePauseAndRepairsDoNot(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	agent := g.members[0].running()
	if err := agent.Pause(t.Context(), api.PauseOrder{Master: master, For: api.Length(time.Hour), Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	if err := agent.Pause(t.Context(), api.PauseOrder{Master: "unknown", For: api.Length(time.Hour), Who: "ann"}); !errors.Is(err, picture.ErrUnknownMaster) {
		t.Errorf("pause of an unknown master: %v", err)
	}
	old := g.servers[0].Addr
	if err := agent.Failover(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	next := g.newMaster(old)
	g.settle(next)
	// One that strays now is left where it is.
	stray := g.server(old).Client()
	defer stray.Close()
	silent := config.NewAddr("127.0.0.1", 1)
	if err := stray.Do(t.Context(), "REPLICAOF", silent.Host(), silent.Port()).Err(); err != nil {
		t.Fatal(err)
	}
	g.stays(next, 1500*time.Millisecond) // a repair would come within some tens of milliseconds after the next INFO
	if info, err := g.server(old).Info(t.Context(), "replication"); err != nil || info["master_port"] != "1" {
		t.Errorf("the stray follows %s:%s, %v", info["master_host"], info["master_port"], err)
	}
	if err := agent.Resume(t.Context(), master, "bob"); err != nil {
		t.Fatal(err)
	}
	g.settle(next)
}

func TestAgents_AcknowledgedFailoverHoldsTheNextOneUpNoMore(t *testing.T) {
	t.Parallel()
	l, g := newServers(t)
	g.cooldown = time.Hour
	g.startAgents(l, nil)
	agent := g.members[1].running()
	if _, err := agent.Acknowledge(t.Context(), master, "ann"); !errors.Is(err, state.ErrStale) {
		t.Errorf("acknowledgement of nothing: %v", err)
	}
	first := g.servers[0]
	first.Kill()
	second := g.newMaster(first.Addr)
	g.restart(first)
	g.settle(second)
	g.server(second).Kill()
	g.blocked("cooldown")
	if _, err := agent.Acknowledge(t.Context(), master, "ann"); err != nil {
		t.Fatal(err)
	}
	g.settle(g.newMaster(second))
	g.event(state.FailoverAcknowledged)
}

// publish says on a server, every 200 ms until stopped, what a Sentinel would: that another server is the master.
func (g *group) publish(on config.Addr, claimed config.Addr) (stop func()) {
	ctx, cancel := context.WithCancel(g.t.Context())
	var saying sync.WaitGroup
	saying.Go(func() { // ends with ctx
		client := g.server(on).Client()
		defer client.Close()
		hello := fmt.Sprintf("127.0.0.1,26379,%040d,9,%s,%s,%d,99", 1, master, claimed.Host(), claimed.Port())
		for ctx.Err() == nil {
			_ = client.Publish(ctx, "__sentinel__:hello", hello).Err() // what matters is what the agents hear
			pause(ctx, 200*time.Millisecond)
		}
	})
	return func() {
		cancel()
		saying.Wait()
	}
}

func TestAgents_NothingIsDoneBesideAForeignSentinel(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old, spoken, other := g.servers[0], g.servers[1].Addr, g.servers[2]
	stop := g.publish(spoken, spoken) // a replica, which only the agent beside it listens to
	defer stop()
	g.await("all agents know of the Sentinel", func(context.Context) error {
		for _, p := range g.pictures() {
			if f := p.Masters[0].Foreign; len(f) != 1 || f[0].Server != spoken || f[0].Epoch != 99 {
				return fmt.Errorf("%s knows %+v", p.Agent, f)
			}
		}
		return nil
	})
	// What strays is not repaired, and what the Sentinel says of the master is not followed.
	stray := other.Client()
	defer stray.Close()
	if err := stray.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	g.stays(old.Addr, 1500*time.Millisecond)
	if info, err := other.Info(t.Context(), "replication"); err != nil || info["master_port"] != "1" {
		t.Errorf("the stray follows %s:%s, %v", info["master_host"], info["master_port"], err)
	}
	var blocked *blockedError
	if err := g.members[2].running().Failover(t.Context(), master); !errors.As(err, &blocked) || blocked.blocker.Reason != "foreign-sentinel" {
		t.Errorf("an order by hand: %v", err)
	}
	old.Kill()
	g.blocked("foreign-sentinel")
	g.stays(old.Addr, time.Second)
	stop()
	g.settle(g.newMaster(old.Addr))
}
