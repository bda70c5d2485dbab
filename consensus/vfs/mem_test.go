package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"
)

// disk makes a file of zeros, durable under its name, for a test to harm.
func disk(t *testing.T, sectors int) (*Mem, File) {
	t.Helper()
	m := NewMem()
	f, err := m.Create("", "/d/f")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Write("", make([]byte, sectors*sector), 0), f.Sync(""), m.SyncDir("", "/d")); err != nil {
		t.Fatal(err)
	}
	return m, f
}

func ones(n int) []byte { return bytes.Repeat([]byte{1}, n) }

// contents crashes the world that make builds with many seeds, and collects what the file holds: a character
// for each sector, "-" for none.
func contents(t *testing.T, build func() *Mem) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for seed := range uint64(100) {
		m := build()
		m.Crash(rand.New(rand.NewPCG(seed, 2)))
		data, err := ReadFile(m, "", "/d/f", 1<<20)
		if errors.Is(err, fs.ErrNotExist) {
			seen["-"]++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for s := 0; s < len(data); s += sector {
			text += kind(data[s:min(s+sector, len(data))])
		}
		seen[text]++
	}
	return seen
}

// kind of a sector: 0 or 1 if all its bytes are, else x.
func kind(b []byte) string {
	if bytes.Count(b, b[:1]) == len(b) && b[0] <= 1 {
		return fmt.Sprint(b[0])
	}
	return "x"
}

// TestMem_Crash lists, for each way to leave a file, everything that a crash may make of it.
func TestMem_Crash(t *testing.T) {
	for name, c := range map[string]struct {
		leave func(m *Mem, f File) error
		want  []string
	}{
		"sectors survive in any subset": {
			func(_ *Mem, f File) error { return f.Write("", ones(2*sector), 0) },
			[]string{"00", "10", "01", "11"},
		},
		"what is synced survives": {
			func(_ *Mem, f File) error { return errors.Join(f.Write("", ones(2*sector), 0), f.Sync("")) },
			[]string{"11"},
		},
		"a sector may be garbled, but not a neighbour": {
			func(m *Mem, f File) error { m.Garble(true); return f.Write("", ones(sector), sector) },
			[]string{"00", "01", "0x"},
		},
		"a failed sync drops its sectors, or not, and the next one mends nothing": {
			func(m *Mem, f File) error {
				m.Fail(failing("sync"))
				if err := errors.Join(f.Write("", ones(sector), 0), f.Sync("")); !errors.Is(err, ErrInjected) {
					return fmt.Errorf("the sync: %v", err)
				}
				m.Fail(nil)
				return f.Sync("")
			},
			[]string{"00", "10"},
		},
		"what a failed sync dropped is durable once it is written again": {
			func(m *Mem, f File) error {
				m.Fail(failing("sync"))
				_ = errors.Join(f.Write("", ones(sector), 0), f.Sync(""))
				m.Fail(nil)
				return errors.Join(f.Write("", ones(sector), 0), f.Sync(""))
			},
			[]string{"10"},
		},
		"a truncation is lost or survives": {
			func(_ *Mem, f File) error { return f.Truncate("", sector) },
			[]string{"00", "0"},
		},
		"a synced truncation survives": {
			func(_ *Mem, f File) error { return errors.Join(f.Truncate("", sector), f.Sync("")) },
			[]string{"0"},
		},
		"what stood behind a truncation does not come back when the file grows": {
			func(_ *Mem, f File) error {
				return errors.Join(f.Write("", ones(2*sector), 0), f.Sync(""), f.Truncate("", sector), f.Allocate("", 2*sector), f.Sync(""))
			},
			[]string{"10"},
		},
		"a failed write has written a part": {
			func(m *Mem, f File) error {
				m.Fail(failing("write"))
				if err := f.Write("", ones(2*sector), 0); !errors.Is(err, ErrInjected) {
					return fmt.Errorf("the write: %v", err)
				}
				m.Fail(nil)
				return f.Sync("")
			},
			[]string{"10"},
		},
		"a full disk has taken what fitted": {
			func(m *Mem, f File) error {
				m.Space(sector)
				if err := f.Write("", ones(3*sector), sector); !errors.Is(err, syscall.ENOSPC) {
					return fmt.Errorf("the write: %v", err)
				}
				return f.Sync("")
			},
			[]string{"011"},
		},
		"a removal is lost or survives": {
			func(m *Mem, _ File) error { return m.Remove("", "/d/f") },
			[]string{"00", "-"},
		},
		"a synced removal survives": {
			func(m *Mem, _ File) error { return errors.Join(m.Remove("", "/d/f"), m.SyncDir("", "/d")) },
			[]string{"-"},
		},
		"a file that replaces another has its content, or not, whatever became of the name": {
			func(m *Mem, _ File) error {
				f, err := m.Create("", "/d/g")
				return errors.Join(err, f.Write("", ones(sector), 0), m.Rename("", "/d/g", "/d/f"))
			},
			[]string{"00", "", "1"},
		},
		"a file that replaces another after its sync has all or nothing": {
			func(m *Mem, _ File) error {
				f, err := m.Create("", "/d/g")
				return errors.Join(err, f.Write("", ones(sector), 0), f.Sync(""), m.Rename("", "/d/g", "/d/f"))
			},
			[]string{"00", "1"},
		},
		"killing the process loses nothing and saves nothing": {
			func(m *Mem, f File) error {
				err := f.Write("", ones(sector), 0)
				m.Kill()
				if data, readErr := ReadFile(m, "", "/d/f", 1<<20); readErr != nil || data[0] != 1 {
					return fmt.Errorf("the next process reads %v, %v", data[:1], readErr)
				}
				return err
			},
			[]string{"00", "10"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := contents(t, func() *Mem {
				m, f := disk(t, 2)
				if err := c.leave(m, f); err != nil {
					t.Fatal(err)
				}
				return m
			})
			for _, want := range c.want {
				if seen[want] == 0 {
					t.Errorf("%q never comes out: %v", want, seen)
				}
			}
			if len(seen) != len(c.want) {
				t.Errorf("comes out: %v, want %q only", seen, c.want)
			}
		})
	}
}

