package monitor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"picket/config"
	"picket/config/certs"
)

// Target is one server to watch.
type Target struct {
	Addr     config.Addr
	Settings *config.Master // timing and credentials of the master it belongs to
	IsMaster bool           // it should be one (WrongRole)
	Listen   bool           // for other coordinators, over a connection of its own
}

// Config assembles a monitor. The callbacks are called from the monitor's own goroutine and must not block.
type Config struct {
	Self string // agent id
	// Dial and Now are the machine's network and clock; nil: the real ones.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Now  func() time.Time
	// Names knows which addresses mean the same server. Nil: each means another one.
	Names *Names
	// Certs knows the files of TLS; nil: nobody is told when they make no sense any more.
	Certs *certs.Store
	// Share sends this agent's opinions to all peers: on each change, and as a heartbeat.
	Share func([]Opinion)
	// Changed says that something a judgement depends on is different: an opinion, an observation that matters.
	Changed func()
	// Observe is told of each change of this agent's own opinion, of restarts (new run id), role changes and stalls.
	Observe func(Event)
}

// EventKind says what an Event tells.
type EventKind uint8

const (
	ServerDown    EventKind = iota // this agent finds it down (Sentinel's +sdown)
	ServerUp                       // it answers again (-sdown)
	ServerReboot                   // its run id changed
	RoleChanged                    // INFO reports another role
	MasterLost                     // the connection to a master broke: a hint, not a fact
	MasterRefuses                  // nobody listens at a master's port: a better one
	StallBegun                     // this agent was late itself (Sentinel's +tilt)
	StallEnded
	ListenRefused // the server does not let this agent hear other coordinators
)

// Event is one thing that this agent saw.
type Event struct {
	Kind   EventKind
	At     time.Time
	Server Server
}

// Monitor watches servers. Its methods are safe for concurrent use.
type Monitor struct {
	cfg     Config
	events  chan event
	changed chan struct{} // the set of servers is different
	boot    uint64
	seq     uint64

	mu       sync.Mutex
	watched  map[config.Addr]*watched
	opinions opinions
	foreign  strangers
	stalled  bool
	unseen   map[config.Addr]bool // servers that must answer, or fail anew, before a stall is over
	began    time.Time            // of Run
	closed   bool
	probers  sync.WaitGroup
	ctx      context.Context // of Run; nil before it
}

// watched is one server with its prober.
type watched struct {
	facts  *facts
	prober *prober
	stop   context.CancelFunc // nil before Run
	told   Opinion            // what the peers were last told
	deafen context.CancelFunc // ends its listener; nil: there is none
}

// event is what a prober saw.
type event struct {
	server *watched
	at     time.Time
	apply  func(*facts, time.Time)
}

const (
	heartbeat = 500 * time.Millisecond // opinions are repeated
	expiry    = 3 * heartbeat          // and forgotten
	pulse     = 50 * time.Millisecond  // the loop looks at its own lateness at least so often
)

// New makes a monitor that watches nothing yet.
func New(cfg Config) *Monitor {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Monitor{
		cfg: cfg, events: make(chan event, 1024), changed: make(chan struct{}, 1), boot: rand.Uint64(),
		watched: map[config.Addr]*watched{}, opinions: opinions{}, foreign: strangers{}, unseen: map[config.Addr]bool{},
	}
}

// Watch sets what is watched. Servers that stay keep their state.
func (m *Monitor) Watch(targets []Target) {
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := map[config.Addr]bool{}
	for _, t := range targets {
		wanted[t.Addr] = true
		if w := m.watched[t.Addr]; w != nil {
			anew := w.facts.target.Settings != t.Settings
			w.facts.retarget(t)
			if anew {
				m.stopProber(w)
				attended := w.prober.attended.Load()
				w.prober = newProber(m, w, t)
				w.prober.attended.Store(attended)
				m.startProber(w)
			}
			m.startListener(w)
			continue
		}
		w := &watched{facts: newFacts(t, now)}
		w.prober = newProber(m, w, t)
		m.watched[t.Addr] = w
		m.startProber(w)
	}
	for addr, w := range m.watched {
		if !wanted[addr] {
			m.stopProber(w)
			delete(m.watched, addr)
			delete(m.unseen, addr)
			m.opinions.forget(addr)
			delete(m.foreign, addr)
		}
	}
}

// stopProber is called with mu held.
func (m *Monitor) stopProber(w *watched) {
	if w.stop != nil {
		w.stop()
	}
	if w.deafen != nil {
		w.deafen()
	}
	w.stop, w.deafen = nil, nil
}

