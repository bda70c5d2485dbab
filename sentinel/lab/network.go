package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrNoNetwork says what a network takes.
var ErrNoNetwork = errors.New("hosts of their own are network namespaces: they need Linux, iproute2 (the command ip) and root")

// Network is hosts at one switch, each a network namespace. None can be reached from outside, or reaches out. Its faults belong to
// one goroutine.
type Network struct {
	Hosts []*Host
	hub   string         // namespace of the switch
	heals []func() error // of what is broken now
}

// Host is a network namespace with one address. The nil Host is this machine, on the loopback address.
type Host struct {
	ip        string
	namespace string
	port      string // its end at the switch
	http      *http.Client

	dialling sync.RWMutex // held for reading by those who dial, so that Close can wait for them
	closed   bool
}

// networks tells apart those of this process.
var networks atomic.Int64

// NewNetwork makes n hosts, which live until the lab closes. It fails with ErrNoNetwork where this user can't make one.
func (l *Lab) NewNetwork(n int) (*Network, error) {
	name := fmt.Sprintf("picket-%d-%d", os.Getpid(), networks.Add(1))
	network := &Network{hub: name + "-hub"}
	if err := ip("netns", "add", network.hub); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	l.hold(network)
	err := errors.Join(
		ip("-n", network.hub, "link", "add", "switch", "type", "bridge"),
		ip("-n", network.hub, "link", "set", "switch", "up"),
	)
	for i := 1; i <= n && err == nil; i++ {
		err = network.add(fmt.Sprintf("%s-%d", name, i), i)
	}
	if err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	return network, nil
}

// add plugs another host in.
func (n *Network) add(namespace string, i int) error {
	h := &Host{namespace: namespace, ip: fmt.Sprintf("10.0.0.%d", i), port: fmt.Sprintf("port%d", i)}
	h.http = &http.Client{Transport: &http.Transport{DialContext: h.Dial}}
	if err := ip("netns", "add", h.namespace); err != nil {
		return err
	}
	n.Hosts = append(n.Hosts, h)
	for _, args := range [][]string{
		{"-n", n.hub, "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.namespace},
		{"-n", n.hub, "link", "set", h.port, "master", "switch", "up"},
		{"-n", h.namespace, "address", "add", h.ip + "/24", "dev", "eth0"},
		{"-n", h.namespace, "link", "set", "eth0", "up"},
		{"-n", h.namespace, "link", "set", "lo", "up"},
		// Deafen's rules must come before the one by which a host takes in what is for itself.
		{"-n", h.namespace, "rule", "add", "priority", "10", "lookup", "local"},
		{"-n", h.namespace, "rule", "delete", "priority", "0"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// ip runs iproute2.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Close removes the namespaces; the lab does it when the processes in them have ended.
func (n *Network) Close() error {
	var errs []error
	for _, h := range n.Hosts {
		h.close()
		errs = append(errs, ip("netns", "delete", h.namespace))
	}
	return errors.Join(append(errs, ip("netns", "delete", n.hub))...)
}

// close waits for those who dial. It lets nobody else do so.
func (h *Host) close() {
	h.dialling.Lock()
	defer h.dialling.Unlock()
	h.closed = true
	h.http.CloseIdleConnections()
}

// Unplug takes a host off the switch.
func (n *Network) Unplug(h *Host) error {
	return n.fault(
		[]string{"-n", n.hub, "link", "set", h.port, "down"},
		[]string{"-n", n.hub, "link", "set", h.port, "up"})
}

// Deafen loses what one host hears from another, which learns nothing of it; the other direction stays.
func (n *Network) Deafen(h, to *Host) error {
	rule := []string{"from", to.ip, "priority", "5", "blackhole"}
	return n.fault(
		append([]string{"-n", h.namespace, "rule", "add"}, rule...),
		append([]string{"-n", h.namespace, "rule", "delete"}, rule...))
}

func (n *Network) fault(do, undo []string) error {
	if err := ip(do...); err != nil {
		return err
	}
	n.heals = append(n.heals, func() error { return ip(undo...) })
	return nil
}

// Heal undoes all faults, the latest first.
func (n *Network) Heal() error {
	var errs []error
	for _, heal := range slices.Backward(n.heals) {
		errs = append(errs, heal())
	}
	n.heals = nil
	return errors.Join(errs...)
}

// IP is the host's address.
func (h *Host) IP() string {
	if h == nil {
		return "127.0.0.1"
	}
	return h.ip
}

// Dial connects as a program on the host does.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	if h == nil {
		return dialer.DialContext(ctx, network, addr)
	}
	h.dialling.RLock()
	defer h.dialling.RUnlock()
	if h.closed {
		return nil, net.ErrClosed
	}
	var conn net.Conn
	err := inNamespace(h.namespace, func() (err error) {
		conn, err = dialer.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// client speaks HTTP with programs on the host.
func (h *Host) client() *http.Client {
	if h == nil {
		return http.DefaultClient
	}
	return h.http
}

// On gives the command that runs a program on the host.
func (h *Host) On(args ...string) []string {
	if h == nil {
		return args
	}
	return append([]string{"ip", "netns", "exec", h.namespace}, args...)
}
