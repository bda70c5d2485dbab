package state

import (
	"fmt"
	"slices"
	"time"

	"picket/failover"
	"picket/monitor"
)

// Pause is an operator's word that nothing begins by itself: for one master, or for all.
type Pause struct {
	Master string // empty: all
	Who    string
	Why    string
	Since  monitor.Moment // the proposer's clock
	Until  monitor.Moment
}

// Resume ends a pause.
type Resume struct {
	Master string         // of the pause; empty: the one of all
	Who    string         // empty: its time is over
	Until  monitor.Moment // 0: any; else only the pause that lasts until then, so that one that was prolonged meanwhile goes on
}

// Acknowledgement is an operator's word that a failover was seen, so that its cool-down does not keep the next one any more.
type Acknowledgement struct {
	Master   string
	Failover uint64 // id
	Who      string
}

// Limits of what an operator says.
const (
	maxWords = 500 // bytes
	// MaxPause is how long a pause may last: one that somebody forgot must end.
	MaxPause = 31 * 24 * time.Hour
)

// Paused is the pause that holds for a master, the one of its own first; nil if there is none. One whose time is over does not
// hold, although the log may not say so yet.
func (s *State) Paused(master string, now time.Time) *Pause {
	for _, name := range []string{master, ""} {
		if p := find(s.Pauses, name, pauseKey); p != nil && !p.Over(now) {
			return p
		}
	}
	return nil
}

// Over says whether the time of the pause has passed.
func (p *Pause) Over(now time.Time) bool { return monitor.MomentOf(now) >= p.Until }

func (s *State) pause(c Command, at position) (*State, error) {
	p := *c.Pause
	p.Since = c.At
	switch length := time.Duration(p.Until - p.Since); {
	case p.Master != "" && s.Master(p.Master) == nil:
		return nil, fmt.Errorf("%w: a pause of %q, which is not known", ErrInvalid, p.Master)
	case length <= 0 || length > MaxPause:
		return nil, fmt.Errorf("%w: a pause lasts for more than nothing and at most %s, not for %s", ErrInvalid, MaxPause, length)
	case p.Who == "" || len(p.Who) > maxWords || len(p.Why) > maxWords:
		return nil, fmt.Errorf("%w: a pause says who wants it and why, in at most %d bytes each", ErrInvalid, maxWords)
	}
	next := *s
	next.Pauses = with(s.Pauses, p, pauseKey)
	return next.withEvent(Event{
		ID: at.index, Type: PauseBegun, Master: p.Master, Epoch: at.term, At: c.At, Data: p.data(p.Who),
	}), nil
}

func (s *State) resume(c Command, at position) (*State, error) {
	r := c.Resume
	i, paused := search(s.Pauses, r.Master, pauseKey)
	if !paused || r.Until != 0 && r.Until != s.Pauses[i].Until {
		return nil, nil
	}
	if len(r.Who) > maxWords {
		return nil, fmt.Errorf("%w: who ends a pause is said in at most %d bytes", ErrInvalid, maxWords)
	}
	next := *s
	next.Pauses = slices.Delete(slices.Clone(s.Pauses), i, i+1)
	return next.withEvent(Event{
		ID: at.index, Type: PauseEnded, Master: r.Master, Epoch: at.term, At: c.At, Data: s.Pauses[i].data(r.Who),
	}), nil
}

func (s *State) acknowledge(c Command, at position) (*State, error) {
	a := c.Acknowledge
	m := s.Master(a.Master)
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: an acknowledgement for %q, which is not known", ErrInvalid, a.Master)
	case a.Who == "" || len(a.Who) > maxWords:
		return nil, fmt.Errorf("%w: an acknowledgement says whose it is, in at most %d bytes", ErrInvalid, maxWords)
	case m.Last == nil || m.Last.ID != a.Failover:
		return nil, fmt.Errorf("%w: failover %d is not the last one of %s", ErrStale, a.Failover, a.Master)
	case m.Acknowledged == a.Failover:
		return nil, nil
	}
	next := *m
	next.Acknowledged = a.Failover
	data := EventData{Failover: a.Failover, Cause: string(m.Last.Cause), From: m.Last.Old, Who: a.Who}
	if m.Last.Outcome == failover.Done {
		data.To = m.Last.Target
	}
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: FailoverAcknowledged, Master: a.Master, Epoch: at.term, At: c.At, Data: data,
	}), nil
}

// data is what the events of a pause tell.
func (p *Pause) data(who string) EventData {
	return EventData{Who: who, Why: p.Why, Until: p.Until.Time().UTC().Format(time.RFC3339)}
}

func pauseKey(p *Pause) string { return p.Master }
