package sentinel

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/failover"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
)

func TestAgents_MasterCrashes(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	before := g.pictures()[0]
	g.await("every agent has promised the one beside the master to wait", func(context.Context) error {
		for _, p := range g.pictures() {
			m := p.Masters[0]
			if q := m.Promise; q == nil || q.Agent != p.Agents[0].ID || p.Agents[0].Local != m.Server.Addr || !q.Until.After(p.At) || m.Server.Fenced {
				return fmt.Errorf("%s has promised %+v to an agent beside %s (fenced: %t)", p.Agent, m.Promise, p.Agents[0].Local, m.Server.Fenced)
			}
		}
		return nil
	})
	switches := g.subscribe("+switch-master")
	old.Kill()
	next := g.newMaster(old.Addr)
	g.settle(next)
	p := g.pictures()[0]
	m := p.Masters[0]
	if m.Epoch <= before.Epoch || m.Epoch != p.Epoch {
		t.Errorf("master's epoch %d, group's %d, before %d: a failover has a term of its own", m.Epoch, p.Epoch, before.Epoch)
	}
	if m.Last == nil || m.Last.Outcome != failover.Done || m.Last.Old != old.Addr || m.Last.Target != next {
		t.Errorf("last failover %+v", m.Last)
	}
	t.Logf("switched %s after it was found down", m.Last.SwitchAt.Sub(m.Last.DownAt))
	want := fmt.Sprintf("%s %s %d %s %d", master, old.Addr.Host(), old.Addr.Port(), next.Host(), next.Port())
	for i, events := range switches {
		message, err := events.ReceiveMessage(t.Context())
		if err != nil || message.Payload != want {
			t.Errorf("%s tells %v, %v; want %s", g.members[i].cfg.Agent.ID, message, err, want)
		}
	}
	g.restart(old)
	g.settle(next) // the old one follows
}

// subscribe listens to a channel of every agent's Sentinel port.
func (g *group) subscribe(channel string) []*redis.PubSub {
	g.t.Helper()
	var all []*redis.PubSub
	for _, m := range g.members {
		client := redis.NewSentinelClient(&redis.Options{Addr: string(m.cfg.Listen.Sentinel), MaxRetries: -1, DisableIdentity: true})
		events := client.Subscribe(g.t.Context(), channel)
		if _, err := events.Receive(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() {
			_ = events.Close() // the test is over
			_ = client.Close()
		})
		all = append(all, events)
	}
	return all
}

func TestAgents_TwoMastersCrashTogether(t *testing.T) {
	t.Parallel()
	l, g := newServers(t)
	g.second = g.replicated(l, 2)
	g.startAgents(l, nil)
	g.await("both masters are known with their replicas", func(context.Context) error {
		for _, p := range g.pictures() {
			if len(p.Masters) != 2 || len(p.Masters[1].Replicas) != 1 {
				return fmt.Errorf("%s knows %d masters", p.Agent, len(p.Masters))
			}
		}
		return nil
	})
	before := g.pictures()[0].Epoch
	g.servers[0].Kill()
	g.second[0].Kill()
	g.settle(g.newMaster(g.servers[0].Addr))
	g.await("the second master is replaced", func(context.Context) error {
		for _, p := range g.pictures() {
			if m := p.Masters[1]; m.Server.Addr != g.second[1].Addr || m.Failover != nil {
				return fmt.Errorf("%s names %s, failover %v", p.Agent, m.Server.Addr, m.Failover)
			}
		}
		return nil
	})
	p := g.pictures()[0]
	t.Logf("epochs %d and %d, before %d", p.Masters[0].Epoch, p.Masters[1].Epoch, before)
	// One election does for both where the agents see both at once; on a busy machine they may stand for one each, and get into each
	// other's way a few times before it is settled. It must not go on.
	if p.Epoch > before+8 {
		t.Errorf("epoch %d, before %d: the elections go on and on", p.Epoch, before)
	}
}

func TestAgents_MasterHangsAndWakes(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	if err := old.Freeze(); err != nil {
		t.Fatal(err)
	}
	next := g.newMaster(old.Addr)
	if err := old.Thaw(); err != nil {
		t.Fatal(err)
	}
	g.settle(next)
}

func TestAgents_LateMasterStays(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old, before := g.servers[0], g.pictures()[0].Epoch
	for range 4 {
		if err := old.Freeze(); err != nil {
			t.Fatal(err)
		}
		g.stays(old.Addr, 600*time.Millisecond) // of a down-after of 1 s
		if err := old.Thaw(); err != nil {
			t.Fatal(err)
		}
		g.stays(old.Addr, 200*time.Millisecond)
	}
	g.settle(old.Addr)
	if got := g.pictures()[0].Masters[0].Last; got != nil {
		t.Errorf("failover %+v, epoch before %d", got, before)
	}
}

