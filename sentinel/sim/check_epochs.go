package sim

import (
	"sync"

	"picket/config"
)

// epochCheck: no two agents ever tell of different masters for one epoch, and what one of them tells only grows.
type epochCheck struct {
	world *world

	mu     sync.Mutex
	agreed map[epoch]config.Addr
	newest map[teller]uint64
}

type epoch struct {
	master string
	number uint64
}

// teller is one life of an agent, about one master.
type teller struct {
	machine *machine
	life    int
	master  string
}

func newEpochCheck(w *world) *epochCheck {
	return &epochCheck{world: w, agreed: map[epoch]config.Addr{}, newest: map[teller]uint64{}}
}

// said takes in an agent's word that there is a new master.
func (c *epochCheck) said(m *machine, s said) {
	if s.Message != "failover.switched" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, t := epoch{s.Master, s.Term}, teller{m, s.Life, s.Master}
	if other, known := c.agreed[e]; known && other != s.To {
		c.world.violate("%s says that the master of %s is %s in epoch %d, another agent said %s", m.name, s.Master, s.To, s.Term, other)
	}
	c.agreed[e] = s.To
	if s.Term <= c.newest[t] {
		c.world.violate("%s says that the epoch of %s is %d, after it was %d", m.name, s.Master, s.Term, c.newest[t])
	}
	c.newest[t] = s.Term
}
