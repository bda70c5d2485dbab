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

// TestQueue_ForgetsWhatTheHistoryDoes: the low water goes on without it. What is under way is left alone: its end is still to come.
func TestQueue_ForgetsWhatTheHistoryDoes(t *testing.T) {
	q, now := newQueue(config.OrderMaster, &state.Cursor{}), time.Now()
	for i, master := range []string{"waits", "m", "m", "busy", "m"} {
		q.add(&state.Event{ID: uint64(i + 1), Master: master}, true, now)
	}
	busy := q.lanes["busy"]
	busy.busy = true
	q.forget(4)
	if l := q.next(); l == nil || l.events[0] != 5 || q.low() != 3 || len(busy.events) != 1 || len(q.lanes) != 2 {
		t.Errorf("next is %+v, the low water %d, under way %v, lanes %v", l, q.low(), busy.events, q.lanes)
	}
}

// TestQueue_KeepsNoLaneThatIsEmpty: with no order each event has one of its own.
func TestQueue_KeepsNoLaneThatIsEmpty(t *testing.T) {
	q, now := newQueue(config.OrderNone, &state.Cursor{}), time.Now()
	q.add(&state.Event{ID: 1}, true, now)
	q.add(&state.Event{ID: 2}, true, now)
	q.done(q.next(), now)
	q.agree(q.position())
	q.bury(q.next(), now)
	if len(q.lanes) > 0 || len(q.ahead) != 1 {
		t.Errorf("lanes %v, ahead %v", q.lanes, q.ahead)
	}
}

// TestQueue_ServesWhatHasWaitedLongest: of those that are due together the oldest event. Else one that always fails could hold up the others.
func TestQueue_ServesWhatHasWaitedLongest(t *testing.T) {
	q, now := newQueue(config.OrderNone, &state.Cursor{}), time.Now()
	const lanes = 10
	for id := range uint64(lanes) {
		q.add(&state.Event{ID: id + 1}, true, now)
	}
	for i := range 2 * lanes {
		want := uint64(i + 1)
		if i >= lanes {
			want = uint64(2*lanes - i) // the latest was put off for the shortest time
		}
		l := q.next()
		if l.events[0] != want {
			t.Fatalf("event %d is the next, want %d", l.events[0], want)
		}
		q.failed(l, now.Add(time.Duration(lanes-i)*time.Second+time.Hour*time.Duration(1+i/lanes)))
	}
}
