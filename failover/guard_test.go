package failover

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

// posted is a healthy master whose agent has run for long.
func posted(ms int, adjust ...func(*Post)) Post {
	p := Post{
		Now: after(ms), Server: up(masterAt(oldMaster, 100)), Name: "m", Master: oldMaster, RunID: "run-" + string(oldMaster),
		Settings:  &config.Master{DownAfter: time.Second, Lease: span, LeaseLoss: config.LeaseReplicas},
		Confirmed: start,
	}
	for _, f := range adjust {
		f(&p)
	}
	return p
}

// old is a guard that has looked at the healthy master for ten seconds, and holds the lease up to 10,300 ms.
func old() *Guard {
	g := NewGuard(start)
	for ms := 0; ms <= 10_000; ms += 50 {
		if p := posted(ms); g.Next(p).Ask {
			g.Lease().Answered(g.Lease().Ask(p.Now), "a", []string{"a"}, span)
		}
	}
	return g
}

// every posts the same again and again.
func every(from, to int, adjust ...func(*Post)) (posts []Post) {
	for ms := from; ms <= to; ms += 50 {
		posts = append(posts, posted(ms, adjust...))
	}
	return posts
}

func (o Orders) String() string {
	var words []string
	for _, w := range []struct {
		word string
		is   bool
	}{{"ask", o.Ask}, {"prove", o.Prove}, {"confirm", o.Confirm}, {"release", o.Release}, {"fence: " + o.Fence, o.Fence != ""}, {"unfence", o.Unfence}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ", ")
}

