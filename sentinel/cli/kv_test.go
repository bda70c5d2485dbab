package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"picket/config"
	"picket/consensus"
	"picket/sentinel/api"
	"picket/sentinel/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a map without a group.
type store struct {
	machine *state.Machine
	index   consensus.Index
}

func (s *store) Latest(context.Context) (*state.Map, error) { return &s.machine.State().Map, nil }

func (s *store) Present() (*state.Map, <-chan struct{}) {
	changed := s.machine.Changed()
	return &s.machine.State().Map, changed
}

func (s *store) Write(_ context.Context, w state.Write) (uint64, error) {
	c := state.Command{Write: &w}
	data, err := c.Encode()
	if err != nil {
		return 0, err
	}
	s.index++
	return state.DecodeResult(s.machine.EncodeResult(s.machine.Apply(consensus.Entry{Index: s.index, Term: 1, Data: data})))
}

// serve runs an agent's HTTP door around an empty map.
func serve(t *testing.T) KV {
	t.Helper()
	s, err := api.Listen(api.Config{
		Addr: "127.0.0.1:0", Store: &store{machine: state.NewMachine()},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := At(config.Addr(s.Addr().String()))
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return KV{Client: c}
}

func TestKV(t *testing.T) {
	kv := serve(t)
	put := func(key, value string, c state.Condition) state.Write {
		return state.Write{Key: key, Value: value, If: c}
	}
	for i, tc := range []struct {
		w    state.Write
		want string // in the error; empty: none
	}{
		{put("a", "1", state.Condition{}), ""},
		{put("a", "2", state.Condition{Kind: state.IfAbsent}), "picket kv get"},
		{put("a", "2", state.Condition{Kind: state.IfRevision, Revision: 1}), ""},
		{put("a", "3", state.Condition{Kind: state.IfValue, Value: "2"}), ""},
		{put("a", "4", state.Condition{Kind: state.IfValue, Value: ""}), "written at revision 4"},
		{put(".x/y z%2F?#ü/...", "&", state.Condition{}), ""},
		{state.Write{Key: "nothing", Delete: true}, "picket kv list"},
		{state.Write{Key: "a", Delete: true, If: state.Condition{Kind: state.IfRevision, Revision: 4}}, ""},
	} {
		revision, err := kv.Write(t.Context(), tc.w)
		switch {
		case tc.want == "" && (err != nil || revision != uint64(i+1)):
			t.Errorf("%+v: revision %d, %v", tc.w, revision, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%+v: error %v, want %q", tc.w, err, tc.want)
		}
	}
	if _, err := kv.Write(t.Context(), put("a//b", "", state.Condition{})); !errors.Is(err, state.ErrInvalid) {
		t.Errorf("a key that is none: %v", err)
	}
	strange := api.Item{Key: ".x/y z%2F?#ü/...", Value: "&", Revision: 6}
	if got, err := kv.Get(t.Context(), strange.Key); err != nil || got != strange {
		t.Errorf("%+v, %v", got, err)
	}
	kv.Stale = true
	if got, err := kv.Get(t.Context(), strange.Key); err != nil || !got.Stale {
		t.Errorf("stale: %+v, %v", got, err)
	}
	for prefix, n := range map[string]int{"": 1, ".": 1, ".x/y z%": 1, ".x//": 0, "..": 0} {
		if got, err := kv.List(t.Context(), prefix); err != nil || got.Prefix != prefix || len(got.Items) != n || !got.Stale {
			t.Errorf("list %q: %+v, %v", prefix, got, err)
		}
	}
	var p api.Problem
	if _, err := kv.Get(t.Context(), "a"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("get of nothing: %v", err)
	}
}

func TestKV_Watch(t *testing.T) {
	kv := serve(t)
	for i := range 3 {
		if _, err := kv.Write(t.Context(), state.Write{Key: fmt.Sprint("k", i), Value: "a\nb"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.Write(t.Context(), state.Write{Key: "k1", Delete: true}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		key    string
		prefix bool
		from   uint64
		want   []string
	}{
		{"k1", false, 1, []string{"put k1 @2", "delete k1 @4"}},
		{"k", true, 2, []string{"put k1 @2", "put k2 @3", "delete k1 @4"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		err := kv.Watch(ctx, tc.key, tc.prefix, tc.from, func(c Change) error {
			got = append(got, fmt.Sprintf("%s %s @%d", c.Kind, c.Item.Key, c.Item.Revision))
			if len(got) == len(tc.want) {
				cancel()
			}
			return nil
		})
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("watch %s from %d: %q, %v; want %q", tc.key, tc.from, got, err, tc.want)
		}
		cancel()
	}
	enough := errors.New("enough")
	if err := kv.Watch(t.Context(), "k2", false, 1, func(Change) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v, want %v", err, enough)
	}
}

func TestEachEvent(t *testing.T) {
	for _, tc := range []struct{ stream, want, err string }{
		{"", "", ""},
		{": from 1\n\nevent: put\nid: 1\ndata: {\"key\":\"a\",\"value\":\"b\",\"revision\":1}\n\n: quiet\n\n", "put a=b @1\n", ""},
		{"event: compacted\ndata: {\"revision\":9,\"items\":[{\"key\":\"a\"}]}\n\nevent: delete\ndata: {\"key\":\"a\"}\n\n",
			"compacted 1 @9\ndelete a= @0\n", ""},
		{"event: put\ndata: {\n\n", "", "read an event"},
		{"event: put\ndata: {\"key\":\"a\"", "", ""}, // cut short
	} {
		var got strings.Builder
		err := eachEvent(strings.NewReader(tc.stream), func(c Change) error {
			if c.Present != nil {
				fmt.Fprintf(&got, "%s %d @%d\n", c.Kind, len(c.Present.Items), c.Present.Revision)
				return nil
			}
			fmt.Fprintf(&got, "%s %s=%s @%d\n", c.Kind, c.Item.Key, c.Item.Value, c.Item.Revision)
			return nil
		})
		if got.String() != tc.want || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %q, %v; want %q, %q", tc.stream, got.String(), err, tc.want, tc.err)
		}
	}
}

func TestKV_NoAgent(t *testing.T) {
	kv := KV{Client: At("127.0.0.1:1")}
	if _, err := kv.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("%v", err)
	}
}
