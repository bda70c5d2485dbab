package monitor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"picket/config"
)

const (
	// namesFresh is how long an answer of the name server is used without asking again.
	namesFresh = 10 * time.Second
	// namesDoubt is the same where a connection is to be made: the old one may have ended because the host has moved.
	namesDoubt = time.Second
	// lookupLimit bounds a question to the name server.
	lookupLimit = 5 * time.Second
	// lookupRetry is the pause of one who waits for his turn to ask.
	lookupRetry = 20 * time.Millisecond
	// maxLookups are under way at a time, maxNames are remembered: servers may speak of any number of names.
	maxLookups = 32
	maxNames   = 4096
)

// Lookup asks for the IP addresses of a host. It gives up when its context ends.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// NamesConfig assembles Names. What is nil is the real thing.
type NamesConfig struct {
	Lookup  Lookup
	Now     func() time.Time
	Allowed func(host string) bool // whether a name may be used at all; nil: all may
}

// Names knows the IP addresses of hosts, and by them which addresses mean the same server. Nobody waits for a name server, unless he must connect to a
// host of which nothing was ever heard: what was found once is used until something else is found, and asked for anew in the background. Its
// methods are safe for concurrent use; a nil *Names knows nothing.
type Names struct {
	cfg     NamesConfig
	ctx     context.Context // of the lookups
	cancel  context.CancelFunc
	lookups sync.WaitGroup
	slots   chan struct{}

	mu     sync.Mutex
	hosts  map[string]*host
	agreed []config.Addr // by which the group knows its servers, masters first
	exact  map[config.Addr]bool
	index  map[netip.AddrPort]config.Addr // of the names among agreed
}

// host is what is known of one.
type host struct {
	ips   []netip.Addr // immutable; none: nothing was ever found
	err   error        // of the latest lookup
	found time.Time    // when that ended
	used  time.Time
	busy  bool          // a lookup is under way
	news  chan struct{} // closed when it has ended
}

// NewNames makes one that knows nothing yet.
func NewNames(cfg NamesConfig) *Names {
	if cfg.Lookup == nil {
		cfg.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Allowed == nil {
		cfg.Allowed = func(string) bool { return true }
	}
	n := &Names{cfg: cfg, slots: make(chan struct{}, maxLookups), hosts: map[string]*host{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Close ends all lookups.
func (n *Names) Close() {
	n.mu.Lock()
	n.cancel() // no other lookup begins
	n.mu.Unlock()
	n.lookups.Wait()
}

// literal reads a host that is an IP address.
func literal(name string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(name)
	return ip.Unmap(), err == nil
}

// IPs gives what is known of a host, and has it looked up in the background where that is old.
func (n *Names) IPs(name string) []netip.Addr {
	if ip, ok := literal(name); ok {
		return []netip.Addr{ip}
	}
	if n == nil || !n.cfg.Allowed(name) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ask(name, namesFresh).ips
}

// ask gives a host, and begins a lookup where what is known of it is older than a time. It is called with mu held.
func (n *Names) ask(name string, old time.Duration) *host {
	now := n.cfg.Now()
	h := n.hosts[name]
	if h == nil {
		n.forget(now)
		h = &host{}
		n.hosts[name] = h
	}
	h.used = now
	if h.busy || !h.found.IsZero() && now.Sub(h.found) < old || n.ctx.Err() != nil {
		return h
	}
	select {
	case n.slots <- struct{}{}:
	default:
		return h // too many hang
	}
	h.busy, h.news = true, make(chan struct{})
	n.lookups.Go(func() { // ends within lookupLimit
		ctx, cancel := context.WithTimeout(n.ctx, lookupLimit)
		defer cancel()
		ips, err := n.cfg.Lookup(ctx, name)
		<-n.slots
		n.learned(h, ips, err)
	})
	return h
}

// forget makes room for another host: the one that nobody has asked for the longest time goes. It is called with mu held.
func (n *Names) forget(now time.Time) {
	if len(n.hosts) < maxNames {
		return
	}
	oldest, since := "", now
	for name, h := range n.hosts {
		if !h.busy && !h.used.After(since) {
			oldest, since = name, h.used
		}
	}
	delete(n.hosts, oldest)
}

// learned takes in an answer. A name server that fails, or knows nothing any more, takes nothing back: the host may still be where it was.
func (n *Names) learned(h *host, ips []netip.Addr, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && len(ips) == 0 {
		err = errNowhere
	}
	h.busy, h.err, h.found = false, err, n.cfg.Now()
	close(h.news)
	if err != nil {
		return
	}
	var found []netip.Addr
	for _, ip := range ips {
		found = append(found, ip.Unmap())
	}
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }) // IPv4 first; else as the name server says
	if !sameIPs(found, h.ips) {
		h.ips = found
		n.reindex()
	}
}

// sameIPs compares sets.
func sameIPs(a, b []netip.Addr) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(ip netip.Addr) bool { return !slices.Contains(b, ip) })
}

// Resolve waits until something is known of a host.
func (n *Names) Resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	if ip, ok := literal(name); ok {
		return []netip.Addr{ip}, nil
	}
	ips, _, err := n.await(ctx, name)
	return ips, err
}

var (
	errNotAllowed = errors.New("host names are not resolved: resolve-hostnames is off")
	errUnresolved = errors.New("the name server does not answer in time")
	errNowhere    = errors.New("the name has no IP address")
)

// await waits until something is known of a host. news is closed when a lookup that is under way has ended; nil: none is.
func (n *Names) await(ctx context.Context, name string) (ips []netip.Addr, news <-chan struct{}, err error) {
	if !n.cfg.Allowed(name) {
		return nil, nil, errNotAllowed
	}
	for {
		n.mu.Lock()
		h := n.ask(name, namesDoubt)
		ips, err, busy, ended := h.ips, h.err, h.busy, h.news
		n.mu.Unlock()
		switch {
		case len(ips) > 0 && busy:
			return ips, ended, nil
		case len(ips) > 0:
			return ips, nil, nil
		case !busy && err != nil:
			return nil, nil, err
		case !busy: // it is not this one's turn
			ended = nil
		}
		if err := waitFor(ctx, ended); err != nil {
			return nil, nil, err
		}
	}
}

// waitFor waits for the end of a lookup, or a while where there is none.
func waitFor(ctx context.Context, ended <-chan struct{}) error {
	var again <-chan time.Time
	if ended == nil {
		again = time.After(lookupRetry)
	}
	select {
	case <-ended:
	case <-again:
	case <-ctx.Done():
		return errUnresolved
	}
	return nil
}
