package failover

import (
	"context"

	"picket/config"
)

// Env is what a Runner needs of its surroundings.
type Env interface {
	// Situation is the picture now; ok is false when this agent does not lead (the runner then ends).
	Situation(master string) (s Situation, ok bool)
	// Commit has a step committed in the epoch it names and applied here; an error means that it may or may
	// not be, and the runner must look at the Situation again before it acts.
	Commit(ctx context.Context, s Step) error
	// Changed is closed when the situation of the master differs from the one at the call.
	Changed(master string) <-chan struct{}
	// Report is told of progress that is not in the log (a replica cut, a blocker), for events and logs.
	Report(Progress)
}

// Progress is something that a runner did or could not do.
type Progress struct {
	Master  string
	Kind    ProgressKind
	Server  config.Addr
	Blocker *Blocker
	Err     error
}

// ProgressKind says what a Progress tells.
type ProgressKind uint8

const (
	ServerCut        ProgressKind = iota // a replica is detached and read
	ServerPromoted                       // ROLE confirms
	RepointSent                          // a replica was told to follow the new master
	RepointSyncing                       // it follows, the link is not up yet
	RepointDone                          // its link is up
	ConvertedToSlave                     // an old or rogue master was told to follow the master
	Reattached                           // a replica of the wrong master was told to follow the right one
	Blocked
	ActionFailed
)
