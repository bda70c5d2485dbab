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
	var e struct{ SpecVersion, ID, Type, Source, Subject, Sequence, Epoch string }
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("body %s: %v", body, err)
	}
	if e.SpecVersion != "1.0" || e.ID != h.Get("webhook-id") || !strings.HasPrefix(e.ID, "c-") || !strings.HasPrefix(e.Source, "/clusters/c") {
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
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		h.add("m", state.MasterChanged) // before the endpoint was known
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		h.add("m", state.MasterChanged, state.FailoverDivergence)
		synctest.Wait()
		last := h.add("m", state.MasterRemoved)
		synctest.Wait()
		stop()
		if got := r.taken(); got != "master.changed failover.divergence master.removed" {
			t.Errorf("delivered %s", got)
		}
		if told, _ := h.position("ops"); told != last {
			t.Errorf("position %d, want %d", told, last)
		}
	})
}

func TestDispatcher_NewEndpointCommitsThePresentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		h.setBroken(true)
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop() // a leader that could not commit anything
		h.setBroken(false)
		_, stop = start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop()
		h.add("m", state.MasterChanged) // while nobody leads
		_, stop = start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop()
		if got := r.taken(); got != "master.changed" {
			t.Errorf("delivered %s", got)
		}
	})
}

func TestDispatcher_ManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		const many = 200
		h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, many)...)
		synctest.Wait()
		stop()
		if got := len(r.got); got != many || !slices.IsSortedFunc(r.ids, byNumber) {
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
		h, r := newHistory(t), &receiver{t: t, answer: refuse}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		first := h.add("m", state.MasterChanged)
		second := h.add("m", state.FailoverDivergence)
		time.Sleep(time.Hour) // virtual
		stop()
		told, stop := start(t, h, r, config.Webhook{})
		time.Sleep(time.Minute)
		r.set(ok)
		time.Sleep(10 * time.Minute)
		stop()
		if got := r.taken(); got != "master.changed failover.divergence" {
			t.Errorf("delivered %s", got)
		}
		if ids := slices.Compact(slices.Clone(r.ids)); fmt.Sprint(ids) != fmt.Sprintf("[c-%d c-%d]", first, second) {
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
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r := newHistory(t), &receiver{t: t}
				r.set(func(attempt int) (*http.Response, error) {
					if attempt == 1 {
						return tc.first(attempt)
					}
					return status(http.StatusNoContent), nil
				})
				told, stop := start(t, h, r, config.Webhook{})
				defer stop()
				synctest.Wait()
				h.add("m", state.MasterChanged)
				time.Sleep(tc.after)
				if got := r.taken(); tc.after > 0 && got != "" {
					t.Errorf("delivered before %v", tc.after)
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

// TestDispatcher_SlowDownIsForAllMasters: a receiver that asks to be left alone means the sender, not one event.
func TestDispatcher_SlowDownIsForAllMasters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: answer(429, "Retry-After", "60")}
		h.add("n", state.MasterAdded)
		_, stop := start(t, h, r, config.Webhook{})
		defer stop()
		synctest.Wait()
		h.add("m", state.MasterChanged)
		synctest.Wait()
		r.set(ok)
		h.add("n", state.MasterChanged)
		time.Sleep(50 * time.Second)
		if got := r.taken(); got != "" {
			t.Errorf("delivered %s, although the receiver asked to be left alone", got)
		}
		time.Sleep(15 * time.Second)
		if got := r.taken(); got != "master.changed master.changed" {
			t.Errorf("delivered %s", got)
		}
	})
}

