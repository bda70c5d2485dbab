package api

import (
	"context"
	"net/http"
	"time"

	"picket/sentinel/events"
)

// Webhooks are the endpoints that events are delivered to.
type Webhooks interface {
	// Webhooks lists those of the configuration.
	Webhooks() WebhookList
	// DeadLetters lists the events that could not be delivered to one.
	DeadLetters(name string) (DeadLetters, error)
	// TestWebhook sends an event that says that it is a test.
	TestWebhook(ctx context.Context, name, who string) (WebhookTested, error)
	// Redeliver has events delivered again.
	Redeliver(ctx context.Context, name string, o RedeliverOrder) error
	// EnableWebhook has one told again whose receiver had said that it is gone.
	EnableWebhook(ctx context.Context, name, who string) error
	// DropLetters forgets one dead letter or, without an id, all.
	DropLetters(ctx context.Context, name, id, who string) error
}

// WebhookList is the body of the answer to GET /v1/webhooks. Errors are those that the agent itself met: those of now are known to the leader.
type WebhookList struct {
	Agent    string    `json:"agent"`
	Leader   string    `json:"leader"` // it delivers
	Webhooks []Webhook `json:"webhooks"`
}

// Webhook is one endpoint.
type Webhook struct {
	Name      string        `json:"name"`
	URL       string        `json:"url"` // without what may be secret
	Preset    string        `json:"preset"`
	Ordering  string        `json:"ordering"`
	Position  uint64        `json:"position"` // it was told of everything up to this index, or will not be
	Backlog   int           `json:"backlog"`  // events that wait
	Oldest    time.Time     `json:"oldest,omitzero"`
	Dead      int           `json:"dead"`    // letters
	Again     int           `json:"again"`   // of them, that are being delivered again
	Dropped   uint64        `json:"dropped"` // dead letters that were lost, because there were too many
	Missed    uint64        `json:"missed"`  // events that were forgotten, of which it is not told yet
	Disabled  bool          `json:"disabled"`
	LastError *WebhookError `json:"last_error,omitempty"` // of the agent's last attempt
}

// WebhookError is why an attempt to deliver failed.
type WebhookError struct {
	At       time.Time `json:"at"`
	Event    uint64    `json:"event"` // index
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Next     time.Time `json:"next,omitzero"` // attempt
}

// DeadLetters is the body of the answer to GET /v1/webhooks/{name}/dead, oldest first.
type DeadLetters struct {
	Webhook string       `json:"webhook"`
	Dropped uint64       `json:"dropped"` // that were lost, because there were too many
	Letters []DeadLetter `json:"letters"`
}

// DeadLetter is an event that could not be delivered, or that somebody wants delivered again.
type DeadLetter struct {
	ID         string            `json:"id"`
	Event      events.CloudEvent `json:"event"`
	DiedAt     time.Time         `json:"died_at"`
	Attempts   int               `json:"attempts"`
	Error      string            `json:"error"`
	AgainSince time.Time         `json:"again_since,omitzero"` // since when it is to be delivered again
}

// WebhookOrder is the body of a request about a webhook.
type WebhookOrder struct {
	Who string `json:"who"`
}

// WebhookTested is the body of the answer to a test.
type WebhookTested struct {
	Webhook string `json:"webhook"`
	Agent   string `json:"agent"` // that has sent it
	OK      bool   `json:"ok"`
	TookMS  int64  `json:"took_ms"`
	Error   string `json:"error,omitempty"`
}

// RedeliverOrder is the body of a request to deliver events again: exactly one of the first three is given.
type RedeliverOrder struct {
	ID    string `json:"id,omitempty"`    // one event
	Dead  bool   `json:"dead,omitempty"`  // all dead letters
	Since string `json:"since,omitempty"` // all events after this one
	Who   string `json:"who"`
}

func (o RedeliverOrder) valid() bool {
	given := 0
	for _, is := range []bool{o.ID != "", o.Dead, o.Since != ""} {
		if is {
			given++
		}
	}
	return given == 1
}

