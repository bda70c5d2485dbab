package glob

import (
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*", "anything", true}, {"", "", true}, {"", "x", false}, {"x", "", false},
		{"[-+]sdown", "+sdown", true}, {"[-+]sdown", "-sdown", true}, {"[-+]sdown", "*sdown", false}, {"[-+]sdown", "+odown", false},
		{"+*", "+switch-master", true}, {"+*master", "+switch-master", true}, {"+*s*er", "+switch-master", true}, {"*s", "+switch-master", false},
		{"+?down", "+odown", true}, {"+?down", "+down", false}, {"a\\*b", "a*b", true}, {"a\\*b", "axb", false}, {"a\\", "a\\", true},
		{"[a-c]x", "bx", true}, {"[c-a]x", "bx", true}, {"[a-c]x", "dx", false}, {"[^a-c]x", "dx", true}, {"[^a-c]x", "ax", false},
		{"[\\]]", "]", true}, {"[a", "a", true}, {"[", "a", false}, {"[]", "a", false}, {"[^]", "a", true}, {"**a**", "xax", true},
		{"a*b*c", "axxbxxc", true}, {"a*b*c", "axxcxxb", false}, {"*a", "aab", false},
		{"[a-]", "_", true}, {"[a-]", "-", false}, // as Redis: a range to the bracket, without an end
	} {
		if got := Match(c.pattern, c.text); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

// TestMatch_IsNotExponential: Redis's own matcher once was.
func TestMatch_IsNotExponential(t *testing.T) {
	begun := time.Now()
	if Match(strings.Repeat("*a", 1000)+"b", strings.Repeat("a", 1000)) {
		t.Error("matches")
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}
