package consensus

// Ready is one batch of work that the core hands to its driver. The rules:
//
//  1. Messages may leave at once, before anything of this Ready is on disk: they claim nothing that
//     the disk does not already hold. A leader's appends are here, so its disk works in parallel
//     with its followers'.
//  2. HardState, Entries and the snapshot part are made durable, in one batch with one fsync.
//  3. Only then AfterPersist leaves, and Core.Persisted(Seq) is called: votes, append acknowledgements
//     and the leader's own vote for its entries depend on it.
//  4. Committed is applied in order; it may be applied before (2), because a majority holds it.
//
// Batches are persisted in the order of Seq. The core may be stepped while a batch is being written.
type Ready struct {
	Seq          uint64
	HardState    *HardState     // nil: unchanged
	Entries      []Entry        // contiguous; the first may overwrite a conflicting suffix
	Chunk        *SnapshotChunk // a piece of a snapshot that a leader sends us: write it down
	Install      *SnapshotMeta  // the received snapshot is whole: make it current, restore
	KeepLog      bool           // with Install: the log agrees with the snapshot, else forget it
	Messages     []Message      // may leave at once
	AfterPersist []Message      // must wait for the disk
	Committed    []Entry        // to apply, in order, each exactly once
	Reads        []ReadReady    // ReadIndex requests that are answered
}

// ReadReady answers one ReadIndex request: once Index is applied, a read sees every write that was
// acknowledged before the request. A failed request has Err.
type ReadReady struct {
	ID    uint64 // as given to Core.ReadIndex
	Index Index
	Err   error
}
