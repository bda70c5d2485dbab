package failover

import (
	"slices"
	"time"

	"picket/config"
	"picket/monitor"
)

// fresh is how old an observation may be that a repair acts on.
const fresh = 3 * time.Second

// Repair says what brings stray servers back to their master, outside a failover: an old master that has returned, any other
// server that claims to be one, and replicas that follow nobody or somebody else. It is a pure function.
//
// Nothing is attached to a master that is not certainly alive, or whose process is not the agreed one: one that was restarted may have
// lost what its replicas hold.
func Repair(s Situation) []Action {
	master := s.View.Servers[s.Master]
	if s.mayOpen(master) {
		return []Action{{Kind: Promote, Server: s.Master, RunID: master.Last.RunID, Note: GateOpened}}
	}
	if s.Record != nil || Forbidden(s, false) != nil || !s.alive(s.Master) || master.Last.Loading || stale(s, master) ||
		master.Last.RunID != s.RunID && !planted(EmptyFollowed) {
		return nil
	}
	var actions []Action
	if _, _, fenced := Fenced(master.Last.Fence); fenced && s.Lessee.Agent == "" {
		actions = append(actions, Action{Kind: Unfence, Server: s.Master, Note: FenceRemoved}) // no agent is beside it that would
	}
	for _, a := range s.Replicas {
		server := s.View.Servers[a]
		if a == s.Master || server.State != monitor.Up || server.Last == nil || server.Last.Loading || stale(s, server) {
			continue
		}
		follow := Action{Kind: Follow, Server: a, Master: s.Master, RunID: master.Last.RunID, Note: Reattached}
		switch {
		case server.Last.RunID == master.Last.RunID:
			continue // the master itself, under another address
		case server.Last.Role == "master":
			follow.Note = ConvertedToSlave
		case server.Last.Master == s.Master, Cascades(s.View, s.Replicas, server.Last.Master):
			continue
		}
		actions = append(actions, follow)
	}
	return actions
}

// mayOpen says whether the agreed master was started behind a gate, as a replica of nobody, or with a file from before it was the master, as one of
// its own replicas'; and no replica holds more than it does: then it may be the master again. A replica that was not looked at since might, and so
// might one that loads its data.
func (s Situation) mayOpen(master monitor.Server) bool {
	if s.Record != nil || Forbidden(s, false) != nil || master.Last == nil || master.Last.Role != "slave" ||
		master.Last.Master != Silent && !s.outdated(master.Last) || master.Last.Loading || stale(s, master) {
		return false
	}
	for _, a := range s.Replicas {
		r := s.View.Servers[a]
		if r.State != monitor.Up || r.Last == nil || r.Last.Loading || r.Last.Syncing || !r.Last.At.After(master.RunSince) ||
			monitor.KnowsMore(r.Last, master.Last) {
			return false
		}
	}
	return true
}

// returns says whether the old master could be the master again if the failover was given up.
func (s Situation) returns() bool {
	s.Record = nil
	return s.mayOpen(s.View.Servers[s.Master])
}

// outdated says whether the master follows one of its own replicas, in vain.
func (s Situation) outdated(master *monitor.Observation) bool {
	leader := s.View.Servers[master.Master].Last
	return !master.LinkUp && slices.Contains(s.Replicas, master.Master) && leader != nil && leader.Role == "slave"
}

func stale(s Situation, server monitor.Server) bool { return s.Now.Sub(server.Last.At) > fresh }

// Cascades says whether a replica's master is itself a healthy replica of the group: a chain that somebody built on purpose. Replicas that
// follow each other, each by its outdated file, are none.
func Cascades(v monitor.View, replicas []config.Addr, of config.Addr) bool {
	for range replicas {
		up := v.Servers[of]
		if !slices.Contains(replicas, of) || up.State != monitor.Up || up.Last == nil || up.Last.Role != "slave" {
			return false
		}
		if of = up.Last.Master; !slices.Contains(replicas, of) {
			return true
		}
	}
	return false
}
