package resp

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
)

// fields are a map in the order in which Sentinel tells it: some of its readers count.
type fields []field

type field struct{ name, value string }

func (f *fields) text(name, value string)             { *f = append(*f, field{name, value}) }
func (f *fields) number(name string, n int64)         { f.text(name, strconv.FormatInt(n, 10)) }
func (f *fields) count(name string, n int)            { f.number(name, int64(n)) }
func (f *fields) millis(name string, d time.Duration) { f.number(name, max(0, d.Milliseconds())) }

// head holds what all maps begin with.
type head struct {
	name          string
	addr          config.Addr
	runID         string
	flags         []string
	pending       int // requests without a reply
	owners        int // of the link
	failoverState string
	pingSent      time.Duration // since the oldest PING without an answer; 0: none
	lastOK        time.Duration // since the last valid answer
	lastReply     time.Duration // since the last one of any kind
	down          bool
	downFor       time.Duration
	oDown         bool
	oDownFor      time.Duration
	downAfter     time.Duration
}

func (h head) fields() fields {
	var f fields
	f.text("name", h.name)
	f.text("ip", h.addr.Host())
	f.count("port", h.addr.Port())
	f.text("runid", h.runID)
	f.text("flags", strings.Join(h.flags, ","))
	f.count("link-pending-commands", h.pending)
	f.count("link-refcount", h.owners)
	if h.failoverState != "" {
		f.text("failover-state", h.failoverState)
	}
	f.millis("last-ping-sent", h.pingSent)
	f.millis("last-ok-ping-reply", h.lastOK)
	f.millis("last-ping-reply", h.lastReply)
	if h.down {
		f.millis("s-down-time", h.downFor)
	}
	if h.oDown {
		f.millis("o-down-time", h.oDownFor)
	}
	f.millis("down-after-milliseconds", h.downAfter)
	return f
}

// serverHead is the head for a Redis server.
func serverHead(p *picture.Picture, m *picture.Master, s *picture.Server) head {
	w := &s.Watch
	h := head{
		addr: s.Shown(), runID: s.RunID, owners: 1, down: s.Down, downFor: p.At.Sub(w.Since),
		lastOK: s.Silence(p.At), lastReply: p.At.Sub(cmp.Or(w.LastReply, w.Since)),
		downAfter: cmp.Or(w.DownAfter, m.Settings.DownAfter),
	}
	if !w.PingSent.IsZero() {
		h.pending, h.pingSent = 1, p.At.Sub(w.PingSent)
	}
	return h
}

// reported adds what INFO said to the fields of a server that should have the role.
func (f *fields) reported(at time.Time, s *picture.Server, role string) {
	refreshed := time.Duration(0)
	if s.Last != nil {
		refreshed, role = at.Sub(s.Last.At), s.Last.Role
	}
	f.millis("info-refresh", refreshed)
	f.text("role-reported", role)
	f.millis("role-reported-time", at.Sub(cmp.Or(s.Watch.RoleSince, s.Watch.Since)))
}

func masterFields(p *picture.Picture, m *picture.Master) fields {
	h := serverHead(p, m, &m.Server)
	h.name, h.flags, h.failoverState = m.Name, masterFlags(m), failoverState(m.Failover)
	h.oDown, h.oDownFor = m.ODown, p.At.Sub(m.ODownAt)
	f := h.fields()
	f.reported(p.At, &m.Server, "master")
	f.number("config-epoch", int64(m.Epoch)) //nolint:gosec // terms grow by one for each election
	f.count("num-slaves", len(m.Replicas))
	f.count("num-other-sentinels", len(p.Agents)-1)
	f.count("quorum", m.Quorum)
	f.millis("failover-timeout", m.Settings.FailoverTimeout)
	f.count("parallel-syncs", m.Settings.ParallelSyncs)
	return f
}

func replicaFields(p *picture.Picture, m *picture.Master, r *picture.Server) fields {
	h := serverHead(p, m, r)
	h.name, h.flags = string(r.Shown()), replicaFlags(m, r)
	f := h.fields()
	f.reported(p.At, r, "slave")
	seen := monitor.Observation{Priority: 100} // what Redis has when nothing else is configured
	if r.Last != nil {
		seen = *r.Last
	}
	link, host := "err", "?"
	if seen.LinkUp {
		link = "ok"
	}
	leader := r.Leader()
	if leader != "" {
		host = leader.Host()
	}
	announced := 1
	if seen.Unlisted {
		announced = 0
	}
	f.millis("master-link-down-time", seen.LinkDown)
	f.text("master-link-status", link)
	f.text("master-host", host)
	f.count("master-port", leader.Port())
	f.count("slave-priority", seen.Priority)
	f.number("slave-repl-offset", seen.Offset)
	f.count("replica-announced", announced)
	return f
}

func agentFields(p *picture.Picture, m *picture.Master, a *picture.Agent) fields {
	h := head{
		name: a.MyID, addr: config.NewAddr(a.Host, a.SentinelPort), runID: a.MyID, flags: agentFlags(m, a), owners: len(p.Masters),
		lastOK: a.Heard, lastReply: a.Heard, down: !a.Up, downFor: a.Heard, downAfter: m.Settings.DownAfter,
	}
	if !a.Up {
		h.pending, h.pingSent = 1, a.Heard
	}
	f := h.fields()
	f.millis("last-hello-message", a.Heard)
	f.text("voted-leader", "?") // nobody votes by way of this protocol
	f.count("voted-leader-epoch", 0)
	return f
}

// flags are in Sentinel's order.
type flags []string

func (f *flags) add(name string, raised bool) {
	if raised {
		*f = append(*f, name)
	}
}

func masterFlags(m *picture.Master) flags {
	var f flags
	f.add("s_down", m.Server.Down)
	f.add("o_down", m.ODown)
	f.add("master", true)
	f.add("disconnected", !m.Server.Watch.Connected)
	f.add("failover_in_progress", m.Failover != nil)
	f.add("force_failover", m.Failover != nil && m.Failover.Cause == failover.CauseManual)
	return f
}

func replicaFlags(m *picture.Master, r *picture.Server) flags {
	running := failover.Record{}
	if m.Failover != nil {
		running = *m.Failover
	}
	switched := running.Phase == failover.Switched
	done := switched && slices.Contains(running.Repointed, r.Addr)
	var f flags
	f.add("s_down", r.Down)
	f.add("slave", true)
	f.add("disconnected", !r.Watch.Connected)
	f.add("promoted", running.Phase == failover.Promoting && running.Target == r.Addr)
	f.add("reconf_inprog", switched && !done && r.Last != nil && r.Last.Master == running.Target)
	f.add("reconf_done", done)
	return f
}

func agentFlags(m *picture.Master, a *picture.Agent) flags {
	var f flags
	f.add("s_down", !a.Up)
	f.add("sentinel", true)
	f.add("disconnected", !a.Up)
	f.add("master_down", slices.ContainsFunc(m.Verdict.Down, func(o monitor.Opinion) bool { return o.Agent == a.ID }))
	return f
}

// failoverState is Sentinel's name for the phase of a failover; empty: none is running.
func failoverState(r *failover.Record) string {
	if r == nil {
		return ""
	}
	switch r.Phase {
	case failover.Begun:
		return "select_slave"
	case failover.Promoting:
		return "wait_promotion"
	case failover.Switched:
		return "reconf_slaves"
	}
	return "none"
}
