package events

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/sentinel/state"
	"picket/sentinel/trace"
)

// ContentType is that of what Encode gives.
const ContentType = "application/cloudevents+json; charset=UTF-8"

// CloudEvent is an event as CloudEvents 1.0 has it in structured JSON, with three extensions.
type CloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"` // the master
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Sequence        string          `json:"sequence"` // log index: the order of events
	Epoch           string          `json:"epoch"`
	TraceParent     string          `json:"traceparent,omitempty"` // of a failover's events: its trace, as the collector is told of it
	Data            state.EventData `json:"data"`
}

// ID names an event for ever, whichever agent tells of it.
func ID(cluster string, e state.Event) string {
	switch e.Type {
	case state.WebhookGap, state.WebhookTest: // are not in the log
		return fmt.Sprintf("%s-%s-%d", cluster, strings.TrimPrefix(string(e.Type), "webhook."), e.ID)
	}
	return fmt.Sprintf("%s-%d", cluster, e.ID)
}

// Index reads what ID made of a committed event; the number alone will do, too.
func Index(cluster, id string) (index uint64, ok bool) {
	index, err := strconv.ParseUint(strings.TrimPrefix(id, cluster+"-"), 10, 64)
	return index, err == nil
}

// Name is a type's name outside.
func Name(t state.EventType) string { return "io.picket." + string(t) + ".v1" }

// Of makes a CloudEvent of an event; it depends on nothing else.
func Of(cluster string, e state.Event) CloudEvent {
	source := "/clusters/" + cluster
	if e.Master != "" {
		source += "/masters/" + e.Master
	}
	traceParent := ""
	if e.Data.Failover != 0 {
		traceParent = trace.Parent(cluster, e.Data.Failover)
	}
	return CloudEvent{
		TraceParent: traceParent,
		SpecVersion: "1.0", ID: ID(cluster, e), Source: source, Type: Name(e.Type), Subject: e.Master,
		Time: e.At.Time().UTC().Format(time.RFC3339Nano), DataContentType: "application/json",
		Sequence: strconv.FormatUint(e.ID, 10), Epoch: strconv.FormatUint(e.Epoch, 10), Data: e.Data,
	}
}

// Encode is the CloudEvent in JSON.
func Encode(cluster string, e state.Event) ([]byte, error) {
	body, err := json.Marshal(Of(cluster, e))
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.ID, err)
	}
	return body, nil
}
