package api

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/sentinel/api/apitest"
	"picket/sentinel/events"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// obedient is an agent that does whatever it is told, and has something to say to every question.
type obedient struct{ fake }

func (*obedient) Change(context.Context, consensus.Change) error     { return nil }
func (*obedient) Transfer(context.Context, consensus.ServerID) error { return consensus.ErrNoLeader }
func (*obedient) Pause(context.Context, PauseOrder) error            { return nil }
func (*obedient) Resume(context.Context, string, string) error       { return nil }
func (*obedient) Acknowledge(context.Context, string, string) (Acknowledged, error) {
	return Acknowledged{"m", 7}, nil
}
func (*obedient) Switchover(context.Context, SwitchoverOrder) error { return nil }
func (*obedient) CancelSwitchover(context.Context, string, string) error {
	return picture.ErrUnknownMaster
}
func (*obedient) Forget(context.Context, string, config.Addr) error { return nil }
func (*obedient) Force(context.Context, FailoverOrder) error        { return blocked{} }
func (*obedient) Predict(string, failover.Failure) (failover.Forecast, error) {
	return failover.Forecast{Failure: failover.Failure{Servers: []config.Addr{"h:1"}}, Decision: decision(), Within: time.Second}, nil
}

func (*obedient) Rehearse(string, config.Addr) (failover.Rehearsal, error) {
	return failover.Rehearsal{From: "h:1", To: "h:2", Why: "why", Others: []failover.Candidate{{Server: "h:3", Unfit: "it is not up"}}}, nil
}

func (*obedient) Why(string, time.Time) (Why, error) {
	d := decision()
	return Why{Master: "m", Agent: "a", Decision: &d, Last: &failover.Record{ID: 1, Phase: failover.Ended, EndAt: 5}, Diverged: &failover.Divergence{Known: true}}, nil
}

func (*obedient) Webhooks() WebhookList {
	return WebhookList{Agent: "a", Leader: "b", Webhooks: []Webhook{{Name: "all"}, {Name: "ops", Oldest: time.Unix(5, 0), LastError: &WebhookError{Next: time.Unix(9, 0)}}}}
}

func (*obedient) DeadLetters(name string) (DeadLetters, error) {
	if name != "ops" {
		return DeadLetters{}, state.ErrUnknown
	}
	dead := events.Of("c", state.Event{ID: 1, Type: state.FailoverEnded, Master: "m"})
	return DeadLetters{Webhook: name, Letters: []DeadLetter{{ID: "c-1", Event: dead, AgainSince: time.Unix(5, 0)}}}, nil
}

func (*obedient) TestWebhook(context.Context, string, string) (WebhookTested, error) {
	return WebhookTested{Webhook: "ops", Agent: "a", Error: "refused"}, nil
}
func (*obedient) Redeliver(context.Context, string, RedeliverOrder) error { return nil }
func (*obedient) EnableWebhook(context.Context, string, string) error     { return nil }
func (*obedient) DropLetters(_ context.Context, _, id, _ string) error {
	if id == "?" {
		return state.ErrInvalid
	}
	return nil
}

func decision() failover.Decision {
	return failover.Decision{Servers: []failover.Sight{{Server: "h:1", Opinions: []failover.Word{{Agent: "a", Age: time.Second}}}}, Outlook: &failover.Imagined{Target: "h:2"}}
}

// blocked is an error as an agent gives it.
type blocked struct{}

func (blocked) Error() string { return "blocked" }
func (blocked) Blocked() failover.Blocker {
	return failover.Blocker{Reason: "cooldown", Text: "text", Remedy: "remedy"}
}

func whole(t testing.TB) (Config, *store) {
	t.Helper()
	agent, st := &obedient{}, &store{machine: state.NewMachine()}
	agent.beside = Beside{Agent: "a", Leads: true, Leader: "a", Wanted: true}
	failedOver(t, st)
	if _, err := st.Write(t.Context(), state.Write{Key: "a", Value: "1"}); err != nil {
		t.Fatal(err)
	}
	return Config{
		Backend: agent, Group: agent, Rails: agent, Orders: agent, Webhooks: agent, Reasons: agent, Store: st, Version: "v1",
		Cluster: "c", History: st.machine,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		}),
	}, st
}

