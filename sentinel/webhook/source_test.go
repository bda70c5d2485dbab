package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "0123456789abcdef0123456789abcdef"

// history is a Source around a real state machine, to which commands go in their encoded form, as from the log.
type history struct {
	t       *testing.T
	machine *state.Machine

	mu     sync.Mutex
	index  uint64
	broken bool             // refuses to commit
	agreed map[string]int   // what was agreed on, by endpoint
	kinds  []state.Delivery // all of it
}

func newHistory(t *testing.T) *history {
	h := &history{t: t, machine: state.NewMachine(), agreed: map[string]int{}}
	h.add("m", state.MasterAdded)
	return h
}

func (h *history) State() *state.State      { return h.machine.State() }
func (h *history) Changed() <-chan struct{} { return h.machine.Changed() }

var errBroken = errors.New("no majority")

func (h *history) Propose(_ context.Context, d state.Delivery) error {
	return h.propose(d.Endpoint, d, state.Command{Delivery: &d})
}

func (h *history) Begin(_ context.Context, endpoint string, index uint64) error {
	return h.propose(endpoint, state.Delivery{ID: index}, state.Command{AdvanceCursor: &state.Cursor{Endpoint: endpoint, ID: index}})
}

func (h *history) propose(endpoint string, d state.Delivery, c state.Command) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return errBroken
	}
	err := h.commit(c)
	if err == nil {
		h.agreed[endpoint]++
		h.kinds = append(h.kinds, d)
	}
	return err
}

func (h *history) commit(c state.Command) error {
	h.index++
	if c.At == 0 {
		c.At = monitor.MomentOf(time.Now())
	}
	data, err := c.Encode()
	if err != nil {
		h.t.Error(err)
	}
	result := h.machine.Apply(consensus.Entry{Index: consensus.Index(h.index), Term: 7, Kind: consensus.EntryCommand, Data: data})
	refusal, _ := result.(error)
	return refusal
}

// must has something committed that is not about deliveries, and gives its index.
func (h *history) must(c state.Command) uint64 {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.commit(c); err != nil {
		h.t.Errorf("%+v: %v", c, err)
	}
	return h.index
}

// add has events of a master committed, and gives the index of the last.
func (h *history) add(master string, types ...state.EventType) (index uint64) {
	h.t.Helper()
	for i, eventType := range types {
		m := h.State().Master(master)
		switch eventType {
		case state.MasterAdded:
			index = h.must(state.Command{Monitor: &state.AddMaster{Name: master, Addr: config.NewAddr(master, 1), Quorum: 2}})
		case state.MasterRemoved:
			index = h.must(state.Command{Remove: master})
		case state.MasterChanged:
			index = h.must(state.Command{Set: &state.SetOptions{Master: master, Options: []state.Option{{Name: "x", Value: fmt.Sprint(i)}}}})
		case state.FailoverDivergence:
			index = h.must(state.Command{Diverged: &state.Diverged{Master: master, Divergence: failover.Divergence{Server: m.Addr, Bytes: h.size(), Known: true}}})
		case state.AgentRegistered:
			index = h.must(state.Command{RegisterAgent: &state.Agent{ID: "a", Host: fmt.Sprint(h.size())}})
		default:
			h.t.Fatalf("the test can't make %s", eventType)
		}
	}
	return index
}

func (h *history) size() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(h.index) + 1
}

func (h *history) setBroken(broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = broken
}

// position is the endpoint's, and how often anything was agreed on about it.
func (h *history) position(endpoint string) (told uint64, commits int) {
	if c := h.State().Cursor(endpoint); c != nil {
		told = c.ID
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return told, h.agreed[endpoint]
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

// of counts the reports of a kind.
func (r *reports) of(kind ReportKind) (n int) {
	for _, report := range r.list() {
		if report.Kind == kind {
			n++
		}
	}
	return n
}

func secret(key string) config.Secret {
	return config.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(key)))
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
	if w.Ordering == "" {
		w.Ordering = defaults.Ordering
	}
	if w.GiveUpAfter == 0 {
		w.GiveUpAfter = defaults.GiveUpAfter
	}
	if w.Preset == "" {
		w.Preset = defaults.Preset
	}
	if w.ContentType == "" {
		w.ContentType = defaults.ContentType
	}
	if w.Secret == "" {
		w.Secret = secret(testKey)
	}
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
