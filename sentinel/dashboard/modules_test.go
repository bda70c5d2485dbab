package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"picket/sentinel/dashboard"
)

// TestModules runs the tests of the modules that only reckon, in the browser that they are for.
func TestModules(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("/dashboard/", dashboard.Handler())
	mux.Handle("/testdata/", http.StripPrefix("/testdata/", http.FileServer(http.Dir("testdata"))))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><title>tests</title><link rel="icon" href="/dashboard/icon.svg">`))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := open(t, server.URL, 800, 600)
	got := eval[struct {
		Tests int
		Wrong []string
	}](p, `import('/testdata/modules.js').then((m) => m.run())`)
	for _, w := range got.Wrong {
		t.Error(w)
	}
	if got.Tests < 10 {
		t.Errorf("%d tests were run", got.Tests)
	}
}
