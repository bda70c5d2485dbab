package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"picket/consensus"
)

// Proposer has commands committed and applied on this server, as *consensus.Node does.
type Proposer interface {
	Propose(ctx context.Context, data []byte) (consensus.Result, error)
}

// A copy that was not answered within attempt is sent again: a message that is lost on a connection that stands is not
// noticed otherwise. Between copies, pause goes by.
const (
	attempt = 2 * time.Second
	pause   = 20 * time.Millisecond
)

// Client proposes commands that are carried out once. Its session is opened when it is first needed, and again when it
// had to make room. It is safe for concurrent use.
type Client struct {
	node    Proposer
	machine *Machine

	opening chan struct{} // holds one element while somebody opens a session
	mu      sync.Mutex
	window  *window // of the session now; nil: none
}

// NewClient makes a client that proposes through the node which drives the machine.
func NewClient(node Proposer, machine *Machine) *Client {
	return &Client{node: node, machine: machine, opening: make(chan struct{}, 1)}
}

// Propose has data carried out once by the inner machine and gives its encoded result. It tries until ctx ends. Errors
// are those of consensus.Node.Propose: with ErrUnknown, the command may have been carried out, or may still be.
func (c *Client) Propose(ctx context.Context, data []byte) ([]byte, error) {
	for {
		w, err := c.session(ctx)
		if err != nil {
			// Whatever became of the session: the command was not proposed.
			return nil, fmt.Errorf("%w: open a session: %v", consensus.ErrNoLeader, err)
		}
		result, err := c.within(ctx, w, data)
		if !errors.Is(err, ErrExpired) {
			return result, err
		}
		c.leave(w)
	}
}

// session gives the window of an open session.
func (c *Client) session(ctx context.Context) (*window, error) {
	select {
	case c.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.opening }()
	if w := c.current(); w != nil {
		return w, nil
	}
	// A copy too many opens a session that nobody uses: it will make room for others.
	entry, _, err := c.repeat(ctx, func() []byte { return command{}.encode() })
	if err != nil {
		return nil, err
	}
	w := newWindow(ID(entry))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window = w
	return w, nil
}

func (c *Client) current() *window {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.window
}

// leave gives a session up, unless that was done already.
func (c *Client) leave(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.window == w {
		c.window = nil
	}
}

// within carries data out in one session. ErrExpired: it was not, and another session may try.
func (c *Client) within(ctx context.Context, w *window, data []byte) ([]byte, error) {
	sequence, err := w.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", consensus.ErrBusy, err)
	}
	defer w.end(sequence)
	entry, doubtful, err := c.repeat(ctx, func() []byte { return w.command(sequence, data).encode() })
	if err != nil {
		return nil, err
	}
	result, err := c.machine.lookup(w.id, sequence, entry)
	if errors.Is(err, ErrExpired) && doubtful {
		return nil, fmt.Errorf("%w: an earlier copy may have been carried out before its session made room", consensus.ErrUnknown)
	}
	return result, err
}

// repeat proposes copies of a command until one is applied, and gives that one's index. doubtful: copies before that
// may be in the log, too. An error is ErrUnknown if any copy may be.
func (c *Client) repeat(ctx context.Context, encode func() []byte) (entry consensus.Index, doubtful bool, err error) {
	for {
		result, err := c.once(ctx, encode())
		if err == nil {
			return result.Index, doubtful, nil
		}
		doubtful = doubtful || leavesDoubt(err)
		if worthAnotherCopy(err) && wait(ctx, pause) {
			continue
		}
		if doubtful && !errors.Is(err, consensus.ErrUnknown) {
			err = fmt.Errorf("%w: %w", consensus.ErrUnknown, err)
		}
		return 0, doubtful, err
	}
}

func (c *Client) once(ctx context.Context, data []byte) (consensus.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return c.node.Propose(ctx, data)
}

// leavesDoubt says whether a proposal with this error may be in the log.
func leavesDoubt(err error) bool {
	return errors.Is(err, consensus.ErrUnknown) || errors.Is(err, consensus.ErrStopped) || ended(err)
}

func worthAnotherCopy(err error) bool {
	return errors.Is(err, consensus.ErrUnknown) || errors.Is(err, consensus.ErrNoLeader) || ended(err)
}

// ended: a context did while the proposal was under way, not while it waited for a leader.
func ended(err error) bool {
	over := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return over && !errors.Is(err, consensus.ErrNoLeader)
}

// wait lets d go by; false: ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
