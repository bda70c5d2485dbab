package webhook

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

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

// TestDispatcher_FewAtATime: however much waits, and for whichever masters, a receiver is asked to take little of it at a time.
func TestDispatcher_FewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: hang}
		_, stop := start(t, h, r, config.Webhook{Ordering: config.OrderNone})
		defer stop()
		synctest.Wait()
		h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, 20)...)
		synctest.Wait()
		if r.tried() != maxInFlight {
			t.Errorf("%d requests are under way", r.tried())
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

// TestDispatcher_SlowDownForTheLongestTime: of answers to requests that were under way together the one counts that asks for the longest time.
func TestDispatcher_SlowDownForTheLongestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		h.add("n", state.MasterAdded)
		busy := time.Now().Add(2 * time.Second)
		asks := func(seconds string, after time.Duration) func(int) (*http.Response, error) {
			return func(int) (*http.Response, error) {
				if time.Now().After(busy) {
					return status(http.StatusOK), nil
				}
				time.Sleep(after)
				return status(429, "Retry-After", seconds), nil
			}
		}
		r := byMaster(t, map[string]func(int) (*http.Response, error){"m": asks("60", 10*time.Millisecond), "n": asks("5", time.Second)})
		_, stop := lead(t, Config{Webhooks: []config.Webhook{hook(config.Webhook{})}, Source: h, Transport: r})
		defer stop()
		synctest.Wait()
		h.add("m", state.MasterChanged)
		h.add("n", state.MasterChanged)
		time.Sleep(50 * time.Second)
		if got := r.(sorted).receiver.taken(); got != "" {
			t.Errorf("delivered %s, although the receiver asked to be left alone", got)
		}
		time.Sleep(15 * time.Second)
		if got := r.(sorted).receiver.taken(); len(got) != len("m n") {
			t.Errorf("delivered %q in the end", got)
		}
	})
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
