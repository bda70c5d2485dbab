package failover

import (
	"encoding/json"
	"fmt"

	"picket/monitor"
)

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
