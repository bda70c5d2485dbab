// Package api is the agent's HTTP door for operators and their tools: health, status and metrics, which it only
// reads, and the replicated map, which programs on the agent's own host may write.
//
//	GET /healthz       200 while the agent's loops run, else 503: for supervisors; it says nothing about the masters
//	GET /v1/status     what the agent knows now (picture.Picture)
//	GET /metrics       the same for Prometheus, and counters
//	GET /v1/kv/{key}   a key's value (Item), with ?prefix all that begin so (List), with ?watch their changes
//	PUT /v1/kv/{key}   writes the body, DELETE removes the key (Written), also on a condition
//	GET /v1/pause      the pauses that hold (Pauses); POST begins one (PauseOrder), DELETE ends one
//
// What goes wrong is told as a Problem.
package api
