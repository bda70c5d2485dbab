package sim

import (
	"picket/consensus"
	"picket/consensus/vfs"
)

// maxMembers of a group; while there are fewer, others may join.
const maxMembers = 6

// founders makes voters of ids.
func founders(ids []consensus.ServerID) []consensus.Member {
	var members []consensus.Member
	for _, id := range ids {
		members = append(members, consensus.Member{ID: id, Address: string(id), Voter: true})
	}
	return members
}

// leader is somebody who believes to lead; nil: nobody does.
func (s *Sim) leader() *server {
	var leaders []*server
	for _, id := range s.ids {
		if sv := s.servers[id]; sv.leads() {
			leaders = append(leaders, sv)
		}
	}
	if len(leaders) == 0 {
		return nil
	}
	return leaders[s.rng.IntN(len(leaders))]
}

func (s *Sim) transfer() {
	if sv := s.leader(); sv != nil {
		_ = sv.core.Transfer(sv.clock(), s.ids[s.rng.IntN(len(s.ids))]) // it may be refused
		sv.settle()
	}
}

// administer does what an operator may do. While a disk is lost it is replaced, and nothing else is changed: a second change could
// need the lost one's vote.
func (s *Sim) administer() {
	sv := s.leader()
	switch {
	case sv == nil:
	case s.lost != "":
		s.replaceLost(sv)
	case s.chance(s.faults.wipe):
		s.loseDisk()
	default:
		members := sv.core.Status(sv.clock()).Members
		victim := members[s.rng.IntN(len(members))]
		switch s.rng.IntN(3) {
		case 0:
			s.join(sv, s.ids[s.rng.IntN(len(s.ids))], len(members))
		case 1:
			sv.change(consensus.Promote, victim)
		case 2:
			sv.change(consensus.Remove, victim)
		}
	}
}

// join has a server let in that is no member and has nothing on its disk.
func (s *Sim) join(leader *server, id consensus.ServerID, members int) {
	committed := s.check.config
	_, member := committed.Member(id)
	if member || members >= maxMembers || len(committed.Members) == 0 || s.check.mayBeLetIn(id) {
		return
	}
	sv := s.servers[id]
	if sv.disk == nil || sv.core != nil && sv.core.Status(sv.clock()).Admitted {
		sv.wipe(committed)
	}
	if sv.core != nil { // else it may have been let in already, and nobody knows
		leader.change(consensus.AddLearner, sv.member())
	}
}

// loseDisk makes a voter begin anew with nothing: one at a time, and only where everybody is of one mind about the members, so that
// no majority is lost.
func (s *Sim) loseDisk() {
	id := s.ids[s.rng.IntN(len(s.ids))]
	config := s.check.config
	member, _ := config.Member(id)
	if !member.Voter || member.Incarnation == 0 || len(config.Voters()) < 3 {
		return
	}
	for _, other := range config.Members {
		if !s.check.settled(other.ID, config) {
			return
		}
	}
	s.lost = id
	s.servers[id].wipe(config)
}

// replaceLost takes the server whose disk is lost out, and lets it in again.
func (s *Sim) replaceLost(leader *server) {
	config, sv := s.check.config, s.servers[s.lost]
	member, found := config.Member(s.lost)
	switch {
	case sv.core == nil:
	case found && member.Incarnation != sv.incarnation:
		leader.change(consensus.Remove, member)
	case !found:
		leader.change(consensus.AddLearner, sv.member())
	case !member.Voter:
		leader.change(consensus.Promote, member)
	default:
		s.lost = ""
	}
}

// member is how the server asks to be let in.
func (sv *server) member() consensus.Member {
	return consensus.Member{ID: sv.id, Address: string(sv.id), Incarnation: sv.incarnation}
}

// change asks a leader for a change of the membership; it may refuse.
func (sv *server) change(kind consensus.ChangeKind, m consensus.Member) {
	if !sv.leads() {
		return
	}
	index, _, err := sv.core.Reconfigure(sv.clock(), consensus.Change{Kind: kind, Member: m})
	if err == nil && index != 0 {
		sv.sim.result.Changes++
	}
	sv.sim.note("%s is asked to %s %s: %v", sv.id, kind, m.ID, err)
	sv.settle()
}

// wipe begins anew with an empty disk; the server's file names the members that there are, and itself.
func (sv *server) wipe(members consensus.Configuration) {
	sv.crash(false)
	sv.disk = vfs.NewMem()
	sv.founders = nil
	for _, m := range members.Members {
		if m.ID != sv.id {
			sv.founders = append(sv.founders, consensus.Member{ID: m.ID, Address: m.Address, Voter: true})
		}
	}
	sv.founders = append(sv.founders, consensus.Member{ID: sv.id, Address: string(sv.id), Voter: true})
	sv.sim.check.wiped(sv.id)
	sv.sim.note("%s has an empty disk", sv.id)
	sv.boot()
}
