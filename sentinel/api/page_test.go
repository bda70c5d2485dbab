package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"picket/config"
)

// TestPage_IsForEverybody: a browser on another host gets the page, which holds nothing of the agents, and nothing else without a token.
func TestPage_IsForEverybody(t *testing.T) {
	cfg, _ := whole(t)
	door := testDoor(t, cfg)
	for path, want := range map[string]int{"/": 200, "/dashboard/main.js": 200, "/dashboard/none.js": 404, "/v1/status": 401, "/v1/whoami": 401, "/v1/masters/m/rehearsal": 401} {
		r := httptest.NewRequest(http.MethodGet, "http://10.0.0.1:26381"+path, nil)
		r.RemoteAddr = "10.0.0.9:999"
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
		if policy := w.Header().Get("Content-Security-Policy"); want == 200 && !strings.HasPrefix(policy, "default-src 'self'") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
	}
}

// TestWhoAmI: whoever asks learns what he may do, so that a page offers nothing else.
func TestWhoAmI(t *testing.T) {
	const secret = "0123456789abcdef"
	for name, c := range map[string]struct {
		tokens []config.Token
		header string
		want   Caller
	}{
		"without any tokens, a program on this host": {nil, "", Caller{Role: config.RoleAdmin}},
		"one who shows none":                         {[]config.Token{{Name: "ann", Token: secret, Role: config.RoleOperate}}, "", Caller{Role: config.RoleRead}},
		"one who does":                               {[]config.Token{{Name: "ann", Token: secret, Role: config.RoleOperate}}, "Bearer " + secret, Caller{"ann", "token", config.RoleOperate}},
	} {
		cfg, _ := whole(t)
		cfg.HTTP.Tokens = c.tokens
		r := local(http.MethodGet, "/v1/whoami")
		r.Header.Set("Authorization", c.header)
		if c.header == "" {
			r.Header.Del("Authorization")
		}
		w := httptest.NewRecorder()
		testDoor(t, cfg).ServeHTTP(w, r)
		var got Caller
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got != c.want {
			t.Errorf("%s: %d, %+v, %v; want %+v", name, w.Code, got, err, c.want)
		}
	}
}
