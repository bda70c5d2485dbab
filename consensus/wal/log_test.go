package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"picket/consensus"
	"picket/consensus/vfs"
)

func voters(ids ...consensus.ServerID) []consensus.Member {
	var members []consensus.Member
	for _, id := range ids {
		members = append(members, consensus.Member{ID: id, Voter: true})
	}
	return members
}

func config(fs vfs.FS) Config {
	return Config{FS: fs, Dir: "/data", SegmentBytes: 2048,
		Identity: Identity{Cluster: "c", Server: "n1", Founders: voters("n2", "n1", "n3")}}
}

func open(t *testing.T, fs vfs.FS) (*Log, consensus.Recovered) {
	t.Helper()
	l, rec, err := Open(config(fs))
	if err != nil {
		t.Fatal(err)
	}
	return l, rec
}

// twin is what a log should hold: the state after each batch, of which the last may or may not have become durable.
type twin struct {
	hard     consensus.HardState
	snapshot consensus.Index
	entries  map[consensus.Index]consensus.Entry
	last     consensus.Index
}

func (w twin) clone() twin {
	c := w
	c.entries = map[consensus.Index]consensus.Entry{}
	for i, e := range w.entries {
		c.entries[i] = e
	}
	return c
}

func (w twin) matches(rec consensus.Recovered) error {
	if rec.HardState != w.hard {
		return fmt.Errorf("hard state %v, want %v", rec.HardState, w.hard)
	}
	if rec.Snapshot.Index != w.snapshot {
		return fmt.Errorf("snapshot at %d, want %d", rec.Snapshot.Index, w.snapshot)
	}
	last := rec.Snapshot.Index
	for _, e := range rec.Entries {
		want, ok := w.entries[e.Index]
		if e.Index > w.snapshot && (!ok || want.Term != e.Term || !bytes.Equal(want.Data, e.Data)) {
			return fmt.Errorf("entry %v, want %v", e, want)
		}
		last = max(last, e.Index)
	}
	if want := max(w.last, w.snapshot); last != want {
		return fmt.Errorf("the log ends at %d, want %d", last, want)
	}
	return nil
}

// TestLog_CrashAnywhere runs a random sequence of operations, crashes at a random call to the disk, which leaves a random subset of what was
// not synced, and recovers: everything acknowledged is there, and at most the operation under way beside it. Again
// and again on the same disk, because a repair that is not durable shows only at the second crash.
func TestLog_CrashAnywhere(t *testing.T) {
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 7))
		fs := vfs.NewMem()
		want := twin{entries: map[consensus.Index]consensus.Entry{}}
		var maybe *twin
		for life := range 6 {
			l, rec, err := Open(config(fs))
			if err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			if err := want.matches(rec); err != nil {
				if maybe == nil {
					t.Fatalf("seed %d, life %d: %v", seed, life, err)
				}
				if err2 := maybe.matches(rec); err2 != nil {
					t.Fatalf("seed %d, life %d: neither what was acknowledged (%v) nor what was under way (%v)", seed, life, err, err2)
				}
				want = *maybe
			}
			maybe = nil
			calls := rng.IntN(60)
			died := errors.New("the process dies here")
			fs.Fail(func(_, call, _ string) error {
				if calls--; calls < 0 && call != "read" && call != "open" {
					return died
				}
				return nil
			})
			for {
				next := want.clone()
				if err := act(l, rng, &next); err != nil {
					maybe = &next
					break
				}
				want = next
			}
			fs.Fail(nil)
			fs.Crash(rng)
		}
	}
}

