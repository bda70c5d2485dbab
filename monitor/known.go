package monitor

import (
	"net/netip"
	"slices"

	"picket/config"
)

// Told is a server's address by its IP, as far as that is known.
func (n *Names) Told(server config.Addr) config.Addr {
	if ips := n.IPs(server.Host()); len(ips) > 0 {
		return config.NewAddr(ips[0].String(), server.Port())
	}
	return server
}

// Know sets the addresses by which servers are known: those that are agreed, masters first, and those by which agents know the servers beside them.
func (n *Names) Know(agreed, local []config.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agreed = agreed
	n.local = slices.DeleteFunc(slices.Clone(local), func(a config.Addr) bool { return a.Host() == "localhost" }) // another server on each host
	n.exact = make(map[config.Addr]bool, len(agreed))
	for _, a := range agreed {
		n.exact[a] = true
	}
	n.reindex()
}

// reindex is called with mu held.
func (n *Names) reindex() {
	n.index, n.beside = n.byIP(n.agreed), n.byIP(n.local)
}

// byIP finds names by what they mean; the first one that means it counts. It is called with mu held.
func (n *Names) byIP(addrs []config.Addr) map[netip.AddrPort]config.Addr {
	index := map[netip.AddrPort]config.Addr{}
	for _, a := range addrs {
		name := a.Host()
		if _, ok := literal(name); ok || !n.cfg.Allowed(name) {
			continue
		}
		for _, ip := range n.ask(name, namesFresh).ips {
			at := netip.AddrPortFrom(ip, uint16(a.Port())) //nolint:gosec // a port
			if _, found := index[at]; !found {
				index[at] = a
			}
		}
	}
	return index
}

// Known gives the address by which a server is known of which somebody speaks by another one: by its name where it has one, whatever IP address it has just
// now. Where nothing is known it is what was said.
func (n *Names) Known(said config.Addr) config.Addr {
	if n == nil || said == "" {
		return said
	}
	if n.asSaid(said) {
		return said
	}
	ips := n.IPs(said.Host())
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := find(n.index, said, ips); a != "" {
		return a
	}
	for _, ip := range ips {
		if a := config.NewAddr(ip.String(), said.Port()); n.exact[a] {
			return a
		}
	}
	if len(n.local) > 0 {
		n.beside = n.byIP(n.local) // nobody else asks for these
	}
	if a := find(n.beside, said, ips); a != "" {
		return a
	}
	return said
}

// asSaid says whether a server is known just as it is said: an IP address is not, where it may have a name.
func (n *Names) asSaid(said config.Addr) bool {
	_, isIP := literal(said.Host())
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.exact[said] && (!isIP || len(n.index) == 0)
}

// find looks a server up by its IP addresses; empty: it is not there.
func find(index map[netip.AddrPort]config.Addr, said config.Addr, ips []netip.Addr) config.Addr {
	for _, ip := range ips {
		if a, found := index[netip.AddrPortFrom(ip, uint16(said.Port()))]; found { //nolint:gosec // a port
			return a
		}
	}
	return ""
}

// Name writes the addresses of which a server has spoken as they are known.
func (n *Names) Name(o *Observation) {
	if n == nil {
		return
	}
	o.Master = n.Known(o.Master)
	for i := range o.Replicas {
		o.Replicas[i].Server = n.Known(o.Replicas[i].Server)
	}
}
