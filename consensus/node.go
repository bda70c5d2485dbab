package consensus

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// StateMachine is the application's replicated state. Apply is called from one goroutine, in log order, and
// must be deterministic: the same entries give the same state on every server.
type StateMachine interface {
	// Apply carries out a committed command. The result reaches the caller of Propose on this server. A *FatalError stops the node
	// before anybody can take the state for that of the others.
	Apply(e Entry) any
	// Snapshot captures the state now; the returned function writes the capture later, concurrently with
	// Apply.
	Snapshot() (func(io.Writer) error, error)
	// Restore replaces the state.
	Restore(io.Reader) error
}

// FatalError is what Apply returns when this server can't carry out what others may have carried out.
type FatalError struct{ Err error }

func (e *FatalError) Error() string { return e.Err.Error() }

func (e *FatalError) Unwrap() error { return e.Err }

// Transport carries messages between servers. Send never blocks: where a queue is full the message is
// lost, which Raft tolerates.
type Transport interface {
	Send(Message)
	// SetPeers names the members, this server among them, whenever they change. Others may connect all the same: a new
	// server that asks to be let in, or one that was voted in when this server was away.
	SetPeers([]Member)
	Close() error
}

// Receiver is the transport's way back into a node. Calls may come from several goroutines, and may have to
// wait a moment for the node's loop.
type Receiver interface {
	Receive(Message)
	// Connected says that messages can pass in both directions, Disconnected that one of them broke: the
	// fastest hint that a peer has died, but not a fact. They alternate.
	Connected(ServerID)
	Disconnected(ServerID, error)
}

// NodeConfig assembles a node; DefaultNodeConfig is where to begin.
type NodeConfig struct {
	Core CoreConfig
	// Disk belongs to the node once Start has succeeded: Stop closes it. Recovered is what it held.
	Disk         Disk
	Recovered    Recovered
	StateMachine StateMachine
	// Connect starts the transport, once the node can receive.
	Connect func(Receiver) (Transport, error)
	// Now is the node's clock; nil: the machine's.
	Now func() time.Time
	// Observe is told what happened, in order, from the node's own goroutine: it must not block or call back
	// into the node. nil: nobody listens.
	Observe func(Event)
	// Appended is told of entries that go into this server's log, before anybody hears that they are in it: they may be committed
	// from then on. It is called from the node's own goroutine, like Observe; nil: nobody listens.
	Appended func([]Entry)
	// OnGossip receives the application's payloads, from the transport's goroutines. It must not block.
	OnGossip func(from ServerID, data []byte)
	// SnapshotEntries and SnapshotBytes: a snapshot is taken after that many applied entries or bytes since
	// the last; 0: not for that reason.
	SnapshotEntries int
	SnapshotBytes   int64
	// TrailingEntries stay in the log behind a snapshot, for followers that are a little behind; fewer, if they are more than
	// SnapshotBytes.
	TrailingEntries int
}

// EventKind says what an Event tells.
type EventKind uint8

const (
	EventTerm         EventKind = iota // the term rose
	EventVoted                         // this server gave its vote (also to itself)
	EventVoteRefused                   // this server refused Peer its vote; Text says why
	EventVoteDenied                    // Peer refused this server its vote; Text says why
	EventLeader                        // a leader of the term is known (Peer; may be this server)
	EventLeaderLost                    // the leader is not known any more
	EventConnected                     // to Peer
	EventDisconnected                  // from Peer
	EventSnapshot                      // a snapshot was taken or installed, at Index
	EventMembers                       // the membership in force changed
	EventTrouble                       // something failed that is tried again; Text says what
	EventFailed                        // the node stopped for good; Text says why (disk, state machine)
)

// Event is one thing that happened in the node.
type Event struct {
	Kind    EventKind
	Term    Term
	Peer    ServerID
	Index   Index
	Reason  []byte // of a failure election
	Text    string
	Members []Member // of EventMembers; not to be changed
}

// DefaultNodeConfig suits agents in one region: a leader is missed after 300 to 600 ms.
func DefaultNodeConfig(id ServerID) NodeConfig {
	return NodeConfig{
		Core: CoreConfig{
			ID:                id,
			ElectionTimeout:   300 * time.Millisecond,
			HeartbeatInterval: 50 * time.Millisecond,
			MaxAppendBytes:    256 << 10,
			MaxInflight:       64,
			MaxLogBytes:       256 << 20,
			Rand:              rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		},
		SnapshotEntries: 8192,
		SnapshotBytes:   16 << 20,
		TrailingEntries: 1024,
	}
}

