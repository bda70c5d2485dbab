package resp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pause is what CLIENT PAUSE has ordered.
type pause struct {
	mu      sync.Mutex
	until   time.Time
	all     bool          // not only those that write wait
	changed chan struct{} // closed at the next change
	waiting atomic.Int64  // clients
}

func newPause() *pause { return &pause{changed: make(chan struct{})} }

// begin has clients wait. A pause that is longer or stricter already stays so.
func (p *pause) begin(until time.Time, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		p.all = false
	}
	p.all = p.all || all
	if until.After(p.until) {
		p.until = until
	}
	p.alter()
}

// end has all go on.
func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Time{}
	p.alter()
}

func (p *pause) alter() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait returns when the client may go on; false: ctx has ended before.
func (p *pause) wait(ctx context.Context, writes bool) bool {
	left, changed := p.left(writes)
	if left <= 0 {
		return true
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	for left > 0 {
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
		left, changed = p.left(writes)
	}
	return true
}

func (p *pause) left(writes bool) (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.all && !writes {
		return 0, p.changed
	}
	return time.Until(p.until), p.changed
}
