package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// StateMachine is the application's replicated state. Apply is called from one goroutine, in log order, and must
// be deterministic: the same entries give the same state on every server.
type StateMachine interface {
	// Apply carries out a committed command. The result reaches the caller of Propose on this server.
	Apply(e Entry) any
	// Snapshot captures the state now; the returned function writes the capture later, concurrently with Apply.
	Snapshot() (func(io.Writer) error, error)
	// Restore replaces the state.
	Restore(io.Reader) error
}

// Transport carries messages between servers. Send never blocks: where a queue is full the message is
// lost, which Raft tolerates.
type Transport interface {
	Send(Message)
	Close() error
}

// Receiver is the transport's way back into a node. Calls may come from several goroutines.
type Receiver interface {
	Receive(Message)
	// Connected and Disconnected tell of the connection *to* a peer; a lost connection is a hint, not a fact.
	Connected(ServerID)
	Disconnected(ServerID, error)
}

// NodeConfig assembles a node. Zero values of the limits mean the defaults of DefaultNodeConfig.
type NodeConfig struct {
	Core         CoreConfig
	Disk         Disk
	Recovered    Recovered
	StateMachine StateMachine
	// Connect starts the transport, once the node can receive.
	Connect func(Receiver) (Transport, error)
	// Observe is told what happened, in order, from the node's own goroutine: it must not block or call back
	// into the node. nil: nobody listens.
	Observe func(Event)
	// OnGossip receives the application's payloads. It must not block.
	OnGossip func(from ServerID, data []byte)
	// SnapshotEntries and SnapshotBytes: a snapshot is taken after that many applied entries or bytes since the last.
	SnapshotEntries int
	SnapshotBytes   int64
	// TrailingEntries stay in the log behind a snapshot, for followers that are a little behind.
	TrailingEntries int
}

// EventKind says what an Event tells.
type EventKind uint8

const (
	EventTerm         EventKind = iota // the term rose
	EventVoted                         // this server gave its vote (also to itself)
	EventVoteRefused                   // this server refused a vote, or was refused one; Text says why
	EventLeader                        // a leader of the term is known (Peer; may be this server)
	EventLeaderLost                    // the leader is not known any more
	EventConnected                     // to Peer
	EventDisconnected                  // from Peer
	EventSnapshot                      // a snapshot was taken or installed, at Index
	EventFailed                        // the node stopped for good; Text says why (disk, state machine)
)

// Event is one thing that happened in the node.
type Event struct {
	Kind   EventKind
	Term   Term
	Peer   ServerID
	Index  Index
	Reason []byte // of a failure election
	Text   string
}

// Errors of Propose, Campaign and Read. After any other error, or a context's, the outcome of a proposal is unknown:
// it may still be committed.
var (
	ErrStopped  = errors.New("consensus: the node is stopped")
	ErrDropped  = errors.New("consensus: the proposal was overwritten by another leader's entry")
	ErrNoLeader = errors.New("consensus: no leader is known (no majority, or an election is going on)")
	ErrBusy     = errors.New("consensus: too many proposals are waiting")
	ErrVetoed   = errors.New("consensus: the campaign is vetoed")
	ErrLost     = errors.New("consensus: the campaign was lost")
	// ErrUnknown: a snapshot took the place of the entry before this server saw it applied.
	ErrUnknown = errors.New("consensus: the outcome of the proposal is not known")
)

// NotLeaderError says that the server is not the leader (of the wanted term), so nothing was proposed.
type NotLeaderError struct {
	Leader ServerID // empty: unknown
	Term   Term
}

func (e *NotLeaderError) Error() string {
	return fmt.Sprintf("consensus: not the leader (term %d, leader %q)", e.Term, e.Leader)
}

// Result is the outcome of a committed proposal.
type Result struct {
	Index Index
	Term  Term
	Value any // what Apply returned; nil when the proposal was forwarded to another server
}

// DefaultNodeConfig suits agents in one region: a leader is missed after 300 to 600 ms.
func DefaultNodeConfig(id ServerID) NodeConfig {
	return NodeConfig{
		Core: CoreConfig{
			ID:                id,
			ElectionTimeout:   300 * time.Millisecond,
			HeartbeatInterval: 50 * time.Millisecond,
			MaxAppendBytes:    1 << 20,
			MaxInflight:       64,
			Rand:              rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		},
		SnapshotEntries: 8192,
		SnapshotBytes:   16 << 20,
		TrailingEntries: 1024,
	}
}

// Limits of what may wait inside a node.
const (
	maxInbox     = 4096 // messages; more are dropped, as a network would
	maxProposals = 4096 // not yet applied
	maxCommand   = 4 << 20
)

