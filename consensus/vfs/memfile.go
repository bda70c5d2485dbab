package vfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

// sector is what a disk writes whole, or not at all.
const sector = 512

// memNode is a file's content, whatever its names.
type memNode struct {
	data   []byte         // as processes see it
	synced []byte         // as it is after a crash that loses all that may be lost
	dirty  map[int64]bool // sectors that the next sync writes
	// dropped are sectors that a failed sync should have written: no later one does, but they may have got
	// through.
	dropped map[int64]bool
	// cut says that the file was truncated, to short at the least, since the last sync.
	cut   bool
	short int
}

func (n *memNode) write(p []byte, off int64) {
	if grow := off + int64(len(p)) - int64(len(n.data)); grow > 0 {
		n.data = append(n.data, make([]byte, grow)...)
	}
	copy(n.data[off:], p)
	if n.dirty == nil {
		n.dirty = map[int64]bool{}
	}
	for s := off / sector; s*sector < off+int64(len(p)); s++ {
		n.dirty[s] = true
		delete(n.dropped, s)
	}
}

func (n *memNode) truncate(size int) {
	if !n.cut || size < n.short {
		n.cut, n.short = true, size
	}
	n.data = n.data[:size:size]
}

func (n *memNode) sync() {
	n.settleCut()
	for s := range n.dirty {
		n.settle(s)
	}
	n.dirty = nil
}

// drop is a sync that failed.
func (n *memNode) drop() {
	n.dropped, n.dirty = union(n.dropped, n.dirty), nil
}

// settleCut makes the truncation durable.
func (n *memNode) settleCut() {
	if n.cut {
		n.synced = n.synced[:min(len(n.synced), n.short)]
	}
	n.cut = false
}

// settle makes one sector durable; the file may grow by it.
func (n *memNode) settle(s int64) {
	from, to := s*sector, min((s+1)*sector, int64(len(n.data)))
	if from < to {
		n.grow(to)
		copy(n.synced[from:to], n.data[from:to])
	}
}

func (n *memNode) grow(to int64) {
	if missing := to - int64(len(n.synced)); missing > 0 {
		n.synced = append(n.synced, make([]byte, missing)...)
	}
}

// crash keeps any subset of what was not synced, and forgets the rest.
func (n *memNode) crash(rng *rand.Rand, garble bool) {
	if n.cut && rng.IntN(2) == 0 {
		n.settleCut()
	}
	pending := union(n.dirty, n.dropped)
	fates := 2
	if garble {
		fates = 3
	}
	for _, s := range slices.Sorted(maps.Keys(pending)) {
		switch rng.IntN(fates) {
		case 1:
			n.settle(s)
		case 2:
			n.spoil(s, rng)
		}
	}
	*n = memNode{data: bytes.Clone(n.synced), synced: n.synced}
}

// spoil leaves in a sector, wherever the write changed it, the old, the new or anything else.
func (n *memNode) spoil(s int64, rng *rand.Rand) {
	from, to := s*sector, min((s+1)*sector, int64(len(n.data)))
	if from >= to {
		return
	}
	n.grow(to)
	for i := from; i < to; i++ {
		if n.synced[i] == n.data[i] {
			continue
		}
		switch rng.IntN(3) {
		case 0:
			n.synced[i] = n.data[i]
		case 1:
			n.synced[i] = byte(rng.Uint32())
		}
	}
}

// memFile is a handle; it dies with its process.
type memFile struct {
	fs   *Mem
	name string
	node *memNode
	life int
}

// enter locks the file system for one call; the caller unlocks. dead tells a handle that has died from a call
// that fails.
func (f *memFile) enter(op, call string) (dead bool, err error) {
	f.fs.mu.Lock()
	if f.life != f.fs.life {
		return true, fmt.Errorf("%s: opened by a process that has died: %w", f.name, fs.ErrClosed)
	}
	return false, f.fs.ask(op, call, f.name)
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if _, err := f.enter("", "read"); err != nil {
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

func (f *memFile) Write(op string, p []byte, off int64) error {
	defer f.fs.mu.Unlock()
	dead, err := f.enter(op, "write")
	if dead {
		return err
	}
	if err != nil {
		_ = f.put("write", p[:len(p)/2], off) // the injected error is the one that counts
		return err
	}
	return f.put("write", p, off)
}

// put writes as much as there is space for. It is called with the lock held.
func (f *memFile) put(call string, p []byte, off int64) error {
	grow := max(0, off+int64(len(p))-int64(len(f.node.data)))
	if f.fs.space >= 0 && grow > f.fs.space {
		fits := max(0, int64(len(p))-(grow-f.fs.space))
		f.fs.space = 0
		f.node.write(p[:fits], off)
		return &fs.PathError{Op: call, Path: f.name, Err: syscall.ENOSPC}
	}
	if f.fs.space >= 0 {
		f.fs.space -= grow
	}
	f.node.write(p, off)
	return nil
}

func (f *memFile) Size() (int64, error) {
	defer f.fs.mu.Unlock()
	if _, err := f.enter("", "size"); err != nil {
		return 0, err
	}
	return int64(len(f.node.data)), nil
}

func (f *memFile) Truncate(op string, size int64) error {
	defer f.fs.mu.Unlock()
	if _, err := f.enter(op, "truncate"); err != nil {
		return err
	}
	f.node.truncate(min(int(size), len(f.node.data)))
	return nil
}

func (f *memFile) Allocate(op string, size int64) error {
	defer f.fs.mu.Unlock()
	if _, err := f.enter(op, "allocate"); err != nil {
		return err
	}
	have := int64(len(f.node.data))
	return f.put("allocate", make([]byte, max(0, size-have)), have)
}

func (f *memFile) Sync(op string) error {
	defer f.fs.mu.Unlock()
	dead, err := f.enter(op, "sync")
	if dead {
		return err
	}
	if err != nil {
		f.node.drop()
		return err
	}
	f.node.sync()
	return nil
}

// Close syncs nothing.
func (f *memFile) Close() error {
	defer f.fs.mu.Unlock()
	if dead, err := f.enter("", "close"); !dead {
		return err
	}
	return nil
}
