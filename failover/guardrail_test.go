package failover

import (
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

func TestMayBegin_Guardrails(t *testing.T) {
	ended := &Record{ID: 9, Master: "m", Phase: Ended, Outcome: Done, EndAt: monitor.MomentOf(start.Add(-time.Second))}
	aborted := *ended
	aborted.Outcome = Aborted
	aborted.EndAt = monitor.MomentOf(start.Add(-afterAbort / 2))
	paused := &Pause{Who: "ann", Why: "maintenance", Until: start.Add(time.Hour)}
	foreign := func(on config.Addr, policy string) func(*Situation) {
		return func(s *Situation) {
			s.Settings.ForeignSentinels = policy
			s.View.Foreign = []monitor.Foreign{{RunID: "8ac5", Addr: "10.0.0.9:26379", Name: "m", Server: on}}
		}
	}
	for name, c := range map[string]struct {
		adjust func(*Situation)
		cause  Cause
		last   *Record
		want   string // reason; empty: nothing is in the way
		remedy string
	}{
		"nothing is in the way":                     {cause: CauseDown},
		"paused":                                    {func(s *Situation) { s.Paused = paused }, CauseDown, nil, "paused", "picket resume m"},
		"all are paused":                            {func(s *Situation) { s.Paused = &Pause{Who: "ann", All: true} }, CauseDown, nil, "paused", "picket resume"},
		"by hand, although paused":                  {func(s *Situation) { s.Paused = paused }, CauseManual, nil, "", ""},
		"a Sentinel on the master":                  {foreign(oldMaster, config.ForeignRefuse), CauseDown, nil, "foreign-sentinel", "SENTINEL REMOVE"},
		"a Sentinel on a replica":                   {foreign(replicaB, config.ForeignRefuse), CauseDown, nil, "foreign-sentinel", "ignore"},
		"a Sentinel on somebody else's server":      {foreign("10.9.9.9:6379", config.ForeignRefuse), CauseDown, nil, "", ""},
		"a Sentinel is nothing to us":               {foreign(oldMaster, config.ForeignIgnore), CauseDown, nil, "", ""},
		"an order by hand does not pass a Sentinel": {foreign(oldMaster, config.ForeignRefuse), CauseManual, nil, "foreign-sentinel", ""},
		"it has just started":                       {func(s *Situation) { s.View.Began = start.Add(-time.Second) }, CauseDown, nil, "listening", ""},
		"by hand, when it has just started":         {func(s *Situation) { s.View.Began = start.Add(-time.Second) }, CauseManual, nil, "", ""},
		"it has listened long enough":               {func(s *Situation) { s.View.Began = start.Add(-listenFirst) }, CauseDown, nil, "", ""},
		"its program says no":                       {inquired(Inquiry{Agent: "b", Vetoed: true, Why: "no", For: 2 * time.Second}, -time.Second), CauseDown, nil, "vetoed", "picket failover m --ignore-hooks"},
		"the one that asks may ask again":           {inquired(Inquiry{Agent: "a", Vetoed: true, For: time.Second}, -time.Second), CauseDown, nil, "", ""},
		"the others let it ask first":               {inquired(Inquiry{Agent: "b", Vetoed: true, For: time.Second}, -time.Second), CauseDown, nil, "vetoed", ""},
		"but not for long":                          {inquired(Inquiry{Agent: "b", Vetoed: true, For: time.Second}, -2*time.Second), CauseDown, nil, "", ""},
		"by hand its program is asked elsewhere":    {inquired(Inquiry{Agent: "b", Vetoed: true, For: time.Minute}, 0), CauseManual, nil, "", ""},
		"its program is asked":                      {inquired(Inquiry{Agent: "b", Epoch: 5, For: time.Second}, 0), CauseDown, nil, "hook", "by itself"},
		"it was asked by another leader":            {inquired(Inquiry{Agent: "b", Epoch: 4, For: time.Second}, 0), CauseDown, nil, "", ""},
		"it has not answered":                       {inquired(Inquiry{Agent: "b", Epoch: 5, For: time.Second}, -time.Second), CauseDown, nil, "", ""},
		"a no from the future":                      {inquired(Inquiry{Agent: "b", Vetoed: true, For: time.Second}, time.Minute), CauseDown, nil, "", ""},
		"the last one was just now":                 {func(*Situation) {}, CauseDown, ended, "cooldown", "picket acknowledge m"},
		"it is acknowledged":                        {func(s *Situation) { s.Acknowledged = 9 }, CauseDown, ended, "", ""},
		"an older one is acknowledged":              {func(s *Situation) { s.Acknowledged = 8 }, CauseDown, ended, "cooldown", ""},
		"what was given up is acknowledged in vain": {func(s *Situation) { s.Acknowledged = 9 }, CauseDown, &aborted, "cooldown", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := crashed(nil)
			s.Record, s.Verdict.ObjectivelyDown = nil, true
			if c.adjust != nil {
				c.adjust(&s)
			}
			b := MayBegin(s, c.cause, c.last)
			switch {
			case b == nil && c.want != "":
				t.Errorf("nothing is in the way, want %s", c.want)
			case b != nil && (b.Reason != c.want || !strings.Contains(b.Remedy, c.remedy)):
				t.Errorf("%+v, want %q with the remedy %q", *b, c.want, c.remedy)
			}
		})
	}
}

