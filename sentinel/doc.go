// Package sentinel is Picket's agent: it wires the consensus group, the monitor, the failover runners and the doors to the outside
// together, and holds what none of them can know alone.
//
//	config file ─┐                       ┌─ Sentinel protocol (sentinel/resp)
//	             ▼                       │
//	monitor ─► watch ─► judge ─► campaign ─► lead: begin, run, repair, discover, webhooks
//	   ▲                  ▲          │       │
//	   └── gossip ────────┘          ▼       ▼
//	       opinions of peers    consensus ─► state ─► herald ─► events and log lines, HTTP (sentinel/api)
//
// One goroutine (Agent.judge) looks at the replicated state and at the monitor's view whenever either changes, and decides
// what is watched, who must campaign and when, and what the leader has to start. What takes time is done by goroutines of
// its own, each bound to the term that it acts in: a step that comes too late is refused by the log.
package sentinel
