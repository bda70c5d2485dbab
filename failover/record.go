package failover

import (
	"errors"
	"fmt"
	"slices"

	"picket/config"
)

// ErrRefused is what a step gets that does not fit the record: it is of an older epoch, or out of order.
var ErrRefused = errors.New("step refused")

// Begin makes the record of a failover from its first step, which stands at index in the log.
func Begin(s Step, index uint64) (*Record, error) {
	if s.Kind != StepBegin || s.Master == "" || s.Old == "" || s.Epoch == 0 {
		return nil, fmt.Errorf("%w: a failover begins with its master, the old address and an epoch", ErrRefused)
	}
	return &Record{
		ID: index, Master: s.Master, Epoch: s.Epoch, Phase: Begun, Cause: s.Cause, Old: s.Old,
		Replicas: slices.Clone(s.Replicas), Evidence: s.Evidence, Leaders: []uint64{s.Epoch},
		DownAt: s.Down, BegunAt: s.At, OldRunID: s.OldRunID, OldReplID: s.OldReplID, OldOffset: s.OldOffset, AllowLoss: s.AllowLoss, Want: s.Want,
		HandOver: s.HandOver, Agents: []string{s.Agent}, Code: s.Code, Rule: s.Rule, Seen: slices.Clone(s.Seen),
	}, nil
}

// Apply takes the record one step further. It is deterministic; a step that it refuses changes nothing.
func (r *Record) Apply(s Step, _ uint64) error {
	if err := r.admit(s); err != nil {
		return err
	}
	switch s.Kind {
	case StepResume:
		r.Epoch = s.Epoch
		r.Leaders, r.Agents = append(r.Leaders, s.Epoch), append(r.Agents, s.Agent)
	case StepPromote:
		r.Phase, r.PromoteAt = Promoting, s.At
		r.Target, r.RunID, r.ReplID, r.Offset, r.Why = s.Target, s.RunID, s.ReplID, s.Offset, s.Why
		r.Candidates, r.Chosen = slices.Clone(s.Candidates), s.Why
		r.HandOver, r.Native = s.HandOver, s.Native
	case StepSwitch:
		r.Phase, r.SwitchAt, r.HeldAt = Switched, s.At, s.Held
	case StepRepoint:
		if !slices.Contains(r.Repointed, s.Replica) {
			r.Repointed, r.RepointAt = append(r.Repointed, s.Replica), append(r.RepointAt, s.At)
		}
	case StepEnd:
		r.end(Done, s)
	case StepAbort:
		r.end(Aborted, s)
	}
	return nil
}

// Leader is the agent that leads the failover, or did last; empty in a record of an older version.
func (r *Record) Leader() string {
	if len(r.Agents) == 0 {
		return ""
	}
	return r.Agents[len(r.Agents)-1]
}

func (r *Record) end(o Outcome, s Step) {
	r.Phase, r.Outcome, r.EndAt, r.Reason = Ended, o, s.At, s.Reason
	if s.Why != "" {
		r.Why = s.Why
	}
}

// admit holds the rules of order. A target is chosen once: whoever takes the failover over promotes the same one, so that
// there is never a second. Once clients were told of a new master there is no way back.
func (r *Record) admit(s Step) error {
	allowed := map[StepKind][]Phase{
		StepResume:  {Begun, Promoting, Switched},
		StepPromote: {Begun},
		StepSwitch:  {Promoting},
		StepRepoint: {Switched},
		StepEnd:     {Switched},
		StepAbort:   {Begun, Promoting},
	}
	switch {
	case s.Master != r.Master:
		return fmt.Errorf("%w: it is about %s, the failover about %s", ErrRefused, s.Master, r.Master)
	case s.Kind == StepResume && s.Epoch <= r.Epoch:
		return fmt.Errorf("%w: epoch %d does not follow epoch %d", ErrRefused, s.Epoch, r.Epoch)
	case s.Kind != StepResume && s.Epoch != r.Epoch:
		return fmt.Errorf("%w: it is of epoch %d, the failover is in epoch %d", ErrRefused, s.Epoch, r.Epoch)
	case !slices.Contains(allowed[s.Kind], r.Phase):
		return fmt.Errorf("%w: kind %d does not fit phase %d", ErrRefused, s.Kind, r.Phase)
	case s.Kind == StepPromote && (s.Target == "" || s.Target == r.Old):
		return fmt.Errorf("%w: %q is no target", ErrRefused, s.Target)
	case s.Kind == StepSwitch && s.Target != r.Target:
		return fmt.Errorf("%w: %s is not the target %s", ErrRefused, s.Target, r.Target)
	}
	return nil
}

// followers are the servers that follow the target after the switch.
func (r *Record) followers(known []config.Addr) []config.Addr {
	all := append(slices.Clone(r.Replicas), known...)
	all = append(all, r.Old)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(a config.Addr) bool { return a == r.Target })
}
