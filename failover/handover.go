package failover

import (
	"fmt"
	"time"

	"picket/config"
	"picket/monitor"
)

// A healthy master is handed over without losing a write: its writers are held by CLIENT PAUSE, and it is fenced as well, so that a
// pause that runs out is harmless whatever becomes of the leader; when a replica has everything, that one is promoted. Nothing is cut
// before, so giving up leaves everything as it was.
//
// The server's own FAILOVER command leaves a gap of about a second: it waits for the replicas' next acknowledgement.

const (
	// holdFor is how long writers are held at most; the hand-over is given up well before.
	holdFor    = 3 * time.Second
	holdGiveUp = holdFor / 2
	// warmLag is how many bytes a replica may be behind for the writers to be held: what it must still be sent while they wait.
	warmLag = 256 << 10
	// pollHeld separates looks at the servers while writers wait.
	pollHeld = time.Millisecond
)

// nextHandOver waits for a replica that is close behind, holds the writers, and waits until it has everything.
func nextHandOver(s Situation, k Knowledge) Move {
	deadline := k.Since.Add(s.Settings.FailoverTimeout / 2)
	if !k.HeldAt.IsZero() {
		deadline = k.HeldAt.Add(holdGiveUp)
	}
	switch {
	case !s.Now.Before(deadline):
		return s.rollBack(k, deadline, "no replica caught up with the master in time")
	case k.HeldAt.IsZero() && s.warm(k):
		if k.idle(s.Record.Old, s.Now, retryAfter) || k.Tried[s.Record.Old].Err == nil && !k.Busy[s.Record.Old] {
			return Move{Actions: []Action{{Kind: Hold, Server: s.Record.Old, For: holdFor}}}
		}
		return Move{Until: s.Now.Add(pollHeld)}
	}
	if c := caughtUp(s, k); c != nil {
		return s.commit(Step{Kind: StepPromote, Target: c.Server, RunID: c.RunID, ReplID: c.ReplID, Offset: c.Offset,
			Why: fmt.Sprintf("it holds all that the master wrote, offset %d", c.Offset)})
	}
	move := Move{Until: s.Now.Add(pollHeld)}
	for _, a := range append(s.candidates(), s.Record.Old) {
		if !s.down(a) && k.idle(a, s.Now, pollHeld) {
			move.Actions = append(move.Actions, Action{Kind: Read, Server: a})
		}
	}
	return move
}

// warm says whether a replica that may be chosen is so close behind that the writers will not wait for long.
func (s Situation) warm(k Knowledge) bool {
	if len(k.Held) == 0 {
		return false
	}
	master := k.Held[len(k.Held)-1]
	for _, a := range s.wanted() {
		if o := k.Seen[a]; o != nil && o.ReplID == master.ReplID && master.Offset-o.Offset <= warmLag && unfit(o, master.ReplID, a == s.Record.Want) == "" {
			return true
		}
	}
	return false
}

// wanted are the replicas that may be chosen.
func (s Situation) wanted() []config.Addr {
	if s.Record.Want != "" {
		return []config.Addr{s.Record.Want}
	}
	return s.candidates()
}

// caughtUp gives the best replica that holds everything. The master must have been read twice without having moved: a script that
// was running when the hold began may still have written.
func caughtUp(s Situation, k Knowledge) *monitor.Observation {
	n := len(k.Held)
	if k.HeldAt.IsZero() || n < 2 || k.Held[n-1].Offset != k.Held[n-2].Offset {
		return nil
	}
	var full []*monitor.Observation
	for _, a := range s.wanted() {
		if o := k.Seen[a]; o != nil && o.Offset == k.Held[n-1].Offset && o.ReplID == k.Held[n-1].ReplID {
			full = append(full, o)
		}
	}
	return choose(s, full).best
}

// holds says whether the chosen replica still holds all that the old master has, which must not have taken a write since; if that is not
// sure, it gives what is to be done.
func (s Situation) holds(k Knowledge) (move Move, unsafe bool) {
	old := s.Record.Old
	if !k.HeldAt.IsZero() && s.Now.Sub(k.HeldAt) < holdGiveUp {
		return Move{}, false // it is this leader that holds them
	}
	if len(k.Held) == 0 && !s.late(k) {
		if k.idle(old, s.Now, retryAfter) {
			return Move{Actions: []Action{{Kind: Read, Server: old}}}, true
		}
		return Move{Until: s.Now.Add(retryAfter)}, true
	}
	if n := len(k.Held); n > 0 {
		if _, _, fenced := Fenced(k.Held[n-1].Fence); fenced && k.Held[n-1].Offset == s.Record.Offset && k.Held[n-1].ReplID == s.Record.ReplID {
			return Move{}, false
		}
	}
	return s.rollBack(k, k.Since, "the old master may have taken writes since"), true
}

// rollBack lets the writers go on, and gives the hand-over up. A server that can't be reached loses its fence by the agent beside it.
func (s Situation) rollBack(k Knowledge, since time.Time, why string) Move {
	old := s.Record.Old
	last, tried := k.Tried[old]
	switch {
	case k.Busy[old]:
		return Move{Until: s.Now.Add(retryAfter)}
	case !k.Released && (!tried || last.At.Before(since) || last.Err == nil):
		return Move{Actions: []Action{{Kind: Release, Server: old}}}
	}
	return s.commit(Step{Kind: StepAbort, Why: why})
}
