package failover

import (
	"strings"
	"time"

	"picket/config"
	"picket/monitor"
)

// ProofFor is how long a replica's word that it follows its master counts, from the moment it was asked for. A leader that has detached a
// replica waits for as long before it promotes one, unless it knows that the old master has stopped.
func ProofFor(lease time.Duration) time.Duration { return lease / 2 }

// AskEvery is the pause between the rounds of a lease: some may be lost before it runs out.
func AskEvery(lease time.Duration) time.Duration { return lease / 4 }

// Post is what an agent knows of the Redis beside it, at one moment.
type Post struct {
	Now      time.Time
	Server   monitor.Server
	Name     string // of the master that the server belongs to
	Settings *config.Master
	Master   config.Addr // agreed
	RunID    string      // of the agreed master's process; empty: not known yet
	Record   *Record     // a failover that runs
	Foreign  bool        // another coordinator is heard, beside which nothing may be done
	// Confirmed is a moment at which this agent knew all that was committed up to then; zero: never.
	Confirmed time.Time
	// Proven is until when every known replica has proved to follow the server; zero: they have not.
	Proven time.Time
	// Left is when a replica was last asked that follows another one, or nobody; zero: never.
	Left time.Time
}

// Orders is what the agent has to do about its Redis. Texts say why; empty ones order nothing.
type Orders struct {
	Ask     bool      // begin a round of the lease
	Prove   bool      // have all replicas say whom they follow
	Confirm bool      // find out all that is committed
	Release bool      // tell everybody that the lease is given up
	Fence   string    // have the server refuse writes
	Unfence bool      // let it take writes again
	Look    time.Time // again then, at the latest; zero: when something changes
}

// Why a server is fenced begins with one of these.
const (
	whyReplaced  = "another one is about to be promoted"
	whyRestarted = "it was restarted"
	whyDeposed   = "the master is "
	whyReleased  = "it has no lease: "
	whyRunOut    = "its lease ran out"
	whySilent    = "it does not answer"
)

// FenceReasons are the words that FenceReason says.
var FenceReasons = []string{"replaced", "restarted", "deposed", "released", "lease-lost", "silent"}

// FenceReason is a word for why a server is fenced, as Orders say it; empty: it is not. Words never change meaning.
func FenceReason(why string) string {
	for i, text := range []string{whyReplaced, whyRestarted, whyDeposed, whyReleased, whyRunOut, whySilent} {
		if strings.HasPrefix(why, text) {
			return FenceReasons[i]
		}
	}
	return ""
}

// Guard decides when the Redis beside an agent may take writes. It is plain data, for one goroutine.
type Guard struct {
	began    time.Time // this agent has looked since
	lease    Lease
	post     stand
	since    time.Time // of post
	role     string
	turned   time.Time // the process changed its role then; zero: it has had it since it was first seen
	asked    time.Time // the latest round
	proved   time.Time // the latest Prove
	looked   time.Time // the latest Next
	fencedAt time.Time // the server was first seen with the fence that it has; zero: it has none
	mine     bool      // this guard has ordered that fence
	woke     time.Time // this agent found that it had been late itself, for the first time since it held the lease
	released string    // why there is no lease on purpose; empty: there should be one
	upTo     uint64    // round, when it was released: the promises of later ones are for the next lease
	leased   bool      // it has been held since
	rested   bool      // it has been held since this agent woke
}

// stand is what a lease is for: one process in one office.
type stand struct {
	server config.Addr
	runID  string
	office bool // it is the agreed master
}

// NewGuard is that of an agent that starts now.
func NewGuard(now time.Time) *Guard { return &Guard{began: now} }

const (
	// grace is how long an agent that has just started, or a process that has just been promoted, may go without a lease.
	grace = 2 * time.Second
	// look is how often an agent looks at its Redis without a reason.
	look = 100 * time.Millisecond
)

// Lease is that of the Redis beside the agent.
func (g *Guard) Lease() *Lease { return &g.lease }

// Released says why there is no lease on purpose, empty if there should be one; and the last round whose promises nobody need keep. That stays what it
// is as long as the release is told again: rounds that were begun since may bring the next lease.
func (g *Guard) Released() (why string, round uint64) { return g.released, g.upTo }

