package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
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
	Failed                      // an attempt to deliver, or to commit that it was; the next one follows
	Disabled                    // the receiver said that it is gone (410); nothing more is sent by this process
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
	Transport http.RoundTripper // nil: one of its own
	// Dial and Now are of the machine; nil: the real one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Now  func() time.Time
	// Report is told of every attempt. It must not block.
	Report func(Report)
}

// Dispatcher delivers, one goroutine for each endpoint, so that one that is down holds up no other.
type Dispatcher struct {
	cfg       Config
	client    *http.Client
	endpoints []*endpoint
}

// endpoint is one receiver.
type endpoint struct {
	config.Webhook
	key   []byte
	shown string      // its URL without what may be secret
	gone  atomic.Bool // it answered 410
}

// New makes a dispatcher; nothing is sent before Run.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: connectTimeout}).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Dispatcher{cfg: cfg, client: client(cfg)}
	for _, w := range cfg.Webhooks {
		key, err := w.SigningKey()
		if err != nil {
			return nil, fmt.Errorf("webhook %s: its secret %w", w.Name, err)
		}
		u, err := url.Parse(w.URL)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: its url is not a URL", w.Name) // the reason would quote it
		}
		d.endpoints = append(d.endpoints, &endpoint{Webhook: w, key: key, shown: u.Scheme + "://" + u.Host})
	}
	return d, nil
}

const (
	maxResponseHeader = 64 << 10         // bounds what a receiver can make this agent hold
	connectTimeout    = 10 * time.Second // of what may go on when the attempt is over
)

func client(cfg Config) *http.Client {
	transport := cfg.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
			DialContext: cfg.Dial, TLSHandshakeTimeout: connectTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
		}
	}
	return &http.Client{
		Transport: transport,
		// A redirect would carry signed events to where nobody configured them to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run delivers until ctx ends: as long as this agent leads. It may be called again, even before an earlier
// call has returned.
func (d *Dispatcher) Run(ctx context.Context) {
	var rounds sync.WaitGroup
	for _, e := range d.endpoints {
		r := &round{Dispatcher: d, endpoint: e}
		rounds.Go(func() { r.run(ctx) }) // delivers to one receiver; ends with ctx
	}
	rounds.Wait()
	d.client.CloseIdleConnections()
}
