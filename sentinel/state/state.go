package state

import (
	"cmp"
	"slices"

	"picket/config"
	"picket/failover"
)

// State is the replicated state after some entry. It is immutable: whoever reads it shares it with everybody.
type State struct {
	Masters []Master // sorted by name
	Agents  []Agent  // sorted by id
	Cursors []Cursor // sorted by endpoint
	Events  []Event  // the latest, oldest first
	// Forgotten is the id of the newest event that the history does not hold any more; 0: none yet.
	Forgotten uint64
	Map       Map
	Pauses    []Pause // sorted by master
	// Removed are the names of masters that were removed at run time, sorted: a file that still names one does not bring it back.
	Removed []string
}

// Master is one watched master, as agreed.
type Master struct {
	Name     string
	Addr     config.Addr
	Epoch    uint64           // term of the last switch; 0: none yet
	Replicas []config.Addr    // sorted
	Failover *failover.Record // running; nil: none
	Last     *failover.Record // the last one that ended; nil: none yet
	// Acknowledged is the id of the newest failover whose cool-down an operator has lifted; 0: none.
	Acknowledged uint64
	// Processes are the master's and those of its replicas that may have acknowledged writes, sorted by address.
	Processes []failover.Process
	// Shadow is the latest comparison of agents that only watch; nil: none yet.
	Shadow       *Shadowed
	ForeignEpoch uint64               // of the latest switch of another coordinator that was followed
	Diverged     *failover.Divergence // the latest that was found; nil: none
	DivergedIn   uint64               // epoch
	Scheduled    *Schedule            // nil: none
	Options      []Option             // what was set at run time, sorted by name
	Monitored    config.Addr          // under which it was made known at run time; empty: by files
	Since        uint64               // term in which it was made known: its failovers are of later ones
	Added        uint64               // index of the entry that made it known: another master of the same name has another
	Inquiry      *failover.Inquiry    // of the leader at a program of its host, since the last failover began; nil: none
}

// Agent is how an agent can be reached.
type Agent struct {
	ID           string
	Host         string // as clients are told
	SentinelPort int
	Peer         config.Addr // of its port for other agents
	Local        config.Addr // the Redis beside it; empty: none
	Zone         string
	Boot         uint64 // of its process
}

// Master finds a master by name; nil if there is none.
func (s *State) Master(name string) *Master {
	return find(s.Masters, name, func(m *Master) string { return m.Name })
}

// Process finds the process at an address, as agreed; nil if there is none.
func (m *Master) Process(a config.Addr) *failover.Process {
	return find(m.Processes, string(a), processKey)
}

// RunID is that of the master's process; empty: not known yet.
func (m *Master) RunID() string { return m.self().RunID }

// ReplID is that of the history that the master's process writes; empty: not known yet.
func (m *Master) ReplID() string { return m.self().ReplID }

func (m *Master) self() failover.Process {
	if p := m.Process(m.Addr); p != nil {
		return *p
	}
	return failover.Process{}
}

// Registered lists the replicas that may have acknowledged writes.
func (m *Master) Registered() []failover.Process {
	return slices.DeleteFunc(slices.Clone(m.Processes), func(p failover.Process) bool { return p.Addr == m.Addr })
}

func processKey(p *failover.Process) string { return string(p.Addr) }

// Owns says whether a server is the master or one of its replicas.
func (m *Master) Owns(a config.Addr) bool {
	_, replica := slices.BinarySearch(m.Replicas, a)
	return replica || m.Addr == a
}

// Owner finds the master to which a server belongs; nil if there is none. No server belongs to two.
func (s *State) Owner(a config.Addr) *Master {
	for i := range s.Masters {
		if s.Masters[i].Owns(a) {
			return &s.Masters[i]
		}
	}
	return nil
}

// Agent finds an agent by id; nil if it never registered.
func (s *State) Agent(id string) *Agent {
	return find(s.Agents, id, func(a *Agent) string { return a.ID })
}

// Beside finds the agent beside a server; nil if there is none.
func (s *State) Beside(a config.Addr) *Agent {
	for i := range s.Agents {
		if s.Agents[i].Local == a {
			return &s.Agents[i]
		}
	}
	return nil
}

// Cursor is how far an endpoint has been told; nil for one that never was.
func (s *State) Cursor(endpoint string) *Cursor { return find(s.Cursors, endpoint, cursorKey) }

// After gives at most limit events that are newer than id, oldest first.
func (s *State) After(id uint64, limit int) []Event {
	i, _ := slices.BinarySearchFunc(s.Events, id+1, func(e Event, id uint64) int { return cmp.Compare(e.ID, id) })
	end := min(i+limit, len(s.Events))
	return s.Events[i:end:end]
}

// Latest is the id of the newest event; 0: there was none yet.
func (s *State) Latest() uint64 {
	if n := len(s.Events); n > 0 {
		return s.Events[n-1].ID
	}
	return s.Forgotten
}

func cursorKey(c *Cursor) string { return c.Endpoint }

// find looks an element up in a slice that is sorted by key.
func find[T any](sorted []T, key string, of func(*T) string) *T {
	if i, ok := search(sorted, key, of); ok {
		return &sorted[i]
	}
	return nil
}

func search[T any](sorted []T, key string, of func(*T) string) (int, bool) {
	return slices.BinarySearchFunc(sorted, key, func(e T, key string) int { return cmp.Compare(of(&e), key) })
}

// with returns a copy of a sorted slice in which the element stands at its place, instead of one with the same key.
func with[T any](sorted []T, element T, of func(*T) string) []T {
	i, found := search(sorted, of(&element), of)
	if found {
		sorted = slices.Clone(sorted)
		sorted[i] = element
		return sorted
	}
	return slices.Insert(slices.Clip(sorted), i, element)
}
