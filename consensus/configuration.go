package consensus

import (
	"cmp"
	"slices"
)

// Member is one server of the group.
type Member struct {
	ID      ServerID
	Address string // for the transport; Raft itself does not look at it
	// Incarnation names the member's disk: an id that comes back with another one has forgotten what it promised. 0: no
	// leader has met the member yet.
	Incarnation uint64
	// Voter: it counts in elections and commits. A learner only receives the log, until it has caught up.
	Voter bool
}

// Configuration lists the servers of the group. The one in force is a pure function of snapshot and log: the latest in
// the log, committed or not, else the snapshot's (Raft §6).
type Configuration struct {
	Members []Member // sorted by id
}

// NewConfiguration sorts members.
func NewConfiguration(members ...Member) Configuration {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return Configuration{members}
}

// Voters lists the ids of the members that vote, sorted.
func (c Configuration) Voters() []ServerID {
	var ids []ServerID
	for _, m := range c.Members {
		if m.Voter {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// Member finds a server.
func (c Configuration) Member(id ServerID) (Member, bool) {
	i, found := c.find(id)
	if !found {
		return Member{}, false
	}
	return c.Members[i], true
}

func (c Configuration) votes(id ServerID) bool {
	m, _ := c.Member(id)
	return m.Voter
}

func (c Configuration) find(id ServerID) (int, bool) {
	return slices.BinarySearchFunc(c.Members, id, func(m Member, id ServerID) int { return cmp.Compare(m.ID, id) })
}

// with returns a copy in which m stands instead of the member of its id, or is added.
func (c Configuration) with(m Member) Configuration {
	members := slices.Clone(c.Members)
	i, found := c.find(m.ID)
	if found {
		members[i] = m
	} else {
		members = slices.Insert(members, i, m)
	}
	return Configuration{members}
}

// without returns a copy that lacks a member.
func (c Configuration) without(id ServerID) Configuration {
	return Configuration{slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool { return m.ID == id })}
}

// unusable says why nobody could work with a configuration; empty: it is fine. A leader appends no such one: it would come from
// a peer that is not correct.
func (c Configuration) unusable() string {
	switch {
	case len(c.Voters()) == 0:
		return "nobody votes"
	case len(c.Members) > maxMembers:
		return "it has too many members"
	case !c.ascends():
		return "it is not sorted, or names a member twice"
	}
	return ""
}

func (c Configuration) ascends() bool {
	for i := 1; i < len(c.Members); i++ {
		if c.Members[i-1].ID >= c.Members[i].ID {
			return false
		}
	}
	return true
}

// maxMembers bounds a configuration: each member costs the leader a connection and a progress.
const maxMembers = 64
