package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"picket/consensus"
)

// serve reads one inbound connection to its end.
func (t *Transport) serve(raw net.Conn) {
	_ = raw.SetDeadline(time.Now().Add(helloTimeout)) // an error shows at the first read
	conn := raw
	if t.cfg.TLS != nil {
		conn = tls.Server(raw, t.serverTLS())
	}
	r := bufio.NewReaderSize(conn, 4<<10) // small until the peer has said who it is
	from, err := t.greet(conn, r)
	if err != nil {
		t.problem(raw.RemoteAddr().String(), fmt.Errorf("refuse a connection: %w", err))
		return
	}
	_ = conn.SetDeadline(time.Time{}) // from here on, TCP's keep-alive watches
	r = bufio.NewReaderSize(r, bufferBytes)
	err = t.receive(r, from)
	if err != io.EOF && !errors.Is(err, net.ErrClosed) {
		t.problem(string(from), fmt.Errorf("read from a peer: %w", err))
	}
	if t.ctx.Err() == nil {
		t.receiver.Disconnected(from, err)
	}
}

// greet reads the hello and answers it.
func (t *Transport) greet(conn net.Conn, r *bufio.Reader) (consensus.ServerID, error) {
	data, err := readFrame(r, nil, maxHello)
	if err != nil {
		return "", fmt.Errorf("read its handshake: %w", err)
	}
	h, err := decodeHello(data)
	if err != nil {
		return "", err
	}
	why := checkHello(h, t.cfg.Cluster, t.cfg.Self, t.peers[h.from] != nil)
	if why == "" {
		if err := t.checkCertificate(conn, h.from); err != nil {
			why = err.Error()
		}
	}
	if err := writeFrame(conn, []byte(why)); err != nil {
		return "", fmt.Errorf("answer its handshake: %w", err)
	}
	if why != "" {
		return "", errors.New(why)
	}
	return h.from, nil
}

// checkCertificate demands that the dialling peer's certificate is valid for the host in this agent's list.
func (t *Transport) checkCertificate(conn net.Conn, from consensus.ServerID) error {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	host, _, err := net.SplitHostPort(t.peers[from].addr)
	if err != nil {
		return err
	}
	certificates := secured.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return errors.New("it presents no certificate")
	}
	if err := certificates[0].VerifyHostname(host); err != nil {
		return fmt.Errorf("its certificate is not agent %s's: %w", from, err)
	}
	return nil
}

func (t *Transport) serverTLS() *tls.Config {
	cfg := t.cfg.TLS.Clone()
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.ClientCAs = cfg.RootCAs
	return cfg
}

// receive hands messages over until the connection breaks or the peer lies about who it is.
func (t *Transport) receive(r *bufio.Reader, from consensus.ServerID) error {
	var buf []byte
	for {
		data, err := readFrame(r, buf, maxFrame)
		if err != nil {
			return err
		}
		m, err := consensus.DecodeMessage(data)
		if err != nil {
			return err
		}
		if m.From != from || m.To != t.cfg.Self {
			return fmt.Errorf("a message from %q to %q on the connection of %q", m.From, m.To, from)
		}
		t.receiver.Receive(m)
		if buf = data; cap(buf) > bufferBytes {
			buf = nil // one large message must not hold memory for ever
		}
	}
}

// peer is the sending side towards one server.
type peer struct {
	t     *Transport
	id    consensus.ServerID
	addr  string
	queue chan consensus.Message
	said  string // the last problem, so that it is told once
}

// run keeps a connection open and sends what is queued. While there is none, messages are dropped rather than kept: stale ones help
// nobody.
func (p *peer) run() {
	backoff := firstBackoff
	for p.t.ctx.Err() == nil {
		raw, conn, err := p.dial()
		if err == nil {
			backoff, p.said = firstBackoff, ""
			p.t.receiver.Connected(p.id)
			err = p.send(conn)
			p.t.untrack(raw)
			if p.t.ctx.Err() == nil {
				p.t.receiver.Disconnected(p.id, err)
			}
			continue
		}
		p.tell(err)
		wait := time.NewTimer(backoff)
		for waiting := true; waiting; {
			select {
			case <-p.queue: // dropped
			case <-wait.C:
				waiting = false
			case <-p.t.ctx.Done():
				waiting = false
			}
		}
		wait.Stop()
		backoff = min(2*backoff, longestBackup)
	}
}

