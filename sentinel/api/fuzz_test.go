package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"picket/config"
	"picket/sentinel/api/apitest"
)

// FuzzHTTP asks anything, as somebody who shows nothing, from another host, and as a program on the agent's host that may do everything. The former
// changes and reads nothing; whatever is answered is as described.
func FuzzHTTP(f *testing.F) {
	for _, x := range exchanges {
		method, target, _ := strings.Cut(x.request, " ")
		f.Add(method, target, "", "", x.body)
	}
	f.Add("GET", "/v1/events?after=18446744073709551615&limit=1&type=*", "Accept", "text/event-stream;q=x,,", "")
	f.Add("PUT", "/v1/kv/%2e%2e/%00?expect", "If-Match", `"99999999999999999999"`, strings.Repeat("x", 70000))
	f.Add("GET", "/replica?lag=-1MB&max_age=1e9h", "Authorization", "Bearer \x00", "")
	f.Add("POST", "/v1/pause", "Origin", "null", `{"for":"-1h","who":"\u0000","master":["x"]}`)
	f.Add("GET", "/v1/kv/a?watch&from=18446744073709551615", "Last-Event-ID", "18446744073709551615", "")
	type asked struct {
		door  http.Handler
		store *store
		check *apitest.Checker
		none  bool // strangers may do nothing
	}
	var doors []asked
	for _, cfg := range []config.HTTP{{}, {Anonymous: config.AnonymousNone}} {
		whole, st := whole(f)
		whole.HTTP = cfg
		access := newAccess(cfg, true, nil)
		access.requests.pause = 0 // nobody asks too often
		door := access.audited(routes(whole, access, nil))
		check, err := apitest.New(description(f, door))
		if err != nil {
			f.Fatal(err)
		}
		doors = append(doors, asked{door, st, check, cfg.Anonymous == config.AnonymousNone})
	}
	f.Fuzz(func(t *testing.T, method, target, header, value, body string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(method+target, " \r\n\t") || method == "" {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // streams end at once
		request := func() *http.Request {
			r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:26381"+target, strings.NewReader(body))
			if err != nil {
				return nil
			}
			r.RequestURI, r.RemoteAddr = target, "127.0.0.1:999"
			if header != "" {
				r.Header.Set(header, value)
			}
			return r
		}
		if request() == nil {
			return
		}
		for _, d := range doors {
			before := d.store.index
			r, w := request(), httptest.NewRecorder()
			d.door.ServeHTTP(w, r)
			if r.URL.Path != "" && w.Code != http.StatusTemporaryRedirect && w.Code != http.StatusMovedPermanently && w.Code != http.StatusPermanentRedirect {
				if err := d.check.Check(method, r.URL.Path, w.Result()); err != nil {
					t.Error(err)
				}
			}
			if d.none {
				if d.store.index != before {
					t.Error("a stranger has changed the map")
				}
				if w.Code == http.StatusOK && !public(r.URL.Path) {
					t.Errorf("a stranger reads %s: %s", r.URL.Path, w.Body)
				}
			}
		}
	})
}

// public says whether everybody may ask for a path.
func public(path string) bool {
	return !strings.HasPrefix(path, "/v1/") && path != "/metrics" || path == "/v1/openapi.json"
}
