package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/events"
	"picket/sentinel/state"
)

// TestEvents_FollowGoesOnAtAnotherAgent ends the first agent in the middle of its stream: every event is told once, and the gap of which the second one knows.
func TestEvents_FollowGoesOnAtAnotherAgent(t *testing.T) {
	event := func(id int) string {
		return fmt.Sprintf("id: %d\nevent: failover.begun\ndata: {\"sequence\":\"%d\",\"type\":\"io.picket.failover.begun.v1\"}\n\n", id, id)
	}
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := bubble(played(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			switch asked++; r.Host {
			case "a:1":
				if asked > 1 {
					w.WriteHeader(http.StatusServiceUnavailable)
					fmt.Fprint(w, `{"status":503,"detail":"it ends"}`)
					return
				}
				if q.Get("after") != "6" || !slices.Equal(q["type"], []string{"failover.*"}) {
					t.Errorf("asked for %v", q)
				}
				fmt.Fprint(w, ": after 6\n\n", event(7), event(8), "id: 9\nevent: failover.begun\ndata: {\"seq")
			case "b:1":
				if asked == 3 {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				if q.Get("after") != "8" {
					t.Errorf("the second agent is asked for what comes after %q", q.Get("after"))
				}
				fmt.Fprint(w, "id: 20\nevent: gap\ndata: {\"after\":8,\"forgotten\":20}\n\n", event(21))
			}
		}))
		var notes strings.Builder
		c.Notes = &notes
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		err := Events{Client: c, Types: []string{"failover.*"}}.Follow(ctx, "6", func(told Told) error {
			if told.Gap != nil {
				got = append(got, fmt.Sprint("gap to ", told.Gap.Forgotten))
				return nil
			}
			got = append(got, told.Sequence)
			if told.Sequence == "21" {
				cancel()
			}
			return nil
		})
		if want := []string{"7", "8", "gap to 20", "21"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		const broken = "the agent answers 500 Internal Server Error: is listen.http its address, and are picket and the agent of one version?"
		if want := "it ends: asking b:1\n" + broken + "; asking again until it answers\n"; notes.String() != want {
			t.Errorf("it is told %q, want %q", notes.String(), want)
		}
	})
}

// TestEvents_FollowMissesNothing: an agent that ends before it has told any event has said where to go on.
func TestEvents_FollowMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		c := bubble(played(func(w http.ResponseWriter, r *http.Request) {
			if first {
				first = false
				fmt.Fprint(w, ": after 6\nid: 6\n\n: quiet\nid: 7\n\n")
				return
			}
			if after := r.URL.Query().Get("after"); after != "7" {
				t.Errorf("it goes on after %q", after)
			}
			fmt.Fprint(w, "id: 8\nevent: master.added\ndata: {}\n\n")
		}))
		enough := errors.New("enough")
		if err := (Events{Client: c}).Follow(t.Context(), "", func(Told) error { return enough }); !errors.Is(err, enough) {
			t.Error(err)
		}
	})
}

func TestEvents_FollowEnds(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("type") == "nonsense" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":400,"detail":"there are no events nonsense"}`)
			return
		}
		fmt.Fprint(w, "id: 1\nevent: master.added\ndata: {}\n\n")
	}))
	c := At(config.Addr(s.Listener.Addr().String()))
	t.Cleanup(func() { c.Close(); s.Close() })
	enough := errors.New("enough")
	if err := (Events{Client: c}).Follow(t.Context(), "", func(Told) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v, want %v", err, enough)
	}
	if err := (Events{Client: c, Types: []string{"nonsense"}}).Follow(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a type that is none: %v", err)
	}
}

func TestWriteEvents(t *testing.T) {
	list := api.Events{Gap: true, Forgotten: 3, Events: []events.CloudEvent{
		{Sequence: "4", Type: "io.picket.failover.switched.v1", Subject: "m", Time: "2026-01-02T03:04:05.678Z", Epoch: "7", Data: state.EventData{To: "10.0.0.2:6379"}},
		{Sequence: "5", Type: "io.picket.pause.begun.v1", Time: "2026-01-02T03:04:06Z", Epoch: "7", Data: state.EventData{Who: "ann@host", Until: "later", Why: "new rack"}},
	}}
	var text strings.Builder
	if err := WriteEvents(&text, list); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"events up to 3 are forgotten", "failover.switched  m", "10.0.0.2:6379 is the master", "pause.begun", "by ann@host until later: new rack"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Errorf("there are colours in what is no terminal: %q", text.String())
	}
	text.Reset()
	if err := WriteEvents(Coloured{&text}, list); err != nil || !strings.Contains(text.String(), "\x1b[32mfailover.switched\x1b[0m") {
		t.Errorf("there are no colours for a terminal: %q, %v", text.String(), err)
	}
	text.Reset()
	if err := WriteTold(&text, Told{Gap: &api.Gap{Forgotten: 3}}); err != nil || text.String() != "events up to 3 are forgotten\n" {
		t.Errorf("a gap in a stream: %q, %v", text.String(), err)
	}
}

// TestServerSent: comments end no event, wherever they stand.
func TestServerSent(t *testing.T) {
	var got []string
	err := serverSent(strings.NewReader("event: a\n: quiet\nid: 1\n: quiet\ndata: x\n\nid: 2\n: quiet\n\n"), func(name, id, data string) error {
		got = append(got, name+","+id+","+data)
		return nil
	})
	if want := []string{"a,1,x", ",2,"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
