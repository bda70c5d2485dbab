package consensus

import (
	"fmt"
	"time"
)

// transfer is a hand-over of the leadership that is under way (thesis §3.10): nothing new is appended until the target holds the
// whole log and is told to stand, or the time is over and this server leads on.
type transfer struct {
	to   ServerID // empty: none
	due  time.Duration
	told bool // the target was told to stand
}

// Transfer hands the leadership to a voter. It is done when that leads; a leader whose target does not make it within an election
// timeout goes on as before.
func (c *Core) Transfer(now time.Duration, to ServerID) error {
	c.advance(now)
	switch {
	case c.role != Leader:
		return &NotLeaderError{Leader: c.leader, Term: c.hard.Term}
	case to == c.cfg.ID:
		return nil
	case !c.isVoter(to):
		return fmt.Errorf("%w: %q is not a voter", ErrRefused, to)
	case !c.present(to):
		return fmt.Errorf("%w: %q can't be heard", ErrRefused, to)
	case c.lead.transfer.to != "" && c.lead.transfer.to != to:
		return fmt.Errorf("%w: the leadership is being handed to %q", ErrRefused, c.lead.transfer.to)
	}
	if c.lead.transfer.to == "" {
		c.lead.transfer = transfer{to: to, due: c.now + c.cfg.ElectionTimeout}
	}
	return nil
}

// continueTransfer tells the target to stand once it holds everything, also again when that message may be lost.
func (c *Core) continueTransfer() {
	t := &c.lead.transfer
	p := c.lead.followers[t.to]
	if t.to == "" || t.told || p == nil || p.match < c.log.last() {
		return
	}
	t.told = true
	c.send(t.to, &TimeoutNow{})
}

// tickTransfer gives up a transfer that took too long.
func (c *Core) tickTransfer() {
	if t := &c.lead.transfer; t.to != "" {
		t.told = false
		if c.now >= t.due || !c.isVoter(t.to) {
			*t = transfer{}
		}
	}
}

// handleTimeoutNow stands for election because the leader wants it.
func (c *Core) handleTimeoutNow(m Message) {
	if c.role == Follower && c.leader == m.From && c.mayStand() {
		c.startElection(nil, true)
	}
}

// Heir is the voter whose log is best, of those that were heard lately; empty on a server that does not lead, or is alone.
func (c *Core) Heir() (heir ServerID) {
	if c.role != Leader {
		return ""
	}
	var match Index
	for _, id := range c.voters {
		if c.present(id) && c.lead.followers[id].match > match {
			heir, match = id, c.lead.followers[id].match
		}
	}
	return heir
}

// resign is how a leader leaves that is not a voter any more, once that is committed: it has the best follower stand at once.
func (c *Core) resign() {
	if heir := c.Heir(); heir != "" {
		c.send(heir, &TimeoutNow{})
	}
	c.becomeFollower(c.hard.Term, "")
}