// TestDispatcher_Gone: 410 counts for every agent, until somebody enables the endpoint, or its address is another one.
func TestDispatcher_Gone(t *testing.T) {
	for name, back := range map[string]func(*history) config.Webhook{
		"enabled by hand": func(h *history) config.Webhook {
			h.must(state.Command{Delivery: &state.Delivery{Kind: state.DeliveryEnabled, Endpoint: "ops", Who: "alice"}})
			return config.Webhook{}
		},
		"another address": func(*history) config.Webhook { return config.Webhook{URL: "https://elsewhere.test/"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r := newHistory(t), &receiver{t: t, answer: answer(http.StatusGone)}
				told, stop := start(t, h, r, config.Webhook{})
				synctest.Wait()
				h.add("m", state.MasterChanged, state.MasterChanged)
				time.Sleep(time.Hour)
				stop()
				if n := told.of(Disabled); n != 1 || r.tries != 1 {
					t.Errorf("%d reports that it is disabled, %d attempts", n, r.tries)
				}
				r.set(ok)
				_, stop = start(t, h, r, config.Webhook{}) // the next leader
				time.Sleep(time.Hour)
				if r.tries != 1 {
					t.Errorf("%d attempts, the later ones by the next leader", r.tries)
				}
				webhook := back(h)
				synctest.Wait()
				stop()
				_, stop = start(t, h, r, webhook)
				synctest.Wait()
				stop()
				if got := r.taken(); got != "master.changed master.changed" { // it is not told that it was disabled
					t.Errorf("delivered %q", got)
				}
			})
		})
	}
}

func TestDispatcher_CommitsWhatItPassesOverLazily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		_, stop := start(t, h, r, config.Webhook{Events: []string{"failover.d*", "master.changed"}})
		synctest.Wait()
		h.add("m", state.AgentRegistered, state.FailoverDivergence)
		last := h.add("m", state.MasterChanged)
		h.add("m", state.AgentRegistered)
		synctest.Wait()
		if told, commits := h.position("ops"); told != last && told != last+1 || commits != 3 { // the present, and two deliveries
			t.Errorf("position %d, want %d; %d commits at once", told, last, commits)
		}
		for range 60 { // news all the time must not put it off
			time.Sleep(time.Second)
			last = h.add("m", state.AgentRegistered)
		}
		synctest.Wait()
		stop()
		told, commits := h.position("ops")
		if got := r.taken(); got != "failover.divergence master.changed" {
			t.Errorf("delivered %s", got)
		}
		if lag := last - told; lag > 15 || commits < 10 || commits > 20 {
			t.Errorf("position %d of %d, %d commits", told, last, commits)
		}
	})
}

func TestDispatcher_CommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		told, stop := start(t, h, r, config.Webhook{})
		defer stop()
		synctest.Wait()
		h.setBroken(true)
		h.add("m", state.MasterChanged, state.FailoverDivergence)
		time.Sleep(time.Minute)
		if got := r.taken(); got != "master.changed" { // no more than one event would be repeated
			t.Errorf("delivered %s before that was agreed", got)
		}
		h.setBroken(false)
		time.Sleep(10 * time.Second)
		if got := r.taken(); got != "master.changed failover.divergence" { // the same process need not repeat what it delivered
			t.Errorf("delivered %s", got)
		}
		failed := 0
		for _, report := range told.list() {
			if report.Kind == Failed && errors.Is(report.Err, errBroken) {
				failed++
			}
		}
		if failed < 10 || failed > 20 {
			t.Errorf("%d reports of a minute without commits: %+v", failed, told.list())
		}
	})
}

// byMaster answers for each master as the test says.
func byMaster(t *testing.T, answers map[string]func(int) (*http.Response, error)) http.RoundTripper {
	return sorted{t: t, answers: answers, receiver: &receiver{t: t}}
}

type sorted struct {
	t        *testing.T
	answers  map[string]func(int) (*http.Response, error)
	receiver *receiver
}

func (s sorted) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	var e struct{ Subject string }
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	response, err := s.answers[e.Subject](0)
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	if err == nil && response.StatusCode/100 == 2 {
		s.receiver.got = append(s.receiver.got, e.Subject)
		s.receiver.ids = append(s.receiver.ids, request.Header.Get("webhook-id"))
	}
	return response, err
}

