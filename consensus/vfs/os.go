package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the real file system.
type OS struct{}

type osFile struct{ *os.File }

// Create removes what was there: it may be a link to somewhere else, or a file that others may read.
func (OS) Create(_, name string) (File, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) Open(_, name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) Rename(_, from, to string) error { return os.Rename(from, to) }
func (OS) Remove(_, name string) error     { return os.Remove(name) }

// MkdirAll syncs the directory above each that it makes.
func (o OS) MkdirAll(op, dir string) error {
	above := filepath.Dir(dir)
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		return o.SyncDir(op, above)
	case errors.Is(err, fs.ErrExist):
		return nil
	case !errors.Is(err, fs.ErrNotExist) || above == dir:
		return err
	}
	if err := o.MkdirAll(op, above); err != nil {
		return err
	}
	return o.MkdirAll(op, dir)
}

func (OS) ReadDir(_, dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (OS) SyncDir(_, dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (OS) Lock(_, name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the lock is the error that counts
		return nil, fmt.Errorf("%s is held by another process: %w", name, err)
	}
	return f, nil
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Truncate(_ string, size int64) error { return f.File.Truncate(size) }

func (f osFile) Write(_ string, p []byte, off int64) error {
	_, err := f.WriteAt(p, off)
	return err
}

func (f osFile) Sync(string) error { return datasync(f.File) }
