package cli

import (
	"slices"
	"testing"

	"picket/monitor"
	"picket/sentinel/picture"
)

func TestUnwell_SaysWhatIs(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*picture.Picture){
		"":                          func(*picture.Picture) {},
		"no majority of agents":     func(p *picture.Picture) { p.Majority = false },
		"agent b is not heard":      func(p *picture.Picture) { p.Agents[1].Up = false },
		"m: its master h:1 is down": func(p *picture.Picture) { p.Masters[0].Server.State = "down" },
		"m: its master is fenced, and takes no writes": func(p *picture.Picture) { p.Masters[0].Server.Fenced = true },
		"m: a Redis Sentinel watches it, too":          func(p *picture.Picture) { p.Masters[0].Foreign = []monitor.Foreign{{}} },
		"m: no replica follows it":                     func(p *picture.Picture) { p.Masters[0].Replicas[0].Last.LinkUp = false },
	} {
		p := picture.Picture{
			Majority: true, Agents: []picture.Agent{{ID: "a", Up: true}, {ID: "b", Up: true}},
			Masters: []picture.Master{{
				Name: "m", Server: picture.Server{Addr: "h:1", State: "up"},
				Replicas: []picture.Server{{Addr: "h:2", State: "up", Last: &monitor.Observation{LinkUp: true}}},
			}},
		}
		change(&p)
		var wants []string
		if want != "" {
			wants = []string{want}
		}
		if lines := Unwell(p); !slices.Equal(lines, wants) {
			t.Errorf("%q, and not %q", lines, wants)
		}
	}
}
