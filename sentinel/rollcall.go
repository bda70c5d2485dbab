package sentinel

import (
	"time"

	"picket/consensus"
)

// rollCall knows which agents are silent. It belongs to the judge.
type rollCall struct {
	since  time.Time // it listens, without having been held up itself
	called time.Time
	silent map[consensus.ServerID]bool
}

// listen gives the agents of which that is new: true, it is silent; false, it is heard again. An agent that was never heard, or that was not
// because this one did not listen, has the usual time from now on.
func (c *rollCall) listen(l look) map[consensus.ServerID]bool {
	if l.now.Sub(c.called) > silence/2 || l.view.Stalled {
		c.since = l.now
	}
	c.called = l.now
	was, news := c.silent, map[consensus.ServerID]bool{}
	c.silent = map[consensus.ServerID]bool{}
	for id, p := range l.peers {
		if !p.member || id == l.status.ID {
			continue
		}
		heard := p.heard
		if heard.Before(c.since) {
			heard = c.since
		}
		silent := l.now.Sub(heard) >= silence
		if silent {
			c.silent[id] = true
		}
		if silent != was[id] {
			news[id] = silent
		}
	}
	return news
}
