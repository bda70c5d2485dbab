package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/sentinel/picture"
)

// Group is the agents' membership.
type Group interface {
	// Change carries out a change, by way of the leader; consensus.ErrRefused says why not.
	Change(context.Context, consensus.Change) error
	// Transfer has another agent lead.
	Transfer(context.Context, consensus.ServerID) error
}

// membersTimeout bounds a request.
const membersTimeout = 4 * time.Second

// Members is the body of /v1/members.
type Members struct {
	Agent    string          `json:"agent"`  // that answers
	Leader   string          `json:"leader"` // empty: unknown
	Epoch    uint64          `json:"epoch"`
	Majority bool            `json:"majority"`
	Members  []picture.Agent `json:"members"` // sorted by id
}

// Address is the body of a request to add an agent.
type Address struct {
	Address config.Addr `json:"address"` // of its port for other agents
}

// members answers requests about who belongs to the group.
type members struct {
	backend Backend
	group   Group
}

func (m members) route(d *door) {
	d.handle("GET /v1/members", Read, operation{summary: "Who belongs to the group of agents.", answer: Members{}}, m.list)
	d.handle("PUT /v1/members/{id}", Admin, operation{
		summary: "Let an agent in, or change its address. It gets its vote when it has caught up.", body: Address{}, answer: Members{},
	}, m.add)
	d.handle("DELETE /v1/members/{id}", Admin, operation{summary: "Take an agent out.", answer: Members{}}, m.remove)
	d.handle("POST /v1/members/{id}/promote", Admin, operation{summary: "Give an agent its vote now.", answer: Members{}}, m.promote)
	d.handle("POST /v1/members/{id}/lead", Operate, operation{summary: "Have an agent lead.", answer: Members{}}, m.lead)
}

func (m members) list(w http.ResponseWriter, _ *http.Request) {
	p := m.backend.Picture()
	reply(w, http.StatusOK, Members{Agent: p.Agent, Leader: p.Leader, Epoch: p.Epoch, Majority: p.Majority, Members: p.Agents})
}

func (m members) add(w http.ResponseWriter, r *http.Request) {
	var body Address
	const form = `write {"address": "HOST:PORT"}, of the agent's port for other agents`
	if !decode(w, r, &body, form) {
		return
	}
	if body.Address.Port() == 0 {
		bad(w, r, "the body has no address", form)
		return
	}
	m.change(w, r, consensus.AddLearner, string(body.Address))
}

func (m members) remove(w http.ResponseWriter, r *http.Request) {
	if m.known(w, r) {
		m.change(w, r, consensus.Remove, "")
	}
}

func (m members) promote(w http.ResponseWriter, r *http.Request) {
	if m.known(w, r) {
		m.change(w, r, consensus.Promote, "")
	}
}

func (m members) lead(w http.ResponseWriter, r *http.Request) {
	if !m.known(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), membersTimeout)
	defer cancel()
	m.finish(w, r, m.group.Transfer(ctx, consensus.ServerID(r.PathValue("id"))))
}

// known refuses requests that name somebody who is not a member: most likely, the id is mistyped.
func (m members) known(w http.ResponseWriter, r *http.Request) bool {
	id := r.PathValue("id")
	if slices.ContainsFunc(m.backend.Picture().Agents, func(a picture.Agent) bool { return a.ID == id }) {
		return true
	}
	problem(w, r, Problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("%q is not a member of the group", id), Remedy: "GET /v1/members lists them"})
	return false
}

func (m members) change(w http.ResponseWriter, r *http.Request, kind consensus.ChangeKind, address string) {
	ctx, cancel := context.WithTimeout(r.Context(), membersTimeout)
	defer cancel()
	member := consensus.Member{ID: consensus.ServerID(r.PathValue("id")), Address: address}
	m.finish(w, r, m.group.Change(ctx, consensus.Change{Kind: kind, Member: member}))
}

// finish answers with the members as they are now, or with what went wrong.
func (m members) finish(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		refuse(w, r, err)
		return
	}
	m.list(w, r)
}
