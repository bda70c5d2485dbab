package resp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/metrics"
	"picket/sentinel/picture"
)

// told is a fake agent as the metrics see it.
type told struct{ *fake }

func (t told) Counters() metrics.Counters {
	return metrics.Counters{ScriptsRunning: 1, Scripts: len(t.scripts)}
}

// TestMetrics_SayWhatRedisExporterWould derives the exporter's series from the Sentinel port, by its rules, and compares them with those that the
// agent serves itself, for pictures in which all is well and in which nothing is.
func TestMetrics_SayWhatRedisExporterWould(t *testing.T) {
	ill := healthy()
	ill.Stalled, ill.Simulated = true, 3
	ill.Agents = slices.Clone(ill.Agents)
	for i := range ill.Agents {
		ill.Agents[i].Up = ill.Agents[i].Self
	}
	ill.Masters = slices.Clone(ill.Masters)
	m := &ill.Masters[0]
	m.Server.Down, m.ODown = true, true
	m.Server.Watch.DownAfter, m.Server.Watch.LastOK = 7*time.Second, ill.At.Add(-4321*time.Millisecond)
	m.Server.Told = config.NewAddr("fd00::7", 6379)
	m.Replicas = slices.Clone(m.Replicas)
	m.Replicas[0].Down = true
	unlisted := m.Replicas[0]
	unlisted.Addr, unlisted.Down, unlisted.Last = "h:9", false, &monitor.Observation{Unlisted: true}
	m.Replicas = append(m.Replicas, unlisted)
	wrong := ill.Masters[0]
	wrong.Name, wrong.ODown = "n", false
	ill.Masters = append(ill.Masters, wrong)
	for name, p := range map[string]picture.Picture{"well": healthy(), "ill": ill} {
		t.Run(name, func(t *testing.T) {
			agent := newFake(p)
			agent.scripts = someScripts
			client := redis.NewClient(&redis.Options{Addr: start(t, Config{Backend: agent}).Addr().String(), Protocol: 2, MaxRetries: -1, DisableIdentity: true})
			defer client.Close()
			want := exporter{t: t, client: client}
			want.scrape()
			w := httptest.NewRecorder()
			metrics.New(told{agent}, "v1").Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			body, err := io.ReadAll(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.SplitSeq(string(body), "\n") {
				if strings.HasPrefix(line, "redis_sentinel_") {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			slices.Sort(want.series)
			if len(got) < 17 || !slices.Equal(got, want.series) {
				t.Errorf("the agent says\n%s\nthe exporter would say\n%s", strings.Join(got, "\n"), strings.Join(want.series, "\n"))
			}
		})
	}
}

// exporter makes series of what a Sentinel port says, as redis_exporter does.
type exporter struct {
	t      *testing.T
	client *redis.Client
	series []string
}

func (e *exporter) add(name string, value float64, labels ...string) {
	line := "redis_sentinel_" + name
	if len(labels) > 0 {
		var pairs []string
		for i := 0; i < len(labels); i += 2 {
			pairs = append(pairs, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
		}
		slices.Sort(pairs)
		line += "{" + strings.Join(pairs, ",") + "}"
	}
	e.series = append(e.series, line+" "+strconv.FormatFloat(value, 'g', -1, 64))
}

func (e *exporter) do(args ...any) any {
	reply, err := e.client.Do(e.t.Context(), args...).Result()
	if err != nil {
		e.t.Fatalf("%v: %v", args, err)
	}
	return reply
}

func (e *exporter) number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		e.t.Fatal(err)
	}
	return n
}

// maps reads a list of maps.
func (e *exporter) maps(args ...any) (list []map[string]string) {
	for _, one := range e.do(args...).([]any) {
		words, m := one.([]any), map[string]string{}
		for i := 0; i+1 < len(words); i += 2 {
			m[words[i].(string)] = words[i+1].(string)
		}
		list = append(list, m)
	}
	return list
}

func (e *exporter) scrape() {
	for line := range strings.SplitSeq(e.do("INFO").(string), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if short, found := strings.CutPrefix(name, "sentinel_"); found && short != "tilt_since_seconds" {
			e.add(short, e.number(value))
		}
		if !strings.HasPrefix(name, "master") {
			continue
		}
		said := map[string]string{}
		for pair := range strings.SplitSeq(value, ",") {
			k, v, _ := strings.Cut(pair, "=")
			said[k] = v
		}
		ok := 0.0
		if said["status"] == "ok" {
			ok = 1
		}
		e.add("master_status", ok, "master_name", said["name"], "master_address", said["address"], "master_status", said["status"])
		e.add("master_slaves", e.number(said["slaves"]), "master_name", said["name"], "master_address", said["address"])
		e.add("master_sentinels", e.number(said["sentinels"]), "master_name", said["name"], "master_address", said["address"])
	}
	for _, m := range e.maps("SENTINEL", "MASTERS") {
		e.master(m)
	}
}

func (e *exporter) master(m map[string]string) {
	labels := []string{"master_name", m["name"], "master_address", m["ip"] + ":" + m["port"]}
	text, err := e.client.Do(e.t.Context(), "SENTINEL", "CKQUORUM", m["name"]).Text()
	enough := 1.0
	if err != nil {
		text, enough = err.Error(), 0
	}
	e.add("master_ckquorum_status", enough, "master_name", m["name"], "message", text)
	for name, field := range map[string]string{
		"setting_ckquorum": "quorum", "setting_failover_timeout": "failover-timeout", "setting_parallel_syncs": "parallel-syncs",
		"setting_down_after_milliseconds": "down-after-milliseconds", "config_epoch": "config-epoch",
	} {
		e.add("master_"+name, e.number(m[field]), labels...)
	}
	e.add("master_last_ok_ping_reply_seconds", e.number(m["last-ok-ping-reply"])/1000, labels...)
	count := func(servers []map[string]string) (n float64) {
		for _, s := range servers {
			if !strings.Contains(s["flags"], "s_down") && !strings.Contains(s["flags"], "o_down") {
				n++
			}
		}
		return n
	}
	e.add("master_ok_sentinels", 1+count(e.maps("SENTINEL", "SENTINELS", m["name"])), labels...)
	e.add("master_ok_slaves", count(e.maps("SENTINEL", "SLAVES", m["name"])), labels...)
}
