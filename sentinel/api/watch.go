package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"picket/sentinel/state"
)

// Limits of watches.
const (
	maxStreams = 256 // of all kinds
	// A watch that has nothing to tell says so each quietTime, which shows whether the client still listens.
	quietTime = 15 * time.Second
	// slowest is how long a client may take to read what was written.
	slowest = 10 * time.Second
)

// Names of a watch's events. Each carries the revision as its id.
const (
	EventPut       = "put"       // an Item
	EventDelete    = "delete"    // an Item without a value
	EventCompacted = "compacted" // a List: changes were forgotten before they could be told, and this is what holds now
)

// watch streams the changes of a key, or of all keys with a prefix, as server-sent events: from the revision that the
// request names, or that follows the last one that the client was told, or from now on.
func (k *kv) watch(w http.ResponseWriter, r *http.Request, key string, prefix bool) {
	select {
	case k.watchers <- struct{}{}:
		defer func() { <-k.watchers }()
	default:
		problem(w, r, Problem{Status: http.StatusServiceUnavailable,
			Detail: fmt.Sprintf("there are %d streams already", maxStreams), Remedy: "end some, or ask another agent"})
		return
	}
	from, err := k.from(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	s := stream{w: w, control: http.NewResponseController(w)}
	s.begin()
	s.comment(fmt.Sprintf("from %d", from))
	quiet := time.NewTicker(quietTime)
	defer quiet.Stop()
	for s.err == nil {
		m, changed := k.store.Present()
		s.tell(m, from, key, prefix)
		from = max(from, m.Revision+1)
		select {
		case <-changed:
		case <-quiet.C:
			s.comment("quiet")
		case <-r.Context().Done():
			return
		case <-k.closing:
			return
		}
	}
}

// from is the revision at which a watch begins.
func (k *kv) from(r *http.Request) (uint64, error) {
	text, after := r.URL.Query().Get("from"), uint64(0)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		text, after = last, 1
	}
	if text == "" {
		m, err := k.look(r.Context(), r.URL.Query().Has("stale"))
		if err != nil {
			return 0, err
		}
		return m.Revision + 1, nil
	}
	revision, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not a revision", state.ErrInvalid, text)
	}
	return revision + after, nil
}

// stream writes server-sent events; after an error it writes no more.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *stream) begin() {
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("Cache-Control", "no-store")
	s.w.WriteHeader(http.StatusOK)
	s.err = s.control.SetReadDeadline(time.Time{}) // the request has been read; only its end may end the watch
}

// tell writes what changed from a revision on.
func (s *stream) tell(m *state.Map, from uint64, key string, prefix bool) {
	if from > m.Revision {
		return
	}
	changes, err := m.From(from)
	if err != nil {
		s.event(EventCompacted, m.Revision, compacted(m, key, prefix))
		return
	}
	for _, c := range changes {
		if c.Key != key && !(prefix && strings.HasPrefix(c.Key, key)) {
			continue
		}
		name := EventPut
		if c.Deleted {
			name = EventDelete
		}
		s.event(name, c.Revision, Item{Key: c.Key, Value: c.Value, Revision: c.Revision})
	}
}

// compacted is what holds now, for a watch that missed changes.
func compacted(m *state.Map, key string, prefix bool) List {
	if prefix {
		return list(m, key)
	}
	l := List{Prefix: key, Revision: m.Revision, Items: []Item{}}
	if e := m.Get(key); e != nil {
		l.Items = append(l.Items, item(e))
	}
	return l
}

func (s *stream) event(name string, revision uint64, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		s.err = err
		return
	}
	s.write(fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", name, revision, data))
}

func (s *stream) comment(text string) { s.write(": " + text + "\n\n") }

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
