package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"picket/consensus"
	"picket/consensus/tcp/lobby"
)

// Config of a transport.
type Config struct {
	Cluster string
	Self    consensus.ServerID
	Listen  string // address to listen on
	// Address is where others reach this server; they are told when it connects.
	Address string
	// Known are addresses of other servers from elsewhere than the group, which are tried where the group's own fails: a
	// file that was changed because a host has moved. May be nil.
	Known map[consensus.ServerID]string
	TLS   *TLS // nil: plain
	// OpenPort and Dial reach the network; nil: sockets that notice soon when a peer is gone.
	OpenPort func(network, addr string) (net.Listener, error)
	Dial     Dial
	// Problem is told what an operator should know: a handshake that was refused, on either side, or a peer
	// that speaks nonsense. It must not block.
	Problem func(peer string, err error)
}

// TLS is how servers prove to each other who they are.
type TLS struct {
	Server *tls.Config                   // must ask for a certificate, and verify it
	Client func(host string) *tls.Config // to dial a host
}

const (
	queueLength    = 1024 // messages that wait for one peer
	maxStrangers   = 128  // connections on which no handshake was made yet
	arrivals       = 1000 // connections in a second; some more wait in the kernel
	maxGuests      = 8    // servers that are not members
	dialTimeout    = 2 * time.Second
	helloTimeout   = 5 * time.Second
	writeTimeout   = 5 * time.Second
	firstBackoff   = 5 * time.Millisecond // a peer that restarts must be back at once
	longestBackoff = 250 * time.Millisecond
	bufferBytes    = 64 << 10
)

// keepAlive has a host that is gone noticed within about silence, on an idle connection; userTimeout on a
// busy one.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3}

const silence = 4 * time.Second

// withSockets fills in the machine's network.
func (c Config) withSockets() Config {
	if c.OpenPort == nil {
		sockets := net.ListenConfig{KeepAliveConfig: keepAlive, Control: userTimeout}
		c.OpenPort = func(network, addr string) (net.Listener, error) {
			return sockets.Listen(context.Background(), network, addr)
		}
	}
	if c.Dial == nil {
		c.Dial = Hedged((&net.Dialer{KeepAliveConfig: keepAlive, Control: userTimeout}).DialContext)
	}
	return c
}

// Transport implements consensus.Transport.
type Transport struct {
	cfg       Config
	receiver  consensus.Receiver
	listener  net.Listener
	closing   chan struct{}
	strangers lobby.Lobby
	workers   sync.WaitGroup
	dropped   atomic.Uint64

	mu    sync.RWMutex
	peers map[consensus.ServerID]*peer
	conns map[net.Conn]struct{} // open ones, to be closed at the end
}

// Listen starts a transport.
func Listen(cfg Config, receiver consensus.Receiver) (*Transport, error) {
	for _, name := range []string{cfg.Cluster, string(cfg.Self)} {
		if name == "" || len(name) > maxName {
			return nil, fmt.Errorf("listen for other agents: the name %q must have 1 to %d bytes", name, maxName)
		}
	}
	cfg = cfg.withSockets()
	listener, err := cfg.OpenPort("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for other agents: %w; is another agent running here?", err)
	}
	t := &Transport{
		cfg: cfg, receiver: receiver, listener: listener, closing: make(chan struct{}),
		peers: map[consensus.ServerID]*peer{}, conns: map[net.Conn]struct{}{},
	}
	t.strangers.Most = maxStrangers
	t.workers.Go(t.accept) // ends with Close
	return t, nil
}

// SetPeers names the members of the group. Who is none any more is a guest as long as it stays connected; connections to members that
// have moved are made anew.
func (t *Transport) SetPeers(members []consensus.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed() {
		return
	}
	for id, p := range t.peers {
		if !slices.ContainsFunc(members, func(m consensus.Member) bool { return m.ID == id }) {
			p.guest = true // it may still have to say that it has heard of it
			t.seeOff(p)
		}
	}
	for _, m := range members {
		if p := t.peers[m.ID]; p != nil {
			p.guest = false
			p.move(m.Address)
		} else if m.ID != t.cfg.Self {
			t.peers[m.ID] = t.startPeer(m.ID, m.Address, false)
		}
	}
}