// act does one operation to the log and to its twin.
func act(l *Log, rng *rand.Rand, w *twin) error {
	switch dice := rng.IntN(10); {
	case dice == 0 && w.last > w.snapshot:
		w.snapshot += 1 + consensus.Index(rng.Int64N(int64(w.last-w.snapshot)))
		meta := consensus.SnapshotMeta{Index: w.snapshot, Term: w.entries[w.snapshot].Term}
		return l.WriteSnapshot(meta, func(out io.Writer) error { _, err := out.Write([]byte("state")); return err })
	case dice == 1:
		return l.Compact(w.snapshot)
	default:
		var hard *consensus.HardState
		if rng.IntN(4) == 0 {
			w.hard.Term++
			w.hard.Vote = consensus.ServerID(fmt.Sprint("n", rng.IntN(3)))
			h := w.hard
			hard = &h
		}
		first := w.last + 1
		if back := w.last - max(w.snapshot, 0); back > 0 && w.last > w.snapshot && rng.IntN(5) == 0 {
			first -= consensus.Index(rng.Int64N(int64(back)))
		}
		first = max(first, w.snapshot+1)
		var entries []consensus.Entry
		for i := range consensus.Index(1 + rng.IntN(4)) {
			e := consensus.Entry{Term: w.hard.Term + 1, Index: first + i, Kind: consensus.EntryCommand,
				Data: bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(400))}
			entries = append(entries, e)
		}
		for i := first; i <= w.last; i++ {
			delete(w.entries, i)
		}
		for _, e := range entries {
			w.entries[e.Index] = e
		}
		w.last = entries[len(entries)-1].Index
		return l.Save(hard, entries)
	}
}

func entry(i consensus.Index, t consensus.Term) consensus.Entry {
	return consensus.Entry{Index: i, Term: t, Kind: consensus.EntryCommand, Data: []byte(fmt.Sprintf("%d_%d", t, i))}
}

func TestLog_FirstErrorIsFinal(t *testing.T) {
	for _, call := range []string{"write", "sync"} {
		fs := vfs.NewMem()
		l, _ := open(t, fs)
		if err := l.Save(nil, []consensus.Entry{entry(1, 1)}); err != nil {
			t.Fatal(err)
		}
		fs.Fail(func(op, c, _ string) error {
			if op == "SAVE" && c == call {
				return vfs.ErrInjected
			}
			return nil
		})
		if err := l.Save(nil, []consensus.Entry{entry(2, 1)}); !errors.Is(err, vfs.ErrInjected) {
			t.Fatalf("%s fails: Save says %v", call, err)
		}
		fs.Fail(nil) // the disk pretends to be well again
		for what, err := range map[string]error{
			"Save":    l.Save(nil, []consensus.Entry{entry(2, 1)}),
			"Compact": l.Compact(1),
			"chunk":   l.ReceiveChunk(&consensus.SnapshotChunk{}),
		} {
			if !errors.Is(err, vfs.ErrInjected) {
				t.Errorf("after a failed %s, %s says %v", call, what, err)
			}
		}
	}
}

func TestLog_NoSpaceIsAnErrorAndNothingIsLost(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := open(t, fs)
	fs.Space(600)
	acked := consensus.Index(0)
	for i := consensus.Index(1); ; i++ {
		e := entry(i, 1)
		e.Data = bytes.Repeat([]byte{1}, 300)
		if err := l.Save(nil, []consensus.Entry{e}); err != nil {
			break
		}
		acked = i
	}
	fs.Space(-1)
	fs.Crash(rand.New(rand.NewPCG(1, 1)))
	_, rec := open(t, fs)
	if got := consensus.Index(len(rec.Entries)); got < acked {
		t.Errorf("%d entries after a full disk, %d were acknowledged", got, acked)
	}
}

