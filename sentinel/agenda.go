package sentinel

import (
	"maps"
	"slices"
	"time"

	"picket/consensus"
)

const (
	// stagger separates the candidates of a failure election: long enough for the first one's request to arrive everywhere,
	// short enough not to matter when the first one is dead.
	stagger = 25 * time.Millisecond
	// gather is how long a campaign waits for other masters that look bad too, so that servers which die together share
	// one election.
	gather = 10 * time.Millisecond
	// deference is what a candidate that stands for some masters is given before others stand for the rest: the leader that it becomes looks
	// at them, too, and every election interrupts what was begun in the one before.
	deference = 2 * stagger
	// firstRetry and lastRetry bound the pause after a lost election; each is doubled and drawn from [d, 2d).
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// electorate is the group as this agent sees it when somebody has to stand for election.
type electorate struct {
	self      consensus.ServerID
	voters    []consensus.ServerID // sorted
	leader    consensus.ServerID   // empty: unknown
	reachable map[consensus.ServerID]bool
}

// rank is this agent's place in the queue of candidates: the leader first, then the reachable voters by id. Without a
// reachable leader the first of them goes at once.
func (e electorate) rank() int {
	if e.leader == e.self {
		return 0
	}
	rank := 0
	if e.reachable[e.leader] {
		rank = 1
	}
	for _, id := range e.voters {
		if id < e.self && id != e.leader && e.reachable[id] {
			rank++
		}
	}
	return rank
}

// majority says whether enough voters can be reached to win; standing without them would only raise the term.
func (e electorate) majority() bool {
	n := 0
	for _, id := range e.voters {
		if id == e.self || e.reachable[id] {
			n++
		}
	}
	return n > len(e.voters)/2
}

// agenda is what this agent wants a leader to be elected for. It is plain data, changed by one goroutine.
type agenda struct {
	wants  map[string]*want // by master
	losses map[string]losses
	claims map[string]claim
	recent claim // the latest election of another agent, whatever it is for
}

// want is one master's need of a failure election.
type want struct {
	purpose purpose
	since   time.Time
}

// losses are the elections that this agent has lost for a master lately. They outlive its need: who wins, and is deposed before it has begun anything, needed nothing
// in between.
type losses struct {
	n    int
	hold time.Time // not before
}

// forgiven is how long losses count after the pause that follows them.
const forgiven = 2 * lastRetry

func (l losses) over(now time.Time) bool { return now.After(l.hold.Add(forgiven)) }

// claim says that another agent stands, or has won, for a master: it is given time to act.
type claim struct {
	peer  consensus.ServerID
	until time.Time
	stage stage
	turn  int // of claims in a row that have run out
}

// promising says whether the failover for which a peer stands is likely to begin soon. Then nobody stands for another master meanwhile, which would interrupt it: on slow disks
// each would interrupt the other.
func (c claim) promising() bool { return c.stage == won || c.turn == 0 }

// stage is how far an election has come, as this agent knows.
type stage int

const (
	stands stage = iota // the candidate says so itself, before its disk knows it and its requests can leave
	voted               // this agent has, and its disk is told
	won                 // the log is next
)

// maxTurn bounds how often the time for which a claim holds is doubled.
const maxTurn = 3

func newAgenda() *agenda {
	return &agenda{wants: map[string]*want{}, losses: map[string]losses{}, claims: map[string]claim{}}
}

// set says what a master needs now; an empty purpose: nothing.
func (g *agenda) set(master string, p purpose, now time.Time) {
	switch w := g.wants[master]; {
	case p == "" && w != nil: // it has begun, or is not needed any more
		delete(g.wants, master)
		if g.claims[master].stage == won {
			delete(g.claims, master)
		}
	case p == "":
	case w == nil || w.purpose != p:
		g.wants[master] = &want{purpose: p, since: now}
	}
}

// forget drops masters that are not there any more: nobody would vote in an election that names one.
func (g *agenda) forget(gone func(master string) bool) {
	maps.DeleteFunc(g.wants, func(name string, _ *want) bool { return gone(name) })
}

// claimed notes that a peer stands for the masters, or how far it has come since, and gives it some time from then on. A second election of the same peer does not
// extend that, so that one that keeps failing does not hold everybody up; nor does a rival that nobody has voted for yet. Whoever comes next when the time has passed in
// vain is given twice as much: disks may be slow, or the machines busy.
func (g *agenda) claimed(peer consensus.ServerID, masters []string, to stage, now time.Time, limit time.Duration) {
	maps.DeleteFunc(g.claims, func(_ string, c claim) bool { return now.After(c.until.Add(lastRetry)) })
	if to != won && (g.recent.peer != peer || now.After(g.recent.until.Add(lastRetry))) {
		g.recent = claim{peer: peer, until: now.Add(deference)}
	}
	for _, name := range masters {
		c, known := g.claims[name]
		switch {
		case known && now.After(c.until):
			c.turn = min(c.turn+1, maxTurn)
		case known && (to == stands || c.peer == peer && to <= c.stage):
			continue
		}
		c = claim{peer: peer, until: now.Add(limit), stage: to, turn: c.turn}
		if to != won {
			c.until = now.Add(limit << c.turn)
		}
		g.claims[name] = c
	}
}

// leads forgets what those have claimed who led before; empty: nobody leads.
func (g *agenda) leads(peer consensus.ServerID) {
	maps.DeleteFunc(g.claims, func(_ string, c claim) bool { return c.stage == won && c.peer != peer })
}

// refused forgets what a peer claims for which this agent does not vote.
func (g *agenda) refused(peer consensus.ServerID) {
	maps.DeleteFunc(g.claims, func(_ string, c claim) bool { return c.stage == stands && c.peer == peer })
}

// released forgets the claims of a peer that is gone.
func (g *agenda) released(peer consensus.ServerID) {
	maps.DeleteFunc(g.claims, func(_ string, c claim) bool { return c.peer == peer })
	if g.recent.peer == peer {
		g.recent = claim{}
	}
}

// lost notes that this agent's election for the masters failed; random is in [0, 1).
func (g *agenda) lost(masters []string, now time.Time, random float64) {
	maps.DeleteFunc(g.losses, func(_ string, l losses) bool { return l.over(now) })
	for _, name := range masters {
		l := g.losses[name]
		pause := min(firstRetry<<min(l.n, 10), lastRetry)
		g.losses[name] = losses{n: l.n + 1, hold: now.Add(pause + time.Duration(random*float64(pause)))}
	}
}

// due gives the election to stand for now, if ok, else when to ask again (zero: when something changes). suspects says that
// masters which need nothing yet look as if they soon will.
func (g *agenda) due(now time.Time, rank int, suspects bool) (r reason, next time.Time, ok bool) {
	wait := time.Duration(rank) * stagger
	if suspects {
		wait = max(wait, gather)
	}
	for _, name := range g.names() {
		w := g.wants[name]
		at := w.since.Add(wait)
		if hold := g.losses[name].hold; hold.After(at) {
			at = hold
		}
		if g.recent.until.Add(wait).After(at) {
			at = g.recent.until.Add(wait)
		}
		for other, c := range g.claims {
			if c.until.Add(wait).After(at) && (other == name || g.wants[other] != nil && c.promising()) {
				at = c.until.Add(wait)
			}
		}
		switch {
		case at.After(now):
			if next.IsZero() || at.Before(next) {
				next = at
			}
		case !ok || w.purpose == forDown:
			ok, r.purpose = true, w.purpose
		}
	}
	if !ok {
		return reason{}, next, false
	}
	r.masters = g.same(r.purpose, now)
	return r, time.Time{}, true
}

// same gives the masters that share an election of the purpose: all that need one and that nobody else stands for, also those
// whose own turn would come a little later. A leader that is elected resumes whatever it finds begun, named or not.
func (g *agenda) same(p purpose, now time.Time) []string {
	return slices.DeleteFunc(g.names(), func(name string) bool {
		c, claimed := g.claims[name]
		return g.wants[name].purpose != p || claimed && c.until.After(now)
	})
}

func (g *agenda) names() []string {
	return slices.Sorted(maps.Keys(g.wants))
}
