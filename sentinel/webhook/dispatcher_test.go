package webhook

import (
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

	"picket/config"
	"picket/sentinel/state"
)

// receiver is a RoundTripper that answers as the test says, and checks each request by its own means.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	answer func(attempt int) (*http.Response, error) // nil, nil: never answers
	tries  int
	got    []string // types of the events that were taken
	ids    []string // of every attempt
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	eventType := r.check(request.Header, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	r.ids = append(r.ids, request.Header.Get("webhook-id"))
	response, err := r.answer(r.tries)
	switch {
	case response == nil && err == nil:
		r.mu.Unlock()
		<-request.Context().Done()
		r.mu.Lock()
		return nil, request.Context().Err()
	case err == nil && response.StatusCode/100 == 2:
		r.got = append(r.got, eventType)
	}
	return response, err
}

// check verifies headers and body, and gives the event's type.
func (r *receiver) check(h http.Header, body []byte) string {
	mac := hmac.New(sha256.New, []byte(testKey))
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), time.Now().Unix(), body)
	if got, want := h.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		r.t.Errorf("signature %s, want %s", got, want)
	}
	if got := h.Get("Content-Type"); got != "application/cloudevents+json; charset=UTF-8" {
		r.t.Errorf("content type %s", got)
	}
	var e struct{ SpecVersion, ID, Type, Source, Sequence, Epoch string }
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("body %s: %v", body, err)
	}
	if e.SpecVersion != "1.0" || e.ID != h.Get("webhook-id") || e.ID != "c-"+e.Sequence || e.Source != "/clusters/c/masters/m" || e.Epoch != "7" {
		r.t.Errorf("event %+v", e)
	}
	return strings.TrimSuffix(strings.TrimPrefix(e.Type, "io.picket."), ".v1")
}

func (r *receiver) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.got, " ")
}

func (r *receiver) set(answer func(int) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Header: h, Body: io.NopCloser(strings.NewReader("answer"))}
}

func ok(int) (*http.Response, error)     { return status(http.StatusOK), nil }
func refuse(int) (*http.Response, error) { return nil, errors.New("connection refused") }
func hang(int) (*http.Response, error)   { return nil, nil }

// start leads with one webhook.
func start(t *testing.T, h *history, r *receiver, w config.Webhook) (*reports, func()) {
	t.Helper()
	return lead(t, Config{Webhooks: []config.Webhook{hook(w)}, Source: h, Transport: r})
}

func TestDispatcher_DeliversInOrderFromThePresentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: ok}
		h.add(state.FailoverEnded) // before the endpoint was known
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		h.add(state.FailoverBegun, state.FailoverPromoting)
		synctest.Wait()
		h.add(state.FailoverSwitched)
		synctest.Wait()
		stop()
		if got := r.taken(); got != "failover.begun failover.promoting failover.switched" {
			t.Errorf("delivered %s", got)
		}
		if told, _ := h.position("ops"); told != 40 {
			t.Errorf("position %d", told)
		}
	})
}

func TestDispatcher_NewEndpointCommitsThePresentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: ok}
		h.setBroken(true)
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop() // a leader that could not commit anything
		h.setBroken(false)
		_, stop = start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop()
		h.add(state.FailoverBegun) // while nobody leads
		_, stop = start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop()
		if got := r.taken(); got != "failover.begun" {
			t.Errorf("delivered %s", got)
		}
	})
}

func TestDispatcher_MoreEventsThanABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: ok}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		h.add(slices.Repeat([]state.EventType{state.FailoverBegun}, 2*batch+1)...)
		synctest.Wait()
		stop()
		if got := len(r.got); got != 2*batch+1 || !slices.IsSortedFunc(r.ids, byNumber) {
			t.Errorf("%d events, ids %v", got, r.ids)
		}
	})
}

// byNumber orders ids of the same cluster.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func TestDispatcher_ReceiverIsDownAndTheLeaderDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: refuse}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		h.add(state.FailoverBegun, state.FailoverSwitched)
		time.Sleep(time.Hour) // virtual
		stop()
		told, stop := start(t, h, r, config.Webhook{})
		time.Sleep(time.Minute)
		r.set(ok)
		time.Sleep(10 * time.Minute)
		stop()
		if got := r.taken(); got != "failover.begun failover.switched" {
			t.Errorf("delivered %s", got)
		}
		if ids := slices.Compact(slices.Clone(r.ids)); fmt.Sprint(ids) != "[c-10 c-20]" {
			t.Errorf("ids over all attempts: %v", ids)
		}
		if r.tries < 20 || r.tries > 40 {
			t.Errorf("%d attempts in 70 minutes", r.tries)
		}
		for _, report := range told.list() {
			if text := fmt.Sprint(report.Err); strings.Contains(text, "secret") || strings.Contains(text, "password") {
				t.Errorf("a secret in %s", text)
			}
		}
	})
}