// Next says what to do now.
func (g *Guard) Next(p Post) Orders {
	g.note(p)
	o := Orders{Look: p.Now.Add(look)}
	last := p.Server.Last
	switch {
	case last == nil || p.Settings.LeaseLoss == config.LeaseOff:
		g.lease.Drop()
		if last != nil && g.fenced(p) && g.office(p) && last.Role == "master" {
			g.open(p, &o)
		}
	case p.Server.State == monitor.Down:
		g.down(p, &o)
	case last.Role != "master":
		g.letGo(&o, "it is a replica")
		o.Unfence = g.fenced(p) && p.Record == nil
	case p.Server.Addr != p.Master:
		g.stray(p, &o)
	case p.Record != nil && p.Record.Phase != Switched && !p.Record.HandOver:
		g.stop(p, &o, whyReplaced)
	case p.RunID != "" && p.RunID != last.RunID:
		g.stop(p, &o, whyRestarted+", and the agents have not agreed yet that it is still the master")
	default:
		g.hold(p, &o)
	}
	return o
}

// note takes in who the server is.
func (g *Guard) note(p Post) {
	if !g.looked.IsZero() && p.Now.Sub(g.looked) > look+ProofFor(p.Settings.Lease) && (g.rested || g.woke.IsZero()) {
		g.woke, g.rested = p.Now, false // one that is late again and again would never fence
	}
	g.looked = p.Now
	switch fenced := p.Server.Last != nil && g.fenced(p); {
	case !fenced:
		g.fencedAt, g.mine = time.Time{}, false
	case g.fencedAt.IsZero():
		g.fencedAt = p.Now
	}
	now := stand{server: p.Server.Addr, office: p.Server.Addr == p.Master}
	if last := p.Server.Last; last != nil {
		now.runID = last.RunID
		if g.post.runID != now.runID {
			g.turned = time.Time{}
		} else if g.role != last.Role {
			g.turned, g.released = p.Now, ""
		}
		g.role = last.Role
	}
	if now != g.post {
		if g.post.runID != now.runID {
			g.released = ""
		}
		g.post, g.since, g.leased = now, p.Now, false
	}
}

func (g *Guard) fenced(p Post) bool {
	_, _, fenced := Fenced(p.Server.Last.Fence)
	return fenced
}

// fence gives the reason where there is something to do.
func (g *Guard) fence(p Post, why string) string {
	if g.fenced(p) || planted(FenceSkipped) {
		return ""
	}
	g.mine = true
	return why
}

// office says whether the agents agree, as far as this one surely knows, that the server is the master and stays it.
func (g *Guard) office(p Post) bool {
	return p.Server.Addr == p.Master && (p.Record == nil || p.Record.Phase == Switched) && (p.RunID == "" || p.RunID == p.Server.Last.RunID)
}

// letGo gives the lease up, once: the server surely takes no writes any more, or only those that nobody can keep it from.
func (g *Guard) letGo(o *Orders, why string) {
	if g.released == why {
		return
	}
	g.lease.Drop()
	g.released, g.upTo, o.Release = why, g.lease.Round(), true
}

// stop has the server fenced, and gives the lease up when it is.
func (g *Guard) stop(p Post, o *Orders, why string) {
	g.lease.Drop()
	if o.Fence = g.fence(p, why); g.fenced(p) {
		g.letGo(o, "it is fenced: "+why)
	}
}

// down: a process that is dead needs no lease. One that hangs may wake up at any time; what it does then before it reads the fence, nobody
// can prevent.
func (g *Guard) down(p Post, o *Orders) {
	if p.Server.Evidence == monitor.Refused {
		g.letGo(o, "it is dead: connections are refused on its own host")
		return
	}
	if p.Server.Addr == p.Master && g.released == "" {
		o.Fence = whySilent
	}
	g.letGo(o, whySilent+", and is fenced when it does")
}

// stray: another one is the master. A process that was promoted just now may be ahead of what this agent knows.
func (g *Guard) stray(p Post, o *Orders) {
	if p.Record != nil && p.Record.Target == p.Server.Addr && p.Record.RunID == p.Server.Last.RunID {
		// It is on its way into office; a process that was started in its place is not. If that takes long, it may have been in and out of it already, and only this agent did not hear.
		arrived := g.since
		if g.turned.After(arrived) {
			arrived = g.turned
		}
		if left := grace - p.Now.Sub(arrived); left > 0 {
			o.Look = earlier(o.Look, p.Now.Add(left))
			return
		}
	}
	if left := grace - p.Now.Sub(g.since); left > 0 && p.Record != nil && p.Record.HandOver && p.Record.OldRunID == p.Server.Last.RunID {
		o.Look = earlier(o.Look, p.Now.Add(left))
		return // it has been fenced, and is about to be told whom to follow; its clients are told, too
	}
	if p.Foreign {
		return // the other coordinator may have promoted it, and would not understand a fence
	}
	since := g.turned
	if since.IsZero() {
		since = g.began
	}
	if left := grace - p.Now.Sub(since); left > 0 && (!g.turned.IsZero() || p.Confirmed.Before(g.since)) {
		o.Confirm, o.Look = true, earlier(o.Look, p.Now.Add(left))
		return
	}
	g.stop(p, o, whyDeposed+string(p.Master))
}