func TestGuard(t *testing.T) {
	strict := func(p *Post) { p.Settings.LeaseLoss = config.LeaseStrict }
	off := func(p *Post) { p.Settings.LeaseLoss = config.LeaseOff }
	fenced := func(p *Post) { o := *p.Server.Last; o.Fence = fenceBase; p.Server.Last = &o }
	proven := func(p *Post) { p.Proven = p.Now.Add(50 * time.Millisecond) }
	slave := func(p *Post) { p.Server = up(replica(oldMaster, 100)); p.Master = replicaA }
	reborn := func(p *Post) { o := *p.Server.Last; o.RunID = "new"; p.Server.Last = &o }
	dead := func(p *Post) { p.Server = down(p.Server.Last) }
	hung := func(p *Post) { p.Server.State, p.Server.Evidence = monitor.Down, monitor.TimedOut }
	silent := func(p *Post) { p.Server.Lost = p.Now.Add(-700 * time.Millisecond) }
	begun := func(cause Cause, phase Phase) func(*Post) {
		return func(p *Post) {
			p.Record = &Record{Cause: cause, Phase: phase, Old: oldMaster, Target: replicaA, HandOver: cause == CauseManual}
		}
	}
	elsewhere := func(p *Post) { p.Master = replicaA }
	chosen := func(p *Post) {
		p.Record = &Record{Cause: CauseDown, Phase: Promoting, Target: oldMaster, RunID: "run-" + string(oldMaster)}
	}
	handed := func(p *Post) {
		elsewhere(p)
		p.Record = &Record{Cause: CauseManual, Phase: Switched, HandOver: true, OldRunID: p.Server.Last.RunID, Target: replicaA}
	}
	confirmed := func(p *Post) { p.Confirmed = p.Now.Add(-time.Millisecond) }
	lost := func(adjust ...func(*Post)) []Post { return []Post{posted(10_200), posted(10_310, adjust...)} }
	for name, c := range map[string]struct {
		posts []Post // one after the other
		want  string // of the last
	}{
		"renews":                             {[]Post{posted(10_080)}, "ask"},
		"not too often":                      {[]Post{posted(10_010)}, ""},
		"proofs are gathered before it ends": {[]Post{posted(10_160)}, "ask, prove"},
		"lost, all replicas follow":          {lost(proven), "ask, prove"},
		"lost, a replica is silent":          {lost(), "ask, prove, fence: its lease ran out, and not all"},
		"lost, strict":                       {lost(strict, proven), "ask, fence: its lease ran out"},
		"lost, off":                          {lost(off), ""},
		"lost and fenced already":            {lost(strict, fenced), "ask"},
		"lost and fenced, all follow again":  {append(lost(), posted(10_390, fenced, proven)), "ask, prove, unfence"},
		"fenced by somebody else meanwhile":  {lost(fenced, proven), "ask, prove"},
		"fenced by somebody else, long ago":  {append(lost(fenced, proven), every(10_350, 20_400, fenced, proven)...), "ask, prove, unfence"},
		"held again, not sure yet":           {[]Post{posted(10_100, fenced, func(p *Post) { p.Confirmed = time.Time{} })}, "ask, confirm"},
		"held again and sure":                {[]Post{posted(10_070, fenced), posted(10_100, fenced, confirmed)}, "ask, unfence"},
		"it was sure, a while ago":           {append([]Post{posted(9_400, fenced)}, every(9_500, 10_050, fenced, func(p *Post) { p.Confirmed = after(9_410) })...), "confirm"},
		"sure before the fence was seen":     {[]Post{posted(10_070, confirmed), posted(10_100, fenced, confirmed)}, "ask, confirm"},
		"held, but a failover has begun":     {[]Post{posted(10_100, begun(CauseDown, Begun))}, "fence: another one is about"},
		"fenced because a failover has begun": {[]Post{posted(10_100, begun(CauseDown, Begun)), posted(10_110, begun(CauseDown, Begun), fenced)},
			"release"},
		"a master that is not well is to be replaced by hand": {[]Post{posted(10_100, func(p *Post) {
			p.Record = &Record{Cause: CauseManual, Phase: Begun, Old: oldMaster}
		})}, "fence: another one is about"},
		"a hand-over needs the lease":          {[]Post{posted(10_100, begun(CauseManual, Begun))}, "ask"},
		"its fence is the leader's":            {[]Post{posted(10_070, begun(CauseManual, Promoting)), posted(10_100, begun(CauseManual, Promoting), fenced, confirmed)}, "ask"},
		"a hand-over, and the lease is lost":   {lost(begun(CauseManual, Promoting)), "ask, prove, fence: its lease ran out"},
		"it is lost, and all replicas follow":  {lost(begun(CauseManual, Begun), proven), "ask, prove"},
		"they do, and the leader has fenced":   {lost(begun(CauseManual, Promoting), proven, fenced), "ask, prove"},
		"it has switched to this server":       {[]Post{posted(10_080, begun(CauseDown, Switched))}, "ask"},
		"dead":                                 {[]Post{posted(10_010, dead)}, "release"},
		"dead, told already":                   {[]Post{posted(10_010, dead), posted(10_020, dead)}, ""},
		"silent":                               {[]Post{posted(10_080, silent)}, ""},
		"hangs":                                {[]Post{posted(10_080, hung)}, "release, fence: it does not answer"},
		"hangs, left a fence already":          {[]Post{posted(10_080, hung), posted(10_100, hung)}, ""},
		"awake after a hang, no lease yet":     {[]Post{posted(10_080, hung), posted(11_000)}, "ask, fence: it has no lease"},
		"awake after a hang, the replicas say": {[]Post{posted(10_080, hung), posted(11_000, proven)}, "ask, fence: it has no lease"},
		"restarted":                            {[]Post{posted(10_080, reborn)}, "fence: it was restarted"},
		"restarted and fenced":                 {[]Post{posted(10_080, reborn), posted(10_090, reborn, fenced)}, "release"},
		"not the master any more":              {[]Post{posted(10_080, elsewhere)}, "fence: the master is"},
		"handed over, not told yet":            {[]Post{posted(10_080, handed)}, ""},
		"handed over, restarted":               {[]Post{posted(10_080, handed, reborn)}, "fence: the master is"},
		"handed over, and never told":          {[]Post{posted(10_080, handed), posted(12_090, handed)}, "fence: the master is"},
		"just promoted, not known here yet":    {[]Post{posted(10_000, slave), posted(10_010, elsewhere)}, "confirm"},
		"promoted long ago, by somebody else":  {[]Post{posted(10_000, slave), posted(10_010, elsewhere), posted(12_020, elsewhere)}, "fence: the master is"},
		"on its way into office":               {[]Post{posted(10_080, elsewhere, chosen)}, ""},
		"started in place of who is":           {[]Post{posted(10_080, elsewhere, chosen, reborn)}, "fence: the master is"},
		"on its way for too long":              {append([]Post{posted(10_000, slave)}, every(10_050, 12_100, elsewhere, chosen)...), "fence: the master is"},
		"just promoted, no lease yet":          {[]Post{posted(10_000, slave), posted(10_350, strict)}, "ask"},
		"promoted, and never a lease":          {append([]Post{posted(10_000, slave)}, every(10_050, 10_600, strict)...), "ask, fence: its lease ran out"},
		"a replica":                            {[]Post{posted(10_010, slave)}, "release"},
		"a replica with a fence":               {[]Post{posted(10_010, slave, fenced)}, "release, unfence"},
		"a fence, and leases are off":          {[]Post{posted(10_010, off, fenced)}, "confirm"},
		"leases are off, and it is sure":       {[]Post{posted(10_010, off, fenced), posted(10_020, off, fenced, confirmed)}, "unfence"},
		"the agent was late itself":            {[]Post{posted(13_000)}, "ask, prove"},
		"late, and nothing has come":           {[]Post{posted(13_000), posted(13_090), posted(13_170)}, "ask, prove, fence: its lease ran out"},
		"late, and a replica has left":         {[]Post{posted(13_000), posted(13_020, func(p *Post) { p.Left = after(13_010) })}, "fence: its lease ran out"},
		"the master is not known yet":          {[]Post{posted(10_080, func(p *Post) { p.RunID = "" })}, "ask"},
		"nothing was seen of it so far":        {[]Post{posted(10_010, func(p *Post) { p.Server.Last = nil })}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := old()
			var got Orders
			for _, p := range c.posts {
				got = g.Next(p)
			}
			if text := fmt.Sprint(got); text != c.want && !(strings.Contains(c.want, "fence: ") && strings.HasPrefix(text, c.want)) { // of a reason, the beginning will do
				t.Errorf("orders %q, want %q", text, c.want)
			}
			if (got.Fence != "") != (FenceReason(got.Fence) != "") {
				t.Errorf("the reason of %q is %q", got.Fence, FenceReason(got.Fence))
			}
			if !got.Look.After(c.posts[len(c.posts)-1].Now) {
				t.Errorf("looks again at %v, which is past", got.Look)
			}
		})
	}
}

