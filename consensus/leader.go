package consensus

import (
	"maps"
	"slices"
	"time"
)

// leadership is what only a leader knows.
type leadership struct {
	followers    map[ServerID]*progress // every other member, and removed ones that do not know it yet
	ids          []ServerID             // of followers, sorted
	unbound      bool                   // the disks of some members are not in the configuration yet
	transfer     transfer
	first        Index  // of its no-op: what it may commit by counting begins here
	round        uint64 // of the last heartbeat broadcast
	heartbeatDue time.Duration
	quorumDue    time.Duration // when to check that a majority was heard
}

// list keeps ids in step with followers.
func (l *leadership) list() { l.ids = slices.Sorted(maps.Keys(l.followers)) }

// becomeLeader appends the no-op that commits all entries of former terms, and speaks at once.
func (c *Core) becomeLeader() {
	c.role, c.leader, c.led, c.ballots = Leader, c.cfg.ID, c.hard.Term, nil
	c.lead = &leadership{
		followers:    map[ServerID]*progress{},
		first:        c.log.last() + 1,
		heartbeatDue: c.now + c.cfg.HeartbeatInterval,
		quorumDue:    c.now + c.cfg.ElectionTimeout,
	}
	c.followMembers(c.lead.first)
	c.appendOwn(EntryNoop, nil)
	c.broadcastHeartbeat()
}

func (c *Core) tickLeader() {
	if c.now >= c.lead.quorumDue {
		c.lead.quorumDue = c.now + c.cfg.ElectionTimeout
		if !c.heardMajority() {
			c.becomeFollower(c.hard.Term, "")
			return
		}
	}
	if c.now >= c.lead.heartbeatDue {
		c.lead.heartbeatDue = c.now + c.cfg.HeartbeatInterval
		c.tickTransfer()
		c.dismiss()
		c.noticeLosses()
		c.broadcastHeartbeat()
	}
}

// heardMajority within an election timeout: a leader that is cut off steps down, because its followers may have another.
func (c *Core) heardMajority() bool {
	heard := 0
	for _, id := range c.voters {
		p := c.lead.followers[id]
		if id == c.cfg.ID || p.admitted && p.heardWithin(c.now, c.cfg.ElectionTimeout) {
			heard++
		}
	}
	return heard >= majority(len(c.voters))
}

// broadcastHeartbeat starts a new round. Rounds for reads come beside those of the timer, which also notices losses.
func (c *Core) broadcastHeartbeat() {
	c.lead.round++
	for _, id := range c.lead.ids {
		c.heartbeat(id, c.lead.followers[id])
	}
}

// heartbeat speaks of what the follower is known to hold, so that it is never rejected and may be answered without waiting for
// the follower's disk; where that is compacted, of the log's very beginning.
func (c *Core) heartbeat(to ServerID, p *progress) {
	prev := p.match
	term, ok := c.log.term(prev)
	if !ok {
		prev, term = 0, 0
	}
	c.sendAppend(to, prev, term, nil)
}

func (c *Core) sendAppend(to ServerID, prev Index, term Term, entries []Entry) {
	c.send(to, &AppendRequest{PrevIndex: prev, PrevTerm: term, Commit: c.commit, Round: c.lead.round, Entries: entries})
}

// advanceCommit commits what a majority holds durably, but counts only entries of this leader's own term (Raft §5.4.2).
func (c *Core) advanceCommit() {
	matches := make([]Index, 0, len(c.voters))
	for _, id := range c.voters {
		if id == c.cfg.ID {
			matches = append(matches, c.disk.stable)
		} else if p := c.lead.followers[id]; p.admitted {
			matches = append(matches, p.match)
		} else {
			matches = append(matches, 0)
		}
	}
	if planted(CountsItself) && !c.isVoter(c.cfg.ID) {
		matches[0] = c.disk.stable
	}
	n := reached(matches)
	if n <= c.commit || n < c.lead.first && !planted(OldTermCommitted) {
		return
	}
	c.commit = n
	if c.configAt <= n && !c.isVoter(c.cfg.ID) {
		c.resign()
	}
}

// reached is the largest value that a majority has reached.
func reached[T Index | uint64](values []T) T {
	slices.Sort(values)
	return values[len(values)-majority(len(values))]
}
