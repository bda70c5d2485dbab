package sentinel

import (
	"context"
	"errors"
	"slices"
	"time"

	"picket/consensus"
)

const (
	enlistEvery   = 200 * time.Millisecond
	enlistTimeout = 5 * time.Second        // of one request to the group
	enlistRest    = 500 * time.Millisecond // after the group has said no
)

// enlist keeps this agent a voter of the group, under its address, until ctx ends. An agent whose disk is empty asks to be let in,
// by way of the agents that its file names; once it has caught up, it asks for its vote. Who was removed stays out.
func (a *Agent) enlist(ctx context.Context) {
	tick := time.NewTicker(enlistEvery)
	defer tick.Stop()
	for {
		if change, wanted := a.wanted(a.node.Status()); wanted {
			changed, err := a.ask(ctx, change)
			a.herald.enlisting(change, changed, err, a.unconnected())
			if errors.Is(err, consensus.ErrRefused) {
				pause(ctx, enlistRest)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// unconnected lists the other members to which there is no connection.
func (a *Agent) unconnected() []string {
	var ids []string
	for id, p := range a.peers.all() {
		if p.member && !p.connected && id != consensus.ServerID(a.cfg.Agent.ID) {
			ids = append(ids, string(id))
		}
	}
	slices.Sort(ids)
	return ids
}

// ask has a change made, and says whether it was not made already: founders are members from the beginning.
func (a *Agent) ask(ctx context.Context, change consensus.Change) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, enlistTimeout)
	defer cancel()
	result, err := a.node.Change(ctx, change)
	return result.Index != 0, err
}

// wanted is what is missing for this agent to be a voter under its address.
func (a *Agent) wanted(s consensus.Status) (change consensus.Change, wanted bool) {
	me := consensus.Member{ID: s.ID, Address: string(a.identity.Peer), Incarnation: a.node.Incarnation()}
	known, member := consensus.Configuration{Members: s.Members}.Member(s.ID)
	switch {
	case !s.Admitted || member && known.Address != me.Address:
		return consensus.Change{Kind: consensus.AddLearner, Member: me}, true
	case member && !known.Voter:
		return consensus.Change{Kind: consensus.Promote, Member: me}, true
	}
	return consensus.Change{}, false
}

// Change carries out a change of the membership, by way of the leader wherever that is.
func (a *Agent) Change(ctx context.Context, change consensus.Change) error {
	_, err := a.node.Change(ctx, change)
	return err
}

// Transfer hands the leadership to another agent.
func (a *Agent) Transfer(ctx context.Context, to consensus.ServerID) error {
	return a.node.Transfer(ctx, to)
}

// handOverTimeout bounds what an agent that stops does for the others.
const handOverTimeout = time.Second

// handOver has another agent lead before this one stops, so that they need not find out that it is gone. Whether that succeeds or not, it
// stops.
func (a *Agent) handOver() {
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	defer cancel()
	if err := a.node.HandOver(ctx); err != nil && !errors.Is(err, consensus.ErrStopped) {
		a.herald.failed(context.Background(), "hand the leadership over before stopping", "", err)
	}
}
