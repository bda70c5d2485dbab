package state

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"picket/consensus"
)

// Machine is the replicated state machine. The log drives it through consensus.StateMachine; State and Changed are for
// everybody, from any goroutine.
type Machine struct {
	state atomic.Pointer[State]

	mu      sync.Mutex
	changed chan struct{} // closed when state is replaced
}

// NewMachine makes a machine in the state before the first command.
func NewMachine() *Machine {
	m := &Machine{changed: make(chan struct{})}
	m.state.Store(&State{})
	return m
}

// State is the state now.
func (m *Machine) State() *State { return m.state.Load() }

// Changed is closed at the next change. Take it before the State that it is to be compared with.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Apply carries out a committed command. Its result is the revision (uint64) of a write to the map, nil for other
// commands, or the error for which nothing was changed. A command that only a newer version knows is a *consensus.FatalError.
func (m *Machine) Apply(e consensus.Entry) any {
	c, err := DecodeCommand(e.Data)
	switch {
	case errors.Is(err, ErrNewer):
		return &consensus.FatalError{Err: err} // others may have carried it out: going on without it would be another state
	case err != nil:
		return fmt.Errorf("entry %d: %w", e.Index, err)
	}
	next, err := m.State().apply(c, position{index: uint64(e.Index), term: uint64(e.Term)})
	if err != nil {
		return err
	}
	if next != nil {
		m.replace(next)
	}
	if c.Write != nil {
		return uint64(e.Index)
	}
	return nil
}

func (m *Machine) replace(s *State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Store(s)
	close(m.changed)
	m.changed = make(chan struct{})
}

// Snapshot captures the state; equal states give equal bytes.
func (m *Machine) Snapshot() (func(io.Writer) error, error) {
	s := m.State()
	return func(w io.Writer) error {
		data, err := encode(s)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}, nil
}

// Restore replaces the state by a snapshot's.
func (m *Machine) Restore(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("restore the state: %w", err)
	}
	s := &State{}
	if err := decode(data, s); err != nil {
		return fmt.Errorf("restore the state: %w", err)
	}
	m.replace(s)
	return nil
}

// Refusals of commands. They wrap the reason.
var (
	// ErrInvalid: the command makes no sense, and never will.
	ErrInvalid = errors.New("state: the command is not valid")
	// ErrExists: there is another one of that name.
	ErrExists = errors.New("state: there is one already")
	// ErrUnknown: there is none of that name.
	ErrUnknown = errors.New("state: there is none")
	// ErrNewer: only a newer version of this program knows the command.
	ErrNewer = errors.New("state: the command is of a newer version; update this agent")
	// ErrStale: the command came too late.
	ErrStale = errors.New("state: the command is overtaken")
)