// invite makes a peer of a server that is not a member but has reason to talk: it asks to be let in, or was voted in while this
// server was away. It stays as long as its connection.
func (t *Transport) invite(id consensus.ServerID, addr string) (*peer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		return p, nil
	}
	if t.closed() {
		return nil, net.ErrClosed
	}
	var oldest *peer
	guests := 0
	for _, p := range t.peers {
		if p.guest {
			guests++
			if oldest == nil || p.since.Before(oldest.since) {
				oldest = p
			}
		}
	}
	if guests >= maxGuests {
		t.dismiss(oldest) // it may be one that was removed and asks for ever; it comes again
	}
	t.peers[id] = t.startPeer(id, addr, true)
	return t.peers[id], nil
}

// part ends a guest's stay if its connection is gone.
func (t *Transport) part(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seeOff(p)
}

// seeOff is part with t.mu held.
func (t *Transport) seeOff(p *peer) {
	if p.guest && t.peers[p.id] == p && !p.connected() {
		t.dismiss(p)
	}
}

func (t *Transport) dismiss(p *peer) {
	delete(t.peers, p.id)
	p.stop()
}

func (t *Transport) peer(id consensus.ServerID) *peer {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.peers[id]
}

// Send queues a message for its peer; when the queue is full it is lost.
func (t *Transport) Send(m consensus.Message) {
	p := t.peer(m.To)
	if p == nil {
		return // neither a member nor a guest
	}
	select {
	case p.queue <- m:
	default:
		t.dropped.Add(1)
	}
}

// Dropped counts messages that were lost because a queue was full.
func (t *Transport) Dropped() uint64 { return t.dropped.Load() }

// Addr is where the transport listens.
func (t *Transport) Addr() net.Addr { return t.listener.Addr() }

// Close ends all connections and waits for the goroutines. It is called once.
func (t *Transport) Close() error {
	t.mu.Lock()
	close(t.closing)
	for _, p := range t.peers {
		p.stop()
	}
	for conn := range t.conns {
		_ = conn.Close() // its reader or writer ends by this
	}
	t.mu.Unlock()
	err := t.listener.Close()
	t.workers.Wait()
	return err
}

func (t *Transport) closed() bool {
	select {
	case <-t.closing:
		return true
	default:
		return false
	}
}

// track notes an open connection so that Close can end it; false: the transport is closing, and so is the
// connection.
func (t *Transport) track(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed() {
		_ = conn.Close() // nothing was sent on it
		return false
	}
	t.conns[conn] = struct{}{}
	return true
}

func (t *Transport) untrack(conn net.Conn) {
	t.mu.Lock()
	delete(t.conns, conn)
	t.mu.Unlock()
	_ = conn.Close() // what matters was flushed
}

func (t *Transport) problem(peer string, err error) {
	if t.cfg.Problem != nil && !t.closed() {
		t.cfg.Problem(peer, err)
	}
}

// accept takes in connections.
func (t *Transport) accept() {
	pace := rate.NewLimiter(arrivals, arrivals)
	for {
		conn, err := t.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, most likely
			t.problem("", fmt.Errorf("accept a connection: %w", err))
			if !t.pause(longestBackoff) {
				return
			}
			continue
		}
		if wait := pace.Reserve().Delay(); wait > 0 && !t.pause(wait) {
			_ = conn.Close() // nobody has talked to it
			return
		}
		if !t.track(conn) {
			return
		}
		guest := t.strangers.Enter(conn, func() { _ = conn.Close() }) // its reader ends by this
		t.workers.Go(func() {                                         // reads one connection; ends with it
			defer t.untrack(conn)
			t.serve(conn, guest)
		})
	}
}

// pause waits; false: the transport is closing.
func (t *Transport) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.closing:
		return false
	}
}
