package lab

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"

	"picket/config"
)

// Ports come from below the range that kernels use for outgoing connections, so that nobody takes the port of a
// server while it is down.
const (
	firstPort = 11000
	lastPort  = 31999
)

// The usual ports, on hosts of their own.
const (
	redisPort    = 6379
	SentinelPort = 26379 // of an agent and of a Redis Sentinel
	peersPort    = 26380
	httpPort     = 26381
)

// Port reserves a free loopback TCP port until the lab closes.
func (l *Lab) Port() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		reservation := reserve(port)
		if reservation == nil {
			continue
		}
		l.hold(reservation)
		return port, nil
	}
	return 0, fmt.Errorf("reserve a port: none free between %d and %d", firstPort, lastPort)
}

// addr gives where a program listens: on a host of its own on the usual port, on loopback on a reserved one.
func (l *Lab) addr(h *Host, loopback string, usual int) (config.Addr, error) {
	if h != nil {
		return config.NewAddr(h.IP(), usual), nil
	}
	port, err := l.Port()
	return config.NewAddr(cmp.Or(loopback, h.IP()), port), err
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
