package trace

import (
	"encoding/json"
	"strconv"
)

// The shape of OTLP in JSON: opentelemetry.io/docs/specs/otlp, ExportTraceServiceRequest.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	span struct {
		TraceID    string     `json:"traceId"` // hex, as OTLP has it, and not base64
		SpanID     string     `json:"spanId"`
		ParentID   string     `json:"parentSpanId,omitempty"`
		Name       string     `json:"name"`
		Kind       int        `json:"kind"`
		Begin      string     `json:"startTimeUnixNano"` // 64 bits are text in JSON
		End        string     `json:"endTimeUnixNano"`
		Attributes []keyValue `json:"attributes,omitempty"`
		Status     status     `json:"status"`
	}
	status struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	keyValue struct {
		Key   string `json:"key"`
		Value struct {
			Text string `json:"stringValue"`
		} `json:"value"`
	}
)

const (
	kindInternal         = 1
	statusOK, statusBad  = 1, 2
	service, instanceKey = "service.name", "service.instance.id"
)

func attributes(list []Attribute) []keyValue {
	all := make([]keyValue, len(list))
	for i, a := range list {
		all[i].Key, all[i].Value.Text = a.Name, a.Value
	}
	return all
}

// encode makes the body of a request.
func encode(from Config, trace string, spans []Span) ([]byte, error) {
	var out []span
	for _, s := range spans {
		state := status{Code: statusOK}
		if s.Failed != "" {
			state = status{statusBad, s.Failed}
		}
		out = append(out, span{
			TraceID: trace, SpanID: s.ID, ParentID: s.Parent, Name: s.Name, Kind: kindInternal, Attributes: attributes(s.Attributes), Status: state,
			Begin: strconv.FormatInt(s.Begin.UnixNano(), 10), End: strconv.FormatInt(s.End.UnixNano(), 10),
		})
	}
	return json.Marshal(request{[]resourceSpans{{
		Resource:   resource{attributes([]Attribute{{service, "picket"}, {instanceKey, from.Agent}, {"service.namespace", from.Cluster}})},
		ScopeSpans: []scopeSpans{{scope{"picket", from.Version}, out}},
	}}})
}
