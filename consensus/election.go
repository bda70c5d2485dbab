package consensus

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// majority of n voters.
func majority(n int) int { return n/2 + 1 }

// startPreVote asks whether an election could be won, without raising the term (thesis §9.6): a server that is cut off, or
// whose log is behind, disturbs nobody.
func (c *Core) startPreVote() {
	c.armElection()
	c.becomeFollower(c.hard.Term, "") // a pre-candidate knows no leader, and grants others what it asks for
	switch {
	case !c.hard.Admitted:
		c.knock()
		return
	case !c.mayStand():
		return
	}
	c.role = PreCandidate
	c.ballots = map[ServerID]bool{c.cfg.ID: true}
	if c.tally() {
		c.startElection(nil, false)
		return
	}
	c.canvass(c.hard.Term+1, c.application(&VoteRequest{PreVote: true}))
}

// startElection enters a new term as its candidate. The requests leave once the own vote is on disk.
func (c *Core) startElection(reason []byte, transfer bool) {
	c.becomeFollower(c.hard.Term+1, "")
	c.role = Candidate
	c.hard.Vote = c.cfg.ID
	c.reason = slices.Clone(reason)
	c.ballots = map[ServerID]bool{} // the own vote counts when it is durable
	c.armElection()
	c.canvass(c.hard.Term, c.application(&VoteRequest{Reason: c.reason, Transfer: transfer}))
}

// application adds how good this server's log is.
func (c *Core) application(r *VoteRequest) *VoteRequest {
	r.LastIndex, r.LastTerm = c.log.last(), c.log.lastTerm()
	return r
}

func (c *Core) canvass(t Term, request *VoteRequest) {
	for _, id := range c.voters {
		if id == c.cfg.ID {
			continue
		}
		m := c.message(id, t, request)
		if request.PreVote {
			c.out.now = append(c.out.now, m) // claims nothing
		} else {
			c.out.later = append(c.out.later, m)
		}
	}
}

// Campaign starts a failure election at once: past pre-vote and, at the voters, past stickiness. The new term is
// returned; an error when this server's own Veto refuses or it may not campaign.
func (c *Core) Campaign(now time.Duration, reason []byte) (Term, error) {
	c.advance(now)
	if len(reason) == 0 {
		return 0, errors.New("consensus: a failure election needs a reason")
	}
	if !c.mayStand() {
		return 0, errors.New("consensus: only a voter may campaign, and only one whose disk was not empty when it met the group")
	}
	if why := c.veto(c.cfg.ID, reason); why != "" {
		return 0, fmt.Errorf("%w by %s: %s", ErrVetoed, c.cfg.ID, why)
	}
	c.startElection(reason, false)
	return c.hard.Term, nil
}

func (c *Core) veto(candidate ServerID, reason []byte) string {
	if c.cfg.Veto == nil || len(reason) == 0 {
		return ""
	}
	return c.cfg.Veto(candidate, reason)
}

// handleVoteRequest grants, refuses, or leaves the term alone. A request that is refused because a leader lives, or by the veto,
// must not raise the term: it would depose that leader.
func (c *Core) handleVoteRequest(m Message, r *VoteRequest) {
	refuse := func(why string) {
		answer := c.introduce(&VoteResponse{PreVote: r.PreVote, Refusal: why}, m)
		if r.PreVote || m.Term < c.hard.Term {
			c.send(m.From, answer) // our term tells whether the candidate is behind
			return
		}
		c.out.now = append(c.out.now, c.message(m.From, m.Term, answer))
	}
	c.hearKnock()
	if !c.hard.Admitted && !planted(BlankVotes) {
		refuse("its disk is empty, and nobody has let it in yet")
		return
	}
	if m.Term < c.hard.Term || r.PreVote && m.Term == c.hard.Term {
		refuse("a later term has begun")
		return
	}
	if why := c.standsBy(m, r); why != "" {
		refuse(why)
		return
	}
	if !c.log.upToDate(r.LastIndex, r.LastTerm) && !planted(LogIgnored) {
		if !r.PreVote && m.Term > c.hard.Term {
			c.becomeFollower(m.Term, "")
		}
		refuse(fmt.Sprintf("its log ends at %d of term %d, this one at %d of term %d",
			r.LastIndex, r.LastTerm, c.log.last(), c.log.lastTerm()))
		return
	}
	if r.PreVote {
		// Promises nothing and resets no timer.
		c.out.now = append(c.out.now, c.message(m.From, m.Term, c.introduce(&VoteResponse{PreVote: true, Granted: true}, m)))
		return
	}
	if m.Term > c.hard.Term {
		c.becomeFollower(m.Term, "")
	}
	c.castVote(m, r, refuse)
}

// standsBy says why a server does not even consider a request of a newer or its own term: a live leader (stickiness), unless the
// election has a reason, and then the veto.
func (c *Core) standsBy(m Message, r *VoteRequest) string {
	if len(r.Reason) > 0 {
		return c.veto(m.From, r.Reason)
	}
	if c.leader == m.From || r.Transfer {
		return "" // the known leader itself may ask again, and may have asked the candidate to
	}
	if c.role == Leader || c.leader != "" && c.now-c.contact < c.cfg.ElectionTimeout {
		return fmt.Sprintf("%s leads in term %d", c.leader, c.hard.Term)
	}
	return ""
}

// castVote is in the request's term, and the candidate's log is good enough.
func (c *Core) castVote(m Message, r *VoteRequest, refuse func(string)) {
	switch {
	case c.role == Leader:
		refuse("it leads this term itself")
		return
	case c.hard.Vote != "" && c.hard.Vote != m.From:
		refuse("it voted for " + string(c.hard.Vote))
		return
	}
	c.hard.Vote = m.From
	c.reason = slices.Clone(r.Reason)
	c.armElection()
	c.sendLater(m.From, &VoteResponse{Granted: true})
}

func (c *Core) handleVoteResponse(m Message, r *VoteResponse) {
	if !c.hard.Admitted {
		c.hearAnswer(m, r)
		return
	}
	asked := c.hard.Term // the term of the request that is answered
	if r.PreVote && r.Granted {
		asked++
	}
	switch {
	case m.Term > asked:
		c.becomeFollower(m.Term, "")
		return
	case m.Term < asked && !planted(ForeignVotes), r.PreVote && c.role != PreCandidate, !r.PreVote && c.role != Candidate:
		return // an answer to something that is over
	case !c.isVoter(m.From) || !c.genuine(m):
		return
	}
	if _, counted := c.ballots[m.From]; counted {
		return
	}
	c.ballots[m.From] = r.Granted
	if !c.tally() {
		return
	}
	if r.PreVote {
		c.startElection(nil, false)
	} else {
		c.becomeLeader()
	}
}

// countOwnVote counts the candidate's vote for itself once it is on disk.
func (c *Core) countOwnVote() {
	if c.disk.hard != c.hard {
		return
	}
	c.ballots[c.cfg.ID] = true
	if c.tally() {
		c.becomeLeader()
	}
}

// tally says whether a majority of the voters granted.
func (c *Core) tally() bool {
	granted := 0
	for _, id := range c.voters {
		if c.ballots[id] {
			granted++
		}
	}
	return granted >= majority(len(c.voters))
}
