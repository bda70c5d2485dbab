package sentinel

import (
	"context"
	"errors"
	"fmt"
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
	l := a.look()
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
	term, err := a.elect(ctx, reason{purpose: forManual, masters: []string{master}})
	if err != nil {
		return fmt.Errorf("%w (%v)", picture.ErrNoMajority, err)
	}
	return refusal(a.begin(ctx, term, master, failover.CauseManual))
}

// promotable says whether a replica looks, from here, as if it could become a master. The failover itself looks closer.
func (l look) promotable(r config.Addr) bool {
	s := l.view.Servers[r]
	return s.State == monitor.Up && s.Last != nil && s.Last.Priority != 0
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
