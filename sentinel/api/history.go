package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/events"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// History is what was agreed.
type History interface {
	State() *state.State
	// Changed is closed when there is another state. Take it before the State.
	Changed() <-chan struct{}
}

// Events is the body of GET /v1/events.
type Events struct {
	Latest    uint64 `json:"latest"`    // id of the newest event that there is; 0: there was none yet
	Forgotten uint64 `json:"forgotten"` // id of the newest one that is not kept any more; 0: all are
	// Gap: some that were asked for are forgotten.
	Gap    bool                `json:"gap"`
	Events []events.CloudEvent `json:"events"` // oldest first
}

// Past is a failover or a switchover, and how long its phases took.
type Past struct {
	Record failover.Record `json:"record"`
	Phases []Phase         `json:"phases"` // in order; the last one may be under way
	// TookMS is from when the master was found down, or its writers were stopped, until clients were told of the next one; -1: it did not come to that.
	TookMS int64 `json:"took_ms"`
	// LostBytes are what the former master had written, and nobody else has; absent: it is not known, or not known yet.
	LostBytes *int64 `json:"lost_bytes,omitempty"`
}

// Phase is a part of a failover.
type Phase struct {
	Name   string    `json:"name"` // decide, choose, promote or repoint
	At     time.Time `json:"at"`
	TookMS int64     `json:"took_ms"` // -1: it is not over
}

// Pasts is the body of GET /v1/history.
type Pasts struct {
	Failovers []Past `json:"failovers"` // the newest first
}

const (
	usualEvents, mostEvents = 100, 1000
	usualPasts, mostPasts   = 20, 200
)

// history answers what was.
type history struct {
	cluster string
	agreed  History
	streams *streams
}

func (h history) route(d *door) {
	filters := []parameter{
		{"type", "Only events of this type, or of types that begin like failover.*; may be given more than once", false},
		{"master", "Only events of this master; may be given more than once", false},
	}
	after := parameter{"after", "Only events after this id", false}
	d.handle("GET /v1/events", Read, operation{
		summary: "Committed events, oldest first: those after an id or, without one, the latest. With Accept: text/event-stream, the live stream.",
		query:   append([]parameter{after, {"limit", "So many at most; 100, at most 1000", false}}, filters...),
		header:  []parameter{{"Last-Event-ID", "Of a stream: the last event that was received", false}}, answer: Events{}, stream: true,
	}, h.events)
	d.handle("GET /v1/events/stream", Read, operation{
		summary: "Committed events as they come, as server-sent events whose data are those that webhooks get: from now on, or after an id.",
		query:   append([]parameter{after}, filters...),
		header:  []parameter{{"Last-Event-ID", "The last event that was received", false}}, stream: true,
	}, h.stream)
	d.handle("GET /v1/history", Read, operation{
		summary: "Failovers and switchovers, the newest first, as far as the history reaches.",
		query:   []parameter{{"master", "Only of this master", false}, {"limit", "So many at most; 20, at most 200", false}}, answer: Pasts{},
	}, h.pasts)
	d.handle("GET /v1/history/{id}", Read, operation{
		summary: "One failover, by its id or its epoch, with its phases and timings.", answer: Past{},
	}, h.past)
}

// asked is which events a request asks for.
type asked struct {
	after  uint64
	given  bool // after is
	limit  int
	filter config.Webhook // which filters as webhooks do
}

func (h history) asked(w http.ResponseWriter, r *http.Request) (a asked, ok bool) {
	query := r.URL.Query()
	a.filter = config.Webhook{Events: query["type"], Masters: query["master"]}
	for _, pattern := range a.filter.Events {
		if !config.KnownEvent(pattern) {
			bad(w, r, fmt.Sprintf("type: there are no events %q", pattern), "use a type as docs/events.md lists them, or the beginning of some, like failover.*")
			return a, false
		}
	}
	if a.limit, ok = number(w, r, "limit", usualEvents, mostEvents); !ok {
		return a, false
	}
	text := query.Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		text = last // of a client that reconnects: newer than what its URL says
	}
	if text != "" {
		id, known := events.Index(h.cluster, text)
		if !known {
			bad(w, r, fmt.Sprintf("after: %q is not the id of an event", text), "give the id or the sequence of one, or leave it away")
			return a, false
		}
		a.after, a.given = id, true
	}
	return a, true
}

// number reads a number from a query.
func number(w http.ResponseWriter, r *http.Request, name string, usual, most int) (n int, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return usual, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		bad(w, r, fmt.Sprintf("%s: %q is not a number from 1 to %d", name, text, most), "leave it away for "+strconv.Itoa(usual))
		return 0, false
	}
	return n, true
}

func (h history) events(w http.ResponseWriter, r *http.Request) {
	if accepts(r, "text/event-stream") {
		h.stream(w, r)
		return
	}
	a, ok := h.asked(w, r)
	if !ok {
		return
	}
	s := h.agreed.State()
	body := Events{Latest: s.Latest(), Forgotten: s.Forgotten, Gap: a.given && a.after < s.Forgotten, Events: []events.CloudEvent{}}
	for _, e := range s.After(a.after, len(s.Events)) {
		if !a.filter.Wants(string(e.Type), e.Master) {
			continue
		}
		if a.given && len(body.Events) == a.limit {
			break
		}
		body.Events = append(body.Events, events.Of(h.cluster, e))
	}
	body.Events = body.Events[max(0, len(body.Events)-a.limit):]
	reply(w, http.StatusOK, body)
}

