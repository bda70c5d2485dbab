package consensus

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Change is one step from a configuration to the next. One voter at most comes or goes, so that any majority before and any
// majority after have a server in common (thesis §4.1).
type Change struct {
	Kind   ChangeKind
	Member Member // of Promote and Remove, only the id counts
}

// ChangeKind says what a Change does.
type ChangeKind uint8

const (
	// AddLearner adds a server that receives the log and does not vote. One that is a member keeps its role, and has its address
	// changed.
	AddLearner ChangeKind = iota
	// Promote makes a learner that has caught up a voter.
	Promote
	// Remove takes a server out. A leader that removes itself hands over when that is committed.
	Remove
)

func (k ChangeKind) String() string { return [...]string{"add", "promote", "remove"}[k] }

// ErrRefused says that a change of the membership, or a transfer of the leadership, was not made; what is wrapped with it says why. All is
// as it was.
var ErrRefused = errors.New("consensus: refused")

// promotable is how far a learner may be behind the leader's log: a heartbeat or two of a busy group.
const promotable = 1024

// reconfigure follows the log after each append and truncation: the configuration is never patched.
func (c *Core) reconfigure() {
	if _, at := c.log.configuration(); at < c.configAt && planted(ConfigurationKept) {
		return
	}
	c.config, c.configAt = c.log.configuration()
	c.voters = c.config.Voters()
	if c.role == Leader {
		c.followMembers(c.configAt)
	}
}

func (c *Core) isVoter(id ServerID) bool {
	_, found := slices.BinarySearch(c.voters, id)
	return found
}

// mayStand says whether this server may be elected: a voter of the last configuration that it knows to be committed, or of a later
// one. A server that appended its own removal and crashed may be the only one with a log that is good enough (thesis §4.2.2).
func (c *Core) mayStand() bool {
	if !c.hard.Admitted {
		return false
	}
	for _, placed := range c.log.configs {
		if placed.index > c.commit && placed.votes(c.cfg.ID) {
			return true
		}
	}
	committed, _ := c.log.configurationAt(c.commit)
	return committed.votes(c.cfg.ID)
}

// mayReconfigure is nil when a leader may append a configuration: it has committed an entry of its own term, without which its
// change and one that a former leader left uncommitted could rest on majorities that have nobody in common; and the last change
// is committed.
func (c *Core) mayReconfigure() error {
	switch err := c.mayAppend(); {
	case err != nil:
		return err
	case c.commit < c.lead.first && !planted(ChangeTooEarly):
		return fmt.Errorf("%w: the leader has just been elected", ErrNotYet)
	case c.configAt > c.commit && !planted(SecondChange):
		return fmt.Errorf("%w: another change is under way", ErrNotYet)
	}
	return nil
}

// Reconfigure appends a configuration. It takes effect at once, here and wherever it is appended, and lasts when it is committed:
// the returned position tells. A change that changes nothing has no position: index 0.
func (c *Core) Reconfigure(now time.Duration, change Change) (Index, Term, error) {
	c.advance(now)
	if err := c.mayReconfigure(); err != nil {
		return 0, 0, err
	}
	next, err := c.apply(change)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if slices.Equal(next.Members, c.config.Members) {
		return 0, c.hard.Term, nil
	}
	if why := c.endangers(next); why != "" {
		return 0, 0, fmt.Errorf("%w: %s", ErrRefused, why)
	}
	c.appendOwn(EntryConfiguration, EncodeConfiguration(next))
	return c.log.last(), c.hard.Term, nil
}

// apply gives the configuration after a change, or says why there is none.
func (c *Core) apply(change Change) (Configuration, error) {
	m := change.Member
	have, found := c.config.Member(m.ID)
	switch change.Kind {
	case AddLearner:
		return c.added(have, found, m)
	case Promote:
		if !found {
			return Configuration{}, fmt.Errorf("%q is not a member: add it first", m.ID)
		}
		if !have.Voter {
			if err := c.caughtUp(have); err != nil {
				return Configuration{}, err
			}
		}
		have.Voter = true
		return c.config.with(have), nil
	case Remove:
		return c.config.without(m.ID), nil
	}
	return Configuration{}, fmt.Errorf("change %d is not known", change.Kind)
}

