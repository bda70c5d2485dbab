package trace

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otel "go.opentelemetry.io/otel/trace"

	"picket/failover"
)

// record makes the spans of a failover that has ended. Its first span ends last, so that whoever has that one has all.
func record(tracer otel.Tracer, cluster string, r *failover.Record) {
	begin, end := r.BegunAt.Time(), r.EndAt.Time()
	if r.DownAt != 0 && r.DownAt < r.BegunAt {
		begin = r.DownAt.Time()
	}
	if end.Before(begin) {
		end = begin // two leaders' clocks
	}
	name := "failover"
	if r.HandOver {
		name = "switchover"
	}
	ctx, root := tracer.Start(within(context.Background(), part{cluster, r.ID, rootName}), name, otel.WithTimestamp(begin), otel.WithAttributes(facts(cluster, r)...))
	for _, p := range failover.Phases(r) {
		_, span := tracer.Start(within(ctx, part{cluster, r.ID, p.Name}), p.Name, otel.WithTimestamp(p.Begin))
		span.SetStatus(codes.Ok, "")
		span.End(otel.WithTimestamp(p.End))
	}
	if r.Outcome == failover.Aborted {
		root.SetStatus(codes.Error, r.Why)
	} else {
		root.SetStatus(codes.Ok, "")
	}
	root.End(otel.WithTimestamp(end))
}

// facts are what is known of a failover, on its first span.
func facts(cluster string, r *failover.Record) (known []attribute.KeyValue) {
	for _, a := range []struct{ name, value string }{
		{"cluster", cluster}, {"master", r.Master}, {"failover", fmt.Sprint(r.ID)}, {"epoch", fmt.Sprint(r.Epoch)},
		{"cause", string(r.Cause)}, {"from", string(r.Old)}, {"to", string(r.Target)}, {"outcome", string(r.Outcome)},
		{"evidence", r.Evidence}, {"chosen", r.Chosen}, {"leader", r.Leader()}, {"reason", r.Reason}, {"why", r.Why},
	} {
		if a.value != "" {
			known = append(known, attribute.String("picket."+a.name, a.value))
		}
	}
	return known
}
