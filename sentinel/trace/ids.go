package trace

import (
	"context"
	"crypto/sha256"
	"fmt"

	otel "go.opentelemetry.io/otel/trace"
)

// sum makes bytes of words: the same always, others for other words.
func sum(words ...any) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "picket %q", words))
}

// part names a span: a failover of a cluster, or a phase of it.
type part struct {
	cluster  string
	failover uint64
	name     string // rootName, or that of a phase
}

// rootName stands for the failover as a whole in ids, also where it was a switchover.
const rootName = "failover"

func (p part) trace() otel.TraceID {
	all := sum(p.cluster, p.failover)
	return otel.TraceID(all[:len(otel.TraceID{})])
}

func (p part) span() otel.SpanID {
	all := sum(p.cluster, p.failover, p.name)
	return otel.SpanID(all[:len(otel.SpanID{})])
}

// Parent names the failover to whoever traces what it leads to, as the W3C's traceparent: version, trace, span, sampled.
func Parent(cluster string, failover uint64) string {
	root := part{cluster, failover, rootName}
	return fmt.Sprintf("00-%s-%s-01", root.trace(), root.span())
}

// ids gives spans the ids of their parts, which are in their contexts.
type ids struct{}

// NewIDs implements sdk.IDGenerator.
func (ids) NewIDs(ctx context.Context) (otel.TraceID, otel.SpanID) {
	p := ctx.Value(part{}).(part)
	return p.trace(), p.span()
}

// NewSpanID implements sdk.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ otel.TraceID) otel.SpanID {
	return ctx.Value(part{}).(part).span()
}

// within is a context for the span of a part.
func within(ctx context.Context, p part) context.Context { return context.WithValue(ctx, part{}, p) }
