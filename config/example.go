package config

import (
	_ "embed" // for example.yaml
	"slices"
)

//go:embed example.yaml
var example []byte

// Example is a valid configuration of three hosts in YAML that explains every key.
func Example() []byte { return slices.Clone(example) }
