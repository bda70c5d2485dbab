package consensus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// forward is a proposal that was sent to the leader.
type forward struct {
	proposal
	to ServerID
}

// forward sends a proposal to the leader. It is sent once: a copy might be committed, too.
func (n *Node) forward(p proposal) {
	to := n.core.leader
	if to == "" && p.change != nil && !p.remote {
		to = n.anybody() // a server that is not a member hears of no leader
	}
	if to == "" || !n.connected[to] {
		p.answer(Result{}, ErrNoLeader) // the transport would drop it, and nobody would ever answer
		return
	}
	n.forwards[p.id] = forward{p, to}
	n.send(Message{From: n.cfg.Core.ID, To: to, Body: &ForwardRequest{ID: p.id, Data: p.data, Change: p.change, Heir: p.heir, Relayed: p.remote}})
}

// anybody picks a server that can be reached; it may not be the leader, and will say so.
func (n *Node) anybody() ServerID {
	others := slices.Sorted(maps.Keys(n.connected))
	if len(others) == 0 {
		return ""
	}
	return others[n.cfg.Core.Rand.IntN(len(others))]
}

// acceptForward proposes for a follower. The answer leaves when the entry is applied here.
func (n *Node) acceptForward(from ServerID, r *ForwardRequest) {
	respond := func(result Result, err error) {
		body := &ForwardResponse{ID: r.ID, Index: result.Index, Term: result.Term, Outcome: outcome(err)}
		if err != nil {
			body.Error = err.Error()
		}
		n.transport.Send(Message{From: n.cfg.Core.ID, To: from, Body: body})
	}
	if len(r.Data) > maxCommand {
		respond(Result{}, fmt.Errorf("consensus: a command of %d bytes is larger than %d", len(r.Data), maxCommand))
		return
	}
	if n.core.role == Leader && r.Change == nil && n.core.lead.followers[from] == nil {
		respond(Result{}, fmt.Errorf("%w: %s is not a member of the group", ErrRefused, from))
		return
	}
	if err := n.admit(len(r.Data)); err != nil {
		respond(Result{}, err)
		return
	}
	p := proposal{id: n.ids.Add(1), data: r.Data, change: r.Change, heir: r.Heir, remote: true, answer: func(result Result, err error) {
		n.release(len(r.Data))
		respond(result, err)
	}}
	if p.relay = r.Change != nil && !r.Relayed; p.relay {
		n.giveUp(n.relays[from]) // it asks anew: it does not wait for that any more
		n.relays[from] = p.id
	}
	n.appendAll(p)
}

// outcome puts an error into the words of a ForwardResponse.
func outcome(err error) Outcome {
	var notLeader *NotLeaderError
	switch {
	case err == nil:
		return Committed
	case errors.As(err, &notLeader), errors.Is(err, ErrDropped), errors.Is(err, ErrBusy), errors.Is(err, ErrNotYet):
		return NotTaken
	case errors.Is(err, ErrRefused):
		return Refused
	}
	return Uncertain
}

// finishForward hands the leader's answer to the caller, once this server has applied the entry, too.
func (n *Node) finishForward(from ServerID, r *ForwardResponse) {
	f, ok := n.forwards[r.ID]
	if !ok || f.to != from {
		return // its caller gave up
	}
	delete(n.forwards, r.ID)
	switch r.Outcome {
	case Committed:
		n.applier.after(r.Index, func() {
			if f.data == nil {
				f.answer(Result{Index: r.Index, Term: r.Term}, nil) // nothing was applied but the change
				return
			}
			f.answer(n.applier.result(r.Index, r.Term))
		})
	case NotTaken:
		f.answer(Result{}, fmt.Errorf("%w; %s answers: %s", ErrNoLeader, from, r.Error))
	case Refused:
		f.answer(Result{}, fmt.Errorf("%w%s", ErrRefused, strings.TrimPrefix(r.Error, ErrRefused.Error())))
	default:
		f.answer(Result{}, fmt.Errorf("%w; %s answers: %s", ErrUnknown, from, r.Error))
	}
}

// loseForwards answers those whose leader may not answer any more.
func (n *Node) loseForwards(lost func(to ServerID) bool) {
	for id, f := range n.forwards {
		if lost(f.to) {
			delete(n.forwards, id)
			f.answer(Result{}, fmt.Errorf("%w: %s was lost as the leader", ErrUnknown, f.to))
		}
	}
}
