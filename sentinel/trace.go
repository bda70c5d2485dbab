package sentinel

import (
	"picket/failover"
	"picket/sentinel/state"
	"picket/sentinel/trace"
)

// traced is a tally that has a collector told of failovers as well: by the agent that led them to their end.
type traced struct {
	tally
	exporter *trace.Exporter
	self     string
}

// Committed implements tally.
func (t traced) Committed(e state.Event, r *failover.Record) {
	t.tally.Committed(e, r)
	if ended := e.Type == state.FailoverEnded || e.Type == state.FailoverAborted; ended && r != nil && r.Leader() == t.self {
		t.exporter.Tell(r)
	}
}

// tracer makes what delivers traces; nil: nobody wants them.
func (a *Agent) tracer() *trace.Exporter {
	if a.cfg.Tracing.Endpoint == "" {
		return nil
	}
	headers := map[string]string{}
	for _, h := range a.cfg.Tracing.Headers {
		headers[h.Name] = string(h.Value)
	}
	return trace.New(trace.Config{
		Endpoint: a.cfg.Tracing.URL(), Headers: headers, Cluster: a.cfg.Cluster, Agent: a.cfg.Agent.ID, Version: a.version, Dial: a.host.Dial,
		Problem: func(err error) {
			a.herald.tell(func() { a.herald.log.Warn().Err(err).Msg("traces could not be delivered") })
		},
	})
}
