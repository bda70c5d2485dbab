package resp

import "sync"

// budget counts what waits for all clients, in bytes.
type budget struct {
	most    int // beyond which nothing more is begun
	mu      sync.Mutex
	changed sync.Cond
	bytes   int
}

func (b *budget) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += n
	if n < 0 && b.bytes <= b.most {
		b.changed.Broadcast()
	}
}

func (b *budget) spent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes > b.most
}

// room waits until there is some. That comes: who doesn't read what he is sent is disconnected after a while.
func (b *budget) room() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed.L = &b.mu
	for b.bytes > b.most {
		b.changed.Wait()
	}
}
