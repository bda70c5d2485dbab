package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread that is in a network namespace of iproute2's. What f opens stays there.
func inNamespace(name string, f func() error) error {
	done := make(chan error, 1)
	go func() { // ends with f; its thread, which nothing else may use after this, ends with it
		runtime.LockOSThread()
		err := enter(name)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// enter puts the calling thread into a network namespace.
func enter(name string) error {
	namespace, err := os.Open(filepath.Join("/run/netns", name))
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}
