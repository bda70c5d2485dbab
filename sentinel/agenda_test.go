package sentinel

import (
	"slices"
	"testing"
	"time"

	"picket/consensus"
)

func ids(names ...consensus.ServerID) map[consensus.ServerID]bool {
	m := map[consensus.ServerID]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

func TestRank_LeaderFirstThenTheReachableInOrder(t *testing.T) {
	voters := []consensus.ServerID{"a", "b", "c", "d"}
	for _, tc := range []struct {
		name      string
		self      consensus.ServerID
		leader    consensus.ServerID
		reachable map[consensus.ServerID]bool
		rank      int
		majority  bool
	}{
		{"the leader", "c", "c", ids("a", "b", "d"), 0, true},
		{"first behind the leader", "a", "c", ids("b", "c", "d"), 1, true},
		{"second", "b", "c", ids("a", "c", "d"), 2, true},
		{"the leader counts once", "d", "c", ids("a", "b", "c"), 3, true},
		{"the leader is gone", "a", "c", ids("b", "d"), 0, true},
		{"the leader is gone, second", "b", "c", ids("a", "d"), 1, true},
		{"no leader is known", "b", "", ids("a", "c", "d"), 1, true},
		{"others are gone too", "d", "a", ids("c"), 1, false},
		{"alone", "d", "", ids(), 0, false},
		{"two of four are no majority", "a", "a", ids("b"), 0, false},
	} {
		e := electorate{self: tc.self, voters: voters, leader: tc.leader, reachable: tc.reachable}
		if got := e.rank(); got != tc.rank {
			t.Errorf("%s: rank %d, want %d", tc.name, got, tc.rank)
		}
		if got := e.majority(); got != tc.majority {
			t.Errorf("%s: majority %v, want %v", tc.name, got, tc.majority)
		}
	}
}

// TestAgenda asks at one time after another what is due.
func TestAgenda(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	type question struct {
		at, rank int
		suspects bool
		want     string // the reason that is due; empty: none
		next     int    // when to ask again; -1: never by itself
	}
	for _, tc := range []struct {
		name      string
		prepare   func(g *agenda)
		questions []question
	}{
		{"nothing is wanted", func(*agenda) {}, []question{{0, 0, false, "", -1}, {0, 3, true, "", -1}}},
		{
			"the leader goes at once, others after their stagger",
			func(g *agenda) { g.set("m", forDown, at(0)) },
			[]question{{0, 0, false, "down:m", -1}, {0, 1, false, "", 25}, {24, 1, false, "", 25}, {25, 1, false, "down:m", -1}, {25, 2, false, "", 50}},
		},
		{
			"the time runs from the first wish",
			func(g *agenda) { g.set("m", forDown, at(0)); g.set("m", forDown, at(20)) },
			[]question{{20, 1, false, "", 25}},
		},
		{
			"a wish that is dropped is forgotten",
			func(g *agenda) { g.set("m", forDown, at(0)); g.set("m", "", at(1)); g.set("m", forDown, at(2)) },
			[]question{{2, 1, false, "", 27}},
		},
		{
			"suspects are waited for, but not for long",
			func(g *agenda) { g.set("m", forDown, at(0)) },
			[]question{{0, 0, true, "", 10}, {10, 0, true, "down:m", -1}, {5, 0, false, "down:m", -1}},
		},
		{
			"masters that are down together share an election",
			func(g *agenda) { g.set("b", forDown, at(0)); g.set("a", forDown, at(20)) },
			[]question{{25, 1, false, "down:a,b", -1}},
		},
		{
			"a failover that lost its leader gives way to new ones, and is resumed with them",
			func(g *agenda) { g.set("a", forResume, at(0)); g.set("b", forDown, at(0)) },
			[]question{{0, 0, false, "down:b", -1}},
		},
		{
			"a failover that lost its leader",
			func(g *agenda) { g.set("a", forResume, at(0)) },
			[]question{{0, 0, false, "resume:a", -1}},
		},
		{
			"somebody else stands for it",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
			},
			[]question{{2, 0, false, "", 301}, {301, 0, false, "down:m", -1}, {301, 1, false, "", 326}},
		},
		{
			"somebody else stands for it before it is seen here",
			func(g *agenda) {
				g.claimed("x", []string{"m"}, voted, at(0), 300*time.Millisecond)
				g.set("m", forDown, at(5))
			},
			[]question{{5, 0, false, "", 300}},
		},
		{
			"and goes on losing",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, voted, at(200), 300*time.Millisecond)
			},
			[]question{{2, 0, false, "", 301}},
		},
		{
			"and says so before its request comes: a slow disk is waited for, and then one's own",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, stands, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, stands, at(100), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, voted, at(200), 300*time.Millisecond)
			},
			[]question{{2, 0, false, "", 500}},
		},
		{
			"and wins: it is given time to act",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, won, at(250), 2*time.Second)
			},
			[]question{{260, 0, false, "", 2250}},
		},
		{
			"and wins, but leads no more",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, won, at(250), 2*time.Second)
				g.leads("")
			},
			[]question{{260, 0, false, "down:m", -1}},
		},
		{
			"and wins, but another one leads by now",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, won, at(250), 2*time.Second)
				g.leads("x")
				g.leads("y")
			},
			[]question{{260, 0, false, "down:m", -1}},
		},
		{
			"and wins, and has begun; another failover is needed soon after",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, won, at(5), 2*time.Second)
				g.set("m", "", at(10))
				g.set("m", forDown, at(100))
			},
			[]question{{100, 0, false, "down:m", -1}},
		},
		{
			"who is refused here",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, stands, at(1), 300*time.Millisecond)
				g.claimed("y", []string{"n"}, stands, at(1), 300*time.Millisecond)
				g.refused("y")
				g.refused("x")
			},
			[]question{{60, 0, false, "down:m", -1}},
		},
		{
			"whom others refuse, but not this agent",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.refused("x")
			},
			[]question{{60, 0, false, "", 301}},
		},
		{
			"and a rival, for whom nobody has voted",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("y", []string{"m"}, stands, at(200), 300*time.Millisecond)
			},
			[]question{{260, 0, false, "", 301}},
		},
		{
			"and a rival, who gets the vote of the next term",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("y", []string{"m"}, voted, at(200), 300*time.Millisecond)
			},
			[]question{{260, 0, false, "", 500}},
		},
		{
			"and stands, having led before",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, stands, at(1), 300*time.Millisecond)
				g.leads("")
			},
			[]question{{2, 0, false, "", 301}},
		},
		{
			"and after it others, in vain: each is given twice as much time, up to a bound",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				now := 0
				for turn, peer := range []consensus.ServerID{"x", "y", "x", "y", "x", "y"} {
					g.claimed(peer, []string{"m"}, voted, at(now), 300*time.Millisecond)
					now += 300<<min(turn, maxTurn) + 1
				}
			},
			[]question{{9000, 0, false, "", 300 + 600 + 1200 + 2400*3 + 5}},
		},
		{
			"and stands once more when its time is over",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, voted, at(400), 300*time.Millisecond)
			},
			[]question{{402, 0, false, "", 1000}},
		},
		{
			"and once more a long time after",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, voted, at(2000), 300*time.Millisecond)
			},
			[]question{{2002, 0, false, "", 2300}},
		},
		{
			"and dies",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.released("x")
			},
			[]question{{2, 0, false, "down:m", -1}},
		},
		{
			"a claim on one master holds up another one until it has begun, and for a moment",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.set("n", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.set("m", "", at(10))
			},
			[]question{{11, 0, false, "", 51}, {51, 0, false, "down:n", -1}, {51, 1, false, "", 76}},
		},
		{
			"or as long as it may, if it does not begin",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.set("n", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
			},
			[]question{{60, 0, false, "", 301}, {301, 0, false, "down:m,n", -1}},
		},
		{
			"but not again and again",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.set("n", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("x", []string{"m"}, voted, at(400), 300*time.Millisecond)
			},
			[]question{{410, 0, false, "down:n", -1}},
		},
		{
			"who has won for one master is not interrupted for another one",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.set("n", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.claimed("y", []string{"m"}, voted, at(400), 300*time.Millisecond)
				g.claimed("y", []string{"m"}, won, at(500), 2*time.Second)
			},
			[]question{{510, 0, false, "", 2500}},
		},
		{
			"unless who claims it dies",
			func(g *agenda) {
				g.set("n", forDown, at(0))
				g.claimed("x", []string{"m"}, voted, at(1), 300*time.Millisecond)
				g.released("x")
			},
			[]question{{2, 0, false, "down:n", -1}},
		},
		{
			"the pause grows also for who wins, has nothing to do for a moment, and is deposed",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.lost([]string{"m"}, at(0), 0)
				g.set("m", "", at(60))
				g.lost([]string{"m"}, at(90), 0)
				g.set("m", forDown, at(100))
			},
			[]question{{100, 0, false, "", 190}, {190, 0, false, "down:m", -1}},
		},
		{
			"after a long time it is short again",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.lost([]string{"m"}, at(0), 0)
				g.lost([]string{"m"}, at(100), 0)
				g.lost([]string{"m"}, at(2300), 0)
			},
			[]question{{2310, 0, false, "", 2350}},
		},
		{
			"after a lost election there is a pause that grows",
			func(g *agenda) {
				g.set("m", forDown, at(0))
				g.lost([]string{"m"}, at(0), 0.5)
				g.lost([]string{"m"}, at(100), 0)
			},
			[]question{{100, 0, false, "", 200}, {200, 0, false, "down:m", -1}},
		},
	} {
		for _, q := range tc.questions {
			g := newAgenda()
			tc.prepare(g)
			r, next, ok := g.due(at(q.at), q.rank, q.suspects)
			got := ""
			if ok {
				got = string(r.encode())
			}
			want := time.Time{}
			if q.next >= 0 {
				want = at(q.next)
			}
			if got != q.want || !next.Equal(want) {
				t.Errorf("%s: at %d ms, rank %d: %q, next %v; want %q, %v", tc.name, q.at, q.rank, got, next.Sub(start), q.want, want.Sub(start))
			}
		}
	}
}

func TestAgenda_PauseIsBounded(t *testing.T) {
	g, now := newAgenda(), time.Unix(0, 0)
	g.set("m", forDown, now)
	for range 100 {
		g.lost([]string{"m"}, now, 0.999)
		if pause := g.losses["m"].hold.Sub(now); pause < firstRetry || pause > 2*lastRetry {
			t.Fatalf("pause %s", pause)
		}
	}
}

func TestReason_SurvivesTheWire(t *testing.T) {
	for _, r := range []reason{{forDown, []string{"a"}}, {forResume, []string{"a", "b.c"}}, {forManual, []string{"x_y-z"}}} {
		got, err := decodeReason(r.encode())
		if err != nil || got.purpose != r.purpose || !slices.Equal(got.masters, r.masters) {
			t.Errorf("%v became %v, %v", r, got, err)
		}
	}
	for _, bad := range []string{"", "down", "down:", "down:a,,b", "other:a", ":a", "down:" + string(make([]byte, maxReason))} {
		if r, err := decodeReason([]byte(bad)); err == nil {
			t.Errorf("%.20q became %v", bad, r)
		}
	}
	if electedFor(nil).names("m") || !electedFor([]byte("down:a,m")).names("m") {
		t.Error("names")
	}
}
