package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"picket/sentinel/state"
)

// Store is the replicated map.
type Store interface {
	// Latest gives the map with every write that was acknowledged before the call.
	Latest(context.Context) (*state.Map, error)
	// Present gives the map as this agent knows it, and a channel that is closed at its next change.
	Present() (*state.Map, <-chan struct{})
	// Write carries a write out once and gives its revision.
	Write(context.Context, state.Write) (uint64, error)
}

// kvTimeout bounds a request to the map.
const kvTimeout = 4 * time.Second

// Item is a key and what it holds.
type Item struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Revision uint64 `json:"revision"`
	// Stale: this agent did not ask the others; a newer value may have been acknowledged already.
	Stale bool `json:"stale,omitempty"`
}

// List is what the keys under a prefix hold.
type List struct {
	Prefix   string `json:"prefix"`
	Revision uint64 `json:"revision"` // of the newest change of any key: the list holds all up to it
	Stale    bool   `json:"stale,omitempty"`
	Items    []Item `json:"items"`
}

// Written acknowledges a write.
type Written struct {
	Key      string `json:"key"`
	Revision uint64 `json:"revision"`
}

// kv answers requests to the map.
type kv struct {
	store   Store
	streams *streams
}

func (k *kv) route(d *door) {
	stale := parameter{"stale", "As this agent knows it, without asking the others", false}
	conditions := []parameter{{"If-Match", "Only if the key has this revision", false}, {"If-None-Match", "*: only if there is no such key", false}}
	expect := parameter{"expect", "Only if the key holds this", false}
	d.handle("GET /v1/kv/{key...}", Read, operation{
		summary: "Read a key of the replicated map, or all that begin with it, or follow their changes.",
		query: []parameter{
			{"prefix", "All keys that begin with it", false}, stale,
			{"watch", "Follow the changes, as server-sent events: put, delete and, where changes were forgotten, compacted", false},
			{"from", "Of a watch: the revision to begin with", false},
		},
		header: []parameter{{"Last-Event-ID", "Of a watch: the last that was told", false}}, answer: Item{}, either: List{}, stream: true,
	}, k.read)
	d.handle("PUT /v1/kv/{key...}", Admin, operation{
		summary: "Write a key.", query: []parameter{expect}, header: conditions, text: true, answer: Written{}, limit: state.MaxValue,
	}, k.write)
	d.handle("DELETE /v1/kv/{key...}", Admin, operation{
		summary: "Delete a key.", query: []parameter{expect}, header: conditions, answer: Written{},
	}, k.write)
}

func (k *kv) read(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	key, prefix, stale := r.PathValue("key"), query.Has("prefix"), query.Has("stale")
	if err := state.CheckKey(key); err != nil && !prefix {
		refuse(w, r, err)
		return
	}
	if query.Has("watch") {
		k.watch(w, r, key, prefix)
		return
	}
	m, err := k.look(r.Context(), stale)
	if err != nil {
		refuse(w, r, err)
		return
	}
	if prefix {
		list := list(m, key)
		list.Stale = stale
		reply(w, http.StatusOK, list)
		return
	}
	entry := m.Get(key)
	if entry == nil {
		refuse(w, r, fmt.Errorf("%w: %s", state.ErrAbsent, key))
		return
	}
	w.Header().Set("ETag", etag(entry.Revision))
	item := item(entry)
	item.Stale = stale
	reply(w, http.StatusOK, item)
}

// look gives the map, from the group or as it is here.
func (k *kv) look(ctx context.Context, stale bool) (*state.Map, error) {
	if stale {
		m, _ := k.store.Present()
		return m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	return k.store.Latest(ctx)
}

func list(m *state.Map, prefix string) List {
	l := List{Prefix: prefix, Revision: m.Revision, Items: []Item{}}
	for _, e := range m.List(prefix) {
		l.Items = append(l.Items, item(e))
	}
	return l
}

func item(e *state.Entry) Item { return Item{Key: e.Key, Value: e.Value, Revision: e.Revision} }

func etag(revision uint64) string { return strconv.Quote(strconv.FormatUint(revision, 10)) }

// write carries out a PUT or a DELETE.
func (k *kv) write(w http.ResponseWriter, r *http.Request) {
	change := state.Write{Key: r.PathValue("key"), Delete: r.Method == http.MethodDelete}
	var err error
	if change.If, err = condition(r); err != nil {
		refuse(w, r, err)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, r, err)
		return
	}
	if !change.Delete {
		change.Value = string(body)
	}
	ctx, cancel := context.WithTimeout(r.Context(), kvTimeout)
	defer cancel()
	revision, err := k.store.Write(ctx, change)
	if err != nil {
		refuse(w, r, err)
		return
	}
	if !change.Delete {
		w.Header().Set("ETag", etag(revision))
	}
	reply(w, http.StatusOK, Written{Key: change.Key, Revision: revision})
}

// condition reads under which condition a write is wanted.
func condition(r *http.Request) (state.Condition, error) {
	match, noneMatch, query := r.Header.Get("If-Match"), r.Header.Get("If-None-Match"), r.URL.Query()
	given := 0
	for _, is := range []bool{match != "", noneMatch != "", query.Has("expect")} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return state.Condition{}, fmt.Errorf("%w: more than one condition: give one of If-Match, If-None-Match and expect", state.ErrInvalid)
	case match != "":
		revision, err := strconv.ParseUint(strings.Trim(match, `"`), 10, 64)
		if err != nil {
			return state.Condition{}, fmt.Errorf("%w: If-Match: %s is not a revision: give the ETag of an answer", state.ErrInvalid, match)
		}
		return state.Condition{Kind: state.IfRevision, Revision: revision}, nil
	case noneMatch == "*":
		return state.Condition{Kind: state.IfAbsent}, nil
	case noneMatch != "":
		return state.Condition{}, fmt.Errorf("%w: If-None-Match: only * is known", state.ErrInvalid)
	case query.Has("expect"):
		return state.Condition{Kind: state.IfValue, Value: query.Get("expect")}, nil
	}
	return state.Condition{}, nil
}
