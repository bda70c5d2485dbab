package config

import (
	"slices"
	"strings"
	"testing"
)

func TestHTTP_WarnsOfPortsThatOthersReach(t *testing.T) {
	const tokens = "\n  tokens: [{name: a, token: aaaaaaaaaaaaaaaaaaaa}]"
	for name, c := range map[string]struct{ addr, http, want string }{
		"loopback":                   {"127.0.0.1:1", "", ""},
		"loopback, everything":       {"[::1]:1", "anonymous: read" + tokens, ""},
		"nobody can change anything": {"0.0.0.0:1", "anonymous: local", "not even from this host"},
		"tokens in clear":            {"10.0.0.1:1", "anonymous: local" + tokens, "tokens cross the network as they are"},
		"everybody reads":            {"10.0.0.1:1", "anonymous: read", "whoever does may read everything"},
		"no port":                    {"", "anonymous: local", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := string(Example())
			text = strings.Replace(text, "#http: 127.0.0.1:26381", "http: '"+c.addr+"'", 1)
			if c.http != "" {
				text = strings.Replace(text, "\nhttp:\n", "\nhttp:\n  "+c.http+"\n", 1)
			}
			loaded, _ := mustParse(t, []byte(text))
			about := func(w string) bool { return strings.HasPrefix(w, "listen.http:") }
			switch got := loaded.Warnings(); {
			case c.want == "" && slices.ContainsFunc(got, about):
				t.Errorf("warns: %q", got)
			case c.want != "" && !slices.ContainsFunc(got, func(w string) bool { return about(w) && strings.Contains(w, c.want) }):
				t.Errorf("warns %q, want one that says %q", got, c.want)
			}
		})
	}
}
