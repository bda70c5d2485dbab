package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrCompacted says that entries are not in the log any more: a snapshot covers them.
var ErrCompacted = errors.New("consensus: the entries are compacted")

// Change has a change of the membership committed and applied on this server, by way of the leader wherever that is. While
// there is none, or another change is under way, it waits. ErrRefused says that the change is not possible, and why. A change that is
// made already is done at once, so it is asked for again when its outcome is not known.
func (n *Node) Change(ctx context.Context, change Change) (Result, error) {
	for {
		result, err := n.administrate(ctx, proposal{change: &change})
		if !errors.Is(err, ErrUnknown) {
			return result, err
		}
	}
}

// Incarnation names this server's disk.
func (n *Node) Incarnation() uint64 { return n.cfg.Recovered.Incarnation }

// Transfer has the leadership handed to a voter and returns when this server has heard that it leads.
func (n *Node) Transfer(ctx context.Context, to ServerID) error {
	if _, err := n.administrate(ctx, proposal{heir: to}); err != nil && !errors.Is(err, ErrUnknown) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*n.cfg.Core.ElectionTimeout)
	defer cancel()
	leads := make(chan struct{}, 1)
	n.do(func() {
		n.handovers = append(n.handovers, handover{to: to, gone: ctx.Done(), answer: func() { leads <- struct{}{} }})
		n.settleHandovers()
	})
	if _, err := await(ctx, n, leads); err != nil {
		return fmt.Errorf("%s does not lead yet: %w", to, err)
	}
	return nil
}

// HandOver has another voter lead, if this server does and there is one: for a server that is about to stop.
func (n *Node) HandOver(ctx context.Context) error {
	heir := make(chan ServerID, 1)
	n.do(func() { heir <- n.core.Heir() })
	to, err := await(ctx, n, heir)
	if err != nil || to == "" {
		return err
	}
	return n.Transfer(ctx, to)
}

// administrate is Propose for what is not a command.
func (n *Node) administrate(ctx context.Context, p proposal) (Result, error) {
	for {
		result, err := n.propose(ctx, p)
		if !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrDropped) && !errors.Is(err, ErrNotYet) {
			return result, err
		}
		if err := n.awaitLeader(ctx); err != nil {
			return Result{}, err
		}
	}
}

// Committed gives entries that are applied here, from an index on, at most limit, and waits until there is one. ErrCompacted: the log
// begins behind it, and only the state machine knows what happened. This is how to watch: a caller that is slow holds nothing up.
func (n *Node) Committed(ctx context.Context, from Index, limit int) ([]Entry, error) {
	for {
		advanced := n.applier.advanced()
		if n.applier.applied() >= from {
			break
		}
		if _, err := await(ctx, n, advanced); err != nil {
			return nil, err
		}
	}
	answered := make(chan []Entry, 1)
	n.do(func() { answered <- n.core.log.upTo(from, n.applier.applied(), limit) })
	entries, err := await(ctx, n, answered)
	if err == nil && entries == nil {
		return nil, ErrCompacted
	}
	return entries, err
}

// administer carries out what is not a command, on the leader.
func (n *Node) administer(p proposal) bool {
	switch {
	case p.change != nil:
		index, term, err := n.core.Reconfigure(n.now(), *p.change)
		if err != nil || index == 0 {
			p.answer(Result{Term: term}, p.retriable(err))
		} else {
			n.applier.await(index, term, p.answer)
		}
	case p.heir != "":
		p.answer(Result{}, p.retriable(n.core.Transfer(n.now(), p.heir)))
	default:
		return false
	}
	return true
}

// handover is a caller that waits until a server leads.
type handover struct {
	to     ServerID
	gone   <-chan struct{}
	answer func()
}

func (n *Node) settleHandovers() {
	n.handovers = slices.DeleteFunc(n.handovers, func(h handover) bool {
		leads := h.to == n.core.leader
		if leads {
			h.answer()
		}
		return leads || isClosed(h.gone)
	})
}

// tellMembers follows the configuration in force.
func (n *Node) tellMembers() {
	if slices.Equal(n.members, n.core.config.Members) {
		return
	}
	n.members = n.core.config.Members
	n.transport.SetPeers(n.members)
	n.observe(Event{Kind: EventMembers, Term: n.core.hard.Term, Index: n.core.configAt, Members: n.members})
}
