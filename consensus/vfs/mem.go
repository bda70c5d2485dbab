package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
)

// sector is what a disk writes whole, or not at all.
const sector = 512

// ErrInjected is what Fail injects unless told otherwise.
var ErrInjected = errors.New("injected disk error")

// Mem is a file system in memory with the faults of a disk: unsynced sectors survive a crash in any subset, names that were
// not synced with their directory are lost, a failed sync drops what it should have written, space runs out.
// It is safe for concurrent use.
type Mem struct {
	mu    sync.Mutex
	names map[string]*memNode // as processes see them
	solid map[string]*memNode // as they are after a crash
	dirs  map[string]bool
	locks map[string]bool
	fail  func(op, call, name string) error
	space int64 // bytes left; negative: endless
	epoch int   // of the last crash: handles of earlier ones are dead
}

type memNode struct {
	data, synced []byte
	dirty        map[int64]bool // sectors that differ from synced
}

// NewMem makes an empty file system.
func NewMem() *Mem {
	return &Mem{names: map[string]*memNode{}, solid: map[string]*memNode{}, dirs: map[string]bool{}, locks: map[string]bool{}, space: -1}
}

// Fail has f asked before each call ("create", "write", "sync", "rename", "remove", "syncdir", "truncate", "open") with the
// operation's name; an error is returned in the call's place. A failed write may have written a part; a failed sync drops its sectors.
func (m *Mem) Fail(f func(op, call, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// Space limits how many more bytes files may grow by; negative: endless.
func (m *Mem) Space(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = n
}

// Crash forgets what was not synced: of each file any subset of the unsynced sectors survives, of the names those that were
// synced and any subset of the others. All open files and locks are dead afterwards.
func (m *Mem) Crash(rng *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.locks = map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(union(m.names, m.solid))) {
		now, was := m.names[name], m.solid[name]
		if now != was && rng.IntN(2) == 0 {
			if now == nil {
				delete(m.solid, name)
			} else {
				m.solid[name] = now
			}
		}
	}
	m.names = maps.Clone(m.solid)
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		m.names[name].crash(rng)
	}
}

func union(a, b map[string]*memNode) map[string]*memNode {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func (n *memNode) crash(rng *rand.Rand) {
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		if rng.IntN(2) == 0 {
			n.settle(s)
		}
	}
	n.data, n.dirty = bytes.Clone(n.synced), nil
}

// settle makes one sector durable; the file may grow by it.
func (n *memNode) settle(s int64) {
	from, to := s*sector, min((s+1)*sector, int64(len(n.data)))
	if from >= to {
		return
	}
	if int64(len(n.synced)) < to {
		n.synced = append(n.synced, make([]byte, to-int64(len(n.synced)))...)
	}
	copy(n.synced[from:to], n.data[from:to])
}

// Flip damages one bit of what is durable, as a bad disk would.
func (m *Mem) Flip(name string, off int64, bit uint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[name]
	n.data[off] ^= 1 << bit
	n.synced[off] ^= 1 << bit
}

// Synced is what a file would hold after a crash that loses all that may be lost.
func (m *Mem) Synced(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.solid[name]; n != nil {
		return bytes.Clone(n.synced)
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

func (m *Mem) Create(op, name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "create", name); err != nil {
		return nil, err
	}
	n := &memNode{dirty: map[int64]bool{}}
	m.names[name] = n
	return &memFile{fs: m, name: name, node: n, epoch: m.epoch}, nil
}

func (m *Mem) Open(op, name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "open", name); err != nil {
		return nil, err
	}
	n := m.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{fs: m, name: name, node: n, epoch: m.epoch}, nil
}

func (m *Mem) Rename(op, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "rename", from); err != nil {
		return err
	}
	n := m.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	m.names[to] = n
	delete(m.names, from)
	return nil
}

func (m *Mem) Remove(op, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "remove", name); err != nil {
		return err
	}
	if m.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(m.names, name)
	return nil
}

