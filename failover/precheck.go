package failover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/config"
	"picket/monitor"
)

const (
	// farBehind is how many bytes a replica may be behind for a hand-over to begin.
	farBehind = 16 << 20
	// spare is how many times the backlog must have room for what a replica lacks: it must not fall out of it meanwhile.
	spare = 10
	// steady is for how long a preferred replica must have followed before the master is handed over to it.
	steady = 5 * time.Second
)

// PreCheck says why a master may not be handed over now, to the wanted replica or, if that is empty, to any; nil: it may. It is a
// pure function.
func PreCheck(s Situation, want config.Addr) *Blocker {
	name := s.Settings.Name
	master := s.View.Servers[s.Master]
	switch b := Forbidden(s, true); {
	case b != nil:
		return b
	case s.Record != nil:
		return &Blocker{"in-progress", fmt.Sprintf("failover %d is running", s.Record.ID), "wait for its end"}
	case s.Verdict.ObjectivelyDown || !s.alive(s.Master):
		b := MasterDown(name, s.Verdict.Text)
		return &b
	case isFenced(master.Last):
		b := MasterDown(name, takesNoWrites)
		b.Remedy = "wait until the agent beside it has taken the fence away, which it does when it holds the lease"
		return &b
	case want == s.Master:
		return &Blocker{"no-target", string(want) + " is the master already", "nothing is to be done"}
	case want != "" && !slices.Contains(s.Replicas, want):
		return &Blocker{"no-target", fmt.Sprintf("%s is no replica of %s", want, name), "name one of " + list(s.Replicas)}
	case len(s.Replicas) == 0:
		return &Blocker{"no-target", "no replica of " + string(s.Master) + " is known", "attach a replica to the master"}
	}
	replicas := s.Replicas
	if want != "" {
		replicas = []config.Addr{want}
	}
	var against []string
	for _, a := range replicas {
		why := unready(s.View.Servers[a], master.Last, want != "")
		if why == "" {
			return nil
		}
		against = append(against, fmt.Sprintf("%s: %s", a, why))
	}
	return &Blocker{"no-target", "no replica can take over: " + strings.Join(against, "; "), "mend that, or name another one with --to"}
}

func isFenced(o *monitor.Observation) bool {
	_, _, fenced := Fenced(o.Fence)
	return fenced
}

// MasterDown refuses a switchover.
func MasterDown(name, why string) Blocker {
	return Blocker{"master-down", "the master is not well: " + why,
		"a switchover is for a healthy master; where it is down, use picket failover " + name}
}

// unready says why a replica can't take over from a healthy master; empty: it can.
func unready(server monitor.Server, master *monitor.Observation, named bool) string {
	o := server.Last
	switch {
	case server.State != monitor.Up || o == nil:
		return "it is not up"
	case !o.LinkUp:
		return "its link to the master is down"
	case o.Disk != "":
		return "it can't write its data: " + o.Disk
	}
	if why := unfit(o, master.ReplID, named); why != "" {
		return why
	}
	lag := max(0, master.Offset-o.Offset)
	switch {
	case lag > farBehind:
		return fmt.Sprintf("it is %d bytes behind", lag)
	case master.Backlog > 0 && lag > master.Backlog:
		return fmt.Sprintf("it is %d bytes behind, and the master's backlog holds the last %d only", lag, master.Backlog)
	case master.Room > 0 && lag*spare > master.Room:
		return fmt.Sprintf("it is %d bytes behind, and the master's backlog has room for %d only; raise its repl-backlog-size", lag, master.Room)
	}
	return ""
}

func list(servers []config.Addr) string {
	words := make([]string, len(servers))
	for i, a := range servers {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

// Preferred gives the replica that the settings would rather have as the master, and why; empty: the master may stay. It is a pure
// function. zone is where the master is.
func Preferred(s Situation, last *Record) (to config.Addr, why string) {
	m := s.Settings
	switch {
	case m.PreferServer == "" && m.PreferZone == "", m.PreferServer == s.Master:
		return "", ""
	case m.PreferServer == "" && s.Zone[s.Master] == m.PreferZone:
		return "", ""
	case Forbidden(s, false) != nil, last != nil && s.Now.Sub(last.EndAt.Time()) < max(m.Cooldown, steady):
		return "", ""
	}
	for _, a := range s.Replicas {
		server := s.View.Servers[a]
		if m.PreferServer != "" && a != m.PreferServer || m.PreferServer == "" && s.Zone[a] != m.PreferZone {
			continue
		}
		if s.Now.Sub(server.FollowsAt) >= steady && s.Now.Sub(server.Since) >= steady && PreCheck(s, a) == nil {
			if m.PreferServer != "" {
				return a, "it is the preferred server"
			}
			return a, "it is in the preferred zone " + m.PreferZone
		}
	}
	return "", ""
}

// Rehearsal is what a switchover would do now.
type Rehearsal struct {
	From config.Addr `json:"from"`
	To   config.Addr `json:"to,omitempty"` // absent: nobody could take over
	Why  string      `json:"why,omitempty"`
	// Others are the replicas that would not take over.
	Others  []Candidate `json:"others,omitempty"`
	Blocker *Blocker    `json:"blocker,omitempty"` // it would be refused
}

// Rehearse says what a switchover to the wanted replica would do or, if that is empty, to the best one, by what was seen last. It is a pure
// function; nothing is touched.
func Rehearse(s Situation, want config.Addr) Rehearsal {
	r := Rehearsal{From: s.Master}
	if r.Blocker = PreCheck(s, want); r.Blocker != nil {
		return r
	}
	s.Record = &Record{Old: s.Master, Replicas: s.Replicas, Want: want, HandOver: true}
	master := s.View.Servers[s.Master].Last
	k := Knowledge{Seen: map[config.Addr]*monitor.Observation{}, Held: []*monitor.Observation{master}}
	var ready []*monitor.Observation
	for _, a := range s.candidates() {
		o := s.View.Servers[a].Last
		k.Seen[a] = o
		if (want == "" || a == want) && o != nil && unready(s.View.Servers[a], master, a == want) == "" {
			ready = append(ready, o)
		}
	}
	best := slices.MinFunc(ready, s.prefer) // PreCheck has found one
	r.To, r.Others = best.Server, s.compared(k, best)[1:]
	r.Why = fmt.Sprintf("the best of those that can take over; it is %d bytes behind", max(0, master.Offset-best.Offset))
	if want != "" {
		r.Why = fmt.Sprintf("it was asked for; it is %d bytes behind", max(0, master.Offset-best.Offset))
	}
	return r
}
