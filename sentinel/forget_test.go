package sentinel

import (
	"strings"
	"testing"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// TestForgettable: of the replicas that are left, as many as clients wait for must hold everything.
func TestForgettable(t *testing.T) {
	for name, c := range map[string]struct {
		wait    int
		dead    []config.Addr
		behind  []config.Addr
		refused string // what is said; empty: it may be forgotten
	}{
		"it follows":                            {wait: 1, refused: "it follows the master"},
		"all others hold everything":            {wait: 1, dead: []config.Addr{"h:4"}},
		"one other is dead as well":             {wait: 1, dead: []config.Addr{"h:3", "h:4"}},
		"… and nobody holds everything":         {wait: 1, dead: []config.Addr{"h:3", "h:4"}, behind: []config.Addr{"h:2"}, refused: "may be lacking on h:2, h:3"},
		"two acknowledge, and only one is left": {wait: 2, dead: []config.Addr{"h:3", "h:4"}, refused: "may be lacking on h:3"},
		"two acknowledge, and two are left":     {wait: 2, dead: []config.Addr{"h:4"}},
		"nobody waits, somebody must hold it":   {wait: 0, dead: []config.Addr{"h:4"}, behind: []config.Addr{"h:2", "h:3"}, refused: "may be lacking on h:2, h:3"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &state.Master{Name: "m", Addr: "h:1", Replicas: []config.Addr{"h:2", "h:3", "h:4"}, Processes: []failover.Process{
				{Addr: "h:1"}, {Addr: "h:2"}, {Addr: "h:3"}, {Addr: "h:4"},
			}}
			view := monitor.View{Servers: map[config.Addr]monitor.Server{
				"h:1": {State: monitor.Up, Last: &monitor.Observation{Server: "h:1", Role: "master", ReplID: "x", Offset: 100}},
			}}
			for _, r := range m.Replicas {
				view.Servers[r] = monitor.Server{State: monitor.Up, Last: &monitor.Observation{Server: r, Role: "slave", Master: "h:1", ReplID: "x", Offset: 100}}
			}
			for _, r := range c.dead {
				view.Servers[r] = monitor.Server{State: monitor.Down}
			}
			for _, r := range c.behind {
				view.Servers[r].Last.Offset--
			}
			b := forgettable(m, view, "h:4", c.wait)
			switch {
			case b == nil && c.refused != "":
				t.Errorf("it may be forgotten, want %q", c.refused)
			case b != nil && (c.refused == "" || !strings.Contains(b.Text, c.refused) || b.Remedy == ""):
				t.Errorf("refused: %s (%s), want %q", b.Text, b.Remedy, c.refused)
			}
		})
	}
}
