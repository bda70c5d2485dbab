package sentinel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// forgetTries is how often the servers are looked at: while clients write, the others need a moment to hold what the master had.
const forgetTries = 20

// Forget implements api.Orders: a replica that is gone for good need not be asked at a failover any more. It must not follow the
// master, and enough others must hold all that it may have acknowledged.
func (a *Agent) Forget(ctx context.Context, master string, server config.Addr) error {
	if err := a.node.Barrier(ctx); err != nil {
		return err
	}
	var refusal *failover.Blocker
	for range forgetTries {
		l := a.look()
		m := l.master(master)
		if m == nil {
			return picture.ErrUnknownMaster
		}
		// What the others hold is compared with what the master had before.
		before, err := a.monitor.Refresh(ctx, m.Addr)
		if err != nil {
			return &blockedError{failover.MasterDown(master, err.Error())}
		}
		said := []*monitor.Observation{before}
		for _, r := range m.Replicas {
			if o, err := a.monitor.Refresh(ctx, r); err == nil { // one that does not answer is known to be down
				said = append(said, o)
			}
		}
		view := a.monitor.View()
		for _, o := range said { // which the view may not show yet
			server := view.Servers[o.Server]
			server.Last = o
			view.Servers[o.Server] = server
		}
		if refusal = forgettable(m, view, server, a.settings(m).Durability.Wait); refusal == nil {
			forget := state.Register{Master: master, Process: failover.Process{Addr: server}}
			if known := m.Process(server); known != nil {
				forget.Process = *known
			}
			return a.propose(ctx, 0, state.Command{At: a.now().UnixNano(), Forget: &forget})
		}
		pause(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			break
		}
	}
	return &blockedError{*refusal}
}

// forgettable says why a replica must not be forgotten; nil: it may. When N are left, a failover asks N - wait + 1 of them: as soon as so many as
// clients wait for hold everything, one of these is always among the asked, whatever the others lack.
func forgettable(m *state.Master, view monitor.View, server config.Addr, wait int) *failover.Blocker {
	refuse := func(why, remedy string) *failover.Blocker {
		return &failover.Blocker{Reason: "in-use", Text: fmt.Sprintf("%s may not be forgotten: %s", server, why), Remedy: remedy}
	}
	master := view.Servers[m.Addr]
	switch gone := view.Servers[server]; {
	case server == m.Addr:
		return refuse("it is the master", "hand it over first: picket switchover "+m.Name)
	case !m.Owns(server) && m.Process(server) == nil:
		return refuse("it is not known", "picket status lists the replicas")
	case m.Failover != nil:
		return refuse("a failover is running", "wait for its end")
	case master.Last == nil || master.Last.Role != "master":
		return refuse("the master is not well", "wait until it is")
	case gone.State == monitor.Up && gone.Last != nil && gone.Last.Master == m.Addr:
		return refuse("it follows the master", "stop it first")
	}
	for _, r := range master.Last.Replicas {
		if r.Server == server {
			return refuse("the master still has a connection to it", "stop it, and wait for repl-timeout where its host has vanished")
		}
	}
	left, behind := 0, []string(nil)
	for _, p := range m.Registered() {
		if p.Addr == server {
			continue
		}
		left++
		if r := view.Servers[p.Addr]; r.State != monitor.Up || r.Last == nil || r.Last.ReplID != master.Last.ReplID ||
			r.Last.Offset < master.Last.Offset {
			behind = append(behind, string(p.Addr))
		}
	}
	if left-len(behind) < min(left, max(wait, 1)) {
		return refuse("what it acknowledged may be lacking on "+strings.Join(behind, ", "), "wait until one of these has caught up")
	}
	return nil
}
