package vfs

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

func TestOS_WritesAndLocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
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

// TestReadDir_ListsDirectoriesToo, in memory as on a disk.
// TestWriteAtomic_ALeftoverDoesNotShow: nobody else may read what is written, whatever stands in the place of the temporary file.
func TestWriteAtomic_ALeftoverDoesNotShow(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "f"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, leave := range map[string]func(temp string) error{
		"a link": func(temp string) error { return os.Symlink(other, temp) },
		"a file that others may read": func(temp string) error {
			return errors.Join(os.WriteFile(temp, nil, 0o600), os.Chmod(temp, 0o644)) //nolint:gosec // which is the point
		},
	} {
		if err := errors.Join(leave(name+".tmp"), WriteAtomic(OS{}, "", name, []byte("secret"))); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if info, err := os.Lstat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", what, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "mine" {
		t.Errorf("the other file: %q, %v", text, err)
	}
}

func TestReadDir_ListsDirectoriesToo(t *testing.T) {
	for name, fs := range map[string]FS{"disk": OS{}, "memory": NewMem()} {
		dir := t.TempDir()
		if err := fs.MkdirAll("", filepath.Join(dir, "b")); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"b/2", "b.x", "a", "b/1"} {
			if err := WriteAtomic(fs, "", filepath.Join(dir, file), nil); err != nil {
				t.Fatal(err)
			}
		}
		got, err := fs.ReadDir("", dir)
		if want := []string{"a", "b", "b.x"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}
