package model

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// client is one connection: of a client, of a replica, or with the master.
type client struct {
	p    *process
	id   int64
	conn net.Conn

	in         []byte // received, not yet executed
	out        []byte // to be written
	spare      []byte // a former out, to be used again
	waiting    bool   // it stands in p.toWrite
	writing    bool   // somebody writes
	closed     bool
	closeAfter bool // when out is written

	name          string
	db            int
	authenticated bool
	master        bool // it is the link to the master: executed without doubts, and answered nothing
	created, seen time.Time
	lastCommand   string

	queue     *transaction    // between MULTI and EXEC; nil: none
	watched   []watch         // by WATCH
	channels  map[string]bool // SUBSCRIBE
	patterns  map[string]bool // PSUBSCRIBE
	blocked   *block          // nil: it is not
	postponed bool            // by CLIENT PAUSE, before the command at the beginning of in
	wrote     int64           // replication offset behind its last command
	replica   *replica        // what REPLCONF and PSYNC said; nil: it is no replica
	received  int64           // of a master: stream offset behind in
	applied   int64           // of a master: stream offset behind what was executed
	held      []byte          // of a master: the stream behind that, a transaction that is not complete
}

// maxQuery bounds what a blocked client may send ahead.
const maxQuery = 64 << 20

// maxSpare bounds what a connection keeps for later replies.
const maxSpare = 64 << 10

// Hard limits of what may wait to be written, as Redis has them by default.
const (
	maxReplicaOut = 256 << 20
	maxPubsubOut  = 32 << 20
)

func (p *process) newClient(conn net.Conn) *client {
	p.lastClient++
	now := time.Now()
	return &client{
		p: p, id: p.lastClient, conn: conn, created: now, seen: now, authenticated: p.set.password == "",
	}
}

// read executes what a connection sends until it ends. It is the goroutine of a connection.
func (c *client) read() {
	buf := make([]byte, 4<<10)
	for {
		n, err := c.conn.Read(buf)
		if !c.p.enter() {
			return
		}
		if n > 0 && !c.closed {
			c.in = append(c.in, buf[:n]...)
			c.seen = time.Now()
			c.received += int64(n)
			c.p.consume(c)
		}
		if err != nil || len(c.in) > maxQuery {
			c.p.disconnect(c)
		}
		closed := c.closed
		c.p.leave(c)
		if closed {
			return
		}
	}
}

// idle says whether the client may execute its next command.
func (c *client) idle() bool {
	return c.blocked == nil && !c.postponed && !c.closed && !c.closeAfter && !c.p.stopped()
}

// consume executes the whole commands in c.in, as far as nothing stops the client.
func (p *process) consume(c *client) {
	taken := 0
	for c.idle() {
		args, n, err := parse(c.in[taken:])
		if err != nil {
			c.fail("ERR Protocol error: " + err.Error())
			c.closeAfter = true
			break
		}
		if n == 0 {
			break
		}
		if len(args) > 0 {
			p.process(c, args)
			if c.postponed {
				break // it is executed when the pause ends
			}
		}
		taken += n
		if c.master {
			p.streamApplied(c, c.in[taken-n:taken])
		}
	}
	if c.closed {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], c.in[taken:]...)
	if c.idle() || c.p.dead {
		return
	}
	if c.p.stopped() && len(c.in) > 0 {
		p.resume = append(p.resume, c)
	}
}

// write writes what waits in out until nothing does. Only one goroutine at a time is in it.
func (c *client) write() {
	var batch []byte
	for c.p.enter() {
		if batch == nil {
			batch = c.spare
		}
		if len(c.out) == 0 || c.closed {
			c.writing, c.spare = false, batch
			if c.closeAfter {
				c.p.disconnect(c)
			}
			c.p.leave(nil)
			return
		}
		if cap(batch) > maxSpare {
			batch = nil
		}
		batch, c.out = c.out, batch[:0]
		c.p.leave(nil)
		if _, err := c.conn.Write(batch); err != nil && c.p.enter() {
			c.p.disconnect(c)
			c.p.leave(nil)
		}
	}
}