// TestDispatcher_Ordering shows what waits for an event that can't be delivered.
func TestDispatcher_Ordering(t *testing.T) {
	for ordering, want := range map[string]string{
		config.OrderMaster: "n n", config.OrderStrict: "", config.OrderNone: "n n",
	} {
		t.Run(ordering, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHistory(t)
				h.add("n", state.MasterAdded)
				answers := map[string]func(int) (*http.Response, error){"m": answer(500), "n": ok}
				r := byMaster(t, answers)
				webhook := hook(config.Webhook{Ordering: ordering})
				_, stop := lead(t, Config{Webhooks: []config.Webhook{webhook}, Source: h, Transport: r})
				synctest.Wait()
				first := h.add("m", state.MasterChanged)
				h.add("n", state.MasterChanged)
				h.add("m", state.MasterChanged)
				h.add("n", state.MasterChanged)
				time.Sleep(time.Minute)
				stop()
				got := r.(sorted).receiver
				if text := got.taken(); text != want {
					t.Errorf("delivered %q, want %q", text, want)
				}
				if told, _ := h.position("ops"); told != first-1 {
					t.Errorf("low water %d, want %d", told, first-1)
				}
				// The next leader goes on where this one was: what was delivered is not repeated.
				answers["m"] = ok
				_, stop = lead(t, Config{Webhooks: []config.Webhook{webhook}, Source: h, Transport: r})
				time.Sleep(time.Minute)
				stop()
				if text := got.taken(); len(got.got) != 4 || strings.Count(text, "m") != 2 {
					t.Errorf("delivered %q in the end", text)
				}
				c := h.State().Cursor("ops")
				if len(c.Ahead) != 0 || c.ID < first {
					t.Errorf("the cursor is %+v in the end", c)
				}
			})
		})
	}
}

// TestDispatcher_GivesUp shows that an event which is refused for hours becomes a dead letter, that order goes on behind it, that others hear of it,
// and that it can be delivered again.
func TestDispatcher_GivesUp(t *testing.T) {
	for _, ordering := range []string{config.OrderMaster, config.OrderStrict, config.OrderNone} {
		t.Run(ordering, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r, other := newHistory(t), &receiver{t: t}, &receiver{t: t, answer: ok}
				var poison string
				r.set(ok)
				refusing := roundTrip(func(request *http.Request) (*http.Response, error) {
					if request.Header.Get("webhook-id") == poison {
						return status(400), nil
					}
					return r.RoundTrip(request)
				})
				webhooks := []config.Webhook{
					hook(config.Webhook{Ordering: ordering, GiveUpAfter: time.Hour}), hook(config.Webhook{Name: "other", URL: "http://other.test/", Events: []string{"webhook.*"}}),
				}
				cfg := Config{Webhooks: webhooks, Source: h, Transport: byHost{"example.test": refusing, "other.test": other}}
				_, stop := lead(t, cfg)
				synctest.Wait()
				poison = fmt.Sprintf("c-%d", h.State().Latest()+3) // two cursors came since
				bad := h.add("m", state.MasterChanged)
				if poison != fmt.Sprintf("c-%d", bad) {
					t.Fatalf("the event is %d, and %s is refused", bad, poison)
				}
				h.add("m", state.FailoverDivergence)
				time.Sleep(50 * time.Minute)
				stop()
				told, stop := lead(t, cfg) // another leader: the hours count on
				time.Sleep(20 * time.Minute)
				if got := r.taken(); got != "failover.divergence" {
					t.Errorf("delivered %s", got)
				}
				if got := other.taken(); got != "webhook.dead" {
					t.Errorf("others are told %q", got)
				}
				c := h.State().Cursor("ops")
				if len(c.Dead) != 1 || c.Dead[0].Event.ID != bad || !strings.Contains(c.Dead[0].Error, "400") || told.of(Died) != 1 {
					t.Fatalf("dead letters %+v, reports %+v", c.Dead, told.list())
				}
				// It is refused again, for as long.
				again := state.Command{Delivery: &state.Delivery{Kind: state.DeliveryAgain, Endpoint: "ops", ID: bad}}
				h.must(again)
				time.Sleep(30 * time.Minute)
				if c := h.State().Cursor("ops"); len(c.Dead) != 1 || c.Dead[0].Again == 0 {
					t.Errorf("dead letters %+v", c.Dead)
				}
				time.Sleep(time.Hour)
				if c := h.State().Cursor("ops"); len(c.Dead) != 1 || c.Dead[0].Again != 0 {
					t.Errorf("dead letters %+v", c.Dead)
				}
				poison = ""
				h.must(again)
				time.Sleep(time.Minute)
				stop()
				if got := r.taken(); got != "failover.divergence master.changed" || r.ids[len(r.ids)-1] != fmt.Sprintf("c-%d", bad) {
					t.Errorf("delivered %s, ids %v", got, r.ids)
				}
				if c := h.State().Cursor("ops"); len(c.Dead) != 0 {
					t.Errorf("dead letters %+v", c.Dead)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestDispatcher_ReceiverThatWasGoneForDays: what is older than the limit is tried some times, and not for hours again.
func TestDispatcher_ReceiverThatWasGoneForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: refuse}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop()
		h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, 5)...)
		time.Sleep(48 * time.Hour)
		told, stop := start(t, h, r, config.Webhook{})
		time.Sleep(time.Minute)
		stop()
		if n := told.of(Died); n != 5 || r.tries != 5*fewestAttempts {
			t.Errorf("%d dead letters after %d attempts", n, r.tries)
		}
	})
}

