// Package trace tells an OpenTelemetry collector of failovers: each is one trace, made of the committed record after the failover has ended, so that nothing
// on its way waits for it.
//
//	failover ─┬─ elect     from when the master was found down to the first step in the log
//	          ├─ read      the replicas are cut and read
//	          ├─ promote
//	          └─ repoint   the others are made to follow
//
// Ids are made of the cluster and the failover alone: whoever tells of a part of it, another leader or a receiver of webhooks, names the same trace. Spans
// are made and go out by the OpenTelemetry SDK, as OTLP over HTTP in protobuf, which every collector takes.
//
// What can't be delivered within some tries is dropped, and counted.
package trace
