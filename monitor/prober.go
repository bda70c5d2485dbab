package monitor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	retrySoon   = 5 * time.Millisecond   // between tries while it is open whether a server died
	retryLater  = 100 * time.Millisecond // once it is known to be down: a restart is seen within this time
	infoPeriod  = time.Second            // between INFOs while all is well
	dialLimit   = 2 * time.Second
	halfOpen    = 5 * time.Second // an answer may be so late before the connection is given up: a hung server answers on it when it wakes
	maxBadReply = 200             // characters of a server's error that are kept

	// There may be thousands of servers. INFO is 5 kB; go-redis would take 256 KiB for each connection.
	inBuffer, outBuffer = 8 << 10, 1 << 10
)

// prober asks one server over one connection and reports what it sees. It judges nothing.
type prober struct {
	monitor  *Monitor
	server   *watched
	target   Target
	refresh  chan chan *Observation // asks to probe at once
	attended atomic.Bool            // INFO with every PING
	dialer   func(ctx context.Context, addr string) (net.Conn, error)
}

func newProber(m *Monitor, w *watched, t Target) *prober {
	p := &prober{monitor: m, server: w, target: t, refresh: make(chan chan *Observation)}
	p.dialer = func(ctx context.Context, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, min(dialLimit, t.Settings.DownAfter))
		defer cancel()
		return m.cfg.Dial(ctx, "tcp", addr)
	}
	return p
}

// report hands an event to the monitor's loop.
func (p *prober) report(ctx context.Context, apply func(*facts, time.Time)) {
	if ctx.Err() != nil { // the end of a connection that somebody ended is no news
		return
	}
	select {
	case p.monitor.events <- event{server: p.server, at: p.monitor.cfg.Now(), apply: apply}:
	case <-ctx.Done():
	}
}

// run connects, and connects again, until ctx ends.
func (p *prober) run(ctx context.Context) {
	var refusedSince time.Time // not before the facts count it; zero: not refused
	short := 0                 // connections in a row that ended at once
	for ctx.Err() == nil {
		conn, err := p.connect(ctx)
		if err == nil {
			begun := time.Now()
			p.session(ctx, conn)
			refusedSince = time.Time{}
			if time.Since(begun) > retryLater {
				short = 0
				continue
			}
			// A dying server may still accept for a moment; one that throws us out, for example for a wrong password, is not to
			// be pestered.
			p.pause(ctx, min(retrySoon<<short, retryLater))
			short = min(short+1, 10)
			continue
		}
		pause := retryLater
		if errors.Is(err, syscall.ECONNREFUSED) {
			at := p.monitor.cfg.Now()
			p.report(ctx, (*facts).refused)
			if refusedSince.IsZero() {
				refusedSince = p.monitor.cfg.Now()
			}
			// The last of these tries falls on the end of the grace time, or, when all are late, behind it.
			if left := p.target.Settings.CrashGrace - at.Sub(refusedSince); left > 0 {
				pause = max(min(retrySoon, left), time.Millisecond)
			}
		} else {
			refusedSince = time.Time{}
			why := err.Error()
			p.report(ctx, func(f *facts, at time.Time) { f.unreachable(at, why) })
		}
		p.pause(ctx, pause)
	}
}

// pause waits, answering requests to refresh with nothing.
func (p *prober) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case answer := <-p.refresh:
			answer <- nil
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *prober) connect(ctx context.Context) (net.Conn, error) {
	p.report(ctx, (*facts).sent)
	conn, err := p.dialer(ctx, string(p.target.Addr))
	if err != nil {
		return nil, err
	}
	p.report(ctx, func(f *facts, _ time.Time) { f.connected() })
	return conn, nil
}

// session asks over one connection until it breaks.
func (p *prober) session(ctx context.Context, raw net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := make(chan struct{})
	conn := watch(raw, func(said string) {
		if said != "" {
			p.report(ctx, func(f *facts, at time.Time) { f.replied(at, nil, advise(said)) })
		}
		p.report(ctx, (*facts).lost)
		close(broken)
	})
	client, err := p.client(conn)
	if err != nil {
		text := err.Error()
		p.report(ctx, func(f *facts, at time.Time) { f.unreachable(at, text) })
		_ = conn.Close() // nothing was sent
		<-broken
		p.pause(ctx, retryLater)
		return
	}
	p.ask(ctx, client, conn.RemoteAddr(), broken)
	cancel() // the end of the connection is our own doing from here on, and no news
	_ = client.Close()
	_ = conn.Close() // go-redis may not have used it yet
	<-broken
}

