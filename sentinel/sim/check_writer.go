package sim

import (
	"sync"
	"time"

	"picket/sentinel/sim/model"
)

// writerCheck: when a server has been promoted, no former master takes a write any more.
//
// Nobody can promise that of a server that hung, because it executes what is queued in its sockets before anything else; nor of one whose
// agent was not there to fence it. A server that starts is seen by its agent a moment later, and one that was just promoted may go without a
// lease for a while.
type writerCheck struct {
	world *world

	mu    sync.Mutex
	reign reign
}

// reign is since when a server is the one master.
type reign struct {
	machine *machine
	since   time.Time
	agreed  bool              // clients were told of it
	told    map[*machine]bool // who was found to break it
}

// said takes in what an agent tells: a failover that was given up leaves the master as it was, whoever had been promoted.
func (c *writerCheck) said(s said) {
	if s.Master != masterName(0) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s.Message {
	case "failover.aborted":
		c.reign = reign{}
	case "failover.switched":
		if m := c.reign.machine; m != nil && s.To == m.addr(redisPort) {
			c.reign.agreed = true
		}
	}
}

// died takes in that a server's process has ended. Where it had been promoted, and no client was told of it, the failover is rolled back: the
// former master goes on before that is told.
func (c *writerCheck) died(m *machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reign.machine == m && !c.reign.agreed {
		c.reign = reign{}
	}
}

// happened takes in what a server of the first group does: an agent is beside each of them.
func (c *writerCheck) happened(m *machine, e model.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.reign
	switch {
	case e.Kind == model.Promoted:
		*r = reign{machine: m, since: e.At, told: map[*machine]bool{}}
		c.world.excuses.begin(m, young)
		c.world.excuses.end(m, young)
	case e.Kind == model.Wrote && r.machine != nil && r.machine != m && !r.told[m] && !c.world.excuses.cover(m, booting, waking, alone, young):
		r.told[m] = true
		c.world.violate("two masters: %s took %q %s after %s had been promoted", e.Addr, e.Command, e.At.Sub(r.since), r.machine.name)
	}
}
