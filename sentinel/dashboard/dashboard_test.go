package dashboard_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"picket/sentinel/dashboard"
)

// TestHandler: the page and all its parts are served, with the policy that has browsers keep to it.
func TestHandler(t *testing.T) {
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		dashboard.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	files, err := filepath.Glob("page/*")
	if err != nil || len(files) < 10 {
		t.Fatalf("page has %d files, %v", len(files), err)
	}
	types := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	paths := map[string]string{"/": "text/html"}
	for _, f := range files {
		paths["/dashboard/"+filepath.Base(f)] = types[filepath.Ext(f)]
	}
	for path, want := range paths {
		w := get(path)
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || !strings.HasPrefix(got, want) || want == "" {
			t.Errorf("%s: %d, %s, want %q", path, w.Code, got, want)
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self';") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: the policy is %q", path, got)
		}
	}
	for _, path := range []string{"/dashboard/", "/dashboard/..%2fdashboard.go", "/dashboard/none.js", "/else"} {
		if w := get(path); w.Code < 400 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestPage_KeepsToItself: nothing of the page is inline, comes from elsewhere, or makes markup out of text.
func TestPage_KeepsToItself(t *testing.T) {
	forbidden := map[string]*regexp.Regexp{
		".html": regexp.MustCompile(`(?i)<style|style=|\son\w+=|<script(>| [^>]*>[^<])|javascript:|https?://`),
		".js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|\bimport\(|https?://`),
		".css":  regexp.MustCompile(`@import|url\(|https?://`),
	}
	err := fs.WalkDir(os.DirFS("page"), ".", func(path string, _ fs.DirEntry, err error) error {
		if bad := forbidden[filepath.Ext(path)]; bad != nil && err == nil {
			text, err := os.ReadFile(filepath.Join("page", path))
			if err != nil {
				return err
			}
			if found := bad.FindString(strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")); found != "" {
				t.Errorf("%s has %q", path, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
