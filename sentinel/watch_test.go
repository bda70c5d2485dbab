package sentinel

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

func TestTargets_AreWhatIsAgreedAndBeforeThatWhatTheFileSays(t *testing.T) {
	cfg := &config.Config{
		Masters: []config.Master{{Name: "a", Address: "h:1"}, {Name: "b", Address: "h:5"}, {Name: "c", Address: "h:3"}},
	}
	a := &Agent{cfg: cfg, rules: rules{file: map[string]*config.Master{"a": &cfg.Masters[0], "b": &cfg.Masters[1], "c": &cfg.Masters[2]}}}
	s := &state.State{Masters: []state.Master{
		{Name: "a", Addr: "h:2", Replicas: []config.Addr{"h:1", "h:3"}}, {Name: "z", Addr: "h:9"},
	}}
	var got []string
	for _, target := range a.targets(s) {
		got = append(got, fmt.Sprintf("%s %s %v", target.Settings.Name, target.Addr, target.IsMaster))
	}
	// c's address in the file belongs to a meanwhile; z is not in this agent's file.
	want := []string{"a h:2 true", "a h:1 false", "a h:3 false", "b h:5 true"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMissing_IsWhatTheLeaderMakesKnown(t *testing.T) {
	cfg := &config.Config{Masters: []config.Master{{Name: "a", Address: "h:1", Quorum: 2}, {Name: "b", Address: "h:5"}}}
	known := state.State{Masters: []state.Master{{Name: "a", Addr: "h:1", Replicas: []config.Addr{"h:2"}}, {Name: "b", Addr: "h:5"}}}
	healthy := monitor.Server{State: monitor.Up, Last: &monitor.Observation{Role: "master", Replicas: []monitor.Attached{
		{Server: "h:2", State: "online"}, {Server: "h:3", State: "online"}, {Server: "h:4", State: "wait_bgsave"},
		{Server: "h:5", State: "online"}, {Server: "h", State: "online"},
	}}}
	with := func(change func(*monitor.Server)) monitor.Server {
		s := healthy
		change(&s)
		return s
	}
	running := state.State{Masters: slices.Clone(known.Masters)}
	running.Masters[0].Failover = &failover.Record{}
	for _, tc := range []struct {
		name   string
		state  state.State
		server monitor.Server
		want   []string
	}{
		{"nothing is agreed yet", state.State{}, healthy, []string{"master a h:1 2", "master b h:5 0"}},
		{"an online replica that nobody owns", known, healthy, []string{"replica a h:3"}},
		{"the master is not well", known, with(func(s *monitor.Server) { s.State = monitor.Down }), nil},
		{"the master was not looked at", known, monitor.Server{State: monitor.Up}, nil},
		{"it says that it is a replica", known, with(func(s *monitor.Server) {
			o := *s.Last
			o.Role, s.Last = "slave", &o
		}), nil},
		{"a failover runs", running, healthy, nil},
	} {
		view := monitor.View{Now: time.Unix(1, 0), Servers: map[config.Addr]monitor.Server{"h:1": tc.server}}
		var got []string
		for _, c := range missing(cfg, &tc.state, view, newDropped()) {
			if m := c.AddMaster; m != nil {
				got = append(got, fmt.Sprintf("master %s %s %d", m.Name, m.Addr, m.Quorum))
			} else {
				got = append(got, fmt.Sprintf("replica %s %s", c.AddReplica.Master, c.AddReplica.Addr))
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestMissing_ReplicasThatOnlyTheFileKnows: a master that is down at the first start can't say who follows it.
func TestMissing_ReplicasThatOnlyTheFileKnows(t *testing.T) {
	cfg := &config.Config{Masters: []config.Master{{Name: "a", Address: "h:1", KnownReplicas: []config.Addr{"h:2", "h:3", "h:4"}}}}
	a := &Agent{cfg: cfg, rules: rules{file: map[string]*config.Master{"a": &cfg.Masters[0]}}}
	follows := func(master config.Addr) monitor.Server {
		return monitor.Server{State: monitor.Up, Last: &monitor.Observation{Role: "slave", Master: master}}
	}
	down := monitor.Server{State: monitor.Down}
	unmet := state.Master{Name: "a", Addr: "h:1"}
	one := unmet
	one.Replicas = []config.Addr{"h:2"}
	met, moved := unmet, unmet
	met.Processes, moved.Epoch = []failover.Process{{Addr: "h:1"}}, 7
	for _, tc := range []struct {
		name    string
		master  state.Master
		servers map[config.Addr]monitor.Server
		want    []config.Addr
		watched int // beside the master and its replicas
	}{
		{"two follow", unmet, map[config.Addr]monitor.Server{"h:1": down, "h:2": follows("h:1"), "h:3": follows("h:1"), "h:4": down}, []config.Addr{"h:2", "h:3"}, 3},
		{"one is known already", one, map[config.Addr]monitor.Server{"h:1": down, "h:3": follows("h:1"), "h:4": down}, []config.Addr{"h:3"}, 2},
		{"one was not looked at", unmet, map[config.Addr]monitor.Server{"h:1": down, "h:2": follows("h:1"), "h:3": follows("h:1")}, nil, 3},
		{"others follow somebody else", unmet, map[config.Addr]monitor.Server{"h:1": down, "h:2": follows("h:9"), "h:3": down, "h:4": {State: monitor.Up}}, nil, 3},
		{"the master can be asked", unmet, map[config.Addr]monitor.Server{"h:1": {State: monitor.Up}, "h:2": follows("h:1"), "h:3": down, "h:4": down}, nil, 3},
		{"it could be asked before", met, map[config.Addr]monitor.Server{"h:1": down, "h:2": follows("h:1"), "h:3": down, "h:4": down}, nil, 0},
		{"another one took its place", moved, map[config.Addr]monitor.Server{"h:1": down, "h:2": follows("h:1"), "h:3": down, "h:4": down}, nil, 0},
	} {
		s := &state.State{Masters: []state.Master{tc.master}}
		var got []config.Addr
		for _, c := range missing(cfg, s, monitor.View{Now: time.Unix(1, 0), Servers: tc.servers}, newDropped()) {
			got = append(got, c.AddReplica.Addr)
		}
		if watched := len(a.targets(s)) - 1 - len(tc.master.Replicas); !slices.Equal(got, tc.want) || watched != tc.watched {
			t.Errorf("%s: got %v and %d more are watched; want %v, %d", tc.name, got, watched, tc.want, tc.watched)
		}
	}
}

func TestAttended_AreTheServersOfMastersThatAreNotWell(t *testing.T) {
	s := []*state.Master{
		{Name: "down", Addr: "h:4", Replicas: []config.Addr{"h:3"}}, {Name: "running", Addr: "h:2", Failover: &failover.Record{}},
		{Name: "well", Addr: "h:1", Replicas: []config.Addr{"h:9"}}, {Name: "moved", Addr: "h:5", Replicas: []config.Addr{"h:6", "h:7"}},
	}
	healthy := judged{verdict: monitor.Verdict{Code: monitor.Healthy}}
	judged := map[string]judged{"down": {verdict: monitor.Verdict{Code: monitor.DeadMaster}}, "running": healthy, "well": healthy, "moved": healthy}
	replica := func(s monitor.State, linked bool) monitor.Server {
		return monitor.Server{State: s, Last: &monitor.Observation{Role: "slave", LinkUp: linked}}
	}
	v := monitor.View{Servers: map[config.Addr]monitor.Server{
		"h:6": replica(monitor.Up, true), "h:7": replica(monitor.Up, false), "h:9": replica(monitor.Down, false),
	}}
	if got, want := attended(s, judged, v), []config.Addr{"h:2", "h:3", "h:4", "h:5", "h:6", "h:7"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestIdentity_DefaultsToTheListOfAgents(t *testing.T) {
	cfg := &config.Config{
		Agent: config.Agent{ID: "b", Zone: "z"}, Local: "h:1", Agents: []config.Peer{{ID: "a", Address: "x:1"}, {ID: "b", Address: "y:26380"}},
		Listen: config.Listen{Sentinel: "0.0.0.0:5000"},
	}
	want := state.Agent{ID: "b", Host: "y", SentinelPort: 5000, Peer: "y:26380", Local: "h:1", Zone: "z", Boot: 9}
	if got := identity(cfg, 9); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	cfg.Announce = config.Announce{Host: "public", SentinelPort: 26379}
	want.Host, want.SentinelPort = "public", 26379
	if got := identity(cfg, 9); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