// TestDispatcher_TellsOfAGap: what is forgotten before it could be told is not passed over in silence.
func TestDispatcher_TellsOfAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: refuse}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		stop()
		first := h.add("m", state.MasterChanged)
		last := h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, 8192)...)
		r.set(ok)
		told, stop := start(t, h, r, config.Webhook{Ordering: config.OrderNone})
		time.Sleep(time.Minute)
		stop()
		if i := slices.Index(r.got, "webhook.gap"); i < 0 || r.ids[i] != fmt.Sprintf("c-gap-%d", first) || told.of(Missed) != 1 {
			t.Errorf("first %v, %v; %d reports", r.got[:maxInFlight], r.ids[:maxInFlight], told.of(Missed))
		}
		if len(r.got) != 8193 {
			t.Errorf("%d deliveries", len(r.got))
		}
		if c := h.State().Cursor("ops"); c.Gap != nil || c.ID < last {
			t.Errorf("the cursor is at %d, gap %+v", c.ID, c.Gap)
		}
	})
}

// TestDispatcher_Rewound: everything since an event is delivered a second time, whatever was under way.
func TestDispatcher_Rewound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		_, stop := start(t, h, r, config.Webhook{})
		synctest.Wait()
		first := h.add("m", state.MasterChanged)
		h.add("m", state.FailoverDivergence)
		time.Sleep(time.Second)
		h.must(state.Command{Delivery: &state.Delivery{Kind: state.DeliveryRewound, Endpoint: "ops", ID: first - 1}})
		time.Sleep(time.Minute)
		h.add("m", state.MasterRemoved)
		time.Sleep(time.Second)
		stop()
		if got := r.taken(); got != "master.changed failover.divergence master.changed failover.divergence master.removed" {
			t.Errorf("delivered %s", got)
		}
		_, stop = start(t, h, r, config.Webhook{})
		time.Sleep(time.Minute)
		stop()
		if len(r.got) != 5 {
			t.Errorf("delivered %s", r.taken())
		}
	})
}

// TestDispatcher_DropsWhatNobodyNames keeps the position of a webhook that other files may still name for a while.
func TestDispatcher_DropsWhatNobodyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		_, stop := start(t, h, r, config.Webhook{Name: "old"})
		synctest.Wait()
		stop()
		_, stop = start(t, h, r, config.Webhook{Events: []string{"webhook.*"}})
		defer stop()
		time.Sleep(forgetAfter - time.Second)
		if h.State().Cursor("old") == nil {
			t.Error("its position is dropped at once")
		}
		time.Sleep(3 * time.Minute)
		if h.State().Cursor("old") != nil || h.State().Cursor("ops") == nil {
			t.Errorf("cursors %+v", h.State().Cursors)
		}
		if got := r.taken(); got != "webhook.removed" {
			t.Errorf("the others are told %q", got)
		}
	})
}

