package model

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Network is what a server's host gives it.
type Network interface {
	Listen(addr string) (net.Listener, error)
	// Dial connects from this server's host; a refused connection satisfies errors.Is(err, syscall.ECONNREFUSED).
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Config is what a server is made of.
type Config struct {
	Addr    string // host:port where it listens, and how replicas are told apart
	Network Network
	// Persistence is how the data outlive the process; more exactly than by save and appendonly in Args, which it sets.
	Persistence Persistence
	// Args is its redis.conf: directives that CONFIG GET knows. CONFIG REWRITE changes the server's copy.
	Args map[string]string
	// Seed decides run ids, replication ids and the phase of the timers.
	Seed uint64
	// SnapshotTime is how long a snapshot takes to make, and again to load; zero: 5 ms. Empty data load at once.
	SnapshotTime time.Duration
	// Observe, if not nil, is told what happens inside, in order, with the server's lock held: it must not call the server.
	Observe func(Event)
}

const defaultSnapshotTime = 5 * time.Millisecond

// Server is one redis-server: its files and, while it runs, its process. Its methods are safe for concurrent use.
type Server struct {
	cfg Config

	mu    sync.Mutex
	disk  disk
	boots uint64
	proc  *process // nil: not running
}

// New makes a server that is not started.
func New(cfg Config) *Server {
	if cfg.SnapshotTime == 0 {
		cfg.SnapshotTime = defaultSnapshotTime
	}
	return &Server{cfg: cfg, disk: disk{conf: maps.Clone(cfg.Args)}}
}

// ErrRunning is returned by Start when there is nothing to start.
var ErrRunning = errors.New("the server is running already")

// Start starts the process with what is in its files.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && s.proc.alive() {
		return ErrRunning
	}
	s.reap()
	s.boots++
	p, err := newProcess(&s.cfg, s.disk, rand.New(rand.NewPCG(s.cfg.Seed, s.boots)))
	if err != nil {
		return fmt.Errorf("start the model of %s: %w", s.cfg.Addr, err)
	}
	s.proc = p
	return nil
}

// reap keeps the files of a process that has ended, by itself or not. It is called with mu held.
func (s *Server) reap() {
	if s.proc == nil {
		return
	}
	s.proc.tasks.Wait()
	s.disk = s.proc.disk
	s.proc = nil
}

// stop ends the process, if one runs.
func (s *Server) stop(end func(*process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return
	}
	s.proc.mu.Lock()
	if !s.proc.dead {
		end(s.proc)
		s.proc.die()
	}
	s.proc.release()
	s.reap()
}

// Crash is kill -9: the kernel closes the connections, memory is gone, what was written to files is kept.
func (s *Server) Crash() { s.stop(func(*process) {}) }

// LosePower is Crash, and files keep only what was synced.
func (s *Server) LosePower() {
	s.stop(func(p *process) { p.disk.loseUnsynced() })
}

// Shutdown is SIGTERM, and returns when the process has ended: the replicas have everything, or shutdown-timeout is over; data are
// saved where save points are configured. A hung process gets the signal when it wakes.
func (s *Server) Shutdown() {
	s.mu.Lock()
	p := s.proc
	s.mu.Unlock()
	if p == nil || !p.enter() {
		return
	}
	p.beginShutdown(nil, shutdownOptions{})
	p.leave(nil)
	<-p.ended
	p.tasks.Wait()
}

// Restart is Start after Crash.
func (s *Server) Restart() error {
	s.Crash()
	return s.Start()
}

// Wipe forgets the data files, as a lost volume does; the configuration file stays. The server must not be running.
func (s *Server) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reap()
	s.disk.rdb, s.disk.aof = nil, aof{}
}

// Hang is SIGSTOP: nothing is executed, sent or noticed until Wake.
func (s *Server) Hang() { s.with(func(p *process) { p.frozen = true }) }

// Wake is SIGCONT.
func (s *Server) Wake() {
	s.with(func(p *process) { p.frozen = false })
}

// with runs f on the process, if one runs, whether it hangs or not.
func (s *Server) with(f func(*process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return
	}
	s.proc.mu.Lock()
	defer s.proc.release()
	if !s.proc.dead {
		f(s.proc)
	}
}

// Running says whether there is a process, hung or not.
func (s *Server) Running() (running bool) {
	s.with(func(*process) { running = true })
	return running
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.cfg.Addr }

// Status is what a process knows of itself, without asking it over the network.
type Status struct {
	Running, Hung   bool
	RunID           string
	Role            string // master or slave
	Follows         string // host:port of its master; empty: it is one
	LinkUp          bool
	ReplID, ReplID2 string
	Offset, Second  int64 // of what it has applied; up to which ReplID2 is valid
	Keys            int   // in all databases
}

// Status looks at the process; the zero value means that there is none.
func (s *Server) Status() (st Status) {
	s.with(func(p *process) {
		st = Status{
			Running: true, Hung: p.stopped(), RunID: p.runID, Role: p.role(), LinkUp: p.linkState == linkConnected,
			ReplID: p.replID, ReplID2: p.replID2, Offset: p.offset, Second: p.second, Keys: p.data.size(),
		}
		if p.masterHost != "" {
			st.Follows = net.JoinHostPort(p.masterHost, p.masterPort)
		}
	})
	return st
}

// Dump gives the keys of a database: strings as one element, lists in order, sets and hashes sorted.
func (s *Server) Dump(db int) (keys map[string][]string) {
	s.with(func(p *process) { keys = p.data[db].dump() })
	return keys
}
