package failover

import (
	"fmt"
	"time"

	"picket/config"
)

// A lease lets the agent beside a master know that nobody can promote another one yet. It asks all voters again and again; a voter that
// answers promises not to vote for a failover of that master for a while. When a majority has answered a round, the lease holds, counted
// from the moment the round was sent. Any winning majority overlaps with the promising one, so nobody is elected to replace the
// master before the lease has run out. Clocks need not agree; they may differ in speed by one part in drift.
//
// A leader whose election the voters allowed before they promised anything is the gap in that, closed from both sides: who has
// voted for a failover promises nothing for two leases; who has the failover in its log, committed or not, promises nothing
// until it is decided (a hand-over is none: it promotes nobody before the master is fenced); and a leader that had its failover committed later than one lease after it stood for election waits for a lease.
// Gray and Cheriton, "Leases" (1989), is where the idea comes from.

// drift bounds how much faster one agent's clock may run than another's: one part in so many.
const drift = 20

// Outlast is how long another's clock must be waited for until d has certainly passed on it.
func Outlast(d time.Duration) time.Duration { return d + d/drift }

// maxRounds bounds the questions that are under way; older ones could not extend a lease any more.
const maxRounds = 8

// Lease is the side of the agent that holds one. It is plain data, for one goroutine; the zero value holds nothing.
type Lease struct {
	round  uint64
	rounds []round // under way, oldest first
	until  time.Time
	since  time.Time // held without a gap
}

type round struct {
	number uint64
	sent   time.Time
	yes    map[string]bool
}

// Ask begins a round.
func (l *Lease) Ask(now time.Time) (number uint64) {
	l.round++
	if len(l.rounds) == maxRounds {
		l.rounds = l.rounds[1:]
	}
	l.rounds = append(l.rounds, round{l.round, now, map[string]bool{}})
	return l.round
}

// Answered counts a voter's promise; voters are all that vote now.
func (l *Lease) Answered(number uint64, agent string, voters []string, span time.Duration) {
	for _, r := range l.rounds {
		if r.number != number {
			continue
		}
		r.yes[agent] = true
		count := 0
		for _, v := range voters {
			if r.yes[v] {
				count++
			}
		}
		if until := r.sent.Add(span); count > len(voters)/2 && until.After(l.until) {
			if r.sent.After(l.until) {
				l.since = r.sent
			}
			l.until = until
		}
	}
}

// Sent is when a round was begun that may still extend the lease; ok is false if there is none of that number.
func (l *Lease) Sent(number uint64) (at time.Time, ok bool) {
	for _, r := range l.rounds {
		if r.number == number {
			return r.sent, true
		}
	}
	return time.Time{}, false
}

// Held says whether nobody can have been promoted up to now.
func (l *Lease) Held(now time.Time) bool { return now.Before(l.until) }

// Since is when the round was sent from which on the lease has been held without a gap.
func (l *Lease) Since() time.Time { return l.since }

// Until is when the lease ends unless another round succeeds.
func (l *Lease) Until() time.Time { return l.until }

// Round is the number of the latest round.
func (l *Lease) Round() uint64 { return l.round }

// Drop gives the lease up. The rounds so far do not count any more.
func (l *Lease) Drop() { *l = Lease{round: l.round} }

// Ask is a question for a promise.
type Ask struct {
	Holder string // agent
	Boot   uint64 // of its process
	Server config.Addr
	Round  uint64
	Span   time.Duration
}

// Promises is the side of a voter. It is plain data, for one goroutine. What it keeps is bounded by the members of the group and the servers that
// were agreed masters: the caller lets nobody else in.
type Promises struct {
	quiet    time.Time // before, this agent may be bound by promises that it has forgotten
	made     map[holding]promise
	voted    map[config.Addr]time.Time // no promise before
	released map[holding]release
}

type holding struct {
	holder string
	server config.Addr
}

type promise struct {
	boot, round uint64
	until       time.Time
}

type release struct {
	boot, round uint64
	why         string
	told        time.Time
}

// ReleaseFor is how long a release counts: who has released a lease, and still has no use for one, tells it several times within that.
const ReleaseFor = time.Second

// NewPromises are those of an agent that starts now and may have promised something for up to span before.
func NewPromises(now time.Time, span time.Duration) *Promises {
	return &Promises{
		quiet: now.Add(Outlast(span)), made: map[holding]promise{}, voted: map[config.Addr]time.Time{}, released: map[holding]release{},
	}
}

// Promise says why a question is answered with no; empty: the promise is made. Whether the server is the master and nothing is
// decided against it is for the caller to know.
func (p *Promises) Promise(now time.Time, a Ask) (refusal string) {
	h := holding{a.Holder, a.Server}
	switch {
	case now.Before(p.quiet):
		return "this agent has just started"
	case now.Before(p.voted[a.Server]) && !planted(PromiseAfterVote):
		return "this agent has just voted for a failover of " + string(a.Server)
	case p.released[h].boot == a.Boot && a.Round <= p.released[h].round:
		return "the lease was released since this was asked"
	}
	delete(p.released, h)
	delete(p.voted, a.Server)
	if until := now.Add(Outlast(a.Span)); until.After(p.made[h].until) {
		p.made[h] = promise{a.Boot, a.Round, until}
	}
	return ""
}

// Released takes the promises back that an agent has no use for any more: its Redis is dead, or takes no writes.
func (p *Promises) Released(now time.Time, a Ask, why string) {
	h := holding{a.Holder, a.Server}
	made, promised := p.made[h]
	if promised && (made.boot != a.Boot || made.round > a.Round) {
		return // overtaken by a newer question, or of a process whose order to that one is not known
	}
	delete(p.made, h)
	p.released[h] = release{a.Boot, a.Round, why, now}
}

// Bound is until when this agent may not vote for a failover of the server, and why; zero: it may.
func (p *Promises) Bound(now time.Time, server config.Addr) (until time.Time, why string) {
	if planted(NoVeto) {
		return time.Time{}, ""
	}
	if now.Before(p.quiet) && !planted(PromiseForgotten) {
		return p.quiet, "this agent has just started, and may have promised to wait"
	}
	for h, made := range p.made {
		if h.server == server && now.Before(made.until) && made.until.After(until) {
			until, why = made.until, fmt.Sprintf("%s holds the lease of %s for up to %s more", h.holder, server, made.until.Sub(now).Round(time.Millisecond))
		}
	}
	return until, why
}

// Made is until when the promise to an agent binds; zero: there is none.
func (p *Promises) Made(now time.Time, holder string, server config.Addr) time.Time {
	if made := p.made[holding{holder, server}]; now.Before(made.until) {
		return made.until
	}
	return time.Time{}
}

// Vote notes a vote for a failover of the server.
func (p *Promises) Vote(now time.Time, server config.Addr, span time.Duration) {
	p.voted[server] = now.Add(2 * Outlast(span))
}

// LetGo says why the agent beside a server has released its lease; empty: it has not, or said so too long ago.
func (p *Promises) LetGo(now time.Time, holder string, server config.Addr) string {
	r := p.released[holding{holder, server}]
	if now.Sub(r.told) >= ReleaseFor {
		return ""
	}
	return r.why
}
