package picture

import (
	"encoding/json"

	"picket/monitor"
)

type plainAgent Agent

type agentForm struct {
	plainAgent
	HeardMS int64 `json:"heard_ms"` // since it last spoke; -1: never
}

// JSONForm is what stands in JSON, see monitor.
func (a Agent) JSONForm() any { return agentForm{plainAgent(a), monitor.Millis(a.Heard)} }

// MarshalJSON implements json.Marshaler.
func (a Agent) MarshalJSON() ([]byte, error) { return json.Marshal(a.JSONForm()) }

// UnmarshalJSON implements json.Unmarshaler.
func (a *Agent) UnmarshalJSON(data []byte) error {
	var f agentForm
	err := json.Unmarshal(data, &f)
	*a = Agent(f.plainAgent)
	a.Heard = monitor.FromMillis(f.HeardMS)
	return err
}
