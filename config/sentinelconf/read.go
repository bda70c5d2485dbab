package sentinelconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"picket/config"
)

// Source is what a program like redis-sentinel is started with.
type Source struct {
	File      string    // empty: none
	Contents  []byte    // what the file is taken to say; nil: it is read
	Dir       string    // where relative paths begin; empty: in the working directory
	Input     io.Reader // read after the file; nil: it is not wanted
	Overrides []string  // lines that the command line adds after that
}

const standardInput = "standard input"

// Limits of what is read.
const (
	maxFile  = 1 << 20 // bytes
	maxFiles = 1000    // with those that are included
	maxDepth = 16      // of files that include files
	maxLines = 100_000 // that say something

	maxProblems = 100 // that are told
)

// directive is one line that says something.
type directive struct {
	place config.Place
	words []string // the first one, and a second one after sentinel, in lower case
	rule  rule
	known bool // there is a rule
}

// name is what the directive is called: with its second word, where that is one of Sentinel's.
func (d directive) name() string {
	if d.words[0] == sentinelWord && len(d.words) > 1 {
		return d.words[0] + " " + d.words[1]
	}
	return d.words[0]
}

// args are the words after the name.
func (d directive) args() []string {
	if d.words[0] == sentinelWord && len(d.words) > 1 {
		return d.words[2:]
	}
	return d.words[1:]
}

// sentinelWord begins the lines that are Sentinel's own.
const sentinelWord = "sentinel"

// reader reads lines, and the files that they include.
type reader struct {
	dir        string // the working directory, after the lines read so far
	files      int
	directives []directive
	included   bool // one of Sentinel's own lines stands in a file that was included
	problems   []config.Problem
}

// read reads everything that a source names.
func read(s Source) *reader {
	r := &reader{dir: s.Dir}
	if r.dir == "" {
		var err error
		if r.dir, err = os.Getwd(); err != nil {
			r.refuse(config.Place{File: s.File}, "", "the working directory is not known: "+err.Error(), "")
			return r
		}
	}
	switch {
	case s.Contents != nil:
		r.stream(s.File, bytes.NewReader(s.Contents), 0)
	case s.File != "":
		r.file(s.File, config.Place{File: s.File}, 0)
	}
	if s.Input != nil {
		r.stream(standardInput, s.Input, 0)
	}
	for _, line := range s.Overrides {
		word, _, _ := strings.Cut(line, " ")
		r.line(line, config.Place{File: "--" + word}, 0)
	}
	return r
}

func (r *reader) refuse(at config.Place, key, message, remedy string) {
	if len(r.problems) == maxProblems {
		return
	}
	r.problems = append(r.problems, config.Problem{File: at.File, Line: at.Line, Key: key, Message: message, Remedy: remedy})
}

// file reads a file; from is the line that asks for it.
func (r *reader) file(path string, from config.Place, depth int) {
	if r.files == maxFiles {
		r.refuse(from, "", fmt.Sprintf("%s is one file too many: %d are read", path, maxFiles), "does one include itself?")
		return
	}
	file, err := os.Open(r.absolute(path))
	if err != nil {
		if of := (*fs.PathError)(nil); errors.As(err, &of) {
			err = of.Err
		}
		what := "can't be read: "
		if from.File != path { // which is not named in front of it anyway
			what = path + " " + what
		}
		r.refuse(from, "", what+err.Error(), "name a file that this user may read")
		return
	}
	defer func() { _ = file.Close() }() // it was only read
	r.stream(path, file, depth)
}

func (r *reader) stream(name string, in io.Reader, depth int) {
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch r.files++; {
	case err != nil:
		r.refuse(config.Place{File: name}, "", "can't be read: "+err.Error(), "")
	case len(data) > maxFile:
		r.refuse(config.Place{File: name}, "", fmt.Sprintf("is larger than %d KiB", maxFile>>10), "")
	default:
		number := 0
		for line := range strings.Lines(string(data)) {
			number++
			r.line(line, config.Place{File: name, Line: number}, depth)
		}
	}
}

// line reads one line.
func (r *reader) line(text string, at config.Place, depth int) {
	text = strings.Trim(text, " \t\r\n")
	if text == "" || text[0] == '#' {
		return
	}
	words, err := Split(text)
	if err == nil && strings.ContainsRune(text, 0) {
		err = errors.New("it holds a NUL byte")
	}
	switch {
	case err != nil:
		r.refuse(at, "", err.Error(), `write "a b" for a word with a space in it, and \" for a quote`)
		return
	case len(words) == 0:
		return
	case len(r.directives) == maxLines:
		r.refuse(at, "", fmt.Sprintf("is one line too many: %d are read", maxLines), "")
		return
	}
	d := directive{place: at, words: words}
	words[0] = strings.ToLower(words[0])
	if words[0] == sentinelWord && len(words) > 1 {
		words[1] = strings.ToLower(words[1])
		r.included = r.included || depth > 0
	}
	switch {
	case words[0] == "include" && len(words) == 2:
		r.include(words[1], at, depth)
		return
	case words[0] == "dir" && len(words) == 2:
		r.dir = r.absolute(words[1])
	}
	r.directives = append(r.directives, d)
}

// include reads the files of a pattern, of which there may be none, or one file, which must exist.
func (r *reader) include(pattern string, at config.Place, depth int) {
	if depth == maxDepth {
		r.refuse(at, "include", fmt.Sprintf("files include files more than %d deep", maxDepth), "does one include itself?")
		return
	}
	if !strings.ContainsAny(pattern, "*?[") {
		r.file(pattern, at, depth+1)
		return
	}
	paths, err := filepath.Glob(r.absolute(pattern))
	if err != nil {
		r.refuse(at, "include", fmt.Sprintf("%q is not a pattern of file names", pattern), "")
	}
	for _, path := range paths {
		r.file(path, at, depth+1)
	}
}

// absolute is a path as the process would find it after the lines read so far.
func (r *reader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.dir, path)
}
