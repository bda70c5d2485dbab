package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"picket/config"
	"picket/sentinel/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "0123456789abcdef0123456789abcdef"

// log is a replicated history that never fails.
type log struct {
	mu      sync.Mutex
	events  []state.Event
	cursors map[string]uint64
	changed chan struct{}
}

func newLog() *log { return &log{cursors: map[string]uint64{}, changed: make(chan struct{})} }

func (l *log) add(types ...state.EventType) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range types {
		l.events = append(l.events, state.Event{ID: uint64(10 * (len(l.events) + 1)), Type: t, Master: "m", Epoch: 7, At: 1})
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *log) After(index uint64, limit int) []state.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.events, func(e state.Event) bool { return e.ID > index })
	if i < 0 {
		return nil
	}
	return slices.Clone(l.events[i:min(len(l.events), i+limit)])
}

func (l *log) Latest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return 0
	}
	return l.events[len(l.events)-1].ID
}

func (l *log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *log) Cursor(endpoint string) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.cursors[endpoint]
	return c, ok
}

func (l *log) Advance(_ context.Context, endpoint string, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursors[endpoint] = max(l.cursors[endpoint], index)
	return nil
}

func (l *log) position() uint64 {
	told, _ := l.Cursor("ops")
	return told
}

// receiver answers requests as the test says, and checks each signature.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	answer func(attempt int) (*http.Response, error)
	tries  int
	got    []string // types of the events that were taken
	ids    []string // of every attempt
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.tries++
	response, err := r.answer(r.tries)
	r.mu.Unlock()
	if response == nil && err == nil { // hangs
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	mac := hmac.New(sha256.New, []byte(testKey))
	fmt.Fprintf(mac, "%s.%s.%s", request.Header.Get("webhook-id"), request.Header.Get("webhook-timestamp"), body)
	if got, want := request.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		r.t.Errorf("signature %s, want %s", got, want)
	}
	var e struct{ SpecVersion, ID, Type, Source, Sequence, Epoch string }
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("body %s: %v", body, err)
	}
	if e.SpecVersion != "1.0" || e.ID != request.Header.Get("webhook-id") || e.Source != "/clusters/c/masters/m" || e.Epoch != "7" {
		r.t.Errorf("event %+v", e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, e.ID)
	if err == nil && response.StatusCode == http.StatusOK {
		r.got = append(r.got, strings.TrimSuffix(strings.TrimPrefix(e.Type, "io.picket."), ".v1"))
	}
	return response, err
}

func status(code int, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Header: h, Body: io.NopCloser(strings.NewReader("answer"))}
}

func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// lead runs a dispatcher as a leader would.
func lead(t *testing.T, l *log, r *receiver, hook config.Webhook) (reports func() []Report, stop func()) {
	t.Helper()
	hook.Name, hook.URL = "ops", "https://user:password@example.test/hook?token=secret"
	hook.Secret = config.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(testKey)))
	var mu sync.Mutex
	var all []Report
	d, err := New(Config{Cluster: "c", Webhooks: []config.Webhook{hook}, Source: l, Transport: r, Report: func(report Report) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, report)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	reports = func() []Report {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
	return reports, func() { cancel(); <-done }
}

func ok(int) (*http.Response, error) { return status(http.StatusOK), nil }

func TestDispatcher_DeliversInOrderFromThePresentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := newLog(), &receiver{t: t, answer: ok}
		l.add(state.FailoverEnded) // before the endpoint was known
		_, stop := lead(t, l, r, config.Webhook{})
		synctest.Wait()
		l.add(state.FailoverBegun, state.FailoverPromoting)
		synctest.Wait()
		l.add(state.FailoverSwitched)
		synctest.Wait()
		stop()
		if got := fmt.Sprint(r.taken()); got != "[failover.begun failover.promoting failover.switched]" {
			t.Errorf("delivered %s", got)
		}
		if l.position() != 40 {
			t.Errorf("position %d", l.position())
		}
	})
}

