package sentinel

import (
	"context"
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
const keptDecisions = 64

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
	w := api.Why{Master: master, Agent: a.cfg.Agent.ID, Running: m.Failover, Last: m.Last}
	if m.Diverged != nil && m.DivergedIn == m.Epoch {
		w.Diverged = m.Diverged
	}
	if at.IsZero() {
		d := failover.Explain(a.situation(l, m, l.status.Term), string(l.status.Leader), a.judgement.Load().masters[master].blocker)
		w.Decision = &d
		return w, nil
	}
	w.Decision = a.diary.at(master, at)
	if m.Last != nil && m.Last.BegunAt > at.UnixNano() {
		w.Last = nil // it came later
	}
	return w, nil
}

// Predict implements api.Reasons. Agents that fail are taken to be silent.
func (a *Agent) Predict(_ context.Context, master string, servers []config.Addr) (failover.Forecast, error) {
	l := a.look()
	m := l.master(master)
	if m == nil {
		return failover.Forecast{}, picture.ErrUnknownMaster
	}
	for _, server := range servers {
		if !m.Owns(server) {
			return failover.Forecast{}, &blockedError{failover.Unknown(server, master)}
		}
	}
	s := a.situation(l, m, l.status.Term)
	return failover.Predict(s, a.question(l, m), string(l.status.Leader), servers, m.Last), nil
}
