package sentinel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// crew is what a failover runner needs of this agent while it leads one term. It implements failover.Env.
type crew struct {
	a    *Agent
	term consensus.Term
}

// Now implements failover.Env.
func (c crew) Now() time.Time { return c.a.now() }

// Situation is the picture now, as long as this agent leads the term.
func (c crew) Situation(master string) (failover.Situation, bool) {
	l := c.a.look()
	m := l.master(master)
	if m == nil || !l.leads(c.term, c.a.cfg.Agent.ElectionTimeout) {
		return failover.Situation{}, false
	}
	return c.a.situation(l, m, c.term), true
}

// leads says whether this agent leads a term and was confirmed by a majority not long ago. A leader that was frozen may still think
// that it leads when it wakes, and must not touch servers before it has heard better.
func (l look) leads(term consensus.Term, recently time.Duration) bool {
	confirmed := 1 // by itself
	for _, ago := range l.status.Contact {
		if ago < recently {
			confirmed++
		}
	}
	return l.status.Role == consensus.Leader && l.status.Term == term && confirmed > len(l.status.Voters())/2
}

// Commit has a step committed in its epoch and applied here.
func (c crew) Commit(ctx context.Context, s failover.Step) error {
	data, err := (&state.Command{At: s.At, Step: &s}).Encode()
	if err != nil {
		return err
	}
	result, err := c.a.node.ProposeAt(ctx, consensus.Term(s.Epoch), data)
	if err != nil {
		return fmt.Errorf("commit a step of the failover: %w", err)
	}
	if refusal, refused := result.Value.(error); refused {
		return fmt.Errorf("commit a step of the failover: %w", refusal)
	}
	c.a.collapse(s.Kind)
	return nil
}

// Register implements failover.Env. Who is known already stays what it is.
func (c crew) Register(ctx context.Context, master string, server config.Addr) error {
	if m := c.a.machine.State().Master(master); m == nil || m.Process(server) != nil {
		return nil
	}
	return c.a.propose(ctx, c.term, state.Command{
		At: monitor.MomentOf(c.a.now()), Register: &state.Register{Master: master, Process: failover.Process{Addr: server}},
	})
}

// Diverged implements failover.Env.
func (c crew) Diverged(ctx context.Context, master string, d failover.Divergence) error {
	d = c.a.keep(ctx, master, d)
	limit, cancel := context.WithTimeout(ctx, divergedLimit)
	defer cancel()
	return c.a.propose(limit, c.term, state.Command{At: monitor.MomentOf(c.a.now()), Diverged: &state.Diverged{Master: master, Divergence: d}})
}

// Changed is closed when anything is different.
func (c crew) Changed(string) <-chan struct{} { return c.a.bell.wait() }

// Report is told of progress that is not in the log.
func (c crew) Report(p failover.Progress) {
	if p.Kind == failover.Blocked {
		c.a.post(func(j *judge) { j.block(p.Master, p.Blocker) })
		return
	}
	c.a.herald.progress(p)
}

