//go:build unix

package network

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// peek is what client libraries do.
func peek(t *testing.T, c net.Conn) (n int, err error) {
	t.Helper()
	raw, rawErr := c.(syscall.Conn).SyscallConn()
	if rawErr != nil {
		t.Fatal(rawErr)
	}
	if rawErr := raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return true
	}); rawErr != nil {
		t.Fatal(rawErr)
	}
	return n, err
}

func TestSyscallConn_ShowsWhetherSomethingHasArrived(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		if n, err := peek(t, near); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("idle: %d, %v", n, err)
		}
		p.send(far, "x")
		time.Sleep(2 * farthest)
		for range 2 {
			if n, err := peek(t, near); n != 1 || err != nil {
				t.Errorf("a byte has arrived: %d, %v", n, err)
			}
		}
		p.expect(near, "x")
		_ = far.Close()
		time.Sleep(2 * farthest)
		if n, err := peek(t, near); n != 0 || err != nil {
			t.Errorf("the end has arrived: %d, %v", n, err)
		}
	})
}