// TestDispatcher_KeepsWhatANameWasLostOfByMistake: a file that lacks a webhook for a moment, however long this agent leads, costs it nothing.
func TestDispatcher_KeepsWhatANameWasLostOfByMistake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: ok}
		all := []config.Webhook{hook(config.Webhook{})}
		d, err := New(Config{Cluster: "c", Webhooks: all, Source: h, Transport: r, Report: func(Report) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer run(t, d)()
		for range 5 {
			time.Sleep(forgetAfter - time.Minute)
			if err := d.Configure(nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			if h.State().Cursor("ops") == nil {
				t.Fatal("its position is dropped")
			}
			if err := d.Configure(all); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestQueue_GoesOnWithAsManyLanesAheadAsThereMayBe, as two leaders together may have left them.
func TestQueue_GoesOnWithAsManyLanesAheadAsThereMayBe(t *testing.T) {
	c := &state.Cursor{ID: 1}
	for i := range uint64(state.MaxAhead) {
		c.Ahead = append(c.Ahead, state.Ahead{Lane: state.EventLane(10 + i), ID: 10 + i})
	}
	q, now := newQueue(config.OrderNone, c), time.Now()
	if !q.add(&state.Event{ID: 2}, true, now) || q.add(&state.Event{ID: 3}, true, now) {
		t.Fatal("want room for one, and for no more")
	}
	l := q.next()
	l.busy = true
	q.done(l, now)
	if d, lanes := q.position(); d.ID != 2 || len(d.Ahead) != 0 || len(lanes) != 1 {
		t.Errorf("position %d, ahead in %d lanes", d.ID, len(d.Ahead))
	}
}

// TestDispatcher_AGapThatGrowsIsNotTriedSooner: what is forgotten while the receiver is down must not have it tried all the time.
func TestDispatcher_AGapThatGrowsIsNotTriedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: refuse}
		_, stop := start(t, h, r, config.Webhook{Events: []string{"master.removed"}}) // what it does not want is no matter of the receiver's
		synctest.Wait()
		stop()
		h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, 8192)...)
		_, stop = start(t, h, r, config.Webhook{Events: []string{"master.removed"}})
		defer stop()
		h.setBroken(true) // what was passed over is not agreed on, so that more is missed
		for range 100 {
			h.add("m", state.MasterChanged)
			time.Sleep(10 * time.Second)
		}
		if r.tries == 0 || r.tries > 15 {
			t.Errorf("%d attempts", r.tries)
		}
	})
}

// TestDispatcher_Configure: webhooks are replaced while they are delivered to.
func TestDispatcher_Configure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, first, second := newHistory(t), &receiver{t: t, answer: refuse}, &receiver{t: t, answer: ok}
		d, err := New(Config{
			Cluster: "c", Source: h, Report: func(Report) {}, Webhooks: []config.Webhook{hook(config.Webhook{URL: "http://first.test/"})},
			Transport: byHost{"first.test": first, "second.test": second},
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, d)
		defer stop()
		synctest.Wait()
		h.add("m", state.MasterChanged)
		time.Sleep(time.Minute)
		if n, oldest := d.Waiting("ops"); n != 1 || oldest.Type != state.MasterChanged {
			t.Errorf("%d events wait, the oldest is %+v", n, oldest)
		}
		if trouble := d.Trouble("ops"); trouble == nil || trouble.Attempts < 3 || !strings.Contains(trouble.Error, "refused") {
			t.Errorf("the trouble is %+v", trouble)
		}
		if err := d.Configure([]config.Webhook{hook(config.Webhook{URL: "http://second.test/"})}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := second.taken(); got != "master.changed" {
			t.Errorf("the new receiver is told %q", got)
		}
		if n, _ := d.Waiting("ops"); n != 0 || d.Trouble("ops") != nil {
			t.Errorf("%d events wait, trouble %+v", n, d.Trouble("ops"))
		}
	})
}

func TestDispatcher_OneHangingReceiverHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, dead, alive := newHistory(t), &receiver{t: t, answer: hang}, &receiver{t: t, answer: ok}
		_, stop := lead(t, Config{
			Webhooks: []config.Webhook{
				hook(config.Webhook{Name: "dead", URL: "http://dead.test/"}), hook(config.Webhook{Name: "alive", URL: "http://alive.test/"}),
			},
			Source: h, Transport: byHost{"dead.test": dead, "alive.test": alive},
		})
		synctest.Wait()
		h.add("m", state.MasterChanged, state.FailoverDivergence)
		synctest.Wait()
		if got := alive.taken(); got != "master.changed failover.divergence" {
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
