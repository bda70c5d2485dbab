package consensus

import (
	"errors"
	"fmt"
)

// forward is a proposal that was sent to the leader.
type forward struct {
	proposal
	to ServerID
}

// forward sends a proposal to the leader. It is sent once: a copy might be committed, too.
func (n *Node) forward(p proposal) {
	to := n.core.leader
	if to == "" {
		p.answer(Result{}, ErrNoLeader)
		return
	}
	n.forwards[p.id] = forward{p, to}
	n.send(Message{From: n.cfg.Core.ID, To: to, Body: &ForwardRequest{ID: p.id, Data: p.data}})
}

// acceptForward proposes for a follower. The answer leaves when the entry is applied here.
func (n *Node) acceptForward(from ServerID, r *ForwardRequest) {
	respond := func(result Result, err error) {
		body := &ForwardResponse{ID: r.ID, Index: result.Index, Term: result.Term}
		if err != nil {
			var notLeader *NotLeaderError
			body.Error = err.Error()
			body.Lost = errors.As(err, &notLeader) || errors.Is(err, ErrDropped) || errors.Is(err, ErrBusy)
		}
		n.transport.Send(Message{From: n.cfg.Core.ID, To: from, Body: body})
	}
	if len(r.Data) > maxCommand {
		respond(Result{}, fmt.Errorf("consensus: a command of %d bytes is larger than %d", len(r.Data), maxCommand))
		return
	}
	if err := n.admit(len(r.Data)); err != nil {
		respond(Result{}, err)
		return
	}
	n.appendAll(proposal{data: r.Data, remote: true, answer: func(result Result, err error) {
		n.release(len(r.Data))
		respond(result, err)
	}})
}

// finishForward hands the leader's answer to the caller, once this server has applied the entry, too.
func (n *Node) finishForward(from ServerID, r *ForwardResponse) {
	f, ok := n.forwards[r.ID]
	if !ok || f.to != from {
		return // its caller gave up
	}
	delete(n.forwards, r.ID)
	switch {
	case r.Error == "":
		n.applier.after(r.Index, func() { f.answer(Result{Index: r.Index, Term: r.Term}, nil) })
	case r.Lost:
		f.answer(Result{}, fmt.Errorf("%w; %s answers: %s", ErrNoLeader, from, r.Error))
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
