package resp

import "sync"

const (
	// maxPublished bounds the events that wait for a subscriber, in bytes: some thousand.
	maxPublished = 1 << 20
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
	ended     bool // nothing is added any more
}

func newOutbox() *outbox {
	o := &outbox{}
	o.changed.L = &o.mu
	return o
}

// add adds replies.
func (o *outbox) add(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		o.waiting = append(o.waiting, b...)
		o.changed.Broadcast()
	}
}

// publish adds an event; false: too many wait already.
func (o *outbox) publish(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return true
	case o.published+len(b) > maxPublished:
		return false
	}
	o.published += len(b)
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
	for len(o.waiting) == 0 && !o.ended {
		o.changed.Wait()
	}
	b := o.waiting
	o.waiting, o.published = empty, 0
	o.changed.Broadcast()
	return b, len(b) > 0
}

// end says that what waits is the last.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.changed.Broadcast()
}
