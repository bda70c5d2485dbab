package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"picket/failover"
	"picket/sentinel/state"
)

// Metrics are the agent's, in a registry of their own.
type Metrics struct {
	registry  *prometheus.Registry
	failovers *prometheus.CounterVec
	seconds   prometheus.Histogram
	phases    *prometheus.HistogramVec
	gap       prometheus.Histogram
	lost      *prometheus.CounterVec
	unknown   *prometheus.CounterVec
	attempts  *prometheus.CounterVec
	failures  *prometheus.CounterVec
	leaders   prometheus.Counter
	elections *prometheus.CounterVec
	appends   prometheus.Histogram
	renewals  prometheus.Histogram
	trips     *prometheus.HistogramVec
	stalls    prometheus.Counter
	hooks     *prometheus.CounterVec
}

// Buckets fit what is measured: a failover takes some tens of milliseconds and, where something is in its way, seconds; what
// clients wait for at a switchover, and what disks and networks do, is shorter.
var (
	longBuckets  = []float64{.005, .01, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10, 30}
	shortBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}
)

// New makes the metrics of an agent. The source is asked only when somebody scrapes.
func New(source Source, version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		failovers: counters("failovers_total", "Failovers that ended while this agent ran, by outcome and cause: manual ones are switchovers, too.",
			"master", "outcome", "cause"),
		seconds: histogram("failover_seconds", "From when the master was found down until clients were told of the new one.", longBuckets),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picket_failover_phase_seconds", Buckets: longBuckets,
			Help: "Phases of failovers: elect, from when the master was found down to the first step in the log; read, the replicas are cut and read; " +
				"promote; repoint, the others are made to follow.",
		}, []string{"phase", "cause"}),
		gap:     histogram("switchover_gap_seconds", "How long writers waited at a switchover, from the pause until clients were told of the new master.", shortBuckets),
		lost:    counters("lost_bytes_total", "Bytes of the replication stream that former masters had written and the present one has not.", "master"),
		unknown: counters("lost_unknown_total", "Former masters of which nobody can tell what they had written.", "master"),

		attempts: counters("webhook_attempts_total", "Attempts to deliver an event.", "endpoint"),
		failures: counters("webhook_failures_total", "Attempts to deliver an event that failed.", "endpoint"),

		leaders:   counter("raft_leader_changes_total", "Leaders of the group that this agent has heard of, itself included, since it started."),
		elections: counters("elections_total", "Elections that this agent stood in because of a master, by purpose and outcome.", "purpose", "outcome"),
		appends:   histogram("raft_append_seconds", "Time that a batch of the log took to be written and synced to disk.", shortBuckets),
		renewals:  histogram("lease_renewal_seconds", "From when the agent beside a master asked for a lease until a majority had promised it.", shortBuckets),
		trips: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picket_peer_round_trip_seconds", Buckets: shortBuckets,
			Help: "From when the agent beside a master asked another one for a lease until that one had promised it.",
		}, []string{"peer"}),
		hooks:  counters("hook_runs_total", "Programs of the operator's that were asked whether something may be done, by outcome: allowed, vetoed, failed.", "hook", "outcome"),
		stalls: counter("stalls_total", "Times that this agent found that it had been late itself, so that it distrusted what it had seen."),
	}
	for _, hook := range []string{failover.PreFailover, failover.PreSwitchover} {
		for _, outcome := range []string{"allowed", "vetoed", "failed"} {
			m.hooks.WithLabelValues(hook, outcome) // whoever asks for an increase needs a first value
		}
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "picket_build_info", Help: "The program that runs; always 1.", ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(
		m.failovers, m.seconds, m.phases, m.gap, m.lost, m.unknown, m.attempts, m.failures, m.leaders, m.elections, m.appends, m.renewals, m.trips,
		m.stalls, m.hooks, build, scrape{source, m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "picket_" + name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "picket_" + name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "picket_" + name, Help: help, Buckets: buckets})
}

// scrapes bounds those that are answered at the same time: of many masters, each takes megabytes.
const scrapes = 4

// Handler answers scrapes; too many at once are told to come again.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes})
}

// Committed counts a committed event. r is the failover that it belongs to, as it is now; nil: none, or it is not known any more.
func (m *Metrics) Committed(e state.Event, r *failover.Record) {
	switch e.Type {
	case state.FailoverSwitched:
		if e.Data.ElapsedMS > 0 {
			m.seconds.Observe(float64(e.Data.ElapsedMS) / 1000)
		}
		if r != nil && r.HeldAt > 0 && r.SwitchAt > r.HeldAt {
			m.gap.Observe(r.SwitchAt.Sub(r.HeldAt).Seconds())
		}
	case state.FailoverEnded:
		m.failovers.WithLabelValues(e.Master, string(failover.Done), e.Data.Cause).Inc()
		m.timed(r)
	case state.FailoverAborted:
		m.failovers.WithLabelValues(e.Master, string(failover.Aborted), e.Data.Cause).Inc()
	case state.FailoverDivergence:
		if e.Data.Known {
			m.lost.WithLabelValues(e.Master).Add(float64(e.Data.Bytes))
		} else {
			m.unknown.WithLabelValues(e.Master).Inc()
		}
	case state.MasterRemoved:
		for _, of := range []*prometheus.CounterVec{m.failovers, m.lost, m.unknown} {
			of.DeletePartialMatch(prometheus.Labels{"master": e.Master})
		}
	case state.WebhookRemoved:
		m.attempts.DeleteLabelValues(e.Data.Endpoint)
		m.failures.DeleteLabelValues(e.Data.Endpoint)
	case state.AgentRemoved:
		m.trips.DeleteLabelValues(e.Data.Agent)
	}
}

// timed observes the phases of a failover that has ended. The clocks of two leaders may differ: a phase that seems to end before it began is left out.
func (m *Metrics) timed(r *failover.Record) {
	if r == nil {
		return
	}
	for _, p := range failover.Phases(r) {
		m.phases.WithLabelValues(p.Name, string(r.Cause)).Observe(p.End.Sub(p.Begin).Seconds())
	}
}

// Delivery counts an attempt to deliver an event to an endpoint.
func (m *Metrics) Delivery(endpoint string, delivered bool) {
	m.attempts.WithLabelValues(endpoint).Inc()
	if !delivered {
		m.failures.WithLabelValues(endpoint).Inc()
	}
}

// Leader counts that the group has a new leader.
func (m *Metrics) Leader() { m.leaders.Inc() }

// Election counts one that this agent stood in.
func (m *Metrics) Election(purpose string, won bool) {
	outcome := "lost"
	if won {
		outcome = "won"
	}
	m.elections.WithLabelValues(purpose, outcome).Inc()
}

// Appended observes how long a batch of the log took to be durable.
func (m *Metrics) Appended(d time.Duration) { m.appends.Observe(d.Seconds()) }

// Promised observes how long another agent took to promise a lease.
func (m *Metrics) Promised(peer string, d time.Duration) {
	m.trips.WithLabelValues(peer).Observe(d.Seconds())
}

// Renewed observes how long a majority took to promise a lease.
func (m *Metrics) Renewed(d time.Duration) { m.renewals.Observe(d.Seconds()) }

// Asked counts that a program of the operator's was asked.
func (m *Metrics) Asked(hook, outcome string) { m.hooks.WithLabelValues(hook, outcome).Inc() }

// Stalled counts that this agent was late itself.
func (m *Metrics) Stalled() { m.stalls.Inc() }
