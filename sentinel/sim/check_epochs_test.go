package sim

import (
	"testing"

	"picket/config"
)

func TestEpochCheck(t *testing.T) {
	switched := func(master string, term uint64, to string) said {
		return said{Message: "failover.switched", Life: 1, Master: master, Term: term, To: config.Addr(to)}
	}
	a, b := &machine{name: "h1"}, &machine{name: "h2"}
	type word struct {
		by *machine
		said
	}
	for name, c := range map[string]struct {
		words []word
		wrong int
	}{
		"both say the same":        {[]word{{a, switched("m", 2, "1")}, {b, switched("m", 2, "1")}}, 0},
		"each in its own time":     {[]word{{a, switched("m", 2, "1")}, {a, switched("m", 3, "2")}, {b, switched("m", 2, "1")}}, 0},
		"other names":              {[]word{{a, switched("m", 2, "1")}, {a, switched("n", 2, "2")}}, 0},
		"two masters in one epoch": {[]word{{a, switched("m", 2, "1")}, {b, switched("m", 2, "2")}}, 1},
		"an epoch goes back":       {[]word{{a, switched("m", 3, "1")}, {a, switched("m", 2, "2")}}, 1},
		"an epoch comes twice":     {[]word{{a, switched("m", 3, "1")}, {a, switched("m", 3, "1")}}, 1},
	} {
		w := &world{story: &story{}}
		check := newEpochCheck(w)
		for _, word := range c.words {
			check.said(word.by, word.said)
		}
		if len(w.violations) != c.wrong {
			t.Errorf("%s: %v", name, w.violations)
		}
	}
}
