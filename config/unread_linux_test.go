package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoad_WhoMayNotRead names the user, and what lets him read.
func TestLoad_WhoMayNotRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // for the other user
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret, key := write("secret", "hidden", 0o600), write("key.pem", "", 0o600)
	hidden := filepath.Join(dir, "hidden")
	if err := os.Mkdir(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("SECRET", secret, "KEY", key, "CERT", write("cert.pem", "", 0o644), "ACL", filepath.Join(hidden, "users")).Replace(
		`agents: [{id: a, address: "127.0.0.1:1"}]
agent: {id: a}
masters: [{name: m, address: "127.0.0.1:2", password-file: SECRET}]
http: {tls: {cert: CERT, key: KEY}}
sentinel: {acl-file: ACL}
`)
	open, own := write("picket.yaml", text, 0o644), write("own.yaml", text, 0o600)
	ended := make(chan struct{})
	go func() { // its thread ends with it
		defer close(ended)
		runtime.LockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		for path, want := range map[string][]string{
			own:  {own + ": may not be read by the user root; as root: chown root: " + own},
			open: {"password-file: got \"" + secret + "\": may not be read by", "http.tls.key: got \"" + key + "\": may not be read by", "chown root: " + secret, "chown root: " + hidden},
		} {
			_, err := Load(path, nil)
			for _, w := range want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("%s: %v; want %q", path, err, w)
				}
			}
		}
	}()
	<-ended
}
