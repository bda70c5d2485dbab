package monitor

import (
	"context"
	"testing"
	"time"
)

// TestProber_IsSilentOnceStopped: its server may be asked by another one already, of other settings, and that one's connection is not lost.
func TestProber_IsSilentOnceStopped(t *testing.T) {
	m := New(Config{})
	p := &prober{monitor: m, server: &watched{}}
	ctx, cancel := context.WithCancel(t.Context())
	p.report(ctx, (*facts).lost)
	if len(m.events) != 1 {
		t.Fatal("nothing is reported")
	}
	cancel()
	for range 100 {
		p.report(ctx, func(*facts, time.Time) {})
	}
	if n := len(m.events); n != 1 {
		t.Errorf("%d events were reported after the end", n-1)
	}
}
