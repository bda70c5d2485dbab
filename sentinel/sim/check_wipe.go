package sim

import "picket/sentinel/sim/model"

// wipeCheck: a replica that holds something, and has its agent beside it, never follows a master that holds nothing.
type wipeCheck struct{ world *world }

func (c *wipeCheck) happened(m *machine, e model.Event) {
	if e.Kind == model.Replaced && e.Before > 0 && e.After == 0 && !c.world.excuses.cover(m, alone) {
		c.world.violate("%s held %d keys and was wiped by %s", e.Addr, e.Before, e.Master)
	}
}
