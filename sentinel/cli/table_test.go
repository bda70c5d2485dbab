package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestColours are for terminals, such as the null device seems to be one, and not for whoever wants none.
func TestColours(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tc := range []struct {
		out           *os.File
		noColor, term string
		want          bool
	}{
		{null, "", "xterm", true}, {null, "1", "xterm", false}, {null, "", "dumb", false}, {file, "", "xterm", false},
	} {
		t.Setenv("NO_COLOR", tc.noColor)
		t.Setenv("TERM", tc.term)
		if got := Colours(tc.out); got != tc.want {
			t.Errorf("%s, NO_COLOR=%s TERM=%s: %v", tc.out.Name(), tc.noColor, tc.term, got)
		}
	}
}
