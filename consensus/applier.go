package consensus

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// applier runs the state machine: committed entries and installed snapshots, in order, and answers proposals. It
// takes snapshots when enough was applied since the last.
type applier struct {
	node *Node
	wake chan struct{}
	done atomic.Uint64 // index of the last applied entry

	mu      sync.Mutex
	queue   []task
	waiting map[Index]waiter

	// Of its own goroutine:
	term      Term // of the last applied entry
	config    Configuration
	sinceLast struct {
		entries int
		bytes   int64
	}
	writing atomic.Bool // a snapshot is being written
}

// task is a run of committed entries, or a snapshot to restore once it is durable.
type task struct {
	entries []Entry
	meta    SnapshotMeta
	durable <-chan struct{}
}

// waiter is a proposal that waits for its entry.
type waiter struct {
	term   Term
	answer func(Result, error)
}

func newApplier(n *Node) *applier {
	return &applier{node: n, wake: make(chan struct{}, 1), waiting: map[Index]waiter{}}
}

func (a *applier) applied() Index { return Index(a.done.Load()) }

// recover restores the snapshot that the disk holds, before anything runs.
func (a *applier) recover() error {
	meta := a.node.cfg.Recovered.Snapshot
	a.config = meta.Configuration
	if meta.Index == 0 {
		return nil
	}
	return a.restore(meta)
}

// restore reads the current snapshot, which may be newer than the one that was asked for only if that was never current.
func (a *applier) restore(meta SnapshotMeta) error {
	r, err := a.node.cfg.Disk.OpenSnapshot()
	if err != nil {
		return fmt.Errorf("restore the state: %w", err)
	}
	defer r.Close()
	if r.Meta().Index != meta.Index {
		return fmt.Errorf("restore the state: the snapshot is at %d, not at %d", r.Meta().Index, meta.Index)
	}
	if err := a.node.cfg.StateMachine.Restore(io.NewSectionReader(r, 0, r.Size())); err != nil {
		return fmt.Errorf("restore the state from snapshot %d: %w", meta.Index, err)
	}
	a.term, a.config = meta.Term, meta.Configuration
	a.sinceLast.entries, a.sinceLast.bytes = 0, 0
	a.done.Store(uint64(meta.Index))
	return nil
}

// await has answer called when the entry at index is applied: with the result, or ErrDropped if another term's entry took its place.
func (a *applier) await(i Index, t Term, answer func(Result, error)) {
	a.mu.Lock()
	old, overwritten := a.waiting[i]
	a.waiting[i] = waiter{term: t, answer: answer}
	a.mu.Unlock()
	if overwritten {
		old.answer(Result{}, ErrDropped)
	}
}

func (a *applier) apply(entries []Entry) { a.enqueue(task{entries: entries}) }

func (a *applier) install(meta SnapshotMeta, durable <-chan struct{}) {
	a.enqueue(task{meta: meta, durable: durable})
}

func (a *applier) enqueue(t task) {
	a.mu.Lock()
	a.queue = append(a.queue, t)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *applier) run() {
	defer a.abandon()
	for {
		select {
		case <-a.node.stopping:
			return
		case <-a.wake:
		}
		a.mu.Lock()
		queue := a.queue
		a.queue = nil
		a.mu.Unlock()
		for _, t := range queue {
			if !a.carryOut(t) {
				return
			}
		}
		select {
		case a.node.progress <- struct{}{}:
		default:
		}
	}
}

func (a *applier) carryOut(t task) bool {
	if t.durable == nil {
		for _, e := range t.entries {
			a.applyOne(e)
		}
		a.maybeSnapshot()
		return true
	}
	select {
	case <-t.durable:
	case <-a.node.stopping:
		return false
	}
	if err := a.restore(t.meta); err != nil {
		a.node.fail(err)
		return false
	}
	a.forget(t.meta.Index)
	a.node.do(func() { a.node.observe(Event{Kind: EventSnapshot, Index: t.meta.Index}) })
	return true
}

func (a *applier) applyOne(e Entry) {
	var value any
	switch e.Kind {
	case EntryCommand:
		value = a.node.cfg.StateMachine.Apply(e)
	case EntryConfiguration:
		a.config = mustDecodeConfiguration(e.Data)
	}
	a.term = e.Term
	a.sinceLast.entries++
	a.sinceLast.bytes += int64(len(e.Data))
	a.done.Store(uint64(e.Index))

	a.mu.Lock()
	w, ok := a.waiting[e.Index]
	delete(a.waiting, e.Index)
	a.mu.Unlock()
	switch {
	case !ok:
	case w.term == e.Term:
		w.answer(Result{Index: e.Index, Term: e.Term, Value: value}, nil)
	default:
		w.answer(Result{}, ErrDropped)
	}
}

// forget answers those whose entries a snapshot covers: nobody here saw what became of them.
func (a *applier) forget(through Index) {
	a.mu.Lock()
	var lost []waiter
	for i, w := range a.waiting {
		if i <= through {
			lost = append(lost, w)
			delete(a.waiting, i)
		}
	}
	a.mu.Unlock()
	for _, w := range lost {
		w.answer(Result{}, ErrUnknown)
	}
}

// abandon answers everybody when the node stops.
func (a *applier) abandon() {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting = map[Index]waiter{}
	a.mu.Unlock()
	for _, w := range waiting {
		w.answer(Result{}, ErrStopped)
	}
}

// maybeSnapshot captures the state here and writes it beside the applying; one at a time.
func (a *applier) maybeSnapshot() {
	cfg := a.node.cfg
	due := cfg.SnapshotEntries > 0 && a.sinceLast.entries >= cfg.SnapshotEntries ||
		cfg.SnapshotBytes > 0 && a.sinceLast.bytes >= cfg.SnapshotBytes
	if !due || !a.writing.CompareAndSwap(false, true) {
		return
	}
	write, err := cfg.StateMachine.Snapshot()
	if err != nil {
		a.node.fail(fmt.Errorf("capture the state: %w", err))
		return
	}
	a.sinceLast.entries, a.sinceLast.bytes = 0, 0
	meta := SnapshotMeta{Index: a.applied(), Term: a.term, Configuration: a.config}
	a.node.workers.Go(func() { // writes one snapshot; the node waits for it when it stops
		defer a.writing.Store(false)
		if err := cfg.Disk.WriteSnapshot(meta, write); err != nil {
			a.node.fail(fmt.Errorf("write a snapshot: %w", err))
			return
		}
		a.node.do(func() { a.node.compact(meta) })
	})
}

// compact lets the log forget what a durable snapshot covers. The loop runs it.
func (n *Node) compact(meta SnapshotMeta) {
	through := meta.Index - min(meta.Index, Index(n.cfg.TrailingEntries))
	n.core.Compacted(meta, through)
	n.disk.write(work{compact: &compaction{meta: meta, through: through}})
	n.observe(Event{Kind: EventSnapshot, Index: meta.Index})
}