func TestOpen_RefusesDamageBeforeTheEnd(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := open(t, fs)
	for i := consensus.Index(1); i <= 3; i++ {
		if err := l.Save(nil, []consensus.Entry{entry(i, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	path := l.segments[0].path
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fs.Flip(path, 3*headerBytes+4, 0)
	_, _, err := Open(config(fs))
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "damaged at byte") {
		t.Errorf("a damaged log: %v", err)
	}
}

func TestOpen_RefusesAnotherIdentityAndASecondProcess(t *testing.T) {
	fs := vfs.NewMem()
	l, rec := open(t, fs)
	if got := fmt.Sprint(rec.Snapshot.Configuration.Voters()); got != "[n1 n2 n3]" {
		t.Errorf("founding voters %s", got)
	}
	if _, _, err := Open(config(fs)); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("a second process: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	other := config(fs)
	other.Identity.Server = "n2"
	if _, _, err := Open(other); err == nil || !strings.Contains(err.Error(), `agent "n1"`) {
		t.Errorf("another agent's directory: %v", err)
	}
	other = config(fs)
	other.Identity.Founders = voters("n1")
	if _, rec, err := Open(other); err != nil || len(rec.Snapshot.Configuration.Members) != 3 {
		t.Errorf("the founding voters changed: %v, %v", rec.Snapshot.Configuration, err)
	}
}

func TestSnapshot_ReceivedInChunksAndPinned(t *testing.T) {
	for _, fs := range []vfs.FS{vfs.NewMem(), vfs.OS{}} {
		cfg := config(fs)
		if _, ok := fs.(vfs.OS); ok {
			cfg.Dir = filepath.Join(t.TempDir(), "data")
		}
		l, _, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Save(nil, []consensus.Entry{entry(1, 1), entry(2, 1)}); err != nil {
			t.Fatal(err)
		}
		meta := consensus.SnapshotMeta{Index: 9, Term: 3, Configuration: consensus.NewConfiguration(voters("n1")...)}
		for i, piece := range []string{"hello ", "world"} {
			if err := l.ReceiveChunk(&consensus.SnapshotChunk{Meta: meta, Offset: int64(6 * i), Data: []byte(piece)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.InstallReceived(meta, false); err != nil {
			t.Fatal(err)
		}
		pinned, err := l.OpenSnapshot()
		if err != nil {
			t.Fatal(err)
		}
		newer := consensus.SnapshotMeta{Index: 12, Term: 3}
		if err := l.WriteSnapshot(newer, func(w io.Writer) error { _, err := io.WriteString(w, "newer"); return err }); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(pinned, 0, pinned.Size()))
		if err != nil || string(text) != "hello world" || pinned.Meta().Index != 9 {
			t.Errorf("pinned snapshot: %q of %v, %v", text, pinned.Meta(), err)
		}
		if err := errors.Join(pinned.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		_, rec, err := Open(cfg)
		if err != nil || rec.Snapshot.Index != 12 || len(rec.Entries) != 0 {
			t.Errorf("recovered %+v, %v", rec, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	var e encoder
	frame, err := e.encode(&batch{Entries: []consensus.Entry{entry(1, 1)}}, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(frame))
	f.Add(make([]byte, 64))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if payload, _, _, ok := frameAt(data, 0); ok {
			_, _ = decodeBatch(payload)
		}
		_, _ = laterFrame(data, 0, 1)
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, junk []byte, at uint8) {
		fs := vfs.NewMem()
		l, _ := open(t, fs)
		if err := l.Save(nil, []consensus.Entry{entry(1, 1)}); err != nil {
			t.Fatal(err)
		}
		path := l.segments[0].path
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := fs.Open("", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Write("", junk, int64(at)); err != nil {
			t.Fatal(err)
		}
		if l, _, err := Open(config(fs)); err == nil {
			_ = l.Close()
		}
	})
}

// TestOpen_WhatASnapshotDroppedStaysDropped: a crash between installing a leader's snapshot and forgetting the old log leaves a log that
// disagrees with the snapshot. What is appended after the restart must survive the next one.
func TestOpen_WhatASnapshotDroppedStaysDropped(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := open(t, fs)
	var stale []consensus.Entry
	for i := consensus.Index(1); i <= 11; i++ {
		stale = append(stale, entry(i, 2))
	}
	if err := l.Save(nil, stale); err != nil {
		t.Fatal(err)
	}
	meta := consensus.SnapshotMeta{Index: 10, Term: 3, Configuration: consensus.NewConfiguration(voters("n1")...)}
	if err := l.ReceiveChunk(&consensus.SnapshotChunk{Meta: meta, Data: []byte("state")}); err != nil {
		t.Fatal(err)
	}
	fs.Fail(func(op, call, _ string) error { // the process dies before it forgets the log
		if op == "SAVE" {
			return vfs.ErrInjected
		}
		return nil
	})
	if err := l.InstallReceived(meta, false); err == nil {
		t.Fatal("the log was forgotten all the same")
	}
	fs.Fail(nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, rec := open(t, fs)
	if rec.Snapshot.Index != 10 || len(rec.Entries) != 0 {
		t.Fatalf("recovered %+v", rec)
	}
	if err := l.Save(nil, []consensus.Entry{entry(11, 3)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, rec = open(t, fs); len(rec.Entries) != 1 || rec.Entries[0].Term != 3 {
		t.Errorf("what was acknowledged after the restart is lost: %+v", rec.Entries)
	}
}
