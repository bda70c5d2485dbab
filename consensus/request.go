package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of what may wait inside a node.
const (
	maxInbox        = 256 // messages; then their senders wait
	maxPending      = 4096
	maxPendingBytes = 16 << 20
	maxCommand      = 4 << 20
)

// Errors of a node's requests. *NotLeaderError, ErrNoLeader, ErrDropped and ErrBusy say that a proposal is
// certainly not in the log. After any other error, a context's among them, it may still be committed.
var (
	ErrNoLeader = errors.New("consensus: no leader is known (no majority, or an election is going on)")
	ErrDropped  = errors.New("consensus: the proposal was overwritten by another leader's entry")
	ErrBusy     = errors.New("consensus: too many requests are waiting")
	ErrUnknown  = errors.New("consensus: the outcome of the proposal is not known")
	// ErrNotYet: a change of the membership has to wait, for another one or for the first commit of the term.
	ErrNotYet  = errors.New("consensus: the membership can't be changed at this moment")
	ErrStopped = errors.New("consensus: the node is stopped")
	// ErrVetoed: this server's own veto forbids it to stand. ErrLost: it stood and did not win.
	ErrVetoed = errors.New("consensus: the campaign is vetoed")
	ErrLost   = errors.New("consensus: the campaign was lost")
)

// NotLeaderError says that the server is not the leader (of the wanted term), so nothing was proposed.
type NotLeaderError struct {
	Leader ServerID // empty: unknown
	Term   Term
}

func (e *NotLeaderError) Error() string {
	return fmt.Sprintf("consensus: not the leader (term %d, leader %q)", e.Term, e.Leader)
}

// Result is the outcome of a committed proposal.
type Result struct {
	Index Index
	Term  Term
	Value any // what Apply returned on this server
}

// proposal is a command on its way into the log. answer is called once, unless the node stops.
type proposal struct {
	id     uint64
	data   []byte
	change *Change         // in place of data: a change of the membership
	heir   ServerID        // in place of data: who is to lead
	term   Term            // the only term in which it may be appended; 0: any
	remote bool            // another server's: not forwarded once more, but for
	relay  bool            // one whose sender may be new, and connected to none but this server
	gone   <-chan struct{} // closed when the caller does not wait any more
	answer func(Result, error)
}

// Propose has data committed and applied on this server, by way of the leader wherever that is. While there
// is none that takes it, it waits. Once its outcome may be unknown it is not sent again: ErrUnknown when the
// leader, or the connection to it, is lost meanwhile. A message that is lost on a connection that stands is
// not noticed, so ctx should end. A caller that tries again after an unknown outcome must make its command
// idempotent.
func (n *Node) Propose(ctx context.Context, data []byte) (Result, error) {
	for {
		result, err := n.propose(ctx, proposal{data: data})
		if !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrDropped) {
			return result, err
		}
		if err := n.awaitLeader(ctx); err != nil {
			return Result{}, err
		}
	}
}

// ProposeAt is Propose for a leader that may only act in term t: *NotLeaderError if this server does not lead
// t.
func (n *Node) ProposeAt(ctx context.Context, t Term, data []byte) (Result, error) {
	return n.propose(ctx, proposal{data: data, term: t})
}

// propose hands a proposal to the loop and waits for its outcome.
func (n *Node) propose(ctx context.Context, p proposal) (Result, error) {
	if len(p.data) > maxCommand {
		return Result{}, fmt.Errorf("consensus: a command of %d bytes is larger than %d", len(p.data), maxCommand)
	}
	if err := n.admit(len(p.data)); err != nil {
		return Result{}, err
	}
	type outcome struct {
		result Result
		err    error
	}
	answered := make(chan outcome, 1)
	p.id, p.gone = n.ids.Add(1), ctx.Done()
	p.answer = func(r Result, err error) {
		n.release(len(p.data))
		answered <- outcome{r, err}
	}
	n.proposals <- p // never blocks: what is admitted finds room
	o, err := await(ctx, n, answered)
	if err != nil {
		n.do(func() { n.giveUp(p.id) })
		return Result{}, err
	}
	return o.result, o.err
}

// Campaign starts a failure election and waits until it is decided: the term if this server won and has
// applied everything committed in former terms, else ErrVetoed or ErrLost. A candidacy goes on when ctx ends.
func (n *Node) Campaign(ctx context.Context, reason []byte) (Term, error) {
	if err := n.admit(0); err != nil {
		return 0, err
	}
	type outcome struct {
		term Term
		err  error
	}
	answered := make(chan outcome, 1)
	answer := func(t Term, err error) {
		n.release(0)
		answered <- outcome{t, err}
	}
	n.do(func() {
		term, err := n.core.Campaign(n.now(), reason)
		if err != nil {
			answer(0, err)
			return
		}
		n.campaigns = append(n.campaigns, campaign{term: term, answer: answer})
	})
	o, err := await(ctx, n, answered)
	if err != nil {
		return 0, err
	}
	return o.term, o.err
}

// Barrier returns when this server's state machine has seen every write acknowledged before the call
// (ReadIndex). While no leader is known it waits.
func (n *Node) Barrier(ctx context.Context) error {
	for {
		err := n.barrier(ctx)
		var notLeader *NotLeaderError
		if !errors.Is(err, ErrNoLeader) && !errors.As(err, &notLeader) {
			return err
		}
		if err := n.awaitLeader(ctx); err != nil {
			return err
		}
	}
}

func (n *Node) barrier(ctx context.Context) error {
	if err := n.admit(0); err != nil {
		return err
	}
	answered := make(chan error, 1)
	id := n.ids.Add(1)
	n.do(func() {
		n.barriers[id] = func(err error) {
			n.release(0)
			answered <- err
		}
		n.core.ReadIndex(n.now(), id)
	})
	outcome, err := await(ctx, n, answered)
	if err != nil {
		n.do(func() { n.giveUp(id) })
		return err
	}
	return outcome
}

// Gossip sends an application payload to a peer; it may be lost.
func (n *Node) Gossip(to ServerID, data []byte) {
	n.transport.Send(Message{From: n.cfg.Core.ID, To: to, Body: &Gossip{Data: data}})
}

// admit counts a request that begins to wait; its answer releases it.
func (n *Node) admit(size int) error {
	if isClosed(n.stopping) {
		return ErrStopped
	}
	waiting, bytes := n.pending.Add(1), n.pendingBytes.Add(int64(size))
	if waiting > maxPending || bytes > maxPendingBytes {
		n.release(size)
		return ErrBusy
	}
	return nil
}

func (n *Node) release(size int) {
	n.pending.Add(-1)
	n.pendingBytes.Add(-int64(size))
}

// await gives the answer to a request, or why there is none.
func await[T any](ctx context.Context, n *Node, answered <-chan T) (T, error) {
	var none T
	select {
	case answer := <-answered:
		return answer, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-n.done:
	}
	select {
	case answer := <-answered: // the last thing that was done
		return answer, nil
	default:
		return none, ErrStopped
	}
}

// awaitLeader lets a heartbeat's time pass, in which a leader may be elected.
func (n *Node) awaitLeader(ctx context.Context) error {
	retry := time.NewTimer(n.cfg.Core.HeartbeatInterval)
	defer retry.Stop()
	select {
	case <-retry.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNoLeader, ctx.Err())
	case <-n.stopping:
		return ErrStopped
	}
}