func (c *Core) added(have Member, found bool, m Member) (Configuration, error) {
	switch {
	case m.ID == "" || m.Address == "":
		return Configuration{}, errors.New("a member needs an id and an address")
	case found && have.Incarnation != 0 && m.Incarnation != 0 && have.Incarnation != m.Incarnation:
		return Configuration{}, fmt.Errorf("%q is a member with another disk; if that is lost, remove %q, then add it again", m.ID, m.ID)
	case !found && len(c.config.Members) == maxMembers:
		return Configuration{}, fmt.Errorf("there are %d members already", maxMembers)
	}
	for _, other := range c.config.Members {
		if other.Address == m.Address && other.ID != m.ID {
			return Configuration{}, fmt.Errorf("%s is the address of %q", m.Address, other.ID)
		}
	}
	if found {
		have.Address = m.Address
		m = have
	} else {
		m.Voter = false
	}
	return c.config.with(m), nil
}

// caughtUp says why a learner may not vote yet: commits would wait for it, or it would not give its vote.
func (c *Core) caughtUp(m Member) error {
	p := c.lead.followers[m.ID]
	switch behind := c.log.last() - p.match; {
	case m.Incarnation == 0 || !c.present(m.ID):
		return fmt.Errorf("%q has not been heard: start it, and wait until it has caught up", m.ID)
	case !p.admitted:
		return fmt.Errorf("%q does not know yet that it was let in: wait until it has caught up", m.ID)
	case behind > promotable:
		return fmt.Errorf("%q is %d entries behind: wait until it has caught up", m.ID, behind)
	}
	return nil
}

// endangers says why a configuration would leave the group without a majority right away; empty: it does not.
func (c *Core) endangers(next Configuration) string {
	voters := next.Voters()
	var silent []ServerID
	for _, id := range voters {
		if id != c.cfg.ID && (!c.present(id) || !c.lead.followers[id].admitted) {
			silent = append(silent, id)
		}
	}
	switch alive := len(voters) - len(silent); {
	case len(voters) == 0:
		return "nobody would be left to vote"
	case alive < majority(len(voters)):
		return fmt.Sprintf("of the voters that would be left, %d, only %d can be heard, and %d are needed; silent: %q",
			len(voters), alive, majority(len(voters)), silent)
	}
	return ""
}

// followMembers makes the leader's followers those of the configuration. One that was just removed is followed on until it
// knows, so that it does not have to find out. New ones are sent the log from next on, or asked where theirs ends.
func (c *Core) followMembers(next Index) {
	for _, m := range c.config.Members {
		p := c.lead.followers[m.ID]
		if m.ID != c.cfg.ID && (p == nil || p.leaving != 0) { // one that comes back may have another disk
			c.lead.followers[m.ID] = &progress{next: next}
		}
	}
	for id, p := range c.lead.followers {
		if _, found := c.config.Member(id); !found && p.leaving == 0 {
			p.leaving = c.configAt
		}
	}
	c.lead.unbound = slices.ContainsFunc(c.config.Members, func(m Member) bool { return m.Incarnation == 0 })
	c.lead.list()
	c.confirmReads() // fewer may have to answer
}

// dismiss lets go of removed followers that know of it, or are not there to be told.
func (c *Core) dismiss() {
	for id, p := range c.lead.followers {
		if p.leaving == 0 || p.leaving > c.commit {
			continue
		}
		if p.match >= p.leaving && p.told >= p.leaving || !p.heardWithin(c.now, c.cfg.ElectionTimeout) {
			delete(c.lead.followers, id)
		}
	}
	c.lead.list()
}
