package cli

import (
	"slices"
	"strings"
	"testing"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// watched is a group that only watches, and is well.
func watched() picture.Picture {
	up := func(a config.Addr) picture.Server {
		return picture.Server{Addr: a, State: "up", Last: &monitor.Observation{LinkUp: true}}
	}
	return picture.Picture{
		Shadow: true, Majority: true, Leader: "a",
		Agents: []picture.Agent{{ID: "a", Up: true, Voter: true}, {ID: "b", Up: true, Voter: true}},
		Masters: []picture.Master{{
			Name: "m", Server: up("10.0.0.1:6379"), Replicas: []picture.Server{up("10.0.0.2:6379"), up("10.0.0.3:6379")},
			Foreign: []monitor.Foreign{{RunID: "x"}, {RunID: "y"}, {RunID: "x"}},
		}},
	}
}

func TestShadow_Counts(t *testing.T) {
	compared := func(from, to, imagined config.Addr, ahead int64) state.Event {
		return state.Event{Type: state.ShadowComparison, Master: "m", At: 1e18, Data: state.EventData{From: from, To: to, Imagined: imagined, AheadMS: ahead, Why: "so it was"}}
	}
	r := Shadow(watched(), []state.Event{
		compared("1", "2", "2", 1200), compared("2", "1", "1", 30), compared("1", "2", "2", -5), compared("2", "1", "3", 900),
		compared("1", "1", "2", 400), compared("1", "2", "", 0), compared("2", "1", "", 700), compared("1", "1", "", 100),
		compared("1", "1", "2", 500), compared("2", "2", "1", 600), compared("1", "2", "", 0), compared("2", "1", "", 0),
		{Type: state.ShadowDecision, Master: "m"}, {Type: state.ShadowComparison, Master: "other", Data: state.EventData{From: "1", To: "2"}},
	})
	m := r.Masters[0]
	if m.Same != 3 || m.Other != 1 || m.Alone != 3 || m.Unmatched != 3 || m.Nobody != 2 || m.Sentinels != 2 || len(m.Cases) != 12 || *m.AheadMS != (Ahead{-5, 900, 1200}) {
		t.Errorf("%+v %+v", m, m.AheadMS)
	}
	if !r.Ready || len(r.Look) != 4 || len(r.Against) != 0 {
		t.Errorf("ready %v, look at %q, against %q", r.Ready, r.Look, r.Against)
	}
	var text strings.Builder
	if err := r.Table(&text); err != nil || !strings.Contains(text.String(), "900 ms (-5 to 1200)") || !strings.Contains(text.String(), "READY: ") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// TestShadow_SaysWhatIsAgainst breaks one thing at a time.
func TestShadow_SaysWhatIsAgainst(t *testing.T) {
	for want, spoil := range map[string]func(*picture.Picture){
		"mode is active":         func(p *picture.Picture) { p.Shadow = false },
		"no leader":              func(p *picture.Picture) { p.Majority = false },
		"agent b is not heard":   func(p *picture.Picture) { p.Agents[1].Up = false },
		"agent b has no vote":    func(p *picture.Picture) { p.Agents[1].Voter = false },
		"no master is watched":   func(p *picture.Picture) { p.Masters = nil },
		"a failure is going on":  func(p *picture.Picture) { p.Masters[0].Shadow = &state.Shadowed{DecidedAt: 1} },
		"6379 is down":           func(p *picture.Picture) { p.Masters[0].Server.State = "down" },
		"10.0.0.3:6379 is down":  func(p *picture.Picture) { p.Masters[0].Replicas[1].State = "down" },
		"no link to the master":  func(p *picture.Picture) { p.Masters[0].Replicas[1].Last.LinkUp = false },
		"it has no replica that": func(p *picture.Picture) { p.Masters[0].Replicas = nil },
	} {
		p := watched()
		spoil(&p)
		r := Shadow(p, nil)
		if r.Ready || !slices.ContainsFunc(r.Against, func(a string) bool { return strings.Contains(a, want) }) {
			t.Errorf("%s: ready %v, against %q", want, r.Ready, r.Against)
		}
	}
	if r := Shadow(watched(), nil); !r.Ready {
		t.Errorf("all is well, and against it is %q", r.Against)
	}
}
