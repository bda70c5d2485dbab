package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"picket/consensus"
)

// peer is one other server: the connection to it, the one from it, and what waits to be sent.
type peer struct {
	t     *Transport
	id    consensus.ServerID
	queue chan consensus.Message
	wake  chan struct{} // ends the wait for the next attempt
	said  string        // the last problem, so that it is told once

	// told is held while the receiver is told of a change, so that it hears of all in their order.
	told sync.Mutex
	up   bool // as the receiver knows

	guest bool      // not a member; guarded by t.mu
	since time.Time // when it came

	mu      sync.Mutex
	addr    string
	turn    int      // which of its addresses is next
	out, in net.Conn // nil: none
	halt    context.CancelFunc
	stopped bool
}

func (t *Transport) startPeer(id consensus.ServerID, addr string, guest bool) *peer {
	ctx, halt := context.WithCancel(context.Background())
	p := &peer{t: t, id: id, addr: addr, guest: guest, since: time.Now(), halt: halt,
		queue: make(chan consensus.Message, queueLength), wake: make(chan struct{}, 1)}
	t.workers.Go(func() { p.run(ctx) }) // sends to one peer; ends with stop
	return p
}

// stop ends both connections; nobody waits for it here.
func (p *peer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.halt()
	for _, conn := range []net.Conn{p.out, p.in} {
		if conn != nil {
			_ = conn.Close() // its goroutine ends by this
		}
	}
}

// move makes the next connection go to an address, and that at once.
func (p *peer) move(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if addr == p.addr {
		return
	}
	p.addr = addr
	if p.out != nil {
		_ = p.out.Close() // its goroutine makes another one
	}
	p.hurry()
}

// hurry has a connection attempted now: there is news of the peer.
func (p *peer) hurry() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// address is where to try next: what the group says, in turn with what else is known.
func (p *peer) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.t.cfg.Known[p.id]; known != "" && (p.turn%2 == 1 || p.addr == "") {
		return known
	}
	return p.addr
}

// hosts are the names or addresses for one of which the peer's certificate must be valid.
func (p *peer) hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []string{hostOf(p.addr), hostOf(p.t.cfg.Known[p.id])}
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// take makes a connection the one that the peer sends on, in place of an older one, which may be half dead:
// false, if the peer was removed.
func (p *peer) take(conn net.Conn) bool {
	p.hurry()
	return p.change(nil, func() {
		if p.in != nil {
			_ = p.in.Close() // its goroutine ends by this
		}
		p.in = conn
	})
}

// connected says whether the peer has a connection on which it sends.
func (p *peer) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in != nil
}

// drop forgets a connection that the peer sent on, unless another one has taken its place.
func (p *peer) drop(conn net.Conn, cause error) {
	p.change(cause, func() {
		if p.in == conn {
			p.in = nil
		}
	})
}

// change notes what happened to a connection, and tells the receiver when both came to stand, or one broke.
// Afterwards the peer may have been removed: false.
func (p *peer) change(cause error, f func()) bool {
	p.told.Lock()
	defer p.told.Unlock()
	p.mu.Lock()
	f()
	up, stopped := p.out != nil && p.in != nil, p.stopped
	p.mu.Unlock()
	if up != p.up && !p.t.closed() {
		p.up = up
		if up {
			p.t.receiver.Connected(p.id)
		} else {
			p.t.receiver.Disconnected(p.id, cause)
		}
	}
	return !stopped
}

// run keeps a connection open and sends what is queued. While there is none, messages are dropped rather than
// kept: stale ones help nobody.
func (p *peer) run(ctx context.Context) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		start := time.Now()
		p.tell(p.session(ctx))
		if time.Since(start) > longestBackoff+dialTimeout { // it was a connection for a while
			backoff = firstBackoff
		}
		p.wait(ctx, backoff)
		backoff = min(2*backoff, longestBackoff)
	}
}

