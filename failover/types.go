package failover

import (
	"time"

	"picket/config"
	"picket/monitor"
)

// Candidate is a replica as it was when a target was chosen.
type Candidate struct {
	Server config.Addr    `json:"server"`
	Offset int64          `json:"offset"`
	Unfit  string         `json:"unfit,omitempty"`  // why it could not be chosen; empty: it could
	ReadAt monitor.Moment `json:"read_at,omitzero"` // when it had been detached and said what it holds; 0: it was not
}

// Witness is an agent that had an opinion of the master when a failover began.
type Witness struct {
	Agent    string         `json:"agent"`
	State    string         `json:"state"` // up, down or unknown
	Evidence string         `json:"evidence"`
	Since    monitor.Moment `json:"since,omitzero"` // about when it came to that, by the leader's clock
}

// Phase is how far a failover has come. Each is entered by a committed Step.
type Phase uint8

const (
	Begun     Phase = iota + 1 // replicas may be cut and read
	Promoting                  // the target is chosen; it may be promoted
	Switched                   // the target is the master; clients are told; others follow it
	Ended                      // finished or rolled back, see Outcome
)

// Cause is why a failover began.
type Cause string

const (
	CauseDown   Cause = "master-down" // objectively down
	CauseManual Cause = "manual"      // an operator or a Sentinel client asked
)

// Outcome is how a failover ended.
type Outcome string

const (
	Done    Outcome = "done"
	Aborted Outcome = "aborted" // the old master stays; replicas follow it again
)

// ReasonTimeout is why a failover ended before all replicas that are up followed the new master.
const ReasonTimeout = "timeout"

// Step is one entry of a failover in the log. Master and Epoch are always set; the other fields belong to the kinds
// that their comments name.
type Step struct {
	Kind   StepKind
	Master string
	Epoch  uint64         // the term in which the leader acts; a step of an older term than the record's is refused
	At     monitor.Moment // leader's clock: for people, never for decisions about safety

	Cause    Cause          // begin
	Old      config.Addr    // begin: the master that is replaced
	Replicas []config.Addr  // begin: those known, to be cut, read and re-pointed
	Evidence string         // begin: what was seen, by whom; for people
	Down     monitor.Moment // begin: when the master was first found down; 0 for manual

	Target config.Addr // promote, switch
	RunID  string      // promote: of the target
	ReplID string      // promote: history of the target; switch: the one that it writes as the master; empty: not known
	Offset int64       // promote: of the target when chosen
	Why    string      // promote: why this one; abort: why; end: remarks

	Replica config.Addr // repoint: this one follows the new master

	OldRunID  string // begin: of the old master's process, as last seen; empty: never seen
	OldReplID string // begin: the history that it wrote

	AllowLoss  bool        // begin: somebody accepts that writes are lost that were waited for
	Want       config.Addr // begin: the replica that is to be promoted, of a healthy master; empty: the best one
	Reason     string      // abort: what a Blocker's reason says; empty: it was not blocked; end: ReasonTimeout, or nothing
	OldOffset  int64       // begin: the last one that was seen of the old master
	Candidates []Candidate // promote: the replicas, as they were read
	HandOver   bool        // begin, promote: the old master lives, and hands over
	Native     bool        // promote: it does so by its own command

	Agent string         // begin, resume: the one that leads
	Code  monitor.Code   // begin: the diagnosis
	Rule  monitor.Rule   // begin: that the diagnosis rests on
	Seen  []Witness      // begin: what the agents thought of the master
	Held  monitor.Moment // switch, in a hand-over: since when writers wait; 0: the leader can't tell
}

// StepKind says what a Step does.
type StepKind uint8

const (
	StepBegin  StepKind = iota + 1
	StepResume          // a new leader takes the failover over: its term becomes the epoch
	StepPromote
	StepSwitch
	StepRepoint
	StepEnd
	StepAbort
)

