package consensus_test

import (
	"errors"
	"sync"
	"time"

	"picket/consensus"
)

// network connects nodes in memory, on virtual time.
type network struct {
	mu    sync.Mutex
	links map[consensus.ServerID]*link
	cut   func(from, to consensus.ServerID) bool // nil: nothing is
	delay time.Duration                          // of each message
	lost  func(consensus.Message) bool           // nil: none is
}

func newNetwork() *network {
	return &network{links: map[consensus.ServerID]*link{}, delay: time.Millisecond}
}

// link is one node's transport.
type link struct {
	net      *network
	id       consensus.ServerID
	receiver consensus.Receiver
	inbox    chan flying
	done     chan struct{}
	workers  sync.WaitGroup
}

// flying is a message on its way.
type flying struct {
	due time.Time
	m   consensus.Message
}

func (n *network) connect(id consensus.ServerID) func(consensus.Receiver) (consensus.Transport, error) {
	return func(r consensus.Receiver) (consensus.Transport, error) {
		l := &link{net: n, id: id, receiver: r, inbox: make(chan flying, 4096), done: make(chan struct{})}
		n.mu.Lock()
		n.links[id] = l
		n.mu.Unlock()
		l.workers.Go(l.deliver)
		l.workers.Go(func() { l.announce(func(peer *link) { r.Connected(peer.id); peer.receiver.Connected(id) }) })
		return l, nil
	}
}

// announce calls f for every other link that is not cut off.
func (l *link) announce(f func(*link)) {
	l.net.mu.Lock()
	var peers []*link
	for id, peer := range l.net.links {
		if id != l.id && (l.net.cut == nil || !l.net.cut(l.id, id)) {
			peers = append(peers, peer)
		}
	}
	l.net.mu.Unlock()
	for _, peer := range peers {
		f(peer)
	}
}

func (l *link) deliver() {
	for {
		select {
		case f := <-l.inbox:
			arrives := time.NewTimer(time.Until(f.due))
			select {
			case <-arrives.C:
				l.receiver.Receive(f.m)
			case <-l.done:
				arrives.Stop()
				return
			}
		case <-l.done:
			return
		}
	}
}

// SetPeers is not needed: everybody is on the network.
func (l *link) SetPeers([]consensus.Member) {}

// Send passes through the codec, as on the wire.
func (l *link) Send(m consensus.Message) {
	buf, err := consensus.EncodeMessage(nil, &m)
	if err != nil {
		panic(err)
	}
	if m, err = consensus.DecodeMessage(buf); err != nil {
		panic(err)
	}
	n := l.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.links[m.To]
	if to == nil || n.cut != nil && n.cut(m.From, m.To) || n.lost != nil && n.lost(m) {
		return
	}
	select {
	case to.inbox <- flying{time.Now().Add(n.delay), m}:
	default:
	}
}

func (l *link) Close() error {
	l.net.mu.Lock()
	if l.net.links[l.id] == l {
		delete(l.net.links, l.id)
	}
	l.net.mu.Unlock()
	l.announce(func(peer *link) { peer.receiver.Disconnected(l.id, errors.New("it is closed")) })
	close(l.done)
	l.workers.Wait()
	return nil
}

// isolate cuts a server off from all others, without anybody being told; heal ends all cuts.
func (n *network) isolate(id consensus.ServerID) {
	n.partition(func(from, to consensus.ServerID) bool { return from == id || to == id })
}

func (n *network) partition(cut func(from, to consensus.ServerID) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
}

func (n *network) heal() { n.partition(nil) }

// lose has the messages that f says lost on the way; nil: none.
func (n *network) lose(f func(consensus.Message) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = f
}
