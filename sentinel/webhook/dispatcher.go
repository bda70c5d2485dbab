package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

// Source is the replicated history and the replicated positions in it.
type Source interface {
	// After gives events that are newer than an index, oldest first, at most limit.
	After(index uint64, limit int) []state.Event
	// Latest is the newest event's index, 0 if there is none.
	Latest() uint64
	// Changed is closed when there may be more.
	Changed() <-chan struct{}
	// Cursor is how far an endpoint was told; false: it is new.
	Cursor(endpoint string) (uint64, bool)
	// Advance has it agreed that an endpoint was told all up to an index.
	Advance(ctx context.Context, endpoint string, index uint64) error
}

// ReportKind says what a Report tells.
type ReportKind uint8

const (
	Delivered ReportKind = iota // after Attempts
	Failed                      // an attempt; it will be made again after Pause
	Disabled                    // the receiver said that it is gone (410); nothing more is sent by this agent
)

// Report is what happened to one attempt.
type Report struct {
	Kind     ReportKind
	Endpoint string
	Event    state.Event
	Attempts int // so far
	Pause    time.Duration
	Err      error
}

// Config of a dispatcher.
type Config struct {
	Cluster   string
	Webhooks  []config.Webhook
	Source    Source
	Transport http.RoundTripper // nil: http.DefaultTransport's settings
	// Report is told of every attempt. It must not block.
	Report func(Report)
}

// Dispatcher delivers, one goroutine for each endpoint, so that one that is down holds up no other.
type Dispatcher struct {
	cfg    Config
	client *http.Client
	keys   map[string][]byte // by endpoint
}

// New checks the secrets.
func New(cfg Config) (*Dispatcher, error) {
	d := &Dispatcher{cfg: cfg, keys: map[string][]byte{}}
	for _, w := range cfg.Webhooks {
		key, err := decodeSecret(w.Secret)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", w.Name, err)
		}
		d.keys[w.Name] = key
	}
	d.client = &http.Client{
		Transport: cfg.Transport,
		// A redirect would carry signed events to where nobody configured them to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return d, nil
}

// Run delivers until ctx ends: as long as this agent leads.
func (d *Dispatcher) Run(ctx context.Context) {
	var endpoints sync.WaitGroup
	for _, w := range d.cfg.Webhooks {
		e := &endpoint{d: d, hook: w}
		endpoints.Go(func() { e.run(ctx) }) // delivers to one receiver; ends with ctx
	}
	endpoints.Wait()
	d.client.CloseIdleConnections()
}

const (
	batch = 64
	// idleAdvance is how long a position in the log may lag behind events that the endpoint did not ask for.
	idleAdvance = 5 * time.Second
	retryCommit = 200 * time.Millisecond
	longest     = 5 * time.Minute
	longestWait = time.Hour // that a receiver may ask for
)

// schedule is the pause after each failed attempt; longest from there on.
var schedule = []time.Duration{
	200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute,
}

// pauseAfter is the pause after so many failed attempts, with a jitter of a quarter, so that receivers are not hit in step.
func pauseAfter(attempts int) time.Duration {
	p := longest
	if attempts <= len(schedule) {
		p = schedule[attempts-1]
	}
	return p - p/8 + rand.N(p/4)
}

// endpoint is one receiver and how far it was told.
type endpoint struct {
	d       *Dispatcher
	hook    config.Webhook
	told    uint64 // as committed
	skipped uint64 // newest event that it did not ask for
}

func (e *endpoint) run(ctx context.Context) {
	if !e.enter(ctx) {
		return
	}
	for ctx.Err() == nil {
		changed := e.d.cfg.Source.Changed()
		events := e.d.cfg.Source.After(max(e.told, e.skipped), batch)
		for _, event := range events {
			if !wants(e.hook, event) {
				e.skipped = event.ID
				continue
			}
			if !e.deliver(ctx, event) || !e.advance(ctx, event.ID) {
				return
			}
		}
		if len(events) < batch {
			e.rest(ctx, changed)
		}
	}
}

// enter takes the position from the log. An endpoint that is new begins at the present, which is committed before anything else, so that
// from here on nothing is passed over.
func (e *endpoint) enter(ctx context.Context) bool {
	told, known := e.d.cfg.Source.Cursor(e.hook.Name)
	if known {
		e.told = told
		return true
	}
	return e.advance(ctx, e.d.cfg.Source.Latest())
}

// rest waits for news. Events that were passed over are committed as told after a while, not one by one.
func (e *endpoint) rest(ctx context.Context, changed <-chan struct{}) {
	var idle <-chan time.Time
	if e.skipped > e.told {
		timer := time.NewTimer(idleAdvance)
		defer timer.Stop()
		idle = timer.C
	}
	select {
	case <-changed:
	case <-idle:
		e.advance(ctx, e.skipped)
	case <-ctx.Done():
	}
}

// advance has a position committed; false: ctx has ended.
func (e *endpoint) advance(ctx context.Context, index uint64) bool {
	for {
		if err := e.d.cfg.Source.Advance(ctx, e.hook.Name, index); err == nil {
			e.told = max(e.told, index)
			return true
		}
		// No leader, or not this one any more: ctx ends then.
		if !pause(ctx, retryCommit) {
			return false
		}
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

// deliver tries until the receiver has taken the event; false: ctx has ended, or the receiver wants nothing more.
func (e *endpoint) deliver(ctx context.Context, event state.Event) bool {
	for attempts := 1; ; attempts++ {
		wait, err := e.d.attempt(ctx, e.hook, event)
		report := Report{Endpoint: e.hook.Name, Event: event, Attempts: attempts, Err: err}
		switch {
		case err == nil:
			e.d.cfg.Report(report)
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, errGone):
			report.Kind = Disabled
			e.d.cfg.Report(report)
			<-ctx.Done()
			return false
		}
		report.Kind, report.Pause = Failed, max(wait, pauseAfter(attempts))
		e.d.cfg.Report(report)
		if !pause(ctx, report.Pause) {
			return false
		}
	}
}
