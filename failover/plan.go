package failover

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/config"
	"picket/monitor"
)

const (
	// patience is how long the choice waits, after the first replica was read, for others that seem to be alive: they may
	// hold more.
	patience = 200 * time.Millisecond
	// retryAfter separates attempts to do the same to a server.
	retryAfter = 100 * time.Millisecond
	// pollEvery separates looks at a server whose state is awaited.
	pollEvery = 20 * time.Millisecond
	// persistAfter is how long the new master's file waits for replicas that do not follow yet.
	persistAfter = time.Second
)

// Knowledge is what a runner has found out and done itself, since it took the failover over. It is not in the log: a
// successor finds it out again.
type Knowledge struct {
	Began     time.Time // when the runner began
	Since     time.Time // when it came to this phase
	Busy      map[config.Addr]bool
	Tried     map[config.Addr]Attempt              // the latest finished action on a server
	Read      map[config.Addr]*monitor.Observation // replicas that were cut and read
	FirstRead time.Time
	HeldAt    time.Time                            // the old master's writers are held since, or it hands over by itself
	Held      []*monitor.Observation               // the old master, as read lately; the latest two
	Seen      map[config.Addr]*monitor.Observation // replicas, as read while the master was held, or after they were told to follow
	Promoted  bool                                 // ROLE of the target says master
	Told      map[config.Addr]bool                 // told to follow the new master
	Released  bool                                 // it was tried to take back what the old master does by itself
	Persisted bool                                 // the target has been told to write its role to its file
	Remarks   map[string][]config.Addr             // what did not work and did not matter enough to fail, and where

	old   config.Addr // the master that is replaced
	place place       // in which the failover was seen last
}

// place is how far a failover has come, as its record says.
type place struct {
	phase     Phase
	epoch     uint64
	repointed int
}

// Attempt is a finished action.
type Attempt struct {
	At  time.Time
	Err error
}

// ActionKind says what is to be done to a server.
type ActionKind uint8

const (
	Cut        ActionKind = iota + 1 // detach from its master, and read
	Read                             // read
	Promote                          // make it a master
	Follow                           // make it a replica of Master
	Hold                             // hold its writers, and read
	Release                          // let them go on; a fence stays
	Fence                            // have it refuse writes, disconnect its clients, and read
	BlindFence                       // the same for one that does not answer
	Unfence                          // take a fence away, if there is one, let writers go on, and read
	Persist                          // have it write its role to its configuration file
	HandOver                         // have it make Master, one of its replicas, the master by its own means
	Recall                           // give that up
)

// Action is one thing to do to one server.
type Action struct {
	Kind   ActionKind
	Server config.Addr
	Master config.Addr   // to follow, or to hand over to
	For    time.Duration // to hold, or to hand over
	Note   ProgressKind  // what a finished Follow is reported as
	Clean  bool          // a finished hand-over: there is nothing that only it holds
	Quiet  bool          // to fence without disconnecting clients: something is done next that does
	Fence  int64         // min-replicas-to-write as it was seen last, for BlindFence
	RunID  string        // of the process that is meant: to promote, or to follow (empty: whichever)
}

// Move is what to do now: commit a step, do actions side by side, or wait.
type Move struct {
	Commit  *Step
	Actions []Action  // where there is a step, once when it is certainly in the log, whatever comes of them
	Until   time.Time // look again then, at the latest; zero: when something changes
	Blocker *Blocker
	Done    bool
}

// Next says what to do now. It is a pure function.
func Next(s Situation, k Knowledge) Move {
	r := s.Record
	switch {
	case r == nil || r.Phase == Ended:
		return Move{Done: true}
	case r.Epoch < s.Epoch:
		return s.commit(Step{Kind: StepResume, Agent: s.View.Self})
	case r.Phase == Promoting:
		return nextPromote(s, k)
	case r.Phase == Switched:
		return nextRepoint(s, k)
	case r.HandOver:
		return nextHandOver(s, k)
	}
	return nextChoose(s, k)
}

