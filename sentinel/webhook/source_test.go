package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"picket/config"
	"picket/sentinel/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "0123456789abcdef0123456789abcdef"

// history is a Source in memory. Its events have the ids 10, 20, …
type history struct {
	mu      sync.Mutex
	events  []state.Event
	cursors map[string]uint64
	changed chan struct{}
	broken  bool // refuses to commit
	commits int
}

func newHistory() *history {
	return &history{cursors: map[string]uint64{}, changed: make(chan struct{})}
}

func (h *history) add(types ...state.EventType) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range types {
		id := uint64(10 * (len(h.events) + 1))
		h.events = append(h.events, state.Event{ID: id, Type: t, Master: "m", Epoch: 7, At: 1})
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *history) After(index uint64, limit int) []state.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.events, func(e state.Event) bool { return e.ID > index })
	if i < 0 {
		return nil
	}
	return slices.Clone(h.events[i:min(len(h.events), i+limit)])
}

func (h *history) Latest() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return uint64(10 * len(h.events))
}

func (h *history) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func (h *history) Cursor(endpoint string) (uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.cursors[endpoint]
	return c, ok
}

var errBroken = errors.New("no majority")

func (h *history) Advance(_ context.Context, endpoint string, index uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return errBroken
	}
	h.commits++
	h.cursors[endpoint] = max(h.cursors[endpoint], index)
	return nil
}

func (h *history) setBroken(broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = broken
}

// position is the endpoint's, and how often any position was committed.
func (h *history) position(endpoint string) (told uint64, commits int) {
	told, _ = h.Cursor(endpoint)
	h.mu.Lock()
	defer h.mu.Unlock()
	return told, h.commits
}

// reports collects what a dispatcher reports.
type reports struct {
	mu  sync.Mutex
	all []Report
}

func (r *reports) add(report Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, report)
}

func (r *reports) list() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// hook completes a webhook with what all tests need.
func hook(w config.Webhook) config.Webhook {
	defaults := config.DefaultWebhook()
	if w.Name == "" {
		w.Name = "ops"
	}
	if w.URL == "" {
		w.URL = "https://user:password@example.test/hook?token=secret"
	}
	if w.Timeout == 0 {
		w.Timeout = defaults.Timeout
	}
	w.Secret = config.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(testKey)))
	return w
}

// lead runs a dispatcher as a leader does, until stop is called.
func lead(t *testing.T, cfg Config) (r *reports, stop func()) {
	t.Helper()
	r = &reports{}
	cfg.Cluster, cfg.Report = "c", r.add
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, run(t, d)
}

func run(t *testing.T, d *Dispatcher) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }() // ends with stop
	return func() { cancel(); <-done }
}
