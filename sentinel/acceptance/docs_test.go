package acceptance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/sentinel/lab"
)

// block is a fenced block of a document.
type block struct{ file, language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")

// documents gives the blocks of the README and of docs.
func documents(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			blocks = append(blocks, block{filepath.Base(file), m[1], m[2]})
		}
	}
	return blocks
}

// TestDocs runs every command, configuration and program that the documents show, on a cluster of real processes whose addresses stand
// in for those in the text.
func TestDocs(t *testing.T) {
	t.Parallel()
	ops := newReceiver(t)
	ops.up(t)
	l, c := start(t, func(o *lab.ClusterOptions) { o.Webhook, o.LeastPrivilege = ops.webhook(), false }) // what operators type needs no password
	here := reader{t: t, cluster: c, dir: t.TempDir(), conf: filepath.Join(l.Dir, "agent-1.yaml")}
	here.config(block{text: picket(t, 0, "config", "example")})
	seen := map[string]int{}
	for _, b := range documents(t) {
		seen[b.language]++
		switch b.language {
		case "yaml":
			here.config(b)
		case "sh":
			if b.file == "from-sentinel.md" {
				break // TestRunbook follows it, on hosts of their own
			}
			for line := range strings.SplitSeq(strings.TrimSpace(b.text), "\n") {
				here.command(b.file, line)
			}
		case "go":
			here.program(b, "main.go", "go", "run")
		case "python":
			if python := redisPy(); python != "" {
				here.program(b, "main.py", python)
			} else {
				t.Log("redis-py is not installed: its example is not run")
			}
		}
	}
	for _, language := range []string{"yaml", "sh", "go", "python"} {
		if seen[language] == 0 {
			t.Errorf("the documents show nothing in %s", language)
		}
	}
}

// redisPy gives a Python that has redis-py; empty: none has.
func redisPy() string {
	for _, python := range []string{"/usr/bin/python3", "python3"} { // Debian's package belongs to the first
		if exec.Command(python, "-c", "import redis").Run() == nil {
			return python
		}
	}
	return ""
}

// reader does what the documents say.
type reader struct {
	t       *testing.T
	cluster *lab.Cluster
	dir     string // stands for the directories in the text
	conf    string // of the first agent
}

// local puts this cluster's addresses and a scratch directory in the place of those in the text.
func (r reader) local(text string) string {
	a := r.cluster.Agents
	return strings.NewReplacer(
		"10.0.0.1:26379", string(a[0].Sentinel), "10.0.0.2:26379", string(a[1].Sentinel), "10.0.0.3:26379", string(a[2].Sentinel),
		`"10.0.0.1", 26379`, fmt.Sprintf(`"127.0.0.1", %d`, a[0].Sentinel.Port()),
		`"10.0.0.2", 26379`, fmt.Sprintf(`"127.0.0.1", %d`, a[1].Sentinel.Port()),
		`"10.0.0.3", 26379`, fmt.Sprintf(`"127.0.0.1", %d`, a[2].Sentinel.Port()),
		"-p 26379", fmt.Sprintf("-p %d", a[0].Sentinel.Port()),
		"127.0.0.1:26381", string(a[0].HTTP), "10.0.0.1:6379", string(r.cluster.Redis[0].Addr),
		"/etc/redis/sentinel.conf", "config/sentinelconf/testdata/real/rewritten.conf", "/etc/picket", r.dir, "/usr/local/bin", r.dir, "bin/picket", binary,
	).Replace(text)
}

func (r reader) config(b block) {
	file := filepath.Join(r.dir, "picket.yaml")
	if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	picket(r.t, 0, "config", "check", file)
}

// command runs one line of shell. Commands that take a configuration get the first agent's.
func (r reader) command(file, line string) {
	switch words := strings.Fields(line); {
	case words[0] == "docker":
		return // tried by hand: CI has no Docker engine
	case words[0] == "make":
		r.sh(file, line, "make -n "+strings.Join(strings.Fields(strings.Split(line, "&&")[0])[1:], " "))
	case line == "picket run":
		return // that is what the cluster's agents do
	case words[0] == "picket" && (strings.Contains(line, " --watch") || strings.Contains(line, " --follow") || strings.HasPrefix(line, "picket kv watch")):
		r.sh(file, line, "timeout --foreground --preserve-status --signal=INT 2 "+r.local(line)+" --config "+r.conf) // it ends with Ctrl-C, and well
	case len(words) > 1 && words[0] == "picket" && slices.Contains([]string{"status", "failover", "kv", "members", "pause", "resume", "switchover", "why", "plan", "salvage", "shadow", "webhooks", "events", "history", "forget", "acknowledge"}, words[1]):
		r.sh(file, line, r.local(line)+" --config "+r.conf)
	default:
		r.sh(file, line, r.local(line))
	}
}

func (r reader) sh(file, line, command string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", command)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "ERR ") || strings.HasPrefix(string(out), "NOQUORUM") {
		r.t.Errorf("%s: %s: %v\n%s", file, line, err, out)
	}
}

func (r reader) program(b block, name string, run ...string) {
	file := filepath.Join(r.dir, name)
	if err := os.WriteFile(file, []byte(r.local(b.text)), 0o600); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, run[0], append(run[1:], file)...)
	cmd.Dir = "../.."
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if said := strings.TrimSpace(string(out)); err != nil || said != "hello" && said != "genuine" {
		r.t.Errorf("%s: the program in %s prints %q, %v\n%s", b.file, b.language, out, err, problems.String())
	}
}
