package state

import (
	"encoding/json"
	"time"

	"picket/config"
)

// What is kept in the log has its own names; in JSON it has these, and moments are RFC 3339.

type eventForm struct {
	ID     uint64    `json:"id"`
	Type   EventType `json:"type"`
	Master string    `json:"master,omitempty"`
	Epoch  uint64    `json:"epoch"`
	At     time.Time `json:"at"`
	Data   EventData `json:"data"`
}

// JSONForm is what stands in JSON.
func (e Event) JSONForm() any {
	return eventForm{e.ID, e.Type, e.Master, e.Epoch, time.Unix(0, e.At).UTC(), e.Data}
}

// MarshalJSON implements json.Marshaler.
func (e Event) MarshalJSON() ([]byte, error) { return json.Marshal(e.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (e *Event) UnmarshalJSON(data []byte) error {
	var f eventForm
	err := json.Unmarshal(data, &f)
	*e = Event{f.ID, f.Type, f.Master, f.Epoch, f.At.UnixNano(), f.Data}
	return err
}

type shadowedForm struct {
	Old       config.Addr `json:"old"`
	DecidedAt time.Time   `json:"decided_at,omitzero"`
	Target    config.Addr `json:"target,omitempty"`
	Why       string      `json:"why,omitempty"`
	EndAt     time.Time   `json:"end_at,omitzero"`
	To        config.Addr `json:"to,omitempty"`
	Compared  string      `json:"compared,omitempty"`
}

// JSONForm is what stands in JSON.
func (s Shadowed) JSONForm() any {
	f := shadowedForm{Old: s.Old, Target: s.Target, Why: s.Why, To: s.To, Compared: s.Compared}
	if s.DecidedAt != 0 {
		f.DecidedAt = time.Unix(0, s.DecidedAt).UTC()
	}
	if s.EndAt != 0 {
		f.EndAt = time.Unix(0, s.EndAt).UTC()
	}
	return f
}

// MarshalJSON implements json.Marshaler.
func (s Shadowed) MarshalJSON() ([]byte, error) { return json.Marshal(s.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Shadowed) UnmarshalJSON(data []byte) error {
	var f shadowedForm
	err := json.Unmarshal(data, &f)
	*s = Shadowed{Old: f.Old, Target: f.Target, Why: f.Why, To: f.To, Compared: f.Compared}
	if !f.DecidedAt.IsZero() {
		s.DecidedAt = f.DecidedAt.UnixNano()
	}
	if !f.EndAt.IsZero() {
		s.EndAt = f.EndAt.UnixNano()
	}
	return err
}
