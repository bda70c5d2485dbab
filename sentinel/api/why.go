package api

import (
	"context"
	"net/http"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// Reasons explain what is decided.
type Reasons interface {
	// Why tells what was decided about a master at a time, and what its last failover was; the zero time is now.
	Why(master string, at time.Time) (Why, error)
	// Rehearse says what a switchover would do now, to a replica or, without one, to the best.
	Rehearse(master string, to config.Addr) (failover.Rehearsal, error)
	// Predict says what would happen if some of a master's servers, and perhaps agents, failed now.
	Predict(master string, f failover.Failure) (failover.Forecast, error)
}

// Why is the body of GET /v1/masters/{name}/why.
type Why struct {
	Master   string             `json:"master"`
	Agent    string             `json:"agent"`              // who tells
	Decision *failover.Decision `json:"decision,omitempty"` // absent: this agent keeps none from so long ago
	Running  *failover.Record   `json:"failover,omitempty"`
	Last     *failover.Record   `json:"last_failover,omitempty"`
	// Diverged is what a former master had written behind the back of the present one.
	Diverged *failover.Divergence `json:"diverged,omitempty"`
	Since    time.Time            `json:"blocked_since,omitzero"`
	Findings []monitor.Finding    `json:"findings,omitempty"`
}

// Blocked is an element of the body of GET /v1/blocked.
type Blocked struct {
	Master  string           `json:"master"`
	Blocker failover.Blocker `json:"blocker"`
	Since   time.Time        `json:"since"`
}

// reasons answers questions.
type reasons struct {
	backend Backend
	agent   Reasons
}

func (h reasons) route(d *door) {
	d.handle("GET /v1/masters/{name}/why", Read, operation{
		summary: "What is decided about a master and why, and the story of its last failover.",
		query:   []parameter{{"at", "What was decided then, as this agent remembers it: RFC 3339; now if left away", false}}, answer: Why{},
	}, h.why)
	d.handle("GET /v1/masters/{name}/plan", Read, operation{
		summary: "What would happen if servers, and perhaps agents, failed now. Nothing is touched.",
		query:   []parameter{{"fail", "A server, as HOST:PORT; may be given more than once", true}, {"fail-agent", "An agent's id; may be given more than once", false}},
		answer:  failover.Forecast{},
	}, h.plan)
	d.handle("GET /v1/masters/{name}/rehearsal", Read, operation{
		summary: "What a switchover would do now, or why it would be refused. Nothing is touched.",
		query:   []parameter{{"to", "The replica, as HOST:PORT; the best one if left away", false}}, answer: failover.Rehearsal{},
	}, h.rehearse)
	d.handle("GET /v1/blocked", Read, operation{summary: "The masters for which nothing can be done now.", answer: []Blocked{}}, h.blocked)
}

func (h reasons) why(w http.ResponseWriter, r *http.Request) {
	var at time.Time
	if text := r.URL.Query().Get("at"); text != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, text); err != nil {
			bad(w, r, "at is no time", "write it like 2026-01-02T03:04:05Z")
			return
		}
	}
	carryOut(w, r, func(context.Context) (any, error) { return h.agent.Why(r.PathValue("name"), at) })
}

func (h reasons) plan(w http.ResponseWriter, r *http.Request) {
	f := failover.Failure{Agents: r.URL.Query()["fail-agent"]}
	for _, a := range r.URL.Query()["fail"] {
		f.Servers = append(f.Servers, config.Addr(a))
	}
	if len(f.Servers) == 0 {
		bad(w, r, "it is not said which servers fail", "add ?fail=HOST:PORT&fail=…&fail-agent=ID")
		return
	}
	carryOut(w, r, func(context.Context) (any, error) { return h.agent.Predict(r.PathValue("name"), f) })
}

func (h reasons) rehearse(w http.ResponseWriter, r *http.Request) {
	to := config.Addr(r.URL.Query().Get("to"))
	carryOut(w, r, func(context.Context) (any, error) { return h.agent.Rehearse(r.PathValue("name"), to) })
}

func (h reasons) blocked(w http.ResponseWriter, _ *http.Request) {
	list := []Blocked{}
	for _, m := range h.backend.Picture().Masters {
		if m.Blocker != nil {
			list = append(list, Blocked{m.Name, *m.Blocker, m.BlockedAt})
		}
	}
	reply(w, http.StatusOK, list)
}
