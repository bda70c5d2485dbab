package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"picket/config"
)

// Beside is the Redis beside an agent, as the agent saw it last.
type Beside struct {
	Agent  string
	Zone   string
	Leads  bool        // the agent leads the group
	Leader string      // that the agent knows; empty: none
	Wanted bool        // the configuration names a Redis beside the agent
	Server config.Addr // empty: it is not known yet
	Name   string      // of the master that it belongs to
	Seen   time.Time   // when the agent looked last
	Up     bool
	Text   string // why it is not up
	Role   string // master or slave, as it says itself
	Ready  bool   // it has loaded its data
	// Office: the agents agree that it is the master, and are not about to promote another one.
	Office bool
	// Leased: it may take writes only until then; else there are no leases.
	Leased bool
	Until  time.Time
	// Fenced is why it takes no writes, or is about to be kept from them; empty: it does.
	Fenced string
	// Of a replica:
	Follows bool      // it follows the agreed master, and the link is up
	Lag     int64     // bytes behind the master; -1: unknown
	Fresh   time.Time // up to when it surely had what the master had; zero: unknown
}

// Health is the body of the health checks.
type Health struct {
	Status  string      `json:"status"` // ok, or no
	Why     string      `json:"why,omitempty"`
	Agent   string      `json:"agent"`
	Server  config.Addr `json:"server,omitempty"` // the Redis beside the agent
	Master  string      `json:"master,omitempty"` // the name of the group that it belongs to
	Role    string      `json:"role,omitempty"`   // primary or replica
	LeaseMS *int64      `json:"lease_ms,omitempty"`
	Lag     *int64      `json:"lag_bytes,omitempty"`
	AgeMS   *int64      `json:"age_ms,omitempty"`
}

// demand is what a request asks of a replica.
type demand struct {
	lag    int64         // bytes at most; -1: any
	maxAge time.Duration // at most; -1: any
	zone   string
}

// primary says why the Redis beside an agent may not be written to; empty: it may. It is a pure function, like those that follow.
func (b Beside) primary(now time.Time) string {
	switch why := b.answers(now); {
	case why != "":
		return why
	case !b.Office:
		return "it is not the master that the agents agree on"
	case b.Role != "master":
		return "it is a replica"
	case b.Fenced != "":
		return "it takes no writes: " + b.Fenced
	case b.Leased && !now.Before(b.Until):
		return "its agent holds no lease"
	case !b.Ready:
		return "it loads its data"
	}
	return ""
}

// replica says why the Redis beside an agent may not be read from as a replica.
func (b Beside) replica(now time.Time, d demand) string {
	switch why := b.answers(now); {
	case why != "":
		return why
	case b.Role != "slave":
		return "it is no replica"
	case !b.Ready:
		return "it loads its data"
	case !b.Follows:
		return "it has no link to the master that the agents agree on"
	case d.zone != "" && d.zone != b.Zone:
		return "its zone is " + strconv.Quote(b.Zone)
	case d.lag >= 0 && (b.Lag < 0 || b.Lag > d.lag):
		return fmt.Sprintf("it lacks more than %d bytes (-1: unknown): %d", d.lag, b.Lag)
	case d.maxAge >= 0 && (b.Fresh.IsZero() || now.Sub(b.Fresh) > d.maxAge):
		return "what it holds may be older than " + d.maxAge.String()
	}
	return ""
}

// unseen is how long an agent may not have looked: it does so ten times a second.
const unseen = 2 * time.Second

// answers says why there is no Redis to talk to.
func (b Beside) answers(now time.Time) string {
	switch {
	case !b.Wanted:
		return "there is no Redis beside this agent"
	case b.Server == "":
		return "the agents do not know the Redis beside this agent yet"
	case now.Sub(b.Seen) > unseen:
		return "the agent is late itself, and has not looked at it for " + now.Sub(b.Seen).Round(time.Millisecond).String()
	case !b.Up:
		return "it does not answer: " + b.Text
	}
	return ""
}

// ready says why the Redis beside an agent is not ready to do its part. It does not ask for a majority of agents: a rolling update that waits for
// one would wait for itself.
func (b Beside) ready(now time.Time, d demand) string {
	switch {
	case !b.Wanted && b.Leader == "":
		return "this agent knows no leader"
	case !b.Wanted:
		return ""
	case b.answers(now) == "" && b.Role == "master" && b.Ready:
		return ""
	}
	return b.replica(now, d)
}

