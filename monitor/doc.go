// Package monitor watches Redis servers and forms opinions about them. It decides nothing: probes give
// typed evidence, evidence gives this agent's opinion of a server, opinions of all agents and what the
// replicas report give a verdict (Judge), and the verdict is somebody else's reason to act.
//
// The judgement is pure; the Monitor around it holds one connection per server and one goroutine that
// owns all state. Names resolves the servers' host names and tells which addresses mean the same one. Over a second connection to some servers it hears whether other coordinators watch them, too.
package monitor
