package sentinel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// knows waits until all agents list just these replicas and count just these processes besides the master's.
func (g *group) knows(listed, counted []config.Addr) {
	g.t.Helper()
	slices.Sort(listed)
	slices.Sort(counted)
	g.await(fmt.Sprintf("%v are listed, and %v counted", listed, counted), func(context.Context) error {
		for _, p := range g.pictures() {
			m := p.Masters[0]
			var is, counts []config.Addr
			for _, r := range m.Replicas {
				is = append(is, r.Addr)
			}
			for _, r := range m.Processes {
				if r.Addr != m.Server.Addr && r.RunID != "" {
					counts = append(counts, r.Addr)
				}
			}
			if !slices.Equal(is, listed) || !slices.Equal(counts, counted) || len(p.Agents) != 3 {
				return fmt.Errorf("%s lists %v, counts %v and knows %d agents", p.Agent, is, counts, len(p.Agents))
			}
		}
		return nil
	})
}

// finds waits until all agents find a replica to be up or down, and the master has as many connections as it should.
func (g *group) finds(r *lab.Redis, state string, connections int) {
	g.t.Helper()
	g.await(fmt.Sprintf("%s is %s", r.Addr, state), func(context.Context) error {
		for _, p := range g.pictures() {
			m := p.Masters[0]
			i := slices.IndexFunc(m.Replicas, func(s picture.Server) bool { return s.Addr == r.Addr })
			if i < 0 || m.Replicas[i].State != state || m.Server.Last == nil || len(m.Server.Last.Replicas) != connections {
				return fmt.Errorf("%s shows %+v of %+v", p.Agent, m.Replicas, m.Server.Last)
			}
		}
		return nil
	})
}

// reset orders it until it is known to be done: a leader may be lost on a busy machine.
func reset(t *testing.T, m *member) {
	t.Helper()
	if err := lab.Await(patience, "it is reset", func(ctx context.Context) error { return m.running().Reset(ctx, master) }); err != nil {
		t.Fatal(err)
	}
}

// TestReset_ForgetsWhatIsGoneAsFarAsThatIsSafe: a replica that is dead stays as long as another one, which is silent, may lack what it has acknowledged; what lives stays in
// any case, and so do all agents.
func TestReset_ForgetsWhatIsGoneAsFarAsThatIsSafe(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	a, b := g.servers[1], g.servers[2]
	both, one := []config.Addr{a.Addr, b.Addr}, []config.Addr{b.Addr}
	g.knows(both, both)
	reset(t, g.members[0])
	g.knows(both, both)

	a.Kill()
	g.finds(a, "down", 1)
	if err := b.Freeze(); err != nil {
		t.Fatal(err)
	}
	g.finds(b, "down", 1)
	client := g.servers[0].Client()
	defer client.Close()
	g.await("the master takes a write", func(ctx context.Context) error { // it is fenced meanwhile where agents get no time
		return client.Set(ctx, "more", "data", 0).Err()
	})
	reset(t, g.members[1])
	g.knows(both, both)
	if err := b.Thaw(); err != nil {
		t.Fatal(err)
	}
	g.finds(b, "up", 1)
	reset(t, g.members[2])
	g.knows(one, one)

	// One that comes back is known again.
	g.restart(a)
	g.knows(both, both)

	// Of several that are gone none can be forgotten alone.
	a.Kill()
	b.Kill()
	g.finds(a, "down", 0)
	g.finds(b, "down", 0)
	var blocked *blockedError
	if err := g.members[0].running().Forget(t.Context(), master, a.Addr); !errors.As(err, &blocked) || !strings.Contains(err.Error(), "SENTINEL RESET") {
		t.Errorf("forget one of two that are gone: %v", err)
	}
	reset(t, g.members[0])
	g.knows(nil, nil)
	if err := g.members[0].running().Reset(t.Context(), "nobody"); !errors.Is(err, picture.ErrUnknownMaster) {
		t.Errorf("an unknown master: %v", err)
	}
}

// TestReset_InAMinority changes nothing.
func TestReset_InAMinority(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	g.members[1].stop()
	g.members[2].stop()
	g.await("it is alone", func(context.Context) error {
		if err := g.members[0].running().Reset(t.Context(), master); !errors.Is(err, picture.ErrNoMajority) {
			return fmt.Errorf("reset: %v", err)
		}
		return nil
	})
	if m := g.pictures()[0].Masters[0]; len(m.Replicas) != 2 || m.Server.Watch.State == monitor.Unknown {
		t.Errorf("it knows %+v", m.Replicas)
	}
}

// TestForgettable: of the replicas that are left, as many as clients wait for must hold everything.
func TestForgettable(t *testing.T) {
	for name, c := range map[string]struct {
		wait    int
		dead    []config.Addr
		behind  []config.Addr
		refused string // what is said; empty: it may be forgotten
	}{
		"it follows":                            {wait: 1, refused: "it follows the master"},
		"all others hold everything":            {wait: 1, dead: []config.Addr{"h:4"}},
		"one other is dead as well":             {wait: 1, dead: []config.Addr{"h:3", "h:4"}},
		"… and nobody holds everything":         {wait: 1, dead: []config.Addr{"h:3", "h:4"}, behind: []config.Addr{"h:2"}, refused: "may be lacking on h:2, h:3"},
		"two acknowledge, and only one is left": {wait: 2, dead: []config.Addr{"h:3", "h:4"}, refused: "may be lacking on h:3"},
		"two acknowledge, and two are left":     {wait: 2, dead: []config.Addr{"h:4"}},
		"nobody waits, somebody must hold it":   {wait: 0, dead: []config.Addr{"h:4"}, behind: []config.Addr{"h:2", "h:3"}, refused: "may be lacking on h:2, h:3"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &state.Master{Name: "m", Addr: "h:1", Replicas: []config.Addr{"h:2", "h:3", "h:4"}, Processes: []failover.Process{
				{Addr: "h:1"}, {Addr: "h:2"}, {Addr: "h:3"}, {Addr: "h:4"},
			}}
			view := monitor.View{Servers: map[config.Addr]monitor.Server{
				"h:1": {State: monitor.Up, Last: &monitor.Observation{Server: "h:1", Role: "master", ReplID: "x", Offset: 100}},
			}}
			for _, r := range m.Replicas {
				view.Servers[r] = monitor.Server{State: monitor.Up, Last: &monitor.Observation{Server: r, Role: "slave", Master: "h:1", ReplID: "x", Offset: 100}}
			}
			for _, r := range c.dead {
				view.Servers[r] = monitor.Server{State: monitor.Down}
			}
			for _, r := range c.behind {
				view.Servers[r].Last.Offset--
			}
			b := forgettable(m, view, "h:4", c.wait)
			switch {
			case b == nil && c.refused != "":
				t.Errorf("it may be forgotten, want %q", c.refused)
			case b != nil && (c.refused == "" || !strings.Contains(b.Text, c.refused) || b.Remedy == ""):
				t.Errorf("refused: %s (%s), want %q", b.Text, b.Remedy, c.refused)
			}
		})
	}
}
