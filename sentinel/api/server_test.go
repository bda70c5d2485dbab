package api

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an agent with a fixed picture.
type fake struct {
	stuck  atomic.Bool
	beside Beside
}

func (f *fake) Alive() bool { return !f.stuck.Load() }

func (f *fake) Now() time.Time { return time.Unix(1000, 0) }

func (f *fake) Beside() Beside { return f.beside }

func (f *fake) Picture() picture.Picture {
	return picture.Picture{
		At: time.Unix(1000, 0).UTC(), Version: "v1", Cluster: "c", Agent: "a", Epoch: 7, Role: "leader", Leader: "a", Majority: true,
		Commit: 20, Applied: 19, Events: []state.Event{{ID: 18, Type: state.FailoverBegun, Master: "m"}}, Pauses: []picture.Pause{{Who: "ann"}}, Agents: []picture.Agent{{ID: "a", Self: true, Up: true}, {ID: "b"}},
		Masters: []picture.Master{{
			Name: "m", Epoch: 6, Server: picture.Server{Addr: "h:1", State: "down", Down: true}, ODown: true,
			Replicas: []picture.Server{{Addr: "h:2", State: "up", Lag: 11}, {Addr: "h:3", State: "unknown", Lag: -1}},
			Failover: &failover.Record{ID: 18, Master: "m"}, Foreign: []monitor.Foreign{{RunID: "r"}}, Blocker: &failover.Blocker{Reason: "no-candidate"}, Processes: []failover.Process{{Addr: "h:1"}},
		}},
	}
}

func serve(t *testing.T) (*fake, string) {
	t.Helper()
	agent := &fake{}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "picket_raft_term 7\n") })
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: agent, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return agent, s.Addr().String()
}

func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestStatus_IsThePicture(t *testing.T) {
	agent, addr := serve(t)
	code, body := request(t, http.MethodGet, "http://"+addr+"/v1/status")
	var got picture.Picture
	if err := json.Unmarshal([]byte(body), &got); code != http.StatusOK || err != nil {
		t.Fatalf("%d, %v: %s", code, err, body)
	}
	again, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := json.Marshal(agent.Picture()); string(again) != string(want) {
		t.Errorf("status\n%s\nwant\n%s", again, want)
	}
}

func TestHealth_SaysWhetherTheAgentRuns(t *testing.T) {
	agent, addr := serve(t)
	for _, path := range []string{"/healthz", "/livez", "/liveness"} {
		agent.stuck.Store(false)
		if code, body := request(t, http.MethodGet, "http://"+addr+path); code != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
		agent.stuck.Store(true)
		if code, body := request(t, http.MethodGet, "http://"+addr+path); code != http.StatusServiceUnavailable || !strings.Contains(body, "stuck") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestMetrics_AreServedAsTheyAre(t *testing.T) {
	_, addr := serve(t)
	if code, body := request(t, http.MethodGet, "http://"+addr+"/metrics"); code != http.StatusOK || body != "picket_raft_term 7\n" {
		t.Errorf("%d %s", code, body)
	}
}

func TestRequests_ThatChangeSomethingAreRefused(t *testing.T) {
	_, addr := serve(t)
	for _, path := range []string{"/healthz", "/v1/status", "/metrics"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if code, _ := request(t, method, "http://"+addr+path); code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, code)
			}
		}
	}
	if code, _ := request(t, http.MethodGet, "http://"+addr+"/v2"); code != http.StatusNotFound {
		t.Errorf("/v2: %d", code)
	}
}

func TestListen_NamesTheKey(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Listen(Config{Addr: taken.Addr().String(), Backend: &fake{}}); err == nil || !strings.Contains(err.Error(), "listen.http") {
		t.Errorf("error %v", err)
	}
}

func TestHeader_IsBounded(t *testing.T) {
	_, addr := serve(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", response.StatusCode)
	}
}

// TestLog_TellsOfPanicsAlone: what clients do wrong does not fill it.
func TestLog_TellsOfPanicsAlone(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer func(stderr *os.File) { os.Stderr = stderr }(os.Stderr)
	os.Stderr = file
	for _, line := range []string{"http: TLS handshake error from 10.0.0.9:1: EOF\n", "http: panic serving 10.0.0.9:1: oh\n"} {
		if n, err := (panics{}).Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got, _ := os.ReadFile(file.Name()); string(got) != "http: panic serving 10.0.0.9:1: oh\n" {
		t.Errorf("%q", got)
	}
}

func TestProblem_SaysWhatWouldHelp(t *testing.T) {
	for want, p := range map[string]Problem{"it is down": {Detail: "it is down"}, "it is down: start it": {Detail: "it is down", Remedy: "start it"}} {
		if got := p.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
