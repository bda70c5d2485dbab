package sentinel

import (
	"fmt"
	"testing"
	"time"

	"picket/consensus"
)

func TestRollCall(t *testing.T) {
	t0 := time.Unix(1000, 0)
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	var c rollCall
	known := map[consensus.ServerID]time.Time{} // when each was heard
	for _, step := range []struct {
		name    string
		now     int // milliseconds
		heard   map[consensus.ServerID]int
		stalled bool
		want    string
	}{
		{"nobody was heard yet", 0, map[consensus.ServerID]int{"b": -1e6, "c": -1e6}, false, "map[]"},
		{"that lasts", 1000, nil, false, "map[]"},
		{"too long", 2000, map[consensus.ServerID]int{"b": 1500}, false, "map[c:true]"},
		{"that is no news", 2500, map[consensus.ServerID]int{"b": 2500}, false, "map[]"},
		{"it speaks", 3000, map[consensus.ServerID]int{"c": 2900}, false, "map[c:false]"},
		{"it was not this agent's own fault", 4000, map[consensus.ServerID]int{"c": 4000}, false, "map[]"},
		{"who is silent then", 4500, nil, false, "map[b:true]"},
		{"this agent was late itself", 9000, nil, false, "map[b:false]"},
		{"and listens anew", 10_000, nil, false, "map[]"},
		{"they were silent all the time", 11_000, nil, false, "map[b:true c:true]"},
		{"it distrusts its clock", 11_100, nil, true, "map[b:false c:false]"},
	} {
		l := look{now: at(step.now), peers: map[consensus.ServerID]peer{"a": {member: true}, "b": {member: true}, "c": {member: true}, "guest": {}}}
		l.status.ID, l.view.Stalled = "a", step.stalled
		for id, ms := range step.heard {
			known[id] = at(ms)
		}
		for id, heard := range known {
			p := l.peers[id]
			p.heard = heard
			l.peers[id] = p
		}
		if got := fmt.Sprint(c.listen(l)); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}
