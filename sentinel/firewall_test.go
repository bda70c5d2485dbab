package sentinel

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// TestFirewall_AnAgentAloneKeepsItsReplicaFromASilentMaster: the master may come back with less than it had before anybody can decide.
func TestFirewall_AnAgentAloneKeepsItsReplicaFromASilentMaster(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	g.members[0].stop()
	g.members[2].stop()
	follows := func(i int, want config.Addr) func(context.Context) error {
		return func(ctx context.Context) error {
			o, _, err := g.members[1].running().redis.Do(ctx, master, failover.Action{Kind: failover.Read, Server: g.servers[i].Addr})
			if err == nil && o.Master != want {
				err = fmt.Errorf("%s follows %s, not %s", o.Server, o.Master, want)
			}
			return err
		}
	}
	g.await("the agent without others leaves its replica alone", follows(1, g.servers[0].Addr))
	if err := g.servers[0].Freeze(); err != nil {
		t.Fatal(err)
	}
	g.await("it detaches it when the master is silent", follows(1, failover.Silent))
	if err := follows(2, g.servers[0].Addr)(t.Context()); err != nil {
		t.Errorf("a replica of another agent was touched: %v", err)
	}
	if err := g.servers[0].Thaw(); err != nil {
		t.Fatal(err)
	}
	g.members[0].start()
	g.settle(g.servers[0].Addr)
}

// hanging is servers of which one does not answer.
type hanging struct {
	server config.Addr
	cut    chan config.Addr
}

func (r hanging) Do(ctx context.Context, _ string, a failover.Action) (*monitor.Observation, string, error) {
	if a.Server == r.server {
		<-ctx.Done()
		return nil, "", ctx.Err()
	}
	if a.Kind == failover.Cut {
		r.cut <- a.Server
	}
	return &monitor.Observation{Role: "slave", Master: "h:1"}, "", nil
}

func (hanging) Close() error { return nil }

// TestFirewall_OneThatHangsKeepsNobodyWaiting, and old news is not acted on.
func TestFirewall_OneThatHangsKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := hanging{"h:2", make(chan config.Addr, 10)}
		a := &Agent{
			redis: servers, shields: newShields(), host: Host{}.withDefaults(),
			herald: &herald{log: zerolog.Nop(), machine: state.NewMachine(), queue: make(chan saying, heraldQueue)},
		}
		one := func(replica config.Addr, age time.Duration) {
			a.shields.offer(shielding{master: &state.Master{Name: "m"}, replica: replica, follows: "h:1", rebooted: true, at: time.Now().Add(-age)}, false)
		}
		one("h:2", 0)
		one("h:3", 0)
		one("h:4", 2*time.Second)
		began := time.Now()
		stop := start(a.firewall)
		if got := <-servers.cut; got != "h:3" || time.Since(began) > 0 {
			t.Errorf("%s is detached after %s", got, time.Since(began))
		}
		synctest.Wait()
		stop()
		if len(servers.cut) > 0 {
			t.Errorf("%s is detached for old news", <-servers.cut)
		}
	})
}

func TestAstray(t *testing.T) {
	for name, c := range map[string]struct {
		master monitor.Observation
		record *failover.Record
		want   config.Addr
	}{
		"it is the master":          {monitor.Observation{Role: "master"}, nil, ""},
		"an outdated file":          {monitor.Observation{Role: "slave", Master: "h:2"}, nil, "h:2"},
		"in a failover":             {monitor.Observation{Role: "slave", Master: "h:2"}, &failover.Record{Target: "h:3"}, "h:2"},
		"it follows the new master": {monitor.Observation{Role: "slave", Master: "h:2"}, &failover.Record{Target: "h:2"}, ""},
		"a gate":                    {monitor.Observation{Role: "slave", Master: failover.Silent}, nil, ""},
		"a master of somebody else": {monitor.Observation{Role: "slave", Master: "x:1"}, nil, ""},
	} {
		view := monitor.View{Servers: map[config.Addr]monitor.Server{"h:1": {State: monitor.Down, Last: &c.master}}}
		m := &state.Master{Addr: "h:1", Replicas: []config.Addr{"h:2", "h:3"}, Failover: c.record}
		if got, yes := astray(m, view); got != c.want || yes != (c.want != "") {
			t.Errorf("%s: %q %v, want %q", name, got, yes, c.want)
		}
	}
}

