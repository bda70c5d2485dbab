package sim

import (
	"sync"

	"picket/sentinel/sim/model"
)

// stepCheck: nobody is promoted before that is in the log. Whoever promotes has applied the entry, and told it, before. The agreed master itself may
// be told again that it is one: it was started as a replica.
type stepCheck struct {
	world *world

	mu     sync.Mutex
	begun  map[string]uint64 // index of the newest failover that was told, by master
	chosen map[string]step   // by address of the server
	agreed map[string]agreed // by master
}

// step is a target's choice.
type step struct {
	master string
	index  uint64
}

// agreed is who the master is.
type agreed struct {
	addr  string
	index uint64
}

func newStepCheck(w *world) *stepCheck {
	return &stepCheck{world: w, begun: map[string]uint64{}, chosen: map[string]step{}, agreed: map[string]agreed{}}
}

func (c *stepCheck) said(s said) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s.Message {
	case "master.added", "failover.switched":
		if s.Index > c.agreed[s.Master].index {
			c.agreed[s.Master] = agreed{string(s.To), s.Index}
		}
	case "failover.begun":
		c.begun[s.Master] = max(c.begun[s.Master], s.Index)
	case "failover.promoting", "failover.resumed": // an agent that was started again may tell only the latter
		if s.To != "" && s.Index > c.chosen[string(s.To)].index {
			c.chosen[string(s.To)] = step{s.Master, s.Index}
		}
	}
}

func (c *stepCheck) happened(e model.Event) {
	if e.Kind != model.Promoted {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.agreed {
		if a.addr == e.Addr {
			return
		}
	}
	if s := c.chosen[e.Addr]; s.index <= c.begun[s.master] {
		c.world.violate("%s was promoted, and no agent knows of an agreement on it", e.Addr)
	}
}
