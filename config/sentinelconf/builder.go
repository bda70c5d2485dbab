package sentinelconf

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/config"
)

// Conf is what a source says.
type Conf struct {
	Layer config.Layer
	// Of the process; empty: none. All paths are absolute.
	Dir      string // its working directory, which scripts inherit
	LogFile  string
	PIDFile  string
	Standard bool // its log goes to the standard output, as Sentinel's does
	Syslog   Syslog
}

// Syslog is the system's log, which a process may tell what it writes into its own.
type Syslog struct {
	Enabled  bool
	Ident    string // as which it speaks
	Facility string // user, or local0 to local7
}

// builder makes a Conf of directives.
type builder struct {
	conf     Conf
	problems []config.Problem
	dir      string // the working directory
	masters  []*master
	peers    []peer // other Sentinels that were known
	listen   listening
	users    []string
	channels bool // users may use all of them unless their line says otherwise
	tls      transport
	myID     string
	notices  []config.Problem // the warnings, and, where the file is imported, what is told besides
	imported bool             // it becomes a file of Picket's: what has no counterpart is told, not refused
}

// master is one that is watched.
type master struct {
	name    string
	tree    map[string]any
	renames map[string]bool // in upper case
	at      config.Place
	epoch   uint64
}

// peer is another Sentinel.
type peer struct {
	host string
	port int
	id   string // its run id; empty: not known
}

// name is what its problems are called after that have no line.
func (s Source) name() string {
	switch {
	case s.File != "":
		return s.File
	case s.Input != nil:
		return standardInput
	}
	return "the command line"
}

// Read reads all that a source names, and says everything that is wrong with it: then the error is a *config.Error.
func Read(s Source) (*Conf, error) {
	b := build(s, false)
	if len(b.problems) > 0 {
		return nil, &config.Error{Problems: b.problems}
	}
	return &b.conf, nil
}

// build reads a source.
func build(s Source, imported bool) *builder {
	r := read(s)
	b := &builder{imported: imported, problems: r.problems, dir: r.dir, conf: Conf{Standard: true, Syslog: Syslog{Ident: "redis", Facility: "local0"}, Layer: config.Layer{
		File: s.name(), Over: map[string]any{}, Under: map[string]any{}, Places: map[string]config.Place{}, Remedies: map[string]string{},
		Master: map[string]any{"down-after": defaultDownAfter.String(), "failover-timeout": defaultFailoverTimeout.String()},
	}}}
	for i := range r.directives {
		r.directives[i].rule, r.directives[i].known = ruleOf(r.directives[i].name())
	}
	for pass := range 3 {
		for _, d := range r.directives {
			if passOf(d) == pass {
				b.take(d)
			}
		}
	}
	b.finish()
	switch {
	case s.File == "" || s.Input != nil:
		b.conf.Layer.Fixed = "it was not read from a file"
	case r.included:
		b.conf.Layer.Fixed = "files that it includes hold lines of Sentinel's, which would be doubled"
	}
	slices.SortStableFunc(b.problems, inOrder)
	slices.SortStableFunc(b.notices, inOrder)
	return b
}

// inOrder is the order of the lines.
func inOrder(p, q config.Problem) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line))
}

// passOf orders directives as Sentinel does: masters are known before what is said of them, wherever that stands.
func passOf(d directive) int {
	switch {
	case d.name() == "sentinel monitor":
		return 1
	case d.words[0] == sentinelWord && d.rule.least > 1:
		return 2
	}
	return 0
}

// take does with a directive what its rule says.
func (b *builder) take(d directive) {
	name, rule, n := d.name(), d.rule, len(d.args())
	switch {
	case len(b.problems) >= maxProblems: // nobody is told any more
	case !d.known:
		remedy := ""
		if near := config.Nearest(name, nameList()); near != "" {
			remedy = fmt.Sprintf("did you mean %s?", near)
		}
		b.refuse(d, "", "Sentinel knows no such directive", remedy)
	case n < rule.least || rule.most >= 0 && n > rule.most:
		b.refuse(d, "", fmt.Sprintf("has %s, not %s", count(n), rule.arity()), "")
	case rule.fate != applied && !slices.ContainsFunc(d.args(), func(w string) bool { return w != "" }): // it says: none
	case rule.fate == refused:
		message, remedy, _ := strings.Cut(noteOf(rule), "; ")
		if b.imported {
			b.notice(d, "is left away: "+message, remedy)
			return
		}
		b.refuse(d, "", message, remedy)
	case rule.fate == warned:
		b.warn(d, "has no effect: "+noteOf(rule))
	case rule.apply != nil:
		rule.apply(b, d)
	case b.imported && rule.note != "" && !strings.HasSuffix(name, "-epoch"): // which Sentinel has written, not its operator
		b.notice(d, "needs no counterpart: "+noteOf(rule), "")
	}
}

