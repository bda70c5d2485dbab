package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"picket/config"
)

var update = flag.Bool("update", false, "write what is made of the commands anew")

// TestHelp has every command say what it is for, show how it is written, and explain each flag.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := command()
	named := map[string]bool{}
	each(root, func(cmd *cobra.Command) {
		if cmd == root {
			return
		}
		path := strings.TrimPrefix(cmd.CommandPath(), "picket ")
		named[path] = true
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Example == "" {
			t.Errorf("picket %s: short help %q, example %q", path, cmd.Short, cmd.Example)
		}
		for line := range strings.SplitSeq(strings.TrimSpace(cmd.Example), "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "picket "+strings.Fields(path)[0]) {
				t.Errorf("picket %s: the example %q is of another command", path, line)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" && !f.Hidden {
				t.Errorf("picket %s: --%s is not explained", path, f.Name)
			}
		})
	})
	for path := range examples {
		if !named[path] {
			t.Errorf("there is an example of picket %s, which is no command", path)
		}
	}
}

// elsewhere are commands whose examples can't be run on any cluster, and by which test the commands are run.
var elsewhere = map[string]string{
	"run": "", "demo": "TestDemo_CtrlCLeavesNothing", "forget": "TestSwitchover", "salvage show": "TestSalvage", "members promote": "TestMembers",
	"config import": "TestRunbook", "config export": "TestRunbook", "acknowledge": "TestGuardrails",
	"webhooks dead": "TestWebhooks", "webhooks test": "TestWebhooks", "webhooks enable": "TestWebhooks", "webhooks redeliver": "TestWebhooks", "webhooks drop": "TestWebhooks",
	"members add": "TestMembers", "members remove": "TestMembers", "members transfer": "TestMembers",
}

const madeOf = "<!-- What follows is made of the commands themselves: go test . -run TestDocs_Commands -update -->\n"

// TestDocs_Commands compares docs/cli.md with the commands.
func TestDocs_Commands(t *testing.T) {
	const file = "docs/cli.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(text), madeOf)
	if !ok {
		t.Fatalf("%s does not say from where on it is made", file)
	}
	want := head + madeOf + reference()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s does not say what the commands say: go test . -run TestDocs_Commands -update", file)
	}
	for code := range exitUnwell + 1 {
		if !strings.Contains(head, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("%s does not tell exit code %d", file, code)
		}
	}
}

// reference describes every command.
func reference() string {
	var text strings.Builder
	text.WriteString("\nEvery command that asks an agent has the flags `--agent`, `--token-file`, `--ca`, `--cert`, `--key`, `--config` and `--output` of above; they are not repeated.\n")
	each(command(), func(cmd *cobra.Command) {
		if cmd.Hidden || !cmd.Runnable() {
			return
		}
		path := strings.TrimPrefix(cmd.CommandPath(), "picket ")
		fmt.Fprintf(&text, "\n### picket %s\n\n", strings.TrimSpace(strings.TrimSuffix(path, cmd.Name())+cmd.Use))
		about := cmd.Long
		if about == "" {
			about = cmd.Short + "."
		}
		text.WriteString(about + "\n")
		flags := false
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if common[f.Name] || f.Hidden {
				return
			}
			if !flags {
				text.WriteString("\n| flag | what it does |\n| --- | --- |\n")
			}
			flags = true
			word, usage := pflag.UnquoteUsage(f)
			name := strings.TrimSpace("--" + f.Name + " " + word)
			if f.Shorthand != "" {
				name = "-" + f.Shorthand + ", " + name
			}
			fmt.Fprintf(&text, "| `%s` | %s |\n", name, strings.ReplaceAll(usage, "|", `\|`))
		})
		language := "sh"
		if _, ok := elsewhere[path]; ok {
			language = "text"
		}
		fmt.Fprintf(&text, "\n```%s\n%s\n```\n", language, strings.ReplaceAll(strings.TrimSpace(cmd.Example), "\n  ", "\n"))
	})
	return text.String()
}

