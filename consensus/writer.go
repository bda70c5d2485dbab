package consensus

import (
	"fmt"
	"sync"
	"sync/atomic"
)

const (
	maxSave    = 16 << 20 // bytes that one write and sync carries
	maxBacklog = 64 << 20 // bytes not yet on disk: then a leader takes no more proposals
)

// diskWriter writes batches in order, and many at once where they have queued up: one sync for all of them.
// What may queue up is bounded by flow control: a leader's by maxBacklog, a follower's by what its leader
// sends unacknowledged.
type diskWriter struct {
	node    *Node
	wake    chan struct{}
	backlog atomic.Int64 // bytes of entries not yet on disk

	mu    sync.Mutex
	queue []work
}

// work is one Ready, or a request to compact.
type work struct {
	ready     Ready
	installed chan struct{} // closed when Install is durable
	compact   *compaction
}

type compaction struct {
	meta    SnapshotMeta
	through Index
}

func newDiskWriter(n *Node) *diskWriter { return &diskWriter{node: n, wake: make(chan struct{}, 1)} }

// congested says that the disk is too far behind: a majority can commit without it for a long time.
func (d *diskWriter) congested() bool { return d.backlog.Load() > maxBacklog }

func (d *diskWriter) write(w work) {
	d.backlog.Add(weighAll(w.ready.Entries))
	d.mu.Lock()
	d.queue = append(d.queue, w)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *diskWriter) run() {
	for {
		select {
		case <-d.node.stopping:
			return
		case <-d.wake:
		}
		d.mu.Lock()
		queue := d.queue
		d.queue = nil
		d.mu.Unlock()
		if err := d.writeAll(queue); err != nil {
			d.node.fail(fmt.Errorf("the disk failed: %w", err))
			return
		}
	}
}

// writeAll saves runs of plain batches together.
func (d *diskWriter) writeAll(queue []work) error {
	for len(queue) > 0 {
		n := 1
		for n < len(queue) && queue[n-1].plain() && queue[n].plain() {
			n++
		}
		if err := d.writeRun(queue[:n]); err != nil {
			return err
		}
		queue = queue[n:]
	}
	return nil
}

// plain work is hard state and entries only.
func (w work) plain() bool { return w.compact == nil && w.ready.Chunk == nil && w.ready.Install == nil }

func (d *diskWriter) writeRun(run []work) error {
	disk := d.node.cfg.Disk
	if c := run[0].compact; c != nil {
		return disk.Compact(c.through)
	}
	if chunk := run[0].ready.Chunk; chunk != nil {
		if err := disk.ReceiveChunk(chunk); err != nil {
			return err
		}
	}
	if meta := run[0].ready.Install; meta != nil {
		if err := disk.InstallReceived(*meta, run[0].ready.KeepLog); err != nil {
			return err
		}
		close(run[0].installed)
	}
	if err := d.save(merge(run)); err != nil {
		return err
	}
	for _, w := range run {
		d.backlog.Add(-weighAll(w.ready.Entries))
		for _, m := range w.ready.AfterPersist {
			d.node.send(m)
		}
	}
	d.report(run[len(run)-1].ready.Seq)
	return nil
}

// save writes a batch in one piece unless it is very large. A part of it is what a crash may leave: a prefix.
func (d *diskWriter) save(hard *HardState, entries []Entry) error {
	for hard != nil || len(entries) > 0 {
		n, size := 0, int64(0)
		for n < len(entries) && (n == 0 || size < maxSave) {
			size += weighAll(entries[n : n+1])
			n++
		}
		if err := d.node.cfg.Disk.Save(hard, entries[:n]); err != nil {
			return err
		}
		hard, entries = nil, entries[n:]
	}
	return nil
}

func weighAll(entries []Entry) int64 {
	size := int64(0)
	for _, e := range entries {
		size += weigh(e)
	}
	return size
}

// merge makes one batch of several; later entries supersede earlier ones. To every other server this looks as
// if each had been written before the next, and all messages had been sent after the last.
func merge(run []work) (*HardState, []Entry) {
	if len(run) == 1 {
		return run[0].ready.HardState, run[0].ready.Entries
	}
	var hard *HardState
	var entries []Entry
	for _, w := range run {
		if w.ready.HardState != nil {
			hard = w.ready.HardState
		}
		if len(w.ready.Entries) == 0 {
			continue
		}
		first := w.ready.Entries[0].Index
		for len(entries) > 0 && entries[len(entries)-1].Index >= first {
			entries = entries[:len(entries)-1]
		}
		entries = append(entries, w.ready.Entries...)
	}
	return hard, entries
}

// report tells the loop; only the newest number counts.
func (d *diskWriter) report(seq uint64) {
	for {
		select {
		case d.node.persisted <- seq:
			return
		case <-d.node.persisted: // an older one that was not read yet
		case <-d.node.stopping:
			return
		}
	}
}
