package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"picket/failover"
)

// Config of an exporter.
type Config struct {
	Endpoint                string // where traces go, a URL: http://collector:4318/v1/traces
	Headers                 http.Header
	Cluster, Agent, Version string
	Dial                    func(ctx context.Context, network, addr string) (net.Conn, error) // nil: a real one
	// Problem is told of a trace that could not be delivered. It must not block.
	Problem func(error)
}

const (
	// queued bounds the failovers that wait to be told.
	queued = 256
	// tries is how often one is tried to be delivered, with pauses that begin with firstPause and double.
	tries      = 4
	firstPause = time.Second
	timeout    = 10 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 512
)

// Exporter delivers traces, one after the other, while it runs.
type Exporter struct {
	cfg     Config
	client  http.Client
	queue   chan *failover.Record
	dropped atomic.Uint64
	pause   time.Duration // before the second try
}

// New makes one that delivers nothing before Run.
func New(cfg Config) *Exporter {
	return &Exporter{
		cfg: cfg, pause: firstPause, queue: make(chan *failover.Record, queued),
		client: http.Client{
			Timeout: timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: cfg.Dial, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Tell has a failover delivered that has ended. It never waits: where too many do, it is dropped. The record must not change any more.
func (e *Exporter) Tell(r *failover.Record) {
	select {
	case e.queue <- r:
	default:
		e.dropped.Add(1)
	}
}

// Dropped is how many failovers were not told.
func (e *Exporter) Dropped() uint64 { return e.dropped.Load() }

// Run delivers until ctx ends. What waits then is tried once more.
func (e *Exporter) Run(ctx context.Context) {
	defer e.client.CloseIdleConnections()
	for {
		select {
		case r := <-e.queue:
			e.deliver(ctx, r)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			for len(e.queue) > 0 && last.Err() == nil {
				e.deliver(last, <-e.queue)
			}
			return
		}
	}
}

func (e *Exporter) deliver(ctx context.Context, r *failover.Record) {
	body, err := encode(e.cfg, TraceID(e.cfg.Cluster, r.ID), Spans(e.cfg.Cluster, r))
	pause := e.pause
	for try := 1; err == nil; try++ {
		var again bool
		if again, err = e.post(ctx, body); err == nil {
			return
		}
		if !again || try == tries || ctx.Err() != nil {
			break
		}
		err = nil
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause *= 2
	}
	e.dropped.Add(1)
	e.cfg.Problem(fmt.Errorf("tell of failover %d of %s: %w", r.ID, r.Master, err))
}

// post says whether another try may do better.
func (e *Exporter) post(ctx context.Context, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	request.Header = e.cfg.Headers.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := e.client.Do(request)
	if err != nil {
		return true, err
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // for people
	switch code := response.StatusCode; {
	case code/100 == 2:
		return false, nil
	default:
		again = code == http.StatusTooManyRequests || code >= http.StatusBadGateway && code <= http.StatusGatewayTimeout
		return again, fmt.Errorf("the collector answers %s: %q", response.Status, said)
	}
}
