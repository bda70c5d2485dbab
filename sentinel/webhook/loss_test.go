package webhook

import (
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
				for _, d := range h.kinds { // what is agreed on must be enough for a next leader
					if c := (state.Cursor{Ahead: []state.Ahead{{Lane: d.Lane, ID: d.ID}}}); d.Kind == state.DeliveryDied && !c.Told(h.State().Event(bad)) {
						t.Errorf("it is given up in the lane %q", d.Lane)
					}
				}
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
		if n := told.of(Died); n != 5 || r.tried() != 5*fewestAttempts {
			t.Errorf("%d dead letters after %d attempts", n, r.tried())
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

// TestDispatcher_AGapThatGrowsIsNotTriedSooner: what is forgotten while the receiver is down must not have it tried all the time.
func TestDispatcher_AGapThatGrowsIsNotTriedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := newHistory(t), &receiver{t: t, answer: refuse}
		_, stop := start(t, h, r, config.Webhook{Events: []string{"master.removed"}}) // what it does not want is no matter of the receiver's
		synctest.Wait()
		stop()
		h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, 8192)...)
		told, stop := start(t, h, r, config.Webhook{Events: []string{"master.removed"}})
		defer stop()
		h.setBroken(true) // what was passed over is not agreed on, so that more is missed
		for range 100 {
			h.add("m", state.MasterChanged)
			time.Sleep(10 * time.Second)
		}
		if r.tried() == 0 || r.tried() > 15 {
			t.Errorf("%d attempts", r.tried())
		}
		// What can't be told for hours is given up: it is in the log of this agent.
		h.setBroken(false)
		r.set(func(attempt int) (*http.Response, error) {
			if attempt > 200 { // so that virtual time goes on where it is tried all the time
				return hang(attempt)
			}
			return refuse(attempt)
		})
		time.Sleep(7 * time.Hour)
		if gap := h.State().Cursor("ops").Gap; gap != nil || told.of(Died) != 1 || r.tried() > 150 {
			t.Errorf("the gap is %+v, given up %d times, %d attempts", gap, told.of(Died), r.tried())
		}
	})
}
