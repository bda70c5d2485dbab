// Package dashboard is the page that an agent shows in a browser: the topology as a picture, live events, the timeline of each failover, and what an
// operator may do. It is plain HTML, CSS and ES modules, embedded as they are written: nothing is built, and nothing is fetched from anywhere
// but the agent. The page asks the agent's HTTP API, as anybody may; there is no other way in.
//
// Modules of the page that only reckon (topology.js, timeline.js, events.js, the parser in stream.js) touch neither the document nor the network.
package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page
var embedded embed.FS

// policy has the browser load and ask nothing but this agent, run no script and apply no style that is not in one of its files, and show the
// page in no other one: whatever a server's error text says, it stays text.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler answers GET / with the page, and GET /dashboard/FILE with what it is made of.
func Handler() http.Handler {
	page, err := fs.Sub(embedded, "page")
	if err != nil {
		panic("dashboard: " + err.Error()) // the directory's name is a constant
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "page.html") })
	mux.HandleFunc("GET /dashboard/{file}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, r.PathValue("file")) })
	return guarded(mux)
}

func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // the next version of the agent brings another page
		next.ServeHTTP(w, r)
	})
}