func TestDispatcher_DownForAWhileAndTheLeaderDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := true
		l, r := newLog(), &receiver{t: t}
		r.answer = func(int) (*http.Response, error) {
			if refuse {
				return nil, errors.New("connection refused")
			}
			return status(http.StatusOK), nil
		}
		_, stop := lead(t, l, r, config.Webhook{})
		synctest.Wait()
		l.add(state.FailoverBegun, state.FailoverSwitched)
		time.Sleep(time.Hour) // virtual
		stop()
		reports, stop := lead(t, l, r, config.Webhook{})
		time.Sleep(time.Minute)
		r.mu.Lock()
		refuse = false
		r.mu.Unlock()
		time.Sleep(10 * time.Minute)
		stop()
		if got := fmt.Sprint(r.taken()); got != "[failover.begun failover.switched]" {
			t.Errorf("delivered %s", got)
		}
		if ids := slices.Compact(slices.Clone(r.ids)); fmt.Sprint(ids) != "[c-10 c-20]" {
			t.Errorf("ids over all attempts: %v", ids)
		}
		if r.tries < 10 || r.tries > 60 {
			t.Errorf("%d attempts in 70 minutes", r.tries)
		}
		for _, report := range reports() {
			if report.Err != nil && strings.Contains(report.Err.Error(), "secret") {
				t.Errorf("a secret in %v", report.Err)
			}
		}
	})
}

func TestDispatcher_Answers(t *testing.T) {
	for name, c := range map[string]struct {
		first func() (*http.Response, error)
		after time.Duration // at the earliest
		by    time.Duration // at the latest; 0: never
	}{
		"server error":  {func() (*http.Response, error) { return status(500), nil }, 0, time.Second},
		"redirect":      {func() (*http.Response, error) { return status(302, "Location", "https://elsewhere.test/"), nil }, 0, time.Second},
		"slow down":     {func() (*http.Response, error) { return status(429, "Retry-After", "120"), nil }, 119 * time.Second, 130 * time.Second},
		"hangs":         {func() (*http.Response, error) { return nil, nil }, 9 * time.Second, 12 * time.Second},
		"gone":          {func() (*http.Response, error) { return status(410), nil }, 0, 0},
		"absurd demand": {func() (*http.Response, error) { return status(503, "Retry-After", "99999999999"), nil }, 0, 61 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, r := newLog(), &receiver{t: t}
				r.answer = func(attempt int) (*http.Response, error) {
					if attempt == 1 {
						return c.first()
					}
					return status(http.StatusNoContent), nil
				}
				reports, stop := lead(t, l, r, config.Webhook{})
				synctest.Wait()
				l.add(state.FailoverBegun)
				time.Sleep(c.after)
				if all := reports(); len(all) > 0 && all[len(all)-1].Kind == Delivered && c.after > 0 {
					t.Errorf("delivered before %s", c.after)
				}
				time.Sleep(max(c.by, 24*time.Hour*btoi(c.by == 0)) - c.after)
				stop()
				all := reports()
				if delivered := all[len(all)-1].Kind == Delivered; delivered != (c.by != 0) {
					t.Errorf("delivered: %v; reports %+v", delivered, all)
				}
			})
		})
	}
}

func btoi(b bool) time.Duration {
	if b {
		return 1
	}
	return 0
}

func TestDispatcher_FiltersAndCommitsSkippedEventsLazily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := newLog(), &receiver{t: t, answer: ok}
		_, stop := lead(t, l, r, config.Webhook{Events: []string{"failover.s*", "failover.ended"}})
		synctest.Wait()
		l.add(state.FailoverBegun, state.FailoverSwitched, state.FailoverEnded, state.ReplicaAdded)
		synctest.Wait()
		if l.position() != 30 {
			t.Errorf("position %d at once", l.position())
		}
		time.Sleep(time.Minute)
		stop()
		if got := fmt.Sprint(r.taken()); got != "[failover.switched failover.ended]" || l.position() != 40 {
			t.Errorf("delivered %s, position %d", got, l.position())
		}
	})
}

func TestNew_RefusesABadSecretWithoutQuotingIt(t *testing.T) {
	for _, secret := range []config.Secret{"hunter2", "whsec_hunter2!"} {
		_, err := New(Config{Webhooks: []config.Webhook{{Name: "ops", Secret: secret}}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("secret %q: %v", string(secret), err)
		}
	}
}
