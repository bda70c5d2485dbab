package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/config"
	"picket/sentinel/cli"
)

const sentinels = "config/sentinelconf/testdata/import/"

// TestImport_WritesAFileForEachAgent has passwords in files of their own, overwrites nothing, and gives what passes the check.
func TestImport_WritesAFileForEachAgent(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(sentinels + "rewritten/*.conf")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	out := filepath.Join(t.TempDir(), "out")
	args := append([]string{"config", "import", "--out", out, "-o", "json"}, files...)
	text, _, err := saying(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	var report cli.Imported
	if err := json.Unmarshal([]byte(text), &report); err != nil || len(report.Agents) != 3 || len(report.Notes) == 0 {
		t.Fatalf("%v in %s", err, text)
	}
	for _, a := range report.Agents {
		if _, _, err := saying(t.Context(), "config", "check", a.File); err != nil {
			t.Error(err)
		}
		cfg, err := config.Load(a.File, nil)
		if err != nil || cfg.Masters[0].Password != "s3cret-word" || string(cfg.Local) != a.ID+":6379" {
			t.Errorf("%s: %+v, %v", a.ID, cfg, err)
		}
		for _, file := range append(a.Secrets, a.File) {
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", file, info.Mode(), err)
			}
		}
	}
	mine := report.Agents[1].File
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(report.Agents[0].File); err != nil {
		t.Fatal(err)
	}
	if _, _, err := saying(t.Context(), args...); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--force") {
		t.Errorf("over a file: %v", err)
	}
	if text, err := os.ReadFile(mine); string(text) != "mine" || err != nil {
		t.Errorf("it was overwritten: %q, %v", text, err)
	}
	if _, err := os.Stat(report.Agents[0].File); err == nil {
		t.Error("another one was written")
	}
	if _, _, err := saying(t.Context(), append(args, "--force")...); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(mine); string(text) == "mine" || err != nil {
		t.Errorf("it was not overwritten: %v", err)
	}
}

func TestImport_PrintsTheOnlyOne(t *testing.T) {
	t.Parallel()
	const file = sentinels + "rewritten/host-2.conf"
	text, notes, err := saying(t.Context(), "config", "import", file, "--inline-secrets", "--cluster", "shop-eu")
	if err != nil || !strings.Contains(text, "cluster: shop-eu") || !strings.Contains(text, "password: s3cret-word") || !strings.Contains(notes, "host-2.conf:7: logfile") &&
		!strings.Contains(notes, "10.0.0.3:26379") {
		t.Errorf("%v\n%s\n%s", err, text, notes)
	}
	for args, want := range map[string]string{
		file:                "--inline-secrets",
		file + " --force":   "--out",
		file + " " + file:   "--out",
		file + " --host x":  "FILE=ADDRESS",
		file + " --host =x": "FILE=ADDRESS",
		file + " --host x=": "FILE=ADDRESS",
		file + " --dir etc": "--out",
		"/nowhere/x.conf":   "can't be read",
		sentinels + "alone/sentinel.conf --dir etc --out x": "whole path",
		sentinels + "tls/host-1.conf --out " + t.TempDir():  "picket config check FILE",
	} {
		_, _, err := saying(t.Context(), append([]string{"config", "import"}, strings.Fields(args)...)...)
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
