package consensus

import "io"

// Disk keeps what a server must not forget. One goroutine writes; the first failed write or fsync is
// final: every later call returns that error.
type Disk interface {
	// Save makes hs (if not nil) and entries durable as one batch with one fsync. Entries may begin at or
	// before the last saved index: they supersede what was there.
	Save(hs *HardState, entries []Entry) error
	// WriteSnapshot stores a snapshot durably (temp, write, sync, rename, sync directory) and makes it the current
	// one. It must not touch the log.
	WriteSnapshot(meta SnapshotMeta, write func(io.Writer) error) error
	// ReceiveChunk adds to the snapshot that is being received, at chunk.Offset; a chunk at offset 0 starts anew.
	ReceiveChunk(chunk *SnapshotChunk) error
	// InstallReceived makes the received snapshot durable and current, and forgets the whole log unless keepLog.
	InstallReceived(meta SnapshotMeta, keepLog bool) error
	// OpenSnapshot pins the current snapshot for reading; it outlives later snapshots until Close.
	OpenSnapshot() (SnapshotReader, error)
	// Compact forgets log entries up to and including through; a durable snapshot covers them.
	Compact(through Index) error
	Close() error
}

// SnapshotReader reads one pinned snapshot.
type SnapshotReader interface {
	io.ReaderAt
	io.Closer
	Meta() SnapshotMeta
	Size() int64
}
