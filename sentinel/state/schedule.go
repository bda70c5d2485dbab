package state

import (
	"fmt"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// Schedule is a switchover that somebody has ordered for later.
type Schedule struct {
	To  config.Addr // empty: the best replica
	At  monitor.Moment
	Who string
}

// ScheduleSwitchover orders one, instead of one that was ordered before.
type ScheduleSwitchover struct {
	Master string
	Schedule
}

// CancelSwitchover takes an order back; At is the order's, so that a newer one stays. 0: whatever is ordered.
type CancelSwitchover struct {
	Master string
	At     monitor.Moment
	Who    string
	Why    string
}

// AllowLoss is an operator's word that a failover which waits for replicas may go on without them.
type AllowLoss struct {
	Master   string
	Failover uint64 // its id
	Who      string
}

// instant is a time as events show it.
func instant(at monitor.Moment) string { return at.Time().UTC().Format(time.RFC3339) }

func (s *State) allowLoss(c Command, at position) (*State, error) {
	order := c.AllowLoss
	m := s.Master(order.Master)
	if m == nil || m.Failover == nil || m.Failover.ID != order.Failover || m.Failover.Phase != failover.Begun {
		return nil, fmt.Errorf("%w: failover %d of %s does not wait any more", ErrStale, order.Failover, order.Master)
	}
	record := *m.Failover
	record.AllowLoss = true
	next := *m
	next.Failover = &record
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: FailoverAllowed, Master: order.Master, Epoch: at.term, At: c.At,
		Data: EventData{Failover: record.ID, From: m.Addr, Who: order.Who},
	}), nil
}

func (s *State) schedule(c Command, at position) (*State, error) {
	order := c.Schedule
	m := s.Master(order.Master)
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: a switchover of %q, which is not known", ErrInvalid, order.Master)
	case order.To != "" && !m.Owns(order.To):
		return nil, fmt.Errorf("%w: %s is no replica of %s", ErrInvalid, order.To, order.Master)
	case order.At <= c.At:
		return nil, fmt.Errorf("%w: the switchover is ordered for a time that has passed", ErrInvalid)
	}
	next := *m
	next.Scheduled = &order.Schedule
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: SwitchoverScheduled, Master: order.Master, Epoch: at.term, At: c.At,
		Data: EventData{From: m.Addr, To: order.To, Until: instant(order.At), Who: order.Who},
	}), nil
}

func (s *State) cancel(c Command, at position) (*State, error) {
	order := c.Cancel
	m := s.Master(order.Master)
	if m == nil || m.Scheduled == nil || order.At != 0 && order.At != m.Scheduled.At {
		return nil, fmt.Errorf("%w: no such switchover of %s is ordered", ErrStale, order.Master)
	}
	next := *m
	next.Scheduled = nil
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: SwitchoverCancelled, Master: order.Master, Epoch: at.term, At: c.At,
		Data: EventData{From: m.Addr, To: m.Scheduled.To, Until: instant(m.Scheduled.At), Who: order.Who, Why: order.Why},
	}), nil
}
