package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/api"
)

// failingOver is an agent that takes an order, and tells what it is given to tell after the newest event of before.
func failingOver(t *testing.T, told string) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch got := r.URL.Query(); r.Method + " " + r.URL.Path {
		case "GET /v1/events":
			fmt.Fprint(w, `{"latest":6}`)
		case "POST /v1/failover":
			fmt.Fprint(w, `{"name":"m"}`)
		case "GET /v1/events/stream":
			if got.Get("after") != "6" || got.Get("master") != "m" {
				t.Errorf("asked for %v", got)
			}
			fmt.Fprint(w, told)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
	}))
	c := At(config.Addr(s.Listener.Addr().String()))
	t.Cleanup(func() { c.Close(); s.CloseClientConnections(); s.Close() })
	return c
}

// step is an event of a failover as an agent tells it.
func step(id, ms int, kind, data string) string {
	return fmt.Sprintf("id: %d\nevent: %s\ndata: {\"sequence\":\"%[1]d\",\"type\":\"io.picket.%[2]s.v1\",\"subject\":\"m\",\"epoch\":\"4\",\"time\":\"2026-01-02T03:04:05.%03dZ\",\"data\":{%s}}\n\n", id, kind, ms, data)
}

func TestOrders_TellTheSteps(t *testing.T) {
	t.Parallel()
	begun := step(7, 100, "failover.begun", `"evidence":"ordered"`)
	for name, tc := range map[string]struct{ told, want, fails string }{
		"ended": {
			begun + step(9, 112, "failover.switched", `"to":"h:2"`) + step(10, 150, "failover.ended", "") + step(11, 200, "failover.begun", ""),
			"     0 ms  begun in epoch 4: ordered\n    12 ms  h:2 is the master, clients are told\n    50 ms  ended\n", "<nil>",
		},
		"after the end of another one": {
			step(7, 0, "failover.ended", `"failover":3`) + step(8, 100, "failover.begun", `"failover":8,"evidence":"ordered"`) + step(9, 110, "failover.ended", `"failover":8`),
			"     0 ms  ended\n   100 ms  begun in epoch 4: ordered\n   110 ms  ended\n", "<nil>",
		},
		"given up": {
			begun + step(8, 120, "failover.aborted", `"why":"no replica is left"`),
			"     0 ms  begun in epoch 4: ordered\n    20 ms  given up: no replica is left\n", "the failover of m was given up: no replica is left; nothing has changed",
		},
	} {
		var out strings.Builder
		err := Orders{Client: failingOver(t, tc.told), Who: "ann", Out: &out, Format: Table}.Failover(t.Context(), api.FailoverOrder{Master: "m"})
		if said := fmt.Sprint(err); out.String() != tc.want || said != tc.fails {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, out.String(), tc.want)
		}
	}
}

// TestOrders_NobodySaysHowItEnds: whoever stops waiting, by Ctrl-C or when the time is over, does not know what became of it.
func TestOrders_NobodySaysHowItEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	short, over := context.WithTimeout(t.Context(), 3*time.Second) // which the other one, and a busy machine, have a part of
	defer over()
	for ctx, stop := range map[context.Context]func(){ctx: cancel, short: func() {}} {
		out := &stopping{stop: stop}
		err := Orders{Client: failingOver(t, step(7, 0, "failover.begun", "")), Who: "ann", Out: out, Format: Table}.Failover(ctx, api.FailoverOrder{Master: "m"})
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, ctx.Err()) || !strings.Contains(err.Error(), "picket status") || !strings.Contains(out.String(), "begun") {
			t.Errorf("%v after %q", err, out.String())
		}
	}
}

// stopping ends something when something is written.
type stopping struct {
	strings.Builder
	stop func()
}

func (s *stopping) Write(p []byte) (int, error) {
	s.stop()
	return s.Builder.Write(p)
}
