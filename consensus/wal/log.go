package wal

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"

	"picket/consensus"
	"picket/consensus/vfs"
)

// DefaultSegmentBytes is reserved at once for each segment.
const DefaultSegmentBytes = 8 << 20

// Config says where and how a log is kept.
type Config struct {
	FS  vfs.FS
	Dir string
	// Identity of the server; written at the first start, compared at each later one.
	Identity Identity
	// Rand gives the incarnation of a new directory; nil: the process's own source.
	Rand func() uint64
	// SegmentBytes is reserved for each segment; a batch that would not fit into the rest begins another one.
	// 0: DefaultSegmentBytes.
	SegmentBytes int64
}

// Log implements consensus.Disk. One goroutine writes; the first failed write or sync is final, because after
// it nobody knows what the disk holds. WriteSnapshot and OpenSnapshot may run beside it.
type Log struct {
	cfg      Config
	lock     io.Closer
	err      error     // latched
	segments []segment // oldest first; their numbers leave no gap
	file     vfs.File  // of the last segment
	size     int64     // of its frames
	sequence uint64    // of the last frame
	last     consensus.Index
	hard     consensus.HardState
	enc      encoder
	snaps    snapshots
}

// segment is one file of frames.
type segment struct {
	path  string
	first uint64          // sequence number that it begins with
	last  consensus.Index // largest index that it holds; 0: nothing that counts
}

// Open recovers what is in the directory, founding it at the first start.
func Open(cfg Config) (*Log, consensus.Recovered, error) {
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = DefaultSegmentBytes
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Uint64
	}
	var none consensus.Recovered
	if err := cfg.FS.MkdirAll("OPEN", cfg.Dir); err != nil {
		return nil, none, fmt.Errorf("make the data directory %s: %w", cfg.Dir, err)
	}
	lock, err := cfg.FS.Lock("OPEN", filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, none, fmt.Errorf("lock the data directory: %w; is another agent running on it?", err)
	}
	l := &Log{cfg: cfg, lock: lock}
	rec, err := l.recover()
	if err != nil {
		return nil, none, errors.Join(err, l.Close())
	}
	return l, rec, nil
}

// Save makes hs (if not nil) and entries durable as one batch with one sync.
func (l *Log) Save(hs *consensus.HardState, entries []consensus.Entry) error {
	if hs == nil && len(entries) == 0 {
		return l.err
	}
	return l.save(batch{Hard: hs, Entries: entries})
}

// save writes one frame. Its error is latched.
func (l *Log) save(b batch) error {
	if l.err == nil {
		l.err = l.write(&b)
	}
	return l.err
}

func (l *Log) write(b *batch) error {
	last, err := b.reaches(l.last)
	if err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	frame, err := l.frame(b)
	if err != nil {
		return err
	}
	if err := l.file.Write("SAVE", frame, l.size); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	if err := l.file.Sync("SAVE"); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	l.size += int64(len(frame))
	l.took(b, last)
	return nil
}

// frame encodes a batch, beginning a new segment if it does not fit into this one.
func (l *Log) frame(b *batch) ([]byte, error) {
	if l.size > 0 {
		frame, err := l.enc.encode(b, l.sequence+1)
		if err != nil || l.size+int64(len(frame)) <= l.cfg.SegmentBytes {
			return frame, err
		}
		if err := l.rotate(); err != nil {
			return nil, err
		}
	}
	if b.Hard == nil {
		b.Hard = &l.hard
	}
	if !b.Reset {
		b.Base = l.last
	}
	return l.enc.encode(b, l.sequence+1)
}

// reaches is the log's last index after a batch.
func (b *batch) reaches(last consensus.Index) (consensus.Index, error) {
	if b.Reset {
		last = b.Base
	}
	for i, e := range b.Entries {
		if i == 0 && e.Index > 0 && e.Index <= last {
			last = e.Index - 1 // it supersedes what was there
		}
		if e.Index != last+1 {
			return 0, fmt.Errorf("entry %d can't follow entry %d", e.Index, last)
		}
		last = e.Index
	}
	return last, nil
}

// took does to the state in memory what a durable batch says.
func (l *Log) took(b *batch, last consensus.Index) {
	l.sequence++
	l.last = last
	if b.Hard != nil {
		l.hard = *b.Hard
	}
	if b.Reset {
		for i := range l.segments {
			l.segments[i].last = 0
		}
	}
	if len(b.Entries) > 0 {
		s := &l.segments[len(l.segments)-1]
		s.last = max(s.last, last)
	}
}

// rotate begins a new segment. Its first frame repeats what the segments before it said, so that they can go.
func (l *Log) rotate() error {
	first := l.sequence + 1
	path := filepath.Join(l.cfg.Dir, segmentName(first))
	file, err := l.cfg.FS.Create("ROTATE", path)
	if err != nil {
		return fmt.Errorf("create a log segment: %w", err)
	}
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return errors.Join(fmt.Errorf("close a log segment: %w", err), file.Close())
		}
	}
	l.file, l.size = file, 0
	l.segments = append(l.segments, segment{path: path, first: first})
	if err := file.Allocate("ROTATE", l.cfg.SegmentBytes); err != nil {
		return fmt.Errorf("reserve space for %s: %w", path, err)
	}
	if err := l.cfg.FS.SyncDir("ROTATE", l.cfg.Dir); err != nil {
		return fmt.Errorf("sync the data directory: %w", err)
	}
	return nil
}

// Compact forgets segments whose entries are all at or before through; a durable snapshot covers them.
func (l *Log) Compact(through consensus.Index) error {
	for l.err == nil && len(l.segments) > 1 && l.segments[0].last <= through {
		l.err = l.removeOldest()
	}
	return l.err
}

// removeOldest is durable before the next one goes: what is left has no gap, or it is damaged.
func (l *Log) removeOldest() error {
	if err := l.cfg.FS.Remove("COMPACT", l.segments[0].path); err != nil {
		return fmt.Errorf("remove a log segment: %w", err)
	}
	if err := l.cfg.FS.SyncDir("COMPACT", l.cfg.Dir); err != nil {
		return fmt.Errorf("sync the data directory: %w", err)
	}
	l.segments = l.segments[1:]
	return nil
}

// Close lets go of the directory.
func (l *Log) Close() error {
	var errs []error
	if l.file != nil {
		errs = append(errs, l.file.Close())
	}
	l.snaps.abort()
	if l.err == nil {
		l.err = errors.New("the log is closed")
	}
	return errors.Join(append(errs, l.lock.Close())...)
}