// startProber is called with mu held.
func (m *Monitor) startProber(w *watched) {
	if m.ctx == nil || m.closed {
		return
	}
	ctx, stop := context.WithCancel(m.ctx)
	w.stop = stop
	prober := w.prober                       // another one may take its place
	m.probers.Go(func() { prober.run(ctx) }) // asks one server; ends when it is not watched any more
	m.startListener(w)
}

// startListener has a server listened to, or not any more. It is called with mu held.
func (m *Monitor) startListener(w *watched) {
	switch listens := w.deafen != nil; {
	case m.ctx == nil || m.closed || listens == w.facts.target.Listen:
	case listens:
		w.deafen()
		w.deafen, w.facts.Deaf = nil, ""
	default:
		var ctx context.Context
		ctx, w.deafen = context.WithCancel(m.ctx)
		prober := w.prober                                 // as above
		m.probers.Go(func() { listener{prober}.run(ctx) }) // hears one server; ends when nobody wants to know any more
	}
}

// Attend has the named servers looked at with every ping, as during a failover; the others' INFO comes once a second.
func (m *Monitor) Attend(servers []config.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for addr, w := range m.watched {
		w.prober.attended.Store(slices.Contains(servers, addr))
	}
}

// Refresh probes a server at once and returns what it said, after the call began.
func (m *Monitor) Refresh(ctx context.Context, server config.Addr) (*Observation, error) {
	m.mu.Lock()
	w := m.watched[server]
	m.mu.Unlock()
	if w == nil {
		return nil, fmt.Errorf("refresh %s: it is not watched", server)
	}
	answer := make(chan *Observation, 1)
	select {
	case w.prober.refresh <- answer:
	case <-ctx.Done():
		return nil, fmt.Errorf("refresh %s: %w", server, ctx.Err())
	}
	select {
	case o := <-answer:
		if o == nil {
			return nil, fmt.Errorf("refresh %s: no answer", server)
		}
		return o, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("refresh %s: %w", server, ctx.Err())
	}
}

// Heard takes in opinions from a peer. Those on servers that are not watched here are ignored.
func (m *Monitor) Heard(heard []Opinion) {
	now := m.cfg.Now()
	m.mu.Lock()
	news := false
	for _, o := range heard {
		if m.watched[o.Server] != nil && o.Agent != m.cfg.Self {
			news = m.opinions.take(o, now) || news
		}
	}
	m.mu.Unlock()
	if news {
		m.cfg.Changed()
	}
}

// hear takes in what was published on a server's hello channel.
func (m *Monitor) hear(server config.Addr, message string) {
	f, err := parseHello(server, message)
	if err != nil {
		return // anybody may publish anything
	}
	f.Master = m.cfg.Names.Known(f.Master)
	m.mu.Lock()
	news := m.watched[server] != nil && m.foreign.take(f, m.cfg.Now(), true)
	m.mu.Unlock()
	if news {
		m.cfg.Changed()
	}
}

// Foreign lists the foreign coordinators that this agent heard itself, for its peers: at most one for each server.
func (m *Monitor) Foreign() []Foreign {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.foreign.own(m.cfg.Now())
}

// HeardForeign takes in what a peer heard. What can't be true, or is about servers that are not watched here, is ignored.
func (m *Monitor) HeardForeign(heard []Foreign) {
	now := m.cfg.Now()
	m.mu.Lock()
	news := false
	for _, f := range heard {
		if m.watched[f.Server] != nil && f.plausible() && f.Age <= helloExpiry {
			news = m.foreign.take(f, now.Add(-f.Age), false) || news
		}
	}
	m.mu.Unlock()
	if news {
		m.cfg.Changed()
	}
}

// View is the picture now.
func (m *Monitor) View() View {
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	v := View{Now: now, Self: m.cfg.Self, Began: m.began, Stalled: m.stalled,
		Foreign: m.foreign.fresh(now), Servers: make(map[config.Addr]Server, len(m.watched)), Opinions: make(map[config.Addr][]Opinion, len(m.watched))}
	for addr, w := range m.watched {
		v.Servers[addr] = w.facts.view(now)
		v.Opinions[addr] = m.opinions.fresh(addr, now, m.opinion(w, now))
	}
	return v
}

// opinion is this agent's own. It is called with mu held.
func (m *Monitor) opinion(w *watched, now time.Time) Opinion {
	f := w.facts
	o := Opinion{Agent: m.cfg.Self, Server: f.Addr, State: f.State, Evidence: f.Evidence, Age: now.Sub(f.Since), Boot: m.boot}
	if f.Last != nil {
		o.RunID = f.Last.RunID
	}
	return o
}
