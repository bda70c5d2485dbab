package monitor

import (
	"context"
	"time"

	"picket/config"
)

// Target is one server to watch.
type Target struct {
	Addr     config.Addr
	Settings *config.Master // timing and credentials of the master it belongs to
	IsMaster bool           // it should be one (WrongRole)
}

// Config assembles a monitor. The callbacks are called from the monitor's own goroutine and must not block.
type Config struct {
	Self string // agent id
	// Share sends this agent's opinions to all peers: on each change, and as a heartbeat.
	Share func([]Opinion)
	// Changed says that something a judgement depends on is different: an opinion, an observation that matters.
	Changed func()
	// Observe is told of each change of this agent's own opinion, of restarts (new run id), role changes and stalls.
	Observe func(Event)
}

// EventKind says what an Event tells.
type EventKind uint8

const (
	ServerDown   EventKind = iota // this agent finds it down (Sentinel's +sdown)
	ServerUp                      // it answers again (-sdown)
	ServerReboot                  // its run id changed
	RoleChanged                   // INFO reports another role
	StallBegun                    // this agent was late itself (Sentinel's +tilt)
	StallEnded
)

// Event is one thing that this agent saw.
type Event struct {
	Kind   EventKind
	At     time.Time
	Server Server
}

// Monitor watches servers. Its methods are safe for concurrent use.
type Monitor struct{ _ int }

// New makes a monitor that watches nothing yet.
func New(cfg Config) *Monitor { panic("stub") }

// Run watches until ctx ends and has closed every connection when it returns.
func (m *Monitor) Run(ctx context.Context) { panic("stub") }

// Watch sets what is watched. Servers that stay keep their state.
func (m *Monitor) Watch(targets []Target) { panic("stub") }

// Attend has the named servers looked at with every ping, as during a failover; the others' INFO comes once a second.
func (m *Monitor) Attend(servers []config.Addr) { panic("stub") }

// Refresh probes a server at once and returns what it said, after the call began.
func (m *Monitor) Refresh(ctx context.Context, server config.Addr) (*Observation, error) {
	panic("stub")
}

// Heard takes in opinions from a peer.
func (m *Monitor) Heard(opinions []Opinion) { panic("stub") }

// View is the picture now.
func (m *Monitor) View() View { panic("stub") }

// Judge says how a master is. It is a pure function.
func Judge(q Question, v View) Verdict { panic("stub") }
