package sentinel

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"sync"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// note is what agents tell each other about a lease. Any of them may be lost.
type note struct {
	Kind       noteKind
	Server     config.Addr
	Boot       uint64 // of the holder's process
	Round      uint64
	Span       time.Duration
	Electorate uint64 // the voters that the holder counts
	Why        string // release: for people
}

type noteKind uint8

const (
	noteAsk     noteKind = iota + 1 // promise me not to vote for a failover of my Redis for Span
	notePromise                     // I promise
	noteRelease                     // I have no use for promises of this round and older ones
)

// check refuses what no agent sends.
func (n note) check() error {
	if n.Kind < noteAsk || n.Kind > noteRelease || n.Span < 0 || n.Span > config.MaxLease || len(n.Why) > maxWhy || len(n.Server) > maxWhy {
		return errors.New("decode gossip: a note on a lease is out of bounds")
	}
	return nil
}

const maxWhy = 256 // bytes

// ledger is what this agent has promised, and what its log holds against new promises.
type ledger struct {
	mu       sync.Mutex
	promises *failover.Promises
	begun    map[string]consensus.Index // newest first step of a failover in the log, by master; it may not be committed
	timely   map[string]consensus.Term  // in which a failover was begun in time, by master
}

func newLedger(now time.Time, masters []config.Master) *ledger {
	longest := config.MonitoredMaster().Lease // one may be made known at any time
	for _, m := range masters {
		if m.LeaseLoss != config.LeaseOff {
			longest = max(longest, m.Lease)
		}
	}
	return &ledger{
		promises: failover.NewPromises(now, longest), begun: map[string]consensus.Index{}, timely: map[string]consensus.Term{},
	}
}

// appended notes the failovers that go into the log. It runs in the node's own goroutine, before anybody hears of the entries.
func (l *ledger) appended(entries []consensus.Entry) {
	for _, e := range entries {
		if e.Kind != consensus.EntryCommand {
			continue
		}
		c, err := state.DecodeCommand(e.Data)
		if err != nil || c.Step == nil || c.Step.Kind != failover.StepBegin || c.Step.HandOver {
			continue
		}
		l.mu.Lock()
		l.begun[c.Step.Master] = max(l.begun[c.Step.Master], e.Index)
		l.mu.Unlock()
	}
}

// forget drops masters that are not there any more, as far as all that the log holds of them is applied.
func (l *ledger) forget(gone func(master string) bool, applied consensus.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.begun, func(name string, i consensus.Index) bool { return i <= applied && gone(name) })
	maps.DeleteFunc(l.timely, func(name string, _ consensus.Term) bool { return gone(name) })
}

// promise answers a question, if it may: the server must be the agreed master, and nothing in the log, committed or not, may be about to
// replace it, but a hand-over, which fences it first.
func (a *Agent) promise(from consensus.ServerID, n note) bool {
	applied := a.status.Load().Applied // before the state, which is at least as new
	m := a.machine.State().Owner(n.Server)
	_, electorate := a.peers.voters()
	if m == nil || m.Addr != n.Server || electorate != n.Electorate {
		return false
	}
	settings := a.settings(m)
	if r := m.Failover; settings == nil || settings.LeaseLoss == config.LeaseOff || r != nil && r.Phase < failover.Switched && !r.HandOver {
		return false
	}
	l := a.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun[m.Name] > applied {
		return false
	}
	return l.promises.Promise(a.now(), failover.Ask{Holder: string(from), Boot: n.Boot, Server: n.Server, Round: n.Round, Span: n.Span}) == ""
}

// noted takes in a note from a peer. It is called from the transport's goroutines.
func (a *Agent) noted(from consensus.ServerID, n note) {
	switch n.Kind {
	case noteAsk:
		if a.promise(from, n) {
			n.Kind = notePromise
			a.whisper(n, from)
		}
	case notePromise:
		a.sidecar.promised(string(from), n)
	case noteRelease:
		a.released(from, n)
	}
}

// released: the holder has no use for promises any more, so that nobody need wait for them. Of servers that are no masters nobody has asked for any.
func (a *Agent) released(from consensus.ServerID, n note) {
	if m := a.machine.State().Owner(n.Server); m == nil || m.Addr != n.Server {
		return
	}
	a.ledger.mu.Lock()
	a.ledger.promises.Released(a.now(), failover.Ask{Holder: string(from), Boot: n.Boot, Server: n.Server, Round: n.Round}, n.Why)
	a.ledger.mu.Unlock()
	a.poke()
}

// bound is until when this agent may not vote for a failover of a master, and why; zero: it may.
func (a *Agent) bound(m *state.Master) (time.Time, string) {
	if settings := a.settings(m); settings == nil || settings.LeaseLoss == config.LeaseOff {
		return time.Time{}, ""
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	return a.ledger.promises.Bound(a.now(), m.Addr)
}

// promisedFor is what this agent has promised the one beside a master; nil: nothing, and nobody has said why.
func (a *Agent) promisedFor(s *state.State, server config.Addr) *picture.Promise {
	agent := s.Beside(server)
	if agent == nil {
		return nil
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	now := a.now()
	p := picture.Promise{Agent: agent.ID, Until: a.ledger.promises.Made(now, agent.ID, server)}
	if p.Until.IsZero() {
		if p.Released = a.ledger.promises.LetGo(now, agent.ID, server); p.Released == "" {
			return nil
		}
	}
	return &p
}

// voting refuses a vote for failovers of masters whose agents were promised to wait; empty: it may be given, and nothing is promised
// for a while.
func (a *Agent) voting(masters []string) (refusal string) {
	s := a.machine.State()
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	now := a.now()
	for _, name := range masters {
		m, settings := s.Master(name), a.named(name)
		if settings != nil && settings.LeaseLoss == config.LeaseOff {
			continue
		}
		if m == nil { // restarted, and not told by any leader since what is agreed: to whom it is bound it can't know
			return name + ": this agent does not know it yet, and waits for what was agreed"
		}
		if _, why := a.ledger.promises.Bound(now, m.Addr); why != "" {
			return fmt.Sprintf("%s: %s", name, why)
		}
	}
	for _, name := range masters {
		if m, settings := s.Master(name), a.named(name); m != nil && settings != nil {
			a.ledger.promises.Vote(now, m.Addr, settings.Lease)
		}
	}
	return ""
}

// lessee says who holds the lease of the master that is to be replaced.
func (a *Agent) lessee(s *state.State, m *state.Master, term consensus.Term) failover.Lessee {
	server := m.Addr
	if m.Failover != nil {
		server = m.Failover.Old
	}
	agent := s.Beside(server)
	if agent == nil {
		return failover.Lessee{}
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	return failover.Lessee{
		Agent: agent.ID, Released: a.ledger.promises.LetGo(a.now(), agent.ID, server), Timely: a.ledger.timely[m.Name] == term && term != 0,
	}
}

// inTime notes that a failover was committed within a lease of the moment at which the voters were asked for the term.
func (a *Agent) inTime(master string, term consensus.Term) {
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	a.ledger.timely[master] = term
}

// electorateOf identifies a set of voters. A lease counts the promises of a majority of them, so both sides must mean the same.
func electorateOf(voters []consensus.ServerID) uint64 {
	h := fnv.New64a()
	for _, id := range voters { // sorted
		_, _ = h.Write([]byte(id)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}
