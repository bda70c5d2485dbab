package sentinel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/failover"
)

// TestHook_WhatAProgramsAnswerMeans: what a program says counts. That it has failed means what the configuration says.
func TestHook_WhatAProgramsAnswerMeans(t *testing.T) {
	dir := t.TempDir()
	program := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	yes, no := program("yes", "exit 0"), program("no", "echo because; exit 1")
	slow, absent, ill := program("slow", "sleep 30"), program("absent", "no-such-command-here"), program("ill", "kill -9 $$")
	many, more := program("many", "printf 'é%.0s' $(seq 300); exit 127"), program("more", "printf x; printf 'é%.0s' $(seq 300); exit 127") // one is cut within a letter
	seen := program("seen", `echo "$1 $2 $3 $PICKET_AGENT $PICKET_CLUSTER $PICKET_TO $PICKET_EPOCH $PICKET_BY"; exit 9`)
	for name, c := range map[string]struct {
		global, own, hook string
		failed            string // hooks.on-failure
		want              string // part of the veto; empty: there is none
	}{
		"there is none":                     {"", "", failover.PreFailover, config.HookVeto, ""},
		"it allows":                         {yes, "", failover.PreFailover, config.HookVeto, ""},
		"it forbids":                        {no, "", failover.PreFailover, config.HookProceed, "it ended with code 1: because"},
		"it forbids switchovers only":       {no, "", failover.PreSwitchover, config.HookProceed, ""},
		"the master has one of its own":     {no, yes, failover.PreFailover, config.HookProceed, ""},
		"it takes too long":                 {slow, "", failover.PreFailover, config.HookProceed, ""},
		"it takes too long, and that is no": {slow, "", failover.PreFailover, config.HookVeto, "it took too long"},
		"it is not there":                   {filepath.Join(dir, "gone"), "", failover.PreFailover, config.HookProceed, ""},
		"it is not there, and that is no":   {filepath.Join(dir, "gone"), "", failover.PreFailover, config.HookVeto, "no such file"},
		"a shell finds nothing to run":      {absent, "", failover.PreFailover, config.HookProceed, ""},
		"it says a lot":                     {many, "", failover.PreFailover, config.HookVeto, "éé"},
		"it says one more":                  {more, "", failover.PreFailover, config.HookVeto, "xéé"},
		"it is killed":                      {ill, "", failover.PreFailover, config.HookProceed, ""},
		"what it is told":                   {seen, "", failover.PreFailover, config.HookProceed, "code 9: pre-failover m h:1 a1 c h:2 7 ann"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Cluster, cfg.Agent = "c", config.Agent{ID: "a1", DataDir: t.TempDir()}
			cfg.Hooks = config.Hooks{PreFailover: c.global, Timeout: 5 * time.Second, OnFailure: c.failed}
			if c.global == slow {
				cfg.Hooks.Timeout = 20 * time.Millisecond
			}
			a, err := New(&cfg, Host{}, zerolog.Nop(), "test")
			if err != nil {
				t.Fatal(err)
			}
			s := failover.Situation{Settings: &config.Master{Name: "m", PreFailover: c.own}, Master: "h:1", Epoch: 7}
			veto := a.forbidden(t.Context(), s, question{hook: c.hook, cause: failover.CauseDown, to: "h:2", by: "ann"})
			if (veto == "") != (c.want == "") || !strings.Contains(veto, c.want) || len(veto) > maxVeto || !utf8.ValidString(veto) {
				t.Errorf("it forbids %q, want %q", veto, c.want)
			}
		})
	}
}
