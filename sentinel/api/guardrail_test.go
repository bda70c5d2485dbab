package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// unreached is an agent whom no order may reach.
type unreached struct{ t *testing.T }

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

func TestGuardrails_RefuseStrangersAndNonsense(t *testing.T) {
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
		"nobody acknowledges":   {http.MethodPost, "/v1/masters/m/acknowledge", "", "127.0.0.1:1000", "", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			handler := testDoor(t, Config{Backend: &fake{}, Rails: unreached{t}})
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

// testDoor has the routes of a server that listens on loopback.
func testDoor(t *testing.T, cfg Config) http.Handler {
	t.Helper()
	a := newAccess(cfg.HTTP, true, cfg.Report)
	closing := make(chan struct{})
	t.Cleanup(func() { close(closing) })
	return a.audited(routes(cfg, a, closing))
}
