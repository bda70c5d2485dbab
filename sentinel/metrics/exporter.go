package metrics

import (
	"cmp"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"picket/sentinel/picture"
)

// What follows are the series that redis_exporter makes of what a Sentinel says, with its names and labels, so that dashboards and alerts for it
// go on working when Prometheus scrapes the agents instead. The values are those that it would derive from this agent's Sentinel port.

func describeExporter(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("redis_sentinel_"+name, help, labels, nil)
}

var (
	expMasters  = describeExporter("masters", "As redis_exporter: masters that are watched.")
	expTilt     = describeExporter("tilt", "As redis_exporter: 1 while this agent distrusts its own clock.")
	expRunning  = describeExporter("running_scripts", "As redis_exporter: scripts that run.")
	expScripts  = describeExporter("scripts_queue_length", "As redis_exporter: scripts that run or wait.")
	expSimulate = describeExporter("simulate_failure_flags", "As redis_exporter: failures that are to be simulated.")

	expStatus    = describeExporter("master_status", "As redis_exporter: 1 if the status is ok.", "master_name", "master_address", "master_status")
	expSlaves    = describeExporter("master_slaves", "As redis_exporter: replicas that are known.", "master_name", "master_address")
	expSentinels = describeExporter("master_sentinels", "As redis_exporter: agents, this one included.", "master_name", "master_address")

	expCheck     = describeExporter("master_ckquorum_status", "As redis_exporter: 1 if there are enough agents for a failover; message says what is wrong.", "master_name", "message")
	expQuorum    = describeExporter("master_setting_ckquorum", "As redis_exporter: the quorum.", "master_name", "master_address")
	expTimeout   = describeExporter("master_setting_failover_timeout", "As redis_exporter: in milliseconds.", "master_name", "master_address")
	expParallel  = describeExporter("master_setting_parallel_syncs", "As redis_exporter: replicas that may resync at once.", "master_name", "master_address")
	expDownAfter = describeExporter("master_setting_down_after_milliseconds", "As redis_exporter.", "master_name", "master_address")
	expEpoch     = describeExporter("master_config_epoch", "As redis_exporter: term of the last failover.", "master_name", "master_address")
	expLastOK    = describeExporter("master_last_ok_ping_reply_seconds", "As redis_exporter: since the last valid answer.", "master_name", "master_address")

	expOKSentinels = describeExporter("master_ok_sentinels", "As redis_exporter: agents that are up, this one included.", "master_name", "master_address")
	expOKSlaves    = describeExporter("master_ok_slaves", "As redis_exporter: replicas that are not down.", "master_name", "master_address")
)

func (o output) exporter(p *picture.Picture, c Counters) {
	o.gauge(expMasters, float64(len(p.Masters)))
	o.gauge(expTilt, truth(p.Stalled))
	o.gauge(expRunning, float64(c.ScriptsRunning))
	o.gauge(expScripts, float64(c.Scripts))
	o.gauge(expSimulate, float64(p.Simulated))
	sentinels := 1.0
	for _, a := range p.Agents {
		if a.Up && !a.Self && a.Host != "" { // as SENTINEL SENTINELS lists them
			sentinels++
		}
	}
	for i := range p.Masters {
		m := &p.Masters[i]
		addr := fmt.Sprintf("%s:%d", m.Server.Shown().Host(), m.Server.Shown().Port()) // without brackets, as the exporter has it
		gauge := func(d *prometheus.Desc, v float64) { o.gauge(d, v, m.Name, addr) }
		o.gauge(expStatus, truth(m.Status() == "ok"), m.Name, addr, m.Status())
		gauge(expSlaves, float64(len(m.Replicas)))
		gauge(expSentinels, float64(len(p.Agents)))
		text, enough := p.CheckQuorum(m)
		o.gauge(expCheck, truth(enough), m.Name, text)
		gauge(expQuorum, float64(m.Quorum))
		gauge(expTimeout, float64(m.Settings.FailoverTimeout.Milliseconds()))
		gauge(expParallel, float64(m.Settings.ParallelSyncs))
		gauge(expDownAfter, float64(cmp.Or(m.Server.Watch.DownAfter, m.Settings.DownAfter).Milliseconds()))
		gauge(expEpoch, float64(m.Epoch))
		gauge(expLastOK, float64(m.Server.Silence(p.At).Milliseconds())/1000)
		gauge(expOKSentinels, sentinels)
		slaves := 0.0
		for j := range m.Replicas {
			if r := &m.Replicas[j]; !r.Down && !r.Unlisted() {
				slaves++
			}
		}
		gauge(expOKSlaves, slaves)
	}
}
