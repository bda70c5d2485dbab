package api

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an agent with a fixed picture.
type fake struct{ stuck atomic.Bool }

func (f *fake) Alive() bool { return !f.stuck.Load() }

func (f *fake) Counters() Counters {
	return Counters{MessagesDropped: 3, EventsDropped: 4, Backlog: map[string]int{"ops": 5}}
}

func (f *fake) Picture() picture.Picture {
	return picture.Picture{
		At: time.Unix(1000, 0).UTC(), Version: "v1", Cluster: "c", Agent: "a", Epoch: 7, Role: "leader", Leader: "a", Majority: true,
		Commit: 20, Applied: 19, Agents: []picture.Agent{{ID: "a", Self: true, Up: true}, {ID: "b"}},
		Masters: []picture.Master{{
			Name: "m", Epoch: 6, Server: picture.Server{Addr: "h:1", State: "down", Down: true}, ODown: true,
			Replicas: []picture.Server{{Addr: "h:2", State: "up", Lag: 11}, {Addr: "h:3", State: "unknown", Lag: -1}},
			Failover: &failover.Record{ID: 18, Master: "m"}, Foreign: []monitor.Foreign{{RunID: "r"}}, Blocker: &failover.Blocker{Reason: "no-candidate"},
		}},
	}
}

func serve(t *testing.T) (*fake, *Metrics, string) {
	t.Helper()
	agent := &fake{}
	metrics := NewMetrics(agent)
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: agent, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return agent, metrics, s.Addr().String()
}

func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestStatus_IsThePicture(t *testing.T) {
	agent, _, addr := serve(t)
	code, body := request(t, http.MethodGet, "http://"+addr+"/v1/status")
	var got picture.Picture
	if err := json.Unmarshal([]byte(body), &got); code != http.StatusOK || err != nil {
		t.Fatalf("%d, %v: %s", code, err, body)
	}
	again, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := json.Marshal(agent.Picture()); string(again) != string(want) {
		t.Errorf("status\n%s\nwant\n%s", again, want)
	}
}

func TestHealth_SaysWhetherTheAgentRuns(t *testing.T) {
	agent, _, addr := serve(t)
	if code, body := request(t, http.MethodGet, "http://"+addr+"/healthz"); code != http.StatusOK ||
		strings.TrimSpace(body) != `{"status":"ok","agent":"a","role":"leader","leader":"a","majority":true}` {
		t.Errorf("%d %s", code, body)
	}
	agent.stuck.Store(true)
	if code, body := request(t, http.MethodGet, "http://"+addr+"/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "stuck") {
		t.Errorf("%d %s", code, body)
	}
}

func TestMetrics(t *testing.T) {
	_, metrics, addr := serve(t)
	for _, e := range []state.Event{
		{Type: state.FailoverBegun, Master: "m"},
		{Type: state.FailoverSwitched, Master: "m", Data: state.EventData{ElapsedMS: 40}},
		{Type: state.FailoverEnded, Master: "m", Data: state.EventData{Cause: "master-down"}},
		{Type: state.FailoverAborted, Master: "m", Data: state.EventData{Cause: "manual"}},
	} {
		metrics.Committed(e)
	}
	metrics.Delivery("ops", true)
	metrics.Delivery("ops", false)
	code, body := request(t, http.MethodGet, "http://"+addr+"/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for _, want := range []string{
		`picket_agent_info{agent="a",cluster="c",version="v1"} 1`, `picket_raft_term 7`, `picket_raft_is_leader 1`,
		`picket_raft_majority 1`, `picket_raft_commit_index 20`, `picket_raft_applied_index 19`,
		`picket_agent_up{peer="a"} 1`, `picket_agent_up{peer="b"} 0`, `picket_agent_stalled 0`, `picket_agent_shadow 0`,
		`picket_master_up{master="m"} 0`, `picket_master_objectively_down{master="m"} 1`, `picket_master_epoch{master="m"} 6`,
		`picket_master_failover_running{master="m"} 1`, `picket_paused{master="m"} 0`, `picket_foreign_sentinels{master="m"} 1`, `picket_failover_blocked{master="m",reason="no-candidate"} 1`,
		`picket_replica_up{master="m",replica="h:2"} 1`, `picket_replica_lag_bytes{master="m",replica="h:2"} 11`,
		`picket_replica_up{master="m",replica="h:3"} 0`, `picket_webhook_backlog{endpoint="ops"} 5`,
		`picket_transport_dropped_total 3`, `picket_events_dropped_total 4`,
		`picket_failovers_total{cause="master-down",master="m",outcome="done"} 1`,
		`picket_failovers_total{cause="manual",master="m",outcome="aborted"} 1`,
		`picket_failover_seconds_bucket{le="0.05"} 1`, `picket_failover_seconds_bucket{le="0.03"} 0`,
		`picket_webhook_attempts_total{endpoint="ops"} 2`, `picket_webhook_failures_total{endpoint="ops"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(body, `picket_replica_lag_bytes{master="m",replica="h:3"}`) {
		t.Error("an unknown lag is shown")
	}
}

func TestRequests_ThatChangeSomethingAreRefused(t *testing.T) {
	_, _, addr := serve(t)
	for _, path := range []string{"/healthz", "/v1/status", "/metrics"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if code, _ := request(t, method, "http://"+addr+path); code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, code)
			}
		}
	}
	if code, _ := request(t, http.MethodGet, "http://"+addr+"/"); code != http.StatusNotFound {
		t.Errorf("/: %d", code)
	}
}

func TestListen_NamesTheKey(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Listen(Config{Addr: taken.Addr().String(), Backend: &fake{}}); err == nil || !strings.Contains(err.Error(), "listen.http") {
		t.Errorf("error %v", err)
	}
}

func TestHeader_IsBounded(t *testing.T) {
	_, _, addr := serve(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", response.StatusCode)
	}
}
