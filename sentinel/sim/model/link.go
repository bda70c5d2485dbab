package model

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// link is one try of a replica to reach its master, up to where the stream flows; from there on it is a client.
type link struct {
	p        *process
	cancel   context.CancelFunc
	conn     net.Conn // guarded by p.mu
	reader   *bufio.Reader
	failover bool // PSYNC asks the master-to-be to take over
}

var errOutdated = errors.New("another link has replaced this one")

// connect starts a link to the master.
func (p *process) connect() {
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{p: p, cancel: cancel, failover: p.failover.state == failoverInProgress}
	p.link = l
	p.linkState = linkConnecting
	p.lastIO = time.Now()
	addr := net.JoinHostPort(p.masterHost, p.masterPort)
	p.tasks.Go(func() { l.run(ctx, addr) }) // ends with its connection or with dropLink
}

// dropLink ends the try that is under way.
func (p *process) dropLink() {
	if p.link == nil {
		return
	}
	p.link.cancel()
	if p.link.conn != nil {
		_ = p.link.conn.Close() // it was no connection yet
	}
	p.link = nil
}

func (l *link) run(ctx context.Context, addr string) {
	defer l.cancel()
	conn, err := l.p.cfg.Network.Dial(ctx, addr)
	if err == nil {
		if err = l.adopt(conn); err != nil {
			_ = conn.Close() // nothing was said
		} else {
			err = l.shakeHands(ctx)
		}
	}
	if err == nil {
		return // it was a connection, and has ended as one
	}
	if l.p.enter() {
		l.failed()
		l.p.leave(nil)
	}
}

func (l *link) adopt(conn net.Conn) error {
	return l.step(func() {
		l.conn = conn
		l.reader = bufio.NewReader(conn)
	})
}

// failed has the next try made within a second.
func (l *link) failed() {
	if l.p.link != l {
		return
	}
	l.p.dropLink()
	l.p.linkState = linkConnect
}

// step does f to the process, if this is still its link.
func (l *link) step(f func()) error {
	if !l.p.enter() {
		return errOutdated
	}
	defer l.p.leave(nil)
	if l.p.link != l {
		return errOutdated
	}
	l.p.lastIO = time.Now()
	f()
	return nil
}

// ask sends a command and returns the line that answers it.
func (l *link) ask(args ...string) (string, error) {
	if _, err := l.conn.Write(appendCommand(nil, args...)); err != nil {
		return "", err
	}
	for {
		line, err := l.reader.ReadString('\n')
		if err != nil {
			return "", err
		}
		if err := l.step(func() {}); err != nil {
			return "", err
		}
		if line = strings.TrimRight(line, "\r\n"); line != "" { // empty: a sign of life
			return line, nil
		}
	}
}

func (l *link) shakeHands(ctx context.Context) error {
	reply, err := l.ask("PING")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(reply, "+") && !strings.HasPrefix(reply, "-NOAUTH") {
		return fmt.Errorf("the master answers PING with %s", reply)
	}
	greetings, psync, err := l.introduction()
	if err != nil {
		return err
	}
	for _, words := range greetings {
		reply, err := l.ask(words...)
		if err != nil {
			return err
		}
		if words[0] == "AUTH" && reply[0] == '-' {
			return fmt.Errorf("the master refuses the password: %s", reply)
		}
	}
	if reply, err = l.ask(psync...); err != nil {
		return err
	}
	return l.synchronize(ctx, reply)
}

// introduction is what this replica says of itself, and what it asks for.
func (l *link) introduction() (greetings [][]string, psync []string, err error) {
	err = l.step(func() {
		p := l.p
		if secret := p.value("masterauth"); secret != "" {
			auth := []string{"AUTH", secret}
			if user := p.value("masteruser"); user != "" {
				auth = []string{"AUTH", user, secret}
			}
			greetings = append(greetings, auth)
		}
		port := p.port()
		if announced := p.value("replica-announce-port"); announced != "0" {
			port = announced
		}
		greetings = append(greetings, []string{"REPLCONF", "listening-port", port})
		if ip := p.value("replica-announce-ip"); ip != "" {
			greetings = append(greetings, []string{"REPLCONF", "ip-address", ip})
		}
		greetings = append(greetings, []string{"REPLCONF", "capa", "eof", "capa", "psync2"})
		psync = []string{"PSYNC", "?", "-1"}
		if p.cached != nil {
			psync = []string{"PSYNC", p.cached.replID, strconv.FormatInt(p.cached.offset+1, 10)}
		}
		if l.failover {
			psync = append(psync, "FAILOVER")
		}
	})
	return greetings, psync, err
}

// synchronize does what the master answers to PSYNC.
func (l *link) synchronize(ctx context.Context, reply string) error {
	words := strings.Fields(reply)
	accepted := words[0] == "+CONTINUE" || words[0] == "+FULLRESYNC" && len(words) == 3
	if l.failover {
		if err := l.step(func() { l.p.failoverAnswered(accepted) }); err != nil {
			return err
		}
	}
	switch {
	case !accepted:
		return fmt.Errorf("the master refuses to synchronize: %s", reply)
	case words[0] == "+CONTINUE":
		replID := ""
		if len(words) > 1 {
			replID = words[1]
		}
		return l.becomeClient(func() *history { return l.p.continueHistory(replID) }, false)
	}
	offset, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return fmt.Errorf("read the offset in %q: %w", reply, err)
	}
	return l.load(ctx, history{words[1], offset, 0})
}

