package sentinel

import (
	"context"
	"net"
	"os"
	"time"

	"picket/consensus/tcp"
	"picket/consensus/vfs"
	"picket/monitor"
)

// Host is what an agent has of the machine under it: the only way to its disk, its network and its clock, so that a test can give each of
// many agents in one process a machine of its own. What is nil is the real thing.
type Host struct {
	FS     vfs.FS
	Listen func(network, addr string) (net.Listener, error)
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	// Now is the clock that the agent judges, promises and holds leases by. Timers are the runtime's.
	Now func() time.Time
	// Lookup finds the IP addresses of the servers' host names. It gives up when its context ends.
	Lookup monitor.Lookup
	// Exit ends the process, as a crash would.
	Exit func(code int)
	// Startable says why an agent could not start from a sentinel.conf; nil: it could.
	Startable func(text []byte) error
	// Ready is called when clients and other agents can connect.
	Ready func()
}

// watch is how servers are dialled.
func (h Host) watch() tcp.Dial {
	if h.Dial == nil {
		return tcp.Hedged((&net.Dialer{}).DialContext)
	}
	return h.Dial
}

// withDefaults fills in the real machine. Network functions stay nil: whoever uses them knows best how to tune a real socket.
func (h Host) withDefaults() Host {
	if h.FS == nil {
		h.FS = vfs.OS{}
	}
	if h.Exit == nil {
		h.Exit = os.Exit
	}
	if h.Startable == nil {
		h.Startable = func([]byte) error { return nil }
	}
	if h.Ready == nil {
		h.Ready = func() {}
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	return h
}
