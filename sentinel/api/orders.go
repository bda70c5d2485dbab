package api

import (
	"context"
	"net/http"
	"time"

	"picket/config"
	"picket/sentinel/picture"
)

// Orders are what operators have done to masters.
type Orders interface {
	// Switchover hands a healthy master over, now or later. It returns when that has begun, or is agreed.
	Switchover(ctx context.Context, o SwitchoverOrder) error
	// CancelSwitchover takes back what is ordered for later.
	CancelSwitchover(ctx context.Context, master, who string) error
	// Forget drops a replica that is gone for good.
	Forget(ctx context.Context, master string, server config.Addr) error
	// Force has a failover of a master begin, or go on, whatever its health.
	Force(ctx context.Context, o FailoverOrder) error
}

// SwitchoverOrder is the body of a request for a switchover.
type SwitchoverOrder struct {
	Master string      `json:"master"`
	To     config.Addr `json:"to,omitempty"` // the replica; empty: the best one
	At     time.Time   `json:"at,omitzero"`  // absent: now
	Who    string      `json:"who"`
	// IgnoreHooks has it begin without asking a program of the operator's that might forbid it. What is for later is asked for then.
	IgnoreHooks bool `json:"ignore_hooks,omitempty"`
}

// FailoverOrder is the body of a request for a failover.
type FailoverOrder struct {
	Master        string `json:"master"`
	AllowDataLoss bool   `json:"allow_data_loss,omitempty"` // of writes that clients have waited for
	Who           string `json:"who"`
	IgnoreHooks   bool   `json:"ignore_hooks,omitempty"` // no program of the operator's is asked that might forbid it
}

// orders carries out what operators want.
type orders struct {
	backend Backend
	agent   Orders
}

func (h orders) route(d *door) {
	d.handle("POST /v1/switchover", Operate, operation{
		summary: "Hand a healthy master over to a replica, without losing a write: now, or at a time. Answers when that has begun, or is agreed.",
		body:    SwitchoverOrder{}, answer: picture.Master{},
	}, h.switchover)
	d.handle("DELETE /v1/switchover", Operate, operation{
		summary: "Take back the switchover that is ordered for later.",
		query:   []parameter{{"master", "Its name", true}, asker}, answer: picture.Master{},
	}, h.cancel)
	d.handle("POST /v1/failover", Operate, operation{
		summary: "Fail a master over to its best replica, whatever its health. Answers when that has begun.",
		body:    FailoverOrder{}, answer: picture.Master{},
	}, h.failover)
	d.handle("DELETE /v1/masters/{name}/replicas/{server}", Operate, operation{
		summary: "Forget a replica that is gone for good, so that no failover waits for it.", answer: picture.Master{},
	}, h.forget)
}

// asker is who asks for something, where there is no body to say so.
var asker = parameter{"who", "Who asks, for events and logs; may be left away by those who show a token or a certificate", false}

func (h orders) switchover(w http.ResponseWriter, r *http.Request) {
	const form = `write {"master": "…", "who": "…"}, with "to": "HOST:PORT" and "at": "2026-01-02T03:04:05Z" where they apply`
	var o SwitchoverOrder
	if !decode(w, r, &o, form) || !signed(w, r, &o.Who, form) || !named(w, r, o.Master, form) {
		return
	}
	h.carryOut(w, r, outsideTimeout, o.Master, func(ctx context.Context) error { return h.agent.Switchover(ctx, o) })
}

func (h orders) cancel(w http.ResponseWriter, r *http.Request) {
	if who, ok := asks(w, r); ok {
		master := r.URL.Query().Get("master")
		h.carryOut(w, r, railTimeout, master, func(ctx context.Context) error { return h.agent.CancelSwitchover(ctx, master, who) })
	}
}

func (h orders) forget(w http.ResponseWriter, r *http.Request) {
	master := r.PathValue("name")
	h.carryOut(w, r, railTimeout, master, func(ctx context.Context) error {
		return h.agent.Forget(ctx, master, config.Addr(r.PathValue("server")))
	})
}

func (h orders) failover(w http.ResponseWriter, r *http.Request) {
	const form = `write {"master": "…", "who": "…"}, with "allow_data_loss": true and "ignore_hooks": true where they apply`
	var o FailoverOrder
	if !decode(w, r, &o, form) || !signed(w, r, &o.Who, form) || !named(w, r, o.Master, form) {
		return
	}
	h.carryOut(w, r, outsideTimeout, o.Master, func(ctx context.Context) error { return h.agent.Force(ctx, o) })
}

// named refuses an order that names no master.
func named(w http.ResponseWriter, r *http.Request, master, form string) bool {
	if master == "" {
		bad(w, r, "the body names no master", form)
	}
	return master != ""
}

// signed completes who gives an order, and refuses those of nobody.
func signed(w http.ResponseWriter, r *http.Request, who *string, form string) bool {
	if *who = callerOf(r).signs(*who); *who == "" {
		bad(w, r, "the body does not say who orders it", form)
	}
	return *who != ""
}

// carryOut answers with the master as it is then.
func (h orders) carryOut(w http.ResponseWriter, r *http.Request, limit time.Duration, master string, do func(context.Context) error) {
	carryOutWithin(w, r, limit, func(ctx context.Context) (any, error) {
		if err := do(ctx); err != nil {
			return nil, err
		}
		for _, m := range h.backend.Picture().Masters {
			if m.Name == master {
				return m, nil
			}
		}
		return nil, picture.ErrUnknownMaster
	})
}
