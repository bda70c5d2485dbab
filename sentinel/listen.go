package sentinel

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"

	"picket/config"
)

// openPort opens a port on its host.
type openPort func(network, addr string) (net.Listener, error)

// onAll opens a port on more hosts than its own, and has what listens there look like one listener. A host that begins with a dash may be missing.
func onAll(open openPort, hosts []string) openPort {
	if open == nil {
		open = net.Listen
	}
	return func(network, addr string) (net.Listener, error) {
		first, err := open(network, addr)
		if err != nil || len(hosts) == 0 {
			return first, err
		}
		all := []net.Listener{first}
		for _, host := range hosts {
			name, optional := strings.CutPrefix(host, "-")
			family := network
			if strings.Contains(name, ":") {
				family = "tcp6" // and not IPv4, too, which another one may have
			}
			l, err := open(family, string(config.NewAddr(name, config.Addr(addr).Port())))
			switch {
			case err == nil:
				all = append(all, l)
			case !optional || !noSuchAddress(err):
				return nil, errors.Join(fmt.Errorf("listen on %s: %w", name, err), closeAll(all))
			}
		}
		return join(all), nil
	}
}

// noSuchAddress says whether an address can't be listened on because this host does not have it.
func noSuchAddress(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func closeAll(all []net.Listener) error {
	var err error
	for _, l := range all {
		err = errors.Join(err, l.Close())
	}
	return err
}

// joint accepts what any of its listeners does.
type joint struct {
	all      []net.Listener
	arrivals chan arrival
	closed   chan struct{}
	once     sync.Once
	running  sync.WaitGroup
}

type arrival struct {
	conn net.Conn
	err  error
}

func join(all []net.Listener) *joint {
	j := &joint{all: all, arrivals: make(chan arrival), closed: make(chan struct{})}
	for _, l := range all {
		j.running.Go(func() { j.pass(l) }) // ends when the listener is closed
	}
	return j
}

// pass hands on what one listener accepts, one at a time: an error, too, so that whoever accepts decides how long to wait.
func (j *joint) pass(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case j.arrivals <- arrival{conn, err}:
		case <-j.closed:
			if conn != nil {
				_ = conn.Close() // nobody wants it any more
			}
			return
		}
	}
}

func (j *joint) Accept() (net.Conn, error) {
	select {
	case a := <-j.arrivals:
		return a.conn, a.err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

func (j *joint) Close() error {
	var err error
	j.once.Do(func() {
		close(j.closed)
		err = closeAll(j.all)
		j.running.Wait()
	})
	return err
}

func (j *joint) Addr() net.Addr { return j.all[0].Addr() }
