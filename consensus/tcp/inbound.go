package tcp

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"picket/consensus"
	"picket/consensus/tcp/lobby"
)

// serve reads one inbound connection to its end. It gives up the place among the strangers once the peer is
// known: there is one connection for each peer then.
func (t *Transport) serve(raw net.Conn, guest *lobby.Guest) {
	p, r, err := t.greet(raw)
	if !guest.Known() || errors.Is(err, io.EOF) {
		return // it had to go, or only looked whether the port is open
	}
	if err != nil {
		t.problem(raw.RemoteAddr().String(), fmt.Errorf("refuse a connection: %w", err))
		return
	}
	if !p.take(raw) {
		return // it was removed from the list meanwhile
	}
	err = t.receive(r, p.id)
	if wrong := (*offence)(nil); errors.As(err, &wrong) {
		t.problem(string(p.id), fmt.Errorf("read from a peer: %w", err))
	}
	p.drop(raw, err)
	t.part(p)
}

// greet reads the hello and answers it. What a stranger can make us hold is small: one buffer, one frame.
func (t *Transport) greet(raw net.Conn) (*peer, *bufio.Reader, error) {
	_ = raw.SetDeadline(time.Now().Add(helloTimeout)) // an error shows at the first read
	conn := raw
	if t.cfg.TLS != nil {
		conn = tls.Server(raw, t.cfg.TLS.Server)
	}
	r := bufio.NewReaderSize(conn, maxHello)
	data, err := readFrame(r, nil, maxHello)
	if err != nil {
		return nil, nil, fmt.Errorf("read its handshake: %w", err)
	}
	h, err := decodeHello(data)
	var p *peer
	if err == nil {
		p, err = t.admit(h, conn)
	}
	if err != nil {
		_, _ = conn.Write(appendFrame(nil, []byte(err.Error()))) // politeness; the connection ends in any case
		return nil, nil, err
	}
	if _, err := conn.Write(appendFrame(nil, nil)); err != nil {
		return nil, nil, fmt.Errorf("answer its handshake: %w", err)
	}
	_ = raw.SetDeadline(time.Time{}) // from here on, keep-alive watches
	return p, bufio.NewReaderSize(r, bufferBytes), nil
}

// admit says whom a hello comes from, or why it is refused.
func (t *Transport) admit(h hello, conn net.Conn) (*peer, error) {
	switch {
	case h.cluster != t.cfg.Cluster:
		return nil, fmt.Errorf("this agent belongs to cluster %q, not %q", t.cfg.Cluster, h.cluster)
	case h.to != t.cfg.Self:
		return nil, fmt.Errorf("this agent is %q, not %q: check the addresses in the list of agents", t.cfg.Self, h.to)
	}
	if h.from == t.cfg.Self || h.from == "" {
		return nil, fmt.Errorf("%q is this agent's own id: give each agent another", h.from)
	}
	hosts := []string{hostOf(h.address)}
	p := t.peer(h.from)
	if p != nil {
		hosts = p.hosts()
	}
	if secured, ok := conn.(*tls.Conn); ok {
		// The authorities have signed it; it must also be that agent's, not any agent's.
		if err := valid(secured.ConnectionState().PeerCertificates[0], hosts); err != nil {
			return nil, fmt.Errorf("the certificate is not agent %q's: %w", h.from, err)
		}
	}
	if p == nil {
		return t.invite(h.from, h.address)
	}
	return p, nil
}

// valid says whether a certificate is valid for one of the hosts.
func valid(certificate *x509.Certificate, hosts []string) error {
	err := errors.New("no address is known for which it could be valid")
	for _, host := range hosts {
		if host == "" {
			continue
		}
		if err = certificate.VerifyHostname(host); err == nil {
			return nil
		}
	}
	return err
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
			return &offence{err.Error()}
		}
		if m.From != from || m.To != t.cfg.Self {
			return offend("a message from %q to %q on the connection of %q", m.From, m.To, from)
		}
		t.receiver.Receive(m)
		if buf = data; cap(buf) > bufferBytes {
			buf = nil // one large message must not hold memory for ever
		}
	}
}
