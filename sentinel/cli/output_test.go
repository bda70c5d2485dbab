package cli

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestFormat_Write(t *testing.T) {
	type item struct {
		Zeta  string   `json:"zeta"`
		Alpha int64    `json:"alpha"`
		List  []string `json:"list"`
		None  *int     `json:"none"`
	}
	a := Answer{item{"no", 1 << 62, []string{}, nil}, func(out io.Writer) error {
		_, err := io.WriteString(out, "a table\n")
		return err
	}}
	for f, want := range map[Format]string{
		Table: "a table\n",
		JSON:  `{"zeta":"no","alpha":4611686018427387904,"list":[],"none":null}` + "\n",
		YAML:  "---\nzeta: \"no\"\nalpha: 4611686018427387904\nlist: []\nnone: null\n",
	} {
		var got strings.Builder
		if err := f.Write(&got, a); err != nil || got.String() != want {
			t.Errorf("%s: %q, %v; want %q", f, got.String(), err, want)
		}
	}
	var f Format
	if err := f.Set("xml"); err == nil || !strings.Contains(err.Error(), "table, json, yaml") {
		t.Errorf("xml: %v", err)
	}
}

// TestFormat_YAMLSaysWhatJSONSays gives both any text, and reads both back.
func TestFormat_YAMLSaysWhatJSONSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := map[string]any{
			"text": rapid.String().Draw(t, "text"), "number": rapid.Float64Range(-1e15, 1e15).Draw(t, "number"), "yes": rapid.Bool().Draw(t, "yes"),
			"list": rapid.SliceOf(rapid.StringMatching(`[ -~\n\t]*`)).Draw(t, "list"), rapid.StringMatching(`[a-z:#\-? ]+`).Draw(t, "key"): "x",
		}
		text, err := marshalYAML(value)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		plain, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(plain, &want); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if list, ok := want.(map[string]any)["list"]; ok && list == nil {
			delete(want.(map[string]any), "list")
			delete(got.(map[string]any), "list")
		}
		for _, m := range []any{got, want} {
			switch n := m.(map[string]any)["number"].(type) {
			case int:
				m.(map[string]any)["number"] = float64(n)
			case float64:
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("YAML %#v, JSON %#v\n%s", got, want, text)
		}
	})
}
