//go:build !linux

package lab

import "os"

// openNamespace has nothing to open: there is no network without Linux.
func openNamespace(string) (*os.File, error) { return nil, ErrNoNetwork }

func inNamespace(*os.File, func() error) error { return ErrNoNetwork }
