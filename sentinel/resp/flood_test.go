package resp

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"picket/config"
)

// heap is what is in use, after what is not has gone.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestFlood_OfGuests: very many connections without a password cost little memory, and keep nobody out who has one.
func TestFlood_OfGuests(t *testing.T) {
	own, pool := identity(t)
	s := start(t, Config{
		Door: config.Door{Password: "secret"}, TLSAddr: "127.0.0.1:0",
		TLS: &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12},
	})
	member := dial(t, s.Addr().String())
	send(t, member, "AUTH secret\r\n")
	expect(t, member, "+OK\r\n")
	before := heap()
	const connections = 3 * maxGuests
	half := "*10\r\n$4000\r\n" + strings.Repeat("x", 3900)
	// The largest message of TLS that is waited for, a client's certificate, is one that must be asked for: what a stranger begins with is shorter.
	hello := append([]byte{22, 3, 1, 0x40, 0}, append([]byte{1, 0, 0xff, 0}, make([]byte, 8<<10)...)...)
	for i := range connections {
		conn := dial(t, s.listeners[i%2].Addr().String())
		text := half
		if i%2 == 1 {
			text = string(hello)
		}
		_, _ = io.WriteString(conn, text) // it may have to go already
	}
	await(t, "those that are too many have gone", func() bool { return s.connected() <= maxGuests+1 && s.traffic.accepted.Load() > connections })
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("%d guests cost %d KiB", connections, grown>>10)
	} else {
		t.Logf("%d guests, of whom %d may stay, cost %d KiB, both sides together", connections, maxGuests, grown>>10)
	}
	send(t, member, "PING\r\n")
	expect(t, member, "+PONG\r\n")
	late := dial(t, s.Addr().String())
	send(t, late, "AUTH secret\r\nPING\r\n")
	expect(t, late, "+OK\r\n+PONG\r\n")
}

// TestFlood_OfReplies: what waits for all clients together is bounded. Whoever has asked for more is not read before others have read, or are gone.
func TestFlood_OfReplies(t *testing.T) {
	s := start(t, Config{})
	s.budget.mu.Lock()
	s.budget.most = 1 << 20
	s.budget.mu.Unlock()
	reply := len(exchange(t, s.Addr().String(), "COMMAND\r\nQUIT\r\n"))
	const clients = 100
	var conns []net.Conn
	for range clients {
		conn := dial(t, s.Addr().String())
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)                                   // fails only when it is closed
		go func() { _, _ = io.WriteString(conn, strings.Repeat("COMMAND\r\n", 1000)) }() // ends with the connection
		conns = append(conns, conn)
	}
	waits := func() int {
		s.budget.mu.Lock()
		defer s.budget.mu.Unlock()
		return s.budget.bytes
	}
	await(t, "the budget is spent", s.budget.spent)
	if got, most := waits(), 1<<20+clients*reply; got > most {
		t.Errorf("%d bytes wait, and must not be more than %d", got, most)
	}
	for _, conn := range conns {
		_ = conn.Close() // they are gone
	}
	await(t, "nothing waits", func() bool { return waits() == 0 })
	if got := exchange(t, s.Addr().String(), "PING\r\nQUIT\r\n"); got != "+PONG\r\n+OK\r\n" {
		t.Errorf("afterwards: %q", got)
	}
}
