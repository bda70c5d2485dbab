package sentinel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/config/sentinelconf"
	"picket/consensus/vfs"
)

// TestRewrite_WritesNothingThatStopsTheNextStart: the old file stays, and that is an error which is told once for each text.
func TestRewrite_WritesNothingThatStopsTheNextStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(path, []byte("port 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := ""
	a := &Agent{host: Host{FS: vfs.OS{}, Startable: func(text []byte) error {
		asked = string(text)
		return errors.New("no such master")
	}}}
	first := a.rewrite(path, sentinelconf.Known{MyID: "abc", Epoch: 7})
	if first == nil || !strings.Contains(first.Error(), "no such master") || !strings.Contains(asked, "\nsentinel current-epoch 7\n") {
		t.Errorf("got %v; asked for %s", first, asked)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "port 1\n" {
		t.Errorf("the file says %s, %v", text, err)
	}
	told := (*unfit)(nil)
	if told.is(first) || !errors.As(first, &told) || !told.is(a.rewrite(path, sentinelconf.Known{MyID: "abc", Epoch: 7})) {
		t.Error("the same text is not known again")
	}
	if told.is(a.rewrite(path, sentinelconf.Known{MyID: "abc", Epoch: 8})) || told.is(errors.New("disk full")) {
		t.Error("another error is taken for the same")
	}
}

func TestRewrite_WritesOnlyWhatIsDifferent(t *testing.T) {
	a := &Agent{host: Host{FS: vfs.OS{}}.withDefaults()}
	path := filepath.Join(t.TempDir(), "sentinel.conf")
	known := sentinelconf.Known{MyID: "abc", Epoch: 7}
	if err := a.rewrite(path, known); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("# mine\nport 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after os.FileInfo
	for range 2 {
		if err := a.rewrite(path, known); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		before, after = after, info
	}
	if !os.SameFile(before, after) {
		t.Error("the same was written again")
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "# mine\nport 1\n") || !strings.Contains(string(text), "\nsentinel current-epoch 7\n") {
		t.Errorf("got %s, %v", text, err)
	}
	if err := os.WriteFile(path, []byte("port \"1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.rewrite(path, known); err == nil || !strings.Contains(err.Error(), "line 1: its quotes are not balanced") {
		t.Errorf("got %v", err)
	}
}
