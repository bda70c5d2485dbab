package webhook

import (
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

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

// TestQueue_ForgetsWhatTheHistoryDoes: the low water goes on without it.
func TestQueue_ForgetsWhatTheHistoryDoes(t *testing.T) {
	q, now := newQueue(config.OrderMaster, &state.Cursor{}), time.Now()
	for id := range uint64(3) {
		q.add(&state.Event{ID: id + 1, Master: "m"}, true, now)
	}
	q.forget(2)
	if l := q.next(); l == nil || l.events[0] != 3 || q.low() != 2 {
		t.Errorf("next is %+v, the low water %d", l, q.low())
	}
}
