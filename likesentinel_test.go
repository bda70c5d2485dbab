package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestArguments(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"picket run --config x", "run --config x"},
		{"picket run --port 1", "run --port 1"}, // which is refused: there is no sentinel.conf
		{"picket status --sentinel-conf x --port 1", "status --sentinel-conf x --port 1"},
		{"picket run --sentinel-conf x", "run --sentinel-conf x"},
		{"picket run --sentinel-conf=x --port 1", "run --sentinel-conf=x --sentinel-directive|port 1"},
		{"picket run --port 1 --sentinel-conf x --bind a b -c y", "run --sentinel-conf x -c y --sentinel-directive|port 1 --sentinel-directive|bind a b"},
		{"picket run --sentinel-conf x --agent-id a --sentinel monitor m h 1 2 --local=l", "run --sentinel-conf x --agent-id a --local=l --sentinel-directive|sentinel monitor m h 1 2"},
		{"picket run --sentinel-conf -", "run --sentinel-conf -"},
		{"picket config check y --sentinel-conf x --port 1", "config check y --sentinel-conf x --sentinel-directive|port 1"},
		{"/usr/bin/redis-sentinel /etc/x.conf --supervised systemd --daemonize no",
			"run --sentinel-conf /etc/x.conf --sentinel-directive|supervised systemd --sentinel-directive|daemonize no"},
		{"./valkey-sentinel x -", "run --sentinel-conf x --sentinel-input"},
		{"redis-sentinel -", "run --sentinel-conf -"},
		{"redis-sentinel-7 - --port 1", "run --sentinel-conf - --sentinel-directive|port 1"},
		{"redis-sentinel x --port 1 --cluster-peers a=b:1", "run --sentinel-conf x --cluster-peers a=b:1 --sentinel-directive|port 1"},
		{"redis-sentinel --port 1", "run --sentinel-conf= --sentinel-directive|port 1"},
		{"redis-sentinel --sentinel --port 1", "run --sentinel-conf= --sentinel-directive|sentinel --sentinel-directive|port 1"},
		{"redis-sentinel", "run --sentinel-conf="},
		{"redis-sentinel -v", "version"},
		{"redis-sentinel --help", "run --help"},
	} {
		got := strings.ReplaceAll(strings.Join(arguments(command(), strings.Fields(tc.line)), " "), directiveFlag+" ", directiveFlag+"|")
		if got != tc.want {
			t.Errorf("%s\ngot  %s\nwant %s", tc.line, got, tc.want)
		}
	}
}

// TestLogFile_IsOpenedForEachLine so that it can be renamed at any time.
func TestLogFile_IsOpenedForEachLine(t *testing.T) {
	dir := t.TempDir()
	file := logFile(filepath.Join(dir, "log"))
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := file.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(string(file), filepath.Join(dir, strings.TrimSpace(line))); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "two")); string(text) != "two\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := logFile(filepath.Join(dir, "none", "log")).try(); err == nil || !strings.Contains(err.Error(), "logfile") {
		t.Errorf("got %v", err)
	}
}

func TestTellSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	tellSystemd(zerolog.Nop(), "READY=1")
	said := make([]byte, 20)
	if n, err := socket.Read(said); err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("got %q, %v", said[:n], err)
	}
	var log strings.Builder
	for _, path := range []string{"", path + "s"} {
		t.Setenv("NOTIFY_SOCKET", path)
		tellSystemd(zerolog.New(&log), "READY=1")
	}
	if lines := strings.Split(log.String(), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "systemd was not told") {
		t.Errorf("logged %q", lines)
	}
}

func TestWritePID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	remove := writePID(zerolog.Nop(), path)
	if text, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(text)) == "" {
		t.Errorf("got %q, %v", text, err)
	}
	remove()
	if entries, err := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	var log strings.Builder
	writePID(zerolog.New(&log), filepath.Join(path, "pid"))()
	if !slices.Contains(strings.Split(log.String(), `"`), "there is no PID file") {
		t.Errorf("logged %s", log.String())
	}
}
