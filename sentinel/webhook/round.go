package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/state"
)

const (
	// maxInFlight is how many events are delivered to an endpoint at a time.
	maxInFlight = 4
	// commitWithin is how long a position in the log may lag behind events that the endpoint did not ask for.
	commitWithin = 5 * time.Second
	// longestCommitPause bounds the pause between attempts to commit a position.
	longestCommitPause = 5 * time.Second
	// fewestAttempts are made by a leader before it gives an event up, however old that is: the receiver may be just back.
	fewestAttempts = 3
)

// round is one endpoint's way through the history while this agent leads. It belongs to one goroutine, which starts others for what takes time
// and hears from them.
type round struct {
	*Dispatcher
	*endpoint
	queue    *queue
	rewound  uint64               // of the cursor that the queue began with
	extra    map[string]*errand   // what is told beside the queue, by lane
	hold     time.Time            // the receiver asks to be left alone until then
	lazy     time.Time            // when events that were passed over must be agreed on; zero: there are none
	outcomes chan outcome         // of attempts
	agreed   chan error           // of what is being agreed on; nil: nothing
	then     func()               // what follows when it is; may be nil
	settled  []agreement          // what is to be agreed on next, beside the position
	stale    bool                 // the position was taken back, or the like: begin again
	refused  bool                 // something was not taken, and won't be
	attempts map[*errand]struct{} // under way
}

// errand is one event that is delivered out of the queue's order: a letter that is to be delivered again, or a notice of a gap.
type errand struct {
	event    state.Event
	since    monitor.Moment
	attempts int
	due      time.Time
	busy     bool
}

// outcome is how an attempt ended.
type outcome struct {
	lane   *lane   // nil: it was an errand
	errand *errand // nil: it was a lane's
	event  state.Event
	wait   time.Duration
	err    error
}

// agreement is something to be agreed on, and what follows from it.
type agreement struct {
	what state.Delivery
	then func()
}

// run delivers until ctx ends.
func (r *round) run(ctx context.Context) {
	for ctx.Err() == nil {
		if r.enter(ctx) {
			r.deliver(ctx)
		}
		if r.refused { // which must not become a hot loop
			r.refused = false
			pause(ctx, longestCommitPause)
		}
	}
}

// enter takes the position from the log. An endpoint that is new begins at the present, which is committed
// before anything else, so that from here on nothing is passed over.
func (r *round) enter(ctx context.Context) bool {
	s := r.cfg.Source.State()
	c := s.Cursor(r.Name)
	switch {
	case c == nil:
		r.insist(ctx, state.Event{ID: s.Latest()}, func(ctx context.Context) error { return r.cfg.Source.Begin(ctx, r.Name, s.Latest()) })
		return false // look again
	case c.Disabled != nil && c.Disabled.Target != r.target: // another address is another receiver
		r.insist(ctx, state.Event{}, func(ctx context.Context) error { return r.propose(ctx, r.of(state.DeliveryEnabled, 0)) })
		return false
	case c.Disabled != nil:
		r.await(ctx, func(s *state.State) bool { c := s.Cursor(r.Name); return c == nil || c.Disabled == nil })
		return false
	}
	r.queue, r.rewound = newQueue(r.Ordering, c), c.Rewound
	r.extra, r.attempts = map[string]*errand{}, map[*errand]struct{}{}
	r.outcomes, r.agreed, r.settled = make(chan outcome, 2*maxInFlight), nil, nil
	r.hold, r.lazy, r.stale = time.Time{}, time.Time{}, false
	return true
}

func (r *round) of(kind state.DeliveryKind, id uint64) state.Delivery {
	return state.Delivery{Kind: kind, Endpoint: r.Name, Of: r.rewound, ID: id}
}

// insist tries to have something agreed on until it is, or is refused.
func (r *round) insist(ctx context.Context, e state.Event, do func(context.Context) error) {
	for attempts := 1; ctx.Err() == nil; attempts++ {
		limit, cancel := context.WithTimeout(ctx, proposeTimeout)
		err := do(limit)
		cancel()
		if r.refused = refused(err); err == nil || !r.unagreed(ctx, e, attempts, err) || r.refused {
			return
		}
	}
}

// unagreed waits before the next attempt to agree on something.
func (r *round) unagreed(ctx context.Context, e state.Event, attempts int, err error) bool {
	report := Report{
		Kind: Failed, Endpoint: r.Name, Event: e, Attempts: attempts, Pause: min(pauseAfter(attempts), longestCommitPause),
		Err: fmt.Errorf("commit what the receiver was told: %w", err),
	}
	if !pause(ctx, report.Pause) { // most likely this agent leads no more, which is nothing to tell
		return false
	}
	r.cfg.Report(report)
	return true
}

// refused says whether the state did not take something, and never will.
func refused(err error) bool {
	return slices.ContainsFunc([]error{state.ErrStale, state.ErrInvalid, state.ErrUnknown}, func(refusal error) bool { return errors.Is(err, refusal) })
}

