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

func TestRewrite_WritesOnlyWhatIsDifferent(t *testing.T) {
	a := &Agent{host: Host{FS: vfs.OS{}}}
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
