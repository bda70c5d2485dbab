package consensus

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// applier runs the state machine: committed entries and installed snapshots, in order, and answers who waits
// for them. It takes snapshots when enough was applied since the last. What may queue up is bounded by the
// requests that are admitted.
type applier struct {
	node *Node
	wake chan struct{}
	done atomic.Uint64 // index of the last applied entry

	mu      sync.Mutex
	queue   []task
	waiting map[Index]waiter // for an entry
	readers []reader         // for all up to an index
	advance chan struct{}    // closed when anything is applied; nil: nobody waits for that
	recent  [remembered]applied

	writing atomic.Bool // a snapshot is being written

	// Of its own goroutine:
	term      Term // of the last applied entry
	config    Configuration
	sinceLast struct {
		entries int
		bytes   int64
	}
}

// remembered is of how many entries the results are kept: who had one committed by another server asks for them a round trip later.
const remembered = 1024

// applied is an entry that was applied, and what that led to.
type applied struct {
	index Index
	term  Term
	value any
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

// reader waits until all up to an index is applied.
type reader struct {
	index  Index
	answer func()
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

// restore reads the current snapshot. It may be newer than the one at meta, if another was installed
// meanwhile: then what the queue still holds up to it is passed over.
func (a *applier) restore(meta SnapshotMeta) error {
	r, err := a.node.cfg.Disk.OpenSnapshot()
	if err != nil {
		return fmt.Errorf("restore the state: %w", err)
	}
	defer r.Close()
	if r.Meta().Index < meta.Index {
		return fmt.Errorf("restore the state: the snapshot is at %d, not at %d", r.Meta().Index, meta.Index)
	}
	meta = r.Meta()
	if err := a.node.cfg.StateMachine.Restore(io.NewSectionReader(r, 0, r.Size())); err != nil {
		return fmt.Errorf("restore the state from snapshot %d: %w", meta.Index, err)
	}
	a.term, a.config = meta.Term, meta.Configuration
	a.sinceLast.entries, a.sinceLast.bytes = 0, 0
	a.done.Store(uint64(meta.Index))
	return nil
}

// await has answer called when the entry at index is applied: with the result, or ErrDropped if another
// term's entry took its place. A proposal of a former term that waited at this index is only overwritten
// here, so far: it may still be committed by another leader.
func (a *applier) await(i Index, t Term, answer func(Result, error)) {
	a.mu.Lock()
	old, overwritten := a.waiting[i]
	a.waiting[i] = waiter{term: t, answer: answer}
	a.mu.Unlock()
	if overwritten {
		old.answer(Result{}, ErrUnknown)
	}
}

// after has answer called once all up to i is applied.
func (a *applier) after(i Index, answer func()) {
	a.mu.Lock()
	if a.applied() < i {
		a.readers = append(a.readers, reader{i, answer})
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	answer()
}

// result gives what Apply returned for an entry that was applied here.
func (a *applier) result(i Index, t Term) (Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.recent[i%remembered]
	if o.index != i || o.term != t {
		return Result{}, fmt.Errorf("%w: entry %d is committed, but this server restored a snapshot, or applied a lot since", ErrUnknown, i)
	}
	return Result{Index: i, Term: t, Value: o.value}, nil
}

// advanced is closed when anything more is applied.
func (a *applier) advanced() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.advance == nil {
		a.advance = make(chan struct{})
	}
	return a.advance
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
			if err := a.carryOut(t); err != nil {
				a.node.fail(err)
				return
			}
			a.answerReaders()
			a.maybeSnapshot()
		}
		select {
		case a.node.progress <- struct{}{}:
		default:
		}
	}
}

func (a *applier) carryOut(t task) error {
	if t.durable == nil {
		for _, e := range t.entries {
			if e.Index <= a.applied() {
				continue
			}
			if err := a.applyOne(e); err != nil {
				return err
			}
		}
		return nil
	}
	select {
	case <-t.durable:
	case <-a.node.stopping:
		return ErrStopped
	}
	if t.meta.Index <= a.applied() {
		return nil
	}
	if err := a.restore(t.meta); err != nil {
		return err
	}
	restored := a.applied()
	a.dismiss(func(i Index, _ waiter) bool { return i <= restored }) // nobody here saw what became of their entries
	a.node.do(func() { a.node.observe(Event{Kind: EventSnapshot, Index: restored}) })
	return nil
}

func (a *applier) applyOne(e Entry) error {
	var value any
	switch e.Kind {
	case EntryCommand:
		value = a.node.cfg.StateMachine.Apply(e)
		if fatal, ok := value.(*FatalError); ok {
			return fmt.Errorf("apply entry %d of term %d: %w", e.Index, e.Term, fatal)
		}
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
	a.recent[e.Index%remembered] = applied{e.Index, e.Term, value}
	a.mu.Unlock()
	switch {
	case !ok:
	case w.term == e.Term:
		w.answer(Result{Index: e.Index, Term: e.Term, Value: value}, nil)
	default:
		w.answer(Result{}, ErrDropped)
	}
	return nil
}

func (a *applier) answerReaders() {
	applied := a.applied()
	var served []reader
	a.mu.Lock()
	if a.advance != nil {
		close(a.advance)
		a.advance = nil
	}
	a.readers = slices.DeleteFunc(a.readers, func(r reader) bool {
		if r.index > applied {
			return false
		}
		served = append(served, r)
		return true
	})
	a.mu.Unlock()
	for _, r := range served {
		r.answer()
	}
}

// giveUp answers proposals of terms up to t.
func (a *applier) giveUp(t Term) {
	a.dismiss(func(_ Index, w waiter) bool { return w.term <= t })
}

// dismiss answers waiters that the outcome is unknown.
func (a *applier) dismiss(which func(Index, waiter) bool) {
	var lost []waiter
	a.mu.Lock()
	for i, w := range a.waiting {
		if which(i, w) {
			lost = append(lost, w)
			delete(a.waiting, i)
		}
	}
	a.mu.Unlock()
	for _, w := range lost {
		w.answer(Result{}, ErrUnknown)
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
	through := meta.Index
	if meta.Index <= n.core.log.last() {
		bytes := cmp.Or(n.cfg.SnapshotBytes, math.MaxInt64)
		through = n.core.log.trail(meta.Index, n.cfg.TrailingEntries, bytes)
	}
	n.core.Compacted(meta, through)
	n.disk.write(work{compact: &compaction{meta: meta, through: through}})
	n.observe(Event{Kind: EventSnapshot, Index: meta.Index})
}
