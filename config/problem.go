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
	lines    map[string]int    // of the keys in the file
	origins  map[string]string // flag or environment variable that sets a key instead of the file
	problems []Problem
}

func newReport(file string) *report { return &report{file: file, origins: map[string]string{}} }

// add notes what is wrong with a key. After that, problems of the key and of what is below it follow from the
// first.
func (r *report) add(key string, value any, message, remedy string) {
	if slices.ContainsFunc(r.problems, func(p Problem) bool { return within(key, p.Key) }) {
		return
	}
	p := Problem{File: r.file, Line: r.line(key), Key: key, Value: show(value), Message: message, Remedy: remedy}
	if origin, ok := r.origins[key]; ok {
		p.File, p.Line = origin, 0
	}
	r.problems = append(r.problems, p)
}

// line is that of the key, or of the nearest one above that the file has.
func (r *report) line(key string) int {
	for key != "" {
		if line, ok := r.lines[key]; ok {
			return line
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return 0
}

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

// err is nil when nothing is wrong, else an *Error with the problems in the order of the file.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
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
