package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change is a key whose value is another one than before.
type Change struct {
	Key      string // elements of lists that have names are told by them: masters[mymaster].quorum
	Old, New string // as an operator would write them, stars for secrets; empty: there is none
	Effect   Effect
}

// Effect says when a changed key counts.
type Effect string

// Effects.
const (
	AtOnce       Effect = ""                                                       // it does
	AfterRestart Effect = "takes effect after a restart"                           // of the agent
	AtFirst      Effect = "counts at the first start only: the agents know better" // they found out, or agreed on something since
)

// Renew gives what counts once a running agent with an old configuration has got the next one: the next one, but for the keys that need a restart.
// It lists what is different. Masters that are the same keep their values; neither configuration is changed.
func Renew(old, next *Config) (now *Config, changes []Change) {
	renewed := *next
	n := renewal{}
	n.group("", reflect.ValueOf(old).Elem(), reflect.ValueOf(next).Elem(), reflect.ValueOf(&renewed).Elem(), AfterRestart)
	// Who may use a port waits for the restart together with what the port is: a password that client certificates are to replace must not be gone first.
	if n.wait("sentinel.", "listen.sentinel", "listen.also") {
		renewed.Sentinel = old.Sentinel
	}
	if n.wait("http.", "listen.http") {
		renewed.HTTP = old.HTTP
	}
	return &renewed, n.changes
}

type renewal struct{ changes []Change }

// wait has all changes of a group of keys need a restart, if one of them does, or one of other keys with such a beginning.
func (n *renewal) wait(group string, others ...string) bool {
	below := func(c Change, prefixes []string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(c.Key, p) })
	}
	if !slices.ContainsFunc(n.changes, func(c Change) bool { return c.Effect == AfterRestart && below(c, append(others, group)) }) {
		return false
	}
	for i, c := range n.changes {
		if strings.HasPrefix(c.Key, group) {
			n.changes[i].Effect = AfterRestart
		}
	}
	return true
}

// group compares two groups of keys. What needs a restart stays in out as it was.
func (n *renewal) group(key string, old, next, out reflect.Value, effect Effect) {
	for f := range fields(old.Type()) {
		effect := effect
		switch f.Tag.Get("reload") {
		case "yes":
			effect = AtOnce
		case "first":
			effect = AtFirst
		}
		was, is, name := old.FieldByIndex(f.Index), next.FieldByIndex(f.Index), below(key, kebab(f.Name))
		first := len(n.changes)
		n.value(name, was, is, out.FieldByIndex(f.Index), effect)
		if f.Tag.Get("show") == "no" {
			for i := range n.changes[first:] {
				c := &n.changes[first+i]
				c.Old, c.New = Secret(c.Old).String(), Secret(c.New).String()
			}
		}
	}
}

func (n *renewal) value(key string, old, next, out reflect.Value, effect Effect) {
	switch {
	case reflect.DeepEqual(old.Interface(), next.Interface()):
	case old.Kind() == reflect.Struct:
		n.group(key, old, next, out, effect)
	case old.Kind() == reflect.Slice && old.Type().Elem().Kind() == reflect.Struct:
		n.list(key, old, next, effect)
		if effect == AfterRestart {
			out.Set(old)
		}
	default:
		n.changes = append(n.changes, Change{key, written(old), written(next), effect})
		if effect == AfterRestart {
			out.Set(old)
		}
	}
}

// list compares lists of what has names, which count as a whole.
func (n *renewal) list(key string, old, next reflect.Value, effect Effect) {
	name := func(v reflect.Value) string { return fmt.Sprintf("%s[%s]", key, v.Field(0)) } // a name or an id comes first
	elements := func(list reflect.Value) map[string]reflect.Value {
		all := map[string]reflect.Value{}
		for i := range list.Len() {
			all[name(list.Index(i))] = list.Index(i)
		}
		return all
	}
	was, is := elements(old), elements(next)
	for i := range old.Len() {
		if k := name(old.Index(i)); !is[k].IsValid() {
			n.changes = append(n.changes, Change{k, "given", "", effect})
		}
	}
	for i := range next.Len() {
		e := next.Index(i)
		if before := was[name(e)]; before.IsValid() {
			n.value(name(e), before, e, reflect.New(e.Type()).Elem(), effect)
		} else {
			n.changes = append(n.changes, Change{name(e), "", "given", effect})
		}
	}
}

// written is a value as an operator would write it. Secrets show stars.
func written(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// Files lists the files that the configuration was made of, beside the one with the keys: those of secrets, and of templates.
func (c *Config) Files() []string {
	var files []string
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for f := range fields(v.Type()) {
				// What is read from a file stands beside its path.
				contents, names := strings.CutSuffix(f.Name, "File")
				_, beside := v.Type().FieldByName(contents)
				if path := v.FieldByIndex(f.Index); names && beside && !path.IsZero() {
					files = append(files, path.String())
				}
				visit(v.FieldByIndex(f.Index))
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		}
	}
	visit(reflect.ValueOf(c).Elem())
	slices.Sort(files)
	return slices.Compact(files)
}
