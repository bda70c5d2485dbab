package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"picket/config"
)

// clock is the fake agent's.
var clock = time.Unix(1000, 0)

// master and follower are servers of which nothing bad can be said.
func master() Beside {
	return Beside{
		Agent: "a", Zone: "west", Wanted: true, Leader: "b", Server: "h:1", Name: "m", Seen: clock, Up: true, Role: "master", Ready: true, Office: true,
		Leased: true, Until: clock.Add(time.Millisecond),
	}
}

func follower() Beside {
	return Beside{
		Agent: "a", Zone: "west", Wanted: true, Leader: "b", Server: "h:2", Name: "m", Seen: clock, Up: true, Role: "slave", Ready: true, Follows: true,
		Lag: 100, Fresh: clock.Add(-time.Second),
	}
}

func TestChecks_SayHowTheServerStands(t *testing.T) {
	with := func(b Beside, f func(*Beside)) Beside { f(&b); return b }
	for name, c := range map[string]struct {
		beside  Beside
		yes, no string // paths
	}{
		"master":            {master(), "/primary /read-write /read-only /health /readiness /readyz", "/replica /leader"},
		"follower":          {follower(), "/replica /read-only /health /readiness /replica?lag=100 /replica?lag=1kB&max_age=1s&zone=west", "/primary /leader /replica?lag=99 /replica?max_age=999ms /replica?zone=east /read-only?lag=0 /readiness?lag=1b"},
		"the lease is over": {with(master(), func(b *Beside) { b.Until = clock }), "/health /readiness", "/primary /read-write /read-only"},
		"no leases":         {with(master(), func(b *Beside) { b.Leased, b.Until = false, time.Time{} }), "/primary", "/replica"},
		"fenced":            {with(master(), func(b *Beside) { b.Fenced = "why" }), "/health", "/primary /read-write /read-only"},
		"not the master":    {with(master(), func(b *Beside) { b.Office = false }), "/health", "/primary /replica /read-only"},
		"loading master":    {with(master(), func(b *Beside) { b.Ready = false }), "/health", "/primary /readiness"},
		"down":              {with(master(), func(b *Beside) { b.Up = false }), "", "/primary /health /readiness /read-only /replica"},
		"not looked at":     {with(master(), func(b *Beside) { b.Seen = clock.Add(-3 * time.Second) }), "", "/primary /health /readiness"},
		"unknown lag":       {with(follower(), func(b *Beside) { b.Lag = -1 }), "/replica", "/replica?lag=1TB"},
		"unknown age":       {with(follower(), func(b *Beside) { b.Fresh = time.Time{} }), "/replica", "/replica?max_age=1h"},
		"no link":           {with(follower(), func(b *Beside) { b.Follows = false }), "/health", "/replica /readiness /read-only"},
		"loading replica":   {with(follower(), func(b *Beside) { b.Ready = false }), "/health", "/replica /readiness"},
		"leader":            {with(follower(), func(b *Beside) { b.Leads = true }), "/leader", ""},
		"witness":           {Beside{Agent: "a", Leader: "b"}, "/readiness /liveness", "/primary /replica /health"},
		"lonely witness":    {Beside{Agent: "a"}, "/liveness /livez", "/readiness"},
		"not known yet":     {Beside{Agent: "a", Wanted: true}, "/liveness", "/health /primary /replica /readiness"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(newAccess(config.HTTP{Anonymous: config.AnonymousNone}, false, nil)) // which these are asked through all the same
			checks{&fake{beside: c.beside}}.route(d)
			for code, paths := range map[int]string{http.StatusOK: c.yes, http.StatusServiceUnavailable: c.no} {
				for _, path := range strings.Fields(paths) {
					for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
						w := httptest.NewRecorder()
						d.ServeHTTP(w, httptest.NewRequest(method, path, nil))
						if w.Code != code {
							t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
						}
						if has := w.Body.Len() > 0; has && method == http.MethodOptions {
							t.Errorf("OPTIONS %s has a body", path)
						} else if method == http.MethodGet && (code != http.StatusOK) != strings.Contains(w.Body.String(), `"why":"`) {
							t.Errorf("%s: %s", path, w.Body)
						}
					}
				}
			}
		})
	}
}

func TestBeside_ShowsWhatIsSo(t *testing.T) {
	with := func(b Beside, f func(*Beside)) Beside { f(&b); return b }
	for want, b := range map[string]Beside{
		`{"status":"ok","agent":"a","server":"h:1","master":"m","role":"primary","lease_ms":1}`:                                                      master(),
		`{"status":"ok","agent":"a","server":"h:1","master":"m","role":"primary"}`:                                                                   with(master(), func(b *Beside) { b.Leased = false }),
		`{"status":"ok","agent":"a","server":"h:2","master":"m","role":"replica","lag_bytes":100,"age_ms":1000}`:                                     follower(),
		`{"status":"ok","agent":"a","server":"h:2","master":"m","role":"replica","lag_bytes":-1}`:                                                    with(follower(), func(b *Beside) { b.Lag, b.Fresh = -1, time.Time{} }),
		`{"status":"no","why":"there is no Redis beside this agent","agent":"a"}`:                                                                    {Agent: "a"},
		`{"status":"no","why":"the agents do not know the Redis beside this agent yet","agent":"a"}`:                                                 {Agent: "a", Wanted: true},
		`{"status":"no","why":"it does not answer: refused","agent":"a","server":"h:2","master":"m","role":"replica","lag_bytes":100,"age_ms":1000}`: with(follower(), func(b *Beside) { b.Up, b.Text = false, "refused" }),
	} {
		text, err := json.Marshal(b.show(clock, b.answers(clock)))
		if err != nil || string(text) != want {
			t.Errorf("%s (%v), want %s", text, err, want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "10": 10, "10b": 10, "1k": 1024, "2KB": 2048, "1MB": 1 << 20, "3G": 3 << 30, "1tb": 1 << 40} {
		if got, ok := size(text); got != want || !ok {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5MB", "1PB", "MB", "9999999TB", " 1"} {
		if got, ok := size(text); ok {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}
