package failover

import (
	"fmt"
	"time"

	"picket/config"
	"picket/monitor"
)

// afterAbort separates a failover that was given up from the next attempt, so that what failed at once is not repeated in a
// spin.
const afterAbort = time.Second

// OrderedByHand is the evidence of a failover that somebody asked for.
const OrderedByHand = "ordered by hand"

// maxWitnesses bounds how many agents' opinions a failover keeps.
const maxWitnesses = 16

// MayBegin says what keeps a failover from beginning; nil: nothing. last is the latest one that has ended, nil if there was
// none. It is a pure function.
func MayBegin(s Situation, cause Cause, last *Record) *Blocker {
	forbidden := Forbidden(s, cause == CauseManual)
	switch {
	case s.Record != nil:
		return &Blocker{"in-progress", fmt.Sprintf("failover %d is running", s.Record.ID), "wait for its end"}
	case len(s.Replicas) == 0:
		return &Blocker{"no-replica", "no replica of " + string(s.Master) + " is known", "attach a replica to the master"}
	case forbidden != nil:
		return forbidden
	case cause == CauseManual:
		return nil
	case !s.Verdict.ObjectivelyDown:
		return &Blocker{"not-down", s.Verdict.Text, "nothing is to be done"}
	case s.inquired() != nil:
		return s.inquired()
	case last == nil, last.Cause == CauseManual, last.Outcome == Done && last.ID == s.Acknowledged:
		return nil // somebody has seen the last one
	case last.Reason == reasonMissing && s.Settings.Durability.OnQuorumMissing == config.MissingNever:
		return &Blocker{reasonMissing, last.Why, "order it: picket failover " + s.Settings.Name + " --allow-data-loss"}
	}
	pause, since := s.Settings.Cooldown, "the last failover"
	if last.Outcome == Aborted {
		pause, since = afterAbort, "an attempt that was given up ("+last.Why+")"
	}
	if left := pause - s.Now.Sub(last.EndAt.Time()); left > 0 && left <= pause {
		return &Blocker{"cooldown", fmt.Sprintf("%s was less than %s ago", since, pause),
			fmt.Sprintf("it passes by itself; or lift it: picket acknowledge %s; or order a failover by hand", s.Settings.Name)}
	}
	return nil
}

// ReasonHook is the reason of a Blocker while the leader waits for the answer of a program.
const ReasonHook = "hook"

// afterVeto is for how much longer the other agents take a no for one: the leader asks again first.
const afterVeto = time.Second

// inquired says whether an operator's program keeps the failover from beginning; nil: it does not, or there is none.
func (s Situation) inquired() *Blocker {
	q := s.Inquiry
	if q == nil {
		return nil
	}
	holds := q.For
	if q.Vetoed && q.Agent != s.View.Self {
		holds += afterVeto
	}
	switch left := holds - s.Now.Sub(q.At.Time()); {
	case left <= 0 || left > holds:
		return nil
	case q.Vetoed:
		b := Vetoed(s.Settings.Name, PreFailover, q.Agent, q.Why)
		b.Remedy += fmt.Sprintf("; it is asked again %s after its last answer", q.For)
		return &b
	case q.Epoch == s.Epoch:
		return &Blocker{ReasonHook, fmt.Sprintf("%s waits for the answer of its program %s", q.Agent, PreFailover), "it passes by itself"}
	}
	return nil
}

// Vetoed is the word of an operator's program.
func Vetoed(master, hook, agent, why string) Blocker {
	command := "picket failover "
	if hook == PreSwitchover {
		command = "picket switchover "
	}
	return Blocker{"vetoed", fmt.Sprintf("the program %s on %s forbids it: %s", hook, agent, why),
		"see to what it says; or pass it over: " + command + master + " --ignore-hooks"}
}

// BeginStep is the first step of a failover in the situation.
func BeginStep(s Situation, cause Cause) Step {
	step := Step{
		Kind: StepBegin, Master: s.Settings.Name, Epoch: s.Epoch, At: monitor.MomentOf(s.Now), Cause: cause, Old: s.Master,
		Replicas: s.Replicas, Agent: s.View.Self,
	}
	// What was seen long ago, or when it was no master yet, says nothing about the history that it wrote last.
	// A process that took the place of the agreed one has a history of its own.
	step.OldRunID, step.OldReplID = s.RunID, s.ReplID
	if old := s.View.Servers[s.Master]; old.Last != nil && old.Last.Role == "master" && old.LastOK.Sub(old.Last.At) <= fresh &&
		(s.RunID == "" || s.RunID == old.Last.RunID) {
		step.OldOffset = old.Last.Offset
		step.OldRunID, step.OldReplID = old.Last.RunID, old.Last.ReplID
	}
	if cause == CauseManual {
		step.Evidence, step.HandOver = OrderedByHand, !s.Verdict.ObjectivelyDown
		if s.Paused != nil {
			step.Evidence += fmt.Sprintf(", although paused %s", s.Paused)
		}
		return step
	}
	step.Evidence, step.Code, step.Rule, step.Down = s.Verdict.Text, s.Verdict.Code, s.Verdict.Rule, monitor.MomentOf(s.Verdict.Since)
	for _, o := range s.View.Opinions[s.Master][:min(len(s.View.Opinions[s.Master]), maxWitnesses)] {
		step.Seen = append(step.Seen, Witness{o.Agent, o.State.String(), o.Evidence.String(), monitor.MomentOf(s.Now.Add(-o.Age))})
	}
	return step
}
