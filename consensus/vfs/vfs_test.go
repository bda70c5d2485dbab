package vfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// TestWriteAtomic_OldOrNewWhateverFails fails every single call on the way, and crashes.
func TestWriteAtomic_OldOrNewWhateverFails(t *testing.T) {
	for n := range 10 {
		for seed := range uint64(20) {
			m := NewMem()
			if err := WriteAtomic(m, "OLD", "/d/f", []byte("old")); err != nil {
				t.Fatal(err)
			}
			calls := n
			m.Fail(func(op, _, _ string) error {
				if calls--; op == "NEW" && calls < 0 {
					return ErrInjected
				}
				return nil
			})
			err := WriteAtomic(m, "NEW", "/d/f", []byte("new"))
			m.Fail(nil)
			m.Crash(rand.New(rand.NewPCG(seed, 1)))
			data, readErr := ReadFile(m, "", "/d/f", 100)
			if readErr != nil || string(data) != "old" && string(data) != "new" || err == nil && string(data) != "new" {
				t.Fatalf("call %d fails: written: %v, after the crash: %q, %v", n, err, data, readErr)
			}
		}
	}
}

func TestMem_ForgetsWhatWasNotSynced(t *testing.T) {
	outcomes := map[string]bool{}
	for seed := range uint64(50) {
		m := NewMem()
		f, err := m.Create("", "/d/f")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Write("", make([]byte, 2*sector), 0), f.Sync(""), m.SyncDir("", "/d")); err != nil {
			t.Fatal(err)
		}
		full := make([]byte, 2*sector)
		for i := range full {
			full[i] = 1
		}
		if err := f.Write("", full, 0); err != nil {
			t.Fatal(err)
		}
		m.Crash(rand.New(rand.NewPCG(seed, 2)))
		data, err := ReadFile(m, "", "/d/f", 4*sector)
		if err != nil || len(data) != 2*sector {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		outcomes[fmt.Sprint(data[0], data[sector-1], data[sector], data[2*sector-1])] = true
		if _, err := f.Size(); err == nil {
			t.Fatal("a handle outlived the crash")
		}
	}
	for _, want := range []string{"0 0 0 0", "1 1 0 0", "0 0 1 1", "1 1 1 1"} {
		if !outcomes[want] {
			t.Errorf("sectors %s never survive: %v", want, outcomes)
		}
	}
	if len(outcomes) != 4 {
		t.Errorf("a sector is torn: %v", outcomes)
	}
}

func TestMem_AFailedSyncLosesItsSectorsAndSucceedsTheNextTime(t *testing.T) {
	m := NewMem()
	f, err := m.Create("", "/d/f")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Write("", []byte("x"), 0), m.SyncDir("", "/d")); err != nil {
		t.Fatal(err)
	}
	m.Fail(func(_, call, _ string) error {
		if call == "sync" {
			return ErrInjected
		}
		return nil
	})
	if err := f.Sync(""); !errors.Is(err, ErrInjected) {
		t.Fatal(err)
	}
	m.Fail(nil)
	if err := f.Sync(""); err != nil {
		t.Fatal(err)
	}
	if got := m.Synced("/d/f"); len(got) != 0 {
		t.Errorf("%q is durable after a failed sync", got)
	}
}

func TestOS_WritesAndLocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var fs OS
	if err := fs.MkdirAll("", dir); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "f")
	if err := WriteAtomic(fs, "", name, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(fs, "", name, 5); err != nil || string(data) != "hello" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := ReadFile(fs, "", name, 4); err == nil {
		t.Error("a file over the limit was read")
	}
	lock, err := fs.Lock("", filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Lock("", filepath.Join(dir, "lock")); err == nil {
		t.Error("the lock was given twice")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}
