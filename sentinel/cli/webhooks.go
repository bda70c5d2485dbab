package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"picket/sentinel/api"
	"picket/sentinel/events"
	"picket/sentinel/state"
)

// Webhooks looks after the receivers of events by way of an agent, which passes changes on to the leader.
type Webhooks struct {
	Client *Client
	Who    string // asks for it
}

// List tells where events go, and what waits for each.
func (h Webhooks) List(ctx context.Context) (l api.WebhookList, err error) {
	return l, h.Client.call(ctx, http.MethodGet, "/v1/webhooks", nil, &l)
}

// Dead lists the events that could not be delivered.
func (h Webhooks) Dead(ctx context.Context, name string) (d api.DeadLetters, err error) {
	return d, h.Client.call(ctx, http.MethodGet, path(name, "dead"), nil, &d)
}

// Test sends an event that says that it is a test.
func (h Webhooks) Test(ctx context.Context, name string) (t api.WebhookTested, err error) {
	return t, h.Client.call(ctx, http.MethodPost, path(name, "test"), api.WebhookOrder{Who: h.Who}, &t)
}

// Redeliver has events delivered again.
func (h Webhooks) Redeliver(ctx context.Context, name string, o api.RedeliverOrder) (w api.Webhook, err error) {
	o.Who = h.Who
	return w, h.Client.call(ctx, http.MethodPost, path(name, "redeliver"), o, &w)
}

// Enable has a webhook told again whose receiver had said that it is gone.
func (h Webhooks) Enable(ctx context.Context, name string) (w api.Webhook, err error) {
	return w, h.Client.call(ctx, http.MethodPost, path(name, "enable"), api.WebhookOrder{Who: h.Who}, &w)
}

// Drop forgets one dead letter or, without an id, all.
func (h Webhooks) Drop(ctx context.Context, name, id string) (w api.Webhook, err error) {
	query := url.Values{"who": {h.Who}}
	if id != "" {
		query.Set("id", id)
	}
	return w, h.Client.call(ctx, http.MethodDelete, path(name, "dead")+"?"+query.Encode(), nil, &w)
}

func path(name, what string) string { return "/v1/webhooks/" + url.PathEscape(name) + "/" + what }

// WriteWebhooks writes the webhooks as a table, with what is wrong with each.
func WriteWebhooks(out io.Writer, l api.WebhookList) error {
	if len(l.Webhooks) == 0 {
		_, err := fmt.Fprintln(out, "no webhooks are configured: docs/webhooks.md tells how")
		return err
	}
	var table grid
	table.head("NAME", "URL", "STATE", "WAIT", "DEAD", "ERROR")
	for _, w := range l.Webhooks {
		table.row(w.Name, w.URL, hookState(w), fmt.Sprint(w.Backlog), deadLetters(w), hookError(w))
	}
	if err := table.write(out); err != nil {
		return fmt.Errorf("write the webhooks: %w", err)
	}
	if l.Leader != l.Agent {
		_, err := fmt.Fprintf(out, "%s delivers, and knows the last errors; this is what %s knows\n", orDash(l.Leader), l.Agent)
		return err
	}
	return nil
}

func hookState(w api.Webhook) string {
	switch {
	case w.Disabled:
		return "disabled (410)"
	case w.LastError != nil && w.Backlog > 0:
		return "failing"
	case w.Backlog > 0:
		return fmt.Sprintf("behind since %s", w.Oldest.Local().Format(time.DateTime))
	}
	return "told all"
}

func deadLetters(w api.Webhook) string {
	text := fmt.Sprint(w.Dead)
	if w.Dropped > 0 {
		text += fmt.Sprintf(" (%d lost)", w.Dropped)
	}
	return text
}

func hookError(w api.Webhook) string {
	if w.LastError == nil {
		return "-"
	}
	return w.LastError.Error
}

// WriteWebhook writes one.
func WriteWebhook(out io.Writer, w api.Webhook) error {
	_, err := fmt.Fprintf(out, "%s: %s, %d events wait, %s dead letters, of which %d are delivered again\n", w.Name, hookState(w), w.Backlog, deadLetters(w), w.Again)
	return err
}

// WriteDeadLetters writes dead letters as a table, oldest first.
func WriteDeadLetters(out io.Writer, d api.DeadLetters) error {
	if len(d.Letters) == 0 {
		_, err := fmt.Fprintf(out, "%s has no dead letters\n", d.Webhook)
		return err
	}
	var table grid
	table.head("ID", "TYPE", "MASTER", "HAPPENED", "DIED", "ATTEMPTS", "ERROR")
	for _, l := range d.Letters {
		died := l.DiedAt.Local().Format(time.DateTime)
		if !l.AgainSince.IsZero() {
			died = "delivered again"
		}
		table.row(l.ID, l.Event.Type, orDash(l.Event.Subject), l.Event.Time, died, fmt.Sprint(l.Attempts), l.Error)
	}
	if err := table.write(out); err != nil {
		return fmt.Errorf("write the dead letters: %w", err)
	}
	if d.Dropped > 0 {
		_, err := fmt.Fprintf(out, "%d more were lost: only %d are kept\n", d.Dropped, state.MaxDead)
		return err
	}
	return nil
}

// WriteTested tells how a test went.
func WriteTested(out io.Writer, t api.WebhookTested) error {
	_, err := fmt.Fprintf(out, "%s has taken %s from %s in %d ms\n", t.Webhook, events.Name(state.WebhookTest), t.Agent, t.TookMS)
	return err
}
