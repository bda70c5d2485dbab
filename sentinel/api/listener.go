package api

import (
	"net"
	"net/netip"
	"sync"
)

// So many connections may be open at a time: of one other host, of all other hosts, and of this host's own programs, whom a flood from elsewhere
// does not keep out. All who come by way of one proxy, or from one network of IPv6, share an address. A connection that is one too many is closed at once.
const (
	maxPerSource = 128
	maxRemote    = 512
	maxLocal     = 256
)

// limited is a listener that keeps to the limits.
type limited struct {
	net.Listener

	mu     sync.Mutex
	by     map[netip.Prefix]int
	remote int
	local  int
}

func limit(l net.Listener) *limited { return &limited{Listener: l, by: map[netip.Prefix]int{}} }

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := source(c.RemoteAddr().String())
		if l.enter(from) {
			return &counted{Conn: c, leave: func() { l.leave(from) }}, nil
		}
		_ = c.Close() // there are too many
	}
}

func (l *limited) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remote + l.local
}

func (l *limited) enter(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from.Addr().IsLoopback() {
		if l.local >= maxLocal {
			return false
		}
		l.local++
		return true
	}
	if l.remote >= maxRemote || l.by[from] >= maxPerSource {
		return false
	}
	l.remote++
	l.by[from]++
	return true
}

func (l *limited) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from.Addr().IsLoopback() {
		l.local--
		return
	}
	l.remote--
	if l.by[from]--; l.by[from] == 0 {
		delete(l.by, from)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.once.Do(c.leave)
	return c.Conn.Close()
}
