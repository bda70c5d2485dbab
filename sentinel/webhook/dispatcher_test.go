package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

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
		if r.tried() < 20 || r.tried() > 40 {
			t.Errorf("%d attempts in 70 minutes", r.tried())
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
		"cut off":       {func(int) (*http.Response, error) { return nil, context.Canceled }, 0, time.Second}, // not by this agent
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
				if n := told.of(Disabled); n != 1 || r.tried() != 1 {
					t.Errorf("%d reports that it is disabled, %d attempts", n, r.tried())
				}
				r.set(ok)
				_, stop = start(t, h, r, config.Webhook{}) // the next leader
				time.Sleep(time.Hour)
				if r.tried() != 1 {
					t.Errorf("%d attempts, the later ones by the next leader", r.tried())
				}
				webhook := back(h)
				synctest.Wait()
				if got := r.taken(); webhook.URL == "" && got == "" {
					t.Error("the leader waits on, although it is enabled")
				}
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
			h.add("m", state.AgentRegistered)
		}
		synctest.Wait()
		told, commits := h.position("ops")
		last = h.add("m", state.AgentRegistered)
		time.Sleep(2 * commitWithin) // nor must that there are none
		stop()
		if quiet, _ := h.position("ops"); quiet != last {
			t.Errorf("position %d of %d when nothing happens any more", quiet, last)
		}
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
		if trouble := d.Trouble("ops"); trouble == nil || trouble.Attempts < 3 || !trouble.Next.After(trouble.At) || !strings.Contains(trouble.Error, "refused") {
			t.Errorf("the trouble is %+v", trouble)
		}
		if err := d.Configure([]config.Webhook{hook(config.Webhook{URL: "http://second.test/"})}); err != nil {
			t.Fatal(err)
		}
		if d.Trouble("ops") == nil {
			t.Error("the trouble is forgotten before another attempt")
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

// TestDispatcher_KnowsNoOtherNames: people ask for what was in a file once, or never.
func TestDispatcher_KnowsNoOtherNames(t *testing.T) {
	d, err := New(Config{Source: newHistory(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Test(t.Context(), "gone", "ann"); !errors.Is(err, state.ErrUnknown) {
		t.Errorf("test: %v", err)
	}
	if n, oldest := d.Waiting("gone"); n != 0 || oldest != nil || d.Trouble("gone") != nil {
		t.Errorf("%d events wait, the oldest is %+v", n, oldest)
	}
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
