//go:build unix

package network

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// A client library that keeps connections looks at a socket before it uses it again: has it ended, or does it hold something that nobody
// asked for? It does that with the file descriptor, so there is a real socket in each of the three states, to be shown in place of one that
// does not exist.
type standIns struct{ idle, full, ended int }

var standing = sync.OnceValue(func() standIns {
	pair := func(prepare func(peer int) error) int {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err == nil {
			err = errors.Join(syscall.SetNonblock(fds[0], true), prepare(fds[1]))
		}
		if err != nil {
			panic(fmt.Sprintf("network: make a socket: %v", err))
		}
		return fds[0]
	}
	return standIns{
		idle: pair(func(int) error { return nil }),
		full: pair(func(peer int) error {
			_, err := syscall.Write(peer, []byte{0})
			return err
		}),
		ended: pair(syscall.Close),
	}
})

// SyscallConn implements syscall.Conn, for those who only look.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return peephole{c.in}, nil }

// peephole implements syscall.RawConn.
type peephole struct{ in *stream }

var errOnlyLook = errors.New("there is no socket")

// Read shows a socket in the state of the stream. f must not take anything from it.
func (p peephole) Read(f func(fd uintptr) bool) error {
	f(uintptr(p.in.standIn()))
	return nil
}

func (peephole) Write(func(fd uintptr) bool) error { return errOnlyLook }
func (peephole) Control(func(fd uintptr)) error    { return errOnlyLook }

func (s *stream) standIn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch head := s.head(); {
	case s.abandoned || s.arrived(head, time.Now()) && head.end != nil:
		return standing().ended
	case s.arrived(head, time.Now()):
		return standing().full
	}
	return standing().idle
}
