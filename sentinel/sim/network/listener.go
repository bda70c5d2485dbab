package network

import (
	"net"
	"net/netip"
	"sync"
)

// backlog bounds the connections that nobody has accepted yet.
const backlog = 128

// listener implements net.Listener.
type listener struct {
	process *Process
	addr    netip.AddrPort
	backlog chan *conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	l.process.Wait()
	select {
	case <-l.done:
	case c := <-l.backlog:
		if l.process.Wait() {
			return c, nil
		}
	}
	return nil, opError("accept", l.addr, net.ErrClosed)
}

func (l *listener) Close() error {
	n := l.process.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	l.close()
	return nil
}

// close is called with the network's mu held. Who was not accepted yet is disconnected.
func (l *listener) close() {
	l.once.Do(func() {
		close(l.done)
		delete(l.process.listeners, l)
		if h := l.process.host; h.listeners[l.addr.Port()] == l {
			delete(h.listeners, l.addr.Port())
		}
		for {
			select {
			case c := <-l.backlog:
				c.close()
			default:
				return
			}
		}
	})
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }
