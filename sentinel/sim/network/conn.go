package network

import (
	"net"
	"net/netip"
	"time"
)

// conn is one end of a connection; it implements net.Conn. in and out are the peer's out and in.
type conn struct {
	process       *Process
	host          *Host
	peer          *conn
	local, remote netip.AddrPort
	in, out       *stream

	// Guarded by the network's mu:
	closed   bool
	vanished bool // its host went down
}

// pair makes a connection between two processes. It is called with the network's mu held.
func pair(from, to *Process, local, remote netip.AddrPort) (near, far *conn) {
	n := from.host.net
	forth, back := n.path(from.host, to.host), n.path(to.host, from.host)
	there, here := newStream(n.random.Uint64(), forth), newStream(n.random.Uint64(), back)
	near = &conn{process: from, host: from.host, local: local, remote: remote, in: here, out: there}
	far = &conn{process: to, host: to.host, local: remote, remote: local, in: there, out: here}
	near.peer, far.peer = far, near
	for _, c := range []*conn{near, far} {
		c.process.conns[c] = struct{}{}
		c.host.conns[c] = struct{}{}
	}
	forth.streams[there], back.streams[here] = struct{}{}, struct{}{}
	return near, far
}

// orNil keeps a nil connection from becoming a net.Conn that is not nil.
func (c *conn) orNil() net.Conn {
	if c == nil {
		return nil
	}
	return c
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(c.process, b)
	if err != nil {
		return n, c.error("read", err)
	}
	return n, nil
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(c.process, c.in, b)
	if err != nil {
		return n, c.error("write", err)
	}
	return n, nil
}

func (c *conn) Close() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.error("close", net.ErrClosed)
	}
	c.close()
	return nil
}

// close is called with the network's mu held.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.in.abandon()
	if !c.vanished {
		c.out.finish()
		c.forget()
	}
}

// vanish cuts the end off without a word. It is called with the network's mu held.
func (c *conn) vanish() {
	if !c.closed {
		c.vanished = true
		c.in.abandon()
		c.out.mute()
	}
}

// forget removes what is known of this end; of the streams, when both ends are gone. It is called with the network's mu held.
func (c *conn) forget() {
	c.closed = true
	delete(c.process.conns, c)
	delete(c.host.conns, c)
	if c.peer.closed {
		n := c.host.net
		delete(n.path(c.host, c.peer.host).streams, c.out)
		delete(n.path(c.peer.host, c.host).streams, c.in)
	}
}

func (c *conn) error(op string, err error) error {
	if op == "read" && isEOF(err) {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.readers.until(t)
	c.out.writers.until(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.readers.until(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writers.until(t)
	return nil
}
