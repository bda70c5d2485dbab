package failover

import (
	"fmt"
	"time"

	"picket/config"
	"picket/monitor"
)

// Decision is what was made of what was seen of a master, at one moment, by one agent.
type Decision struct {
	At      time.Time    `json:"at"`
	Epoch   uint64       `json:"epoch"`
	Leader  string       `json:"leader"` // agent; empty: unknown
	Master  config.Addr  `json:"master"`
	Code    monitor.Code `json:"code"` // the diagnosis
	Rule    monitor.Rule `json:"rule"` // that it rests on
	Text    string       `json:"text"`
	Verdict string       `json:"verdict"`         // healthy, suspected, failover, blocked or in-progress
	Phase   Phase        `json:"phase,omitempty"` // of the failover that runs
	Blocker *Blocker     `json:"blocker,omitempty"`
	Servers []Sight      `json:"servers"` // the master first
	// Outlook is who would be promoted, by what was seen last; absent: the master is not down, or somebody was chosen.
	Outlook *Imagined `json:"outlook,omitempty"`
}

// Sight is a server as it was seen.
type Sight struct {
	Server   config.Addr   `json:"server"`
	State    string        `json:"state"`
	Evidence string        `json:"evidence"`
	For      time.Duration `json:"-"`        // since it is in that state
	Opinions []Word        `json:"opinions"` // of all agents
	// Of the latest INFO:
	Age      time.Duration `json:"-"` // negative: there is none, and nothing below is known
	Role     string        `json:"role,omitempty"`
	LinkUp   bool          `json:"link_up"`
	Offset   int64         `json:"offset"`
	Lag      int64         `json:"lag"` // bytes behind the master; -1: unknown
	Priority int           `json:"priority"`
	Zone     string        `json:"zone,omitempty"`
}

// Word is an agent's opinion of a server.
type Word struct {
	Agent    string        `json:"agent"`
	State    string        `json:"state"`
	Evidence string        `json:"evidence"`
	Age      time.Duration `json:"-"` // since when it holds
}

// Explain tells what a situation leads to, and why. blocker is what keeps a failover from beginning or from going on, if anything
// does. It is a pure function.
func Explain(s Situation, leader string, blocker *Blocker) Decision {
	d := Decision{
		At: s.Now, Epoch: s.Epoch, Leader: leader, Master: s.Master, Code: s.Verdict.Code, Rule: s.Verdict.Rule, Text: s.Verdict.Text,
		Blocker: blocker, Servers: []Sight{s.sight(s.Master)},
	}
	for _, a := range s.Replicas {
		d.Servers = append(d.Servers, s.sight(a))
	}
	switch {
	case blocker != nil:
		d.Verdict = "blocked"
	case s.Record != nil:
		d.Verdict = "in-progress"
	case s.Verdict.ObjectivelyDown:
		d.Verdict = "failover"
	case s.Verdict.Code == monitor.Healthy:
		d.Verdict = "healthy"
	default:
		d.Verdict = "suspected"
	}
	if s.Record != nil {
		d.Phase = s.Record.Phase
	}
	if s.Verdict.ObjectivelyDown && d.Phase <= Begun {
		outlook := s.outlook(0)
		d.Outlook = &outlook
	}
	return d
}

func (s Situation) sight(a config.Addr) Sight {
	server := s.View.Servers[a]
	sight := Sight{
		Server: a, State: server.State.String(), Evidence: server.Evidence.String(), Opinions: []Word{}, Age: -1, Lag: -1, Zone: s.Zone[a],
	}
	if !server.Since.IsZero() {
		sight.For = s.Now.Sub(server.Since)
	}
	for _, o := range s.View.Opinions[a] {
		sight.Opinions = append(sight.Opinions, Word{o.Agent, o.State.String(), o.Evidence.String(), o.Age})
	}
	if o := server.Last; o != nil {
		sight.Age, sight.Role, sight.LinkUp, sight.Offset, sight.Priority = s.Now.Sub(o.At), o.Role, o.LinkUp, o.Offset, o.Priority
		sight.Lag = Lacks(s.View.Servers[s.Master].Last, o)
	}
	return sight
}

