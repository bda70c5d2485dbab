package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"picket/consensus"
)

// Config of a transport.
type Config struct {
	Cluster string
	Self    consensus.ServerID
	Listen  string                        // address to listen on
	Peers   map[consensus.ServerID]string // addresses of the others
	TLS     *tls.Config                   // nil: plain; used for both sides, with mutual authentication
	// Problem is told what an operator should know: a refused handshake, a peer that speaks nonsense. It must not block.
	Problem func(peer string, err error)
}

const (
	queueLength   = 1024 // messages that wait for one peer
	maxInbound    = 128  // connections that others may hold
	dialTimeout   = 2 * time.Second
	helloTimeout  = 5 * time.Second
	writeTimeout  = 5 * time.Second
	firstBackoff  = 5 * time.Millisecond
	longestBackup = 250 * time.Millisecond
	bufferBytes   = 64 << 10
)

// Transport implements consensus.Transport.
type Transport struct {
	cfg      Config
	receiver consensus.Receiver
	listener net.Listener
	peers    map[consensus.ServerID]*peer
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	inbound  chan struct{} // one place for each accepted connection
	workers  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // open ones, to be closed at the end

	dropped atomic.Uint64
}

// Listen starts a transport.
func Listen(cfg Config, receiver consensus.Receiver) (*Transport, error) {
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for other agents: %w; is another agent running here?", err)
	}
	t := &Transport{
		cfg: cfg, receiver: receiver, listener: listener, peers: map[consensus.ServerID]*peer{},
		inbound: make(chan struct{}, maxInbound), conns: map[net.Conn]struct{}{},
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	for id, addr := range cfg.Peers {
		if id != cfg.Self {
			p := &peer{t: t, id: id, addr: addr, queue: make(chan consensus.Message, queueLength)}
			t.peers[id] = p
			t.workers.Go(p.run) // sends to one peer; ends with Close
		}
	}
	t.workers.Go(t.accept) // ends with Close
	return t, nil
}

// Send queues a message for its peer; when the queue is full it is lost.
func (t *Transport) Send(m consensus.Message) {
	p := t.peers[m.To]
	if p == nil {
		return // not a peer: a member that this agent's file does not list
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

// Close ends all connections and waits for the goroutines.
func (t *Transport) Close() error {
	t.cancel()
	err := t.listener.Close()
	t.mu.Lock()
	for conn := range t.conns {
		_ = conn.Close() // its reader or writer ends by this
	}
	t.mu.Unlock()
	t.workers.Wait()
	return err
}

// track notes an open connection so that Close can end it; false: the transport is closing.
func (t *Transport) track(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		_ = conn.Close()
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
	if t.cfg.Problem != nil && t.ctx.Err() == nil {
		t.cfg.Problem(peer, err)
	}
}

// accept takes in connections, at most maxInbound at a time.
func (t *Transport) accept() {
	for {
		conn, err := t.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.problem("", fmt.Errorf("accept a connection: %w", err))
			select {
			case <-time.After(longestBackup): // out of file descriptors, most likely
			case <-t.ctx.Done():
			}
			continue
		}
		select {
		case t.inbound <- struct{}{}:
		default:
			_ = conn.Close() // too many strangers
			continue
		}
		if !t.track(conn) {
			continue
		}
		t.workers.Go(func() { // reads one connection; ends with it
			defer func() { <-t.inbound }()
			defer t.untrack(conn)
			t.serve(conn)
		})
	}
}
