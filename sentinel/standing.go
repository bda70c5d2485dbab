package sentinel

import (
	"cmp"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/state"
)

// Beside implements api.Backend.
func (a *Agent) Beside() api.Beside {
	b := *a.sidecar.beside.Load()
	if a.shadow() { // then nobody looks after the server
		b = a.watched()
	}
	status := a.status.Load()
	b.Agent, b.Zone, b.Leader, b.Wanted = a.cfg.Agent.ID, a.cfg.Agent.Zone, string(status.Leader), a.cfg.Local != ""
	b.Leads = b.Leader == b.Agent
	return b
}

// Now implements api.Backend.
func (a *Agent) Now() time.Time { return a.now() }

// watched is the server beside an agent that only watches.
func (a *Agent) watched() api.Beside {
	m := a.machine.State().Owner(a.local())
	if m == nil {
		return api.Beside{}
	}
	view := a.monitor.View()
	b := standing(m, view.Servers[a.local()], view.Servers[m.Addr].Last)
	b.Seen = view.Now
	return b
}

// stands tells load balancers how the server stands, before anything is done about it: they are told of a fence no later than it is.
func (s *sidecar) stands(p failover.Post, m *state.Master, orders failover.Orders) {
	b := standing(m, p.Server, s.master)
	b.Seen, b.Leased = p.Now, p.Settings.LeaseLoss != config.LeaseOff
	released, _ := s.guard.Released()
	b.Until = entitled(s.guard.Lease(), p, released)
	switch {
	case orders.Fence != "":
		b.Fenced = orders.Fence
	case b.Fenced != "":
		b.Fenced = cmp.Or(s.why, b.Fenced)
	}
	s.beside.Store(&b)
}

// entitled is until when a master may take writes: as long as its lease is held, or all its replicas prove that they follow it, where the
// configuration has that suffice.
func entitled(lease *failover.Lease, p failover.Post, released string) (until time.Time) {
	if lease.Held(p.Now) {
		until = lease.Until()
	}
	if p.Settings.LeaseLoss == config.LeaseReplicas && released == "" && p.Proven.After(until) {
		until = p.Proven
	}
	return until
}

// outdated is how much older what was seen of a master may be than what was seen of its replica, to say what the replica lacks. While all is well, servers
// are looked at each second.
const outdated = 5 * time.Second

// standing is how a server of a master's group stands, by what was seen of it and of the master. It is a pure function.
func standing(m *state.Master, server monitor.Server, master *monitor.Observation) api.Beside {
	b := api.Beside{
		Server: server.Addr, Name: m.Name, Up: server.State == monitor.Up, Text: server.State.String(), Lag: -1,
		Office: server.Addr == m.Addr && serves(m.Failover),
	}
	if server.State == monitor.Down {
		b.Text = server.Evidence.String()
	}
	last := server.Last
	if last == nil {
		return b
	}
	b.Office = b.Office && (m.RunID() == "" || m.RunID() == last.RunID)
	b.Role, b.Ready = last.Role, !last.Loading
	if _, _, fenced := failover.Fenced(last.Fence); fenced {
		b.Fenced = "it is fenced"
	}
	if last.Role != "slave" {
		return b
	}
	b.Follows = last.Master == m.Addr && last.LinkUp && !last.Syncing
	if b.Lag = failover.Lacks(master, last); master != nil && last.At.Sub(master.At) > outdated {
		b.Lag = -1
	}
	if b.Follows && last.LastIO >= 0 {
		b.Fresh = last.At.Add(-last.LastIO - time.Second) // Redis counts whole seconds, and rounds down
	}
	if b.Lag == 0 && master.At.After(b.Fresh) {
		b.Fresh = master.At // all of what the master had then
	}
	return b
}

// serves says whether the agreed master serves while a failover runs: the former one until somebody is promoted, if it lives and hands over, the new
// one as soon as clients are told.
func serves(r *failover.Record) bool {
	return r == nil || r.Phase == failover.Switched || r.HandOver && r.Phase == failover.Begun
}