// Node runs a Core: one loop that owns it, one goroutine that writes the disk, one that applies, one that
// reads snapshots for followers. Its methods are safe for concurrent use, but not from Observe or the state
// machine.
type Node struct {
	cfg       NodeConfig
	transport Transport
	start     time.Time

	inbox     chan Message
	proposals chan proposal
	control   chan func()   // run by the loop
	persisted chan uint64   // newest sequence number that the disk holds
	progress  chan struct{} // something was applied
	stopping  chan struct{} // closed by the first call of fail
	stopOnce  sync.Once
	done      chan struct{} // closed when all goroutines have ended
	err       error         // why it stopped; valid after done
	last      Status        // valid after done

	disk    *diskWriter
	applier *applier
	courier *courier
	workers sync.WaitGroup

	pending      atomic.Int64 // requests that are not answered
	pendingBytes atomic.Int64 // of their commands
	ids          atomic.Uint64

	// Of the loop:
	core      *Core
	seen      view
	members   []Member // that the transport knows
	connected map[ServerID]bool
	campaigns []campaign
	handovers []handover
	refusals  []string // of the votes that this candidate asked for
	barriers  map[uint64]func(error)
	forwards  map[uint64]forward
	relays    map[ServerID]uint64 // the last forward on behalf of each server that may not know the leader
	doubt     doubt
}

// Start recovers, joins the group and returns at once; Stop ends it.
func Start(cfg NodeConfig) (*Node, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Node{
		cfg: cfg, start: cfg.Now(),
		inbox: make(chan Message, maxInbox), proposals: make(chan proposal, maxPending), control: make(chan func()),
		persisted: make(chan uint64, 1), progress: make(chan struct{}, 1),
		stopping: make(chan struct{}), done: make(chan struct{}),
		barriers: map[uint64]func(error){}, forwards: map[uint64]forward{}, relays: map[ServerID]uint64{}, connected: map[ServerID]bool{},
	}
	n.disk, n.applier, n.courier = newDiskWriter(n), newApplier(n), newCourier(n)
	// An answer to a question of an earlier life must not be taken for one of this life's.
	n.ids.Store(rand.Uint64())
	var err error
	if n.core, err = NewCore(cfg.Core, cfg.Recovered, 0); err != nil {
		return nil, err
	}
	n.cfg.Recovered.Entries = nil // the core's log holds them, as long as it must
	n.seen = n.look()
	if err := n.applier.recover(); err != nil {
		return nil, err
	}
	if n.transport, err = cfg.Connect(n); err != nil {
		return nil, fmt.Errorf("start the transport: %w", err)
	}
	n.workers.Go(n.disk.run)    // writes; ends with stopping
	n.workers.Go(n.applier.run) // applies; ends with stopping
	n.workers.Go(n.courier.run) // reads snapshots for followers; ends with stopping
	go n.loop()                 // owns the core; ends with stopping, and closes done when all the others have ended
	return n, nil
}

// Receive takes in a message. It waits while the loop is behind, so that the peer is slowed down rather than
// its messages lost.
func (n *Node) Receive(m Message) {
	if gossip, ok := m.Body.(*Gossip); ok {
		if n.cfg.OnGossip != nil {
			n.cfg.OnGossip(m.From, gossip.Data)
		}
		return
	}
	select {
	case n.inbox <- m:
	case <-n.stopping:
	}
}

// Connected implements Receiver.
func (n *Node) Connected(id ServerID) {
	n.do(func() {
		n.connected[id] = true
		n.observe(Event{Kind: EventConnected, Peer: id})
	})
}

// Disconnected implements Receiver.
func (n *Node) Disconnected(id ServerID, err error) {
	why := "the peer closed the connection"
	if err != nil {
		why = err.Error()
	}
	n.do(func() {
		delete(n.connected, id)
		n.core.Unreachable(id)
		n.observe(Event{Kind: EventDisconnected, Peer: id, Text: why})
		n.loseForwards(func(to ServerID) bool { return to == id })
		n.giveUp(n.relays[id]) // its answer would be lost
		delete(n.relays, id)
	})
}

// do has the loop run f; false: the node has stopped, and f will not run.
func (n *Node) do(f func()) bool {
	select {
	case n.control <- f:
		return true
	case <-n.stopping:
		return false
	}
}

// Status describes the node now; after it has stopped, as it last was. It must not be modified.
func (n *Node) Status() Status {
	answered := make(chan Status, 1)
	if n.do(func() { answered <- n.core.Status(n.now()) }) {
		return <-answered
	}
	<-n.done
	return n.last
}

// Done is closed when the node has stopped, by Stop or by a fatal error, which Err then gives.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err waits until the node has stopped and says why; nil after Stop.
func (n *Node) Err() error {
	<-n.done
	return n.err
}

// Stop ends the node, answers all waiting callers and waits for its goroutines.
func (n *Node) Stop() {
	n.fail(nil)
	<-n.done
}

// fail stops the node for a reason; only the first one counts.
func (n *Node) fail(err error) {
	n.stopOnce.Do(func() {
		n.err = err
		close(n.stopping)
	})
}

func (n *Node) now() time.Duration { return n.cfg.Now().Sub(n.start) }