// noteOf is the reason of a rule, which may be that of another.
func noteOf(r rule) string {
	if other, ok := strings.CutPrefix(r.note, "as "); ok {
		for _, name := range []string{other, "sentinel " + other} {
			if same, ok := ruleOf(name); ok && same.note != "" {
				return noteOf(same)
			}
		}
	}
	return r.note
}

func count(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// arity says in words how many arguments a directive has.
func (r rule) arity() string {
	switch {
	case r.most < 0:
		return fmt.Sprintf("at least %d", r.least)
	case r.least < r.most:
		return fmt.Sprintf("%d to %d", r.least, r.most)
	}
	return strconv.Itoa(r.least)
}

// refuse notes what is wrong with a directive. An empty value is not shown, nor one that may be a secret.
func (b *builder) refuse(d directive, value, message, remedy string) {
	if value != "" && !d.rule.secret {
		value = strconv.Quote(value)
	} else {
		value = ""
	}
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, config.Problem{File: d.place.File, Line: d.place.Line, Key: d.name(), Value: value, Message: message, Remedy: remedy})
	}
}

// warn notes that a directive has no effect, or another one than with Sentinel.
func (b *builder) warn(d directive, text string) {
	text, remedy, _ := strings.Cut(text, "; ")
	p := b.notice(d, text, remedy)
	b.conf.Layer.Warnings = append(b.conf.Layer.Warnings, p.String())
}

// notice notes what is worth to be told of a directive.
func (b *builder) notice(d directive, text, remedy string) config.Problem {
	p := config.Problem{File: d.place.File, Line: d.place.Line, Key: d.name(), Message: text, Remedy: remedy}
	b.notices = append(b.notices, p)
	return p
}

// set gives a key of the configuration a value; a later one wins.
func (b *builder) set(d directive, key string, value any) {
	put(b.conf.Layer.Over, key, value)
	b.conf.Layer.Places[key] = d.place
}

// put sets a key below which there is nothing yet but groups.
func put(tree map[string]any, key string, value any) {
	for {
		group, rest, ok := strings.Cut(key, ".")
		if !ok {
			tree[key] = value
			return
		}
		below, ok := tree[group].(map[string]any)
		if !ok {
			below = map[string]any{}
			tree[group] = below
		}
		tree, key = below, rest
	}
}

// setOf gives a key of a master a value.
func (b *builder) setOf(d directive, m *master, key string, value any) {
	put(m.tree, key, value)
	b.conf.Layer.Places[fmt.Sprintf("masters[%d].%s", slices.Index(b.masters, m), key)] = d.place
}

// number applies a directive that is a whole number.
func number(key string) func(*builder, directive) {
	return func(b *builder, d directive) {
		if n, ok := b.whole(d, d.args()[0], 1); ok {
			b.set(d, key, n)
		}
	}
}

// whole reads a number that is at least so much.
func (b *builder) whole(d directive, text string, least int) (int, bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(n) < least {
		b.refuse(d, text, fmt.Sprintf("is not a whole number from %d", least), "")
		return 0, false
	}
	return int(n), true
}

// portNumber reads a port, or 0.
func (b *builder) portNumber(d directive, text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		b.refuse(d, text, "is not a port from 0 to 65535", "")
	}
	return int(n), err == nil
}

// yes reads yes or no.
func (b *builder) yes(d directive) (yes, ok bool) {
	switch strings.ToLower(d.args()[0]) {
	case "yes":
		return true, true
	case "no":
		return false, true
	}
	b.refuse(d, d.args()[0], "is neither yes nor no", "")
	return false, false
}

// word reads one of some words.
func (b *builder) word(d directive, words ...string) (string, bool) {
	word := strings.ToLower(d.args()[0])
	if !slices.Contains(words, word) {
		b.refuse(d, d.args()[0], "is not one of "+strings.Join(words, ", "), "")
		return "", false
	}
	return word, true
}

// yesOrNo applies a directive that is yes or no.
func yesOrNo(key string) func(*builder, directive) {
	return func(b *builder, d directive) {
		if yes, ok := b.yes(d); ok {
			b.set(d, key, yes)
		}
	}
}

// warnUnless says what anything but the default does not do.
func warnUnless(usual, note string) func(*builder, directive) {
	return func(b *builder, d directive) {
		if d.args()[0] != usual {
			b.warn(d, "has no effect: "+note)
		}
	}
}
