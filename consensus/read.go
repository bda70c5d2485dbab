package consensus

import (
	"slices"
	"time"
)

// readQueue holds ReadIndex requests until they are confirmed (thesis §6.4): the commit index is recorded, then a heartbeat round
// that started afterwards is answered by a majority, which proves that this server still leads.
type readQueue struct {
	waiting   []read // for the first commit of the term, or for the next round to start
	confirmed []read // a round is under way for them, oldest first
	remote    []read // asked of the leader on behalf of this server's clients
}

// read is one request.
type read struct {
	id    uint64
	from  ServerID // who asked
	index Index
	round uint64
	due   time.Duration // remote: when to give up
}

// ReadIndex asks for a linearizable read point, answered later in Ready.Reads, on the leader and on followers.
func (c *Core) ReadIndex(now time.Duration, id uint64) {
	c.advance(now)
	switch {
	case c.role == Leader:
		c.reads.waiting = append(c.reads.waiting, read{id: id, from: c.cfg.ID})
	case c.leader == "":
		c.answerRead(ReadReady{ID: id, Err: ErrNoLeader})
	default:
		c.reads.remote = append(c.reads.remote, read{id: id, due: c.now + 2*c.cfg.ElectionTimeout})
		c.send(c.leader, &ReadIndexRequest{ID: id})
	}
}

// mayRead says whether the first entry of the term is committed: only then is the commit index known to hold everything that was
// acknowledged in former terms.
func (c *Core) mayRead() bool { return c.commit >= c.lead.first || planted(ReadTooEarly) }

// startReadRound starts one round for all requests that wait.
func (c *Core) startReadRound() {
	if len(c.reads.waiting) == 0 || !c.mayRead() {
		return
	}
	c.broadcastHeartbeat()
	for _, r := range c.reads.waiting {
		r.index, r.round = c.commit, c.lead.round
		c.reads.confirmed = append(c.reads.confirmed, r)
	}
	c.reads.waiting = nil
	c.confirmReads()
}

// confirmReads answers the requests whose round a majority has answered.
func (c *Core) confirmReads() {
	rounds := make([]uint64, 0, len(c.voters))
	for _, id := range c.voters {
		if id == c.cfg.ID {
			rounds = append(rounds, c.lead.round)
		} else if p := c.lead.followers[id]; p.admitted {
			rounds = append(rounds, p.round)
		} else {
			rounds = append(rounds, 0)
		}
	}
	confirmed := reached(rounds)
	for len(c.reads.confirmed) > 0 && c.reads.confirmed[0].round <= confirmed {
		c.answer(c.reads.confirmed[0])
		c.reads.confirmed = c.reads.confirmed[1:]
	}
}

func (c *Core) answer(r read) {
	if r.from == c.cfg.ID {
		c.answerRead(ReadReady{ID: r.id, Index: r.index})
	} else {
		c.send(r.from, &ReadIndexResponse{ID: r.id, Index: r.index})
	}
}

func (c *Core) answerRead(r ReadReady) { c.out.answers = append(c.out.answers, r) }

func (c *Core) handleReadRequest(m Message, r *ReadIndexRequest) {
	if c.role != Leader || c.lead.followers[m.From] == nil || len(c.reads.waiting)+len(c.reads.confirmed) >= maxWaitingReads {
		c.send(m.From, &ReadIndexResponse{ID: r.ID})
		return
	}
	c.reads.waiting = append(c.reads.waiting, read{id: r.ID, from: m.From})
}

// maxWaitingReads bounds what peers can make a leader remember.
const maxWaitingReads = 1 << 14

func (c *Core) handleReadResponse(r *ReadIndexResponse) {
	i := slices.IndexFunc(c.reads.remote, func(waiting read) bool { return waiting.id == r.ID })
	if i < 0 {
		return
	}
	c.reads.remote = slices.Delete(c.reads.remote, i, i+1)
	answer := ReadReady{ID: r.ID, Index: r.Index}
	if r.Index == 0 {
		answer.Err = ErrNoLeader
	}
	c.answerRead(answer)
}

// failReads answers everything that waits when leadership or the leader changes: no request is dropped silently.
func (c *Core) failReads() {
	for _, r := range slices.Concat(c.reads.waiting, c.reads.confirmed) {
		if r.from == c.cfg.ID {
			c.answerRead(ReadReady{ID: r.id, Err: &NotLeaderError{Leader: c.leader, Term: c.hard.Term}})
		} else {
			c.send(r.from, &ReadIndexResponse{ID: r.id})
		}
	}
	for _, r := range c.reads.remote {
		c.answerRead(ReadReady{ID: r.id, Err: ErrNoLeader})
	}
	c.reads = readQueue{}
}

// expireReads gives up on answers that were lost on the way.
func (c *Core) expireReads() {
	for len(c.reads.remote) > 0 && c.reads.remote[0].due <= c.now {
		c.answerRead(ReadReady{ID: c.reads.remote[0].id, Err: ErrNoLeader})
		c.reads.remote = c.reads.remote[1:]
	}
}

// deadline is the earlier of due and the first expiry.
func (q *readQueue) deadline(due time.Duration) time.Duration {
	if len(q.remote) > 0 {
		due = min(due, q.remote[0].due)
	}
	return due
}