// commit completes a step with what every step has.
func (s Situation) commit(step Step) Move {
	step.Master, step.Epoch, step.At = s.Record.Master, s.Epoch, monitor.MomentOf(s.Now)
	return Move{Commit: &step}
}

// alive says whether a server is up and says that it is a master.
func (s Situation) alive(a config.Addr) bool {
	server := s.View.Servers[a]
	return server.State == monitor.Up && server.Last != nil && server.Last.Role == "master"
}

// same says whether the process at an address is the one with the run id: a server may be known under two addresses.
func (s Situation) same(a config.Addr, runID string) bool {
	last := s.View.Servers[a].Last
	return last != nil && runID != "" && last.RunID == runID
}

func (s Situation) down(a config.Addr) bool { return s.View.Servers[a].State == monitor.Down }

// idle says whether something may be done to a server now: nothing is under way, and the last attempt is not too fresh.
func (k Knowledge) idle(a config.Addr, now time.Time, pause time.Duration) bool {
	last, tried := k.Tried[a]
	return !k.Busy[a] && (!tried || now.Sub(last.At) >= pause)
}

// late says whether the runner has taken longer than a step may.
func (s Situation) late(k Knowledge) bool { return s.Now.Sub(k.Since) >= s.Settings.FailoverTimeout }

// candidates are the replicas that may be cut.
func (s Situation) candidates() []config.Addr {
	all := append(slices.Clone(s.Record.Replicas), s.Replicas...)
	for _, p := range s.Registered {
		all = append(all, p.Addr)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(a config.Addr) bool { return a == s.Record.Old })
}

// nextChoose detaches every replica that is not known to be down, reads what it holds, and chooses. The old master is never
// asked.
func nextChoose(s Situation, k Knowledge) Move {
	old := s.View.Servers[s.Record.Old]
	if s.alive(s.Record.Old) && old.LastOK.After(k.Since) && old.Last.RunID == s.Record.OldRunID {
		// It has answered since this runner began, and it is the same process, so nothing is lost by going back. One that was
		// restarted may be empty: its replicas know more.
		return s.commit(Step{Kind: StepAbort, Why: "the old master answers again"})
	}
	move := Move{Until: s.Now.Add(retryAfter)}
	waiting, anew := false, false
	var read []*monitor.Observation
	for _, a := range s.candidates() {
		returned := k.Read[a] != nil && s.returned(k.Read[a])
		anew = anew || returned
		switch {
		case k.Read[a] != nil && !returned:
			read = append(read, k.Read[a])
		case k.Busy[a]:
			waiting = waiting || !s.down(a)
		case s.down(a) && len(k.Tried) > 0:
		case k.idle(a, s.Now, retryAfter):
			move.Actions = append(move.Actions, Action{Kind: Cut, Server: a})
			waiting = waiting || !s.down(a)
		}
	}
	if len(read) > 0 && !anew && (!waiting || s.Now.Sub(k.FirstRead) >= patience) {
		step, blocker := s.promotion(k, read)
		var until time.Time
		if step != nil {
			until = s.leased(k, k.Read[step.Target])
		}
		switch {
		case step == nil && s.returns():
			return s.commit(Step{Kind: StepAbort, Why: "the old master is back as a replica, and nobody holds more"})
		case step == nil:
			move.Blocker = blocker
		case s.Now.Before(until):
			move.Until = earlier(move.Until, until)
		case planted(PromoteFirst) && !k.Promoted:
			return Move{Actions: []Action{{Kind: Promote, Server: step.Target, RunID: step.RunID}}}
		default:
			return s.commit(*step)
		}
	} else if len(read) > 0 && !anew {
		move.Until = k.FirstRead.Add(patience)
	}
	if len(read) == 0 && !waiting && len(move.Actions) == 0 {
		move.Blocker = noCandidate("no replica can be reached")
	}
	if s.hopeless(k, move.Blocker) {
		step := Step{Kind: StepAbort, Why: "no replica could be promoted"}
		if move.Blocker != nil {
			step.Why, step.Reason = move.Blocker.Text, move.Blocker.Reason
		}
		return s.commit(step)
	}
	return move
}