// await waits until the state is as it should be.
func (r *round) await(ctx context.Context, is func(*state.State) bool) {
	for ctx.Err() == nil {
		changed := r.cfg.Source.Changed()
		if is(r.cfg.Source.State()) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// deliver goes through the history from the position on, until ctx ends or the position is another one.
func (r *round) deliver(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	for ctx.Err() == nil {
		changed := r.cfg.Source.Changed()
		s := r.cfg.Source.State()
		if r.follow(s); r.stale {
			return
		}
		for r.attempt(ctx, s, &work) {
		}
		r.agree(ctx, &work)
		timer := time.NewTimer(r.wait())
		select {
		case <-changed:
		case o := <-r.outcomes:
			r.heard(ctx, o)
		case err := <-r.agreed:
			r.agreed = nil
			if r.stale, r.refused = err != nil, refused(err); err == nil && r.then != nil {
				r.then()
			}
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// follow takes in what is new in the state.
func (r *round) follow(s *state.State) {
	c := s.Cursor(r.Name)
	if c == nil || c.Disabled != nil || c.Rewound != r.rewound {
		r.stale = true
		return
	}
	if s.Forgotten > r.queue.agreed {
		r.queue.forget(s.Forgotten)
	}
	for _, e := range s.After(r.queue.read, len(s.Events)) {
		if !r.queue.add(&e, !c.Told(&e) && r.wants(&e), r.now()) {
			break
		}
	}
	r.errands(c)
}

// now is for timers; what is compared with events' times is not.
func (r *round) now() time.Time { return time.Now() }

// Lanes of errands. No master is called like them.
const (
	gapLane   = "!gap"
	againLane = "!again"
)

// errands finds what is to be told beside the queue: a gap, and the oldest letter that is to be delivered again.
func (r *round) errands(c *state.Cursor) {
	gap := (*errand)(nil)
	if g := c.Gap; g != nil {
		gap = &errand{event: state.Event{
			ID: g.UpTo, Type: state.WebhookGap, At: g.At, Data: state.EventData{Endpoint: r.Name, After: g.After, UpTo: g.UpTo, Missed: g.Events},
		}, since: g.At}
	}
	if r.errand(gapLane, gap) {
		r.cfg.Report(Report{Kind: Missed, Endpoint: r.Name, Event: gap.event})
	}
	again := (*errand)(nil)
	if i := slices.IndexFunc(c.Dead, func(l state.Letter) bool { return l.Again != 0 }); i >= 0 {
		again = &errand{event: c.Dead[i].Event, since: c.Dead[i].Again}
	}
	r.errand(againLane, again)
}

// errand replaces the errand of a lane by another one, unless it is the same, and says whether there was none. One that is under way ends first.
func (r *round) errand(lane string, e *errand) bool {
	known := r.extra[lane]
	switch {
	case known != nil && known.busy, known != nil && e != nil && known.event.ID == e.event.ID && known.since == e.since:
		return false
	case e == nil:
		delete(r.extra, lane)
		return false
	}
	e.due = r.now()
	if known != nil && lane == gapLane { // it has only grown: that is no reason to try sooner
		e.due, e.attempts = known.due, known.attempts
	}
	r.extra[lane] = e
	return known == nil
}

// attempt begins one attempt, if one is due and there is room, and says whether it does.
func (r *round) attempt(ctx context.Context, s *state.State, work *sync.WaitGroup) bool {
	now := r.now()
	if len(r.attempts) >= maxInFlight || now.Before(r.hold) {
		return false
	}
	for _, lane := range []string{gapLane, againLane} {
		if e := r.extra[lane]; e != nil && !e.busy && !now.Before(e.due) {
			e.busy = true
			e.attempts++
			r.begin(ctx, work, e, nil)
			return true
		}
	}
	l := r.queue.next()
	if l == nil || now.Before(l.due) {
		return false
	}
	e := s.Event(l.events[0])
	if e == nil { // it was forgotten in this moment: the next look at the state says so
		return false
	}
	l.busy = true
	l.attempts++
	r.begin(ctx, work, &errand{event: *e, since: e.At, attempts: l.attempts}, l)
	return true
}

// begin posts an event, in a goroutine of its own that ends with ctx or when the receiver's time is over.
func (r *round) begin(ctx context.Context, work *sync.WaitGroup, e *errand, l *lane) {
	r.attempts[e] = struct{}{}
	work.Go(func() {
		o := outcome{lane: l, errand: e, event: e.event}
		if planted(CursorFirst) {
			_ = r.propose(ctx, r.of(state.DeliveryTold, e.event.ID)) // the mistake does not care
		}
		o.wait, o.err = r.post(ctx, r.endpoint, e.event)
		r.outcomes <- o // has room for all attempts
	})
}

// heard takes in how an attempt ended.
func (r *round) heard(ctx context.Context, o outcome) {
	delete(r.attempts, o.errand)
	report := Report{Endpoint: r.Name, Event: o.event, Attempts: o.errand.attempts, Err: o.err}
	switch {
	case o.err == nil:
		r.trouble.Store(nil)
		r.taken(o)
	case ctx.Err() != nil: // this agent leads no more, or has another configuration
		return
	case errors.Is(o.err, errGone):
		report.Kind = Disabled
		gone := r.of(state.DeliveryGone, 0)
		gone.Target = r.target
		r.settled = append(r.settled, agreement{what: gone})
	case r.hopeless(o):
		report.Kind = Died
		r.give(o)
	default:
		report.Kind, report.Pause = Failed, max(o.wait, pauseAfter(o.errand.attempts))
		if until := r.now().Add(o.wait); o.wait > 0 && until.After(r.hold) { // another request may have been told to wait for longer
			r.hold = until
		}
		r.putOff(o, r.now().Add(report.Pause))
	}
	if o.err != nil {
		t := &Trouble{At: r.cfg.Now(), Event: o.event.ID, Attempts: report.Attempts, Error: o.err.Error()}
		if report.Pause > 0 {
			t.Next = t.At.Add(report.Pause)
		}
		r.trouble.Store(t)
	}
	r.cfg.Report(report)
}

// hopeless says whether an event is given up.
func (r *round) hopeless(o outcome) bool {
	if errors.Is(o.err, errBody) {
		return true
	}
	age := r.cfg.Now().Sub(o.errand.since.Time())
	return age >= r.GiveUpAfter && o.errand.attempts >= fewestAttempts
}

// taken notes that an event was delivered.
func (r *round) taken(o outcome) {
	switch {
	case o.lane != nil:
		r.queue.done(o.lane, r.now())
	case o.event.Type == state.WebhookGap:
		r.settle(o, state.DeliveryGapTold)
	default:
		r.settle(o, state.DeliverySettled)
	}
}

// give gives an event up.
func (r *round) give(o outcome) {
	switch {
	case o.lane != nil:
		died := r.of(state.DeliveryDied, o.event.ID)
		if died.Lane = o.lane.key; r.Ordering == config.OrderStrict {
			died.Lane = state.MasterLane(o.event.Master) // all before it are done, in every lane
		}
		died.Attempts, died.Error = o.errand.attempts, o.err.Error()
		r.settled = append(r.settled, agreement{died, func() { r.queue.bury(o.lane, r.now()) }})
	case o.event.Type == state.WebhookGap: // it is in the log of this agent
		r.settle(o, state.DeliveryGapTold)
	default:
		r.settle(o, state.DeliveryFailed)
	}
}

// settle has it agreed what became of an errand.
func (r *round) settle(o outcome, kind state.DeliveryKind) {
	d := r.of(kind, o.event.ID)
	d.Attempts = o.errand.attempts
	if o.err != nil {
		d.Error = o.err.Error()
	}
	r.settled = append(r.settled, agreement{d, func() { o.errand.busy = false }})
}

func (r *round) putOff(o outcome, until time.Time) {
	if o.lane != nil {
		r.queue.failed(o.lane, until)
		return
	}
	o.errand.busy, o.errand.due = false, until
}

// agree has what became of events agreed on, in a goroutine of its own, one such thing after the other. Deliveries of other lanes go on meanwhile.
func (r *round) agree(ctx context.Context, work *sync.WaitGroup) {
	soon, now := r.queue.due()
	if soon && r.lazy.IsZero() {
		r.lazy = r.now().Add(commitWithin)
	}
	late := soon && !r.now().Before(r.lazy)
	switch {
	case r.agreed != nil:
		return
	case len(r.settled) > 0:
		next := r.settled[0]
		r.settled = r.settled[1:]
		r.having(ctx, work, next)
	case now || late:
		position, lanes := r.queue.position()
		position.Endpoint, position.Of = r.Name, r.rewound
		r.having(ctx, work, agreement{position, func() {
			r.queue.agree(position, lanes)
			r.lazy = time.Time{}
		}})
	}
}

// having has one thing agreed on. What follows from it is done by the round's own goroutine.
func (r *round) having(ctx context.Context, work *sync.WaitGroup, a agreement) {
	done := make(chan error, 1)
	r.agreed = done
	work.Go(func() { done <- r.persist(ctx, a.what) }) // ends with ctx, or when it is agreed
	r.then = a.then
}

// persist tries until something is agreed on; the error is a refusal.
func (r *round) persist(ctx context.Context, d state.Delivery) error {
	for attempts := 1; ; attempts++ {
		err := r.propose(ctx, d)
		if err == nil || refused(err) || !r.unagreed(ctx, state.Event{ID: d.ID}, attempts, err) {
			return err
		}
	}
}

// wait is how long there is nothing to do unless something happens.
func (r *round) wait() time.Duration {
	const forEver = 24 * time.Hour
	next := r.now().Add(forEver)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if len(r.attempts) < maxInFlight {
		later := func(t time.Time) time.Time {
			if t.Before(r.hold) {
				return r.hold
			}
			return t
		}
		if l := r.queue.next(); l != nil {
			sooner(later(l.due))
		}
		for _, e := range r.extra {
			if !e.busy {
				sooner(later(e.due))
			}
		}
	}
	if r.agreed == nil && !r.lazy.IsZero() {
		sooner(r.lazy)
	}
	return max(0, next.Sub(r.now()))
}
