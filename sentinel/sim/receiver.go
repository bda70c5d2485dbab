package sim

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// receiver takes webhooks in.
type receiver struct {
	world  *world
	server http.Server
	done   chan error
	ill    atomic.Pointer[illness] // nil: it is well
}

// illness is how it fails.
type illness struct {
	kind   int
	master string // it refuses what concerns this one
}

// Kinds of illness.
const (
	illError  = iota // it answers with an error
	illHang          // it does not answer
	illSlow          // it asks to be left alone
	illMaster        // it refuses what concerns one master
	illnesses
)

func newReceiver(w *world) *receiver {
	r := &receiver{world: w, done: make(chan error, 1)}
	r.server.Handler = r
	listener, err := w.desk.Listen("tcp", ":8080")
	if err != nil {
		panic(err) // nobody else listens there
	}
	go func() { r.done <- r.server.Serve(listener) }() // ends with close, which waits for it
	return r
}

func (r *receiver) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	var h hook
	if err := json.NewDecoder(request.Body).Decode(&h); err != nil {
		r.world.violate("a webhook can't be read: %v", err)
	}
	if ill := r.ill.Load(); ill != nil && (ill.kind != illMaster || h.Subject == ill.master) {
		switch ill.kind {
		case illHang:
			<-request.Context().Done() // the sender gives up
			return
		case illSlow:
			answer.Header().Set("Retry-After", "2")
			answer.WriteHeader(http.StatusTooManyRequests)
			return
		}
		answer.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.world.checks.hooks.delivered(h)
	answer.WriteHeader(http.StatusNoContent)
}

func (r *receiver) close() {
	if r != nil {
		_ = r.server.Close() // what is under way does not count any more
		<-r.done
	}
}
