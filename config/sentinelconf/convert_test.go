package sentinelconf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/config"
)

// told is an import as text.
func told(result *Import, err error) string {
	var text strings.Builder
	if err != nil {
		fmt.Fprintln(&text, err)
		return text.String()
	}
	for _, a := range result.Agents {
		fmt.Fprintf(&text, "=== %s\n%s", a.ID, a.Config)
		for _, s := range a.Secrets {
			fmt.Fprintf(&text, "--- %s\n%s\n", s.Name, s.Text)
		}
	}
	fmt.Fprintln(&text, "=== told")
	for _, n := range result.Notes {
		fmt.Fprintln(&text, n)
	}
	return text.String()
}

// TestConvert makes configurations of whole groups: as Sentinel has rewritten its files, as Debian ships them, of one file, of files that disagree, of a
// group on one host, with TLS, of a master with an odd name, and of some that say too little, the same twice, or nonsense.
func TestConvert(t *testing.T) {
	groups := []string{"alone", "debian", "disagree", "misspelt", "odd-name", "onehost", "rewritten", "tls", "unknown-host"}
	options := map[string]Options{
		"alone":   {Hosts: map[string]string{"testdata/import/alone/sentinel.conf": "10.0.0.1"}, Inline: true},
		"debian":  {Shadow: true},
		"onehost": {Shadow: true},
	}
	for _, name := range groups {
		t.Run(name, func(t *testing.T) {
			files, err := filepath.Glob("testdata/import/" + name + "/*.conf")
			if err != nil || len(files) == 0 {
				t.Fatalf("%d files, %v", len(files), err)
			}
			o := options[name]
			o.Cluster, o.Dir = "main", func(id string) string { return "/etc/picket/" + id }
			golden(t, "testdata/import/"+name+".txt", told(Convert(files, o)))
		})
	}
}

// TestConvert_GivesWhatAnAgentTakes loads what was made; secrets stand where they are said to be, and nothing that is told has one.
func TestConvert_GivesWhatAnAgentTakes(t *testing.T) {
	for _, name := range []string{"rewritten", "debian", "alone", "disagree", "onehost"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files, err := filepath.Glob("testdata/import/" + name + "/*.conf")
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Cluster: "main", Dir: func(id string) string { return filepath.Join(dir, id) }, Hosts: map[string]string{}}
			if name == "alone" {
				o.Hosts[files[0]] = "10.0.0.1"
			}
			result, err := Convert(files, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range result.Notes {
				for _, secret := range []string{"secret", "word", "hidden"} {
					if strings.Contains(n.Message+n.Remedy+n.Value, secret) && !strings.Contains(n.Message+n.Remedy, "pass"+secret) {
						t.Errorf("a secret is told: %s", n)
					}
				}
			}
			for _, a := range result.Agents {
				path := filepath.Join(dir, a.ID, "picket.yaml")
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				for _, s := range append(a.Secrets, Secret{"picket.yaml", string(a.Config)}) {
					if err := os.WriteFile(filepath.Join(filepath.Dir(path), s.Name), []byte(s.Text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				cfg, err := config.Load(path, nil)
				if bad := (*config.Error)(nil); errors.As(err, &bad) && name == "disagree" {
					for _, p := range bad.Problems {
						if !strings.HasSuffix(p.Key, "-script") { // which is on its host only
							t.Error(p)
						}
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if cfg.Agent.ID != a.ID || len(cfg.Agents) < 3 || len(cfg.Masters) == 0 {
					t.Errorf("%s: %+v", a.ID, cfg)
				}
			}
		})
	}
}

// FuzzConvert reads any two files: nothing panics, each secret has one place, and what is made is a configuration, or what is wrong with it is told.
func FuzzConvert(f *testing.F) {
	seeds, err := filepath.Glob("testdata/import/*/*.conf")
	if err != nil || len(seeds) == 0 {
		f.Fatal(err)
	}
	for _, file := range seeds {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, []byte("port 26380\nsentinel announce-ip 10.9.9.9\nsentinel monitor other 10.9.9.9 6379 1\n"))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if strings.Contains(strings.ToLower(string(first)+string(second)), "include") || strings.Contains(strings.ToLower(string(first)+string(second)), "aclfile") {
			t.Skip("files of this machine")
		}
		dir := t.TempDir()
		o := Options{Cluster: "main", Inline: true, texts: map[string][]byte{"a": append([]byte{'\n'}, first...), "b": append([]byte{'\n'}, second...)}}
		result, err := Convert(slices.Sorted(maps.Keys(o.texts)), o)
		if bad := (*config.Error)(nil); err != nil && !errors.As(err, &bad) {
			t.Fatalf("neither made nor told: %v", err)
		} else if err != nil {
			return
		}
		for _, a := range result.Agents {
			path := filepath.Join(dir, "picket.yaml")
			if err := os.WriteFile(path, a.Config, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(path, nil)
			bad := (*config.Error)(nil)
			if err == nil {
				continue
			}
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			for _, p := range bad.Problems {
				if p.Key == "" || strings.Contains(p.Message, "unknown") {
					t.Fatalf("not a configuration: %v\n%s", p, a.Config)
				}
			}
		}
	})
}