// hopeless says whether a choice that could not be made is given up. One that only waits for replicas, until it is to be made without them, is
// not: whoever begins anew begins to wait anew.
func (s Situation) hopeless(k Knowledge, b *Blocker) bool {
	if b != nil && b.Reason == reasonMissing {
		switch s.Settings.Durability.OnQuorumMissing {
		case config.MissingNever:
			return true
		case config.MissingPromote:
			return false
		}
	}
	return s.late(k)
}

// waited is for how long replicas have been missed: since the failover began, whoever led it. Where the clock of the agent that began it is ahead
// of this one, since this one took it over.
func (s Situation) waited(k Knowledge) time.Duration {
	return max(s.Now.Sub(k.Began), s.Now.Sub(s.Record.BegunAt.Time()))
}

// returned says whether a replica that was cut and read has been seen since as another process, or following somebody: it was restarted, and what
// it holds and whom it follows is to be found out anew. A look that was under way when it was cut proves nothing.
func (s Situation) returned(read *monitor.Observation) bool {
	last := s.View.Servers[read.Server].Last
	return last != nil && last.At.Sub(read.At) > retryAfter && (last.RunID != read.RunID || last.Role == "slave" && last.Master != Silent)
}

// promotion is the choice among the replicas that were read, or what keeps it from being made.
func (s Situation) promotion(k Knowledge, read []*monitor.Observation) (*Step, *Blocker) {
	c := choose(s, read)
	if (c.best == nil || s.hollow(c, read) != nil) && s.Record.OldReplID != "" && (s.Settings.Durability.Wait > 0 || s.Record.AllowLoss || s.late(k)) {
		c = settle(s, read) // where writes may have been waited for, that is refused for a better reason
	}
	for _, a := range s.candidates() {
		if !slices.ContainsFunc(read, func(o *monitor.Observation) bool { return o.Server == a }) {
			c.refused[a] = s.unread(a)
		}
	}
	if c.best == nil {
		return nil, noCandidate(c.list())
	}
	if b := s.missing(c); b != nil {
		d := s.Settings.Durability
		if !s.Record.AllowLoss && (d.OnQuorumMissing != config.MissingPromote || s.waited(k) < d.PromoteAfter) {
			return nil, b
		}
		c.why += "; writes that were waited for may be lost: " + b.Text
	}
	if b := s.hollow(c, read); b != nil && !s.Record.AllowLoss {
		return nil, b
	}
	return &Step{Kind: StepPromote, Target: c.best.Server, RunID: c.best.RunID, ReplID: c.best.ReplID, Offset: c.best.Offset, Why: c.why,
		Candidates: c.candidates()}, nil
}

// unread says why a replica was not read.
func (s Situation) unread(a config.Addr) string {
	if server := s.View.Servers[a]; server.State == monitor.Down {
		return "it was not reached: it is down, " + server.Evidence.String()
	}
	return "it was not reached"
}

// leased is until when the old master may still take writes, as far as the lease of the agent beside it goes, and the proofs that it lives by without
// one; zero: it may not. target is who is to be promoted, as it was read.
func (s Situation) leased(k Knowledge, target *monitor.Observation) time.Time {
	if s.Lessee.Agent == "" || s.Settings.LeaseLoss == config.LeaseOff || planted(LeaseIgnored) {
		return time.Time{}
	}
	var until time.Time
	if !s.Lessee.Timely {
		until = k.Began.Add(Outlast(s.Settings.Lease)) // who has the failover in its log does not renew the lease
	}
	if s.Settings.LeaseLoss == config.LeaseReplicas && s.Lessee.Released == "" {
		// Without a lease it goes on as long as all replicas prove that they follow. The target can't any more since this runner cut it: that another
		// one was detached, or that this one was before, counts for nothing; it may have been restarted, or attached again, since.
		if proof := target.At.Add(Outlast(ProofFor(s.Settings.Lease))); proof.After(until) {
			until = proof
		}
	}
	return until
}

func noCandidate(why string) *Blocker {
	return &Blocker{Reason: "no-candidate", Text: "no replica can be promoted: " + why,
		Remedy: "start a replica, or bring the old master back"}
}

