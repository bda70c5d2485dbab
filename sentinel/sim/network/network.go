package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

const (
	// loopback is how long a byte takes within a host, nearest and farthest between two.
	loopback = 15 * time.Microsecond
	nearest  = 80 * time.Microsecond
	farthest = 700 * time.Microsecond
	// resent is the longest pause until what a partition held up is sent again after it.
	resent = 200 * time.Millisecond
)

// Network connects hosts. Its methods, and those of what it consists of, are safe for concurrent use.
type Network struct {
	mu      sync.Mutex
	random  *rand.Rand
	hosts   map[netip.Addr]*Host
	paths   map[[2]*Host]*path
	changed chan struct{} // closed when something can be reached, or not any more
}

// path is one direction between two hosts. It is guarded by the network's mu.
type path struct {
	delay   time.Duration
	blocked bool
	streams map[*stream]struct{}
}

// New makes a network without hosts. The seed decides how far apart they are.
func New(seed uint64) *Network {
	return &Network{
		random: rand.New(rand.NewPCG(seed, 0x6e6574)), hosts: map[netip.Addr]*Host{}, paths: map[[2]*Host]*path{},
		changed: make(chan struct{}),
	}
}

// Host adds a host with an address.
func (n *Network) Host(ip string) *Host {
	addr := netip.MustParseAddr(ip)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[addr] != nil {
		panic(fmt.Sprintf("network: there are two hosts with the address %s", ip))
	}
	h := &Host{net: n, addr: addr, listeners: map[uint16]*listener{}, conns: map[*conn]struct{}{}, lastPort: 32768}
	n.hosts[addr] = h
	return h
}

// path finds one direction. It is called with mu held.
func (n *Network) path(from, to *Host) *path {
	key := [2]*Host{from, to}
	p := n.paths[key]
	if p == nil {
		p = &path{delay: loopback, streams: map[*stream]struct{}{}}
		if from != to {
			p.delay = nearest + time.Duration(n.random.Int64N(int64(farthest-nearest)))
		}
		n.paths[key] = p
	}
	return p
}

// Block lets nothing pass from one host to another any more.
func (n *Network) Block(from, to *Host) { n.set(from, to, true) }

// Open undoes Block.
func (n *Network) Open(from, to *Host) { n.set(from, to, false) }

func (n *Network) set(from, to *Host, blocked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.path(from, to)
	if from == to || p.blocked == blocked {
		return
	}
	p.blocked = blocked
	for s := range p.streams {
		s.block(blocked, p.delay+time.Duration(n.random.Int64N(int64(resent))))
	}
	n.news()
}

// news wakes those who try to connect. It is called with mu held.
func (n *Network) news() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// reachable says whether a question and its answer can pass. It is called with mu held.
func (n *Network) reachable(from, to *Host) bool {
	return to != nil && !to.down && !from.down && !n.path(from, to).blocked && !n.path(to, from).blocked
}
