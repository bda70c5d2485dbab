package sentinel

import (
	"context"

	"picket/sentinel/state"
	"picket/sentinel/webhook"
)

// history is the committed events as the webhooks' dispatcher reads them. It implements webhook.Source.
type history struct{ a *Agent }

func (h history) After(index uint64, limit int) []state.Event {
	return h.a.machine.State().After(index, limit)
}

func (h history) Latest() uint64 { return h.a.machine.State().Latest() }

func (h history) Changed() <-chan struct{} { return h.a.machine.Changed() }

func (h history) Cursor(endpoint string) (uint64, bool) { return h.a.machine.State().Cursor(endpoint) }

func (h history) Advance(ctx context.Context, endpoint string, index uint64) error {
	return h.a.propose(ctx, 0, state.Command{
		At: h.a.now().UnixNano(), AdvanceCursor: &state.Cursor{Endpoint: endpoint, ID: index},
	})
}

// dispatcher makes what delivers to the webhooks, while this agent leads.
func (a *Agent) dispatcher() (*webhook.Dispatcher, error) {
	return webhook.New(webhook.Config{
		Cluster: a.cfg.Cluster, Webhooks: a.cfg.Webhooks, Source: history{a}, Dial: a.host.Dial, Now: a.now,
		Report: func(r webhook.Report) {
			a.metrics.Delivery(r.Endpoint, r.Kind == webhook.Delivered)
			a.herald.delivery(r)
		},
	})
}
