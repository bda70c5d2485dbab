package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// openNamespace opens what stands for a network namespace that iproute2 has made.
func openNamespace(name string) (*os.File, error) { return os.Open(filepath.Join("/run/netns", name)) }

// inNamespace runs f on a thread that is in the namespace. What f opens stays there.
func inNamespace(namespace *os.File, f func() error) error {
	done := make(chan error, 1)
	go func() { // ends with f; its thread, which nothing else may use after this, ends with it
		runtime.LockOSThread()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter %s: %w", namespace.Name(), err)
			return
		}
		done <- f()
	}()
	return <-done
}
