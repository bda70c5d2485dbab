package model

import "time"

// Who paused the clients. Each has a time and a degree of its own, and the strictest counts.
const (
	byCommand = iota
	byShutdown
	byFailover
	pausePurposes
)

// How much is paused.
const (
	pauseNothing = iota
	pauseWrites
	pauseAll
)

type pause struct {
	what  int
	until time.Time
}

// never is the end of a pause that somebody ends.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// pause postpones commands until then; it makes neither the time shorter nor the degree weaker than they are.
func (p *process) pause(purpose, what int, until time.Time) {
	is := &p.pauses[purpose]
	if !is.active() {
		*is = pause{}
	}
	is.what = max(is.what, what)
	if until.After(is.until) {
		is.until = until
	}
	p.armPause()
}

func (p *process) unpause(purpose int) {
	p.pauses[purpose] = pause{}
	p.armPause()
	p.resumePostponed()
}

func (is *pause) active() bool { return is.what != pauseNothing && time.Now().Before(is.until) }

// degree is what is paused at this moment.
func (p *process) degree() int {
	what := pauseNothing
	for i := range p.pauses {
		if p.pauses[i].active() {
			what = max(what, p.pauses[i].what)
		}
	}
	return what
}

// paused says whether nothing may be written at the moment, not even by the server itself.
func (p *process) paused() bool { return p.degree() != pauseNothing }

// armPause has somebody look when a pause ends.
func (p *process) armPause() {
	if p.pauseEnd != nil {
		p.pauseEnd.Stop()
		p.pauseEnd = nil
	}
	var first time.Time
	for i := range p.pauses {
		if is := &p.pauses[i]; is.active() && is.until.Before(never) && (first.IsZero() || is.until.Before(first)) {
			first = is.until
		}
	}
	if first.IsZero() {
		return
	}
	p.pauseEnd = p.after(time.Until(first), func() {
		p.armPause()
		p.resumePostponed()
	})
}

// postpones says whether a command waits for the end of a pause.
func (p *process) postpones(c *client, cmd *command) bool {
	switch p.degree() {
	case pauseAll:
		return true
	case pauseWrites:
		traits := cmd.traits
		if cmd.name == "exec" && c.queue != nil {
			traits |= c.queue.traits
		}
		return traits&(writes|mayReplicate) != 0
	}
	return false
}

// resumePostponed has the clients that wait try again; what is still paused waits again.
func (p *process) resumePostponed() {
	for _, c := range p.connected() {
		if c.postponed {
			c.postponed = false
			p.resume = append(p.resume, c)
		}
	}
}
