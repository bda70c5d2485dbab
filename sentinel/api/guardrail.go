package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"picket/sentinel/picture"
)

// Guardrails are what operators say to hold the agents back, and to let them go on.
type Guardrails interface {
	// Pause has nothing begin by itself for so long, for one master or, without a name, for all.
	Pause(ctx context.Context, p PauseOrder) error
	// Resume ends the pause of one master or, without a name, the one of all.
	Resume(ctx context.Context, master, who string) error
	// Acknowledge lifts the cool-down after the last failover of a master.
	Acknowledge(ctx context.Context, master, who string) (Acknowledged, error)
}

// PauseOrder is the body of a request to pause.
type PauseOrder struct {
	Master string `json:"master,omitempty"` // empty: all
	For    Length `json:"for"`
	Who    string `json:"who"`
	Why    string `json:"why,omitempty"`
}

// Length is a duration that JSON shows like 1h30m.
type Length time.Duration

// MarshalText implements encoding.TextMarshaler.
func (l Length) MarshalText() ([]byte, error) { return []byte(time.Duration(l).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Length) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*l = Length(d)
	return err
}

// Pauses is the body of the answers: the pauses that hold.
type Pauses struct {
	Pauses []picture.Pause `json:"pauses"`
}

// Acknowledged is the body of the answer to an acknowledgement.
type Acknowledged struct {
	Master   string `json:"master"`
	Failover uint64 `json:"failover"` // its id
}

// rails answers operators.
type rails struct {
	backend Backend
	agent   Guardrails
}

func (h rails) route(d *door) {
	d.handle("GET /v1/pause", Read, operation{summary: "The pauses that hold.", answer: Pauses{}}, h.list)
	d.handle("POST /v1/pause", Operate, operation{
		summary: "Have nothing begin by itself for a while, for one master or for all.", body: PauseOrder{}, answer: Pauses{},
	}, h.pause)
	d.handle("DELETE /v1/pause", Operate, operation{
		summary: "End the pause of a master or, without a name, the one of all.",
		query:   []parameter{{"master", "Its name", false}, asker}, answer: Pauses{},
	}, h.resume)
	d.handle("POST /v1/masters/{name}/acknowledge", Operate, operation{
		summary: "Lift the cool-down after a master's last failover.", query: []parameter{asker}, answer: Acknowledged{},
	}, h.acknowledge)
}

func (h rails) list(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, h.pauses())
}

func (h rails) pauses() Pauses { return Pauses{h.backend.Picture().Pauses} }

func (h rails) pause(w http.ResponseWriter, r *http.Request) {
	const form = `write {"for": "1h", "who": "…"}, with "master" and "why" where they apply`
	var order PauseOrder
	if !decode(w, r, &order, form) || !signed(w, r, &order.Who, form) {
		return
	}
	carryOut(w, r, func(ctx context.Context) (any, error) {
		err := h.agent.Pause(ctx, order)
		return h.pauses(), err
	})
}

// resume and acknowledge take what they need from the query: a DELETE has no body.
func (h rails) resume(w http.ResponseWriter, r *http.Request) {
	if who, ok := asks(w, r); ok {
		carryOut(w, r, func(ctx context.Context) (any, error) {
			err := h.agent.Resume(ctx, r.URL.Query().Get("master"), who)
			return h.pauses(), err
		})
	}
}

func (h rails) acknowledge(w http.ResponseWriter, r *http.Request) {
	if who, ok := asks(w, r); ok {
		carryOut(w, r, func(ctx context.Context) (any, error) { return h.agent.Acknowledge(ctx, r.PathValue("name"), who) })
	}
}

// asks reads who asks for something, and refuses those who don't say.
func asks(w http.ResponseWriter, r *http.Request) (who string, ok bool) {
	switch who = callerOf(r).signs(r.URL.Query().Get("who")); {
	case who == "":
		bad(w, r, "it is not said who asks for it", "add ?who=…, or show a token")
	case len(who) > maxBody: // which a body can't say either; it is kept in the log
		bad(w, r, fmt.Sprintf("who asks for it is said in %d bytes", len(who)), fmt.Sprintf("say it in at most %d", maxBody))
	default:
		return who, true
	}
	return "", false
}

// Bounds of what a request has done. What others than the agents are waited for, an operator's programs or a webhook's receiver, may take longer.
const (
	railTimeout    = 4 * time.Second
	outsideTimeout = 25 * time.Second // below writeTimeout
)

// carryOut answers with what came of an order.
func carryOut(w http.ResponseWriter, r *http.Request, do func(context.Context) (any, error)) {
	carryOutWithin(w, r, railTimeout, do)
}

func carryOutWithin(w http.ResponseWriter, r *http.Request, limit time.Duration, do func(context.Context) (any, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	body, err := do(ctx)
	if err != nil {
		refuse(w, r, err)
		return
	}
	reply(w, http.StatusOK, body)
}
