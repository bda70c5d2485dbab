package sentinel

import (
	"slices"
	"testing"

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