func failing(call string) func(string, string, string) error {
	return func(_, c, _ string) error {
		if c == call {
			return ErrInjected
		}
		return nil
	}
}

func TestMem_EveryCallCanFail(t *testing.T) {
	for call, do := range map[string]func(*Mem, File) error{
		"mkdir":    func(m *Mem, _ File) error { return m.MkdirAll("", "/d") },
		"lock":     func(m *Mem, _ File) error { _, err := m.Lock("", "/d/lock"); return err },
		"readdir":  func(m *Mem, _ File) error { _, err := m.ReadDir("", "/d"); return err },
		"create":   func(m *Mem, _ File) error { _, err := m.Create("", "/d/g"); return err },
		"open":     func(m *Mem, _ File) error { _, err := m.Open("", "/d/f"); return err },
		"read":     func(_ *Mem, f File) error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"size":     func(_ *Mem, f File) error { _, err := f.Size(); return err },
		"write":    func(_ *Mem, f File) error { return f.Write("", ones(1), 0) },
		"truncate": func(_ *Mem, f File) error { return f.Truncate("", 0) },
		"allocate": func(_ *Mem, f File) error { return f.Allocate("", 9) },
		"sync":     func(_ *Mem, f File) error { return f.Sync("") },
		"close":    func(_ *Mem, f File) error { return f.Close() },
		"rename":   func(m *Mem, _ File) error { return m.Rename("", "/d/f", "/d/g") },
		"remove":   func(m *Mem, _ File) error { return m.Remove("", "/d/f") },
		"syncdir":  func(m *Mem, _ File) error { return m.SyncDir("", "/d") },
	} {
		m, f := disk(t, 1)
		m.Fail(failing(call))
		if err := do(m, f); !errors.Is(err, ErrInjected) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestMem_HandlesAndLocksDieWithTheProcess(t *testing.T) {
	for name, end := range map[string]func(*Mem){
		"kill":  (*Mem).Kill,
		"crash": func(m *Mem) { m.Crash(rand.New(rand.NewPCG(1, 1))) },
	} {
		m, f := disk(t, 1)
		old, err := m.Lock("", "/d/lock")
		if err != nil {
			t.Fatal(err)
		}
		end(m)
		for call, err := range map[string]error{"write": f.Write("", ones(1), 0), "sync": f.Sync(""), "truncate": f.Truncate("", 0)} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s, %s on an old handle: %v", name, call, err)
			}
		}
		if _, err := m.Lock("", "/d/lock"); err != nil {
			t.Errorf("%s: the lock is still held: %v", name, err)
		}
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Lock("", "/d/lock"); err == nil {
			t.Errorf("%s: the dead process let go of the new one's lock", name)
		}
	}
}

func TestMem_FlipHarmsWhatIsDurable(t *testing.T) {
	m, _ := disk(t, 1)
	m.Flip("/d/f", 7, 3)
	if got := m.Synced("/d/f")[7]; got != 1<<3 {
		t.Errorf("the byte is %b", got)
	}
}
