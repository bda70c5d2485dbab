package sentinel

import (
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

func TestStanding_IsTheOfficeAndTheRole(t *testing.T) {
	at := time.Unix(1000, 0)
	agreed := func(adjust func(*state.Master)) *state.Master {
		m := &state.Master{Name: "m", Addr: "h:1", Processes: []failover.Process{{Addr: "h:1", RunID: "r"}}}
		adjust(m)
		return m
	}
	server := func(adjust func(*monitor.Observation)) monitor.Server {
		o := &monitor.Observation{Server: "h:1", At: at, RunID: "r", Role: "master", Offset: 100}
		adjust(o)
		return monitor.Server{Addr: o.Server, State: monitor.Up, Last: o}
	}
	follows := func(o *monitor.Observation) {
		o.Server, o.RunID, o.Role, o.Master, o.LinkUp, o.LastIO = "h:2", "s", "slave", "h:1", true, 5*time.Second
	}
	same := func(*state.Master) {}
	well := func(*monitor.Observation) {}
	running := func(phase failover.Phase, handOver bool) func(*state.Master) {
		return func(m *state.Master) { m.Failover = &failover.Record{Phase: phase, HandOver: handOver} }
	}
	master := server(well).Last
	for name, c := range map[string]struct {
		m              *state.Master
		s              monitor.Server
		office, fenced bool
		follows        bool
		lag            int64
		age            time.Duration // -1: unknown
	}{
		"the master":                         {agreed(same), server(well), true, false, false, -1, -1},
		"another process in its place":       {agreed(same), server(func(o *monitor.Observation) { o.RunID = "z" }), false, false, false, -1, -1},
		"a failover has begun":               {agreed(running(failover.Begun, false)), server(well), false, false, false, -1, -1},
		"a hand-over has begun":              {agreed(running(failover.Begun, true)), server(well), true, false, false, -1, -1},
		"it is being handed over":            {agreed(running(failover.Promoting, true)), server(well), false, false, false, -1, -1},
		"it has just come into office":       {agreed(running(failover.Switched, false)), server(well), true, false, false, -1, -1},
		"a replica that has it all":          {agreed(same), server(func(o *monitor.Observation) { follows(o); o.Offset = 100 }), false, false, true, 0, 0},
		"a replica that lacks something":     {agreed(same), server(func(o *monitor.Observation) { follows(o); o.Offset = 90 }), false, false, true, 10, 6 * time.Second},
		"its master was seen long before":    {agreed(same), server(func(o *monitor.Observation) { follows(o); o.Offset, o.At = 100, at.Add(6*time.Second) }), false, false, true, -1, 0},
		"a replica without a link":           {agreed(same), server(func(o *monitor.Observation) { follows(o); o.Offset, o.LinkUp = 90, false }), false, false, false, 10, -1},
		"a replica of another one":           {agreed(same), server(func(o *monitor.Observation) { follows(o); o.Offset, o.Master = 90, "h:9" }), false, false, false, 10, -1},
		"a replica that loads its data anew": {agreed(same), server(func(o *monitor.Observation) { follows(o); o.Offset, o.Syncing = 90, true }), false, false, false, 10, -1},
	} {
		t.Run(name, func(t *testing.T) {
			b := standing(c.m, c.s, master)
			age := time.Duration(-1)
			if !b.Fresh.IsZero() {
				age = at.Sub(b.Fresh)
			}
			if b.Office != c.office || b.Follows != c.follows || b.Lag != c.lag || age != c.age || !b.Up || !b.Ready {
				t.Errorf("%+v, age %v", b, age)
			}
		})
	}
}

func TestEntitled_UntilTheLeaseOrTheProofsEnd(t *testing.T) {
	now := time.Unix(1000, 0)
	proven := now.Add(100 * time.Millisecond)
	post := func(policy string) failover.Post {
		return failover.Post{Now: now, Proven: proven, Settings: &config.Master{LeaseLoss: policy, Lease: 300 * time.Millisecond}}
	}
	var none failover.Lease
	held := failover.Lease{}
	held.Answered(held.Ask(now), "a", []string{"a"}, 300*time.Millisecond)
	for name, c := range map[string]struct {
		lease    failover.Lease
		policy   string
		released string
		want     time.Time
	}{
		"the lease":                    {held, config.LeaseStrict, "", now.Add(300 * time.Millisecond)},
		"the lease, beyond the proofs": {held, config.LeaseReplicas, "", now.Add(300 * time.Millisecond)},
		"proofs":                       {none, config.LeaseReplicas, "", proven},
		"proofs that do not suffice":   {none, config.LeaseStrict, "", time.Time{}},
		"it was given up":              {none, config.LeaseReplicas, "it is fenced", time.Time{}},
	} {
		if got := entitled(&c.lease, post(c.policy), c.released); !got.Equal(c.want) {
			t.Errorf("%s: until %v, want %v", name, got, c.want)
		}
	}
}
