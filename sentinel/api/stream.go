package api

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
)

// Limits of streams.
const (
	maxStreams = 256 // of all kinds
	// A stream that has nothing to tell says so each quietTime, which shows whether the client still listens.
	quietTime = 15 * time.Second
	// slowest is how long a client may take to read what was written.
	slowest = 10 * time.Second
)

// streams are the answers that do not end by themselves.
type streams struct {
	open    chan struct{}   // holds an element for each
	closing <-chan struct{} // ends them all
}

// enter counts one more, or says that there are too many.
func (s *streams) enter(w http.ResponseWriter, r *http.Request) (leave func(), ok bool) {
	select {
	case s.open <- struct{}{}:
		return func() { <-s.open }, true
	default:
		problem(w, r, Problem{Status: http.StatusServiceUnavailable,
			Detail: fmt.Sprintf("there are %d streams already", cap(s.open)), Remedy: "end some, or ask another agent"})
		return nil, false
	}
}

// follow tells what there is whenever something has changed, until the client is gone or too slow, may not listen any more, or the server closes. tell
// says whether there is more to tell at once.
func (s *streams) follow(r *http.Request, out *stream, changed func() <-chan struct{}, tell func() (more bool)) {
	if r.Method == http.MethodHead {
		return // who asks for the header has got it
	}
	quiet := time.NewTicker(quietTime)
	defer quiet.Stop()
	for out.err == nil {
		news := changed() // before what is told: nothing that comes meanwhile is missed
		if tell() {
			continue
		}
		select {
		case <-news:
		case <-quiet.C:
			if !stillAdmitted(r) {
				return
			}
			out.comment("quiet")
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
	}
}

// stillAdmitted says whether whoever made a request might make it again.
func stillAdmitted(r *http.Request) bool {
	again, ok := r.Context().Value(admittedKey{}).(func() bool)
	return !ok || again()
}

// admittedKey is the context's key of what stillAdmitted asks.
type admittedKey struct{}

func withAdmission(ctx context.Context, again func() bool) context.Context {
	return context.WithValue(ctx, admittedKey{}, again)
}

// accepts says whether a request asks for a type of answer by name.
func accepts(r *http.Request, media string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if got, _, err := mime.ParseMediaType(strings.TrimSpace(part)); err == nil && got == media {
			return true
		}
	}
	return false
}

// stream writes server-sent events; after an error it writes no more.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	known   uint64 // id up to which the client was told everything, or does not want to be
	err     error
}

// begin says where the stream begins.
func (s *stream) begin(text string) {
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.comment(text)
}

func (s *stream) event(name string, id uint64, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		s.err = err
		return
	}
	s.write(fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", name, id, data))
}

// comment says something to people, and to programs up to where they know everything: a client that has got no event yet, or none that passes its filter
// for long, would not know where to go on.
func (s *stream) comment(text string) { s.write(fmt.Sprintf(": %s\nid: %d\n\n", text, s.known)) }

func (s *stream) write(text string) {
	if s.err != nil {
		return
	}
	if s.err = s.control.SetWriteDeadline(time.Now().Add(slowest)); s.err != nil {
		return
	}
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		s.err = s.control.Flush()
	}
}
