package sentinel

import (
	"time"

	"picket/sentinel/metrics"
)

// stuck is how long the judge, which looks around at least every `idle`, may take for one round.
const stuck = 5 * time.Second

// Alive says whether the agent's loops run.
func (a *Agent) Alive() bool { return a.now().Sub(a.judgement.Load().at) < stuck }

// Counters are for the metrics.
func (a *Agent) Counters() metrics.Counters {
	c := metrics.Counters{
		MessagesDropped: a.transport.Dropped(), EventsDropped: a.herald.dropped.Load(), Backlog: map[string]int{},
	}
	s := a.machine.State()
	for _, w := range a.cfg.Webhooks {
		if told, known := s.Cursor(w.Name); known {
			c.Backlog[w.Name] = len(s.After(told, len(s.Events)))
		}
	}
	return c
}