// description is the served one.
func description(t testing.TB, door http.Handler) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	door.ServeHTTP(w, local(http.MethodGet, "/v1/openapi.json"))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// TestOpenAPI_SaysWhatARequestNeeds: clients are made of it, and one that leaves away what it does not name would be refused.
func TestOpenAPI_SaysWhatARequestNeeds(t *testing.T) {
	cfg, _ := whole(t)
	var described struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Required bool
			}
			RequestBody struct{ Content map[string]any }
			Responses   map[string]struct{ Content map[string]any }
			Security    []map[string]any
		}
		Components struct {
			Schemas map[string]struct{ Required []string }
		}
	}
	if err := json.Unmarshal(description(t, testDoor(t, cfg)), &described); err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"get /livez":                    "; answers application/json",
		"get /v1/status":                "; answers application/json; a role",
		"get /v1/events/stream":         "query after, query type, query master, header Last-Event-ID; answers text/event-stream; a role",
		"get /v1/masters/{name}/plan":   "query fail!, query fail-agent, path name!; answers application/json; a role",
		"put /v1/kv/{key}":              "query expect, path key!, header If-Match, header If-None-Match; takes text/plain; answers application/json; a role",
		"post /v1/switchover":           "; takes application/json; answers application/json; a role",
		"delete /v1/switchover":         "query master!, query who; answers application/json; a role",
		"post /v1/members/{id}/lead":    "path id!; answers application/json; a role",
		"get /dashboard/{file}":         "path file!; answers image/svg+xml text/css text/javascript",
		"get /v1/kv/{key}":              "query prefix, query stale, query watch, query from, path key!, header Last-Event-ID; answers application/json text/event-stream; a role",
		"post /v1/webhooks/{name}/test": "path name!; takes application/json; answers application/json; a role",
	} {
		method, path, _ := strings.Cut(request, " ")
		o := described.Paths[path][method]
		var parameters []string
		for _, p := range o.Parameters {
			parameters = append(parameters, p.In+" "+p.Name+map[bool]string{true: "!"}[p.Required])
		}
		got := strings.Join(parameters, ", ")
		for media := range o.RequestBody.Content {
			got += "; takes " + media
		}
		got += "; answers " + strings.Join(slices.Sorted(maps.Keys(o.Responses["200"].Content)), " ")
		if len(o.Security) > 0 {
			got += "; a role"
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", request, got, want)
		}
	}
	if got := described.Components.Schemas["SwitchoverOrder"].Required; !slices.Equal(got, []string{"master", "who"}) {
		t.Errorf("a switchover needs %v", got)
	}
}

// TestOpenAPI_TypesOfOneName: each is described, and what is met again is not described again.
func TestOpenAPI_TypesOfOneName(t *testing.T) {
	s := schemas{known: object{}, types: map[string]reflect.Type{}}
	for _, c := range []struct {
		of   reflect.Type
		want string
	}{
		{reflect.TypeFor[PauseOrder](), "PauseOrder"}, {reflect.TypeFor[Webhook](), "Webhook"},
		{reflect.TypeFor[config.Webhook](), "ConfigWebhook"}, {reflect.TypeFor[Webhook](), "Webhook"},
	} {
		if got := s.of(c.of)["$ref"]; got != "#/components/schemas/"+c.want {
			t.Errorf("%s is described as %v", c.of, got)
		}
	}
}

