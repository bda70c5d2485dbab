package trace

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"picket/failover"
)

// id makes bytes of words: the same always, others for other words.
func id(bytes int, words ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "picket %q", words))
	return hex.EncodeToString(sum[:bytes])
}

// TraceID is the trace of a failover.
func TraceID(cluster string, failover uint64) string { return id(16, cluster, failover) }

// root is the id of its first span.
func root(cluster string, failover uint64) string { return id(8, cluster, failover, "failover") }

// Parent names the failover to whoever traces what it leads to, as the W3C's traceparent: version, trace, span, sampled.
func Parent(cluster string, failover uint64) string {
	return "00-" + TraceID(cluster, failover) + "-" + root(cluster, failover) + "-01"
}

// Span is a part of a trace.
type Span struct {
	ID, Parent string // the latter empty: it is the first
	Name       string
	Begin, End time.Time
	Failed     string // why; empty: it has not
	Attributes []Attribute
}

// Attribute is a fact on a span.
type Attribute struct{ Name, Value string }

// Spans are those of a failover that has ended, the first span first.
func Spans(cluster string, r *failover.Record) []Span {
	first := Span{ID: root(cluster, r.ID), Name: "failover", Begin: time.Unix(0, r.BegunAt), End: time.Unix(0, r.EndAt)}
	if r.HandOver {
		first.Name = "switchover"
	}
	if r.DownAt != 0 && r.DownAt < r.BegunAt {
		first.Begin = time.Unix(0, r.DownAt)
	}
	if first.End.Before(first.Begin) {
		first.End = first.Begin // two leaders' clocks
	}
	if r.Outcome == failover.Aborted {
		first.Failed = r.Why
	}
	for _, a := range []Attribute{
		{"picket.cluster", cluster}, {"picket.master", r.Master}, {"picket.failover", fmt.Sprint(r.ID)}, {"picket.epoch", fmt.Sprint(r.Epoch)},
		{"picket.cause", string(r.Cause)}, {"picket.from", string(r.Old)}, {"picket.to", string(r.Target)}, {"picket.outcome", string(r.Outcome)},
		{"picket.evidence", r.Evidence}, {"picket.chosen", r.Chosen}, {"picket.leader", r.Leader()}, {"picket.reason", r.Reason}, {"picket.why", r.Why},
	} {
		if a.Value != "" {
			first.Attributes = append(first.Attributes, a)
		}
	}
	spans := []Span{first}
	for _, p := range failover.Phases(r) {
		spans = append(spans, Span{ID: id(8, cluster, r.ID, p.Name), Parent: first.ID, Name: p.Name, Begin: p.Begin, End: p.End})
	}
	return spans
}
