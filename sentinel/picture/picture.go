// Package picture is the read model: what one agent knows at one instant, in the shape in which the doors to
// the outside (Sentinel protocol, HTTP, command line) show it. One Picture answers one request, so
// that no answer contradicts itself.
package picture

import (
	"cmp"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// Picture is immutable once made. Its JSON is the body of GET /v1/status.
type Picture struct {
	At        time.Time     `json:"at"`
	Version   string        `json:"version"`
	Cluster   string        `json:"cluster"`
	Agent     string        `json:"agent"`
	Epoch     uint64        `json:"epoch"`
	Role      string        `json:"role"`      // of this agent in Raft
	Leader    string        `json:"leader"`    // agent id; empty: unknown
	Majority  bool          `json:"majority"`  // this agent is in touch with a majority: decisions can be made
	Shadow    bool          `json:"shadow"`    // the agents only watch
	Listening bool          `json:"listening"` // it has just started, and does nothing by itself before it knows whether there are other coordinators
	Simulated int           `json:"-"`         // failures that are to be simulated: 1 after an election, 2 after a promotion
	Stalled   bool          `json:"stalled"`   // this agent was late itself and distrusts its clocks (Sentinel's tilt)
	Commit    uint64        `json:"commit"`
	Applied   uint64        `json:"applied"`
	Masters   []Master      `json:"masters"`         // sorted by name
	Agents    []Agent       `json:"agents"`          // sorted by id, this one included
	Events    []state.Event `json:"events"`          // the latest committed ones, oldest first
	Lease     *Lease        `json:"lease,omitempty"` // of the Redis beside this agent
	Pauses    []Pause       `json:"pauses"`          // that hold, that of all masters first
	Reload    Reload        `json:"reload"`          // of this agent's configuration
}

// Reload is how the last reading of an agent's configuration went: at its start, or since.
type Reload struct {
	At time.Time `json:"at"`
	OK bool      `json:"ok"`
	// Error is why the former configuration still counts; empty: it does not.
	Error string `json:"error,omitempty"`
	// Pending are keys whose values count after a restart of the agent.
	Pending []string `json:"pending,omitempty"`
}

// Pause is an operator's word that nothing begins by itself.
type Pause struct {
	Master string    `json:"master,omitempty"` // empty: all
	Who    string    `json:"who"`
	Why    string    `json:"why,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// Scheduled is a switchover to come.
type Scheduled struct {
	To  config.Addr `json:"to,omitempty"` // empty: the best replica
	At  time.Time   `json:"at"`
	Who string      `json:"who"`
}

// Lease is how an agent stands to the Redis beside it.
type Lease struct {
	Server config.Addr `json:"server"`
	Master string      `json:"master"` // name
	// Until is when the lease runs out unless it is renewed; absent: it is not held.
	Until time.Time `json:"until,omitzero"`
	// Fenced is why the agent has the server refuse writes; empty: it does not.
	Fenced string `json:"fenced,omitempty"`
	// Released is why the agent has given the lease up; empty: it has not.
	Released string `json:"released,omitempty"`
}

// Promise is what an agent has promised the one beside a master: not to vote for a failover of it. The lease that such promises make ends a
// little before them.
type Promise struct {
	Agent string `json:"agent"` // beside the master
	// Until is when it ends unless it is asked for again; absent: that agent has released it.
	Until    time.Time `json:"until,omitzero"`
	Released string    `json:"released,omitempty"` // why
}

// Agent is one member of the group as this agent sees it.
type Agent struct {
	ID           string        `json:"id"`
	MyID         string        `json:"my_id"` // 40 hex digits, stable: Sentinel's run id
	Host         string        `json:"host"`  // announced to clients
	SentinelPort int           `json:"sentinel_port"`
	Peer         config.Addr   `json:"peer"`
	Zone         string        `json:"zone,omitempty"`
	Self         bool          `json:"self,omitempty"`
	Up           bool          `json:"up"`
	Role         string        `json:"role"`  // as it last said
	Epoch        uint64        `json:"epoch"` // as it last said
	Heard        time.Duration `json:"-"`     // since it last spoke; negative: never
	Voter        bool          `json:"voter"` // it counts in decisions; a new agent does once it has caught up
	// Witness: no Redis beside it. It watches and votes like any other.
	Witness bool `json:"witness,omitempty"`
	// Local is the Redis beside it; empty: there is none, or it is not known yet.
	Local  config.Addr `json:"local,omitempty"`
	Commit uint64      `json:"commit"` // up to where it has the group's log, as it last said
}

// Server is a Redis server as this agent sees it.
type Server struct {
	Addr     config.Addr          `json:"addr"`
	Told     config.Addr          `json:"-"` // as clients of the Sentinel port are told; empty: by Addr
	Numeric  config.Addr          `json:"-"` // with its IP address of just now; empty: Addr has it, or none is known
	Follows  config.Addr          `json:"-"` // its master, as they are told; empty: by what it says itself
	RunID    string               `json:"run_id,omitempty"`
	State    string               `json:"state"` // up, down, unknown
	Down     bool                 `json:"down"`  // subjectively: Sentinel's s_down
	Evidence string               `json:"evidence,omitempty"`
	Watch    monitor.Server       `json:"-"` // the details that Sentinel's maps show
	Last     *monitor.Observation `json:"last,omitempty"`
	Lag      int64                `json:"lag"`              // of a replica: bytes behind the master as last seen; -1: unknown
	Fenced   bool                 `json:"fenced,omitempty"` // it refuses writes because an agent has it do so, as last seen
}

// Shown is the address that clients of the Sentinel port are told.
func (s *Server) Shown() config.Addr { return cmp.Or(s.Told, s.Addr) }

// Leader is the master that the server says it follows, as they are told; empty: none.
func (s *Server) Leader() config.Addr {
	if s.Last == nil {
		return ""
	}
	return cmp.Or(s.Follows, s.Last.Master)
}

// Options are those of a master's settings that can be changed at run time, as they are now.
type Options struct {
	DownAfterMS       int64 `json:"down_after_ms"`
	FailoverTimeoutMS int64 `json:"failover_timeout_ms"`
	ParallelSyncs     int   `json:"parallel_syncs"`
	RebootDownAfterMS int64 `json:"reboot_down_after_ms"`
}

// OptionsOf are those of a master's settings.
func OptionsOf(m *config.Master) Options {
	return Options{m.DownAfter.Milliseconds(), m.FailoverTimeout.Milliseconds(), m.ParallelSyncs, m.RebootDownAfter.Milliseconds()}
}

// Master is one watched master.
type Master struct {
	Name     string          `json:"name"`
	Epoch    uint64          `json:"epoch"` // of its last failover: Sentinel's config-epoch
	Settings *config.Master  `json:"-"`
	Quorum   int             `json:"quorum"`
	Options  Options         `json:"options"`
	Server   Server          `json:"server"`
	ODown    bool            `json:"objectively_down"`
	ODownAt  time.Time       `json:"-"`
	Verdict  monitor.Verdict `json:"verdict"`
	// Promise is this agent's, for the lease of the master; absent: there is none.
	Promise *Promise          `json:"promise,omitempty"`
	Blocker *failover.Blocker `json:"blocker,omitempty"`
	// BlockedAt is since when that has been the reason.
	BlockedAt time.Time `json:"blocked_since,omitzero"`
	// Findings are what is wrong besides.
	Findings []monitor.Finding `json:"findings,omitempty"`
	Replicas []Server          `json:"replicas"`           // sorted by address
	Failover *failover.Record  `json:"failover,omitempty"` // running
	Last     *failover.Record  `json:"last_failover,omitempty"`
	// Processes are the master's and those of replicas that may have acknowledged writes; without a run id, one has not caught up yet.
	Processes []failover.Process `json:"processes"`
	// Scheduled is a switchover that is ordered for later.
	Scheduled *Scheduled        `json:"scheduled,omitempty"`
	Paused    *Pause            `json:"paused,omitempty"`  // nothing begins by itself
	Shadow    *state.Shadowed   `json:"shadow,omitempty"`  // agents that only watch: the latest decision, and what was done instead
	Foreign   []monitor.Foreign `json:"foreign,omitempty"` // other coordinators of it that were heard not long ago
}
