package sim

import (
	"fmt"
	"slices"
	"time"

	"picket/consensus"
	"picket/consensus/linear"
)

// checker holds what must be true, and looks after every event.
type checker struct {
	sim     *Sim
	leaders map[consensus.Term]consensus.ServerID
	history []consensus.Entry // committed: as first applied anywhere
	terms   []consensus.Term  // in which each was known to be committed
	states  []uint64          // a hash of the machine's state after each
	oracle  *machine          // applies the history, and nothing else
	config  consensus.Configuration
	chains  map[position]uint64
	reads   map[uint64]asked // read points that were asked for, and not given
	answers []linear.Operation
	servers map[consensus.ServerID]*mirror
}

// asked is a request for a read point.
type asked struct {
	of consensus.ServerID
	at time.Duration
}

type position struct {
	index consensus.Index
	term  consensus.Term
}

// mirror is what the checker knows of one server.
type mirror struct {
	log    entries // as the core sees it
	image  image   // as the disk holds it
	status consensus.Status
}

// entries is a log behind a snapshot: base is the last index that is not in it.
type entries struct {
	base     consensus.Index
	baseTerm consensus.Term
	first    consensus.Configuration // the snapshot's, or the founding one
	list     []consensus.Entry
	config   *consensus.Configuration // nil: not looked for since the last change
}

func (e *entries) last() consensus.Index { return e.base + consensus.Index(len(e.list)) }

// store overwrites from the first entry on.
func (e *entries) store(list []consensus.Entry) {
	if len(list) == 0 {
		return
	}
	e.config = nil
	keep := list[0].Index - e.base - 1
	e.list = append(e.list[:keep:keep], list...)
}

// install begins anew behind a snapshot, or drops what it covers.
func (e *entries) install(meta consensus.SnapshotMeta, keepLog bool) {
	e.config = nil
	if keepLog && meta.Index >= e.base && meta.Index <= e.last() {
		e.list = e.list[meta.Index-e.base:]
	} else {
		e.list = nil
	}
	e.base, e.baseTerm, e.first = meta.Index, meta.Term, meta.Configuration
}

// configuration, computed naively: the last one in the log, else the snapshot's.
func (e *entries) configuration() consensus.Configuration {
	if e.config == nil {
		e.config = &e.first
		for _, entry := range e.list {
			if entry.Kind == consensus.EntryConfiguration {
				config := decodeConfiguration(entry.Data)
				e.config = &config
			}
		}
	}
	return *e.config
}

func decodeConfiguration(data []byte) consensus.Configuration {
	c, err := consensus.DecodeConfiguration(data)
	if err != nil {
		panic(violation(err.Error()))
	}
	return c
}

func newChecker(s *Sim) *checker {
	c := &checker{
		sim: s, leaders: map[consensus.Term]consensus.ServerID{}, oracle: newMachine(), chains: map[position]uint64{},
		reads: map[uint64]asked{}, servers: map[consensus.ServerID]*mirror{},
	}
	for _, id := range s.ids {
		c.servers[id] = &mirror{}
	}
	return c
}

// status: terms and commit indexes only grow; the members are those of snapshot and log; a term has one leader; and a new leader holds
// everything committed.
func (c *checker) status(id consensus.ServerID, now consensus.Status) {
	m := c.servers[id]
	was := m.status
	m.status = now
	switch {
	case now.Term < was.Term:
		c.sim.fail("%s: term falls from %d to %d", id, was.Term, now.Term)
	case now.Commit < was.Commit:
		c.sim.fail("%s: commit index falls from %d to %d", id, was.Commit, now.Commit)
	case now.Commit > now.Last || now.Applied > now.Commit:
		c.sim.fail("%s: applied %d, commit %d, last %d", id, now.Applied, now.Commit, now.Last)
	case !slices.Equal(now.Members, m.log.configuration().Members):
		c.sim.fail("%s: the members are %v, snapshot and log say %v", id, now.Members, m.log.configuration().Members)
	case now.Role != consensus.Leader:
		return
	}
	if other, known := c.leaders[now.Term]; known && other != id {
		c.sim.fail("election safety: %s and %s lead term %d", other, id, now.Term)
	} else if !known {
		c.leaders[now.Term] = id
		c.sim.result.Elections++
		c.complete(id, m)
	}
}

