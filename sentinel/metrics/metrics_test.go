package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// fake is an agent with a fixed picture.
type fake struct{}

func (fake) Counters() Counters {
	return Counters{MessagesDropped: 3, EventsDropped: 4, Backlog: map[string]int{"ops": 5}}
}

func (fake) Picture() picture.Picture {
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

// scraped is what a scrape gives.
func scraped(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	metrics := New(fake{})
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
	body := scraped(t, metrics)
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
