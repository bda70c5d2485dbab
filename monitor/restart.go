package monitor

import "fmt"

// restarted tells of a master whose process is not the one that the agents agreed on, and that has lost something which a replica still
// holds; an empty code: nothing is wrong with it. That is a fact, which needs no quorum: no network trouble can look like it. An intended
// FLUSHALL is none, because the process stays.
func restarted(q Question, v View, own Server) (Code, string) {
	o := own.Last
	if q.AcceptEmpty || q.RunID == "" || own.State != Up || o == nil || o.Role != "master" || o.RunID == q.RunID {
		return "", ""
	}
	for _, addr := range q.Replicas {
		r := v.Servers[addr]
		if r.State != Up || r.Last == nil || !KnowsMore(r.Last, o) {
			continue
		}
		if o.Keys == 0 {
			return EmptyMaster, fmt.Sprintf("%s was restarted and has no data; replica %s holds %d keys", q.Master, addr, r.Last.Keys)
		}
		return RestartedMaster, fmt.Sprintf("%s was restarted with an older state than that of replica %s, or with one that can't be compared",
			q.Master, addr)
	}
	return "", ""
}

// KnowsMore says whether a replica holds something that a master which was restarted does not. A master that was restarted from an RDB file
// keeps its history, in its second replication id; from an append-only file it does not, and then nobody can tell.
func KnowsMore(replica, master *Observation) bool {
	if replica.Role == "master" && replica.RunID != master.RunID {
		return master.Keys == 0 && replica.Keys > 0 // a former master may be the last that has anything
	}
	if replica.Role != "slave" || replica.Loading || replica.Syncing {
		return false
	}
	switch replica.ReplID {
	case master.ReplID:
		// One that follows it is fed by it: it seems to be ahead where it was looked at later.
		return replica.Offset > master.Offset && !(master.Role == "master" && replica.LinkUp && replica.Master == master.Server)
	case master.ReplID2:
		return replica.Offset >= master.Second
	}
	return replica.Keys > 0
}
