package consensus

// Message is one envelope between two servers. Term is the sender's current term, but in requests
// for a pre-vote, where it is the term that the sender would campaign in; a response to a pre-vote
// that grants it carries the term of the request, one that refuses the sender's own.
type Message struct {
	From, To    ServerID
	Term        Term
	Incarnation uint64 // of the sender's disk
	Body        Body
}

// Body is what a message says: a pointer to one of the types below.
type Body interface{ body() }

type (
	// VoteRequest asks for a vote (Raft §5.2), or with PreVote whether one would be given (thesis §9.6).
	VoteRequest struct {
		LastIndex Index
		LastTerm  Term
		PreVote   bool
		Transfer  bool // the leader asked for this election: the voter lays stickiness aside
		// Reason is not nil in a failure election: the voter lays stickiness aside, unless its veto
		// hook objects to this reason.
		Reason []byte
	}

	// VoteResponse answers a VoteRequest of the same term and kind.
	VoteResponse struct {
		PreVote bool
		Granted bool
		Refusal string // why not, for people

		// Of the founding (admission.go):
		Blank    bool   // the sender's disk holds nothing, and has promised nothing
		Founding uint64 // the sender's
		Asker    uint64 // incarnation of the server that asked
		Founders uint64 // names the servers with which the sender would found a group; 0 unless Blank
	}

	// TimeoutNow has the receiver stand for election at once: the leader hands over to it (thesis §3.10).
	TimeoutNow struct{}

	// AppendRequest replicates entries (Raft §5.3); empty, it is a heartbeat.
	AppendRequest struct {
		PrevIndex Index
		PrevTerm  Term
		Commit    Index
		Round     uint64 // heartbeat round; the answer echoes it (ReadIndex, check-quorum)
		Entries   []Entry
	}

	// AppendResponse acknowledges all up to Match, or rejects the request at PrevIndex with a hint.
	AppendResponse struct {
		Match     Index // valid if not Rejected
		Round     uint64
		Rejected  bool
		PrevIndex Index // of the rejected request: tells a stale rejection from the outstanding one
		HintIndex Index // the leader may continue after this index
		HintTerm  Term  // the follower's term at HintIndex
		Admitted  bool  // the follower may vote
	}

	// SnapshotChunk carries part of a snapshot, stop-and-wait per follower. The core leaves Data empty; the
	// driver fills it from the pinned snapshot before it sends.
	SnapshotChunk struct {
		Meta   SnapshotMeta
		Offset int64
		Data   []byte
		Done   bool // Data ends the snapshot
	}

	// SnapshotResponse asks for the next chunk, or says with Installed that the follower now matches
	// the snapshot's index.
	SnapshotResponse struct {
		Index     Index // of the snapshot
		Offset    int64 // bytes that the follower holds
		Installed bool
		Admitted  bool // the follower may vote
	}

	// ReadIndexRequest asks the leader for a confirmed commit index on behalf of a follower.
	ReadIndexRequest struct {
		ID uint64
	}

	// ReadIndexResponse answers it; Index 0 means refused (not the leader, or leadership was lost).
	ReadIndexResponse struct {
		ID    uint64
		Index Index
	}

	// ForwardRequest carries a proposal, a change of membership, or with Heir the wish that the leadership is handed
	// over, from a follower's client to the leader. Drivers exchange it; the core never sees it.
	ForwardRequest struct {
		ID      uint64
		Data    []byte
		Change  *Change
		Heir    ServerID
		Relayed bool // by a server that does not lead
	}

	// ForwardResponse tells the outcome: the position of the entry, or why there is none.
	ForwardResponse struct {
		ID      uint64
		Index   Index
		Term    Term
		Error   string // empty: committed and applied by the leader
		Outcome Outcome
	}

	// Gossip is a payload of the application that shares the connection; it is not part of Raft and
	// may be lost.
	Gossip struct {
		Data []byte
	}
)

// Outcome says what became of a forwarded request.
type Outcome uint8

const (
	Committed Outcome = iota // and applied by the leader
	NotTaken                 // certainly not in the log: it may be sent again
	Refused                  // certainly not in the log, for a reason that sending it again does not change
	Uncertain
)

func (*VoteRequest) body()       {}
func (*VoteResponse) body()      {}
func (*TimeoutNow) body()        {}
func (*AppendRequest) body()     {}
func (*AppendResponse) body()    {}
func (*SnapshotChunk) body()     {}
func (*SnapshotResponse) body()  {}
func (*ReadIndexRequest) body()  {}
func (*ReadIndexResponse) body() {}
func (*ForwardRequest) body()    {}
func (*ForwardResponse) body()   {}
func (*Gossip) body()            {}
