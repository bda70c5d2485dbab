package failover

import (
	"context"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

// touched is a Redis that notes what reaches it.
type touched struct{ kinds []ActionKind }

func (t *touched) Do(_ context.Context, _ string, a Action) (*monitor.Observation, string, error) {
	t.kinds = append(t.kinds, a.Kind)
	return nil, "", nil
}

func (t *touched) Close() error { return nil }

func TestReadOnly_LetsNothingThroughButReads(t *testing.T) {
	below := &touched{}
	r := ReadOnly(below)
	for kind := ActionKind(0); kind < 32; kind++ { // those that may come as well
		_, _, err := r.Do(t.Context(), "m", Action{Kind: kind, Server: oldMaster})
		if (err == nil) != (kind == Read) {
			t.Errorf("%v: error %v", kind, err)
		}
	}
	if len(below.kinds) != 1 || below.kinds[0] != Read {
		t.Errorf("the server was asked for %v", below.kinds)
	}
}

func TestImagine(t *testing.T) {
	for name, c := range map[string]struct {
		adjust  func(*Situation)
		last    *Record
		want    config.Addr
		why     string
		blocked string
	}{
		"the one that holds most":   {want: replicaB, why: "offset 95"},
		"one that is down does not": {adjust: func(s *Situation) { s.View.Servers[replicaB] = down(replica(replicaB, 95)) }, want: replicaA},
		"another history does not": {adjust: func(s *Situation) {
			o := replica(replicaB, 95)
			o.ReplID = "cccc"
			s.View.Servers[replicaB] = up(o)
		}, want: replicaA},
		"nobody will do": {adjust: func(s *Situation) {
			s.View.Servers[replicaA], s.View.Servers[replicaB] = down(replica(replicaA, 90)), down(replica(replicaB, 95))
		}, why: "no replica can be reached"},
		"writes that were waited for may be lost": {adjust: func(s *Situation) {
			s.Settings.Durability.Wait = 1
			s.Registered = []Process{{Addr: replicaA, RunID: "run-" + string(replicaA)}, {Addr: replicaB, RunID: "another"}}
		}, why: "was restarted"},
		"the other coordinator is no reason not to": {adjust: func(s *Situation) {
			s.View.Foreign = []monitor.Foreign{{RunID: "8ac5", Server: oldMaster}}
		}, want: replicaB},
		"a pause is":     {adjust: func(s *Situation) { s.Paused = &Pause{Who: "ann"} }, blocked: "paused"},
		"a cool-down is": {last: &Record{ID: 3, Outcome: Done, EndAt: monitor.MomentOf(start)}, blocked: "cooldown"},
		"a master that lives is": {adjust: func(s *Situation) {
			s.Verdict.ObjectivelyDown = false
		}, blocked: "not-down"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := crashed(nil)
			s.Record, s.Verdict.ObjectivelyDown, s.Shadow = nil, true, true
			s.Settings.ForeignSentinels = config.ForeignRefuse
			if c.adjust != nil {
				c.adjust(&s)
			}
			got, b := Imagine(s, c.last)
			if b == nil && c.blocked != "" || b != nil && b.Reason != c.blocked {
				t.Fatalf("blocker %+v, want %q", b, c.blocked)
			}
			if got.Target != c.want || !strings.Contains(got.Why, c.why) {
				t.Errorf("got %+v, want %q because %q", got, c.want, c.why)
			}
			if b := MayBegin(s, CauseManual, nil); b == nil || b.Reason != "shadow-mode" {
				t.Errorf("a failover by hand is blocked by %+v", b)
			}
			if len(Repair(s)) > 0 {
				t.Error("there is something to repair")
			}
		})
	}
}

func TestOvertaken(t *testing.T) {
	says := func(master config.Addr, epoch uint64) monitor.Foreign {
		return monitor.Foreign{RunID: "8ac5", Server: replicaA, Master: master, Epoch: epoch}
	}
	promoted := func(s *Situation) { s.View.Servers[replicaB] = up(masterAt(replicaB, 95)) }
	for name, c := range map[string]struct {
		adjust func(*Situation)
		heard  []monitor.Foreign
		since  uint64
		want   config.Addr
	}{
		"nobody speaks":                      {adjust: promoted},
		"it has switched":                    {promoted, []monitor.Foreign{says(replicaB, 2)}, 1, replicaB},
		"others don't know of it yet":        {promoted, []monitor.Foreign{says(oldMaster, 1), says(replicaB, 2), says(oldMaster, 0)}, 1, replicaB},
		"it names the agreed master":         {promoted, []monitor.Foreign{says(oldMaster, 2)}, 1, ""},
		"that switch is known":               {promoted, []monitor.Foreign{says(replicaB, 2)}, 2, ""},
		"whom it names is no master":         {func(*Situation) {}, []monitor.Foreign{says(replicaB, 2)}, 1, ""},
		"whom it names is not known":         {promoted, []monitor.Foreign{says("10.9.9.9:6379", 2)}, 1, ""},
		"it speaks of other servers, there":  {promoted, []monitor.Foreign{{Server: "10.9.9.9:6379", Master: replicaB, Epoch: 2}}, 1, ""},
		"whom it names does not answer":      {func(s *Situation) { s.View.Servers[replicaB] = down(masterAt(replicaB, 95)) }, []monitor.Foreign{says(replicaB, 2)}, 1, ""},
		"a forged one names a replica later": {promoted, []monitor.Foreign{says(replicaB, 2), says(replicaA, 3)}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := crashed(nil)
			s.Now, s.View.Foreign = start.Add(time.Second), c.heard
			c.adjust(&s)
			by, ok := Overtaken(s, c.since)
			if ok != (c.want != "") || ok && by.Master != c.want {
				t.Errorf("by %+v, %v; want %q", by, ok, c.want)
			}
		})
	}
}
