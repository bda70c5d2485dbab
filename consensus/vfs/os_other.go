//go:build !linux

package vfs

import "os"

func (f osFile) Allocate(string, int64) error { return nil }

func datasync(f *os.File) error { return f.Sync() }
