// Package apitest checks what an agent answers against what it says that it answers: its OpenAPI description. It is for tests.
package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Checker knows a description; it is for one goroutine. OpenAPI 3.1 describes bodies by JSON Schema, so that a validator of that is all it takes.
type Checker struct {
	compiler *jsonschema.Compiler
	paths    map[*regexp.Regexp]string // the paths that match, as described
	tree     map[string]any
	compiled map[string]*jsonschema.Schema
}

const resource = "https://picket.example/openapi.json"

// New reads a description. It is taken strictly: an answer may hold nothing that is not described.
func New(description []byte) (*Checker, error) {
	tree := map[string]any{}
	if err := json.Unmarshal(description, &tree); err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	for _, s := range at(tree, "components", "schemas") {
		s.(map[string]any)["additionalProperties"] = false
	}
	c := &Checker{compiler: jsonschema.NewCompiler(), paths: map[*regexp.Regexp]string{}, tree: tree, compiled: map[string]*jsonschema.Schema{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(resource, tree); err != nil {
		return nil, err
	}
	for path := range at(tree, "paths") {
		pattern := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), ".*")
		c.paths[regexp.MustCompile("^"+pattern+"$")] = path
	}
	return c, nil
}

// at goes down a tree; nil: it has no such place.
func at(tree map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		tree, _ = tree[key].(map[string]any)
	}
	return tree
}

// Check reads an answer, and says how it differs from what is described. The answer can be read again.
func (c *Checker) Check(method, path string, answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if err := c.check(strings.ToLower(method), path, answer, body); err != nil {
		return fmt.Errorf("%s %s answers %d with what is not described: %w\n%.2000s", method, path, answer.StatusCode, err, body)
	}
	return nil
}

func (c *Checker) check(method, path string, answer *http.Response, body []byte) error {
	if method == "head" {
		return nil
	}
	described := c.find(method, path)
	responses := at(c.tree, "paths", described, method, "responses")
	code := strconv.Itoa(answer.StatusCode)
	if responses[code] == nil {
		code = "default"
	}
	content := at(responses, code, "content")
	if len(body) == 0 && content == nil {
		return nil
	}
	media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("its type: %w", err)
	}
	if described == "" { // what is not described is a problem
		if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed || media != "application/problem+json" {
			return fmt.Errorf("there is no such path in the description")
		}
		return c.validate(body, "components", "schemas", "Problem")
	}
	if content[media] == nil {
		return fmt.Errorf("no answer %s of the type %s is described", code, media)
	}
	if !strings.HasSuffix(media, "json") {
		return nil
	}
	return c.validate(body, "paths", described, method, "responses", code, "content", media, "schema")
}

// find gives the path of the description that matches best: the longest.
func (c *Checker) find(method, path string) (described string) {
	for pattern, candidate := range c.paths {
		if pattern.MatchString(path) && at(c.tree, "paths", candidate)[method] != nil && len(candidate) > len(described) {
			described = candidate
		}
	}
	return described
}

// validate compares a body with the schema at a place.
func (c *Checker) validate(body []byte, place ...string) error {
	pointer := ""
	for _, key := range place {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
	}
	schema := c.compiled[pointer]
	if schema == nil {
		var err error
		if schema, err = c.compiler.Compile(resource + "#" + pointer); err != nil {
			return err
		}
		c.compiled[pointer] = schema
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
