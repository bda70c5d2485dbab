package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/state"
)

// endpoint is one receiver.
type endpoint struct {
	config.Webhook
	keys    [][]byte
	shown   string // its URL without what may be secret
	target  string // fingerprint of its URL
	form    form
	client  *http.Client
	trouble atomic.Pointer[Trouble] // nil: none that this agent knows of
}

// Trouble is why the last attempt to deliver failed.
type Trouble struct {
	At       time.Time
	Event    uint64
	Attempts int
	Error    string
	Next     time.Time // attempt; zero: there is none
}

func newEndpoint(cfg Config, w config.Webhook) (*endpoint, error) {
	keys, err := w.SigningKeys()
	if err != nil {
		return nil, fmt.Errorf("its secret %w", err)
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		return nil, errors.New("its url is not a URL") // the reason would quote it
	}
	e := &endpoint{Webhook: w, keys: keys, shown: Shown(w.URL)}
	sum := sha256.Sum256([]byte(u.String()))
	e.target = hex.EncodeToString(sum[:8])
	if e.form, err = newForm(cfg.Cluster, w); err != nil {
		return nil, err
	}
	e.client, err = client(cfg, w, u.Hostname())
	return e, err
}

// Shown is a webhook's URL without what may be secret.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// wants says whether an event goes to the endpoint. What is about it is not told to itself: that would go on for ever.
func (e *endpoint) wants(event *state.Event) bool {
	return event.Data.Endpoint != e.Name && e.Wants(string(event.Type), event.Master) && e.form.has(event)
}

const (
	maxResponseHeader = 64 << 10         // bounds what a receiver can make this agent hold
	connectTimeout    = 10 * time.Second // of what may go on when the attempt is over
)

func client(cfg Config, w config.Webhook, host string) (*http.Client, error) {
	transport := cfg.Transport
	if transport == nil {
		var security *tls.Config // the system's authorities
		if w.TLS != (config.WebhookTLS{}) {
			var err error
			security, err = cfg.Certs.Client(config.TLS{Enabled: true, CA: w.TLS.CA, Cert: w.TLS.Cert, Key: w.TLS.Key}, host)
			if err != nil {
				return nil, fmt.Errorf("its tls: %w", err)
			}
		}
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: maxInFlight, IdleConnTimeout: time.Minute,
			DialContext: cfg.Dial, TLSHandshakeTimeout: connectTimeout, TLSClientConfig: security,
			MaxResponseHeaderBytes: maxResponseHeader,
		}
	}
	return &http.Client{
		Transport: transport,
		// A redirect would carry signed events to where nobody configured them to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Test sends an event that says that it is a test, once, from this agent.
func (d *Dispatcher) Test(ctx context.Context, name, who string) (time.Duration, error) {
	endpoints, _ := d.current()
	e := find(endpoints, name)
	if e == nil {
		return 0, fmt.Errorf("%w: webhook %q", state.ErrUnknown, name)
	}
	now := d.cfg.Now()
	test := state.Event{ID: uint64(now.UnixNano()), Type: state.WebhookTest, At: monitor.MomentOf(now), Data: state.EventData{Endpoint: name, Who: who}}
	began := time.Now()
	_, err := d.post(ctx, e, test)
	return time.Since(began), err
}

// Trouble is what this agent's last attempt to deliver to an endpoint met; nil: none.
func (d *Dispatcher) Trouble(name string) *Trouble {
	endpoints, _ := d.current()
	if e := find(endpoints, name); e != nil {
		return e.trouble.Load()
	}
	return nil
}

// Waiting counts the events that an endpoint wants and was not told of yet, and gives the oldest; nil: none.
func (d *Dispatcher) Waiting(name string) (n int, oldest *state.Event) {
	endpoints, _ := d.current()
	e, s := find(endpoints, name), d.cfg.Source.State()
	c := s.Cursor(name)
	if e == nil || c == nil {
		return 0, nil
	}
	events := s.After(c.ID, len(s.Events))
	for i := range events {
		if !c.Told(&events[i]) && e.wants(&events[i]) {
			if n++; oldest == nil {
				oldest = &events[i]
			}
		}
	}
	return n, oldest
}
