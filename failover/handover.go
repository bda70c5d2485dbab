package failover

import (
	"fmt"
	"slices"
	"time"

	"picket/config"
	"picket/monitor"
)

// A healthy master is handed over without losing a write. The target is agreed on while it is close behind, before anybody has to wait. Then
// the master's writers are held by CLIENT PAUSE; when the target has everything the master is fenced, so that a pause that runs out is
// harmless whatever becomes of the leader; when the target still has everything it is promoted. The fence comes that late because a
// fenced server does not hold writers: it refuses them. Nothing is cut before, so giving up leaves everything as it was.
//
// The fence takes the place of the end of a lease: the voters go on promising until the switch, so that a master whose replicas take long to
// catch up is not stopped by the agent beside it. So a hand-over never becomes a failover: when the master dies it is given up, and the
// next failover asks the voters, who have promised. Only a quorum may take the master for dead, not one agent's bad moment.
//
// The server's own FAILOVER command leaves a gap of about a second: it waits for the replicas' next acknowledgement. It is for services
// that allow nothing else.

const (
	// holdFor is how long writers are held at most; the hand-over is given up well before.
	holdFor    = 3 * time.Second
	holdGiveUp = holdFor / 2
	// nativeFor is how long a master tries to hand over by itself.
	nativeFor = 5 * time.Second
	// warmLag is how many bytes a replica may be behind for the writers to be held: what it must still be sent while they wait.
	warmLag = 256 << 10
	// pollHeld separates looks at the servers while writers wait.
	pollHeld = time.Millisecond
)

// takesNoWrites: somebody has fenced the master.
const takesNoWrites = "the master is fenced, and takes no writes"

// fenceStays is for how long a fence that another one made is waited for to go: the agent beside the master may be about to take it away, because it does
// not know of this hand-over yet. After that it stays, and the hand-over relies on it: sureFor, the time that a try takes, and drift.
const fenceStays = 1500 * time.Millisecond

// nextHandOver waits for a replica that is close behind, and has it agreed on.
func nextHandOver(s Situation, k Knowledge) Move {
	if s.Verdict.ObjectivelyDown {
		return s.died()
	}
	if n := len(k.Held); n > 0 && k.Held[n-1].Fence < 0 && s.Settings.Switchover != config.SwitchoverNative {
		return s.commit(Step{Kind: StepAbort, Why: "the master can't be fenced: the user needs CONFIG GET and CONFIG SET"})
	}
	if k.fenced() && s.Now.Sub(k.Since) < fenceStays {
		return s.poll(k, pollEvery, append(s.wanted(), s.Record.Old)...)
	}
	if o, lag := s.warm(k); o != nil {
		return s.commit(Step{Kind: StepPromote, Target: o.Server, RunID: o.RunID, ReplID: o.ReplID, Offset: o.Offset, HandOver: true,
			Native: s.Settings.Switchover == config.SwitchoverNative, Why: fmt.Sprintf("the master hands over to it; it is %d bytes behind", lag),
			Candidates: s.compared(k, o)})
	}
	if s.Now.Sub(k.Since) >= s.Settings.FailoverTimeout/2 {
		return s.commit(Step{Kind: StepAbort, Why: "no replica caught up with the master in time"})
	}
	return s.poll(k, pollEvery, append(s.wanted(), s.Record.Old)...)
}

// warm gives the best of the replicas that are so close behind that the writers will not wait for long, and how far it is behind.
func (s Situation) warm(k Knowledge) (best *monitor.Observation, lag int64) {
	if len(k.Held) == 0 {
		return nil, 0
	}
	master := k.Held[len(k.Held)-1]
	var near []*monitor.Observation
	for _, a := range s.wanted() {
		if o := k.Seen[a]; o != nil && o.ReplID == master.ReplID && master.Offset-o.Offset <= warmLag && s.unready(o, master) == "" {
			near = append(near, o)
		}
	}
	if len(near) == 0 {
		return nil, 0
	}
	best = slices.MinFunc(near, s.prefer)
	return best, max(0, master.Offset-best.Offset)
}

// unready says why a replica, as it was read, can't take over from a healthy master: by the rules by which a switchover may be ordered.
func (s Situation) unready(o, master *monitor.Observation) string {
	server := s.View.Servers[o.Server]
	server.Last = o
	return unready(server, master, o.Server == s.Record.Want)
}

// wanted are the replicas that may be chosen.
func (s Situation) wanted() []config.Addr {
	if s.Record.Want != "" {
		return []config.Addr{s.Record.Want}
	}
	return s.candidates()
}

// poll reads servers again and again.
func (s Situation) poll(k Knowledge, every time.Duration, servers ...config.Addr) Move {
	move := Move{Until: s.Now.Add(every)}
	for _, a := range servers {
		if !s.down(a) && k.idle(a, s.Now, every) {
			move.Actions = append(move.Actions, Action{Kind: Read, Server: a})
		}
	}
	return move
}

