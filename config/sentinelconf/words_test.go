package sentinelconf

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                               nil,
		"port 26379":                     {"port", "26379"},
		" \tport\v 26379\r":              {"port\v", "26379"},
		`dir "/var/lib/my redis"`:        {"dir", "/var/lib/my redis"},
		`logfile ""`:                     {"logfile", ""},
		`a "\x41\x4a\xZZ\n\r\t\b\a\"\\`:  nil,
		`a "\x41\x4a\xZZ\n\r\t\b\a\"\\"`: {"a", "AJxZZ\n\r\t\b\a\"\\"},
		`a 'it\'s \n "so"'`:              {"a", `it's \n "so"`},
		`a b"c d"`:                       {"a", "bc d"},
		`a b\n # c`:                      {"a", `b\n`, "#", "c"},
		`a "b"c`:                         nil,
		`a 'b`:                           nil,
		`a "b\`:                          nil,
		`a "\x4"`:                        {"a", "x4"},
	} {
		got, err := Split(line)
		if bad := want == nil && line != ""; bad != (err != nil) || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v; want %q", line, got, err, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"plain": "plain", `back\slash`: `back\slash`, "": `""`, "two words": `"two words"`, `say "so"`: `"say \"so\""`, "it's": `"it's"`, "é": "é", "\n\x01": `"\x0a\x01"`,
		"#no": "#no",
	} {
		if got := Quote(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}

// FuzzSplit finds no line on which it fails otherwise than by saying so, and no words that are not read as they were written.
func FuzzSplit(f *testing.F) {
	for _, line := range []string{"port 26379", `a "\x41 b" 'c\'d'`, "a\x00b", "\"\\", "\xff \"\xff\""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err != nil {
			return
		}
		again, err := Split(Join(words...))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q: %q became %q (%v)", line, words, again, err)
		}
	})
}

func TestOverrides(t *testing.T) {
	for _, tc := range []struct {
		args         string // with | between them
		lines, extra []string
	}{
		{"--port|26380", []string{"port 26380"}, nil},
		{"x.conf|-|--port|26380", []string{"port 26380"}, []string{"x.conf", "-"}},
		{"--port 26380|--bind|a|b", []string{"port 26380", "bind a b"}, nil},
		{"--sentinel|monitor|m|10.0.0.1|6379|2|--port|1", []string{"sentinel monitor m 10.0.0.1 6379 2", "port 1"}, nil},
		{"--sentinel|--port|1", []string{"sentinel", "port 1"}, nil},
		{"--port|1|--sentinel", []string{"port 1", "sentinel"}, nil},
		{"--save|--port|1|--save", []string{`save ""`, "port 1", `save ""`}, nil},
		{"--requirepass|--secret|--port|1", []string{"requirepass --secret", "port 1"}, nil},
		{"--requirepass|two words", []string{`requirepass "two words"`}, nil},
		{"--logfile||--port|1", []string{`logfile ""`, "port 1"}, nil},
		{"--daemonize", []string{"daemonize"}, nil},
		{"-m|1|--port|1|--mine|x|--bind|-m|--bind|--mine|-m|2", []string{"port 1", "bind -m", "bind --mine"}, []string{"-m", "1", "--mine", "x", "-m", "2"}},
		{"--port|1|--mine", []string{"port 1"}, []string{"--mine"}},
	} {
		own := func(args []string) int {
			if args[0] == "-m" || args[0] == "--mine" {
				return 2
			}
			return 0
		}
		lines, extra := Overrides(strings.Split(tc.args, "|"), own)
		if !slices.Equal(lines, tc.lines) || !slices.Equal(extra, tc.extra) {
			t.Errorf("%s: got %q and %q", tc.args, lines, extra)
		}
	}
}