// Lacks is how many bytes of what a master had a replica did not have, when each was seen last; -1: unknown.
func Lacks(master, replica *monitor.Observation) int64 {
	if master == nil || replica == nil || master.Role != "master" || replica.Role != "slave" {
		return -1
	}
	return max(0, master.Offset-replica.Offset)
}

// Same says whether two decisions differ in nothing that matters.
func (d Decision) Same(other Decision) bool {
	reason := func(b *Blocker) string {
		if b == nil {
			return ""
		}
		return b.Reason
	}
	return d.Code == other.Code && d.Rule == other.Rule && d.Verdict == other.Verdict && d.Phase == other.Phase && d.Master == other.Master &&
		reason(d.Blocker) == reason(other.Blocker)
}

// Doubted says why a master that some find down is not failed over, where people can do something about it; nil: it is not down for
// anybody, or the other agents simply find it up. It is a pure function.
func Doubted(v monitor.Verdict) *Blocker {
	switch v.Rule {
	case monitor.TooFewAgents:
		return &Blocker{"no-quorum", fmt.Sprintf("only %d of the %d agents that are needed find it down, and the others say nothing", len(v.Down), v.Quorum),
			"start the other agents, or mend the network between them"}
	case monitor.ReplicaIsFed:
		return &Blocker{"replica-is-fed", fmt.Sprintf("replica %s %s: the agents are cut off from the master, not its replicas",
			v.Life[0].Replica, v.Life[0].Text), "mend the network between the agents and the master"}
	}
	return nil
}

// NoMajority is what blocks agents that can't elect a leader.
func NoMajority() Blocker {
	return Blocker{"no-majority", "no majority of the agents is connected, so nothing can be decided",
		"start the other agents, or mend the network between them"}
}

// stuckAfter is how long the choice may take until it seems to be stuck.
const stuckAfter = time.Second

// Stuck guesses what keeps a failover that runs from going on: only its leader knows, but by what is seen here it may be clear. nil: nothing
// seems to. It is a pure function.
func Stuck(s Situation) *Blocker {
	if s.Record == nil || s.Record.Phase != Begun || !s.Verdict.ObjectivelyDown || s.Now.Sub(s.Record.BegunAt.Time()) < stuckAfter {
		return nil
	}
	return s.outlook(0).Blocker
}

// outlook says who would be promoted, as if nothing kept a failover from beginning, and as if it had waited for replicas for a while. The
// replicas, as they were last seen, stand for those that would be cut and read.
func (s Situation) outlook(waited time.Duration) Imagined {
	k := Knowledge{Began: s.Now.Add(-waited)}
	k.Since = k.Began
	if s.Record == nil {
		record, err := Begin(BeginStep(s, CauseDown), 1)
		if err != nil {
			b := Blocker{"no-term", err.Error(), "wait for a leader"}
			return Imagined{Why: b.Text, Blocker: &b, Lost: -1}
		}
		s.Record = record
	} else {
		k.Began = s.Record.BegunAt.Time()
		k.Since = k.Began
	}
	var read []*monitor.Observation
	for _, a := range s.candidates() {
		if server := s.View.Servers[a]; server.State == monitor.Up && server.Last != nil {
			read = append(read, server.Last)
		}
	}
	var promote *Step
	b := noCandidate("no replica can be reached")
	if len(read) > 0 {
		promote, b = s.promotion(k, read)
	}
	if b != nil {
		return Imagined{Why: b.Text, Blocker: b, Lost: -1}
	}
	i := Imagined{Target: promote.Target, Why: promote.Why, Candidates: promote.Candidates}
	i.Lost = Lacks(s.View.Servers[s.Record.Old].Last, s.View.Servers[i.Target].Last)
	return i
}
