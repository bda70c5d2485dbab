package sim

import (
	"fmt"
	"strings"

	"picket/consensus"
)

// checker holds what must be true, and looks after every event.
type checker struct {
	sim      *Sim
	leaders  map[consensus.Term]consensus.ServerID
	history  []consensus.Entry // committed: as first applied anywhere
	states   []uint64          // the state machine's hash after each
	terms    []consensus.Term  // in which each was known to be committed
	chains   map[position]uint64
	acked    consensus.Index // highest index that was acknowledged to a client
	begun    map[uint64]consensus.Index
	servers  map[consensus.ServerID]*mirror
	trusting bool // the disk's image is not compared: a planted bug must be found by what follows from it
}

type position struct {
	index consensus.Index
	term  consensus.Term
}

// mirror is what the checker knows of one server.
type mirror struct {
	log     entries // as the core sees it
	disk    entries // as the disk holds it, judged by the writes that were reported as done
	hard    consensus.HardState
	pending *consensus.Ready // a write that was under way when the process died: it may or may not have been done
	status  consensus.Status
}

// entries is a log: base is the last index that is not in it.
type entries struct {
	base     consensus.Index
	baseTerm consensus.Term
	list     []consensus.Entry
}

func (e *entries) last() consensus.Index { return e.base + consensus.Index(len(e.list)) }

// store overwrites from the first entry on.
func (e *entries) store(list []consensus.Entry) {
	if len(list) == 0 {
		return
	}
	keep := list[0].Index - e.base - 1
	e.list = append(e.list[:keep:keep], list...)
}

// install begins anew behind a snapshot, or drops what it covers.
func (e *entries) install(meta consensus.SnapshotMeta, keepLog bool) {
	if keepLog && meta.Index >= e.base && meta.Index <= e.last() {
		e.list = e.list[meta.Index-e.base:]
	} else {
		e.list = nil
	}
	e.base, e.baseTerm = meta.Index, meta.Term
}

func newChecker(s *Sim) *checker {
	c := &checker{
		sim: s, leaders: map[consensus.Term]consensus.ServerID{}, chains: map[position]uint64{},
		begun: map[uint64]consensus.Index{}, servers: map[consensus.ServerID]*mirror{},
		trusting: s.opts.Bug == VoteForgotten,
	}
	for _, id := range s.ids {
		c.servers[id] = &mirror{}
	}
	return c
}

// status: terms and commit indexes only grow; a term has one leader; and a new leader holds everything committed.
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

// applied: there is one history.
func (c *checker) applied(id consensus.ServerID, e consensus.Entry, state uint64) {
	n := consensus.Index(len(c.history))
	switch {
	case e.Index == n+1:
		c.history = append(c.history, e)
		c.states = append(c.states, state)
		c.terms = append(c.terms, max(e.Term, c.servers[id].status.Term))
		c.sim.result.Commits++
	case e.Index > n+1:
		c.sim.fail("%s applies entry %d before anybody applied %d", id, e.Index, n+1)
	case c.history[e.Index-1].Term != e.Term || string(c.history[e.Index-1].Data) != string(e.Data):
		c.sim.fail("state machine safety: %s applies %v at %d, another server applied %v", id, e, e.Index, c.history[e.Index-1])
	case c.states[e.Index-1] != state:
		c.sim.fail("%s: after entry %d its state differs from another server's", id, e.Index)
	}
}

// restored: a snapshot stands for the history up to its index.
func (c *checker) restored(id consensus.ServerID, meta consensus.SnapshotMeta, state uint64) {
	if i := int(meta.Index); i > len(c.states) || c.states[i-1] != state {
		c.sim.fail("%s: the state in snapshot %d is not that of the history", id, meta.Index)
	}
}

func (c *checker) acknowledged(i consensus.Index) { c.acked = max(c.acked, i) }

func (c *checker) readBegins(id uint64) { c.begun[id] = c.acked }

// readEnds: a read sees every write that was acknowledged before it was asked for.
func (c *checker) readEnds(r consensus.ReadReady) {
	if want, known := c.begun[r.ID]; !known {
		c.sim.fail("read %d is answered twice", r.ID)
	} else if r.Err == nil && r.Index < want {
		c.sim.fail("linearizability: read %d is at %d, but %d was acknowledged before", r.ID, r.Index, want)
	}
	delete(c.begun, r.ID)
}

