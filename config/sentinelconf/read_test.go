package sentinelconf

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/config"
)

var update = flag.Bool("update", false, "write what is expected anew")

// golden compares a text with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// shown is a Conf as text; the test's own directory is left out.
func shown(t *testing.T, c *Conf) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for key, place := range c.Layer.Places {
		places = append(places, fmt.Sprintf("%s: %s:%d", key, place.File, place.Line))
	}
	slices.Sort(places)
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(map[string]any{
		"over": c.Layer.Over, "under": c.Layer.Under, "each master": c.Layer.Master, "places": places, "warnings": c.Layer.Warnings,
		"hosts": c.Layer.Hosts, "servers": c.Layer.Servers, "fixed": c.Layer.Fixed, "dir": c.Dir, "log file": c.LogFile, "PID file": c.PIDFile, "syslog": c.Syslog,
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(text.String(), here, "/here")
}

// TestRead_FilesOfOthers reads three files as operators have them, and starts from them: one as Debian ships it, one as a chart for Kubernetes writes it,
// and one that Redis Sentinel has rewritten after a failover. Only the agents are added.
func TestRead_FilesOfOthers(t *testing.T) {
	for name, tc := range map[string]struct{ peers, id, local string }{
		"debian": {"a=127.0.0.1:26380,b=127.0.0.2:26380,c=127.0.0.3:26380", "b", ""},
		"chart": {"redis-node-0=redis-node-0.redis-headless.shop.svc.cluster.local:26380,redis-node-1=redis-node-1.redis-headless.shop.svc.cluster.local:26380",
			"", "redis-node-1.redis-headless.shop.svc.cluster.local:6379"},
		"rewritten": {"10.0.0.1=10.0.0.1:26380,10.0.0.2=10.0.0.2:26380,10.0.0.3=10.0.0.3:26380", "", "10.0.0.2:6379"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "testdata/real/" + name + ".conf"
			c, err := Read(Source{File: file})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/real/"+name+".txt", shown(t, c))
			t.Setenv("PICKET_CLUSTER_PEERS", tc.peers)
			t.Setenv("PICKET_AGENT_ID", tc.id)
			cfg, err := config.LoadLayer("", c.Layer, nil)
			if err != nil {
				t.Fatal(err)
			}
			if string(cfg.Local) != tc.local || len(cfg.Masters) != 1 || tc.id == "" && cfg.Agent.ID == "" {
				t.Errorf("got %+v", cfg)
			}
		})
	}
}

