package failover

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

func step(kind StepKind, epoch uint64, adjust ...func(*Step)) Step {
	s := Step{Kind: kind, Master: "m", Epoch: epoch, Old: oldMaster, Target: replicaB, Replica: replicaA, At: 5}
	for _, f := range adjust {
		f(&s)
	}
	return s
}

func TestRecord_StepsInOrder(t *testing.T) {
	r, err := Begin(step(StepBegin, 7), 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Step{
		step(StepResume, 8), step(StepPromote, 8), step(StepResume, 9), step(StepSwitch, 9), step(StepRepoint, 9), step(StepRepoint, 9),
		step(StepEnd, 9),
	} {
		if err := r.Apply(s, 4); err != nil {
			t.Fatalf("step %d: %v", s.Kind, err)
		}
	}
	if r.Phase != Ended || r.Outcome != Done || r.Epoch != 9 || r.Target != replicaB || len(r.Repointed) != 1 || len(r.Leaders) != 3 || r.ID != 3 {
		t.Errorf("record %+v", r)
	}
}

// TestRecord_Refusals: a deposed leader changes nothing, a target is chosen once, and there is no way back after the switch.
func TestRecord_Refusals(t *testing.T) {
	for name, c := range map[string]struct {
		before []Step
		step   Step
	}{
		"older epoch":            {nil, step(StepPromote, 6)},
		"newer epoch, no resume": {nil, step(StepPromote, 8)},
		"resume of the same":     {nil, step(StepResume, 7)},
		"another master":         {nil, step(StepPromote, 7, func(s *Step) { s.Master = "x" })},
		"switch before promote":  {nil, step(StepSwitch, 7)},
		"end before switch":      {nil, step(StepEnd, 7)},
		"the old master":         {nil, step(StepPromote, 7, func(s *Step) { s.Target = oldMaster })},
		"no target":              {nil, step(StepPromote, 7, func(s *Step) { s.Target = "" })},
		"a second target":        {[]Step{step(StepPromote, 7)}, step(StepPromote, 7, func(s *Step) { s.Target = replicaA })},
		"switch to another":      {[]Step{step(StepPromote, 7)}, step(StepSwitch, 7, func(s *Step) { s.Target = replicaA })},
		"back after the switch":  {[]Step{step(StepPromote, 7), step(StepSwitch, 7)}, step(StepAbort, 7)},
		"after the end":          {[]Step{step(StepAbort, 7)}, step(StepResume, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Begin(step(StepBegin, 7), 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range c.before {
				if err := r.Apply(s, 4); err != nil {
					t.Fatal(err)
				}
			}
			phase, epoch, target := r.Phase, r.Epoch, r.Target
			if err := r.Apply(c.step, 5); !errors.Is(err, ErrRefused) {
				t.Errorf("got %v", err)
			}
			if r.Phase != phase || r.Epoch != epoch || r.Target != target {
				t.Errorf("a refused step changed the record: %+v", r)
			}
		})
	}
}

func TestMayBegin(t *testing.T) {
	odown := func(s *Situation) { s.Record, s.Verdict.ObjectivelyDown = nil, true }
	for name, c := range map[string]struct {
		cause  Cause
		adjust func(*Situation)
		last   *Record
		want   string
	}{
		"objectively down":        {CauseDown, odown, nil, ""},
		"not down":                {CauseDown, func(s *Situation) { s.Record, s.Verdict.Text = nil, "it answers" }, nil, "not-down"},
		"running":                 {CauseManual, func(*Situation) {}, nil, "in-progress"},
		"no replica":              {CauseManual, func(s *Situation) { odown(s); s.Replicas = nil }, nil, "no-replica"},
		"by hand, not down":       {CauseManual, func(s *Situation) { s.Record = nil }, nil, ""},
		"soon after another":      {CauseDown, odown, &Record{ID: 3, Outcome: Done, EndAt: monitor.MomentOf(start.Add(-time.Second))}, "cooldown"},
		"long after another":      {CauseDown, odown, &Record{Outcome: Done, EndAt: monitor.MomentOf(start.Add(-time.Minute))}, ""},
		"by hand soon after":      {CauseManual, odown, &Record{Outcome: Done, EndAt: monitor.MomentOf(start.Add(-time.Second))}, ""},
		"soon after a hand-over":  {CauseDown, odown, &Record{ID: 3, Cause: CauseManual, Outcome: Done, EndAt: monitor.MomentOf(start.Add(-time.Second))}, ""},
		"soon after a failed one": {CauseDown, odown, &Record{Outcome: Aborted, EndAt: monitor.MomentOf(start.Add(-time.Millisecond))}, "cooldown"},
		"after a failed one":      {CauseDown, odown, &Record{Outcome: Aborted, EndAt: monitor.MomentOf(start.Add(-2 * time.Second))}, ""},
		"another clock is ahead":  {CauseDown, odown, &Record{Outcome: Done, EndAt: monitor.MomentOf(start.Add(time.Hour))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := crashed(nil)
			c.adjust(&s)
			got := ""
			if b := MayBegin(s, c.cause, c.last); b != nil {
				got = b.Reason
				if b.Text == "" || b.Remedy == "" {
					t.Errorf("blocker without words: %+v", b)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRepair(t *testing.T) {
	// The group after a failover: B is the master, A follows it, the old master is back.
	healed := func(adjust func(*Situation)) Situation {
		s, _ := crashed(nil)
		s.Record, s.Master, s.Replicas, s.RunID = nil, replicaB, []config.Addr{oldMaster, replicaA}, "run-"+string(replicaB)
		a := replica(replicaA, 100)
		a.Master = replicaB
		o := replica(oldMaster, 100)
		o.Master = replicaB
		s.View.Servers = map[config.Addr]monitor.Server{
			replicaB: up(masterAt(replicaB, 100)), replicaA: up(a), oldMaster: up(o),
		}
		adjust(&s)
		return s
	}
	set := func(s *Situation, a config.Addr, f func(*monitor.Observation)) {
		server := s.View.Servers[a]
		o := *server.Last
		f(&o)
		server.Last = &o
		s.View.Servers[a] = server
	}
	gated := func(s *Situation, a config.Addr) {
		set(s, a, func(o *monitor.Observation) { o.Role, o.Master, o.RunID = "slave", Silent, "new" })
		server := s.View.Servers[a]
		server.RunSince = start
		s.View.Servers[a] = server
		s.View.Servers[oldMaster] = s.View.Servers[replicaA] // no more to repair
		s.Replicas = []config.Addr{replicaA}
	}
	for name, c := range map[string]struct {
		adjust func(*Situation)
		want   config.Addr // that is made to follow; empty: nobody
		note   ProgressKind
	}{
		"all is well":         {func(*Situation) {}, "", 0},
		"the old master back": {func(s *Situation) { s.View.Servers[oldMaster] = up(masterAt(oldMaster, 120)) }, oldMaster, ConvertedToSlave},
		"a stray that outlived the restarted master": {func(s *Situation) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 120))
			set(s, oldMaster, func(o *monitor.Observation) { o.Uptime = time.Hour })
			set(s, replicaB, func(o *monitor.Observation) { o.RunID, o.ReplID, o.Offset = "new", "new", 0 })
		}, "", 0},
		"the master under another address": {func(s *Situation) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 100))
			set(s, oldMaster, func(o *monitor.Observation) { o.RunID = "run-" + string(replicaB) })
		}, "", 0},
		"a detached replica": {func(s *Situation) {
			set(s, replicaA, func(o *monitor.Observation) { o.Master, o.LinkUp = Silent, false })
		}, replicaA, Reattached},
		"a replica of a stranger": {func(s *Situation) {
			set(s, replicaA, func(o *monitor.Observation) { o.Master = "10.9.9.9:6379" })
		}, replicaA, Reattached},
		"a chain": {func(s *Situation) {
			set(s, replicaA, func(o *monitor.Observation) { o.Master = oldMaster })
		}, "", 0},
		"a replica that is down": {func(s *Situation) {
			set(s, replicaA, func(o *monitor.Observation) { o.Master = Silent })
			a := s.View.Servers[replicaA]
			a.State = monitor.Down
			s.View.Servers[replicaA] = a
		}, "", 0},
		"an old observation": {func(s *Situation) {
			set(s, replicaA, func(o *monitor.Observation) { o.Master, o.At = Silent, start.Add(-time.Minute) })
		}, "", 0},
		"the master is down": {func(s *Situation) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 120))
			s.View.Servers[replicaB] = down(masterAt(replicaB, 100))
		}, "", 0},
		"the master loads": {func(s *Situation) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 120))
			set(s, replicaB, func(o *monitor.Observation) { o.Loading = true })
		}, "", 0},
		"the master was restarted and is empty": {func(s *Situation) {
			set(s, replicaA, func(o *monitor.Observation) { o.Master = Silent })
			set(s, replicaB, func(o *monitor.Observation) { o.RunID, o.ReplID, o.Offset = "new", "new", 0 })
		}, "", 0},
		"the agreed master's process is not known yet": {func(s *Situation) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 120))
			s.RunID = ""
		}, "", 0},
		"the agreed master behind a gate": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaA, func(o *monitor.Observation) { o.ReplID, o.At = history, start.Add(time.Second) })
		}, replicaB, GateOpened},
		"the agreed master was started with a file from before": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaB, func(o *monitor.Observation) { o.Master, o.LinkUp = replicaA, false })
			set(s, replicaA, func(o *monitor.Observation) { o.ReplID, o.At = history, start.Add(time.Second) })
		}, replicaB, GateOpened},
		"somebody had it follow its replica": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaB, func(o *monitor.Observation) { o.Master, o.LinkUp = replicaA, true })
			set(s, replicaA, func(o *monitor.Observation) { o.ReplID, o.At = history, start.Add(time.Second) })
		}, "", 0},
		"somebody has made a master of its replica": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaB, func(o *monitor.Observation) { o.Master, o.LinkUp = replicaA, false })
			set(s, replicaA, func(o *monitor.Observation) { o.ReplID, o.Role, o.At = history, "master", start.Add(time.Second) })
		}, "", 0},
		"behind a gate, a replica holds more": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaA, func(o *monitor.Observation) { o.ReplID, o.Offset, o.At = history, 101, start.Add(time.Second) })
		}, "", 0},
		"behind a gate, a replica loads its data": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaA, func(o *monitor.Observation) { o.ReplID, o.Loading, o.At = history, true, start.Add(time.Second) })
		}, "", 0},
		"behind a gate, a replica was not looked at since": {func(s *Situation) {
			gated(s, replicaB)
			set(s, replicaA, func(o *monitor.Observation) { o.At = start.Add(-time.Second) })
		}, "", 0},
		"a failover runs": {func(s *Situation) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 120))
			s.Record = &Record{Phase: Begun}
		}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			actions := Repair(healed(c.adjust))
			switch {
			case c.want == "" && len(actions) > 0:
				t.Errorf("does %+v, want nothing", actions)
			case c.want != "" && (len(actions) != 1 || actions[0].Server != c.want || actions[0].Note != c.note ||
				c.note != GateOpened && actions[0].Master != replicaB):
				t.Errorf("does %+v, want %s to follow", actions, c.want)
			}
		})
	}
}

