package config

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Encode writes a tree, of maps, lists and scalars like a parser's, as YAML below a comment of one line. Keys have the order of Config's fields.
func Encode(tree map[string]any, comment string) []byte {
	out := bytes.NewBufferString("# " + strings.Join(strings.Fields(comment), " ") + "\n")
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	err := encoder.Encode(node(tree, reflect.TypeFor[Config]()))
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("write a tree of maps, lists and scalars: %v", err)) // into memory
	}
	return out.Bytes()
}

// node makes YAML of a value of a type.
func node(value any, of reflect.Type) *yaml.Node {
	switch v := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range ordered(v, of) {
			n.Content = append(n.Content, node(key, nil), node(v[key], field(of, key)))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		var element reflect.Type
		if of != nil && of.Kind() == reflect.Slice {
			element = of.Elem()
		}
		for _, e := range v {
			n.Content = append(n.Content, node(e, element))
		}
		return n
	}
	n := &yaml.Node{}
	if err := n.Encode(value); err != nil {
		panic(fmt.Sprintf("write %T: %v", value, err)) // the readers make texts, numbers and booleans
	}
	return n
}

// ordered lists the keys in the order of a type's fields.
func ordered(tree map[string]any, of reflect.Type) []string {
	var known []string
	if of != nil && of.Kind() == reflect.Struct {
		known = keys(of)
	}
	return slices.SortedFunc(maps.Keys(tree), func(a, b string) int {
		return cmp.Or(slices.Index(known, a)-slices.Index(known, b), strings.Compare(a, b))
	})
}

// field is the type of a key.
func field(of reflect.Type, key string) reflect.Type {
	if of == nil || of.Kind() != reflect.Struct {
		return nil
	}
	for f := range fields(of) {
		if kebab(f.Name) == key {
			return f.Type
		}
	}
	return nil
}
