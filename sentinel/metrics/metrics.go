package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Source is what the metrics are read from, at each scrape.
type Source interface {
	Picture() picture.Picture
	Counters() Counters
}

// Counters are what the picture does not show.
type Counters struct {
	MessagesDropped uint64         // to other agents, because a queue was full
	EventsDropped   uint64         // log lines and Sentinel events about what this agent saw, because too many waited
	Backlog         map[string]int // events that an endpoint was not told of yet
}

// Metrics are the agent's, in a registry of their own.
type Metrics struct {
	registry  *prometheus.Registry
	failovers *prometheus.CounterVec
	seconds   prometheus.Histogram
	attempts  *prometheus.CounterVec
	failures  *prometheus.CounterVec
	lost      *prometheus.CounterVec
	unknown   *prometheus.CounterVec
}

// New makes the metrics of an agent. The source is asked only when somebody scrapes.
func New(source Source) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		failovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_failovers_total", Help: "Failovers that ended while this agent ran, by outcome and cause.",
		}, []string{"master", "outcome", "cause"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "picket_failover_seconds", Help: "From when the master was found down until clients were told of the new one.",
			Buckets: []float64{.005, .01, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_webhook_attempts_total", Help: "Attempts to deliver an event.",
		}, []string{"endpoint"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_webhook_failures_total", Help: "Attempts to deliver an event that failed.",
		}, []string{"endpoint"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_lost_bytes_total", Help: "Bytes of the replication stream that former masters had written and the present one has not.",
		}, []string{"master"}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_lost_unknown_total", Help: "Former masters of which nobody can tell what they had written.",
		}, []string{"master"}),
	}
	m.registry.MustRegister(
		m.failovers, m.seconds, m.attempts, m.failures, m.lost, m.unknown, scrape{source},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Committed counts a committed event.
func (m *Metrics) Committed(e state.Event) {
	switch e.Type {
	case state.FailoverSwitched:
		if e.Data.ElapsedMS > 0 {
			m.seconds.Observe(float64(e.Data.ElapsedMS) / 1000)
		}
	case state.FailoverEnded:
		m.failovers.WithLabelValues(e.Master, string(failover.Done), e.Data.Cause).Inc()
	case state.FailoverDivergence:
		if e.Data.Known {
			m.lost.WithLabelValues(e.Master).Add(float64(e.Data.Bytes))
		} else {
			m.unknown.WithLabelValues(e.Master).Inc()
		}
	case state.FailoverAborted:
		m.failovers.WithLabelValues(e.Master, string(failover.Aborted), e.Data.Cause).Inc()
	}
}

// Delivery counts an attempt to deliver an event to an endpoint.
func (m *Metrics) Delivery(endpoint string, delivered bool) {
	m.attempts.WithLabelValues(endpoint).Inc()
	if !delivered {
		m.failures.WithLabelValues(endpoint).Inc()
	}
}

// scrape reads the gauges from the picture.
type scrape struct{ source Source }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("picket_"+name, help, labels, nil)
}

var (
	agentInfo      = describe("agent_info", "Which agent this is; always 1.", "agent", "cluster", "version")
	raftTerm       = describe("raft_term", "Current term: the epoch.")
	raftIsLeader   = describe("raft_is_leader", "1 on the agent that leads.")
	raftMajority   = describe("raft_majority", "1 while this agent knows a leader, so that decisions can be made.")
	raftCommit     = describe("raft_commit_index", "Newest log entry known to be committed.")
	raftApplied    = describe("raft_applied_index", "Newest log entry applied here.")
	agentUp        = describe("agent_up", "1 for each agent that this one hears.", "peer")
	agentShadow    = describe("agent_shadow", "1 while the agents only watch.")
	agentStalled   = describe("agent_stalled", "1 while this agent distrusts its own clock.")
	masterUp       = describe("master_up", "1 while this agent finds the master up.", "master")
	masterODown    = describe("master_objectively_down", "1 while a quorum finds the master down and nothing proves that it lives.", "master")
	masterEpoch    = describe("master_epoch", "Term of the master's last failover.", "master")
	masterBlocked  = describe("failover_blocked", "1 while something keeps a failover from being done, by reason; 0, without one, while nothing does.", "master", "reason")
	masterFindings = describe("findings", "What is wrong with a master's group besides, by code.", "master", "code")
	masterPaused   = describe("paused", "1 while an operator has paused the master: nothing begins by itself.", "master")
	masterForeign  = describe("foreign_sentinels", "Redis Sentinels that were heard to watch the master, too.", "master")
	masterRunning  = describe("master_failover_running", "1 while a failover runs.", "master")
	replicaUp      = describe("replica_up", "1 while this agent finds the replica up.", "master", "replica")
	replicaLag     = describe("replica_lag_bytes", "Bytes behind the master, by the last looks at both.", "master", "replica")
	droppedMessage = describe("transport_dropped_total", "Messages to other agents that were lost because a queue was full.")
	droppedEvent   = describe("events_dropped_total", "Local events that were not told because too many waited.")
	webhookBacklog = describe("webhook_backlog", "Events that an endpoint was not told of yet.", "endpoint")
)

// Describe leaves the collector unchecked: the series depend on which masters there are.
func (scrape) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s scrape) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	p, c := s.source.Picture(), s.source.Counters()
	gauge(agentInfo, 1, p.Agent, p.Cluster, p.Version)
	gauge(raftTerm, float64(p.Epoch))
	gauge(raftIsLeader, truth(p.Leader == p.Agent))
	gauge(raftMajority, truth(p.Majority))
	gauge(raftCommit, float64(p.Commit))
	gauge(raftApplied, float64(p.Applied))
	gauge(agentShadow, truth(p.Shadow))
	gauge(agentStalled, truth(p.Stalled))
	for _, a := range p.Agents {
		gauge(agentUp, truth(a.Up), a.ID)
	}
	for _, m := range p.Masters {
		gauge(masterUp, truth(m.Server.State == "up"), m.Name)
		gauge(masterODown, truth(m.ODown), m.Name)
		gauge(masterEpoch, float64(m.Epoch), m.Name)
		reason := ""
		if m.Blocker != nil {
			reason = m.Blocker.Reason
		}
		gauge(masterBlocked, truth(reason != ""), m.Name, reason)
		for code, n := range counted(m.Findings) {
			gauge(masterFindings, n, m.Name, string(code))
		}
		gauge(masterPaused, truth(m.Paused != nil), m.Name)
		gauge(masterForeign, float64(len(m.Foreign)), m.Name)
		gauge(masterRunning, truth(m.Failover != nil), m.Name)
		for _, r := range m.Replicas {
			gauge(replicaUp, truth(r.State == "up"), m.Name, string(r.Addr))
			if r.Lag >= 0 {
				gauge(replicaLag, float64(r.Lag), m.Name, string(r.Addr))
			}
		}
	}
	for endpoint, n := range c.Backlog {
		gauge(webhookBacklog, float64(n), endpoint)
	}
	for d, n := range map[*prometheus.Desc]uint64{droppedMessage: c.MessagesDropped, droppedEvent: c.EventsDropped} {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
}

func counted(findings []monitor.Finding) map[monitor.Code]float64 {
	n := map[monitor.Code]float64{}
	for _, f := range findings {
		n[f.Code]++
	}
	return n
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
