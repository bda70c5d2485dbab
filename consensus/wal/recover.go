package wal

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"picket/consensus"
	"picket/consensus/vfs"
)

// remedy ends the message of every kind of damage.
const remedy = "replace this agent: remove it with `picket members remove ID` on another one, move the directory away, start it again; " +
	"see \"A damaged log\" in docs/failure-modes.md"

// recover reads the directory and leaves the log ready to append. All that it returns is durable: others will
// rely on it, and the process before this one may have been killed, or have given up, before its last write
// was.
func (l *Log) recover() (consensus.Recovered, error) {
	id, err := found(l.cfg)
	if err != nil {
		return consensus.Recovered{}, err
	}
	if err := l.cfg.FS.SyncDir("OPEN", l.cfg.Dir); err != nil {
		return consensus.Recovered{}, fmt.Errorf("sync the data directory: %w", err)
	}
	snapshot, err := l.snaps.open(l.cfg.FS, l.cfg.Dir)
	if err != nil {
		return consensus.Recovered{}, err
	}
	if snapshot.Index == 0 {
		snapshot.Configuration = consensus.Configuration{Members: id.Founders}
	}
	entries, err := l.replay()
	if err != nil {
		return consensus.Recovered{}, err
	}
	if entries, err = l.reconcile(entries, snapshot); err != nil {
		return consensus.Recovered{}, err
	}
	return consensus.Recovered{Incarnation: id.Incarnation, HardState: l.hard, Snapshot: snapshot, Entries: entries}, nil
}

// replay reads all segments.
func (l *Log) replay() ([]consensus.Entry, error) {
	found, err := l.list()
	if err != nil {
		return nil, err
	}
	var entries []consensus.Entry
	for i, s := range found {
		if i == 0 {
			l.sequence = s.first - 1
		} else if s.first != l.sequence+1 {
			return nil, fmt.Errorf("%s does not follow batch %d, where the segment before it ends; %s", s.path, l.sequence, remedy)
		}
		l.segments = append(l.segments, s)
		if entries, err = l.replaySegment(s.path, i == len(found)-1, entries); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		err = l.rotate()
	}
	if err == nil && l.size == 0 {
		err = l.save(batch{}) // from here on, the last segment can stand alone
	}
	return entries, err
}

// list finds the segments.
func (l *Log) list() ([]segment, error) {
	names, err := l.cfg.FS.ReadDir("OPEN", l.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the data directory %s: %w", l.cfg.Dir, err)
	}
	var found []segment
	for _, name := range names {
		base, _ := strings.CutSuffix(name, segmentSuffix)
		if first, err := strconv.ParseUint(base, 16, 64); err == nil && first > 0 && name == segmentName(first) {
			found = append(found, segment{path: filepath.Join(l.cfg.Dir, name), first: first})
		}
	}
	return found, nil // names of equal length: sorted by number
}

const segmentSuffix = ".log"

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, segmentSuffix) }

// replaySegment adds the segment's batches to entries. In the last one, a torn end is cut off.
func (l *Log) replaySegment(path string, isLast bool, entries []consensus.Entry) ([]consensus.Entry, error) {
	data, err := vfs.ReadFile(l.cfg.FS, "OPEN", path, l.cfg.SegmentBytes+2*maxFrame)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	off, tail := 0, 0 // tail: where the last frame begins
	for {
		payload, sequence, next, ok := frameAt(data, off)
		if !ok || sequence != l.sequence+1 {
			break
		}
		if entries, err = l.replayBatch(payload, entries); err != nil {
			return nil, fmt.Errorf("%s at byte %d: %w; %s", path, off, err, remedy)
		}
		tail, off = off, next
	}
	if why := l.damage(data, off, isLast); why != "" {
		return nil, fmt.Errorf("%s is damaged at byte %d: %s, so what is damaged may have been acknowledged; %s", path, off, why, remedy)
	}
	if isLast {
		err = l.reopen(path, data, tail, off)
	}
	return entries, err
}

// damage says why what stands behind the last whole frame of a segment is not the end of the log; empty: it
// is.
func (l *Log) damage(data []byte, off int, isLast bool) string {
	if isZero(data[off:]) {
		return ""
	}
	if !isLast {
		return "another segment follows"
	}
	if at, ok := laterFrame(data, off, l.sequence+1); ok {
		return fmt.Sprintf("a whole batch stands behind it, at byte %d", at)
	}
	if !torn(data, off, l.sequence+1) {
		return "no write that was cut short leaves such bytes"
	}
	return ""
}

// replayBatch applies one batch to the entries recovered so far.
func (l *Log) replayBatch(payload []byte, entries []consensus.Entry) ([]consensus.Entry, error) {
	b, err := decodeBatch(payload)
	if err != nil {
		return nil, fmt.Errorf("a batch is not readable (%w); was it written by a later version?", err)
	}
	if l.segments[0].first == l.sequence+1 {
		l.last = b.Base // older segments are gone
	}
	last, err := b.reaches(l.last)
	if err != nil {
		return nil, err
	}
	l.took(&b, last)
	if b.Reset {
		entries = nil
	}
	if len(b.Entries) == 0 {
		return entries, nil
	}
	keep := 0
	if first := b.Entries[0].Index; len(entries) > 0 && first > entries[0].Index {
		keep = int(first - entries[0].Index)
	}
	return append(entries[:keep], b.Entries...), nil
}

// reopen makes the last segment ready to append. What is torn becomes zeros, durably, before anything is
// written there; and the last whole frame is written once more: it may be in memory only, even where a sync
// that failed has marked it clean.
func (l *Log) reopen(path string, data []byte, tail, end int) error {
	file, err := l.cfg.FS.Open("REOPEN", path)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	l.file, l.size = file, int64(end)
	if !isZero(data[end:]) {
		if err := file.Truncate("REOPEN", l.size); err != nil {
			return fmt.Errorf("cut off the torn end of %s: %w", path, err)
		}
	}
	if err := file.Allocate("REOPEN", l.cfg.SegmentBytes); err != nil {
		return fmt.Errorf("reserve space for %s: %w", path, err)
	}
	if err := file.Write("REOPEN", data[tail:end], int64(tail)); err != nil {
		return fmt.Errorf("write the last batch of %s again: %w", path, err)
	}
	if err := file.Sync("REOPEN"); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

// reconcile drops a log that disagrees with the snapshot, or ends before it: a crash between installing a
// leader's snapshot and forgetting the old log leaves one, and so does a server that applied and kept what a
// majority held before its own disk did.
func (l *Log) reconcile(entries []consensus.Entry, snapshot consensus.SnapshotMeta) ([]consensus.Entry, error) {
	first := l.last + 1
	if len(entries) > 0 {
		first = entries[0].Index
	}
	switch {
	case first > snapshot.Index+1 && l.last > snapshot.Index:
		return nil, fmt.Errorf("%s: the log begins at entry %d, behind the snapshot at %d: entries are missing; %s",
			l.cfg.Dir, first, snapshot.Index, remedy)
	case l.last < snapshot.Index,
		first <= snapshot.Index && entries[snapshot.Index-first].Term != snapshot.Term:
		// What is appended from here on must not be dropped with it at the next start.
		return nil, l.save(batch{Reset: true, Base: snapshot.Index})
	}
	return entries, nil
}