// nextPromote makes the chosen replica the master and has that committed. The choice stands: a successor promotes the same one, also if
// it is not known whether it was promoted already. What was chosen is a process and what it held: once restarted, it is not that any more.
func nextPromote(s Situation, k Knowledge) Move {
	r := s.Record
	target := k.seen(r.Target)
	replica := target != nil && target.Role == "slave"
	switch {
	case target != nil && target.RunID != r.RunID: // also where it is what was promoted just now
		return s.rollBack(k, fmt.Sprintf("%s, which had been chosen, was restarted", r.Target))
	case k.Promoted, r.Native && target != nil && target.Role == "master":
		step := Step{Kind: StepSwitch, Target: r.Target}
		if target != nil && target.Role == "master" {
			step.ReplID = target.ReplID
		}
		step.Held = monitor.MomentOf(k.HeldAt)
		return s.commit(step)
	case k.Busy[r.Target]: // a promotion that is under way must not be overtaken by giving it up
		return Move{Until: s.Now.Add(retryAfter)}
	case s.late(k) && s.down(r.Target):
		// It may have been promoted, but no client was told. When it comes back as a master it is a stray, and is made a replica. Until it is
		// agreed that it is one, the old master must take no writes; then its fence is found to be left.
		return s.commit(Step{Kind: StepAbort, Why: fmt.Sprintf("%s, which had been chosen, does not answer", r.Target)})
	case s.late(k) && replica:
		return s.rollBack(k, fmt.Sprintf("%s, which had been chosen, could not be promoted", r.Target))
	case r.HandOver && s.overdue(k, target):
		return s.rollBack(k, fmt.Sprintf("%s did not catch up with the master in time", r.Target))
	case !k.idle(r.Target, s.Now, k.pause(r.Target)):
		return Move{Until: s.Now.Add(retryAfter)}
	case target == nil:
		return Move{Actions: []Action{{Kind: Read, Server: r.Target}}}
	case r.Native && replica:
		return nextNative(s, k)
	case r.HandOver && replica:
		return nextHeld(s, k, target)
	}
	return Move{Actions: []Action{{Kind: Promote, Server: r.Target, RunID: r.RunID}}}
}

// pause is how long a server is left alone after the last attempt: only what failed needs one.
func (k Knowledge) pause(a config.Addr) time.Duration {
	if k.Tried[a].Err == nil {
		return 0
	}
	return retryAfter
}

// seen is what this runner read last from a replica; nil: nothing, or something went wrong since.
func (k Knowledge) seen(a config.Addr) *monitor.Observation {
	if o := k.Seen[a]; o != nil {
		return o
	}
	return k.Read[a]
}