// TestAnswers_AreAboutWhatWasAskedFor, where there is more of its kind.
func TestAnswers_AreAboutWhatWasAskedFor(t *testing.T) {
	cfg, _ := whole(t)
	door := testDoor(t, cfg)
	for _, c := range []struct{ request, body, want string }{
		{"POST /v1/webhooks/ops/enable", `{"who":"ann"}`, `{"name":"ops",`},
		{"GET /v1/blocked", "", `[{"master":"m","blocker":{"reason":"no-candidate",`},
		{"POST /v1/failover", `{"master":"m","who":"ann"}`, `{"type":"urn:picket:blocked:cooldown","title":"Conflict","status":409,"detail":"text","instance":"/v1/failover","remedy":"remedy"}`},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r := local(method, target)
		r.Body = io.NopCloser(strings.NewReader(c.body))
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if !strings.HasPrefix(w.Body.String(), c.want) {
			t.Errorf("%s: %s, want %s", c.request, w.Body, c.want)
		}
	}
}

// TestOpenAPI_DescribesTheRoutes compares the served description with the mux, in both directions.
func TestOpenAPI_DescribesTheRoutes(t *testing.T) {
	cfg, _ := whole(t)
	a := newAccess(config.HTTP{}, true, nil)
	d := routes(cfg, a, nil)
	var described struct {
		Paths map[string]map[string]struct{ OperationID, Summary, Description string }
	}
	if err := json.Unmarshal(description(t, d), &described); err != nil {
		t.Fatal(err)
	}
	n, ids := 0, map[string]bool{}
	for path, methods := range described.Paths {
		for method, o := range methods {
			n++
			filled := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "x")
			_, pattern := d.mux.Handler(httptest.NewRequest(strings.ToUpper(method), filled, nil))
			if got := strings.NewReplacer("...}", "}", "{$}", "").Replace(pattern); got != strings.ToUpper(method)+" "+path {
				t.Errorf("%s %s is described, and served by %q", method, path, pattern)
			}
			if o.Summary == "" || ids[o.OperationID] {
				t.Errorf("%s %s has no summary, or the id of another one: %+v", method, path, o)
			}
			ids[o.OperationID] = true
		}
	}
	if n != len(d.routes) {
		t.Errorf("%d routes are described, of %d", n, len(d.routes))
	}
}

type exchange struct {
	request, body string
	want          int
}

// exchanges are requests that touch every route, and what they are answered with.
var exchanges = []exchange{
	{"GET /healthz", "", 200},
	{"GET /metrics", "", 200},
	{"GET /v1/openapi.json", "", 200},
	{"GET /", "", 200},
	{"GET /dashboard/main.js", "", 200},
	{"GET /dashboard/style.css", "", 200},
	{"GET /v1/whoami", "", 200},
	{"GET /v1/status", "", 200},
	{"GET /v1/masters", "", 200},
	{"GET /v1/masters/m", "", 200},
	{"GET /v1/masters/z", "", 404},
	{"GET /v1/agents", "", 200},
	{"GET /v1/events", "", 200},
	{"GET /v1/events?after=c-2&limit=1&type=failover.*&master=m", "", 200},
	{"GET /v1/events?after=x", "", 400},
	{"GET /v1/events?limit=0", "", 400},
	{"GET /v1/events?type=nonsense", "", 400},
	{"GET /v1/events/stream?after=x", "", 400},
	{"GET /v1/history", "", 200},
	{"GET /v1/history?limit=x", "", 400},
	{"GET /v1/history/3", "", 200},
	{"GET /v1/history/77", "", 404},
	{"GET /v1/history/x", "", 400},
	{"GET /nowhere", "", 404},
	{"PATCH /v1/status", "", 405},
	{"GET /v1/members", "", 200},
	{"PUT /v1/members/z", `{"address":"h:1"}`, 200},
	{"PUT /v1/members/z", `{}`, 400},
	{"DELETE /v1/members/a", "", 200},
	{"DELETE /v1/members/z", "", 404},
	{"POST /v1/members/a/promote", "", 200},
	{"POST /v1/members/z/promote", "", 404},
	{"POST /v1/members/a/lead", "", 503},
	{"GET /v1/pause", "", 200},
	{"GET /v1/webhooks", "", 200},
	{"GET /v1/webhooks/ops/dead", "", 200},
	{"GET /v1/webhooks/other/dead", "", 404},
	{"DELETE /v1/webhooks/ops/dead?who=ann", "", 200},
	{"DELETE /v1/webhooks/ops/dead?who=ann&id=?", "", 400},
	{"POST /v1/webhooks/ops/test", `{"who":"ann"}`, 200},
	{"POST /v1/webhooks/ops/test", `{}`, 400},
	{"POST /v1/webhooks/ops/redeliver", `{"who":"ann","dead":true}`, 200},
	{"POST /v1/webhooks/ops/redeliver", `{"who":"ann","dead":true,"id":"c-1"}`, 400},
	{"POST /v1/webhooks/ops/redeliver", `{"who":"ann"}`, 400},
	{"POST /v1/webhooks/ops/enable", `{"who":"ann"}`, 200},
	{"POST /v1/pause", `{"for":"1h","who":"ann"}`, 200},
	{"POST /v1/pause", `{"for":1}`, 400},
	{"DELETE /v1/pause?who=ann", "", 200},
	{"DELETE /v1/pause", "", 400},
	{"POST /v1/masters/m/acknowledge?who=ann", "", 200},
	{"POST /v1/switchover", `{"master":"m","who":"ann"}`, 200},
	{"POST /v1/switchover", `{"who":"ann"}`, 400},
	{"DELETE /v1/switchover?master=m&who=ann", "", 404},
	{"POST /v1/failover", `{"master":"m","who":"ann"}`, 409},
	{"DELETE /v1/masters/m/replicas/h:2", "", 200},
	{"GET /v1/masters/m/why", "", 200},
	{"GET /v1/masters/m/why?at=now", "", 400},
	{"GET /v1/masters/m/plan?fail=h:1", "", 200},
	{"GET /v1/masters/m/plan", "", 400},
	{"GET /v1/masters/m/rehearsal?to=h:2", "", 200},
	{"GET /v1/blocked", "", 200},
	{"GET /v1/kv/a", "", 200},
	{"GET /v1/kv/b", "", 404},
	{"GET /v1/kv/?prefix", "", 200},
	{"PUT /v1/kv/a", "2", 200},
	{"PUT /v1/kv/a?expect=9", "3", 412},
	{"DELETE /v1/kv/a", "", 200},
}

