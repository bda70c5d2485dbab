package consensus

// Admission keeps disks that are empty from voting. An empty disk is either new or lost, and it can't tell which; a lost one
// may have voted in this very term, and acknowledged entries that a majority counts on. So:
//
//   - A server whose disk is empty is not admitted: it follows, stores and acknowledges, which is the truth at any time, but
//     gives no vote and does not stand.
//   - The founders admit themselves when a majority of them is known to be empty and none is known not to be. A
//     disk that is lost later meets peers that are not empty, and stays outside.
//   - A leader binds each member's incarnation, the name of its disk, into the configuration when it first hears of it. A server
//     is admitted once its own incarnation is bound in a committed configuration: then it holds everything that its former
//     disks can have acknowledged, and hear has taken its vote in the leader's term.
//   - Answers from another incarnation than the one bound don't count. To come back with an empty disk, a server is removed and
//     added as a new one.
//
// What no software can see: a majority of the founders' disks lost together is a founding.

// blankPeers gathers what other founders say of their disks. It lives in memory only, and until this server is admitted.
type blankPeers struct {
	empty map[ServerID]bool
	group bool // somebody holds a log: there is a group already
}

// knock asks the founders whether their disks are empty, too; a group that exists hears that this server is here.
func (c *Core) knock() {
	if c.isBlank() {
		c.canvass(c.hard.Term+1, &VoteRequest{PreVote: true, Blank: true})
	}
}

// isBlank says whether this disk holds nothing.
func (c *Core) isBlank() bool { return c.log.last() == 0 }

// meet notes whether a peer's disk is empty.
func (c *Core) meet(id ServerID, blank bool) {
	if c.hard.Admitted {
		return
	}
	if !blank {
		c.blank.group = true
	} else if c.config.votes(id) {
		if c.blank.empty == nil {
			c.blank.empty = map[ServerID]bool{}
		}
		c.blank.empty[id] = true
	}
	c.maybeFound()
}

// maybeFound admits this server when it and other founders, a majority together, are all empty.
func (c *Core) maybeFound() {
	founder := !c.hard.Admitted && c.isBlank() && !c.blank.group && c.isVoter(c.cfg.ID)
	if founder && len(c.blank.empty)+1 >= majority(len(c.voters)) {
		c.hard.Admitted = true
	}
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

// genuine says whether an answer comes from the disk that the configuration, or this leader's first contact, knows.
func (c *Core) genuine(m Message) bool {
	if member, found := c.config.Member(m.From); found && member.Incarnation != 0 {
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
