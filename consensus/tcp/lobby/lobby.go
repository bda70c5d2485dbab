// Package lobby bounds how many connections there are of which nobody knows yet who is at the other end. One more is let in, and another one has to go:
// the one that has waited longest of the address that has most of them. So whoever opens very many connections, or opens them and says nothing, is in his own
// way, and not in that of others, who need a moment only.
package lobby

import (
	"net"
	"slices"
	"sync"
)

// Lobby is where they wait. Its zero value lets nobody wait.
type Lobby struct {
	Most int // at a time

	mu      sync.Mutex
	waiting []*Guest // in the order in which they came
	by      map[string]int
	evicted uint64
}

// Guest is one who waits.
type Guest struct {
	lobby  *Lobby
	source string
	leave  func()
	gone   bool // is no guest any more; guarded by the lobby's mutex
}

// Enter lets a connection in. When it has to go, leave is called, once: it closes the connection, and must not wait.
func (l *Lobby) Enter(conn net.Conn, leave func()) *Guest {
	g := &Guest{lobby: l, source: source(conn.RemoteAddr()), leave: leave}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]int{}
	}
	l.waiting = append(l.waiting, g)
	l.by[g.source]++
	if len(l.waiting) > l.Most {
		victim := l.victim()
		l.remove(victim)
		l.evicted++
		victim.leave()
	}
	return g
}

// Known says that it is known now who it is, or that the connection has ended; it may be called more than once. False: it had to go.
func (g *Guest) Known() bool {
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	if g.gone {
		return false
	}
	g.lobby.remove(g)
	return true
}

// Count is how many wait, and how many had to go.
func (l *Lobby) Count() (waiting int, evicted uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting), l.evicted
}

func (l *Lobby) victim() *Guest {
	most := 0
	for _, n := range l.by {
		most = max(most, n)
	}
	return l.waiting[slices.IndexFunc(l.waiting, func(g *Guest) bool { return l.by[g.source] == most })]
}

func (l *Lobby) remove(g *Guest) {
	at := slices.Index(l.waiting, g)
	l.waiting = slices.Delete(l.waiting, at, at+1)
	if l.by[g.source]--; l.by[g.source] == 0 {
		delete(l.by, g.source)
	}
	g.gone = true
}

// source is the address without the port. Whoever has an IPv6 network has very many addresses in it.
func source(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return ""
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip.String()
	}
	return network.String()
}
