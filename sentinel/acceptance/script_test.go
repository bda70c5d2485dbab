package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/config"
	"picket/sentinel/lab"
)

// TestScripts_RunByEveryAgentWithSentinelsArguments has the two programs of Redis Sentinel's users write down what they are told of a
// crash, while one of them never ends: it holds nothing up.
func TestScripts_RunByEveryAgentWithSentinelsArguments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notify := executable(t, dir, "notify", `echo "$1 $2" >> "$0.$PPID"`)
	reconfigure := executable(t, dir, "reconfigure", `echo "$*" >> "$0.$PPID"; exec sleep 1000`)
	_, c := start(t, func(o *lab.ClusterOptions) {
		o.Settings = []string{"notification-script: " + notify, "client-reconfig-script: " + reconfigure}
	})
	old := c.Redis[0]
	old.Kill()
	next := newMaster(t, c, old.Addr)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)

	words := func(a config.Addr) string { return fmt.Sprint(a.Host(), " ", a.Port()) }
	leaders := 0
	for _, a := range c.Agents {
		if err := lab.Await(patience, a.ID+" has run the scripts", func(context.Context) error {
			told := noted(notify, a)
			for _, want := range []string{
				"+try-failover master mymaster " + words(old.Addr), "+promoted-slave slave " + string(next.Addr) + " ",
				"+switch-master mymaster " + words(old.Addr) + " " + words(next.Addr), "+failover-end master mymaster ",
			} {
				if !slices.ContainsFunc(told, func(line string) bool { return strings.HasPrefix(line, want) }) {
					return fmt.Errorf("%q is not among %q", want, told)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		for _, line := range noted(notify, a) {
			if strings.HasPrefix(line, "+slave ") || strings.HasPrefix(line, "+role-change ") {
				t.Errorf("%s: %q is no warning", a.ID, line)
			}
		}
		switch got := strings.Join(noted(reconfigure, a), "; "); got {
		case "mymaster leader start " + words(old.Addr) + " " + words(next.Addr):
			leaders++
		case "mymaster observer start " + words(old.Addr) + " " + words(next.Addr):
		default:
			t.Errorf("%s: reconfigured with %q", a.ID, got)
		}
	}
	if leaders != 1 {
		t.Errorf("%d agents say that they led, want one", leaders)
	}
}

// executable makes a shell script.
func executable(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// noted gives the lines that a script has written as a child of an agent.
func noted(path string, a *lab.Agent) []string {
	text, _ := os.ReadFile(fmt.Sprint(path, ".", a.Pid())) // none: it was not run
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
