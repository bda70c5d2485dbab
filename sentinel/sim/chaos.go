package sim

import (
	"math/rand/v2"
	"sync"
	"time"

	"picket/config"
)

// chaos lets things go wrong for a while.
func (w *world) chaos() {
	end := time.Now().Add(w.shape.Chaos)
	for time.Now().Before(end) {
		time.Sleep(time.Duration(w.random.ExpFloat64() * float64(w.shape.Between)))
		f, ok := w.pick()
		if !ok {
			return
		}
		p := plan{
			fault: f, machine: w.machines[w.random.IntN(len(w.machines))], d: f.shortest + time.Duration(w.random.Int64N(int64(f.longest-f.shortest))),
			random: rand.New(rand.NewPCG(w.random.Uint64(), 0)),
		}
		if w.random.Float64() < w.shape.Trap {
			p.step, p.victim = steps[w.random.IntN(len(steps))], w.random.IntN(victims)
			w.traps.arm(p)
			continue
		}
		w.strike(p.fault, p.machine, p.d, p.random, "")
	}
}

// pick draws a fault; false: there are none in this run.
func (w *world) pick() (fault, bool) {
	sum := 0
	for _, f := range faults {
		sum += w.shape.Faults[f.name]
	}
	if sum == 0 {
		return fault{}, false
	}
	at := w.random.IntN(sum)
	for _, f := range faults {
		if at -= w.shape.Faults[f.name]; at < 0 {
			return f, true
		}
	}
	panic("unreachable")
}

// plan is a fault to come.
type plan struct {
	fault   fault
	machine *machine
	d       time.Duration
	random  *rand.Rand
	step    string // of a failover, at which it comes
	victim  int
}

// steps are what agents log when a failover comes one step further.
var steps = []string{
	"campaigning", "failover.begun", "replica detached and read", "failover.promoting", "replica promoted", "failover.switched",
	"replica told to follow the new master", "failover.repointed", "failover.ended",
}

// Whom a trap strikes: the agent that says it, the servers that it is about, or whoever was drawn.
const (
	speaker = iota
	subject
	source
	anyone
	victims
)

// traps are faults that wait for a step.
type traps struct {
	mu    sync.Mutex
	armed []plan
}

// maxTraps bounds those that wait; the newest ones count.
const maxTraps = 3

func (t *traps) arm(p plan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.armed) == maxTraps {
		t.armed = t.armed[1:]
	}
	t.armed = append(t.armed, p)
}

// spring gives the plan that waits for a step, if there is one.
func (t *traps) spring(step string) (plan, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, p := range t.armed {
		if p.step == step {
			t.armed = append(t.armed[:i:i], t.armed[i+1:]...)
			return p, true
		}
	}
	return plan{}, false
}

// heard takes in what an agent logs.
func (w *world) heard(m *machine, s said) {
	w.checks.epochs.said(m, s)
	w.checks.steps.said(s)
	w.checks.writer.said(s)
	switch s.Message {
	case "failover.begun":
		w.count(func(c *Counts) { c.Begun++ })
	case "failover.switched":
		w.count(func(c *Counts) { c.Switched++ })
	case "failover.aborted":
		w.count(func(c *Counts) { c.Aborted++ })
	}
	p, armed := w.traps.spring(s.Message)
	if !armed {
		return
	}
	at := p.machine
	switch p.victim {
	case speaker:
		at = m
	case subject:
		at = w.at(s.To, s.Server, at)
	case source:
		at = w.at(s.From, s.Server, at)
	}
	w.count(func(c *Counts) { c.Traps++ })
	w.work.Go(func() { w.strike(p.fault, at, p.d, p.random, " at "+s.Message) }) // the log must not wait
}

// at finds the machine of a server, of the first address that is one.
func (w *world) at(a, b config.Addr, otherwise *machine) *machine {
	for _, addr := range []config.Addr{a, b} {
		for _, m := range w.machines {
			if addr != "" && m.host.Addr() == addr.Host() {
				return m
			}
		}
	}
	return otherwise
}