// claims: no message leaves that says more than the sender's disk holds.
func (c *checker) claims(m consensus.Message) {
	if c.trusting {
		return
	}
	disk := c.servers[m.From]
	voted := consensus.HardState{Term: m.Term, Vote: m.From, Admitted: true}
	switch body := m.Body.(type) {
	case *consensus.VoteRequest:
		if !body.PreVote && disk.hard != voted {
			c.sim.fail("%s asks for votes in term %d, its disk holds %+v", m.From, m.Term, disk.hard)
		}
	case *consensus.VoteResponse:
		voted.Vote = m.To
		if !body.PreVote && body.Granted && disk.hard != voted {
			c.sim.fail("%s grants its vote to %s in term %d, its disk holds %+v", m.From, m.To, m.Term, disk.hard)
		}
	case *consensus.AppendRequest:
		if disk.hard.Term != m.Term {
			c.sim.fail("%s leads term %d, its disk holds %+v", m.From, m.Term, disk.hard)
		}
	case *consensus.AppendResponse:
		if !body.Rejected && body.Match > disk.disk.last() {
			c.sim.fail("%s acknowledges entry %d, its disk ends at %d", m.From, body.Match, disk.disk.last())
		}
	case *consensus.SnapshotResponse:
		if body.Installed && body.Index > disk.disk.last() {
			c.sim.fail("%s acknowledges snapshot %d, its disk ends at %d", m.From, body.Index, disk.disk.last())
		}
	}
}

// saving notes the write that is under way.
func (c *checker) saving(id consensus.ServerID, r consensus.Ready) { c.servers[id].pending = &r }

// saved: at most one vote in a term, and terms only grow, as the disk sees it.
func (c *checker) saved(id consensus.ServerID, r consensus.Ready) {
	m := c.servers[id]
	m.pending = nil
	if r.Install != nil {
		m.disk.install(*r.Install, r.KeepLog)
	}
	if h := r.HardState; h != nil {
		if h.Term < m.hard.Term || h.Term == m.hard.Term && m.hard.Vote != "" && h.Vote != m.hard.Vote {
			c.sim.fail("%s: the disk held %+v, and now %+v", id, m.hard, *h)
		}
		m.hard = *h
	}
	m.disk.store(r.Entries)
}

// died forgets what only the process knew.
func (c *checker) died(id consensus.ServerID) { c.servers[id].status = consensus.Status{} }

// recovered: the disk holds everything that was reported as written, and nothing that was not on its way.
func (c *checker) recovered(id consensus.ServerID, rec consensus.Recovered) {
	m := c.servers[id]
	if !c.trusting {
		problem := m.differs(rec)
		if problem != "" && m.pending != nil {
			pending := *m.pending
			c.saved(id, pending) // it was done after all, then
			problem = m.differs(rec)
		}
		if problem != "" {
			c.sim.fail("%s recovers something else than it wrote: %s", id, problem)
		}
	}
	m.pending = nil
	m.hard = rec.HardState
	m.log = entries{base: rec.Snapshot.Index, baseTerm: rec.Snapshot.Term}
	for _, e := range rec.Entries {
		if e.Index > rec.Snapshot.Index {
			m.log.list = append(m.log.list, e)
		}
	}
	m.disk = m.log
	m.disk.list = append([]consensus.Entry(nil), m.log.list...)
}

// differs compares what was recovered with what was written.
func (m *mirror) differs(rec consensus.Recovered) string {
	var problems []string
	if rec.HardState != m.hard {
		problems = append(problems, fmt.Sprintf("hard state %+v, written was %+v", rec.HardState, m.hard))
	}
	last := rec.Snapshot.Index
	if n := len(rec.Entries); n > 0 {
		last = max(last, rec.Entries[n-1].Index)
	}
	if last != m.disk.last() {
		problems = append(problems, fmt.Sprintf("the log ends at %d, written was %d", last, m.disk.last()))
	}
	for _, e := range rec.Entries {
		if i := int(e.Index) - int(m.disk.base) - 1; i >= 0 && i < len(m.disk.list) && m.disk.list[i].Term != e.Term {
			problems = append(problems, fmt.Sprintf("entry %d is of term %d, written was %d", e.Index, e.Term, m.disk.list[i].Term))
			break
		}
	}
	return strings.Join(problems, "; ")
}
