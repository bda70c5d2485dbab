package sentinel

import (
	"context"
	"net/netip"
	"slices"

	"picket/config"
	"picket/sentinel/resp"
	"picket/sentinel/state"
)

// Parameters of SENTINEL CONFIG that say what becomes of host names.
const (
	resolveHostnames  = "resolve-hostnames"
	announceHostnames = "announce-hostnames"
)

const (
	yes = "yes"
	no  = "no"
)

// yesNo is Sentinel's word for it.
func yesNo(is bool) string {
	if is {
		return yes
	}
	return no
}

// says reads a parameter that was set on this agent; the file has its say where none was.
func (a *Agent) says(parameter string, file bool) bool {
	if value := a.rules.own.parameter(parameter); value != "" {
		return value == yes
	}
	return file
}

// resolves says whether servers may be known by a name. Its own Redis an agent finds by any.
func (a *Agent) resolves(host string) bool {
	return host == a.cfg.Local.Host() || a.says(resolveHostnames, a.current().ResolveHostnames)
}

// told is an address as clients are told.
func (a *Agent) told(addr config.Addr) config.Addr {
	if addr == "" || a.says(announceHostnames, a.current().Announce.Hostnames) {
		return addr
	}
	return a.names.Told(addr)
}

// toldHost is a host as clients are told.
func (a *Agent) toldHost(host string) string {
	if host == "" {
		return ""
	}
	return a.told(config.NewAddr(host, 1)).Host()
}

// know notes by which addresses servers are known, so that they are recognised when somebody speaks of them by others.
func (a *Agent) know(s *state.State) {
	var masters, replicas []config.Addr
	for i := range s.Masters {
		m := &s.Masters[i]
		masters = append(masters, m.Addr)
		replicas = append(replicas, m.Replicas...)
		for _, p := range m.Registered() {
			if !m.Owns(p.Addr) {
				replicas = append(replicas, p.Addr)
			}
		}
	}
	file := a.current().Masters
	for i := range file {
		if m := &file[i]; unmet(s, m) {
			masters = append(masters, m.Address)
		}
	}
	a.names.Know(slices.Concat(masters, replicas))
}

// maxAsking is how many clients at a time have a name looked up. Lookups are bounded, and those of the servers that are watched must not wait for clients'.
const maxAsking = 4

// Resolves implements resp.Registry: it says whether a master may be known by a host, which costs a while where that is a name that nobody has heard of.
func (a *Agent) Resolves(ctx context.Context, host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		return false
	}
	_, err := a.names.Resolve(ctx, host)
	return err == nil
}

// preferring gives the settings of a master with the server that it prefers by the address by which that is known.
func (a *Agent) preferring(settings *config.Master) *config.Master {
	known := a.names.Known(settings.PreferServer)
	if known == settings.PreferServer {
		return settings
	}
	named := *settings
	named.PreferServer = known
	return &named
}

// saying gives an address as clients are told.
func (h *herald) saying(a config.Addr) config.Addr {
	if h.told == nil || a == "" {
		return a
	}
	return h.told(a)
}

// owner says whose server it is, for events.
func (h *herald) owner(m *state.Master, a config.Addr) resp.Owner {
	return resp.Owner{Name: m.Name, Master: h.saying(m.Addr), IsMaster: m.Addr == a}
}

// speaker is another agent, for events; false: it has never registered.
func (h *herald) speaker(agent string) (resp.Speaker, bool) {
	who, known := resp.SpeakerOf(h.machine.State(), h.cluster, agent)
	who.Addr = h.saying(who.Addr)
	return who, known
}

// spoken is a committed event with the addresses that clients are told.
func (h *herald) spoken(e state.Event) state.Event {
	e.Data.From, e.Data.To, e.Data.Replica = h.saying(e.Data.From), h.saying(e.Data.To), h.saying(e.Data.Replica)
	e.Data.Replicas = h.spokenAll(e.Data.Replicas)
	return e
}

func (h *herald) spokenAll(addrs []config.Addr) []config.Addr {
	spoken := make([]config.Addr, len(addrs))
	for i, a := range addrs {
		spoken[i] = h.saying(a)
	}
	return spoken
}
