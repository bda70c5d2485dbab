package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// apply commits a command, in the term of its step or in the first one.
func (s *store) apply(t testing.TB, c state.Command) {
	t.Helper()
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	term := consensus.Term(1)
	if c.Step != nil {
		term = consensus.Term(c.Step.Epoch)
	}
	s.index++
	if err, bad := s.machine.Apply(consensus.Entry{Index: s.index, Term: term, Data: data}).(error); bad {
		t.Fatal(err)
	}
}

// failedOver has the history hold a failover, which begins by the third entry: down at 1 s, begun at 1.01 s, and so on.
func failedOver(t testing.TB, s *store) {
	t.Helper()
	at := func(ms int64) monitor.Moment { return monitor.MomentOf(time.Unix(1, 0).Add(monitor.FromMillis(ms))) }
	s.apply(t, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1"}})
	s.apply(t, state.Command{AddReplica: &state.AddReplica{Master: "m", Addr: "h:2", Of: 1}})
	step := failover.Step{Master: "m", Epoch: 2, Old: "h:1", Target: "h:2", Cause: failover.CauseDown, Down: at(0), Replicas: []config.Addr{"h:2"}}
	for i, kind := range []failover.StepKind{failover.StepBegin, failover.StepPromote, failover.StepSwitch, failover.StepEnd} {
		step.Kind, step.At = kind, at(10+20*int64(i))
		s.apply(t, state.Command{At: step.At, Step: &step})
	}
}

// failOver makes the replica the master, and the master the replica, in the next epoch.
func failOver(t testing.TB, s *store) {
	t.Helper()
	m := s.machine.State().Master("m")
	next := m.Replicas[0]
	step := failover.Step{Master: "m", Epoch: m.Epoch + 1, Old: m.Addr, Target: next, Cause: failover.CauseDown, Replicas: []config.Addr{next}}
	for _, step.Kind = range []failover.StepKind{failover.StepBegin, failover.StepPromote, failover.StepSwitch, failover.StepEnd} {
		s.apply(t, state.Command{At: 1, Step: &step})
	}
}

func historyDoor(t *testing.T, st *store) *door {
	t.Helper()
	d := newDoor(newAccess(config.HTTP{}, true, nil))
	history{"c", st.machine, &streams{open: make(chan struct{}, 2)}}.route(d)
	return d
}

func get[T any](t *testing.T, d http.Handler, target string) (body T) {
	t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, local(http.MethodGet, target))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestHistory_TellsPhasesAndTimes(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	d := historyDoor(t, st)
	all := get[Pasts](t, d, "/v1/history").Failovers
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	for _, id := range []string{"3", "2"} { // its id, its epoch
		p := get[Past](t, d, "/v1/history/"+id)
		var phases []string
		for _, f := range p.Phases {
			phases = append(phases, f.Name+" "+time.Duration(f.TookMS*int64(time.Millisecond)).String())
		}
		if got := strings.Join(phases, ", "); got != "decide 10ms, choose 20ms, promote 20ms, repoint 20ms" || p.TookMS != 50 || p.Record.ID != 3 {
			t.Errorf("%s: %s; %d ms, %+v", id, got, p.TookMS, p.Record)
		}
	}
	if other := get[Pasts](t, d, "/v1/history?master=z").Failovers; len(other) != 0 {
		t.Errorf("of another master: %+v", other)
	}
}

func TestEvents_AreFiltered(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	d := historyDoor(t, st)
	for target, want := range map[string]string{
		"":                                    "1 2 3 4 5 6",
		"?limit=2":                            "5 6",
		"?after=2":                            "3 4 5 6",
		"?after=c-2&limit=2":                  "3 4",
		"?type=failover.*&type=replica.added": "2 3 4 5 6",
		"?master=z":                           "",
		"?after=6":                            "",
	} {
		var ids []string
		body := get[Events](t, d, "/v1/events"+target)
		for _, e := range body.Events {
			ids = append(ids, e.Sequence)
		}
		if got := strings.Join(ids, " "); got != want || body.Latest != 6 || body.Gap {
			t.Errorf("%s: %q, want %q; %+v", target, got, want, body)
		}
	}
}

// listen follows a stream; it gives each line that is not empty.
func listen(t *testing.T, url string, header ...string) func() string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", url, answer.StatusCode)
	}
	in := bufio.NewScanner(answer.Body)
	return func() string {
		for in.Scan() {
			if text := in.Text(); text != "" {
				return text
			}
		}
		return ""
	}
}

