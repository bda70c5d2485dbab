package config

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// uncommented takes the # away from the keys that the example shows with their defaults.
func uncommented(text []byte) []byte {
	return regexp.MustCompile(`(?m)^( *)#([a-z-]+:)`).ReplaceAll(text, []byte("$1$2"))
}

// withWebhooks takes the comment away from the example's webhooks.
func withWebhooks(text []byte) []byte {
	start := bytes.Index(text, []byte("# webhooks:\n"))
	end := start + bytes.Index(text[start:], []byte("\n\n"))
	block := regexp.MustCompile(`(?m)^# `).ReplaceAll(text[start:end], nil)
	return append(append(bytes.Clone(text[:start]), block...), text[end:]...)
}

func mustParse(t *testing.T, text []byte) (*Config, map[string]bool) {
	t.Helper()
	r := newReport("picket.yaml")
	tree := r.parse("yaml", text)
	d := decoder{report: r, set: map[string]bool{}}
	var ignored Config
	d.decode("", tree, reflect.ValueOf(&ignored).Elem())
	c, err := r.load(tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, d.set
}

func TestExample_DocumentedDefaultsAreTheDefaults(t *testing.T) {
	for name, text := range map[string][]byte{"as it is": Example(), "with webhooks": withWebhooks(Example())} {
		got, _ := mustParse(t, uncommented(text))
		want, _ := mustParse(t, text)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: with all keys that are shown with their defaults:\n%+v\nwithout them:\n%+v", name, got, want)
		}
	}
}

func TestExample_HasEveryKey(t *testing.T) {
	c, set := mustParse(t, uncommented(withWebhooks(Example())))
	missing := func(key string, v any) {
		scalars(key, reflect.ValueOf(v), func(key string, _ reflect.Value) {
			if !set[key] {
				t.Errorf("%s is missing", key)
			}
		})
	}
	missing("", *c)
	missing("agents[0]", c.Agents[0])
	missing("masters[0]", c.Masters[0])
	missing("webhooks[0]", c.Webhooks[0])
	for _, key := range []string{"webhooks[0].events[0]", "webhooks[0].masters[0]"} {
		if !set[key] {
			t.Errorf("%s is missing", key)
		}
	}
	for _, name := range eventTypes {
		if !strings.Contains(string(Example()), name) {
			t.Errorf("the event %s is missing", name)
		}
	}
}

func TestExample_IsNobodysSecret(t *testing.T) {
	c, _ := mustParse(t, withWebhooks(Example()))
	keys, err := c.Webhooks[0].SigningKeys()
	if err != nil || len(keys) != 1 || !strings.Contains(string(keys[0]), "not a secret") {
		t.Errorf("the keys are %q, %v", keys, err)
	}
}

func TestExample_IsACopy(t *testing.T) {
	Example()[0] = 'x'
	if Example()[0] == 'x' {
		t.Error("whoever changes what Example gave changes the example")
	}
}