// client gives go-redis the connection; a second one is refused.
func (p *prober) client(conn net.Conn) (*redis.Client, error) {
	opts, err := RedisOptions(p.target.Settings, p.target.Addr, p.monitor.cfg.Certs)
	if err != nil {
		return nil, err
	}
	secure := opts.TLSConfig
	// login sends these, because go-redis would hide what the server says about a wrong password behind a second dial.
	opts.Username, opts.Password = "", ""
	opts.ReadTimeout, opts.WriteTimeout = -1, -1 // contexts bound every call
	opts.ReadBufferSize, opts.PipelineReadBufferSize = inBuffer, inBuffer
	opts.WriteBufferSize, opts.PipelineWriteBufferSize = outBuffer, outBuffer
	var used atomic.Bool
	opts.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, net.ErrClosed
		}
		if secure == nil {
			return conn, nil
		}
		secured := tls.Client(conn, secure)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		return secured, nil
	}
	return NewClient(p.target.Settings, opts), nil
}

// ask sends PINGs, each period or when refreshed, until an answer fails, or the server is found to be elsewhere by now: there may be another one at its
// old IP address.
func (p *prober) ask(ctx context.Context, client *redis.Client, remote net.Addr, broken <-chan struct{}) {
	period := PingPeriod(p.target.Settings)
	tick := time.NewTicker(period)
	defer tick.Stop()
	var lastInfo time.Time
	var answer chan *Observation
	first := true
	for {
		withInfo := answer != nil || p.attended.Load() || p.monitor.cfg.Now().Sub(lastInfo) >= infoPeriod
		o, ok := p.probe(ctx, client, first, withInfo)
		first = false
		if o != nil {
			lastInfo = o.At
		}
		if answer != nil {
			answer <- o
			answer = nil
		}
		if !ok || p.monitor.cfg.Names.Moved(p.target.Addr, remote) {
			return
		}
		select {
		case <-tick.C:
		case answer = <-p.refresh:
		case <-broken:
			return
		case <-ctx.Done():
			return
		}
	}
}

// minReplicas is the setting that fences are made of, see package failover. A server that does not tell it is watched all the same.
const minReplicas = "min-replicas-to-write"

// FenceOf reads the answer to CONFIG GET min-replicas-to-write; -1: there is none.
func FenceOf(answer *redis.MapStringStringCmd) int64 {
	n, err := strconv.ParseInt(answer.Val()[minReplicas], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// probe is one PING, with INFO or without. ok is false when the connection is of no use any more.
func (p *prober) probe(ctx context.Context, client *redis.Client, first, withInfo bool) (*Observation, bool) {
	p.report(ctx, (*facts).sent)
	limit, cancel := context.WithTimeout(ctx, max(halfOpen, 3*p.target.Settings.DownAfter))
	defer cancel()
	pipe := client.Pipeline()
	if first {
		p.login(limit, pipe)
	}
	ping := pipe.Ping(limit)
	var info *redis.StringCmd
	var fence *redis.MapStringStringCmd
	if withInfo {
		info, fence = pipe.Info(limit), pipe.ConfigGet(limit, minReplicas)
	}
	commands, err := pipe.Exec(limit)
	at := p.monitor.cfg.Now()
	bad, answered := classify(ping, err)
	if denied := commands[0].Err(); answered && first && p.target.Settings.Password != "" && denied != nil && !NeedsNoPassword(denied.Error()) {
		bad = advise(denied.Error())
	}
	if !answered {
		return nil, false
	}
	var o *Observation
	if info != nil && info.Err() == nil {
		if parsed, err := ParseInfo(p.target.Addr, at, info.Val()); err == nil {
			o = &parsed
			o.Fence = FenceOf(fence)
			p.monitor.cfg.Names.Name(o)
		} else if bad == "" {
			bad = err.Error()
		}
	}
	p.report(ctx, func(f *facts, at time.Time) { f.replied(at, o, bad) })
	return o, true
}

// classify says what a PING's outcome is: not answered, or answered with what is wrong about it. As with Sentinel, a server that
// loads, or a replica without its master, is up.
func classify(ping *redis.StatusCmd, exec error) (bad string, answered bool) {
	err := ping.Err()
	if err == nil && exec != nil && ping.Val() == "" {
		err = exec
	}
	if err == nil {
		return "", true
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return "", false
	}
	text := err.Error()
	if strings.HasPrefix(text, "LOADING") || strings.HasPrefix(text, "MASTERDOWN") {
		return "", true
	}
	return advise(text), true
}

// login says who we are. The name is for operators who look at CLIENT LIST.
func (p *prober) login(ctx context.Context, pipe redis.Pipeliner) {
	settings := p.target.Settings
	switch {
	case settings.Username != "":
		pipe.AuthACL(ctx, settings.Username, string(settings.Password))
	case settings.Password != "":
		pipe.Auth(ctx, string(settings.Password))
	}
	pipe.ClientSetName(ctx, "picket-"+p.monitor.cfg.Self+"-monitor")
}

// advise adds a remedy to a server's error.
func advise(text string) string {
	text = text[:min(len(text), maxBadReply)]
	if strings.HasPrefix(text, "NOAUTH") || strings.HasPrefix(text, "WRONGPASS") {
		text += " (check username and password of this master in the configuration)"
	}
	if strings.HasPrefix(text, "DENIED") {
		text += " … (set a password, bind or protected-mode on the server)"
	}
	return text
}
