package monitor

import (
	"strings"
	"testing"
	"time"

	"picket/config"
)

const (
	theMaster = config.Addr("10.0.0.1:6379")
	aReplica  = config.Addr("10.0.0.2:6379")
)

var noon = time.Unix(1_700_000_000, 0)

// picture is a master with one replica that three agents watch; lost is how long ago answers ceased.
func picture(state State, evidence Evidence, lost time.Duration, peers ...State) View {
	v := View{Now: noon, Self: "a1", Opinions: map[config.Addr][]Opinion{}, Servers: map[config.Addr]Server{
		theMaster: {Addr: theMaster, State: state, Evidence: evidence, DownAfter: time.Second, Since: noon.Add(-lost),
			Last: &Observation{Role: "master", RunID: "m"}},
		aReplica: {Addr: aReplica, State: Up, DownAfter: time.Second,
			Last: &Observation{Role: "slave", Master: theMaster, At: noon, LinkUp: true, LastIO: 9 * time.Second, Received: 100}},
	}}
	if state == Down {
		m := v.Servers[theMaster]
		m.Lost = noon.Add(-lost)
		v.Servers[theMaster] = m
	}
	all := append([]State{state}, peers...)
	for i, s := range all {
		o := Opinion{Agent: "a" + string(rune('1'+i)), Server: theMaster, State: s}
		if s == Down {
			o.Evidence = evidence
		}
		v.Opinions[theMaster] = append(v.Opinions[theMaster], o)
	}
	return v
}

func change(v View, a config.Addr, f func(*Server)) View {
	s := v.Servers[a]
	if s.Last != nil {
		last := *s.Last
		s.Last = &last
	}
	f(&s)
	v.Servers[a] = s
	return v
}