func TestOpenAPI_AnswersAreAsDescribed(t *testing.T) {
	cfg, _ := whole(t)
	door := testDoor(t, cfg)
	c, err := apitest.New(description(t, door))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields("primary read-write replica read-only leader health readiness readyz liveness livez healthz") {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			code := 503
			if strings.HasPrefix(path, "live") || path == "healthz" || path == "leader" {
				code = 200
			}
			exchanges = append(exchanges, exchange{method + " /" + path, "", code})
		}
	}
	exchanges = append(exchanges, exchange{"GET /replica?lag=x", "", 400}, exchange{"GET /replica?max_age=x", "", 400})
	touched := map[string]bool{}
	for _, x := range exchanges {
		method, target, _ := strings.Cut(x.request, " ")
		r := httptest.NewRequest(method, "http://127.0.0.1:26381"+target, strings.NewReader(x.body))
		r.RemoteAddr = "127.0.0.1:999"
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code != x.want {
			t.Errorf("%s: %d, want %d: %s", x.request, w.Code, x.want, w.Body)
		}
		if err := c.Check(method, r.URL.Path, w.Result()); err != nil {
			t.Error(err)
		}
		if h := w.Header(); h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Cache-Control"), "no-") || w.Code == 405 && h.Get("Allow") == "" {
			t.Errorf("%s: %v", x.request, h)
		}
		touched[r.Pattern] = true
		if p := (Problem{}); x.want >= 400 && w.Header().Get("Content-Type") != "application/json" && method != "HEAD" && method != "OPTIONS" && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != x.want || p.Instance != r.URL.Path || p.Detail == "" || p.Title == "" || p.Type == "") {
			t.Errorf("%s: no whole problem: %+v", x.request, p)
		}
	}
	a := newAccess(config.HTTP{}, true, nil)
	for _, r := range routes(cfg, a, nil).routes {
		if !touched[r.method+" "+r.path] {
			t.Errorf("%s %s was not tried", r.method, r.path)
		}
	}
}
