package sentinel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// manualTimeout bounds the begin of a failover that somebody asked for.
const manualTimeout = 5 * time.Second

// wish is what somebody asks of a failover.
type wish struct {
	to        config.Addr // the replica that is to be promoted; empty: the best one
	allowLoss bool        // of writes that were waited for
	healthy   bool        // it is for a healthy master only
	// ignoreHooks: no program of the operator's is asked.
	ignoreHooks bool
	by          string // who asks, or why; for people
}

// Failover hands a master over to its best replica because a Sentinel client asked. It returns when the failover has begun; how it goes
// on is told by events. Any agent can be asked: it becomes the leader for it.
func (a *Agent) Failover(ctx context.Context, master string) error {
	return a.order(ctx, master, wish{})
}

// order has a failover begin that somebody wishes.
func (a *Agent) order(ctx context.Context, master string, w wish) error {
	ctx, cancel := context.WithTimeout(ctx, manualTimeout+a.hesitation(a.machine.State().Master(master)))
	defer cancel()
	if err := a.refresh(ctx, master); err != nil && w.healthy {
		return &blockedError{failover.MasterDown(master, err.Error())}
	}
	if err := a.refuse(a.look(), master, w); err != nil {
		return err
	}
	// Whoever has not seen all that was committed judges by old facts, and would not be elected.
	if err := a.node.Barrier(ctx); err != nil {
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	if err := a.permit(ctx, master, w); err != nil {
		return err
	}
	term, err := a.insist(ctx, reason{purpose: forManual, masters: []string{master}})
	if err != nil {
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	return refusal(a.begin(ctx, term, master, failover.CauseManual, w))
}

// refreshLimit bounds a look at all servers; those that do not answer are judged by what is known.
const refreshLimit = 500 * time.Millisecond

// refresh looks at the servers of a master: while all is well, what is known of them may be a second old. It fails when the master does not
// answer.
func (a *Agent) refresh(ctx context.Context, master string) (err error) {
	m := a.machine.State().Master(master)
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { _, err = a.monitor.Refresh(ctx, m.Addr) })
	for _, server := range m.Replicas {
		group.Go(func() { _, _ = a.monitor.Refresh(ctx, server) }) // what it said is in the view
	}
	group.Wait()
	return err
}

// refuse says why a master cannot be handed over, as it looks from here.
func (a *Agent) refuse(l look, master string, w wish) error {
	m := l.master(master)
	switch {
	case m == nil:
		return picture.ErrUnknownMaster
	case m.Failover != nil:
		return picture.ErrInProgress
	case !w.healthy && !slices.ContainsFunc(m.Replicas, l.promotable):
		return picture.ErrNoReplica
	case !l.electorate(a.cfg.Agent.ElectionTimeout).majority():
		return picture.ErrNoMajority
	}
	s := a.situation(l, m, l.status.Term)
	b := failover.Forbidden(s, true)
	if w.healthy {
		b = failover.PreCheck(s, w.to)
	}
	if b != nil {
		return &blockedError{*b}
	}
	return nil
}

// promotable says whether a replica may be able to become a master. The failover itself looks closer.
func (l look) promotable(r config.Addr) bool {
	s := l.view.Servers[r]
	return s.State != monitor.Down && (s.Last == nil || s.Last.Priority != 0)
}

// insist stands for election until it is won: an election may be lost to one for another master, or because an entry was under way.
func (a *Agent) insist(ctx context.Context, r reason) (consensus.Term, error) {
	for {
		term, err := a.elect(ctx, r)
		if err == nil {
			return term, nil
		}
		pause(ctx, firstRetry+rand.N(firstRetry))
		if ctx.Err() != nil {
			return 0, err
		}
	}
}

// refusal gives an error the shape in which the doors know it.
func refusal(err error) error {
	var blocked *blockedError
	var notLeader *consensus.NotLeaderError
	switch {
	case errors.As(err, &blocked) && blocked.blocker.Reason == "in-progress", errors.Is(err, state.ErrStale):
		return picture.ErrInProgress
	case errors.As(err, &notLeader):
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	return err
}
