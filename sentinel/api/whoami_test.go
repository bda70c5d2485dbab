package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"picket/config"
)

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
