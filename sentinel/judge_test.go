package sentinel

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

func TestVeto_RefusesOnlyWhatIsKnownToLive(t *testing.T) {
	a := &Agent{host: Host{}.withDefaults(), machine: state.NewMachine(), ledger: newLedger(time.Now(), nil)}
	a.judgement.Store(&judgement{masters: map[string]judged{
		"dead":  {verdict: monitor.Verdict{ObjectivelyDown: true}},
		"lives": {verdict: monitor.Verdict{Life: []monitor.Proof{{Replica: "h:2", Text: "it received 5 bytes"}}}},
	}})
	a.rules.file = map[string]*config.Master{
		"leased": {Name: "leased", LeaseLoss: config.LeaseStrict, Lease: time.Second}, "dead": {Name: "dead", LeaseLoss: config.LeaseOff},
	}
	for _, tc := range []struct {
		reason string
		want   string // part of the refusal; empty: none
	}{
		{"down:leased", "does not know it yet"}, // to whom it is bound it can't know
		{"down:dead", ""},
		{"down:unheard-of", "does not know it yet"},
		{"down:lives", "h:2"},
		{"down:dead,lives", "lives"},
		{"resume:lives", ""},
		{"manual:lives", ""},
		{"gibberish", "not a reason"},
	} {
		got := a.veto("x", []byte(tc.reason))
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
		}
	}
}

// TestAsked: an election for one master is for those, too, of which a program is being asked.
func TestAsked(t *testing.T) {
	file := map[string]*config.Master{}
	j := &judge{a: &Agent{host: Host{}.withDefaults(), ledger: newLedger(time.Now(), nil)}, agenda: newAgenda(), now: judgement{masters: map[string]judged{}}}
	l := look{}
	for name, reason := range map[string]string{"a": failover.ReasonHook, "b": "", "c": "vetoed", "d": failover.ReasonHook, "e": "paused"} {
		m := judged{}
		if reason != "" {
			m.blocker = &failover.Blocker{Reason: reason}
		}
		file[name] = &config.Master{Name: name, LeaseLoss: config.LeaseOff}
		j.now.masters[name], l.masters = m, append(l.masters, &state.Master{Name: name})
	}
	j.a.rules.file = file
	j.agenda.set("b", forDown, time.Now())
	l.now = time.Now()
	if got := strings.Join(j.asked(l, []string{"b"}), ","); got != "a,b,d" {
		t.Errorf("the election is for %s", got)
	}
	j.agenda.lost([]string{"b"}, l.now, 0)
	if got := strings.Join(j.asked(l, []string{"b"}), ","); got != "b" {
		t.Errorf("after a lost one, it is for %s", got)
	}
}

