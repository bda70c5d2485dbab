package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"picket/config"
)

// Dial makes a connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

var errMoved = errors.New("the host has moved")

// Dial gives a way to connect to hosts by their names: to what is known of them, at once. Where that turns out to be outdated while the connection is being
// made, it is made to the new address.
func (n *Names) Dial(dial Dial) Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(addr)
		if err != nil {
			return dial(ctx, network, addr)
		}
		if _, ok := literal(name); ok {
			return dial(ctx, network, addr)
		}
		for {
			ips, news, err := n.await(ctx, name)
			if err != nil {
				return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("resolve %s: %w", name, err)}
			}
			conn, err := n.attempt(ctx, dial, route{network, name, port, ips, news})
			if err == nil || ctx.Err() != nil || !errors.Is(err, errMoved) {
				return conn, err
			}
		}
	}
}

// route is where to connect to.
type route struct {
	network, name, port string
	ips                 []netip.Addr
	news                <-chan struct{}
}

// attempt tries the addresses one after the other. It gives up when the name server names others. The error is that of the first address, which has served
// last: only there it says what has become of the server. Of the others it may say no more than that this host has no route for their kind.
func (n *Names) attempt(ctx context.Context, dial Dial, r route) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.news != nil {
		go func() { // ends with the attempt
			select {
			case <-r.news:
				if n.stray(r.name, r.ips...) {
					cancel(errMoved)
				}
			case <-ctx.Done():
			}
		}()
	}
	var first error
	for i, ip := range r.ips {
		conn, err := dialOne(ctx, dial, r, ip, len(r.ips)-i)
		if err == nil {
			n.prefer(r.name, ip)
			return conn, nil
		}
		if errors.Is(context.Cause(ctx), errMoved) {
			return nil, errMoved
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// dialOne tries one of the addresses that are left, for its share of the time.
func dialOne(ctx context.Context, dial Dial, r route, ip netip.Addr, left int) (net.Conn, error) {
	if until, limited := ctx.Deadline(); limited && left > 1 {
		limit, cancel := context.WithTimeout(ctx, time.Until(until)/time.Duration(left))
		defer cancel()
		ctx = limit
	}
	return dial(ctx, r.network, net.JoinHostPort(ip.String(), r.port))
}

// prefer puts the address first that has just served.
func (n *Names) prefer(name string, ip netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil || len(h.ips) < 2 || h.ips[0] == ip || !slices.Contains(h.ips, ip) {
		return
	}
	h.ips = append([]netip.Addr{ip}, slices.DeleteFunc(slices.Clone(h.ips), func(other netip.Addr) bool { return other == ip })...)
}

// stray says whether a host is known to be at none of some addresses any more.
func (n *Names) stray(name string, ips ...netip.Addr) bool {
	now := n.IPs(name)
	return len(now) > 0 && !slices.ContainsFunc(now, func(ip netip.Addr) bool { return slices.Contains(ips, ip) })
}

// Moved says whether a server is somewhere else by now than where a connection to it leads.
func (n *Names) Moved(server config.Addr, remote net.Addr) bool {
	at, isTCP := remote.(*net.TCPAddr)
	if n == nil || !isTCP {
		return false
	}
	return n.stray(server.Host(), at.AddrPort().Addr().Unmap().WithZone(""), at.AddrPort().Addr().Unmap())
}
