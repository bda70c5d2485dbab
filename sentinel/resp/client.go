package resp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// client is one connection. Its fields belong to the goroutine that reads from it, but for what a comment
// says otherwise.
type client struct {
	server   *Server
	id       int64
	conn     net.Conn
	requests requests
	out      *outbox
	reply    reply // to the present command; reply.resp3 is also read by the hub, and set under its lock
	topics   topics
	name     string
	member   bool // has given the password, or there is none
	leaving  bool // after the present command
}

func newClient(s *Server, conn net.Conn, id int64) *client {
	return &client{server: s, id: id, conn: conn, requests: newRequests(conn), out: newOutbox(), topics: topics{}}
}

// serve runs the client's commands until the connection ends.
func (c *client) serve(ctx context.Context) {
	var writer sync.WaitGroup
	writer.Go(c.write) // ends when the outbox does, or the connection
	c.enter(c.server.cfg.Password == "")
	c.read(ctx)
	c.server.hub.leave(c)
	c.out.end()
	writer.Wait()
	c.disconnect()
}

// enter makes a client a member or a guest. A guest's time is limited.
func (c *client) enter(member bool) {
	c.member = member
	deadline := time.Now().Add(guestTime)
	if member {
		deadline = time.Time{}
	}
	_ = c.conn.SetReadDeadline(deadline) // fails only when the connection is closed
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
				c.send()
			}
			return
		}
		if len(args) > 0 {
			c.dispatch(ctx, args)
			c.send()
		}
	}
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
		}
		if err != nil {
			c.out.end()
			c.disconnect() // wakes the reader
			return
		}
		empty = nil
		if cap(batch) <= keptBuffer {
			empty = batch[:0]
		}
	}
}

// disconnect ends the connection, for both goroutines. It may be called by anybody, any number of times.
func (c *client) disconnect() {
	_ = c.conn.Close() // whatever the reason, there is no more to say
}

// confirm tells a client that a subscription has begun or ended, and how many it has.
func (c *client) confirm(word, name string) {
	c.reply.push(3)
	c.reply.bulk(word)
	c.reply.bulk(name)
	c.reply.integer(c.topics.count())
}
