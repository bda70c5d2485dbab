package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Process is what opens connections on a host.
type Process struct {
	host *Host

	mu        sync.Mutex
	thaw      chan struct{} // closed when it goes on; nil: it is not frozen
	dead      bool
	listeners map[*listener]struct{} // guarded by the network's mu, like conns
	conns     map[*conn]struct{}
}

// synLimit is when a system gives up to connect by itself.
const synLimit = 2 * time.Minute

// Wait returns at once, or when the process is not frozen any more; false: it is dead. Whatever a process does must go through it.
func (p *Process) Wait() (alive bool) {
	p.mu.Lock()
	for p.thaw != nil && !p.dead {
		thaw := p.thaw
		p.mu.Unlock()
		<-thaw
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	return !p.dead
}

// Freeze stops the process (SIGSTOP).
func (p *Process) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thaw == nil {
		p.thaw = make(chan struct{})
	}
}

// Thaw lets it go on.
func (p *Process) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thaw != nil {
		close(p.thaw)
		p.thaw = nil
	}
}

// Kill ends the process (SIGKILL): what it had open is closed, and nothing that it still does has an effect.
func (p *Process) Kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.Thaw()
	n := p.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range p.listeners {
		l.close()
	}
	for c := range p.conns {
		c.close()
	}
	n.news() // for what it is dialling
}

// Listen is net.Listen on this host. The port 0 is any free one.
func (p *Process) Listen(network, addr string) (net.Listener, error) {
	if !p.Wait() {
		return nil, opError("listen", nil, net.ErrClosed)
	}
	at, err := p.resolve(addr)
	if err != nil {
		return nil, err
	}
	n := p.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), p.host.port())
	}
	switch {
	case at.Addr() != p.host.addr:
		return nil, opError("listen", at, syscall.EADDRNOTAVAIL)
	case p.host.listeners[at.Port()] != nil:
		return nil, opError("listen", at, syscall.EADDRINUSE)
	case p.host.down:
		return nil, opError("listen", at, net.ErrClosed)
	}
	l := &listener{process: p, addr: at, backlog: make(chan *conn, backlog), done: make(chan struct{})}
	p.host.listeners[at.Port()] = l
	p.listeners[l] = struct{}{}
	return l, nil
}

// resolve understands addresses of this host by other names.
func (p *Process) resolve(addr string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		host = p.host.addr.String()
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return at, fmt.Errorf("resolve %s: %w", addr, err)
	}
	if at.Addr().IsLoopback() || at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(p.host.addr, at.Port())
	}
	return at, nil
}

// Dial is net.Dialer.DialContext from this host.
func (p *Process) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	at, err := p.resolve(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, synLimit)
	defer cancel()
	for {
		if !p.Wait() {
			return nil, opError("dial", at, net.ErrClosed)
		}
		if ctx.Err() != nil {
			return nil, opError("dial", at, timeout(ctx.Err()))
		}
		changed, trip := p.roundTrip(at)
		if trip > 0 {
			sleep(ctx, trip)
			if c, err := p.connect(at); c != nil || err != nil {
				return c.orNil(), err
			}
			continue
		}
		select { // nobody answers
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// roundTrip is how long it takes to ask a host; 0: it does not answer until something has changed.
func (p *Process) roundTrip(at netip.AddrPort) (changed <-chan struct{}, trip time.Duration) {
	n := p.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.hosts[at.Addr()]
	if n.reachable(p.host, to) {
		trip = n.path(p.host, to).delay + n.path(to, p.host).delay
	}
	return n.changed, trip
}

// connect makes the connection, or finds that nobody listens; neither: the question was lost meanwhile.
func (p *Process) connect(at netip.AddrPort) (*conn, error) {
	if !p.Wait() {
		return nil, opError("dial", at, net.ErrClosed)
	}
	n := p.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.hosts[at.Addr()]
	if !n.reachable(p.host, to) {
		return nil, nil
	}
	l := to.listeners[at.Port()]
	if l == nil {
		return nil, opError("dial", at, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	near, far := pair(p, l.process, netip.AddrPortFrom(p.host.addr, p.host.port()), at)
	select {
	case l.backlog <- far:
	default: // as a system that drops the question; here it is not asked again
		near.close()
		far.close()
		return nil, opError("dial", at, os.ErrDeadlineExceeded)
	}
	return near, nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// timeout is how package net names the end of a context.
func timeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}

func opError(op string, addr any, err error) error {
	e := &net.OpError{Op: op, Net: "tcp", Err: err}
	if at, ok := addr.(netip.AddrPort); ok {
		e.Addr = net.TCPAddrFromAddrPort(at)
	}
	return e
}
