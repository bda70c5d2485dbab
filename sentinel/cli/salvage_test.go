package cli

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/config"
	"picket/consensus/vfs"
	"picket/failover/salvage"
)

// kept has a keeper write a file of what a server, which this test plays, gives.
func kept(t *testing.T, stream string) (dir, name string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var server sync.WaitGroup
	defer server.Wait()
	server.Go(func() { // ends with its one connection, which the keeper closes
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1024)) // PSYNC; what goes wrong shows in the file
		_, _ = fmt.Fprintf(conn, "+CONTINUE\r\n%s", stream)
		_, _ = io.Copy(io.Discard, conn)
	})
	dir = t.TempDir()
	m := config.DefaultMaster()
	k := salvage.NewKeeper(salvage.Config{FS: vfs.OS{}, Dir: dir, MaxBytes: func() int64 { return 1 << 20 }, Settings: func(string) *config.Master { return &m }, Now: time.Now})
	_, name, err = k.Keep(t.Context(), salvage.Lost{
		Master: "m", Server: config.Addr(l.Addr().String()), Epoch: 7, ReplID: strings.Repeat("a", 40), From: 100, To: 99 + int64(len(stream)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, name
}

func TestSalvage(t *testing.T) {
	stream := "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\"\n\xff \r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n*2\r\n$3\r\nDEL\r\n"
	dir, name := kept(t, stream)
	show := func(format string) string {
		t.Helper()
		var b strings.Builder
		if err := ShowSalvage(&b, filepath.Join(dir, name), Format(format)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for format, want := range map[string]string{
		"commands": "SELECT 3\n\"SET\" \"k\" \"\\\"\\x0a\\xff \"\n\"DEL\" \"x\"\n",
		"json":     `{"offset":123,"db":3,"args_base64":["U0VU","aw==","Igr/IA=="]}` + "\n" + `{"offset":167,"db":3,"args":["DEL","x"]}` + "\n",
	} {
		if got := show(format); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", format, got, want)
		}
	}
	if got := show("table"); !strings.Contains(got, "2 commands, 2 keys") || !strings.Contains(got, `123  db 3  "SET" "k"`) ||
		!strings.Contains(got, "13 bytes at the end are no whole command") {
		t.Errorf("got\n%s", got)
	}

	damaged := filepath.Join(dir, "m", "damaged"+salvage.Suffix)
	whole, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil {
		whole[len(whole)-1]++
		err = os.WriteFile(damaged, whole, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "m", "no"+salvage.Suffix), []byte("no"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := ShowSalvage(&strings.Builder{}, damaged, "table"); err == nil || !strings.Contains(err.Error(), "its checksum does not match") {
		t.Errorf("a damaged file is shown: %v", err)
	}
	list, err := ListSalvage(dir)
	if err != nil || len(list) != 3 {
		t.Fatalf("got %+v, %v", list, err)
	}
	var b strings.Builder
	if err := WriteSalvage(&b, list); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{name, "not a whole salvage file", "7", fmt.Sprint(len(stream))} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the list lacks %q:\n%s", want, b.String())
		}
	}
	if list, err := ListSalvage(filepath.Join(dir, "nowhere")); err != nil || len(list) != 0 {
		t.Errorf("where nothing was kept: %v, %v", list, err)
	}
}
