package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// TestRegistry_MasterMadeKnownAtRunTime: any agent takes the order, all of them watch the master, its settings can be changed on any, and it is failed
// over. Removed, nothing of it is left.
func TestRegistry_MasterMadeKnownAtRunTime(t *testing.T) {
	l, g := newServers(t)
	g.startAgents(l, nil)
	second := g.replicated(l, 2)
	ctx, agents := t.Context(), []*Agent{g.members[0].running(), g.members[1].running(), g.members[2].running()}
	for i, a := range agents { // the scripts of operators tell each of their Sentinels
		if err := a.Monitor(ctx, "second", second[0].Addr, 2); err != nil {
			t.Fatalf("agent %d: %v", i, err)
		}
	}
	if err := agents[1].Monitor(ctx, "second", second[1].Addr, 2); !errors.Is(err, picture.ErrDuplicate) {
		t.Errorf("another master of the name: %v", err)
	}
	if err := agents[1].Monitor(ctx, "third", g.servers[1].Addr, 2); !errors.Is(err, picture.ErrTaken) {
		t.Errorf("a replica of another master: %v", err)
	}
	if err := agents[2].Set(ctx, "second", []state.Option{{Name: config.OptionDownAfter, Value: "1500"}, {Name: config.OptionParallelSyncs, Value: "4"}}); err != nil {
		t.Fatal(err)
	}
	var wrong *picture.OptionError
	if err := agents[0].Set(ctx, "second", []state.Option{{Name: config.OptionQuorum, Value: "1"}, {Name: "colour", Value: "1"}}); !errors.As(err, &wrong) {
		t.Errorf("an unknown option: %v", err)
	}
	g.await("all know its replica and its settings", func(context.Context) error {
		for _, a := range agents {
			m := masterIn(a.Picture(), "second")
			if m == nil || len(m.Replicas) != 1 || m.Settings.DownAfter != 1500*time.Millisecond || m.Settings.ParallelSyncs != 4 || m.Settings.Quorum != 2 {
				return fmt.Errorf("%s shows %+v", a.cfg.Agent.ID, m)
			}
		}
		return nil
	})
	second[0].Kill()
	g.await("it is failed over", func(context.Context) error {
		for _, a := range agents {
			if m := masterIn(a.Picture(), "second"); m.Server.Addr != second[1].Addr || m.Failover != nil {
				return fmt.Errorf("%s says %s", a.cfg.Agent.ID, m.Server.Addr)
			}
		}
		return nil
	})
	if err := agents[1].Remove(ctx, "second"); err != nil {
		t.Fatal(err)
	}
	if err := agents[0].Remove(ctx, "second"); !errors.Is(err, picture.ErrUnknownMaster) {
		t.Errorf("removed again: %v", err)
	}
	g.await("all have forgotten it", func(context.Context) error {
		for _, a := range agents {
			if _, watched := a.monitor.View().Servers[second[1].Addr]; watched || masterIn(a.Picture(), "second") != nil {
				return errors.New(a.cfg.Agent.ID + " still knows it")
			}
		}
		return nil
	})
}