// tell reports a problem once, unless it only says that the peer is not there.
func (p *peer) tell(err error) {
	var refused *refusal
	if errors.As(err, &refused) && err.Error() != p.said {
		p.said = err.Error()
		p.t.problem(string(p.id), err)
	}
}

// refusal is a peer's no, or a certificate that is not right: a mistake in a configuration, most likely.
type refusal struct{ why string }

func (r *refusal) Error() string { return "refused: " + r.why }

// dial connects and passes the handshake: the TCP connection, and the one to write to, which may be secured.
func (p *peer) dial() (raw, conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(p.t.ctx, dialTimeout)
	defer cancel()
	// A peer whose host is gone is noticed within seconds, not minutes.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3}}
	if raw, err = dialer.DialContext(ctx, "tcp", p.addr); err != nil {
		return nil, nil, err
	}
	if !p.t.track(raw) {
		return nil, nil, net.ErrClosed
	}
	if conn, err = p.handshake(raw); err != nil {
		p.t.untrack(raw)
		return nil, nil, err
	}
	return raw, conn, nil
}

func (p *peer) handshake(raw net.Conn) (net.Conn, error) {
	_ = raw.SetDeadline(time.Now().Add(helloTimeout)) // an error shows at the first write
	conn := raw
	if p.t.cfg.TLS != nil {
		cfg := p.t.cfg.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName, _, _ = net.SplitHostPort(p.addr) // validated with the configuration
		}
		secured := tls.Client(raw, cfg)
		if err := secured.HandshakeContext(p.t.ctx); err != nil {
			return nil, &refusal{err.Error()}
		}
		conn = secured
	}
	if err := writeFrame(conn, hello{cluster: p.t.cfg.Cluster, from: p.t.cfg.Self, to: p.id}.encode()); err != nil {
		return nil, err
	}
	answer, err := readFrame(bufio.NewReaderSize(conn, maxHello), nil, maxHello)
	if err != nil {
		return nil, fmt.Errorf("read the answer to the handshake: %w", err)
	}
	if len(answer) > 0 {
		return nil, &refusal{string(answer)}
	}
	return conn, conn.SetDeadline(time.Time{})
}

// send writes what is queued until the connection breaks. Messages that queued up leave in one write.
func (p *peer) send(conn net.Conn) error {
	broken := make(chan error, 1)
	p.t.workers.Go(func() { // sees the peer close the connection, on which it never sends; ends with it
		_, err := io.Copy(io.Discard, conn)
		broken <- err
	})
	w := bufio.NewWriterSize(conn, bufferBytes)
	var buf []byte
	for {
		select {
		case m := <-p.queue:
			_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // an error shows at the write
			var err error
			if buf, err = p.write(w, buf, m); err != nil {
				return err
			}
		case err := <-broken:
			return err
		case <-p.t.ctx.Done():
			return p.t.ctx.Err()
		}
	}
}

// write sends a message and all that wait behind it.
func (p *peer) write(w *bufio.Writer, buf []byte, m consensus.Message) ([]byte, error) {
	for {
		encoded, err := consensus.EncodeMessage(buf[:0], &m)
		if err != nil {
			return buf, err
		}
		if len(encoded) > maxFrame {
			return buf, fmt.Errorf("a message of %d bytes is larger than a frame may be", len(encoded))
		}
		if err := writeFrame(w, encoded); err != nil {
			return buf, err
		}
		if buf = encoded; cap(buf) > bufferBytes {
			buf = nil
		}
		select {
		case m = <-p.queue:
		default:
			return buf, w.Flush()
		}
	}
}