// master finds one that this agent manages; nil if there is none of that name.
func (l look) master(name string) *state.Master {
	for _, m := range l.masters {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// situation is all that a decision on a master depends on.
func (a *Agent) situation(l look, m *state.Master, term consensus.Term) failover.Situation {
	return failover.Situation{
		Now: l.now, Epoch: uint64(term), Settings: a.preferring(a.settings(m)), Zone: zones(l.state), Master: m.Addr, Replicas: m.Replicas,
		Record: m.Failover, View: l.view, Verdict: a.verdict(l, m), Paused: paused(l, m), Acknowledged: m.Acknowledged,
		RunID: m.RunID(), ReplID: m.ReplID(), Registered: m.Registered(), Lessee: a.lessee(l.state, m, term),
		Shadow: a.shadow(), Inquiry: m.Inquiry,
	}
}

// paused is the pause that holds for a master; nil if there is none.
func paused(l look, m *state.Master) *failover.Pause {
	p := l.state.Paused(m.Name, l.now)
	if p == nil {
		return nil
	}
	return &failover.Pause{Who: p.Who, Why: p.Why, Until: p.Until.Time(), All: p.Master == ""}
}

// verdict is the judgement on a master.
func (a *Agent) verdict(l look, m *state.Master) monitor.Verdict {
	return monitor.Judge(a.question(l, m), l.view)
}

// question is what is to be judged of a master.
func (a *Agent) question(l look, m *state.Master) monitor.Question {
	agents := len(l.status.Voters())
	return monitor.Question{
		Name: m.Name, Master: m.Addr, Replicas: m.Replicas, Quorum: quorum(a.settings(m), agents), Agents: agents,
		RunID: m.RunID(), AcceptEmpty: a.settings(m).EmptyMaster == config.EmptyAccept,
	}
}

// quorum is how many agents must agree: all, where a group has become smaller than what the file asks for.
func quorum(settings *config.Master, agents int) int { return min(settings.Quorum, max(1, agents)) }

// zones says in which zone each server is, as far as the agents beside them say.
func zones(s *state.State) map[config.Addr]string {
	zones := map[config.Addr]string{}
	for _, a := range s.Agents {
		if a.Local != "" && a.Zone != "" {
			zones[a.Local] = a.Zone
		}
	}
	return zones
}

// runner makes a runner for a term.
func (a *Agent) runner(term consensus.Term) *failover.Runner {
	return failover.NewRunner(a.crew(term), a.redis)
}

// elect stands for election, one at a time, and gives the term that was won. It takes as long as the candidacy, and then, while this agent leads, until it knows
// all that was committed before: whoever gives up earlier, and stands again, deposes himself where disks are slow.
func (a *Agent) elect(ctx context.Context, r reason) (consensus.Term, error) {
	select {
	case a.electing <- struct{}{}:
		defer func() { <-a.electing }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	a.herald.standing(r)
	asked := a.now()
	term, err := a.node.Campaign(ctx, r.encode())
	if err != nil {
		a.metrics.Election(string(r.purpose), false)
		a.herald.defeated(r, err)
		return 0, fmt.Errorf("stand for election: %w", err)
	}
	a.metrics.Election(string(r.purpose), true)
	a.victory.Store(&victory{term: term, asked: asked, reason: r})
	a.poke()
	return term, nil
}

// begin has the first step of a failover committed in a term that was won for it. The log itself decides whether this agent leads.
func (a *Agent) begin(ctx context.Context, term consensus.Term, master string, cause failover.Cause, w wish) error {
	l := a.look()
	m := l.master(master)
	if m == nil {
		return fmt.Errorf("begin a failover of %s: it is not known", master)
	}
	s := a.situation(l, m, term)
	if b := failover.MayBegin(s, cause, m.Last); b != nil {
		return &blockedError{*b}
	}
	if cause == failover.CauseDown {
		var err error
		if s, err = a.allowed(ctx, term, master, s); err != nil {
			return err
		}
	}
	step := failover.BeginStep(s, cause)
	step.Want, step.AllowLoss = w.to, w.allowLoss
	if w.by != "" {
		step.Evidence = strings.Replace(step.Evidence, failover.OrderedByHand, w.by, 1)
	}
	if err := a.crew(term).Commit(ctx, step); err != nil {
		return err
	}
	if v := a.victory.Load(); v != nil && v.term == term && v.reason.purpose == forDown && v.reason.names(master) &&
		a.now().Sub(v.asked) < s.Settings.Lease {
		a.inTime(master, term)
	}
	return nil
}

// victory is the latest election that this agent won.
type victory struct {
	term   consensus.Term
	asked  time.Time // before any voter was
	reason reason
}

// blockedError says why a failover may not begin.
type blockedError struct{ blocker failover.Blocker }

// Blocked is for doors that show more than a text.
func (e *blockedError) Blocked() failover.Blocker { return e.blocker }

func (e *blockedError) Error() string { return e.blocker.Text + "; " + e.blocker.Remedy }
