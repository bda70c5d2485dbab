package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Allocate saves each later sync the work of growing the file.
func (f osFile) Allocate(_ string, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// datasync syncs the content and what is needed to read it back, but no time stamps.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
