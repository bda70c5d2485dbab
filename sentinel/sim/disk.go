package sim

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"picket/consensus/vfs"
	"picket/sentinel/sim/network"
)

// disk is a machine's file system as one process has it: it ends with the process, stands still while that is frozen, and takes time to
// write through.
type disk struct {
	fs      vfs.FS
	process *network.Process
	slow    *atomic.Int64 // how long a sync takes, in nanoseconds
}

var errKilled = errors.New("the process was killed")

// gate lets a living process through.
func (d disk) gate() error {
	if !d.process.Wait() {
		return errKilled
	}
	return nil
}

// sync is gate for what waits for the disk.
func (d disk) sync() error {
	if err := d.gate(); err != nil {
		return err
	}
	time.Sleep(time.Duration(d.slow.Load()))
	return d.gate()
}

func (d disk) Create(op, name string) (vfs.File, error) {
	return d.file(func() (vfs.File, error) { return d.fs.Create(op, name) })
}

func (d disk) Open(op, name string) (vfs.File, error) {
	return d.file(func() (vfs.File, error) { return d.fs.Open(op, name) })
}

func (d disk) file(open func() (vfs.File, error)) (vfs.File, error) {
	if err := d.gate(); err != nil {
		return nil, err
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	return file{f, d}, nil
}

func (d disk) Rename(op, from, to string) error {
	if err := d.gate(); err != nil {
		return err
	}
	return d.fs.Rename(op, from, to)
}

func (d disk) Remove(op, name string) error {
	if err := d.gate(); err != nil {
		return err
	}
	return d.fs.Remove(op, name)
}

func (d disk) ReadDir(op, dir string) ([]string, error) {
	if err := d.gate(); err != nil {
		return nil, err
	}
	return d.fs.ReadDir(op, dir)
}

func (d disk) MkdirAll(op, dir string) error {
	if err := d.gate(); err != nil {
		return err
	}
	return d.fs.MkdirAll(op, dir)
}

func (d disk) SyncDir(op, dir string) error {
	if err := d.sync(); err != nil {
		return err
	}
	return d.fs.SyncDir(op, dir)
}

func (d disk) Lock(op, name string) (io.Closer, error) {
	if err := d.gate(); err != nil {
		return nil, err
	}
	return d.fs.Lock(op, name)
}

// file is an open one of a disk.
type file struct {
	vfs.File
	disk disk
}

func (f file) Write(op string, p []byte, off int64) error {
	if err := f.disk.gate(); err != nil {
		return err
	}
	return f.File.Write(op, p, off)
}

// maxReserved is as much as a file really takes ahead of its use: what the log reserves for each of its segments would be cleared and copied
// for every agent that starts.
const maxReserved = 64 << 10

// Allocate reserves less than it is told; a file grows by itself.
func (f file) Allocate(op string, size int64) error {
	return f.File.Allocate(op, min(size, maxReserved))
}

func (f file) Sync(op string) error {
	if err := f.disk.sync(); err != nil {
		return err
	}
	return f.File.Sync(op)
}
