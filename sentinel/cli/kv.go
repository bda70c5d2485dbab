package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"picket/sentinel/api"
	"picket/sentinel/state"
)

// KV reads and writes the replicated map by way of an agent.
type KV struct {
	Client *Client
	Stale  bool // read what the agent knows, without asking the others
}

// Get reads a key.
func (k KV) Get(ctx context.Context, key string) (api.Item, error) {
	var item api.Item
	return item, k.fetch(ctx, key, nil, &item)
}

// List reads all keys that begin with prefix.
func (k KV) List(ctx context.Context, prefix string) (api.List, error) {
	var list api.List
	return list, k.fetch(ctx, prefix, url.Values{"prefix": {""}}, &list)
}

func (k KV) fetch(ctx context.Context, key string, query url.Values, into any) error {
	response, err := k.send(ctx, http.MethodGet, key, k.reading(query), nil, "")
	if err != nil {
		return err
	}
	return receive(response, into)
}

// reading adds to a query how a read is wanted.
func (k KV) reading(query url.Values) url.Values {
	if k.Stale {
		if query == nil {
			query = url.Values{}
		}
		query.Set("stale", "")
	}
	return query
}

// Write puts or deletes a key and gives the revision.
func (k KV) Write(ctx context.Context, w state.Write) (uint64, error) {
	if err := w.Check(); err != nil {
		return 0, err
	}
	header, query := http.Header{}, url.Values{}
	switch w.If.Kind {
	case state.IfAbsent:
		header.Set("If-None-Match", "*")
	case state.IfRevision:
		header.Set("If-Match", strconv.Quote(strconv.FormatUint(w.If.Revision, 10)))
	case state.IfValue:
		query.Set("expect", w.If.Value)
	}
	method := http.MethodPut
	if w.Delete {
		method = http.MethodDelete
	}
	response, err := k.send(ctx, method, w.Key, query, header, w.Value)
	if err != nil {
		return 0, err
	}
	var written api.Written
	return written.Revision, receive(response, &written)
}

// Change is an event of a watch.
type Change struct {
	Kind string   `json:"event"` // api.EventPut, api.EventDelete or api.EventCompacted
	Item api.Item `json:"item,omitzero"`
	// Present is what holds now, after changes were forgotten.
	Present *api.List `json:"present,omitempty"`
}

// Watch tells the changes of a key, or of all keys that begin with it, from a revision on (0: from now on), until ctx ends
// or tell fails.
func (k KV) Watch(ctx context.Context, key string, prefix bool, from uint64, tell func(Change) error) error {
	query := url.Values{"watch": {""}}
	if prefix {
		query.Set("prefix", "")
	}
	if from != 0 {
		query.Set("from", strconv.FormatUint(from, 10))
	}
	response, err := k.send(ctx, http.MethodGet, key, k.reading(query), nil, "")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	err = eachEvent(response.Body, tell)
	if ctx.Err() != nil {
		return nil // somebody has seen enough
	}
	if err != nil {
		return fmt.Errorf("watch %s: %w", key, err)
	}
	return errors.New("the agent ended the watch: watch at another agent, with --from the revision after the last one that was told")
}

// eachEvent reads the changes of a stream.
func eachEvent(stream io.Reader, tell func(Change) error) error {
	return serverSent(stream, func(name, _, data string) error {
		if data == "" {
			return nil
		}
		c := Change{Kind: name}
		if err := c.decode([]byte(data)); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		return tell(c)
	})
}

func (c *Change) decode(data []byte) error {
	if c.Kind == api.EventCompacted {
		c.Present = &api.List{}
		return json.Unmarshal(data, c.Present)
	}
	return json.Unmarshal(data, &c.Item)
}

// send asks for a key.
func (k KV) send(ctx context.Context, method, key string, query url.Values, header http.Header, body string) (*http.Response, error) {
	r := request{method: method, path: target(key, query), header: header, body: body}
	if query.Has("watch") {
		r.silence = silence
	}
	response, err := k.Client.send(ctx, r)
	if p := (api.Problem{}); errors.As(err, &p) {
		p.Detail += advice[p.Status]
		err = p
	}
	return response, err
}

// target is a key's path and query. Dots and slashes are escaped, too, so that nobody on the way tidies the path up.
func target(key string, query url.Values) string {
	return "/v1/kv/" + strings.ReplaceAll(url.PathEscape(key), ".", "%2E") + "?" + query.Encode()
}

// advice is what to do about an answer that says nothing of the kind itself.
var advice = map[int]string{
	http.StatusNotFound:           "; `picket kv list` shows the keys that there are",
	http.StatusPreconditionFailed: "; nothing was changed: look with `picket kv get`, and decide again",
}

// WriteItems writes keys as a table.
func WriteItems(out io.Writer, items []api.Item) error {
	var keys grid
	keys.head("KEY", "REVISION", "VALUE")
	for _, item := range items {
		keys.row(item.Key, item.Revision, fmt.Sprintf("%q", item.Value))
	}
	return keys.write(out)
}
