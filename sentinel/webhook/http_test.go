package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"picket/config"
)

// await waits until a report of the kind has come.
func await(t *testing.T, told *reports, kind ReportKind) Report {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, report := range told.list() {
			if report.Kind == kind {
				return report
			}
		}
	}
	t.Fatalf("no report of kind %d: %+v", kind, told.list())
	return Report{}
}

// begin leads with one webhook over real HTTP, and has one event to deliver.
func begin(t *testing.T, url string, timeout time.Duration) (*reports, func()) {
	t.Helper()
	h := newHistory(t)
	if err := h.Begin(t.Context(), "ops", 0); err != nil {
		t.Fatal(err)
	}
	return lead(t, Config{Webhooks: []config.Webhook{hook(config.Webhook{URL: url, Timeout: timeout})}, Source: h})
}

func TestHTTP_DeliversAndReadsLittleOfTheAnswer(t *testing.T) {
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(served)
		for chunk := []byte(strings.Repeat("x", 1<<20)); ; {
			if _, err := w.Write(chunk); err != nil {
				return // hung up
			}
		}
	}))
	defer server.Close()
	told, stop := begin(t, server.URL, time.Minute)
	defer stop()
	await(t, told, Delivered)
	<-served
}

func TestHTTP_BoundsTheHeaderOfTheAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 2*maxResponseHeader))
	}))
	defer server.Close()
	told, stop := begin(t, server.URL, time.Minute)
	defer stop()
	if report := await(t, told, Failed); !strings.Contains(report.Err.Error(), "exceeded") {
		t.Errorf("error %v", report.Err)
	}
}

func TestHTTP_FollowsNoRedirect(t *testing.T) {
	var stolen atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	told, stop := begin(t, server.URL, time.Minute)
	defer stop()
	report := await(t, told, Failed)
	if stolen.Load() != 0 {
		t.Error("the redirect was followed")
	}
	if text := report.Err.Error(); !strings.Contains(text, "307") || !strings.Contains(text, "redirects are not followed") {
		t.Errorf("error %v", report.Err)
	}
}

func TestHTTP_HangingReceiver(t *testing.T) {
	entered, release := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	told, stop := begin(t, server.URL, 50*time.Millisecond)
	report := await(t, told, Failed)
	stop()
	if text := report.Err.Error(); !strings.Contains(text, "deadline exceeded") || !strings.Contains(text, server.URL) {
		t.Errorf("error %v", text)
	}

	for len(entered) > 0 {
		<-entered
	}
	told, stop = begin(t, server.URL, time.Hour)
	<-entered
	stop() // must not wait for the answer
	if list := told.list(); len(list) != 0 {
		t.Errorf("an attempt that was given up is reported: %+v", list)
	}
}
