package trace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"

	"picket/failover"
)

// Config of an exporter.
type Config struct {
	Endpoint                string // where traces go, a URL: http://collector:4318/v1/traces
	Headers                 map[string]string
	Cluster, Agent, Version string
	Dial                    func(ctx context.Context, network, addr string) (net.Conn, error) // nil: a real one
	// Problem is told of traces that could not be delivered. It must not block.
	Problem func(error)
}

const (
	// queued bounds the failovers that wait to be told, of at most spansEach spans.
	queued, spansEach = 256, 8
	// gather is how long spans are gathered before they go out together.
	gather = 250 * time.Millisecond
	// timeout bounds a try; tries go on for patience, with pauses from firstPause up to maxPause.
	timeout, patience    = 10 * time.Second, 30 * time.Second
	firstPause, maxPause = time.Second, 5 * time.Second
	// grace is how long an agent that ends waits for what is still to be told.
	grace = time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 16 << 10
)

// Exporter delivers traces.
type Exporter struct {
	cfg      Config
	http     http.Client
	client   otlptrace.Client
	provider *sdk.TracerProvider
	tracer   otel.Tracer
	waiting  atomic.Int64
	dropped  atomic.Uint64
}

// New makes one that delivers until its Run has ended: Run must be called.
func New(cfg Config) *Exporter {
	return newExporter(cfg, otlptracehttp.RetryConfig{Enabled: true, InitialInterval: firstPause, MaxInterval: maxPause, MaxElapsedTime: patience})
}

func newExporter(cfg Config, retry otlptracehttp.RetryConfig) *Exporter {
	e := &Exporter{cfg: cfg}
	e.http = http.Client{
		Timeout: timeout, Transport: patient{&http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: cfg.Dial, IdleConnTimeout: time.Minute}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(cfg.Endpoint), otlptracehttp.WithHTTPClient(&e.http), otlptracehttp.WithMaxResponseSize(maxAnswer),
		otlptracehttp.WithRetry(retry),
	}
	if len(cfg.Headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(cfg.Headers))
	}
	e.client = otlptracehttp.NewClient(options...)
	e.provider = sdk.NewTracerProvider(
		sdk.WithIDGenerator(ids{}), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "picket"), attribute.String("service.instance.id", cfg.Agent), attribute.String("service.namespace", cfg.Cluster),
			attribute.String("service.version", cfg.Version),
		)),
		sdk.WithBatcher(&tally{otlptrace.NewUnstarted(e.client), e}, sdk.WithMaxQueueSize(queued*spansEach), sdk.WithMaxExportBatchSize(queued*spansEach),
			sdk.WithBatchTimeout(gather), sdk.WithExportTimeout(patience)),
	)
	e.tracer = e.provider.Tracer("picket", otel.WithInstrumentationVersion(cfg.Version))
	return e
}

// Tell has a failover delivered that has ended. It never waits: where too many do, it is dropped. It is called by one goroutine.
func (e *Exporter) Tell(r *failover.Record) {
	if e.waiting.Load() >= queued {
		e.dropped.Add(1)
		return
	}
	e.waiting.Add(1)
	record(e.tracer, e.cfg.Cluster, r)
}

// Dropped is how many failovers were not told.
func (e *Exporter) Dropped() uint64 { return e.dropped.Load() }

// Run returns when ctx has ended, and what waited then is delivered, or dropped after a short while.
func (e *Exporter) Run(ctx context.Context) {
	<-ctx.Done()
	last := context.WithoutCancel(ctx)
	giveUp := time.AfterFunc(grace, func() { _ = e.client.Stop(last) }) // it ends what is under way, and then nothing lasts
	defer giveUp.Stop()
	_ = e.provider.Shutdown(last) // what was not delivered is told of by the tally
	e.http.CloseIdleConnections()
}

// tally counts the failovers that go out, and those that could not.
type tally struct {
	sdk.SpanExporter
	of *Exporter
}

// ExportSpans implements sdk.SpanExporter. Its errors go no further: the SDK would print them.
func (t *tally) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	failovers := 0
	for _, s := range spans {
		if !s.Parent().IsValid() {
			failovers++
		}
	}
	err := t.SpanExporter.ExportSpans(ctx, spans)
	t.of.waiting.Add(-int64(failovers))
	if err != nil {
		t.of.dropped.Add(uint64(failovers))
		t.of.cfg.Problem(fmt.Errorf("tell of %d failovers: %w", failovers, err))
	}
	return nil
}

// patient has the exporter try again when a collector is away, too, and not only when it says that it is busy.
type patient struct{ *http.Transport }

type away struct{ error }

// Temporary is what the exporter asks of an error.
func (away) Temporary() bool { return true }

// Unwrap gives what has happened.
func (a away) Unwrap() error { return a.error }

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.Transport.RoundTrip(request)
	if err != nil && !errors.Is(err, context.Canceled) {
		err = away{err}
	}
	return response, err
}
