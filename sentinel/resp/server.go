package resp

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"picket/config"
	"picket/consensus/tcp/lobby"
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
	// Shutdown ends the agent's process. It returns when that has begun. Hurried, the agent hands nothing over before.
	Shutdown(hurried bool)
	// Scripts are the programs that the agent runs, or will run, in the order in which they were added.
	Scripts() []script.Pending
	Registry
}

// Config of a server.
type Config struct {
	Addr       string // empty: there is only a port with TLS
	TLSAddr    string // empty: there is none
	TLS        *tls.Config
	OpenPort   func(network, addr string) (net.Listener, error) // nil: net.Listen
	Door       config.Door                                      // who may do what
	Version    string                                           // of the agent
	ConfigFile string                                           // for INFO; empty: there is none
	Backend    Backend
	MaxClients int // 0: defaultMaxClients
}

const (
	defaultMaxClients = 10_000
	// maxGuests bounds the clients that have not given a password yet, or have not finished the handshake of TLS.
	maxGuests = 512
	// Connections in a second, without TLS and with it, whose handshake costs a millisecond; some more wait in the kernel. Without TLS, as many as there may be
	// clients come at once after a failover.
	arrivals, arrivalsTLS = 5000, 1000
	// arrivalsCrowded is as many as that while there are as many guests as there may be: then it is a flood, which must not cost the agent much.
	arrivalsCrowded = 1000
	// guestTime is how long a client may be connected without having given the password.
	guestTime = 10 * time.Second
	// writeTime is how long a client may leave unread what it is sent, once the kernel's buffers are full.
	writeTime = 10 * time.Second
)

// Server talks to clients until it is closed.
type Server struct {
	cfg       Config
	table     table
	accounts  *accounts
	hub       *hub
	debug     debugging
	pause     *pause
	traffic   traffic
	guests    lobby.Lobby
	budget    budget
	started   time.Time
	runID     string // of this process; clients tell restarts by it
	listeners []net.Listener
	cancel    context.CancelFunc
	running   sync.WaitGroup // the accepting goroutines and the clients

	mu      sync.Mutex
	lastID  int64
	most    int               // clients at a time
	clients map[int64]*client // by their numbers; nil once closed
}

// Listen starts a server.
func Listen(cfg Config) (*Server, error) {
	s, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.openPorts(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, l := range s.listeners {
		s.running.Go(func() { s.accept(ctx, l) }) // ends when the listener is closed
	}
	return s, nil
}

func newServer(cfg Config) (*Server, error) {
	if cfg.OpenPort == nil {
		cfg.OpenPort = net.Listen
	}
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails
	t := newTable()
	users, err := newAccounts(cfg.Door, t.catalogue())
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, table: t, accounts: users, hub: newHub(), pause: newPause(), started: time.Now(), runID: hex.EncodeToString(id),
		clients: map[int64]*client{}, most: cmp.Or(cfg.MaxClients, defaultMaxClients),
	}
	s.guests.Most, s.budget.most = maxGuests, maxWaiting
	return s, nil
}

// Reload changes who may do what, and how many clients may be connected; 0 is the default. Users that are the same keep what ACL SETUSER gave them, but where
// any of them is another one all are again what the configuration says, and the connections of those that are not any more are closed.
func (s *Server) Reload(door config.Door, maxClients int) error {
	s.mu.Lock()
	s.most = cmp.Or(maxClients, defaultMaxClients)
	s.mu.Unlock()
	changed, err := s.accounts.reload(door)
	if changed {
		s.kill(nil, func(o *client) bool { return s.accounts.user(o.user()) == nil })
	}
	return err
}

// maxClients is how many may be connected at a time.
func (s *Server) maxClients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// openPorts opens all that are wanted, or none.
func (s *Server) openPorts() error {
	for _, port := range []struct {
		key, addr string
		tls       *tls.Config
	}{{"listen.sentinel", s.cfg.Addr, nil}, {"listen.sentinel-tls", s.cfg.TLSAddr, s.cfg.TLS}} {
		if port.addr == "" {
			continue
		}
		l, err := s.cfg.OpenPort("tcp", port.addr)
		if err != nil {
			for _, open := range s.listeners {
				_ = open.Close() // nobody was let in yet
			}
			return fmt.Errorf("listen for Sentinel clients: %w; change %s, or stop what listens there", err, port.key)
		}
		if port.tls != nil {
			l = tls.NewListener(l, port.tls)
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

// Addr is where the server listens: without TLS, if it does.
func (s *Server) Addr() net.Addr { return s.listeners[0].Addr() }

// Publish tells subscribers what happened, in order. It never blocks.
func (s *Server) Publish(messages ...Message) { s.hub.publish(messages) }

// Close ends all connections, and returns when all goroutines have ended.
func (s *Server) Close() error {
	var problems []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, fmt.Errorf("close the Sentinel port: %w", err))
		}
	}
	s.cancel()
	s.mu.Lock()
	clients := s.clients
	s.clients = nil
	for _, c := range clients {
		c.disconnect()
	}
	s.mu.Unlock()
	s.running.Wait()
	return errors.Join(problems...)
}

// accept lets clients in.
func (s *Server) accept(ctx context.Context, l net.Listener) {
	const longest = time.Second
	pause := time.Millisecond
	pace, crowded := rate.NewLimiter(arrivals, defaultMaxClients), rate.NewLimiter(arrivalsCrowded, 1)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			if _, encrypted := conn.(*tls.Conn); encrypted && pace.Limit() != arrivalsTLS {
				pace = rate.NewLimiter(arrivalsTLS, arrivalsTLS)
			}
			_ = pace.Wait(ctx) // ends early when the server does
			if waiting, _ := s.guests.Count(); waiting >= maxGuests {
				_ = crowded.Wait(ctx)
			}
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
	s.traffic.accepted.Add(1)
	if s.serve(ctx, conn) {
		return
	}
	s.traffic.rejected.Add(1)
	if _, encrypted := conn.(*tls.Conn); !encrypted { // else it would have to be spoken to first
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // not needed in practice: an empty buffer takes so little at once
		_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
	}
	_ = conn.Close() // whether it hears why is its own affair
}

// serve starts a client's goroutine; false: there are too many clients, or the server is closed.
func (s *Server) serve(ctx context.Context, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients == nil || len(s.clients) >= s.most {
		return false
	}
	s.lastID++
	c := newClient(s, conn, s.lastID)
	s.clients[c.id] = c
	if _, encrypted := conn.(*tls.Conn); encrypted || !s.accounts.open() {
		c.guest = s.guests.Enter(conn, c.disconnect)
	}
	s.running.Go(func() { // ends when the connection does
		c.serve(ctx)
		c.known()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.clients, c.id)
	})
	return true
}

func (s *Server) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// client finds one by its number; nil: there is none.
func (s *Server) client(id int64) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[id]
}

// everybody lists the clients in the order in which they came.
func (s *Server) everybody() []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.clients), func(a, b *client) int { return cmp.Compare(a.id, b.id) })
}

// port is the one that INFO tells.
func (s *Server) port() int {
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}