func TestBereft(t *testing.T) {
	dead := monitor.Server{State: monitor.Down, Evidence: monitor.Refused}
	lost := monitor.Observation{Role: "slave", Master: "h:1"}
	fed := lost
	fed.LinkUp = true
	for name, c := range map[string]struct {
		master  monitor.Server
		replica monitor.Observation
		record  *failover.Record
		want    bool
	}{
		"dead":                       {dead, lost, nil, true},
		"dead, not noticed yet":      {dead, fed, nil, false},
		"silent":                     {monitor.Server{State: monitor.Down, Evidence: monitor.TimedOut}, lost, nil, false},
		"alive":                      {monitor.Server{State: monitor.Up}, lost, nil, false},
		"it is a master":             {dead, monitor.Observation{Role: "master"}, nil, false},
		"it is detached already":     {dead, monitor.Observation{Role: "slave", Master: failover.Silent}, nil, false},
		"it is about to be promoted": {dead, lost, &failover.Record{Target: "h:2"}, false},
		"another one is promoted":    {dead, lost, &failover.Record{Target: "h:3"}, true},
	} {
		view := monitor.View{Servers: map[config.Addr]monitor.Server{"h:1": c.master, "h:2": {State: monitor.Up, Last: &c.replica}}}
		if got := bereft(&state.Master{Addr: "h:1", Failover: c.record}, view, "h:2"); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestStrays(t *testing.T) {
	down := func(p failover.Phase) *failover.Record {
		return &failover.Record{Cause: failover.CauseDown, Phase: p, Target: "h:3"}
	}
	for name, c := range map[string]struct {
		replica monitor.Observation
		record  *failover.Record
		known   bool // as a process
		want    bool
	}{
		"it follows the master":                {monitor.Observation{Role: "slave", Master: "h:1"}, nil, true, false},
		"and nobody counts it":                 {monitor.Observation{Role: "slave", Master: "h:1"}, nil, false, true},
		"the master is being replaced":         {monitor.Observation{Role: "slave", Master: "h:1"}, down(failover.Begun), true, true},
		"it has been":                          {monitor.Observation{Role: "slave", Master: "h:1"}, down(failover.Switched), true, false},
		"the master hands over":                {monitor.Observation{Role: "slave", Master: "h:1"}, &failover.Record{Cause: failover.CauseManual}, true, false},
		"a former master":                      {monitor.Observation{Role: "slave", Master: "h:3"}, nil, true, true},
		"a former master, in a failover":       {monitor.Observation{Role: "slave", Master: "h:3"}, down(failover.Switched), true, true},
		"a chain":                              {monitor.Observation{Role: "slave", Master: "h:4"}, nil, true, false},
		"it is a master":                       {monitor.Observation{Role: "master"}, nil, true, false},
		"it is detached already":               {monitor.Observation{Role: "slave", Master: failover.Silent}, nil, true, false},
		"it is detached, and will be promoted": {monitor.Observation{Role: "slave", Master: "h:1"}, &failover.Record{Target: "h:2"}, true, false},
	} {
		view := monitor.View{Servers: map[config.Addr]monitor.Server{
			"h:3": {State: monitor.Up, Last: &monitor.Observation{Role: "master"}},
			"h:4": {State: monitor.Up, Last: &monitor.Observation{Role: "slave", Master: "h:1"}},
		}}
		m := &state.Master{Addr: "h:1", Replicas: []config.Addr{"h:2", "h:3", "h:4"}, Failover: c.record}
		if c.known {
			m.Processes = []failover.Process{{Addr: "h:2"}}
		}
		c.replica.Server = "h:2"
		if got := strays(m, view, &c.replica, true); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestForsaken(t *testing.T) {
	silent := monitor.Server{State: monitor.Down, Evidence: monitor.TimedOut}
	up := func(o monitor.Observation) monitor.Server { return monitor.Server{State: monitor.Up, Last: &o} }
	follower := up(monitor.Observation{Role: "slave", Master: "h:1"})
	for name, c := range map[string]struct {
		master  monitor.Server
		replica monitor.Server
		record  *failover.Record
		want    bool
	}{
		"silent":                     {silent, follower, nil, true},
		"no way to it":               {monitor.Server{State: monitor.Down, Evidence: monitor.Unreachable}, follower, nil, true},
		"it answers":                 {monitor.Server{State: monitor.Up}, follower, nil, false},
		"it says that it is none":    {monitor.Server{State: monitor.Down, Evidence: monitor.WrongRole}, follower, nil, false},
		"the replica is not known":   {silent, monitor.Server{State: monitor.Up}, nil, false},
		"the replica is dead":        {silent, monitor.Server{State: monitor.Down, Last: follower.Last}, nil, false},
		"it is a master":             {silent, up(monitor.Observation{Role: "master"}), nil, false},
		"it is detached already":     {silent, up(monitor.Observation{Role: "slave", Master: failover.Silent}), nil, false},
		"another one is promoted":    {silent, follower, &failover.Record{Target: "h:3"}, true},
		"it is about to be promoted": {silent, follower, &failover.Record{Target: "h:2"}, false},
		"it is to be handed over to": {silent, follower, &failover.Record{Target: "h:2", HandOver: true}, true},
	} {
		view := monitor.View{Servers: map[config.Addr]monitor.Server{"h:1": c.master, "h:2": c.replica}}
		if got := forsaken(&state.Master{Addr: "h:1", Failover: c.record}, view, "h:2"); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
