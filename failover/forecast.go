package failover

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"picket/config"
	"picket/monitor"
)

// Failure is what is thought away: servers that refuse connections, and agents that are silent.
type Failure struct {
	Servers []config.Addr `json:"servers"`
	Agents  []string      `json:"agents,omitempty"`
}

// Forecast is what would happen upon a failure.
type Forecast struct {
	Failure  Failure  `json:"failure"`
	Decision Decision `json:"decision"`
	// Then is who would be promoted if the master failed as well; absent: it is among the failed.
	Then *Imagined `json:"then,omitempty"`
	// Within is about how long clients would wait for the new master, and Silent if the servers' hosts are gone, so that not even a
	// refusal comes back; 0: there would be none.
	Within time.Duration `json:"-"`
	Silent time.Duration `json:"-"`
	// Promise says what becomes of writes that clients waited for.
	Promise string `json:"promise,omitempty"`
}

// steps is about how long an election, the cut, the promotion and the commits between them take.
const steps = 20 * time.Millisecond

// Predict runs the decisions on a picture in which something failed. voters are the agents that elect a leader. It is a pure function; nothing
// is touched.
func Predict(s Situation, q monitor.Question, leader string, voters []string, last *Record, f Failure) Forecast {
	left := 0
	for _, v := range voters {
		if !slices.Contains(f.Agents, v) {
			left++
		}
	}
	if slices.Contains(f.Agents, leader) {
		leader = "" // another one is elected, or none
	}
	s.View = without(s.View, f)
	s.Verdict = monitor.Judge(q, s.View)
	blocker := Doubted(s.Verdict)
	if s.Verdict.ObjectivelyDown {
		blocker = MayBegin(s, CauseDown, last)
	}
	if majority := NoMajority(); left <= len(voters)/2 && slices.Contains(f.Servers, s.Master) {
		blocker = &majority
	}
	forecast := Forecast{Failure: f, Decision: Explain(s, leader, blocker)}
	switch outlook := forecast.Decision.Outlook; {
	case outlook != nil && blocker == nil:
		forecast.time(s, outlook)
	case !slices.Contains(f.Servers, s.Master):
		s.View = without(s.View, Failure{Servers: []config.Addr{s.Master}})
		then := s.outlook(0)
		forecast.Then = &then
	}
	return forecast
}

// time says how long it would take, and what it would cost.
func (f *Forecast) time(s Situation, outlook *Imagined) {
	d := s.Settings.Durability
	if b := outlook.Blocker; b != nil && b.Reason == reasonMissing && d.OnQuorumMissing == config.MissingPromote {
		*outlook = s.outlook(d.PromoteAfter)
		f.Within = d.PromoteAfter
	}
	if outlook.Target == "" {
		f.Within = 0
		return
	}
	switch {
	case d.Wait == 0:
		f.Promise = "durability.wait is 0: writes that the promoted replica had not received are lost"
	case f.Within > 0:
		f.Promise = fmt.Sprintf("writes that clients waited for may be lost: durability.promote-after, %s, would be over", d.PromoteAfter)
	default:
		f.Promise = fmt.Sprintf("no write that a client waited for is lost: WAIT %d", d.Wait)
	}
	f.Within += steps
	f.Silent = f.Within + s.Settings.DownAfter
	f.Within += s.Settings.CrashGrace
	if s.Lessee.Agent == "" || s.Settings.LeaseLoss == config.LeaseOff || !slices.Contains(f.Failure.Agents, s.Lessee.Agent) {
		return // there is no lease, or its holder lets go of it
	}
	lease := Outlast(s.Settings.Lease)
	f.Within += lease
	f.Silent += max(0, lease-s.Settings.DownAfter) // it runs out meanwhile
	if s.Settings.LeaseLoss == config.LeaseReplicas {
		proof := Outlast(ProofFor(s.Settings.Lease))
		f.Within, f.Silent = f.Within+proof, f.Silent+proof
	}
}

// without is a view after a failure that all agents have noticed: what came from the servers before is no sign of life since.
func without(v monitor.View, f Failure) monitor.View {
	v.Servers, v.Opinions = maps.Clone(v.Servers), maps.Clone(v.Opinions)
	for a, list := range v.Opinions {
		list = slices.DeleteFunc(slices.Clone(list), func(o monitor.Opinion) bool { return slices.Contains(f.Agents, o.Agent) })
		for i := range list {
			if slices.Contains(f.Servers, a) {
				list[i].State, list[i].Evidence, list[i].Age = monitor.Down, monitor.Refused, 0
			}
		}
		v.Opinions[a] = list
	}
	for _, a := range f.Servers {
		server := v.Servers[a]
		server.Addr, server.State, server.Evidence, server.Connected = a, monitor.Down, monitor.Refused, false
		server.Since, server.Lost = v.Now, v.Now
		v.Servers[a] = server
	}
	return v
}
