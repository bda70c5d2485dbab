package webhook

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/state"
)

// refusing does not let an endpoint begin for some times.
type refusing struct {
	*history
	left int
}

func (s *refusing) Begin(ctx context.Context, endpoint string, index uint64) error {
	if s.left > 0 {
		s.left--
		return fmt.Errorf("%w: there are many already", state.ErrInvalid)
	}
	return s.history.Begin(ctx, endpoint, index)
}

// TestRound_WhatIsRefusedIsNotAHotLoop: trying again would not help before something else has changed.
func TestRound_WhatIsRefusedIsNotAHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		_, stop := lead(t, Config{
			Webhooks: []config.Webhook{hook(config.Webhook{})}, Source: &refusing{h, 12}, Transport: &receiver{t: t, answer: ok},
		})
		defer stop()
		time.Sleep(11 * longestCommitPause)
		if h.State().Cursor("ops") != nil {
			t.Error("12 attempts in 11 pauses")
		}
		time.Sleep(2 * longestCommitPause)
		if h.State().Cursor("ops") == nil {
			t.Error("it is not tried any more")
		}
	})
}

// entered is a round at its beginning, of an endpoint that wants little.
func entered(t *testing.T, h *history) (*round, *reports) {
	t.Helper()
	told := &reports{}
	d, err := New(Config{Source: h, Report: told.add, Webhooks: []config.Webhook{hook(config.Webhook{Events: []string{"failover.*"}})}})
	if err != nil {
		t.Fatal(err)
	}
	r := &round{Dispatcher: d, endpoint: d.endpoints[0]}
	if r.enter(t.Context()) || !r.enter(t.Context()) {
		t.Fatal("an endpoint that is new is made known, and then begins")
	}
	return r, told
}

// TestRound_GoesOnBehindWhatIsForgotten: an event that waits for too long must not stop its lane.
func TestRound_GoesOnBehindWhatIsForgotten(t *testing.T) {
	h := newHistory(t)
	r, told := entered(t, h)
	h.add("m", state.FailoverDivergence)
	r.follow(h.State())
	h.add("m", slices.Repeat([]state.EventType{state.MasterChanged}, 8192)...)
	if r.attempt(t.Context(), h.State(), &sync.WaitGroup{}) {
		t.Error("what is forgotten is delivered")
	}
	last := h.add("m", state.FailoverDivergence)
	r.follow(h.State())
	if l := r.queue.next(); l == nil || l.events[0] != last || r.queue.low() != last-1 || told.of(Missed) != 1 {
		t.Errorf("next is %+v, the low water %d, of %d; reports %+v", l, r.queue.low(), last, told.list())
	}
}

// TestRound_AnAttemptOfAFormerLeader: that it was cut off says nothing about the receiver.
func TestRound_AnAttemptOfAFormerLeader(t *testing.T) {
	r, told := entered(t, newHistory(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.heard(ctx, outcome{errand: &errand{attempts: 1}, err: context.Canceled})
	if len(told.list()) > 0 || r.trouble.Load() != nil {
		t.Errorf("reports %+v, trouble %+v", told.list(), r.trouble.Load())
	}
}

// TestRound_OneErrandAtATime: one that is under way ends first; one that is asked for once more counts anew.
func TestRound_OneErrandAtATime(t *testing.T) {
	r, _ := entered(t, newHistory(t))
	letter := func(since monitor.Moment) *errand { return &errand{event: state.Event{ID: 9}, since: since} }
	first, again := letter(1), letter(2)
	r.errand(againLane, first)
	first.busy = true
	r.errand(againLane, again)
	r.errand(againLane, nil)
	if r.extra[againLane] != first {
		t.Error("another one begins while it is under way")
	}
	first.busy = false
	r.errand(againLane, letter(1))
	if r.extra[againLane] != first {
		t.Error("the same begins anew")
	}
	r.errand(againLane, again)
	if r.extra[againLane] != again {
		t.Error("what is asked for once more waits for the former pause")
	}
}