func TestLeaderGone(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, tc := range []struct {
		name      string
		leader    consensus.ServerID
		connected bool
		contact   time.Duration // negative: none
		want      bool
	}{
		{"it is this agent", "self", false, -1, false},
		{"none is known", "", false, -1, true},
		{"heard just now", "other", true, 40 * time.Millisecond, false},
		{"connected, not heard yet", "other", true, -1, false},
		{"the connection is broken", "other", false, 40 * time.Millisecond, true},
		{"connected, but silent", "other", true, 160 * time.Millisecond, true},
	} {
		l := look{
			status: consensus.Status{ID: "self", Leader: tc.leader, Contact: map[consensus.ServerID]time.Duration{}},
			peers:  map[consensus.ServerID]peer{"other": {connected: tc.connected}},
		}
		if tc.contact >= 0 {
			l.status.Contact[tc.leader] = tc.contact
		}
		if got := l.leaderGone(timeout); got != tc.want {
			t.Errorf("%s: gone %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestLeads_OnlyWithAMajorityThatAnsweredRecently(t *testing.T) {
	const timeout = 300 * time.Millisecond
	three := []consensus.ServerID{"a", "b", "c"}
	for _, tc := range []struct {
		name    string
		role    consensus.Role
		term    consensus.Term
		voters  []consensus.ServerID
		contact map[consensus.ServerID]time.Duration
		want    bool
	}{
		{"all answer", consensus.Leader, 7, three, map[consensus.ServerID]time.Duration{"b": 0, "c": 50 * time.Millisecond}, true},
		{"one of two answers", consensus.Leader, 7, three, map[consensus.ServerID]time.Duration{"b": time.Minute, "c": 0}, true},
		{"it was frozen", consensus.Leader, 7, three, map[consensus.ServerID]time.Duration{"b": time.Minute, "c": time.Minute}, false},
		{"it was frozen, and one agent never answered", consensus.Leader, 7, three, map[consensus.ServerID]time.Duration{"b": time.Minute}, false},
		{"nobody has answered yet", consensus.Leader, 7, three, nil, false},
		{"alone in its group", consensus.Leader, 7, three[:1], nil, true},
		{"another term", consensus.Leader, 8, three, map[consensus.ServerID]time.Duration{"b": 0, "c": 0}, false},
		{"a follower", consensus.Follower, 7, three, map[consensus.ServerID]time.Duration{"b": 0}, false},
	} {
		l := look{status: consensus.Status{Role: tc.role, Term: tc.term, Members: asVoters(tc.voters...), Contact: tc.contact}}
		if got := l.leads(7, timeout); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestSuspect_IsWhoBeganToLookDeadJustNow(t *testing.T) {
	now := time.Unix(100, 0)
	j := &judge{a: &Agent{rules: rules{file: map[string]*config.Master{"m": {CrashGrace: 50 * time.Millisecond}}}}}
	for _, tc := range []struct {
		name   string
		server monitor.Server
		want   bool
	}{
		{"well", monitor.Server{}, false},
		{"refused a moment ago", monitor.Server{Suspect: true, Lost: now.Add(-48 * time.Millisecond)}, true},
		{"down for long", monitor.Server{Suspect: true, Lost: now.Add(-time.Second)}, false},
		{"never looked at", monitor.Server{Suspect: true}, false},
	} {
		l := look{now: now, view: monitor.View{Servers: map[config.Addr]monitor.Server{"h:1": tc.server}}}
		if got := j.suspect(l, &state.Master{Name: "m", Addr: "h:1"}); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestPicture_NamesTheFilesMastersOnlyBeforeTheGroupKnowsBetter(t *testing.T) {
	agreed := &state.State{Masters: []state.Master{{Name: "b", Addr: "h:9", Epoch: 4, Replicas: []config.Addr{"h:3"}}}}
	file := []config.Master{{Name: "c", Address: "h:3"}, {Name: "b", Address: "h:2"}, {Name: "a", Address: "h:1"}}
	got := withFile([]*state.Master{&agreed.Masters[0]}, agreed, file)
	if len(got) != 2 || got[0].Name != "a" || got[0].Addr != "h:1" || got[1] != &agreed.Masters[0] {
		t.Errorf("got %+v", got)
	}
}

// asVoters makes members of ids.
func asVoters(ids ...consensus.ServerID) []consensus.Member {
	var members []consensus.Member
	for _, id := range ids {
		members = append(members, consensus.Member{ID: id, Voter: true})
	}
	return members
}

func TestIndulgence(t *testing.T) {
	for leaders, want := range []time.Duration{300, 300, 600, 1200, 2400, 2400} { // none: the record is of an older version
		if got := indulgence(300*time.Millisecond, leaders); got != want*time.Millisecond {
			t.Errorf("%d leaders: %v, want %v", leaders, got, want*time.Millisecond)
		}
	}
}

// TestAgent_GivesCandidatesTheirTime follows an election from what the agent hears of it: each line is heard in turn, and then how long this agent waits.
func TestAgent_GivesCandidatesTheirTime(t *testing.T) {
	a, err := New(&config.Config{Cluster: "c", Agent: config.Agent{ID: "a", ElectionTimeout: 300 * time.Millisecond}}, Host{}, zerolog.Nop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{a: a, agenda: newAgenda(), now: judgement{masters: map[string]judged{"m": {}}}}
	j.agenda.set("m", forDown, a.now())
	reason := reason{forDown, []string{"m", "unknown"}}.encode()
	event := func(kind consensus.EventKind, peer consensus.ServerID) func() {
		return func() { a.observe(consensus.Event{Kind: kind, Peer: peer, Reason: reason}) }
	}
	stands := gossip{Stands: reason}
	data, err := stands.encode()
	if err != nil {
		t.Fatal(err)
	}
	a.joined.Store(true)
	a.peers.follow([]consensus.Member{{ID: "a", Voter: true}, {ID: "b", Voter: true}, {ID: "c", Voter: true}})
	for i, step := range []struct {
		heard func()
		want  time.Duration // at most; 0: this agent stands
	}{
		{func() {}, 0},
		{func() { a.onGossip("b", data) }, 300 * time.Millisecond},
		{event(consensus.EventVoteRefused, "b"), deference},
		{event(consensus.EventVoted, "c"), 300 * time.Millisecond},
		{event(consensus.EventVoteRefused, "c"), 300 * time.Millisecond}, // another term's
		{event(consensus.EventLeader, "c"), beginTimeout},
		{event(consensus.EventLeaderLost, "c"), deference},
		{event(consensus.EventLeader, "b"), beginTimeout},
		{event(consensus.EventLeader, "a"), deference}, // that is this agent
	} {
		step.heard()
		j.hear()
		now := a.now()
		_, next, ok := j.agenda.due(now, 0, false)
		if wait := next.Sub(now); ok && step.want > deference || !ok && (wait > step.want || wait < step.want/2 && step.want > deference) {
			t.Errorf("step %d: it waits %v (%v), want %v", i, wait, ok, step.want)
		}
	}
	if len(j.agenda.claims) > 1 {
		t.Errorf("claims on unknown masters are kept: %v", j.agenda.claims)
	}
}
