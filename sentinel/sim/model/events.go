package model

import "time"

// EventKind says what happened inside a server.
type EventKind int

// The kinds of events.
const (
	Wrote     EventKind = iota // a client's command changed data while this was a master
	Promoted                   // REPLICAOF NO ONE, or told so by FAILOVER
	Followed                   // REPLICAOF, from whatever it was before
	Replaced                   // a full resynchronisation replaced the data
	Continued                  // a partial one went on with them
)

// Event is one thing that happened.
type Event struct {
	At      time.Time
	Addr    string // of the server
	RunID   string
	Kind    EventKind
	Command []string // Wrote: it
	Offset  int64    // behind it
	Master  string   // Followed, Replaced, Continued: whom
	Before  int      // Replaced: number of keys
	After   int
	Lost    int // Replaced: how many of the keys before are not among those after
}

func (p *process) observe(e Event) {
	if p.cfg.Observe == nil {
		return
	}
	e.At, e.Addr, e.RunID, e.Offset = time.Now(), p.cfg.Addr, p.runID, p.offset
	p.cfg.Observe(e)
}