func TestAgents_MinorityDoesNothing(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	g.members[0].stop()
	g.members[1].stop()
	old.Kill()
	g.stays(old.Addr, 2*time.Second)
	for _, r := range g.servers[1:] {
		info, err := r.Info(t.Context(), "replication")
		if err != nil {
			t.Fatal(err)
		}
		// Each agent may keep the replica beside it from a master that could come back empty: that decides nothing.
		got := config.Addr(info["master_host"] + ":" + info["master_port"])
		if info["role"] != "slave" || got != old.Addr && got != failover.Silent {
			t.Errorf("%s is a %s of %s: a minority touched it", r.Name, info["role"], got)
		}
	}
	last := g.members[2].running()
	if err := last.Failover(t.Context(), master); !errors.Is(err, picture.ErrNoMajority) {
		t.Errorf("failover by hand: %v", err)
	}
	if last.Picture().Majority {
		t.Error("the last agent claims a majority")
	}
	g.members[0].start()
	next := g.newMaster(old.Addr)
	g.members[1].start()
	g.restart(old)
	g.settle(next)
}

func TestAgents_LeaderAndMasterDieTogether(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old, dead := g.servers[0], g.leader()
	old.Kill()
	dead.stop()
	next := g.newMaster(old.Addr)
	dead.start()
	g.restart(old)
	g.settle(next)
}

func TestAgents_AllRestart(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	old.Kill()
	next := g.newMaster(old.Addr)
	g.restart(old)
	g.settle(next)
	before := g.pictures()[0].Masters[0]
	for _, m := range g.members {
		m.stop()
	}
	for _, m := range g.members {
		m.start()
	}
	g.settle(next)
	if after := g.pictures()[0].Masters[0]; after.Epoch != before.Epoch || after.Last.ID != before.Last.ID {
		t.Errorf("epoch %d, last failover %d; before the restart %d, %d", after.Epoch, after.Last.ID, before.Epoch, before.Last.ID)
	}
}

func TestAgents_HandOver(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	old := g.servers[0]
	follower := g.members[0]
	if g.leader() == follower {
		follower = g.members[1]
	}
	if err := follower.running().Failover(t.Context(), "nobody"); !errors.Is(err, picture.ErrUnknownMaster) {
		t.Errorf("failover of nobody: %v", err)
	}
	client := old.Client()
	defer client.Close()
	writer := lab.NewWriter(client, "handed")
	g.await("some writes are acknowledged", func(context.Context) error {
		if n := len(writer.Acked()); n < 100 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	if err := follower.running().Failover(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	next := g.newMaster(old.Addr)
	g.settle(next)
	writer.Stop()
	promoted := g.server(next).Client()
	defer promoted.Close()
	lost, err := lab.Lost(t.Context(), promoted, writer.Acked())
	if err != nil || lost != 0 {
		t.Errorf("%d of %d acknowledged writes are lost, %v", lost, len(writer.Acked()), err)
	}
}

func TestAgents_NoReplicaIsLeft(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	for _, r := range g.servers[1:] {
		if err := r.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
	g.await("the replicas are seen down", func(context.Context) error {
		for _, p := range g.pictures() {
			for _, r := range p.Masters[0].Replicas {
				if !r.Down {
					return fmt.Errorf("%s: %s is %s", p.Agent, r.Addr, r.State)
				}
			}
		}
		return nil
	})
	if err := g.members[0].running().Failover(t.Context(), master); !errors.Is(err, picture.ErrNoReplica) {
		t.Errorf("failover by hand: %v", err)
	}
	g.servers[0].Kill()
	g.await("the blocker is shown", func(context.Context) error {
		for _, p := range g.pictures() {
			if b := p.Masters[0].Blocker; b != nil && b.Reason == "no-candidate" {
				return nil
			}
		}
		return errors.New("no agent shows one")
	})
	if err := g.servers[1].Thaw(); err != nil {
		t.Fatal(err)
	}
	next := g.newMaster(g.servers[0].Addr)
	if next != g.servers[1].Addr {
		t.Errorf("master %s, want the only one that runs", next)
	}
	g.restart(g.servers[0])
	if err := g.servers[2].Thaw(); err != nil {
		t.Fatal(err)
	}
	g.settle(next)
}
