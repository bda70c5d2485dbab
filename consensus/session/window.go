package session

import (
	"context"
	"sync"
)

// window numbers the commands of one session, at most maxOpen from the lowest open one on.
type window struct {
	id   ID
	room chan struct{} // holds an element for each number from floor up to next

	mu    sync.Mutex
	next  uint64          // not given out yet
	floor uint64          // the lowest that is open; next if none is
	ended map[uint64]bool // those above floor that are not open any more
}

func newWindow(id ID) *window {
	return &window{id: id, room: make(chan struct{}, maxOpen), next: 1, floor: 1, ended: map[uint64]bool{}}
}

// begin waits for room and gives out the next number.
func (w *window) begin(ctx context.Context) (uint64, error) {
	select {
	case w.room <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next - 1, nil
}

// end says that nobody waits for the number's answer any more.
func (w *window) end(sequence uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[sequence] = true
	for w.ended[w.floor] {
		delete(w.ended, w.floor)
		w.floor++
		<-w.room // never blocks: begin put it there
	}
}

// command is a copy of the command with that number, to be sent now.
func (w *window) command(sequence uint64, data []byte) command {
	w.mu.Lock()
	defer w.mu.Unlock()
	return command{Session: w.id, Sequence: sequence, Floor: w.floor, Data: data}
}
