package model

import (
	"slices"
	"testing"
)

// FuzzParse has no input crash the parser, what it takes be the same however it is cut, and what it encodes be what it reads.
func FuzzParse(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), 5)
	f.Add([]byte("*-1\r\n*0\r\n\r\nSET \"a\\x41\" 'b'\r\n"), 3)
	f.Add([]byte("*1\r\n$99999999999\r\n"), 1)
	f.Fuzz(func(t *testing.T, input []byte, cut int) {
		args, n, err := parse(input)
		if n < 0 || n > len(input) || err != nil && n != 0 {
			t.Fatalf("%d of %d bytes, %v", n, len(input), err)
		}
		if cut >= 0 && cut < n {
			if got, m, err := parse(input[:cut]); m != 0 || err != nil || got != nil {
				t.Fatalf("the first %d of %d bytes are %q, %d, %v", cut, n, got, m, err)
			}
		}
		if len(args) > 0 {
			again, _, err := parse(appendCommand(nil, args...))
			if err != nil || !slices.Equal(again, args) {
				t.Fatalf("%q is encoded as %q, %v", args, again, err)
			}
		}
	})
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abcd", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"[ab]c", "bc", true}, {"[^ab]c", "bc", false}, {"[^ab]c", "cc", true}, {"[a-c]", "b", true}, {"[c-a]", "b", true},
		{"[a-c]", "d", false}, {"[a", "a", true}, {`\*`, "*", true}, {`\*`, "a", false}, {`[\]]`, "]", true}, {"", "", true},
		{"", "a", false}, {"a", "", false}, {"[a]", "", false}, {"**b", "aab", true},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.text, got)
		}
	}
}
