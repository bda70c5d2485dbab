package consensus

import (
	"math/rand/v2"
	"time"
)

// CoreConfig holds what never changes while a core lives.
type CoreConfig struct {
	ID ServerID
	// ElectionTimeout: a follower that hears no leader for a random time in [T, 2T) starts an election;
	// a leader that hears no majority for T steps down. Must exceed the worst fsync.
	ElectionTimeout time.Duration
	// HeartbeatInterval: how often an idle leader speaks; at most ElectionTimeout/3.
	HeartbeatInterval time.Duration
	// MaxAppendBytes bounds the entries of one AppendRequest; MaxInflight the requests not yet answered
	// by one follower.
	MaxAppendBytes int
	MaxInflight    int
	// Rand is the only source of randomness.
	Rand *rand.Rand
	// Veto is asked before a vote is given (to others and to oneself) in an election with a reason. A non-empty
	// answer refuses, and says why. nil: never. It must not block.
	Veto func(candidate ServerID, reason []byte) string
}

// Recovered is what a disk holds at start.
type Recovered struct {
	HardState HardState
	Snapshot  SnapshotMeta // Index 0: none, but Configuration holds the bootstrap membership
	Entries   []Entry      // contiguous, from Snapshot.Index+1 or earlier
}

// Core is Raft for one server, without I/O. It is not safe for concurrent use. Times are monotonic
// durations since an arbitrary start of the process.
type Core struct{ _ int }

// NewCore starts as a follower of the recovered term.
func NewCore(cfg CoreConfig, rec Recovered, now time.Duration) (*Core, error) { panic("stub") }

// Step takes in a message from another server.
func (c *Core) Step(now time.Duration, m Message) { panic("stub") }

// Tick lets time pass. It must be called no later than Deadline; more often is harmless.
func (c *Core) Tick(now time.Duration) { panic("stub") }

// Deadline is when the next Tick is due.
func (c *Core) Deadline() time.Duration { panic("stub") }

// Propose appends a command on the leader and returns its index and term; ErrNotLeader elsewhere.
func (c *Core) Propose(now time.Duration, data ...[]byte) (first Index, t Term, err error) {
	panic("stub")
}

// Campaign starts a failure election at once: past pre-vote and, at the voters, past stickiness. The new term is
// returned; an error when this server's own Veto refuses or it may not campaign.
func (c *Core) Campaign(now time.Duration, reason []byte) (Term, error) { panic("stub") }

// ReadIndex asks for a linearizable read point, answered later in Ready.Reads, on the leader and on followers.
func (c *Core) ReadIndex(now time.Duration, id uint64) { panic("stub") }

// HasReady says whether Ready would hold any work.
func (c *Core) HasReady() bool { panic("stub") }

// Ready takes the pending work out of the core.
func (c *Core) Ready() Ready { panic("stub") }

// Persisted reports that all batches up to seq are durable.
func (c *Core) Persisted(now time.Duration, seq uint64) { panic("stub") }

// Applied reports that the state machine has applied all up to i.
func (c *Core) Applied(i Index) { panic("stub") }

// Compacted reports that a snapshot at meta is durable and the log may forget entries up to through,
// which is at most meta.Index (a trailing part is kept for followers that are a little behind).
func (c *Core) Compacted(meta SnapshotMeta, through Index) { panic("stub") }

// Status describes the core now.
func (c *Core) Status(now time.Duration) Status { panic("stub") }
