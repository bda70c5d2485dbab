// Package vfs is the only door to the disk. Calls carry the name of the operation that they are part of, so
// that a test can fail exactly that call; Mem also forgets, at a crash, what was not synced.
package vfs

import (
	"fmt"
	"io"
	"path/filepath"
)

// FS is what a log needs of a file system. Names are paths.
type FS interface {
	// Create makes an empty file for reading and writing, replacing what was there. Its name is durable after
	// SyncDir.
	Create(op, name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(op, name string) (File, error)
	Rename(op, from, to string) error
	Remove(op, name string) error
	// ReadDir lists the names in a directory, sorted.
	ReadDir(op, dir string) ([]string, error)
	// MkdirAll makes a directory, durably, readable by its owner only.
	MkdirAll(op, dir string) error
	// SyncDir makes creations, renames and removals in a directory durable.
	SyncDir(op, dir string) error
	// Lock takes a file that only one process may hold; closing it lets go.
	Lock(op, name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.Closer
	Size() (int64, error)
	// Truncate makes the file shorter.
	Truncate(op string, size int64) error
	// Allocate makes the file at least so large; what it adds is reserved, and reads as zeros. Where that is
	// not possible it does nothing.
	Allocate(op string, size int64) error
	// Write writes all of p, or fails; it may then have written a part.
	Write(op string, p []byte, off int64) error
	// Sync makes the content durable.
	Sync(op string) error
}

// WriteAtomic makes name hold data, or what it held before, whatever happens on the way: temp, write, sync,
// close, rename, sync directory.
func WriteAtomic(fs FS, op, name string, data []byte) error {
	temp := name + ".tmp"
	f, err := fs.Create(op, temp)
	if err != nil {
		return fmt.Errorf("create %s: %w", temp, err)
	}
	err = f.Write(op, data, 0)
	if err == nil {
		err = f.Sync(op)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", temp, err)
	}
	return Publish(fs, op, temp, name)
}

// Publish gives a synced and closed temporary file its final name, durably.
func Publish(fs FS, op, temp, name string) error {
	if err := fs.Rename(op, temp, name); err != nil {
		return fmt.Errorf("rename %s: %w", temp, err)
	}
	if err := fs.SyncDir(op, filepath.Dir(name)); err != nil {
		return fmt.Errorf("sync the directory of %s: %w", name, err)
	}
	return nil
}

// ReadFile reads a file of at most limit bytes.
func ReadFile(fs FS, op, name string, limit int64) ([]byte, error) {
	f, err := fs.Open(op, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", name, err)
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: its %d bytes are more than %d", name, size, limit)
	}
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
