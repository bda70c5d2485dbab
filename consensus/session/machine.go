package session

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"picket/consensus"
)

// Inner is the state machine proper.
type Inner interface {
	consensus.StateMachine
	// EncodeResult makes what Apply returned something that can be kept and compared: equal results give equal
	// bytes, and few of them, because they are kept for each command that is not acknowledged.
	EncodeResult(result any) []byte
}

// Machine carries out each command of a session once. It is a consensus.StateMachine around the inner one.
type Machine struct {
	inner Inner

	mu    sync.Mutex // the applying goroutine writes, clients read
	table table
}

// NewMachine puts sessions in front of a state machine that has seen no entry.
func NewMachine(inner Inner) *Machine { return &Machine{inner: inner} }

// Apply carries out a committed command. What is no session's is the inner machine's, result included; for a
// session's, the result is the encoded one of the inner machine, or the refusal.
func (m *Machine) Apply(e consensus.Entry) any {
	if !owned(e.Data) {
		return m.inner.Apply(e)
	}
	c, err := decodeCommand(e.Data)
	if err != nil {
		return fmt.Errorf("entry %d: %w", e.Index, err)
	}
	if c.Session == 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.table.open(e.Index)
		return nil
	}
	m.mu.Lock()
	known, fresh, err := m.table.admit(c, e.Index)
	m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case !fresh:
		return known
	}
	e.Data = c.Data
	outcome := m.inner.Apply(e)
	if fatal, ok := outcome.(*consensus.FatalError); ok {
		return fatal
	}
	result := m.inner.EncodeResult(outcome)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.keep(c, result)
	return result
}

func (m *Machine) lookup(id ID, sequence uint64, at consensus.Index) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.lookup(id, sequence, at)
}

// Snapshot captures the sessions and the inner machine's state: mark, version, length and bytes of the table, and then
// what the inner machine writes.
func (m *Machine) Snapshot() (func(io.Writer) error, error) {
	rest, err := m.inner.Snapshot()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	sessions := encode(m.table)
	m.mu.Unlock()
	return func(w io.Writer) error {
		head := binary.BigEndian.AppendUint32([]byte{Mark, version}, uint32(len(sessions)))
		if _, err := w.Write(append(head, sessions...)); err != nil {
			return err
		}
		return rest(w)
	}, nil
}

// Restore replaces everything by a snapshot, which may be one that the inner machine wrote before it had sessions.
// After an error the machine must not be used: the inner state may be the new one already.
func (m *Machine) Restore(r io.Reader) error {
	in := bufio.NewReader(r)
	sessions, err := readTable(in)
	if err != nil {
		return fmt.Errorf("restore the sessions: %w", err)
	}
	if err := m.inner.Restore(in); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table = sessions
	return nil
}

func readTable(in *bufio.Reader) (t table, err error) {
	const headSize = 6
	head, err := in.Peek(headSize)
	if len(head) == 0 || head[0] != Mark {
		return t, ignoreEOF(err) // the inner machine's
	}
	if err != nil {
		return t, err
	}
	if head[1] != version {
		return t, fmt.Errorf("version %d, this program reads %d", head[1], version)
	}
	size := int64(binary.BigEndian.Uint32(head[2:]))
	_, _ = in.Discard(headSize) // it was there
	var data bytes.Buffer       // grows with what there is, whatever the size says
	if _, err := io.CopyN(&data, in, size); err != nil {
		return t, err
	}
	if err := decode(data.Bytes(), &t); err != nil {
		return t, err
	}
	return t, t.check()
}

// ignoreEOF: a short snapshot is for the inner machine to judge.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
