package sentinel

import (
	"slices"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

func TestUnproven_AreReplicasThatAnswerAndAreYetToBeRegistered(t *testing.T) {
	m := &state.Master{Name: "m", Addr: "h:1", Processes: []failover.Process{
		{Addr: "h:1", RunID: "of the master"}, {Addr: "h:2"}, {Addr: "h:3", RunID: "known"}, {Addr: "h:4", RunID: "former"}, {Addr: "h:5"}, {Addr: "h:6"},
	}}
	seen := func(s monitor.State, runID string) monitor.Server {
		return monitor.Server{State: s, Last: &monitor.Observation{RunID: runID}}
	}
	view := monitor.View{Servers: map[config.Addr]monitor.Server{
		"h:1": seen(monitor.Up, "another"), "h:2": seen(monitor.Up, "new"), "h:3": seen(monitor.Up, "known"), "h:4": seen(monitor.Up, "new"),
		"h:5": {State: monitor.Up}, "h:6": seen(monitor.Down, "new"),
	}}
	if got, want := unproven(m, view), []config.Addr{"h:2", "h:4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A replica answers for what was acknowledged when it has caught up with the process that the agents have agreed on: with one that came back
// empty it has caught up as well.
func TestUnregistered(t *testing.T) {
	start := time.Unix(100, 0)
	known := func(master failover.Process, replica string) *state.Master {
		master.Addr = "h:1"
		return &state.Master{Name: "m", Addr: "h:1", Processes: []failover.Process{master, {Addr: "h:2", RunID: replica}}}
	}
	list := func(p ...failover.Process) []failover.Process { return p }
	is := failover.Process{Addr: "h:1", RunID: "new", ReplID: "history"}
	for name, c := range map[string]struct {
		master *state.Master
		want   []failover.Process
	}{
		"all is known":                      {known(is, "replica"), nil},
		"a replica was restarted":           {known(is, "former"), list(failover.Process{Addr: "h:2", RunID: "replica"})},
		"a replica has not caught up yet":   {known(is, ""), list(failover.Process{Addr: "h:2", RunID: "replica"})},
		"the master's process is not known": {known(failover.Process{}, ""), list(is)},
		"the master was restarted":          {known(failover.Process{RunID: "old", ReplID: "history"}, ""), list(is)},
		"the master begins another history": {known(failover.Process{RunID: "new", ReplID: "old"}, "replica"), list(is)},
		"the master's history is not known": {known(failover.Process{RunID: "new"}, "replica"), list(is)},
		"both were restarted; nobody can say": {&state.Master{Name: "m", Addr: "h:1", Processes: []failover.Process{
			{Addr: "h:1", RunID: "old"}, {Addr: "h:2", RunID: "former"}, {Addr: "h:3", RunID: "out of sight"}}}, nil},
		"the master was restarted; its former master is out of sight": {&state.Master{Name: "m", Addr: "h:1", Replicas: []config.Addr{"h:3"}, Processes: []failover.Process{
			{Addr: "h:1", RunID: "old"}}}, nil},
	} {
		view := monitor.View{Now: start.Add(3 * time.Second), Servers: map[config.Addr]monitor.Server{
			"h:1": {State: monitor.Up, RunSince: start, Last: &monitor.Observation{
				At: start.Add(time.Second), Role: "master", RunID: "new", ReplID: "history", Offset: 7}},
			"h:2": {State: monitor.Up, RunSince: start, Last: &monitor.Observation{
				At: start.Add(2 * time.Second), Role: "slave", Master: "h:1", LinkUp: true, RunID: "replica", ReplID: "history", Offset: 7}},
		}}
		if got := unregistered(c.master, view, monitor.Verdict{Code: monitor.Healthy}, newDropped()); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
