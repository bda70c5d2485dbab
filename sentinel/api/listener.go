package api

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// So many connections may be open at a time: of one other host, of all other hosts, and of this host's own programs, whom a flood from elsewhere
// does not keep out. All who come by way of one proxy, or from one network of IPv6, share an address. Where there are too many, the one goes that has been
// without a request for the longest time, of those that count for the same limit; if all are busy, the new one is closed at once.
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
	idle   map[*counted]time.Time // since when
}

func limit(l net.Listener) *limited {
	return &limited{Listener: l, by: map[netip.Prefix]int{}, idle: map[*counted]time.Time{}}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := source(c.RemoteAddr().String())
		if !l.enter(from) {
			if old := l.longest(from); old != nil {
				_ = old.Close() // it had no request
			}
			if !l.enter(from) {
				_ = c.Close() // there are too many
				continue
			}
		}
		return &counted{Conn: c, from: from, of: l}, nil
	}
}

// state is told by net/http.
func (l *limited) state(conn net.Conn, s http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*counted)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.idle, c); s == http.StateIdle {
		l.idle[c] = time.Now()
	}
}

// longest is the connection that has been without a request for the longest time, of those that keep out one from an address; nil: there is none.
func (l *limited) longest(from netip.Prefix) (old *counted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, since := range l.idle {
		same := c.from == from || l.by[from] < maxPerSource
		if c.from.Addr().IsLoopback() == from.Addr().IsLoopback() && same && (old == nil || since.Before(l.idle[old])) {
			old = c
		}
	}
	delete(l.idle, old)
	return old
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
	from netip.Prefix
	of   *limited
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.once.Do(func() { c.of.leave(c.from) })
	return c.Conn.Close()
}
