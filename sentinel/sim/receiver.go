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
	ill    atomic.Bool // it answers with errors
}

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
	if r.ill.Load() {
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
