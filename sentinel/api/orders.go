package api

import (
	"context"
	"encoding/json"
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
}

// FailoverOrder is the body of a request for a failover.
type FailoverOrder struct {
	Master        string `json:"master"`
	AllowDataLoss bool   `json:"allow_data_loss,omitempty"` // of writes that clients have waited for
	Who           string `json:"who"`
}

// orders carries out what operators want.
type orders struct {
	backend Backend
	agent   Orders
}

func (h orders) route(mux *http.ServeMux, g guard) {
	mux.HandleFunc("POST /v1/switchover", g.guarded(h.switchover))
	mux.HandleFunc("DELETE /v1/switchover", g.guarded(h.cancel))
	mux.HandleFunc("POST /v1/failover", g.guarded(h.failover))
	mux.HandleFunc("DELETE /v1/masters/{name}/replicas/{server}", g.guarded(h.forget))
}

func (h orders) switchover(w http.ResponseWriter, r *http.Request) {
	var o SwitchoverOrder
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.Who == "" || o.Master == "" {
		problem(w, Problem{Status: http.StatusBadRequest,
			Detail: `the body must be {"master": "…", "who": "…"}, with "to": "HOST:PORT" and "at": "2026-01-02T03:04:05Z" where they apply`})
		return
	}
	h.carryOut(w, r, o.Master, func(ctx context.Context) error { return h.agent.Switchover(ctx, o) })
}

func (h orders) cancel(w http.ResponseWriter, r *http.Request) {
	if who, ok := asks(w, r); ok {
		master := r.URL.Query().Get("master")
		h.carryOut(w, r, master, func(ctx context.Context) error { return h.agent.CancelSwitchover(ctx, master, who) })
	}
}

func (h orders) forget(w http.ResponseWriter, r *http.Request) {
	master := r.PathValue("name")
	h.carryOut(w, r, master, func(ctx context.Context) error {
		return h.agent.Forget(ctx, master, config.Addr(r.PathValue("server")))
	})
}

func (h orders) failover(w http.ResponseWriter, r *http.Request) {
	var o FailoverOrder
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.Who == "" || o.Master == "" {
		problem(w, Problem{Status: http.StatusBadRequest, Detail: `the body must be {"master": "…", "who": "…"}, with "allow_data_loss": true where it applies`})
		return
	}
	h.carryOut(w, r, o.Master, func(ctx context.Context) error { return h.agent.Force(ctx, o) })
}

// carryOut answers with the master as it is then.
func (h orders) carryOut(w http.ResponseWriter, r *http.Request, master string, do func(context.Context) error) {
	carryOut(w, r, func(ctx context.Context) (any, error) {
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
