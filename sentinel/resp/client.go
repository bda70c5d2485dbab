package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"picket/consensus/tcp/lobby"
	"picket/sentinel/resp/acl"
)

// client is one connection. Its fields belong to the goroutine that reads from it, but for what a comment
// says otherwise.
type client struct {
	server   *Server
	id       int64
	conn     net.Conn
	requests requests
	out      *outbox
	reply    reply        // to the present command; reply.resp3 is also read by the hub, and set under its lock
	topics   topics       // changed by this goroutine only, under the hub's lock
	member   bool         // has given a password, or needs none
	guest    *lobby.Guest // nil: it is a member, or has been one
	leaving  bool         // after the present command
	muting   muting
	tracking tracking
	since    time.Time
	fd       int

	mu    sync.Mutex
	shown profile // to others
}

func newClient(s *Server, conn net.Conn, id int64) *client {
	now := time.Now()
	return &client{
		server: s, id: id, conn: conn, requests: newRequests(counted{conn, &s.traffic}), out: newOutbox(atOnce(conn, &s.traffic), &s.budget), since: now, fd: descriptor(conn),
		shown: profile{user: acl.Default, active: now},
	}
}

// descriptor is the number of the connection's file; -1 where it has none.
func descriptor(conn net.Conn) int {
	if layer, ok := conn.(*tls.Conn); ok {
		conn = layer.NetConn()
	}
	fd := -1
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(n uintptr) { fd = int(n) }) // fails only when it is closed
		}
	}
	return fd
}

// atOnce is how a connection is written to without waiting; nil: it can't be. What goes wrong is left to the writer to meet.
func atOnce(conn net.Conn, t *traffic) func([]byte) int {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	return func(b []byte) (n int) {
		_ = raw.Control(func(fd uintptr) { n, _ = syscall.Write(int(fd), b) }) //nolint:gosec // it is one of the system's
		if n = max(n, 0); n > 0 {
			t.wrote(n)
		}
		return n
	}
}

// serve runs the client's commands until the connection ends.
func (c *client) serve(ctx context.Context) {
	if !c.handshake(ctx) {
		c.disconnect()
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.write) // ends when the outbox does, or the connection
	c.limit()
	c.enter(c.server.accounts.open())
	c.read(ctx)
	c.server.hub.leave(c)
	c.out.end()
	writer.Wait()
	c.out.drop()
	_ = c.conn.Close() // whatever the reason, there is no more to say
}

// handshake greets a client that speaks TLS; false: it is not understood.
func (c *client) handshake(ctx context.Context) bool {
	conn, encrypted := c.conn.(*tls.Conn)
	if !encrypted {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	return conn.HandshakeContext(ctx) == nil // who it was, and what it wanted, is not known
}

// enter makes a client a member or a guest. Who is a guest already gains no time by it, however often.
func (c *client) enter(member bool) {
	was := c.member
	c.member = member
	if member {
		c.known()
	}
	switch {
	case member:
		_ = c.conn.SetReadDeadline(time.Time{}) // fails only when the connection is closed
	case was:
		c.limit()
	}
}

// known says that the client is no guest any more. Who was a member once, and has left that by RESET, is not counted as one again.
func (c *client) known() {
	if c.guest != nil {
		c.guest.Known()
		c.guest = nil
	}
}

// limit has a guest's time begin.
func (c *client) limit() {
	_ = c.conn.SetReadDeadline(time.Now().Add(guestTime)) // fails only when the connection is closed
}

func (c *client) read(ctx context.Context) {
	for !c.leaving {
		c.out.room()
		limits := memberLimits
		if !c.member {
			limits = guestLimits
		}
		args, err := c.requests.next(limits)
		if err != nil {
			if protocol := protocolError(""); errors.As(err, &protocol) {
				c.reply.error("ERR " + protocol.Error())
				c.answer()
			}
			return
		}
		if len(args) > 0 {
			c.dispatch(ctx, args)
			c.answer()
			c.muting = c.muting.next()
		}
	}
}

// answer sends what answers a command, unless nothing is to.
func (c *client) answer() {
	if c.muting == skipNext || c.muting == skipThis || c.muting == muted {
		c.reply.buf = c.reply.buf[:0]
	}
	c.send()
}

// send hands the reply over to the writer.
func (c *client) send() {
	c.out.add(c.reply.buf)
	c.reply.buf = c.reply.buf[:0]
	if cap(c.reply.buf) > keptBuffer {
		c.reply.buf = nil
	}
}

// keptBuffer is how large a buffer may be that a client keeps for its next reply.
const keptBuffer = 16 << 10

// write writes what is in the outbox.
func (c *client) write() {
	var empty []byte
	for {
		batch, more := c.out.take(empty)
		if !more {
			return
		}
		err := c.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if err == nil {
			_, err = c.conn.Write(batch)
			c.server.traffic.wrote(len(batch))
		}
		if err != nil {
			c.out.end()
			c.out.drop()   // the reader may wait for room
			c.disconnect() // wakes the reader
			return
		}
		empty = nil
		if cap(batch) <= keptBuffer {
			empty = batch[:0]
		}
	}
}

// disconnect ends the connection, for both goroutines. It may be called by anybody, any number of times, and doesn't wait: TLS would say
// goodbye, to somebody who may not listen.
func (c *client) disconnect() {
	conn := c.conn
	if layer, encrypted := conn.(*tls.Conn); encrypted {
		conn = layer.NetConn()
	}
	_ = conn.Close() // as in serve
}

// confirm tells a client that a subscription has begun or ended, and how many it has.
func (c *client) confirm(word, name string) {
	c.reply.push(3)
	c.reply.bulk(word)
	c.reply.bulk(name)
	c.reply.integer(c.topics.count())
}
