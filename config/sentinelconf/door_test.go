package sentinelconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRead_ProtectedMode keeps other hosts out unless the default user needs a password, whoever says so.
func TestRead_ProtectedMode(t *testing.T) {
	for _, tc := range []struct {
		lines, users string // users: what the file of users holds
		protected    bool
	}{
		{"", "", true},
		{"requirepass x", "", false},
		{"requirepass x\nrequirepass \"\"", "", true},
		{"user default on nopass ~* &* +@all", "", true},
		{"user default on NOPASS >x ~* &* +@all", "", false},
		{"user default on >x nopass", "", true},
		{"user default off nopass", "", false},
		{"user default on >x reset", "", false},
		{"user alice on >x +@all", "", true},
		{"requirepass x\nuser default on nopass &* +@all", "", true},
		{"user default on nopass &* +@all\nrequirepass x", "", true},
		{"requirepass x\nuser alice on nopass", "", false},
		{"aclfile USERS", "# nothing\n", true},
		{"aclfile USERS", "user alice on >x +@all\n", true},
		{"aclfile USERS", "user default on nopass +@all\n", true},
		{"aclfile USERS", "user default on #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 +@all\n", false},
		{"aclfile USERS", "user alice on nopass\n  user default off\r\n", false},
		{"aclfile USERS\nrequirepass x", "user default on nopass +@all\n", true},
		{"aclfile USERS\nrequirepass x", "user alice on nopass\n", false},
		{"aclfile nowhere\nrequirepass x", "", true},
	} {
		dir := t.TempDir()
		users := filepath.Join(dir, "users.acl")
		if err := os.WriteFile(users, []byte(tc.users), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Read(Source{Input: strings.NewReader("protected-mode yes\ndir " + dir + "\n" + strings.ReplaceAll(tc.lines, "USERS", "users.acl"))})
		if err != nil {
			t.Errorf("%q: %v", tc.lines, err)
			continue
		}
		if hosts := strings.Join(c.Layer.Hosts, " "); (hosts == "127.0.0.1") != tc.protected || (len(c.Layer.Warnings) > 0) != tc.protected {
			t.Errorf("%q, %q: listens at %s, %q", tc.lines, tc.users, hosts, c.Layer.Warnings)
		}
	}
}
