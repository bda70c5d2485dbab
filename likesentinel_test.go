package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"picket/config"
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

// TestStartable looks at another text of the file as the start would, from wherever the process has moved to.
func TestStartable(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "dir sub\nsentinel monitor one 10.0.0.1 6379 2\n", "sentinel monitor two 10.0.0.2 6379 2\n"
	if err := os.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	write("sentinel.conf", first+second)
	write("sub/secret", "s3cret\n")
	write("picket.yaml", "masters: [{name: two, password-file: secret}]\n")
	t.Setenv("PICKET_CLUSTER_PEERS", "a=10.0.0.1:26380,b=10.0.0.2:26380,c=10.0.0.3:26380")
	t.Setenv("PICKET_AGENT_ID", "a")
	cmd := &cobra.Command{}
	config.RegisterFlags(cmd.Flags())
	like := sentinelFlags(cmd)
	if err := cmd.Flags().Set(sentinelConfFlag, "sentinel.conf"); err != nil {
		t.Fatal(err)
	}
	_, p, err := load(cmd, "picket.yaml", like, true)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		first + second: "", first + second + "sentinel auth-pass one x\n": "", first + "sentinel monitor two 10.0.0.3 6379 5\n": "",
		first: "is not among the masters", first + second + "sentinel auth-pass two x\n": "password", first + "port \"": "quotes",
	} {
		if err := p.startable([]byte(text)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestLoad_TellsWhereToLog: Redis Sentinel's standard output is that of its process, and Picket's own is the standard error.
func TestLoad_TellsWhereToLog(t *testing.T) {
	const group = "port 26379\nsentinel monitor m 10.0.0.1 6379 1\n"
	t.Setenv("PICKET_CLUSTER_PEERS", "a=10.0.0.1:26380")
	t.Setenv("PICKET_AGENT_ID", "a")
	for text, want := range map[string]string{group: "out", group + "logfile \"\"\n": "out", group + "logfile /nowhere/log\n": "/nowhere/log", "": "errs"} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		cmd.SetErr(&errs)
		config.RegisterFlags(cmd.Flags())
		like := sentinelFlags(cmd)
		if text != "" {
			if err := cmd.Flags().Set(sentinelConfFlag, path); err != nil {
				t.Fatal(err)
			}
		}
		_, p, err := load(cmd, "", like, false)
		if text != "" && err != nil {
			t.Fatal(err)
		}
		got, named := p.log.(logFile)
		if !named {
			_, _ = p.log.Write([]byte("x"))
			got = logFile(map[string]string{"x,": "out", ",x": "errs"}[out.String()+","+errs.String()])
		}
		if string(got) != want {
			t.Errorf("%q: to %q, want %q", text, got, want)
		}
	}
}

// TestLoad_OfWhatCanBeReadAgain: the standard input can't.
func TestLoad_OfWhatCanBeReadAgain(t *testing.T) {
	const group = "port 26379\nsentinel monitor m 10.0.0.1 6379 1\n"
	t.Setenv("PICKET_CLUSTER_PEERS", "a=10.0.0.1:26380")
	t.Setenv("PICKET_AGENT_ID", "a")
	path := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(path, []byte(group), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]bool{path: true, "-": false} {
		cmd := &cobra.Command{}
		cmd.SetIn(strings.NewReader(group))
		config.RegisterFlags(cmd.Flags())
		like := sentinelFlags(cmd)
		if err := cmd.Flags().Set(sentinelConfFlag, from); err != nil {
			t.Fatal(err)
		}
		if _, p, err := load(cmd, "", like, false); err != nil || (p.load != nil) != want || slices.Equal(p.files, []string{path}) != want {
			t.Errorf("%s: %v, of %q", from, err, p.files)
		}
	}
	// A file that is named is not passed over.
	for args, want := range map[string]string{
		"config check --sentinel-conf " + path: "<nil>", "config check /nowhere.yaml --sentinel-conf " + path: "/nowhere.yaml: there is no such file",
	} {
		if _, _, err := saying(t.Context(), strings.Fields(args)...); !strings.Contains(fmt.Sprint(err), want) || (exitCode(err) == exitUsage) != (err != nil) {
			t.Errorf("picket %s: %v", args, err)
		}
	}
}

func TestChecked_Table(t *testing.T) {
	var out strings.Builder
	c := checked{File: "f", Agent: "a", Agents: 3, Masters: 2, Warnings: []string{"f:3: this is odd", "so is that"}}
	if err := c.table(&out); err != nil || out.String() != "f:3: warning: this is odd\nf: warning: so is that\nf: valid; agent a of 3, 2 masters\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	mine := &pidFile{log: zerolog.Nop(), path: path}
	mine.write()
	if text, err := os.ReadFile(path); err != nil || string(text) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("got %q, %v", text, err)
	}
	(&pidFile{log: zerolog.Nop(), path: path}).remove() // of one that was never ready
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another process has removed it: %v", err)
	}
	mine.remove()
	if entries, err := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	mine.write()
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine.remove()
	if text, err := os.ReadFile(path); string(text) != "1\n" {
		t.Errorf("another one's: %q, %v", text, err)
	}
	var log strings.Builder
	nowhere := &pidFile{log: zerolog.New(&log), path: filepath.Join(path, "pid")}
	nowhere.write()
	nowhere.remove()
	if !slices.Contains(strings.Split(log.String(), `"`), "there is no PID file") {
		t.Errorf("logged %s", log.String())
	}
	none := &pidFile{}
	none.write()
	none.remove()
}
