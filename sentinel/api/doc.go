// Package api is the agent's HTTP door for operators and their tools: health, status and metrics. It only reads.
//
//	GET /healthz    200 while the agent's loops run, else 503: for supervisors; it says nothing about the masters
//	GET /v1/status  what the agent knows now (picture.Picture)
//	GET /metrics    the same for Prometheus, and counters
package api
