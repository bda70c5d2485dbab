package failover

import (
	"fmt"
	"time"

	"picket/config"
	"picket/monitor"
)

// Decision is what was made of what was seen of a master, at one moment, by one agent.
type Decision struct {
	At       time.Time    `json:"at"`
	Epoch    uint64       `json:"epoch"`
	Leader   string       `json:"leader"` // agent; empty: unknown
	Master   config.Addr  `json:"master"`
	Code     monitor.Code `json:"code"` // of the diagnosis: the rule that fired
	Text     string       `json:"text"`
	Verdict  string       `json:"verdict"` // healthy, suspected, in-progress, blocked or failover
	Blocker  *Blocker     `json:"blocker,omitempty"`
	Opinions []Word       `json:"opinions"`
	Replicas []Sight      `json:"replicas"`
}

// Word is an agent's opinion of the master.
type Word struct {
	Agent string        `json:"agent"`
	State string        `json:"state"` // up, down or unknown
	Age   time.Duration `json:"age"`   // since when, in nanoseconds
}

// Sight is a replica as this agent saw it.
type Sight struct {
	Server config.Addr   `json:"server"`
	State  string        `json:"state"`
	LinkUp bool          `json:"link_up"`
	Offset int64         `json:"offset"`
	Age    time.Duration `json:"age"` // of the observation, in nanoseconds; negative: there is none
}

// States are the words for what a server is found to be.
var States = map[monitor.State]string{monitor.Unknown: "unknown", monitor.Up: "up", monitor.Down: "down"}

// Explain tells what a situation leads to, and why. blocker is what keeps a failover from beginning, if anything does. It is a pure
// function.
func Explain(s Situation, leader string, blocker *Blocker) Decision {
	d := Decision{
		At: s.Now, Epoch: s.Epoch, Leader: leader, Master: s.Master, Code: s.Verdict.Code, Text: s.Verdict.Text, Blocker: blocker,
		Opinions: []Word{}, Replicas: []Sight{},
	}
	switch {
	case s.Record != nil:
		d.Verdict = "in-progress"
	case blocker != nil:
		d.Verdict = "blocked"
	case s.Verdict.ObjectivelyDown:
		d.Verdict = "failover"
	case s.Verdict.Code == monitor.Healthy:
		d.Verdict = "healthy"
	default:
		d.Verdict = "suspected"
	}
	for _, o := range s.View.Opinions[s.Master] {
		d.Opinions = append(d.Opinions, Word{o.Agent, States[o.State], o.Age})
	}
	for _, a := range s.Replicas {
		server := s.View.Servers[a]
		sight := Sight{Server: a, State: States[server.State], Age: -1}
		if o := server.Last; o != nil {
			sight.LinkUp, sight.Offset, sight.Age = o.LinkUp, o.Offset, s.Now.Sub(o.At)
		}
		d.Replicas = append(d.Replicas, sight)
	}
	return d
}

// Same says whether two decisions differ in nothing that matters.
func (d Decision) Same(other Decision) bool {
	reason := func(b *Blocker) string {
		if b == nil {
			return ""
		}
		return b.Reason
	}
	return d.Code == other.Code && d.Verdict == other.Verdict && d.Master == other.Master && reason(d.Blocker) == reason(other.Blocker)
}

// Forecast is what would happen if some servers failed now.
type Forecast struct {
	Failed   []config.Addr `json:"failed"`
	Decision Decision      `json:"decision"`
	// Target would be promoted; empty: nobody.
	Target     config.Addr `json:"target,omitempty"`
	Why        string      `json:"why"`
	Candidates []Candidate `json:"candidates,omitempty"`
	// Lost is how many bytes the target lacks of what the master had when it was seen last; -1: unknown.
	Lost int64 `json:"lost"`
	// Within is about how long clients would wait for the new master, in nanoseconds; 0: for ever, or not at all.
	Within time.Duration `json:"within"`
}

// steps is about how long an election, the cut, the promotion and the commits between them take.
const steps = 20 * time.Millisecond

// Predict runs the decisions on a picture in which some servers refuse connections: whether there would be a failover, to whom, and what would be
// lost. Agents beside the failed servers live on. It is a pure function; nothing is touched.
func Predict(s Situation, q monitor.Question, leader string, failed []config.Addr, last *Record) Forecast {
	s.View = altered(s.View, failed)
	s.Verdict = monitor.Judge(q, s.View)
	f := Forecast{Failed: failed, Lost: -1}
	if !s.Verdict.ObjectivelyDown {
		f.Decision, f.Why = Explain(s, leader, nil), "no failover would begin: "+s.Verdict.Text
		return f
	}
	blocker := MayBegin(s, CauseDown, last)
	f.Decision = Explain(s, leader, blocker)
	if blocker != nil {
		f.Why = "no failover would begin: " + blocker.Text + "; " + blocker.Remedy
		return f
	}
	imagined, b := Imagine(s, last)
	if b != nil {
		f.Why = b.Text
		return f
	}
	f.Target, f.Why, f.Candidates = imagined.Target, imagined.Why, imagined.Candidates
	if f.Target == "" {
		return f
	}
	if master, target := s.View.Servers[s.Master].Last, s.View.Servers[f.Target].Last; master != nil && master.Role == "master" {
		f.Lost = max(0, master.Offset-target.Offset)
	}
	f.Within = s.Settings.CrashGrace + steps
	return f
}

// altered is a view in which servers have refused connections for long, to all agents.
func altered(v monitor.View, failed []config.Addr) monitor.View {
	servers, opinions := make(map[config.Addr]monitor.Server, len(v.Servers)), make(map[config.Addr][]monitor.Opinion, len(v.Opinions))
	for a, server := range v.Servers {
		servers[a] = server
	}
	for a, list := range v.Opinions {
		opinions[a] = list
	}
	for _, a := range failed {
		server := servers[a]
		server.Addr, server.State, server.Evidence, server.Connected = a, monitor.Down, monitor.Refused, false
		server.Since, server.Lost = v.Now.Add(-time.Second), v.Now.Add(-time.Second)
		servers[a] = server
		list := make([]monitor.Opinion, len(v.Opinions[a]))
		for i, o := range v.Opinions[a] {
			o.State, o.Evidence = monitor.Down, monitor.Refused
			list[i] = o
		}
		opinions[a] = list
	}
	v.Servers, v.Opinions = servers, opinions
	return v
}

// Unknown says that a server is none of those that may be thought away.
func Unknown(a config.Addr, name string) Blocker {
	return Blocker{"unknown-server", fmt.Sprintf("%s is no server of %s", a, name), "picket status lists them"}
}
