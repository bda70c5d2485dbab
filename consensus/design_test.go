package consensus_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestImports: the package could be published alone.
func TestImports(t *testing.T) {
	foreign := regexp.MustCompile(`(?m)^\t(?:\w+ )?"picket/([^"]*)"`)
	for _, pattern := range []string{"*.go", "vfs/*.go", "wal/*.go", "tcp/*.go", "sim/*.go", "session/*.go", "linear/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range foreign.FindAllStringSubmatch(string(text), -1) {
				if m[1] != "consensus" && !strings.HasPrefix(m[1], "consensus/") {
					t.Errorf("%s imports picket/%s", file, m[1])
				}
			}
		}
	}
}

// TestDesign: every script, test and planted bug that DESIGN.md names is there.
func TestDesign(t *testing.T) {
	design, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	if err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(design), "## Bugs that others have shipped")
	if !found {
		t.Fatal("the table is missing")
	}
	named := map[string]int{}
	for _, name := range regexp.MustCompile("`[^`]+`").FindAllString(table, -1) {
		switch name = strings.Trim(name, "`"); {
		case strings.HasSuffix(name, ".txt"):
			named["script"]++
			if _, err := os.Stat(filepath.Join("testdata/scripts", name)); err != nil {
				t.Error(err)
			}
		case strings.HasPrefix(name, "Test"):
			named["test"]++
			if !strings.Contains(code.String(), "func "+name+"(") {
				t.Errorf("there is no test %s", name)
			}
		default: // a function, a type or a planted bug
			if last := name[strings.LastIndexAny(name, "./")+1:]; last != "go" && last != "scripts" && !strings.Contains(code.String(), last) {
				t.Errorf("there is no %s", name)
			}
		}
	}
	if named["script"] < 20 || named["test"] < 15 {
		t.Errorf("the table names only %v", named)
	}
}
