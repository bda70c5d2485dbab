package metrics

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"picket/config"
	"picket/config/certs"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// fake is an agent with a fixed picture, in which there is something to tell by each series.
type fake struct{}

var now = time.Unix(1000, 0).UTC()

func (fake) Counters() Counters {
	return Counters{
		MessagesDropped: 3, EventsDropped: 4, Webhooks: map[string]Webhook{"ops": {Backlog: 5, Oldest: now.Add(-time.Minute), Dead: 2, Dropped: 3, Disabled: true}, "idle": {}},
		Certificates: []certs.Expiry{{File: "agent.pem", Until: now.Add(time.Hour)}},
		HTTP:         11, TracesDropped: 12, Sentinel: Port{Open: 6, Accepted: 7, Rejected: 8, Commands: 9, Errors: 10}, ScriptsRunning: 1, Scripts: 2,
	}
}

func (fake) Picture() picture.Picture {
	const history = "8a1b"
	master := monitor.Observation{Server: "h:1", At: now.Add(-2 * time.Second), Role: "master", ReplID: history, Offset: 100, Fence: 1_000_001}
	replica := func(addr config.Addr, lag int64) picture.Server {
		o := &monitor.Observation{Server: addr, At: now.Add(-time.Second), Role: "slave", ReplID: history, Priority: 100, Master: "h:1", LinkUp: true}
		s := picture.Server{Addr: addr, State: "up", Lag: lag, Last: o}
		s.Watch = monitor.Server{Addr: addr, State: monitor.Up, Last: o, Since: now.Add(-time.Minute)}
		return s
	}
	spare := replica("h:4", 0)
	spare.Last.Priority = 0
	return picture.Picture{
		At: now, Version: "v1", Cluster: "c", Agent: "a", Epoch: 7, Role: "leader", Leader: "a", Majority: true, Commit: 20, Applied: 19,
		Agents: []picture.Agent{{ID: "a", Self: true, Up: true, Voter: true, Host: "h"}, {ID: "b", Voter: true, Host: "i"}, {ID: "c", Up: true, Host: "j"}, {ID: "d", Up: true, Voter: true, Host: "k"}, {ID: "e", Up: true, Voter: true, Host: "l"}},
		Lease:  &picture.Lease{Server: "h:1", Master: "m", Until: now.Add(250 * time.Millisecond), Fenced: "the master is h:9"},
		Masters: []picture.Master{{
			Name: "m", Epoch: 6, Quorum: 2, ODown: true, Settings: &config.Master{DownAfter: time.Second, FailoverTimeout: 10 * time.Second, ParallelSyncs: 1, Lease: 300 * time.Millisecond},
			Server:   picture.Server{Addr: "h:1", State: "down", Down: true, Last: &master, Watch: monitor.Server{LastOK: now.Add(-1500 * time.Millisecond)}},
			Replicas: []picture.Server{replica("h:2", 11), {Addr: "h:3", State: "unknown", Down: true, Lag: -1}, spare},
			Failover: &failover.Record{ID: 18, Master: "m"}, Foreign: []monitor.Foreign{{RunID: "r"}}, Blocker: &failover.Blocker{Reason: "no-candidate"},
			Findings: []monitor.Finding{{Code: monitor.AgentDown}, {Code: monitor.AgentDown}},
			Last:     &failover.Record{EndAt: 900 * monitor.Moment(time.Second), Outcome: failover.Done, Cause: failover.CauseDown},
		}},
	}
}