// compared tells how the replicas stood when one was chosen.
func (s Situation) compared(k Knowledge, chosen *monitor.Observation) []Candidate {
	list := []Candidate{{Server: chosen.Server, Offset: chosen.Offset, ReadAt: monitor.MomentOf(chosen.At)}}
	for _, a := range s.candidates() {
		o := k.Seen[a]
		switch {
		case a == chosen.Server:
		case s.Record.Want != "":
			list = append(list, Candidate{Server: a, Unfit: "another one was asked for"})
		case o == nil:
			list = append(list, Candidate{Server: a, Unfit: s.unread(a)})
		default:
			list = append(list, Candidate{Server: a, Offset: o.Offset, ReadAt: monitor.MomentOf(o.At), Unfit: s.unready(o, k.Held[len(k.Held)-1])})
		}
	}
	return list[:min(len(list), maxCandidates)]
}

// nextHeld holds the writers, waits until the target has everything, fences the master, and promotes the target, which is a replica as yet.
// A successor begins anew; what it finds held or fenced stays so.
func nextHeld(s Situation, k Knowledge, target *monitor.Observation) Move {
	old := s.Record.Old
	switch {
	case caughtUp(k, target) && k.fenced():
		return Move{Actions: []Action{{Kind: Promote, Server: s.Record.Target, RunID: s.Record.RunID}}}
	case s.Verdict.ObjectivelyDown:
		return s.died()
	case !k.idle(old, s.Now, k.pause(old)):
		return Move{Until: s.Now.Add(retryAfter)}
	case k.HeldAt.IsZero():
		return Move{Actions: []Action{{Kind: Hold, Server: old, For: holdFor}}}
	case caughtUp(k, target):
		return Move{Actions: []Action{{Kind: Fence, Server: old, Quiet: true}}}
	}
	return s.poll(k, pollHeld, old, s.Record.Target)
}

// caughtUp says whether the target holds everything. The master must have been read twice without having moved: what is not a client's, as
// a module's timer, is not held.
func caughtUp(k Knowledge, target *monitor.Observation) bool {
	n := len(k.Held)
	return n >= 2 && k.Held[n-1].Offset == k.Held[n-2].Offset && target.Offset == k.Held[n-1].Offset && target.ReplID == k.Held[n-1].ReplID
}

// fenced says whether the old master was fenced when it was read last.
func (k Knowledge) fenced() bool {
	return len(k.Held) > 0 && isFenced(k.Held[len(k.Held)-1])
}

// overdue says whether writers have been held for too long, and nobody can have been promoted.
func (s Situation) overdue(k Knowledge, target *monitor.Observation) bool {
	since := k.Since
	if !k.HeldAt.IsZero() {
		since = k.HeldAt
	}
	promotable := k.fenced() || len(s.Record.Leaders) > 1 // by this leader, or by an earlier one
	return !s.Record.Native && s.Now.Sub(since) >= holdGiveUp && (target == nil && !promotable || target != nil && target.Role == "slave")
}

// nextNative has the master hand over by its own command, and waits until their roles say that it has.
func nextNative(s Situation, k Knowledge) Move {
	old := s.Record.Old
	switch n := len(k.Held); {
	case s.Verdict.ObjectivelyDown:
		return s.died()
	case k.HeldAt.IsZero():
		if k.idle(old, s.Now, k.pause(old)) {
			return Move{Actions: []Action{{Kind: HandOver, Server: old, Master: s.Record.Target, For: nativeFor}}}
		}
	case s.Now.Sub(k.HeldAt) > nativeFor+time.Second && n > 0 && k.Held[n-1].Role == "master":
		return s.rollBack(k, fmt.Sprintf("the master could not hand over to %s in %s", s.Record.Target, nativeFor))
	}
	return s.poll(k, pollEvery, old, s.Record.Target)
}

// died gives a hand-over up at once: the replicas are not cut, and the lease is held; the next failover sees to both.
func (s Situation) died() Move {
	return s.commit(Step{Kind: StepAbort, Why: "the master died before another one was promoted"})
}

// rollBack gives the failover up, and then lets the writers go on: before that is agreed, another leader may have promoted the target, and
// what this one sends may arrive late. The fence, if there is one, is taken away by the agent beside the server, which knows what was agreed, or as a
// repair; it lets the writers go on, too, so that none of those that wait is refused. An order by the server's own command is taken back first: it
// goes on by itself.
func (s Situation) rollBack(k Knowledge, why string) Move {
	old := s.Record.Old
	move := s.commit(Step{Kind: StepAbort, Why: why})
	switch {
	case !s.Record.HandOver, s.Record.Native && k.Released:
	case k.Busy[old]:
		return Move{Until: s.Now.Add(retryAfter)}
	case s.Record.Native:
		return Move{Actions: []Action{{Kind: Recall, Server: old}}}
	case !k.fenced():
		move.Actions = []Action{{Kind: Release, Server: old}}
	}
	return move
}
