package tcp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// userTimeout ends a connection whose peer acknowledges nothing for so long. An accepted one inherits it.
func userTimeout(_, _ string, c syscall.RawConn) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	}); controlErr != nil {
		return controlErr
	}
	return err
}