// full are metrics in which everything has happened.
func full() *Metrics {
	m := New(fake{}, "v1")
	const ms = monitor.Moment(time.Millisecond)
	done := &failover.Record{DownAt: 1000 * ms, BegunAt: 1012 * ms, PromoteAt: 1020 * ms, SwitchAt: 1040 * ms, EndAt: 1240 * ms, Cause: failover.CauseDown, Outcome: failover.Done}
	moved := &failover.Record{BegunAt: 1012 * ms, PromoteAt: 1020 * ms, HeldAt: 1021 * ms, SwitchAt: 1025 * ms, Cause: failover.CauseManual}
	m.Committed(state.Event{Type: state.FailoverBegun, Master: "m"}, done)
	m.Committed(state.Event{Type: state.FailoverSwitched, Master: "m", Data: state.EventData{ElapsedMS: 40}}, done)
	m.Committed(state.Event{Type: state.FailoverSwitched, Master: "m"}, moved)
	m.Committed(state.Event{Type: state.FailoverEnded, Master: "m", Data: state.EventData{Cause: "master-down"}}, done)
	m.Committed(state.Event{Type: state.FailoverEnded, Master: "m", Data: state.EventData{Cause: "master-down"}}, nil)
	m.Committed(state.Event{Type: state.FailoverAborted, Master: "m", Data: state.EventData{Cause: "manual"}}, moved)
	m.Committed(state.Event{Type: state.FailoverDivergence, Master: "m", Data: state.EventData{Known: true, Bytes: 77}}, nil)
	m.Committed(state.Event{Type: state.FailoverDivergence, Master: "m"}, nil)
	m.Delivery("ops", true)
	m.Delivery("ops", true)
	m.Delivery("ops", false)
	m.Leader()
	m.Election("down", true)
	m.Election("down", false)
	m.Election("down", false)
	m.Appended(2 * time.Millisecond)
	m.Promised("b", 2*time.Millisecond)
	m.Renewed(2 * time.Millisecond)
	m.Stalled()
	m.Asked("pre-failover", "vetoed")
	return m
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
	body := scraped(t, full())
	for _, want := range []string{
		`picket_agent_info{agent="a",cluster="c",version="v1"} 1`, `picket_raft_term 7`, `picket_raft_is_leader 1`,
		`picket_raft_majority 1`, `picket_raft_commit_index 20`, `picket_raft_applied_index 19`, `picket_raft_apply_lag_entries 1`,
		`picket_agent_up{peer="a"} 1`, `picket_agent_up{peer="b"} 0`, `picket_agent_stalled 0`, `picket_agent_shadow 0`,
		`picket_group_voters 4`, `picket_group_voters_up 3`,
		`picket_master_up{master="m"} 0`, `picket_master_objectively_down{master="m"} 1`, `picket_master_epoch{master="m"} 6`,
		`picket_master_info{address="h:1",master="m"} 1`, `picket_master_fenced{master="m"} 1`, `picket_findings{code="AgentDown",master="m"} 2`,
		`picket_master_failover_running{master="m"} 1`, `picket_paused{master="m"} 0`, `picket_foreign_sentinels{master="m"} 1`, `picket_failover_blocked{master="m",reason="no-candidate"} 1`,
		`picket_last_failover_timestamp_seconds{cause="master-down",master="m",outcome="done"} 900`,
		`picket_failover_candidates{master="m"} 1`, `picket_observation_age_seconds{master="m",server="h:1"} 2`, `picket_observation_age_seconds{master="m",server="h:2"} 1`,
		`picket_replica_up{master="m",replica="h:2"} 1`, `picket_replica_lag_bytes{master="m",replica="h:2"} 11`,
		`picket_lease_remaining_seconds{master="m"} 0.25`, `picket_lease_seconds{master="m"} 0.3`, `picket_fenced{master="m",reason="deposed"} 1`,
		`picket_replica_up{master="m",replica="h:3"} 0`, `picket_webhook_backlog{endpoint="ops"} 5`, `picket_webhook_oldest_seconds{endpoint="ops"} 60`,
		`picket_webhook_dead_letters{endpoint="ops"} 2`, `picket_webhook_dead_letters_dropped_total{endpoint="ops"} 3`, `picket_webhook_disabled{endpoint="ops"} 1`,
		`picket_webhook_disabled{endpoint="idle"} 0`, `picket_webhook_backlog{endpoint="idle"} 0`, `picket_webhook_oldest_seconds{endpoint="idle"} 0`,
		`picket_transport_dropped_total 3`, `picket_events_dropped_total 4`, `picket_http_connections 11`, `picket_traces_dropped_total 12`, `picket_sentinel_connections 6`, `picket_sentinel_connections_accepted_total 7`,
		`picket_sentinel_connections_rejected_total 8`, `picket_sentinel_commands_total 9`, `picket_sentinel_errors_total 10`,
		`picket_failovers_total{cause="master-down",master="m",outcome="done"} 2`,
		`picket_failovers_total{cause="manual",master="m",outcome="aborted"} 1`,
		`picket_failover_seconds_bucket{le="0.05"} 1`, `picket_failover_seconds_bucket{le="0.03"} 0`,
		`picket_failover_phase_seconds_sum{cause="master-down",phase="elect"} 0.012`, `picket_failover_phase_seconds_sum{cause="master-down",phase="read"} 0.008`,
		`picket_failover_phase_seconds_sum{cause="master-down",phase="promote"} 0.02`, `picket_failover_phase_seconds_sum{cause="master-down",phase="repoint"} 0.2`,
		`picket_failover_phase_seconds_count{cause="master-down",phase="repoint"} 1`,
		`picket_switchover_gap_seconds_sum 0.004`, `picket_switchover_gap_seconds_count 1`,
		`picket_lost_bytes_total{master="m"} 77`, `picket_lost_unknown_total{master="m"} 1`,
		`picket_webhook_attempts_total{endpoint="ops"} 3`, `picket_webhook_failures_total{endpoint="ops"} 1`,
		`picket_raft_leader_changes_total 1`, `picket_elections_total{outcome="won",purpose="down"} 1`, `picket_elections_total{outcome="lost",purpose="down"} 2`,
		`picket_raft_append_seconds_sum 0.002`, `picket_peer_round_trip_seconds_sum{peer="b"} 0.002`, `picket_lease_renewal_seconds_count 1`, `picket_stalls_total 1`, `picket_certificate_expiry_timestamp_seconds{file="agent.pem"} 4600`,
		`picket_hook_runs_total{hook="pre-switchover",outcome="failed"} 0`, `picket_hook_runs_total{hook="pre-failover",outcome="vetoed"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(body, `picket_replica_lag_bytes{master="m",replica="h:3"}`) {
		t.Error("an unknown lag is shown")
	}
	if !strings.Contains(body, `picket_build_info{goversion="go`) {
		t.Error("nothing is said of the build")
	}
}

// alone is an agent without a Redis beside it.
type alone struct{ fake }

func (a alone) Picture() picture.Picture {
	p := a.fake.Picture()
	p.Lease = nil
	return p
}

// TestMetrics_BeforeAnythingHappened: whoever asks for an increase needs a first value.
func TestMetrics_BeforeAnythingHappened(t *testing.T) {
	m := New(alone{}, "v1")
	body := scraped(t, m) + scraped(t, m) // a value that the first one makes may be told by the second one
	for _, want := range []string{`picket_lost_bytes_total{master="m"} 0`, `picket_lost_unknown_total{master="m"} 0`} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(body, "picket_lease_seconds") {
		t.Error("a lease is told of")
	}
}

// TestMetrics_AForgottenMasterHasNoSeries: nor has an agent, or a webhook, that was removed. Names come and go, and a registry keeps what it has.
func TestMetrics_AForgottenMasterHasNoSeries(t *testing.T) {
	m := full()
	for range 2 { // a scrape makes some
		m.Committed(state.Event{Type: state.MasterRemoved, Master: "m"}, nil)
		m.Committed(state.Event{Type: state.AgentRemoved, Data: state.EventData{Agent: "b"}}, nil)
		m.Committed(state.Event{Type: state.WebhookRemoved, Data: state.EventData{Endpoint: "ops"}}, nil)
		for _, of := range []prometheus.Collector{m.failovers, m.lost, m.unknown, m.trips, m.attempts, m.failures} {
			if n := testutil.CollectAndCount(of); n != 0 {
				t.Errorf("%d series are left", n)
			}
		}
		scraped(t, m)
	}
}

// slow is an agent that is asked for its picture, and takes its time.
type slow struct {
	fake
	asked, proceed chan struct{}
}

func (s slow) Picture() picture.Picture {
	s.asked <- struct{}{}
	<-s.proceed
	return s.fake.Picture()
}

// TestHandler_BoundsScrapes: of more than it answers at once it refuses one.
func TestHandler_BoundsScrapes(t *testing.T) {
	s := slow{asked: make(chan struct{}), proceed: make(chan struct{})}
	h := New(s, "v1").Handler()
	ask := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Code
	}
	codes := make(chan int)
	for range scrapes {
		go func() { codes <- ask() }()
		<-s.asked
	}
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered with %d", code)
	}
	close(s.proceed)
	for range scrapes {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one is answered with %d", code)
		}
	}
}