var common = map[string]bool{"agent": true, "token-file": true, "ca": true, "cert": true, "key": true, "config": true, "output": true, "help": true}

// TestCompletion offers what the agent knows, and nothing where none answers.
func TestCompletion(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/webhooks" {
			_, _ = w.Write([]byte(`{"webhooks":[{"name":"ops"},{"name":"chat"}]}`))
			return
		}
		_, _ = w.Write([]byte(`{"masters":[{"name":"shop","server":{"addr":"10.0.0.1:6379"},"replicas":[{"addr":"10.0.0.2:6379"}]},{"name":"queue","server":{"addr":"10.0.0.3:6379"}}],` +
			`"agents":[{"id":"agent-1"},{"id":"agent-2"}]}`))
	}))
	t.Cleanup(s.Close)
	for args, want := range map[string]string{
		"failover %":               "shop queue",
		"why %":                    "shop queue",
		"forget % shop":            "10.0.0.2:6379",
		"switchover shop % --to":   "10.0.0.2:6379",
		"plan shop % --fail":       "10.0.0.1:6379 10.0.0.2:6379",
		"plan shop % --fail-agent": "agent-1 agent-2",
		"members remove %":         "agent-1 agent-2",
		"status % -o":              "table json yaml",
		"members list % -o":        "table json yaml",
		"webhooks dead %":          "ops chat",
		"webhooks list %":          "",
		"history % --master":       "shop queue",
		"events % --type":          strings.Join(config.EventTypes(), " "),
		"failover shop %":          "",
		"version %":                "",
	} {
		for addr, want := range map[string]string{hostPort(s): want, "127.0.0.1:1": ""} {
			if (strings.Contains(args, "-o") || strings.Contains(args, "--type")) && want == "" {
				continue // which need no agent
			}
			words := strings.Fields(args)
			for i, w := range words {
				if w == "%" {
					words[i] = "--agent=" + addr
				}
			}
			if words[0] == "version" {
				words = words[:1]
			}
			out, _, err := saying(t.Context(), append(append([]string{"__completeNoDesc"}, words...), "")...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if got := strings.Join(lines[:len(lines)-1], " "); err != nil || got != want || lines[len(lines)-1] != ":4" {
				t.Errorf("%v: %q, %v; want %q and no files", words, out, err, want)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "picket.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "cluster: c\nagent: {id: a, data-dir: /nowhere}\nagents: [{id: a, address: \"127.0.0.1:26380\"}]\nlisten: {http: %q}\n"+
		"masters: [{name: m, address: \"10.0.0.1:6379\", quorum: 1}]\n", hostPort(s)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err := saying(t.Context(), "__completeNoDesc", "failover", "-c", file, ""); err != nil || !strings.HasPrefix(out, "shop\nqueue\n") {
		t.Errorf("by a configuration: %q, %v", out, err)
	}
	for _, words := range []string{"config check", "man"} {
		if out, _, err := saying(t.Context(), append(append([]string{"__completeNoDesc"}, strings.Fields(words)...), "")...); err != nil || !strings.HasPrefix(out, ":0") {
			t.Errorf("%s: files are not offered: %q, %v", words, out, err)
		}
	}
}

// TestVersion is what the linker says, or else the go tool.
func TestVersion(t *testing.T) {
	before := version
	t.Cleanup(func() { version = before })
	for set, want := range map[string]string{"v9": `^picket v9 \S+/\S+ go\S+\n$`, "": `^picket \S+ \S+/\S+ go\S+\n$`} {
		version = set
		if out, _, err := saying(t.Context(), "version"); err != nil || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%q: %q, %v", set, out, err)
		}
	}
}

// TestMan writes a page for each command.
func TestMan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, _, err := saying(t.Context(), "man", dir); err != nil {
		t.Fatal(err)
	}
	each(command(), func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		if err != nil || !strings.Contains(string(text), ".SH") {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
	})
}
