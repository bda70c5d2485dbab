package monitor

import (
	"time"

	"picket/config"
)

// State is what an agent thinks of a server.
type State uint8

const (
	// Unknown: not looked yet, or the agent itself stalled and must look again.
	Unknown State = iota
	Up
	Down
)

// String is the word for it that all doors use.
func (s State) String() string {
	return [...]string{Unknown: "unknown", Up: "up", Down: "down"}[min(s, Down)]
}

// Evidence is why.
type Evidence uint8

const (
	NoEvidence   Evidence = iota
	Answered              // a valid reply
	Refused               // the host answers, nobody listens: repeatedly, over crash-grace
	TimedOut              // nothing valid for down-after
	Unreachable           // the network says so (no route, dial time-out), over down-after
	BadReply              // answers, but nothing valid (NOAUTH, ERR …), over down-after
	WrongRole             // the master reports that it is a replica, over down-after
	StillLoading          // the master was restarted, and loads its data for longer than reboot-down-after
)

// String is the word for it that all doors use.
func (e Evidence) String() string {
	return [...]string{
		NoEvidence: "none", Answered: "answered", Refused: "refused", TimedOut: "timed-out", Unreachable: "unreachable", BadReply: "bad-reply",
		WrongRole: "wrong-role", StillLoading: "still-loading",
	}[min(e, StillLoading)]
}

// Opinion is one agent's word on one server. It expires unless refreshed.
type Opinion struct {
	Agent    string
	Server   config.Addr
	State    State
	Evidence Evidence
	Age      time.Duration // how long the state holds, when it was sent
	RunID    string        // of the process it speaks of
	Seq      uint64        // grows with each opinion of this agent's process; older ones are dropped
	Boot     uint64        // identifies the agent's process
}

// Observation is what one INFO said.
type Observation struct {
	Server   config.Addr   `json:"server"`
	At       time.Time     `json:"at"`
	Version  string        `json:"version"`
	RunID    string        `json:"run_id"`
	PID      int           `json:"pid"` // on its own host
	Text     string        `json:"-"`   // the whole of it
	Uptime   time.Duration `json:"-"`
	Loading  bool          `json:"loading"`
	Role     string        `json:"role"` // "master" or "slave"
	ReplID   string        `json:"repl_id"`
	ReplID2  string        `json:"repl_id2"`
	Offset   int64         `json:"offset"`             // master: master_repl_offset; replica: slave_repl_offset (applied)
	Received int64         `json:"received"`           // replica: slave_read_repl_offset
	Second   int64         `json:"second_offset"`      // second_repl_offset
	Keys     int64         `json:"keys"`               // in all databases
	Backlog  int64         `json:"backlog_bytes"`      // bytes of the stream that a replica can continue from
	Room     int64         `json:"backlog_room_bytes"` // bytes of the stream that the backlog can hold
	Disk     string        `json:"disk,omitempty"`     // what the server can't write; empty: nothing is wrong
	Fence    int64         `json:"fence"`              // min-replicas-to-write; -1: it may not be asked for
	// Of a replica:
	Master   config.Addr   `json:"master,omitempty"`
	LinkUp   bool          `json:"link_up"`
	LinkDown time.Duration `json:"-"` // since when, if not up
	LastIO   time.Duration `json:"-"` // since the last byte from the master, whole seconds; negative: never
	Syncing  bool          `json:"syncing"`
	Priority int           `json:"priority"`
	Unlisted bool          `json:"unlisted,omitempty"` // replica_announced:0
	// Of a master:
	Replicas []Attached `json:"replicas,omitempty"`
}

// Attached is a replica as its master lists it.
type Attached struct {
	Server config.Addr   `json:"server"`
	State  string        `json:"state"` // online, wait_bgsave, …
	Offset int64         `json:"offset"`
	Lag    time.Duration `json:"-"`
}

// Server is all that this agent knows of one server at one instant.
type Server struct {
	Addr      config.Addr
	State     State
	Evidence  Evidence
	Since     time.Time    // of State
	Suspect   bool         // something is wrong (connection lost, refused, reply late) but not long enough
	Last      *Observation // newest INFO; nil: none yet
	Prior     *Observation // of a replica: the one before it was last seen to have received something
	Advanced  time.Time    // when that was seen
	Lost      time.Time    // since when a valid answer is missing; zero: none is
	Text      string       // what was wrong with the last reply or dial
	Connected bool
	PingSent  time.Time // of the oldest unanswered PING; zero: none
	LastOK    time.Time // last valid reply
	LastReply time.Time // last reply of any kind
	RoleSince time.Time // since when Last.Role is reported
	RunSince  time.Time // since when Last.RunID is
	FollowsAt time.Time // since when Last.Master is
	DownAfter time.Duration
	Deaf      string // why no foreign coordinator can be heard on it; empty: one can, or nobody listens
}

