package sentinel

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"picket/consensus"
	"picket/monitor"
)

func TestGossip_SurvivesTheWireUnderTheSendersName(t *testing.T) {
	g := gossip{Term: 7, Role: uint8(consensus.Leader), Version: "v1", Opinions: []monitor.Opinion{
		{Agent: "somebody else", Server: "h:1", State: monitor.Down, Evidence: monitor.Refused, Age: time.Second, RunID: "r", Seq: 3, Boot: 4},
	}, Foreign: []monitor.Foreign{{RunID: "r", Addr: "s:1", Name: "m", Master: "h:1", Epoch: 5, Server: "h:2", Age: time.Second}},
		Notes: []note{{Kind: noteAsk, Server: "h:1", Boot: 4, Round: 9, Span: time.Second, Electorate: 5}}, Stands: []byte("down:m")}
	data, err := g.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeGossip("a", data)
	if err != nil {
		t.Fatal(err)
	}
	g.Opinions[0].Agent = "a"
	if !reflect.DeepEqual(got, g) {
		t.Errorf("got %+v, want %+v", got, g)
	}
}

func TestGossip_RefusesWhatIsOutOfBounds(t *testing.T) {
	encode := func(g gossip) []byte {
		data, err := g.encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := encode(gossip{})
	for name, data := range map[string][]byte{
		"empty":              {},
		"other version":      append([]byte{99}, good[1:]...),
		"cut":                good[:len(good)-1],
		"too many opinions":  encode(gossip{Opinions: make([]monitor.Opinion, maxOpinions+1)}),
		"too many strangers": encode(gossip{Foreign: make([]monitor.Foreign, maxOpinions+1)}),
		"unknown role":       encode(gossip{Role: 200}),
		"too long":           encode(gossip{Version: strings.Repeat("x", maxGossip)}),
		"a huge length":      {gossipVersion, 0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := decodeGossip("a", data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzGossip(f *testing.F) {
	g := gossip{Term: 7, Version: "v1", Opinions: []monitor.Opinion{{Server: "h:1", State: monitor.Up}}}
	data, err := g.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := decodeGossip("a", data)
		if err != nil {
			return
		}
		for _, o := range g.Opinions {
			if o.Agent != "a" {
				t.Errorf("an opinion of %q", o.Agent)
			}
		}
	})
}

func FuzzReason(f *testing.F) {
	f.Add([]byte("down:a,b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeReason(data); err == nil && string(r.encode()) != string(data) {
			t.Errorf("%q became %q", data, r.encode())
		}
	})
}

func TestPeers_OnlyVotersCount(t *testing.T) {
	p := newPeers()
	now := time.Unix(100, 0)
	if p.heard("gone", gossip{}, now) || len(p.all()) > 0 {
		t.Error("a stranger is remembered")
	}
	p.reach("guest", true)
	p.reach("old", true)
	p.follow([]consensus.Member{{ID: "a", Voter: true}, {ID: "b", Voter: true}, {ID: "new"}, {ID: "old", Voter: true}})
	p.follow([]consensus.Member{{ID: "a", Voter: true}, {ID: "b", Voter: true}, {ID: "new"}})
	for id, want := range map[consensus.ServerID]bool{"a": true, "guest": false, "new": false, "old": false} {
		if got := p.heard(id, gossip{Term: 3, Role: uint8(consensus.Leader), Version: "v"}, now); got != want {
			t.Errorf("the opinion of %s counts: %v", id, got)
		}
	}
	p.reach("b", true)
	p.reach("old", false)
	p.reach("guest", false)
	want := map[consensus.ServerID]peer{
		"a":   {member: true, voter: true, back: now, heard: now, role: consensus.Leader, term: 3, version: "v"},
		"b":   {member: true, voter: true, connected: true},
		"new": {member: true, back: now, heard: now, role: consensus.Leader, term: 3, version: "v"},
	}
	if got := p.all(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPeers_WhoGoesOnSpeakingCanBeReached(t *testing.T) {
	p := newPeers()
	p.follow([]consensus.Member{{ID: "a", Voter: true}})
	start := time.Unix(100, 0)
	connected := func() bool { return p.all()["a"].connected }
	p.reach("a", true)
	p.heard("a", gossip{}, start)
	p.reach("a", false)
	if connected() {
		t.Error("connected after the connection broke")
	}
	p.heard("a", gossip{}, start.Add(time.Second))
	if connected() {
		t.Error("connected at the first word of a peer that may have been restarted")
	}
	p.heard("a", gossip{}, start.Add(time.Second+reconnects+1))
	if !connected() {
		t.Error("not connected although it goes on speaking")
	}
}