// TestRegistry_WhatIsSetOnOneAgent: a password stays on the agent on which it was set, in a file of its own, survives a restart, and goes with the master.
func TestRegistry_WhatIsSetOnOneAgent(t *testing.T) {
	g := newGroup(t, nil)
	ctx, first := t.Context(), g.members[0]
	if err := first.running().Set(ctx, master, []state.Option{{Name: config.OptionPassword, Value: "not so secret"}}); err != nil {
		t.Fatal(err)
	}
	binary := []state.Option{{Name: config.OptionQuorum, Value: "1"}, {Name: config.OptionPassword, Value: "\xff\xfe"}}
	if err := first.running().Set(ctx, master, binary); !errors.Is(err, picture.ErrNotText) {
		t.Errorf("a password that can't be kept: %v", err)
	}
	if err := first.running().SetParameters(ctx, map[string]string{"sentinel-pass": "\xff"}); !errors.Is(err, picture.ErrNotText) {
		t.Errorf("a parameter that can't be kept: %v", err)
	}
	file := filepath.Join(first.cfg.Agent.DataDir, ownFile)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", file, info, err)
	}
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "not so secret") {
		t.Errorf("%s holds %q (%v)", file, data, err)
	}
	if got := g.members[1].running().named(master).Password; got != "" {
		t.Errorf("another agent uses the password %q", string(got))
	}
	g.await("the log says that a password was set, and not which", func(context.Context) error {
		if log := first.log.String(); strings.Contains(log, "not so secret") || !strings.Contains(log, "******") {
			return errors.New("it does not")
		}
		return nil
	})
	first.stop()
	first.start()
	g.await("it is up again, with the password", func(context.Context) error {
		if got := first.running().named(master).Password; got != "not so secret" {
			return fmt.Errorf("it uses %q", string(got))
		}
		return nil
	})
	if got := first.running().named(master).Quorum; got == 1 {
		t.Error("what was refused has changed the quorum")
	}
	// A password that was set although the servers have none is refused by none of them.
	g.settle(g.servers[0].Addr)
	if err := g.members[2].running().Remove(ctx, master); err != nil {
		t.Fatal(err)
	}
	g.await("it is forgotten", func(context.Context) error {
		if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "secret") {
			return fmt.Errorf("%s holds %q (%v)", file, data, err)
		}
		return nil
	})
	first.stop()
	first.start()
	g.await("its file does not bring it back", func(context.Context) error {
		a := first.running()
		if s := a.status.Load(); s.Leader == "" || masterIn(a.Picture(), master) != nil {
			return fmt.Errorf("%+v", a.Picture().Masters)
		}
		return nil
	})
}

