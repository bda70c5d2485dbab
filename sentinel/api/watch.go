package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"picket/sentinel/state"
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
	leave, ok := k.streams.enter(w, r)
	if !ok {
		return
	}
	defer leave()
	from, err := k.from(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	s := stream{w: w, control: http.NewResponseController(w), known: max(from, 1) - 1}
	s.begin(fmt.Sprintf("from %d", from))
	k.streams.follow(r, &s, func() <-chan struct{} { _, changed := k.store.Present(); return changed }, func() (more bool) {
		m, _ := k.store.Present()
		s.tell(m, from, key, prefix)
		from = max(from, m.Revision+1)
		s.known = from - 1
		return false
	})
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
