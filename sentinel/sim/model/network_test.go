package model

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// loopback is a network of one host, in memory: connections have buffers, as sockets do.
type loopback struct {
	mu        sync.Mutex
	listeners map[string]*listener
	nextPort  int
}

func newLoopback() *loopback { return &loopback{listeners: map[string]*listener{}, nextPort: 50000} }

type listener struct {
	net  *loopback
	addr *net.TCPAddr
	ch   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (n *loopback) Listen(addr string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, syscall.EADDRINUSE
	}
	l := &listener{net: n, addr: at, ch: make(chan net.Conn, 511), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

func (n *loopback) Dial(_ context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[addr]
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ECONNREFUSED)
	}
	n.nextPort++
	near := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.nextPort}
	there, back := newStream(), newStream()
	l.ch <- &conn{in: there, out: back, local: l.addr, remote: near}
	return &conn{in: back, out: there, local: near, remote: l.addr}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ch:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.String())
		l.net.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// stream is one direction of a connection.
type stream struct {
	mu       sync.Mutex
	changed  sync.Cond
	buf      []byte
	closed   bool
	deadline time.Time
	timer    *time.Timer
}

const socketBuffer = 256 << 10

func newStream() *stream {
	s := &stream{}
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.buf) == 0 && !s.closed && !s.late() {
		s.changed.Wait()
	}
	switch {
	case len(s.buf) > 0:
		n := copy(b, s.buf)
		s.buf = s.buf[n:]
		s.changed.Broadcast()
		return n, nil
	case s.closed:
		return 0, io.EOF
	}
	return 0, os.ErrDeadlineExceeded
}

func (s *stream) late() bool { return !s.deadline.IsZero() && !time.Now().Before(s.deadline) }

func (s *stream) write(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b) > 0 {
		for len(s.buf) >= socketBuffer && !s.closed {
			s.changed.Wait()
		}
		if s.closed {
			return n, syscall.EPIPE
		}
		part := b[:min(len(b), socketBuffer-len(s.buf))]
		s.buf = append(s.buf, part...)
		b = b[len(part):]
		n += len(part)
		s.changed.Broadcast()
	}
	return n, nil
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.changed.Broadcast()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.deadline = t
	if !t.IsZero() && !s.closed {
		s.timer = time.AfterFunc(time.Until(t), s.changed.Broadcast)
	}
}

type conn struct {
	in, out       *stream
	local, remote net.Addr
}

func (c *conn) Read(b []byte) (int, error)         { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error)        { return c.out.write(b) }
func (c *conn) LocalAddr() net.Addr                { return c.local }
func (c *conn) RemoteAddr() net.Addr               { return c.remote }
func (c *conn) SetReadDeadline(t time.Time) error  { c.in.setDeadline(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { return nil }
func (c *conn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }

func (c *conn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}
