package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"picket/config/certs"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
)

// scrape reads the gauges from the picture.
type scrape struct {
	source  Source
	metrics *Metrics
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("picket_"+name, help, labels, nil)
}

var (
	agentInfo    = describe("agent_info", "Which agent this is; always 1.", "agent", "cluster", "version")
	agentUp      = describe("agent_up", "1 for each agent that this one hears.", "peer")
	agentShadow  = describe("agent_shadow", "1 while the agents only watch.")
	agentStalled = describe("agent_stalled", "1 while this agent distrusts its own clock.")
	voters       = describe("group_voters", "Agents that vote.")
	votersUp     = describe("group_voters_up", "Those of them that this agent hears, itself included.")

	raftTerm     = describe("raft_term", "Current term: the epoch.")
	raftIsLeader = describe("raft_is_leader", "1 on the agent that leads.")
	raftMajority = describe("raft_majority", "1 while this agent knows a leader, so that decisions can be made.")
	raftCommit   = describe("raft_commit_index", "Newest log entry known to be committed.")
	raftApplied  = describe("raft_applied_index", "Newest log entry applied here.")
	raftLag      = describe("raft_apply_lag_entries", "Committed entries that are not applied here yet.")

	masterInfo     = describe("master_info", "Where the master is, as agreed; always 1.", "master", "address")
	masterUp       = describe("master_up", "1 while this agent finds the master up.", "master")
	masterODown    = describe("master_objectively_down", "1 while a quorum finds the master down and nothing proves that it lives.", "master")
	masterEpoch    = describe("master_epoch", "Term of the master's last failover.", "master")
	masterFenced   = describe("master_fenced", "1 while the master refuses writes because an agent has fenced it, by this agent's last look.", "master")
	masterBlocked  = describe("failover_blocked", "1 while something keeps a failover from being done, by reason; 0, without one, while nothing does.", "master", "reason")
	masterFindings = describe("findings", "What is wrong with a master's group besides, by code.", "master", "code")
	masterPaused   = describe("paused", "1 while an operator has paused the master: nothing begins by itself.", "master")
	masterForeign  = describe("foreign_sentinels", "Redis Sentinels that were heard to watch the master, too.", "master")
	masterRunning  = describe("master_failover_running", "1 while a failover runs.", "master")
	candidates     = describe("failover_candidates", "Replicas that could take the master's place now, by what was seen last.", "master")
	lastFailover   = describe("last_failover_timestamp_seconds", "When the latest failover of the master ended, and how.", "master", "outcome", "cause")
	replicaUp      = describe("replica_up", "1 while this agent finds the replica up.", "master", "replica")
	replicaLag     = describe("replica_lag_bytes", "Bytes behind the master, by the last looks at both.", "master", "replica")
	observation    = describe("observation_age_seconds", "Since this agent's last full look (INFO) at a server.", "master", "server")

	leaseRemaining = describe("lease_remaining_seconds", "Until the lease of the master beside this agent runs out unless it is renewed; 0: it is not held.", "master")
	leaseSpan      = describe("lease_seconds", "How long a lease of the master beside this agent is for.", "master")
	fenced         = describe("fenced", "1 while this agent has the Redis beside it refuse writes, by reason; 0, without one, while it does not.", "master", "reason")

	droppedMessage  = describe("transport_dropped_total", "Messages to other agents that were lost because a queue was full.")
	droppedEvent    = describe("events_dropped_total", "Local events that were not told because too many waited.")
	webhookBacklog  = describe("webhook_backlog", "Events that an endpoint was not told of yet.", "endpoint")
	webhookDead     = describe("webhook_dead_letters", "Events that were given up, and can be delivered again.", "endpoint")
	webhookDropped  = describe("webhook_dead_letters_dropped_total", "Dead letters that were lost, because there were too many.", "endpoint")
	webhookDisabled = describe("webhook_disabled", "1 while an endpoint is told nothing, because it has answered 410.", "endpoint")
	webhookOldest   = describe("webhook_oldest_seconds", "Age of the oldest event that an endpoint was not told of yet; 0: there is none.", "endpoint")

	reloadOK      = describe("config_last_reload_successful", "1 unless the configuration was read again and could not be used.")
	reloadAt      = describe("config_last_reload_timestamp_seconds", "When the configuration was last read, with success or without.")
	reloadPending = describe("config_pending_restart_keys", "Keys of the configuration whose values count after a restart.")
	certExpiry    = describe("certificate_expiry_timestamp_seconds", "When a certificate that this agent shows is not valid any more.", "file")

	portOpen     = describe("sentinel_connections", "Clients that are connected to the Sentinel port.")
	httpOpen     = describe("http_connections", "Connections to the HTTP port.")
	tracesLost   = describe("traces_dropped_total", "Failovers that the OpenTelemetry collector could not be told of.")
	portAccepted = describe("sentinel_connections_accepted_total", "Clients that have connected to the Sentinel port.")
	portRejected = describe("sentinel_connections_rejected_total", "Clients that were turned away from the Sentinel port because there were too many.")
	portCommands = describe("sentinel_commands_total", "Commands on the Sentinel port.")
	portErrors   = describe("sentinel_errors_total", "Commands on the Sentinel port that were answered with an error.")
)