func TestJudge(t *testing.T) {
	rules := map[string]Rule{
		"all is well": Answers, "refused for two of three": QuorumRefused, "hung for all": QuorumSilent, "down here only": BelowQuorum,
		"nobody else speaks": TooFewAgents, "not looked yet": NotSeen, "not watched": NotSeen, "a replica was not looked at yet": ReplicaNotSeen,
		"loads": AnswersLoading, "says it is a replica": AnswersReplica, "has said so for long": QuorumWrongRole,
		"no valid answer": QuorumBadReply, "a replica received bytes since": ReplicaIsFed,
	}
	dead := func() View { return picture(Down, Refused, time.Second, Down, Up) }
	hung := func() View { return picture(Down, TimedOut, 1100*time.Millisecond, Down, Down) }
	for name, c := range map[string]struct {
		view View
		code Code
		down bool // objectively
		text string
	}{
		"all is well":              {picture(Up, Answered, 0, Up, Up), Healthy, false, "answers"},
		"refused for two of three": {dead(), DeadMaster, true, "a1, a2 find 10.0.0.1:6379 dead"},
		"hung for all":             {hung(), HungMaster, true, "no answer"},
		"down here only":           {picture(Down, Refused, time.Second, Up, Up), SuspectedMaster, false, "2 are needed"},
		"down for the others only": {picture(Up, Answered, 0, Down, Down), SuspectedMaster, false, "a2, a3"},
		"the others don't know":    {picture(Down, Refused, time.Second, Unknown, Unknown), SuspectedMaster, false, "2 are needed"},
		"nobody else speaks":       {picture(Down, Refused, time.Second), NoQuorum, false, "start the other agents"},
		"not looked yet":           {picture(Unknown, NoEvidence, 0, Down, Down), UnknownMaster, false, "looks again"},
		"a replica was not looked at yet": {change(dead(), aReplica, func(s *Server) {
			s.State, s.Since = Unknown, noon.Add(-100*time.Millisecond)
		}), UnknownMaster, false, "late itself"},
		"but not for ever": {change(dead(), aReplica, func(s *Server) { s.State, s.Since = Unknown, noon.Add(-2*time.Second) }),
			DeadMaster, true, ""},
		"a stall that concerns others": {func() View { v := dead(); v.Stalled = true; return v }(), DeadMaster, true, ""},
		"a wrong role that feeds its replicas": {change(change(picture(Down, WrongRole, 3*time.Second, Down, Down), theMaster,
			func(s *Server) { s.Last.Role = "slave" }), aReplica, func(s *Server) { s.Last.LastIO = 0 }), RoleMismatch, true, ""},
		"not watched": {View{Now: noon, Servers: map[config.Addr]Server{}, Opinions: map[config.Addr][]Opinion{}},
			UnknownMaster, false, ""},
		"loads": {change(picture(Up, Answered, 0, Up, Up), theMaster, func(s *Server) { s.Last.Loading = true }),
			LoadingMaster, false, "loads"},
		"says it is a replica": {change(picture(Up, Answered, 0, Up, Up), theMaster, func(s *Server) { s.Last.Role = "slave" }),
			RoleMismatch, false, "replica"},
		"has said so for long": {change(picture(Down, WrongRole, time.Second, Down, Down), theMaster, func(s *Server) { s.Last.Role = "slave" }),
			RoleMismatch, true, "no master any more"},
		"no valid answer": {change(picture(Down, BadReply, time.Second, Down, Down), theMaster, func(s *Server) { s.Text = "NOAUTH" }),
			HungMaster, true, "NOAUTH"},
		"a link that is up proves nothing": {hung(), HungMaster, true, ""},
		"a replica received bytes since": {change(hung(), aReplica, func(s *Server) {
			s.Prior, s.Advanced = &Observation{At: noon.Add(-500 * time.Millisecond), Received: 60}, noon.Add(-100*time.Millisecond)
		}), UnreachableMaster, false, "received 40 bytes"},
		"also when connections are refused": {change(dead(), aReplica, func(s *Server) {
			s.Prior, s.Advanced = &Observation{At: noon.Add(-500 * time.Millisecond), Received: 60}, noon.Add(-100*time.Millisecond)
		}), UnreachableMaster, false, "mend the network"},
		"bytes that were under way": {change(hung(), aReplica, func(s *Server) {
			s.Prior, s.Advanced = &Observation{At: noon.Add(-1050 * time.Millisecond), Received: 60}, noon.Add(-1000*time.Millisecond)
		}), HungMaster, true, ""},
		"an old proof": {change(picture(Down, TimedOut, time.Minute, Down, Down), aReplica, func(s *Server) {
			s.Prior, s.Advanced = &Observation{At: noon.Add(-30 * time.Second), Received: 60}, noon.Add(-29*time.Second)
			s.Last.LastIO = 29 * time.Second
		}), HungMaster, true, ""},
		"heard from a while ago, but since": {picture(Down, TimedOut, time.Minute, Down, Down), UnreachableMaster, false, "heard from it"},
		"heard from within a second, surely since": {change(picture(Down, TimedOut, 3*time.Second, Down, Down), aReplica, func(s *Server) {
			s.Last.LastIO = time.Second
		}), UnreachableMaster, false, "heard from it"},
		"heard from perhaps before": {change(picture(Down, TimedOut, 1100*time.Millisecond, Down, Down), aReplica, func(s *Server) {
			s.Last.LastIO = time.Second
		}), HungMaster, true, ""},
		"a replica of another master proves nothing": {change(picture(Down, TimedOut, 3*time.Second, Down, Down), aReplica, func(s *Server) {
			s.Last.LastIO, s.Last.Master = 0, "10.9.9.9:6379"
		}), HungMaster, true, ""},
		"a replica that is down itself proves nothing": {change(picture(Down, TimedOut, 3*time.Second, Down, Down), aReplica, func(s *Server) {
			s.Last.LastIO, s.State = 0, Down
		}), HungMaster, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(Question{Name: "m", Master: theMaster, Replicas: []config.Addr{aReplica}, Quorum: 2, Agents: 3}, c.view)
			if got.Code != c.code || got.ObjectivelyDown != c.down || !strings.Contains(got.Text, c.text) {
				t.Errorf("got %s, objectively down %v, %q; want %s, %v, %q", got.Code, got.ObjectivelyDown, got.Text, c.code, c.down, c.text)
			}
			if rule := rules[name]; rule != "" && got.Rule != rule || got.Rule == "" {
				t.Errorf("by rule %q, want %q", got.Rule, rule)
			}
		})
	}
}

func TestOpinions_ExpireAndAreNotOvertaken(t *testing.T) {
	t.Parallel()
	o := opinions{}
	peer := func(seq, boot uint64, s State) Opinion {
		return Opinion{Agent: "a2", Server: theMaster, State: s, Seq: seq, Boot: boot}
	}
	own := Opinion{Agent: "a1", Server: theMaster, State: Up}
	state := func(at time.Time) State {
		for _, p := range o.fresh(theMaster, at, own) {
			if p.Agent == "a2" {
				return p.State
			}
		}
		return Unknown
	}
	if !o.take(peer(5, 1, Down), noon) || state(noon) != Down {
		t.Error("an opinion is not heard")
	}
	if o.take(peer(4, 1, Up), noon) || state(noon) != Down {
		t.Error("an older opinion overtakes a newer one")
	}
	if !o.take(peer(1, 2, Up), noon) || state(noon) != Up {
		t.Error("an agent that was restarted is not heard")
	}
	if state(noon.Add(expiry)) != Up || state(noon.Add(expiry+1)) != Unknown {
		t.Error("an opinion that is not repeated must expire")
	}
	for i := range 2 * maxAgents {
		p := peer(1, 1, Down)
		p.Agent += strings.Repeat("x", i)
		o.take(p, noon)
	}
	if n := len(o[theMaster]); n > maxAgents {
		t.Errorf("%d agents are remembered", n)
	}
}
