package wal

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"

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
	// SegmentBytes: a segment that has grown to this is followed by another. 0: DefaultSegmentBytes.
	SegmentBytes int64
}

// Log implements consensus.Disk. One goroutine writes; the first failed write or sync is final, because after it nobody knows what
// the disk holds.
type Log struct {
	cfg      Config
	lock     io.Closer
	err      error // latched
	segments []*segment
	file     vfs.File // of the last segment
	size     int64    // of its frames
	sequence uint64   // of the last frame
	hard     consensus.HardState
	enc      encoder
	snaps    snapshots
}

// segment is one file of frames.
type segment struct {
	path string
	last consensus.Index // largest index that it holds
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

func (l *Log) recover() (consensus.Recovered, error) {
	id, err := found(l.cfg)
	if err != nil {
		return consensus.Recovered{}, err
	}
	snapshot, err := l.snaps.open(l.cfg.FS, l.cfg.Dir)
	if err != nil {
		return consensus.Recovered{}, err
	}
	if snapshot.Index == 0 {
		snapshot.Configuration = consensus.Configuration{Members: id.Founders}
	}
	entries, err := l.replay(snapshot)
	if err != nil {
		return consensus.Recovered{}, err
	}
	return consensus.Recovered{Incarnation: id.Incarnation, HardState: l.hard, Snapshot: snapshot, Entries: entries}, nil
}

// replay reads all segments and leaves the log ready to append.
func (l *Log) replay(snapshot consensus.SnapshotMeta) ([]consensus.Entry, error) {
	paths, err := l.segmentPaths()
	if err != nil {
		return nil, err
	}
	var entries []consensus.Entry
	for i, path := range paths {
		s := &segment{path: path}
		l.segments = append(l.segments, s)
		if entries, err = l.replaySegment(s, i == len(paths)-1, entries); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		if err := l.rotate(); err != nil {
			return nil, err
		}
	}
	kept, err := behind(entries, snapshot)
	if err == nil && len(kept) < len(entries) {
		// What is dropped must not stand in front of what is appended from here on: it would be dropped again, with that.
		err = l.save(&batch{Reset: snapshot.Index})
	}
	return kept, err
}

// behind keeps the entries that go with the snapshot. A log that disagrees with it, or ends before it, is what a crash
// left between installing a leader's snapshot and forgetting the old log.
func behind(entries []consensus.Entry, snapshot consensus.SnapshotMeta) ([]consensus.Entry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	first, last := entries[0].Index, entries[len(entries)-1].Index
	switch {
	case first > snapshot.Index+1:
		return nil, fmt.Errorf("the log begins at entry %d, behind the snapshot at %d: entries are missing; %s",
			first, snapshot.Index, remedy)
	case last < snapshot.Index:
		return nil, nil
	case first <= snapshot.Index && entries[snapshot.Index-first].Term != snapshot.Term:
		return nil, nil
	}
	return entries, nil
}

// remedy ends the message of every kind of damage.
const remedy = "see \"A damaged log\" in docs/failure-modes.md; do not start this agent with an empty directory"

func (l *Log) segmentPaths() ([]string, error) {
	names, err := l.cfg.FS.ReadDir("OPEN", l.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the data directory %s: %w", l.cfg.Dir, err)
	}
	var paths []string
	for _, name := range names {
		base, isLog := strings.CutSuffix(name, ".log")
		if _, err := strconv.ParseUint(base, 16, 64); isLog && err == nil && len(base) == 16 {
			paths = append(paths, filepath.Join(l.cfg.Dir, name))
		}
	}
	return paths, nil // names of equal length: sorted by number
}

// replaySegment adds the segment's batches to entries. In the last one a torn tail is cut off.
func (l *Log) replaySegment(s *segment, isLast bool, entries []consensus.Entry) ([]consensus.Entry, error) {
	data, err := vfs.ReadFile(l.cfg.FS, "OPEN", s.path, l.cfg.SegmentBytes+2*maxFrame)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	off := 0
	for {
		payload, sequence, next, ok := frameAt(data, off)
		if ok && off == 0 && sequence > l.sequence+1 {
			// The segment before this one was removed; those still older are what a crash left of the same removal. If
			// they were not covered by a snapshot, the entries that are missing now will tell.
			entries = nil
		} else if !ok || sequence != l.sequence+1 {
			break
		}
		b, err := decodeBatch(payload)
		if err != nil {
			return nil, fmt.Errorf("%s at byte %d: a batch is not readable (%w); was it written by a later version?", s.path, off, err)
		}
		if entries, err = l.add(s, b, entries); err != nil {
			return nil, fmt.Errorf("%s at byte %d: %w; %s", s.path, off, err, remedy)
		}
		l.sequence, off = sequence, next
	}
	if at, found := laterFrame(data, off, l.sequence+1); found {
		return nil, fmt.Errorf("%s is damaged at byte %d: a whole batch stands behind it, at byte %d, so what is damaged had been "+
			"acknowledged; %s", s.path, off, at, remedy)
	}
	if !isLast {
		return entries, l.checkSealed(s, data[off:], off)
	}
	return entries, l.reopen(s, data[off:], off)
}

// checkSealed refuses a segment that breaks off although there is another one behind it.
func (l *Log) checkSealed(s *segment, rest []byte, off int) error {
	if isZero(rest) {
		return nil
	}
	return fmt.Errorf("%s is damaged at byte %d: another segment follows, so what is damaged had been acknowledged; %s",
		s.path, off, remedy)
}

// reopen makes the last segment ready to append: what is torn becomes zeros, durably, before anything is written
// there.
func (l *Log) reopen(s *segment, rest []byte, off int) error {
	file, err := l.cfg.FS.Open("REOPEN", s.path)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	l.file, l.size = file, int64(off)
	if !isZero(rest) {
		if err := l.file.Truncate("REPAIR", int64(off)); err != nil {
			return fmt.Errorf("cut off the torn end of %s: %w", s.path, err)
		}
		if err := l.file.Sync("REPAIR"); err != nil {
			return fmt.Errorf("cut off the torn end of %s: %w", s.path, err)
		}
	}
	if off == 0 {
		// The crash came before the segment's first frame: it must repeat the hard state before anything else.
		return l.save(&batch{Hard: &l.hard})
	}
	return nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// add applies one batch to the entries recovered so far.
func (l *Log) add(s *segment, b batch, entries []consensus.Entry) ([]consensus.Entry, error) {
	if b.Hard != nil {
		l.hard = *b.Hard
	}
	if b.Reset != 0 {
		entries = nil
	}
	if len(b.Entries) == 0 {
		return entries, nil
	}
	first := b.Entries[0].Index
	switch {
	case len(entries) == 0 || first > entries[len(entries)-1].Index+1:
		entries = nil // a snapshot covers what lies between, or behind refuses
	case first <= entries[0].Index:
		entries = nil
	default:
		entries = entries[:first-entries[0].Index]
	}
	for i, e := range b.Entries {
		if e.Index != first+consensus.Index(i) {
			return nil, fmt.Errorf("entry %d stands where %d belongs", e.Index, first+consensus.Index(i))
		}
	}
	s.last = max(s.last, b.Entries[len(b.Entries)-1].Index)
	return append(entries, b.Entries...), nil
}

// Save makes hs (if not nil) and entries durable as one batch with one sync.
func (l *Log) Save(hs *consensus.HardState, entries []consensus.Entry) error {
	if hs == nil && len(entries) == 0 {
		return l.err
	}
	if l.err == nil && l.size >= l.cfg.SegmentBytes {
		l.err = l.rotate()
	}
	return l.save(&batch{Hard: hs, Entries: entries})
}

// save writes one frame. Its error is latched.
func (l *Log) save(b *batch) error {
	if l.err != nil {
		return l.err
	}
	l.err = l.write(b)
	return l.err
}

func (l *Log) write(b *batch) error {
	frame, err := l.enc.encode(b, l.sequence+1)
	if err != nil {
		return err
	}
	if err := l.file.Write("SAVE", frame, l.size); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	if err := l.file.Sync("SAVE"); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	l.sequence++
	l.size += int64(len(frame))
	if b.Hard != nil {
		l.hard = *b.Hard
	}
	if n := len(b.Entries); n > 0 {
		s := l.segments[len(l.segments)-1]
		s.last = max(s.last, b.Entries[n-1].Index)
	}
	return nil
}

// rotate begins a new segment.
func (l *Log) rotate() error {
	path := filepath.Join(l.cfg.Dir, fmt.Sprintf("%016x.log", l.sequence+1))
	file, err := l.cfg.FS.Create("ROTATE", path)
	if err != nil {
		return fmt.Errorf("create a log segment: %w", err)
	}
	if err := file.Allocate("ROTATE", l.cfg.SegmentBytes); err != nil {
		return errors.Join(fmt.Errorf("reserve space for %s: %w", path, err), file.Close())
	}
	if err := l.cfg.FS.SyncDir("ROTATE", l.cfg.Dir); err != nil {
		return errors.Join(fmt.Errorf("sync the data directory: %w", err), file.Close())
	}
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return errors.Join(fmt.Errorf("close a log segment: %w", err), file.Close())
		}
	}
	l.file, l.size = file, 0
	l.segments = append(l.segments, &segment{path: path})
	hard := l.hard
	return l.write(&batch{Hard: &hard})
}

// Compact forgets segments whose entries are all at or before through; a durable snapshot covers them.
func (l *Log) Compact(through consensus.Index) error {
	if l.err != nil {
		return l.err
	}
	removed := false
	for len(l.segments) > 1 && l.segments[0].last <= through {
		if l.err = l.cfg.FS.Remove("COMPACT", l.segments[0].path); l.err != nil {
			l.err = fmt.Errorf("remove a log segment: %w", l.err)
			return l.err
		}
		l.segments, removed = l.segments[1:], true
	}
	if !removed {
		return nil
	}
	if l.err = l.cfg.FS.SyncDir("COMPACT", l.cfg.Dir); l.err != nil {
		l.err = fmt.Errorf("sync the data directory: %w", l.err)
	}
	return l.err
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