// Record is the replicated state of one failover: the fold of its steps.
type Record struct {
	ID         uint64           `json:"id"` // log index of the begin step
	Master     string           `json:"master"`
	Epoch      uint64           `json:"epoch"`
	Phase      Phase            `json:"phase"`
	Outcome    Outcome          `json:"outcome,omitempty"` // once Ended
	Cause      Cause            `json:"cause"`
	Old        config.Addr      `json:"old"`
	Replicas   []config.Addr    `json:"replicas,omitempty"`
	Evidence   string           `json:"evidence,omitempty"`
	Target     config.Addr      `json:"target,omitempty"`
	RunID      string           `json:"run_id,omitempty"`
	ReplID     string           `json:"repl_id,omitempty"`
	Offset     int64            `json:"offset,omitempty"`
	Why        string           `json:"why,omitempty"`
	Repointed  []config.Addr    `json:"repointed,omitempty"`
	Leaders    []uint64         `json:"leaders,omitempty"` // terms of the leaders that worked on it, in order
	DownAt     monitor.Moment   `json:"down_at,omitzero"`
	BegunAt    monitor.Moment   `json:"begun_at,omitzero"`
	PromoteAt  monitor.Moment   `json:"promote_at,omitzero"`
	SwitchAt   monitor.Moment   `json:"switch_at,omitzero"`
	EndAt      monitor.Moment   `json:"end_at,omitzero"`
	OldRunID   string           `json:"old_run_id,omitempty"`
	OldReplID  string           `json:"old_repl_id,omitempty"`
	AllowLoss  bool             `json:"allow_loss,omitempty"`
	Want       config.Addr      `json:"want,omitempty"`
	OldOffset  int64            `json:"old_offset,omitempty"`
	Candidates []Candidate      `json:"candidates,omitempty"`
	Chosen     string           `json:"chosen,omitempty"`    // why the target was
	Reason     string           `json:"reason,omitempty"`    // once Ended: why, in one word; empty: nothing is left to do, or something failed
	HandOver   bool             `json:"hand_over,omitempty"` // the old master lives, and hands over
	Native     bool             `json:"native,omitempty"`    // by its own command
	Agents     []string         `json:"agents,omitempty"`    // that led the Leaders' terms; fewer in a record of an older version
	Code       monitor.Code     `json:"code,omitempty"`
	Rule       monitor.Rule     `json:"rule,omitempty"`
	Seen       []Witness        `json:"seen,omitempty"`
	RepointAt  []monitor.Moment `json:"repoint_at,omitempty"` // when each of Repointed followed
	HeldAt     monitor.Moment   `json:"held_at,omitzero"`     // once Switched: since when writers waited for the hand-over; 0: they did not, or nobody can tell
}

// Process is one that takes part in a master's group, as agreed: the master's, or a replica's that may have acknowledged writes. A replica
// that was seen, but has not caught up since, has no RunID: it counts among those that must be asked, and not as an answer.
type Process struct {
	Addr  config.Addr `json:"addr"`
	RunID string      `json:"run_id"`
	// ReplID is the history that the master writes: what is of another one is no copy of it, whoever holds it. Empty: a replica's, or not
	// known yet.
	ReplID string `json:"repl_id,omitempty"`
}

// Lessee is who holds the lease of the master that is to be replaced.
type Lessee struct {
	Agent    string // beside the master; empty: nobody, and there is no lease
	Released string // why that agent has let go of it; empty: it has not, as far as known here
	// Timely: the failover was committed so soon after the voters had been asked that the lease is surely over.
	Timely bool
}

// Situation is all that a decision depends on.
type Situation struct {
	Now      time.Time
	Epoch    uint64                 // the term that this leader leads
	Settings *config.Master         // of this master
	Zone     map[config.Addr]string // zone of the agent beside a server, where known
	Master   config.Addr            // current, from the replicated state
	Replicas []config.Addr          // known, from the replicated state
	Record   *Record                // the running failover; nil: none
	View     monitor.View
	Verdict  monitor.Verdict
	Paused   *Pause // by an operator; nil: it is not
	Shadow   bool   // the agents only watch
	// Acknowledged is the id of the failover after which no cool-down counts any more, as an operator says; 0: none.
	Acknowledged uint64

	RunID      string    // of the agreed master's process; empty: not known yet
	ReplID     string    // of the history that it writes, as agreed; empty: not known yet
	Registered []Process // replicas that may have acknowledged writes
	Lessee     Lessee
	Inquiry    *Inquiry // the latest since the last failover began; nil: none
}

// Hooks that may forbid something, by the keys of the configuration.
const (
	PreFailover   = "pre-failover"
	PreSwitchover = "pre-switchover"
)

// Inquiry is what the leader asks a program of the operator's before it begins a failover, and the answer if that was no.
type Inquiry struct {
	Agent  string         // the one that asks
	Epoch  uint64         // the term in which it leads
	At     monitor.Moment // asked, or answered: the leader's clock
	For    time.Duration  // the answer is waited for, or a no holds, for so long
	Vetoed bool
	Why    string // what the program said when it was last asked and said no
	Times  int    // that it said no in a row
}

// Blocker says why nothing can be done, and what would help.
type Blocker struct {
	Reason string `json:"reason"` // stable, kebab-case: "no-candidate", "cooldown", …
	Text   string `json:"text"`   // for people
	Remedy string `json:"remedy"`
}