func TestCascades(t *testing.T) {
	follows := func(master config.Addr) monitor.Server {
		return up(&monitor.Observation{Role: "slave", Master: master})
	}
	for name, c := range map[string]struct {
		a, b monitor.Server
		want bool // for what follows a
	}{
		"of the master":    {follows("m:1"), follows("m:1"), true},
		"two links":        {follows("b:1"), follows("m:1"), true},
		"in a ring":        {follows("b:1"), follows("a:1"), false},
		"of another ring":  {follows("b:1"), follows("b:1"), false},
		"a broken link":    {follows("b:1"), down(&monitor.Observation{Role: "slave", Master: "m:1"}), false},
		"of a stray":       {up(&monitor.Observation{Role: "master"}), follows("m:1"), false},
		"of one not known": {monitor.Server{State: monitor.Up}, follows("m:1"), false},
	} {
		v := monitor.View{Servers: map[config.Addr]monitor.Server{"a:1": c.a, "b:1": c.b}}
		if got := Cascades(v, []config.Addr{"a:1", "b:1", "c:1"}, "a:1"); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestRemarks_NameTheServersTogether: the same is said once of all servers that it concerns.
func TestRemarks_NameTheServersTogether(t *testing.T) {
	var k Knowledge
	for _, a := range []config.Addr{replicaB, oldMaster, replicaB} {
		k.remark(a, "its configuration file was not rewritten")
	}
	k.remark(replicaA, "its clients stay connected")
	got := k.remarks([]config.Addr{replicaA})
	want := fmt.Sprintf("%s: its clients stay connected; %s, %s: its configuration file was not rewritten; %s: it does not follow yet",
		replicaA, oldMaster, replicaB, replicaA)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
