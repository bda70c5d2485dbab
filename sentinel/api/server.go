package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"picket/config"
	"picket/sentinel/dashboard"
	"picket/sentinel/picture"
)

// Backend is the agent.
type Backend interface {
	Picture() picture.Picture
	Alive() bool // its loops run
	Beside() Beside
	Now() time.Time // its clock
}

// Config of a server.
type Config struct {
	Addr     string
	OpenPort func(network, addr string) (net.Listener, error) // nil: net.Listen
	Version  string
	Cluster  string
	TLS      *tls.Config   // nil: none
	HTTP     config.HTTP   // who may do what, as config.Load checked it
	Report   func(Attempt) // is told of requests that would change something, and of wrong tokens; it must not block; nil: nobody is
	Backend  Backend
	History  History
	Store    Store
	Group    Group
	Rails    Guardrails
	Orders   Orders
	Webhooks Webhooks
	Reasons  Reasons
	Metrics  http.Handler // nil: none
}

// Limits of one request; there is nothing to upload but the map's values, which have a limit of their own.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxBody       = 1 << 10
	closeTimeout  = time.Second
)

// Server answers HTTP requests until it is closed.
type Server struct {
	http     http.Server
	listener net.Listener
	access   *access
	open     *limited
	closing  chan struct{} // closed by Close
	done     chan error
}

// Listen starts a server.
func Listen(cfg Config) (*Server, error) {
	if cfg.OpenPort == nil {
		cfg.OpenPort = net.Listen
	}
	listener, err := cfg.OpenPort("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w; change listen.http, or leave it empty", err)
	}
	access := newAccess(cfg.HTTP, loopback(listener.Addr().String()), cfg.Report)
	s := &Server{listener: listener, access: access, closing: make(chan struct{}), done: make(chan error, 1)}
	s.http = http.Server{
		Handler:           access.audited(routes(cfg, access, s.closing)),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, TLSConfig: cfg.TLS, ErrorLog: log.New(panics{}, "", 0),
		Protocols: new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true) // whose connections have one request at a time: what they can hold is bounded by how many there are
	counted := limit(listener)
	s.open, s.http.ConnState = counted, counted.state
	go func() { // accepts; Close waits for it
		if cfg.TLS != nil {
			s.done <- s.http.ServeTLS(counted, "", "")
		} else {
			s.done <- s.http.Serve(counted)
		}
	}()
	return s, nil
}

// Reload takes over who may do what.
func (s *Server) Reload(cfg config.HTTP) { s.access.take(cfg) }

// panics writes what net/http says of handlers that panicked, and leaves away what it says of clients, who could fill the log with it.
type panics struct{}

func (panics) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("panic")) {
		return os.Stderr.Write(line)
	}
	return len(line), nil
}

// Connections is how many are open.
func (s *Server) Connections() int { return s.open.count() }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close ends the server; requests under way have a moment to end. It must be called once.
func (s *Server) Close() error {
	close(s.closing)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // the connections that were too slow
	}
	if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

func routes(cfg Config, a *access, closing <-chan struct{}) *door {
	d := newDoor(a)
	checks{cfg.Backend}.route(d)
	look{cfg.Backend}.route(d)
	page := dashboard.Handler().ServeHTTP // the same for everybody: what it asks for needs a role
	d.handle("GET /{$}", Anybody, operation{summary: "The dashboard, for browsers.", media: []string{"text/html"}}, page)
	d.handle("GET /dashboard/{file}", Anybody, operation{
		summary: "What the dashboard is made of.", media: []string{"text/javascript", "text/css", "image/svg+xml"},
	}, page)
	d.handle("GET /v1/whoami", Read, operation{summary: "Who asks, as the agent knows it, and what he may do.", answer: Caller{}},
		func(w http.ResponseWriter, r *http.Request) {
			c := callerOf(r)
			reply(w, http.StatusOK, Caller{c.name, c.by, c.role.String()})
		})
	members{cfg.Backend, cfg.Group}.route(d)
	rails{cfg.Backend, cfg.Rails}.route(d)
	orders{cfg.Backend, cfg.Orders}.route(d)
	reasons{cfg.Backend, cfg.Reasons}.route(d)
	webhooks{cfg.Webhooks}.route(d)
	streams := &streams{open: make(chan struct{}, maxStreams), closing: closing}
	history{cfg.Cluster, cfg.History, streams}.route(d)
	(&kv{store: cfg.Store, streams: streams}).route(d)
	if cfg.Metrics != nil {
		d.handle("GET /metrics", Read, operation{summary: "Metrics for Prometheus.", media: []string{"text/plain"}}, cfg.Metrics.ServeHTTP)
	}
	d.describe(cfg.Version)
	return d
}

// Caller is the body of GET /v1/whoami.
type Caller struct {
	Name string `json:"name,omitempty"` // of the token, or of the certificate; absent: neither was shown
	By   string `json:"by,omitempty"`   // token or certificate
	Role string `json:"role"`
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}
