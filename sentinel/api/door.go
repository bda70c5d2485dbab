package api

import (
	"encoding/json"
	"net/http"
	"strings"
)

// operation describes a route to people and programs: it is the route's part of the OpenAPI description.
type operation struct {
	summary string
	query   []parameter
	header  []parameter
	body    any         // its type is that of the request's JSON; nil: there is none
	text    bool        // the request's body is any text
	answer  any         // its type is that of the JSON of success
	either  any         // another type of that answer
	also    map[int]any // other answers than success and problems
	media   []string    // of the answer; none: JSON
	stream  bool        // the answer may be server-sent events
	limit   int64       // of the request's body in bytes; 0: maxBody
}

// parameter is one of a request's, in its query or its header.
type parameter struct {
	name, text string
	required   bool
}

// route is one of the server's.
type route struct {
	method, path string
	role         Role
	operation    operation
}

// door has all routes. There is no way past it: what is not registered with a role and a description is not served.
type door struct {
	mux    *http.ServeMux
	access *access
	routes []route

	description json.RawMessage // of them all
}

func newDoor(a *access) *door { return &door{mux: http.NewServeMux(), access: a} }

// handle registers a route, for whoever has at least the role.
func (d *door) handle(pattern string, role Role, o operation, handle http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	d.routes = append(d.routes, route{method, path, role, o})
	limit := o.limit
	if limit == 0 {
		limit = maxBody
	}
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if r, ok := d.access.admit(w, r, role); ok {
			handle(w, r)
		}
	})
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if wait := d.access.requests.take(r.RemoteAddr); wait > 0 {
		slow(w, r, wait, "this address asks too often")
		return
	}
	if handler, pattern := d.mux.Handler(r); pattern == "" {
		lost(w, r, handler)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// lost answers a request for which there is no route. The mux knows whether it is the method that is wrong.
func lost(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	says := refusal{header: http.Header{}}
	handler.ServeHTTP(&says, r)
	p := Problem{Status: http.StatusNotFound, Detail: "there is nothing at this path", Remedy: "GET /v1/openapi.json lists what there is"}
	if allow := says.header.Get("Allow"); says.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		p = Problem{Status: says.status, Detail: "the path does not know the method " + r.Method, Remedy: "use one of " + allow}
	}
	problem(w, r, p)
}

// refusal takes in what the mux says itself.
type refusal struct {
	header http.Header
	status int
}

func (s *refusal) Header() http.Header { return s.header }

func (s *refusal) Write(text []byte) (int, error) { return len(text), nil }

func (s *refusal) WriteHeader(status int) { s.status = status }
