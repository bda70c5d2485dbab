package wal

import (
	"bytes"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"picket/consensus"
	"picket/consensus/vfs"
)

// FuzzFrame: whatever bytes a segment holds, a frame is read as it was written or not at all.
func FuzzFrame(f *testing.F) {
	var e encoder
	frame, err := e.encode(&batch{Entries: []consensus.Entry{entry(1, 1)}}, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(frame))
	f.Add(append(make([]byte, 8), frame...))
	f.Add(frame[:len(frame)-1])
	f.Add(appendFrame(nil, []byte{0x94, 0xc0, 0xdd, 0xff, 0xff, 0xff, 0xff}, 1)) // four thousand million entries
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, sequence, next, ok := frameAt(data, 0)
		if ok && !bytes.Equal(appendFrame(nil, payload, sequence), data[:next]) {
			t.Fatalf("%x is read as a frame of %x", data, payload)
		}
		frugal(t, len(data), func() {
			_, _ = decodeBatch(payload)
			_, _ = decodeBatch(data)
		})
		if off, ok := laterFrame(data, 0, sequence); ok {
			if _, s, _, whole := frameAt(data, off); !whole || s < sequence {
				t.Fatalf("no frame stands at %d", off)
			}
		}
		_ = torn(data, 0, sequence)
	})
}

// frugal says that what is read from a disk can't size an allocation: only what is there can.
func frugal(t *testing.T, size int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(200*size+16<<20) {
		t.Fatalf("%d bytes on disk made for %d in memory", size, used)
	}
}

// FuzzOpen puts any bytes in the place of each file. The log opens or refuses; if it opens, what it says is
// there at the next start too, and it can go on.
func FuzzOpen(f *testing.F) {
	w, used := image(f)
	var segments [][]byte
	snapshot := []byte(nil)
	for path := range used {
		if data := w.fs.Synced(path); filepath.Ext(path) == segmentSuffix {
			segments = append(segments, data[:used[path]])
		} else if path != "/data/identity" {
			snapshot = data
		}
	}
	f.Add([]byte{}, []byte{}, []byte{}, []byte{})
	f.Add(segments[0], segments[1], snapshot, []byte{})
	f.Add(segments[1], segments[0], []byte{}, w.fs.Synced("/data/identity"))
	f.Add(appendFrame(nil, []byte{0x94, 0xc0, 0xdd, 0xff, 0xff, 0xff, 0xff, 0xc2, 0}, 1), []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, one, two, snapshot, identity []byte) {
		fs := vfs.NewMem()
		first := uint64(1)
		if _, s, ok := headerAt(one, 0); ok && s > 0 {
			first = s
		}
		put(t, fs, segmentName(first), one)
		if _, s, ok := headerAt(two, 0); ok && s > first {
			put(t, fs, segmentName(s), two)
		}
		put(t, fs, filepath.Base((&snapshots{}).path(consensus.SnapshotMeta{Index: 4, Term: 2})), snapshot)
		if len(identity) == 0 {
			other := vfs.NewMem()
			l, _ := open(t, other)
			_ = l.Close()
			identity = other.Synced("/data/identity")
		}
		put(t, fs, "identity", identity)
		frugal(t, len(one)+len(two)+len(snapshot)+len(identity), func() { reopens(t, fs) })
	})
}

func put(t *testing.T, fs *vfs.Mem, name string, data []byte) {
	t.Helper()
	if len(data) == 0 {
		return
	}
	if err := vfs.WriteAtomic(fs, "", filepath.Join("/data", name), data); err != nil {
		t.Fatal(err)
	}
}

// reopens says that a log, if it opens, opens again and is the same, with what is appended.
func reopens(t *testing.T, fs *vfs.Mem) {
	t.Helper()
	l, rec, err := Open(config(fs))
	if err != nil {
		return
	}
	next := l.last + 1
	if err := l.Save(nil, []consensus.Entry{entry(next, 1)}); err != nil {
		t.Fatal(err)
	}
	fs.Kill()
	_, again, err := Open(config(fs))
	if err != nil {
		t.Fatalf("a log that opened does not open again: %v", err)
	}
	rec.Entries = append(rec.Entries, entry(next, 1))
	if !reflect.DeepEqual(rec, again) {
		t.Fatalf("recovered %+v, and then %+v", rec, again)
	}
}

// FuzzDamage overwrites parts of a disk. What is recovered, if anything is, was there once.
func FuzzDamage(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 5, 0xff})
	f.Add([]byte{1, 0, 8, 0, 1, 0, 9, 7, 2, 1, 1, 1})
	f.Fuzz(func(t *testing.T, damage []byte) {
		w, used := image(t)
		paths := slices.Sorted(maps.Keys(used))
		for ; len(damage) >= 4; damage = damage[4:] {
			file, err := w.fs.Open("", paths[int(damage[0])%len(paths)])
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Write("", damage[3:4], int64(damage[1])<<8+int64(damage[2])); err != nil {
				t.Fatal(err)
			}
		}
		l, rec, err := Open(config(w.fs))
		if err != nil {
			return
		}
		if rec.HardState.Term > w.model.hard.Term || rec.Snapshot.Index != w.model.snapshot.Index {
			t.Fatalf("recovered %v, %v: nobody saved that", rec.HardState, rec.Snapshot)
		}
		if content, err := readSnapshot(l); err != nil || content != w.model.content {
			t.Fatalf("the snapshot holds %q: %v", content, err)
		}
		for _, e := range rec.Entries {
			if want := byte(16*uint64(e.Term) + uint64(e.Index)); bytes.Count(e.Data, []byte{want}) != len(e.Data) {
				t.Fatalf("recovered %v: nobody saved that", e)
			}
		}
	})
}

// FuzzSnapshot reads any bytes as a snapshot file.
func FuzzSnapshot(f *testing.F) {
	w, used := image(f)
	for path := range used {
		f.Add(w.fs.Synced(path))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := vfs.NewMem()
		put(t, fs, "snapshot-x", data)
		frugal(t, len(data), func() {
			var s snapshots
			_, _ = s.open(fs, "/data")
		})
	})
}