func TestStream_ResumesAfterAnEvent(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	server := httptest.NewServer(historyDoor(t, st))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for name, next := range map[string]func() string{
		"by its URL":     listen(t, server.URL+"/v1/events/stream?after=4&type=failover.*"),
		"by the last id": listen(t, server.URL+"/v1/events/stream?after=1&type=failover.*", "Last-Event-ID", "4"),
	} {
		if got := next(); got != ": after 4" {
			t.Errorf("%s: begins with %q", name, got)
		}
		for _, want := range []string{"id: 4", "event: failover.switched", "id: 5", "event: failover.ended", "id: 6"} {
			got := next()
			if strings.HasPrefix(got, "data: ") {
				if !strings.Contains(got, `"type":"io.picket.failover.switched.v1"`) {
					t.Errorf("%s: %s", name, got)
				}
				got = next()
			}
			if got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func TestStream_TellsWhatComesAndWhatWasForgotten(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	server := httptest.NewServer(historyDoor(t, st))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	live := listen(t, server.URL+"/v1/events", "Accept", "text/event-stream")
	if got := live(); got != ": after 6" {
		t.Errorf("begins with %q", got)
	}
	if got := live(); got != "id: 6" { // for a client that reconnects before anything has happened
		t.Errorf("it does not say where to go on: %q", got)
	}
	for i := range 1100 { // more than are kept
		st.apply(t, state.Command{Pause: &state.Pause{Master: "m", Who: "ann", Until: monitor.Moment(i + 1)}})
	}
	if got := live(); got != "event: pause.begun" && got != "event: gap" { // the latter where this goroutine was faster
		t.Errorf("then %q", got)
	}
	forgotten := st.machine.State().Forgotten
	late := listen(t, server.URL+"/v1/events/stream?after=2")
	_, _ = late(), late()
	var gap Gap
	if name, id, data := late(), late(), late(); name != "event: gap" || id == "" || json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &gap) != nil ||
		gap != (Gap{2, forgotten}) || forgotten == 0 {
		t.Errorf("%s, %s, %s; forgotten %d", name, id, data, forgotten)
	}
	if body := get[Events](t, historyDoor(t, st), "/v1/events?after=2"); !body.Gap || body.Forgotten != forgotten {
		t.Errorf("%v, %d", body.Gap, body.Forgotten)
	}
	// There are two streams, as many as may be.
	answer, err := http.Get(server.URL + "/v1/events/stream")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", answer.StatusCode)
	}
}

// TestStream_SaysWhereToGoOn: what does not pass a client's filter moves it on as well, so that it is not told of a gap where it has missed nothing.
func TestStream_SaysWhereToGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &store{machine: state.NewMachine()}
		failedOver(t, st)
		ctx, leave := context.WithCancel(t.Context())
		r := local(http.MethodGet, "/v1/events/stream?after=6&type=webhook.*").WithContext(ctx)
		w := &wire{ResponseRecorder: httptest.NewRecorder()}
		ended := make(chan struct{})
		go func() { // ends when the client leaves
			historyDoor(t, st).ServeHTTP(w, r)
			close(ended)
		}()
		synctest.Wait()
		st.apply(t, state.Command{Pause: &state.Pause{Master: "m", Who: "ann", Until: 1}})
		time.Sleep(quietTime + time.Second)
		leave()
		<-ended
		if got := w.Body.String(); got != ": after 6\nid: 6\n\n: quiet\nid: 7\n\n" {
			t.Errorf("%q", got)
		}
	})
}

// wire is a recorder for streams.
type wire struct{ *httptest.ResponseRecorder }

func (wire) SetWriteDeadline(time.Time) error { return nil }

func TestStream_IsNoneForHEAD(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	d := historyDoor(t, st)
	(&kv{store: st, streams: &streams{open: make(chan struct{}, 1)}}).route(d)
	for _, path := range strings.Fields(strings.Repeat("/v1/events/stream /v1/kv/a?watch ", 3)) { // more than there may be at a time
		w := &wire{ResponseRecorder: httptest.NewRecorder()}
		d.ServeHTTP(w, local(http.MethodHead, path)) // returns
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != "text/event-stream" {
			t.Errorf("%s: %d %s", path, w.Code, got)
		}
	}
}

