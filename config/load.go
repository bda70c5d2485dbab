package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration's file.
const maxFile = 1 << 20

// Load reads a configuration from a YAML, TOML or JSON file, the environment, and those of the flags that
// RegisterFlags made; flags may be nil. If anything is wrong, the error is an *Error that says everything
// that is.
func Load(path string, flags *pflag.FlagSet) (*Config, error) {
	r := newReport(path)
	tree := r.read(path)
	if err := r.err(); err != nil {
		return nil, err
	}
	return r.load(tree, flags)
}

func (r *report) load(tree map[string]any, flags *pflag.FlagSet) (*Config, error) {
	r.overlay(tree, flags)
	c, d := Default(), decoder{report: r, set: map[string]bool{}}
	d.decode("", tree, reflect.ValueOf(&c).Elem())
	c.derive(d.set)
	if r.layer != nil {
		c.complete(r.layer, d.set)
	}
	c.check(r)
	if err := r.err(); err != nil {
		return nil, err
	}
	if whole, err := filepath.Abs(r.file); err == nil { // else there is no working directory, and no use for the path
		c.file = whole
	}
	return &c, nil
}

// read reads and parses the file. The tree is that of a parser: maps, lists and scalars.
func (r *report) read(path string) map[string]any {
	data, err := ReadFile(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.add("", nil, "there is no such file", "`picket config example` prints one to start from")
	case errors.Is(err, fs.ErrPermission):
		message, remedy := barred(path)
		r.add("", nil, message, remedy)
	case err != nil:
		r.add("", nil, err.Error(), "")
	}
	if err != nil {
		return nil
	}
	return r.parse(strings.TrimPrefix(filepath.Ext(path), "."), data)
}

// formats are those of the files, by the ends of their names.
var formats = []string{"yaml", "yml", "toml", "json"}

func (r *report) parse(format string, data []byte) map[string]any {
	if !slices.Contains(formats, format) {
		r.add("", nil, "its name must end in ."+strings.Join(formats, ", ."), "rename it")
		return nil
	}
	decoder, err := viper.NewCodecRegistry().Decoder(format)
	tree := map[string]any{}
	if err == nil {
		r.locate(format, data)
		err = decoder.Decode(data, tree)
	}
	if err != nil && len(r.problems) == 0 {
		r.add("", nil, strings.Join(strings.Fields(err.Error()), " "), "") // YAML's take several lines
		r.problems[0].Line = lineOf(err, data)
	}
	return tree
}

// lineOf says where a parser stopped, if its error's text does not.
func lineOf(err error, data []byte) int {
	line := 0
	if toml := (interface{ Position() (row, column int) })(nil); errors.As(err, &toml) {
		line, _ = toml.Position()
	}
	if json := (*json.SyntaxError)(nil); errors.As(err, &json) {
		line = 1 + bytes.Count(data[:json.Offset], []byte("\n"))
	}
	return line
}

// locate notes the lines of the keys in a YAML file, and in a JSON file as far as it is YAML, too.
func (r *report) locate(format string, data []byte) {
	if format == "toml" {
		return
	}
	parser := yaml.NewDecoder(bytes.NewReader(data))
	var document, another yaml.Node
	if parser.Decode(&document) != nil || len(document.Content) != 1 {
		return // empty, or the decoder will say why not
	}
	switch root := document.Content[0]; {
	case root.Kind != yaml.MappingNode && root.Tag != "!!null":
		r.add("", nil, "it does not hold keys", "`picket config example` prints one that does")
	case format != "json" && parser.Decode(&another) == nil:
		r.add("", nil, "it holds more than one document", "take away all but one")
	default:
		r.lines = map[string]int{}
		r.number("", root)
	}
}

func (r *report) number(key string, node *yaml.Node) {
	r.lines[key] = node.Line
	switch node.Kind {
	case yaml.SequenceNode:
		for i, e := range node.Content {
			r.number(element(key, i), e)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			r.number(below(key, node.Content[i].Value), node.Content[i+1])
			r.lines[below(key, node.Content[i].Value)] = node.Content[i].Line
		}
	}
}