// wait drops messages until the next attempt is due.
func (p *peer) wait(ctx context.Context, d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case <-p.queue:
		case <-p.wake:
			return
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// tell reports a problem once. That a peer is not there is none: the receiver knows.
func (p *peer) tell(err error) {
	if refused := (*refusal)(nil); errors.As(err, &refused) && err.Error() != p.said {
		p.said = err.Error()
		p.t.problem(string(p.id), err)
	}
}

// refusal is a peer's no, or a certificate that is not right: a mistake in a configuration, most likely.
type refusal struct{ why string }

func (r *refusal) Error() string { return "refused: " + r.why }

// session connects, and sends until the connection breaks.
func (p *peer) session(ctx context.Context) error {
	raw, err := p.dial(ctx)
	if err != nil {
		p.mu.Lock()
		p.turn++
		p.mu.Unlock()
		return err
	}
	if !p.t.track(raw) {
		return net.ErrClosed
	}
	defer p.t.untrack(raw)
	conn, err := p.greet(ctx, raw)
	if err != nil {
		return err
	}
	p.said = ""
	if p.change(nil, func() { p.out = raw }) {
		err = p.send(ctx, conn)
	}
	p.change(err, func() { p.out = nil })
	return err
}

// dial resolves the peer's name each time: it may have moved.
func (p *peer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return p.t.cfg.Dial(ctx, "tcp", p.address())
}

// greet passes the handshake; the connection to write to is the given one, or it secured.
func (p *peer) greet(ctx context.Context, raw net.Conn) (net.Conn, error) {
	_ = raw.SetDeadline(time.Now().Add(helloTimeout)) // an error shows at the first write
	conn := raw
	if p.t.cfg.TLS != nil {
		secured := tls.Client(raw, p.t.cfg.TLS.Client(hostOf(p.address())))
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, &refusal{err.Error()}
		}
		conn = secured
	}
	h := hello{cluster: p.t.cfg.Cluster, from: p.t.cfg.Self, to: p.id, address: p.t.cfg.Address}
	if _, err := conn.Write(appendFrame(nil, h.encode())); err != nil {
		return nil, err
	}
	answer, err := readFrame(bufio.NewReaderSize(conn, maxHello), nil, maxHello)
	if alert := (*net.OpError)(nil); errors.As(err, &alert) && alert.Op == "remote error" {
		return nil, &refusal{err.Error()} // what it thinks of our certificate
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer to the handshake: %w", err)
	}
	if len(answer) > 0 {
		return nil, &refusal{fmt.Sprintf("%q", answer)}
	}
	return conn, conn.SetDeadline(time.Time{})
}

// send writes what is queued until the connection breaks. Messages that queued up leave in one write.
func (p *peer) send(ctx context.Context, conn net.Conn) error {
	broken := make(chan error, 1)
	p.t.workers.Go(func() { // sees the peer close the connection, on which it never sends; ends with it
		if _, err := io.Copy(io.Discard, conn); err != nil {
			broken <- err
			return
		}
		broken <- io.EOF
	})
	w := bufio.NewWriterSize(conn, bufferBytes)
	var buf []byte
	for {
		select {
		case m := <-p.queue:
			for more := true; more; {
				_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // an error shows at the write
				buf = p.encode(buf, m)
				if _, err := w.Write(buf); err != nil {
					return err
				}
				select {
				case m = <-p.queue:
				default:
					more = false
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
		case err := <-broken:
			return fmt.Errorf("the connection broke: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// encode makes a frame of a message, in a buffer that is used again. What can't be sent is left out, and
// told.
func (p *peer) encode(buf []byte, m consensus.Message) []byte {
	if cap(buf) > bufferBytes {
		buf = nil // one large message must not hold memory for ever
	}
	frame, err := consensus.EncodeMessage(append(buf[:0], make([]byte, headerBytes)...), &m)
	length := len(frame) - headerBytes
	if err == nil && length > maxFrame {
		err = fmt.Errorf("a message of %d bytes is larger than a frame may be", length)
	}
	if err != nil {
		p.t.problem(string(p.id), err)
		return buf[:0]
	}
	binary.BigEndian.PutUint32(frame, uint32(length))
	return frame
}
