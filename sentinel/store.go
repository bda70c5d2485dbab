package sentinel

import (
	"context"

	"picket/consensus"
	"picket/consensus/session"
	"picket/sentinel/state"
)

// store is the agent's way to the replicated map, for the HTTP door.
type store struct {
	machine  *state.Machine
	node     *consensus.Node
	sessions *session.Client
}

// Latest implements api.Store.
func (s store) Latest(ctx context.Context) (*state.Map, error) {
	if err := s.node.Barrier(ctx); err != nil {
		return nil, err
	}
	return &s.machine.State().Map, nil
}

// Present implements api.Store.
func (s store) Present() (*state.Map, <-chan struct{}) {
	changed := s.machine.Changed() // before the state that it belongs to
	return &s.machine.State().Map, changed
}

// Write implements api.Store. It is carried out once, whatever becomes of the leader meanwhile.
func (s store) Write(ctx context.Context, w state.Write) (uint64, error) {
	if err := w.Check(); err != nil {
		return 0, err // spares the log what it would refuse
	}
	c := state.Command{Write: &w}
	data, err := c.Encode()
	if err != nil {
		return 0, err
	}
	result, err := s.sessions.Propose(ctx, data)
	if err != nil {
		return 0, err
	}
	return state.DecodeResult(result)
}
