package sentinel

import (
	"context"
	"fmt"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/events"
	"picket/sentinel/state"
	"picket/sentinel/webhook"
)

// history is the committed events as the webhooks' dispatcher reads them. It implements webhook.Source.
type history struct{ a *Agent }

func (h history) State() *state.State { return h.a.machine.State() }

func (h history) Changed() <-chan struct{} { return h.a.machine.Changed() }

// Propose implements webhook.Source. A position without more is agreed on in the way that every version knows, so that one that is being
// upgraded goes on.
func (h history) Propose(ctx context.Context, d state.Delivery) error {
	if d.Kind == state.DeliveryTold && len(d.Ahead) == 0 && d.Of == 0 {
		return h.Begin(ctx, d.Endpoint, d.ID)
	}
	return h.a.delivery(ctx, d)
}

// Begin implements webhook.Source.
func (h history) Begin(ctx context.Context, endpoint string, index uint64) error {
	return h.a.propose(ctx, 0, state.Command{
		At: monitor.MomentOf(h.a.now()), AdvanceCursor: &state.Cursor{Endpoint: endpoint, ID: index},
	})
}

// dispatcher makes what delivers to the webhooks, while this agent leads.
func (a *Agent) dispatcher() (*webhook.Dispatcher, error) {
	return webhook.New(webhook.Config{
		Cluster: a.cfg.Cluster, Webhooks: a.cfg.Webhooks, Source: history{a}, Certs: a.certs, Dial: a.host.Dial, Now: a.now,
		Report: func(r webhook.Report) {
			if r.Kind != webhook.Missed {
				a.metrics.Delivery(r.Endpoint, r.Kind == webhook.Delivered)
			}
			a.herald.delivery(r)
		},
	})
}

// Webhooks implements api.Webhooks.
func (a *Agent) Webhooks() api.WebhookList {
	l := api.WebhookList{Agent: a.cfg.Agent.ID, Leader: string(a.status.Load().Leader), Webhooks: []api.Webhook{}}
	for _, w := range a.current().Webhooks {
		l.Webhooks = append(l.Webhooks, a.hook(w))
	}
	return l
}

func (a *Agent) hook(w config.Webhook) api.Webhook {
	s := a.machine.State()
	h := api.Webhook{Name: w.Name, URL: webhook.Shown(w.URL), Preset: w.Preset, Ordering: w.Ordering}
	if w.Template != "" {
		h.Preset = "template"
	}
	if c := s.Cursor(w.Name); c != nil {
		h.Position, h.Dead, h.Dropped, h.Disabled = c.ID, len(c.Dead), c.Dropped, c.Disabled != nil
		for _, l := range c.Dead {
			if l.Again != 0 {
				h.Again++
			}
		}
		if c.Gap != nil {
			h.Missed = c.Gap.Events
		}
	}
	var oldest *state.Event
	if h.Backlog, oldest = a.webhooks.Waiting(w.Name); oldest != nil {
		h.Oldest = oldest.At.Time().UTC()
	}
	if t := a.webhooks.Trouble(w.Name); t != nil {
		h.LastError = &api.WebhookError{At: t.At.UTC(), Event: t.Event, Attempts: t.Attempts, Error: t.Error, Next: t.Next.UTC()}
	}
	return h
}

// configured finds a webhook of the configuration.
func (a *Agent) configured(name string) (w config.Webhook, err error) {
	for _, w := range a.current().Webhooks {
		if w.Name == name {
			return w, nil
		}
	}
	return w, fmt.Errorf("%w: webhook %q; `picket webhooks list` shows those that there are", state.ErrUnknown, name)
}

// DeadLetters implements api.Webhooks.
func (a *Agent) DeadLetters(name string) (api.DeadLetters, error) {
	if _, err := a.configured(name); err != nil {
		return api.DeadLetters{}, err
	}
	d := api.DeadLetters{Webhook: name, Letters: []api.DeadLetter{}}
	c := a.machine.State().Cursor(name)
	if c == nil {
		return d, nil
	}
	d.Dropped = c.Dropped
	for _, l := range c.Dead {
		letter := api.DeadLetter{
			ID: events.ID(a.cfg.Cluster, l.Event), Event: events.Of(a.cfg.Cluster, l.Event), DiedAt: l.At.Time().UTC(), Attempts: l.Attempts, Error: l.Error,
		}
		if l.Again != 0 {
			letter.AgainSince = l.Again.Time().UTC()
		}
		d.Letters = append(d.Letters, letter)
	}
	return d, nil
}

// TestWebhook implements api.Webhooks. One that is disabled, and takes the test, is enabled.
func (a *Agent) TestWebhook(ctx context.Context, name, who string) (api.WebhookTested, error) {
	if _, err := a.configured(name); err != nil {
		return api.WebhookTested{}, err
	}
	took, err := a.webhooks.Test(ctx, name, who)
	tested := api.WebhookTested{Webhook: name, Agent: a.cfg.Agent.ID, OK: err == nil, TookMS: took.Milliseconds()}
	if err != nil {
		tested.Error = err.Error()
		return tested, nil
	}
	return tested, a.enable(ctx, name, who)
}

func (a *Agent) enable(ctx context.Context, name, who string) error {
	if c := a.machine.State().Cursor(name); c == nil || c.Disabled == nil {
		return nil
	}
	return a.delivery(ctx, state.Delivery{Kind: state.DeliveryEnabled, Endpoint: name, Who: who})
}

func (a *Agent) delivery(ctx context.Context, d state.Delivery) error {
	return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Delivery: &d})
}

// Redeliver implements api.Webhooks.
func (a *Agent) Redeliver(ctx context.Context, name string, o api.RedeliverOrder) error {
	if _, err := a.configured(name); err != nil {
		return err
	}
	d := state.Delivery{Endpoint: name, Who: o.Who}
	id := o.ID
	switch {
	case o.Dead:
		d.Kind = state.DeliveryAgainAll
	case o.ID != "":
		d.Kind = state.DeliveryAgain
	default:
		d.Kind, id = state.DeliveryRewound, o.Since
	}
	if err := a.index(&d, id); err != nil {
		return err
	}
	if err := a.delivery(ctx, d); err != nil {
		return err
	}
	return a.enable(ctx, name, o.Who)
}

// index reads an event's id.
func (a *Agent) index(d *state.Delivery, id string) (err error) {
	ok := true
	if id != "" {
		if d.ID, ok = events.Index(a.cfg.Cluster, id); !ok {
			err = fmt.Errorf("%w: %q is not the id of an event, like %s-123", state.ErrInvalid, id, a.cfg.Cluster)
		}
	}
	return err
}

// EnableWebhook implements api.Webhooks.
func (a *Agent) EnableWebhook(ctx context.Context, name, who string) error {
	if _, err := a.configured(name); err != nil {
		return err
	}
	return a.enable(ctx, name, who)
}

// DropLetters implements api.Webhooks.
func (a *Agent) DropLetters(ctx context.Context, name, id, who string) error {
	if _, err := a.configured(name); err != nil {
		return err
	}
	d := state.Delivery{Kind: state.DeliveryForgotten, Endpoint: name, Who: who}
	if err := a.index(&d, id); err != nil {
		return err
	}
	return a.delivery(ctx, d)
}