// show is the body of an answer.
func (b Beside) show(now time.Time, why string) Health {
	h := Health{Status: "ok", Why: why, Agent: b.Agent, Server: b.Server, Master: b.Name, Role: map[string]string{"master": "primary", "slave": "replica"}[b.Role]}
	if why != "" {
		h.Status = "no"
	}
	number := func(n int64) *int64 { return &n }
	switch b.Role {
	case "master":
		if b.Leased {
			h.LeaseMS = number(max(0, b.Until.Sub(now).Milliseconds()))
		}
	case "slave":
		h.Lag = number(b.Lag)
		if !b.Fresh.IsZero() {
			h.AgeMS = number(max(0, now.Sub(b.Fresh).Milliseconds()))
		}
	}
	return h
}

// checks answers load balancers and whoever watches over processes.
type checks struct{ backend Backend }

func (h checks) route(d *door) {
	lag := []parameter{
		{"lag", "It lacks at most so much of what the master has: 1MB, 64k, 0", false},
		{"max_age", "What it holds is at most so old: 2s, 500ms", false}, {"zone", "Its agent is in this zone", false},
	}
	now := func() time.Time { return h.backend.Now() }
	for _, c := range []struct {
		path, summary string
		query         []parameter
		why           func(Beside, demand) string
	}{
		{"/primary", "200 if the Redis beside this agent is the master, and may take writes.", nil, func(b Beside, _ demand) string { return b.primary(now()) }},
		{"/read-write", "The same as /primary.", nil, func(b Beside, _ demand) string { return b.primary(now()) }},
		{"/replica", "200 if the Redis beside this agent is a replica that follows the master.", lag,
			func(b Beside, d demand) string { return b.replica(now(), d) }},
		{"/read-only", "200 if the Redis beside this agent may be read from: /primary or /replica.", lag, func(b Beside, d demand) string {
			if b.primary(now()) == "" {
				return ""
			}
			return b.replica(now(), d)
		}},
		{"/leader", "200 if this agent leads the group.", nil, func(b Beside, _ demand) string {
			if !b.Leads {
				return "this agent does not lead"
			}
			return ""
		}},
		{"/health", "200 if the Redis beside this agent answers.", nil, func(b Beside, _ demand) string { return b.answers(now()) }},
		{"/readiness", "200 if the Redis beside this agent has its data: for Kubernetes.", lag, func(b Beside, d demand) string { return b.ready(now(), d) }},
		{"/readyz", "The same as /readiness.", lag, func(b Beside, d demand) string { return b.ready(now(), d) }},
		{"/liveness", "200 if this agent's loops run, whatever becomes of the others.", nil, h.alive},
		{"/livez", "The same as /liveness.", nil, h.alive},
		{"/healthz", "The same as /liveness.", nil, h.alive},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			o := operation{summary: c.summary, query: c.query, answer: Health{}, also: map[int]any{http.StatusServiceUnavailable: Health{}}}
			d.handle(method+" "+c.path, Anybody, o, func(w http.ResponseWriter, r *http.Request) { h.answer(w, r, c.why) })
		}
	}
}

func (h checks) alive(Beside, demand) string {
	if !h.backend.Alive() {
		return "this agent's loops are stuck"
	}
	return ""
}

func (h checks) answer(w http.ResponseWriter, r *http.Request, check func(Beside, demand) string) {
	d, why := demanded(r)
	if why != "" {
		bad(w, r, why, "write it like ?lag=1MB&max_age=2s")
		return
	}
	b := h.backend.Beside()
	why = check(b, d)
	code := http.StatusOK
	if why != "" {
		code = http.StatusServiceUnavailable
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		w.WriteHeader(code)
		return
	}
	reply(w, code, b.show(h.backend.Now(), why))
}

// demanded reads what a request asks of a replica, or says what is wrong with it.
func demanded(r *http.Request) (d demand, wrong string) {
	query := r.URL.Query()
	d = demand{lag: -1, maxAge: -1, zone: query.Get("zone")}
	if text := query.Get("lag"); text != "" {
		n, ok := size(text)
		if !ok {
			return d, fmt.Sprintf("lag: %q is no size", text)
		}
		d.lag = n
	}
	if text := query.Get("max_age"); text != "" {
		age, err := time.ParseDuration(text)
		if err != nil || age < 0 {
			return d, fmt.Sprintf("max_age: %q is no duration", text)
		}
		d.maxAge = age
	}
	return d, ""
}

// units of sizes, as Redis and Patroni have them: without a b they are powers of ten in Redis, but nobody who gives a lag means that.
var units = []struct {
	suffix string
	size   int64
}{{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"tb", 1 << 40}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1}, {"", 1}}

// size reads a size: 1MB, 64k, 100.
func size(text string) (n int64, ok bool) {
	text = strings.ToLower(text)
	for _, u := range units {
		digits, has := strings.CutSuffix(text, u.suffix)
		if !has {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		return n * u.size, err == nil && n >= 0 && n <= (1<<62)/u.size
	}
	return 0, false
}
