package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// ErrInjected is what Fail injects unless told otherwise.
var ErrInjected = errors.New("injected disk error")

// Mem is a file system in memory with the faults of a machine and a disk:
//
//   - A crash keeps of each file any subset of the sectors that were not synced, and of each directory any
//     subset of the names that were created, renamed or removed since it was synced; a name's fate says nothing
//     about its content's. With Garble, a sector that was being written may hold neither the old nor the new.
//   - A process that is killed loses nothing that it wrote, but also leaves what it did not sync.
//   - A sync that fails drops what it should have written: later reads show it, later syncs succeed, and it is
//     not durable.
//   - Any call can fail; space can run out in the middle of a write; a bit can flip in what was durable.
//
// Handles and locks die with the process. It is safe for concurrent use.
type Mem struct {
	mu     sync.Mutex
	names  map[string]*memNode // as processes see them
	solid  map[string]*memNode // as they are after a crash that loses all that may be lost
	locks  map[string]bool
	fail   func(op, call, name string) error
	space  int64 // bytes left; negative: endless
	garble bool
	life   int // of the process: handles of earlier ones are dead
}

// NewMem makes an empty file system.
func NewMem() *Mem {
	return &Mem{names: map[string]*memNode{}, solid: map[string]*memNode{}, locks: map[string]bool{}, space: -1}
}

// Fail has f asked before each call ("mkdir", "lock", "readdir", "create", "open", "read", "size", "write",
// "truncate", "allocate", "sync", "close", "rename", "remove", "syncdir") with the operation's name; an error
// is returned in the call's place. Of a failed write the first half is written; a failed sync drops its
// sectors.
func (m *Mem) Fail(f func(op, call, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// Space limits how many more bytes files may grow by; negative: endless. A write that does not fit is cut
// short.
func (m *Mem) Space(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = n
}

// Garble has crashes leave garbage in some of the sectors that were not synced. Bytes that the write did not
// change are not harmed.
func (m *Mem) Garble(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.garble = on
}

// Kill ends the process, not the machine: open files and locks are dead, nothing is lost and nothing becomes
// durable.
func (m *Mem) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kill()
}

func (m *Mem) kill() {
	m.life++
	m.locks = map[string]bool{}
}

// Crash stops the machine: what was not synced survives in parts. All open files and locks are dead
// afterwards.
func (m *Mem) Crash(rng *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kill()
	for _, name := range slices.Sorted(maps.Keys(union(m.names, m.solid))) {
		if m.names[name] != m.solid[name] && rng.IntN(2) == 0 {
			m.settle(name)
		}
	}
	m.names = maps.Clone(m.solid)
	crashed := map[*memNode]bool{} // a file may have two names, half renamed
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		if n := m.names[name]; !crashed[n] {
			n.crash(rng, m.garble)
			crashed[n] = true
		}
	}
}

// settle makes durable what a name stands for now.
func (m *Mem) settle(name string) {
	if n := m.names[name]; n != nil {
		m.solid[name] = n
	} else {
		delete(m.solid, name)
	}
}

// Flip damages one bit of what is durable, as a bad disk would.
func (m *Mem) Flip(name string, off int64, bit uint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[name]
	n.data[off] ^= 1 << bit
	n.synced[off] ^= 1 << bit
}

// Synced is what a file would hold after a crash that loses all that may be lost; nil: it would not exist.
func (m *Mem) Synced(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.solid[name]; n != nil {
		return append([]byte{}, n.synced...)
	}
	return nil
}

// ask is called with mu held.
func (m *Mem) ask(op, call, name string) error {
	if m.fail == nil {
		return nil
	}
	if err := m.fail(op, call, name); err != nil {
		return &fs.PathError{Op: call, Path: name, Err: err}
	}
	return nil
}

// lookup finds the file of a name for a call that needs it; mu is held.
func (m *Mem) lookup(op, call, name string) (*memNode, error) {
	if err := m.ask(op, call, name); err != nil {
		return nil, err
	}
	if n := m.names[name]; n != nil {
		return n, nil
	}
	return nil, &fs.PathError{Op: call, Path: name, Err: fs.ErrNotExist}
}

func (m *Mem) Create(op, name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "create", name); err != nil {
		return nil, err
	}
	if m.space == 0 {
		return nil, &fs.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
	}
	n := &memNode{}
	m.names[name] = n
	return &memFile{fs: m, name: name, node: n, life: m.life}, nil
}

func (m *Mem) Open(op, name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(op, "open", name)
	if err != nil {
		return nil, err
	}
	return &memFile{fs: m, name: name, node: n, life: m.life}, nil
}

func (m *Mem) Rename(op, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(op, "rename", from)
	if err != nil {
		return err
	}
	m.names[to] = n
	delete(m.names, from)
	return nil
}

func (m *Mem) Remove(op, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.lookup(op, "remove", name); err != nil {
		return err
	}
	delete(m.names, name)
	return nil
}

func (m *Mem) ReadDir(op, dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "readdir", dir); err != nil {
		return nil, err
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		if below, ok := strings.CutPrefix(name, filepath.Clean(dir)+"/"); ok {
			first, _, _ := strings.Cut(below, "/")
			names = append(names, first)
		}
	}
	slices.Sort(names) // a directory's files need not stand where its name does
	return slices.Compact(names), nil
}

// MkdirAll has nothing to make: a directory is where its files are.
func (m *Mem) MkdirAll(op, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ask(op, "mkdir", dir)
}

func (m *Mem) SyncDir(op, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "syncdir", dir); err != nil {
		return err
	}
	for name := range union(m.names, m.solid) {
		if filepath.Dir(name) == filepath.Clean(dir) {
			m.settle(name)
		}
	}
	return nil
}

func (m *Mem) Lock(op, name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "lock", name); err != nil {
		return nil, err
	}
	if m.locks[name] {
		return nil, fmt.Errorf("%s is held by another process", name)
	}
	m.locks[name] = true
	return memLock{m, name, m.life}, nil
}

type memLock struct {
	fs   *Mem
	name string
	life int
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.life == l.fs.life {
		delete(l.fs.locks, l.name)
	}
	return nil
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := make(map[K]V, len(a)+len(b))
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}
