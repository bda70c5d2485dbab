package wal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"picket/consensus"
	"picket/consensus/vfs"
)

// BenchmarkSave is one batch: a write and a sync. What the disk charges for these alone is measured beside
// it.
func BenchmarkSave(b *testing.B) {
	b.Run("bare", benchmarkBare)
	for _, entries := range []int{1, 64} {
		for name, fs := range map[string]vfs.FS{"disk": vfs.OS{}, "memory": unsynced{vfs.OS{}}} {
			b.Run(fmt.Sprintf("%s/entries=%d", name, entries), func(b *testing.B) { benchmarkSave(b, fs, entries) })
		}
	}
}

func benchmarkSave(b *testing.B, fs vfs.FS, n int) {
	cfg := config(fs)
	cfg.Dir, cfg.SegmentBytes = filepath.Join(b.TempDir(), "data"), DefaultSegmentBytes
	l, _, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	entries := make([]consensus.Entry, n)
	next := consensus.Index(1)
	b.ReportAllocs()
	for b.Loop() {
		for i := range entries {
			entries[i] = consensus.Entry{Term: 1, Index: next, Kind: consensus.EntryCommand, Data: payload}
			next++
		}
		if err := l.Save(nil, entries); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkBare writes and syncs what a batch of one entry takes, and nothing else.
func benchmarkBare(b *testing.B) {
	file, err := vfs.OS{}.Create("", filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if err := file.Allocate("", DefaultSegmentBytes); err != nil {
		b.Fatal(err)
	}
	frame, off := appendFrame(nil, payload, 1), int64(0)
	for b.Loop() {
		if err := errors.Join(file.Write("", frame, off%DefaultSegmentBytes), file.Sync("")); err != nil {
			b.Fatal(err)
		}
		off += int64(len(frame))
	}
}

// BenchmarkRollover is a batch that begins a new segment; one in some ten thousand does. Old segments go, as
// behind a snapshot.
func BenchmarkRollover(b *testing.B) {
	cfg := config(vfs.OS{})
	cfg.Dir, cfg.SegmentBytes = filepath.Join(b.TempDir(), "data"), DefaultSegmentBytes
	l, _, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	next := consensus.Index(1)
	for b.Loop() {
		l.size = cfg.SegmentBytes // it is full
		if err := l.Save(nil, []consensus.Entry{{Term: 1, Index: next, Kind: consensus.EntryCommand, Data: payload}}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := l.Compact(next - 1); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		next++
	}
}

// BenchmarkOpen recovers a full segment.
func BenchmarkOpen(b *testing.B) {
	cfg := config(vfs.OS{})
	cfg.Dir, cfg.SegmentBytes = filepath.Join(b.TempDir(), "data"), DefaultSegmentBytes
	l, _, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	for next := consensus.Index(1); len(l.segments) == 1; {
		var entries []consensus.Entry
		for range 64 {
			entries = append(entries, consensus.Entry{Term: 1, Index: next, Kind: consensus.EntryCommand, Data: payload})
			next++
		}
		if err := l.Save(nil, entries); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		if l, _, err = Open(cfg); err != nil {
			b.Fatal(err)
		}
	}
	_ = l.Close()
}

var payload = bytes.Repeat([]byte("x"), 100)

// unsynced is a file system whose syncs are free: what remains is this package's own work.
type unsynced struct{ vfs.FS }

func (u unsynced) Create(op, name string) (vfs.File, error) {
	f, err := u.FS.Create(op, name)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync(string) error { return nil }