// continueHistory goes on under the id that the master has now.
func (p *process) continueHistory(replID string) *history {
	h := p.cached
	if replID != "" && replID != h.replID {
		p.replID2, p.second = h.replID, p.offset+1
		p.replID = replID
		p.disconnectReplicas() // they learn of the new id when they come back
	}
	p.makeBacklog()
	p.observe(Event{Kind: Continued, Master: p.masterHost + ":" + p.masterPort})
	return h
}

// becomeClient has the stream flow from where begin says. A master that sent the snapshot on the fly waits to hear that it is
// loaded.
func (l *link) becomeClient(begin func() *history, acknowledge bool) error {
	var c *client
	err := l.step(func() {
		p := l.p
		h := begin()
		c = p.newClient(l.conn)
		c.master, c.authenticated = true, true
		c.db, c.applied = h.db, h.offset
		rest, _ := l.reader.Peek(l.reader.Buffered()) // so much is there
		c.in = append(c.in, rest...)
		c.received = h.offset + int64(len(rest))
		p.clients[c.id] = c
		p.master, p.cached, p.link = c, nil, nil
		p.linkState = linkConnected
		if acknowledge {
			p.acknowledge()
		}
		p.consume(c)
	})
	if err == nil {
		c.read()
	}
	return err
}

// masterLost keeps what is needed to go on where the stream broke off, and tries at once.
func (p *process) masterLost() {
	c := p.master
	p.cached = &history{p.replID, c.applied, c.db}
	p.master = nil
	p.linkState = linkConnect
	p.downSince = time.Now()
	if p.masterHost != "" && p.failover.state != failoverInProgress {
		p.connect()
	}
}

// acknowledge tells the master how much of the stream has been applied.
func (p *process) acknowledge() {
	if p.master != nil {
		p.master.push(appendCommand(nil, "REPLCONF", "ACK", strconv.FormatInt(p.master.applied, 10)))
	}
}

// load receives a snapshot and replaces the data by it.
func (l *link) load(ctx context.Context, h history) error {
	if err := l.step(func() { l.p.linkState = linkTransfer }); err != nil {
		return err
	}
	data, onTheFly, err := l.receive()
	if err != nil {
		return fmt.Errorf("receive a snapshot: %w", err)
	}
	var before dataset
	err = l.step(func() {
		p := l.p
		before = p.data
		p.cached = nil
		p.disconnectReplicas()
		p.backlog = nil
		p.data.clear()
		p.loading = true
		p.disk.rdb = &image{data: data, replID: h.replID, offset: h.offset}
	})
	if err != nil {
		return err
	}
	if err := l.waitForLoad(ctx, len(data)); err != nil {
		return err
	}
	return l.becomeClient(func() *history {
		l.p.loaded(data, h, before)
		return &h
	}, onTheFly)
}

func (l *link) waitForLoad(ctx context.Context, size int) error {
	if size == 0 {
		return nil
	}
	timer := time.NewTimer(l.p.cfg.SnapshotTime)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errOutdated
	}
}

// loaded begins the history of the snapshot.
func (p *process) loaded(data []byte, h history, before dataset) {
	p.loading = false
	p.replay(data)
	p.replID, p.replID2, p.offset, p.second = h.replID, zeroID, h.offset, -1
	p.makeBacklog()
	p.rewriteFile()
	p.observe(Event{Kind: Replaced, Master: p.masterHost + ":" + p.masterPort, Before: before.size(), After: p.data.size(), Lost: before.without(&p.data)})
}

const markSize = 40

// receive reads a snapshot: of a length that is told, or up to a mark.
func (l *link) receive() (data []byte, onTheFly bool, err error) {
	header := ""
	for header == "" {
		if header, err = l.reader.ReadString('\n'); err != nil {
			return nil, false, err
		}
		header = strings.TrimRight(header, "\r\n")
	}
	var received bytes.Buffer
	mark, onTheFly := strings.CutPrefix(header, "$EOF:")
	if !onTheFly {
		n, err := strconv.ParseInt(strings.TrimPrefix(header, "$"), 10, 64)
		if err != nil || n < 0 {
			return nil, false, fmt.Errorf("it has the length %q", header)
		}
		_, err = io.CopyN(&received, l, n)
		return received.Bytes(), false, err
	}
	if len(mark) != markSize {
		return nil, false, fmt.Errorf("it has the mark %q", mark)
	}
	chunk := make([]byte, 4<<10)
	for !bytes.HasSuffix(received.Bytes(), []byte(mark)) { // nothing follows the mark before we say that we have it
		n, err := l.Read(chunk)
		if err != nil {
			return nil, false, err
		}
		received.Write(chunk[:n])
	}
	return received.Bytes()[:received.Len()-markSize], true, nil
}

// Read notes that something came.
func (l *link) Read(b []byte) (int, error) {
	n, err := l.reader.Read(b)
	if err == nil {
		err = l.step(func() {})
	}
	return n, err
}