// Node runs a Core: one loop that owns it, one goroutine that writes the disk, one that applies. Its
// methods are safe for concurrent use.
type Node struct {
	cfg       NodeConfig
	core      *Core // of the loop
	transport Transport
	start     time.Time

	inbox     chan Message
	proposals chan proposal
	control   chan func() // run by the loop
	persisted chan uint64 // newest sequence number that the disk holds
	progress  chan struct{}
	stopping  chan struct{}
	stopOnce  sync.Once
	done      chan struct{}
	err       error // why it stopped; read after done

	disk    *diskWriter
	applier *applier
	workers sync.WaitGroup

	pending atomic.Int64 // proposals that are not answered

	// Of the loop:
	seen      Status // what Observe was last told
	votedFor  ServerID
	campaigns []campaign
	barriers  map[uint64]*barrier
	forwards  map[uint64]*forward
	nextID    uint64
	streams   map[ServerID]SnapshotReader // snapshots that are being sent
}

// proposal is a command on its way into the log. answer is called once.
type proposal struct {
	data   []byte
	term   Term // the only term in which it may be appended; 0: any
	answer func(Result, error)
}

type campaign struct {
	term   Term
	answer func(Term, error)
}

type barrier struct {
	index  Index // 0: not confirmed yet
	answer func(error)
}

// forward is a proposal that was sent to the leader.
type forward struct {
	data   []byte
	answer func(Result, error, bool) // the last says that it may be tried again
	index  Index                     // once the leader has applied it; this server must apply it too
	term   Term
	to     ServerID
}

// Start recovers, joins the group and returns at once; Stop ends it.
func Start(cfg NodeConfig) (*Node, error) {
	n := &Node{
		cfg: cfg, start: time.Now(),
		inbox: make(chan Message, maxInbox), proposals: make(chan proposal, maxProposals), control: make(chan func()),
		persisted: make(chan uint64, 1), progress: make(chan struct{}, 1),
		stopping: make(chan struct{}), done: make(chan struct{}),
		barriers: map[uint64]*barrier{}, forwards: map[uint64]*forward{}, streams: map[ServerID]SnapshotReader{},
	}
	core, err := NewCore(cfg.Core, cfg.Recovered, 0)
	if err != nil {
		return nil, err
	}
	n.core = core
	n.seen = core.Status(0)
	n.applier = newApplier(n)
	if err := n.applier.recover(); err != nil {
		return nil, err
	}
	n.disk = newDiskWriter(n)
	if n.transport, err = cfg.Connect(n); err != nil {
		return nil, fmt.Errorf("start the transport: %w", err)
	}
	n.workers.Go(n.disk.run)    // writes; ends with stopping
	n.workers.Go(n.applier.run) // applies; ends with stopping
	go n.loop()                 // owns the core; ends with stopping, and closes done when all the others have ended
	return n, nil
}

// Receive takes in a message; when too many wait it is lost.
func (n *Node) Receive(m Message) {
	if gossip, ok := m.Body.(*Gossip); ok {
		if n.cfg.OnGossip != nil {
			n.cfg.OnGossip(m.From, gossip.Data)
		}
		return
	}
	select {
	case n.inbox <- m:
	default:
	}
}

// Connected implements Receiver.
func (n *Node) Connected(id ServerID) {
	n.do(func() { n.observe(Event{Kind: EventConnected, Peer: id}) })
}

// Disconnected implements Receiver.
func (n *Node) Disconnected(id ServerID, err error) {
	n.do(func() { n.observe(Event{Kind: EventDisconnected, Peer: id, Text: fmt.Sprint(err)}) })
}

// do has the loop run f; false: the node has stopped.
func (n *Node) do(f func()) bool {
	select {
	case n.control <- f:
		return true
	case <-n.stopping:
		return false
	}
}

// Propose has data committed and applied on this server, by way of the leader wherever that is. While no leader is known it
// waits. A caller that retries after an unknown outcome must make its command idempotent.
func (n *Node) Propose(ctx context.Context, data []byte) (Result, error) {
	for {
		result, err, again := n.proposeOnce(ctx, data)
		if !again {
			return result, err
		}
		if err := n.awaitLeader(ctx); err != nil {
			return Result{}, err
		}
	}
}

// awaitLeader lets a heartbeat's time pass, in which a leader may be elected.
func (n *Node) awaitLeader(ctx context.Context) error {
	retry := time.NewTimer(n.cfg.Core.HeartbeatInterval)
	defer retry.Stop()
	select {
	case <-retry.C:
		return nil
	case <-ctx.Done():
		return errors.Join(ErrNoLeader, ctx.Err())
	case <-n.stopping:
		return ErrStopped
	}
}