func TestDispatcher_Answers(t *testing.T) {
	const never = 0
	for name, tc := range map[string]struct {
		first func(int) (*http.Response, error)
		after time.Duration // delivered not earlier
		by    time.Duration // nor later
	}{
		"server error":  {answer(500), 0, time.Second},
		"client error":  {answer(404), 0, time.Second},
		"not modified":  {answer(304), 0, time.Second},
		"refused":       {refuse, 0, time.Second},
		"slow down":     {answer(429, "Retry-After", "120"), 119 * time.Second, 121 * time.Second},
		"hangs":         {hang, 9 * time.Second, 12 * time.Second},
		"absurd demand": {answer(503, "Retry-After", "99999999999"), 59 * time.Minute, 61 * time.Minute},
		"gone":          {answer(410), 0, never},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r := newHistory(), &receiver{t: t}
				r.set(func(attempt int) (*http.Response, error) {
					if attempt == 1 {
						return tc.first(attempt)
					}
					return status(http.StatusNoContent), nil
				})
				told, stop := start(t, h, r, config.Webhook{})
				defer stop()
				synctest.Wait()
				h.add(state.FailoverBegun)
				time.Sleep(tc.after)
				if got := r.taken(); tc.after > 0 && got != "" {
					t.Errorf("delivered before %v", tc.after)
				}
				if tc.by == never {
					time.Sleep(24 * time.Hour)
					if list := told.list(); len(list) != 1 || list[0].Kind != Disabled || r.tries != 1 {
						t.Errorf("%d attempts, reports %+v", r.tries, list)
					}
					return
				}
				time.Sleep(tc.by - tc.after)
				list := told.list()
				if len(list) != 2 || list[0].Kind != Failed || list[0].Err == nil || list[1].Kind != Delivered || list[1].Attempts != 2 {
					t.Errorf("reports %+v", list)
				}
			})
		})
	}
}

func answer(code int, headers ...string) func(int) (*http.Response, error) {
	return func(int) (*http.Response, error) { return status(code, headers...), nil }
}

func TestDispatcher_GoneIsForgottenByANewProcessOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: answer(http.StatusGone)}
		cfg := Config{Cluster: "c", Webhooks: []config.Webhook{hook(config.Webhook{})}, Source: h, Transport: r, Report: (&reports{}).add}
		d, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, d)
		synctest.Wait()
		h.add(state.FailoverBegun)
		synctest.Wait()
		stop()
		stop = run(t, d) // it leads again
		time.Sleep(time.Hour)
		stop()
		if r.tries != 1 {
			t.Errorf("%d attempts by the same process", r.tries)
		}
		r.set(ok)
		_, stop = lead(t, cfg)
		synctest.Wait()
		stop()
		if got := r.taken(); got != "failover.begun" {
			t.Errorf("delivered %q by the next process", got)
		}
	})
}

func TestDispatcher_CommitsWhatItPassesOverLazily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: ok}
		_, stop := start(t, h, r, config.Webhook{Events: []string{"failover.s*", "failover.ended"}})
		synctest.Wait()
		h.add(state.FailoverBegun, state.FailoverSwitched, state.FailoverEnded, state.ReplicaAdded)
		synctest.Wait()
		if told, commits := h.position("ops"); told != 30 || commits != 3 { // the present, and two deliveries
			t.Errorf("position %d, %d commits at once", told, commits)
		}
		for range 60 { // news all the time must not put it off
			time.Sleep(time.Second)
			h.add(state.ReplicaAdded)
		}
		synctest.Wait()
		stop()
		told, commits := h.position("ops")
		if got := r.taken(); got != "failover.switched failover.ended" {
			t.Errorf("delivered %s", got)
		}
		if lag := h.Latest() - told; lag > 60 || commits < 10 || commits > 20 {
			t.Errorf("position %d of %d, %d commits", told, h.Latest(), commits)
		}
	})
}

func TestDispatcher_CommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(), &receiver{t: t, answer: ok}
		told, stop := start(t, h, r, config.Webhook{})
		defer stop()
		synctest.Wait()
		h.setBroken(true)
		h.add(state.FailoverBegun, state.FailoverEnded)
		time.Sleep(time.Minute)
		h.setBroken(false)
		time.Sleep(10 * time.Second)
		if got := r.taken(); got != "failover.begun failover.ended" { // the same process need not repeat what it delivered
			t.Errorf("delivered %s", got)
		}
		failed := 0
		for _, report := range told.list() {
			if report.Kind == Failed && errors.Is(report.Err, errBroken) && report.Event.Type == state.FailoverBegun {
				failed++
			}
		}
		if failed < 10 || failed > 20 {
			t.Errorf("%d reports of a minute without commits: %+v", failed, told.list())
		}
	})
}

func TestDispatcher_OneHangingReceiverHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, dead, alive := newHistory(), &receiver{t: t, answer: hang}, &receiver{t: t, answer: ok}
		_, stop := lead(t, Config{
			Webhooks: []config.Webhook{
				hook(config.Webhook{Name: "dead", URL: "http://dead.test/"}), hook(config.Webhook{Name: "alive", URL: "http://alive.test/"}),
			},
			Source: h, Transport: byHost{"dead.test": dead, "alive.test": alive},
		})
		synctest.Wait()
		h.add(state.FailoverBegun, state.FailoverEnded)
		synctest.Wait()
		if got := alive.taken(); got != "failover.begun failover.ended" {
			t.Errorf("delivered %s", got)
		}
		begun := time.Now()
		stop() // while an attempt hangs
		if took := time.Since(begun); took != 0 {
			t.Errorf("stopping took %v", took)
		}
	})
}

type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(request *http.Request) (*http.Response, error) {
	return b[request.URL.Host].RoundTrip(request)
}

func TestNew_RefusesABadWebhookWithoutQuotingIt(t *testing.T) {
	good := hook(config.Webhook{})
	for _, w := range []config.Webhook{
		{Name: "ops", URL: good.URL, Secret: "hunter2"}, {Name: "ops", URL: good.URL, Secret: "whsec_hunter2!"},
		{Name: "ops", URL: "http://hunter2\x00", Secret: good.Secret},
	} {
		_, err := New(Config{Webhooks: []config.Webhook{w}})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "ops") {
			t.Errorf("%+v: %v", w, err)
		}
	}
}
