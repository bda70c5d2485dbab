package sentinelconf

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs_NameEveryDirectiveWithWhatBecomesOfIt compares the tables with the rules.
func TestDocs_NameEveryDirectiveWithWhatBecomesOfIt(t *testing.T) {
	text, err := os.ReadFile("../../docs/sentinel-conf.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]fate{"Applied": applied, "Accepted without effect": ignored, "Accepted with a warning": warned, "Refused": refused}
	told := map[string]fate{}
	names := regexp.MustCompile("`([^`]+)`")
	for section := range strings.SplitSeq(string(text), "\n### ") {
		heading, body, _ := strings.Cut(section, "\n")
		fate, ok := headings[heading]
		if !ok {
			continue
		}
		for line := range strings.SplitSeq(body, "\n") {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				for _, name := range names.FindAllStringSubmatch(cells[1], -1) {
					told[name[1]] = fate
				}
			}
		}
	}
	for _, r := range rules {
		if fate, ok := told[r.name]; !ok || fate != r.fate {
			t.Errorf("%s: the document says %v (%v), the rules %v", r.name, fate, ok, r.fate)
		}
		delete(told, r.name)
	}
	delete(told, "redis.conf")
	delete(told, "valkey.conf")
	for name := range told {
		t.Errorf("the document has %s, the rules have not", name)
	}
}