// hold: it is the master, perhaps one that is handed over: the leader holds its writers and fences it, and who has asked to replace it must be
// promised that nobody else does. Its lease is renewed as long as it answers.
func (g *Guard) hold(p Post, o *Orders) {
	span := p.Settings.Lease
	// A lease must not outlast the moment at which others may find the server down.
	silent := !p.Server.Lost.IsZero() && p.Now.Sub(p.Server.Lost) > p.Settings.DownAfter-Outlast(span)-AskEvery(span)
	if every := AskEvery(span); !silent {
		if p.Now.Sub(g.asked) >= every {
			g.asked, o.Ask = p.Now, true
		}
		o.Look = earlier(o.Look, g.asked.Add(every))
	}
	if !g.lease.Held(p.Now) {
		g.policy(p, o)
		return
	}
	g.released, g.leased, g.rested = "", true, true
	o.Look = earlier(o.Look, g.lease.Until())
	if g.lease.Until().Sub(p.Now) < span/2 {
		g.prove(p, o) // so that the proofs are there when it runs out
	}
	if g.fenced(p) && g.office(p) && !planted(FenceLeft) {
		g.open(p, o)
	}
}

// open takes the fence of a master away. Since the lease is held no failover was decided; what was decided before must be known here, and also
// what was committed before the fence was seen: a hand-over needs no end of the lease, and is in the log before it fences.
func (g *Guard) open(p Post, o *Orders) {
	o.Unfence = g.office(p) && p.Confirmed.After(g.lease.Since()) && p.Confirmed.After(g.fencedAt) && p.Now.Sub(p.Confirmed) < sureFor
	o.Confirm = !o.Unfence
}

const (
	// sureFor is how long it counts that all that was committed is known: a hand-over that began since may rely on the fence.
	sureFor = 500 * time.Millisecond
	// handedOver is how old the fence of a hand-over that this agent does not know of can be at most.
	handedOver = 10 * time.Second
)

// prove has the replicas asked, often enough for their word never to be stale.
func (g *Guard) prove(p Post, o *Orders) {
	if p.Settings.LeaseLoss != config.LeaseReplicas {
		return
	}
	every := ProofFor(p.Settings.Lease) / 4
	if p.Now.Sub(g.proved) >= every {
		g.proved, o.Prove = p.Now, true
	}
	o.Look = earlier(o.Look, g.proved.Add(every))
}

// policy: it is the master as far as this agent knows, and has no lease.
func (g *Guard) policy(p Post, o *Orders) {
	if g.released != "" {
		o.Fence = g.fence(p, whyReleased+g.released)
		return
	}
	g.prove(p, o)
	switch {
	case p.Settings.LeaseLoss == config.LeaseReplicas && p.Now.Before(p.Proven):
		// Nobody was promoted: every replica still follows.
		o.Look = earlier(o.Look, p.Proven)
		o.Unfence = g.fenced(p) && g.office(p) && (g.mine || p.Now.Sub(g.fencedAt) > handedOver)
	case g.young(p) && !g.fenced(p):
	case p.Settings.LeaseLoss == config.LeaseReplicas:
		o.Fence = g.fence(p, whyRunOut+", and not all its replicas prove that they follow it")
	default:
		o.Fence = g.fence(p, whyRunOut)
	}
}

// young says whether there was no time yet for a lease: this agent has just started or has just come to itself, or the process was
// promoted a moment ago.
func (g *Guard) young(p Post) bool {
	if p.Now.Sub(g.woke) < ProofFor(p.Settings.Lease) && p.Left.Before(g.woke) {
		return true
	}
	// A promotion is no reason to go on for as long as it takes others to find the new master down.
	promoted := !g.turned.IsZero() && p.Now.Sub(g.since) < min(grace, p.Settings.DownAfter/2)
	return !g.leased && (promoted || p.Now.Sub(g.began) < grace)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
