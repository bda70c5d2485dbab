package sim

import (
	"sync/atomic"

	"picket/sentinel/sim/model"
)

// wipeCheck: a replica that holds something, and has its agent beside it, never follows a master that holds nothing.
//
// A replica that starts, or has no agent, attaches itself to whatever its configuration file names; one that hung goes on with its master before
// it reads anything else. If that is a master that lost its data, the replica's are gone before anybody could know, and with them what was
// waited for.
type wipeCheck struct {
	world *world
	over  atomic.Bool // something was lost in a way that nobody can prevent: what follows from it says nothing
}

func (c *wipeCheck) happened(m *machine, e model.Event) {
	switch {
	case e.Kind != model.Replaced || e.Lost == 0:
	case c.over.Load() || c.world.excuses.cover(m, alone, booting, waking):
		c.over.Store(true)
		c.world.checks.durable.forgive()
	case e.After == 0:
		c.world.violate("%s held %d keys and was wiped by %s", e.Addr, e.Before, e.Master)
	}
}
