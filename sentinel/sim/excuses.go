package sim

import (
	"sync"
	"time"
)

// reason is why something can't be promised of a machine's Redis.
type reason string

const (
	booting reason = "boot"  // its agent needs a moment to see that it has started
	waking  reason = "wake"  // it hung: what is queued in its sockets comes before any fence
	young   reason = "young" // it was promoted, and has had no time yet for a lease
	alone   reason = "alone" // its agent does not run, or has just begun to and does not know yet how things are
)

// lasts is how long a reason holds when its cause is over.
var lasts = map[reason]time.Duration{booting: 500 * time.Millisecond, waking: 500 * time.Millisecond, alone: 3 * time.Second, young: 2100 * time.Millisecond}

// excuses are the reasons that hold.
type excuses struct {
	mu    sync.Mutex
	until map[excuse]time.Time // zero: the cause is not over
}

type excuse struct {
	machine *machine
	why     reason
}

func newExcuses() *excuses { return &excuses{until: map[excuse]time.Time{}} }

// begin notes a cause.
func (e *excuses) begin(m *machine, why reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until[excuse{m, why}] = time.Time{}
}

// end notes that it is over.
func (e *excuses) end(m *machine, why reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until[excuse{m, why}] = time.Now().Add(lasts[why])
}

// cover says whether one of the reasons holds.
func (e *excuses) cover(m *machine, why ...reason) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range why {
		if until, known := e.until[excuse{m, r}]; known && (until.IsZero() || time.Now().Before(until)) {
			return true
		}
	}
	return false
}
