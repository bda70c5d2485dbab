package resp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"picket/config"
	"picket/sentinel/picture"
	"picket/sentinel/script"
)

// Backend is the agent.
type Backend interface {
	// Picture is what the agent knows now.
	Picture() picture.Picture
	// Failover hands a master over to a replica. It returns when that has begun, or cannot be done
	// (picture.Err…).
	Failover(ctx context.Context, master string) error
	// Scripts are the programs that the agent runs, or will run, in the order in which they were added.
	Scripts() []script.Pending
	Registry
}

// Config of a server.
type Config struct {
	Addr       string
	OpenPort   func(network, addr string) (net.Listener, error) // nil: net.Listen
	Password   config.Secret                                    // empty: everybody may do everything
	Version    string                                           // of the agent
	Backend    Backend
	MaxClients int // 0: defaultMaxClients
}

const (
	defaultMaxClients = 10_000
	// guestTime is how long a client may be connected without having given the password.
	guestTime = 10 * time.Second
	// writeTime is how long a client may leave unread what it is sent, once the kernel's buffers are full.
	writeTime = 10 * time.Second
)

// Server talks to clients until it is closed.
type Server struct {
	cfg      Config
	table    table
	hub      *hub
	debug    debugging
	started  time.Time
	runID    string // of this process; clients tell restarts by it
	listener net.Listener
	cancel   context.CancelFunc
	running  sync.WaitGroup // the accepting goroutine and the clients

	mu      sync.Mutex
	clients map[*client]bool // nil once closed

	lastID   atomic.Int64 // of a client
	accepted atomic.Int64
	rejected atomic.Int64
	commands atomic.Int64
}

// Listen starts a server.
func Listen(cfg Config) (*Server, error) {
	if cfg.OpenPort == nil {
		cfg.OpenPort = net.Listen
	}
	listener, err := cfg.OpenPort("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for Sentinel clients: %w; change listen.sentinel, or stop what listens there", err)
	}
	s := newServer(cfg)
	s.listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.running.Go(func() { s.accept(ctx) }) // ends when the listener is closed
	return s, nil
}

func newServer(cfg Config) *Server {
	if cfg.MaxClients == 0 {
		cfg.MaxClients = defaultMaxClients
	}
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails
	return &Server{
		cfg: cfg, table: newTable(), hub: newHub(), started: time.Now(), runID: hex.EncodeToString(id), clients: map[*client]bool{},
	}
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Publish tells subscribers what happened, in order. It never blocks.
func (s *Server) Publish(messages ...Message) { s.hub.publish(messages) }

// Close ends all connections, and returns when all goroutines have ended.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.cancel()
	s.mu.Lock()
	clients := s.clients
	s.clients = nil
	for c := range clients {
		c.disconnect()
	}
	s.mu.Unlock()
	s.running.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the Sentinel port: %w", err)
	}
	return nil
}

// accept lets clients in.
func (s *Server) accept(ctx context.Context) {
	const longest = time.Second
	pause := time.Millisecond
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			s.admit(ctx, conn)
		case errors.Is(err, net.ErrClosed):
			return
		default: // no file descriptors, for example: that passes
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, longest)
		}
	}
}

// admit starts to serve a client, unless there are too many.
func (s *Server) admit(ctx context.Context, conn net.Conn) {
	s.accepted.Add(1)
	if s.serve(ctx, conn) {
		return
	}
	s.rejected.Add(1)
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // not needed in practice: an empty buffer takes so little at once
	_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
	_ = conn.Close() // as above: whether it hears why is its own affair
}

// serve starts a client's goroutine; false: there are too many clients, or the server is closed.
func (s *Server) serve(ctx context.Context, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients == nil || len(s.clients) >= s.cfg.MaxClients {
		return false
	}
	c := newClient(s, conn, s.lastID.Add(1))
	s.clients[c] = true
	s.running.Go(func() { // ends when the connection does
		c.serve(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.clients, c)
	})
	return true
}

func (s *Server) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// port is the one on which the server listens.
func (s *Server) port() int {
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}
