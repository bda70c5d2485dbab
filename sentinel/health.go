package sentinel

import (
	"time"

	"picket/consensus"
	"picket/sentinel/metrics"
	"picket/sentinel/state"
)

// stuck is how long the judge, which looks around at least every `idle`, may take for one round.
const stuck = 5 * time.Second

// Alive says whether the agent's loops run.
func (a *Agent) Alive() bool { return a.now().Sub(a.judgement.Load().at) < stuck }

// Counters are for the metrics.
func (a *Agent) Counters() metrics.Counters {
	c := metrics.Counters{
		MessagesDropped: a.transport.Dropped(), EventsDropped: a.herald.dropped.Load(), Webhooks: map[string]metrics.Webhook{}, Certificates: a.certs.Expiries(),
	}
	if a.traces != nil {
		c.TracesDropped = a.traces.Dropped()
	}
	if web := a.web.Load(); web != nil {
		c.HTTP = web.Connections()
	}
	if port := a.port.Load(); port != nil {
		c.Sentinel = metrics.Port(port.Traffic())
	}
	for _, script := range a.scripts.Pending() {
		c.Scripts++
		if script.Running {
			c.ScriptsRunning++
		}
	}
	s := a.machine.State()
	for _, w := range a.current().Webhooks {
		if cursor := s.Cursor(w.Name); cursor != nil {
			m := metrics.Webhook{Dead: len(cursor.Dead), Dropped: cursor.Dropped, Disabled: cursor.Disabled != nil}
			var oldest *state.Event
			if m.Backlog, oldest = a.webhooks.Waiting(w.Name); oldest != nil {
				m.Oldest = oldest.At.Time()
			}
			c.Webhooks[w.Name] = m
		}
	}
	return c
}

// timed measures how long it takes until what goes into the log is durable: proposals wait for that.
type timed struct {
	consensus.Disk
	metrics *metrics.Metrics
}

// Save implements consensus.Disk.
func (t timed) Save(hs *consensus.HardState, entries []consensus.Entry) error {
	began := time.Now()
	err := t.Disk.Save(hs, entries)
	t.metrics.Appended(time.Since(began))
	return err
}