// View is everything that a judgement may use. It is immutable once made.
type View struct {
	Now      time.Time
	Self     string
	Began    time.Time // the watch, and with it the listening for other coordinators; zero: not yet
	Stalled  bool      // this agent was late itself and distrusts its clocks until it has looked again
	Servers  map[config.Addr]Server
	Opinions map[config.Addr][]Opinion // fresh ones of every agent, this one included; sorted by agent
	Foreign  []Foreign                 // coordinators that any agent heard not long ago; sorted by server and run id
}

// Code names a finding, in the manner of a diagnosis.
type Code string

const (
	Healthy           Code = "Healthy"
	DeadMaster        Code = "DeadMaster"        // refused
	HungMaster        Code = "HungMaster"        // accepts, does not answer
	UnreachableMaster Code = "UnreachableMaster" // agents are cut off, replicas are still fed: no action
	LoadingMaster     Code = "LoadingMaster"
	EmptyMaster       Code = "EmptyMaster"     // restarted without data that its replicas hold
	RestartedMaster   Code = "RestartedMaster" // restarted with less than its replicas hold, or with another history
	RoleMismatch      Code = "RoleMismatch"    // the master says that it is a replica
	SuspectedMaster   Code = "SuspectedMaster" // down for some agent, not for a quorum
	NoQuorum          Code = "NoQuorum"        // too few agents speak
	UnknownMaster     Code = "UnknownMaster"   // this agent has not looked yet, or stalled
)

// Codes of findings, see Finding: none of them leads to a failover.
const (
	MultiMaster      Code = "MultiMaster"      // more than one server says that it is the master
	DiskErrorMaster  Code = "DiskErrorMaster"  // the master can't write its data
	ReplicaLinkDown  Code = "ReplicaLinkDown"  // a replica has lost its master
	ReplicaOfUnknown Code = "ReplicaOfUnknown" // a replica follows a server that is none of the group's
	AgentDown        Code = "AgentDown"        // an agent is not heard
	UnguardedMaster  Code = "UnguardedMaster"  // no agent runs beside the master
)

// Rule names what a judgement rests on. Names never change meaning.
type Rule string

const (
	NotSeen         Rule = "not-seen"           // this agent has not looked at the master yet, or was late itself
	ReplicaNotSeen  Rule = "replica-not-seen"   // a replica that might prove the master's life was not looked at yet
	ReplicaHasMore  Rule = "replica-has-more"   // the master is another process than the agreed one, and a replica holds what it lacks
	Answers         Rule = "answers"            // nobody finds it down, and it answers as a master
	AnswersLoading  Rule = "answers-loading"    // nobody finds it down; it loads its data
	AnswersReplica  Rule = "answers-as-replica" // nobody finds it down yet, but it says that it is a replica
	BelowQuorum     Rule = "below-quorum"       // fewer agents than the quorum find it down
	TooFewAgents    Rule = "too-few-agents"     // fewer agents than the quorum say anything
	ReplicaIsFed    Rule = "replica-is-fed"     // a quorum finds it down, but a replica has received something since
	QuorumRefused   Rule = "quorum-refused"     // a quorum finds it down; connections are refused
	QuorumSilent    Rule = "quorum-silent"      // a quorum has no answer for down-after
	QuorumBadReply  Rule = "quorum-bad-reply"   // a quorum has no valid answer for down-after
	QuorumWrongRole Rule = "quorum-wrong-role"  // a quorum finds that it is a replica for down-after
	QuorumLoading   Rule = "quorum-loading"     // a quorum finds that it was restarted and loads its data for reboot-down-after
)

// Question is what is to be judged: one master, as the replicated state and the configuration know it.
type Question struct {
	Name     string
	Master   config.Addr
	Replicas []config.Addr
	Quorum   int
	Agents   int    // size of the group
	RunID    string // of the agreed master's process; empty: not known
	// AcceptEmpty: a master that comes back with less than its replicas hold is none the worse for it.
	AcceptEmpty bool
}

// Proof is a sign of life of a master that agents find down.
type Proof struct {
	Replica config.Addr `json:"replica"`
	Text    string      `json:"text"` // what it received, and when
}

// Verdict is the judgement on one master. ObjectivelyDown is the only thing that permits a failover.
type Verdict struct {
	Code            Code      `json:"code"`
	ObjectivelyDown bool      `json:"objectively_down"`
	Down            []Opinion `json:"down,omitempty"` // that count
	Quorum          int       `json:"quorum"`
	Life            []Proof   `json:"life,omitempty"` // vetoes
	Since           time.Time `json:"since,omitzero"` // earliest Down here; zero if none
	Text            string    `json:"text"`           // one sentence for people, with the remedy where there is one
	Rule            Rule      `json:"rule"`           // that the judgement rests on
}
