package state

import (
	"fmt"
	"slices"
	"strconv"

	"picket/config"
	"picket/failover"
)

// Option is one thing that was set at run time for all agents, in the words of SENTINEL SET. It stands over what their files say.
type Option struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SetOptions sets options of a master, all or none. An empty value takes one back.
type SetOptions struct {
	Master  string
	Options []Option
}

// Reset forgets replicas that are gone, and what became of the last failover. Whoever proposes it has seen that they do not follow any more.
type Reset struct {
	Master string
	Gone   []failover.Process
}

// Quorum is the name of the option that every master has which is monitored at run time.
const Quorum = "quorum"

const (
	maxOptions = 100  // of one master
	maxOption  = 4096 // bytes of one
)

// Option is what was set of a master; ok is false where nothing was.
func (m *Master) Option(name string) (value string, ok bool) {
	if o := find(m.Options, name, optionKey); o != nil {
		return o.Value, true
	}
	return "", false
}

// WasRemoved says whether a master was removed at run time: files may still name it.
func (s *State) WasRemoved(name string) bool {
	_, found := slices.BinarySearch(s.Removed, name)
	return found
}

// monitor makes a master known that no file need name. The same again changes nothing, so that every agent may be told; another one of the name
// is refused.
func (s *State) monitor(c Command, at position) (*State, error) {
	order := *c.Monitor
	quorum := Option{Quorum, strconv.Itoa(order.Quorum)}
	switch m := s.Master(order.Name); {
	case m == nil:
	case m.Monitored == order.Addr && slices.Contains(m.Options, quorum):
		return nil, nil
	default:
		return nil, fmt.Errorf("%w: a master named %s", ErrExists, order.Name)
	}
	next := *s
	next.Removed = without(s.Removed, order.Name)
	return next.admit(Master{
		Name: order.Name, Addr: order.Addr, Monitored: order.Addr, Options: []Option{quorum}, Since: at.term,
	}, order.Quorum, c.At, at)
}

// removeMaster forgets a master, with all that is known of it. One that is just being replaced stays until that is decided: its former master may
// be fenced.
func (s *State) removeMaster(c Command, at position) (*State, error) {
	i, known := search(s.Masters, c.Remove, masterKey)
	if !known {
		return nil, fmt.Errorf("%w: master %q", ErrUnknown, c.Remove)
	}
	m := s.Masters[i]
	if m.Failover != nil && m.Failover.Phase < failover.Switched {
		return nil, fmt.Errorf("%w: failover %d of %s is running", ErrStale, m.Failover.ID, m.Name)
	}
	next := *s
	next.Masters = slices.Delete(slices.Clone(s.Masters), i, i+1)
	next.Pauses = slices.DeleteFunc(slices.Clone(s.Pauses), func(p Pause) bool { return p.Master == m.Name })
	if len(s.Removed) < maxMasters { // also where it was made known at run time: an agent may have written it into its file
		next.Removed = insert(s.Removed, m.Name)
	}
	return next.withEvent(Event{
		ID: at.index, Type: MasterRemoved, Master: m.Name, Epoch: at.term, At: c.At, Data: EventData{From: m.Addr},
	}), nil
}

func (s *State) setOptions(c Command, at position) (*State, error) {
	set := *c.Set
	m := s.Master(set.Master)
	if m == nil {
		return nil, fmt.Errorf("%w: master %q", ErrUnknown, set.Master)
	}
	next := *m
	for _, o := range set.Options {
		if o.Name == "" || len(o.Name)+len(o.Value) > maxOption {
			return nil, fmt.Errorf("%w: option %.100q of %s", ErrInvalid, o.Name, set.Master)
		}
		if next.Options = with(next.Options, o, optionKey); o.Value == "" {
			next.Options = slices.DeleteFunc(next.Options, func(known Option) bool { return known.Name == o.Name })
		}
	}
	if len(next.Options) > maxOptions {
		return nil, fmt.Errorf("%w: %s would have %d options", ErrInvalid, set.Master, len(next.Options))
	}
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: MasterChanged, Master: m.Name, Epoch: at.term, At: c.At, Data: EventData{To: m.Addr, Changes: set.Options},
	}), nil
}

func (s *State) reset(c Command, at position) (*State, error) {
	r := *c.Reset
	m := s.Master(r.Master)
	if m == nil {
		return nil, fmt.Errorf("%w: master %q", ErrUnknown, r.Master)
	}
	next := *m
	var gone []config.Addr
	for _, p := range r.Gone {
		known := m.Process(p.Addr)
		if m.Failover != nil || p.Addr == m.Addr || known != nil && known.RunID != p.RunID {
			continue // it is needed, or was started again
		}
		next.Replicas = withoutAddr(next.Replicas, p.Addr)
		next.Processes = slices.DeleteFunc(slices.Clone(next.Processes), func(q failover.Process) bool { return q.Addr == p.Addr })
		gone = append(gone, p.Addr)
	}
	if m.Last != nil {
		next.Acknowledged = m.Last.ID
	}
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: MasterReset, Master: m.Name, Epoch: at.term, At: c.At, Data: EventData{From: m.Addr, Replicas: gone},
	}), nil
}

func optionKey(o *Option) string { return o.Name }

func insert(sorted []string, word string) []string {
	i, found := slices.BinarySearch(sorted, word)
	if found {
		return sorted
	}
	return slices.Insert(slices.Clip(sorted), i, word)
}

func without(sorted []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(sorted), func(known string) bool { return known == word })
}
