package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/consensus"
)

// unreached is an agent whom no order may reach.
type unreached struct {
	*obedient
	t *testing.T
}

func (u unreached) Pause(context.Context, PauseOrder) error {
	u.t.Error("the pause reached the agent")
	return nil
}

func (u unreached) Resume(context.Context, string, string) error {
	u.t.Error("the resume reached the agent")
	return nil
}

func (u unreached) Acknowledge(context.Context, string, string) (Acknowledged, error) {
	u.t.Error("the acknowledgement reached the agent")
	return Acknowledged{}, nil
}

func (u unreached) Change(context.Context, consensus.Change) error {
	u.t.Error("the change reached the group")
	return nil
}

func (u unreached) Transfer(context.Context, consensus.ServerID) error {
	u.t.Error("the transfer reached the group")
	return nil
}

func (u unreached) Switchover(context.Context, SwitchoverOrder) error {
	u.t.Error("the switchover reached the agent")
	return nil
}

func (u unreached) Force(context.Context, FailoverOrder) error {
	u.t.Error("the failover reached the agent")
	return nil
}

func (u unreached) Redeliver(context.Context, string, RedeliverOrder) error {
	u.t.Error("the order reached the webhook")
	return nil
}

func TestOrders_OfStrangersAndNonsenseReachNobody(t *testing.T) {
	const good = `{"for":"1h","who":"ann"}`
	for name, c := range map[string]struct {
		method, path, body, remote, origin string
		want                               int
	}{
		"another host":          {http.MethodPost, "/v1/pause", good, "10.0.0.9:1000", "", http.StatusForbidden},
		"a web page":            {http.MethodPost, "/v1/pause", good, "127.0.0.1:1000", "http://evil.example", http.StatusForbidden},
		"resume from afar":      {http.MethodDelete, "/v1/pause?who=ann", "", "10.0.0.9:1000", "", http.StatusForbidden},
		"acknowledge from afar": {http.MethodPost, "/v1/masters/m/acknowledge?who=ann", "", "10.0.0.9:1000", "", http.StatusForbidden},
		"no unit":               {http.MethodPost, "/v1/pause", `{"for":"60","who":"ann"}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"nobody":                {http.MethodPost, "/v1/pause", `{"for":"1h"}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"not JSON":              {http.MethodPost, "/v1/pause", "for=1h", "127.0.0.1:1000", "", http.StatusBadRequest},
		"misspelt":              {http.MethodPost, "/v1/pause", `{"for":"1h","who":"ann","maser":"m"}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"too long":              {http.MethodPost, "/v1/pause", `{"who":"` + strings.Repeat("x", 2*maxBody), "127.0.0.1:1000", "", http.StatusRequestEntityTooLarge},
		"nobody resumes":        {http.MethodDelete, "/v1/pause", "", "127.0.0.1:1000", "", http.StatusBadRequest},
		"too long a name":       {http.MethodDelete, "/v1/pause?who=" + strings.Repeat("x", 2*maxBody), "", "127.0.0.1:1000", "", http.StatusBadRequest},
		"no address":            {http.MethodPut, "/v1/members/z", `{}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"an address, misspelt":  {http.MethodPut, "/v1/members/z", `{"address":"h:1","x":1}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"a stranger leads":      {http.MethodPost, "/v1/members/z/lead", "", "127.0.0.1:1000", "", http.StatusNotFound},
		"a switchover of none":  {http.MethodPost, "/v1/switchover", `{"who":"ann"}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"a failover of none":    {http.MethodPost, "/v1/failover", `{"who":"ann"}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"events, said twice":    {http.MethodPost, "/v1/webhooks/ops/redeliver", `{"who":"ann","dead":true,"id":"c-1"}`, "127.0.0.1:1000", "", http.StatusBadRequest},
		"nobody acknowledges":   {http.MethodPost, "/v1/masters/m/acknowledge", "", "127.0.0.1:1000", "", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			u := unreached{&obedient{}, t}
			handler := testDoor(t, Config{Backend: u, Rails: u, Group: u, Orders: u, Webhooks: u})
			r := httptest.NewRequest(c.method, "http://127.0.0.1:26381"+c.path, strings.NewReader(c.body))
			r.RemoteAddr = c.remote
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.want)
			}
		})
	}
}

// TestOrders_OfWhoAsksTooOftenReachNobody: what is answered with 429 was not done.
func TestOrders_OfWhoAsksTooOftenReachNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := unreached{&obedient{}, t}
		handler := testDoor(t, Config{Backend: u, Orders: u, HTTP: guarded("none")})
		order := func(path string) int {
			r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:26381"+path, strings.NewReader(`{"master":"m","who":"ann"}`))
			r.RemoteAddr = "10.0.0.9:1000"
			r.Header.Set("Authorization", "Bearer "+operateToken)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Code
		}
		for range requestBurst {
			order("/nowhere")
		}
		if code := order("/v1/switchover"); code != http.StatusTooManyRequests {
			t.Errorf("answer %d", code)
		}
	})
}

// testDoor has the routes of a server that listens on loopback.
func testDoor(t *testing.T, cfg Config) http.Handler {
	t.Helper()
	a := newAccess(cfg.HTTP, true, cfg.Report)
	closing := make(chan struct{})
	t.Cleanup(func() { close(closing) })
	return a.audited(routes(cfg, a, closing))
}

// heard is an agent that keeps what it was told.
type heard struct {
	obedient
	order PauseOrder
}

func (h *heard) Pause(_ context.Context, o PauseOrder) error {
	h.order = o
	return nil
}

func TestPause_IsAsItWasOrdered(t *testing.T) {
	h := &heard{}
	r := local(http.MethodPost, "/v1/pause")
	r.Body = io.NopCloser(strings.NewReader(`{"master":"m","for":"1h30m","who":"ann","why":"disk"}`))
	w := httptest.NewRecorder()
	testDoor(t, Config{Backend: h, Rails: h}).ServeHTTP(w, r)
	if want := (PauseOrder{"m", Length(90 * time.Minute), "ann", "disk"}); w.Code != http.StatusOK || h.order != want {
		t.Errorf("%d, %+v, want %+v", w.Code, h.order, want)
	}
}
