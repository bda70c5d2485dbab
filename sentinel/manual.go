package sentinel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// Failover hands a master over to its best replica because somebody asked. It returns when the failover has begun; how it goes on
// is told by events. Any agent can be asked: it becomes the leader for it.
func (a *Agent) Failover(ctx context.Context, master string) error {
	ctx, cancel := context.WithTimeout(ctx, manualTimeout)
	defer cancel()
	if err := a.refuse(a.look(), master); err != nil {
		return err
	}
	// Whoever has not seen all that was committed judges by old facts, and would not be elected.
	if err := a.node.Barrier(ctx); err != nil {
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	if err := a.refuse(a.look(), master); err != nil {
		return err
	}
	term, err := a.insist(ctx, reason{purpose: forManual, masters: []string{master}})
	if err != nil {
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	return refusal(a.begin(ctx, term, master, failover.CauseManual))
}

// refuse says why a master cannot be handed over, as it looks from here.
func (a *Agent) refuse(l look, master string) error {
	m := l.master(master)
	switch {
	case m == nil:
		return picture.ErrUnknownMaster
	case m.Failover != nil:
		return picture.ErrInProgress
	case !slices.ContainsFunc(m.Replicas, l.promotable):
		return picture.ErrNoReplica
	case !l.electorate(a.cfg.Agent.ElectionTimeout).majority():
		return picture.ErrNoMajority
	}
	if b := failover.Forbidden(a.situation(l, m, l.status.Term), true); b != nil {
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
