package sentinel

import (
	"strings"
	"testing"

	"picket/consensus/vfs"
)

// TestOwn_IsBounded: no more is written than is read at the next start.
func TestOwn_IsBounded(t *testing.T) {
	files := vfs.NewMem()
	if err := files.MkdirAll("test", "data"); err != nil {
		t.Fatal(err)
	}
	o, err := openOwn(files, "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.setParameters(map[string]string{"sentinel-user": "alice"}); err != nil {
		t.Fatal(err)
	}
	if err := o.setParameters(map[string]string{"sentinel-pass": strings.Repeat("x", maxOwn)}); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("got %v", err)
	}
	if o, err = openOwn(files, "data"); err != nil || o.parameter("sentinel-user") != "alice" || o.parameter("sentinel-pass") != "" {
		t.Errorf("read again: %+v, %v", o, err)
	}
}