// complete: a leader holds every entry that was committed in an earlier term (a server may still win an election whose term is over).
// By log matching it is enough to look at the last of them.
func (c *checker) complete(id consensus.ServerID, m *mirror) {
	n := len(c.history)
	for n > 0 && c.terms[n-1] >= m.status.Term {
		n--
	}
	if n == 0 {
		return
	}
	last := c.history[n-1]
	i := last.Index
	if i > m.log.last() || i > m.log.base && m.log.list[i-m.log.base-1].Term != last.Term {
		c.sim.fail("leader completeness: %s is elected in term %d, its log ends at %d, without entry %d of term %d, committed in term %d",
			id, m.status.Term, m.log.last(), i, last.Term, c.terms[n-1])
	}
}

// ready: a leader only appends; logs match.
func (c *checker) ready(id consensus.ServerID, r consensus.Ready) {
	m := c.servers[id]
	if r.Install != nil {
		m.log.install(*r.Install, r.KeepLog)
	}
	if len(r.Entries) == 0 {
		return
	}
	first := r.Entries[0].Index
	if first > m.log.last()+1 || first <= m.log.base {
		c.sim.fail("%s: entries from %d on, in a log of %d to %d", id, first, m.log.base+1, m.log.last())
	}
	if first <= m.log.last() && m.status.Role == consensus.Leader && c.leaders[m.status.Term] == id &&
		r.Entries[0].Term == m.status.Term && m.log.list[first-m.log.base-1].Term == m.status.Term {
		c.sim.fail("leader append-only: %s overwrites entry %d in its own term %d", id, first, m.status.Term)
	}
	m.log.store(r.Entries)
	c.matching(id, m, first)
	c.oneChange(id, m, r.Entries)
}

// matching: an index and a term identify an entry and everything before it.
func (c *checker) matching(id consensus.ServerID, m *mirror, from consensus.Index) {
	chain := uint64(0)
	if from-1 > 0 {
		term := m.log.baseTerm
		if from-1 > m.log.base {
			term = m.log.list[from-1-m.log.base-1].Term
		}
		known := false
		if chain, known = c.chains[position{from - 1, term}]; !known {
			c.sim.fail("%s: nobody wrote entry %d of term %d, which stands before %d", id, from-1, term, from)
		}
	}
	for _, e := range m.log.list[from-m.log.base-1:] {
		chain = mix(chain, e)
		at := position{e.Index, e.Term}
		if other, known := c.chains[at]; known && other != chain {
			c.sim.fail("log matching: entry %d of term %d of %s, or what stands before it, differs from another server's", e.Index, e.Term, id)
		}
		c.chains[at] = chain
	}
}

// oneChange: a leader appends a configuration only when it knows that the one before it, and an entry of its own term, are committed.
func (c *checker) oneChange(id consensus.ServerID, m *mirror, appended []consensus.Entry) {
	status := c.sim.servers[id].core.Status(c.sim.servers[id].clock())
	if status.Role != consensus.Leader {
		return
	}
	for _, e := range appended {
		if e.Kind != consensus.EntryConfiguration || e.Term != status.Term {
			continue
		}
		ownTerm := false
		for _, before := range m.log.list[:e.Index-m.log.base-1] {
			if before.Kind == consensus.EntryConfiguration && before.Index > status.Commit {
				c.sim.fail("%s appends a configuration at %d while the one at %d is not committed", id, e.Index, before.Index)
			}
			ownTerm = ownTerm || before.Term == e.Term && before.Index <= status.Commit
		}
		if !ownTerm && m.log.baseTerm != e.Term {
			c.sim.fail("%s appends a configuration at %d before it has committed anything in term %d", id, e.Index, e.Term)
		}
	}
}

// applied: there is one history, and what it makes of the state.
func (c *checker) applied(id consensus.ServerID, e consensus.Entry, m *machine) {
	n := consensus.Index(len(c.history))
	switch {
	case e.Index == n+1:
		c.extend(id, e)
	case e.Index > n+1:
		c.sim.fail("%s applies entry %d before anybody applied %d", id, e.Index, n+1)
	case c.history[e.Index-1].Term != e.Term || string(c.history[e.Index-1].Data) != string(e.Data):
		c.sim.fail("state machine safety: %s applies %v at %d, another server applied %v", id, e, e.Index, c.history[e.Index-1])
	}
	if c.states[e.Index-1] != m.hash {
		c.sim.fail("%s: after entry %d its history is another one", id, e.Index)
	}
}

