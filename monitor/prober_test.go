package monitor

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
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

// TestProber_TriesOnceMoreBehindTheGraceTime: a judge that is late with the last try before its end must not have to wait for the next one until retryLater.
func TestProber_TriesOnceMoreBehindTheGraceTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := config.DefaultMaster()
		m := New(Config{})
		m.events = make(chan event) // whoever reports waits
		target := Target{Addr: "h:1", Settings: &settings}
		p := newProber(m, &watched{}, target)
		p.dialer = func(context.Context, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		ctx, cancel := context.WithCancel(t.Context())
		go p.run(ctx)
		begun, f := time.Now(), newFacts(target, time.Now())
		for f.State != Down {
			e := <-m.events
			e.apply(f, e.at)
			if left := settings.CrashGrace - time.Since(begun); left > 0 && left <= retrySoon {
				time.Sleep(2 * retrySoon)
			}
		}
		if took := time.Since(begun); took > settings.CrashGrace+4*retrySoon {
			t.Errorf("found down after %v", took)
		}
		cancel()
		synctest.Wait()
	})
}