func TestGuard_AFirstLeaseThatWasLostIsNoBeginning(t *testing.T) {
	g := NewGuard(start)
	p := posted(10)
	g.Next(p)
	g.Lease().Answered(g.Lease().Ask(p.Now), "a", []string{"a"}, span)
	for _, p := range every(60, 300) {
		g.Next(p)
	}
	if got := fmt.Sprint(g.Next(posted(320))); !strings.Contains(got, "fence: its lease ran out") {
		t.Errorf("right after its first lease: %q", got)
	}
}

// TestGuard_AnAgentThatIsAlwaysLateFences: it has one moment to find out whether it still holds the lease, not one each time.
func TestGuard_AnAgentThatIsAlwaysLateFences(t *testing.T) {
	g := old()
	strict := func(p *Post) { p.Settings.LeaseLoss = config.LeaseStrict }
	for ms := 13_000; ; ms += 260 {
		got := g.Next(posted(ms, strict))
		if got.Fence != "" {
			break
		}
		if ms > 14_000 {
			t.Fatal("it has no lease for four seconds, and does not fence")
		}
	}
	g = old()
	p := posted(13_000, strict)
	g.Next(p)
	g.Lease().Answered(g.Lease().Ask(p.Now), "a", []string{"a"}, span)
	g.Next(posted(13_050, strict))
	if got := g.Next(posted(15_000, strict)); got.Fence != "" {
		t.Errorf("late once more, with a lease in between: %s", got.Fence)
	}
}

func TestGuard_AnAgentThatHasJustStartedWaitsForItsFirstLease(t *testing.T) {
	g := NewGuard(start)
	if got := fmt.Sprint(g.Next(posted(10))); got != "ask, prove" {
		t.Errorf("at first: %q", got)
	}
	for _, p := range every(60, 2000) {
		g.Next(p)
	}
	if got := fmt.Sprint(g.Next(posted(2010))); !strings.Contains(got, "fence: ") {
		t.Errorf("after two seconds without a lease: %q", got)
	}
}

// A release is told again and again, as each telling may be lost. It must not take back what was promised since.
func TestGuard_AReleaseIsOfTheRoundsBeforeIt(t *testing.T) {
	g := old()
	hung := posted(10_080, func(p *Post) { p.Server.State, p.Server.Evidence = monitor.Down, monitor.TimedOut })
	if !g.Next(hung).Release {
		t.Fatal("a server that hangs has no use for a lease")
	}
	_, upTo := g.Released()
	if !g.Next(posted(11_000)).Ask {
		t.Fatal("nobody is asked again")
	}
	if round := g.Lease().Ask(after(11_000)); round <= upTo {
		t.Fatalf("round %d begins after the release of round %d", round, upTo)
	}
	if why, round := g.Released(); why == "" || round != upTo {
		t.Errorf("what is told again is of round %d (%q), not of round %d", round, why, upTo)
	}
}
