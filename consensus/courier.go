package consensus

import (
	"fmt"
	"io"
	"time"
)

// chunkBytes is small, because heartbeats share the connection.
const chunkBytes = 256 << 10

const (
	maxCouriered = 16               // chunks that wait to be read; more are dropped, and the core asks again
	pinnedFor    = 10 * time.Second // after the last chunk
)

// courier reads snapshots for followers, so that the loop waits for no disk. The snapshot that a follower is
// receiving is pinned: newer ones don't make its transfer begin anew.
type courier struct {
	node   *Node
	asked  chan Message
	pinned map[ServerID]*pin // of its goroutine
}

// pin is a snapshot that is being sent.
type pin struct {
	SnapshotReader
	used time.Time
}

func newCourier(n *Node) *courier {
	return &courier{node: n, asked: make(chan Message, maxCouriered), pinned: map[ServerID]*pin{}}
}

// send has a chunk read and sent.
func (c *courier) send(m Message) {
	select {
	case c.asked <- m:
	default:
	}
}

func (c *courier) run() {
	sweep := time.NewTicker(pinnedFor)
	defer sweep.Stop()
	defer c.unpin(func(*pin) bool { return true })
	for {
		select {
		case <-c.node.stopping:
			return
		case m := <-c.asked:
			chunk, err := c.read(m.To, m.Body.(*SnapshotChunk).Offset)
			if err != nil { // the core asks again
				c.unpin(func(p *pin) bool { return p == c.pinned[m.To] })
				c.node.do(func() {
					c.node.observe(Event{Kind: EventTrouble, Peer: m.To, Text: fmt.Sprintf("read a snapshot: %v", err)})
				})
				continue
			}
			m.Body = chunk
			c.node.transport.Send(m)
		case now := <-sweep.C:
			c.unpin(func(p *pin) bool { return now.Sub(p.used) >= pinnedFor })
		}
	}
}

// read gives the chunk at an offset of the snapshot that is pinned for the follower. A transfer that begins,
// or whose snapshot is gone, takes the current one from its beginning.
func (c *courier) read(to ServerID, offset int64) (*SnapshotChunk, error) {
	p := c.pinned[to]
	if p == nil || offset == 0 || offset > p.Size() {
		c.unpin(func(other *pin) bool { return other == p })
		r, err := c.node.cfg.Disk.OpenSnapshot()
		if err != nil {
			return nil, err
		}
		p, offset = &pin{SnapshotReader: r}, 0
		c.pinned[to] = p
	}
	p.used = time.Now()
	data := make([]byte, min(chunkBytes, p.Size()-offset))
	if _, err := io.ReadFull(io.NewSectionReader(p, offset, int64(len(data))), data); err != nil {
		return nil, err
	}
	end := offset + int64(len(data))
	return &SnapshotChunk{Meta: p.Meta(), Offset: offset, Data: data, Done: end == p.Size()}, nil
}

func (c *courier) unpin(which func(*pin) bool) {
	for id, p := range c.pinned {
		if which(p) {
			_ = p.Close() // opened for reading only
			delete(c.pinned, id)
		}
	}
}
