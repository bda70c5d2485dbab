package sentinel

import (
	"cmp"
	"slices"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// shownEvents is how many of the latest events a picture holds.
const shownEvents = 64

// drying is how long a picture is shown to others as well, as long as nothing was committed since: clients ask thousands of times
// a second, and ages of servers are in it as of its own time. One of a thousand masters takes milliseconds to paint, and so is shown for longer.
func drying(p *picture.Picture) time.Duration {
	return 5*time.Millisecond + min(time.Duration(len(p.Masters))*50*time.Microsecond, 100*time.Millisecond)
}

// painted is a picture and the state that it shows.
type painted struct {
	picture picture.Picture
	state   *state.State
	members uint64
}

// Picture is what this agent knows now.
func (a *Agent) Picture() picture.Picture {
	last, members := a.painted.Load(), a.members.Load()
	if last == nil || last.members != members || last.state != a.machine.State() || a.now().Sub(last.picture.At) > drying(&last.picture) {
		l := a.look()
		last = &painted{picture: a.paint(l), state: l.state, members: members}
		a.painted.Store(last)
	}
	return last.picture
}

func (a *Agent) paint(l look) picture.Picture {
	judged := a.judgement.Load().masters
	p := picture.Picture{
		At: l.view.Now, Version: a.version, Cluster: a.cfg.Cluster, Agent: a.cfg.Agent.ID,
		Epoch: uint64(l.status.Term), Role: l.status.Role.String(), Leader: string(l.status.Leader), Majority: l.status.Leader != "",
		Simulated: int(a.simulated.Load()), Shadow: a.shadow(), Listening: failover.Listening(l.view, l.view.Now), Stalled: l.view.Stalled, Commit: uint64(l.status.Commit), Applied: uint64(l.status.Applied),
		Masters: make([]picture.Master, 0, len(l.masters)), Agents: a.agents(l),
		Lease: a.sidecar.lease(), Reload: a.reloaded(),
		Events: append([]state.Event{}, l.state.Events[max(0, len(l.state.Events)-shownEvents):]...), Pauses: []picture.Pause{},
	}
	for _, pause := range l.state.Pauses {
		if !pause.Over(l.now) {
			p.Pauses = append(p.Pauses, shown(pause))
		}
	}
	masters := l.masters
	if a.fresh {
		masters = withFile(masters, l.state, a.current().Masters)
	}
	for _, m := range masters {
		p.Masters = append(p.Masters, a.master(l, m, judged[m.Name]))
	}
	return p
}

// withFile adds the masters of the file that the group does not know yet. That is only right for an agent that never knew
// better: after a restart, what the file says may be long out of date, and no answer is better than that one.
func withFile(masters []*state.Master, agreed *state.State, file []config.Master) []*state.Master {
	for _, m := range file {
		if unmet(agreed, &m) {
			masters = append(masters, &state.Master{Name: m.Name, Addr: m.Address})
		}
	}
	slices.SortFunc(masters, func(a, b *state.Master) int { return cmp.Compare(a.Name, b.Name) })
	return masters
}

func (a *Agent) master(l look, m *state.Master, judged judged) picture.Master {
	settings := a.settings(m)
	p := picture.Master{
		Name: m.Name, Epoch: m.Epoch, Settings: settings, Quorum: quorum(settings, len(l.status.Voters())), Options: picture.OptionsOf(settings),
		Server:   a.server(m.Addr, l.view),
		Promise:  a.promisedFor(l.state, m.Addr),
		Verdict:  a.verdict(l, m),
		Blocker:  judged.blocker,
		Findings: a.findings(l, m),
		Replicas: make([]picture.Server, 0, len(m.Replicas)),
		Failover: m.Failover, Last: m.Last, Processes: append([]failover.Process{}, m.Processes...), Foreign: failover.Foreign(l.view, m.Addr, m.Replicas),
		Shadow: m.Shadow,
	}
	if pause := l.state.Paused(m.Name, l.now); pause != nil {
		shown := shown(*pause)
		p.Paused = &shown
	}
	if order := m.Scheduled; order != nil {
		p.Scheduled = &picture.Scheduled{To: order.To, At: order.At.Time(), Who: order.Who}
	}
	if p.Blocker != nil {
		p.BlockedAt = judged.blocked
	}
	if p.ODown = p.Verdict.ObjectivelyDown; p.ODown {
		p.ODownAt = l.view.Now
		if judged.addr == m.Addr && !judged.odown.IsZero() {
			p.ODownAt = judged.odown
		}
	}
	for _, r := range m.Replicas {
		s := a.server(r, l.view)
		s.Lag = failover.Lacks(p.Server.Last, s.Last)
		p.Replicas = append(p.Replicas, s)
	}
	return p
}

func shown(p state.Pause) picture.Pause {
	return picture.Pause{Master: p.Master, Who: p.Who, Why: p.Why, Since: p.Since.Time(), Until: p.Until.Time()}
}

func (a *Agent) server(addr config.Addr, view monitor.View) picture.Server {
	s, watched := view.Servers[addr]
	if !watched {
		s = monitor.Server{Addr: addr}
	}
	p := picture.Server{Addr: addr, Told: a.told(addr), Numeric: a.names.Told(addr), State: s.State.String(), Down: s.State == monitor.Down, Watch: s, Last: s.Last, Lag: -1}
	if s.Last != nil {
		p.RunID, p.Follows = s.Last.RunID, a.told(s.Last.Master)
		_, _, p.Fenced = failover.Fenced(s.Last.Fence)
	}
	if p.Down {
		p.Evidence = s.Evidence.String()
	}
	return p
}

// agents lists the members of the group.
func (a *Agent) agents(l look) []picture.Agent {
	agents := make([]picture.Agent, 0, len(l.status.Members))
	for _, m := range l.status.Members {
		id := m.ID
		p := picture.Agent{ID: string(id), MyID: picture.MyID(a.cfg.Cluster, string(id)), Self: id == l.status.ID, Heard: -1, Voter: m.Voter, Peer: config.Addr(m.Address)}
		registered := l.state.Agent(string(id))
		if p.Self {
			me := a.whoami()
			registered = &me
		}
		if registered != nil {
			p.Host, p.SentinelPort, p.Zone = a.toldHost(registered.Host), registered.SentinelPort, registered.Zone
			p.Local, p.Witness = registered.Local, registered.Local == ""
		}
		if p.Self {
			p.Up, p.Role, p.Epoch, p.Heard = true, l.status.Role.String(), uint64(l.status.Term), 0
			p.Commit = uint64(l.status.Commit)
		} else {
			heard(&p, l.peers[id], l.now)
		}
		agents = append(agents, p)
	}
	return agents
}

// silence is how long an agent may say nothing and still count as up: some of its heartbeats may be lost.
const silence = 2 * time.Second

func heard(p *picture.Agent, q peer, now time.Time) {
	if q.heard.IsZero() {
		return
	}
	p.Heard = now.Sub(q.heard)
	p.Up = q.connected && p.Heard < silence
	p.Role, p.Epoch, p.Commit = consensus.Role(q.role).String(), q.term, q.commit
}
