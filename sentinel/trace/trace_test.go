package trace

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/failover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func record() *failover.Record {
	return &failover.Record{
		ID: 18, Master: "m", Epoch: 7, Cause: failover.CauseDown, Old: "h:1", Target: "h:2", Outcome: failover.Done, Agents: []string{"a"},
		DownAt: 1000, BegunAt: 2000, PromoteAt: 3000, SwitchAt: 4000, EndAt: 9000,
	}
}

func TestParent_IsOfTheFailoverAlone(t *testing.T) {
	if !regexp.MustCompile("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$").MatchString(Parent("c", 18)) {
		t.Errorf("traceparent %q", Parent("c", 18))
	}
	if Parent("c", 18) == Parent("c", 19) || Parent("c", 18) == Parent("d", 18) {
		t.Error("it does not name one failover of one cluster")
	}
}

func TestSpans(t *testing.T) {
	spans := Spans("c", record())
	var got []string
	for _, s := range spans {
		got = append(got, s.Name)
		if s.Begin.Before(spans[0].Begin) || s.End.After(spans[0].End) {
			t.Errorf("%s is not within the failover", s.Name)
		}
		if s.Name != "failover" && s.Parent != spans[0].ID {
			t.Errorf("%s is a part of %s", s.Name, s.Parent)
		}
	}
	if text, _ := json.Marshal(got); string(text) != `["failover","elect","read","promote","repoint"]` {
		t.Errorf("spans %s", text)
	}
	given := record()
	given.HandOver, given.Outcome, given.Why, given.DownAt, given.PromoteAt, given.SwitchAt = true, failover.Aborted, "too late", 0, 0, 0
	if spans := Spans("c", given); len(spans) != 1 || spans[0].Name != "switchover" || spans[0].Failed != "too late" {
		t.Errorf("one that was given up: %+v", spans)
	}
	given.EndAt = 1
	if s := Spans("c", given)[0]; s.End.Before(s.Begin) {
		t.Error("it ends before it begins")
	}
}

// collector answers with codes, one after the other, and then with success.
type collector struct {
	mu     sync.Mutex
	codes  []int
	bodies []string
	header http.Header
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies, c.header = append(c.bodies, string(body)), r.Header
	if len(c.codes) > 0 {
		w.WriteHeader(c.codes[0])
		c.codes = c.codes[1:]
	}
}

func TestExporter_Delivers(t *testing.T) {
	for name, c := range map[string]struct {
		codes []int
		tries int
		fails bool
	}{
		"at once":        {nil, 1, false},
		"it is busy":     {[]int{503, 429}, 3, false},
		"it says no":     {[]int{400}, 1, true},
		"it stays busy":  {[]int{503, 503, 503, 503, 503}, tries, true},
		"it redirects":   {[]int{307}, 1, true},
		"it has a fault": {[]int{500}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			to := &collector{codes: c.codes}
			server := httptest.NewServer(to)
			defer server.Close()
			problems := make(chan error, 1)
			e := New(Config{
				Endpoint: server.URL, Headers: http.Header{"X-Key": {"hunter2"}}, Cluster: "c", Agent: "a", Version: "v", Problem: func(err error) { problems <- err },
			})
			e.pause = time.Millisecond
			e.deliver(t.Context(), record())
			e.client.CloseIdleConnections()
			if len(to.bodies) != c.tries || (e.Dropped() == 1) != c.fails || (len(problems) == 1) != c.fails {
				t.Errorf("%d tries, %d dropped, %d problems", len(to.bodies), e.Dropped(), len(problems))
			}
			if to.header.Get("X-Key") != "hunter2" || to.header.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", to.header)
			}
		})
	}
}

func TestExporter_NeverWaits(t *testing.T) {
	e := New(Config{})
	for range queued + 3 {
		e.Tell(record())
	}
	if e.Dropped() != 3 {
		t.Errorf("%d are dropped, want 3", e.Dropped())
	}
}

// TestEncode_IsOTLP: as the specification has it in JSON, ids are hex and times are text.
func TestEncode_IsOTLP(t *testing.T) {
	got, err := encode(Config{Cluster: "c", Agent: "a", Version: "v"}, TraceID("c", 18), Spans("c", record())[1:2])
	const want = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"picket"}},` +
		`{"key":"service.instance.id","value":{"stringValue":"a"}},{"key":"service.namespace","value":{"stringValue":"c"}}]},` +
		`"scopeSpans":[{"scope":{"name":"picket","version":"v"},"spans":[{"traceId":"TRACE","spanId":"SPAN","parentSpanId":"ROOT","name":"elect","kind":1,` +
		`"startTimeUnixNano":"1000","endTimeUnixNano":"2000","status":{"code":1}}]}]}]}`
	text := string(got)
	for word, value := range map[string]string{"TRACE": TraceID("c", 18), "SPAN": id(8, "c", uint64(18), "elect"), "ROOT": root("c", 18)} {
		text = regexp.MustCompile(value).ReplaceAllString(text, word)
	}
	if err != nil || text != want {
		t.Errorf("%s (%v)\nwant\n%s", text, err, want)
	}
}