// TestRead_TellsWhichLineToAdd fails without the agents, and says how to name them.
func TestRead_TellsWhichLineToAdd(t *testing.T) {
	for name, want := range map[string]string{
		"debian":    "PICKET_CLUSTER_PEERS=THIS-HOST=THIS-HOST:26380,SECOND-HOST=SECOND-HOST:26380,THIRD-HOST=THIRD-HOST:26380",
		"rewritten": "PICKET_CLUSTER_PEERS=10.0.0.2=10.0.0.2:26380,10.0.0.3=10.0.0.3:26380,10.0.0.1=10.0.0.1:26380",
	} {
		c, err := Read(Source{File: "testdata/real/" + name + ".conf"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = config.LoadLayer("", c.Layer, nil)
		want := "testdata/real/" + name + ".conf: agents: is missing; say on every host which agents there are, in the environment: " + want + " (or"
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestPeersLine_OneHost gives each agent of a host a port of its own.
func TestPeersLine_OneHost(t *testing.T) {
	b := &builder{listen: listening{port: 5000}, peers: []peer{{host: "fd00::1", port: 5001}, {host: "fd00::1", port: 5002}}}
	b.conf.Layer.Over = map[string]any{"announce": map[string]any{"host": "fd00::1"}}
	want := "PICKET_CLUSTER_PEERS=fd00--1-5000=[fd00::1]:15000,fd00--1-5001=[fd00::1]:15001,fd00--1-5002=[fd00::1]:15002"
	if got := b.peersLine(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestRead_EveryDirective reads a file with all that Sentinel takes.
func TestRead_EveryDirective(t *testing.T) {
	const file = "testdata/every.conf"
	c, err := Read(Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/every.txt", shown(t, c))
	there := map[string]bool{}
	for _, d := range read(Source{File: file}).directives {
		there[d.name()] = true
	}
	for _, r := range rules {
		if !there[r.name] && r.fate != refused && r.name != "include" {
			t.Errorf("%s is not in %s", r.name, file)
		}
	}
	for _, name := range inert {
		if !there[name] {
			t.Errorf("%s is not in %s", name, file)
		}
	}
}

func TestRead_BadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "_") {
			continue // is included
		}
		_, err := Read(Source{File: file})
		if err == nil {
			t.Errorf("%s: nothing is wrong", file)
			continue
		}
		golden(t, strings.TrimSuffix(file, ".conf")+".txt", err.Error()+"\n")
	}
}

func TestRead_OrderIsTheFileTheInputTheCommandLine(t *testing.T) {
	c, err := Read(Source{
		File: "testdata/real/rewritten.conf", Input: strings.NewReader("port 2\nloglevel debug\n"),
		Overrides: []string{"port 3", "sentinel down-after-milliseconds shop 7000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := shown(t, c)
	for _, want := range []string{`"sentinel": "10.0.0.2:3"`, `"level": "debug"`, `"down-after": "7s"`, `listen.sentinel: --port:0`, `log.level: standard input:2`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if c.Layer.Fixed == "" {
		t.Error("what is not in a file can be rewritten")
	}
}

func TestRead_Includes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sentinel.conf": "dir " + dir + "/sub\ninclude more.conf\ninclude none*.conf\ninclude [ab].conf\n",
		"sub/more.conf": "port 7\n", "sub/a.conf": "sentinel monitor m 10.0.0.1 6379 2\n", "sub/b.conf": "loglevel warning\n",
		"endless.conf": "include " + dir + "/e*.conf\n", "gone.conf": "port 7\ninclude gone/away.conf\n", "long.conf": strings.Repeat("# long\n", 200_000),
		"many.conf": strings.Repeat("include "+dir+"/sub/b.conf\n", 1001), "self.conf": "include " + dir + "/self.conf\n", "twice.conf": strings.Repeat("include "+dir+"/twice.conf\n", 3),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Read(Source{File: filepath.Join(dir, "sentinel.conf")})
	if err != nil {
		t.Fatal(err)
	}
	if text := shown(t, c); !strings.Contains(text, `"sentinel": "0.0.0.0:7"`) || !strings.Contains(text, `"level": "warn"`) || c.Layer.Fixed == "" || c.Dir != dir+"/sub" {
		t.Error(text)
	}
	for name, want := range map[string]string{
		"gone":    "/gone.conf:2: gone/away.conf can't be read: no such file or directory; name a file that this user may read",
		"endless": "/endless.conf:1: include: files include files more than 16 deep; does one include itself?",
		"self":    "/self.conf:1: include: files include files more than 16 deep; does one include itself?",
		"twice":   "/twice.conf:3: include: files include files more than 16 deep; does one include itself?",
		"many":    "/many.conf:1000: " + dir + "/sub/b.conf is one file too many: 1000 are read; does one include itself?",
		"long":    "/long.conf: is larger than 1024 KiB",
		"absent":  "/absent.conf: can't be read: no such file or directory",
	} {
		_, err := Read(Source{File: filepath.Join(dir, name+".conf")})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v\nwant %s", name, err, want)
		}
	}
}

// FuzzRead finds no file on which it fails otherwise than by saying so.
func FuzzRead(f *testing.F) {
	for _, file := range []string{"testdata/bad/directives.conf", "testdata/real/rewritten.conf"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("port 1\nsentinel monitor m 10.0.0.1 6379 2\nsentinel auth-pass m 'a b'\nbind * -::*\nprotected-mode yes")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") {
			t.Skip("other files are not its business")
		}
		c, err := Read(Source{Input: strings.NewReader(text)})
		if (c == nil) == (err == nil) {
			t.Errorf("got %v, %v", c, err)
		}
		if err == nil {
			_, _ = config.LoadLayer("", c.Layer, nil) // finds the agents missing
		}
	})
}