// webhooks answers operators.
type webhooks struct{ agent Webhooks }

func (h webhooks) route(d *door) {
	d.handle("GET /v1/webhooks", Read, operation{summary: "Where events go, and what waits for each.", answer: WebhookList{}},
		func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, h.agent.Webhooks()) })
	d.handle("GET /v1/webhooks/{name}/dead", Operate, operation{
		summary: "The events that could not be delivered to a webhook.", answer: DeadLetters{},
	}, h.dead)
	d.handle("DELETE /v1/webhooks/{name}/dead", Operate, operation{
		summary: "Drop one dead letter or, without an id, all.", query: []parameter{{"id", "Of the event", false}, asker}, answer: Webhook{},
	}, h.drop)
	d.handle("POST /v1/webhooks/{name}/test", Operate, operation{
		summary: "Send an event that says that it is a test, from the agent that is asked. A webhook that takes it is enabled.",
		body:    WebhookOrder{}, answer: WebhookTested{},
	}, h.test)
	d.handle("POST /v1/webhooks/{name}/redeliver", Operate, operation{
		summary: "Deliver one event again, all dead letters, or everything after an event.", body: RedeliverOrder{}, answer: Webhook{},
	}, h.redeliver)
	d.handle("POST /v1/webhooks/{name}/enable", Operate, operation{
		summary: "Tell a webhook again whose receiver had said that it is gone.", body: WebhookOrder{}, answer: Webhook{},
	}, h.enable)
}

func (h webhooks) dead(w http.ResponseWriter, r *http.Request) {
	letters, err := h.agent.DeadLetters(r.PathValue("name"))
	if err != nil {
		refuse(w, r, err)
		return
	}
	reply(w, http.StatusOK, letters)
}

func (h webhooks) drop(w http.ResponseWriter, r *http.Request) {
	if who, ok := asks(w, r); ok {
		h.carryOut(w, r, func(ctx context.Context, name string) error {
			return h.agent.DropLetters(ctx, name, r.URL.Query().Get("id"), who)
		})
	}
}

func (h webhooks) test(w http.ResponseWriter, r *http.Request) {
	if who, ok := ordered(w, r); ok {
		carryOutWithin(w, r, outsideTimeout, func(ctx context.Context) (any, error) { return h.agent.TestWebhook(ctx, r.PathValue("name"), who) })
	}
}

func (h webhooks) enable(w http.ResponseWriter, r *http.Request) {
	if who, ok := ordered(w, r); ok {
		h.carryOut(w, r, func(ctx context.Context, name string) error { return h.agent.EnableWebhook(ctx, name, who) })
	}
}

// ordered reads who wants something of a webhook.
func ordered(w http.ResponseWriter, r *http.Request) (who string, ok bool) {
	const form = `write {"who": "…"}`
	var o WebhookOrder
	ok = decode(w, r, &o, form) && signed(w, r, &o.Who, form)
	return o.Who, ok
}

func (h webhooks) redeliver(w http.ResponseWriter, r *http.Request) {
	const form = `write {"who": "…"} with one of "id": "CLUSTER-INDEX", "dead": true and "since": "CLUSTER-INDEX"`
	var o RedeliverOrder
	if !decode(w, r, &o, form) || !signed(w, r, &o.Who, form) {
		return
	}
	if !o.valid() {
		bad(w, r, "it is not said which events are meant, or in more than one way", form)
		return
	}
	h.carryOut(w, r, func(ctx context.Context, name string) error { return h.agent.Redeliver(ctx, name, o) })
}

// carryOut answers with the webhook as it is then.
func (h webhooks) carryOut(w http.ResponseWriter, r *http.Request, do func(context.Context, string) error) {
	carryOut(w, r, func(ctx context.Context) (any, error) {
		name := r.PathValue("name")
		if err := do(ctx, name); err != nil {
			return nil, err
		}
		for _, hook := range h.agent.Webhooks().Webhooks {
			if hook.Name == name {
				return hook, nil
			}
		}
		return Webhook{Name: name}, nil
	})
}
