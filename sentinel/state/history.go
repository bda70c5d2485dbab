package state

// The history keeps keptEvents for whoever looks, and up to maxEvents that an endpoint was not told of yet. An
// endpoint that has been gone for longer than that loses the oldest, rather than all agents their memory.
const (
	keptEvents = 1024
	maxEvents  = 8192
)

// withEvent returns the state with one more event. Successive states share the array behind Events: each
// reader sees only the length that was true for it.
func (s *State) withEvent(e Event) *State {
	next := *s
	next.Events = append(s.Events, e)
	next.forget()
	return &next
}

// forget drops the oldest events, as the limits say. An endpoint that was not told of them hears that there is a gap.
func (s *State) forget() {
	wanted, told := s.toldAll()
	for len(s.Events) > keptEvents && (s.Events[0].ID <= wanted || len(s.Events) > maxEvents) {
		if oldest := &s.Events[0]; oldest.ID > told {
			s.miss(oldest)
		}
		s.Forgotten = s.Events[0].ID
		s.Events = s.Events[1:]
	}
}

// toldAll is the newest event that every endpoint has been told of that wants any, and that every endpoint has been told of.
func (s *State) toldAll() (wanted, told uint64) {
	wanted, told = ^uint64(0), ^uint64(0)
	for _, c := range s.Cursors {
		told = min(told, c.ID)
		if c.Disabled == nil { // nobody knows whether it ever wants more
			wanted = min(wanted, c.ID)
		}
	}
	return wanted, told
}