// TestMetrics_AreNamedAsPrometheusAdvises, but for those whose names others have chosen.
func TestMetrics_AreNamedAsPrometheusAdvises(t *testing.T) {
	problems, err := testutil.GatherAndLint(full().registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "redis_sentinel_") && !strings.HasPrefix(p.Metric, "go_") && !strings.HasPrefix(p.Metric, "process_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

var write = flag.Bool("write", false, "write the table of series into docs/monitoring.md")

var table = regexp.MustCompile(`(?s)(<!-- the series.*? -->\n).*?(<!-- end -->)`)

// TestMetrics_AreDocumented compares the table in docs/monitoring.md with what a scrape gives.
func TestMetrics_AreDocumented(t *testing.T) {
	const file = "../../docs/monitoring.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	families, err := full().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	rows := "| series | kind | what it tells |\n| --- | --- | --- |\n"
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		name := f.GetName()
		if len(labels) > 0 {
			name += "{" + strings.Join(labels, ",") + "}"
		}
		rows += fmt.Sprintf("| `%s` | %s | %s |\n", name, strings.ToLower(f.GetType().String()), f.GetHelp())
	}
	want := table.ReplaceAllString(string(text), "${1}"+rows+"${2}")
	if !table.Match(text) {
		t.Fatalf("%s has no place for the table", file)
	}
	if *write {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("the table of series in %s is old: go test ./sentinel/metrics -write", file)
	}
}

// BenchmarkScrape is one of an agent that watches a thousand masters with two replicas each.
func BenchmarkScrape(b *testing.B) {
	s := many{fake{}.Picture()}
	one := s.picture.Masters[0]
	s.picture.Masters = nil
	for i := range 1000 {
		one.Name = fmt.Sprintf("master-%d", i)
		s.picture.Masters = append(s.picture.Masters, one)
	}
	h := New(s, "v1").Handler()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

type many struct{ picture picture.Picture }

func (m many) Picture() picture.Picture { return m.picture }
func (many) Counters() Counters         { return Counters{} }