// TestRegistry_InAMinority: nothing changes, and that is said at once; reading goes on.
func TestRegistry_InAMinority(t *testing.T) {
	g := newGroup(t, nil)
	for _, m := range g.members[1:] {
		m.stop()
	}
	a := g.members[0].running()
	g.await("it knows that it is alone", func(context.Context) error {
		if a.look().electorate(a.cfg.Agent.ElectionTimeout).majority() {
			return errors.New("it still sees others")
		}
		return nil
	})
	began := time.Now()
	for name, err := range map[string]error{
		"monitor": a.Monitor(t.Context(), "second", "127.0.0.1:1", 2),
		"remove":  a.Remove(t.Context(), master),
		"set":     a.Set(t.Context(), master, []state.Option{{Name: config.OptionQuorum, Value: "1"}}),
		"reset":   a.Reset(t.Context(), master),
	} {
		if !errors.Is(err, picture.ErrNoMajority) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if took := time.Since(began); took > registryTimeout {
		t.Errorf("it took %s", took)
	}
	if m := masterIn(a.Picture(), master); m == nil || m.Server.Addr != g.servers[0].Addr {
		t.Errorf("it shows %+v", m)
	}
}

// TestRegistry_Reset: replicas that are gone are forgotten, those that are there stay.
func TestRegistry_Reset(t *testing.T) {
	g := newGroup(t, nil)
	a := g.members[1].running()
	g.servers[2].Kill()
	g.await("it is down", func(context.Context) error {
		if !masterIn(a.Picture(), master).Replicas[0].Down && !masterIn(a.Picture(), master).Replicas[1].Down {
			return errors.New("it is not")
		}
		return nil
	})
	g.await("it is forgotten", func(ctx context.Context) error {
		if err := a.Reset(ctx, master); err != nil {
			return err
		}
		if m := masterIn(a.Picture(), master); len(m.Replicas) != 1 || m.Replicas[0].Addr != g.servers[1].Addr {
			return fmt.Errorf("%+v", m.Replicas)
		}
		return nil
	})
}

func masterIn(p picture.Picture, name string) *picture.Master {
	for i := range p.Masters {
		if p.Masters[i].Name == name {
			return &p.Masters[i]
		}
	}
	return nil
}

// TestRegistry_RemovedWhileFenced: a master that is removed takes writes again, because nobody is left who would let it.
func TestRegistry_RemovedWhileFenced(t *testing.T) {
	g := newGroup(t, nil)
	beside := g.members[0].running()
	client := g.servers[0].Client()
	defer client.Close()
	if err := g.members[1].running().Remove(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	g.await("it is removed", func(context.Context) error {
		if beside.machine.State().Master(master) != nil {
			return errors.New("it is not")
		}
		return nil
	})
	const setting = "min-replicas-to-write"
	if err := client.ConfigSet(t.Context(), setting, "1000001").Err(); err != nil { // a fence in place of 1
		t.Fatal(err)
	}
	beside.sidecar.offer(func(s *sidecar) { s.why = "its lease had run out" })
	g.await("it takes writes", func(ctx context.Context) error {
		now, err := client.ConfigGet(ctx, setting).Result()
		if err != nil || now[setting] != "1" {
			return fmt.Errorf("%s is %s (%v)", setting, now[setting], err)
		}
		return nil
	})
}

// TestAbandoned: the agent beside a server may hear at once that it was replaced and that it is forgotten; then its fence is all that keeps a second master
// from taking writes.
func TestAbandoned(t *testing.T) {
	again := state.Command{Monitor: &state.AddMaster{Name: "m", Addr: "h:9", Quorum: 2}}
	for name, c := range map[string]struct {
		since []state.Command
		last  config.Addr // the master, when the server was looked at last
		want  bool
	}{
		"removed":                  {[]state.Command{{Remove: "m"}}, "h:1", true},
		"removed, and no master":   {[]state.Command{{Remove: "m"}}, "h:2", false},
		"another one has its name": {[]state.Command{{Remove: "m"}, again}, "h:1", false},
	} {
		m := state.NewMachine()
		commit(t, m, 1, 1, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1"}})
		for i, one := range c.since {
			commit(t, m, uint64(i+2), 2, one)
		}
		if got := abandoned(m.State(), failover.Post{Name: "m", Master: c.last, Server: monitor.Server{Addr: "h:1"}}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRegistry_APasswordThatIsSetIsUsed: what is set on one agent changes nothing that is agreed on, and all the same how this agent logs in.
func TestRegistry_APasswordThatIsSetIsUsed(t *testing.T) {
	g := newGroup(t, nil)
	first, replica := g.members[0].running(), g.servers[1]
	client := replica.Client()
	if err := client.ConfigSet(t.Context(), "requirepass", "rotated").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	seen := func(a *Agent) monitor.State { return a.monitor.View().Servers[replica.Addr].State }
	g.await("nobody can log in", func(context.Context) error {
		for _, m := range g.members {
			if s := seen(m.running()); s != monitor.Down {
				return fmt.Errorf("%s finds the replica %s", m.cfg.Agent.ID, s)
			}
		}
		return nil
	})
	agreed := first.machine.State()
	if err := first.Set(t.Context(), master, []state.Option{{Name: config.OptionPassword, Value: "rotated"}}); err != nil {
		t.Fatal(err)
	}
	g.await("the agent with the password can", func(context.Context) error {
		if s := seen(first); s != monitor.Up {
			return fmt.Errorf("it finds the replica %s", s)
		}
		return nil
	})
	if first.machine.State() != agreed {
		t.Error("what is agreed on has changed, which might be why")
	}
	if s := seen(g.members[1].running()); s != monitor.Down {
		t.Errorf("another agent finds the replica %s", s)
	}
}

// TestTidy_NobodyStandsForAMasterThatIsGone: an election that names it would be refused by all, for the other masters as well.
func TestTidy_NobodyStandsForAMasterThatIsGone(t *testing.T) {
	g := newGroup(t, nil)
	a := g.members[0].running()
	wants := make(chan []string, 1)
	a.post(func(j *judge) {
		j.agenda.set("ghost", forDown, j.a.now().Add(time.Hour))
		j.watched = nil // as after any change of the state
	})
	g.await("the ghost is forgotten", func(ctx context.Context) error {
		a.post(func(j *judge) { wants <- j.agenda.names() })
		select {
		case names := <-wants:
			if len(names) > 0 {
				return fmt.Errorf("there are %v", names)
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// TestFulfil_EndsWithoutAMajority: an order that can't be carried out can't be taken back, either; the agent can be stopped all the same.
func TestFulfil_EndsWithoutAMajority(t *testing.T) {
	g := newGroup(t, nil)
	g.members[1].stop()
	g.members[2].stop()
	last := g.members[0]
	a := last.running()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.fulfil(ctx, "unknown", due{order: &state.Schedule{At: 1}}) }() // ends with ctx
	cancel()
	if err := <-ended; !errors.Is(err, picture.ErrUnknownMaster) {
		t.Errorf("it ends with %v", err)
	}
	last.crash() // as by SIGTERM: nobody stops its node for it
	select {
	case err := <-last.done:
		last.done <- err
	case <-time.After(patience):
		t.Fatal("the agent does not stop")
	}
}
