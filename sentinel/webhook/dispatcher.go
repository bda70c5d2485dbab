package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"picket/config"
	"picket/config/certs"
	"picket/sentinel/state"
)

// Source is the replicated history, and the positions in it.
type Source interface {
	State() *state.State
	// Changed is closed when there may be more; it is to be taken before the State that it belongs to.
	Changed() <-chan struct{}
	// Propose has something agreed on. The error is a refusal of package state, or says that nobody knows whether it was.
	Propose(ctx context.Context, d state.Delivery) error
	// Begin has it agreed that a new endpoint need not be told of what happened up to an index.
	Begin(ctx context.Context, endpoint string, index uint64) error
}

// ReportKind says what a Report tells.
type ReportKind uint8

const (
	Delivered ReportKind = iota // after Attempts
	Failed                      // an attempt to deliver, or to commit that it was; the next one follows
	Disabled                    // the receiver said that it is gone (410); nothing more is sent before somebody enables it
	Died                        // the event is a dead letter
	Missed                      // events were forgotten before they could be delivered; the event is the one that says so
)

// Report is what happened to one attempt.
type Report struct {
	Kind     ReportKind
	Endpoint string
	Event    state.Event
	Attempts int           // so far
	Pause    time.Duration // between this attempt and the next
	Err      error
}

// Config of a dispatcher.
type Config struct {
	Cluster   string
	Webhooks  []config.Webhook // as config.Load checked them
	Source    Source
	Transport http.RoundTripper // nil: one of each webhook's own
	Certs     *certs.Store      // the files of TLS; may be nil
	// Dial and Now are of the machine; nil: the real one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Now  func() time.Time
	// Report is told of every attempt. It must not block.
	Report func(Report)
}

// Dispatcher delivers, one goroutine for each endpoint, so that one that is down holds up no other. It only reads what is agreed and
// proposes positions: nothing waits for it.
type Dispatcher struct {
	cfg Config

	mu         sync.Mutex
	endpoints  []*endpoint
	configured chan struct{} // closed when endpoints is replaced
}

// New makes a dispatcher; nothing is sent before Run.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: connectTimeout}).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Dispatcher{cfg: cfg, configured: make(chan struct{})}
	return d, d.Configure(cfg.Webhooks)
}

// Configure replaces the webhooks. Those that stay go on where they are; attempts under way are repeated.
func (d *Dispatcher) Configure(webhooks []config.Webhook) error {
	var endpoints []*endpoint
	for _, w := range webhooks {
		e, err := newEndpoint(d.cfg, w)
		if err != nil {
			return fmt.Errorf("webhook %s: %w", w.Name, err)
		}
		endpoints = append(endpoints, e)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range endpoints {
		if before := find(d.endpoints, e.Name); before != nil {
			e.trouble.Store(before.trouble.Load())
		}
	}
	d.endpoints = endpoints
	close(d.configured)
	d.configured = make(chan struct{})
	return nil
}

func (d *Dispatcher) current() ([]*endpoint, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.endpoints, d.configured
}

func find(endpoints []*endpoint, name string) *endpoint {
	for _, e := range endpoints {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// Run delivers until ctx ends: as long as this agent leads. It may be called again, even before an earlier
// call has returned.
func (d *Dispatcher) Run(ctx context.Context) {
	var cleaning sync.WaitGroup
	cleaning.Go(func() { d.clean(ctx) }) // ends with ctx
	for ctx.Err() == nil {
		endpoints, changed := d.current()
		d.serve(ctx, endpoints, changed)
	}
	cleaning.Wait()
}

// serve delivers to the endpoints until there are others.
func (d *Dispatcher) serve(ctx context.Context, endpoints []*endpoint, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	var rounds sync.WaitGroup
	for _, e := range endpoints {
		r := &round{Dispatcher: d, endpoint: e}
		rounds.Go(func() { r.run(ctx) }) // delivers to one receiver; ends with ctx
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
	cancel()
	rounds.Wait()
	for _, e := range endpoints {
		e.client.CloseIdleConnections()
	}
}

// forgetAfter is for how long an agent must lead with a file that does not name a webhook before it drops what is kept for it: while files are being
// changed, the next leader may know one that this one does not yet, and a name that was taken out by mistake comes back.
const forgetAfter = 10 * time.Minute

// clean drops what is kept for webhooks that nobody names any more.
func (d *Dispatcher) clean(ctx context.Context) {
	unnamed := map[string]time.Time{} // since when
	for pause(ctx, forgetAfter/10) {
		endpoints, _ := d.current()
		for _, c := range d.cfg.Source.State().Cursors {
			since, known := unnamed[c.Endpoint]
			switch {
			case find(endpoints, c.Endpoint) != nil:
				delete(unnamed, c.Endpoint)
			case !known:
				unnamed[c.Endpoint] = time.Now()
			case time.Since(since) >= forgetAfter:
				delete(unnamed, c.Endpoint)
				// What fails is tried again later.
				_ = d.propose(ctx, state.Delivery{Kind: state.DeliveryRemoved, Endpoint: c.Endpoint})
			}
		}
	}
}

// proposeTimeout bounds how long one agreement may take.
const proposeTimeout = 10 * time.Second

func (d *Dispatcher) propose(ctx context.Context, what state.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	return d.cfg.Source.Propose(ctx, what)
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
