package consensus

import "time"

// progress is what a leader knows of one follower. Invariant: match < next.
//
//	… match | sent, not acknowledged | next …
type progress struct {
	match  Index // the follower holds the leader's log up to here, durably; it only grows
	next   Index // the next entry to send
	state  progressState
	flight []Index // last index of each append under way, ascending; in replicating
	asked  bool    // probing: an append is under way
	told   Index   // commit index that was last sent

	heard time.Duration // last answer; 0: none yet in this term
	lost  bool          // the connection broke since then
	round uint64        // newest heartbeat round that it answered
	moved Index         // match at the last heartbeat: what noticeLosses compares

	incarnation uint64 // of the disk that answered first in this term; 0: none has
	admitted    bool   // its disk may vote, and so its answers count
	leaving     Index  // of the configuration that removed it; 0: it is a member

	transfer Index         // sending a snapshot: its index
	offset   int64         // bytes that the follower holds of it
	sent     time.Duration // when the last chunk was sent
}

type progressState uint8

const (
	probing      progressState = iota // where the logs agree is not known: one append at a time
	replicating                       // appends are pipelined
	snapshotting                      // what the follower needs is compacted
)

func (p *progress) heardWithin(now, d time.Duration) bool { return p.heard > 0 && now-p.heard <= d }

// hear notes an answer.
func (p *progress) hear(now time.Duration) { p.heard, p.lost = now, false }

// present says whether a follower is there, as far as one can tell before an election timeout is over.
func (c *Core) present(id ServerID) bool {
	p := c.lead.followers[id]
	return p != nil && !p.lost && p.heardWithin(c.now, 3*c.cfg.HeartbeatInterval)
}

// Unreachable hints that a server may be gone: the connection to it broke. It is taken for absent where that is the careful guess.
func (c *Core) Unreachable(id ServerID) {
	if c.role == Leader && c.lead.followers[id] != nil {
		p := c.lead.followers[id]
		p.lost, p.sent = true, c.now-c.cfg.ElectionTimeout // what was under way may be lost, a chunk of a snapshot, too
	}
}

// acknowledge raises match, and says whether it rose.
func (p *progress) acknowledge(i Index) bool {
	for len(p.flight) > 0 && p.flight[0] <= i {
		p.flight = p.flight[1:]
	}
	if i <= p.match {
		return false
	}
	p.match = i
	p.next = max(p.next, i+1)
	return true
}

// probe goes back to asking where the logs agree, from an index behind match.
func (p *progress) probe(next Index) {
	p.state, p.next, p.flight, p.asked = probing, max(next, p.match+1), nil, false
}

// replicate sends a follower what it may be sent now.
func (c *Core) replicate(to ServerID) {
	p := c.lead.followers[to]
	if p == nil {
		return
	}
	for p.next <= c.log.last() && c.sendEntries(to, p) {
	}
	if p.told < min(c.commit, p.match) { // nothing to send, but news for its state machine
		p.told = c.commit
		c.heartbeat(to, p)
	}
}

// sendEntries sends one append, and says whether another may follow.
func (c *Core) sendEntries(to ServerID, p *progress) bool {
	prev := p.next - 1
	term, ok := c.log.term(prev)
	switch {
	case p.state == snapshotting, p.state == probing && p.asked, len(p.flight) >= c.cfg.MaxInflight:
		return false
	case !ok:
		c.startTransfer(to, p)
		return false
	}
	entries := c.log.batch(p.next, c.cfg.MaxAppendBytes)
	c.sendAppend(to, prev, term, entries)
	p.told = c.commit
	if p.state == probing {
		p.asked = true
		return false
	}
	p.next += Index(len(entries))
	p.flight = append(p.flight, p.next-1)
	return true
}

// noticeLosses runs once each heartbeat: where nothing moved since the last one, an append or its answer may be lost, so
// it is asked for again.
func (c *Core) noticeLosses() {
	for _, id := range c.lead.ids {
		p := c.lead.followers[id]
		stuck := p.moved == p.match
		p.moved = p.match
		switch {
		case p.state == snapshotting:
			c.resumeTransfer(id, p)
		case p.state == probing:
			p.asked = false
		case stuck && len(p.flight) > 0 && p.heardWithin(c.now, c.cfg.ElectionTimeout):
			p.probe(p.match + 1)
		}
	}
}

// handleAppendResponse takes in an answer of this term.
func (c *Core) handleAppendResponse(m Message, r *AppendResponse) {
	if c.role != Leader || c.lead.followers[m.From] == nil || r.Round > c.lead.round || !c.genuine(m) {
		return
	}
	p := c.lead.followers[m.From]
	p.hear(c.now)
	p.admitted = p.admitted || r.Admitted
	p.round = max(p.round, r.Round)
	c.confirmReads()
	if r.Rejected {
		c.backOff(p, r)
		return
	}
	if r.Match > c.log.last() {
		return // nobody can hold what this leader did not send
	}
	if !p.acknowledge(r.Match) {
		return
	}
	if p.state == probing || p.state == snapshotting && p.match >= p.transfer {
		p.state, p.asked, p.next = replicating, false, p.match+1
	}
	c.advanceCommit()
}

// backOff finds where the logs may still agree, a term at a time. A rejection of anything but the outstanding probe is
// stale.
func (c *Core) backOff(p *progress, r *AppendResponse) {
	stale := r.PrevIndex <= p.match || p.state == snapshotting || p.state == probing && r.PrevIndex != p.next-1
	if stale {
		return
	}
	agree, _ := c.log.conflictHint(min(r.HintIndex, r.PrevIndex-1), r.HintTerm)
	p.probe(agree + 1)
}
