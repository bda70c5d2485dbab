package monitor

import (
	"net/netip"

	"picket/config"
)

// Told is a server's address by its IP, as far as that is known.
func (n *Names) Told(server config.Addr) config.Addr {
	if _, isIP := literal(server.Host()); isIP {
		return server
	}
	if ips := n.IPs(server.Host()); len(ips) > 0 {
		return config.NewAddr(ips[0].String(), server.Port())
	}
	return server
}

// Know sets the addresses by which servers are known, masters first.
func (n *Names) Know(agreed []config.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agreed, n.exact = agreed, make(map[config.Addr]bool, len(agreed))
	for _, a := range agreed {
		n.exact[a] = true
	}
	n.reindex()
}

// reindex finds the names among the known addresses by what they mean; the first one that means it counts. It is called with mu held.
func (n *Names) reindex() {
	n.index = map[netip.AddrPort]config.Addr{}
	for _, a := range n.agreed {
		name := a.Host()
		if _, ok := literal(name); ok || !n.cfg.Allowed(name) {
			continue
		}
		ips := n.ask(name, namesFresh).ips
		if !single(ips) {
			continue
		}
		for _, ip := range ips {
			if at := at(ip, a); n.index[at] == "" {
				n.index[at] = a
			}
		}
	}
}

// single says whether addresses may be those of one server: one of each kind. A name with several may be that of a service, and mean any of its servers.
func single(ips []netip.Addr) bool {
	return len(ips) < 2 || len(ips) == 2 && ips[0].Is4() != ips[1].Is4()
}

func at(ip netip.Addr, server config.Addr) netip.AddrPort {
	return netip.AddrPortFrom(ip, uint16(server.Port())) //nolint:gosec // a port
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
	if !single(ips) {
		return said
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ip := range ips {
		if a := n.index[at(ip, said)]; a != "" {
			return a
		}
	}
	for _, ip := range ips {
		if a := config.NewAddr(ip.String(), said.Port()); n.exact[a] {
			return a
		}
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
