package network

import (
	"net/netip"
	"time"
)

// Host is a machine with an address. Its fields are guarded by the network's mu.
type Host struct {
	net       *Network
	addr      netip.Addr
	down      bool
	listeners map[uint16]*listener
	conns     map[*conn]struct{} // that end here, open or vanished
	lastPort  uint16
}

// Addr is its address.
func (h *Host) Addr() string { return h.addr.String() }

// Process starts a process: what it opens is closed when it is killed.
func (h *Host) Process() *Process {
	return &Process{host: h, listeners: map[*listener]struct{}{}, conns: map[*conn]struct{}{}}
}

// Down takes the power away: nothing leaves or reaches the host any more, and nobody is told. Its processes must be killed after it.
func (h *Host) Down() {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.down = true
	for c := range h.conns {
		c.vanish()
	}
	clear(h.listeners)
	n.news()
}

// Up brings the host back. It knows nothing of the connections that it had, and says so to those who still believe in them.
func (h *Host) Up() {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.down = false
	for c := range h.conns {
		if c.vanished {
			p := n.path(h, c.peer.host)
			c.out.reset(time.Now().Add(p.delay + time.Duration(n.random.Int64N(int64(time.Second)))))
			c.forget()
		}
	}
	n.news()
}

// port draws a free one. It is called with mu held.
func (h *Host) port() uint16 {
	for h.lastPort++; h.listeners[h.lastPort] != nil || h.lastPort < 32768; h.lastPort++ {
	}
	return h.lastPort
}
