package sentinel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// stalling does something before writers are held.
type stalling struct {
	failover.Redis
	before func()
}

func (r stalling) Do(ctx context.Context, master string, a failover.Action) (*monitor.Observation, string, error) {
	if a.Kind == failover.Hold {
		r.before()
	}
	return r.Redis.Do(ctx, master, a)
}

// TestHandOver_ThatIsGivenUpChangesNothing has all replicas hang just before the writers are held, behind the master by a write. The writers wait
// for a while, are not refused, and go on.
func TestHandOver_ThatIsGivenUpChangesNothing(t *testing.T) {
	t.Parallel()
	l, g := newServers(t)
	g.lease = time.Second // long against what a busy machine adds: whose replicas all hang is fenced without one
	hang := func() {
		client := g.servers[0].Client()
		defer client.Close()
		for _, r := range g.servers[1:] {
			if err := r.Freeze(); err != nil {
				t.Error(err)
			}
		}
		if err := client.Set(t.Context(), "ahead", "of all replicas", 0).Err(); err != nil {
			t.Error(err)
		}
	}
	g.startAgents(l, func(a *Agent) { a.redis = stalling{a.redis, hang} })
	old := g.servers[0]
	writer := redis.NewClient(&redis.Options{Addr: string(old.Addr), MaxRetries: -1, ReadTimeout: patience})
	defer writer.Close()
	ctx, stop := context.WithCancel(t.Context())
	longest := make(chan time.Duration)
	go func() { longest <- writeUntil(ctx, t, writer) }() // ends with ctx; its result is waited for
	if err := g.members[0].running().handAway(t.Context(), master); err == nil || !strings.Contains(err.Error(), "given up: ") {
		t.Errorf("who waits for it is told %v", err)
	}
	g.await("the hand-over is given up", func(context.Context) error {
		last := g.pictures()[0].Masters[0].Last
		if last == nil || last.Outcome != failover.Aborted {
			return fmt.Errorf("last is %+v", last)
		}
		return nil
	})
	for _, r := range g.servers[1:] {
		if err := r.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
	g.settle(old.Addr)
	stop()
	if wait := <-longest; wait < 500*time.Millisecond || wait > 3*time.Second {
		t.Errorf("the longest write took %s: it was to be held, until the hand-over was given up", wait)
	}
	for _, r := range g.servers {
		client := r.Client()
		if got := client.ConfigGet(t.Context(), "min-replicas-to-write").Val()["min-replicas-to-write"]; got != "0" {
			t.Errorf("%s keeps a fence: %s", r.Name, got)
		}
		_ = client.Close() // nothing is under way
	}
	if addr := g.pictures()[0].Masters[0].Server.Addr; addr != old.Addr {
		t.Errorf("the master is %s", addr)
	}
}

// TestLeave_WaitsForAHandOverThatRuns: the agent and its Redis are stopped when it returns.
func TestLeave_WaitsForAHandOverThatRuns(t *testing.T) {
	t.Parallel()
	holding, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g := newGroup(t, func(a *Agent) {
		a.cfg.OnStop = config.StopSwitchover
		a.redis = stalling{a.redis, func() {
			once.Do(func() { close(holding) })
			<-goOn
		}}
	})
	old := g.servers[0]
	if err := g.members[1].running().Failover(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	<-holding
	left := make(chan config.Addr)
	go func() { // ends with the hand-over
		g.members[0].running().leave()
		left <- g.members[0].running().machine.State().Master(master).Addr
	}()
	time.AfterFunc(200*time.Millisecond, func() { close(goOn) })
	if addr := <-left; addr == old.Addr {
		t.Error("it has left while its Redis is the master")
	}
	g.settle(g.pictures()[0].Masters[0].Server.Addr)
}

// writeUntil writes until ctx ends, without an error, and gives how long the longest write took.
func writeUntil(ctx context.Context, t *testing.T, client *redis.Client) (longest time.Duration) {
	for n := 0; ctx.Err() == nil; n++ {
		start := time.Now()
		if err := client.Set(ctx, fmt.Sprint("written:", n), "", 0).Err(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a writer is told %v", err)
			return longest
		}
		longest = max(longest, time.Since(start))
		time.Sleep(time.Millisecond) // leaves the cores to the servers
	}
	return longest
}

// TestHandOver_OfAFencedMaster: a master whose agent has fenced it and died takes no writes, and nobody finds it down; an operator can have another one.
func TestHandOver_OfAFencedMaster(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	g.members[0].stop()
	client := old.Client()
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "min-replicas-to-write", "1000000").Err(); err != nil {
		t.Fatal(err)
	}
	g.await("the agents know that it is fenced", func(context.Context) error {
		for _, m := range g.members[1:] {
			if last := m.running().monitor.View().Servers[old.Addr].Last; last == nil || last.Fence != 1_000_000 {
				return fmt.Errorf("%s has seen %+v", m.cfg.Agent.ID, last)
			}
			if p := m.running().Picture().Masters[0]; !p.Server.Fenced || p.Promise != nil {
				return fmt.Errorf("%s shows it as %+v, with a promise of %+v", m.cfg.Agent.ID, p.Server, p.Promise)
			}
		}
		return nil
	})
	if err := g.members[1].running().Failover(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	g.settle(g.newMaster(old.Addr))
	for _, s := range g.servers {
		if s.Addr != g.pictures()[0].Masters[0].Server.Addr {
			continue
		}
		writer := s.Client()
		defer writer.Close()
		if err := writer.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Errorf("the new master says %v", err)
		}
	}
}
