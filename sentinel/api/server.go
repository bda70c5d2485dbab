package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"picket/sentinel/picture"
)

// Backend is the agent.
type Backend interface {
	Picture() picture.Picture
	Alive() bool // its loops run
}

// Config of a server.
type Config struct {
	Addr     string
	OpenPort func(network, addr string) (net.Listener, error) // nil: net.Listen
	Backend  Backend
	Store    Store
	Group    Group
	Rails    Guardrails
	Orders   Orders
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
	s := &Server{listener: listener, closing: make(chan struct{}), done: make(chan error, 1)}
	guard := guard{loopback: loopback(listener.Addr().String())}
	kv := &kv{store: cfg.Store, guard: guard, closing: s.closing, watchers: make(chan struct{}, maxWatchers)}
	s.http = http.Server{
		Handler:           routes(cfg, kv, guard),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
	}
	go func() { s.done <- s.http.Serve(listener) }() // accepts; Close waits for it
	return s, nil
}

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

func routes(cfg Config, kv *kv, guard guard) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		code, h := health(cfg.Backend)
		reply(w, code, h)
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, cfg.Backend.Picture())
	})
	members{cfg.Backend, cfg.Group}.route(mux, guard)
	rails{cfg.Backend, cfg.Rails}.route(mux, guard)
	orders{cfg.Backend, cfg.Orders}.route(mux, guard)
	reasons{cfg.Backend, cfg.Reasons}.route(mux)
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	all := http.NewServeMux()
	all.Handle("/", http.MaxBytesHandler(mux, maxBody))
	all.Handle("/v1/kv/", kv.routes())
	return all
}

// Health is the body of /healthz.
type Health struct {
	Status   string `json:"status"` // ok or stuck
	Agent    string `json:"agent"`
	Role     string `json:"role"`
	Leader   string `json:"leader"`
	Majority bool   `json:"majority"`
}

func health(b Backend) (int, Health) {
	if !b.Alive() {
		return http.StatusServiceUnavailable, Health{Status: "stuck"}
	}
	p := b.Picture()
	return http.StatusOK, Health{Status: "ok", Agent: p.Agent, Role: p.Role, Leader: p.Leader, Majority: p.Majority}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}
