package consensus

import "time"

// ServerID names a member of the Raft group. It is chosen by the operator and never reused for a
// server with an empty disk.
type ServerID string

// Term numbers a leadership. Terms only grow; each has at most one leader.
type Term uint64

// Index is an entry's position in the log. The first entry has index 1; 0 means "before the log".
type Index uint64

// EntryKind says who an entry is for.
type EntryKind uint8

const (
	// EntryNoop is a leader's first entry of its own term: committing it commits all before it.
	EntryNoop EntryKind = iota
	// EntryCommand carries Data for the state machine.
	EntryCommand
	// EntryConfiguration carries an encoded Configuration for the core itself.
	EntryConfiguration
)

// Entry is one slot of the replicated log. (Index, Term) identifies its content for ever.
type Entry struct {
	Term  Term
	Index Index
	Kind  EntryKind
	Data  []byte
}

// HardState is what a server must remember over a crash before it answers anybody: one record, so
// that term and vote cannot be torn apart.
type HardState struct {
	Term Term
	Vote ServerID // in Term; empty: none yet
	// Admitted: this disk may vote. One that is empty might have been lost, and with it votes and entries that
	// others count on (see admission.go).
	Admitted bool
	Founding uint64 // names the disks with which this one founded the group; 0: it joined one
	// Commit: entries up to here were committed when something else was written. A server that was restarted knows at least that much
	// of what was agreed before it hears a leader.
	Commit Index
}

// promises is what others count on.
func (h HardState) promises() HardState {
	h.Commit = 0
	return h
}

// SnapshotMeta identifies a snapshot: the state after applying every entry up to Index.
type SnapshotMeta struct {
	Index         Index
	Term          Term // of the entry at Index
	Configuration Configuration
}

// Role is what a server is doing in its term.
type Role uint8

const (
	Follower Role = iota
	PreCandidate
	Candidate
	Leader
)

func (r Role) String() string {
	return [...]string{"follower", "pre-candidate", "candidate", "leader"}[r]
}

// Status is a server's own view of the group at one instant.
type Status struct {
	ID       ServerID
	Role     Role
	Term     Term
	Leader   ServerID // empty: unknown
	Commit   Index
	Applied  Index
	Last     Index
	Snapshot Index
	Members  []Member // sorted by id
	Admitted bool     // this server may vote
	// Reason is what the leader of this term was elected for, as given to Campaign; nil for an
	// ordinary election. Every server that voted in the election, and the winner, know it.
	Reason []byte
	// Contact is, on the leader, how long ago each member last answered; on a follower, how long ago
	// the leader was heard. A server that was never heard is absent.
	Contact map[ServerID]time.Duration
	// Match is, on the leader, up to where each other member is known to hold its log.
	Match map[ServerID]Index
}

// Voters lists the members that vote.
func (s Status) Voters() []ServerID { return Configuration{s.Members}.Voters() }
