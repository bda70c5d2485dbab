package state

import (
	"fmt"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// Shadow is what agents that only watch put down about a master.
type Shadow struct {
	Kind     ShadowKind
	Master   string
	Old      config.Addr    // the master that is agreed
	Target   config.Addr    // decided: who would have been promoted, empty: nobody could; switched: who was, by another coordinator
	Why      string         // decided: why this one
	Evidence string         // decided: what was seen
	Down     monitor.Moment // decided: when the master was first found down
	Epoch    uint64         // switched: the other coordinator's
	RunID    string         // switched: of the target's process
}

// ShadowKind says what a Shadow tells.
type ShadowKind uint8

const (
	ShadowDecided  ShadowKind = iota + 1 // here a failover would have begun
	ShadowSwitched                       // another coordinator has made another server the master, which is the agreed one from now on
	ShadowStayed                         // the master is back, and nobody has switched
)

// Shadowed is how the agents' own decision on a failure and the other coordinator's deed compare.
type Shadowed struct {
	Old       config.Addr    `json:"old"`
	DecidedAt monitor.Moment `json:"decided_at,omitzero"` // 0: nothing was decided
	Target    config.Addr    `json:"target,omitempty"`    // of the decision
	Why       string         `json:"why,omitempty"`       // of the decision
	EndAt     monitor.Moment `json:"end_at,omitzero"`     // when the other coordinator's deed was seen; 0: not yet
	To        config.Addr    `json:"to,omitempty"`        // the master then
	Compared  string         `json:"compared,omitempty"`  // how the two differ, for people
}

// open says whether a decision still waits for what it is to be compared with.
func (s *Shadowed) open() bool { return s != nil && s.EndAt == 0 }

func (s *State) shadow(c Command, at position) (*State, error) {
	step := c.Shadow
	m := s.Master(step.Master)
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: a shadow of %q, which is not known", ErrInvalid, step.Master)
	case step.Old != m.Addr:
		return nil, fmt.Errorf("%w: the master of %s is %s, not %s", ErrStale, m.Name, m.Addr, step.Old)
	case m.Failover != nil:
		return nil, fmt.Errorf("%w: failover %d of %s is running", ErrStale, m.Failover.ID, m.Name)
	}
	switch step.Kind {
	case ShadowDecided:
		return s.decided(c, m, at)
	case ShadowSwitched:
		return s.followed(c, m, at)
	case ShadowStayed:
		if !m.Shadow.open() {
			return nil, nil
		}
		next := *m
		return s.compared(c, next, m.Addr, at), nil
	}
	return nil, fmt.Errorf("%w: a shadow of kind %d", ErrInvalid, step.Kind)
}

// decided puts down the first decision on a failure. That nobody could be promoted is not the last word.
func (s *State) decided(c Command, m *Master, at position) (*State, error) {
	step := c.Shadow
	if m.Shadow.open() && (m.Shadow.Target != "" || step.Target == "") {
		return nil, nil
	}
	next := *m
	next.Shadow = &Shadowed{Old: step.Old, DecidedAt: c.At, Target: step.Target, Why: step.Why}
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: ShadowDecision, Master: m.Name, Epoch: at.term, At: c.At, Data: EventData{
			From: step.Old, To: step.Target, Why: step.Why, Evidence: step.Evidence, ElapsedMS: elapsed(step.Down, c.At),
		},
	}), nil
}

// followed makes the other coordinator's new master the agreed one. As after a failover, no term names two masters.
func (s *State) followed(c Command, m *Master, at position) (*State, error) {
	step := c.Shadow
	switch {
	case step.Target == m.Addr || !m.Owns(step.Target):
		return nil, fmt.Errorf("%w: %s is no replica of %s", ErrInvalid, step.Target, m.Name)
	case step.Epoch <= m.ForeignEpoch:
		return nil, fmt.Errorf("%w: the other coordinator's epoch %d is known", ErrStale, step.Epoch)
	case at.term <= m.LastEpoch():
		return nil, fmt.Errorf("%w: in term %d another server was the master of %s", ErrStale, at.term, m.Name)
	}
	next := *m
	next.ForeignEpoch = step.Epoch
	next.move(failover.Process{Addr: step.Target, RunID: step.RunID}, at.term)
	return s.compared(c, next, m.Addr, at), nil
}

// compared closes the comparison: the master is m from now on, and was old.
func (s *State) compared(c Command, m Master, old config.Addr, at position) *State {
	shadow := Shadowed{Old: old}
	if m.Shadow.open() {
		shadow = *m.Shadow
	}
	shadow.EndAt, shadow.To = c.At, m.Addr
	shadow.Compared = shadow.compare()
	m.Shadow = &shadow
	data := EventData{From: old, To: m.Addr, Imagined: shadow.Target, Why: shadow.Compared}
	if shadow.DecidedAt != 0 {
		data.AheadMS = shadow.EndAt.Sub(shadow.DecidedAt).Milliseconds()
	}
	return s.withMaster(m).withEvent(Event{ID: at.index, Type: ShadowComparison, Master: m.Name, Epoch: at.term, At: c.At, Data: data})
}

// compare says in words how the decision and the deed differ.
func (s *Shadowed) compare() string {
	ahead := s.EndAt.Sub(s.DecidedAt).Round(time.Millisecond)
	when := fmt.Sprintf("%s earlier", ahead)
	if ahead < 0 {
		when = fmt.Sprintf("%s later", -ahead)
	}
	switch {
	case s.DecidedAt == 0:
		return fmt.Sprintf("the other coordinator made %s the master; Picket had decided nothing", s.To)
	case s.To == s.Old && s.Target == "":
		return fmt.Sprintf("neither the other coordinator nor Picket would have replaced %s, which is back", s.Old)
	case s.To == s.Old:
		return fmt.Sprintf("Picket would have promoted %s; the other coordinator did nothing, and %s is back", s.Target, s.Old)
	case s.Target == "":
		return fmt.Sprintf("Picket, %s, would have promoted nobody; the other coordinator made %s the master", when, s.To)
	case s.Target == s.To:
		return fmt.Sprintf("both chose %s; Picket decided %s", s.To, when)
	}
	return fmt.Sprintf("Picket would have promoted %s, the other coordinator made %s the master; Picket decided %s", s.Target, s.To, when)
}
