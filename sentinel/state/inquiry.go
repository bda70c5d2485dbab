package state

import (
	"fmt"
	"time"

	"picket/failover"
)

// Inquire says that the leader asks a program whether a failover may begin, or that the program has said no.
type Inquire struct {
	Master string
	failover.Inquiry
}

const (
	// firstVeto is for how long a no holds; it doubles with each further one, up to lastVeto.
	firstVeto = 5 * time.Second
	lastVeto  = time.Minute
	// inARow separates a no from one that belongs to another failure.
	inARow = 10 * time.Minute
	// maxInquiry bounds for how long an answer is waited for.
	maxInquiry = 30 * time.Second
)

// inquire notes a question, or a no. Only the leader's own counts, as with steps.
func (s *State) inquire(c Command, at position) (*State, error) {
	q := *c.Inquire
	m := s.Master(q.Master)
	switch {
	case m == nil || q.Agent == "" || q.For < 0 || q.For > maxInquiry || len(q.Why) > maxWords:
		return nil, fmt.Errorf("%w: an inquiry of %q for %q", ErrInvalid, q.Agent, q.Master)
	case q.Epoch != at.term || m.Failover != nil:
		return nil, fmt.Errorf("%w: an inquiry for %s of epoch %d in term %d", ErrStale, m.Name, q.Epoch, at.term)
	}
	last := failover.Inquiry{}
	if m.Inquiry != nil && c.At.Sub(m.Inquiry.At) < inARow {
		last = *m.Inquiry
	}
	now := q.Inquiry
	now.At, now.Times = c.At, last.Times
	news := false
	if now.Vetoed {
		now.For = min(firstVeto<<min(last.Times, 10), lastVeto)
		news = last.Times == 0 || last.Why != now.Why
		now.Times++
	} else {
		now.Why = last.Why
	}
	next := *m
	next.Inquiry = &now
	if !news {
		return s.withMaster(next), nil
	}
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: FailoverVetoed, Master: m.Name, Epoch: at.term, At: c.At,
		Data: EventData{Cause: string(failover.CauseDown), From: m.Addr, Agent: q.Agent, Why: q.Why},
	}), nil
}