// proposeOnce also says whether the proposal is certainly not in the log, so that it may be tried again.
func (n *Node) proposeOnce(ctx context.Context, data []byte) (Result, error, bool) {
	type outcome struct {
		result Result
		err    error
		again  bool
	}
	answered := make(chan outcome, 1)
	result, err := n.propose(ctx, proposal{data: data})
	var notLeader *NotLeaderError
	if !errors.As(err, &notLeader) {
		return result, err, errors.Is(err, ErrDropped)
	}
	if notLeader.Leader == "" {
		return Result{}, err, true
	}
	id := uint64(0)
	ok := n.do(func() {
		n.nextID++
		id = n.nextID
		n.forward(id, &forward{data: data, answer: func(r Result, err error, again bool) { answered <- outcome{r, err, again} }})
	})
	if !ok {
		return Result{}, ErrStopped, false
	}
	select {
	case o := <-answered:
		return o.result, o.err, o.again
	case <-ctx.Done():
		n.do(func() { delete(n.forwards, id) })
		return Result{}, ctx.Err(), false
	case <-n.done:
		return Result{}, ErrStopped, false
	}
}

// ProposeAt is Propose for a leader that may only act in term t: *NotLeaderError if this server does not lead t.
func (n *Node) ProposeAt(ctx context.Context, t Term, data []byte) (Result, error) {
	return n.propose(ctx, proposal{data: data, term: t})
}

// propose hands a proposal to the loop and waits for its outcome.
func (n *Node) propose(ctx context.Context, p proposal) (Result, error) {
	if len(p.data) > maxCommand {
		return Result{}, fmt.Errorf("consensus: a command of %d bytes is larger than %d", len(p.data), maxCommand)
	}
	if n.pending.Add(1) > maxProposals {
		n.pending.Add(-1)
		return Result{}, ErrBusy
	}
	type outcome struct {
		result Result
		err    error
	}
	answered := make(chan outcome, 1)
	p.answer = func(r Result, err error) {
		n.pending.Add(-1)
		answered <- outcome{r, err}
	}
	n.proposals <- p // never blocks: pending bounds what waits
	select {
	case o := <-answered:
		return o.result, o.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-n.done:
		return Result{}, ErrStopped
	}
}

// Campaign starts a failure election and waits until it is decided: the term if this server won and
// has applied everything committed in former terms, else an error.
func (n *Node) Campaign(ctx context.Context, reason []byte) (Term, error) {
	type outcome struct {
		term Term
		err  error
	}
	answered := make(chan outcome, 1)
	ok := n.do(func() {
		term, err := n.core.Campaign(n.now(), reason)
		if err != nil {
			answered <- outcome{err: err}
			return
		}
		n.campaigns = append(n.campaigns, campaign{term: term, answer: func(t Term, err error) { answered <- outcome{t, err} }})
	})
	if !ok {
		return 0, ErrStopped
	}
	select {
	case o := <-answered:
		return o.term, o.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-n.done:
		return 0, ErrStopped
	}
}

// Barrier returns when this server's state machine has seen every write acknowledged before the call (ReadIndex). While no
// leader is known it waits.
func (n *Node) Barrier(ctx context.Context) error {
	for {
		err := n.barrierOnce(ctx)
		var notLeader *NotLeaderError
		if !errors.Is(err, ErrNoLeader) && !errors.As(err, &notLeader) {
			return err
		}
		if err := n.awaitLeader(ctx); err != nil {
			return err
		}
	}
}

func (n *Node) barrierOnce(ctx context.Context) error {
	answered := make(chan error, 1)
	var id uint64
	ok := n.do(func() {
		n.nextID++
		id = n.nextID
		n.barriers[id] = &barrier{answer: func(err error) { answered <- err }}
		n.core.ReadIndex(n.now(), id)
	})
	if !ok {
		return ErrStopped
	}
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		n.do(func() { delete(n.barriers, id) })
		return ctx.Err()
	case <-n.done:
		return ErrStopped
	}
}

// Gossip sends an application payload to a peer; it may be lost.
func (n *Node) Gossip(to ServerID, data []byte) {
	n.transport.Send(Message{From: n.cfg.Core.ID, To: to, Body: &Gossip{Data: data}})
}

// Status describes the node now; after it has stopped, as it last was.
func (n *Node) Status() Status {
	answered := make(chan Status, 1)
	if n.do(func() { answered <- n.core.Status(n.now()) }) {
		return <-answered
	}
	<-n.done
	return n.core.Status(n.now())
}

// Done is closed when the node has stopped, by Stop or by a fatal error, which Err then gives.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node stopped; nil after Stop. It is valid once Done is closed.
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

func (n *Node) now() time.Duration { return time.Since(n.start) }