// TestStream_IsRefusedOnce: nothing follows the problem.
func TestStream_IsRefusedOnce(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	d := newDoor(newAccess(config.HTTP{}, true, nil))
	history{"c", st.machine, &streams{}}.route(d) // there may be none
	for target, want := range map[string]int{
		"/v1/events": 503, "/v1/events?after=x": 400, "/v1/events/stream": 503, "/v1/events/stream?after=x": 400,
	} {
		r, w := local(http.MethodGet, target), &wire{ResponseRecorder: httptest.NewRecorder()}
		r.Header.Set("Accept", "text/event-stream")
		d.ServeHTTP(w, r)
		if p := (Problem{}); w.Code != want || json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != want {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestStream_TellsAllAtOnce, also of more than it writes in one go.
func TestStream_TellsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &store{machine: state.NewMachine()}
		failedOver(t, st)
		for i := range 2 * someEvents {
			st.apply(t, state.Command{Pause: &state.Pause{Master: "m", Who: "ann", Until: monitor.Moment(i + 1)}})
		}
		ctx, leave := context.WithCancel(t.Context())
		w := &wire{ResponseRecorder: httptest.NewRecorder()}
		ended := make(chan struct{})
		go func() { // ends when the client leaves
			historyDoor(t, st).ServeHTTP(w, local(http.MethodGet, "/v1/events/stream?after=6").WithContext(ctx))
			close(ended)
		}()
		synctest.Wait()
		leave()
		<-ended
		if n := strings.Count(w.Body.String(), "event: pause.begun\n"); n != 2*someEvents {
			t.Errorf("%d events of %d", n, 2*someEvents)
		}
	})
}

// TestStream_EndsWithTheRight of the client to listen.
func TestStream_EndsWithTheRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &store{machine: state.NewMachine()}
		failedOver(t, st)
		access := newAccess(guarded("none"), true, nil)
		d := newDoor(access)
		history{"c", st.machine, &streams{open: make(chan struct{}, 1)}}.route(d)
		r, w := local(http.MethodGet, "/v1/events/stream"), &wire{ResponseRecorder: httptest.NewRecorder()}
		r.Header.Set("Authorization", "Bearer "+readToken)
		ended := make(chan struct{})
		go func() { // ends when the token is taken away
			d.ServeHTTP(w, r)
			close(ended)
		}()
		synctest.Wait()
		access.take(config.HTTP{Anonymous: config.AnonymousNone})
		<-ended
		if got := w.Body.String(); got != ": after 6\nid: 6\n\n" {
			t.Errorf("%q", got)
		}
	})
}

// TestHistory_OfWhatIsUnderWay: what is not over has no length, and what has not begun is left out.
func TestHistory_OfWhatIsUnderWay(t *testing.T) {
	at := monitor.MomentOf(time.Unix(1, 0))
	p := past(state.NewMachine().State(), &failover.Record{DownAt: at, BegunAt: at + monitor.Moment(time.Millisecond)})
	if len(p.Phases) != 2 || p.Phases[0].TookMS != 1 || p.Phases[1].Name != "choose" || p.Phases[1].TookMS != -1 || p.TookMS != -1 {
		t.Errorf("%+v", p)
	}
}

// TestHistory_AnIDNamesOne: a later failover may have an epoch that looks like an earlier one's id.
func TestHistory_AnIDNamesOne(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	failedOver(t, st) // by the third entry
	failOver(t, st)
	if p := get[Past](t, historyDoor(t, st), "/v1/history/3"); p.Record.ID != 3 {
		t.Errorf("the failover %d, of the epoch %d", p.Record.ID, p.Record.Epoch)
	}
}

// TestHistory_TellsWhatWasLost, of the failover by which it was, and of no other.
func TestHistory_TellsWhatWasLost(t *testing.T) {
	bytes := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		found *failover.Divergence // after the failover
		later int                  // failovers
		want  *int64
	}{
		"nothing is found":       {nil, 0, nil},
		"so much":                {&failover.Divergence{Server: "h:1", Master: "h:2", Known: true, Bytes: 7}, 0, bytes(7)},
		"nobody can tell":        {&failover.Divergence{Server: "h:1", Master: "h:2", Why: "it was restarted"}, 0, nil},
		"of another server":      {&failover.Divergence{Server: "h:9", Master: "h:2", Known: true, Bytes: 7}, 0, nil},
		"of an earlier failover": {&failover.Divergence{Server: "h:1", Master: "h:2", Known: true, Bytes: 7}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st := &store{machine: state.NewMachine()}
			failedOver(t, st)
			if c.found != nil {
				st.apply(t, state.Command{Diverged: &state.Diverged{Master: "m", Divergence: *c.found}})
			}
			for range c.later {
				failOver(t, st)
			}
			got := get[Pasts](t, historyDoor(t, st), "/v1/history").Failovers[0].LostBytes
			if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	st := &store{machine: state.NewMachine()}
	failedOver(t, st)
	st.apply(t, state.Command{Remove: "m"})
	if got := get[Pasts](t, historyDoor(t, st), "/v1/history").Failovers; len(got) != 1 || got[0].LostBytes != nil {
		t.Errorf("of a master that is gone: %+v", got)
	}
}