// Describe leaves the collector unchecked: the series depend on which masters there are.
func (scrape) Describe(chan<- *prometheus.Desc) {}

// output is where a scrape goes.
type output chan<- prometheus.Metric

func (o output) gauge(d *prometheus.Desc, v float64, labels ...string) {
	o <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (o output) counter(d *prometheus.Desc, v float64, labels ...string) {
	o <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

// Collect implements prometheus.Collector.
func (s scrape) Collect(out chan<- prometheus.Metric) {
	o, p, c := output(out), s.source.Picture(), s.source.Counters()
	o.agent(&p)
	o.configuration(p.Reload, c.Certificates)
	for i := range p.Masters {
		m := &p.Masters[i]
		o.master(&p, m)
		// Whoever asks for an increase needs a first value.
		s.metrics.lost.WithLabelValues(m.Name)
		s.metrics.unknown.WithLabelValues(m.Name)
	}
	o.lease(&p)
	o.doors(p.At, c)
	o.exporter(&p, c)
}

func (o output) configuration(r picture.Reload, certificates []certs.Expiry) {
	o.gauge(reloadOK, truth(r.OK))
	o.gauge(reloadAt, float64(r.At.UnixMilli())/1000)
	o.gauge(reloadPending, float64(len(r.Pending)))
	for _, c := range certificates {
		o.gauge(certExpiry, float64(c.Until.Unix()), c.File)
	}
}

func (o output) agent(p *picture.Picture) {
	o.gauge(agentInfo, 1, p.Agent, p.Cluster, p.Version)
	o.gauge(raftTerm, float64(p.Epoch))
	o.gauge(raftIsLeader, truth(p.Leader == p.Agent))
	o.gauge(raftMajority, truth(p.Majority))
	o.gauge(raftCommit, float64(p.Commit))
	o.gauge(raftApplied, float64(p.Applied))
	o.gauge(raftLag, max(0, float64(p.Commit)-float64(p.Applied)))
	o.gauge(agentShadow, truth(p.Shadow))
	o.gauge(agentStalled, truth(p.Stalled))
	voting, up := 0, 0
	for _, a := range p.Agents {
		o.gauge(agentUp, truth(a.Up), a.ID)
		if a.Voter {
			voting++
		}
		if a.Voter && a.Up {
			up++
		}
	}
	o.gauge(voters, float64(voting))
	o.gauge(votersUp, float64(up))
}

func (o output) master(p *picture.Picture, m *picture.Master) {
	o.gauge(masterInfo, 1, m.Name, string(m.Server.Shown()))
	o.gauge(masterUp, truth(m.Server.State == monitor.Up.String()), m.Name)
	o.gauge(masterODown, truth(m.ODown), m.Name)
	o.gauge(masterEpoch, float64(m.Epoch), m.Name)
	o.gauge(masterFenced, truth(isFenced(m.Server.Last)), m.Name)
	reason := ""
	if m.Blocker != nil {
		reason = m.Blocker.Reason
	}
	o.gauge(masterBlocked, truth(reason != ""), m.Name, reason)
	for code, n := range counted(m.Findings) {
		o.gauge(masterFindings, n, m.Name, string(code))
	}
	o.gauge(masterPaused, truth(m.Paused != nil), m.Name)
	o.gauge(masterForeign, float64(len(m.Foreign)), m.Name)
	o.gauge(masterRunning, truth(m.Failover != nil), m.Name)
	if last := m.Last; last != nil {
		o.gauge(lastFailover, float64(last.EndAt)/float64(time.Second), m.Name, string(last.Outcome), string(last.Cause))
	}
	o.observed(p, m, &m.Server)
	fit := 0
	for i := range m.Replicas {
		r := &m.Replicas[i]
		o.gauge(replicaUp, truth(r.State == monitor.Up.String()), m.Name, string(r.Addr))
		if r.Lag >= 0 {
			o.gauge(replicaLag, float64(r.Lag), m.Name, string(r.Addr))
		}
		o.observed(p, m, r)
		if failover.Promotable(r.Watch, m.Server.Last) {
			fit++
		}
	}
	o.gauge(candidates, float64(fit), m.Name)
}

func (o output) observed(p *picture.Picture, m *picture.Master, s *picture.Server) {
	if s.Last != nil {
		o.gauge(observation, max(0, p.At.Sub(s.Last.At).Seconds()), m.Name, string(s.Addr))
	}
}

func isFenced(o *monitor.Observation) bool {
	if o == nil {
		return false
	}
	_, _, fenced := failover.Fenced(o.Fence)
	return fenced
}

// lease tells of the Redis beside this agent. A replica has no lease.
func (o output) lease(p *picture.Picture) {
	l := p.Lease
	if l == nil {
		return
	}
	o.gauge(fenced, truth(l.Fenced != ""), l.Master, failover.FenceReason(l.Fenced))
	for i := range p.Masters {
		if m := &p.Masters[i]; m.Name == l.Master && m.Server.Addr == l.Server {
			o.gauge(leaseRemaining, max(0, l.Until.Sub(p.At).Seconds()), l.Master)
			o.gauge(leaseSpan, m.Settings.Lease.Seconds(), l.Master)
		}
	}
}

func (o output) doors(now time.Time, c Counters) {
	for endpoint, w := range c.Webhooks {
		o.gauge(webhookBacklog, float64(w.Backlog), endpoint)
		age := 0.0
		if !w.Oldest.IsZero() {
			age = max(0, now.Sub(w.Oldest).Seconds())
		}
		o.gauge(webhookOldest, age, endpoint)
		o.gauge(webhookDead, float64(w.Dead), endpoint)
		o.counter(webhookDropped, float64(w.Dropped), endpoint)
		o.gauge(webhookDisabled, truth(w.Disabled), endpoint)
	}
	o.counter(droppedMessage, float64(c.MessagesDropped))
	o.counter(droppedEvent, float64(c.EventsDropped))
	o.gauge(httpOpen, float64(c.HTTP))
	o.counter(tracesLost, float64(c.TracesDropped))
	o.gauge(portOpen, float64(c.Sentinel.Open))
	o.counter(portAccepted, float64(c.Sentinel.Accepted))
	o.counter(portRejected, float64(c.Sentinel.Rejected))
	o.counter(portCommands, float64(c.Sentinel.Commands))
	o.counter(portErrors, float64(c.Sentinel.Errors))
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
