package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Node runs a Core: one loop that owns it, one goroutine that writes the disk, one that applies. Its
// methods are safe for concurrent use.
type Node struct{ _ int }

// Start recovers, joins the group and returns at once; Stop ends it.
func Start(cfg NodeConfig) (*Node, error) { panic("stub") }

// Propose has data committed and applied on this server, by way of the leader wherever that is. A caller that
// retries after an unknown outcome must make its command idempotent.
func (n *Node) Propose(ctx context.Context, data []byte) (Result, error) { panic("stub") }

// ProposeAt is Propose for a leader that may only act in term t: *NotLeaderError if this server does not lead t.
func (n *Node) ProposeAt(ctx context.Context, t Term, data []byte) (Result, error) { panic("stub") }

// Campaign starts a failure election and waits until it is decided: the term if this server won and
// has applied everything committed in former terms, else an error.
func (n *Node) Campaign(ctx context.Context, reason []byte) (Term, error) { panic("stub") }

// Barrier returns when this server's state machine has seen every write acknowledged before the call (ReadIndex).
func (n *Node) Barrier(ctx context.Context) error { panic("stub") }

// Gossip sends an application payload to a peer; it may be lost.
func (n *Node) Gossip(to ServerID, data []byte) { panic("stub") }

// Status describes the node now.
func (n *Node) Status() Status { panic("stub") }

// Done is closed when the node has stopped, by Stop or by a fatal error, which Err then gives.
func (n *Node) Done() <-chan struct{} { panic("stub") }

// Err is why the node stopped; nil after Stop.
func (n *Node) Err() error { panic("stub") }

// Stop ends the node, answers all waiting callers and waits for its goroutines.
func (n *Node) Stop() { panic("stub") }

var _ = time.Second
