package sim

import (
	"fmt"
	"strings"

	"picket/consensus"
)

// image is what a server's disk holds for certain: judged by the writes that were reported as done, and compared with what is recovered
// after each crash.
type image struct {
	hard    consensus.HardState
	log     entries
	pending []consensus.Ready // parts of the write under way, in order: a crash leaves the first few of them
}

func (m *image) take(r consensus.Ready) {
	if r.Install != nil {
		m.log.install(*r.Install, r.KeepLog)
	}
	if r.HardState != nil {
		m.hard = *r.HardState
	}
	m.log.store(r.Entries)
}

// claims: no message leaves that says more than the sender's disk holds.
func (c *checker) claims(m consensus.Message) {
	if c.sim.opts.Bug == VoteForgotten {
		return // the image would tell at once; what follows from the bug must, too
	}
	disk := &c.servers[m.From].image
	voted := consensus.HardState{Term: m.Term, Vote: m.From, Admitted: true, Founding: disk.hard.Founding, Commit: disk.hard.Commit}
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
		if !body.Rejected && body.Match > disk.log.last() {
			c.sim.fail("%s acknowledges entry %d, its disk ends at %d", m.From, body.Match, disk.log.last())
		}
	case *consensus.SnapshotResponse:
		if body.Installed && body.Index > disk.log.last() {
			c.sim.fail("%s acknowledges snapshot %d, its disk ends at %d", m.From, body.Index, disk.log.last())
		}
	}
}

// saving notes the write that is under way: the snapshot is installed before the rest is written.
func (c *checker) saving(id consensus.ServerID, r consensus.Ready) {
	m := &c.servers[id].image
	m.pending = nil
	if r.Install != nil {
		m.pending = append(m.pending, consensus.Ready{Install: r.Install, KeepLog: r.KeepLog})
	}
	m.pending = append(m.pending, consensus.Ready{HardState: r.HardState, Entries: r.Entries})
}

// saved: at most one vote in a term, and terms only grow, as the disk sees it.
func (c *checker) saved(id consensus.ServerID) {
	m := &c.servers[id].image
	was := m.hard
	for _, r := range m.pending {
		m.take(r)
	}
	m.pending = nil
	switch now := m.hard; {
	case now.Term < was.Term, now.Term == was.Term && was.Vote != "" && now.Vote != was.Vote, was.Admitted && !now.Admitted:
		c.sim.fail("%s: the disk held %+v, and now %+v", id, was, now)
	}
}

// recovered: the disk holds everything that was reported as written, and nothing that was not on its way.
func (c *checker) recovered(id consensus.ServerID, rec consensus.Recovered) {
	m := c.servers[id]
	problem := m.image.differs(rec)
	for ; problem != "" && len(m.image.pending) > 0; problem = m.image.differs(rec) {
		m.image.take(m.image.pending[0]) // it was done after all, then
		m.image.pending = m.image.pending[1:]
	}
	if problem != "" && c.sim.opts.Bug != VoteForgotten {
		c.sim.fail("%s recovers something else than it wrote: %s", id, problem)
	}
	log := entries{base: rec.Snapshot.Index, baseTerm: rec.Snapshot.Term, first: rec.Snapshot.Configuration}
	for _, e := range rec.Entries {
		if e.Index > rec.Snapshot.Index {
			log.list = append(log.list, e)
		}
	}
	m.log, m.image = log, image{hard: rec.HardState, log: log}
	m.log.list = append([]consensus.Entry(nil), log.list...)
}

// wiped: the disk is another one.
func (c *checker) wiped(id consensus.ServerID) { c.servers[id].image = image{} }

// differs compares what was recovered with what was written.
func (m *image) differs(rec consensus.Recovered) string {
	var problems []string
	if rec.HardState != m.hard {
		problems = append(problems, fmt.Sprintf("hard state %+v, written was %+v", rec.HardState, m.hard))
	}
	last := rec.Snapshot.Index
	if n := len(rec.Entries); n > 0 {
		last = max(last, rec.Entries[n-1].Index)
	}
	if last != m.log.last() {
		problems = append(problems, fmt.Sprintf("the log ends at %d, written was %d", last, m.log.last()))
	}
	for _, e := range rec.Entries {
		if i := int(e.Index) - int(m.log.base) - 1; i >= 0 && i < len(m.log.list) && m.log.list[i].Term != e.Term {
			problems = append(problems, fmt.Sprintf("entry %d is of term %d, written was %d", e.Index, e.Term, m.log.list[i].Term))
			break
		}
	}
	return strings.Join(problems, "; ")
}
