package monitor

import (
	"time"

	"picket/config"
)

// facts is the pure state machine of one server: what happened, with times, goes in; the opinion and the
// time at which it may change by itself come out.
type facts struct {
	target Target
	Server
	text string // of the last reply that was not valid, or of the last failed dial

	refusedSince     time.Time // first of an unbroken run of refusals
	unreachableSince time.Time // first failed dial of an unbroken run, for other reasons
	badSince         time.Time // first of a run of replies that are not valid
	wrongSince       time.Time // a master that says it is a replica
	loadingSince     time.Time // a master that was restarted and loads its data
}

func newFacts(t Target, now time.Time) *facts {
	return &facts{target: t, Server: Server{Addr: t.Addr, Since: now, DownAfter: t.Settings.DownAfter}}
}

// retarget changes what the server is expected to be.
func (f *facts) retarget(t Target) {
	if !t.IsMaster || !f.target.IsMaster {
		f.wrongSince, f.loadingSince = time.Time{}, time.Time{}
	}
	f.target, f.DownAfter = t, t.Settings.DownAfter
}

// sent notes a PING, or an attempt to connect in order to send one.
func (f *facts) sent(at time.Time) {
	if f.PingSent.IsZero() {
		f.PingSent = at
	}
}

// silent is since when nothing valid came: a server that does not answer a PING has said nothing since the answer before it. Where that is
// long ago, it is not the server's fault.
func (f *facts) silent() time.Time {
	if period := f.period(); !f.PingSent.IsZero() && f.PingSent.Sub(f.LastOK) < period+period/2 {
		return f.LastOK
	}
	return f.PingSent
}

// replied notes a reply; bad is why it is not a valid one, empty if it is.
func (f *facts) replied(at time.Time, o *Observation, bad string) {
	f.PingSent, f.LastReply = time.Time{}, at
	f.refusedSince, f.unreachableSince = time.Time{}, time.Time{}
	f.Connected = true
	if bad != "" {
		f.text = bad
		if f.badSince.IsZero() {
			f.badSince = at
		}
		return
	}
	f.LastOK, f.badSince = at, time.Time{}
	if o != nil {
		f.observed(at, o)
	}
	switch down := f.State == Down; { // whatever it was before
	case down && !f.wrongSince.IsZero():
		f.become(Down, WrongRole, at)
	case down && f.Evidence == StillLoading && !f.loadingSince.IsZero():
	default:
		f.become(Up, Answered, at)
	}
}

// observed takes in what INFO said.
func (f *facts) observed(at time.Time, o *Observation) {
	last := f.Last
	if last == nil || last.Role != o.Role {
		f.RoleSince = at
	}
	if last == nil || last.RunID != o.RunID {
		f.RunSince = at
	}
	if last == nil || last.Master != o.Master {
		f.FollowsAt = at
	}
	if last != nil && o.Received > last.Received && o.Role == "slave" && last.RunID == o.RunID {
		f.Prior, f.Advanced = last, at
	}
	switch {
	case !f.target.IsMaster || !o.Loading:
		f.loadingSince = time.Time{}
	case f.loadingSince.IsZero() && last != nil && last.RunID != o.RunID:
		f.loadingSince = at
	}
	f.Last = o
	switch {
	case !f.target.IsMaster || o.Role == "master":
		f.wrongSince = time.Time{}
	case f.wrongSince.IsZero():
		f.wrongSince = at
	}
}

// lost notes that the connection broke: by itself it proves nothing, but the next answer is waited for from here on.
func (f *facts) lost(at time.Time) {
	f.Connected = false
	f.sent(at)
}

// refused notes that the host answered and nobody listens.
func (f *facts) refused(at time.Time) {
	f.Connected = false
	f.sent(at)
	f.unreachableSince = time.Time{}
	if f.refusedSince.IsZero() {
		f.refusedSince = at
	}
	if at.Sub(f.refusedSince) >= f.target.Settings.CrashGrace {
		f.become(Down, Refused, at)
	}
}

// unreachable notes that a connection could not be made for another reason.
func (f *facts) unreachable(at time.Time, why string) {
	f.Connected, f.text = false, why
	f.sent(at)
	f.refusedSince = time.Time{}
	if f.unreachableSince.IsZero() {
		f.unreachableSince = at
	}
}

// connected notes that somebody listens; only an answer makes the server up.
func (f *facts) connected() {
	f.Connected = true
	f.refusedSince, f.unreachableSince = time.Time{}, time.Time{}
}

// stalled forgets everything that depends on this agent's own clock: it was late, not the server.
func (f *facts) stalled(now time.Time) {
	f.refusedSince, f.unreachableSince, f.badSince, f.wrongSince, f.loadingSince = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if !f.PingSent.IsZero() {
		f.PingSent = now
	}
	f.become(Unknown, NoEvidence, now)
}

// tick judges by time, and says when to look again; zero: nothing is due.
func (f *facts) tick(now time.Time) time.Time {
	limit, patience := f.target.Settings.DownAfter, f.target.Settings.RebootDownAfter
	var next time.Time
	for _, rule := range []struct {
		since    time.Time
		limit    time.Duration // 0: there is none
		evidence Evidence
	}{
		{f.silent(), limit, f.silence()},
		{f.badSince, limit, BadReply},
		{f.wrongSince, limit, WrongRole},
		{f.loadingSince, patience, StillLoading},
	} {
		if rule.since.IsZero() || rule.limit == 0 {
			continue
		}
		if due := rule.since.Add(rule.limit); now.Before(due) {
			next = earlier(next, due)
		} else if f.State != Down {
			f.become(Down, rule.evidence, now)
		}
	}
	return next
}

// silence names an unanswered PING.
func (f *facts) silence() Evidence {
	if !f.unreachableSince.IsZero() {
		return Unreachable
	}
	return TimedOut
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (f *facts) become(s State, e Evidence, at time.Time) {
	if f.State != s {
		f.State, f.Since = s, at
	}
	f.Evidence = e
}

// view is a copy for others.
func (f *facts) view(now time.Time) Server {
	s := f.Server
	s.Text = f.text
	s.Suspect = s.State != Up || !s.Connected || !s.PingSent.IsZero() && now.Sub(s.PingSent) > f.period()
	s.Lost = s.PingSent
	if !f.badSince.IsZero() {
		s.Lost = f.badSince
	}
	return s
}

// period is how often the server is asked.
func (f *facts) period() time.Duration { return PingPeriod(f.target.Settings) }

// PingPeriod is a tenth of down-after, between 50 ms and 1 s.
func PingPeriod(m *config.Master) time.Duration {
	return min(max(m.DownAfter/10, 50*time.Millisecond), time.Second)
}
