package sentinel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

const (
	// forgetTries is how often the servers are looked at: while clients write, the others need a moment to hold what the master had.
	forgetTries = 20
	forgetPause = 10 * time.Millisecond
	// forgetLook bounds a look at a server: one that hangs tells nothing.
	forgetLook = 500 * time.Millisecond
)

// Forget implements api.Orders: a replica that is gone for good need not be asked at a failover any more. It must not follow the
// master, and enough others must hold all that it may have acknowledged.
func (a *Agent) Forget(ctx context.Context, master string, server config.Addr) error {
	if err := a.node.Barrier(ctx); err != nil {
		return err
	}
	server = a.names.Known(server)
	var refusal *failover.Blocker
	for range forgetTries {
		m := a.look().master(master)
		if m == nil {
			return picture.ErrUnknownMaster
		}
		view, err := a.inspect(ctx, m)
		if err != nil {
			return &blockedError{failover.MasterDown(master, err.Error())}
		}
		if refusal = forgettable(m, view, server, a.settings(m).Durability.Wait); refusal == nil {
			forget := state.Register{Master: master, Process: processAt(m, server)}
			return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Forget: &forget})
		}
		pause(ctx, forgetPause)
		if ctx.Err() != nil {
			break
		}
	}
	return &blockedError{*refusal}
}

// inspect looks at a master, and after that at its replicas: what these hold is compared with what the master had before.
func (a *Agent) inspect(ctx context.Context, m *state.Master) (monitor.View, error) {
	before, err := a.glance(ctx, m.Addr)
	if err != nil {
		return monitor.View{}, err
	}
	said := []*monitor.Observation{before}
	view := a.monitor.View()
	for _, r := range m.Replicas {
		if view.Servers[r].State == monitor.Down {
			continue
		}
		if o, err := a.glance(ctx, r); err == nil { // one that does not answer is soon known to be down
			said = append(said, o)
		}
	}
	view = a.monitor.View()
	for _, o := range said { // which the view may not show yet
		server := view.Servers[o.Server]
		server.Last = o
		view.Servers[o.Server] = server
	}
	return view, nil
}

func (a *Agent) glance(ctx context.Context, server config.Addr) (*monitor.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, forgetLook)
	defer cancel()
	return a.monitor.Refresh(ctx, server)
}

// forgettable says why a replica must not be forgotten; nil: it may. Clients wait for so many of them.
func forgettable(m *state.Master, view monitor.View, server config.Addr, wait int) *failover.Blocker {
	if b := inUse(m, view, server); b != nil {
		return b
	}
	return lacking(m, view, wait, server)
}

// keep is a refusal to forget a server.
func keep(server config.Addr, why, remedy string) *failover.Blocker {
	return &failover.Blocker{Reason: "in-use", Text: fmt.Sprintf("%s may not be forgotten: %s", server, why), Remedy: remedy}
}

// inUse says why a server is needed itself; nil: it is not.
func inUse(m *state.Master, view monitor.View, server config.Addr) *failover.Blocker {
	master := view.Servers[m.Addr]
	switch gone := view.Servers[server]; {
	case server == m.Addr:
		return keep(server, "it is the master", "hand it over first: picket switchover "+m.Name)
	case !m.Owns(server) && m.Process(server) == nil:
		return keep(server, "it is not known", "picket status lists the replicas")
	case m.Failover != nil:
		return keep(server, "a failover is running", "wait for its end")
	case master.Last == nil || master.Last.Role != "master":
		return keep(server, "the master is not well", "wait until it is")
	case gone.State == monitor.Up && gone.Last != nil && gone.Last.Master == m.Addr:
		return keep(server, "it follows the master", "stop it first")
	}
	if lists(master.Last, server) {
		return keep(server, "the master still has a connection to it", "stop it, and wait for repl-timeout where its host has vanished")
	}
	return nil
}

// lists says whether a master has a connection to a replica.
func lists(master *monitor.Observation, replica config.Addr) bool {
	return slices.ContainsFunc(master.Replicas, func(r monitor.Attached) bool { return r.Server == replica })
}

// lacking says which of the replicas that are left may not hold all that those which are to be forgotten have acknowledged; nil: enough do. When N
// are left, a failover asks N - wait + 1 of them: as soon as so many as clients wait for hold everything, one of these is always among
// the asked, whatever the others lack.
func lacking(m *state.Master, view monitor.View, wait int, gone ...config.Addr) *failover.Blocker {
	master, left, behind := view.Servers[m.Addr], 0, []string(nil)
	for _, p := range m.Registered() {
		if slices.Contains(gone, p.Addr) {
			continue
		}
		left++
		if r := view.Servers[p.Addr]; r.State != monitor.Up || r.Last == nil || r.Last.ReplID != master.Last.ReplID ||
			r.Last.Offset < master.Last.Offset {
			behind = append(behind, string(p.Addr))
		}
	}
	if left-len(behind) < min(left, max(wait, 1)) {
		return keep(gone[0], "what it acknowledged may be lacking on "+strings.Join(behind, ", "),
			"wait until one of these has caught up; where several are gone for good, SENTINEL RESET forgets them together")
	}
	return nil
}

// Reset implements resp.Registry: replicas that are gone are forgotten, as far as nothing can be lost by that, and the last failover is as good as
// acknowledged. Those that are there stay, so that there is no moment in which a failover would find none.
func (a *Agent) Reset(ctx context.Context, master string) error {
	l := a.look()
	m := l.master(master)
	if m == nil {
		return picture.ErrUnknownMaster
	}
	if !l.electorate(a.cfg.Agent.ElectionTimeout).majority() {
		return picture.ErrNoMajority
	}
	r := state.Reset{Master: master}
	for _, server := range a.departed(ctx, m) {
		r.Gone = append(r.Gone, processAt(m, server))
	}
	return a.enact(ctx, l, state.Command{Reset: &r})
}

// departed lists the replicas that may be forgotten together: they are down, and those that are left hold all that they have acknowledged. Those that
// have acknowledged nothing need not wait for that.
func (a *Agent) departed(ctx context.Context, m *state.Master) []config.Addr {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	var dead, idle []config.Addr
	for range forgetTries {
		view, err := a.inspect(ctx, m)
		if err != nil {
			return nil // without the master it is not known what they may have acknowledged
		}
		if dead, idle = dying(m, view); len(dead) == len(idle) || lacking(m, view, a.settings(m).Durability.Wait, dead...) == nil {
			return dead
		}
		pause(ctx, forgetPause)
		if ctx.Err() != nil {
			break
		}
	}
	return idle
}

// dying lists the replicas that are down and that nobody uses, and those among them that may not have acknowledged anything.
func dying(m *state.Master, view monitor.View) (dead, idle []config.Addr) {
	known := slices.Clone(m.Replicas)
	for _, p := range m.Registered() {
		known = append(known, p.Addr)
	}
	slices.Sort(known)
	for _, server := range slices.Compact(known) {
		if s, watched := view.Servers[server]; watched && s.State != monitor.Down || inUse(m, view, server) != nil {
			continue
		}
		dead = append(dead, server)
		if m.Process(server) == nil {
			idle = append(idle, server)
		}
	}
	return dead, idle
}

// processAt is the process at an address, as agreed.
func processAt(m *state.Master, server config.Addr) failover.Process {
	if known := m.Process(server); known != nil {
		return *known
	}
	return failover.Process{Addr: server}
}
