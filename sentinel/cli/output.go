package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Format is how facts are printed.
type Format string

// Formats.
const (
	Table Format = "table" // for people
	JSON  Format = "json"  // one line
	YAML  Format = "yaml"  // with the keys of JSON, in the same order
)

// Formats lists them.
var Formats = []string{string(Table), string(JSON), string(YAML)}

// Set implements pflag.Value.
func (f *Format) Set(text string) error {
	if !slices.Contains(Formats, text) {
		return fmt.Errorf("it is %s", strings.Join(Formats, ", "))
	}
	*f = Format(text)
	return nil
}

// String implements pflag.Value.
func (f *Format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *Format) Type() string { return "format" }

// Answer is a fact, and how it is written for people.
type Answer struct {
	Value any
	Table func(io.Writer) error
}

// Write writes an answer. Of several, one after the other: a line of JSON for each, or a document of YAML.
func (f Format) Write(out io.Writer, a Answer) error {
	switch f {
	case JSON:
		return json.NewEncoder(out).Encode(a.Value)
	case YAML:
		text, err := marshalYAML(a.Value)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	return a.Table(out)
}

// marshalYAML goes by way of JSON, which is YAML but for some characters, so that the two can't differ in more than their looks.
func marshalYAML(value any) ([]byte, error) {
	var text bytes.Buffer
	plain := json.NewEncoder(&text)
	plain.SetEscapeHTML(false)
	if err := plain.Encode(value); err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(escaped(text.String()), &document); err != nil {
		return nil, fmt.Errorf("turn JSON into YAML: %w", err)
	}
	unfold(&document)
	out := bytes.NewBufferString("---\n")
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

// escaped writes what is not printable ASCII, which JSON holds in texts only, as YAML escapes it.
func escaped(text string) []byte {
	var out []byte
	for _, c := range text {
		if c < 0x7f {
			out = append(out, byte(c))
		} else {
			out = fmt.Appendf(out, `\U%08x`, c)
		}
	}
	return out
}

// unfold takes the brackets away from lists and maps that hold something, and quotes from texts that no reader of YAML takes for something else.
func unfold(n *yaml.Node) {
	switch {
	case n.Kind != yaml.ScalarNode && len(n.Content) == 0:
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str" && (!simple.MatchString(n.Value) || slices.Contains(words, strings.ToLower(n.Value))):
		n.Style = yaml.DoubleQuotedStyle
	default:
		n.Style = 0
	}
	for _, below := range n.Content {
		unfold(below)
	}
}

var (
	simple = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_./-]*$`)
	// words have meanings in one version of YAML or another.
	words = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
)
