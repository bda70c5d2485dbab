package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

func entry(i consensus.Index, t consensus.Term) consensus.Entry {
	return consensus.Entry{Index: i, Term: t, Kind: consensus.EntryCommand, Data: []byte(fmt.Sprintf("%d_%d", t, i))}
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

// TestSnapshot_TakenLate: a server takes a snapshot while its leader sends a newer one. The newer one stays.
func TestSnapshot_TakenLate(t *testing.T) {
	w := newWorld()
	l, _ := open(t, w.fs)
	err := l.WriteSnapshot(consensus.SnapshotMeta{Index: 10, Term: 1}, func(io.Writer) error {
		return run(l, &w.model, install(20, 2, false))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if content, err := readSnapshot(l); err != nil || content != w.model.content {
			t.Errorf("the snapshot holds %q: %v", content, err)
		}
		w.fs.Kill()
		var rec consensus.Recovered
		l, rec = open(t, w.fs)
		if err := errors.Join(w.model.matches(l, rec), w.tidy(rec)); err != nil {
			t.Error(err)
		}
	}
}

// TestSnapshot_DamagedWhileInUse: what was whole at the start need not be so when it is read.
func TestSnapshot_DamagedWhileInUse(t *testing.T) {
	w := newWorld()
	l, _ := open(t, w.fs)
	if err := run(l, &w.model, install(20, 2, false)); err != nil {
		t.Fatal(err)
	}
	w.fs.Flip(l.snaps.current, 500, 2)
	if _, err := l.OpenSnapshot(); err == nil || !strings.Contains(err.Error(), l.snaps.current+" is damaged") {
		t.Errorf("a damaged snapshot: %v", err)
	}
}

// TestSnapshot_BesideTheLog takes, pins and reads snapshots while the log is written and forgotten.
func TestSnapshot_BesideTheLog(t *testing.T) {
	l, _ := open(t, vfs.NewMem())
	var taken atomic.Uint64
	var beside sync.WaitGroup
	beside.Go(func() {
		for i := consensus.Index(1); i <= 50; i++ {
			err := l.WriteSnapshot(consensus.SnapshotMeta{Index: i, Term: 1}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "state at %d", i)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			taken.Store(uint64(i))
		}
	})
	beside.Go(func() {
		for taken.Load() < 50 {
			r, err := l.OpenSnapshot()
			if err != nil {
				continue // there is none yet
			}
			content, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			if want := fmt.Sprint("state at ", r.Meta().Index); err != nil || string(content) != want {
				t.Errorf("%q, want %q: %v", content, want, err)
			}
			_ = r.Close()
		}
	})
	for i := consensus.Index(1); i <= 200; i++ {
		if err := errors.Join(l.Save(nil, []consensus.Entry{entry(i, 1)}), l.Compact(min(i, consensus.Index(taken.Load())))); err != nil {
			t.Fatal(err)
		}
	}
	beside.Wait()
}

// TestLog_OnARealDisk does to a real file system what the crash tests do to one in memory, without the crashes.
func TestLog_OnARealDisk(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			cfg := config(vfs.OS{})
			cfg.Dir = filepath.Join(t.TempDir(), "data")
			want := newModel()
			for _, operations := range [][]operation{script, {save(9, 0, 2, 700)}, nil} {
				l, rec, err := Open(cfg)
				if err == nil {
					err = errors.Join(want.matches(l, rec), run(l, &want, operations), l.Close())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A directory that lost its log may have promised anything: it must not pass for the disk that it was.
func TestOpen_IdentityWithoutLog(t *testing.T) {
	disk := vfs.NewMem()
	cfg := Config{FS: disk, Dir: "/data", Identity: Identity{Cluster: "c", Server: "n1", Founders: voters("n1")}}
	l, first, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Save(&consensus.HardState{Term: 7, Vote: "n3", Admitted: true}, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := disk.ReadDir("", "/data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if filepath.Ext(name) == ".log" {
			if err := disk.Remove("", filepath.Join("/data", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	l, again, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if again.Incarnation == first.Incarnation {
		t.Errorf("it starts with the same incarnation and %+v", again.HardState)
	}
}
