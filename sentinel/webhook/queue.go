package webhook

import (
	"maps"
	"slices"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

// queue is what one endpoint is still to be told: in lanes, of which each waits for its first event. It is a plain state machine, and
// belongs to one goroutine.
//
// Every event that the endpoint wants is in a lane until it has been delivered, or given up. So all events before the oldest that waits
// are done: that is the low water. What a lane has done beyond it is kept besides, for the lanes that have; the two together are the position
// that is agreed on, and that the next leader begins with.
type queue struct {
	ordering string
	lanes    map[string]*lane // those with events, or with an outcome that is not agreed on yet
	read     uint64           // newest event that was looked at
	ahead    map[string]uint64
	order    []uint64        // what waits, oldest first, and some that is done
	waits    map[uint64]bool // what waits
	// What was agreed on last, and the lanes that wait for the next agreement.
	agreed uint64
	told   map[string]bool
}

// lane is a row of events that are delivered one after the other.
type lane struct {
	key      string
	events   []uint64 // ids, oldest first
	attempts int      // to deliver the first one
	due      time.Time
	busy     bool // it is being delivered, or that it was is not agreed on yet
}

func newQueue(ordering string, c *state.Cursor) *queue {
	q := &queue{
		ordering: ordering, lanes: map[string]*lane{}, ahead: map[string]uint64{}, told: map[string]bool{}, waits: map[uint64]bool{}, read: c.ID, agreed: c.ID,
	}
	for _, a := range c.Ahead {
		q.ahead[a.Lane] = a.ID
	}
	return q
}

// key is the lane of an event.
func (q *queue) key(e *state.Event) string {
	switch q.ordering {
	case config.OrderStrict:
		return strictLane
	case config.OrderNone:
		return state.EventLane(e.ID)
	}
	return state.MasterLane(e.Master)
}

// strictLane is where all events stand in one line. What is done in it is the low water, so that it is never agreed on by its name.
const strictLane = "*"

// add has an event wait, or be passed over; false: there is no room for one more lane now. Events must come in their order. As many lanes as are
// held here may be ahead one day, and be agreed on.
func (q *queue) add(e *state.Event, wanted bool, now time.Time) bool {
	if wanted {
		key := q.key(e)
		l := q.lanes[key]
		if l == nil {
			if len(q.lanes) > 0 && len(q.lanes)+len(q.ahead) >= state.MaxAhead { // one always may: it is the oldest, and takes the low water along
				return false
			}
			l = &lane{key: key, due: now}
			q.lanes[key] = l
		}
		l.events = append(l.events, e.ID)
		q.order, q.waits[e.ID] = append(q.order, e.ID), true
	}
	q.read = e.ID
	return true
}

// low is the low water: everything up to it is done.
func (q *queue) low() uint64 {
	if planted(LowWaterJumps) {
		return max(q.agreed, slices.Max(append(slices.Collect(maps.Values(q.ahead)), 0)))
	}
	for len(q.order) > 0 && !q.waits[q.order[0]] {
		q.order = q.order[1:]
	}
	if len(q.order) > 0 {
		return q.order[0] - 1
	}
	return q.read
}

// next is the lane to be served next, which may not be due yet; nil: there is none. The one that has waited longest goes first.
func (q *queue) next() *lane {
	var best *lane
	for _, l := range q.lanes {
		switch {
		case l.busy || len(l.events) == 0:
		case best == nil, l.due.Before(best.due), l.due.Equal(best.due) && l.events[0] < best.events[0]:
			best = l
		}
	}
	return best
}

// out takes the first event of a lane out.
func (q *queue) out(l *lane, now time.Time) {
	q.ahead[l.key] = max(q.ahead[l.key], l.events[0])
	delete(q.waits, l.events[0])
	l.events, l.attempts, l.due = l.events[1:], 0, now
}

// failed puts a lane off.
func (q *queue) failed(l *lane, until time.Time) {
	l.busy, l.due = false, until
	if planted(OutOfOrder) && len(l.events) > 1 {
		l.events[0], l.events[1] = l.events[1], l.events[0]
	}
}

// done takes the first event of a lane out. The lane waits until that is agreed on.
func (q *queue) done(l *lane, now time.Time) {
	q.out(l, now)
	q.told[l.key] = true
}

// bury takes the first event of a lane out, of which it is agreed that it is given up.
func (q *queue) bury(l *lane, now time.Time) {
	q.out(l, now)
	l.busy = false
	if len(l.events) == 0 {
		delete(q.lanes, l.key)
	}
}

// due says whether the position has changed: what, because events were passed over, may wait, and what may not.
func (q *queue) due() (soon, now bool) { return q.low() > q.agreed, len(q.told) > 0 }

// position is what is to be agreed on, and the lanes that wait for it.
func (q *queue) position() (d state.Delivery, lanes []string) {
	d = state.Delivery{Kind: state.DeliveryTold, ID: q.low()}
	lanes = slices.Sorted(maps.Keys(q.told))
	for _, key := range lanes {
		if q.ahead[key] > d.ID && key != strictLane {
			d.Ahead = append(d.Ahead, state.Ahead{Lane: key, ID: q.ahead[key]})
		}
	}
	return d, lanes
}

// agree lets the lanes go on whose position is agreed on.
func (q *queue) agree(d state.Delivery, lanes []string) {
	q.agreed = max(q.agreed, d.ID)
	for _, key := range lanes {
		delete(q.told, key)
		if l := q.lanes[key]; l != nil {
			l.busy = false
			if len(l.events) == 0 {
				delete(q.lanes, key)
			}
		}
	}
	maps.DeleteFunc(q.ahead, func(_ string, id uint64) bool { return id <= q.agreed })
}

// forget drops what the history does not hold any more.
func (q *queue) forget(upTo uint64) {
	for _, l := range q.lanes {
		if l.busy || len(l.events) == 0 || l.events[0] > upTo {
			continue
		}
		i, _ := slices.BinarySearch(l.events, upTo+1)
		for _, id := range l.events[:i] {
			delete(q.waits, id)
		}
		l.events, l.attempts = l.events[i:], 0
		if len(l.events) == 0 {
			delete(q.lanes, l.key)
		}
	}
	q.read = max(q.read, upTo)
}