// touch has what was added to out written when the lock is given back.
func (c *client) touch() {
	limit := 0
	switch {
	case c.replica != nil && c.replica.state != notReplica:
		limit = maxReplicaOut
	case len(c.channels)+len(c.patterns) > 0:
		limit = maxPubsubOut
	}
	if limit > 0 && len(c.out) > limit {
		c.p.disconnect(c)
		return
	}
	if !c.waiting && !c.closed {
		c.waiting = true
		c.p.toWrite = append(c.p.toWrite, c)
	}
}

// mute says whether replies go nowhere: the master gets none, nor does a replica that is fed.
func (c *client) mute() bool {
	return c.conn == nil || c.closed || c.closeAfter || c.master || c.replica != nil && c.replica.state != notReplica
}

func (c *client) raw(s string) {
	if !c.mute() {
		c.out = append(c.out, s...)
		c.touch()
	}
}

func (c *client) status(s string) { c.raw("+" + s + "\r\n") }

func (c *client) ok() { c.raw("+OK\r\n") }

func (c *client) null() { c.raw("$-1\r\n") }

// fail answers with an error, whose first word is its code.
func (c *client) fail(text string) {
	c.p.stats.errors++
	c.raw("-" + strings.NewReplacer("\r", " ", "\n", " ").Replace(text) + "\r\n")
}

func (c *client) number(n int64) {
	if !c.mute() {
		c.out = appendHeader(c.out, ':', n)
		c.touch()
	}
}

func (c *client) flag(yes bool) {
	if yes {
		c.number(1)
	} else {
		c.number(0)
	}
}

func (c *client) bulk(s string) {
	if !c.mute() {
		c.out = appendBulk(c.out, s)
		c.touch()
	}
}

// array begins one of n elements.
func (c *client) array(n int) {
	if !c.mute() {
		c.out = appendHeader(c.out, '*', int64(n))
		c.touch()
	}
}

func (c *client) bulks(list ...string) {
	c.array(len(list))
	for _, s := range list {
		c.bulk(s)
	}
}

// class is what CLIENT KILL TYPE and CLIENT LIST TYPE select by.
func (c *client) class() string {
	switch {
	case c.master:
		return "master"
	case c.replica != nil && c.replica.state != notReplica:
		return "replica"
	case len(c.channels)+len(c.patterns) > 0:
		return "pubsub"
	}
	return "normal"
}

// describe is its line of CLIENT LIST.
func (c *client) describe() string {
	flags, multi := "", -1
	switch c.class() {
	case "master":
		flags = "M"
	case "replica":
		flags = "S"
	case "pubsub":
		flags = "P"
	}
	if c.queue != nil {
		flags += "x"
		multi = len(c.queue.commands)
	}
	if c.blocked != nil || c.postponed {
		flags += "b"
	}
	if flags == "" {
		flags = "N"
	}
	now := time.Now()
	seconds := func(t time.Time) string { return strconv.FormatInt(int64(now.Sub(t)/time.Second), 10) }
	return "id=" + strconv.FormatInt(c.id, 10) +
		" addr=" + c.conn.RemoteAddr().String() + " laddr=" + c.conn.LocalAddr().String() + " fd=8" +
		" name=" + c.name + " age=" + seconds(c.created) + " idle=" + seconds(c.seen) +
		" flags=" + flags + " db=" + strconv.Itoa(c.db) +
		" sub=" + strconv.Itoa(len(c.channels)) + " psub=" + strconv.Itoa(len(c.patterns)) + " ssub=0" +
		" multi=" + strconv.Itoa(multi) + " qbuf=0 qbuf-free=0 argv-mem=10 multi-mem=0 rbs=1024 rbp=0 obl=0 oll=0" +
		" omem=" + strconv.Itoa(len(c.out)) + " tot-mem=2048 events=r cmd=" + c.lastCommand + " user=default redir=-1 resp=2\n"
}

// host is the address that a connection comes from.
func (c *client) host() string {
	host, _, err := net.SplitHostPort(c.conn.RemoteAddr().String())
	if err != nil {
		return "?" // no network that names its hosts; Redis says the same of a peer it can't name
	}
	return host
}