func (m *Mem) ReadDir(_, dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		if filepath.Dir(name) == filepath.Clean(dir) {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

func (m *Mem) MkdirAll(_, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs[dir] = true
	return nil
}

func (m *Mem) SyncDir(op, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(op, "syncdir", dir); err != nil {
		return err
	}
	for name := range union(m.names, m.solid) {
		if filepath.Dir(name) != filepath.Clean(dir) {
			continue
		}
		if n := m.names[name]; n != nil {
			m.solid[name] = n
		} else {
			delete(m.solid, name)
		}
	}
	return nil
}

func (m *Mem) Lock(_, name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, fmt.Errorf("%s is held by another process", name)
	}
	m.locks[name] = true
	return memLock{m, name, m.epoch}, nil
}

type memLock struct {
	fs    *Mem
	name  string
	epoch int
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.epoch == l.fs.epoch {
		delete(l.fs.locks, l.name)
	}
	return nil
}

// memFile is a handle; after a crash it fails.
type memFile struct {
	fs    *Mem
	name  string
	node  *memNode
	epoch int
}

// enter locks the file system for one call; the caller unlocks.
func (f *memFile) enter(op, call string) error {
	f.fs.mu.Lock()
	if f.epoch != f.fs.epoch {
		return fmt.Errorf("%s: opened before the crash: %w", f.name, fs.ErrClosed)
	}
	return f.fs.ask(op, call, f.name)
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.enter("", "read"); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.Write("", p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *memFile) Write(op string, p []byte, off int64) error {
	defer f.fs.mu.Unlock()
	err := f.enter(op, "write")
	if err != nil && !errors.Is(err, fs.ErrClosed) {
		f.put(p[:len(p)/2], off) // a failed write may have written a part
	}
	if err != nil {
		return err
	}
	return f.put(p, off)
}

// put is called with the lock held.
func (f *memFile) put(p []byte, off int64) error {
	n := f.node
	if grow := off + int64(len(p)) - int64(len(n.data)); grow > 0 {
		if f.fs.space >= 0 && grow > f.fs.space {
			return &fs.PathError{Op: "write", Path: f.name, Err: errNoSpace}
		}
		if f.fs.space >= 0 {
			f.fs.space -= grow
		}
		n.data = append(n.data, make([]byte, grow)...)
	}
	copy(n.data[off:], p)
	if n.dirty == nil {
		n.dirty = map[int64]bool{}
	}
	for s := off / sector; s*sector < off+int64(len(p)); s++ {
		n.dirty[s] = true
	}
	return nil
}

var errNoSpace = errors.New("no space left on device")

func (f *memFile) Size() (int64, error) {
	defer f.fs.mu.Unlock()
	if err := f.enter("", "size"); err != nil {
		return 0, err
	}
	return int64(len(f.node.data)), nil
}

func (f *memFile) Truncate(op string, size int64) error {
	defer f.fs.mu.Unlock()
	if err := f.enter(op, "truncate"); err != nil {
		return err
	}
	n := f.node
	if size < int64(len(n.data)) {
		n.data = n.data[:size:size]
	}
	return f.put(make([]byte, size-int64(len(n.data))), int64(len(n.data)))
}

func (f *memFile) Allocate(op string, size int64) error {
	defer f.fs.mu.Unlock()
	if err := f.enter(op, "allocate"); err != nil {
		return err
	}
	if grow := size - int64(len(f.node.data)); grow > 0 {
		return f.put(make([]byte, grow), int64(len(f.node.data)))
	}
	return nil
}

func (f *memFile) Sync(op string) error {
	defer f.fs.mu.Unlock()
	if err := f.enter(op, "sync"); err != nil {
		if !errors.Is(err, fs.ErrClosed) {
			f.node.dirty = nil // the kernel forgets the pages and reports success next time
		}
		return err
	}
	n := f.node
	for s := range n.dirty {
		n.settle(s)
	}
	n.synced, n.dirty = n.synced[:min(len(n.synced), len(n.data))], nil
	return nil
}

func (f *memFile) Close() error { return nil }
