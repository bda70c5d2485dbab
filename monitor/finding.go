package monitor

import (
	"fmt"
	"slices"
	"time"
)

// Finding is something about a master's group that people should see to. It leads to no failover, but may keep the next one from going well.
type Finding struct {
	Code   Code   `json:"code"`
	Where  string `json:"where"` // a server, or an agent
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// lasting is how long something must be wrong to be a finding: what passes by itself, or is repaired, does not matter.
const lasting = 3 * time.Second

// Find lists what is wrong with a group besides what Judge says; agents are all members. It is for the time between failovers: within one,
// replicas are detached on purpose. It is a pure function.
func Find(q Question, v View, agents []string) []Finding {
	var list []Finding
	if master := v.Servers[q.Master]; master.State == Up && master.Last != nil && master.Last.Role == "master" {
		if master.Last.Disk != "" {
			list = append(list, Finding{DiskErrorMaster, string(q.Master), "the master can't write its data: " + master.Last.Disk,
				"free or repair its disk: a server that can't save may refuse writes (MISCONF)"})
		}
		for _, a := range q.Replicas {
			if f := strayed(q, v, v.Servers[a]); f != nil {
				list = append(list, *f)
			}
		}
	}
	for _, agent := range agents {
		if !slices.ContainsFunc(v.Opinions[q.Master], func(o Opinion) bool { return o.Agent == agent }) {
			list = append(list, Finding{AgentDown, agent, "the agent says nothing about the master",
				"start it, or mend the network to it; where it is gone for good: picket members remove " + agent})
		}
	}
	return list
}

// strayed says what is wrong with a replica of a master that is well; nil: nothing.
func strayed(q Question, v View, r Server) *Finding {
	master := v.Servers[q.Master].Last
	remedy := fmt.Sprintf("Picket has it follow the master, unless that is blocked; by hand: REPLICAOF %s %d", q.Master.Host(), q.Master.Port())
	switch o := r.Last; {
	case r.State != Up || o == nil || o.RunID == master.RunID:
		return nil // or the master itself, under another address
	case o.Role == "master" && v.Now.Sub(r.RoleSince) >= lasting:
		return &Finding{MultiMaster, string(r.Addr), "it says that it is a master as well", remedy}
	case o.Role == "master" || v.Now.Sub(r.FollowsAt) < lasting:
		return nil
	case o.Master != q.Master && !slices.Contains(q.Replicas, o.Master):
		return &Finding{ReplicaOfUnknown, string(r.Addr), fmt.Sprintf("the replica follows %s, which is no server of %s", o.Master, q.Name), remedy}
	case !o.LinkUp && o.LinkDown >= lasting:
		return &Finding{ReplicaLinkDown, string(r.Addr), fmt.Sprintf("the replica has had no link to %s for %s", o.Master, o.LinkDown),
			"look at its log: it may lack masterauth, or be cut off from the master"}
	}
	return nil
}
