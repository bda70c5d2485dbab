package failover

import (
	"encoding/json"
	"fmt"
	"time"

	"picket/config"
	"picket/monitor"
)

// In JSON, moments are RFC 3339, phases are words, and durations are milliseconds that have the unit in their names; see monitor. What is kept
// in the log has these names in JSON only.

// moment turns Unix nanoseconds into a time; 0: the zero time.
func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func convert[A, B any](list []A, f func(A) B) []B {
	var out []B
	for _, e := range list {
		out = append(out, f(e))
	}
	return out
}

var phases = [...]string{"", Begun: "begun", Promoting: "promoting", Switched: "switched", Ended: "ended"}

// MarshalText implements encoding.TextMarshaler.
func (p Phase) MarshalText() ([]byte, error) { return []byte(phases[min(p, Ended)]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Phase) UnmarshalText(text []byte) error {
	for i, name := range phases {
		if name == string(text) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a phase", text)
}

type recordForm struct {
	ID         uint64        `json:"id"`
	Master     string        `json:"master"`
	Epoch      uint64        `json:"epoch"`
	Phase      Phase         `json:"phase"`
	Outcome    Outcome       `json:"outcome,omitempty"`
	Cause      Cause         `json:"cause"`
	Old        config.Addr   `json:"old"`
	Replicas   []config.Addr `json:"replicas,omitempty"`
	Evidence   string        `json:"evidence,omitempty"`
	Target     config.Addr   `json:"target,omitempty"`
	RunID      string        `json:"run_id,omitempty"`
	ReplID     string        `json:"repl_id,omitempty"`
	Offset     int64         `json:"offset,omitempty"`
	Why        string        `json:"why,omitempty"`
	Repointed  []config.Addr `json:"repointed,omitempty"`
	Leaders    []uint64      `json:"leaders,omitempty"`
	DownAt     time.Time     `json:"down_at,omitzero"`
	BegunAt    time.Time     `json:"begun_at,omitzero"`
	PromoteAt  time.Time     `json:"promote_at,omitzero"`
	SwitchAt   time.Time     `json:"switch_at,omitzero"`
	EndAt      time.Time     `json:"end_at,omitzero"`
	OldRunID   string        `json:"old_run_id,omitempty"`
	OldReplID  string        `json:"old_repl_id,omitempty"`
	AllowLoss  bool          `json:"allow_loss,omitempty"`
	Want       config.Addr   `json:"want,omitempty"`
	OldOffset  int64         `json:"old_offset,omitempty"`
	Candidates []Candidate   `json:"candidates,omitempty"`
	Chosen     string        `json:"chosen,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	HandOver   bool          `json:"hand_over,omitempty"`
	Native     bool          `json:"native,omitempty"`
	Agents     []string      `json:"agents,omitempty"`
	Code       monitor.Code  `json:"code,omitempty"`
	Rule       monitor.Rule  `json:"rule,omitempty"`
	Seen       []Witness     `json:"seen,omitempty"`
	RepointAt  []time.Time   `json:"repoint_at,omitempty"`
	HeldAt     time.Time     `json:"held_at,omitzero"`
}

// JSONForm is what stands in JSON.
func (r Record) JSONForm() any {
	return recordForm{
		r.ID, r.Master, r.Epoch, r.Phase, r.Outcome, r.Cause, r.Old, r.Replicas, r.Evidence, r.Target, r.RunID, r.ReplID, r.Offset, r.Why,
		r.Repointed, r.Leaders, moment(r.DownAt), moment(r.BegunAt), moment(r.PromoteAt), moment(r.SwitchAt), moment(r.EndAt), r.OldRunID,
		r.OldReplID, r.AllowLoss, r.Want, r.OldOffset, r.Candidates, r.Chosen, r.Reason, r.HandOver, r.Native, r.Agents, r.Code, r.Rule, r.Seen,
		convert(r.RepointAt, moment), moment(r.HeldAt),
	}
}

// MarshalJSON implements json.Marshaler.
func (r Record) MarshalJSON() ([]byte, error) { return json.Marshal(r.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (r *Record) UnmarshalJSON(data []byte) error {
	var f recordForm
	err := json.Unmarshal(data, &f)
	*r = Record{
		f.ID, f.Master, f.Epoch, f.Phase, f.Outcome, f.Cause, f.Old, f.Replicas, f.Evidence, f.Target, f.RunID, f.ReplID, f.Offset, f.Why,
		f.Repointed, f.Leaders, nanoseconds(f.DownAt), nanoseconds(f.BegunAt), nanoseconds(f.PromoteAt), nanoseconds(f.SwitchAt),
		nanoseconds(f.EndAt), f.OldRunID, f.OldReplID, f.AllowLoss, f.Want, f.OldOffset, f.Candidates, f.Chosen, f.Reason, f.HandOver, f.Native,
		f.Agents, f.Code, f.Rule, f.Seen, convert(f.RepointAt, nanoseconds), nanoseconds(f.HeldAt),
	}
	return err
}

type candidateForm struct {
	Server config.Addr `json:"server"`
	Offset int64       `json:"offset"`
	Unfit  string      `json:"unfit,omitempty"`
	ReadAt time.Time   `json:"read_at,omitzero"`
}

// JSONForm is what stands in JSON.
func (c Candidate) JSONForm() any {
	return candidateForm{c.Server, c.Offset, c.Unfit, moment(c.ReadAt)}
}

// MarshalJSON implements json.Marshaler.
func (c Candidate) MarshalJSON() ([]byte, error) { return json.Marshal(c.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Candidate) UnmarshalJSON(data []byte) error {
	var f candidateForm
	err := json.Unmarshal(data, &f)
	*c = Candidate{f.Server, f.Offset, f.Unfit, nanoseconds(f.ReadAt)}
	return err
}

type witnessForm struct {
	Agent    string    `json:"agent"`
	State    string    `json:"state"`
	Evidence string    `json:"evidence"`
	Since    time.Time `json:"since,omitzero"`
}

// JSONForm is what stands in JSON.
func (w Witness) JSONForm() any { return witnessForm{w.Agent, w.State, w.Evidence, moment(w.Since)} }

// MarshalJSON implements json.Marshaler.
func (w Witness) MarshalJSON() ([]byte, error) { return json.Marshal(w.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (w *Witness) UnmarshalJSON(data []byte) error {
	var f witnessForm
	err := json.Unmarshal(data, &f)
	*w = Witness{f.Agent, f.State, f.Evidence, nanoseconds(f.Since)}
	return err
}

type divergenceForm struct {
	Server config.Addr `json:"server"`
	Master config.Addr `json:"master"`
	Known  bool        `json:"known"`
	Bytes  int64       `json:"bytes"`
	Why    string      `json:"why,omitempty"`
	ReplID string      `json:"repl_id,omitempty"`
	From   int64       `json:"from,omitempty"`
	Kept   string      `json:"kept,omitempty"`
	Unkept string      `json:"unkept,omitempty"`
}

// JSONForm is what stands in JSON.
func (d Divergence) JSONForm() any { return divergenceForm(d) }

// MarshalJSON implements json.Marshaler.
func (d Divergence) MarshalJSON() ([]byte, error) { return json.Marshal(d.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Divergence) UnmarshalJSON(data []byte) error {
	var f divergenceForm
	err := json.Unmarshal(data, &f)
	*d = Divergence(f)
	return err
}

type plainSight Sight

type sightForm struct {
	plainSight
	ForMS int64 `json:"for_ms"`
	AgeMS int64 `json:"age_ms"`
}

// JSONForm is what stands in JSON.
func (s Sight) JSONForm() any {
	return sightForm{plainSight(s), monitor.Millis(s.For), monitor.Millis(s.Age)}
}

// MarshalJSON implements json.Marshaler.
func (s Sight) MarshalJSON() ([]byte, error) { return json.Marshal(s.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Sight) UnmarshalJSON(data []byte) error {
	var f sightForm
	err := json.Unmarshal(data, &f)
	*s = Sight(f.plainSight)
	s.For, s.Age = monitor.FromMillis(f.ForMS), monitor.FromMillis(f.AgeMS)
	return err
}

type plainWord Word

type wordForm struct {
	plainWord
	AgeMS int64 `json:"age_ms"`
}

// JSONForm is what stands in JSON.
func (w Word) JSONForm() any { return wordForm{plainWord(w), monitor.Millis(w.Age)} }

// MarshalJSON implements json.Marshaler.
func (w Word) MarshalJSON() ([]byte, error) { return json.Marshal(w.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (w *Word) UnmarshalJSON(data []byte) error {
	var f wordForm
	err := json.Unmarshal(data, &f)
	*w = Word(f.plainWord)
	w.Age = monitor.FromMillis(f.AgeMS)
	return err
}

type plainForecast Forecast

type forecastForm struct {
	plainForecast
	WithinMS int64 `json:"within_ms"`
	SilentMS int64 `json:"silent_ms"`
}

// JSONForm is what stands in JSON.
func (f Forecast) JSONForm() any {
	return forecastForm{plainForecast(f), monitor.Millis(f.Within), monitor.Millis(f.Silent)}
}

// MarshalJSON implements json.Marshaler.
func (f Forecast) MarshalJSON() ([]byte, error) { return json.Marshal(f.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (f *Forecast) UnmarshalJSON(data []byte) error {
	var form forecastForm
	err := json.Unmarshal(data, &form)
	*f = Forecast(form.plainForecast)
	f.Within, f.Silent = monitor.FromMillis(form.WithinMS), monitor.FromMillis(form.SilentMS)
	return err
}
