package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"picket/sentinel/state"
)

const (
	// batch is how many events are taken from the history at a time.
	batch = 64
	// commitWithin is how long a position in the log may lag behind events that the endpoint did not ask for.
	commitWithin = 5 * time.Second
	// longestCommitPause bounds the pause between attempts to commit a position.
	longestCommitPause = 5 * time.Second
)

// round is one endpoint's way through the history while this agent leads. It belongs to one goroutine.
type round struct {
	*Dispatcher
	*endpoint
	seen uint64    // newest event that was delivered or passed over
	due  time.Time // when seen must be committed; zero: it is
}

func (r *round) run(ctx context.Context) {
	if r.gone.Load() || !r.enter(ctx) {
		return
	}
	for ctx.Err() == nil {
		changed := r.cfg.Source.Changed()
		events := r.cfg.Source.After(r.seen, batch)
		for _, e := range events {
			if !r.pass(ctx, e) {
				return
			}
		}
		if len(events) == 0 && !r.rest(ctx, changed) {
			return
		}
	}
}

// enter takes the position from the log. An endpoint that is new begins at the present, which is committed
// before anything else, so that from here on nothing is passed over.
func (r *round) enter(ctx context.Context) bool {
	told, known := r.cfg.Source.Cursor(r.Name)
	if !known {
		return r.commit(ctx, state.Event{ID: r.cfg.Source.Latest()})
	}
	r.seen = told
	return true
}

// pass gets one event behind the endpoint; false: the round is over. An event that it did not ask for is
// committed with the next one that it did, or after a while.
func (r *round) pass(ctx context.Context, e state.Event) bool {
	if r.Wants(string(e.Type), e.Master) {
		if planted(CursorFirst) {
			return r.commit(ctx, e) && r.deliver(ctx, e)
		}
		return r.deliver(ctx, e) && r.commit(ctx, e)
	}
	r.seen = e.ID
	if r.due.IsZero() {
		r.due = time.Now().Add(commitWithin)
	}
	return true
}

// rest waits for news, or until the position is due; false: the round is over.
func (r *round) rest(ctx context.Context, changed <-chan struct{}) bool {
	var due <-chan time.Time
	if !r.due.IsZero() {
		left := time.Until(r.due)
		if left <= 0 { // news that come all the time must not put it off
			return r.commit(ctx, state.Event{ID: r.seen})
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// deliver tries until the receiver has taken the event; false: the round is over.
func (r *round) deliver(ctx context.Context, e state.Event) bool {
	for attempts := 1; ; attempts++ {
		wait, err := r.post(ctx, r.endpoint, e)
		report := Report{Endpoint: r.Name, Event: e, Attempts: attempts, Err: err}
		switch {
		case err == nil:
			r.cfg.Report(report)
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, errGone):
			r.gone.Store(true)
			report.Kind = Disabled
			r.cfg.Report(report)
			return false
		}
		report.Kind, report.Pause = Failed, max(wait, pauseAfter(attempts))
		r.cfg.Report(report)
		if !pause(ctx, report.Pause) {
			return false
		}
	}
}

// commit has it agreed that the endpoint was told all up to an event; false: the round is over.
func (r *round) commit(ctx context.Context, e state.Event) bool {
	for attempts := 1; ; attempts++ {
		err := r.cfg.Source.Advance(ctx, r.Name, e.ID)
		if err == nil {
			r.seen, r.due = e.ID, time.Time{}
			return true
		}
		report := Report{
			Kind: Failed, Endpoint: r.Name, Event: e, Attempts: attempts, Pause: min(pauseAfter(attempts), longestCommitPause),
			Err: fmt.Errorf("commit that the receiver was told all up to %d: %w", e.ID, err),
		}
		if !pause(ctx, report.Pause) { // most likely this agent leads no more, which is nothing to tell
			return false
		}
		r.cfg.Report(report)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
