package api

import (
	"crypto/sha256"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"
)

// How often an address may be wrong, and may ask, and is told of when it is refused. A token has too many values to be found at this pace, and a load balancer, a dashboard and a
// command that follows a failover stay far below.
const (
	failurePause = 10 * time.Second
	failureBurst = 10
	requestPause = time.Millisecond
	requestBurst = 2000
	refusalPause = time.Second
	refusalBurst = 100
	// maxSources bounds how many addresses are told apart; the others share one account.
	maxSources = 4096
)

// throttle counts something by address: burst times at once, and then once each pause.
type throttle struct {
	pause time.Duration
	burst int

	mu    sync.Mutex
	full  map[netip.Prefix]time.Time // when the account is full again
	swept time.Time                  // when full accounts were dropped last
}

func newThrottle(pause time.Duration, burst int) *throttle {
	return &throttle{pause: pause, burst: burst, full: map[netip.Prefix]time.Time{}}
}

// take counts once, and says how long to wait before the next time; 0: it may be now.
func (t *throttle) take(addr string) time.Duration { return t.count(addr, true) }

// look says how long to wait before something that would be counted; 0: it may be now.
func (t *throttle) look(addr string) time.Duration { return t.count(addr, false) }

func (t *throttle) count(addr string, once bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, key := time.Now(), t.account(source(addr))
	full := t.full[key]
	if full.Before(now) {
		full = now
	}
	if wait := full.Sub(now) - time.Duration(t.burst-1)*t.pause; wait > 0 {
		return wait
	}
	if once {
		t.full[key] = full.Add(t.pause)
	}
	return 0
}

// account is the key of an address: its own, or the common one when there are too many.
func (t *throttle) account(of netip.Prefix) netip.Prefix {
	if _, known := t.full[of]; known || len(t.full) < maxSources {
		return of
	}
	if now := time.Now(); now.Sub(t.swept) >= time.Second { // not for each request of a flood
		t.swept = now
		maps.DeleteFunc(t.full, func(_ netip.Prefix, full time.Time) bool { return full.Before(now) })
	}
	if len(t.full) < maxSources {
		return of
	}
	return netip.Prefix{}
}

// source is what stands for an address: of IPv6, one host has a whole /64.
func source(addr string) netip.Prefix {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() && !ip.IsLoopback() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// trial is a token that came from an address.
type trial struct {
	from netip.Prefix
	sum  [sha256.Size]byte
}

// tried are trials, as many as are worth to be known; when there are too many, all are forgotten.
type tried struct {
	mu  sync.Mutex
	all map[trial]struct{}
}

func (t *tried) has(one trial) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, has := t.all[one]
	return has
}

func (t *tried) note(one trial) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil || len(t.all) >= maxSources {
		t.all = map[trial]struct{}{}
	}
	t.all[one] = struct{}{}
}
