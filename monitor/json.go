package monitor

import (
	"encoding/json"
	"fmt"
	"time"

	"picket/config"
)

// In JSON, a duration is a whole number of milliseconds and has the unit in its name; moments are RFC 3339; states, evidence and phases are
// words. A type whose fields do not say so themselves has a form that does, and tells it by JSONForm to those who describe it.

// Moment is in Unix nanoseconds, by somebody's clock; 0: none. In the log and in snapshots it is that number.
type Moment int64

// MomentOf gives 0 for the zero time.
func MomentOf(t time.Time) Moment {
	if t.IsZero() {
		return 0
	}
	return Moment(t.UnixNano())
}

// Time is the local one.
func (m Moment) Time() time.Time { return time.Unix(0, int64(m)) }

// Sub is how long it is after another.
func (m Moment) Sub(other Moment) time.Duration { return time.Duration(m - other) }

// MarshalJSON implements json.Marshaler.
func (m Moment) MarshalJSON() ([]byte, error) { return m.Time().UTC().MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (m *Moment) UnmarshalJSON(data []byte) error {
	var t time.Time
	err := t.UnmarshalJSON(data)
	*m = MomentOf(t)
	return err
}

// Millis is a duration in milliseconds; -1 for one that is negative, which stands for "never" everywhere.
func Millis(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return d.Milliseconds()
}

// FromMillis is the opposite of Millis.
func FromMillis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *State) UnmarshalText(text []byte) error {
	for *s = Unknown; *s <= Down; *s++ {
		if s.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("%q is not a state", text)
}

// MarshalText implements encoding.TextMarshaler.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Evidence) UnmarshalText(text []byte) error {
	for *e = NoEvidence; *e <= StillLoading; *e++ {
		if e.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("%q is not evidence", text)
}

type opinionForm struct {
	Agent    string      `json:"agent"`
	Server   config.Addr `json:"server"`
	State    State       `json:"state"`
	Evidence Evidence    `json:"evidence"`
	AgeMS    int64       `json:"age_ms"`
	RunID    string      `json:"run_id,omitempty"`
}

// JSONForm is what stands in JSON.
func (o Opinion) JSONForm() any {
	return opinionForm{o.Agent, o.Server, o.State, o.Evidence, Millis(o.Age), o.RunID}
}

// MarshalJSON implements json.Marshaler.
func (o Opinion) MarshalJSON() ([]byte, error) { return json.Marshal(o.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (o *Opinion) UnmarshalJSON(data []byte) error {
	var f opinionForm
	err := json.Unmarshal(data, &f)
	*o = Opinion{Agent: f.Agent, Server: f.Server, State: f.State, Evidence: f.Evidence, Age: FromMillis(f.AgeMS), RunID: f.RunID}
	return err
}

type plainObservation Observation

type observationForm struct {
	plainObservation
	UptimeMS   int64 `json:"uptime_ms"`
	LinkDownMS int64 `json:"link_down_ms"`
	LastIOMS   int64 `json:"last_io_ms"`
}

// JSONForm is what stands in JSON.
func (o Observation) JSONForm() any {
	return observationForm{plainObservation(o), Millis(o.Uptime), Millis(o.LinkDown), Millis(o.LastIO)}
}

// MarshalJSON implements json.Marshaler.
func (o Observation) MarshalJSON() ([]byte, error) { return json.Marshal(o.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (o *Observation) UnmarshalJSON(data []byte) error {
	var f observationForm
	err := json.Unmarshal(data, &f)
	*o = Observation(f.plainObservation)
	o.Uptime, o.LinkDown, o.LastIO = FromMillis(f.UptimeMS), FromMillis(f.LinkDownMS), FromMillis(f.LastIOMS)
	return err
}

type plainAttached Attached

type attachedForm struct {
	plainAttached
	LagMS int64 `json:"lag_ms"`
}

// JSONForm is what stands in JSON.
func (a Attached) JSONForm() any { return attachedForm{plainAttached(a), Millis(a.Lag)} }

// MarshalJSON implements json.Marshaler.
func (a Attached) MarshalJSON() ([]byte, error) { return json.Marshal(a.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (a *Attached) UnmarshalJSON(data []byte) error {
	var f attachedForm
	err := json.Unmarshal(data, &f)
	*a = Attached(f.plainAttached)
	a.Lag = FromMillis(f.LagMS)
	return err
}

type foreignForm struct {
	RunID  string      `json:"run_id"`
	Addr   config.Addr `json:"addr"`
	Name   string      `json:"name"`
	Master config.Addr `json:"master"`
	Epoch  uint64      `json:"epoch"`
	Server config.Addr `json:"server"`
	AgeMS  int64       `json:"age_ms"`
}

// JSONForm is what stands in JSON.
func (f Foreign) JSONForm() any {
	return foreignForm{f.RunID, f.Addr, f.Name, f.Master, f.Epoch, f.Server, Millis(f.Age)}
}

// MarshalJSON implements json.Marshaler.
func (f Foreign) MarshalJSON() ([]byte, error) { return json.Marshal(f.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (f *Foreign) UnmarshalJSON(data []byte) error {
	var form foreignForm
	err := json.Unmarshal(data, &form)
	*f = Foreign{form.RunID, form.Addr, form.Name, form.Master, form.Epoch, form.Server, FromMillis(form.AgeMS)}
	return err
}
