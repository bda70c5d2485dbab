package resp

import "sync"

const (
	// maxPublished bounds the events that wait for a subscriber, in bytes: some thousand.
	maxPublished = 1 << 20
	// maxWaiting bounds what waits for all clients together, in bytes. Beyond it subscribers for whom something waits are disconnected, and commands are
	// not read before others have read their replies, or have been disconnected because they didn't.
	maxWaiting = 128 << 20
	// enoughReplies is when a client that sends commands but doesn't read is not listened to for a while. One
	// reply may exceed it.
	enoughReplies = 64 << 10
)

// outbox holds what is to be written to one client. It never blocks who adds to it.
type outbox struct {
	mu        sync.Mutex
	changed   sync.Cond // any of the fields below
	waiting   []byte
	published int  // how much of waiting are events
	writing   bool // the writer is busy with what it took
	ended     bool // nothing is added any more

	taken  int     // bytes that the writer writes
	budget *budget // of all clients

	now func([]byte) int // writes what can be written without waiting, and says how much that was; nil: only the writer writes
}

func newOutbox(now func([]byte) int, all *budget) *outbox {
	o := &outbox{now: now, budget: all}
	o.changed.L = &o.mu
	return o
}

// add adds replies.
func (o *outbox) add(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		o.waiting = append(o.waiting, b...)
		o.budget.add(len(b))
		o.changed.Broadcast()
	}
}

// publish adds an event; false: too many wait already. Where nothing is in the way the event is written at once: to wake the writer costs as much
// again, and there may be thousands of subscribers.
func (o *outbox) publish(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now != nil && len(o.waiting) == 0 && !o.writing && !o.ended {
		b = b[o.now(b):]
	}
	switch {
	case o.ended, len(b) == 0:
		return true
	case o.published+len(b) > maxPublished, o.budget.spent():
		return false
	}
	o.published += len(b)
	o.budget.add(len(b))
	o.waiting = append(o.waiting, b...)
	o.changed.Broadcast()
	return true
}

// size is how many bytes wait.
func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// room waits until a reply may be added.
func (o *outbox) room() {
	o.budget.room()
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting)-o.published >= enoughReplies && !o.ended {
		o.changed.Wait()
	}
}

// take waits for something to write, and takes it all in exchange for an empty buffer; false: there will be
// no more.
func (o *outbox) take(empty []byte) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	o.written()
	for len(o.waiting) == 0 && !o.ended {
		o.changed.Wait()
	}
	b := o.waiting
	o.waiting, o.published, o.writing, o.taken = empty, 0, true, len(b)
	o.changed.Broadcast()
	return b, len(b) > 0
}

// written gives back what the writer had taken, with o.mu held.
func (o *outbox) written() {
	o.budget.add(-o.taken)
	o.taken = 0
}

// drop gives back what nobody will write any more: the writer has ended, and nothing is added.
func (o *outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written()
	o.budget.add(-len(o.waiting))
	o.waiting = nil
}

// end says that what waits is the last.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.changed.Broadcast()
}
