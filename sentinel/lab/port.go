package lab

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
)

// Ports come from below the range that kernels use for outgoing connections, so that nobody takes the port of a
// server while it is down.
const (
	firstPort = 11000
	lastPort  = 31999
)

// Port reserves a free loopback TCP port until the lab closes.
func (l *Lab) Port() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		reservation := reserve(port)
		if reservation == nil {
			continue
		}
		l.mu.Lock()
		l.ports = append(l.ports, reservation)
		l.mu.Unlock()
		return port, nil
	}
	return 0, fmt.Errorf("reserve a port: none free between %d and %d", firstPort, lastPort)
}

// reserve holds the UDP port of the same number: other labs on the machine see it taken, and the kernel frees it
// even when this process is killed. It returns nil when somebody else has the port.
func reserve(port int) io.Closer {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	reservation, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		_ = reservation.Close()
		return nil
	}
	_ = listener.Close()
	return reservation
}
