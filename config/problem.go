package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File    string // or the flag or environment variable that holds the value
	Line    int    // 0: not known
	Key     string // like masters[0].down-after; empty: the file as a whole
	Value   string // as it was given, stars for a secret; empty: none was
	Message string // what is wrong
	Remedy  string // what to do; may be empty
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	if p.Value != "" {
		b.WriteString(": got " + p.Value)
	}
	b.WriteString(": " + p.Message)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// Error holds everything that is wrong with a configuration; it is never empty.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d problems:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// report collects problems. It knows where the value of a key comes from.
type report struct {
	file     string
	lines    map[string]int   // of the keys in the file
	origins  map[string]Place // of the keys that something else than the file sets
	layer    *Layer           // around the file; nil: none
	problems []Problem
}

func newReport(file string) *report { return &report{file: file, origins: map[string]Place{}} }

// add notes what is wrong with a key. After that, problems of the key and of what is below it follow from the
// first.
func (r *report) add(key string, value any, message, remedy string) {
	if slices.ContainsFunc(r.problems, func(p Problem) bool { return within(key, p.Key) }) {
		return
	}
	if r.layer != nil && value == nil {
		remedy = cmp.Or(r.layer.Remedies[key], remedy)
	}
	place := r.place(key)
	r.problems = append(r.problems, Problem{File: place.File, Line: place.Line, Key: key, Value: show(value), Message: message, Remedy: remedy})
}

// place is where the key, or the nearest one above that is set anywhere, comes from.
func (r *report) place(key string) Place {
	for at := key; at != ""; at = above(at) {
		if place, ok := r.origins[at]; ok {
			return place
		}
		if line, ok := r.lines[at]; ok {
			return Place{r.file, line}
		}
	}
	return Place{File: r.file}
}

// above is the key of the group or list that holds a key.
func above(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }

// sound says that nothing is wrong with a key, what is below it, or what is above it. Keys whose sense
// depends on other keys are checked only when those are sound.
func (r *report) sound(key string) bool {
	return !slices.ContainsFunc(r.problems, func(p Problem) bool { return within(p.Key, key) || within(key, p.Key) })
}

// within says whether key is outer, or below it.
func within(key, outer string) bool {
	rest, ok := strings.CutPrefix(key, outer)
	return ok && (rest == "" || outer == "" || rest[0] == '.' || rest[0] == '[')
}

// err is nil when nothing is wrong, else an *Error with the problems in the order of the files.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return &Error{Problems: r.problems}
}

// show prints a value as an operator would write it. Groups and lists may hold secrets.
func show(value any) string {
	switch reflect.ValueOf(value).Kind() {
	case reflect.Invalid, reflect.Map, reflect.Slice:
		return ""
	case reflect.String:
		return fmt.Sprintf("%q", value)
	default:
		return fmt.Sprint(value)
	}
}
