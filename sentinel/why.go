package sentinel

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// keptDecisions is how many of the latest decisions on a master are kept: those that differ in something that matters.
const keptDecisions = 32

// diary is what this agent has made of what it saw, by master. The judge writes it, doors read it.
type diary struct {
	mu      sync.Mutex
	entries map[string][]failover.Decision // oldest first
}

func newDiary() *diary { return &diary{entries: map[string][]failover.Decision{}} }

// note keeps a decision unless it says what the last one said.
func (d *diary) note(master string, decision failover.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.entries[master]
	if n := len(list); n > 0 && list[n-1].Same(decision) {
		return
	}
	if len(list) == keptDecisions {
		list = slices.Clone(list[1:])
	}
	d.entries[master] = append(list, decision)
}

// forget drops masters that are not there any more.
func (d *diary) forget(gone func(master string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.entries, func(name string, _ []failover.Decision) bool { return gone(name) })
}

// at is the decision that stood at a time; nil: none is kept from so long ago.
func (d *diary) at(master string, when time.Time) *failover.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, decision := range slices.Backward(d.entries[master]) {
		if !decision.At.After(when) {
			return &decision
		}
	}
	return nil
}

// explain notes what the judge makes of a master.
func (j *judge) explain(l look, m *state.Master) {
	well := m.Failover == nil && j.now.masters[m.Name].verdict.Code == monitor.Healthy
	if well && j.well[m.Name] == m.Addr {
		return // as it was
	}
	delete(j.well, m.Name)
	if well {
		j.well[m.Name] = m.Addr
	}
	s := j.a.situation(l, m, l.status.Term)
	j.a.diary.note(m.Name, failover.Explain(s, string(l.status.Leader), j.now.masters[m.Name].blocker))
}

// Why implements api.Reasons. Without a time it tells of now.
func (a *Agent) Why(master string, at time.Time) (api.Why, error) {
	l := a.look()
	m := l.master(master)
	if m == nil {
		return api.Why{}, picture.ErrUnknownMaster
	}
	w := api.Why{Master: master, Agent: a.cfg.Agent.ID}
	if !at.IsZero() {
		w.Decision, w.Last = a.diary.at(master, at), l.state.Recall(m, monitor.MomentOf(at))
		return w, nil
	}
	judged := a.judgement.Load().masters[master]
	d := failover.Explain(a.situation(l, m, l.status.Term), string(l.status.Leader), judged.blocker)
	w.Decision, w.Running, w.Last, w.Findings = &d, m.Failover, m.Last, a.findings(l, m)
	if judged.blocker != nil {
		w.Since = judged.blocked
	}
	if m.Diverged != nil && m.DivergedIn == m.Epoch {
		w.Diverged = m.Diverged
	}
	return w, nil
}

// findings are what is wrong with a group besides what is judged. While its servers are told whom to follow, nothing is.
func (a *Agent) findings(l look, m *state.Master) []monitor.Finding {
	if m.Failover != nil {
		return nil
	}
	list := monitor.Find(a.question(l, m), l.view, l.voters())
	if judged := a.judgement.Load().masters[m.Name]; judged.warned && judged.addr == m.Addr {
		list = append(list, monitor.Finding{Code: monitor.UnguardedMaster, Where: string(m.Addr), Text: unguarded, Remedy: guardIt})
	}
	return list
}

const (
	unguarded = "no agent runs beside the master: nobody can fence it when it is cut off"
	guardIt   = "run an agent on its host, with local; or say that it need not be fenced: lease-loss: off"
)

// voters are the agents whose opinions count.
func (l look) voters() []string {
	var ids []string
	for _, id := range l.status.Voters() {
		ids = append(ids, string(id))
	}
	return ids
}

// Rehearse implements api.Reasons.
func (a *Agent) Rehearse(master string, to config.Addr) (failover.Rehearsal, error) {
	l := a.look()
	m := l.master(master)
	if m == nil {
		return failover.Rehearsal{}, picture.ErrUnknownMaster
	}
	r := failover.Rehearse(a.situation(l, m, l.status.Term), a.names.Known(to))
	if r.Blocker == nil && !l.electorate(a.cfg.Agent.ElectionTimeout).majority() {
		b := failover.NoMajority()
		r = failover.Rehearsal{From: r.From, Blocker: &b}
	}
	return r, nil
}

// Predict implements api.Reasons.
func (a *Agent) Predict(master string, f failover.Failure) (failover.Forecast, error) {
	l := a.look()
	m := l.master(master)
	if m == nil {
		return failover.Forecast{}, picture.ErrUnknownMaster
	}
	voters := l.voters()
	for _, server := range f.Servers {
		if !m.Owns(server) {
			return failover.Forecast{}, &blockedError{failover.Blocker{
				Reason: "unknown-server", Text: fmt.Sprintf("%s is no server of %s", server, master), Remedy: "picket status lists them",
			}}
		}
	}
	for _, agent := range f.Agents {
		if !slices.Contains(voters, agent) {
			return failover.Forecast{}, &blockedError{failover.Blocker{
				Reason: "unknown-agent", Text: agent + " is no agent that votes", Remedy: "picket members lists them",
			}}
		}
	}
	s := a.situation(l, m, l.status.Term)
	return failover.Predict(s, a.question(l, m), string(l.status.Leader), voters, m.Last, f), nil
}