// nextRepoint has the others follow the new master: all at once where a partial resync will do, else at most parallel-syncs at a time. They
// follow the process that was promoted: one that was started in its place may be empty, and would have them throw away what they hold.
func nextRepoint(s Situation, k Knowledge) Move {
	r := s.Record
	move := Move{Until: s.Now.Add(pollEvery)}
	heir := s.heir(k)
	if heir != nil && heir.RunID != r.RunID {
		return s.commit(Step{Kind: StepEnd, Why: fmt.Sprintf("%s was restarted", r.Target)})
	}
	if heir != nil && heir.Role == "slave" && heir.Master == Silent && heir.At.After(k.Since) && !s.late(k) && k.idle(r.Target, s.Now, retryAfter) {
		// The agent beside it took it for a replica whose master has crashed, and detached it, in the moment in which it was promoted.
		return Move{Actions: []Action{{Kind: Promote, Server: r.Target, RunID: r.RunID}}, Until: move.Until}
	}
	safe := heir != nil && heir.Role == "master" && s.Now.Sub(heir.At) <= heirFresh
	var open []config.Addr
	syncing := 0
	for _, a := range r.followers(s.Replicas) {
		if slices.Contains(r.Repointed, a) || s.same(a, r.RunID) {
			continue
		}
		if o := k.Seen[a]; o != nil && (k.Told[a] || r.Native) && o.Role == "slave" && o.Master == r.Target && o.LinkUp {
			return s.commit(Step{Kind: StepRepoint, Replica: a})
		}
		if s.down(a) && !(a == r.Old && r.Cause == CauseManual && !k.Told[a]) {
			continue // it is made a replica when it is back
		}
		open = append(open, a)
		if k.Told[a] && needsFullSync(s, k, a) {
			syncing++
		}
	}
	if s.late(k) || s.Verdict.ObjectivelyDown || len(open) == 0 && s.persisted(k) { // down again: the next failover must not wait for this one
		return s.commit(Step{Kind: StepEnd, Why: k.remarks(open), Reason: s.unfinished(k, open)})
	}
	if !s.persisted(k) && (len(open) == 0 || s.Now.Sub(k.Since) >= persistAfter) && k.idle(r.Target, s.Now, retryAfter) {
		move.Actions = append(move.Actions, Action{Kind: Persist, Server: r.Target})
	}
	unsure := false
	for _, a := range open {
		full := needsFullSync(s, k, a)
		switch {
		case k.Told[a], r.Native && k.Tried[a].Err != nil: // which may have been told by nobody else than its former master
			if k.idle(a, s.Now, pollEvery) {
				move.Actions = append(move.Actions, Action{Kind: Read, Server: a})
			}
		case !safe:
			unsure = true
		case full && syncing >= s.Settings.ParallelSyncs:
		case k.idle(a, s.Now, retryAfter):
			move.Actions = append(move.Actions, Action{
				Kind: Follow, Server: a, Master: r.Target, RunID: r.RunID, Note: RepointSent, Clean: a == r.Old && r.HandOver,
			})
			if full {
				syncing++
			}
		}
	}
	if unsure && !s.down(r.Target) && k.idle(r.Target, s.Now, pollEvery) {
		move.Actions = append(move.Actions, Action{Kind: Read, Server: r.Target})
	}
	return move
}

// unfinished is the reason of an end that comes before all replicas that are up follow.
func (s Situation) unfinished(k Knowledge, open []config.Addr) string {
	if s.late(k) && len(open) > 0 {
		return ReasonTimeout
	}
	return ""
}

// heirFresh is how old a look at the new master may be for others to be told to follow it: within that no process dies and another one
// listens in its place.
const heirFresh = 100 * time.Millisecond

// heir is the latest look at the new master; nil: there was none.
func (s Situation) heir(k Knowledge) *monitor.Observation {
	here, there := k.seen(s.Record.Target), s.View.Servers[s.Record.Target].Last
	if here == nil || there != nil && there.At.After(here.At) {
		return there
	}
	return here
}

// persisted says whether the new master's file is seen to. That comes last: its disk would have its clients wait, just when they have found it.
func (s Situation) persisted(k Knowledge) bool { return k.Persisted || s.down(s.Record.Target) }

// needsFullSync is a guess from what was read before the switch: a replica of the same history that is not ahead of the new master gets
// away with a partial resync. After a hand-over nobody is ahead.
func needsFullSync(s Situation, k Knowledge, a config.Addr) bool {
	o := k.Read[a]
	if o == nil {
		o = s.View.Servers[a].Last
	}
	return o == nil || o.ReplID != s.Record.ReplID || o.Offset > s.Record.Offset && !s.Record.HandOver
}

// remark notes what did not work at a server.
func (k *Knowledge) remark(at config.Addr, text string) {
	if k.Remarks == nil {
		k.Remarks = map[string][]config.Addr{}
	}
	k.Remarks[text] = append(k.Remarks[text], at)
}

// remarks is one line of all that did not work, with those servers together of which the same is to be said.
func (k Knowledge) remarks(open []config.Addr) string {
	var all []string
	for _, text := range slices.Sorted(maps.Keys(k.Remarks)) {
		all = append(all, told(k.Remarks[text], text))
	}
	if len(open) > 0 {
		all = append(all, told(open, "it does not follow yet"))
	}
	return strings.Join(all, "; ")
}

// told says something of servers.
func told(of []config.Addr, text string) string {
	of = slices.Clone(of)
	slices.Sort(of)
	return list(slices.Compact(of)) + ": " + text
}
