package consensus

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Admission keeps disks that are empty from voting. An empty disk is either new or lost, and it can't tell which; a lost one
// may have voted in this very term, and acknowledged entries that a majority counts on. So:
//
//   - A server whose disk is empty is not admitted: it follows and stores, but gives no vote, does not stand, and what it
//     acknowledges does not count.
//   - The founders admit themselves when each of them has been asked, and all of them hold nothing: no log, and no term, for which
//     they could have voted. All, not a majority: of three, one may be late and another may have lost what it had with the third. Who
//     is admitted remembers with which disks, so that a founder that missed an answer may follow. And all of them would found it with
//     the same servers: one that lost its disk and another that never got in, each with the file of its own day, are no group.
//   - A leader binds each member's incarnation, the name of its disk, into the configuration when it first hears of it. A server
//     is admitted once its own incarnation is bound in a committed configuration: then it holds everything that its former
//     disks can have acknowledged, hear has taken its vote in the leader's term, and a majority without it knows of no later one.
//   - Answers from another incarnation than the one bound don't count. To come back with an empty disk, a server is removed and
//     added as a new one.
//
// What no software can see: the disks of all founders lost together are a founding.

// founding is what other founders have answered about their disks. It lives in memory only, and until this server is admitted.
type founding struct {
	answers map[ServerID]founderAnswer
	asked   time.Duration // when this server last knocked
}

type founderAnswer struct {
	incarnation uint64
	blank       bool   // and would found a group with the same servers
	founding    uint64 // with which disks it was admitted; 0: it was not, by a founding
}

// isBlank says whether this disk holds nothing, and has promised nothing.
func (c *Core) isBlank() bool { return c.log.last() == 0 && c.hard.Term == 0 }

// knock asks the founders whether their disks are empty, too; a group that exists hears that this server is here.
func (c *Core) knock() {
	if c.isBlank() {
		c.founding.asked = c.now
		c.canvass(1, &VoteRequest{PreVote: true})
	}
}

// hearKnock has this server ask, too, when another one does: all of them need to know of all.
func (c *Core) hearKnock() {
	if !c.hard.Admitted && (c.founding.asked == 0 || c.now-c.founding.asked >= c.cfg.HeartbeatInterval) {
		c.knock()
	}
}

// hearAnswer takes in what a founder says of its disk, in answer to this disk's own question: an older answer may be out of date.
func (c *Core) hearAnswer(m Message, r *VoteResponse) {
	if r.Asker != c.incarnation || !c.config.votes(m.From) {
		return
	}
	if c.founding.answers == nil {
		c.founding.answers = map[ServerID]founderAnswer{}
	}
	c.founding.answers[m.From] = founderAnswer{incarnation: m.Incarnation, blank: r.Blank && r.Founders == c.founders(), founding: r.Founding}
	if c.maybeFound(); c.hard.Admitted { // the first to know stands first, when the others know, too
		c.electionDue = c.now + c.cfg.HeartbeatInterval
	}
}

// introduce says what another founder must know of this server's disk.
func (c *Core) introduce(r *VoteResponse, asked Message) *VoteResponse {
	r.Blank, r.Founding, r.Asker = c.isBlank(), c.hard.Founding, asked.Incarnation
	if r.Blank {
		r.Founders = c.founders()
	}
	return r
}

// maybeFound admits this server when all other founders are as empty as it is, or were when they were admitted together with this
// very disk.
func (c *Core) maybeFound() {
	if c.hard.Admitted || !c.isBlank() || !c.isVoter(c.cfg.ID) || len(c.founding.answers)+1 != len(c.voters) {
		return
	}
	together := c.foundingOf()
	for _, a := range c.founding.answers {
		if !a.blank && a.founding != together {
			return // there is a group already, and this disk is none of its
		}
	}
	c.hard.Admitted, c.hard.Founding = true, together
}

// founders names the servers with which this one would found a group.
func (c *Core) founders() uint64 {
	name := fnv.New64a()
	for _, id := range c.voters {
		fmt.Fprintf(name, "%s\n", id)
	}
	return name.Sum64()
}

// foundingOf names the set of disks that found a group.
func (c *Core) foundingOf() uint64 {
	name := fnv.New64a()
	for _, id := range c.voters {
		incarnation := c.incarnation
		if id != c.cfg.ID {
			incarnation = c.founding.answers[id].incarnation
		}
		fmt.Fprintf(name, "%s %d\n", id, incarnation)
	}
	return name.Sum64()
}

// maybeAdmit admits this server when its disk is bound in a committed configuration.
func (c *Core) maybeAdmit() {
	if c.hard.Admitted {
		return
	}
	committed, _ := c.log.configurationAt(c.commit)
	if self, _ := committed.Member(c.cfg.ID); self.Incarnation == c.incarnation {
		c.hard.Admitted = true
	}
}

// genuine says whether an answer comes from the disk that the configuration knows, or, until it knows one, from the one that answered
// this leader first. That one is bound then; whether its answers count is another question, which it answers itself (progress.admitted):
// an acknowledgement also says that nothing was promised to a later leader, and a lost disk can't know.
func (c *Core) genuine(m Message) bool {
	if member, _ := c.config.Member(m.From); member.Incarnation != 0 {
		return member.Incarnation == m.Incarnation
	}
	if c.role != Leader || c.lead.followers[m.From] == nil {
		return true
	}
	p := c.lead.followers[m.From]
	if p.incarnation == 0 {
		p.incarnation = m.Incarnation
	}
	return p.incarnation == m.Incarnation
}

// bindMembers writes down the incarnations that were met, as soon as a change is allowed.
func (c *Core) bindMembers() {
	if c.mayReconfigure() != nil {
		return
	}
	bound, changed := c.config, false
	for _, m := range c.config.Members {
		met := c.incarnation
		if m.ID != c.cfg.ID {
			met = c.lead.followers[m.ID].incarnation
		}
		if m.Incarnation == 0 && met != 0 {
			m.Incarnation = met
			bound, changed = bound.with(m), true
		}
	}
	if changed {
		c.appendOwn(EntryConfiguration, EncodeConfiguration(bound))
	}
}
