package resp

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"picket/config"
)

// escapes are for input that no line can hold.
var escapes = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\\`, `\`)

// TestReplies runs the scripts: each block is one connection to a new server. Its lines are sent at once; the
// reply is shown as it is on the wire, without the carriage returns. Options: picture=NAME, password=TEXT, users for some of the
// configuration, scripts for some that run and wait, and raw for lines with escapes.
func TestReplies(t *testing.T) {
	datadriven.Walk(t, "testdata/replies", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			name, password := "healthy", ""
			d.MaybeScanArgs(t, "picture", &name)
			d.MaybeScanArgs(t, "password", &password)
			backend := newFake(pictures[name]())
			if d.HasArg("scripts") {
				backend.scripts = someScripts
			}
			door := config.Door{Password: config.Secret(password)}
			if d.HasArg("users") {
				door.Users = someUsers
			}
			s := start(t, Config{Version: "v1", Door: door, Backend: backend})
			defer s.Close()
			input := strings.ReplaceAll(d.Input, "\n", "\r\n") + "\r\n"
			if d.HasArg("raw") {
				input = escapes.Replace(d.Input)
			}
			got := exchange(t, s.Addr().String(), input+"QUIT\r\n")
			return strings.ReplaceAll(got, "\r\n", "\n")
		})
	})
}
