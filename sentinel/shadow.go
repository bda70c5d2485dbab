package sentinel

import (
	"context"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// untouched is how long a master must be well again until a failure is taken for one that the other coordinator did nothing about: one
// that is slower than these agents may still act on it.
const untouched = 10 * time.Second

// shadow says whether the agents only watch.
func (a *Agent) shadow() bool { return a.cfg.Mode == config.ModeShadow }

// imagine is what is done about a master by agents that only watch, in place of a failover: the leader puts down what it would have
// begun, and what another coordinator has done. As a failover does, a change of the master needs a term of its own.
func (j *judge) imagine(ctx context.Context, l look, m *state.Master) purpose {
	s := j.a.situation(l, m, l.status.Term)
	blocker := failover.Forbidden(s, false)
	if !s.Verdict.ObjectivelyDown {
		blocker = nil
	}
	j.block(m.Name, blocker)
	c := shadowed(s, m)
	switch {
	case c == nil || m.Failover != nil:
	case c.Shadow.Kind == state.ShadowSwitched && uint64(l.status.Term) <= m.LastEpoch():
		return forFollow
	case j.reign != nil && j.reign.ready && !l.now.Before(j.beginning[m.Name]):
		j.note(ctx, m.Name, *c)
	}
	return ""
}

// shadowed is what is to be put down about a master now; nil: nothing. It is a pure function.
func shadowed(s failover.Situation, m *state.Master) *state.Command {
	step := state.Shadow{Master: m.Name, Old: m.Addr}
	at := s.Now
	open := m.Shadow != nil && m.Shadow.EndAt == 0
	server := s.View.Servers[m.Addr]
	if by, ok := failover.Overtaken(s, m.ForeignEpoch); ok {
		target := s.View.Servers[by.Master]
		step.Kind, step.Target, step.Epoch, step.RunID = state.ShadowSwitched, by.Master, by.Epoch, target.Last.RunID
		if since := target.RoleSince; !since.IsZero() && since.Before(at) {
			at = since
		}
		return &state.Command{At: monitor.MomentOf(at), Shadow: &step}
	}
	switch {
	case open && s.Verdict.Code == monitor.Healthy && s.Now.Sub(server.Since) > untouched && s.Now.Sub(m.Shadow.DecidedAt.Time()) > untouched:
		step.Kind = state.ShadowStayed
		return &state.Command{At: monitor.MomentOf(at), Shadow: &step}
	case !s.Verdict.ObjectivelyDown || open && m.Shadow.Target != "":
		return nil
	}
	imagined, blocker := failover.Imagine(s, m.Last)
	if blocker != nil || open && imagined.Target == "" {
		return nil
	}
	step.Kind, step.Target, step.Why = state.ShadowDecided, imagined.Target, imagined.Why
	step.Evidence, step.Down = s.Verdict.Text, monitor.MomentOf(s.Verdict.Since)
	return &state.Command{At: monitor.MomentOf(at), Shadow: &step}
}

// note has it put down. Its goroutine ends when that is decided.
func (j *judge) note(ctx context.Context, master string, c state.Command) {
	term := j.reign.term
	j.beginning[master] = j.a.now().Add(beginTimeout)
	j.a.workers.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, beginTimeout)
		defer cancel()
		j.a.herald.failed(ctx, "put down what was seen in the shadow", master, j.a.propose(ctx, term, c))
		j.a.post(func(j *judge) { j.beginning[master] = j.a.now().Add(rest) })
	})
}