// inquired has a program have been asked, or have said no, some time before.
func inquired(q Inquiry, ago time.Duration) func(*Situation) {
	return func(s *Situation) {
		s.Epoch, s.View.Self = 5, "a"
		q.At = monitor.MomentOf(s.Now.Add(ago))
		s.Inquiry = &q
	}
}

func TestBeginStep_SaysThatAnOrderByHandPassedAPause(t *testing.T) {
	s, _ := crashed(nil)
	s.Paused = &Pause{Who: "ann", Why: "maintenance", Until: start}
	if got := BeginStep(s, CauseManual).Evidence; !strings.Contains(got, "although paused") || !strings.Contains(got, "by ann: maintenance") {
		t.Errorf("evidence %q", got)
	}
}

func TestRepair_LeavesAPausedMasterAlone(t *testing.T) {
	s, _ := crashed(nil)
	s.Record, s.Now, s.RunID = nil, start, "run-"+string(oldMaster)
	s.View.Servers[oldMaster] = up(masterAt(oldMaster, 100))
	other := replica(replicaB, 95)
	other.Master = Silent
	s.View.Servers[replicaB] = up(other)
	if len(Repair(s)) == 0 {
		t.Fatal("there is nothing to repair: the test shows nothing")
	}
	s.Paused = &Pause{Who: "ann", Until: start.Add(time.Hour)}
	if got := Repair(s); len(got) > 0 {
		t.Errorf("%v is done to a paused master's servers", got)
	}
}

func TestGuard_LeavesTheMasterOfAForeignSentinelUnfenced(t *testing.T) {
	for foreign, fenced := range map[bool]bool{false: true, true: false} {
		server := up(masterAt(replicaA, 100))
		s, _ := crashed(nil)
		p := Post{Now: start, Server: server, Name: "m", Settings: s.Settings, Master: oldMaster, Confirmed: start, Foreign: foreign}
		g := NewGuard(start.Add(-time.Minute))
		g.Next(p) // sees it for the first time
		p.Now, p.Confirmed = start.Add(time.Minute), start.Add(time.Minute)
		if got := g.Next(p); (got.Fence != "") != fenced || got.Unfence {
			t.Errorf("a foreign Sentinel is heard: %v; the orders are %+v", foreign, got)
		}
	}
}

func TestFeared(t *testing.T) {
	v := monitor.View{Foreign: []monitor.Foreign{
		{Server: oldMaster, RunID: "a", Epoch: 1}, {Server: replicaA, RunID: "a", Epoch: 2, Age: 2}, {Server: replicaB, RunID: "a", Epoch: 2, Age: 1},
		{Server: "10.9.9.9:6379", RunID: "b"},
	}}
	for policy, want := range map[string]int{config.ForeignRefuse: 1, config.ForeignIgnore: 0, "": 1} {
		if got := Feared(v, &config.Master{ForeignSentinels: policy}, oldMaster, []config.Addr{replicaA, replicaB}); len(got) != want ||
			want > 0 && got[0].Server != replicaB {
			t.Errorf("%q: %+v", policy, got)
		}
	}
}
