package wal

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"picket/consensus"
	"picket/consensus/vfs"
)

// BenchmarkSave is one batch: a write and a sync. What the disk charges for them is measured beside it.
func BenchmarkSave(b *testing.B) {
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

var payload = bytes.Repeat([]byte("x"), 100)

// unsynced is a file system whose syncs are free: what remains is this package's own work.
type unsynced struct{ vfs.FS }

func (u unsynced) Create(op, name string) (vfs.File, error) {
	f, err := u.FS.Create(op, name)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync(string) error { return nil }
