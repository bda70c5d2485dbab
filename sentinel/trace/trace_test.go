package trace

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"picket/failover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ended() *failover.Record {
	return &failover.Record{
		ID: 18, Master: "m", Epoch: 7, Cause: failover.CauseDown, Old: "h:1", Target: "h:2", Outcome: failover.Done, Agents: []string{"a"},
		DownAt: 1000, BegunAt: 2000, PromoteAt: 3000, SwitchAt: 4000, EndAt: 9000,
	}
}

func TestParent_IsOfTheFailoverAlone(t *testing.T) {
	if got := Parent("c", 18); !regexp.MustCompile("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$").MatchString(got) {
		t.Errorf("traceparent %q", got)
	}
	if Parent("c", 18) == Parent("c", 19) || Parent("c", 18) == Parent("d", 18) {
		t.Error("it does not name one failover of one cluster")
	}
}

// collector answers with codes, one after the other, and then with success.
type collector struct {
	mu     sync.Mutex
	codes  []int
	got    []*collectorpb.ExportTraceServiceRequest
	header http.Header
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var told collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &told); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got, c.header = append(c.got, &told), r.Header
	if len(c.codes) > 0 {
		w.WriteHeader(c.codes[0])
		c.codes = c.codes[1:]
	}
}

// spans are those of the last request.
func (c *collector) spans() []*tracepb.Span {
	return c.got[len(c.got)-1].ResourceSpans[0].ScopeSpans[0].Spans
}

// tell runs an exporter, has it tell of failovers, and ends it. It gives what it had to say, too.
func tell(to http.Handler, records ...*failover.Record) (*Exporter, []error) {
	server := httptest.NewServer(to)
	defer server.Close()
	return tellAt(server.URL+"/v1/traces", records...)
}

func tellAt(url string, records ...*failover.Record) (*Exporter, []error) {
	problems := make(chan error, 10)
	e := newExporter(Config{
		Endpoint: url, Headers: map[string]string{"X-Key": "hunter2"}, Cluster: "c", Agent: "a", Version: "v", Problem: func(err error) { problems <- err },
	}, otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Millisecond, MaxInterval: time.Millisecond, MaxElapsedTime: 100 * time.Millisecond})
	for _, r := range records {
		e.Tell(r)
	}
	end(e)
	close(problems)
	var all []error
	for err := range problems {
		all = append(all, err)
	}
	return e, all
}

// end runs an exporter that is to end at once.
func end(e *Exporter) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.Run(ctx)
}

func TestExporter_TellsOneTrace(t *testing.T) {
	to := &collector{}
	tell(to, ended())
	resource := fmt.Sprint(to.got[0].ResourceSpans[0].Resource)
	for _, want := range []string{"picket", `"a"`, `"c"`, `"v"`} {
		if !strings.Contains(resource, want) {
			t.Errorf("the resource lacks %s: %s", want, resource)
		}
	}
	spans := to.spans()
	root := spans[len(spans)-1]
	if got := fmt.Sprintf("00-%x-%x-01", root.TraceId, root.SpanId); got != Parent("c", 18) {
		t.Errorf("its first span is %s, and events name %s", got, Parent("c", 18))
	}
	var got []string
	for _, s := range spans {
		got = append(got, fmt.Sprintf("%s %d-%d %s", s.Name, s.StartTimeUnixNano, s.EndTimeUnixNano, s.Status.Code))
		if string(s.TraceId) != string(root.TraceId) || s != root && string(s.ParentSpanId) != string(root.SpanId) {
			t.Errorf("%s is no part of it", s.Name)
		}
	}
	want := "elect 1000-2000 STATUS_CODE_OK, read 2000-3000 STATUS_CODE_OK, promote 3000-4000 STATUS_CODE_OK, repoint 4000-9000 STATUS_CODE_OK, failover 1000-9000 STATUS_CODE_OK"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("spans %s\nwant  %s", text, want)
	}
	facts := map[string]string{}
	for _, a := range root.Attributes {
		facts[a.Key] = a.Value.GetStringValue()
	}
	if facts["picket.master"] != "m" || facts["picket.failover"] != "18" || facts["picket.to"] != "h:2" {
		t.Errorf("it says %v", facts)
	}
}

func TestExporter_TellsOfOneThatWasGivenUp(t *testing.T) {
	given := ended()
	given.HandOver, given.Outcome, given.Why, given.DownAt, given.PromoteAt, given.SwitchAt = true, failover.Aborted, "too late", 0, 0, 0
	given.EndAt = 1 // by another leader's clock, before it began
	to := &collector{}
	tell(to, given)
	spans := to.spans()
	if s := spans[0]; len(spans) != 1 || s.Name != "switchover" || s.Status.Code != tracepb.Status_STATUS_CODE_ERROR || s.Status.Message != "too late" || s.EndTimeUnixNano < s.StartTimeUnixNano {
		t.Errorf("spans %v", spans)
	}
}

func TestExporter_Delivers(t *testing.T) {
	for name, c := range map[string]struct {
		codes []int
		tries int // 0: many
		fails bool
	}{
		"at once":        {nil, 1, false},
		"it is busy":     {[]int{503, 429, 502, 504}, 5, false},
		"it says no":     {[]int{400}, 1, true},
		"it stays busy":  {make503(1000), 0, true},
		"it redirects":   {[]int{307}, 1, true},
		"it has a fault": {[]int{500}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			to := &collector{codes: c.codes}
			e, problems := tell(to, ended())
			if c.tries > 0 && len(to.got) != c.tries || len(to.got) == 0 || (e.Dropped() == 1) != c.fails || (len(problems) == 1) != c.fails {
				t.Errorf("%d tries, %d dropped, problems %v", len(to.got), e.Dropped(), problems)
			}
			if to.header.Get("X-Key") != "hunter2" || to.header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("header %v", to.header)
			}
			if strings.Contains(fmt.Sprint(problems), "hunter2") {
				t.Errorf("a secret is told: %v", problems)
			}
		})
	}
}

func make503(n int) []int {
	codes := make([]int, n)
	for i := range codes {
		codes[i] = http.StatusServiceUnavailable
	}
	return codes
}

// TestExporter_WaitsForACollectorThatStarts: that nobody listens is no reason to drop a trace at once.
func TestExporter_WaitsForACollectorThatStarts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	begun := time.Now()
	e, problems := tellAt("http://"+addr+"/v1/traces", ended(), ended())
	if e.Dropped() != 2 || len(problems) != 1 || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("%d dropped after %v, problems %v", e.Dropped(), time.Since(begun), problems)
	}
}

// TestExporter_NeverWaits: of more than it may hold it drops whole failovers, and it ends soon although the collector says nothing.
func TestExporter_NeverWaits(t *testing.T) {
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	defer server.Close()
	defer close(held)
	e := New(Config{Endpoint: server.URL, Cluster: "c", Problem: func(error) {}})
	begun := time.Now()
	for range queued + 3 {
		e.Tell(ended())
	}
	if took := time.Since(begun); e.Dropped() != 3 || took > time.Second {
		t.Errorf("%d are dropped, want 3, in %v", e.Dropped(), took)
	}
	begun = time.Now()
	end(e)
	if took := time.Since(begun); e.Dropped() != queued+3 || took < grace || took > grace+5*time.Second {
		t.Errorf("%d are dropped at the end, want all %d, in %v", e.Dropped(), queued+3, took)
	}
}
