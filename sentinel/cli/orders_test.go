package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/api"
)

// failingOver is an agent that takes an order, tells what it is given to tell after the newest event of before (nothing: it refuses to), and knows what was.
func failingOver(t *testing.T, told string, was ...failover.Record) *Client {
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
			if told == "" {
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, `{"status":403,"detail":"no"}`)
				return
			}
			fmt.Fprint(w, told)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "GET /v1/history":
			if got.Get("master") != "m" {
				t.Errorf("asked for %v", got)
			}
			list := api.Pasts{}
			for _, r := range was {
				list.Failovers = append(list.Failovers, api.Past{Record: r})
			}
			_ = json.NewEncoder(w).Encode(list)
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

// TestOrders_OfWhatRunsAlready: an order may join a failover, whose beginning is told no more.
func TestOrders_OfWhatRunsAlready(t *testing.T) {
	t.Parallel()
	told := step(8, 0, "failover.ended", `"failover":3`)
	for allow, want := range map[bool]string{true: "<nil>", false: "context deadline exceeded"} {
		synctest.Test(t, func(t *testing.T) {
			c := bubble(func(r *http.Request) (*http.Response, error) {
				body := map[string]string{"/v1/events": `{"latest":6}`, "/v1/failover": `{"name":"m","failover":{"id":3}}`, "/v1/events/stream": told}[r.URL.Path]
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := Orders{Client: c, Out: io.Discard, Format: Table}.Failover(ctx, api.FailoverOrder{Master: "m", AllowDataLoss: allow})
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("with data loss allowed %v: %v", allow, err)
			}
		})
	}
}

// TestOrders_AreRefused: nothing was done, and nothing is waited for.
func TestOrders_AreRefused(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/v1/events": "no: GET", "/v1/switchover": "no: POST", "": ""} {
		var out strings.Builder
		o := Orders{Who: "ann", Out: &out, Format: Table, Client: bubble(played(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				w.WriteHeader(http.StatusConflict)
				fmt.Fprintf(w, `{"status":409,"detail":"no: %s"}`, r.Method)
				return
			}
			fmt.Fprint(w, `{"name":"m","scheduled":{"at":"2026-01-02T03:04:05Z"}}`)
		}))}
		err := o.Switchover(t.Context(), api.SwitchoverOrder{Master: "m", At: time.Now()})
		var p api.Problem
		if errors.As(err, &p) != (want != "") || p.Detail != want || strings.Contains(out.String(), "picket switchover m --cancel") != (want == "") {
			t.Errorf("%s: %v, %q", path, err, out.String())
		}
	}
}

// TestOrders_OfAnAnswer: only what is done is told to be.
func TestOrders_OfAnAnswer(t *testing.T) {
	t.Parallel()
	for want, do := range map[string]func(Orders) error{
		"h:9 is forgotten; if it comes back as a replica of m, it is known again\n": func(o Orders) error { return o.Forget(t.Context(), "m", "h:9") },
		"the switchover of m is cancelled\n":                                        func(o Orders) error { return o.Cancel(t.Context(), "m") },
	} {
		for _, status := range []int{http.StatusOK, http.StatusNotFound} {
			var out strings.Builder
			err := do(Orders{Out: &out, Format: Table, Client: bubble(played(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, `{"status":404,"detail":"no"}`)
			}))})
			if done := status == http.StatusOK; (err == nil) != done || (out.String() == want) != done {
				t.Errorf("%d: %q, %v", status, out.String(), err)
			}
		}
	}
}

// TestOrders_AGapHidesTheEnd: what was forgotten before it could be told is asked for.
func TestOrders_AGapHidesTheEnd(t *testing.T) {
	t.Parallel()
	gap := "id: 9\nevent: gap\ndata: {\"after\":6,\"forgotten\":9}\n\n"
	record := func(id uint64, phase failover.Phase, o failover.Outcome, why string) failover.Record {
		return failover.Record{ID: id, Master: "m", Epoch: 100 + id, Leaders: []uint64{100 + id}, Phase: phase, Outcome: o, Why: why}
	}
	before, done := record(5, failover.Ended, failover.Aborted, "so long ago"), record(7, failover.Ended, failover.Done, "")
	runs, stopped := record(7, failover.Switched, "", ""), record(7, failover.Ended, failover.Aborted, "no replica is left")
	later := record(9, failover.Ended, failover.Aborted, "another one")
	begun, ended := step(7, 0, "failover.begun", `"failover":7`), step(10, 50, "failover.ended", `"failover":7`)
	for name, tc := range map[string]struct {
		told        string
		was         []failover.Record
		says, fails string
	}{
		"of the one that runs":   {begun + gap, []failover.Record{later, done, before}, "epoch 107, done", "<nil>"},
		"and its beginning":      {gap, []failover.Record{later, done, before}, "epoch 107, done", "<nil>"},
		"when it was given up":   {gap, []failover.Record{stopped, before}, "epoch 107, aborted", "the failover of m was given up: no replica is left; nothing has changed"},
		"no, only its beginning": {gap + ended, []failover.Record{runs, before}, "forgotten\n     0 ms  ended\n", "<nil>"},
		"no, that of one before": {gap + step(10, 0, "failover.begun", `"failover":10`) + step(11, 5, "failover.ended", `"failover":10`), []failover.Record{before}, "     5 ms  ended\n", "<nil>"},
	} {
		var out strings.Builder
		err := Orders{Client: failingOver(t, tc.told, tc.was...), Who: "ann", Out: &out, Format: Table}.Failover(t.Context(), api.FailoverOrder{Master: "m"})
		if said := fmt.Sprint(err); said != tc.fails || !strings.Contains(out.String(), "events up to 9 are forgotten\n") || !strings.Contains(out.String(), tc.says) {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}

// TestOrders_NobodySaysHowItEnds: whoever stops waiting, by Ctrl-C or when the time is over, does not know what became of it; nor does whose agent says no more.
func TestOrders_NobodySaysHowItEnds(t *testing.T) {
	t.Parallel()
	begun := step(7, 0, "failover.begun", "")
	for want, told := range map[error]string{
		context.Canceled: begun, context.DeadlineExceeded: begun, api.Problem{Status: http.StatusForbidden, Detail: "no"}: "",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := &stopping{stop: cancel}
		err := Orders{Client: failingOver(t, told), Who: "ann", Out: out, Format: Table}.Failover(ended{ctx, want}, api.FailoverOrder{Master: "m"})
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, want) || !strings.Contains(err.Error(), "picket status") || strings.Contains(out.String(), "begun") != (told != "") {
			t.Errorf("%v after %q, want %v", err, out.String(), want)
		}
	}
}

// ended is a context that ends for a reason of its own.
type ended struct {
	context.Context
	reason error
}

func (e ended) Err() error {
	if e.Context.Err() == nil {
		return nil
	}
	return e.reason
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
