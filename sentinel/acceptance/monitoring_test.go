package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/trace"
)

// tool finds a program that a test plays with. Where it is missing the test is left out, but not where all must be there.
func tool(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed, and here it must be: see .ci/setup", program)
	default:
		t.Skipf("%s is not installed: apt-get install %s", program, debian)
	}
	return ""
}

const alertsFile, dashboardFile, alertTests = "../../docs/alerts.yml", "../../docs/grafana.json", "../metrics/testdata/alerts_test.yml"

// rules is what a file of alerts holds.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr string
			Annotations map[string]string
		}
	}
}

func alerts(t *testing.T) (r rules) {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// variable stands in a dashboard's query for what its user chooses.
var variable = regexp.MustCompile(`\$\w+`)

// dashboard gives the queries of the dashboard, those that fill its variables as well.
func dashboard(t *testing.T) (queries, fills []string) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Annotations struct{ List []struct{ Expr string } }
		Templating  struct{ List []struct{ Definition string } }
		Panels      []struct {
			Type, Title string
			ID          int
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d (%s) is there twice, or shows nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			queries = append(queries, variable.ReplaceAllString(q.Expr, ".*"))
		}
	}
	for _, a := range d.Annotations.List {
		queries = append(queries, variable.ReplaceAllString(a.Expr, ".*"))
	}
	for _, v := range d.Templating.List {
		fills = append(fills, v.Definition)
	}
	return queries, fills
}

