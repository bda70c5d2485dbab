package monitor

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Run watches until ctx ends and has closed every connection when it returns.
func (m *Monitor) Run(ctx context.Context) {
	m.mu.Lock()
	m.ctx, m.began = ctx, m.cfg.Now()
	for _, w := range m.watched {
		m.startProber(w)
	}
	m.mu.Unlock()
	m.loop(ctx)
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.probers.Wait()
}

// loop is the one goroutine that judges. Its timer also tells whether it runs on time itself. Each event has its own server judged; all are only
// when time has made that due, because there may be thousands.
func (m *Monitor) loop(ctx context.Context) {
	timer := time.NewTimer(pulse)
	defer timer.Stop()
	due, shared := m.cfg.Now().Add(pulse), time.Time{}
	for {
		var told []*watched
		select {
		case <-ctx.Done():
			return
		case e := <-m.events:
			told = append(told, m.take(e))
		case <-timer.C:
		}
		for range len(m.events) { // what was seen counts before what the clock says
			told = append(told, m.take(<-m.events))
		}
		now := m.cfg.Now()
		if m.distrusts(now.Sub(due)) {
			m.stall(now)
		}
		if now.Before(due) {
			due = earlier(m.judge(told, now), due)
		} else {
			due = earlier(m.judge(m.all(), now), now.Add(pulse))
		}
		if now.Sub(shared) >= heartbeat {
			m.share(now, m.all(), true)
			shared = now
		}
		timer.Reset(max(0, due.Sub(now)))
	}
}

// distrusts says whether the loop is so late that it must not trust itself: a machine may be busy, but every down-after must be long against that.
func (m *Monitor) distrusts(late time.Duration) bool {
	if late <= 2*pulse {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	shortest := time.Duration(0)
	for _, w := range m.watched {
		if d := w.facts.target.Settings.DownAfter; shortest == 0 || d < shortest {
			shortest = d
		}
	}
	return late > shortest/4
}

// all lists every server.
func (m *Monitor) all() []*watched {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.watched))
}

// take applies an event to its server's facts, and returns the server.
func (m *Monitor) take(e event) *watched {
	m.mu.Lock()
	f := e.server.facts
	before, restarted, role := f.State, "", ""
	if f.Last != nil {
		restarted, role = f.Last.RunID, f.Last.Role
	}
	last, deaf := f.Last, f.Deaf
	connected, refused := f.Connected, f.refusedSince
	e.apply(f, e.at)
	m.seen(e.server)
	var events []Event
	view := f.view(e.at)
	switch {
	case !f.target.IsMaster:
	case refused.IsZero() && !f.refusedSince.IsZero():
		events = append(events, Event{Kind: MasterRefuses, At: e.at, Server: view})
	case connected && !f.Connected:
		events = append(events, Event{Kind: MasterLost, At: e.at, Server: view})
	}
	if f.Last != last && f.Last != nil && last != nil {
		if f.Last.RunID != restarted {
			events = append(events, Event{Kind: ServerReboot, At: e.at, Server: view})
		}
		if f.Last.Role != role {
			events = append(events, Event{Kind: RoleChanged, At: e.at, Server: view})
		}
	}
	if f.Deaf != "" && deaf == "" {
		events = append(events, Event{Kind: ListenRefused, At: e.at, Server: view})
	}
	news := before != f.State || f.Last != last
	m.mu.Unlock()
	m.tell(before, view, e.at, events)
	if before != view.State {
		m.share(e.at, []*watched{e.server}, false)
	}
	if news {
		m.cfg.Changed()
	}
	return e.server
}

// seen ends a stall when every server has answered, or failed, since. It is called with mu held.
func (m *Monitor) seen(w *watched) {
	if w.facts.State != Unknown {
		delete(m.unseen, w.facts.Addr)
	}
}

// tell reports a change of state and what goes with it.
func (m *Monitor) tell(before State, s Server, at time.Time, events []Event) {
	switch {
	case s.State == Down && before != Down:
		events = append(events, Event{Kind: ServerDown, At: at, Server: s})
	case s.State == Up && before == Down:
		events = append(events, Event{Kind: ServerUp, At: at, Server: s})
	}
	for _, e := range events {
		m.cfg.Observe(e)
	}
}

// judge lets time pass for servers, and says when to look again.
func (m *Monitor) judge(servers []*watched, now time.Time) time.Time {
	type change struct {
		before State
		server Server
	}
	var next time.Time
	var changes []change
	m.mu.Lock()
	for _, w := range servers {
		if m.watched[w.facts.Addr] != w {
			continue // not any more
		}
		before := w.facts.State
		next = earlier(next, w.facts.tick(now))
		if w.facts.State != before {
			changes = append(changes, change{before, w.facts.view(now)})
			m.seen(w)
		}
	}
	over := m.stalled && len(m.unseen) == 0
	if over {
		m.stalled = false
	}
	m.mu.Unlock()
	for _, c := range changes {
		m.tell(c.before, c.server, now, nil)
	}
	if over {
		m.cfg.Observe(Event{Kind: StallEnded, At: now})
	}
	if len(changes) > 0 {
		m.share(now, servers, false)
	}
	if len(changes) > 0 || over {
		m.cfg.Changed()
	}
	return next
}

// stall throws away what this agent's clock said: it was frozen or starved, so silence proves nothing about the servers.
func (m *Monitor) stall(now time.Time) {
	m.mu.Lock()
	begun := !m.stalled
	m.stalled = true
	for addr, w := range m.watched {
		w.facts.stalled(now)
		m.unseen[addr] = true
	}
	m.mu.Unlock()
	if begun {
		m.cfg.Observe(Event{Kind: StallBegun, At: now})
	}
	m.share(now, m.all(), false)
	m.cfg.Changed()
}

// share tells the peers the opinions on servers: all, or those that changed.
func (m *Monitor) share(now time.Time, servers []*watched, all bool) {
	m.mu.Lock()
	var list []Opinion
	for _, w := range servers {
		o := m.opinion(w, now)
		if m.watched[o.Server] != w || !all && o.State == w.told.State && o.Evidence == w.told.Evidence {
			continue
		}
		m.seq++
		o.Seq = m.seq
		w.told = o
		list = append(list, o)
	}
	m.mu.Unlock()
	if len(list) > 0 || all { // also without a server to speak of: that this agent is there
		m.cfg.Share(list)
	}
}