// extend: consecutive configurations differ by one voter at most.
func (c *checker) extend(id consensus.ServerID, e consensus.Entry) {
	c.oracle.apply(e)
	c.history = append(c.history, e)
	c.states = append(c.states, c.oracle.hash)
	c.terms = append(c.terms, max(e.Term, c.servers[id].status.Term))
	c.sim.result.Commits++
	if e.Kind != consensus.EntryConfiguration {
		return
	}
	next := decodeConfiguration(e.Data)
	if n := difference(c.config.Voters(), next.Voters()); n > 1 && len(c.config.Members) > 0 {
		c.sim.fail("the configuration at %d differs from the one before in %d voters", e.Index, n)
	}
	c.config = next
}

// difference counts the ids that are in one list only.
func difference(a, b []consensus.ServerID) (n int) {
	for _, pair := range [][2][]consensus.ServerID{{a, b}, {b, a}} {
		for _, id := range pair[0] {
			if !slices.Contains(pair[1], id) {
				n++
			}
		}
	}
	return n
}

// restored: a snapshot stands for the history up to its index.
func (c *checker) restored(id consensus.ServerID, meta consensus.SnapshotMeta, content []byte) {
	if int(meta.Index) > len(c.history) {
		c.sim.fail("%s: the snapshot at %d is ahead of what was ever committed", id, meta.Index)
	}
	replayed := newMachine()
	for _, e := range c.history[:meta.Index] {
		replayed.apply(e)
	}
	if string(replayed.encode()) != string(content) {
		c.sim.fail("%s: the state in snapshot %d is not that of the history", id, meta.Index)
	}
}

func (c *checker) readBegins(id consensus.ServerID, read uint64) {
	c.reads[read] = asked{id, c.sim.now}
}

// readEnds: each request for a read point is answered once, unless its process dies.
func (c *checker) readEnds(id consensus.ServerID, r consensus.ReadReady) {
	if c.reads[r.ID].of != id {
		c.sim.fail("%s: read %d is answered twice, or was never asked", id, r.ID)
	}
	delete(c.reads, r.ID)
}

// told notes what a client was answered, or that it was not.
func (c *checker) told(o linear.Operation) {
	c.answers = append(c.answers, o)
	if !o.Unknown {
		c.sim.result.Answers++
	}
}

// settled says whether a server may vote, and knows of no other configuration than this one.
func (c *checker) settled(id consensus.ServerID, config consensus.Configuration) bool {
	m := c.servers[id]
	return m.image.hard.Admitted && slices.Equal(m.log.configuration().Members, config.Members)
}

// mayBeLetIn says whether some log holds a configuration with a server that may yet be committed.
func (c *checker) mayBeLetIn(id consensus.ServerID) bool {
	for _, m := range c.servers {
		for _, e := range m.log.list {
			if e.Kind != consensus.EntryConfiguration || int(e.Index) <= len(c.history) {
				continue
			}
			if _, member := decodeConfiguration(e.Data).Member(id); member {
				return true
			}
		}
	}
	return false
}

// died forgets what only the process knew.
func (c *checker) died(id consensus.ServerID) {
	c.servers[id].status = consensus.Status{}
	for read, a := range c.reads {
		if a.of == id {
			delete(c.reads, read)
		}
	}
}

// searchTime bounds the search for an order of the answers; it takes milliseconds.
const searchTime = 30 * time.Second

// end: every read point that was asked for was given, and the answers to all clients are those of one map.
func (c *checker) end() {
	for read, a := range c.reads {
		if c.sim.now-a.at > time.Second {
			c.sim.fail("%s never answers read %d", a.of, read)
		}
	}
	if err := linear.Check(c.answers, searchTime); err != nil {
		c.sim.fail("linearizability: %v", err)
	}
	c.sim.note("%s", fmt.Sprint(len(c.answers), " operations are linearizable"))
}