// promtool runs it, and fails the test with what it says where it finds fault.
func promtool(t *testing.T, input io.Reader, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool", "prometheus"), args...)
	cmd.Stdin = input
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestAlerts_FireWhenTheyShould runs promtool's tests, which must play each alert in both ways, and looks whether commands in the texts exist.
func TestAlerts_FireWhenTheyShould(t *testing.T) {
	t.Parallel()
	promtool(t, nil, "check", "rules", alertsFile)
	promtool(t, nil, "test", "rules", alertTests)
	var played struct {
		Tests []struct {
			Expressions []struct {
				Expr    string
				Samples []struct{ Value float64 } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	text, err := os.ReadFile(alertTests)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &played); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	name := regexp.MustCompile(`alertname="(\w+)"`)
	for _, test := range played.Tests {
		for _, e := range test.Expressions {
			for _, m := range name.FindAllStringSubmatch(e.Expr, -1) {
				if len(e.Samples) > 0 {
					fires[m[1]] = true
				} else {
					silent[m[1]] = true
				}
			}
		}
	}
	command := regexp.MustCompile(`\bpicket ((?:salvage )?[a-z]+)`)
	for _, g := range alerts(t).Groups {
		for _, r := range g.Rules {
			if !fires[r.Alert] || !silent[r.Alert] {
				t.Errorf("%s: fires in a test: %v, stays silent in one: %v", r.Alert, fires[r.Alert], silent[r.Alert])
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s does not say what happens and what to do", r.Alert)
			}
			for _, m := range command.FindAllStringSubmatch(r.Annotations["description"], -1) {
				if help := picket(t, 0, append(strings.Fields(m[1]), "--help")...); !strings.Contains(help, "picket "+m[1]) { // else it is that of picket itself
					t.Errorf("%s: there is no picket %s", r.Alert, m[1])
				}
			}
		}
	}
}

var series = regexp.MustCompile(`\b(?:picket|redis_sentinel|go|process)_[a-z0-9_]+\b`)

// TestMonitoring_UsesWhatThereIs scrapes real agents after a failover, with one of them gone, and looks whether what they say is well-formed and holds
// all that the alerts and the dashboard ask for.
func TestMonitoring_UsesWhatThereIs(t *testing.T) {
	t.Parallel()
	tool(t, "promtool", "prometheus")
	traces := make(chan *http.Request, 100)
	bodies := make(chan []byte, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what there is of it
		traces <- r
		bodies <- body
	}))
	t.Cleanup(server.Close)
	_, c := start(t, func(o *lab.ClusterOptions) {
		o.File = append(o.File, "tracing:", "  endpoint: "+server.URL, "  headers:", "    - {name: X-Key, value: hunter2}")
		o.Webhook = &config.Webhook{Name: "ops", URL: "http://127.0.0.1:1", Secret: "whsec_bm90IGEgc2VjcmV0OiByZXBsYWNlIHRoaXMga2V5"}
	})
	old := c.Redis[0]
	old.Kill()
	master := newMaster(t, c, old.Addr)
	oneTrace(t, c, <-traces, <-bodies)
	var last *lab.Agent // neither beside the master nor the one that leads
	if err := lab.Await(patience, "an agent is there to be stopped", func(ctx context.Context) error {
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		for _, a := range c.Agents {
			if a.ID != leader.ID && a.Local != master.Addr {
				last = a
				return nil
			}
		}
		return fmt.Errorf("%s leads", leader.ID)
	}); err != nil {
		t.Fatal(err)
	}
	last.Kill()
	wanted := map[string]string{} // name: who asks
	for _, g := range alerts(t).Groups {
		for _, r := range g.Rules {
			for _, name := range series.FindAllString(r.Expr, -1) {
				wanted[name] = r.Alert
			}
		}
	}
	queries, fills := dashboard(t)
	for _, q := range append(slices.Clone(queries), fills...) {
		for _, name := range series.FindAllString(q, -1) {
			wanted[name] = "the dashboard"
		}
	}
	delete(wanted, "picket_certificate_expiry_timestamp_seconds") // these agents show no certificate
	if len(wanted) < 40 {
		t.Errorf("only %d series are asked for", len(wanted))
	}
	if err := lab.Await(patience, "all series are there", func(ctx context.Context) error {
		missing := maps.Clone(wanted)
		for _, a := range c.Agents {
			if !a.Running() {
				continue
			}
			text, err := scrapeOf(ctx, a)
			if err != nil {
				return err
			}
			for _, line := range strings.Split(text, "\n") {
				delete(missing, line[:max(0, strings.IndexAny(line, "{ "))])
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("nobody has %v", missing)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, a := range c.Agents {
		if a.Running() {
			text, err := scrapeOf(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			promtool(t, strings.NewReader(ours(text)), "check", "metrics")
		}
	}
	// Prometheus can read the dashboard's queries.
	var recorded bytes.Buffer
	recorded.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, q := range queries {
		fmt.Fprintf(&recorded, "  - {record: 'dashboard:query%d', expr: %q}\n", i, q)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, recorded.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", "--lint=none", file)
}

// oneTrace looks whether the collector was told of the failover, by one agent.
func oneTrace(t *testing.T, c *lab.Cluster, r *http.Request, body []byte) {
	t.Helper()
	var told collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &told); err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	if r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "hunter2" {
		t.Errorf("%s with %v", r.URL, r.Header)
	}
	p, err := c.Agents[0].Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := p.Masters[0].Last
	if last == nil {
		t.Fatal("it is told before it has ended")
	}
	spans := told.ResourceSpans[0].ScopeSpans[0].Spans
	root := spans[len(spans)-1]
	parent := fmt.Sprintf("00-%x-%x-01", root.TraceId, root.SpanId)
	if want := trace.Parent(p.Cluster, last.ID); parent != want {
		t.Errorf("events name %s as their parent, and the trace is %s", want, parent)
	}
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
		begin, end := monitor.Moment(s.StartTimeUnixNano), monitor.Moment(s.EndTimeUnixNano)
		if !bytes.Equal(s.TraceId, root.TraceId) || begin < last.DownAt || end > last.EndAt || begin > end || s != root && !bytes.Equal(s.ParentSpanId, root.SpanId) {
			t.Errorf("%+v is no part of failover %d", s, last.ID)
		}
	}
	if got := strings.Join(names, " "); got != "elect read promote repoint failover" {
		t.Errorf("spans %s", got)
	}
}

// ours leaves out what has names that others have chosen, with which promtool would find fault.
func ours(scrape string) string {
	var kept []string
	for line := range strings.SplitSeq(scrape, "\n") {
		if !strings.Contains(line, "redis_sentinel_") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// scrapeOf is what Prometheus would get from an agent.
func scrapeOf(ctx context.Context, a *lab.Agent) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(a.HTTP)+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return string(text), err
}
