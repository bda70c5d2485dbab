package api

import (
	"net"
	"net/http"
	"net/netip"
)

// guard decides who may change something. The port has no authentication, so that whoever writes must be a program on this
// host: not another host, and not a web page in this host's browser, be it through its own requests (Origin) or a name
// that was made to point here (Host).
type guard struct {
	loopback bool // the server listens there only
}

// mistrust says why a request may not change anything; empty: it may.
func (g guard) mistrust(r *http.Request) string {
	switch {
	case !g.loopback:
		return "this agent's HTTP port can be reached from other hosts, and has no authentication: set listen.http to a loopback " +
			"address such as 127.0.0.1:26381, and write on the agent's host"
	case !loopback(r.RemoteAddr):
		return "writes are taken from this host only: run the request on the agent's host"
	case !loopback(r.Host):
		return "the request names the host " + r.Host + ": address the agent as 127.0.0.1, [::1] or localhost"
	case r.Header.Get("Origin") != "":
		return "writes are not taken from web pages: send the request without an Origin header, for example with picket kv"
	}
	return ""
}

// guarded lets only those requests through that may change something.
func (g guard) guarded(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := g.mistrust(r); why != "" {
			problem(w, Problem{Status: http.StatusForbidden, Detail: why})
			return
		}
		handle(w, r)
	}
}

// loopback says whether an address, with or without a port, is of this host only.
func loopback(addr string) bool {
	host := addr
	if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