// EventGap is the name of what a stream tells when events were forgotten before they could be told; its data is a Gap, its id that of the last of them.
const EventGap = "gap"

// Gap is the data of an EventGap.
type Gap struct {
	After     uint64 `json:"after"`     // the client knows all up to it
	Forgotten uint64 `json:"forgotten"` // all up to it are
}

// someEvents bounds what is written to a stream in one go.
const someEvents = 64

func (h history) stream(w http.ResponseWriter, r *http.Request) {
	a, ok := h.asked(w, r)
	if !ok {
		return
	}
	leave, ok := h.streams.enter(w, r)
	if !ok {
		return
	}
	defer leave()
	if !a.given {
		a.after = h.agreed.State().Latest()
	}
	s := stream{w: w, control: http.NewResponseController(w), known: a.after}
	s.begin(fmt.Sprintf("after %d", a.after))
	h.streams.follow(r, &s, h.agreed.Changed, func() (more bool) {
		now := h.agreed.State()
		if a.after < now.Forgotten {
			s.event(EventGap, now.Forgotten, Gap{a.after, now.Forgotten})
			a.after = now.Forgotten
		}
		list := now.After(a.after, someEvents)
		for _, e := range list {
			if a.filter.Wants(string(e.Type), e.Master) {
				s.event(string(e.Type), e.ID, events.Of(h.cluster, e))
			}
			a.after = e.ID
		}
		s.known = a.after
		return len(list) == someEvents
	})
}

func (h history) pasts(w http.ResponseWriter, r *http.Request) {
	limit, ok := number(w, r, "limit", usualPasts, mostPasts)
	if !ok {
		return
	}
	body := Pasts{Failovers: []Past{}}
	s := h.agreed.State()
	for _, record := range s.History(r.URL.Query().Get("master"), limit) {
		body.Failovers = append(body.Failovers, past(s, record))
	}
	reply(w, http.StatusOK, body)
}

func (h history) past(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		bad(w, r, fmt.Sprintf("%q is neither the id nor the epoch of a failover", r.PathValue("id")), "GET /v1/history lists them")
		return
	}
	s := h.agreed.State()
	all := s.History("", len(s.Events)+len(s.Masters))
	found := slices.IndexFunc(all, func(r *failover.Record) bool { return r.ID == id }) // which names one; an epoch may be that of several, or look like an id
	if found < 0 {
		found = slices.IndexFunc(all, func(r *failover.Record) bool { return r.Epoch == id })
	}
	if found >= 0 {
		reply(w, http.StatusOK, past(s, all[found]))
		return
	}
	problem(w, r, Problem{
		Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no failover %d, or it is forgotten", id), Remedy: "GET /v1/history lists those that are kept",
	})
}

// past adds up a record.
func past(s *state.State, r *failover.Record) Past {
	p := Past{Record: *r, Phases: []Phase{}, TookMS: -1}
	end := r.EndAt
	moments := []struct {
		name string
		at   monitor.Moment
	}{{"decide", r.DownAt}, {"choose", r.BegunAt}, {"promote", r.PromoteAt}, {"repoint", r.SwitchAt}}
	for i, m := range moments {
		if m.at == 0 {
			continue
		}
		until := end
		if i+1 < len(moments) && moments[i+1].at != 0 {
			until = moments[i+1].at
		}
		took := int64(-1)
		if until != 0 {
			took = max(0, until.Sub(m.at).Milliseconds())
		}
		p.Phases = append(p.Phases, Phase{m.name, m.at.Time().UTC(), took})
	}
	if r.SwitchAt != 0 {
		p.TookMS = max(0, r.SwitchAt.Sub(cmp.Or(r.HeldAt, r.DownAt, r.BegunAt)).Milliseconds())
	}
	if m := s.Master(r.Master); m != nil && m.Diverged != nil && m.Diverged.Known && m.DivergedIn == r.Epoch && m.Diverged.Server == r.Old {
		p.LostBytes = &m.Diverged.Bytes
	}
	return p
}

// look answers what is.
type look struct{ backend Backend }

func (h look) route(d *door) {
	d.handle("GET /v1/status", Read, operation{summary: "All that the agent knows.", answer: picture.Picture{}},
		func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, h.backend.Picture()) })
	d.handle("GET /v1/masters", Read, operation{summary: "The masters with their replicas.", answer: []picture.Master{}},
		func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, h.backend.Picture().Masters) })
	d.handle("GET /v1/masters/{name}", Read, operation{summary: "One master with its replicas.", answer: picture.Master{}}, h.master)
	d.handle("GET /v1/agents", Read, operation{summary: "The agents, as this one sees them.", answer: []picture.Agent{}},
		func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, h.backend.Picture().Agents) })
}

func (h look) master(w http.ResponseWriter, r *http.Request) {
	orders{backend: h.backend}.carryOut(w, r, railTimeout, r.PathValue("name"), func(context.Context) error { return nil })
}
