package state

import (
	"errors"
	"fmt"
)

// outcome is the result of a command as it is kept for a session: what Apply returned.
type outcome struct {
	Revision uint64 // of a write that took effect
	Refusal  uint8  // place in refusals, from 1 on; 0: none
	Text     string // of the refusal
}

// refusals are all that Apply may wrap. Their places are kept in snapshots.
var refusals = []error{ErrInvalid, ErrStale, ErrConflict, ErrAbsent, ErrFull, ErrExists, ErrUnknown}

// EncodeResult makes what Apply returned something to be kept, for DecodeResult.
func (m *Machine) EncodeResult(result any) []byte {
	var o outcome
	switch r := result.(type) {
	case uint64:
		o.Revision = r
	case error:
		o.Refusal, o.Text = 1, r.Error() // a command that can't be decoded is not valid, either
		for i, refusal := range refusals {
			if errors.Is(r, refusal) {
				o.Refusal = uint8(i + 1)
			}
		}
	}
	data, err := encode(o)
	if err != nil {
		panic(fmt.Sprintf("state: %v", err)) // two numbers and a text
	}
	return data
}

// refusal is one that was kept.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

// DecodeResult gives the revision of a write that took effect, 0 for other commands, or the refusal.
func DecodeResult(data []byte) (uint64, error) {
	var o outcome
	if err := decode(data, &o); err != nil {
		return 0, err
	}
	switch {
	case o.Refusal == 0:
		return o.Revision, nil
	case int(o.Refusal) > len(refusals):
		return 0, fmt.Errorf("refusal %d is not known to this version: %s", o.Refusal, o.Text)
	}
	return 0, &refusal{refusals[o.Refusal-1], o.Text}
}
